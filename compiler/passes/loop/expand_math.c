/* expand-math: functions become arithmetic, so that generated code needs no libm and every row
 * computes the same.
 *
 *   pow_neg_quarters(x, 3)  =>  let root = sqrt(x);  1 / (root * sqrt(root))
 *   exp(x)                  =>  let n = round(x / ln 2);  let r = x - n ln 2;  pow2i(n) * p(r)
 *
 * needs:  nothing.
 * keeps:  accuracy of at most 4 ULP over the whole range; exp saturates to 0 and inf, keeps NaN.
 * breaks: nothing.
 *
 * Source of exp: Cody and Waite's two-step reduction of the argument (Software Manual for the
 * Elementary Functions, 1980, chapter 6); the polynomial is the Taylor series to the order at which
 * its rest on |r| <= ln 2 / 2 is below half an ULP (7 for f32, 13 for f64). 2^n is applied in two
 * halves, so that neither leaves the range of exponents and denormal results are rounded once.
 */
#include "passes/passes.h"

static const Expr *number(Arena *a, const Expr *like, double v)
{
    return expr_const(a, like->type, v);
}

typedef struct Expand {
    Arena *arena;
    Body *out;                         /* where names are defined: before the statement */
    bool changed;
} Expand;

/* A name for a value that is needed more than once. */
static const Expr *named(Expand *x, const char *stem, const Expr *e)
{
    if (e->kind == EXPR_NAME || e->kind == EXPR_CONST)
        return e;
    Name *name = NEW(x->arena, Name);
    *name = (Name){stem, e->type, false};
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

static const Expr *clamp(Arena *a, const Expr *x, double lo, double hi)
{
    return expr_bin(a, BIN_MIN, number(a, x, hi), expr_bin(a, BIN_MAX, number(a, x, lo), x));
}

static const Expr *expand_exp(Expand *e, const Expr *x)
{
    Arena *a = e->arena;
    bool wide = x->type.scalar == TYPE_F64;
    /* ln 2 = high + low, high with trailing zeros so that n * high is exact */
    double high = wide ? 0x1.62e42fee00000p-1 : 0x1.62e4p-1;
    double low = wide ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cf79abcap-20;
    double max = wide ? 710 : 89, min = wide ? -746 : -104;
    int order = wide ? 13 : 7;
    const Expr *in = named(e, "arg", clamp(a, x, min, max));
    const Expr *n = expr_bin(a, BIN_MUL, in, number(a, x, 0x1.71547652b82fep+0));
    n = named(e, "n", expr_un(a, UN_ROUND, n));
    const Expr *r = expr_fma(a, n, number(a, x, -high), in);
    r = named(e, "r", expr_fma(a, n, number(a, x, -low), r));
    double factorial = 1;
    for (int i = 2; i <= order; i++)
        factorial *= i;
    const Expr *p = number(a, x, 1 / factorial);
    for (int i = order - 1; i >= 0; i--) {
        factorial /= i + 1;
        p = expr_fma(a, p, r, number(a, x, 1 / factorial));
    }
    const Expr *n1 = expr_un(a, UN_ROUND, expr_bin(a, BIN_MUL, n, number(a, x, 0.5)));
    n1 = named(e, "half", n1);
    const Expr *n2 = expr_bin(a, BIN_SUB, n, n1);
    p = expr_bin(a, BIN_MUL, p, expr_un(a, UN_POW2I, n1));
    return expr_bin(a, BIN_MUL, p, expr_un(a, UN_POW2I, n2));
}

static const Expr *expand(void *user, const Expr *e)
{
    Expand *x = user;
    if (e->kind != EXPR_UN || (e->op != UN_EXP && e->op != UN_POW_NEG_QUARTERS))
        return NULL;
    x->changed = true;
    return e->op == UN_EXP ? expand_exp(x, e->arg[0]) : expand_pow(x, e->arg[0], e->ipar);
}

static void expand_body(Expand *x, Body *b)
{
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        expand_body(x, &s->body);
        x->out = &out;
        if (s->expr)
            s->expr = expr_map(x->arena, s->expr, expand, x);
        body_add(&out, s);
    }
    *b = out;
}

PassResult expand_math(PassCx *pc, Kernel *k)
{
    Expand x = {pc->arena, NULL, false};
    expand_body(&x, &k->body);
    if (!x.changed)
        return PASS_UNCHANGED;
    kernel_unique_names(k);
    return PASS_CHANGED;
}
