/* Checks that a graph is what every pass may rely on; run after each pass.
 *
 *     E0901 names   E0902 order   E0903 producers   E0904 arity
 *     E0905 shapes  E0906 outputs E0907 parameters
 *
 * Contract: changes nothing; reports each fault as an internal error at the layer's place. A node
 * with a broken frame (no operator, no output, a foreign input) is not asked for its shapes. Lives
 * beside the operator table because shapes are checked by the operators' own rules.
 */
#include "ops/ops.h"

typedef struct Verify {
    Cx *cx;
    const Graph *graph;
    Map *seen;                    /* name -> Tensor, all that is defined up to here */
} Verify;

#define VERIFY_FAIL(v, place, code, ...) \
    (diag_error((v)->cx->diags, (place), (code), "internal error: " __VA_ARGS__), false)

static bool shape_is_legal(const Shape *s)
{
    if (s->rank < 1 || s->rank > MAX_RANK || s->dim[0] != DIM_N)
        return false;
    for (int i = 1; i < s->rank; i++)
        if (s->dim[i] < 1 || s->dim[i] > MAX_DIM)
            return false;
    return shape_count(s) <= MAX_ELEMENTS;
}

static bool verify_tensor(Verify *v, Tensor *t)
{
    if (!t->name || !name_is_legal(t->name))
        return VERIFY_FAIL(v, t->place, "E0901", "illegal tensor name '%s'",
                           t->name ? t->name : "(none)");
    if (map_get(v->seen, t->name))
        return VERIFY_FAIL(v, t->place, "E0901", "two tensors are named '%s'", t->name);
    map_put(v->seen, t->name, t);
    if (!shape_is_legal(&t->shape))
        return VERIFY_FAIL(v, t->place, "E0905", "'%s' has the illegal shape %s", t->name,
                           shape_text(v->cx->temp, &t->shape));
    return true;
}

static bool verify_inputs(Verify *v, const Node *n)
{
    if (n->n_in < n->op->min_in || n->n_in > n->op->max_in || n->n_in > MAX_INPUTS)
        return VERIFY_FAIL(v, n->place, "E0904", "'%s' has %d inputs, '%s' takes %d to %d",
                           n->out->name, n->n_in, n->op->name, n->op->min_in, n->op->max_in);
    for (int i = 0; i < n->n_in; i++) {
        const Tensor *t = n->in[i];
        if (!t || !t->name || map_get(v->seen, t->name) != t)
            return VERIFY_FAIL(v, n->place, "E0902",
                               "'%s' reads '%s', which is not defined before it", n->out->name,
                               t && t->name ? t->name : "(none)");
    }
    return true;
}

static bool verify_params(Verify *v, const Node *n, const Node *inferred)
{
    if (n->n_param != inferred->n_param)
        return VERIFY_FAIL(v, n->place, "E0907", "'%s' has %d parameters, its operator says %d",
                           n->out->name, n->n_param, inferred->n_param);
    bool ok = true;
    for (int i = 0; i < n->n_param; i++) {
        const Param *p = &n->param[i], *want = &inferred->param[i];
        if (!p->key || !str_eq(p->role, want->role) || !shape_equal(&p->shape, &want->shape))
            ok = VERIFY_FAIL(v, n->place, "E0907", "parameter %d of '%s' should be %s %s", i,
                             n->out->name, want->role, shape_text(v->cx->temp, &want->shape));
    }
    return ok;
}

/* The rule runs on a copy: what it would write is compared with what stands there. */
static bool verify_shapes(Verify *v, const Node *n)
{
    Tensor out = *n->out;
    Node copy = *n;
    copy.out = &out;
    if (!n->op->infer(v->cx, &copy))
        return VERIFY_FAIL(v, n->place, "E0905", "operator '%s' refuses '%s'", n->op->name,
                           n->out->name);
    if (!shape_equal(&out.shape, &n->out->shape))
        return VERIFY_FAIL(v, n->place, "E0905", "'%s' has shape %s, its operator gives %s",
                           n->out->name, shape_text(v->cx->temp, &n->out->shape),
                           shape_text(v->cx->temp, &out.shape));
    return verify_params(v, n, &copy);
}

static bool verify_node(Verify *v, Node *n)
{
    if (!n->op || !n->out || !n->path)
        return VERIFY_FAIL(v, n->place, "E0903", "a node without operator, output or path");
    bool ok = verify_inputs(v, n);
    if (n->out->producer != n)
        ok = VERIFY_FAIL(v, n->place, "E0903", "'%s' names another node as its producer",
                         n->out->name);
    return verify_tensor(v, n->out) && ok && verify_shapes(v, n);
}

static bool verify_outputs(Verify *v)
{
    const Graph *g = v->graph;
    bool ok = true;
    if (g->n_outputs < 1)
        ok = VERIFY_FAIL(v, NO_PLACE, "E0906", "the network has no outputs");
    for (int i = 0; i < g->n_outputs; i++) {
        const Tensor *t = g->outputs[i];
        if (map_get(v->seen, t->name) != t || !t->producer)
            ok = VERIFY_FAIL(v, t->place, "E0906", "no layer gives the output '%s'", t->name);
        for (int k = 0; k < i; k++)
            if (g->outputs[k] == t)
                ok = VERIFY_FAIL(v, t->place, "E0906", "'%s' is an output twice", t->name);
    }
    return ok;
}

bool graph_verify(Cx *cx, const Graph *g)
{
    Verify v = {cx, g, map_new(cx->temp)};
    bool ok = true;
    for (int i = 0; i < g->n_inputs; i++) {
        ok &= verify_tensor(&v, g->inputs[i]);
        if (g->inputs[i]->producer)
            ok = VERIFY_FAIL(&v, g->inputs[i]->place, "E0903", "the input '%s' has a producer",
                             g->inputs[i]->name);
    }
    for (int i = 0; i < g->n_nodes; i++)
        ok &= verify_node(&v, g->nodes[i]);
    return verify_outputs(&v) && ok;
}
