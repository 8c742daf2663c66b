/* ref_axes: the operators that move, merge or stretch axes, element by element.
 * Contract: see ref.h. */
#include "ref.h"

#include <stddef.h>

static ptrdiff_t count_of(int rank, const int *dim)
{
    ptrdiff_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dim[d];
    return n;
}

static void position(int rank, const int *dim, ptrdiff_t element, int at[6])
{
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = (int)(element % dim[d]);
        element /= dim[d];
    }
}

void ref_transpose(int rank, const int *dim, const int *perm, const double *x, double *y)
{
    int at[6];
    for (ptrdiff_t i = 0; i < count_of(rank, dim); i++) {
        ptrdiff_t to = 0;
        position(rank, dim, i, at);
        for (int d = 0; d < rank; d++)
            to = to * dim[perm[d]] + at[perm[d]];
        y[to] = x[i];
    }
}

void ref_reduce_mean(int rank, const int *dim, const int *reduced, const double *x, double *y)
{
    int at[6], each = 1;
    for (int d = 0; d < rank; d++)
        each *= reduced[d] ? dim[d] : 1;
    for (ptrdiff_t i = 0; i < count_of(rank, dim) / each; i++)
        y[i] = 0;
    for (ptrdiff_t i = 0; i < count_of(rank, dim); i++) {
        ptrdiff_t to = 0;
        position(rank, dim, i, at);
        for (int d = 0; d < rank; d++)
            to = reduced[d] ? to : to * dim[d] + at[d];
        y[to] += x[i];
    }
    for (ptrdiff_t i = 0; i < count_of(rank, dim) / each; i++)
        y[i] /= each;
}

void ref_stretch(int rank, const int *dim, const int *from, const double *x, double *y)
{
    int at[6];
    for (ptrdiff_t i = 0; i < count_of(rank, dim); i++) {
        ptrdiff_t source = 0;
        position(rank, dim, i, at);
        for (int d = 0; d < rank; d++)
            source = source * from[d] + (from[d] == 1 ? 0 : at[d]);
        y[i] = x[source];
    }
}
