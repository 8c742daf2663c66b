/* batchnorm at inference: y[n, c] = (x[n, c] - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c].
 *
 * example: batchnorm {affine: false} behind a convolution reads running_mean and running_var alone.
 *
 * contract: the factor w / sqrt(var + eps) is one value a channel, so that it can be computed once;
 * the difference comes before the product, which is one fma with b. Params as in PyTorch.
 */
#include "ops/ops.h"

bool batchnorm_infer(Cx *cx, Node *n)
{
    static const char *const role[] = {"running_mean", "running_var", "weight", "bias"};
    if (!op_check(cx, n, 2, MAX_RANK))
        return false;
    Shape channels = {1, {n->in[0]->shape.dim[1]}};
    for (int i = 0; i < (node_int(n, "affine") ? 4 : 2); i++)
        if (!op_set_param(cx, n, i, role[i], channels))
            return false;
    return op_set_output(cx, n, &n->in[0]->shape);
}

void batchnorm_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    Index at[MAX_DIMS];
    const Expr *param[4] = {0};
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    for (int i = 0; i < nx->node->n_param; i++)
        param[i] = nest_load(nx, nx->param[i], &at[1]);
    const Expr *eps = nest_const(nx, node_float(nx->node, "eps"));
    const Expr *root = expr_un(a, UN_SQRT, expr_bin(a, BIN_ADD, param[1], eps));
    const Expr *factor = expr_bin(a, BIN_DIV, param[2] ? param[2] : nest_const(nx, 1), root);
    const Expr *difference = expr_bin(a, BIN_SUB, nest_load(nx, nx->in[0], at), param[0]);
    build_store(&b, nx->out, at,
                param[3] ? expr_fma(a, difference, factor, param[3])
                         : expr_bin(a, BIN_MUL, difference, factor));
    build_end(&b, nx->out->rank);
}

OpCost batchnorm_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, 5);
}
