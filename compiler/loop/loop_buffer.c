/* loop_buffer: scalar types, buffers and where their elements lie.
 *
 * example: x: f32[1, 24~8, 1:13:1, 1:13:1] as [d0, d1/16, d2+1, d3+1, d1%16] has the physical
 * extents [1, 2, 15, 15, 16]: 24 channels in two blocks of 16, rows and columns with a halo.
 *
 * contract: sizes of any buffer are defined, saturated at INT64_MAX on overflow; whether the
 * storage map fits the dimensions is loop_verify's business.
 */
#include "loop/loop_text.h"

size_t scalar_bytes(ScalarType t)
{
    return t == TYPE_F64 ? 8 : t == TYPE_BF16 ? 2 : 4;
}

const char *scalar_name(ScalarType t)
{
    return SCALAR_WORD[t];
}

ScalarType scalar_loaded(ScalarType t)
{
    return t == TYPE_BF16 ? TYPE_F32 : t;
}

bool type_equal(Type x, Type y)
{
    return x.scalar == y.scalar && x.lanes == y.lanes;
}

/* A block (mod) always has its full length, so that a vector of it can be read and written. */
static int64_t storage_extent(const Buffer *b, const StorageDim *s)
{
    if (s->mod > 0)
        return s->mod;
    if (s->div <= 0 || s->dim < 0 || s->dim >= b->rank)
        return 0;
    const Dim *d = &b->dim[s->dim];
    return floor_div(d->extent + d->hi + s->add - 1, s->div) + 1;
}

int buffer_physical(const Buffer *b, int64_t extent[MAX_DIMS])
{
    if (b->n_storage == 0) {
        for (int i = 0; i < b->rank; i++)
            extent[i] = b->dim[i].lo + b->dim[i].extent + b->dim[i].hi;
        return b->rank;
    }
    for (int i = 0; i < b->n_storage; i++)
        extent[i] = storage_extent(b, &b->storage[i]);
    return b->n_storage;
}

int buffer_indices(const Buffer *b, bool physical)
{
    return physical && b->kind != BUF_LOCAL && b->n_storage > 0 ? b->n_storage : b->rank;
}

void buffer_bounds(const Buffer *b, bool physical, int i, int lanes, int64_t *first, int64_t *last)
{
    bool by_place = physical && b->kind != BUF_LOCAL;
    int64_t extent[MAX_DIMS];

    buffer_physical(b, extent);
    *first = by_place ? 0 : -b->dim[i].lo;
    *last = by_place ? extent[i] - 1 : b->dim[i].extent + b->dim[i].hi - 1;
    if (i == buffer_indices(b, physical) - 1 && b->lanes == 1)
        *last -= lanes - 1;
}

bool buffer_flat(Arena *a, const Buffer *b, const Index *index, int n, Index *flat)
{
    int64_t extent[MAX_DIMS], step = 1;
    bool ok = buffer_physical(b, extent) == n;

    *flat = index_const(0);
    for (int i = n - 1; ok && i >= 0; i--) {
        Index x = b->kind == BUF_LOCAL ? index_offset(index[i], b->dim[i].lo) : index[i];
        *flat = index_add(a, index_scale(a, x, step), *flat);
        ok = checked_mul(step, extent[i], &step);
    }
    return ok;
}

int64_t buffer_elements(const Buffer *b)
{
    int64_t extent[MAX_DIMS], product = 1;
    int n = buffer_physical(b, extent);

    for (int i = 0; i < n; i++)
        if (!checked_mul(product, extent[i], &product))
            return INT64_MAX;
    return product;
}

int64_t buffer_logical_elements(const Buffer *b)
{
    int64_t product = 1;

    for (int i = 0; i < b->rank; i++)
        if (!checked_mul(product, b->dim[i].extent, &product))
            return INT64_MAX;
    return product;
}

int64_t buffer_bytes(const Buffer *b)
{
    int64_t bytes;

    if (!checked_mul(buffer_elements(b), b->lanes > 1 ? b->lanes : 1, &bytes)
        || !checked_mul(bytes, (int64_t)scalar_bytes(b->type), &bytes))
        return INT64_MAX;
    return bytes;
}

bool buffer_same_layout(const Buffer *a, const Buffer *b)
{
    if (a->type != b->type || a->lanes != b->lanes || a->rank != b->rank
        || a->n_storage != b->n_storage)
        return false;
    for (int i = 0; i < a->rank; i++) {
        const Dim *x = &a->dim[i], *y = &b->dim[i];
        if (x->extent != y->extent || x->lo != y->lo || x->hi != y->hi || x->zero != y->zero)
            return false;
    }
    for (int i = 0; i < a->n_storage; i++) {
        const StorageDim *x = &a->storage[i], *y = &b->storage[i];
        if (x->dim != y->dim || x->add != y->add || x->div != y->div || x->mod != y->mod)
            return false;
    }
    return true;
}
