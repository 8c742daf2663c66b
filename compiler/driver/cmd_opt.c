/* net2c opt: run passes, print what they leave, check that they keep text and results.
 *
 *     net2c opt --print-pipeline
 *     net2c opt net.yaml --stop-after=fuse-layers
 *     net2c opt net.yaml --emit=loop --print-after=tile --verify-text --verify-exec
 *
 * contract: needs no weights. Prints one IR at the end, the graph or the loops, unless
 * --print-after asks for others, each behind a comment that names the pass; --emit=llvm and obj ask
 * for all kernels as LLVM's text or an object file, by the LLVM plugin. Without --emit it is
 * the one that the last pass works on.
 */
#include "driver/driver.h"

#include <stdio.h>

typedef struct Opt {
    Cx *cx;
    const Options *options;
    Pipeline pipeline;
    ExecCheck *exec;               /* NULL: not asked for */
    bool text;                     /* --verify-text */
} Opt;

static void print_pipeline(void)
{
    static const char *const level[] = {"graph", "kernel", "module"};
    printf("%-17s %-7s %-9s %s\n", "pass", "works on", "optional", "why it is there");
    for (int i = 0; i < pass_count(); i++) {
        const PassDef *p = pass_at(i);
        printf("%-17s %-8s %-9s %s\n", p->name, level[p->level], p->optional ? "yes" : "no",
               p->why);
    }
}

static bool is_printed(const Options *o, const char *pass)
{
    for (int i = 0; i < o->n[OPT_PRINT_AFTER]; i++) {
        const char *name = o->value[OPT_PRINT_AFTER][i];
        if (str_eq(name, pass) || str_eq(name, "all"))
            return true;
    }
    return false;
}

static void check(Opt *x, const char *after, Ir ir)
{
    if (x->text)
        text_check(x->cx, after, ir);
    if (x->exec)
        exec_check(x->exec, after, ir);
}

static void after_pass(void *user, const PassDef *p, const Graph *g, const Kernel *k,
                       const Module *m)
{
    Opt *x = user;
    const Ir ir = {g, k, m};
    if (is_printed(x->options, p->name)) {
        printf("# after %s\n", p->name);
        fputs(ir_text(x->cx->temp, ir), stdout);
    }
    if (diags_error_count(x->cx->diags) == 0)
        check(x, p->name, ir);
}

/* What lies between two levels is checked as well; temp is nobody's there. */
static bool between(Opt *x, const char *after, Ir ir)
{
    check(x, after, ir);
    arena_reset(x->cx->temp);
    return diags_error_count(x->cx->diags) == 0;
}

static bool run_on_loops(Opt *x)
{
    Pipeline *p = &x->pipeline;
    if (!pipeline_lower(p))
        return false;
    for (int i = 0; x->exec && i < p->module->n_steps; i++)
        if (!between(x, "lowering", (Ir){NULL, p->module->step[i].kernel, NULL}))
            return false;
    return between(x, "lowering", (Ir){NULL, NULL, p->module}) && pipeline_module(p);
}

typedef enum { EMIT_GRAPH, EMIT_LOOP, EMIT_LLVM, EMIT_OBJECT } Emit;

/* --emit, or what the last pass that runs works on. */
static bool emits_graph(const Opt *x, Emit emit)
{
    const Pipeline *p = &x->pipeline;
    PassLevel last = LEVEL_GRAPH;
    if (x->options->n[OPT_EMIT])
        return emit == EMIT_GRAPH;
    for (int i = 0; i < p->n_passes; i++)
        if (pass_enabled(&p->run, p->pass[i]))
            last = p->pass[i]->level;
    return last == LEVEL_GRAPH;
}

static bool print_code(const Opt *x, Emit emit)
{
    const LlvmPlugin *plugin = llvm_plugin(x->cx);
    const LlvmUnit unit = llvm_unit(&x->pipeline);
    Str s = str_new(x->cx->perm);
    if (!plugin || !(emit == EMIT_LLVM ? plugin->text : plugin->object)(x->cx, &unit, &s))
        return false;
    fwrite(s.data, 1, s.len, stdout);
    return true;
}

static bool run(Opt *x, Emit emit)
{
    Pipeline *p = &x->pipeline;
    bool graph = emits_graph(x, emit);
    p->graph = model_of_options(x->cx, x->options);
    if (!p->graph || !between(x, "loading", (Ir){p->graph, NULL, NULL}) || !pipeline_graph(p))
        return false;
    if (!graph && !run_on_loops(x))
        return false;
    if (emit >= EMIT_LLVM)
        return print_code(x, emit);
    if (!x->options->n[OPT_PRINT_AFTER]) {
        const Ir ir = {graph ? p->graph : NULL, NULL, graph ? NULL : p->module};
        fputs(ir_text(x->cx->perm, ir), stdout);
    }
    return true;
}

static void check_print_after(Cx *cx, const Options *o)
{
    const char **names = NEW_ARRAY(cx->perm, const char *, pass_count() + 2);
    int n = pass_count();
    for (int i = 0; i < n; i++)
        names[i] = pass_at(i)->name;
    names[n++] = PASS_CMD_NAME;
    names[n++] = "all";
    for (int i = 0; i < o->n[OPT_PRINT_AFTER]; i++) {
        const char *name = o->value[OPT_PRINT_AFTER][i];
        if (!pass_find(name) && !str_eq(name, "all") && !str_eq(name, PASS_CMD_NAME))
            usage_unknown(cx, "pass", name, names, n);
    }
}

int cmd_opt(Cx *cx, const Options *o)
{
    static const char *const emits[] = {"graph", "loop", "llvm", "obj"};
    Opt x = {.cx = cx, .options = o, .text = o->n[OPT_VERIFY_TEXT] > 0};
    int emit = option_word(cx, o, OPT_EMIT, emits, 4);
    if (o->n[OPT_PRINT_PIPELINE]) {
        print_pipeline();
        return STATUS_OK;
    }
    check_print_after(cx, o);
    if (emit >= EMIT_LLVM &&
        (o->n[OPT_PASSES] || o->n[OPT_STOP_AFTER] || o->n[OPT_PRINT_AFTER]))
        diag_error(cx->diags, NO_PLACE, "E0009", "--emit=llvm and --emit=obj take the whole "
                   "pipeline: no --passes, --stop-after or --print-after");
    if (o->n_arguments == 0) {
        diag_error(cx->diags, NO_PLACE, "E0005", "opt needs a MODEL");
        diag_help(cx->diags, "or --print-pipeline");
    }
    if (diags_error_count(cx->diags) > 0 || !pipeline_start(&x.pipeline, cx, o))
        return status_of_errors(cx->diags);
    if (o->n[OPT_VERIFY_EXEC])
        x.exec = exec_check_new(cx, x.pipeline.pass_cx.row);
    x.pipeline.run.dump = after_pass;
    x.pipeline.run.user = &x;
    return run(&x, (Emit)emit) ? STATUS_OK : status_of_errors(cx->diags);
}
