/* lower: labels become loops. A group of nodes becomes one kernel: the concatenation of the naive
 * nests of its operators, over buffers whose halo and storage follow the layout labels. The only
 * place, with ops/, that sees both IRs.
 */
#ifndef NET2C_LOWER_H
#define NET2C_LOWER_H

#include "graph/graph.h"
#include "loop/loop.h"
#include "ops/ops.h"

#define MAX_ARGS (MAX_DIMS * 2)    /* buffers of a kernel: the length of Step.arg */

typedef struct LowerOptions {
    const char *row;
    int64_t batch;
    ScalarType type;               /* TYPE_F64 for the reference */
} LowerOptions;

/* Module with steps in topological order, values unplanned (offset -1). NULL: reported. */
Module *lower_graph(Cx *cx, Arena *a, const Graph *g, const LowerOptions *o);
/* What each of its kernels computes, names apart: "conv(3x32x32; out 8; kernel [3, 3]) + relu(~1)".
 * NULL: reported. */
const char **graph_descriptors(Cx *cx, Arena *a, const Graph *g);
/* Read a layout label ("c16 pad 2,2,2,2") into a buffer of the tensor's shape. */
bool layout_parse(Cx *cx, const Tensor *t, int64_t batch, Buffer *out);

/* ---- inside lower/ ---------------------------------------------------------------------- */
typedef struct Lower {             /* one run of lower_graph */
    Cx *cx;
    Arena *arena;
    const Graph *graph;
    const LowerOptions *options;
    Module *module;
    size_t value_cap;
    Map *kernel_names, *value_names;   /* identifiers taken, so that mangling stays injective */
    Map *tensor_value;             /* tensor name -> Value */
    Map *weight_value;             /* weight key -> Value */
    bool failed;                   /* something was reported; go on to find more */
} Lower;

typedef struct Group {             /* nodes that become one kernel, in topological order */
    const char *label;             /* NULL: a node of its own */
    const Node **node;
    int n_nodes, last;             /* position of its last node in the graph */
} Group;

/* Groups ordered by their last node; checks that only that node's output leaves the group.
 * Returns how many; -1: reported. */
int groups_of_graph(Lower *l, Group ***out);

/* A C identifier made from stem that no other name of the map has. */
const char *name_unique(Arena *a, Map *taken, const char *stem);
/* Values of the network's inputs and outputs, in order. */
void values_public(Lower *l);
Value *value_new(Lower *l, ValueKind kind, const char *stem, const Buffer *shape);
Value *value_of_tensor(Lower *l, const Tensor *t, const Buffer *shape);
Value *value_of_param(Lower *l, const Param *p, const Buffer *shape);

/* Append nests that store 0 to the zero halo of a buffer. */
void halo_zero(Kernel *k, Buffer *b);

#endif
