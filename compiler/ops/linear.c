/* linear: y[n, o] = b[o] + sum over i of x[n, i] * w[o, i], for each position p of [N, P, I] too.
 *
 * example: linear {out: 10} over [N, 84] has weight [10, 84], bias [10] and gives [N, 10].
 * contract: sums run over i in order, with one fma a term.
 */
#include "ops/ops.h"

bool linear_infer(Cx *cx, Node *n)
{
    if (n->n_in == 1 && n->in[0]->shape.rank >= 4) {
        op_error(cx, n, NULL, "E0602", "input %s has rank %d; expected rank 2 or 3",
                 shape_text(cx->temp, &n->in[0]->shape), n->in[0]->shape.rank);
        diag_help(cx->diags, "a 'flatten' layer before it gives rank 2");
        return false;
    }
    if (!op_check(cx, n, 2, 3))
        return false;
    Shape shape = n->in[0]->shape;
    int64_t out = node_int(n, "out"), in = shape.dim[shape.rank - 1];
    shape.dim[shape.rank - 1] = out;
    if (!op_set_param(cx, n, 0, "weight", (Shape){2, {out, in}}))
        return false;
    if (node_int(n, "bias") && !op_set_param(cx, n, 1, "bias", (Shape){1, {out}}))
        return false;
    return op_set_output(cx, n, &shape);
}

/* The loops over the output; fills its indices and returns the one that counts features. */
static void output_loops(Builder *b, const Buffer *out, Index at[3])
{
    static const char *const names[2][3] = {{"n", "o"}, {"n", "p", "o"}};
    for (int d = 0; d < out->rank; d++) {
        const Var *v = build_for(b, names[out->rank - 2][d], out->dim[d].extent);
        at[d] = index_var(b->arena, v);
    }
}

void linear_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    Buffer *x = nx->in[0], *w = nx->param[0], *y = nx->out;
    int last = y->rank - 1;
    Index at[3], from[3];
    Builder b = build_kernel(nx->kernel);
    output_loops(&b, y, at);
    const Expr *bias = nx->node->n_param > 1 ? expr_load(a, nx->param[1], &at[last], 1, 1)
                                             : nest_const(nx, 0);
    build_store(&b, y, at, bias);
    build_end(&b, y->rank);

    output_loops(&b, y, at);
    Index i = index_var(a, build_for(&b, "i", x->dim[last].extent));
    for (int d = 0; d < last; d++)
        from[d] = at[d];
    from[last] = i;
    Index tap[2] = {at[last], i};
    build_store(&b, y, at,
                expr_fma(a, expr_load(a, x, from, x->rank, 1), expr_load(a, w, tap, 2, 1),
                         expr_load(a, y, at, y->rank, 1)));
    build_end(&b, y->rank + 1);
}

OpCost linear_cost(const Node *n)
{
    const Shape *in = &n->in[0]->shape;
    int64_t depth = in->dim[in->rank - 1];
    return op_cost(shape_count(&n->out->shape), depth, 2 * depth);
}
