/* emit: loop IR to C text, and running it. Knows types, loops, loads, stores, lanes and the row's
 * table of instructions; names no operator. emit_c prints kernels, emit_c_file the files; emit_llvm
 * and jit are the plugin that does without a C compiler.
 */
#ifndef NET2C_EMIT_H
#define NET2C_EMIT_H

#include "loop/loop.h"
#include "net2c_rt.h"
#include "target/target.h"

/* One kernel as a static C function `KERNEL_ROW(const float *restrict x, ...)`; of a module for
 * several items `KERNEL_ROW_nBATCH`, so that kernels for one item may have any name. */
bool emit_c_kernel(Cx *cx, Str *out, const Kernel *k, const Row *row, int64_t batch);
const char *emit_c_function(Arena *a, const Kernel *k, const Row *row, int64_t batch);
/* What a C file with kernels begins with: pragmas, a header of its own, the rows' helpers. */
void emit_c_prelude(Str *out, const Row *const *row, int n_rows, ScalarType type,
                    const char *header);

typedef enum { WEIGHTS_FILE, WEIGHTS_INCBIN, WEIGHTS_ARRAY } WeightsAs;

typedef struct EmitTest {          /* what a program that tests the code has to know */
    const uint64_t *seed;          /* one an input */
    double *const *expected;       /* inputs (unused), then outputs: of the first item */
} EmitTest;

typedef struct EmitFiles {         /* contents; written by the driver */
    Str c, h, json;
    Str weights;                   /* how to link them in; an array without its elements */
    Str test;                      /* with EmitOptions.test */
    uint64_t model_hash;           /* ties .c and .n2w: over module text and options */
} EmitFiles;

typedef struct EmitOptions {
    const char *base_name;         /* "alexnet_gen": names of the files in comments */
    const char *command;           /* options in the first lines */
    const char *version;
    const Row *const *row;         /* the module's, the best one first */
    int n_rows;
    WeightsAs weights_as;
    const EmitTest *test;          /* NULL: none */
    Module *const *sized;          /* the network for each batch, the largest first: the module */
    int n_sized;                   /* and others, over the same weights */
} EmitOptions;

bool emit_c_files(Cx *cx, const Module *m, const EmitOptions *o, EmitFiles *out);
void emit_weights_bytes(Str *out, Bytes blob);               /* the elements of the array */

/* The weights blob (.n2w): header, table, packed tensors; streamed into a file that the caller
 * commits or discards. tensor(user, key) gives the raw little-endian f32 data of a tensor in the
 * weights file. */
typedef struct BlobSource {
    bool (*tensor)(void *user, const char *key, Bytes *out);
    void (*done)(void *user, Bytes consumed);      /* its pages may go */
    void *user;
} BlobSource;
bool blob_write_to(Cx *cx, OutFile *file, const Module *m, uint64_t model_hash,
                   const BlobSource *src);
/* Where the body of the blob begins, and its length; Value.offset of a weight is in the body. */
int64_t blob_body_offset(const Module *m);
int64_t blob_body_bytes(const Module *m);
/* One weight packed by its storage map, first..first+count physical elements into out. */
void pack_weight(const Value *v, const float *src, int64_t first, int64_t count, float *out);
/* The same as elements of the value's type: f32, f64 or bf16. */
void pack_elements(const Value *v, const float *src, int64_t first, int64_t count, void *out);

/* The system's C compiler and dlopen. */
typedef struct CcModule CcModule;
/* Compile a C file (include directory: the runtime's) with cc (NULL: $CC or cc) at -O2 and with
 * further flags, separated by spaces, to a shared object in a private temporary folder and load
 * it. NULL: reported. */
CcModule *cc_load(Cx *cx, const char *c_path, const char *include_dir, const char *cc,
                  const char *flags);
/* The same to assembler text in a file. false: reported. */
bool cc_assemble(Cx *cx, const char *c_path, const char *out_path, const char *include_dir,
                 const char *cc, const char *flags);
void *cc_symbol(Cx *cx, CcModule *m, const char *name);
void cc_unload(CcModule *m);

/* ---- LLVM, the other way to code ------------------------------------------------------------- */
/* All kernels of a network for one row. */
typedef struct LlvmUnit {
    Module *const *sized;          /* the network for each batch */
    int n_sized, row_number;       /* the row's number in them */
    const Row *row;
} LlvmUnit;

/* A kernel in this process. buffer: as in Step.arg; exec->parallel_for is not NULL. */
typedef void JitKernel(const n2c_exec *exec, void *const *buffer);
typedef struct Jit Jit;

/* What the plugin has under the name net2c_llvm. It is a shared library of its own, so that the
 * compiler itself does without LLVM. A kernel is called as in C: emit_c_function. */
typedef struct LlvmPlugin {
    const char *version;           /* of net2c: both are of one build */
    bool (*text)(Cx *cx, const LlvmUnit *u, Str *out);        /* before LLVM's passes */
    bool (*object)(Cx *cx, const LlvmUnit *u, Str *out);      /* an object file: JitKernels */
    Jit *(*open)(Cx *cx, const LlvmUnit *u);                  /* NULL: reported */
    JitKernel *(*kernel)(Cx *cx, Jit *j, const char *name);   /* NULL: reported */
    void (*close)(Jit *j);
} LlvmPlugin;
extern const LlvmPlugin net2c_llvm;

/* ---- inside emit/ ------------------------------------------------------------------------ */
/* Names: `taken` maps the C names of the open scopes to the objects that own them. */
#define C_WORD "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
bool c_is_identifier(const char *s);
const char *c_identifier(Arena *a, const char *name);      /* legal, no keyword; not yet unique */
const char *c_name_take(Arena *a, Map *taken, const void *owner, const char *name);
/* What owner has taken name as, or NULL; owner NULL: as what it can be taken. */
const char *c_name_of(Arena *a, const Map *taken, const void *owner, const char *name);
void c_name_free(Arena *a, Map *taken, const void *owner, const char *name);
char *c_upper(Arena *a, const char *name);                 /* for macros */
/* Text as lines of a comment, ASCII only, unable to end it. Each begins with prefix, in
 * which a slash (the comment's opening) becomes a space after the first; the caller closes it. */
void c_comment(Str *out, const char *prefix, const char *text);

typedef struct EmitPublic {        /* a network input or output in the generated interface */
    const Value *value;
    const char *field, *macro;     /* io->field, NAME_macro_COUNT */
    int64_t count;                 /* elements an item */
} EmitPublic;

typedef struct EmitFile {          /* what the writers of .c, .h and .json share */
    Cx *cx;
    const Module *m;               /* for the first batch */
    const EmitOptions *o;
    const char *name, *upper;      /* prefixes of functions and macros */
    EmitPublic *io;                /* inputs, then outputs */
    int n_io, n_inputs;
    uint64_t model_hash;
    int64_t weights_bytes, arena_bytes, stack_bytes;
} EmitFile;

/* Adds text in which $ stands for what differs between networks: see emit_text.c. */
void emit_text(const EmitFile *f, Str *out, const char *text);
/* The same about one input or output; about one row, and the code in it for one batch. */
void emit_text_of(const EmitFile *f, Str *out, const EmitPublic *io, const char *text);
void emit_text_for(const EmitFile *f, Str *out, const Row *row, const Module *sized,
                   const char *text);
/* In quotes, printable ASCII: as in JSON, or as in C. text may be NULL. */
const char *emit_quote(Arena *a, const char *text, bool json);
const char *emit_type_of(const EmitFile *f, ScalarType t);
int64_t step_weight_bytes(const Step *s);
int step_output(const Step *s);                            /* its last output argument, or -1 */
void emit_header(const EmitFile *f, Str *out);
void emit_json(const EmitFile *f, Str *out);
void emit_weights(const EmitFile *f, Str *out);
void emit_selftest(const EmitFile *f, Str *out);

#define MAX_AROUND 16

typedef struct EmitTask EmitTask;
struct EmitTask {                  /* a parallel loop that becomes a function */
    const Stmt *loop;
    int number;                    /* from 1 */
    const Var *at[MAX_AROUND];     /* the variables of loops around that it needs */
    int n;
    EmitTask *next;
};
/* Of a kernel, in order. If there are any, its first parameter is const n2c_exec *exec. */
const EmitTask *emit_tasks_of(Arena *a, const Kernel *k);

typedef struct EmitC {             /* one kernel being printed */
    Cx *cx;
    Arena *a;                      /* scratch */
    Str *out;
    const Kernel *kernel;
    const Row *row;
    int64_t batch;
    Map *taken;
    Str before;                    /* declarations an expression needs before its statement */
    int indent;
    const EmitTask *task;          /* the loops that are called here instead of printed */
    bool failed;
} EmitC;

const char *emit_fail(EmitC *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *emit_name(EmitC *e, const void *owner, const char *name);
const char *emit_expr(EmitC *e, const Expr *x);            /* C text */
const char *emit_index(EmitC *e, Index x);
const char *emit_element(EmitC *e, const Buffer *b, const Index *index, int n);   /* "x[9*i + 1]" */
const char *emit_instr(EmitC *e, Ins ins, Type t, int n, const char *const arg[]);
const char *emit_type(EmitC *e, Type t);
/* The operands of a min or max in the order in which they are compared; true: the second is known
 * to be no NaN. */
bool emit_min_max(const Expr *x, const Expr *arg[2]);

#endif
