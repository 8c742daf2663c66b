/* eliminate-im2col: convolutions read their input directly instead of through a copied matrix.
 *
 *   conv(x) -> y    =>    conv{algo: direct}(x) -> y
 *
 * needs:  nothing.
 * keeps:  an algo label that is already there.
 * breaks: nothing; the order of sums may differ between the algorithms.
 */
#include "ops/ops.h"
#include "passes/passes.h"

PassResult eliminate_im2col(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    (void)pc;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (n->op->nest_by != conv_nest_by || n->algo)
            continue;
        n->algo = "direct";
        result = PASS_CHANGED;
    }
    return result;
}
