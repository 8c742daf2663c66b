/* graph-dce: layers from which no network output can be reached disappear.
 *
 *   conv(x) -> a; conv(x) -> aux; output a    =>    conv(x) -> a; output a
 *
 * needs:  topological order.
 * keeps:  network inputs, even those nobody reads any more: they are the caller's interface.
 * breaks: nothing.
 */
#include "passes/passes.h"

PassResult graph_dce(PassCx *pc, Graph *g)
{
    Map *wanted = map_new(pc->cx->temp);       /* names of tensors that reach an output */
    int dead = g->n_nodes;
    for (int i = 0; i < g->n_outputs; i++)
        map_put(wanted, g->outputs[i]->name, g);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        Node *n = g->nodes[i];
        if (!map_get(wanted, n->out->name)) {
            pass_remark(pc, REMARK_DONE, n->place, "'%s' disappears: it reaches no output",
                        n->out->name);
            continue;
        }
        for (int j = 0; j < n->n_in; j++)
            map_put(wanted, n->in[j]->name, g);
        g->nodes[--dead] = n;                  /* collect at the end: order stays */
    }
    if (dead == 0)
        return PASS_UNCHANGED;
    g->n_nodes -= dead;
    for (int i = 0; i < g->n_nodes; i++)
        g->nodes[i] = g->nodes[dead + i];
    return PASS_CHANGED;
}
