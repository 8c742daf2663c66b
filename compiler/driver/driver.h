/* driver: the command line and the library. One file a verb, one table of options, one pipeline.
 *
 * stdout carries results only; talk and messages go to stderr. Verbs report through Cx.diags and
 * return an exit status; main prints the messages. The codes of the messages decide the status of
 * a failure (status_of_errors over codes.def), so that no verb has to.
 */
#ifndef NET2C_DRIVER_H
#define NET2C_DRIVER_H

#include "emit/emit.h"
#include "front/front.h"
#include "lower/lower.h"
#include "net2c_rt.h"
#include "passes/passes.h"
#include "sched/sched.h"

#include <stdio.h>

typedef enum {
#define STATUS(id, number, meaning) STATUS_##id = number,
#include "driver/options.def"
} Status;

typedef struct Code {              /* of a message; codes.def */
    Status status;                 /* of a command that fails with it */
    const char *name;              /* "E0203" */
    const char *title, *text, *wrong, *right;  /* text to right: NULL where there is none */
} Code;

extern const Code code_table[];
extern const int code_count;
const Code *code_find(const char *name);             /* or NULL */
int status_of_errors(const Diags *d);

/* ---- options -------------------------------------------------------------------------------- */
typedef enum {
#define VERB(id, name, function, arguments, minimum, maximum, summary) VERB_##id,
#include "driver/options.def"
    VERB_COUNT
} VerbId;

typedef enum {
#define OPTION(id, name, letter, kind, value, verbs, needed, help) OPT_##id,
#include "driver/options.def"
    OPT_COUNT
} OptId;

typedef struct Options {
    VerbId verb;
    const char *argument[2];
    int n_arguments;
    int n[OPT_COUNT];              /* values given; of a flag: how often */
    const char **value[OPT_COUNT];
    Bytes model, weights;          /* in memory, under these names; data NULL: in files */
} Options;

#define VERB(id, name, function, arguments, minimum, maximum, summary) \
    int function(Cx *cx, const Options *o);
#include "driver/options.def"

/* false: reported. */
bool options_parse(Cx *cx, int argc, char **argv, Options *out);
/* As by --name=value; a flag's value is NULL. Only options of the n allowed ones. */
void option_set(Cx *cx, Options *o, const OptId *allowed, int n, const char *name,
                const char *value);
/* The verb is one word or two: "weights init". VERB_COUNT: none of that name. */
VerbId verb_find(const char *first, const char *second, int *words);
const char *option_text(const Options *o, OptId id, const char *fallback);
int64_t option_count(const Options *o, OptId id, int64_t fallback);
double option_number(const Options *o, OptId id, double fallback);
/* The command line's own errors: "unknown pass 'tiel'" with the nearest of n names. */
void usage_unknown(Cx *cx, const char *what, const char *word, const char *const *names, int n);
/* An option of the form word|word: which of the n it is; -1: reported. */
int option_word(Cx *cx, const Options *o, OptId id, const char *const *words, int n);

/* ---- progress: what takes over a second says so on stderr ----------------------------------- */
void progress_start(Cx *cx, const Options *o);      /* of each cx_phase */
void progress_end(void);
void progress_crash(void);                           /* for the handler of a signal */
bool wants_color(FILE *f);                           /* a terminal, and NO_COLOR is not set */

/* Measured numbers as text: with so many decimals; with three digits and an exponent. */
const char *figure_fixed(Arena *a, double v, int decimals);
const char *figure_short(Arena *a, double v);
double clock_ms(void);
void figures_sort(double *v, int n);
double figures_median(const double *sorted, int n);
void figures_interval(const double *sorted, int n, double *low, double *high); /* of it, 95 % */
int bench_ablate(Cx *cx, const Options *o);          /* bench --ablate; an exit status */
/* What bench --json printed for the network, and "min_ms" in it. NULL: reported. */
const char *bench_read(Cx *cx, const char *path, const char *network, double *minimum);

/* ---- pipeline ------------------------------------------------------------------------------- */
#define PASS_CMD_NAME "pass-cmd"   /* of all programs, where passes have names */

typedef enum { BACKEND_C, BACKEND_JIT, BACKEND_INTERP } Backend;

typedef struct Pipeline {          /* a model on its way to loops */
    Cx *cx;
    PassCx pass_cx;
    const Row *row[MAX_ROWS];      /* the first one decides layouts and the order of sums */
    int n_rows, used_row;          /* used_row: the one that runs here */
    PassRun run;
    const PassDef **pass;          /* in order */
    int n_passes;
    PassDef *outside;              /* those of them that come from outside */
    int n_outside;
    Backend backend;
    void (*on_time)(Cx *cx, const char *phase, double ms);   /* each phase took; or NULL */
    const char *phase;             /* the one that runs since phase_start; NULL: none */
    double phase_start;
    ScalarType type;
    Graph *graph;
    const char *schedule_file;     /* --schedule, and what it holds; or NULL */
    Schedules *schedules;
    const char *const *descriptor; /* of each step of the module, once it is lowered */
    int64_t batch[MAX_BATCHES];    /* items in a call; the first decides layouts, one is 1 */
    int n_batches;
    Module *module;                /* for the first of them */
    Module *sized[MAX_BATCHES];    /* one a batch, the largest first, over the same weights */
} Pipeline;

Graph *model_of_options(Cx *cx, const Options *o);   /* the argument, with -D; NULL: reported */
int64_t graph_parameters(Arena *a, const Graph *g);  /* elements of all weights, shared ones once */
bool pipeline_start(Pipeline *p, Cx *cx, const Options *o);        /* row and passes by options */
bool pipeline_graph(Pipeline *p);                                  /* graph passes */
bool pipeline_lower(Pipeline *p);                                  /* graph -> module */
bool pipeline_module(Pipeline *p);                                 /* kernel and module passes */
bool pipeline_run(Pipeline *p);                                    /* these three */
/* What computes the next items where so many, at least one, are left: the largest batch of them. */
const Module *pipeline_sized(const Pipeline *p, int64_t items);
/* For a verb with a model, and weights unless it does without (*w: NULL): load, check, lower. */
bool pipeline_load(Pipeline *p, Cx *cx, const Options *o, Weights **w);
/* The whole way for one with weights: that, and pipeline_module. */
bool pipeline_compile(Pipeline *p, Cx *cx, const Options *o, Weights **w);
/* For a verb that only looks: weights need not be given, and are closed again. All that is wrong
 * with them and the model is reported. */
bool pipeline_look(Pipeline *p, Cx *cx, const Options *o);
typedef enum {
    REFERENCE_EXACT,               /* weights as they are in the file */
    REFERENCE_STORED,              /* rounded, where the labels `store` say so */
    REFERENCE_SIZES                /* exact ones; every subtraction is an addition, so that on
                                    * positive data an element is the size of what it sums up */
} Reference;
/* Of p's finished graph: same groups, operators' nests without any optional pass, in doubles. Takes
 * the labels of layout and algorithm off p->graph. */
bool pipeline_reference(Pipeline *p, Pipeline *reference, Reference kind);

/* The passes that run, by the options: p->pass, p->outside and what p->run leaves out. */
void pass_list(Pipeline *p, const Options *o);
void pass_list_needed(Pipeline *p);                  /* without any optional one */
/* The same, reported if there is none and it is not that other word; or NULL. */
const PassDef *pass_wanted(const Pipeline *p, const char *name, const char *other);
const char *pass_title(const PassDef *pass);         /* its name, or a program's command line */
/* A pass in a shared library. false: reported. */
bool plugin_load(Cx *cx, const char *path, PassDef *out);
/* What the program pc->pass->origin prints takes the place of what it reads. FAILED: all is as it
 * was. */
PassResult command_on_graph(PassCx *pc, Graph *g);
PassResult command_on_kernel(PassCx *pc, Kernel *k);

/* --schedule: gives the kernels of a lowered module their schedules for its row. */
void schedules_choose(const Pipeline *p, Module *m);
/* Has each entry of the file found a kernel? Warns of the others; false: one names no kernel. */
bool schedules_check(const Pipeline *p);

/* An entry for such a file, in lines of at most 100 characters that begin with `prefix`. */
void schedule_print(Str *out, const char *prefix, const char *key, const char *row,
                    const char *text);
bool layer_chosen(const Options *o, const char *kernel);     /* by --layer, or for want of it */
bool layers_check(Cx *cx, const Options *o, const Module *m);         /* false: reported */

/* ---- weights, generated files and running them ----------------------------------------------- */
/* The files of a module: texts at BASE.c and BASE.h, the blob at BASE.n2w, then what is wanted. */
typedef struct CodeWish {
    bool manifest;                 /* BASE.json */
    WeightsAs weights_as;          /* BASE_weights.S or .c */
    const EmitTest *test;          /* BASE_test.c; NULL: none */
    const char *depfile;           /* a make rule for BASE.c; NULL: none */
    const char *const *read;       /* the n_read files in it */
    int n_read;
} CodeWish;

enum { MAX_CODE_FILES = 7 };
typedef struct CodeFiles {
    const char *path[MAX_CODE_FILES];
    const Str *text[MAX_CODE_FILES];         /* NULL: the blob */
    uint64_t bytes[MAX_CODE_FILES];
    int n;
} CodeFiles;
bool code_emit(Cx *cx, const Pipeline *p, const char *base, const CodeWish *wish,
               EmitFiles *files);             /* the texts alone, which need no weights */
/* .c, .h, .n2w and .json of BASE, a name without a folder, in memory; *blob is the third. */
bool code_make(Cx *cx, const Pipeline *p, const Weights *w, const char *base, CodeFiles *out,
               Bytes *blob);
/* All files appear or none. */
bool code_write(Cx *cx, const Pipeline *p, const Weights *w, const char *base,
                const CodeWish *wish, CodeFiles *out);

/* What the C compiler makes of the C file. NULL: reported. */
const char *code_assembly(const Pipeline *p, const Options *o);
/* The weights alone, for code that does not check whose they are. */
bool code_write_weights(Cx *cx, const Pipeline *p, const Weights *w, const char *path);
/* Of n folders named as seen from where this library or program lies, the first with the file; or
 * NULL. */
const char *folder_beside(Cx *cx, const char *const *folder, int n, const char *file);

typedef struct JitCode JitCode;    /* a module in this process, made without a C compiler */

typedef struct Session {           /* generated code, compiled and loaded */
    Cx *cx;
    const Module *module;
    uint64_t c_bytes;              /* of the C text */
    CcModule *cc;                  /* this, or jit */
    JitCode *jit;
    Bytes blob;                    /* mapped, private to this process */
    struct {
        const void *weights;
        uint32_t isa;
    } model;                       /* as in the generated header */
    n2c_status (*run)(const void *model, const void *io, size_t batch, void *arena,
                      const n2c_exec *exec);     /* of cc */
    void *arena;
    n2c_pool *pool;                /* --threads; NULL: this thread alone */
} Session;

/* cc, cflags: NULL for the defaults. NULL: reported. */
Session *session_open(Pipeline *p, const Weights *w, const Options *o);
/* io: inputs, then outputs, as in the generated struct. exec: hooks, or NULL. */
bool session_run(Session *s, void *const *io, size_t batch, const n2c_exec *exec);
void session_close(Session *s);                      /* cx_delete does it too */

const LlvmPlugin *llvm_plugin(Cx *cx);               /* NULL: reported */
LlvmUnit llvm_unit(const Pipeline *p);
JitCode *jit_load(const Pipeline *p);                /* NULL: reported */
/* As the generated function that runs a network; s has weights and arena. */
n2c_status jit_run(const Session *s, void *const *io, size_t batch, const n2c_exec *exec);
void jit_unload(JitCode *c);

/* Kernels for the same step of a pipeline's module, in one module, by schedule, timed in turn. */
enum { MAX_TRIALS = 16 };
typedef struct Trials {
    const char *schedule[MAX_TRIALS];        /* NULL: the loops as they are */
    int n;
    double *ms[MAX_TRIALS];                  /* by round */
    int rounds;
} Trials;
/* Takes out those that are not legal. Rounds go on until clock_ms() reaches `end`, but are at least
 * `least`. false: reported, or none is left. */
bool trials_run(Pipeline *p, const Weights *w, const Options *o, int step, Trials *t, int least,
                double end);
/* How many kernels for this step can be in one module: their weights lie in memory together. */
int trials_room(const Pipeline *p, int step);

/* ---- tensors in and out ---------------------------------------------------------------------- */
typedef struct Npy {
    Shape shape;                   /* batch axis included, a number */
    const float *data;
} Npy;
bool npy_read(Cx *cx, const char *path, Npy *out);            /* float32, C order, little-endian */
bool npy_write(Cx *cx, const char *path, const Npy *npy);

/* An array with the tensor's shape, any number of items first. NULL: reported. */
const float *tensor_read(Cx *cx, const Tensor *t, const char *path, int64_t *batch);

bool image_options(Cx *cx, const Options *o, Preprocess *p);  /* --mean, --std replace p's */
/* A picture as planes of shape s, [N, p->channels, height, width], by p; without p->input it is
 * scaled to cover the shape and cut around the middle. NULL: reported. */
float *image_read(Cx *cx, const char *path, const Shape *s, const Preprocess *p);

/* "name=path" or "path" for a network with one such tensor: which of the n; -1: reported. */
int binding_find(Cx *cx, const char *text, Tensor *const *tensor, int n, const char *what,
                 const char **path);
uint64_t tensor_seed(const Options *o, const Tensor *t);     /* of an input at random */
/* Memory for all inputs and outputs, the inputs filled from --input, or *batch items at random
 * where the verb does without; *batch becomes the items there are. Their number is inputs + outputs
 * of the graph. NULL: reported. */
void **tensors_make(Cx *cx, const Options *o, const Graph *g, int64_t *batch);

/* One output of one sample of the model, as generated code gives it and as it should be. */
typedef struct SampleResult {
    int sample;                    /* from 1 */
    const char *tensor;
    Shape shape;                   /* batch axis included, a number */
    int64_t n_wrong, first;        /* elements; number of the first wrong one */
    double got, want;              /* of the first wrong one */
    double absolute;               /* largest difference */
} SampleResult;
bool samples_run(Session *s, const Graph *g, SampleResult **out, int *n);   /* false: reported */
const char *sample_index(Arena *a, const SampleResult *r);   /* "[0, 3]" of the first wrong one */

/* Items of one call compared with calls of their own. */
typedef struct BatchResult {
    int64_t n_items;               /* in the call */
    int64_t n_different;           /* elements of outputs */
} BatchResult;
/* io: `given` items, as from tensors_make. false: reported. */
bool batches_run(Session *s, const Pipeline *p, float *const *io, int64_t given, BatchResult *out);

/* Elements of the tensor in a buffer's memory, in logical order, without halo and slack. */
int64_t buffer_logical_elements(const Buffer *b);
void buffer_unpack(const Buffer *b, const void *data, void *out);

/* ---- what opt shows, and its checks ---------------------------------------------------------- */
/* What a pass left, or lowering: one of the three is set. */
typedef struct Ir {
    const Graph *graph;
    const Kernel *kernel;
    const Module *module;
} Ir;

char *ir_text(Arena *a, Ir ir);

typedef struct Change {            /* lines from..to - 1, from 0, of the old and the new text */
    int from[2], to[2];
} Change;
int text_changes(Arena *a, const char *old, const char *new, Change **out);    /* how many */
char *text_diff(Arena *a, const char *old, const char *new, bool color);       /* unified hunks */

typedef enum { STAT_NODES, STAT_KERNELS, STAT_LOOPS, STAT_STATEMENTS, STAT_MACS, STAT_ACTIVATIONS,
               STAT_WEIGHTS, IR_STATS } IrStat;
extern const char *const ir_stat_name[IR_STATS];

typedef struct Stage {             /* of a compilation: a pass, or what stands in for one */
    const char *name;
    const PassDef *pass;           /* or NULL */
    int64_t stat[IR_STATS];        /* of what it leaves; -1: there is none */
    int first_message;             /* of those that it has given */
    Str changes, graph, values;    /* report.c's, as JSON */
} Stage;
void ir_stats(Arena *a, Ir ir, int64_t stat[IR_STATS]);        /* of a graph or module */
void stages_print(Arena *a, const Stage *stage, int n);

/* A page that shows what each stage left. */
typedef struct Report Report;
Report *report_new(Cx *cx);
void report_ir(Report *r, Stage *stage, Ir ir);      /* of a kernel pass: each kernel */
/* bench: what bench --json printed, or NULL. false: reported. */
bool report_write(Report *r, const char *path, const Pipeline *p, const Stage *stage, int n,
                  const char *bench);

/* Print, read back, print again: false and E0971 if the texts differ. `after` names the pass. */
bool text_check(Cx *cx, const char *after, Ir ir);

/* Interprets on small integers and compares with what the pass before left: E0972. The first time
 * it sees a graph, kernel or module it only remembers. */
typedef struct ExecCheck ExecCheck;
ExecCheck *exec_check_new(Cx *cx, const Row *row);
bool exec_check(ExecCheck *x, const char *after, Ir ir);

#endif
