/* winograd: a convolution as F(m, r): m x m outputs from r x r taps with a = m + r - 1 products in
 * each direction instead of m * r.
 *
 *   y = A' [ (G w G') . (B' x B) ] A        of a tile of a x a inputs, the products summed over ic
 *
 * example: F(4, 3) has a = 6: 36 products where the direct sum has 144.
 *
 * A convolution of stride s is one of stride 1 over s x s times the channels: channel (c, dy, dx)
 * at (y, x) is channel c at (s * y + dy, s * x + dx), and what s does not divide of the kernel is
 * filled up with zeros. 11 x 11 taps of stride 4 over 3 channels are 3 x 3 taps over 48. Channels
 * are filled up with zeros too, to whole blocks.
 *
 * The matrices are those of Toom and Cook's evaluation and interpolation at a - 1 points and
 * infinity, transposed into a filter (Winograd, Arithmetic Complexity of Computations, 1980; Lavin
 * and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 3). The points are few
 * small powers of two, which keep the error small (Barabasz and others, Error Analysis and
 * Improving the Accuracy of Winograd Convolution, 2020): A and B are exact, and so is G but for a
 * division of each row, which is done last, in double.
 *
 * contract: the nests stand in frames: band by band of tile rows, all tiles of x become v; then,
 * block of output channels by block, the products become mm and mm becomes y. What infinity or NaN
 * meets in a tile, it spreads over the tile.
 */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#define MAX_ALPHA 8
#define CHANNELS 16                    /* of a block of inputs; outputs come in one or two */

static const double POINT[MAX_ALPHA - 1] = {0, 1, -1, 0.5, -2, 2, -0.5};

typedef struct Tables {
    double a[MAX_ALPHA][MAX_ALPHA], b[MAX_ALPHA][MAX_ALPHA], g[MAX_ALPHA][MAX_ALPHA];
    double divisor[MAX_ALPHA];         /* of the rows of g */
} Tables;

/* Coefficients of the product of (x - point), over all n points but one. */
static void product_of_roots(int n, int except, double out[MAX_ALPHA])
{
    int degree = 0;
    memset(out, 0, sizeof *out * MAX_ALPHA);
    out[0] = 1;
    for (int i = 0; i < n; i++) {
        if (i == except)
            continue;
        for (int k = ++degree; k > 0; k--)
            out[k] = out[k - 1] - POINT[i] * out[k];
        out[0] *= -POINT[i];
    }
}

static double value_at(const double poly[MAX_ALPHA], double x)
{
    double sum = 0;
    for (int k = MAX_ALPHA - 1; k >= 0; k--)
        sum = sum * x + poly[k];
    return sum;
}

static void tables_make(int m, int r, Tables *t)
{
    int n = m + r - 2;                 /* finite points */
    *t = (Tables){0};
    for (int j = 0; j < n; j++) {
        product_of_roots(n, j, t->b[j]);
        double power = 1;
        t->divisor[j] = value_at(t->b[j], POINT[j]);
        for (int k = 0; k < m || k < r; k++, power *= POINT[j]) {
            if (k < m)
                t->a[k][j] = power;
            if (k < r)
                t->g[j][k] = power;
        }
    }
    product_of_roots(n, -1, t->b[n]);
    t->a[m - 1][n] = 1;
    t->g[n][r - 1] = t->divisor[n] = 1;
}

static double sum_of_sizes(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs(v[i]);
    return sum;
}

/* What element i sums up, with all signs made positive, over what the definition does: in each
 * direction the sum over p of |a[i,p]| sum|g[p,]| sum|b[p,]|, over r, for the worst i. A bound on
 * the error is a small multiple of it in units of rounding (after Barabasz and others). */
double winograd_growth(const WinogradForm *f)
{
    Tables t;
    double worst = 0;
    tables_make((int)f->m, (int)f->r, &t);
    for (int64_t i = 0; i < f->m; i++) {
        double sum = 0;
        for (int64_t p = 0; p < f->m + f->r - 1; p++)
            sum += fabs(t.a[i][p] / t.divisor[p]) * sum_of_sizes(t.g[p], f->r) *
                   sum_of_sizes(t.b[p], f->m + f->r - 1);
        worst = fmax(worst, sum / (double)f->r);
    }
    return worst * worst;
}

static bool word_read(const char **text, const char *word)
{
    size_t n = strlen(word);
    bool found = strncmp(*text, word, n) == 0;
    *text += found ? n : 0;
    return found;
}

/* Up to four digits. */
static bool number_read(const char **text, int64_t *out)
{
    int digits = 0;
    for (*out = 0; **text >= '0' && **text <= '9' && digits < 4; digits++)
        *out = *out * 10 + (*(*text)++ - '0');
    return digits > 0;
}

bool winograd_form(const Node *n, const char *algo, WinogradForm *f)
{
    Window w = node_window(n);
    int64_t groups = node_int(n, "groups"), out = n->out->shape.dim[1] / groups;
    int64_t stride = w.stride[0], in = n->in[0]->shape.dim[1] / groups * stride * stride;
    *f = (WinogradForm){.r = (w.kernel[0] + stride - 1) / stride, .stride = stride};
    f->in = (in + CHANNELS - 1) / CHANNELS * CHANNELS;
    if (!word_read(&algo, "winograd ") || !number_read(&algo, &f->m) || f->m < 2)
        return false;
    for (int d = 0; d < 2; d++)
        f->tiles[d] = (w.out[d] + f->m - 1) / f->m;
    f->band = f->tiles[0];
    if (word_read(&algo, " rows ") &&
        (!number_read(&algo, &f->band) || f->band < 1 || f->tiles[0] % f->band != 0))
        return false;
    return !*algo && n->out->shape.rank == 4 && w.kernel[0] == w.kernel[1] &&
           w.stride[1] == stride && w.dilation[0] == 1 && w.dilation[1] == 1 && f->r >= 2 &&
           f->m + f->r - 1 <= MAX_ALPHA && stride <= MAX_ALPHA && out % CHANNELS == 0;
}

/* ---- the weights, in the compiler --------------------------------------------------------- */
typedef struct Winograd {
    NestCx *nx;
    Arena *arena;
    Builder build;
    Tables table;
    int64_t m, r, alpha, groups, in_each, out_each, block;
    int64_t tiles[2];                  /* of a band */
    int64_t stride, channels, taps, pad[2];    /* of the convolution that this one comes from */
    Buffer *a, *b, *u, *v, *mm;
    int64_t used;                      /* input channels before those that fill up */
    Buffer *spread;                    /* the input with s x s times the channels, in whole blocks;
                                        * NULL: it is that already */
    Index n, g, ty, tx;                /* of the open frames */
    Index first;                       /* output row of the band */
} Winograd;

static Index digits(const Winograd *w, Index high, int64_t base, Index low)
{
    return index_add(w->arena, index_scale(w->arena, high, base), low);
}

static Buffer *make_table(Winograd *w, const char *name, int64_t rows,
                          double table[MAX_ALPHA][MAX_ALPHA])
{
    const int64_t extent[] = {rows, w->alpha};
    Made *made = nest_made(w->nx, name, 2, extent, 0, NULL);
    Builder b = build_kernel(made->make);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < w->alpha; k++)
            build_store(&b, made->make->buffer[0], (Index[]){index_const(i), index_const(k)},
                        nest_const(w->nx, table[i][k]));
    return made->buffer;
}

/* (g[at][0] * x[.., first] + g[at][1] * x[.., first + stride] + ...) / divisor[at], along dimension
 * `dim`. */
static const Expr *combine(const Winograd *w, int64_t at, Buffer *x, Index *index, int dim)
{
    const Expr *sum = NULL;
    Index first = index[dim];
    for (int64_t k = 0; k < w->r; k++) {
        if (w->table.g[at][k] == 0)
            continue;
        index[dim] = index_offset(first, k * w->stride);
        const Expr *c = expr_const(w->arena, (Type){TYPE_F64, 1}, w->table.g[at][k]);
        const Expr *e = nest_load(w->nx, x, index);
        sum = sum ? expr_fma(w->arena, c, e, sum) : expr_bin(w->arena, BIN_MUL, c, e);
    }
    const double divisor = w->table.divisor[at];
    return expr_bin(w->arena, BIN_DIV, sum, expr_const(w->arena, (Type){TYPE_F64, 1}, divisor));
}

/* c * s * s + dy * s + dx */
static Index spread_channel(const Winograd *w, Index c, Index dy, Index dx)
{
    return digits(w, digits(w, c, w->stride, dy), w->stride, dx);
}

/* taps[c, ky, kx]: the kernels of one output channel, in double, filled up with zeros to s * r rows
 * and columns. */
static Buffer *make_taps(const Winograd *w, Builder *b, Kernel *k, Index oc)
{
    const int64_t side = w->stride * w->r, extent[] = {w->channels, side, side};
    Buffer *taps = kernel_scratch(k, "taps", TYPE_F64, 3, extent);
    for (int copy = side > w->taps ? 0 : 1; copy < 2; copy++) {
        Index ky = nest_loop(b, "ky", copy ? w->taps : side);
        Index kx = nest_loop(b, "kx", copy ? w->taps : side);
        Index c = nest_loop(b, "c", w->channels);
        const Expr *tap = nest_load(w->nx, k->buffer[0], (Index[]){oc, c, ky, kx});
        build_store(b, taps, (Index[]){c, ky, kx},
                    copy ? expr_cast(w->arena, TYPE_F64, tap)
                         : expr_const(w->arena, (Type){TYPE_F64, 1}, 0));
        build_end(b, 3);
    }
    return taps;
}

/* u[p, oc, ic] = (G w G')[p / a, p % a], column by column and then row by row. Channels are the
 * innermost loops: the interpreter, which runs this, likes them long. */
static void make_weights(Winograd *w)
{
    static const int weight = 0;
    const int64_t out = w->groups * w->out_each;
    const int64_t extent[] = {w->alpha * w->alpha, out, w->in_each};
    const int64_t half_extent[] = {w->alpha, w->channels, w->stride, w->stride * w->r};
    Made *made = nest_made(w->nx, "u", 3, extent, 1, &weight);
    Kernel *k = made->make;
    Builder b = build_kernel(k);
    Buffer *half = kernel_scratch(k, "half", TYPE_F64, 4, half_extent);
    Index oc = nest_loop(&b, "oc", out);
    Buffer *taps = make_taps(w, &b, k, oc);
    for (int64_t i = 0; i < w->alpha; i++) {
        Index dy = nest_loop(&b, "dy", w->stride), kx = nest_loop(&b, "kx", w->stride * w->r);
        Index c = nest_loop(&b, "c", w->channels);
        build_store(&b, half, (Index[]){index_const(i), c, dy, kx},
                    combine(w, i, taps, (Index[]){c, dy, kx}, 1));
        build_end(&b, 3);
    }
    for (int64_t j = 0; j < w->alpha; j++) {
        Index i = nest_loop(&b, "i", w->alpha), dy = nest_loop(&b, "dy", w->stride);
        Index dx = nest_loop(&b, "dx", w->stride), c = nest_loop(&b, "c", w->channels);
        Index p = index_offset(index_scale(w->arena, i, w->alpha), j);
        const Expr *e = combine(w, j, half, (Index[]){i, c, dy, dx}, 3);
        build_store(&b, k->buffer[1], (Index[]){p, oc, spread_channel(w, c, dy, dx)},
                    expr_cast(w->arena, w->nx->type, e));
        build_end(&b, 4);
    }
    if (w->used < w->in_each) {
        Index p = nest_loop(&b, "p", w->alpha * w->alpha);
        Index c = index_offset(nest_loop(&b, "c", w->in_each - w->used), w->used);
        build_store(&b, k->buffer[1], (Index[]){p, oc, c}, nest_const(w->nx, 0));
        build_end(&b, 2);
    }
    build_end(&b, 1);
    w->u = made->buffer;
}

/* ---- nests -------------------------------------------------------------------------------- */
/* An odd number of rows of an odd number of cache lines (of 16 floats): planes that lie a multiple
 * of 4 KiB apart would share a few lines of the cache. */
static Buffer *plane_scratch(const Winograd *w, const char *name, int64_t columns, bool odd_row)
{
    const int64_t tiles = w->tiles[0] * w->tiles[1];
    const int64_t extent[] = {w->alpha * w->alpha, tiles, columns};
    Buffer *b = kernel_scratch(w->nx->kernel, name, w->nx->type, 3, extent);
    b->dim[1].hi = 1 - tiles % 2;
    b->dim[2].hi = odd_row && columns / CHANNELS % 2 == 0 ? CHANNELS : 0;
    return b;
}

typedef struct Sum {                   /* out[at] += table[factor] * x[from], begun with start */
    Buffer *out, *table, *x;
    Index at[4], factor[3], from[4];
    const Expr *start;                 /* NULL: 0 */
    Cond cond[4];                      /* guards: of what is written, then of what is read */
    int n_limit, n_cond;
} Sum;

/* One of the two nests of a sum, its loops being open; they are closed. */
static void sum_store(Winograd *w, const Sum *s, bool update, int levels)
{
    const Expr *e = s->start ? s->start : nest_const(w->nx, 0);
    if (update)
        e = expr_fma(w->arena, nest_load(w->nx, s->table, s->factor),
                     nest_load(w->nx, s->x, s->from), nest_load(w->nx, s->out, s->at));
    build_if(&w->build, s->cond, update ? s->n_cond : s->n_limit);
    build_store(&w->build, s->out, s->at, e);
    build_end(&w->build, levels + 1);
}

static Index loop(Winograd *w, const char *name, int64_t extent)
{
    return nest_loop(&w->build, name, extent);
}

/* The last loop of a sum, in its update alone. */
static Index sum_loop(Winograd *w, bool update, const char *name, int64_t extent)
{
    return update ? loop(w, name, extent) : index_const(0);
}

static Index tile_index(const Winograd *w)
{
    return digits(w, w->ty, w->tiles[1], w->tx);
}

static Index input_row(const Winograd *w, Index in_band)
{
    return index_offset(digits(w, w->first, w->stride, in_band), -w->pad[0]);
}

/* The input of a band and group, with s x s times the channels, which come last. */
static void spread_input(Winograd *w)
{
    const int64_t rows = w->m * w->tiles[0] + w->r - 1, columns = w->m * w->tiles[1] + w->r - 1;
    const int64_t extent[] = {rows, columns, w->in_each};
    Buffer *x = w->nx->in[0];
    Cond cond[2];
    w->spread = kernel_scratch(w->nx->kernel, "spread", w->nx->type, 3, extent);
    if (w->used < w->in_each) {
        Index y = loop(w, "y", rows), z = loop(w, "x", columns);
        Index c = index_offset(loop(w, "c", w->in_each - w->used), w->used);
        build_store(&w->build, w->spread, (Index[]){y, z, c}, nest_const(w->nx, 0));
        build_end(&w->build, 3);
    }
    for (int copy = 0; copy < 2; copy++) {
        Index y = loop(w, "y", rows), z = loop(w, "x", columns), c = loop(w, "c", w->channels);
        Index dy = loop(w, "dy", w->stride), dx = loop(w, "dx", w->stride);
        const Index from[] = {w->n, digits(w, w->g, w->channels, c),
                              input_row(w, digits(w, y, w->stride, dy)),
                              index_offset(digits(w, z, w->stride, dx), -w->pad[1])};
        int n_cond = 0;
        window_guard(cond, &n_cond, x, 2, from[2], true);
        window_guard(cond, &n_cond, x, 3, from[3], true);
        if (n_cond == 0)
            copy = 1;
        build_if(&w->build, cond, copy ? n_cond : 0);
        build_store(&w->build, w->spread, (Index[]){y, z, spread_channel(w, c, dy, dx)},
                    copy ? nest_load(w->nx, x, from) : nest_const(w->nx, 0));
        build_end(&w->build, 6);
    }
}

/* Where an input tile reads row k and column j of a channel. */
static Buffer *input_index(const Winograd *w, Index k, Index j, Index channel, Index from[4])
{
    Index y = digits(w, w->ty, w->m, k), x = digits(w, w->tx, w->m, j);
    if (w->spread) {
        from[0] = y;
        from[1] = x;
        from[2] = channel;
        return w->spread;
    }
    from[0] = w->n;
    from[1] = digits(w, w->g, w->in_each, channel);
    from[2] = input_row(w, y);
    from[3] = index_offset(x, -w->pad[1]);
    return w->nx->in[0];
}

/* The tiles of a block of input channels: columns[i, j] = sum over k of B[i, k] * x[k, j], then
 * v[i, j] = sum over k of B[j, k] * columns[i, k]. */
static void input_tile(Winograd *w, Index cb)
{
    const int64_t extent[] = {w->alpha, w->alpha, CHANNELS};
    Buffer *columns = build_local(&w->build, "columns", w->nx->type, 3, extent);
    for (int update = 0; update < 2; update++) {
        Index i = loop(w, "i", w->alpha), j = loop(w, "j", w->alpha), c = loop(w, "c", CHANNELS);
        Index k = sum_loop(w, update, "k", w->alpha);
        Sum s = {columns, w->b, .at = {i, j, c}, .factor = {i, k}};
        s.x = input_index(w, k, j, digits(w, cb, CHANNELS, c), s.from);
        for (int d = 2; d < s.x->rank && !w->spread; d++)
            window_guard(s.cond, &s.n_cond, s.x, d, s.from[d], true);
        sum_store(w, &s, update, 3 + update);
    }
    for (int update = 0; update < 2; update++) {
        Index i = loop(w, "i", w->alpha), j = loop(w, "j", w->alpha), c = loop(w, "c", CHANNELS);
        Index k = sum_loop(w, update, "k", w->alpha);
        Index channel = digits(w, cb, CHANNELS, c);
        Sum s = {w->v, w->b, columns, .at = {digits(w, i, w->alpha, j), tile_index(w), channel},
                 .factor = {j, k}, .from = {i, k, c}};
        sum_store(w, &s, update, 3 + update);
    }
}

/* mm[p, t, oc] = sum over ic of v[p, t, ic] * u[p, oc, ic], for a block of output channels. */
static void products(Winograd *w, Index first)
{
    for (int update = 0; update < 2; update++) {
        Index p = loop(w, "p", w->alpha * w->alpha);
        Index t = loop(w, "t", w->tiles[0] * w->tiles[1]), oc = loop(w, "oc", w->block);
        Index ic = sum_loop(w, update, "ic", w->in_each);
        Sum s = {w->mm, w->v, w->u, .at = {p, t, oc}, .factor = {p, t, ic},
                 .from = {p, index_add(w->arena, first, oc), ic}};
        sum_store(w, &s, update, 3 + update);
    }
}

/* rows[i, k] = sum over l of A[i, l] * mm[l, k], then y[i, j] = b + sum over k of A[j, k] *
 * rows[i, k]. */
static void output_tile(Winograd *w, Index first)
{
    const int64_t extent[] = {w->m, w->alpha, w->block};
    NestCx *nx = w->nx;
    Buffer *rows = build_local(&w->build, "rows", nx->type, 3, extent);
    for (int update = 0; update < 2; update++) {
        Index i = loop(w, "i", w->m), k = loop(w, "k", w->alpha), oc = loop(w, "oc", w->block);
        Index l = sum_loop(w, update, "l", w->alpha);
        Sum s = {rows, w->a, w->mm, .at = {i, k, oc}, .factor = {i, l},
                 .from = {digits(w, l, w->alpha, k), tile_index(w), oc}};
        sum_store(w, &s, update, 3 + update);
    }
    for (int update = 0; update < 2; update++) {
        Index i = loop(w, "i", w->m), j = loop(w, "j", w->m), oc = loop(w, "oc", w->block);
        Index k = sum_loop(w, update, "k", w->alpha);
        Index channel = index_add(w->arena, first, oc);
        Sum s = {nx->out, w->a, rows, .factor = {j, k}, .from = {i, k, oc}};
        s.at[0] = w->n;
        s.at[1] = channel;
        s.at[2] = index_add(w->arena, w->first, digits(w, w->ty, w->m, i));
        s.at[3] = digits(w, w->tx, w->m, j);
        s.start = nx->node->n_param > 1 ? nest_load(nx, nx->param[1], &channel) : NULL;
        window_guard(s.cond, &s.n_limit, nx->out, 2, s.at[2], false);
        window_guard(s.cond, &s.n_limit, nx->out, 3, s.at[3], false);
        s.n_cond = s.n_limit;
        sum_store(w, &s, update, 3 + update);
    }
}

static void tile_loops(Winograd *w)
{
    w->ty = loop(w, "ty", w->tiles[0]);
    w->tx = loop(w, "tx", w->tiles[1]);
}

static Winograd winograd_of(NestCx *nx, const WinogradForm *f)
{
    Window window = node_window(nx->node);
    Winograd w = {.nx = nx, .arena = nx->arena, .m = f->m, .r = f->r, .stride = f->stride};
    w.taps = window.kernel[0];
    w.alpha = w.m + w.r - 1;
    w.groups = node_int(nx->node, "groups");
    w.channels = nx->in[0]->dim[1].extent / w.groups;
    w.used = w.channels * w.stride * w.stride;
    w.in_each = f->in;
    w.out_each = nx->out->dim[1].extent / w.groups;
    w.block = w.out_each % (2 * CHANNELS) == 0 ? 2 * CHANNELS : CHANNELS;
    w.tiles[0] = f->band;
    w.tiles[1] = f->tiles[1];
    w.pad[0] = window.pad[0];
    w.pad[1] = window.pad[1];
    tables_make((int)w.m, (int)w.r, &w.table);
    return w;
}

void winograd_nest(NestCx *nx, const WinogradForm *f)
{
    Winograd w = winograd_of(nx, f);
    w.a = make_table(&w, "a", w.m, w.table.a);
    w.b = make_table(&w, "bt", w.alpha, w.table.b);
    make_weights(&w);
    w.v = plane_scratch(&w, "v", w.in_each, true);
    w.mm = plane_scratch(&w, "mm", w.block, false);
    w.build = build_kernel(nx->kernel);
    w.n = loop(&w, "n", nx->out->dim[0].extent);
    w.g = loop(&w, "g", w.groups);
    w.first = index_scale(w.arena, loop(&w, "band", f->tiles[0] / f->band), w.m * f->band);
    if (w.stride > 1 || w.used < w.in_each)
        spread_input(&w);
    Index cb = loop(&w, "cb", w.in_each / CHANNELS);
    tile_loops(&w);
    input_tile(&w, cb);
    build_end(&w.build, 3);
    Index ob = loop(&w, "ob", w.out_each / w.block);
    Index channel = digits(&w, ob, w.block, index_scale(w.arena, w.g, w.out_each));
    products(&w, channel);
    tile_loops(&w);
    output_tile(&w, channel);
    build_end(&w.build, 6);
}
