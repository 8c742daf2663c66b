/* split-border: decide tests at compile time.
 *
 *   for oy < 13 { if (0 <= oy + ky - 1 < 13) { acc[0] = fma(x[oy + ky - 1], w[ky], acc[0]); } }
 *   =>  (x: f32[1:13:1], its border reads as zero)
 *   for oy < 13 { acc[0] = fma(x[oy + ky - 1], w[ky], acc[0]); }
 *
 * A condition goes when it always holds, or when all it guards is an addition of a product with an
 * element that is zero exactly where the condition fails. A body goes when a condition never holds.
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

static bool zero_adds_nothing(const Stmt *s, const Cond *c)
{
    if (!s || s->next || s->kind != STMT_STORE || s->expr->kind != EXPR_FMA)
        return false;
    const Expr *sum = s->expr->arg[2];
    if (sum->kind != EXPR_LOAD || sum->buffer != s->buffer)
        return false;
    return reads_zero_outside(s->expr->arg[0], c) || reads_zero_outside(s->expr->arg[1], c);
}

static bool simplify_if(Stmt *s, bool *never)
{
    int kept = 0;
    for (int i = 0; i < s->n_cond; i++) {
        int64_t min, max;
        index_range(s->cond[i].index, &min, &max);
        if (max < 0 || min >= s->cond[i].extent)
            *never = true;
        bool always = min >= 0 && max < s->cond[i].extent;
        if (!always && !zero_adds_nothing(s->body.first, &s->cond[i]))
            s->cond[kept++] = s->cond[i];
    }
    bool changed = kept < s->n_cond;
    s->n_cond = kept;
    return changed;
}

static bool simplify_body(Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        changed |= simplify_body(&s->body);
        bool never = false;
        if (s->kind == STMT_IF)
            changed |= simplify_if(s, &never);
        if (never)
            changed = true;
        else if (s->kind == STMT_IF && s->n_cond == 0)
            body_append(&out, s->body);
        else
            body_add(&out, s);
    }
    *b = out;
    return changed;
}

PassResult split_border(PassCx *pc, Kernel *k)
{
    (void)pc;
    return simplify_body(&k->body) ? PASS_CHANGED : PASS_UNCHANGED;
}
