/* drop-unit-pool: pooling over windows of one element copies its input; who reads it reads that.
 *
 *   maxpool {kernel: 1}(x) -> p; conv (p) -> y    =>    conv (x) -> y
 *
 * A graph pass from outside: net2c opt MODEL --load-pass=drop_unit_pool.so
 * keeps: one that makes an output of the network: callers know its name. One with a label.
 */
#include <net2c/plugin.h>

static bool is_copy(const Graph *g, const Node *n)
{
    if (!str_eq(n->op->name, "maxpool") && !str_eq(n->op->name, "avgpool"))
        return false;
    Window w = node_window(n);
    return w.kernel[0] == 1 && w.kernel[1] == 1 && shape_equal(&n->in[0]->shape, &n->out->shape) &&
           !graph_is_output(g, n->out) && !n->group && !n->out->layout;
}

static PassResult drop_unit_pool(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    (void)pc;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        Node *n = g->nodes[i];
        if (!is_copy(g, n))
            continue;
        graph_replace_uses(g, n->out, n->in[0]);
        graph_remove_node(g, n);
        result = PASS_CHANGED;
    }
    return result;
}

const net2c_plugin net2c_plugin_v1 = {
    .abi = NET2C_PLUGIN_ABI, .name = "drop-unit-pool", .graph = drop_unit_pool,
    .after = "fold-dropout", .why = "windows of one element are copies",
};
