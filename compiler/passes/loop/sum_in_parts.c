/* sum-in-parts: long sums of a kernel without a schedule become sums of partial sums.
 *
 *   for o < 8, i < 4096 { y[o] = fma(x[i], w[o, i], y[o]); }
 *   =>  for o < 8 { local acc; for i.o < 64 { local part = 0;
 *           for i.i < 64 { part = fma(x[64*i.o + i.i], w[o, 64*i.o + i.i], part); }
 *           acc = part + acc; }  y[o] = acc; }
 *
 * Accuracy must not depend on whether a kernel is tiled: schedules found by cost cut long sums too.
 *
 * needs:  naive nests of a kernel that `tile` left alone, logical accesses.
 * keeps:  exact sums; rounded ones come closer to the true value.
 * breaks: perfect nests.
 */
#include "passes/passes.h"
#include "sched/sched.h"

PassResult sum_in_parts(PassCx *pc, Kernel *k)
{
    Nest **nests;
    Row one_lane = *pc->row;               /* with no lanes to fill, only sums are scheduled */
    one_lane.lanes = 1;
    if (k->schedule)
        return PASS_UNCHANGED;
    int n = nests_of_kernel(pc->cx, k, &nests);
    if (n < 0)
        return PASS_FAILED;
    k->schedule = schedule_find(pc->arena, nests, n, &one_lane, &k->why);
    if (!k->schedule)
        return PASS_UNCHANGED;
    VerbCx v = {pc->cx, NO_PLACE, pc->row, NULL};
    if (!schedule_apply(&v, k, nests, n, k->schedule) || !nests_apply(k, nests, n))
        return PASS_FAILED;
    return PASS_CHANGED;
}
