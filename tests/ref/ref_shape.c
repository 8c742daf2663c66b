/* ref_shape: the operators that copy elements to other places.
 * Contract: see ref.h. */
#include "ref.h"

#include <stddef.h>

void ref_concat(int outer, int n_a, int n_b, int inner, const double *a, const double *b,
                double *y)
{
    for (int o = 0; o < outer; o++)
        for (int j = 0; j < n_a + n_b; j++)
            for (int i = 0; i < inner; i++)
                *y++ = j < n_a ? a[((ptrdiff_t)o * n_a + j) * inner + i]
                               : b[((ptrdiff_t)o * n_b + j - n_a) * inner + i];
}

void ref_pad(const RefWindow *p, int planes, double value, const double *x, double *y)
{
    for (int plane = 0; plane < planes; plane++)
        for (int iy = -p->top; iy < p->ih + p->bottom; iy++)
            for (int ix = -p->left; ix < p->iw + p->right; ix++) {
                int inside = iy >= 0 && iy < p->ih && ix >= 0 && ix < p->iw;
                *y++ = inside ? x[((ptrdiff_t)plane * p->ih + iy) * p->iw + ix] : value;
            }
}
