/* narrow-weights: with --precision=bf16w, linear layers keep their weights as bf16, the upper half
 * of an f32, rounded to the nearest, to even on a tie: half the bytes to read.
 *
 *   linear(x) -> y    =>    linear{store: bf16}(x) -> y
 *
 * needs:  nothing.
 * keeps:  a store label that is already there. Sums stay f32: kernels widen what they load.
 * breaks: the accuracy of the weights, 8 bits of mantissa instead of 24: about 2e-3 of a layer's
 *         output. `verify` shows it beside what it allows, 4e-3.
 */
#include "passes/passes.h"
#include "ops/ops.h"

PassResult narrow_weights(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!str_eq(n->op->name, "linear") || n->store)
            continue;
        long long bytes = (long long)(shape_count(&n->param[0].shape) * (int64_t)sizeof(float));
        pass_remark(pc, pc->narrow ? REMARK_DONE : REMARK_MISSED, n->place,
                    pc->narrow ? "'%s' keeps half of %lld bytes of weights: bf16"
                               : "'%s' reads %lld bytes of weights; --precision=bf16w halves them",
                    n->out->name, bytes);
        if (!pc->narrow)
            continue;
        n->store = "bf16";
        result = PASS_CHANGED;
    }
    return result;
}
