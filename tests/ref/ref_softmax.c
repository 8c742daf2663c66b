/* ref_softmax: softmax along one axis and its logarithm, shifted by the maximum as PyTorch does.
 * Contract: see ref.h. */
#include "ref.h"

#include <math.h>
#include <stddef.h>

typedef double (*Finish)(double shifted, double sum);

static double quotient(double shifted, double sum)
{
    return exp(shifted) / sum;
}

static double difference(double shifted, double sum)
{
    return shifted - log(sum);
}

static void along_axis(int outer, int axis, int inner, const double *x, double *y,
                       Finish finish)
{
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++) {
            const double *row = x + (ptrdiff_t)o * axis * inner + i;
            double *out = y + (ptrdiff_t)o * axis * inner + i;
            double most = -HUGE_VAL, sum = 0;
            for (int a = 0; a < axis; a++)
                if (row[(ptrdiff_t)a * inner] > most)
                    most = row[(ptrdiff_t)a * inner];
            for (int a = 0; a < axis; a++)
                sum += exp(row[(ptrdiff_t)a * inner] - most);
            for (int a = 0; a < axis; a++)
                out[(ptrdiff_t)a * inner] = finish(row[(ptrdiff_t)a * inner] - most, sum);
        }
}

void ref_softmax(int outer, int axis, int inner, const double *x, double *y)
{
    along_axis(outer, axis, inner, x, y, quotient);
}

void ref_log_softmax(int outer, int axis, int inner, const double *x, double *y)
{
    along_axis(outer, axis, inner, x, y, difference);
}
