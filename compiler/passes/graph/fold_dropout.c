/* fold-dropout: dropout and identity layers disappear; they do nothing at inference.
 *
 *   flatten(x) -> f; dropout(f) -> d; linear(d) -> y    =>    flatten(x) -> f; linear(f) -> y
 *
 * needs:  nothing.
 * keeps:  names of network inputs and outputs: when the layer's result is an output, its producer
 *         takes over that name. A layer that joins an input to an output directly, or two outputs,
 *         or two different layout labels, stays: there it is a copy that somebody needs.
 * breaks: nothing.
 */
#include "ops/ops.h"
#include "passes/passes.h"

static bool does_nothing(const Node *n)
{
    return str_eq(n->op->name, "dropout") || str_eq(n->op->name, "identity");
}

static bool can_fold(const Graph *g, const Node *n)
{
    const Tensor *in = n->in[0];
    if (!does_nothing(n) || !str_eq(in->layout, n->out->layout))
        return false;
    return !graph_is_output(g, n->out) || (in->producer && !graph_is_output(g, in));
}

static void fold(Graph *g, Node *n)
{
    Tensor *in = n->in[0], *out = n->out;
    if (graph_is_output(g, out)) {
        graph_replace_uses(g, in, out);
        in->producer->out = out;
        out->producer = in->producer;
    } else {
        graph_replace_uses(g, out, in);
    }
    graph_remove_node(g, n);
}

PassResult fold_dropout(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes;) {
        Node *n = g->nodes[i];
        if (can_fold(g, n)) {
            pass_remark(pc, REMARK_DONE, n->place, "'%s' disappears: %s does nothing here",
                        n->out->name, n->op->name);
            fold(g, n);
            result = PASS_CHANGED;
        } else {
            i++;
        }
    }
    return result;
}
