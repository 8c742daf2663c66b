/* net2c opt: run passes, print what they leave, check that they keep text and results.
 *
 *     net2c opt --print-pipeline
 *     net2c opt net.yaml --stop-after=fuse-layers
 *     net2c opt net.yaml --emit=loop --print-after=tile --verify-text --verify-exec
 *
 * contract: needs no weights. Prints one IR at the end, the graph or the loops, unless
 * --print-after asks for others, each behind a comment that names the pass. Without --emit it is
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

static void print_pipeline(const Pipeline *pipeline)
{
    static const char *const level[] = {"graph", "kernel", "module"};
    printf("%-17s %-7s %-9s %s\n", "pass", "works on", "optional", "why it is there");
    for (int i = 0; i < pipeline->n_passes; i++) {
        const PassDef *p = pipeline->pass[i];
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

/* --emit, or what the last pass that runs works on. */
static bool emits_graph(const Opt *x, int emit)
{
    const Pipeline *p = &x->pipeline;
    PassLevel last = LEVEL_GRAPH;
    if (x->options->n[OPT_EMIT])
        return emit == 0;
    for (int i = 0; i < p->n_passes; i++)
        if (pass_enabled(&p->run, p->pass[i]))
            last = p->pass[i]->level;
    return last == LEVEL_GRAPH;
}

static bool run(Opt *x, int emit)
{
    Pipeline *p = &x->pipeline;
    bool graph = emits_graph(x, emit);
    if (graph && p->schedules) {
        diag_error(x->cx->diags, NO_PLACE, "E0009", "--schedule is for loops, not for graphs");
        diag_help(x->cx->diags, "write --emit=loop");
        return false;
    }
    p->graph = model_of_options(x->cx, x->options);
    if (!p->graph || !between(x, "loading", (Ir){p->graph, NULL, NULL}) || !pipeline_graph(p))
        return false;
    if (!graph && !run_on_loops(x))
        return false;
    if (!x->options->n[OPT_PRINT_AFTER]) {
        const Ir ir = {graph ? p->graph : NULL, NULL, graph ? NULL : p->module};
        fputs(ir_text(x->cx->perm, ir), stdout);
    }
    return true;
}

int cmd_opt(Cx *cx, const Options *o)
{
    static const char *const emits[] = {"graph", "loop"};
    Opt x = {.cx = cx, .options = o, .text = o->n[OPT_VERIFY_TEXT] > 0};
    int emit = option_word(cx, o, OPT_EMIT, emits, 2);
    if (o->n_arguments == 0 && !o->n[OPT_PRINT_PIPELINE]) {
        diag_error(cx->diags, NO_PLACE, "E0005", "opt needs a MODEL");
        diag_help(cx->diags, "or --print-pipeline");
    }
    if (pipeline_start(&x.pipeline, cx, o))
        for (int i = 0; i < o->n[OPT_PRINT_AFTER]; i++)
            pass_wanted(&x.pipeline, o->value[OPT_PRINT_AFTER][i], "all");
    if (diags_error_count(cx->diags) > 0)
        return status_of_errors(cx->diags);
    if (o->n[OPT_PRINT_PIPELINE]) {
        print_pipeline(&x.pipeline);
        return STATUS_OK;
    }
    if (o->n[OPT_VERIFY_EXEC])
        x.exec = exec_check_new(cx, x.pipeline.pass_cx.row);
    x.pipeline.run.dump = after_pass;
    x.pipeline.run.user = &x;
    return run(&x, emit) ? STATUS_OK : status_of_errors(cx->diags);
}
