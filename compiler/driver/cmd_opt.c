/* net2c opt: run passes, show what they do, check that they keep text and results.
 *
 *     net2c opt --print-pipeline
 *     net2c opt net.yaml --stop-after=fuse-layers
 *     net2c opt net.yaml --emit=loop --print-after=tile --verify-text --verify-exec
 *     net2c opt net.yaml --print-changed
 *
 * contract: needs no weights. Prints one IR at the end, the graph or the loops, unless an option
 * asks for something else: what passes get or leave, each behind a comment that names the pass;
 * what they change; a table; a page. --emit=c and asm ask for the generated C and what becomes of
 * it, llvm and obj for all kernels as LLVM's text or an object file, by the LLVM plugin. Without
 * --emit it is the IR that the last pass works on.
 */
#include "driver/driver.h"

#include <stdio.h>

typedef struct Opt {
    Cx *cx;
    const Options *options;
    Pipeline pipeline;
    ExecCheck *exec;               /* NULL: not asked for */
    bool text;                     /* --verify-text */
    bool color;
    const char *before;            /* --print-changed: what the pass that runs has got */
    Stage *stage;                  /* what has run; of the last one stat is not known yet */
    int n_stages;
    Report *report;                /* NULL: not asked for */
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

static void print_time(Cx *cx, const char *phase, double ms)
{
    fprintf(stderr, "%10s ms  %s\n", figure_fixed(cx->temp, ms, 3), phase);
}

static void print_ir(const Opt *x, OptId option, const char *when, const char *pass, Ir ir)
{
    for (int i = 0; i < x->options->n[option]; i++) {
        const char *name = x->options->value[option][i];
        if (!str_eq(name, pass) && !str_eq(name, "all"))
            continue;
        printf("# %s %s\n%s", when, pass, ir_text(x->cx->temp, ir));
        return;
    }
}

static void print_changes(const Opt *x, const char *pass, Ir ir)
{
    const char *diff = text_diff(x->cx->temp, x->before, ir_text(x->cx->temp, ir), x->color);
    const char *what = ir.kernel ? ir.kernel->name : ir.graph ? "graph" : "module";
    const char *on = x->color ? "\033[1m" : "", *off = x->color ? "\033[0m" : "";
    if (*diff)
        printf("%s--- %s before %s%s\n%s+++ %s after %s%s\n%s", on, what, pass, off, on, what,
               pass, off, diff);
}

/* A pass runs on one kernel after the other: it is a stage once all are done. */
static void end_stage(Opt *x)
{
    const Pipeline *p = &x->pipeline;
    const Ir all = {p->module ? NULL : p->graph, NULL, p->module};
    ir_stats(x->cx->temp, all, x->stage[x->n_stages - 1].stat);
}

static void start_stage(Opt *x, const char *name, const PassDef *pass)
{
    Arena *a = x->cx->perm;
    if (x->n_stages > 0)
        end_stage(x);
    x->stage[x->n_stages++] = (Stage){.name = name, .pass = pass,
                                      .first_message = diags_count(x->cx->diags),
                                      .changes = str_new(a), .graph = str_new(a),
                                      .values = str_new(a)};
}

/* Stages are those of the first instruction set and batch; the others only follow. */
static bool in_stages(const Opt *x, Ir ir)
{
    const Module *m = x->pipeline.module;
    if (ir.graph || ir.module)
        return ir.graph || ir.module == m;
    for (int i = 0; i < m->n_steps; i++)
        if (m->step[i].kernel == ir.kernel)
            return true;
    return false;
}

static void before_pass(void *user, const PassDef *p, const Graph *g, const Kernel *k,
                        const Module *m)
{
    Opt *x = user;
    const Ir ir = {g, k, m};
    if (x->stage[x->n_stages - 1].pass != p && in_stages(x, ir))
        start_stage(x, p->name, p);
    print_ir(x, OPT_PRINT_BEFORE, "before", p->name, ir);
    if (x->options->n[OPT_PRINT_CHANGED])
        x->before = ir_text(x->cx->temp, ir);
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
    print_ir(x, OPT_PRINT_AFTER, "after", p->name, ir);
    if (x->options->n[OPT_PRINT_CHANGED])
        print_changes(x, p->name, ir);
    if (x->report && in_stages(x, ir))
        report_ir(x->report, &x->stage[x->n_stages - 1], ir);
    if (diags_error_count(x->cx->diags) == 0)
        check(x, p->name, ir);
}

/* What lies between two levels is seen and checked as well; temp is nobody's there. */
static bool between(Opt *x, const char *after, Ir ir)
{
    check(x, after, ir);
    if (x->report)
        report_ir(x->report, &x->stage[x->n_stages - 1], ir);
    arena_reset(x->cx->temp);
    return diags_error_count(x->cx->diags) == 0;
}

static bool run_on_loops(Opt *x)
{
    Pipeline *p = &x->pipeline;
    start_stage(x, "(lowering)", NULL);
    if (!pipeline_lower(p))
        return false;
    for (int i = 0; x->exec && i < p->module->n_steps; i++)
        if (!between(x, "lowering", (Ir){NULL, p->module->step[i].kernel, NULL}))
            return false;
    return between(x, "lowering", (Ir){NULL, NULL, p->module}) && pipeline_module(p);
}

typedef enum { EMIT_GRAPH, EMIT_LOOP, EMIT_C, EMIT_ASM, EMIT_LLVM, EMIT_OBJECT } Emit;

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

static bool print_llvm(const Opt *x, Emit emit)
{
    const LlvmPlugin *plugin = llvm_plugin(x->cx);
    const LlvmUnit unit = llvm_unit(&x->pipeline);
    Str s = str_new(x->cx->perm);
    if (!plugin || !(emit == EMIT_LLVM ? plugin->text : plugin->object)(x->cx, &unit, &s))
        return false;
    fwrite(s.data, 1, s.len, stdout);
    return true;
}

static bool print_code(const Opt *x, Emit emit)
{
    const Pipeline *p = &x->pipeline;
    const CodeWish wish = {.manifest = false};
    EmitFiles files;
    if (emit >= EMIT_LLVM)
        return print_llvm(x, emit);
    const char *text = emit == EMIT_ASM ? code_assembly(p, x->options)
                       : code_emit(x->cx, p, p->graph->name, &wish, &files) ? files.c.data : NULL;
    if (text)
        fputs(text, stdout);
    return text != NULL;
}

/* The IR that is left at the end, or what --emit asks for. */
static bool prints_end(const Options *o)
{
    static const OptId instead[] = {OPT_PRINT_BEFORE, OPT_PRINT_AFTER, OPT_PRINT_CHANGED,
                                    OPT_STATS, OPT_HTML};
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++)
        if (o->n[instead[i]])
            return false;
    return true;
}

static bool run(Opt *x, Emit emit)
{
    const Options *o = x->options;
    const char *bench = NULL;
    double minimum;
    Pipeline *p = &x->pipeline;
    bool graph = emits_graph(x, emit);
    if (graph && p->schedules) {
        diag_error(x->cx->diags, NO_PLACE, "E0009", "--schedule is for loops, not for graphs");
        diag_help(x->cx->diags, "write --emit=loop");
        return false;
    }
    start_stage(x, "(model)", NULL);
    p->graph = model_of_options(x->cx, o);
    if (p->graph && o->n[OPT_BENCH] &&
        !(bench = bench_read(x->cx, option_text(o, OPT_BENCH, NULL), p->graph->name, &minimum)))
        return false;
    if (!p->graph || !between(x, "loading", (Ir){p->graph, NULL, NULL}) || !pipeline_graph(p))
        return false;
    if (!graph && !run_on_loops(x))
        return false;
    end_stage(x);
    if (o->n[OPT_STATS])
        stages_print(x->cx->perm, x->stage, x->n_stages);
    if (x->report && !report_write(x->report, option_text(o, OPT_HTML, NULL), p, x->stage,
                                   x->n_stages, bench))
        return false;
    if (emit >= EMIT_C)
        return print_code(x, emit);
    if (prints_end(o)) {
        const Ir ir = {graph ? p->graph : NULL, NULL, graph ? NULL : p->module};
        fputs(ir_text(x->cx->perm, ir), stdout);
    }
    return true;
}

static void check_names(const Opt *x, OptId option)
{
    for (int i = 0; i < x->options->n[option]; i++)
        pass_wanted(&x->pipeline, x->options->value[option][i], "all");
}

int cmd_opt(Cx *cx, const Options *o)
{
    static const char *const emits[] = {"graph", "loop", "c", "asm", "llvm", "obj"};
    Opt x = {.cx = cx, .options = o, .text = o->n[OPT_VERIFY_TEXT] > 0};
    int emit = option_word(cx, o, OPT_EMIT, emits, 6);
    if (emit >= EMIT_C && (o->n[OPT_PASSES] || o->n[OPT_STOP_AFTER] || !prints_end(o)))
        diag_error(cx->diags, NO_PLACE, "E0009", "--emit=%s takes the whole pipeline: no "
                   "--passes, --stop-after and nothing else to print", emits[emit]);
    if (o->n_arguments == 0 && !o->n[OPT_PRINT_PIPELINE]) {
        diag_error(cx->diags, NO_PLACE, "E0005", "opt needs a MODEL");
        diag_help(cx->diags, "or --print-pipeline");
    }
    if (o->n[OPT_BENCH] && !o->n[OPT_HTML])
        diag_error(cx->diags, NO_PLACE, "E0004", "--bench needs --html");
    if (pipeline_start(&x.pipeline, cx, o)) {
        check_names(&x, OPT_PRINT_BEFORE);
        check_names(&x, OPT_PRINT_AFTER);
    }
    if (diags_error_count(cx->diags) > 0)
        return status_of_errors(cx->diags);
    if (o->n[OPT_PRINT_PIPELINE]) {
        print_pipeline(&x.pipeline);
        return STATUS_OK;
    }
    if (o->n[OPT_HTML]) {
        x.report = report_new(cx);
        if (!o->n[OPT_REMARKS]) {
            x.pipeline.pass_cx.remarks = REMARK_DONE | REMARK_MISSED;
            diags_hide_remarks(cx->diags);
        }
    }
    if (o->n[OPT_VERIFY_EXEC])
        x.exec = exec_check_new(cx, x.pipeline.pass_cx.row);
    x.color = wants_color(stdout);
    x.stage = NEW_ARRAY(cx->perm, Stage, x.pipeline.n_passes + 2);
    x.pipeline.run.before = before_pass;
    if (o->n[OPT_TIME_PASSES])
        x.pipeline.on_time = print_time;
    x.pipeline.run.dump = after_pass;
    x.pipeline.run.user = &x;
    return run(&x, (Emit)emit) ? STATUS_OK : status_of_errors(cx->diags);
}
