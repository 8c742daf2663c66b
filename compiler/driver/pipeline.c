/* pipeline: THE way from a model to loops.
 *
 *     load model -> graph passes -> lower -> kernel passes on each kernel -> module passes
 *
 * Which passes, in which order and why, is passes/passes.def, each line with its reason; this file
 * runs them. Kernel passes go pass by pass over all kernels, so that what lies between two passes
 * is a whole network that can be printed and executed.
 *
 * contract: after each pass the runner verifies the IR; false means that something was reported.
 */
#include "driver/driver.h"

#include <string.h>

#define DEFAULT_ROW "avx512"

static const Row *find_row(Cx *cx, const Options *o)
{
    const char *name = option_text(o, OPT_ISA, DEFAULT_ROW);
    const Row *row = row_find(name);
    if (row)
        return row;
    const char **names = NEW_ARRAY(cx->temp, const char *, row_count());
    for (int i = 0; i < row_count(); i++)
        names[i] = row_at(i)->name;
    usage_unknown(cx, "instruction set", name, names, row_count());
    return NULL;
}

static const PassDef *find_pass(Cx *cx, const char *name)
{
    const PassDef *p = pass_find(name);
    if (p)
        return p;
    const char **names = NEW_ARRAY(cx->temp, const char *, pass_count());
    for (int i = 0; i < pass_count(); i++)
        names[i] = pass_at(i)->name;
    usage_unknown(cx, "pass", name, names, pass_count());
    return NULL;
}

static void check_disabled(Cx *cx, const Options *o)
{
    for (int i = 0; i < o->n[OPT_DISABLE_PASS]; i++) {
        const PassDef *p = find_pass(cx, o->value[OPT_DISABLE_PASS][i]);
        if (p && !p->optional) {
            diag_error(cx->diags, NO_PLACE, "E0006", "pass '%s' cannot be left out", p->name);
            diag_help(cx->diags, "net2c opt --print-pipeline says which are optional");
        }
    }
}

static void all_passes(Pipeline *p)
{
    p->n_passes = pass_count();
    p->pass = NEW_ARRAY(p->cx->perm, const PassDef *, p->n_passes);
    for (int i = 0; i < p->n_passes; i++)
        p->pass[i] = pass_at(i);
}

/* --passes: levels follow each other, whatever the order within one is. */
static void chosen_passes(Pipeline *p, const Options *o)
{
    p->pass = NEW_ARRAY(p->cx->perm, const PassDef *, o->n[OPT_PASSES]);
    for (int i = 0; i < o->n[OPT_PASSES]; i++) {
        const PassDef *pass = find_pass(p->cx, o->value[OPT_PASSES][i]);
        const PassDef *before = p->n_passes ? p->pass[p->n_passes - 1] : NULL;
        if (pass && before && before->level > pass->level) {
            diag_error(p->cx->diags, NO_PLACE, "E0007", "pass '%s' cannot run after '%s'",
                       pass->name, before->name);
            diag_help(p->cx->diags, "passes on graphs come first, then those on kernels, then "
                                    "those on modules");
        }
        if (pass)
            p->pass[p->n_passes++] = pass;
    }
}

bool pipeline_start(Pipeline *p, Cx *cx, const Options *o)
{
    *p = (Pipeline){.cx = cx, .type = TYPE_F32};
    p->pass_cx = (PassCx){.cx = cx, .arena = cx->perm, .row = find_row(cx, o)};
    p->pass_cx.remarks = o->n[OPT_REMARKS] > 0;
    check_disabled(cx, o);
    p->run.disabled = o->value[OPT_DISABLE_PASS];
    p->run.n_disabled = o->n[OPT_DISABLE_PASS];
    p->run.stop_after = option_text(o, OPT_STOP_AFTER, NULL);
    if (p->run.stop_after)
        find_pass(cx, p->run.stop_after);
    if (o->n[OPT_PASSES])
        chosen_passes(p, o);
    else
        all_passes(p);
    return diags_error_count(cx->diags) == 0;
}

/* Besides the pass, what watches it after each step can fail. */
static bool no_errors(const Pipeline *p, bool ok)
{
    return ok && diags_error_count(p->cx->diags) == 0;
}

bool pipeline_graph(Pipeline *p)
{
    bool ok = true;
    for (int i = 0; ok && i < p->n_passes; i++) {
        if (p->pass[i]->level != LEVEL_GRAPH)
            continue;
        progress("%s", p->pass[i]->name);
        ok = no_errors(p, pass_run_graph(&p->pass_cx, &p->run, p->pass[i], p->graph));
    }
    return ok;
}

bool pipeline_lower(Pipeline *p)
{
    const LowerOptions o = {.row = p->pass_cx.row->name, .batch = 1, .type = p->type};
    progress("lowering");
    p->module = lower_graph(p->cx, p->cx->perm, p->graph, &o);
    bool ok = p->module && module_verify(p->cx, p->module);
    arena_reset(p->cx->temp);
    return ok;
}

static bool pass_on_kernels(Pipeline *p, const PassDef *pass)
{
    bool ok = true;
    for (int i = 0; ok && i < p->module->n_steps; i++)
        ok = no_errors(p, pass_run_kernel(&p->pass_cx, &p->run, pass, p->module->step[i].kernel));
    return ok;
}

bool pipeline_module(Pipeline *p)
{
    bool ok = true;
    for (int i = 0; ok && i < p->n_passes; i++) {
        const PassDef *pass = p->pass[i];
        if (pass->level == LEVEL_GRAPH)
            continue;
        progress("%s", pass->name);
        ok = pass->level == LEVEL_KERNEL
                 ? pass_on_kernels(p, pass)
                 : no_errors(p, pass_run_module(&p->pass_cx, &p->run, pass, p->module));
    }
    return ok;
}

Graph *model_of_options(Cx *cx, const Options *o)
{
    ModelDefines defines = {o->value[OPT_DEFINE], o->n[OPT_DEFINE]};
    return model_load_with(cx, o->argument[0], defines);
}

bool pipeline_compile(Pipeline *p, Cx *cx, const Options *o, Weights **w)
{
    if (!pipeline_start(p, cx, o))
        return false;
    p->graph = model_of_options(cx, o);
    if (!p->graph)
        return false;
    *w = weights_open(cx, option_text(o, OPT_WEIGHTS, NULL));
    if (!*w)
        return false;
    if (weights_check(cx, *w, p->graph) && pipeline_graph(p) && pipeline_lower(p) &&
        pipeline_module(p))
        return true;
    weights_close(*w);
    return false;
}

/* Everything optional is left out: naive nests, each value in memory of its own. */
static void disable_optional(Pipeline *p)
{
    const char **names = NEW_ARRAY(p->cx->perm, const char *, pass_count());
    int n = 0;
    for (int i = 0; i < pass_count(); i++)
        if (pass_at(i)->optional)
            names[n++] = pass_at(i)->name;
    p->run = (PassRun){.disabled = names, .n_disabled = n};
}

bool pipeline_reference(Pipeline *p, Pipeline *reference)
{
    Graph *g = p->graph;
    *reference = (Pipeline){.cx = p->cx, .pass_cx = p->pass_cx, .type = TYPE_F64, .graph = g};
    reference->pass_cx.row = &row_scalar;
    reference->pass_cx.remarks = false;
    all_passes(reference);
    disable_optional(reference);
    for (int i = 0; i < g->n_nodes; i++) {
        g->nodes[i]->out->layout = NULL;
        g->nodes[i]->schedule = NULL;
        g->nodes[i]->algo = "direct";
    }
    return pipeline_lower(reference) && pipeline_module(reference);
}
