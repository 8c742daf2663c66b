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
    GRID_LEAKY_RELU, GRID_CLIP, GRID_BATCHNORM,
    GRID_ADD, GRID_SUB, GRID_MUL,   /* with a second input of the same shape */
    GRID_FLATTEN,
    GRID_LRN, GRID_SOFTMAX,  /* these and the next are not exact: compared by units in the last
                                place */
    GRID_AVGPOOL
} GridKind;

typedef struct GridLayer {
    GridKind kind;
    int out, groups;    /* conv, linear: output channels */
    bool bias;
    RefWindow window;   /* conv, pooling: all but n, ih, iw */
    bool count_pad;     /* avgpool */
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
