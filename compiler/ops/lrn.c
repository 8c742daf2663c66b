/* lrn, local response normalisation across channels: y_c = x_c / (k + alpha/size * s)^beta, where
 * s is the sum of x_j * x_j, j from c - size/2 to c + (size-1)/2, clipped to the channels.
 *
 * example: lrn {size: 5, alpha: 1e-4, beta: 0.75, k: 2} keeps the shape [N, 96, 27, 27].
 *
 * contract: beta is a multiple of 1/4, so that the power is made of square roots. Squares are kept
 * channel-last in a scratch buffer that has zero channels on both sides: sums need no guard, and
 * neighbouring channels are contiguous. LRN of infinity is NaN (infinity * 0).
 */
#include "ops/ops.h"

#include <math.h>

#define MAX_BETA 4

bool lrn_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 3, 4))
        return false;
    double quarters = node_float(n, "beta") * 4;
    if (quarters < 1 || quarters > 4 * MAX_BETA || floor(quarters) < quarters) {
        Str beta = str_new(cx->temp);
        str_double(&beta, node_float(n, "beta"));
        op_error(cx, n, "beta", "E0609",
                 "beta %s is not supported yet; expected a multiple of 0.25 up to %d", beta.data,
                 MAX_BETA);
        diag_help(cx->diags, "0.75 is what Krizhevsky et al. (2012) use");
        return false;
    }
    return op_set_output(cx, n, &n->in[0]->shape);
}

/* Loops n, oy, ox (ox alone at rank 3), c; indices of the tensor and, up to its channel, of the
 * squares. Returns the channel's index. */
static Index lrn_loops(Builder *b, const Buffer *x, int64_t channels, Index at[4],
                       Index square[4])
{
    static const char *const names[2][2] = {{"ox", ""}, {"oy", "ox"}};
    at[0] = square[0] = nest_loop(b, "n", x->dim[0].extent);
    for (int d = 2; d < x->rank; d++)
        at[d] = square[d - 1] = nest_loop(b, names[x->rank - 3][d - 2], x->dim[d].extent);
    return at[1] = nest_loop(b, "c", channels);
}

static void zero_channels(NestCx *nx, Builder *b, Buffer *sq, int64_t first, int64_t count)
{
    Index at[4], square[4];
    if (count == 0)
        return;
    Index c = lrn_loops(b, nx->in[0], count, at, square);
    square[sq->rank - 1] = index_offset(c, first);
    build_store(b, sq, square, nest_const(nx, 0));
    build_end(b, sq->rank);
}

static Buffer *squares_nest(NestCx *nx, Builder *b, int64_t size)
{
    Buffer *x = nx->in[0];
    int64_t channels = x->dim[1].extent, extent[4];
    extent[0] = x->dim[0].extent;
    for (int d = 2; d < x->rank; d++)
        extent[d - 1] = x->dim[d].extent;
    extent[x->rank - 1] = channels + size - 1;
    Buffer *sq = kernel_scratch(nx->kernel, "sq", nx->type, x->rank, extent);
    zero_channels(nx, b, sq, 0, size / 2);
    zero_channels(nx, b, sq, size / 2 + channels, (size - 1) / 2);

    Index at[4], square[4];
    Index c = lrn_loops(b, x, channels, at, square);
    square[x->rank - 1] = index_offset(c, size / 2);
    const Expr *value = nest_load(nx, x, at);
    build_store(b, sq, square, expr_bin(nx->arena, BIN_MUL, value, value));
    build_end(b, x->rank);
    return sq;
}

static void sums_nest(NestCx *nx, Builder *b, Buffer *sq, int64_t size)
{
    Buffer *y = nx->out;
    int64_t channels = y->dim[1].extent;
    Index at[4], square[4];
    lrn_loops(b, y, channels, at, square);
    build_store(b, y, at, nest_const(nx, 0));
    build_end(b, y->rank);

    Index c = lrn_loops(b, y, channels, at, square);
    square[y->rank - 1] = index_add(nx->arena, c, nest_loop(b, "j", size));
    build_store(b, y, at,
                nest_reduce(nx, BIN_ADD, nest_load(nx, y, at), nest_load(nx, sq, square)));
    build_end(b, y->rank + 1);
}

void lrn_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    Buffer *x = nx->in[0], *y = nx->out;
    int64_t size = node_int(nx->node, "size");
    Builder b = build_kernel(nx->kernel);
    sums_nest(nx, &b, squares_nest(nx, &b, size), size);

    Index at[4], square[4];
    lrn_loops(&b, y, y->dim[1].extent, at, square);
    double alpha = node_float(nx->node, "alpha") / (double)size;
    const Expr *base = expr_fma(a, nest_const(nx, alpha), nest_load(nx, y, at),
                                nest_const(nx, node_float(nx->node, "k")));
    int quarters = (int)(node_float(nx->node, "beta") * 4);
    build_store(&b, y, at,
                expr_bin(a, BIN_MUL, nest_load(nx, x, at),
                         expr_pow_neg_quarters(a, base, quarters)));
    build_end(&b, y->rank);
}

/* A square and its fma, size - 1 additions, two roots and about three products for the power. */
OpCost lrn_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, node_int(n, "size") + 8);
}
