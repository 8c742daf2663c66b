/* session_jit: a network's kernels, made to code in this process by the LLVM plugin, and called.
 *
 *     JitCode *c = jit_load(&pipeline);
 *     jit_run(session, io, batch, &exec);      as the generated function run does
 *     jit_unload(c);
 *
 * The plugin net2c_llvm.so is a library of its own, so that this program itself needs no LLVM. Its
 * code is kernels only: which of them is called when and on what is in the module, and walking
 * through that is what this file does where generated C has a function.
 *
 * contract: any batch is composed of the sizes that there is code for, the largest first.
 */
#include "driver/driver.h"

#include <dlfcn.h>
#include <stdlib.h>

#define PLUGIN "net2c_llvm.so"

#ifndef NET2C_VERSION
#define NET2C_VERSION "unknown"
#endif
#ifndef NET2C_PLUGIN_BESIDE
#define NET2C_PLUGIN_BESIDE "/../lib/net2c"
#endif

enum { IN_ARENA, IN_BLOB, IN_IO };     /* from IN_IO on: number of an input or output */

typedef struct JitArgument {           /* where a buffer of a step lies */
    int base;
    int64_t offset, item_bytes;
} JitArgument;

typedef struct JitStep {
    JitKernel *kernel;
    JitArgument argument[MAX_STEP_ARGS];
    int n, output;                     /* output: of the arguments, or -1 */
    size_t output_bytes;
} JitStep;

struct JitCode {
    const LlvmPlugin *plugin;
    Jit *jit;
    Pipeline pipeline;
    JitStep *step[MAX_BATCHES];        /* parallel to Pipeline.sized */
    char **base;                       /* of a call: arena, blob, inputs, outputs */
};

/* ---- the plugin ------------------------------------------------------------------------------ */

const LlvmPlugin *llvm_plugin(Cx *cx)
{
    static const char *const folders[] = {"", "/net2c", NET2C_PLUGIN_BESIDE};
    const char *path = getenv("NET2C_LLVM"), *folder;
    if ((!path || !*path) && (folder = folder_beside(cx, folders, 3, PLUGIN)))
        path = arena_printf(cx->perm, "%s/" PLUGIN, folder);
    void *library = path && *path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    const char *why = library ? NULL : path && *path ? dlerror() : "there is no " PLUGIN;
    const LlvmPlugin *plugin = library ? dlsym(library, "net2c_llvm") : NULL;
    if (plugin && str_eq(plugin->version, NET2C_VERSION))
        return plugin;
    diag_error(cx->diags, NO_PLACE, "E0117", "cannot load the LLVM plugin: %s",
               why ? why : "it belongs to another net2c");
    diag_help(cx->diags, "install LLVM 14 or later (apt-get install llvm-dev) and build net2c "
              "again, or name the plugin by NET2C_LLVM; --backend=c needs a C compiler only");
    return NULL;
}

LlvmUnit llvm_unit(const Pipeline *p)
{
    return (LlvmUnit){p->sized, p->n_batches, p->used_row, p->row[p->used_row]};
}

/* ---- making code ----------------------------------------------------------------------------- */

/* Modules for other batches have inputs and outputs of the same names. */
static JitArgument place_of(const Pipeline *p, const Module *sized, const Value *v)
{
    const Module *m = p->module;
    int base = IN_IO;
    if (v->kind == VALUE_WEIGHT)
        return (JitArgument){IN_BLOB, blob_body_offset(m) + v->offset, 0};
    for (ValueKind kind = VALUE_INPUT; kind <= VALUE_OUTPUT; kind++)
        for (int i = 0; i < m->n_values; i++) {
            if (m->value[i]->kind != kind)
                continue;
            if (v->kind == kind && str_eq(v->name, m->value[i]->name))
                return (JitArgument){base, 0, buffer_bytes(&v->shape) / sized->batch};
            base++;
        }
    return (JitArgument){IN_ARENA, v->offset, 0};
}

static bool make_step(Cx *cx, const JitCode *c, const Module *m, const Step *s, JitStep *out)
{
    const Pipeline *p = &c->pipeline;
    const Kernel *k = step_kernel(s, p->used_row);
    const char *name = emit_c_function(cx->temp, k, p->row[p->used_row], m->batch);
    *out = (JitStep){c->plugin->kernel(cx, c->jit, name), .n = k->n_buffers,
                     .output = step_output(s)};
    for (int i = 0; i < k->n_buffers; i++)
        out->argument[i] = place_of(p, m, s->arg[i]);
    if (out->output >= 0)
        out->output_bytes = (size_t)buffer_bytes(&s->arg[out->output]->shape);
    return out->kernel != NULL;
}

JitCode *jit_load(const Pipeline *p)
{
    Cx *cx = p->cx;
    const LlvmUnit unit = llvm_unit(p);
    JitCode *c = NEW(cx->perm, JitCode);
    bool ok = true;
    *c = (JitCode){.plugin = llvm_plugin(cx), .pipeline = *p};
    if (!c->plugin)
        return NULL;
    cx_phase(p->cx, "making code");
    c->jit = c->plugin->open(cx, &unit);
    arena_reset(cx->temp);
    if (!c->jit)
        return NULL;
    for (int i = 0; i < p->n_batches; i++) {
        const Module *m = p->sized[i];
        c->step[i] = NEW_ARRAY(cx->perm, JitStep, m->n_steps);
        for (int k = 0; ok && k < m->n_steps; k++)
            ok = make_step(cx, c, m, &m->step[k], &c->step[i][k]);
    }
    c->base = NEW_ARRAY(cx->perm, char *, IN_IO + p->graph->n_inputs + p->graph->n_outputs);
    if (ok)
        return c;
    jit_unload(c);
    return NULL;
}

void jit_unload(JitCode *c)
{
    c->plugin->close(c->jit);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool run_steps(const JitStep *step, int n, char *const *base, size_t item,
                      const n2c_exec *exec)
{
    for (int i = 0; i < n; i++) {
        const JitStep *s = &step[i];
        void *at[MAX_STEP_ARGS];
        for (int k = 0; k < s->n; k++) {
            const JitArgument *a = &s->argument[k];
            at[k] = base[a->base] + a->offset + (int64_t)item * a->item_bytes;
        }
        if (n2c_step(exec, (unsigned)i, N2C_STEP_BEGIN, NULL, 0))
            return false;
        s->kernel(exec, at);
        if (n2c_step(exec, (unsigned)i, N2C_STEP_END, s->output < 0 ? NULL : at[s->output],
                     s->output_bytes))
            return false;
    }
    return true;
}

static void run_serially(void *pool, size_t n, void (*task)(void *ctx, size_t i), void *ctx)
{
    (void)pool;
    n2c_for(NULL, n, task, ctx);
}

n2c_status jit_run(const Session *s, void *const *io, size_t batch, const n2c_exec *exec)
{
    const JitCode *c = s->jit;
    const Pipeline *p = &c->pipeline;
    n2c_exec with = *exec;
    size_t item = 0;
    if (!with.parallel_for || with.threads <= 1)
        with.parallel_for = run_serially;
    c->base[IN_ARENA] = s->arena;
    c->base[IN_BLOB] = (char *)(uintptr_t)s->blob.data;
    for (int i = 0; i < p->graph->n_inputs + p->graph->n_outputs; i++)
        c->base[IN_IO + i] = io[i];
    for (int i = 0; i < p->n_batches; i++) {
        const size_t items = (size_t)p->sized[i]->batch;
        for (; batch - item >= items; item += items)
            if (!run_steps(c->step[i], p->sized[i]->n_steps, c->base, item, &with))
                return N2C_CANCELLED;
    }
    return N2C_OK;
}
