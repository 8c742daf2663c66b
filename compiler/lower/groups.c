/* groups: which nodes become one kernel, and in which order the kernels run.
 *
 *   nodes conv1{group: a} conv2 relu1{group: a}  ->  groups [conv2] [conv1 relu1]
 *
 * contract: a group stands where its last node stands; because only that node's output is visible
 * outside, every input of the group is computed by then. Labels can be written by hand, so a
 * group that leaks an inner tensor is reported.
 */
#include "lower/lower.h"

/* The group a node belongs to: the label's, or a new one. */
static Group *group_of_node(Arena *temp, Map *labels, const Node *n)
{
    Group *g = n->group ? map_get(labels, n->group) : NULL;
    if (!g) {
        g = NEW(temp, Group);
        g->label = n->group;
        if (n->group)
            map_put(labels, n->group, g);
    }
    return g;
}

static const Tensor *group_output(const Group *g)
{
    return g->node[g->n_nodes - 1]->out;
}

static void check_read(Lower *l, const Map *home, const Tensor *t, const Group *reader,
                       Place place, const char *who)
{
    const Group *g = map_get(home, t->name);
    if (!g || g == reader || group_output(g) == t)
        return;
    diag_error(l->cx->diags, place, "E0706", "%s needs '%s', which lives only inside group '%s'",
               who, t->name, g->label);
    diag_help(l->cx->diags, "only the last layer of a group is visible outside: end the group at "
                            "'%s' or remove its group label",
              t->name);
    l->failed = true;
}

static void check_groups(Lower *l, const Map *home)
{
    const Graph *g = l->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        const char *who = arena_printf(l->cx->temp, "'%s'", n->out->name);
        for (int j = 0; j < n->n_in; j++)
            check_read(l, home, n->in[j], map_get(home, n->out->name), n->place, who);
    }
    for (int i = 0; i < g->n_outputs; i++)
        check_read(l, home, g->outputs[i], NULL, g->outputs[i]->place, "the caller");
}

int groups_of_graph(Lower *l, Group ***out)
{
    const Graph *g = l->graph;
    Arena *temp = l->cx->temp;
    Map *labels = map_new(temp);
    Map *home = map_new(temp);                 /* tensor name -> the group that computes it */
    Group **of = NEW_ARRAY(temp, Group *, g->n_nodes + 1);
    for (int i = 0; i < g->n_nodes; i++) {
        of[i] = group_of_node(temp, labels, g->nodes[i]);
        of[i]->n_nodes++;
        of[i]->last = i;
        map_put(home, g->nodes[i]->out->name, of[i]);
    }
    *out = NEW_ARRAY(temp, Group *, g->n_nodes + 1);
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        Group *group = of[i];
        if (!group->node) {
            group->node = NEW_ARRAY(temp, const Node *, group->n_nodes);
            group->n_nodes = 0;
        }
        group->node[group->n_nodes++] = g->nodes[i];
        if (group->last == i)
            (*out)[n++] = group;
    }
    check_groups(l, home);
    return l->failed ? -1 : n;
}
