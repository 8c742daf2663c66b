/* loop_parse_expr: reads indices, accesses and expressions.
 *
 * example: fma(bcast(x[ic, 2*oy + ky - 1], 16), w[ic, 0 +: 16], acc)
 *
 * Contract: every name is resolved and every type agrees, so that what is built is well typed.
 * A constant takes the type that its place asks for (`want`), or says its own: 0x1p+0:f64.
 * Where nothing is asked, the first operand decides for the others. Precedence as in C; nesting
 * and chains count against TEXT_MAX_EXPR, which bounds the recursion of all later walks.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "loop/loop_text.h"

#define MAX_TERMS 64
#define MAX_QUARTERS 1000

static const Expr *parse_chain(Parser *p, const Type *want, int level);

/* ---- indices ----------------------------------------------------------------------------- */

/* 3, oy or 2*oy, with the sign before it */
static bool parse_term(Parser *p, int64_t sign, Index *out)
{
    int64_t number = 1;

    if (p->token.kind == TOKEN_NUMBER) {
        if (!expect_int(p, 0, TEXT_MAX_NUMBER, &number))
            return false;
        if (!accept_punct(p, "*")) {
            *out = index_offset(*out, sign * number);
            return true;
        }
    } else if (p->token.kind != TOKEN_NAME && p->token.kind != TOKEN_STRING) {
        return parser_expected(p, "a loop variable or a whole number");
    }
    const Var *v = symbol_find(p, SYMBOL_VAR);
    if (!v)
        return false;
    Index term = index_scale(p->arena, index_var(p->arena, v), sign * number);
    *out = index_add(p->arena, *out, term);
    return true;
}

bool parse_index(Parser *p, Index *out)
{
    Place place = p->token.place;
    bool minus = accept_punct(p, "-");

    *out = index_const(0);
    for (int terms = 0; terms < MAX_TERMS; terms++) {
        if (!parse_term(p, minus ? -1 : 1, out))
            return false;
        minus = token_is(&p->token, "-");
        if (!minus && !token_is(&p->token, "+"))
            return true;
        parser_advance(p);
    }
    return parser_fail(p, place, "E0508", "this index has more than %d terms", MAX_TERMS);
}

static bool parse_lanes(Parser *p, const Buffer *b, int *lanes)
{
    int64_t n = 1;
    Place place = p->token.place;

    *lanes = b->lanes;
    if (!accept_punct(p, "+:"))
        return true;
    if (b->lanes > 1)
        return parser_fail(p, place, "E0506", "an element of '%s' already has %d lanes", b->name,
                           b->lanes);
    if (!expect_int(p, 2, TEXT_MAX_LANES, &n))
        return false;
    *lanes = (int)n;
    return true;
}

/* x[i, j] or x[i, j +: 16] */
bool parse_access(Parser *p, Buffer **b, Index index[MAX_DIMS], int *n, int *lanes)
{
    Place place = p->token.place;

    *b = symbol_find(p, SYMBOL_BUFFER);
    if (!*b || !expect_punct(p, "["))
        return false;
    int need = buffer_indices(*b, p->physical);
    *n = 0;
    while (*n < need) {
        if ((*n > 0 && !accept_punct(p, ",")) || token_is(&p->token, "]"))
            break;
        if (!parse_index(p, &index[(*n)++]))
            return false;
    }
    if (*n < need || token_is(&p->token, ","))
        return parser_fail(p, place, "E0507", "'%s' takes %d %s%s here", (*b)->name, need,
                           need == 1 ? "index" : "indices",
                           p->physical ? ", one for each physical dimension" : "");
    return parse_lanes(p, *b, lanes) && expect_punct(p, "]");
}

/* ---- constants --------------------------------------------------------------------------- */

static bool starts_const(const Token *t)
{
    return t->kind == TOKEN_NUMBER || token_is(t, "-") || token_is_word(t, "inf")
        || token_is_word(t, "nan");
}

static bool const_fits(ScalarType t, double v)
{
    switch (t) {
    case TYPE_F32: return !isfinite(v) || fabs(v) <= (double)FLT_MAX;
    case TYPE_I32: return v >= -0x1p31 && v < 0x1p31 && v == floor(v);
    case TYPE_F64: return true;
    }
    return false;
}

static const Expr *parse_const(Parser *p, const Type *want)
{
    Place place = p->token.place;
    bool minus = accept_punct(p, "-");
    Type type = want ? *want : (Type){TYPE_F32, 1};
    const char *text = p->token.text;
    double v = 0;

    if (!starts_const(&p->token) || token_is(&p->token, "-")) {
        parser_expected(p, "a number: '-' is part of a constant, else write neg(...)");
        return NULL;
    }
    if (!parse_double(text, &v)) {
        parser_fail(p, place, "E0501", "'%s' is not a number", text);
        return NULL;
    }
    parser_advance(p);
    if (accept_punct(p, ":")) {
        if (!expect_type(p, &type))
            return NULL;
    } else if (!want) {
        parser_fail(p, place, "E0506", "nothing here tells the type of this constant");
        diag_help(p->cx->diags, "write its type after it: %s:f32", text);
        return NULL;
    }
    if (!const_fits(type.scalar, v)) {
        parser_fail(p, place, "E0503", "%s does not fit %s", text, scalar_name(type.scalar));
        return NULL;
    }
    return expr_const(p->arena, type, minus ? -v : v);
}

/* ---- calls ------------------------------------------------------------------------------- */

/* `n` arguments; the first decides for the others if nothing else does. */
static bool parse_args(Parser *p, const Type *want, const Expr *arg[], int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0 && !expect_punct(p, ","))
            return false;
        arg[i] = parse_chain(p, i > 0 && !want ? &arg[0]->type : want, 0);
        if (!arg[i])
            return false;
    }
    return true;
}

/* select(a < b, x, y) */
static const Expr *parse_select(Parser *p, const Type *want)
{
    const Expr *arg[2];
    const Expr *left = parse_chain(p, NULL, 0);
    if (!left)
        return NULL;
    int op = p->token.kind == TOKEN_PUNCT ? find_word(p->token.text, CMP_WORD, 4) : -1;
    if (op < 0) {
        parser_expected(p, "a comparison (< <= == !=)");
        return NULL;
    }
    parser_advance(p);
    const Expr *right = parse_chain(p, &left->type, 0);
    if (!right || !expect_punct(p, ",") || !parse_args(p, want, arg, 2))
        return NULL;
    return expr_select(p->arena, (CmpOp)op, left, right, arg[0], arg[1]);
}

/* bcast(x, 16) */
static const Expr *parse_bcast(Parser *p, const Type *want)
{
    Type scalar = want ? (Type){want->scalar, 1} : (Type){TYPE_F32, 1};
    Place place = p->token.place;
    int64_t lanes = 0;

    const Expr *x = parse_chain(p, want ? &scalar : NULL, 0);
    if (!x || !expect_punct(p, ",") || !expect_int(p, 2, TEXT_MAX_LANES, &lanes))
        return NULL;
    if (x->type.lanes != 1) {
        parser_fail(p, place, "E0506", "bcast needs a scalar");
        return NULL;
    }
    return expr_bcast(p->arena, x, (int)lanes);
}

static const Expr *parse_hreduce(Parser *p, BinOp op)
{
    Place place = p->token.place;
    const Expr *x = parse_chain(p, NULL, 0);

    if (x && x->type.lanes == 1) {
        parser_fail(p, place, "E0506", "a sum across lanes needs a vector");
        return NULL;
    }
    return x ? expr_hreduce(p->arena, op, x) : NULL;
}

static const Expr *parse_unary(Parser *p, UnOp op, const Type *want)
{
    const Expr *x = parse_chain(p, want, 0);
    int64_t quarters = 0;

    if (!x || op != UN_POW_NEG_QUARTERS)
        return x ? expr_un(p->arena, op, x) : NULL;
    if (!expect_punct(p, ",") || !expect_int(p, 0, MAX_QUARTERS, &quarters))
        return NULL;
    return expr_pow_neg_quarters(p->arena, x, (int)quarters);
}

/* The call whose name and ( have been read, up to its ). */
static const Expr *parse_call(Parser *p, const char *word, Place place, const Type *want)
{
    static const char *const SCALAR[3] = {"f32", "f64", "i32"};
    const Expr *arg[3];
    int op;

    if ((op = find_word(word, UN_WORD, 7)) >= 0)
        return parse_unary(p, (UnOp)op, want);
    if ((op = find_word(word, SCALAR, 3)) >= 0)
        return parse_args(p, NULL, arg, 1) ? expr_cast(p->arena, (ScalarType)op, arg[0]) : NULL;
    if ((op = find_word(word, BIN_WORD, 6)) >= 0)
        return parse_args(p, want, arg, 2) ? expr_bin(p->arena, (BinOp)op, arg[0], arg[1]) : NULL;
    if ((op = find_word(word, HREDUCE_WORD, 6)) >= 0)
        return parse_hreduce(p, (BinOp)op);
    if (str_eq(word, "fma"))
        return parse_args(p, want, arg, 3) ? expr_fma(p->arena, arg[0], arg[1], arg[2]) : NULL;
    if (str_eq(word, "select"))
        return parse_select(p, want);
    if (str_eq(word, "bcast"))
        return parse_bcast(p, want);
    parser_fail(p, place, "E0504", "there is no function '%s'", word);
    diag_help(p->cx->diags, "the functions are listed in docs/loop-ir.md");
    return NULL;
}

/* ---- operands and operators -------------------------------------------------------------- */

static const Expr *parse_load(Parser *p)
{
    Buffer *b;
    Index index[MAX_DIMS];
    int n, lanes;

    if (!parse_access(p, &b, index, &n, &lanes))
        return NULL;
    return expr_load(p->arena, b, index, n, lanes);
}

static const Expr *parse_operand(Parser *p, const Type *want)
{
    Token t = p->token;
    const Expr *e = NULL;

    if (accept_punct(p, "(")) {
        e = parse_chain(p, want, 0);
        return e && expect_punct(p, ")") ? e : NULL;
    }
    if (starts_const(&t))
        return parse_const(p, want);
    if (t.kind != TOKEN_NAME && t.kind != TOKEN_STRING) {
        parser_expected(p, "an expression");
        return NULL;
    }
    if (token_is(&p->ahead, "["))
        return parse_load(p);
    if (t.kind == TOKEN_STRING || !token_is(&p->ahead, "(")) {
        const Name *name = symbol_find(p, SYMBOL_NAME);
        return name ? expr_name(p->arena, name) : NULL;
    }
    parser_advance(p);
    parser_advance(p);
    e = parse_call(p, t.text, t.place, want);
    return e && expect_punct(p, ")") ? e : NULL;
}

static bool enter_operation(Parser *p)
{
    if (++p->operations <= TEXT_MAX_EXPR)
        return true;
    return parser_fail(p, p->token.place, "E0508",
                       "this expression has more than %d nested or chained operations",
                       TEXT_MAX_EXPR);
}

static const char *type_text(Parser *p, Type t)
{
    const char *scalar = scalar_name(t.scalar);

    return t.lanes > 1 ? arena_printf(p->cx->temp, "%sx%d", scalar, t.lanes) : scalar;
}

static const Expr *parse_typed_operand(Parser *p, const Type *want)
{
    Place place = p->token.place;
    const Expr *e = enter_operation(p) ? parse_operand(p, want) : NULL;

    p->operations--;
    if (e && want && (e->type.scalar != want->scalar || e->type.lanes != want->lanes)) {
        parser_fail(p, place, "E0506", "this is %s where %s is needed", type_text(p, e->type),
                    type_text(p, *want));
        return NULL;
    }
    return e;
}

/* level 0: a + b - c, of products; level 1: a * b / c, of operands. Both group to the left. */
static const Expr *parse_chain(Parser *p, const Type *want, int level)
{
    int before = p->operations;
    const Expr *e = level < 2 ? parse_chain(p, want, level + 1) : parse_typed_operand(p, want);

    while (e && level < 2 && p->token.kind == TOKEN_PUNCT) {
        int op = find_word(p->token.text, BIN_WORD + 2 * level, 2);
        if (op < 0)
            break;
        parser_advance(p);
        const Type *type = want ? want : &e->type;
        const Expr *right = enter_operation(p) ? parse_chain(p, type, level + 1) : NULL;
        e = right ? expr_bin(p->arena, (BinOp)(op + 2 * level), e, right) : NULL;
    }
    p->operations = before;
    return e;
}

const Expr *parse_expr(Parser *p, Type want)
{
    return parse_chain(p, &want, 0);
}
