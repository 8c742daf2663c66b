/* ops: what each operator means, written once. One file an operator family holds its attribute
 * check, shape rule, naive loop nest and cost; ops.def is the table. Knows no instruction set.
 */
#ifndef NET2C_OPS_H
#define NET2C_OPS_H

#include "graph/graph.h"
#include "loop/loop.h"

typedef enum {
    ATTR_INT,     /* i[0] */
    ATTR_FLOAT,   /* f */
    ATTR_BOOL,    /* i[0] 0 or 1 */
    ATTR_HW,      /* number or [h, w]: normalised to i[0], i[1] (rank-3 inputs: i[0] is 1) */
    ATTR_PAD,     /* number, [h, w] or [top, left, bottom, right]: normalised to four (rank-3
                     inputs: number or [left, right]; i[0] and i[2] are 0) */
    ATTR_SHAPE,   /* list of dims; N (first only) is DIM_N, one -1 is written as 0 here */
    ATTR_AXIS,    /* i[0]; negative counts from the end; axis 0 is refused by the check */
    ATTR_AXES,    /* number or list of such */
} AttrKind;

typedef struct AttrDef {
    const char *name;
    AttrKind kind;
    bool required;
    double fallback;               /* default for every kind that is not required */
    double min, max;               /* inclusive legal range of each number */
} AttrDef;

/* A weight that the weights file does not hold: computed in the compiler from some that it does. */
typedef struct Made {
    Buffer *buffer;                /* of the node's kernel */
    Kernel *make;                  /* its buffers: those parameters as in the file, the result */
    int param[MAX_SOURCES];        /* of the node */
    int n_params;
} Made;

#define MAX_MADE 4

/* What a nest builder gets: buffers made by lower/ (shapes with the batch bound, halos and
 * storage already decided) and the kernel to append to. Accesses are logical. */
typedef struct NestCx {
    Kernel *kernel;
    Arena *arena;
    const Node *node;
    Buffer *in[MAX_INPUTS];
    Buffer *out;
    Buffer *param[MAX_PARAMS];     /* parallel to node->param */
    ScalarType type;               /* f32, or f64 for the reference, where nothing is made */
    Made made[MAX_MADE];           /* by nest_made */
    int n_made;
} NestCx;

typedef struct OpCost {
    int64_t macs;                  /* multiply-adds an item */
    int64_t flops;                 /* all arithmetic, a multiply-add counted as 2 */
} OpCost;

struct OpDef {
    const char *name;
    int min_in, max_in;
    const AttrDef *attrs;          /* ends with name NULL */
    /* Checks attributes against the inputs' shapes, fills node->param roles and shapes (keys are
     * the front end's business) and node->out->shape. Reports at attribute places. */
    bool (*infer)(Cx *cx, Node *n);
    void (*nest)(NestCx *nx);      /* the naive nest */
    /* Of operators with several algorithms: the nest of the one that the label names, or of the
     * operator's choice without a label. false: there is none of that name for this node. */
    bool (*nest_by)(NestCx *nx, const char *algo);
    OpCost (*cost)(const Node *n);
    bool pointwise;                /* out[i] depends on in[*][i] alone: may join a group */
    bool view;                     /* reshape, flatten, identity, dropout: same row-major bytes */
    const char *summary;           /* one line for help and docs */
};

const OpDef *op_find(const char *name);
int op_count(void);
const OpDef *op_at(int i);
/* The operators of the language that are not here yet: "not supported yet" instead of unknown. */
bool op_is_planned(const char *name);
const AttrDef *op_attr(const OpDef *op, const char *name);     /* NULL if it has none */
int op_attr_index(const OpDef *op, const char *name);          /* -1 if it has none */
const AttrValue *node_attr(const Node *n, const char *name);   /* never NULL for a declared one */
int64_t node_int(const Node *n, const char *name);
double node_float(const Node *n, const char *name);
/* Attribute number at in the one form that says what it means (attr_form.c): the first n of i, or
 * f. false: left out, the default is a stand-in outside of the legal range. */
bool attr_form(const Node *n, int at, AttrValue *out);
void attr_text(Str *s, const AttrDef *def, const AttrValue *form);     /* "[3, 3]" */

/* Where a convolution or pooling looks: [0] vertical, [1] horizontal; pad is top, left, bottom,
 * right. At rank 3 the vertical part is neutral (in, out, kernel, stride, dilation 1, pad 0).
 * out is 0 until the node has its shape. Use this, not the attributes. */
typedef struct Window {
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2], pad[4];
} Window;
Window node_window(const Node *n);

/* ---- for the operator files --------------------------------------------------------------- */
/* Reports at the attribute (at the layer when attr is NULL or unwritten); "conv: " goes before. */
void op_error(Cx *cx, const Node *n, const char *attr, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Is attribute number at there if it must be, and in its range? */
bool op_check_attr(Cx *cx, const Node *n, int at);
/* What every shape rule begins with: number of inputs, ranges of attributes, rank of input 0; the
 * node has no parameters yet. */
bool op_check(Cx *cx, Node *n, int min_rank, int max_rank);
/* What it ends with: parameter number at, and the output's shape, within the size limits. */
bool op_set_param(Cx *cx, Node *n, int at, const char *role, Shape shape);
bool op_set_output(Cx *cx, Node *n, const Shape *shape);
int node_axis(const Node *n);      /* the attribute 'axis', counted from the front */
/* That axis of input 0, which is not the batch, counted from the front. */
bool op_axis(Cx *cx, const Node *n, const char *attr, int64_t axis, int *out);
OpCost op_cost(int64_t count, int64_t macs_each, int64_t flops_each);   /* saturates */

/* Window attributes fit the input's rank; output extents, at least 1 or reported. */
bool window_infer(Cx *cx, const Node *n, bool ceil_mode, int64_t out[2]);
/* Add "position is inside b" to an if, unless it always holds. With zero_is_fine, elements of a
 * halo that reads as zero count as inside. */
void window_guard(Cond *cond, int *n_cond, const Buffer *b, int dim, Index at, bool zero_is_fine);
/* pos = o * stride + k * dilation - pad along direction d. */
Index window_index(Arena *a, const Window *w, int d, Index o, Index k);

const Expr *nest_const(const NestCx *nx, double v);
const Expr *nest_load(const NestCx *nx, Buffer *b, const Index *at);
/* The kernel gets a weight more, made by what is appended to ->make from these parameters. */
Made *nest_made(NestCx *nx, const char *name, int rank, const int64_t *extent, int n_params,
                const int *params);
/* acc + x or max(acc, x), for sums and maxima one element at a time. */
const Expr *nest_reduce(const NestCx *nx, BinOp op, const Expr *acc, const Expr *x);
Index nest_loop(Builder *build, const char *name, int64_t extent);
Index nest_axis(Builder *build, const Buffer *b, int d);     /* n, i1, i2, ... over dimension d */
/* One loop a dimension of b, outermost first, called as said or n, i1, i2, ... where names is
 * NULL; fills the indices of an access. */
void nest_loops(Builder *build, const Buffer *b, const char *const *names, Index *index);

#define OP(name, min_in, max_in, infer, nest, alternative, cost, traits, summary, ...) \
    bool infer(Cx *cx, Node *n);                                                       \
    void nest(NestCx *nx);                                                             \
    OpCost cost(const Node *n);
#include "ops/ops.def"
#undef OP
bool conv_nest_by(NestCx *nx, const char *algo);
bool linear_nest_by(NestCx *nx, const char *algo);
/* What "winograd M" or "winograd M rows B" means for a convolution. */
typedef struct WinogradForm {
    int64_t m, r;                  /* outputs of a tile and taps, in each direction */
    int64_t stride;                /* its square is by how much the input channels multiply */
    int64_t in;                    /* such channels of a group, with zeros to whole blocks */
    int64_t tiles[2], band;        /* vertical, horizontal; vertical ones at a time */
} WinogradForm;
bool winograd_form(const Node *n, const char *algo, WinogradForm *f);     /* false: it has none */
void winograd_nest(NestCx *nx, const WinogradForm *f);
/* By how much the transforms may enlarge an error of rounding, of data of one magnitude. */
double winograd_growth(const WinogradForm *f);
/* What must be readable around the input, where it is zero: top, left, bottom, right. */
void conv_halo(const Node *n, int64_t pad[4]);
bool conv_is_depthwise(const Node *n);

#endif
