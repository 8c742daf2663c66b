/* loop: how a network is computed. Loop nests over buffers, with a text form that reads back.
 *
 *   Module > Kernel > statements > expressions.
 *
 * Loops start at 0 and have constant extents. Index expressions are affine in loop variables, one
 * per buffer dimension, so that interval arithmetic proves every access in bounds (loop_verify).
 * Numerics are explicit: fma, casts and the order of sums are nodes, never left to the C compiler.
 * Expressions are immutable and may be shared; statements are trees owned by one parent.
 *
 * example (text form):
 *   kernel relu1(in x: f32[1, 8, 4], out y: f32[1, 8, 4]) { # net.yaml:7 relu1
 *     for n < 1 { for c < 8 { for i < 4 { y[n, c, i] = max(x[n, c, i], 0x0p+0); } } }
 *   }
 */
#ifndef NET2C_LOOP_H
#define NET2C_LOOP_H

#include "base/base.h"

#define MAX_DIMS 10      /* dimensions of a buffer, logical or physical */
#define MAX_COND 8       /* conditions of one if */
#define MAX_ROWS 8       /* target rows of a module */
#define MAX_BATCHES 8    /* sizes of batch in one file */
#define MAX_STEP_ARGS (2 * MAX_DIMS)     /* arguments of one step */
#define MAX_SOURCES 4    /* tensors of the weights file that a made weight is computed from */
#define LIST_GROUP 4     /* indices of a list that are used together */

/* ---- types ------------------------------------------------------------------------------ */
/* TYPE_BF16 is how a weight may be stored, the upper half of an f32; loads of it are f32. */
typedef enum { TYPE_F32, TYPE_F64, TYPE_I32, TYPE_BF16 } ScalarType;

typedef struct Type {
    ScalarType scalar;
    int lanes;                       /* 1: a scalar */
} Type;

bool type_equal(Type x, Type y);
size_t scalar_bytes(ScalarType t);
const char *scalar_name(ScalarType t);   /* "f32" "f64" "i32" "bf16" */
ScalarType scalar_loaded(ScalarType t);  /* what a load from a buffer of that type has */

/* ---- index expressions -------------------------------------------------------------------- */
typedef struct Var {                 /* exactly one loop, list or pick defines it */
    const char *name;
    int64_t extent;                  /* 0 <= var < extent */
} Var;

typedef struct Term {
    const Var *var;
    int64_t coef;                    /* never 0 */
} Term;

typedef struct Index {               /* c + sum of coef * var; a value, terms in arena, ordered
                                        by first use; no variable twice */
    int64_t c;
    int n;
    const Term *term;
} Index;

const Var *var_new(Arena *a, const char *name, int64_t extent);
Index index_const(int64_t c);
Index index_var(Arena *a, const Var *v);
Index index_add(Arena *a, Index x, Index y);
Index index_sub(Arena *a, Index x, Index y);
Index index_scale(Arena *a, Index x, int64_t k);
Index index_offset(Index x, int64_t c);                             /* x + c */
Index index_make(Arena *a, int64_t c, int n, ...);                 /* n x (const Var *, int coef) */
int64_t index_coef(Index x, const Var *v);                          /* 0 if absent */
Index index_subst(Arena *a, Index x, const Var *v, Index by);
bool index_equal(Index x, Index y);
bool indices_equal(const Index *x, const Index *y, int n);
void index_range(Index x, int64_t *min, int64_t *max);             /* from the variables' extents */
/* x / d and x % d (d > 0) when they are affine: x = d * q + r with 0 <= r < d over the whole
 * range. false if they do not vanish. */
bool index_divmod(Arena *a, Index x, int64_t d, Index *q, Index *r);

/* ---- buffers ---------------------------------------------------------------------------- */
typedef enum { BUF_IN, BUF_OUT, BUF_WEIGHT, BUF_SCRATCH, BUF_LOCAL,
               BUF_LIST } BufferKind;    /* BUF_LIST: the result of a list statement, local */

typedef struct Dim {                 /* legal indices: -lo <= i < extent + hi */
    int64_t extent, lo, hi;
    bool zero;                       /* lo/hi elements read as zero (a padded tensor); else they
                                        are slack of undefined content (channels up to a block) */
} Dim;

/* One physical dimension of a storage map: position = ((index[dim] + add) / div) % mod, mod 0
 * meaning none. A map lists physical dimensions from slowest to fastest; [c/16, y+1, x+1, c%16]
 * is {0,0,16,0} {1,1,1,0} {2,1,1,0} {0,0,1,16}. No map: row-major over the halo'd dimensions. */
typedef struct StorageDim {
    int dim;
    int64_t add, div, mod;
} StorageDim;

typedef struct Buffer {
    const char *name;
    BufferKind kind;
    ScalarType type;
    int lanes;                      /* BUF_LOCAL in registers: vector lanes of an element, else 1 */
    int rank;
    Dim dim[MAX_DIMS];
    int n_storage;                   /* 0: row-major */
    StorageDim storage[MAX_DIMS];
} Buffer;

/* Extents of the physical dimensions (of the storage map, or of the halo'd row-major form);
 * returns their number. */
int buffer_physical(const Buffer *b, int64_t extent[MAX_DIMS]);
/* How many indices an access has: rank, or in a physical kernel the physical dimensions. Buffers
 * keep their logical dims and storage map after apply-layout; locals are the same either way. */
int buffer_indices(const Buffer *b, bool physical);
/* The legal values of index i of an access to that many lanes, in a kernel physical or not. */
void buffer_bounds(const Buffer *b, bool physical, int i, int lanes, int64_t *first,
                   int64_t *last);
/* Of an access of a physical kernel: the number of its element in memory. false: it has not as
 * many indices as the buffer, or the buffer is too large. */
bool buffer_flat(Arena *a, const Buffer *b, const Index *index, int n, Index *flat);
int64_t buffer_elements(const Buffer *b);        /* product of the physical extents */
int64_t buffer_logical_elements(const Buffer *b);     /* without halos and slack */
int64_t buffer_bytes(const Buffer *b);
bool buffer_same_layout(const Buffer *a, const Buffer *b);
bool buffer_storage_fits(const Buffer *b);       /* the map gives each element a place of its own */

/* ---- expressions ------------------------------------------------------------------------ */
typedef enum {
    EXPR_CONST,   /* value */
    EXPR_LOAD,    /* buffer[index...]; lanes > 1: contiguous along the last dimension */
    EXPR_NAME,    /* a let or var */
    EXPR_BIN, EXPR_UN, EXPR_FMA,      /* fma: a * b + c, one rounding where the row has FMA */
    EXPR_CAST,    /* arg[0] to type */
    EXPR_SELECT,  /* arg[0] cmp arg[1] ? arg[2] : arg[3], per lane */
    EXPR_BCAST,   /* scalar arg[0] to all lanes */
    EXPR_HSUM,    /* horizontal reduction by bin op, lane 0 first, in order */
} ExprKind;

/* max(a, b): b if b > a or b is NaN, else a (so NaN if either is, as in PyTorch, and a on a tie).
 * min(a, b): b if b < a or b is NaN, else a. */
typedef enum { BIN_ADD, BIN_SUB, BIN_MUL, BIN_DIV, BIN_MIN, BIN_MAX } BinOp;
typedef enum {
    UN_NEG, UN_ABS, UN_SQRT,          /* exact */
    UN_ROUND,                         /* to nearest integer, ties to even */
    UN_POW2I,                     /* 2^x, integer x in -126..127 (f64: -1022..1023): exact */
    UN_EXP, UN_LOG, UN_TANH,          /* these and the next are expanded by expand-math */
    UN_SIGMOID,                       /* 1 / (1 + exp(-x)) */
    UN_POW_NEG_QUARTERS,              /* x^(-k/4), k in Expr.ipar */
} UnOp;
typedef enum { CMP_LT, CMP_LE, CMP_EQ, CMP_NE } CmpOp;   /* false if either is NaN, NE true */

typedef struct Name {                 /* let (assigned once) or var (set later) */
    const char *name;
    Type type;
    bool is_var;
} Name;

typedef struct Expr Expr;
struct Expr {
    ExprKind kind;
    Type type;
    int op;                           /* BinOp, UnOp, CmpOp */
    int ipar;                         /* UN_POW_NEG_QUARTERS: k */
    double value;                     /* EXPR_CONST */
    const Name *name;                 /* EXPR_NAME */
    Buffer *buffer;                   /* EXPR_LOAD */
    const Index *index;               /* EXPR_LOAD: n_index of them (see buffer_indices) */
    int n_index;
    const Expr *arg[4];
};

const Name *name_new(Arena *a, const char *name, Type t, bool is_var);
const Expr *expr_const(Arena *a, Type t, double v);
const Expr *expr_load(Arena *a, Buffer *b, const Index *index, int n, int lanes);  /* copies */
const Expr *expr_name(Arena *a, const Name *n);
const Expr *expr_bin(Arena *a, BinOp op, const Expr *x, const Expr *y);
const Expr *expr_un(Arena *a, UnOp op, const Expr *x);
const Expr *expr_pow_neg_quarters(Arena *a, const Expr *x, int k);
const Expr *expr_fma(Arena *a, const Expr *x, const Expr *y, const Expr *z);
const Expr *expr_cast(Arena *a, ScalarType t, const Expr *x);
const Expr *expr_select(Arena *a, CmpOp op, const Expr *l, const Expr *r, const Expr *x,
                        const Expr *y);
const Expr *expr_bcast(Arena *a, const Expr *x, int lanes);
const Expr *expr_hreduce(Arena *a, BinOp op, const Expr *x);
int expr_args(const Expr *e);         /* number of arg[] in use */
bool expr_equal(const Expr *x, const Expr *y);       /* structural */

/* ---- statements ------------------------------------------------------------------------- */
typedef enum {
    STMT_FOR, STMT_IF,
    STMT_LET,      /* name = expr, once */
    STMT_VAR,      /* mutable name = expr: declaration */
    STMT_SET,      /* mutable name = expr */
    STMT_STORE,    /* buffer[index...] = expr */
    STMT_LOCAL,    /* buffer lives (uninitialised) until the end of the enclosing body */
    STMT_NOTE,     /* comment carried into every text */
    /* Lists of indices, so that a loop can leave out what is zero. buffer: i32, a place for the
     * number of groups, then the values of var where expr is not zero, in order; the last group is
     * filled up with one where it is zero; one group more and all other places hold 0. */
    STMT_LIST,
    STMT_PICK,     /* var = expr, an element of a list, until the end of the enclosing body */
    STMT_PREFETCH, /* buffer[index...] will be read soon: changes nothing */
} StmtKind;

typedef enum { LOOP_SERIAL, LOOP_UNROLL, LOOP_VECTOR, LOOP_PARALLEL } LoopKind;

typedef struct Cond {                 /* 0 <= index < extent */
    Index index;
    int64_t extent;
} Cond;

typedef struct Stmt Stmt;
typedef struct Body {                 /* statements in order */
    Stmt *first, *last;
} Body;

struct Stmt {
    StmtKind kind;
    Stmt *next;
    Body body;                        /* FOR, IF */
    const Var *var;                   /* FOR, LIST, PICK */
    LoopKind loop;                    /* FOR */
    Cond cond[MAX_COND];              /* IF: all must hold */
    int n_cond;
    const Name *name;                 /* LET, VAR, SET */
    Buffer *buffer;                   /* STORE, LOCAL, LIST, PREFETCH */
    const Index *index;               /* STORE, PREFETCH: n_index of them */
    int n_index;
    const Expr *expr;                 /* LET, VAR, SET, STORE: its lanes are the store's lanes;
                                         LIST, PICK; FOR: how many turns at most, or NULL */
    const char *text;                 /* NOTE */
};

void body_add(Body *b, Stmt *s);
void body_append(Body *b, Body more);             /* moves */
/* Drop the conditions that always hold, and what never runs, judged by the variables' ranges. */
bool body_settle_ifs(Body *b);
Stmt *stmt_for(Arena *a, const Var *v, LoopKind kind);
Stmt *stmt_if(Arena *a, const Cond *c, int n);
Stmt *stmt_let(Arena *a, const Name *n, const Expr *e);
Stmt *stmt_var(Arena *a, const Name *n, const Expr *e);
Stmt *stmt_set(Arena *a, const Name *n, const Expr *e);
Stmt *stmt_store(Arena *a, Buffer *b, const Index *index, int n, const Expr *e);   /* copies */
Stmt *stmt_local(Arena *a, Buffer *b);
Stmt *stmt_note(Arena *a, const char *text);
Stmt *stmt_list(Arena *a, const char *name, const Var *v, const Expr *e);
/* Place `at` of a list: 0 is for a loop, the others are for picks. */
const Expr *list_load(Arena *a, Buffer *list, Index at);
Stmt *stmt_pick(Arena *a, const Var *v, const Expr *e);
Stmt *stmt_prefetch(Arena *a, Buffer *b, const Index *index, int n);           /* copies */

/* ---- kernels and modules ------------------------------------------------------------------ */
typedef struct Kernel {
    Arena *arena;
    const char *name;                 /* C identifier part, unique in the module */
    const char *origin;               /* "alexnet.yaml:21 features.8": model line and layers */
    Place place;                      /* of the first of them, for messages; no part of the text */
    const char *algo;                 /* the operator's algorithm: "winograd 4"; NULL: as defined */
    const char *schedule;             /* the verbs applied or to be applied, or NULL */
    const char *why;                  /* why this schedule, one line, or NULL */
    int64_t macs, flops;
    Buffer **buffer;                  /* parameters in call order: in, weight, out, scratch */
    int n_buffers;
    Body body;
    bool physical;                    /* after apply-layout: accesses have physical indices */
} Kernel;

typedef enum { VALUE_INPUT, VALUE_OUTPUT, VALUE_ACTIVATION, VALUE_WEIGHT, VALUE_SCRATCH } ValueKind;

/* A buffer of the whole network. `shape` keeps the logical dims, halo and storage map even after
 * the kernels have become physical: weights are packed and captures unpacked by it. */
typedef struct Value {
    const char *name;
    ValueKind kind;
    Buffer shape;
    const char *key;                  /* VALUE_WEIGHT: tensor in the weights file; NULL: made */
    Kernel *make;                     /* VALUE_WEIGHT: computes it in the compiler, row-major */
    const char *made_from[MAX_SOURCES];   /* tensors in the file, parallel to make's weights */
    int64_t source_dim[MAX_DIMS];     /* VALUE_WEIGHT: shape in the file; 0-terminated */
    int64_t offset;                   /* bytes into arena or blob; -1 until planned */
    int first_step, last_step;        /* lifetime, inclusive; filled by reuse-buffers */
} Value;

typedef struct Step {                 /* one call, in execution order */
    Kernel *kernel;                   /* for the module's first row */
    Kernel *more[MAX_ROWS - 1];       /* for its other rows, called "conv1.ROW": the same buffers */
    Value *arg[MAX_STEP_ARGS];        /* parallel to kernel->buffer */
} Step;

typedef struct Module {
    Arena *arena;
    const char *name;                 /* prefix of public symbols */
    const char *row;                  /* target row it is being built for, or NULL */
    const char *more_row[MAX_ROWS - 1];   /* further rows, in the same layouts */
    int n_more;
    int64_t batch;
    ScalarType type;
    Value **value;
    int n_values;
    Step *step;
    int n_steps;
    int64_t arena_bytes, blob_bytes;  /* 0 until planned */
    int64_t arena_lower_bound;        /* max over steps of live bytes */
} Module;

int value_number(const Module *m, const Value *v);      /* its place in m->value; -1: absent */

/* ---- building: cursor style, used by naive nests ------------------------------------------- */
typedef struct Builder {
    Arena *arena;
    Body *at[40];                     /* stack of open bodies */
    int depth;
} Builder;

Builder build_kernel(Kernel *k);
const Var *build_for(Builder *b, const char *name, int64_t extent);
void build_if(Builder *b, const Cond *c, int n);
void build_end(Builder *b, int levels);          /* close that many for/if */
/* A buffer that lives until the end of the open body. */
Buffer *build_local(Builder *b, const char *name, ScalarType t, int rank, const int64_t *extent);
void build_store(Builder *b, Buffer *buf, const Index *index, const Expr *e);   /* rank indices */
/* A buffer more, its name with a number behind it where the kernel has one already. */
Buffer *kernel_add_buffer(Kernel *k, BufferKind kind, const char *name, ScalarType t, int rank,
                          const int64_t *extent);
Buffer *kernel_scratch(Kernel *k, const char *name, ScalarType t, int rank, const int64_t *extent);
Buffer *kernel_buffer(const Kernel *k, const char *name);       /* NULL if absent */

/* ---- walking and rewriting ----------------------------------------------------------------- */
/* Rebuild an expression: f returns a replacement for a node whose args are already rewritten, or
 * NULL to keep it. Shared subtrees without change are kept. */
typedef const Expr *(*ExprMap)(void *user, const Expr *e);
const Expr *expr_map(Arena *a, const Expr *e, ExprMap f, void *user);
/* Deep copy of a body, each loop getting fresh Vars and each let/var/local fresh ones, with index
 * substitution of v by `by` (v NULL: plain copy). */
Body body_copy(Arena *a, Body b, const Var *v, Index by);
/* The same of one statement, several variables at once. */
Stmt *stmt_copy(Arena *a, const Stmt *s, const Var *const *v, const Index *by, int n);
/* Substitute in place of all indices and conditions below. */
void body_subst(Arena *a, Body *b, const Var *v, Index by);
/* Give each let, var and local of a kernel, and each loop within another, a spelling of its own
 * (acc, acc_1, ...): for passes that put copies side by side. Fresh Vars and Names throughout. */
void kernel_unique_names(Kernel *k);
/* What a step calls on row number `row` of its module. */
Kernel *step_kernel(const Step *s, int row);
/* Does its algorithm compute the sums of the operator's definition, and only these? */
bool kernel_sums_as_defined(const Kernel *k);
/* Put in place of each statement what f adds to `out`: the statement, others or none. What is
 * nested in it has been rewritten before. Returns whether f said of any that it changed. */
typedef bool (*StmtRewrite)(void *user, Stmt *s, Body *out);
bool body_rewrite(Body *b, StmtRewrite f, void *user);
/* Visit all statements, outer before inner. */
typedef void (*StmtVisit)(void *user, Stmt *s);
void body_visit(Body b, StmtVisit f, void *user);
bool stmt_loads(const Stmt *s, const Buffer *b);  /* an element of it, itself */
bool body_uses(Body b, const Buffer *buffer);     /* loads or stores an element of it */
/* Visit all expressions of a statement (not of statements nested in it), args before users. */
typedef void (*ExprVisit)(void *user, const Expr *e);
void stmt_visit_exprs(const Stmt *s, ExprVisit f, void *user);
typedef struct Access {              /* one element of a buffer, or lanes from there on */
    Buffer *buffer;
    const Index *index;
    int n, lanes;
    bool store;
} Access;
/* Visit the store of a statement (not of statements nested in it) and then its loads. */
typedef void (*AccessVisit)(void *user, const Access *x);
void stmt_visit_accesses(const Stmt *s, AccessVisit f, void *user);
/* Rewrite every expression in place, in all statements below. */
void body_map_exprs(Arena *a, Body *b, ExprMap f, void *user);

/* ---- verify, print, parse, interpret -------------------------------------------------------- */
/* Every access in bounds (interval arithmetic, refined by enclosing ifs), names defined before
 * use, no shadowing, types and lanes agree, vector accesses contiguous, outputs only written...
 * Reports E0911.. naming kernel and statement. */
bool loop_verify(Cx *cx, const Kernel *k);
bool module_verify(Cx *cx, const Module *m);      /* all kernels, arguments fit, plan overlaps */

char *kernel_text(Arena *a, const Kernel *k);
char *module_text(Arena *a, const Module *m);
char *stmt_text(Arena *a, const Stmt *s);
char *stmt_head(Arena *a, const Stmt *s);         /* without what is nested in it, for messages */
char *expr_text(Arena *a, const Expr *e);
char *index_text(Arena *a, Index x);
/* "x: f32[1, 24~8, 1:13:1] as [d0, d1/16, d2+1, d1%16]" */
char *buffer_text(Arena *a, const Buffer *b);
/* text registered under `file` for messages; NULL: reported with file:line:col */
Kernel *kernel_parse(Cx *cx, const char *file, const char *text);
Module *module_parse(Cx *cx, const char *file, const char *text);
uint64_t kernel_hash(const Kernel *k);            /* of its text */

/* One operation on values of a type, held in double (loop_value.c): ops as in Expr. */
double value_round(ScalarType t, double v);
double value_bin(ScalarType t, int op, double x, double y);
double value_un(ScalarType t, int op, int k, double x);
double value_fma(ScalarType t, double x, double y, double z);
bool value_compare(int op, double x, double y);
/* Run a kernel; data[i] holds kernel->buffer[i] in its physical layout (its scalar type). Checks
 * each access; f32 arithmetic is done in float, fma as fmaf. Reports; false on a violation. */
bool kernel_interpret(Cx *cx, const Kernel *k, void *const *data);
/* Compute a weight that the file does not hold, row-major, from tensors that it does. */
bool value_make(Cx *cx, const Value *v, const void *const *source, void *out);
/* Run a module. inputs/outputs in order of its VALUE_INPUT/VALUE_OUTPUT values; weight(user, v)
 * returns the packed data of a weight value. after(user, step) may be NULL. */
typedef struct ModuleRun {
    void *const *input, *const *output;
    const void *(*weight)(void *user, const Value *v);
    void (*after)(void *user, int step, void *const *arg);
    void *user;
} ModuleRun;
bool module_interpret(Cx *cx, const Module *m, const ModuleRun *run);

#endif
