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

#define MAX_SLACK (INT64_C(1) << 24)

typedef struct Widen {
    Cx *cx;
    const Kernel *kernel;
    Place place;              /* of its schedule */
    const Stmt *guard;        /* the if around, whose tests keep some accesses inside */
    bool ok;
} Widen;

/* Does a test around have a say in the index, or never hold? */
static bool is_guarded(const Widen *w, Index x)
{
    for (int i = 0; w->guard && i < w->guard->n_cond; i++) {
        const Cond *c = &w->guard->cond[i];
        int64_t min, max;
        index_range(c->index, &min, &max);
        if (max < 0 || min >= c->extent)
            return true;
        for (int t = 0; t < x.n; t++)
            if (index_coef(c->index, x.term[t].var))
                return true;
    }
    return false;
}

/* Padded tiles read and write past a buffer's end: weights get slack, others must have it. */
static void widen_access(void *user, const Access *x)
{
    Widen *w = user;
    Buffer *b = x->buffer;
    for (int d = 0; d < x->n && b->kind != BUF_LOCAL && w->ok; d++) {
        int64_t min, max;
        index_range(x->index[d], &min, &max);
        int64_t over = max - (b->dim[d].extent + b->dim[d].hi - 1);
        bool before = min < -b->dim[d].lo;
        if ((over <= 0 && !before) || is_guarded(w, x->index[d]))
            continue;
        if (b->kind == BUF_WEIGHT && !b->dim[d].zero && !before && over <= MAX_SLACK) {
            b->dim[d].hi += over;
            continue;
        }
        w->ok = false;
        diag_error(w->cx->diags, w->place, "E0953",
                   "illegal schedule of '%s': it pads dimension %d of '%s' %lld past its %s",
                   w->kernel->name, d, b->name, (long long)(before ? -b->dim[d].lo - min : over),
                   before ? "beginning" : "end");
        diag_help(w->cx->diags, "use tail=peel, or give the tensor a blocked layout");
    }
}

static void widen_body(Widen *w, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        const Stmt *outer = w->guard;
        stmt_visit_accesses(s, widen_access, w);
        w->guard = s->kind == STMT_IF ? s : outer;
        widen_body(w, s->body);
        w->guard = outer;
    }
}

static PassResult explain_failure(PassCx *pc, const Kernel *k, Place place)
{
    const char *origin = k->origin ? k->origin : "no origin";
    if (!place.file) {
        diag_note(pc->cx->diags, NO_PLACE, "kernel '%s' (%s) has the schedule \"%s\"", k->name,
                  origin, k->schedule);
        return PASS_FAILED;
    }
    diag_note(pc->cx->diags, NO_PLACE, "it is for kernel '%s' (%s) on %s", k->name, origin,
              pc->row->name);
    diag_help(pc->cx->diags, "'auto' in its place is legal; net2c sched prints what that is");
    return PASS_FAILED;
}

PassResult tile(PassCx *pc, Kernel *k)
{
    Nest **nests;
    uint64_t before = kernel_hash(k);
    int n = nests_of_kernel(pc->cx, k, &nests);
    if (n < 0)
        return PASS_FAILED;
    if (!k->schedule)
        k->schedule = schedule_find(pc->arena, nests, n, pc->row, &k->why);
    if (!k->schedule || n == 0) {
        pass_remark(pc, REMARK_MISSED, k->place,
                    "'%s' keeps its loops: no tile of vectors fits them, or none is cheaper",
                    k->name);
        return PASS_UNCHANGED;
    }
    pass_remark(pc, REMARK_DONE, k->place, "'%s' is tiled%s: %s", k->name,
                n > 1 ? arena_printf(pc->cx->temp, " in %d nests, the last one", n) : "",
                k->why ? k->why : "the schedule was given");
    const Place place = schedule_place(pc->schedules, k->schedule, 0);
    VerbCx v = {pc->cx, place, pc->row, pc->schedules};
    if (!schedule_apply(&v, k, nests, n, k->schedule))
        return explain_failure(pc, k, place);
    if (!nests_apply(k, nests, n)) {
        diag_error(pc->cx->diags, place, "E0951",
                   "illegal schedule of '%s': its tails and borders make more than %d copies",
                   k->name, MAX_COPIES);
        return PASS_FAILED;
    }
    Widen w = {pc->cx, k, place, NULL, true};
    widen_body(&w, k->body);
    if (!w.ok)
        return PASS_FAILED;
    return kernel_hash(k) != before ? PASS_CHANGED : PASS_UNCHANGED;   /* a verb may do nothing */
}
