/* grid: the shapes of the exact-integer grid, as data. A case is a short chain of layers on one
 * input; grid.c turns cases into models and compares the generated code with tests/ref.
 */
#ifndef NET2C_GRID_H
#define NET2C_GRID_H

#include <stdbool.h>

#include "ref.h"

#define GRID_LAYERS 6

typedef enum {
    GRID_CONV, GRID_MAXPOOL, GRID_LINEAR, GRID_FLATTEN,
    GRID_CONCAT, GRID_PAD,
    GRID_RELU, GRID_RELU6, GRID_LEAKY_RELU, GRID_CLIP,
    GRID_BATCHNORM,
    GRID_ADD, GRID_SUB, GRID_MUL,
    GRID_LRN,   /* this and the next are not exact and come last in a case: compared by units in
                   the last place */
    GRID_SOFTMAX, GRID_AVGPOOL, GRID_GLOBAL_AVGPOOL,
    GRID_REAL_BATCHNORM
} GridKind;

typedef struct GridLayer {
    GridKind kind;
    int out, groups;    /* conv, linear: output channels; concat: extent of the second input */
    bool bias;
    RefWindow window;   /* conv, pooling, pad: all but n, ih, iw */
    bool count_pad;     /* avgpool */
    bool case_input;    /* add, sub, mul: the second operand is the case's input, not a new one */
    bool swap;          /* concat: the second input comes first */
    int size;           /* lrn: channels; concat, softmax: axis; pad: value */
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
