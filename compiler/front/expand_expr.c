/* Expressions of the model language, worked out while they are read.
 *
 *     $(out / groups if groups > 1 else out)
 *
 * From loose to tight: a if c else b; or; and; not; == != < <= > >= (not chained); << >>; + -;
 * * / %; unary + -; numbers, 'words', names, in.channels, min(...), max(...), sqrt(...), (...).
 *
 * Contract: integers are 64-bit, every overflow and division by zero is an error; / and % of
 * integers round down. What is not needed is read but not worked out. One message an expression.
 */
#include "front/front.h"

#include <math.h>
#include <string.h>

typedef struct Formula {
    Model *m;
    const Yaml *y;
    const char *at;
    const char *mark;              /* the last operand: where errors of values are */
    int dead;                      /* above 0: read only */
    int depth;
    bool failed;
} Formula;

static Datum choice(Formula *f);

Place text_place(const Yaml *y, const char *at, size_t len)
{
    Place p = y->place;
    int quotes = y->quoted ? 1 : 0;
    if (p.len != (int)strlen(y->text) + 2 * quotes)
        return p;                  /* escapes, several lines: the whole scalar */
    p.col += (int)(at - y->text) + quotes;
    p.len = (int)len;
    return p;
}

static bool is_word(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

size_t word_length(const char *text)
{
    size_t n = 0;
    while (is_word(text[n], n == 0))
        n++;
    return n;
}

/* ---- data ----------------------------------------------------------------------------------- */
static Datum int_datum(int64_t i)
{
    return (Datum){.kind = DATUM_INT, .i = i, .f = (double)i};
}

static Datum bool_datum(bool b)
{
    return (Datum){.kind = DATUM_BOOL, .i = b};
}

static bool is_number(const Datum *v)
{
    return v->kind == DATUM_INT || v->kind == DATUM_FLOAT;
}

char *datum_text(Arena *a, const Datum *v)
{
    Str s = str_new(a);
    if (v->kind == DATUM_INT)
        str_printf(&s, "%lld", (long long)v->i);
    else if (v->kind == DATUM_FLOAT)
        str_double(&s, v->f);
    else
        str_add(&s, v->kind == DATUM_WORD ? v->word : v->i ? "true" : "false");
    if (v->kind == DATUM_FLOAT && !s.data[strcspn(s.data, ".e")])
        str_add(&s, ".0");         /* what was a fraction does not turn into an integer */
    return s.data;
}

/* false: a whole number that needs more than 64 bits. */
static bool text_datum(const char *text, Datum *v)
{
    const char *digits = text + (*text == '+' || *text == '-');
    *v = (Datum){.kind = DATUM_WORD, .word = text};
    if (parse_i64(text, &v->i))
        *v = int_datum(v->i);
    else if (*digits && !digits[strspn(digits, "0123456789")])
        return false;
    else if ((*digits == '.' || (*digits >= '0' && *digits <= '9')) && parse_double(text, &v->f))
        v->kind = DATUM_FLOAT;
    else if (str_eq(text, "true") || str_eq(text, "false"))
        *v = bool_datum(*text == 't');
    return true;
}

bool expr_value(Model *m, Place place, const Yaml *y, Datum *out)
{
    *out = (Datum){.kind = DATUM_WORD, .word = y->text};
    bool scalar = y->kind == YAML_SCALAR;
    if (y->broken || (scalar && (y->quoted || text_datum(y->text, out))))
        return !y->broken;
    return diag_error(m->cx->diags, place, scalar ? "E0433" : "E0432",
                      scalar ? "%s needs more than 64 bits" : "%s cannot be part of an expression",
                      read_found(m->cx->perm, y));
}

bool expr_truth(Model *m, Place place, const Datum *v, bool *out)
{
    *out = v->kind == DATUM_FLOAT ? v->f < 0 || v->f > 0 : v->i != 0;
    if (v->kind == DATUM_WORD)
        diag_error(m->cx->diags, place, "E0432", "'%.60s' is neither true nor false", v->word);
    return v->kind != DATUM_WORD;
}

/* ---- reading -------------------------------------------------------------------------------- */
static Datum fail(Formula *f, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(f->m->cx->perm, format, args);
    va_end(args);
    if (!f->failed)
        diag_error(f->m->cx->diags,
                   text_place(f->y, str_eq(code, "E0430") ? f->at : f->mark, 1), code, "%s", text);
    f->failed = true;
    return int_datum(0);
}

static const char *shown(const Formula *f, const Datum *v)
{
    return arena_printf(f->m->cx->perm, "'%.40s'", datum_text(f->m->cx->perm, v));
}

static bool take(Formula *f, const char *token)
{
    f->at += strspn(f->at, " \n");
    size_t n = strlen(token);
    if (f->failed || strncmp(f->at, token, n) != 0 ||
        (is_word(*token, true) && is_word(f->at[n], false)))
        return false;
    f->at += n;
    return true;
}

static void need(Formula *f, const char *token)
{
    if (!take(f, token))
        fail(f, "E0430", *f->at ? "expected '%s', found '%.20s'" : "expected '%s', found the end",
             token, f->at);
}

static bool enter(Formula *f)
{
    if (++f->depth > MAX_NESTING)
        fail(f, "E0422", "an expression is nested more than %d deep", MAX_NESTING);
    return !f->failed;
}

static bool truth(Formula *f, const Datum *v)
{
    bool result = false;
    if (!f->failed && !f->dead)
        f->failed = !expr_truth(f->m, text_place(f->y, f->mark, 1), v, &result);
    return result;
}

/* ---- operators ------------------------------------------------------------------------------ */
static const char *const operators[][7] = {
    {"or"}, {"and"}, {"==", "!=", "<=", ">=", "<", ">"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"},
};
enum { OR, AND, COMPARE, SHIFT, SUM, PRODUCT, LEVELS };

static const char *take_operator(Formula *f, int level)
{
    for (const char *const *op = operators[level]; *op; op++)
        if (take(f, *op))
            return *op;
    return NULL;
}

static Datum compare(Formula *f, const char *op, const Datum *a, const Datum *b)
{
    bool numbers = is_number(a) && is_number(b);
    if (!numbers && (a->kind != b->kind || (*op != '=' && *op != '!')))
        return fail(f, "E0432", "%s and %s cannot be compared with '%s'", shown(f, a), shown(f, b),
                    op);
    int order = (a->i > b->i) - (a->i < b->i);
    if (a->kind == DATUM_WORD)
        order = strcmp(a->word, b->word);
    else if (a->kind == DATUM_FLOAT || b->kind == DATUM_FLOAT)
        order = (a->f > b->f) - (a->f < b->f);
    if (order == 0)
        return bool_datum(op[1] == '=' && *op != '!');
    return bool_datum(*op == '!' || *op == (order < 0 ? '<' : '>'));
}

/* Rounds down; false on overflow. b is not 0. */
static bool int_divide(int64_t a, int64_t b, bool remainder, int64_t *out)
{
    int64_t sign = b < 0 ? -1 : 1;
    if (!checked_mul(a, sign, &a) || !checked_mul(b, sign, &b))
        return false;
    *out = remainder ? floor_mod(a, b) * sign : floor_div(a, b);
    return true;
}

static Datum int_arithmetic(Formula *f, const char *op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool good = true;
    if ((*op == '<' || *op == '>') && (b < 0 || b > 62))
        return fail(f, "E0433", "a shift is by 0 to 62 places, found %lld", (long long)b);
    switch (*op) {
    case '+': good = checked_add(a, b, &r); break;
    case '-': good = checked_sub(a, b, &r); break;
    case '*': good = checked_mul(a, b, &r); break;
    case '<': good = checked_mul(a, INT64_C(1) << b, &r); break;
    case '>': r = floor_div(a, INT64_C(1) << b); break;
    default: good = int_divide(a, b, *op == '%', &r); break;
    }
    return good ? int_datum(r) : fail(f, "E0433", "%lld %s %lld needs more than 64 bits",
                                      (long long)a, op, (long long)b);
}

static Datum arithmetic(Formula *f, const char *op, const Datum *a, const Datum *b)
{
    bool shift = *op == '<' || *op == '>', divide = *op == '/' || *op == '%';
    bool ints = a->kind == DATUM_INT && b->kind == DATUM_INT;
    if (!is_number(a) || !is_number(b) || (shift && !ints))
        return fail(f, "E0432", "'%s' needs %s numbers, found %s and %s", op,
                    shift ? "whole" : "two", shown(f, a), shown(f, b));
    if (divide && !(b->f < 0 || b->f > 0))
        return fail(f, "E0433", "division by zero");
    if (ints)
        return int_arithmetic(f, op, a->i, b->i);
    double r = *op == '+'   ? a->f + b->f
               : *op == '-' ? a->f - b->f
               : *op == '*' ? a->f * b->f
               : *op == '/' ? a->f / b->f
                            : fmod(a->f, b->f);
    if (*op == '%' && ((r < 0 && b->f > 0) || (r > 0 && b->f < 0)))
        r += b->f;
    return isfinite(r) ? (Datum){.kind = DATUM_FLOAT, .f = r}
                       : fail(f, "E0433", "the result of '%s' is too large", op);
}

/* ---- operands ------------------------------------------------------------------------------- */
static Datum literal(Formula *f)
{
    const char *p = f->at;
    bool hex = p[0] == '0' && (p[1] | 0x20) == 'x';
    while (is_word(*p, false) || *p == '.' ||
           ((*p == '+' || *p == '-') && (p[-1] | 0x20) == (hex ? 'p' : 'e')))
        p++;
    Datum v;
    const char *text = arena_strndup(f->m->cx->temp, f->at, (size_t)(p - f->at));
    if (!text_datum(text, &v))
        return fail(f, "E0433", "%.60s needs more than 64 bits", text);
    if (!is_number(&v))
        return fail(f, "E0430", "'%.60s' is not a number", text);
    f->at = p;
    return v;
}

static Datum quoted_word(Formula *f)
{
    const char *start = f->at + 1, *end = strchr(start, *f->at);
    if (!end)
        return fail(f, "E0430", "the second %c of a word is missing", *f->at);
    f->at = end + 1;
    return (Datum){.kind = DATUM_WORD,
                   .word = arena_strndup(f->m->cx->perm, start, (size_t)(end - start))};
}

/* min, max and sqrt, behind the "(". */
static Datum function(Formula *f, const char *name)
{
    bool root = *name == 's';
    Datum v = choice(f);
    while (!root && take(f, ",")) {
        Datum w = choice(f);
        if (!f->failed && !f->dead && compare(f, str_eq(name, "min") ? "<" : ">", &w, &v).i)
            v = w;
    }
    need(f, ")");
    if (f->failed || f->dead)
        return v;
    if (!is_number(&v) || (root && v.f < 0))
        return fail(f, "E0432", "%s needs numbers%s, found %s", name, root ? " from 0 on" : "",
                    shown(f, &v));
    return root ? (Datum){.kind = DATUM_FLOAT, .f = sqrt(v.f)} : v;
}

/* in.channels, in.height, in.width; behind the dot. */
static Datum extent(Formula *f, const Tensor *t)
{
    static const char *const names[] = {"channels", "height", "width"};
    int which = 0;
    while (which < 3 && !take(f, names[which]))
        which++;
    if (which == 3)
        return fail(f, "E0430", "a tensor has channels, height and width; found '%.20s'", f->at);
    if (f->failed || f->dead)
        return int_datum(0);
    if (!t)
        return fail(f, "E0432", "only a tensor has %s", names[which]);
    const Shape *s = &t->shape;
    f->failed = s->rank == 0;      /* unknown, because of an error that was reported */
    bool has = which == 0 ? s->rank > 1 : s->rank == 4 || (which == 2 && s->rank == 3);
    if (!has)
        return fail(f, "E0432", "'%s' has shape %s: it has no %s", t->name,
                    shape_text(f->m->cx->perm, s), names[which]);
    return int_datum(s->dim[which == 2 ? s->rank - 1 : which + 1]);
}

static Datum variable(Formula *f, const char *name)
{
    Datum v = int_datum(0);
    Place place = text_place(f->y, f->at, strlen(name));
    const Yaml *y = f->dead ? NULL : expand_variable(f->m, place, name);
    f->failed |= !f->dead && (!y || y->broken);
    f->at += strlen(name);
    if (*f->at == '.' && f->at++)
        return extent(f, y ? y->tensor : NULL);
    if (!f->dead && !f->failed)
        f->failed = !expr_value(f->m, place, y, &v);
    return v;
}

static Datum named(Formula *f)
{
    const char *name = arena_strndup(f->m->cx->temp, f->at, word_length(f->at));
    if (f->at[strlen(name)] != '(')
        return take(f, "true")    ? bool_datum(true)
               : take(f, "false") ? bool_datum(false)
                                  : variable(f, name);
    if (!str_eq(name, "min") && !str_eq(name, "max") && !str_eq(name, "sqrt"))
        return fail(f, "E0430", "there is no function '%.60s': only min, max and sqrt", name);
    f->at += strlen(name) + 1;
    return function(f, name);
}

static Datum operand(Formula *f)
{
    if (take(f, "(")) {
        Datum v = choice(f);
        need(f, ")");
        return v;
    }
    char c = *f->at;
    f->mark = f->at;
    f->failed |= !expand_charge(f->m, f->y->place, 1);
    if (f->failed)
        return int_datum(0);
    if (c == '\'' || c == '"')
        return quoted_word(f);
    if (c == '.' || (c >= '0' && c <= '9'))
        return literal(f);
    if (is_word(c, true))
        return named(f);
    fail(f, "E0430", c ? "expected a value, found '%.20s'" : "expected a value, found the end",
         f->at);
    if (c == '$')
        diag_help(f->m->cx->diags, "inside $( ) a name stands without $");
    return int_datum(0);
}

/* ---- levels --------------------------------------------------------------------------------- */
static Datum unary(Formula *f)
{
    const char *sign = take_operator(f, SUM);
    if (!sign)
        return operand(f);
    Datum v = int_datum(0), zero = v;
    if (enter(f))
        v = unary(f);
    f->depth--;
    return f->dead || f->failed ? v : arithmetic(f, sign, &zero, &v);
}

static Datum binary(Formula *f, int level)
{
    if (level == LEVELS)
        return unary(f);
    Datum v = int_datum(0);
    if (level == COMPARE && take(f, "not")) {
        if (enter(f))
            v = binary(f, COMPARE);
        f->depth--;
        return bool_datum(!truth(f, &v));
    }
    v = binary(f, level + 1);
    for (const char *op; (op = take_operator(f, level)) != NULL;) {
        bool left = level <= AND && truth(f, &v);
        bool settled = level <= AND && left == (level == OR);
        f->dead += settled;
        Datum w = binary(f, level + 1);
        f->dead -= settled;
        if (f->failed || f->dead)
            continue;
        v = level == COMPARE ? compare(f, op, &v, &w)
            : level > AND    ? arithmetic(f, op, &v, &w)
                             : bool_datum(settled ? left : truth(f, &w));
        if (level == COMPARE && take_operator(f, level))
            return fail(f, "E0430", "comparisons are not chained: join them with 'and'");
    }
    return v;
}

/* a if c else b: a is read first, and again once c says that it counts. */
static Datum choice(Formula *f)
{
    if (!enter(f))
        return int_datum(0);
    const char *start = f->at, *end = NULL;
    bool yes = true;
    f->dead++;
    Datum v = binary(f, OR);
    f->dead--;
    if (take(f, "if")) {
        Datum c = binary(f, OR);
        yes = truth(f, &c);
        need(f, "else");
        f->dead += yes;
        v = choice(f);
        f->dead -= yes;
        end = f->at;
    }
    if (yes && !f->dead && !f->failed) {
        f->at = start;
        v = binary(f, OR);
        f->at = end ? end : f->at;
    }
    f->depth--;
    return v;
}

bool expr_read(Model *m, const Yaml *y, const char **at, Datum *out)
{
    Formula f = {.m = m, .y = y, .at = *at, .mark = *at};
    *out = choice(&f);
    need(&f, ")");
    *at = f.at;
    return !f.failed;
}
