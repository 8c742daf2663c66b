/* Windows: what convolution and pooling share. Reads kernel, stride, pad and dilation of a node
 * for two dimensions or one, derives the output's extents, builds positions and guards.
 *
 * example: kernel 3, stride 2, pad 1 over 13 columns gives 7 columns; output column ox reads
 * input columns ox*2 + kx - 1, the first of which needs the guard 0 <= ox*2 + kx - 1 < 13.
 *
 * contract: attributes are as ops.h says of ATTR_HW and ATTR_PAD; a node that passed
 * window_infer has windows of which all arithmetic fits in int64_t.
 */
#include "ops/ops.h"

static void direction_read(const Node *n, const char *name, int64_t out[2], int64_t absent)
{
    const AttrValue *v = node_attr(n, name);
    for (int d = 0; d < 2; d++)
        out[d] = v ? v->i[d] : absent;
}

Window node_window(const Node *n)
{
    Window w;
    const Shape *in = &n->in[0]->shape, *out = &n->out->shape;
    direction_read(n, "kernel", w.kernel, 1);
    direction_read(n, "stride", w.stride, 1);
    direction_read(n, "dilation", w.dilation, 1);
    const AttrValue *pad = node_attr(n, "pad");
    for (int i = 0; i < 4; i++)
        w.pad[i] = pad ? pad->i[i] : 0;
    bool flat = in->rank == 3;
    if (flat)                               /* defaults are the same for both directions */
        w.pad[0] = w.pad[2] = 0, w.kernel[0] = w.stride[0] = w.dilation[0] = 1;
    for (int d = 0; d < 2; d++) {
        if (w.stride[d] == 0)               /* left out: the kernel's size */
            w.stride[d] = w.kernel[d];
        w.in[d] = flat && d == 0 ? 1 : in->dim[flat ? 2 : 2 + d];
        w.out[d] = flat && d == 0 ? 1 : out->rank == in->rank ? out->dim[flat ? 2 : 2 + d] : 0;
    }
    return w;
}

/* What says something about the height is refused where there is none. */
static bool flat_check(Cx *cx, const Node *n)
{
    static const char *const names[] = {"kernel", "stride", "dilation", "pad"};
    bool good = true;
    for (int i = 0; i < 4 && n->in[0]->shape.rank == 3; i++) {
        const AttrValue *v = node_attr(n, names[i]);
        bool pad = i == 3;
        if (!v || !v->set || (pad ? v->i[0] == 0 && v->i[2] == 0 : v->i[0] == 1))
            continue;
        op_error(cx, n, names[i], "E0613",
                 "'%s' has a vertical part, but input %s has one spatial dimension; expected %s",
                 names[i], shape_text(cx->temp, &n->in[0]->shape),
                 pad ? "a number or [left, right]" : "a number");
        good = false;
    }
    return good;
}

/* Output extent along d; false when an intermediate value overflows. */
static bool extent_infer(const Window *w, int d, bool ceil_mode, int64_t *padded, int64_t *span,
                         int64_t *out)
{
    int64_t steps;
    if (!checked_add(w->in[d], w->pad[d], padded) ||
        !checked_add(*padded, w->pad[d + 2], padded) ||
        !checked_mul(w->kernel[d] - 1, w->dilation[d], span) || !checked_add(*span, 1, span) ||
        !checked_sub(*padded, *span, &steps))
        return false;
    *out = 0;
    if (steps < 0)
        return true;
    *out = steps / w->stride[d] + 1;
    bool rest = steps % w->stride[d] != 0;
    /* a window that would start in the end padding is dropped */
    if (ceil_mode && rest && *out * w->stride[d] < w->in[d] + w->pad[d])
        *out += 1;
    return true;
}

bool window_infer(Cx *cx, const Node *n, bool ceil_mode, int64_t out[2])
{
    static const char *const side[] = {"height", "width"};
    if (!flat_check(cx, n))
        return false;
    Window w = node_window(n);
    bool flat = n->in[0]->shape.rank == 3;
    for (int d = 0; d < 2; d++) {
        int64_t padded = 0, span = 0;
        if (!extent_infer(&w, d, ceil_mode, &padded, &span, &out[d])) {
            op_error(cx, n, "kernel", "E0605", "sizes do not fit in 64 bits");
            return false;
        }
        if (out[d] >= 1)
            continue;
        op_error(cx, n, "kernel", "E0604",
                 "the kernel spans %lld, but the padded input's %s is %lld", (long long)span,
                 flat ? "length" : side[d], (long long)padded);
        diag_help(cx->diags, "a kernel of at most %lld or pad of at least %lld on each side fits",
                  (long long)((padded - 1) / w.dilation[d] + 1),
                  (long long)((span - w.in[d] + 1) / 2));
        return false;
    }
    return true;
}

Index window_index(Arena *a, const Window *w, int d, Index o, Index k)
{
    Index at = index_add(a, index_scale(a, o, w->stride[d]), index_scale(a, k, w->dilation[d]));
    return index_offset(at, -w->pad[d]);
}

void window_guard(Cond *cond, int *n_cond, const Buffer *b, int dim, Index at, bool zero_is_fine)
{
    const Dim *d = &b->dim[dim];
    bool halo = zero_is_fine && d->zero;
    int64_t min, max;
    index_range(at, &min, &max);
    if (min >= (halo ? -d->lo : 0) && max < d->extent + (halo ? d->hi : 0))
        return;
    cond[(*n_cond)++] = (Cond){.index = at, .extent = d->extent};
}
