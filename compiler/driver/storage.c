/* storage: elements of a tensor out of the memory of its buffer, by halo and storage map.
 *
 * example: y: f32[1, 24~8, 1:13:1, 1:13:1] as [d0, d1/16, d2+1, d3+1, d1%16] gives the 24 x 13 x 13
 * elements, row-major; its halo and the 8 channels of slack are left out.
 */
#include "driver/driver.h"

#include <string.h>

static int64_t position_of(const Buffer *b, const int64_t extent[], const int64_t index[])
{
    int64_t at = 0;
    for (int i = 0; i < b->n_storage; i++) {
        const StorageDim *s = &b->storage[i];
        int64_t p = (index[s->dim] + s->add) / s->div;
        at = at * extent[i] + (s->mod ? p % s->mod : p);
    }
    for (int i = 0; b->n_storage == 0 && i < b->rank; i++)
        at = at * extent[i] + index[i] + b->dim[i].lo;
    return at;
}

static void next_index(const Buffer *b, int64_t index[])
{
    for (int i = b->rank - 1; i >= 0; i--) {
        if (++index[i] < b->dim[i].extent)
            return;
        index[i] = 0;
    }
}

void buffer_unpack(const Buffer *b, const void *data, void *out)
{
    int64_t extent[MAX_DIMS], index[MAX_DIMS] = {0}, n = buffer_logical_elements(b);
    size_t size = scalar_bytes(b->type);
    buffer_physical(b, extent);
    for (int64_t i = 0; i < n; i++) {
        const char *from = (const char *)data + (size_t)position_of(b, extent, index) * size;
        memcpy((char *)out + (size_t)i * size, from, size);
        next_index(b, index);
    }
}
