/* split-border: decide tests at compile time.
 *
 *   for oy < 13 { if (0 <= oy + ky - 1 < 13) { acc[0] = fma(x[oy + ky - 1], w[ky], acc[0]); } }
 *   =>  (x: f32[1:13:1], its border reads as zero)
 *   for oy < 13 { acc[0] = fma(x[oy + ky - 1], w[ky], acc[0]); }
 *
 * A condition goes when it always holds, or when all it guards is an addition of a product with an
 * element that is zero exactly where the condition fails, the other factor being defined there too.
 * A body goes when a condition never holds.
 *
 * needs:  logical accesses (zero borders are known by dimension).
 * keeps:  every bit for finite weights: adding 0 * w changes no sum (a sum of -0 becomes +0).
 * breaks: nothing.
 */
#include "passes/passes.h"

/* Is the condition's index the one that reads dimension d of load, whose border is zero there? */
static bool reads_zero_outside(const Expr *load, const Cond *c)
{
    if (load->kind != EXPR_LOAD)
        return false;
    for (int d = 0; d < load->n_index; d++) {
        const Dim *dim = &load->buffer->dim[d];
        int64_t min, max;
        index_range(load->index[d], &min, &max);
        if (dim->zero && dim->extent == c->extent && index_equal(load->index[d], c->index) &&
            min >= -dim->lo && max < dim->extent + dim->hi)
            return true;
    }
    return false;
}

static bool depends_on(Index x, Index y)
{
    for (int i = 0; i < x.n; i++)
        if (index_coef(y, x.term[i].var))
            return true;
    return false;
}

typedef struct Guards {
    const Cond *gone;                  /* the condition that is to go */
    const Cond *cond;                  /* all of its if */
    int n;
    bool missed;                       /* an index that only it keeps where elements are defined */
} Guards;

static void check_defined(void *user, const Expr *e)
{
    Guards *g = user;
    for (int d = 0; e->kind == EXPR_LOAD && d < e->n_index; d++) {
        const Dim *dim = &e->buffer->dim[d];
        int64_t min, max, halo = dim->zero ? 1 : 0;
        index_range(e->index[d], &min, &max);
        bool defined = (min >= -dim->lo * halo && max < dim->extent + dim->hi * halo) ||
                       !depends_on(e->index[d], g->gone->index);
        for (int i = 0; i < g->n; i++)
            defined |= &g->cond[i] != g->gone && g->cond[i].extent <= dim->extent &&
                       index_equal(g->cond[i].index, e->index[d]);
        g->missed |= !defined;
    }
}

/* Is the body `y = fma(a, b, y)` with a or b zero where condition `at` of its if fails? */
static bool zero_adds_nothing(const Stmt *guard, int at)
{
    const Stmt *s = guard->body.first;
    const Cond *c = &guard->cond[at];
    if (!s || s->next || s->kind != STMT_STORE || s->expr->kind != EXPR_FMA)
        return false;
    const Expr *sum = s->expr->arg[2];
    if (sum->kind != EXPR_LOAD || sum->buffer != s->buffer ||
        !indices_equal(sum->index, s->index, s->n_index))
        return false;
    Guards g = {c, guard->cond, guard->n_cond, false};
    stmt_visit_exprs(s, check_defined, &g);
    return !g.missed && (reads_zero_outside(s->expr->arg[0], c) ||
                         reads_zero_outside(s->expr->arg[1], c));
}

static void drop_needless(void *user, Stmt *s)
{
    bool *changed = user;
    for (int i = s->n_cond - 1; s->kind == STMT_IF && i >= 0; i--) {
        if (!zero_adds_nothing(s, i))
            continue;
        for (int k = i; k + 1 < s->n_cond; k++)
            s->cond[k] = s->cond[k + 1];
        s->n_cond--;
        *changed = true;
    }
}

PassResult split_border(PassCx *pc, Kernel *k)
{
    (void)pc;
    bool changed = body_settle_ifs(&k->body);
    body_visit(k->body, drop_needless, &changed);
    body_settle_ifs(&k->body);                 /* ifs without a condition */
    return pass_renamed(k, changed);
}
