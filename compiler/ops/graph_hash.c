/* A number for what a graph says: equal graphs hash equal, whatever their places in memory or in
 * the file, and any change of the network or its labels changes it.
 *
 * The pass runner compares it before and after a pass to see whether "unchanged" was the truth.
 *
 * Contract: reads everything but places, and `check` and `preprocess`, which no pass touches and no
 * code depends on; a default written out is the same network. Lives beside the operator table
 * because it names operators and attributes.
 */
#include "ops/ops.h"

#include <string.h>

static uint64_t hash_int(uint64_t h, int64_t v)
{
    return hash_bytes(h, &v, sizeof v);
}

/* The length goes first, so that neighbouring strings cannot trade letters unseen. */
static uint64_t hash_text(uint64_t h, const char *s)
{
    if (!s)
        return hash_int(h, -1);
    size_t n = strlen(s);
    return hash_bytes(hash_int(h, (int64_t)n), s, n);
}

static uint64_t hash_shape(uint64_t h, const Shape *s)
{
    h = hash_int(h, s->rank);
    for (int i = 0; i < s->rank; i++)
        h = hash_int(h, s->dim[i]);
    return h;
}

static uint64_t hash_attr(uint64_t h, const Node *n, int at)
{
    AttrValue v;
    h = hash_text(h, n->op->attrs[at].name);
    if (!attr_form(n, at, &v))
        return hash_int(h, -1);
    if (n->op->attrs[at].kind == ATTR_FLOAT)
        return hash_bytes(h, &v.f, sizeof v.f);
    h = hash_int(h, v.n);
    for (int i = 0; i < v.n; i++)
        h = hash_int(h, v.i[i]);
    return h;
}

static uint64_t hash_tensor(uint64_t h, const Tensor *t)
{
    h = hash_text(h, t->name);
    h = hash_shape(h, &t->shape);
    return hash_text(h, t->layout);
}

static uint64_t hash_node(uint64_t h, const Node *n)
{
    h = hash_text(h, n->op->name);
    h = hash_text(h, n->path);
    h = hash_int(h, n->n_in);
    for (int i = 0; i < n->n_in; i++)
        h = hash_text(h, n->in[i]->name);
    for (int i = 0; n->op->attrs[i].name; i++)
        h = hash_attr(h, n, i);
    h = hash_int(h, n->n_param);
    for (int i = 0; i < n->n_param; i++) {
        h = hash_text(h, n->param[i].role);
        h = hash_text(h, n->param[i].key);
        h = hash_shape(h, &n->param[i].shape);
    }
    h = hash_text(h, n->group);
    h = hash_text(h, n->algo);
    h = hash_text(h, n->store);
    h = hash_text(h, n->schedule);
    return hash_tensor(h, n->out);
}

uint64_t graph_hash(const Graph *g)
{
    uint64_t h = hash_text(HASH_SEED, g->name);
    h = hash_text(h, g->doc);
    h = hash_text(h, g->bind);
    h = hash_int(h, g->n_inputs);
    for (int i = 0; i < g->n_inputs; i++)
        h = hash_tensor(h, g->inputs[i]);
    h = hash_int(h, g->n_nodes);
    for (int i = 0; i < g->n_nodes; i++)
        h = hash_node(h, g->nodes[i]);
    h = hash_int(h, g->n_outputs);
    for (int i = 0; i < g->n_outputs; i++)
        h = hash_text(h, g->outputs[i]->name);
    return h;
}
