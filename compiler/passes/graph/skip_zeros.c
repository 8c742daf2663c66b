/* skip-zeros: large linear layers after a ReLU read only the weights of inputs that are not zero.
 *
 *   relu(x) -> y; linear(y) -> z    =>    relu(x) -> y; linear{algo: skip-zeros}(y) -> z
 *
 * needs:  to know the weights: every one must be finite, as 0 * infinity is no zero.
 * keeps:  every bit (what is left out adds a zero), except that a sum which underflows to -0 may
 *         keep its sign; an algo label that is already there: whether its weights are finite
 *         is checked where they are read, in driver/pipeline.c.
 * breaks: nothing.
 *
 * Weights that the second-level cache does not nearly hold come from memory, whose speed is that of
 * the layer. A pool or a change of shape between the two layers keeps most zeros.
 */
#include "ops/ops.h"
#include "passes/passes.h"

#define CACHES 4                       /* weights are read from memory beyond that many */

static bool has_zeros(const Node *n)
{
    return n->op == op_find("relu") || n->op == op_find("relu6") ||
           (n->op == op_find("clip") && node_float(n, "min") == 0);
}

static bool keeps_zeros(const Node *n)
{
    return n->op->view || n->op == op_find("maxpool") || n->op == op_find("avgpool");
}

/* NULL: nothing. */
static const char *what_hinders(const PassCx *pc, const Node *n)
{
    const Node *from = n->in[0]->producer;
    int64_t bytes = shape_count(&n->param[0].shape) * (int64_t)sizeof(float);
    while (from && keeps_zeros(from))
        from = from->in[0]->producer;
    if (!from || !has_zeros(from) || n->in[0]->shape.rank != 2)
        return "no ReLU makes zeros before it";
    if (bytes <= CACHES * pc->row->l2_bytes)
        return "the cache nearly holds its weights";
    if (!pc->finite)
        return "the weights are not known, or serve several items at a time";
    return pc->finite(pc->weights, n->param[0].key) ? NULL : "a weight of it is not finite";
}

static bool skips(const PassCx *pc, const Node *n)
{
    if (n->op->nest_by != linear_nest_by || n->algo)
        return false;
    const char *hindrance = what_hinders(pc, n);
    if (hindrance)
        pass_remark(pc, REMARK_MISSED, n->place, "'%s' reads all weights: %s", n->out->name,
                    hindrance);
    else
        pass_remark(pc, REMARK_DONE, n->place,
                    "'%s' reads only the weights of inputs that are not zero", n->out->name);
    return !hindrance;
}

PassResult skip_zeros(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!skips(pc, g->nodes[i]))
            continue;
        g->nodes[i]->algo = "skip-zeros";
        result = PASS_CHANGED;
    }
    return result;
}
