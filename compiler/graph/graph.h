/* graph: what a network computes. Tensors and operators, flat and in topological order.
 * Its text form is the model language in expanded form (front/graph_print.c).
 *
 * Shapes carry the batch as axis 0 with the value DIM_N; parameters have no batch axis.
 * Passes leave their decisions as labels: Node.group, Node.algo, Node.store, Node.schedule,
 * Tensor.layout.
 */
#ifndef NET2C_GRAPH_H
#define NET2C_GRAPH_H

#include "base/base.h"

#define MAX_RANK 6
#define MAX_ATTRS 12
#define MAX_PARAMS 4
#define MAX_INPUTS 16
#define DIM_N (-1)                                /* the batch axis, bound at lowering */
#define MAX_DIM (INT64_C(1) << 24)
#define MAX_ELEMENTS (INT64_C(1) << 31)

typedef struct Shape {
    int rank;
    int64_t dim[MAX_RANK];
} Shape;

bool shape_equal(const Shape *a, const Shape *b);
int64_t shape_count(const Shape *s);              /* elements, the batch axis counted as 1 */
char *shape_text(Arena *a, const Shape *s);       /* "[N, 256, 6, 6]" */

typedef struct OpDef OpDef;                       /* ops/ops.h */
typedef struct Node Node;

typedef struct Tensor {
    const char *name;                             /* [A-Za-z_][A-Za-z0-9_.]*, unique in the graph */
    Shape shape;
    Node *producer;                               /* NULL: a network input */
    const char *layout;                           /* label, or NULL: public row-major layout.
                                                     see choose-layout: "c16 pad 2,2,2,2" */
    Place place;
} Tensor;

typedef struct AttrValue {                        /* meaning by the operator's AttrDef */
    bool set;                                     /* written by the user; else default filled in */
    int n;                                        /* list length; scalars have 1 */
    int64_t i[MAX_RANK];
    double f;
    const char *word;
    Place place;
} AttrValue;

typedef struct Param {                            /* a weight tensor of a node */
    const char *role;                             /* "weight", "bias", ... from OpDef */
    const char *key;                              /* tensor name in the weights file */
    Shape shape;                                  /* as in the weights file; no batch axis */
} Param;

struct Node {
    const OpDef *op;
    const char *path;                             /* PyTorch module path, "" if none */
    Place place;                                  /* the layer in the model file */
    Place call;                                   /* of the network's block it is part of */
    Tensor *in[MAX_INPUTS];
    int n_in;
    Tensor *out;
    AttrValue attr[MAX_ATTRS];                    /* parallel to op->attrs; defaults filled in */
    Param param[MAX_PARAMS];
    int n_param;
    const char *group, *algo, *store, *schedule;  /* labels, NULL if unset */
};

/* `check:` of a model: files with inputs and the outputs they must give, used by verify. */
typedef struct SampleFile {
    const char *tensor;                           /* name of an input or output */
    const char *path;                             /* .npy, below the model's folder */
} SampleFile;

typedef struct Sample {
    SampleFile *in, *out;
    int n_in, n_out;
    double rtol, atol;
    Place place;
} Sample;

/* `preprocess:` of a model: how a picture becomes an input. */
typedef struct Preprocess {
    const char *input;
    int64_t resize, crop;                         /* shorter side, middle square; 0: as it is */
    int channels;                                 /* 1 to 3, of the input */
    double mean[3], std[3];                       /* of channels scaled to 0..1: 0, 1 by default */
    bool bgr;                                     /* order of channels; else rgb */
} Preprocess;

typedef struct Graph {
    Arena *arena;
    const char *file;                             /* the model file's name for messages */
    const char *name, *doc, *bind;
    Tensor **inputs;
    int n_inputs;
    Tensor **outputs;
    int n_outputs;
    Sample *samples;
    int n_samples;
    Preprocess *preprocess;
    int n_preprocess;
    Node **nodes;                                 /* topological order */
    int n_nodes;
    size_t cap_nodes;                             /* room in nodes; graph.c's own business */
} Graph;

Graph *graph_new(Arena *a);
void graph_add_node(Graph *g, Node *n);                       /* at the end */
void graph_insert_node(Graph *g, int at, Node *n);
void graph_remove_node(Graph *g, const Node *n);              /* uses must be gone */
int graph_find_node(const Graph *g, const Node *n);           /* index or -1 */
Tensor *graph_find_tensor(const Graph *g, const char *name);
bool graph_is_output(const Graph *g, const Tensor *t);
/* Every use of `from` (inputs of nodes, network outputs) becomes `to`. */
void graph_replace_uses(Graph *g, Tensor *from, Tensor *to);
bool name_is_legal(const char *name);              /* as Tensor.name says */
char *graph_fresh_name(const Graph *g, const char *stem);     /* stem, stem_1, stem_2 ... */
uint64_t graph_hash(const Graph *g);                          /* structural, labels included */
/* Order, unique names, producers, ranks and arities, shapes by the operators' own rules.
 * Reports E0901.. as internal errors; false if anything is wrong. */
bool graph_verify(Cx *cx, const Graph *g);

#endif
