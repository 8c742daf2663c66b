/* ref_pool: pooling as its definition says.
 * Contract: see ref.h. */
#include "ref.h"

#include <math.h>
#include <stddef.h>

static double window_max(const RefWindow *p, const double *x, int oy, int ox)
{
    double best = -HUGE_VAL;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            int iy = oy * p->sh + ky * p->dh - p->top;
            int ix = ox * p->sw + kx * p->dw - p->left;
            if (iy < 0 || iy >= p->ih || ix < 0 || ix >= p->iw)
                continue;
            double v = x[(ptrdiff_t)iy * p->iw + ix];
            if (v > best || isnan(v))
                best = v;
            if (isnan(best))
                return best;
        }
    return best;
}

void ref_maxpool(const RefWindow *p, int channels, const double *x, double *y)
{
    int oh = ref_out_h(p), ow = ref_out_w(p);
    for (int plane = 0; plane < p->n * channels; plane++)
        for (int oy = 0; oy < oh; oy++)
            for (int ox = 0; ox < ow; ox++)
                *y++ = window_max(p, x + (ptrdiff_t)plane * p->ih * p->iw, oy, ox);
}

static double window_mean(const RefWindow *p, int count_pad, const double *x, int oy, int ox)
{
    double sum = 0;
    int inside = 0, padded = 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            int iy = oy * p->sh + ky - p->top, ix = ox * p->sw + kx - p->left;
            padded += iy < p->ih + p->bottom && ix < p->iw + p->right;
            if (iy < 0 || iy >= p->ih || ix < 0 || ix >= p->iw)
                continue;
            sum += x[(ptrdiff_t)iy * p->iw + ix];
            inside++;
        }
    return sum / (count_pad ? padded : inside);
}

void ref_avgpool(const RefWindow *p, int channels, int count_pad, const double *x, double *y)
{
    int oh = ref_out_h(p), ow = ref_out_w(p);
    for (int plane = 0; plane < p->n * channels; plane++)
        for (int oy = 0; oy < oh; oy++)
            for (int ox = 0; ox < ow; ox++)
                *y++ = window_mean(p, count_pad, x + (ptrdiff_t)plane * p->ih * p->iw, oy, ox);
}
