/* passes: the optimisations. One file a pass, one line in passes.def; file, function, pass name
 * and test folder share one name. A pass has no state and no globals; it opens with a sentence,
 * a before/after example and a contract: needs / keeps / breaks.
 */
#ifndef NET2C_PASSES_H
#define NET2C_PASSES_H

#include "graph/graph.h"
#include "loop/loop.h"
#include "target/target.h"

typedef enum { PASS_UNCHANGED, PASS_CHANGED, PASS_FAILED } PassResult;   /* FAILED has reported */

typedef struct PassCx {
    Cx *cx;
    Arena *arena;             /* for what stays in the IR */
    const struct PassDef *pass;    /* the one that runs; runner.c's */
    const Row *row;
    unsigned remarks;         /* those that are wanted: of RemarkKind */
    bool narrow;              /* weights of linear layers may lose accuracy */
    bool strict;              /* no algorithm whose results differ from the definition's */
    const struct Schedules *schedules;         /* the file some may come from, or NULL */
    /* Is every element of a weight finite? NULL: the weights are not known. */
    bool (*finite)(void *weights, const char *key);
    void *weights;
} PassCx;

/* For --remarks: what a pass did at a place of the model, or what it did not do and why. */
typedef enum { REMARK_DONE = 1, REMARK_MISSED = 2 } RemarkKind;
void pass_remark(const PassCx *pc, RemarkKind kind, Place place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef PassResult (*GraphPass)(PassCx *, Graph *);
typedef PassResult (*KernelPass)(PassCx *, Kernel *);
typedef PassResult (*ModulePass)(PassCx *, Module *);

#define GRAPH_PASS(name, function, optional, why) PassResult function(PassCx *, Graph *);
#define KERNEL_PASS(name, function, optional, why) PassResult function(PassCx *, Kernel *);
#define MODULE_PASS(name, function, optional, why) PassResult function(PassCx *, Module *);
#include "passes/passes.def"
#undef GRAPH_PASS
#undef KERNEL_PASS
#undef MODULE_PASS

typedef enum { LEVEL_GRAPH, LEVEL_KERNEL, LEVEL_MODULE } PassLevel;

typedef struct PassDef {
    const char *name;
    PassLevel level;
    bool optional;            /* --disable-pass may switch it off */
    const char *why;          /* one line for --print-pipeline */
    GraphPass graph;          /* one of the three is set */
    KernelPass kernel;
    ModulePass module;
    /* Of passes from outside only: the pass of the table that it runs behind; its library's path,
     * or its command line. */
    const struct PassDef *after;
    const char *origin;
} PassDef;

const PassDef *pass_find(const char *name);    /* NULL if unknown */
int pass_count(void);
const PassDef *pass_at(int i);                 /* pipeline order */

/* Called before or after each pass with the IR that it gets or has left (one of the three is set).
 * What it puts into the temp arena before a pass is still there after it. */
typedef void (*PassDump)(void *user, const PassDef *p, const Graph *, const Kernel *,
                         const Module *);
typedef struct PassRun {      /* how the runner behaves */
    const char *const *disabled;
    int n_disabled;
    PassDump before, dump;    /* dump: after the pass; or NULL */
    void *user;
} PassRun;

/* Run one pass: verify after, check the flag against the hash, dump. false: reported. */
bool pass_run_graph(PassCx *, const PassRun *, const PassDef *, Graph *);
bool pass_run_kernel(PassCx *, const PassRun *, const PassDef *, Kernel *);
bool pass_run_module(PassCx *, const PassRun *, const PassDef *, Module *);
/* What a kernel pass returns that put names beside others: if it did, makes them unique first. */
PassResult pass_renamed(Kernel *k, bool changed);
bool pass_enabled(const PassRun *, const PassDef *);

#endif
