/* net2c/plugin.h: a pass of your own, in a shared library that net2c loads.
 *
 *     #include <net2c/plugin.h>
 *
 *     static PassResult drop_nothing(PassCx *pc, Graph *g)
 *     {
 *         (void)pc;
 *         (void)g;
 *         return PASS_UNCHANGED;
 *     }
 *
 *     const net2c_plugin net2c_plugin_v1 = {
 *         .abi = NET2C_PLUGIN_ABI, .name = "drop-nothing", .graph = drop_nothing,
 *         .after = "graph-dce", .why = "an example",
 *     };
 *
 *     cc -std=c11 -O2 -fPIC -shared -I PREFIX/include drop_nothing.c -o drop_nothing.so
 *     net2c opt net.yaml --load-pass=drop_nothing.so
 *
 * This header is all that a pass includes. It brings the structures of graphs (graph/graph.h),
 * loops (loop/loop.h), attributes of operators (ops/ops.h) and instruction sets (target/target.h),
 * memory and messages (base/base.h). Every function declared there may be called: net2c itself has
 * them, nothing is linked. PREFIX/share/doc/net2c/adding-a-pass.md goes through an example.
 *
 * What is stable: net2c_plugin_v1, its type and how a pass is run. What is not: the structures and
 * functions of the other headers, which are net2c's own. NET2C_PLUGIN_ABI is a number made from the
 * text of all these headers, comments apart; a library that has another one is refused, and has to
 * be built once more with the headers of the net2c that shall load it.
 *
 * A pass has no state. What stays in the IR is allocated from pc->arena, scratch from pc->cx->temp,
 * which is emptied after each pass; there is no free. PASS_FAILED means that it has reported with
 * diag_error. net2c checks the rest as for its own passes: the IR is verified after each run, and
 * PASS_CHANGED must be true. What it cannot check is what a pass does to memory: it runs inside of
 * net2c, and if it crashes, net2c does. Programs for --pass-cmd are kept apart.
 *
 * All functions of the library are static: another one that net2c has by the same name would be
 * called in its place.
 */
#ifndef NET2C_PLUGIN_H
#define NET2C_PLUGIN_H

#include "abi.h"
#include "ops/ops.h"
#include "passes/passes.h"

typedef struct net2c_plugin {
    uint64_t abi;             /* NET2C_PLUGIN_ABI */
    const char *name;         /* a-z, 0-9 and -, of no other pass; for --print-after and the like */
    GraphPass graph;          /* one of these: on what it runs */
    KernelPass kernel;        /* on each kernel, for each instruction set and batch */
    ModulePass module;
    const char *after;        /* the pass of net2c's that it runs behind: net2c opt
                                 --print-pipeline lists them; of the same kind, or the last one of
                                 the kind before */
    const char *why;          /* a line for --print-pipeline, or NULL */
} net2c_plugin;

/* What the library defines. */
extern __attribute__((visibility("default"))) const net2c_plugin net2c_plugin_v1;

#endif
