/* loop_interp_module: runs a module step by step.
 *
 * example: the steps conv1, relu1 with the values x (input), a (activation), y (output) are two
 * calls of kernel_interpret; a lies at its offset in the arena once the module is planned.
 *
 * contract: the module has passed module_verify. Memory of the plan is used as planned, so that a
 * wrong plan shows in the results; all of it holds NaN (or -1) before the first step.
 */
#include "loop/loop.h"

#include <string.h>

static void *memory_new(Cx *cx, int64_t bytes)
{
    return memset(arena_alloc(cx->temp, (size_t)bytes), 0xff, (size_t)bytes);
}

/* Where each value lives, parallel to m->value. */
static void **memory_assign(Cx *cx, const Module *m, const ModuleRun *run)
{
    void **memory = NEW_ARRAY(cx->temp, void *, m->n_values);
    char *arena = memory_new(cx, m->arena_bytes);
    int n_inputs = 0, n_outputs = 0;

    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        switch (v->kind) {
        case VALUE_INPUT: memory[i] = run->input[n_inputs++]; break;
        case VALUE_OUTPUT: memory[i] = run->output[n_outputs++]; break;
        case VALUE_WEIGHT:           /* kernels only read it */
            memory[i] = (void *)(uintptr_t)run->weight(run->user, v);
            break;
        case VALUE_ACTIVATION: case VALUE_SCRATCH:
            memory[i] = v->offset >= 0 ? arena + v->offset
                                       : memory_new(cx, buffer_bytes(&v->shape));
            break;
        }
    }
    return memory;
}

bool value_make(Cx *cx, const Value *v, const void *const *source, void *out)
{
    void *data[MAX_STEP_ARGS] = {NULL};

    for (int i = 0, n = 0; i < v->make->n_buffers; i++) {
        const Buffer *b = v->make->buffer[i];
        data[i] = b->kind == BUF_WEIGHT ? (void *)(uintptr_t)source[n++]
                : b->kind == BUF_OUT ? out : memory_new(cx, buffer_bytes(b));
    }
    return kernel_interpret(cx, v->make, data);
}

bool module_interpret(Cx *cx, const Module *m, const ModuleRun *run)
{
    void **memory = memory_assign(cx, m, run);

    for (int i = 0; i < m->n_steps; i++) {
        const Step *s = &m->step[i];
        void *arg[MAX_STEP_ARGS] = {NULL};
        for (int k = 0; k < s->kernel->n_buffers; k++)
            arg[k] = memory[value_number(m, s->arg[k])];
        if (!kernel_interpret(cx, s->kernel, arg))
            return false;
        if (run->after != NULL)
            run->after(run->user, i, arg);
    }
    return true;
}
