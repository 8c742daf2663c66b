/* grid_net: one model made of many grid cases, its files, and what its outputs must be. */
#ifndef NET2C_GRID_NET_H
#define NET2C_GRID_NET_H

#include "grid.h"
#include "tensor_files.h"

#include <stdint.h>
#include <stdio.h>

/* A tensor in double together with the sum of the magnitudes that went into each element: below
 * 2^24, float arithmetic on integers is exact in any order; for what is not exact, errors are
 * measured by it. */
typedef struct Values {
    int rank, dim[6];
    size_t n;
    double *value, *bound;
} Values;

typedef struct NetFile {
    char argument[512];          /* "c12=/tmp/.../c12.npy" */
    const char *path;            /* into argument */
    bool is_output;
    const GridCase *shape;       /* outputs: the case and its oracle's result */
    int number;
    double units;                /* how far off it may be, in the last place; 0: equal bits */
    Values want;
} NetFile;

typedef struct Net {
    const char *folder;
    int batch;
    uint64_t random;
    char model_path[512], weights_path[512];
    char *text[3];               /* inputs, outputs, network */
    size_t text_size[3];
    FILE *stream[3];
    NetFile *file;
    int n_files;
    TensorFile *weight;
    int n_weights;
    void **kept;                 /* all memory of the net, freed together */
    size_t n_kept;
} Net;

Net *net_new(const char *folder, int index, int batch);
/* false (with a line on stdout) if the case's integers could become inexact. */
bool net_add_case(Net *net, const GridCase *shape, int number);
void net_write(Net *net);
/* Reads an output and compares it; prints the case and the first difference. Adds the number of
 * elements to *n. */
bool net_compare(Net *net, const NetFile *file, size_t *n);
void net_delete(Net *net);

#endif
