/* loop_text: what the printer, the lexer and the parts of the parser share. Private to
 * loop/: everyone else uses kernel_text and kernel_parse (loop.h). docs/loop-ir.md has the grammar.
 *
 * Errors: a function that returns false or NULL has already reported. The first error of a
 * statement ends it; reading goes on after it, so that one run shows several errors.
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
extern const char *const LOOP_WORD[4];         /* LoopKind */
extern const char *const BUFFER_WORD[5];       /* BufferKind */
extern const char *const VALUE_WORD[5];        /* ValueKind */
extern const char *const BIN_WORD[6];          /* BinOp */
extern const char *const HREDUCE_WORD[6];      /* BinOp, across lanes */
extern const char *const UN_WORD[7];           /* UnOp */
extern const char *const CMP_WORD[4];          /* CmpOp */

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

/* ---- parser ------------------------------------------------------------------------------- */
/* Loop variables, buffers and values may share a name: the text around a name tells which is
 * meant. Two of one kind may not be visible at the same time. */
typedef enum { SYMBOL_VAR, SYMBOL_NAME, SYMBOL_BUFFER } SymbolKind;

typedef struct Symbol {
    SymbolKind kind;
    const char *name;
    void *item;                  /* Var, Name or Buffer */
    bool visible;
} Symbol;

typedef struct Parser {
    Cx *cx;
    Arena *arena;                /* of the result */
    Lexer lexer;
    Token token, ahead;          /* the current token and the one after it */
    int errors;
    bool physical;               /* accesses have physical indices */
    Map *latest[3];              /* SymbolKind: name -> the Symbol last defined */
    Symbol **symbol;             /* the visible ones, in order of definition */
    size_t n_symbols, cap_symbols;
    int loops, operations;       /* depths */
} Parser;

/* loop_token.c: reading tokens one by one */
bool parser_init(Parser *p, Cx *cx, const char *file, const char *text);
void parser_advance(Parser *p);
bool parser_fail(Parser *p, Place place, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));     /* reports; returns false */
bool parser_expected(Parser *p, const char *what);          /* E0502; returns false */
bool token_is(const Token *t, const char *punct);
bool token_is_word(const Token *t, const char *word);
bool accept_punct(Parser *p, const char *punct);
bool accept_word(Parser *p, const char *word);
bool expect_punct(Parser *p, const char *punct);
bool expect_word(Parser *p, const char *word);
bool expect_name(Parser *p, const char *what, const char **out);       /* kept in p->arena */
bool expect_string(Parser *p, const char **out);
bool expect_int(Parser *p, int64_t min, int64_t max, int64_t *out);
bool expect_type(Parser *p, Type *out);                     /* f32, f32x16 */
int find_word(const char *word, const char *const *words, int n);      /* -1 if absent */
void skip_comments(Parser *p);
/* After an error: goes on behind the next ; or { } or before the } that ends this block. */
void parser_recover(Parser *p);
/* Only comments may follow; false if that, or anything before, was an error. */
bool parser_finish(Parser *p, const char *expected);

/* loop_token.c: scopes */
bool symbol_define(Parser *p, Place place, SymbolKind kind, const char *name, void *item);
void *symbol_find(Parser *p, SymbolKind kind);    /* by the current token, which it passes */
size_t scope_open(const Parser *p);
void scope_close(Parser *p, size_t mark);

/* loop_parse_expr.c */
bool parse_index(Parser *p, Index *out);
bool parse_access(Parser *p, Buffer **b, Index index[MAX_DIMS], int *n, int *lanes);
const Expr *parse_expr(Parser *p, Type want);

/* loop_parse.c */
bool parse_shape(Parser *p, Buffer *b);        /* f32x16[...] as [...] */
Kernel *parse_kernel(Parser *p);

#endif
