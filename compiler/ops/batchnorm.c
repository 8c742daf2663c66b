/* batchnorm at inference: y[n, c] = (x[n, c] - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c], as
 * x[n, c] * factor[c] + shift[c].
 *
 * example: batchnorm {affine: false} reads running_mean and running_var alone.
 *
 * contract: factor and shift are computed in the compiler, in double; behind a convolution the fma
 * is one more step on its sum. The reference computes both where it needs them. Parameters as in
 * PyTorch.
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

/* factor[c] = w / sqrt(var + eps) and shift[c] = b - mean * factor, from a channel's parameters. */
static const Expr *channel_value(const NestCx *nx, const Expr *const param[], bool shift,
                                 ScalarType t)
{
    Arena *a = nx->arena;
    const Type type = {t, 1};
    const Expr *eps = expr_const(a, type, node_float(nx->node, "eps"));
    const Expr *root = expr_un(a, UN_SQRT, expr_bin(a, BIN_ADD, param[1], eps));
    const Expr *factor = expr_bin(a, BIN_DIV, param[2] ? param[2] : expr_const(a, type, 1), root);
    if (!shift)
        return factor;
    const Expr *back = expr_un(a, UN_NEG, expr_bin(a, BIN_MUL, param[0], factor));
    return param[3] ? expr_bin(a, BIN_ADD, param[3], back) : back;
}

/* One value a channel, computed in double. */
static Buffer *channel_made(NestCx *nx, const char *name, bool shift)
{
    static const int params[] = {0, 1, 2, 3};
    const Expr *param[4] = {0};
    Arena *a = nx->arena;
    Made *made = nest_made(nx, name, 1, &nx->out->dim[1].extent, nx->node->n_param, params);
    Builder b = build_kernel(made->make);
    Index c = nest_loop(&b, "c", nx->out->dim[1].extent);
    for (int i = 0; i < nx->node->n_param; i++)
        param[i] = expr_cast(a, TYPE_F64, nest_load(nx, made->make->buffer[i], &c));
    build_store(&b, kernel_buffer(made->make, "y"), &c,
                expr_cast(a, nx->type, channel_value(nx, param, shift, TYPE_F64)));
    build_end(&b, 1);
    return made->buffer;
}

void batchnorm_nest(NestCx *nx)
{
    Index at[MAX_DIMS];
    const Expr *param[4] = {0}, *factor, *shift;
    bool made = nx->type == TYPE_F32;
    Buffer *factors = made ? channel_made(nx, "factor", false) : NULL;
    Buffer *shifts = made ? channel_made(nx, "shift", true) : NULL;
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    for (int i = 0; i < nx->node->n_param; i++)
        param[i] = nest_load(nx, nx->param[i], &at[1]);
    factor = made ? nest_load(nx, factors, &at[1]) : channel_value(nx, param, false, nx->type);
    shift = made ? nest_load(nx, shifts, &at[1]) : channel_value(nx, param, true, nx->type);
    build_store(&b, nx->out, at, expr_fma(nx->arena, nest_load(nx, nx->in[0], at), factor, shift));
    build_end(&b, nx->out->rank);
}

OpCost batchnorm_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, 2);
}
