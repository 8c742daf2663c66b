/* ref_lrn: local response normalisation across channels as its definition says.
 * Contract: see ref.h. */
#include "ref.h"

#include <math.h>
#include <stddef.h>

void ref_lrn(int n, int channels, int pixels, int size, double alpha, double beta, double k,
             const double *x, double *y)
{
    for (int item = 0; item < n; item++, x += (ptrdiff_t)channels * pixels)
        for (int c = 0; c < channels; c++)
            for (int p = 0; p < pixels; p++) {
                double sum = 0;
                for (int j = c - size / 2; j <= c + (size - 1) / 2; j++) {
                    if (j < 0 || j >= channels)
                        continue;
                    double v = x[(ptrdiff_t)j * pixels + p];
                    sum += v * v;
                }
                *y++ = x[(ptrdiff_t)c * pixels + p] / pow(k + alpha / size * sum, beta);
            }
}
