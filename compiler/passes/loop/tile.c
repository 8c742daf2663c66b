/* tile: restructure a naive kernel by its schedule, found by cost where none is given.
 *
 *   for oc < 32 { y[oc] = b[oc]; }
 *   for oc < 32, ic < 8 { y[oc] = fma(x[ic], w[oc, ic], y[oc]); }
 *   =>
 *   for oc.o < 2 {
 *       local acc: f32[16];
 *       vector oc.i < 16 { acc[oc.i] = b[16*oc.o + oc.i]; }
 *       for ic < 8 { vector oc.i < 16 { acc[oc.i] = fma(x[ic], w[...], acc[oc.i]); } }
 *       vector oc.i < 16 { y[16*oc.o + oc.i] = acc[oc.i]; }
 *   }
 *
 * needs:  naive nests, logical accesses.
 * keeps:  meaning; every bit, unless the schedule names another order of sums.
 * breaks: perfect nests. Loops are marked unroll, vector, parallel for the passes that follow.
 *         Weights may get slack and another storage map.
 */
#include "passes/passes.h"
#include "sched/sched.h"

typedef struct Widen {
    Cx *cx;
    const Kernel *kernel;
    bool guarded;             /* below an if, which may keep the access inside */
    bool ok;
} Widen;

/* Padded tiles read and write past a buffer's end: weights get slack, others must have it. */
static void widen_access(Widen *w, Buffer *b, const Index *index, int n)
{
    for (int d = 0; d < n && b->kind != BUF_LOCAL; d++) {
        int64_t min, max;
        index_range(index[d], &min, &max);
        int64_t over = max - (b->dim[d].extent + b->dim[d].hi - 1);
        if (over <= 0)
            continue;
        if (b->kind == BUF_WEIGHT && !b->dim[d].zero) {
            b->dim[d].hi += over;
        } else if (w->ok && !w->guarded) {
            w->ok = false;
            diag_error(w->cx->diags, NO_PLACE, "E0953",
                       "illegal schedule of '%s': it pads dimension %d of '%s' %lld past its end",
                       w->kernel->name, d, b->name, (long long)over);
            diag_help(w->cx->diags, "use tail=peel, or give the tensor a blocked layout");
        }
    }
}

static void widen_load(void *user, const Expr *e)
{
    if (e->kind == EXPR_LOAD)
        widen_access(user, e->buffer, e->index, e->n_index);
}

static void widen_body(Widen *w, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        bool outer = w->guarded;
        if (s->kind == STMT_STORE)
            widen_access(w, s->buffer, s->index, s->n_index);
        stmt_visit_exprs(s, widen_load, w);
        w->guarded = outer || s->kind == STMT_IF;
        widen_body(w, s->body);
        w->guarded = outer;
    }
}

PassResult tile(PassCx *pc, Kernel *k)
{
    Nest **nests;
    int n = nests_of_kernel(pc->cx, k, &nests);
    if (n < 0)
        return PASS_FAILED;
    if (!k->schedule)
        k->schedule = schedule_find(pc->arena, k, nests, n, pc->row, &k->why);
    if (!k->schedule || n == 0)
        return PASS_UNCHANGED;
    VerbCx v = {pc->cx, NO_PLACE, pc->row};
    if (!schedule_apply(&v, k, nests, n, k->schedule)) {
        diag_note(pc->cx->diags, NO_PLACE, "kernel '%s' (%s) has the schedule \"%s\"", k->name,
                  k->origin ? k->origin : "no origin", k->schedule);
        return PASS_FAILED;
    }
    nests_apply(k, nests, n);
    Widen w = {pc->cx, k, false, true};
    widen_body(&w, k->body);
    return w.ok ? PASS_CHANGED : PASS_FAILED;
}
