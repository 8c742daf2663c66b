/* ref_conv: convolution as its definition says, seven loops and a bounds test.
 * Contract: see ref.h. */
#include "ref.h"

#include <stddef.h>

static int extent(int in, int before, int after, int kernel, int stride, int dilation, int ceil)
{
    int room = in + before + after - dilation * (kernel - 1) - 1;
    if (room < 0)
        return 0;
    int n = room / stride + 1;
    return n + (ceil && room % stride != 0 && n * stride < in + before);
}

int ref_out_h(const RefWindow *w)
{
    return extent(w->ih, w->top, w->bottom, w->kh, w->sh, w->dh, w->ceil);
}

int ref_out_w(const RefWindow *w)
{
    return extent(w->iw, w->left, w->right, w->kw, w->sw, w->dw, w->ceil);
}

/* One output element without its bias: x is the first input channel of the group, w the filter. */
static double window_sum(const RefWindow *p, int channels, const double *x, const double *w, int oy,
                         int ox)
{
    double sum = 0;
    for (int c = 0; c < channels; c++)
        for (int ky = 0; ky < p->kh; ky++)
            for (int kx = 0; kx < p->kw; kx++) {
                int iy = oy * p->sh + ky * p->dh - p->top;
                int ix = ox * p->sw + kx * p->dw - p->left;
                if (iy < 0 || iy >= p->ih || ix < 0 || ix >= p->iw)
                    continue;
                sum += x[((ptrdiff_t)c * p->ih + iy) * p->iw + ix] *
                       w[((ptrdiff_t)c * p->kh + ky) * p->kw + kx];
            }
    return sum;
}

void ref_conv(const RefWindow *p, int ic, int oc, int groups, const double *x, const double *w,
              const double *b, double *y)
{
    int oh = ref_out_h(p), ow = ref_out_w(p);
    int in_group = ic / groups, out_group = oc / groups;
    for (int n = 0; n < p->n; n++)
        for (int o = 0; o < oc; o++) {
            int first = o / out_group * in_group;
            const double *image = x + ((ptrdiff_t)n * ic + first) * p->ih * p->iw;
            const double *filter = w + (ptrdiff_t)o * in_group * p->kh * p->kw;
            for (int oy = 0; oy < oh; oy++)
                for (int ox = 0; ox < ow; ox++)
                    *y++ = (b ? b[o] : 0) + window_sum(p, in_group, image, filter, oy, ox);
        }
}
