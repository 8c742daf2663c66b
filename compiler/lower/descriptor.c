/* descriptor: what a kernel computes, in one line, whatever its layers are called.
 *
 *     conv(256x13x13 c16 pad 1,1,1,1; out 384; kernel [3, 3]; pad [1, 1, 1, 1]; direct) + relu
 *         -> c16 pad 1,1,1,1
 *
 * contract: groups with equal descriptors are lowered to equal loops, names apart, so that a
 * schedule for one is a schedule for the other. Attributes that have their default are left out.
 * A value from within the group is called by its layer: ~1 is the first one's.
 */
#include "lower/lower.h"

static bool is_default(const AttrDef *def, const AttrValue *v)
{
    bool all = !def->required;
    for (int i = 0; i < v->n && def->kind != ATTR_FLOAT; i++)
        all = all && (double)v->i[i] == def->fallback;
    return all && (def->kind != ATTR_FLOAT || v->f == def->fallback);
}

static void describe_input(Str *s, const Group *g, const Tensor *t)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->out == t) {
            str_printf(s, "~%d", i + 1);
            return;
        }
    for (int d = 1; d < t->shape.rank; d++)
        str_printf(s, "%s%lld", d > 1 ? "x" : "", (long long)t->shape.dim[d]);
    if (t->layout)
        str_printf(s, " %s", t->layout);
}

static void describe_node(Str *s, const Group *g, const Node *n)
{
    AttrValue v;
    str_printf(s, "%s(", n->op->name);
    for (int i = 0; i < n->n_in; i++) {
        str_add(s, i ? ", " : "");
        describe_input(s, g, n->in[i]);
    }
    for (int i = 0; n->op->attrs[i].name; i++)
        if (attr_form(n, i, &v) && !is_default(&n->op->attrs[i], &v)) {
            str_printf(s, "; %s ", n->op->attrs[i].name);
            attr_text(s, &n->op->attrs[i], &v);
        }
    if (n->algo)
        str_printf(s, "; %s", n->algo);
    if (n->store)
        str_printf(s, "; %s", n->store);
    str_char(s, ')');
}

const char **graph_descriptors(Cx *cx, Arena *a, const Graph *g)
{
    Lower l = {.cx = cx, .arena = a, .graph = g};
    Group **group;
    int n = groups_of_graph(&l, &group);
    const char **out = NEW_ARRAY(a, const char *, n < 0 ? 1 : n + 1);
    for (int i = 0; i < n; i++) {
        Str s = str_new(a);
        for (int k = 0; k < group[i]->n_nodes; k++) {
            str_add(&s, k ? " + " : "");
            describe_node(&s, group[i], group[i]->node[k]);
        }
        const char *layout = group[i]->node[group[i]->n_nodes - 1]->out->layout;
        if (layout)
            str_printf(&s, " -> %s", layout);
        out[i] = s.data;
    }
    arena_reset(cx->temp);
    return n < 0 ? NULL : out;
}
