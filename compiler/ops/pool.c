/* maxpool: y[n, c, oy, ox] = largest x[n, c, oy*stride + ky*dilation - pad, ...] of a window;
 * outside of x there is -infinity; without oy and ky at rank 3.
 *
 * example: maxpool {kernel: 3, stride: 2} over [N, 96, 55, 55] gives [N, 96, 27, 27].
 *
 * contract: NaN in a window gives NaN; a window of -infinity alone stays -infinity. ceil_mode
 * drops a window that would start in the end padding; pad is at most half the kernel.
 */
#include "ops/ops.h"

#include <math.h>

static bool pad_check(Cx *cx, const Node *n)
{
    Window w = node_window(n);
    for (int side = 0; side < 4; side++) {
        int64_t most = w.kernel[side % 2] / 2;
        if (w.pad[side] <= most)
            continue;
        op_error(cx, n, "pad", "E0606", "pad %lld is more than half of kernel %lld",
                 (long long)w.pad[side], (long long)w.kernel[side % 2]);
        diag_help(cx->diags, "pad may be at most %lld here", (long long)most);
        return false;
    }
    return true;
}

bool maxpool_infer(Cx *cx, Node *n)
{
    int64_t extent[2];
    if (!op_check(cx, n, 3, 4) || !window_infer(cx, n, node_int(n, "ceil_mode") != 0, extent) ||
        !pad_check(cx, n))
        return false;
    Shape shape = n->in[0]->shape;
    shape.dim[shape.rank - 1] = extent[1];
    if (shape.rank == 4)
        shape.dim[2] = extent[0];
    n->n_param = 0;
    return op_set_output(cx, n, &shape);
}

/* n, c, oy, ox: the same loops in both nests. Fills the output's indices. */
static void output_loops(Builder *b, const Buffer *y, const Var *var[4], Index at[4])
{
    static const char *const names[2][4] = {{"n", "c", "ox"}, {"n", "c", "oy", "ox"}};
    for (int d = 0; d < y->rank; d++) {
        var[d] = build_for(b, names[y->rank - 3][d], y->dim[d].extent);
        at[d] = index_var(b->arena, var[d]);
    }
}

void maxpool_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    Buffer *x = nx->in[0], *y = nx->out;
    Window w = node_window(nx->node);
    const Var *var[4];
    Index at[4], from[4];
    Builder b = build_kernel(nx->kernel);
    output_loops(&b, y, var, at);
    build_store(&b, y, at, nest_const(nx, -HUGE_VAL));
    build_end(&b, y->rank);

    output_loops(&b, y, var, at);
    Cond cond[2];
    int n_cond = 0;
    from[0] = at[0];
    from[1] = at[1];
    for (int d = 2; d < y->rank; d++) {
        int direction = d - y->rank + 2;
        const Var *k = build_for(&b, direction == 0 ? "ky" : "kx", w.kernel[direction]);
        from[d] = window_index(a, &w, direction, var[d], k);
        window_guard(cond, &n_cond, x, d, from[d], false);
    }
    if (n_cond > 0)
        build_if(&b, cond, n_cond);
    build_store(&b, y, at,
                expr_bin(a, BIN_MAX, expr_load(a, y, at, y->rank, 1),
                         expr_load(a, x, from, x->rank, 1)));
    build_end(&b, 2 * y->rank - 2 + (n_cond > 0));
}

OpCost maxpool_cost(const Node *n)
{
    Window w = node_window(n);
    return op_cost(shape_count(&n->out->shape), 0, w.kernel[0] * w.kernel[1]);
}
