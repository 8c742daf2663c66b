/* expand-math: functions become arithmetic, so that generated code needs no libm and every row
 * computes the same.
 *
 *   pow_neg_quarters(x, 3)  =>  let root = sqrt(x);  1 / (root * sqrt(root))
 *   exp(x)                  =>  let n = round(x / ln 2);  let r = x - n ln 2;  pow2i(n) * p(r)
 *
 * needs:  nothing.
 * keeps:  accuracy of at most 4 ULP over the whole range, denormals included; exp saturates to 0
 *         and inf, tanh to -1 and 1, sigmoid to 0 and 1; log of 0 is -inf, of less NaN. NaN stays.
 * breaks: nothing.
 *
 * Source of exp: Cody and Waite's two-step reduction of the argument (Software Manual for the
 * Elementary Functions, 1980, chapter 6); the polynomial is the Taylor series to the order at which
 * its rest on |r| <= ln 2 / 2 is below half an ULP (7 for f32, 13 for f64). 2^n is applied in two
 * halves, so that neither leaves the range of exponents and denormal results are rounded once.
 * tanh and sigmoid are the identities E / (E + 2), E = exp(2|x|) - 1, and 1 / (1 + exp(-x)), in
 * forms in which nothing cancels or overflows. Source of log: fdlibm's e_log.c (Sun, 1993),
 * x = 2^e m with m next to 1, with the plain series of 2 artanh(s), s = (m - 1) / (m + 1), in place
 * of its fit.
 */
#include "passes/passes.h"

#include <math.h>

static const Expr *number(Arena *a, const Expr *like, double v)
{
    return expr_const(a, like->type, v);
}

typedef struct Expand {
    Arena *arena;
    Body *out;                         /* where names are defined: before the statement */
} Expand;

/* A name for a value that is needed more than once. */
static const Expr *named(Expand *x, const char *stem, const Expr *e)
{
    if (e->kind == EXPR_NAME || e->kind == EXPR_CONST)
        return e;
    const Name *name = name_new(x->arena, stem, e->type, false);
    body_add(x->out, stmt_let(x->arena, name, e));
    return expr_name(x->arena, name);
}

/* x^(-k/4) by roots: correctly rounded at each step. */
static const Expr *expand_pow(Expand *e, const Expr *x, int k)
{
    Arena *a = e->arena;
    int whole = k / 4, quarters = k % 4;
    if (whole + (quarters > 0) > 1)
        x = named(e, "base", x);
    const Expr *half = expr_un(a, UN_SQRT, x);
    if (quarters == 3)
        half = named(e, "root", half);
    const Expr *product = quarters & 1 ? expr_un(a, UN_SQRT, half) : NULL;
    if (quarters & 2)
        product = product ? expr_bin(a, BIN_MUL, half, product) : half;
    for (int i = 0; i < whole; i++)
        product = product ? expr_bin(a, BIN_MUL, x, product) : x;
    if (!product)
        return number(a, x, 1);
    return expr_bin(a, BIN_DIV, number(a, x, 1), product);
}

/* ---- exp, tanh, sigmoid ------------------------------------------------------------------- */
static bool is_wide(const Expr *x)
{
    return x->type.scalar == TYPE_F64;
}

/* ln 2 = LN2_HIGH + LN2_LOW, the former with trailing zeros so that n * LN2_HIGH is exact. */
#define LN2_HIGH(x) (is_wide(x) ? 0x1.62e42fee00000p-1 : 0x1.62e4p-1)
#define LN2_LOW(x) (is_wide(x) ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cf79abcap-20)

static const Expr *clamp(Arena *a, const Expr *x, double lo, double hi)
{
    return expr_bin(a, BIN_MIN, number(a, x, hi), expr_bin(a, BIN_MAX, number(a, x, lo), x));
}

/* x = n ln 2 + r with a whole number n and |r| <= ln 2 / 2. */
static const Expr *reduce(Expand *e, const Expr *x, const Expr **n)
{
    Arena *a = e->arena;
    *n = expr_bin(a, BIN_MUL, x, number(a, x, 0x1.71547652b82fep+0));
    *n = named(e, "n", expr_un(a, UN_ROUND, *n));
    const Expr *r = expr_fma(a, *n, number(a, x, -LN2_HIGH(x)), x);
    return named(e, "r", expr_fma(a, *n, number(a, x, -LN2_LOW(x)), r));
}

/* (exp(r) less its first terms) / r^first: 1/first! + r/(first + 1)! + ... */
static const Expr *exp_series(Arena *a, const Expr *r, int first)
{
    int order = is_wide(r) ? 13 : 7;
    double factorial = 1;
    for (int i = 2; i <= order; i++)
        factorial *= i;
    const Expr *p = number(a, r, 1 / factorial);
    for (int i = order - 1; i >= first; i--) {
        factorial /= i + 1;
        p = expr_fma(a, p, r, number(a, r, 1 / factorial));
    }
    return p;
}

static const Expr *expand_exp(Expand *e, const Expr *x)
{
    Arena *a = e->arena;
    const Expr *n, *in = is_wide(x) ? clamp(a, x, -746, 710) : clamp(a, x, -104, 89);
    const Expr *p = exp_series(a, reduce(e, named(e, "arg", in), &n), 0);
    const Expr *n1 = expr_un(a, UN_ROUND, expr_bin(a, BIN_MUL, n, number(a, x, 0.5)));
    n1 = named(e, "half", n1);
    const Expr *n2 = expr_bin(a, BIN_SUB, n, n1);
    p = expr_bin(a, BIN_MUL, p, expr_un(a, UN_POW2I, n1));
    return expr_bin(a, BIN_MUL, p, expr_un(a, UN_POW2I, n2));
}

/* Below `tiny`, x^3/3 is less than half an ULP of x: x itself keeps -0 and denormals. */
static const Expr *expand_tanh(Expand *e, const Expr *x)
{
    Arena *a = e->arena;
    double tiny = is_wide(x) ? 0x1p-28 : 0x1p-13, most = is_wide(x) ? 40 : 20;
    x = named(e, "arg", x);
    const Expr *size = named(e, "size", expr_un(a, UN_ABS, x));
    const Expr *twice = expr_bin(a, BIN_MIN, number(a, x, most), expr_bin(a, BIN_ADD, size, size));
    const Expr *n, *r = reduce(e, named(e, "twice", twice), &n);
    const Expr *p = expr_fma(a, expr_bin(a, BIN_MUL, r, r), exp_series(a, r, 2), r);
    const Expr *power = named(e, "power", expr_un(a, UN_POW2I, n));
    const Expr *less = expr_bin(a, BIN_SUB, power, number(a, x, 1));
    const Expr *m = named(e, "m", expr_fma(a, power, p, less));    /* exp(2|x|) - 1 */
    const Expr *y = expr_bin(a, BIN_DIV, m, expr_bin(a, BIN_ADD, m, number(a, x, 2)));
    y = named(e, "y", y);
    y = expr_select(a, CMP_LT, x, number(a, x, 0), expr_un(a, UN_NEG, y), y);
    return expr_select(a, CMP_LT, size, number(a, x, tiny), x, y);
}

/* 1 / (1 + exp(-x)), or exp(x) / (1 + exp(x)) below 0. */
static const Expr *expand_sigmoid(Expand *e, const Expr *x)
{
    Arena *a = e->arena;
    const Expr *one = number(a, x, 1);
    x = named(e, "in", x);
    const Expr *p = expand_exp(e, expr_un(a, UN_NEG, expr_un(a, UN_ABS, x)));
    p = named(e, "p", p);
    return expr_bin(a, BIN_DIV, expr_select(a, CMP_LT, x, number(a, x, 0), p, one),
                    expr_bin(a, BIN_ADD, one, p));
}

/* ---- log ---------------------------------------------------------------------------------- */
/* x = 2^exponent m: where m is at least the bound (for a negative `by`: at most), 2^by moves from m
 * to the exponent. */
static const Expr *take_power(Expand *e, double bound, int by, const Expr *m,
                              const Expr **exponent)
{
    Arena *a = e->arena;
    const Expr *limit = number(a, m, bound), *l = by < 0 ? m : limit, *r = by < 0 ? limit : m;
    const Expr *more = expr_bin(a, BIN_ADD, *exponent, number(a, m, by));
    const Expr *less = expr_bin(a, BIN_MUL, m, number(a, m, ldexp(1, -by)));
    *exponent = named(e, "e", expr_select(a, CMP_LE, l, r, more, *exponent));
    return named(e, "m", expr_select(a, CMP_LE, l, r, less, m));
}

/* m from sqrt 1/2 to sqrt 2: by halving the range of exponents, which takes no bits apart. */
static const Expr *split_exponent(Expand *e, const Expr *x, const Expr **exponent)
{
    int smallest = is_wide(x) ? -1022 : -126;
    const Expr *m = x;
    *exponent = number(e->arena, x, 0);
    for (int i = 0; i < 2; i++)                /* twice for denormals */
        m = take_power(e, 1, smallest, m, exponent);
    for (int by = is_wide(x) ? 512 : 64; by > 0; by /= 2)
        m = take_power(e, ldexp(1, by), by, m, exponent);
    return take_power(e, sqrt(2), 1, m, exponent);
}

static const Expr *expand_log(Expand *e, const Expr *x)
{
    Arena *a = e->arena;
    const Expr *n, *inf = number(a, x, HUGE_VAL), *zero = number(a, x, 0);
    x = named(e, "arg", x);
    const Expr *f = expr_bin(a, BIN_SUB, split_exponent(e, x, &n), number(a, x, 1));
    f = named(e, "f", f);
    const Expr *s = expr_bin(a, BIN_DIV, f, expr_bin(a, BIN_ADD, f, number(a, x, 2)));
    s = named(e, "s", s);
    const Expr *z = named(e, "z", expr_bin(a, BIN_MUL, s, s));
    int terms = is_wide(x) ? 10 : 5;           /* z <= 0.03: the rest is below half an ULP */
    const Expr *p = number(a, x, 2.0 / (2 * terms + 1));
    for (int i = terms - 1; i > 0; i--)
        p = expr_fma(a, p, z, number(a, x, 2.0 / (2 * i + 1)));
    /* log(1 + f) = f - s (f - z p) */
    const Expr *rest = expr_bin(a, BIN_SUB, f, expr_bin(a, BIN_MUL, z, p));
    const Expr *low = expr_bin(a, BIN_MUL, n, number(a, x, -LN2_LOW(x)));
    const Expr *y = expr_bin(a, BIN_SUB, expr_fma(a, s, rest, low), f);
    y = expr_bin(a, BIN_SUB, expr_bin(a, BIN_MUL, n, number(a, x, LN2_HIGH(x))), y);
    y = expr_select(a, CMP_LT, x, inf, y, x);
    const Expr *edge = expr_select(a, CMP_EQ, x, zero, number(a, x, -HUGE_VAL),
                                   number(a, x, (double)NAN));
    return expr_select(a, CMP_LT, zero, x, y, edge);
}

/* ---- the pass ----------------------------------------------------------------------------- */
static const Expr *expand(void *user, const Expr *e)
{
    Expand *x = user;
    if (e->kind != EXPR_UN || e->op <= UN_POW2I)
        return NULL;
    switch (e->op) {
    case UN_EXP: return expand_exp(x, e->arg[0]);
    case UN_LOG: return expand_log(x, e->arg[0]);
    case UN_TANH: return expand_tanh(x, e->arg[0]);
    case UN_SIGMOID: return expand_sigmoid(x, e->arg[0]);
    default: return expand_pow(x, e->arg[0], e->ipar);
    }
}

static bool expand_stmt(void *user, Stmt *s, Body *out)
{
    Expand *x = user;
    const Expr *before = s->expr;
    x->out = out;
    if (s->expr)
        s->expr = expr_map(x->arena, s->expr, expand, x);
    body_add(out, s);
    return s->expr != before;
}

PassResult expand_math(PassCx *pc, Kernel *k)
{
    Expand x = {pc->arena, NULL};
    return pass_renamed(k, body_rewrite(&k->body, expand_stmt, &x));
}
