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

#include "loop/loop_text.h"

#define MAX_TERMS 64
#define MAX_QUARTERS 1000

static const Expr *parse_chain(Parser *p, const Type *want, int level);

/* What stands for an expression after an error. */
static const Expr *nothing(Parser *p)
{
    return expr_const(p->arena, (Type){TYPE_F32, 1}, 0);
}

/* ---- indices ----------------------------------------------------------------------------- */

/* 3, oy or 2*oy, with the sign before it */
static Index parse_term(Parser *p, int64_t sign)
{
    int64_t number = 1;

    if (p->token.kind == TOKEN_NUMBER) {
        number = parse_int(p, 0, TEXT_MAX_NUMBER);
        if (!accept(p, "*"))
            return index_const(sign * number);
    } else if (!token_is_name(&p->token)) {
        parser_expected(p, "a loop variable or a whole number");
    }
    const Var *v = symbol_find(p, SYMBOL_VAR);
    return v ? index_scale(p->arena, index_var(p->arena, v), sign * number) : index_const(0);
}

Index parse_index(Parser *p)
{
    Place place = p->token.place;
    Index sum = index_const(0);
    bool minus = accept(p, "-");

    for (int terms = 0; terms < MAX_TERMS; terms++) {
        sum = index_add(p->arena, sum, parse_term(p, minus ? -1 : 1));
        minus = accept(p, "-");
        if (!minus && !accept(p, "+"))
            return sum;
    }
    parser_fail(p, place, "E0508", "this index has more than %d terms", MAX_TERMS);
    return sum;
}

static int parse_lanes(Parser *p, const Buffer *b)
{
    Place place = p->token.place;

    if (!accept(p, "+:"))
        return b->lanes;
    if (b->lanes > 1)
        parser_fail(p, place, "E0506", "an element of '%s' already has %d lanes", b->name,
                    b->lanes);
    return (int)parse_int(p, 2, TEXT_MAX_LANES);
}

/* x[i, j] or x[i, j +: 16] */
Access parse_access(Parser *p)
{
    Place place = p->token.place;
    Access x = {.buffer = symbol_find(p, SYMBOL_BUFFER)};

    if (!x.buffer || !expect(p, "["))
        return x;
    int need = buffer_indices(x.buffer, p->physical);
    Index *index = NEW_ARRAY(p->cx->temp, Index, need);
    x.index = index;
    while (x.n < need && (x.n == 0 || accept(p, ",")) && !token_is(&p->token, "]"))
        index[x.n++] = parse_index(p);
    if (x.n < need || token_is(&p->token, ","))
        parser_fail(p, place, "E0507", "'%s' takes %d %s%s here", x.buffer->name, need,
                    need == 1 ? "index" : "indices",
                    p->physical ? ", one for each physical dimension" : "");
    x.lanes = parse_lanes(p, x.buffer);
    expect(p, "]");
    return x;
}

/* ---- constants --------------------------------------------------------------------------- */

static bool starts_const(const Token *t)
{
    return t->kind == TOKEN_NUMBER || token_is(t, "-") || token_is(t, "inf") || token_is(t, "nan");
}

static bool const_fits(ScalarType t, double v)
{
    switch (t) {
    case TYPE_F32: return !isfinite(v) || fabs(v) <= (double)FLT_MAX;
    case TYPE_I32: return v >= -0x1p31 && v < 0x1p31 && v == floor(v);
    case TYPE_F64: case TYPE_BF16: return true;
    }
    return false;
}

static const Expr *parse_const(Parser *p, const Type *want)
{
    Place place = p->token.place;
    bool minus = accept(p, "-");
    Type type = want ? *want : (Type){TYPE_F32, 1};
    const char *text = p->token.text;
    double v = 0;

    if (!starts_const(&p->token) || token_is(&p->token, "-"))
        parser_expected(p, "a number: '-' is part of a constant, else write neg(...)");
    else if (!parse_double(text, &v))
        parser_fail(p, place, "E0501", "'%s' is not a number", text);
    parser_advance(p);
    bool typed = accept(p, ":");
    if (typed)
        type = parse_type(p);
    if (!typed && !want && parser_fail(p, place, "E0506", "nothing here tells the type of this "
                                       "constant"))
        diag_help(p->cx->diags, "write its type after it: %s:f32", text);
    if (!const_fits(type.scalar, v))
        parser_fail(p, place, "E0503", "%s does not fit %s", text, scalar_name(type.scalar));
    return expr_const(p->arena, type, minus ? -v : v);
}

/* ---- calls ------------------------------------------------------------------------------- */

/* `n` arguments; the first decides for the others if nothing else does. */
static void parse_args(Parser *p, const Type *want, const Expr *arg[], int n)
{
    arg[0] = parse_chain(p, want, 0);
    for (int i = 1; i < n; i++) {
        expect(p, ",");
        arg[i] = parse_chain(p, want ? want : &arg[0]->type, 0);
    }
}

/* select(a < b, x, y) */
static const Expr *parse_select(Parser *p, const Type *want)
{
    const Expr *arg[2];
    const Expr *left = parse_chain(p, NULL, 0);
    int op = accept_word(p, CMP_WORD, 4);

    if (op < 0)
        parser_expected(p, "a comparison (< <= == !=)");
    const Expr *right = parse_chain(p, &left->type, 0);
    expect(p, ",");
    parse_args(p, want, arg, 2);
    return expr_select(p->arena, (CmpOp)op, left, right, arg[0], arg[1]);
}

/* bcast(x, 16) */
static const Expr *parse_bcast(Parser *p, const Type *want)
{
    Type scalar = want ? (Type){want->scalar, 1} : (Type){TYPE_F32, 1};
    Place place = p->token.place;
    const Expr *x = parse_chain(p, want ? &scalar : NULL, 0);

    expect(p, ",");
    int64_t lanes = parse_int(p, 2, TEXT_MAX_LANES);
    if (x->type.lanes != 1)
        parser_fail(p, place, "E0506", "bcast needs a scalar");
    return expr_bcast(p->arena, x, (int)lanes);
}

static const Expr *parse_hreduce(Parser *p, BinOp op)
{
    Place place = p->token.place;
    const Expr *x = parse_chain(p, NULL, 0);

    if (x->type.lanes == 1)
        parser_fail(p, place, "E0506", "a sum across lanes needs a vector");
    return expr_hreduce(p->arena, op, x);
}

static const Expr *parse_unary(Parser *p, UnOp op, const Type *want)
{
    const Expr *x = parse_chain(p, want, 0);

    if (op != UN_POW_NEG_QUARTERS)
        return expr_un(p->arena, op, x);
    expect(p, ",");
    return expr_pow_neg_quarters(p->arena, x, (int)parse_int(p, 0, MAX_QUARTERS));
}

/* The call whose name and ( have been read, up to its ). */
static const Expr *parse_call(Parser *p, const Token *name, const Type *want)
{
    const Expr *arg[3];
    int op;

    if ((op = find_word(name->text, UN_WORD, 10)) >= 0)
        return parse_unary(p, (UnOp)op, want);
    if ((op = find_word(name->text, SCALAR_WORD, 3)) >= 0)
        return expr_cast(p->arena, (ScalarType)op, parse_chain(p, NULL, 0));
    if ((op = find_word(name->text, HREDUCE_WORD, 6)) >= 0)
        return parse_hreduce(p, (BinOp)op);
    if ((op = find_word(name->text, BIN_WORD, 6)) >= 0) {
        parse_args(p, want, arg, 2);
        return expr_bin(p->arena, (BinOp)op, arg[0], arg[1]);
    }
    if (token_is(name, "fma")) {
        parse_args(p, want, arg, 3);
        return expr_fma(p->arena, arg[0], arg[1], arg[2]);
    }
    if (token_is(name, "select"))
        return parse_select(p, want);
    if (token_is(name, "bcast"))
        return parse_bcast(p, want);
    if (parser_fail(p, name->place, "E0504", "there is no function '%s'", name->text))
        diag_help(p->cx->diags, "the functions are listed in docs/loop-ir.md");
    return nothing(p);
}

/* ---- operands and operators -------------------------------------------------------------- */

static const Expr *parse_operand(Parser *p, const Type *want)
{
    Token t = p->token;
    bool call = t.kind == TOKEN_NAME && token_is(&p->ahead, "(");

    if (starts_const(&t))
        return parse_const(p, want);
    if (token_is_name(&t) && token_is(&p->ahead, "[")) {
        Access x = parse_access(p);
        return x.buffer ? expr_load(p->arena, x.buffer, x.index, x.n, x.lanes) : nothing(p);
    }
    if (token_is_name(&t) && !call) {
        const Name *name = symbol_find(p, SYMBOL_NAME);
        return name ? expr_name(p->arena, name) : nothing(p);
    }
    if (call)
        parser_advance(p);
    if (!accept(p, "(")) {
        parser_expected(p, "an expression");
        return nothing(p);
    }
    const Expr *e = call ? parse_call(p, &t, want) : parse_chain(p, want, 0);
    expect(p, ")");
    return e;
}

static void enter_operation(Parser *p)
{
    if (p->operations++ >= TEXT_MAX_EXPR)
        parser_fail(p, p->token.place, "E0508",
                    "this expression has more than %d nested or chained operations",
                    TEXT_MAX_EXPR);
}

static const Expr *parse_typed_operand(Parser *p, const Type *want)
{
    Place place = p->token.place;

    enter_operation(p);
    const Expr *e = parse_operand(p, want);
    p->operations--;
    if (want && !type_equal(e->type, *want))
        parser_fail(p, place, "E0506", "this is %s where %s is needed",
                    type_text(p->cx->temp, e->type), type_text(p->cx->temp, *want));
    return e;
}

/* level 0: a + b - c, of products; level 1: a * b / c, of operands. Both group to the left. */
static const Expr *parse_chain(Parser *p, const Type *want, int level)
{
    if (level == 2)
        return parse_typed_operand(p, want);
    int before = p->operations, op;
    const Expr *e = parse_chain(p, want, level + 1);
    while ((op = accept_word(p, BIN_WORD + 2 * level, 2)) >= 0) {
        enter_operation(p);
        const Expr *right = parse_chain(p, want ? want : &e->type, level + 1);
        e = expr_bin(p->arena, (BinOp)(op + 2 * level), e, right);
    }
    p->operations = before;
    return e;
}

const Expr *parse_expr(Parser *p, Type want)
{
    return parse_chain(p, &want, 0);
}
