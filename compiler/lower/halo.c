/* halo: nests that store 0 around a padded tensor, so that its readers need no tests.
 *
 *   y: f32[1, 8, 1:4:1, 5]:  for n < 1 for c < 8 for h < 1 for j < 5  y[n, c, h-1, j] = 0
 *                            for n < 1 for c < 8 for h < 1 for j < 5  y[n, c, h+4, j] = 0
 *
 * contract: only dimensions whose halo reads as zero; slack stays undefined. The producer does
 * this in every run because arena space is shared with other tensors.
 */
#include "lower/lower.h"

static const char *const axis_name[MAX_RANK] = {"n", "c", "i", "j", "k", "l"};

/* Store 0 where `axis` runs over count positions from `first` on. Axes before it cover their halo
 * too, so that corners are written exactly once. */
static void slab_zero(Kernel *k, Buffer *b, int axis, int64_t first, int64_t count)
{
    Index index[MAX_DIMS];
    Builder build = build_kernel(k);
    if (count == 0)
        return;
    for (int i = 0; i < b->rank; i++) {
        const Dim *d = &b->dim[i];
        bool whole = i < axis && d->zero;
        int64_t extent = i == axis ? count : whole ? d->lo + d->extent + d->hi : d->extent;
        int64_t start = i == axis ? first : whole ? -d->lo : 0;
        const Var *v = build_for(&build, i == axis ? "h" : axis_name[i], extent);
        index[i] = index_offset(index_var(k->arena, v), start);
    }
    build_store(&build, b, index, expr_const(k->arena, (Type){b->type, 1}, 0.0));
    build_end(&build, b->rank);
}

void halo_zero(Kernel *k, Buffer *b)
{
    for (int i = 0; i < b->rank; i++) {
        const Dim *d = &b->dim[i];
        if (!d->zero)
            continue;
        slab_zero(k, b, i, -d->lo, d->lo);
        slab_zero(k, b, i, d->extent, d->hi);
    }
}
