/* pack.c: a weight tensor copied into the order its kernel reads it, by its storage map.
 *
 * example: w f32[32, 9] stored as [d0/16, d1, d0%16]: out[(block * 9 + k) * 16 + lane] is
 *          src[(16 * block + lane) * 9 + k]; places beyond the tensor (blocks of a partly filled
 *          last vector, halos) become zero.
 *
 * A physical dimension steps through the source by a constant stride, so packing is a strided
 * copy. Neighbouring dimensions that step as one are joined; then the two innermost ones decide:
 * contiguous runs are copied, everything else is transposed in squares that stay in the first
 * level cache and use each cache line of the source whole. 244 MB pack in a fraction of a second.
 * Any part first..first+count of the result can be made by itself, which is how it is streamed.
 */
#include "emit/emit.h"

#include <string.h>

enum { SQUARE = 16 };

typedef struct PackDim {       /* a physical dimension */
    int64_t extent;
    int64_t step;              /* source elements a position */
    int dim;                   /* logical dimension it contributes to; -1: always inside */
    int64_t div;               /* contribution a position */
} PackDim;

typedef struct Packer {
    const float *src;
    PackDim dim[MAX_DIMS];     /* outermost first; at least two */
    int n;
    int64_t extent[MAX_DIMS], start[MAX_DIMS];   /* logical: extents, index at position 0 */
    int64_t origin;            /* source offset of position 0 */
    int rank;
} Packer;

/* Dimensions that advance together, as one: p * 16 + q is one position of a larger dimension. */
static void join_dims(Packer *p)
{
    int n = 0;
    for (int i = 1; i < p->n; i++) {
        PackDim *outer = &p->dim[n], inner = p->dim[i];
        bool same = outer->dim == inner.dim && outer->step == inner.step * inner.extent &&
                    (outer->dim < 0 || outer->div == inner.div * inner.extent);
        if (same) {
            inner.extent *= outer->extent;
            *outer = inner;
        } else {
            p->dim[++n] = inner;
        }
    }
    p->n = n + 1;
}

static void add_dim(Packer *p, const Buffer *b, StorageDim s, int64_t extent, int uses)
{
    int64_t step = s.div;
    for (int i = s.dim + 1; i < b->rank; i++)
        step *= b->dim[i].extent;
    bool whole = uses == 1 && s.add == 0 && s.div == 1 && extent == b->dim[s.dim].extent;
    p->start[s.dim] = -s.add;
    p->dim[p->n++] = (PackDim){extent, step, whole ? -1 : s.dim, s.div};
}

static Packer packer_make(const Value *v, const float *src)
{
    const Buffer *b = &v->shape;
    Packer p = {.src = src, .rank = b->rank};
    int64_t extent[MAX_DIMS], stride = 1;
    int n = buffer_physical(b, extent), uses[MAX_DIMS] = {0};
    for (int i = 0; i < b->n_storage; i++)
        uses[b->storage[i].dim]++;
    for (int i = 0; i < n; i++) {
        if (b->n_storage)
            add_dim(&p, b, b->storage[i], extent[i], uses[b->storage[i].dim]);
        else
            add_dim(&p, b, (StorageDim){i, b->dim[i].lo, 1, 0}, extent[i], 1);
    }
    for (int i = b->rank - 1; i >= 0; i--) {
        p.extent[i] = b->dim[i].extent;
        p.origin += p.start[i] * stride;
        stride *= b->dim[i].extent;
    }
    join_dims(&p);
    for (; p.n < 2; p.n++) {
        p.dim[1] = p.dim[0];
        p.dim[0] = (PackDim){1, 0, -1, 1};
    }
    return p;
}

/* Positions lo..hi of dimension d that lie inside the tensor, the others being at `at`. */
static void inside(const Packer *p, const PackDim *d, const int64_t at[], int64_t *lo, int64_t *hi)
{
    *lo = 0;
    *hi = d->extent;
    if (d->dim < 0)
        return;
    int64_t first = -floor_div(at[d->dim], d->div);
    int64_t end = -floor_div(at[d->dim] - p->extent[d->dim], d->div);
    *lo = first > 0 ? first : 0;
    *hi = end < *hi ? end : *hi;
    if (*hi < *lo)
        *hi = *lo;
}

/* Where a line of the two innermost dimensions is: logical indices and source offset for the outer
 * positions of number `outer`. */
static int64_t outer_place(const Packer *p, int64_t outer, int64_t at[MAX_DIMS])
{
    int64_t offset = p->origin;
    memcpy(at, p->start, sizeof p->start);
    for (int i = p->n - 3; i >= 0; i--) {
        const PackDim *d = &p->dim[i];
        int64_t position = outer % d->extent;
        outer /= d->extent;
        offset += position * d->step;
        if (d->dim >= 0)
            at[d->dim] += position * d->div;
    }
    return offset;
}

/* Is every logical index inside but those that the innermost two dimensions complete? */
static bool others_inside(const Packer *p, const int64_t at[], int except, int except2)
{
    for (int i = 0; i < p->rank; i++)
        if (i != except && i != except2 && (at[i] < 0 || at[i] >= p->extent[i]))
            return false;
    return true;
}

static void copy_run(float *out, const float *src, int64_t n, int64_t step)
{
    if (step == 1)
        memcpy(out, src, (size_t)n * sizeof *out);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = src[i * step];
}

/* Elements c..c+n of one innermost row. */
static void pack_run(const Packer *p, int64_t row, int64_t c, int64_t n, float *out)
{
    const PackDim *s = &p->dim[p->n - 2], *d = &p->dim[p->n - 1];
    int64_t at[MAX_DIMS], lo, hi;
    int64_t offset = outer_place(p, row / s->extent, at) + row % s->extent * s->step;
    if (s->dim >= 0)
        at[s->dim] += row % s->extent * s->div;
    memset(out, 0, (size_t)n * sizeof *out);
    if (!others_inside(p, at, d->dim, -1))
        return;
    inside(p, d, at, &lo, &hi);
    lo = lo > c ? lo : c;
    hi = hi < c + n ? hi : c + n;
    if (lo < hi)
        copy_run(out + (lo - c), p->src + offset + lo * d->step, hi - lo, d->step);
}

/* rows whole rows, out[r][c] = src[r * rs + c * cs], square by square. */
static void transpose(float *out, int64_t width, const float *src, int64_t rows, int64_t columns,
                      int64_t rs, int64_t cs)
{
    for (int64_t r0 = 0; r0 < rows; r0 += SQUARE) {
        int64_t r1 = r0 + SQUARE < rows ? r0 + SQUARE : rows;
        for (int64_t c0 = 0; c0 < columns; c0 += SQUARE) {
            int64_t c1 = c0 + SQUARE < columns ? c0 + SQUARE : columns;
            for (int64_t c = c0; c < c1; c++)
                for (int64_t r = r0; r < r1; r++)
                    out[r * width + c] = src[r * rs + c * cs];
        }
    }
}

/* Whole rows row..row+rows that share their outer positions. */
static void pack_rows(const Packer *p, int64_t row, int64_t rows, float *out)
{
    const PackDim *s = &p->dim[p->n - 2], *d = &p->dim[p->n - 1];
    int64_t at[MAX_DIMS], lo, hi, first, end, r0 = row % s->extent;
    int64_t offset = outer_place(p, row / s->extent, at);
    inside(p, s, at, &first, &end);
    inside(p, d, at, &lo, &hi);
    first = first > r0 ? first : r0;
    end = end < r0 + rows ? end : r0 + rows;
    bool none = !others_inside(p, at, s->dim, d->dim) || first >= end || lo >= hi;
    if (none || first > r0 || end < r0 + rows || lo > 0 || hi < d->extent)
        memset(out, 0, (size_t)(rows * d->extent) * sizeof *out);
    if (!none)
        transpose(out + (first - r0) * d->extent + lo, d->extent,
                  p->src + offset + first * s->step + lo * d->step, end - first, hi - lo, s->step,
                  d->step);
}

void pack_weight(const Value *v, const float *src, int64_t first, int64_t count, float *out)
{
    const Packer p = packer_make(v, src);
    const PackDim *s = &p.dim[p.n - 2], *d = &p.dim[p.n - 1];
    bool by_rows = d->step != 1 && (s->dim != d->dim || d->dim < 0);
    while (count > 0) {
        int64_t row = first / d->extent, c = first % d->extent, n = d->extent - c;
        int64_t rows = count / d->extent, left = s->extent - row % s->extent;
        rows = rows < left ? rows : left;
        if (by_rows && c == 0 && rows > 0) {
            pack_rows(&p, row, rows, out);
            n = rows * d->extent;
        } else {
            n = n < count ? n : count;
            pack_run(&p, row, c, n, out);
        }
        first += n;
        out += n;
        count -= n;
    }
}
