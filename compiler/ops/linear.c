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

void linear_nest(NestCx *nx)
{
    static const char *const names[2][3] = {{"n", "o"}, {"n", "p", "o"}};
    Buffer *x = nx->in[0], *w = nx->param[0], *y = nx->out;
    int last = y->rank - 1;
    Index at[3], from[3];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, y, names[y->rank - 2], at);
    const Expr *bias = nx->node->n_param > 1 ? nest_load(nx, nx->param[1], &at[last])
                                             : nest_const(nx, 0);
    build_store(&b, y, at, bias);
    build_end(&b, y->rank);

    nest_loops(&b, y, names[y->rank - 2], at);
    Index i = nest_loop(&b, "i", x->dim[last].extent);
    for (int d = 0; d < last; d++)
        from[d] = at[d];
    from[last] = i;
    Index tap[2] = {at[last], i};
    build_store(&b, y, at,
                expr_fma(nx->arena, nest_load(nx, x, from), nest_load(nx, w, tap),
                         nest_load(nx, y, at)));
    build_end(&b, y->rank + 1);
}

/* Which inputs are zero is found by the schedule: the sum is the same. */
bool linear_nest_by(NestCx *nx, const char *algo)
{
    bool known = !algo || str_eq(algo, "direct") || str_eq(algo, "skip-zeros");
    if (known)
        linear_nest(nx);
    return known;
}

OpCost linear_cost(const Node *n)
{
    const Shape *in = &n->in[0]->shape;
    int64_t depth = in->dim[in->rank - 1];
    return op_cost(shape_count(&n->out->shape), depth, 2 * depth);
}
