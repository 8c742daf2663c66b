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

/* A column of windows for each output pixel: the weights of an output, for all channels. */
static int64_t matrix_elements(const Node *n)
{
    const Shape *out = &n->out->shape;
    int64_t pixels = shape_count(out) / out->dim[1];
    return shape_count(&n->param[0].shape) / out->dim[1] * node_int(n, "groups") * pixels;
}

PassResult eliminate_im2col(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (n->op->nest_by != conv_nest_by || n->algo)
            continue;
        n->algo = "direct";
        result = PASS_CHANGED;
        pass_remark(pc, REMARK_DONE, n->place,
                    "'%s' is computed directly: no matrix of %lld elements is copied",
                    n->out->name, (long long)matrix_elements(n));
    }
    return result;
}
