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

enum { SQUARE = 16, PART = 4096 };

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

static Packer packer_make(const Value *v, const float *src)
{
    const Buffer *b = &v->shape;
    Packer p = {.src = src, .rank = b->rank};
    int64_t extent[MAX_DIMS], stride[MAX_DIMS], step = 1;
    int n = buffer_physical(b, extent), uses[MAX_DIMS] = {0};
    for (int i = b->rank - 1; i >= 0; i--) {
        p.extent[i] = b->dim[i].extent;
        stride[i] = step;
        step *= p.extent[i];
    }
    for (int i = 0; i < b->n_storage; i++)
        uses[b->storage[i].dim]++;
    for (int i = 0; i < n; i++) {
        StorageDim s = b->n_storage ? b->storage[i] : (StorageDim){i, b->dim[i].lo, 1, 0};
        bool whole = uses[s.dim] <= 1 && s.add == 0 && s.div == 1 && extent[i] == p.extent[s.dim];
        p.start[s.dim] = -s.add;
        p.dim[i] = (PackDim){extent[i], s.div * stride[s.dim], whole ? -1 : s.dim, s.div};
    }
    for (int i = 0; i < p.rank; i++)
        p.origin += p.start[i] * stride[i];
    p.n = n;
    join_dims(&p);
    for (; p.n < 2; p.n++) {
        p.dim[1] = p.dim[0];
        p.dim[0] = (PackDim){1, 0, -1, 1};
    }
    return p;
}

/* Adds `by` positions of dimension d to a place: source offset and logical indices. */
static void advance(const PackDim *d, int64_t by, int64_t *offset, int64_t at[])
{
    *offset += by * d->step;
    if (d->dim >= 0)
        at[d->dim] += by * d->div;
}

/* Which of `count` positions of dimension d from a place on lie inside the tensor: lo..hi. */
static void inside(const Packer *p, const PackDim *d, const int64_t at[], int64_t count,
                   int64_t *lo, int64_t *hi)
{
    *lo = 0;
    *hi = count;
    if (d->dim < 0)
        return;
    int64_t first = -floor_div(at[d->dim], d->div);
    int64_t end = -floor_div(at[d->dim] - p->extent[d->dim], d->div);
    *lo = first > 0 ? first : 0;
    *hi = end < count ? end : count;
}

/* Is every logical index inside but those that the innermost two dimensions complete? */
static bool others_inside(const Packer *p, const int64_t at[], int except, int except2)
{
    for (int i = 0; i < p->rank; i++)
        if (i != except && i != except2 && (at[i] < 0 || at[i] >= p->extent[i]))
            return false;
    return true;
}

/* out[r][c] = src[r * rs + c * cs]: runs are copied, everything else goes square by square. */
static void copy_turned(float *out, int64_t width, const float *src, int64_t rows,
                        int64_t columns, int64_t rs, int64_t cs)
{
    for (int64_t r = 0; r < rows && cs == 1; r++)
        memcpy(out + r * width, src + r * rs, (size_t)columns * sizeof *out);
    for (int64_t r0 = 0; r0 < rows && cs != 1; r0 += SQUARE) {
        int64_t r1 = r0 + SQUARE < rows ? r0 + SQUARE : rows;
        for (int64_t c0 = 0; c0 < columns; c0 += SQUARE) {
            int64_t c1 = c0 + SQUARE < columns ? c0 + SQUARE : columns;
            for (int64_t c = c0; c < c1; c++)
                for (int64_t r = r0; r < r1; r++)
                    out[r * width + c] = src[r * rs + c * cs];
        }
    }
}

/* Columns c..c+n of the rows row..row+rows, which share their outer positions. Where both
 * innermost dimensions complete one logical index, the columns judge it, and rows is 1. */
static void pack_block(const Packer *p, int64_t row, int64_t rows, int64_t c, int64_t n,
                       float *out)
{
    const PackDim *s = &p->dim[p->n - 2], *d = &p->dim[p->n - 1];
    int64_t at[MAX_DIMS], offset = p->origin, first = 0, end = rows, lo, hi;
    memcpy(at, p->start, sizeof at);
    for (int i = p->n - 2; i >= 0; row /= p->dim[i--].extent)
        advance(&p->dim[i], row % p->dim[i].extent, &offset, at);
    advance(d, c, &offset, at);
    if (s->dim != d->dim)
        inside(p, s, at, rows, &first, &end);
    inside(p, d, at, n, &lo, &hi);
    bool some = others_inside(p, at, s->dim, d->dim) && first < end && lo < hi;
    if (!some || end - first < rows || hi - lo < n)
        memset(out, 0, (size_t)(rows * n) * sizeof *out);
    if (some)
        copy_turned(out + first * n + lo, n, p->src + offset + first * s->step + lo * d->step,
                    end - first, hi - lo, s->step, d->step);
}

void pack_weight(const Value *v, const float *src, int64_t first, int64_t count, float *out)
{
    const Packer p = packer_make(v, src);
    const PackDim *s = &p.dim[p.n - 2], *d = &p.dim[p.n - 1];
    while (count > 0) {
        int64_t row = first / d->extent, c = first % d->extent, n = d->extent - c;
        int64_t rows = count / d->extent, left = s->extent - row % s->extent;
        n = n < count ? n : count;
        rows = rows < left ? rows : left;
        if (c > 0 || rows == 0 || (s->dim == d->dim && d->dim >= 0))
            rows = 1;
        pack_block(&p, row, rows, c, n, out);
        first += rows * n;
        out += rows * n;
        count -= rows * n;
    }
}

/* The upper half, rounded to the nearest, to even on a tie; a NaN stays one. */
static uint16_t narrow_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void pack_elements(const Value *v, const float *src, int64_t first, int64_t count, void *out)
{
    float part[PART];
    if (v->shape.type == TYPE_F32) {
        pack_weight(v, src, first, count, out);
        return;
    }
    for (int64_t at = 0; at < count; at += PART) {
        int64_t n = count - at < PART ? count - at : PART;
        pack_weight(v, src, first + at, n, part);
        for (int64_t i = 0; i < n; i++)
            if (v->shape.type == TYPE_BF16)
                ((uint16_t *)out)[at + i] = narrow_bf16(part[i]);
            else
                ((double *)out)[at + i] = (double)part[i];
    }
}
