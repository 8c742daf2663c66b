/* Pooling: maxpool, avgpool and global_avgpool.
 *
 *   y[n, c, oy, ox] = largest, or sum / count, of x[n, c, oy*stride + ky*dilation - pad, ...] over
 *   a window; outside of x there is -infinity, or 0; without oy and ky at rank 3
 *
 * example: maxpool {kernel: 3, stride: 2} over [N, 96, 55, 55] gives [N, 96, 27, 27].
 *
 * contract: NaN in a window gives NaN; a window of -infinity alone stays -infinity. ceil_mode
 * drops a window that would start in the end padding; pad is at most half the kernel. An average
 * divides by the window clipped to the padded input, or to the input (count_include_pad false).
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

bool pool_infer(Cx *cx, Node *n)
{
    int64_t extent[2];
    if (!op_check(cx, n, 3, 4) || !window_infer(cx, n, node_int(n, "ceil_mode") != 0, extent) ||
        !pad_check(cx, n))
        return false;
    Shape shape = n->in[0]->shape;
    shape.dim[shape.rank - 1] = extent[1];
    if (shape.rank == 4)
        shape.dim[2] = extent[0];
    return op_set_output(cx, n, &shape);
}

bool global_avgpool_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 3, 4))
        return false;
    Shape shape = n->in[0]->shape;
    for (int d = 2; d < shape.rank; d++)
        shape.dim[d] = 1;
    return op_set_output(cx, n, &shape);
}

/* ---- windows ------------------------------------------------------------------------------ */
static const char *const loop_names[2][4] = {{"n", "c", "ox"}, {"n", "c", "oy", "ox"}};

typedef struct PoolNest {
    NestCx *nx;
    Builder build;
    Window window;
    const char *const *names;      /* of the loops over the output */
    Index at[4], from[4];          /* of the output and the input */
} PoolNest;

/* Without a kernel: one window as large as the input. */
static Window pool_window(const Node *n)
{
    Window w = node_window(n);
    for (int d = 0; d < 2 && !node_attr(n, "kernel"); d++)
        w.kernel[d] = w.in[d];
    return w;
}

static PoolNest pool_begin(NestCx *nx)
{
    return (PoolNest){.nx = nx, .build = build_kernel(nx->kernel),
                      .window = pool_window(nx->node), .names = loop_names[nx->out->rank - 3]};
}

/* How much of the padding along direction d an average counts. */
static void counted_pad(const PoolNest *s, int d, int64_t *before, int64_t *after)
{
    const AttrValue *counts = node_attr(s->nx->node, "count_include_pad");
    bool padded = counts && counts->i[0];
    *before = padded ? s->window.pad[d] : 0;
    *after = padded ? s->window.pad[d + 2] : 0;
}

/* Loops over a window's elements and a test for those that count, or those of the input; returns
 * how many levels it opened. */
static int window_loops(PoolNest *s, bool counting)
{
    Cond cond[2];
    int n_cond = 0, rank = s->nx->out->rank;
    for (int d = 2; d < rank; d++) {
        int direction = d - rank + 2;
        Index k = nest_loop(&s->build, direction == 0 ? "ky" : "kx", s->window.kernel[direction]);
        int64_t before, after;
        s->from[d] = window_index(s->nx->arena, &s->window, direction, s->at[d], k);
        counted_pad(s, direction, &before, &after);
        if (counting)
            cond[n_cond++] = (Cond){index_offset(s->from[d], before),
                                    s->window.in[direction] + before + after};
        else
            window_guard(cond, &n_cond, s->nx->in[0], d, s->from[d], false);
    }
    build_if(&s->build, cond, n_cond);
    return rank - 1;
}

/* Sum or maximum of each window into y; into a buffer without n and c, how many elements count. */
static void reduce_nest(PoolNest *s, Buffer *to, BinOp op, double neutral)
{
    int skip = s->nx->out->rank - to->rank;
    Index *at = s->at + skip;
    nest_loops(&s->build, to, s->names + skip, at);
    build_store(&s->build, to, at, nest_const(s->nx, neutral));
    build_end(&s->build, to->rank);

    nest_loops(&s->build, to, s->names + skip, at);
    s->from[0] = s->at[0];
    s->from[1] = s->at[1];
    int open = window_loops(s, skip > 0);
    const Expr *value = skip > 0 ? nest_const(s->nx, 1) : nest_load(s->nx, s->nx->in[0], s->from);
    build_store(&s->build, to, at, nest_reduce(s->nx, op, nest_load(s->nx, to, at), value));
    build_end(&s->build, to->rank + open);
}

void maxpool_nest(NestCx *nx)
{
    PoolNest s = pool_begin(nx);
    reduce_nest(&s, nx->out, BIN_MAX, -HUGE_VAL);
}

/* ---- averages ----------------------------------------------------------------------------- */
/* Does a window contain elements that do not count? */
static bool counts_differ(const PoolNest *s)
{
    const Window *w = &s->window;
    for (int d = 0; d < 2; d++) {
        int64_t before, after;
        counted_pad(s, d, &before, &after);
        int64_t last = (w->out[d] - 1) * w->stride[d] + w->kernel[d] - 1 - w->pad[d];
        if (w->pad[d] > before || last >= w->in[d] + after)
            return true;
    }
    return false;
}

/* How many elements count, window by window: the same for all items and channels. */
static Buffer *counts_nest(PoolNest *s)
{
    int rank = s->nx->out->rank - 2;
    int64_t extent[2];
    for (int d = 0; d < rank; d++)
        extent[d] = s->nx->out->dim[2 + d].extent;
    Buffer *count = kernel_scratch(s->nx->kernel, "count", s->nx->type, rank, extent);
    reduce_nest(s, count, BIN_ADD, 0);
    return count;
}

void avgpool_nest(NestCx *nx)
{
    Buffer *y = nx->out;
    PoolNest s = pool_begin(nx);
    Buffer *count = counts_differ(&s) ? counts_nest(&s) : NULL;
    reduce_nest(&s, y, BIN_ADD, 0);

    nest_loops(&s.build, y, s.names, s.at);
    double whole = (double)(s.window.kernel[0] * s.window.kernel[1]);
    const Expr *divisor = count ? nest_load(nx, count, s.at + 2) : nest_const(nx, whole);
    build_store(&s.build, y, s.at,
                expr_bin(nx->arena, BIN_DIV, nest_load(nx, y, s.at), divisor));
    build_end(&s.build, y->rank);
}

OpCost pool_cost(const Node *n)
{
    Window w = pool_window(n);
    return op_cost(shape_count(&n->out->shape), 0, w.kernel[0] * w.kernel[1]);
}
