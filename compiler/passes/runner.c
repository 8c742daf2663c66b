/* runner: the table of passes, and how one is run: the pass, then the verifier, then the check that
 * its result tells the truth about the IR, then the dump.
 *
 *   pass_run_graph(&pc, &run, pass_find("graph-dce"), g)
 *
 * contract: false means that something was reported and the IR must not be used. A pass that is
 * switched off is skipped and true. The temp arena is reset after each pass. A PassRun of NULL runs
 * everything and dumps nothing. Passes from outside are run like those of the table.
 */
#include <string.h>

#include "passes/passes.h"

#define GRAPH_PASS(name, function, optional, why) \
    {name, LEVEL_GRAPH, optional, why, function, NULL, NULL, NULL, NULL},
#define KERNEL_PASS(name, function, optional, why) \
    {name, LEVEL_KERNEL, optional, why, NULL, function, NULL, NULL, NULL},
#define MODULE_PASS(name, function, optional, why) \
    {name, LEVEL_MODULE, optional, why, NULL, NULL, function, NULL, NULL},
static const PassDef table[] = {
#include "passes/passes.def"
};

int pass_count(void)
{
    return (int)(sizeof(table) / sizeof(*table));
}

const PassDef *pass_at(int i)
{
    return i >= 0 && i < pass_count() ? &table[i] : NULL;
}

const PassDef *pass_find(const char *name)
{
    for (int i = 0; i < pass_count(); i++)
        if (str_eq(table[i].name, name))
            return &table[i];
    return NULL;
}

void pass_remark(const PassCx *pc, RemarkKind kind, Place place, const char *format, ...)
{
    va_list args;
    if (!(pc->remarks & kind))
        return;
    va_start(args, format);
    diag_add(pc->cx->diags, DIAG_REMARK, place, pc->pass->name, "%s%s",
             kind == REMARK_MISSED ? "missed: " : "", arena_vprintf(pc->cx->temp, format, args));
    va_end(args);
}

PassResult pass_renamed(Kernel *k, bool changed)
{
    if (changed)
        kernel_unique_names(k);
    return changed ? PASS_CHANGED : PASS_UNCHANGED;
}

bool pass_enabled(const PassRun *run, const PassDef *p)
{
    for (int i = 0; run && p->optional && i < run->n_disabled; i++)
        if (str_eq(run->disabled[i], p->name))
            return false;
    return true;
}

/* A pass that lies about having changed something would make dumps, caches and iteration to a
 * fixed point wrong without a trace. */
static bool check_flag(PassCx *pc, const PassDef *p, PassResult result, bool differs)
{
    if ((result == PASS_CHANGED) == differs)
        return true;
    diag_error(pc->cx->diags, NO_PLACE, "E0921", "internal error: pass '%s' says it changed %s, "
               "but it %s", p->name, differs ? "nothing" : "something",
               differs ? "did" : "did not");
    return false;
}

/* What is the same at all three levels once the pass has run and the verifier has looked. */
static bool pass_finish(PassCx *pc, const PassDef *p, PassResult result, bool valid, bool differs)
{
    if (result != PASS_FAILED && !valid)
        diag_note(pc->cx->diags, NO_PLACE, "the verifier found this after pass '%s'", p->name);
    return result != PASS_FAILED && valid && check_flag(pc, p, result, differs);
}

bool pass_run_graph(PassCx *pc, const PassRun *run, const PassDef *p, Graph *g)
{
    if (!pass_enabled(run, p))
        return true;
    uint64_t before = graph_hash(g);
    pc->pass = p;
    if (run && run->before)
        run->before(run->user, p, g, NULL, NULL);
    PassResult result = p->graph(pc, g);
    bool valid = result != PASS_FAILED && graph_verify(pc->cx, g);
    bool ok = pass_finish(pc, p, result, valid, valid && graph_hash(g) != before);
    if (run && run->dump && result != PASS_FAILED)
        run->dump(run->user, p, g, NULL, NULL);
    arena_reset(pc->cx->temp);
    return ok;
}

bool pass_run_kernel(PassCx *pc, const PassRun *run, const PassDef *p, Kernel *k)
{
    if (!pass_enabled(run, p))
        return true;
    uint64_t before = kernel_hash(k);
    pc->pass = p;
    if (run && run->before)
        run->before(run->user, p, NULL, k, NULL);
    PassResult result = p->kernel(pc, k);
    bool valid = result != PASS_FAILED && loop_verify(pc->cx, k);
    bool ok = pass_finish(pc, p, result, valid, valid && kernel_hash(k) != before);
    if (run && run->dump && result != PASS_FAILED)
        run->dump(run->user, p, NULL, k, NULL);
    arena_reset(pc->cx->temp);
    return ok;
}

static uint64_t module_hash(PassCx *pc, const Module *m)
{
    const char *text = module_text(pc->cx->temp, m);
    return hash_bytes(HASH_SEED, text, strlen(text));
}

bool pass_run_module(PassCx *pc, const PassRun *run, const PassDef *p, Module *m)
{
    if (!pass_enabled(run, p))
        return true;
    uint64_t before = module_hash(pc, m);
    pc->pass = p;
    if (run && run->before)
        run->before(run->user, p, NULL, NULL, m);
    PassResult result = p->module(pc, m);
    bool valid = result != PASS_FAILED && module_verify(pc->cx, m);
    bool ok = pass_finish(pc, p, result, valid, valid && module_hash(pc, m) != before);
    if (run && run->dump && result != PASS_FAILED)
        run->dump(run->user, p, NULL, NULL, m);
    arena_reset(pc->cx->temp);
    return ok;
}
