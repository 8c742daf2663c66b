/* ref_softmax: softmax along one axis, shifted by its maximum as PyTorch does.
 * Contract: see ref.h. */
#include "ref.h"

#include <math.h>
#include <stddef.h>

void ref_softmax(int outer, int axis, int inner, const double *x, double *y)
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
                out[(ptrdiff_t)a * inner] = exp(row[(ptrdiff_t)a * inner] - most) / sum;
        }
}
