/* ref_pointwise: the operators that look at one element.
 * Contract: see ref.h. */
#include "ref.h"

#include <math.h>
#include <stddef.h>

void ref_relu(int count, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void ref_leaky_relu(int count, double slope, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

void ref_tanh(int count, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = tanh(x[i]);
}

void ref_sigmoid(int count, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = 1 / (1 + exp(-x[i]));
}

void ref_clip(int count, double low, double high, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

void ref_add(int count, const double *a, const double *b, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

void ref_sub(int count, const double *a, const double *b, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = a[i] - b[i];
}

void ref_mul(int count, const double *a, const double *b, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = a[i] * b[i];
}

void ref_batchnorm(int n, int channels, int pixels, double eps, const double *mean,
                   const double *var, const double *w, const double *b, const double *x,
                   double *y)
{
    for (int line = 0; line < n * channels; line++) {
        int c = line % channels;
        for (int p = 0; p < pixels; p++) {
            ptrdiff_t at = (ptrdiff_t)line * pixels + p;
            y[at] = (x[at] - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c];
        }
    }
}
