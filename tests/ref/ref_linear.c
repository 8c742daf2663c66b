/* ref_linear: a fully connected layer as its definition says.
 * Contract: see ref.h. */
#include "ref.h"

#include <stddef.h>

void ref_linear(int rows, int in, int out, const double *x, const double *w, const double *b,
                double *y)
{
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            double sum = b ? b[o] : 0;
            for (int i = 0; i < in; i++)
                sum += x[(ptrdiff_t)r * in + i] * w[(ptrdiff_t)o * in + i];
            *y++ = sum;
        }
}
