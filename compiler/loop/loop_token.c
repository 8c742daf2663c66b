/* loop_token: reading tokens one by one, and the names in scope: what every part of the parser
 * stands on.
 *
 * example: for "n < 8":  expect_name(p, "a loop variable", &name) && expect_punct(p, "<")
 *                        && expect_int(p, 0, max, &extent)
 *
 * Contract: accept_* pass a token if it is there; expect_* report if it is not (E0502, E0503).
 * After TEXT_MAX_ERRORS errors, as after a malformed token, the rest counts as TOKEN_BAD, about
 * which nobody complains any more.
 */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "loop/loop_text.h"

#define MAX_CANDIDATES 200   /* names compared for a hint: the innermost ones */

/* ---- tokens ------------------------------------------------------------------------------ */

bool parser_init(Parser *p, Cx *cx, const char *file, const char *text)
{
    *p = (Parser){.cx = cx, .arena = cx->perm};
    size_t length = strnlen(text, TEXT_MAX_BYTES + 1);
    if (length > TEXT_MAX_BYTES) {
        diag_error(cx->diags, (Place){.file = arena_strdup(cx->perm, file)}, "E0508",
                   "this text is longer than 4 MiB");
        diag_help(cx->diags, "split the module into smaller ones");
        return false;
    }
    /* messages outlive the caller's text */
    const char *kept = arena_strndup(cx->perm, text, length);
    p->lexer = (Lexer){cx, arena_strdup(cx->perm, file), kept, kept + length, kept, 1};
    diags_add_source(cx->diags, p->lexer.file, kept, length);
    for (int i = 0; i < 3; i++)
        p->latest[i] = map_new(cx->temp);
    parser_advance(p);
    parser_advance(p);
    return true;
}

void parser_advance(Parser *p)
{
    if (p->token.kind == TOKEN_BAD)
        return;
    p->token = p->ahead;
    if (p->ahead.kind != TOKEN_BAD)
        p->ahead = lex_next(&p->lexer);
}

bool parser_fail(Parser *p, Place place, const char *code, const char *format, ...)
{
    if (p->token.kind == TOKEN_BAD)
        return false;
    va_list args;
    va_start(args, format);
    diag_error(p->cx->diags, place, code, "%s", arena_vprintf(p->cx->temp, format, args));
    va_end(args);
    if (++p->errors >= TEXT_MAX_ERRORS)
        p->token.kind = TOKEN_BAD;
    return false;
}

bool parser_expected(Parser *p, const char *what)
{
    const Token *t = &p->token;

    switch (t->kind) {
    case TOKEN_END: return parser_fail(p, t->place, "E0502", "the text ends before %s", what);
    case TOKEN_COMMENT:
        return parser_fail(p, t->place, "E0502", "expected %s before this comment", what);
    default: return parser_fail(p, t->place, "E0502", "expected %s, found '%s'", what, t->text);
    }
}

static bool expected_word(Parser *p, const char *word)
{
    return parser_expected(p, arena_printf(p->cx->temp, "'%s'", word));
}

bool token_is(const Token *t, const char *punct)
{
    return t->kind == TOKEN_PUNCT && strcmp(t->text, punct) == 0;
}

bool token_is_word(const Token *t, const char *word)
{
    return t->kind == TOKEN_NAME && strcmp(t->text, word) == 0;
}

bool accept_punct(Parser *p, const char *punct)
{
    if (!token_is(&p->token, punct))
        return false;
    parser_advance(p);
    return true;
}

bool accept_word(Parser *p, const char *word)
{
    if (!token_is_word(&p->token, word))
        return false;
    parser_advance(p);
    return true;
}

bool expect_punct(Parser *p, const char *punct)
{
    return accept_punct(p, punct) || expected_word(p, punct);
}

bool expect_word(Parser *p, const char *word)
{
    return accept_word(p, word) || expected_word(p, word);
}

bool expect_name(Parser *p, const char *what, const char **out)
{
    if (p->token.kind != TOKEN_NAME && p->token.kind != TOKEN_STRING)
        return parser_expected(p, what);
    *out = arena_strdup(p->arena, p->token.text);
    parser_advance(p);
    return true;
}

bool expect_string(Parser *p, const char **out)
{
    if (p->token.kind != TOKEN_STRING)
        return parser_expected(p, "a string in quotes");
    *out = arena_strdup(p->arena, p->token.text);
    parser_advance(p);
    return true;
}

bool expect_int(Parser *p, int64_t min, int64_t max, int64_t *out)
{
    Place place = p->token.place;
    bool negative = min < 0 && accept_punct(p, "-");
    const char *digits = p->token.text;

    if (p->token.kind != TOKEN_NUMBER || digits[strspn(digits, "0123456789")] != 0)
        return parser_expected(p, "a whole number");
    bool fits = parse_i64(digits, out);
    if (negative)
        *out = -*out;
    if (!fits || *out < min || *out > max)
        return parser_fail(p, place, "E0503",
                           "this number is not in the range %" PRId64 " to %" PRId64, min, max);
    parser_advance(p);
    return true;
}

bool expect_type(Parser *p, Type *out)
{
    const char *text = p->token.text;
    int64_t lanes = 1;

    if (p->token.kind == TOKEN_NAME) {
        for (ScalarType t = TYPE_F32; t <= TYPE_I32; t++) {
            if (strncmp(text, scalar_name(t), 3) != 0)
                continue;
            bool vector = text[3] == 'x' && parse_i64(text + 4, &lanes) && lanes > 1;
            if ((text[3] == 0 || vector) && lanes <= TEXT_MAX_LANES) {
                *out = (Type){t, (int)lanes};
                parser_advance(p);
                return true;
            }
        }
    }
    return parser_expected(p, "a type (f32, f64, i32, or with lanes f32x16)");
}

int find_word(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

void parser_recover(Parser *p)
{
    for (int open = 0; p->token.kind != TOKEN_END && p->token.kind != TOKEN_BAD;) {
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

void skip_comments(Parser *p)
{
    while (p->token.kind == TOKEN_COMMENT)
        parser_advance(p);
}

bool parser_finish(Parser *p, const char *expected)
{
    skip_comments(p);
    if (p->errors == 0 && p->token.kind != TOKEN_END)
        parser_expected(p, expected);
    return p->errors == 0 && p->token.kind == TOKEN_END;
}

/* ---- scopes ------------------------------------------------------------------------------ */

static const char *const SYMBOL_WORD[3] = {"loop variable", "value", "buffer"};

static Symbol *find_visible(const Parser *p, SymbolKind kind, const char *name)
{
    Symbol *s = map_get(p->latest[kind], name);

    return s && s->visible ? s : NULL;
}

bool symbol_define(Parser *p, Place place, SymbolKind kind, const char *name, void *item)
{
    if (find_visible(p, kind, name))
        return parser_fail(p, place, "E0505", "the %s '%s' is already defined here",
                           SYMBOL_WORD[kind], name);
    Symbol *s = NEW(p->cx->temp, Symbol);
    *s = (Symbol){kind, name, item, true};
    map_put(p->latest[kind], name, s);
    p->symbol = arena_grow(p->cx->temp, p->symbol, p->n_symbols, p->n_symbols + 1,
                           &p->cap_symbols, sizeof(Symbol *));
    p->symbol[p->n_symbols++] = s;
    return true;
}

static void suggest_name(Parser *p, SymbolKind kind, const char *word)
{
    const char *candidate[MAX_CANDIDATES];
    int n = 0;

    for (size_t i = p->n_symbols; i > 0 && n < MAX_CANDIDATES; i--)
        if (p->symbol[i - 1]->kind == kind)
            candidate[n++] = p->symbol[i - 1]->name;
    const char *nearest = str_nearest(p->cx->temp, word, candidate, n);
    if (nearest)
        diag_help(p->cx->diags, "did you mean '%s'?", nearest);
}

void *symbol_find(Parser *p, SymbolKind kind)
{
    Token t = p->token;

    if (t.kind != TOKEN_NAME && t.kind != TOKEN_STRING) {
        parser_expected(p, "a name");
        return NULL;
    }
    Symbol *s = find_visible(p, kind, t.text);
    if (!s) {
        parser_fail(p, t.place, "E0504", "there is no %s '%s' here", SYMBOL_WORD[kind], t.text);
        suggest_name(p, kind, t.text);
        return NULL;
    }
    parser_advance(p);
    return s->item;
}

size_t scope_open(const Parser *p)
{
    return p->n_symbols;
}

void scope_close(Parser *p, size_t mark)
{
    while (p->n_symbols > mark)
        p->symbol[--p->n_symbols]->visible = false;
}
