/* grid: the shapes of the exact-integer grid, as data. A case is a short chain of layers on one
 * input; grid.c turns cases into models and compares the generated code with tests/ref.
 */
#ifndef NET2C_GRID_H
#define NET2C_GRID_H

#include <stdbool.h>

#include "ref.h"

#define GRID_LAYERS 6

typedef enum {
    GRID_CONV, GRID_MAXPOOL, GRID_LINEAR, GRID_RELU,
    GRID_ADD,           /* plus a second input of the same shape */
    GRID_FLATTEN,
    GRID_LRN, GRID_SOFTMAX   /* not exact: compared by units in the last place */
} GridKind;

typedef struct GridLayer {
    GridKind kind;
    int out, groups;    /* conv, linear: output channels */
    bool bias;
    RefWindow window;   /* conv, maxpool: all but n, ih, iw */
    int size;           /* lrn */
} GridLayer;

typedef struct GridCase {
    const char *family; /* for messages */
    int rank;           /* of the input: 2 [N, c], 3 [N, c, w], 4 [N, c, h, w] */
    int c, h, w;
    int n_layers;
    GridLayer layer[GRID_LAYERS];
} GridCase;

/* All cases, always in the same order; *n says how many. The caller frees the array. */
GridCase *grid_cases(int *n);

#endif
