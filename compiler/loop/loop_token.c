/* loop_token: reading tokens one by one, and resolving names: what every part of the parser
 * stands on.
 *
 * example: for "n < 8":  name = parse_name(p, "a loop variable"); expect(p, "<");
 *                        extent = parse_int(p, 0, max);
 *
 * Contract: an error makes the current token TOKEN_BAD, at which nothing is found and about which
 * nobody complains; parser_recover gives it back. After a malformed token, as after
 * TEXT_MAX_ERRORS errors, it stays.
 */
#include <inttypes.h>
#include <string.h>

#include "loop/loop_text.h"

#define MAX_CANDIDATES 200   /* names compared for a hint: of a kernel the innermost ones */

/* ---- errors ------------------------------------------------------------------------------ */

bool parser_init(Parser *p, Cx *cx, const char *file, const char *text)
{
    *p = (Parser){.cx = cx, .arena = cx->perm, .halted = TOKEN_BAD};
    size_t length = strnlen(text, TEXT_MAX_BYTES + 1);
    if (length > TEXT_MAX_BYTES) {
        diag_error(cx->diags, (Place){.file = arena_strdup(cx->perm, file)}, "E0508",
                   "this text is longer than 4 MiB");
        return diag_help(cx->diags, "split the module into smaller ones");
    }
    /* messages outlive the caller's text */
    const char *kept = arena_strndup(cx->perm, text, length);
    p->lexer = (Lexer){cx, arena_strdup(cx->perm, file), kept, kept + length, kept, 1};
    diags_add_source(cx->diags, p->lexer.file, kept, length);
    p->scope = scope_new(cx->temp);
    parser_advance(p);
    parser_advance(p);
    return true;
}

void parser_advance(Parser *p)
{
    if (parser_halted(p))
        return;
    p->token = p->ahead;
    if (p->ahead.kind != TOKEN_BAD)
        p->ahead = lex_next(&p->lexer);
}

bool parser_fail(Parser *p, Place place, const char *code, const char *format, ...)
{
    va_list args;

    if (parser_halted(p))
        return false;
    va_start(args, format);
    diag_error(p->cx->diags, place, code, "%s", arena_vprintf(p->cx->temp, format, args));
    va_end(args);
    p->errors++;
    p->halted = p->token.kind;
    p->token.kind = TOKEN_BAD;
    return true;
}

void parser_expected(Parser *p, const char *what)
{
    const Token *t = &p->token;

    if (t->kind == TOKEN_END)
        parser_fail(p, t->place, "E0502", "the text ends before %s", what);
    else if (t->kind == TOKEN_COMMENT)
        parser_fail(p, t->place, "E0502", "expected %s before this comment", what);
    else
        parser_fail(p, t->place, "E0502", "expected %s, found '%s'", what, t->text);
}

bool parser_halted(const Parser *p)
{
    return p->token.kind == TOKEN_BAD;
}

void parser_recover(Parser *p)
{
    if (p->errors >= TEXT_MAX_ERRORS)
        return;
    p->token.kind = p->halted;
    p->halted = TOKEN_BAD;
    for (int open = 0; p->token.kind != TOKEN_END && !parser_halted(p);) {
        bool close = token_is(&p->token, "}");
        if (close && open == 0)
            return;
        open += token_is(&p->token, "{") - close;
        bool done = open == 0 && (close || token_is(&p->token, ";"));
        parser_advance(p);
        if (done)
            return;
    }
}

bool parser_finish(Parser *p, const char *expected)
{
    skip_comments(p);
    if (p->errors == 0 && p->token.kind != TOKEN_END)
        parser_expected(p, expected);
    return p->errors == 0 && p->token.kind == TOKEN_END;
}

/* ---- tokens ------------------------------------------------------------------------------ */

bool token_is(const Token *t, const char *word)
{
    return (t->kind == TOKEN_PUNCT || t->kind == TOKEN_NAME) && strcmp(t->text, word) == 0;
}

int find_word(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

int accept_word(Parser *p, const char *const *words, int n)
{
    bool unquoted = p->token.kind == TOKEN_PUNCT || p->token.kind == TOKEN_NAME;
    int i = unquoted ? find_word(p->token.text, words, n) : -1;

    if (i >= 0)
        parser_advance(p);
    return i;
}

bool accept(Parser *p, const char *word)
{
    return accept_word(p, &word, 1) == 0;
}

bool expect(Parser *p, const char *word)
{
    if (accept(p, word))
        return true;
    parser_expected(p, arena_printf(p->cx->temp, "'%s'", word));
    return false;
}

bool token_is_name(const Token *t)
{
    return t->kind == TOKEN_NAME || t->kind == TOKEN_STRING;
}

/* The text of the current token, which it passes. */
static const char *parse_text(Parser *p, bool fits, const char *what)
{
    const char *text = p->token.text;

    if (!fits)
        parser_expected(p, what);
    parser_advance(p);
    return arena_strdup(p->arena, text);
}

const char *parse_name(Parser *p, const char *what)
{
    return parse_text(p, token_is_name(&p->token), what);
}

const char *parse_string(Parser *p)
{
    return parse_text(p, p->token.kind == TOKEN_STRING, "a string in quotes");
}

int64_t parse_int(Parser *p, int64_t min, int64_t max)
{
    Place place = p->token.place;
    bool negative = min < 0 && accept(p, "-");
    const char *digits = p->token.text;
    int64_t n = 0;

    if (p->token.kind != TOKEN_NUMBER || digits[strspn(digits, "0123456789")] != 0)
        parser_expected(p, "a whole number");
    bool fits = parse_i64(digits, &n);
    n = negative ? -n : n;
    if (!fits || n < min || n > max)
        parser_fail(p, place, "E0503",
                    "this number is not in the range %" PRId64 " to %" PRId64, min, max);
    parser_advance(p);
    return parser_halted(p) ? min : n;
}

Type parse_type(Parser *p)
{
    const char *text = p->token.text;
    int64_t lanes = 1;

    for (ScalarType t = TYPE_F32; p->token.kind == TOKEN_NAME && t <= TYPE_BF16; t++) {
        size_t n = strlen(SCALAR_WORD[t]);
        if (strncmp(text, SCALAR_WORD[t], n) != 0)
            continue;
        bool vector = text[n] == 'x' && parse_i64(text + n + 1, &lanes) && lanes > 1;
        if ((text[n] == 0 || vector) && lanes <= TEXT_MAX_LANES) {
            parser_advance(p);
            return (Type){t, (int)lanes};
        }
    }
    parser_expected(p, "a type (f32, f64, i32, or with lanes f32x16)");
    return (Type){TYPE_F32, 1};
}

bool has_room(Parser *p, int n, int max, const char *what)
{
    if (n >= max)
        parser_fail(p, p->token.place, "E0508", "more than %d %s", max, what);
    return n < max;
}

void skip_comments(Parser *p)
{
    while (p->token.kind == TOKEN_COMMENT)
        parser_advance(p);
}

/* ---- symbols ----------------------------------------------------------------------------- */

static const char *const SYMBOL_WORD[5] = {"loop variable", "value", "buffer", "value", "kernel"};

void symbol_define(Parser *p, Place place, SymbolKind kind, const char *name, void *item)
{
    Symbol *s = scope_define(&p->scope, kind, name, item);

    if (s)
        s->place = place;
    else
        parser_fail(p, place, "E0505", kind >= SYMBOL_VALUE ? "there is already a %s '%s'"
                    : "the %s '%s' is already defined here", SYMBOL_WORD[kind], name);
}

static void suggest_name(Parser *p, SymbolKind kind, const char *word)
{
    const char *candidate[MAX_CANDIDATES];
    int n = 0;

    for (size_t i = 0; i < p->scope.n && n < MAX_CANDIDATES; i++) {
        const Symbol *s = p->scope.symbol[kind >= SYMBOL_VALUE ? i : p->scope.n - 1 - i];
        if (s->kind == kind)
            candidate[n++] = s->name;
    }
    const char *nearest = str_nearest(p->cx->temp, word, candidate, n);
    if (nearest)
        diag_help(p->cx->diags, "did you mean '%s'?", nearest);
}

void *symbol_find(Parser *p, SymbolKind kind)
{
    const char *word = SYMBOL_WORD[kind], *name = p->token.text;
    bool global = kind >= SYMBOL_VALUE;

    if (!token_is_name(&p->token)) {
        parser_expected(p, global ? word : "a name");
        return NULL;
    }
    Symbol *s = scope_find(&p->scope, kind, name);
    if (!s) {
        parser_fail(p, p->token.place, "E0504", "there is no %s '%s'%s", word, name,
                    global ? "" : " here");
        suggest_name(p, kind, name);
        return NULL;
    }
    parser_advance(p);
    s->used = true;
    return s->item;
}
