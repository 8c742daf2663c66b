/* conv: y[n, oc, oy, ox] = b[oc] + sum over ic, ky, kx of
 *   x[n, g*C/G + ic, oy*stride + ky*dilation - pad, ...] * w[oc, ic, ky, kx],   g = oc / (out/G),
 * where x is zero outside; without oy and ky at rank 3.
 *
 * example: conv {out: 256, kernel: 5, pad: 2, groups: 2} over [N, 96, 27, 27] has weight
 * [256, 48, 5, 5], bias [256] and gives [N, 256, 27, 27].
 *
 * contract: two nests of the same sums in the same order, ic before ky before kx, one fma a term:
 * conv_nest reads x directly; conv_nest_im2col first copies every window into a matrix, whose
 * zeros then take the place of the guards.
 */
#include "ops/ops.h"

bool conv_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 3, 4))
        return false;
    const Shape *in = &n->in[0]->shape;
    int64_t out = node_int(n, "out"), groups = node_int(n, "groups"), channels = in->dim[1];
    if (channels % groups != 0) {
        op_error(cx, n, "groups", "E0603", "%lld groups do not divide the %lld input channels",
                 (long long)groups, (long long)channels);
        diag_help(cx->diags, "'groups' must divide both %lld and 'out'", (long long)channels);
        return false;
    }
    if (out % groups != 0) {
        op_error(cx, n, "out", "E0603", "%lld groups do not divide the %lld output channels",
                 (long long)groups, (long long)out);
        diag_help(cx->diags, "'out' must be a multiple of %lld", (long long)groups);
        return false;
    }
    int64_t extent[2];
    if (!window_infer(cx, n, false, extent))
        return false;
    Window w = node_window(n);
    bool flat = in->rank == 3;
    Shape weight = flat ? (Shape){3, {out, channels / groups, w.kernel[1]}}
                        : (Shape){4, {out, channels / groups, w.kernel[0], w.kernel[1]}};
    Shape result = flat ? (Shape){3, {in->dim[0], out, extent[1]}}
                        : (Shape){4, {in->dim[0], out, extent[0], extent[1]}};
    if (!op_set_param(cx, n, 0, "weight", weight))
        return false;
    if (node_int(n, "bias") && !op_set_param(cx, n, 1, "bias", (Shape){1, {out}}))
        return false;
    return op_set_output(cx, n, &result);
}

/* ---- loops -------------------------------------------------------------------------------- */
typedef struct ConvNest {
    NestCx *nx;
    Builder build;
    Window window;
    bool flat;                     /* rank 3: no oy, no ky */
    bool grouped;                  /* there is a loop g */
    int64_t groups, in_each, out_each;
    int open;                      /* loops to close */
    Index n, g, oc, oy, ox, ic, ky, kx;
} ConvNest;

/* Weights [out, ...] of a grouped convolution are seen as [groups, out / groups, ...]: the same
 * numbers, and each group's channels can be padded to whole vectors. */
static void split_groups(Buffer *b, int64_t groups)
{
    for (int d = b->rank++; d > 1; d--)
        b->dim[d] = b->dim[d - 1];
    b->dim[1] = (Dim){.extent = b->dim[0].extent / groups};
    b->dim[0] = (Dim){.extent = groups};
}

static ConvNest conv_begin(NestCx *nx)
{
    ConvNest c = {.nx = nx, .build = build_kernel(nx->kernel), .window = node_window(nx->node)};
    c.flat = nx->out->rank == 3;
    c.groups = node_int(nx->node, "groups");
    c.in_each = nx->in[0]->dim[1].extent / c.groups;
    c.out_each = nx->out->dim[1].extent / c.groups;
    for (int i = 0; i < nx->node->n_param && c.groups > 1; i++)
        split_groups(nx->param[i], c.groups);
    return c;
}

static Index loop_open(ConvNest *c, const char *name, int64_t extent)
{
    c->open++;
    return nest_loop(&c->build, name, extent);
}

static void loops_close(ConvNest *c)
{
    build_end(&c->build, c->open);
    c->open = 0;
}

static void output_row_loops(ConvNest *c)
{
    if (!c->flat)
        c->oy = loop_open(c, "oy", c->window.out[0]);
    c->ox = loop_open(c, "ox", c->window.out[1]);
}

static void spatial_loops(ConvNest *c)
{
    c->n = loop_open(c, "n", c->nx->out->dim[0].extent);
    c->grouped = c->groups > 1;
    if (c->grouped)
        c->g = loop_open(c, "g", c->groups);
    c->oc = loop_open(c, "oc", c->out_each);
    output_row_loops(c);
}

static void kernel_loops(ConvNest *c)
{
    if (!c->flat)
        c->ky = loop_open(c, "ky", c->window.kernel[0]);
    c->kx = loop_open(c, "kx", c->window.kernel[1]);
}

/* ---- accesses ----------------------------------------------------------------------------- */
/* g * each + v: a channel counted over all groups. */
static Index channel_index(const ConvNest *c, int64_t each, Index v)
{
    Arena *a = c->nx->arena;
    return c->grouped ? index_add(a, index_scale(a, c->g, each), v) : v;
}

static void output_index(const ConvNest *c, Index at[4])
{
    int d = 0;
    at[d++] = c->n;
    at[d++] = channel_index(c, c->out_each, c->oc);
    if (!c->flat)
        at[d++] = c->oy;
    at[d] = c->ox;
}

/* Where a window reads x, and the guards of those positions. Returns how many guards. */
static int input_index(const ConvNest *c, Index at[4], Cond cond[2])
{
    Arena *a = c->nx->arena;
    const Buffer *x = c->nx->in[0];
    int d = 0, n_cond = 0;
    at[d++] = c->n;
    at[d++] = channel_index(c, c->in_each, c->ic);
    if (!c->flat) {
        at[d] = window_index(a, &c->window, 0, c->oy, c->ky);
        window_guard(cond, &n_cond, x, d, at[d], true);
        d++;
    }
    at[d] = window_index(a, &c->window, 1, c->ox, c->kx);
    window_guard(cond, &n_cond, x, d, at[d], true);
    return n_cond;
}

/* The first dimensions of a parameter: [oc], or [g, oc]. */
static int param_index(const ConvNest *c, Index *at)
{
    int d = 0;
    if (c->grouped)
        at[d++] = c->g;
    at[d++] = c->oc;
    return d;
}

static const Expr *weight_load(const ConvNest *c)
{
    Index at[5];
    int d = param_index(c, at);
    at[d++] = c->ic;
    if (!c->flat)
        at[d++] = c->ky;
    at[d] = c->kx;
    return nest_load(c->nx, c->nx->param[0], at);
}

/* ---- nests -------------------------------------------------------------------------------- */
static void init_nest(ConvNest *c)
{
    NestCx *nx = c->nx;
    Index at[4], bias[2];
    spatial_loops(c);
    output_index(c, at);
    param_index(c, bias);
    build_store(&c->build, nx->out, at, nx->node->n_param > 1 ? nest_load(nx, nx->param[1], bias)
                                                              : nest_const(nx, 0));
    loops_close(c);
}

static void store_guarded(ConvNest *c, Buffer *to, const Index *at, const Expr *e,
                          const Cond *cond, int n_cond)
{
    build_if(&c->build, cond, n_cond);
    build_store(&c->build, to, at, e);
    build_end(&c->build, 1);
}

/* y += x * w, the loops over the window's elements being open. */
static const Expr *update_value(const ConvNest *c, Buffer *x, const Index *from, const Index *at)
{
    NestCx *nx = c->nx;
    return expr_fma(nx->arena, nest_load(nx, x, from), weight_load(c), nest_load(nx, nx->out, at));
}

static void sum_loops(ConvNest *c)
{
    spatial_loops(c);
    c->ic = loop_open(c, "ic", c->in_each);
    kernel_loops(c);
}

void conv_nest(NestCx *nx)
{
    ConvNest c = conv_begin(nx);
    Index at[4], from[4];
    Cond cond[2];
    init_nest(&c);
    sum_loops(&c);
    output_index(&c, at);
    int n_cond = input_index(&c, from, cond);
    store_guarded(&c, nx->out, at, update_value(&c, nx->in[0], from, at), cond, n_cond);
    loops_close(&c);
}

/* The matrix of windows: one row a kernel tap (channel, ky, kx), one column an output position;
 * kept with its parts as dimensions, so that every index stays affine. */
static Buffer *window_matrix(const ConvNest *c)
{
    const Window *w = &c->window;
    int64_t n = c->nx->out->dim[0].extent, channels = c->in_each * c->groups;
    int64_t flat[] = {n, channels, w->kernel[1], w->out[1]};
    int64_t full[] = {n, channels, w->kernel[0], w->kernel[1], w->out[0], w->out[1]};
    return kernel_scratch(c->nx->kernel, "col", c->nx->type, c->flat ? 4 : 6,
                          c->flat ? flat : full);
}

static void matrix_index(const ConvNest *c, Index at[6])
{
    int d = 0;
    at[d++] = c->n;
    at[d++] = channel_index(c, c->in_each, c->ic);
    if (!c->flat)
        at[d++] = c->ky;
    at[d++] = c->kx;
    if (!c->flat)
        at[d++] = c->oy;
    at[d] = c->ox;
}

static void matrix_loops(ConvNest *c)
{
    c->grouped = false;                        /* channels of all groups in one loop */
    c->n = loop_open(c, "n", c->nx->out->dim[0].extent);
    c->ic = loop_open(c, "ic", c->in_each * c->groups);
    kernel_loops(c);
    output_row_loops(c);
}

static void matrix_fill(ConvNest *c, Buffer *col)
{
    NestCx *nx = c->nx;
    Index at[6], from[4];
    Cond cond[2];
    matrix_loops(c);
    int n_cond = input_index(c, from, cond);
    matrix_index(c, at);
    if (n_cond > 0) {                          /* zeros first, then the windows' inner part */
        build_store(&c->build, col, at, nest_const(nx, 0));
        loops_close(c);
        matrix_loops(c);
        n_cond = input_index(c, from, cond);
        matrix_index(c, at);
    }
    store_guarded(c, col, at, nest_load(nx, nx->in[0], from), cond, n_cond);
    loops_close(c);
}

static void conv_nest_im2col(NestCx *nx)
{
    ConvNest c = conv_begin(nx);
    Buffer *col = window_matrix(&c);
    Index at[4], from[6];
    matrix_fill(&c, col);
    init_nest(&c);
    sum_loops(&c);
    output_index(&c, at);
    matrix_index(&c, from);
    build_store(&c.build, nx->out, at, update_value(&c, col, from, at));
    loops_close(&c);
}

bool conv_nest_by(NestCx *nx, const char *algo)
{
    WinogradForm form;
    if (!algo || str_eq(algo, "im2col"))
        conv_nest_im2col(nx);
    else if (str_eq(algo, "direct"))
        conv_nest(nx);
    else if (winograd_form(nx->node, algo, &form))
        winograd_nest(nx, &form);
    else
        return false;
    return true;
}

void conv_halo(const Node *n, int64_t pad[4])
{
    Window w = node_window(n);
    WinogradForm f;
    bool tiled = n->algo && winograd_form(n, n->algo, &f);
    for (int d = 0; d < 2; d++) {
        int64_t rows = tiled ? f.tiles[d] * f.m + f.r - 1 : 0;
        int64_t reach = rows * w.stride[d] - w.pad[d] - w.in[d];
        pad[d] = w.pad[d];
        pad[d + 2] = reach > w.pad[d + 2] ? reach : w.pad[d + 2];
    }
}

OpCost conv_cost(const Node *n)
{
    int64_t taps = shape_count(&n->param[0].shape) / n->param[0].shape.dim[0];
    return op_cost(shape_count(&n->out->shape), taps, 2 * taps);
}
