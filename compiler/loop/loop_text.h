/* loop_text: what the printer and the parts of the parser share. Private to loop/: everyone else
 * uses kernel_text and kernel_parse (loop.h). docs/loop-ir.md has the grammar.
 *
 * Errors: the first one of a statement halts the parser: it reports, and from then on every
 * function finds nothing and says nothing, so that its caller goes straight on and need not ask;
 * what it returns is well formed, yet means nothing. After the statement, parser_recover goes on
 * reading, so that one run shows several errors.
 */
#ifndef NET2C_LOOP_TEXT_H
#define NET2C_LOOP_TEXT_H

#include "loop/loop.h"

#define TEXT_MAX_BYTES ((size_t)4 << 20)
#define TEXT_MAX_LOOPS 64          /* nested for and if */
#define TEXT_MAX_EXPR 128          /* nested and chained operations of one expression */
#define TEXT_MAX_ERRORS 20
#define TEXT_MAX_NUMBER ((int64_t)1 << 40)     /* of an extent, a coefficient, a constant */
#define TEXT_MAX_LANES 256

/* ---- words of the grammar, by enum value ---------------------------------------------------- */
extern const char *const SCALAR_WORD[4];       /* ScalarType */
extern const char *const LOOP_WORD[4];         /* LoopKind */
extern const char *const BUFFER_WORD[5];       /* BufferKind */
extern const char *const VALUE_WORD[5];        /* ValueKind */
extern const char *const BIN_WORD[6];          /* BinOp */
extern const char *const HREDUCE_WORD[6];      /* BinOp, across lanes */
extern const char *const UN_WORD[10];           /* UnOp */
extern const char *const CMP_WORD[4];          /* CmpOp */

const char *type_text(Arena *a, Type t);       /* f32, f32x16 */

/* ---- tokens ------------------------------------------------------------------------------- */
typedef enum {
    TOKEN_END,
    TOKEN_BAD,       /* reported; nothing follows */
    TOKEN_NAME,      /* oc.o */
    TOKEN_STRING,    /* "..."; a quoted name where a name stands */
    TOKEN_NUMBER,    /* 13, 0x1.8p+1, 0.5 */
    TOKEN_COMMENT,   /* # to the end of the line */
    TOKEN_PUNCT,     /* one of ( ) [ ] { } , ; : = < + - * / % ~ <= == != +: */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Place place;
    const char *text;     /* string: decoded; comment: trimmed. In the temp arena */
} Token;

typedef struct Lexer {
    Cx *cx;
    const char *file;
    const char *at, *end;        /* the rest of the text */
    const char *line_start;
    int line;
} Lexer;

Token lex_next(Lexer *x);
size_t name_length(const char *text);          /* of the plain name that text starts with, or 0 */

/* ---- names in scope ------------------------------------------------------------------------ */
typedef enum { SYMBOL_VAR, SYMBOL_NAME, SYMBOL_BUFFER, SYMBOL_VALUE, SYMBOL_KERNEL } SymbolKind;

typedef struct Symbol {
    SymbolKind kind;
    const char *name;
    Place place;
    void *item;                  /* Var, Name, Buffer, Value or Kernel */
    bool visible, used;
} Symbol;

typedef struct Scope {
    Arena *arena;
    Map *latest[5];              /* SymbolKind: name -> the Symbol last defined */
    Symbol **symbol;             /* the visible ones, in order of definition */
    size_t n, cap;
} Scope;

Scope scope_new(Arena *a);
Symbol *scope_find(const Scope *s, SymbolKind kind, const char *name);      /* NULL if absent */
/* NULL if there is one already. */
Symbol *scope_define(Scope *s, SymbolKind kind, const char *name, const void *item);
void scope_close(Scope *s, size_t n);          /* forget all but the first n */

/* ---- parser ------------------------------------------------------------------------------- */
typedef struct Parser {
    Cx *cx;
    Arena *arena;                /* of the result */
    Lexer lexer;
    Token token, ahead;          /* the current token and the one after it */
    TokenKind halted;            /* what kind the current token had before it became TOKEN_BAD */
    int errors;
    bool physical;               /* accesses have physical indices */
    Scope scope;
    int loops, operations;       /* depths */
} Parser;

bool parser_init(Parser *p, Cx *cx, const char *file, const char *text);
void parser_advance(Parser *p);
bool parser_fail(Parser *p, Place place, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));     /* false if an earlier error halted the parser */
void parser_expected(Parser *p, const char *what);          /* E0502 */
bool parser_halted(const Parser *p);
/* After an error: goes on behind the next ; or { } or before the } that ends this block. */
void parser_recover(Parser *p);
/* Only comments may follow; false if that, or anything before, was an error. */
bool parser_finish(Parser *p, const char *expected);

/* accept_* pass a token if it is there; expect and parse_* report if it is not. */
bool token_is(const Token *t, const char *word);            /* a word or punctuation, unquoted */
bool token_is_name(const Token *t);                         /* plain or quoted */
bool accept(Parser *p, const char *word);
int accept_word(Parser *p, const char *const *words, int n);           /* which; -1: none */
int find_word(const char *word, const char *const *words, int n);      /* -1 if absent */
bool expect(Parser *p, const char *word);
const char *parse_name(Parser *p, const char *what);
const char *parse_string(Parser *p);
int64_t parse_int(Parser *p, int64_t min, int64_t max);     /* E0503 */
Type parse_type(Parser *p);                                 /* f32, f32x16 */
bool has_room(Parser *p, int n, int max, const char *what);            /* n < max, or E0508 */
void skip_comments(Parser *p);

void symbol_define(Parser *p, Place place, SymbolKind kind, const char *name, void *item);
void *symbol_find(Parser *p, SymbolKind kind);   /* by the current token, which it passes; NULL */

/* ---- loop_parse_expr.c -------------------------------------------------------------------- */
Index parse_index(Parser *p);
Access parse_access(Parser *p);                /* x[i, j +: 16]; buffer NULL after an error */
const Expr *parse_expr(Parser *p, Type want);

/* ---- loop_parse.c ------------------------------------------------------------------------- */
void parse_shape(Parser *p, Buffer *b);        /* f32x16[...] as [...] */
Kernel *parse_kernel(Parser *p);

#endif
