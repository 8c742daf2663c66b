/* loop_index: affine index expressions, c + sum of coef * var.
 *
 * example: with i < 4 and j < 4, 4 * i + j + 16 divided by 16 is q = 1, r = 4 * i + j; the index
 * 4 * i + j + 17 has no affine quotient, as it crosses 32.
 *
 * contract: an Index is a value in canonical form: no term with coefficient 0, one term a
 * variable, terms ordered by first use. Arithmetic saturates at the ends of int64_t, so that an
 * overflow shows up as an index out of every bound.
 */
#include "loop/loop.h"

static int64_t add_saturated(int64_t x, int64_t y)
{
    int64_t sum;

    if (checked_add(x, y, &sum))
        return sum;
    return x < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t mul_saturated(int64_t x, int64_t y)
{
    int64_t product;

    if (checked_mul(x, y, &product))
        return product;
    return (x < 0) == (y < 0) ? INT64_MAX : INT64_MIN;
}

/* Add coef * v to terms[0..n); returns the new n. There must be room for one more. */
static int term_add(Term *terms, int n, const Var *v, int64_t coef)
{
    int i = 0;

    while (i < n && terms[i].var != v)
        i++;
    if (i == n)
        terms[n++] = (Term){v, 0};
    terms[i].coef = add_saturated(terms[i].coef, coef);
    if (terms[i].coef != 0)
        return n;
    for (; i + 1 < n; i++)
        terms[i] = terms[i + 1];
    return n - 1;
}

/* x + k * y */
static Index index_combine(Arena *a, Index x, Index y, int64_t k)
{
    Index sum = {add_saturated(x.c, mul_saturated(y.c, k)), x.n, x.term};

    if (y.n == 0 || k == 0)
        return sum;
    Term *terms = NEW_ARRAY(a, Term, x.n + y.n);
    for (int i = 0; i < x.n; i++)
        terms[i] = x.term[i];
    for (int i = 0; i < y.n; i++)
        sum.n = term_add(terms, sum.n, y.term[i].var, mul_saturated(y.term[i].coef, k));
    sum.term = terms;
    return sum;
}

const Var *var_new(Arena *a, const char *name, int64_t extent)
{
    Var *v = NEW(a, Var);

    *v = (Var){name, extent};
    return v;
}

Index index_const(int64_t c)
{
    return (Index){c, 0, NULL};
}

Index index_var(Arena *a, const Var *v)
{
    Term *term = NEW(a, Term);

    *term = (Term){v, 1};
    return (Index){0, 1, term};
}

Index index_add(Arena *a, Index x, Index y)
{
    return index_combine(a, x, y, 1);
}

Index index_sub(Arena *a, Index x, Index y)
{
    return index_combine(a, x, y, -1);
}

Index index_scale(Arena *a, Index x, int64_t k)
{
    return index_combine(a, index_const(0), x, k);
}

Index index_offset(Index x, int64_t c)
{
    x.c = add_saturated(x.c, c);
    return x;
}

Index index_make(Arena *a, int64_t c, int n, ...)
{
    Index x = {c, 0, NULL};
    Term *terms = NEW_ARRAY(a, Term, n + 1);
    va_list args;

    va_start(args, n);
    for (int i = 0; i < n; i++) {
        const Var *v = va_arg(args, const Var *);
        x.n = term_add(terms, x.n, v, va_arg(args, int));
    }
    va_end(args);
    x.term = terms;
    return x;
}

int64_t index_coef(Index x, const Var *v)
{
    for (int i = 0; i < x.n; i++)
        if (x.term[i].var == v)
            return x.term[i].coef;
    return 0;
}

Index index_subst(Arena *a, Index x, const Var *v, Index by)
{
    int64_t coef = index_coef(x, v);
    Index rest = index_sub(a, x, index_scale(a, index_var(a, v), coef));

    return index_combine(a, rest, by, coef);
}

bool index_equal(Index x, Index y)
{
    if (x.c != y.c || x.n != y.n)
        return false;
    for (int i = 0; i < x.n; i++)
        if (index_coef(y, x.term[i].var) != x.term[i].coef)
            return false;
    return true;
}

bool indices_equal(const Index *x, const Index *y, int n)
{
    while (n > 0 && index_equal(x[n - 1], y[n - 1]))
        n--;
    return n == 0;
}

void index_range(Index x, int64_t *min, int64_t *max)
{
    *min = *max = x.c;
    for (int i = 0; i < x.n; i++) {
        int64_t end = mul_saturated(x.term[i].coef, x.term[i].var->extent - 1);
        if (end < 0)
            *min = add_saturated(*min, end);
        else
            *max = add_saturated(*max, end);
    }
}

/* Each coefficient and the constant are divided by themselves; the division is right when the
 * remainders together stay within one block of d, wherever that block lies. */
bool index_divmod(Arena *a, Index x, int64_t d, Index *q, Index *r)
{
    Term *quotients = NEW_ARRAY(a, Term, x.n + 1), *rests = NEW_ARRAY(a, Term, x.n + 1);
    int64_t min, max;

    *q = (Index){0, 0, quotients};
    *r = (Index){x.c, 0, rests};
    for (int i = 0; i < x.n; i++) {
        Term t = x.term[i];
        if (t.coef / d != 0)
            quotients[q->n++] = (Term){t.var, t.coef / d};
        if (t.coef % d != 0)
            rests[r->n++] = (Term){t.var, t.coef % d};
    }
    index_range(*r, &min, &max);
    if (floor_div(min, d) != floor_div(max, d))
        return false;
    q->c = floor_div(min, d);
    r->c = add_saturated(x.c, mul_saturated(q->c, -d));
    return true;
}
