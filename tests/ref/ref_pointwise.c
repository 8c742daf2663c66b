/* ref_pointwise: the operators that look at one element.
 * Contract: see ref.h. */
#include "ref.h"

void ref_relu(int count, const double *x, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void ref_add(int count, const double *a, const double *b, double *y)
{
    for (int i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}
