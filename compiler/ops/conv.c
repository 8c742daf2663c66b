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

/* Each channel by itself: the groups' channels can be lanes, as those of other convolutions. */
bool conv_is_depthwise(const Node *n)
{
    int64_t groups = node_int(n, "groups");
    return groups > 1 && n->in[0]->shape.dim[1] == groups && n->out->shape.dim[1] == groups;
}

/* ---- loops -------------------------------------------------------------------------------- */
typedef struct ConvNest {
    NestCx *nx;
    Builder build;
    Window window;
    int first;                     /* direction windows begin with: 0, or 1 at rank 3 */
    bool grouped;                  /* there is a loop g */
    bool depthwise;                /* groups of one channel: no loops oc and ic beside g */
    int64_t groups, in_each, out_each;
    int open;                      /* loops to close */
    Index n, g, oc, ic, o[2], k[2];        /* o, k: by direction, position and tap */
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
    c.first = nx->out->rank == 3 ? 1 : 0;
    c.groups = node_int(nx->node, "groups");
    c.in_each = nx->in[0]->dim[1].extent / c.groups;
    c.out_each = nx->out->dim[1].extent / c.groups;
    c.depthwise = conv_is_depthwise(nx->node);
    for (int i = 0; i < nx->node->n_param && c.groups > 1 && !c.depthwise; i++)
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

static void output_loops(ConvNest *c)
{
    for (int d = c->first; d < 2; d++)
        c->o[d] = loop_open(c, d == 0 ? "oy" : "ox", c->window.out[d]);
}

static void tap_loops(ConvNest *c, int64_t channels)
{
    c->ic = c->depthwise && c->grouped ? index_const(0) : loop_open(c, "ic", channels);
    for (int d = c->first; d < 2; d++)
        c->k[d] = loop_open(c, d == 0 ? "ky" : "kx", c->window.kernel[d]);
}

static void spatial_loops(ConvNest *c)
{
    c->n = loop_open(c, "n", c->nx->out->dim[0].extent);
    c->grouped = c->groups > 1;
    if (c->grouped)
        c->g = loop_open(c, "g", c->groups);
    c->oc = c->depthwise ? index_const(0) : loop_open(c, "oc", c->out_each);
    output_loops(c);
}

/* ---- accesses ----------------------------------------------------------------------------- */
/* n and a channel counted over all groups. */
static int item_index(const ConvNest *c, int64_t each, Index channel, Index *at)
{
    Arena *a = c->nx->arena;
    at[0] = c->n;
    at[1] = c->grouped ? index_add(a, index_scale(a, c->g, each), channel) : channel;
    return 2;
}

/* Positions or taps, from at[dim] on; returns the next dimension. */
static int place_index(const ConvNest *c, const Index place[2], int dim, Index *at)
{
    for (int d = c->first; d < 2; d++)
        at[dim++] = place[d];
    return dim;
}

static void output_index(const ConvNest *c, Index at[4])
{
    place_index(c, c->o, item_index(c, c->out_each, c->oc, at), at);
}

/* Where a window reads x, and the guards of those positions. Returns how many guards. */
static int input_index(const ConvNest *c, Index at[4], Cond cond[2])
{
    int n_cond = 0, dim = item_index(c, c->in_each, c->ic, at);
    for (int d = c->first; d < 2; d++, dim++) {
        at[dim] = window_index(c->nx->arena, &c->window, d, c->o[d], c->k[d]);
        window_guard(cond, &n_cond, c->nx->in[0], dim, at[dim], true);
    }
    return n_cond;
}

/* Of the matrix of windows. */
static void matrix_index(const ConvNest *c, Index at[6])
{
    int dim = item_index(c, c->in_each, c->ic, at);
    place_index(c, c->o, place_index(c, c->k, dim, at), at);
}

/* The first dimensions of a parameter: [oc], [g, oc], or depthwise [g]. */
static int param_index(const ConvNest *c, Index *at)
{
    int n = 0;
    if (c->grouped)
        at[n++] = c->g;
    if (!c->depthwise)
        at[n++] = c->oc;
    return n;
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

/* y += x * w over the windows, x being the input or, where there is one, their matrix. */
static void sum_nest(ConvNest *c, Buffer *matrix)
{
    NestCx *nx = c->nx;
    Index at[4], from[6], tap[5];
    Cond cond[2];
    int n_cond = 0;
    spatial_loops(c);
    tap_loops(c, c->in_each);
    output_index(c, at);
    if (matrix)
        matrix_index(c, from);
    else
        n_cond = input_index(c, from, cond);
    int dim = param_index(c, tap);
    tap[dim++] = c->ic;
    place_index(c, c->k, dim, tap);
    store_guarded(c, nx->out, at,
                  expr_fma(nx->arena, nest_load(nx, matrix ? matrix : nx->in[0], from),
                           nest_load(nx, nx->param[0], tap), nest_load(nx, nx->out, at)),
                  cond, n_cond);
    loops_close(c);
}

void conv_nest(NestCx *nx)
{
    ConvNest c = conv_begin(nx);
    init_nest(&c);
    sum_nest(&c, NULL);
}

/* The matrix of windows: one row a kernel tap (channel, ky, kx), one column an output position;
 * kept with its parts as dimensions, so that every index stays affine. */
static Buffer *window_matrix(const ConvNest *c)
{
    const Window *w = &c->window;
    int64_t extent[6] = {c->nx->out->dim[0].extent, c->in_each * c->groups};
    int rank = 2;
    for (int d = c->first; d < 2; d++)
        extent[rank++] = w->kernel[d];
    for (int d = c->first; d < 2; d++)
        extent[rank++] = w->out[d];
    return kernel_scratch(c->nx->kernel, "col", c->nx->type, rank, extent);
}

/* Zeros first, if windows reach outside, then the windows' inner part. */
static void matrix_fill(ConvNest *c, Buffer *col)
{
    NestCx *nx = c->nx;
    Index at[6], from[4];
    Cond cond[2];
    bool zeroed = false, filled = false;
    c->grouped = false;                        /* channels of all groups in one loop */
    while (!filled) {
        c->n = loop_open(c, "n", nx->out->dim[0].extent);
        tap_loops(c, c->in_each * c->groups);
        output_loops(c);
        int n_cond = input_index(c, from, cond);
        matrix_index(c, at);
        filled = zeroed || n_cond == 0;
        if (filled)
            store_guarded(c, col, at, nest_load(nx, nx->in[0], from), cond, n_cond);
        else
            build_store(&c->build, col, at, nest_const(nx, 0));
        zeroed = true;
        loops_close(c);
    }
}

static void conv_nest_im2col(NestCx *nx)
{
    ConvNest c = conv_begin(nx);
    Buffer *col = window_matrix(&c);
    matrix_fill(&c, col);
    init_nest(&c);
    sum_nest(&c, col);
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
