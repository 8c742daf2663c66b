/* loop_verify_module: do the kernels of a module fit together, and does the memory plan hold?
 *
 * example: relu1 writes a, conv2 reads a: a must be large enough for both, and no other value that
 * lives between the two may share its bytes of the arena.
 *
 * contract: lifetimes are found again from the steps, never taken from the pass that planned them.
 * Reports E0918 (arguments), E0919 (order of writes and reads), E0920 (plan); kernels as
 * loop_verify does.
 */
#include "loop/loop.h"

#define PLAN_ALIGN 64

typedef struct Life {                /* first and last step with the value; first -1: none */
    int first, last;
    bool written;
} Life;

#define module_error(cx, m, code, format, ...) \
    diag_error((cx)->diags, NO_PLACE, code, "module %s: " format, (m)->name, __VA_ARGS__)

int value_number(const Module *m, const Value *v)
{
    int i = 0;

    while (i < m->n_values && m->value[i] != v)
        i++;
    return i < m->n_values ? i : -1;
}

/* One output of all elements; its weights are what the value is made from, the rest is scratch. */
static bool verify_made(Cx *cx, const Module *m, const Value *v)
{
    const Kernel *k = v->make;
    int sources = 0, outputs = 0, others = 0;

    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        bool fits = b->kind == BUF_OUT && b->type == v->shape.type &&
                    buffer_elements(b) == buffer_logical_elements(&v->shape);
        sources += b->kind == BUF_WEIGHT;
        outputs += fits;
        others += b->kind != BUF_WEIGHT && b->kind != BUF_SCRATCH && !fits;
    }
    for (int i = 0; i < MAX_SOURCES; i++)
        sources -= v->made_from[i] != NULL;
    if (v->kind == VALUE_WEIGHT && sources == 0 && outputs == 1 && others == 0)
        return loop_verify(cx, k);
    module_error(cx, m, "E0918", "kernel %s does not make '%s'", k->name, v->name);
    return false;
}

/* Names are C identifiers of the generated file. */
static bool verify_names(Cx *cx, const Module *m)
{
    Map *kernels = map_new(cx->temp), *values = map_new(cx->temp);
    int errors = diags_error_count(cx->diags);

    for (int i = 0; i < m->n_values; i++) {
        if (map_get(values, m->value[i]->name) != NULL)
            module_error(cx, m, "E0918", "two values are called '%s'", m->value[i]->name);
        map_put(values, m->value[i]->name, m->value[i]);
        if (m->value[i]->make != NULL && verify_made(cx, m, m->value[i]))
            map_put(kernels, m->value[i]->make->name, m->value[i]->make);
    }
    for (int i = 0; i < m->n_steps * (m->n_more + 1); i++) {
        Kernel *k = step_kernel(&m->step[i / (m->n_more + 1)], i % (m->n_more + 1));
        Kernel *known = map_get(kernels, k->name);
        if (known != NULL && known != k)
            module_error(cx, m, "E0918", "two kernels are called '%s'", k->name);
        if (known == NULL)
            loop_verify(cx, k);
        map_put(kernels, k->name, k);
    }
    return diags_error_count(cx->diags) == errors;
}

static bool buffer_writes(const Buffer *b)
{
    return b->kind == BUF_OUT || b->kind == BUF_SCRATCH;
}

static bool argument_kind_fits(const Buffer *b, const Value *v)
{
    switch (b->kind) {
    case BUF_IN: return v->kind != VALUE_SCRATCH;
    case BUF_OUT: return v->kind == VALUE_OUTPUT || v->kind == VALUE_ACTIVATION;
    case BUF_WEIGHT: return v->kind == VALUE_WEIGHT;
    case BUF_SCRATCH: return v->kind == VALUE_SCRATCH;
    case BUF_LOCAL: case BUF_LIST: return false;
    }
    return false;
}

static void verify_argument(Cx *cx, const Module *m, const Step *s, int i)
{
    const Buffer *b = s->kernel->buffer[i];
    const Value *v = s->arg[i];

    if (v == NULL || value_number(m, v) < 0) {
        module_error(cx, m, "E0918", "argument '%s' of kernel %s is no value of the module",
                     b->name, s->kernel->name);
        return;
    }
    if (!argument_kind_fits(b, v))
        module_error(cx, m, "E0918", "value '%s' is of the wrong kind for '%s' of kernel %s",
                     v->name, b->name, s->kernel->name);
    if (b->type != v->shape.type || buffer_elements(b) != buffer_elements(&v->shape))
        module_error(cx, m, "E0918", "value '%s' has %lld elements of %s, '%s' of kernel %s has "
                     "%lld of %s", v->name, (long long)buffer_elements(&v->shape),
                     scalar_name(v->shape.type), b->name, s->kernel->name,
                     (long long)buffer_elements(b), scalar_name(b->type));
    for (int k = 0; k < s->kernel->n_buffers; k++)
        if (k != i && s->arg[k] == v && buffer_writes(b))
            module_error(cx, m, "E0918", "value '%s' is written and passed twice in kernel %s",
                         v->name, s->kernel->name);
}

/* The kernels of the other rows read and write the same memory. */
static void verify_more(Cx *cx, const Module *m, const Step *s)
{
    for (int r = 1; r <= m->n_more; r++) {
        const Kernel *first = s->kernel, *k = step_kernel(s, r);
        bool same = k->n_buffers == first->n_buffers;
        for (int i = 0; same && i < k->n_buffers; i++)
            same = k->buffer[i]->kind == first->buffer[i]->kind
                && k->buffer[i]->type == first->buffer[i]->type
                && buffer_elements(k->buffer[i]) == buffer_elements(first->buffer[i]);
        if (!same)
            module_error(cx, m, "E0918", "kernel %s has other buffers than %s", k->name,
                         first->name);
    }
}

static bool verify_arguments(Cx *cx, const Module *m)
{
    int errors = diags_error_count(cx->diags);

    for (int i = 0; i < m->n_steps; i++) {
        const Step *s = &m->step[i];
        if (s->kernel->n_buffers > MAX_STEP_ARGS) {
            module_error(cx, m, "E0918", "kernel %s has more parameters than a step has arguments",
                         s->kernel->name);
            continue;
        }
        for (int k = 0; k < s->kernel->n_buffers; k++)
            verify_argument(cx, m, s, k);
        verify_more(cx, m, s);
    }
    return diags_error_count(cx->diags) == errors;
}

/* Lifetimes, parallel to m->value; every value written before it is read. */
static const Life *find_lives(Cx *cx, const Module *m)
{
    Life *lives = NEW_ARRAY(cx->temp, Life, m->n_values);

    for (int i = 0; i < m->n_values; i++) {
        ValueKind kind = m->value[i]->kind;
        lives[i] = (Life){-1, -1, kind == VALUE_INPUT || kind == VALUE_WEIGHT};
    }
    for (int i = 0; i < m->n_steps; i++) {
        const Step *s = &m->step[i];
        for (int k = 0; k < s->kernel->n_buffers; k++) {
            Life *life = &lives[value_number(m, s->arg[k])];
            life->first = life->first < 0 ? i : life->first;
            life->last = i;
            if (buffer_writes(s->kernel->buffer[k]))
                life->written = true;
            else if (!life->written)
                module_error(cx, m, "E0919", "kernel %s reads '%s' before it is written",
                             s->kernel->name, s->arg[k]->name);
        }
    }
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i]->kind == VALUE_OUTPUT && !lives[i].written)
            module_error(cx, m, "E0919", "output '%s' is never written", m->value[i]->name);
    return lives;
}

static bool values_meet(const Value *a, const Life *x, const Value *b, const Life *y)
{
    bool weight = a->kind == VALUE_WEIGHT;

    if (weight != (b->kind == VALUE_WEIGHT) || b->offset < 0)
        return false;
    if (!weight && (x->first < 0 || y->first < 0 || x->last < y->first || y->last < x->first))
        return false;
    return a->offset < b->offset + buffer_bytes(&b->shape)
        && b->offset < a->offset + buffer_bytes(&a->shape);
}

static void verify_plan(Cx *cx, const Module *m, const Life *lives)
{
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        bool weight = v->kind == VALUE_WEIGHT;
        int64_t room = weight ? m->blob_bytes : m->arena_bytes, end;
        if (v->offset < 0)
            continue;
        if (v->offset % PLAN_ALIGN != 0)
            module_error(cx, m, "E0920", "'%s' at byte %lld is not aligned to %d", v->name,
                         (long long)v->offset, PLAN_ALIGN);
        if (!checked_add(v->offset, buffer_bytes(&v->shape), &end) || end > room) {
            module_error(cx, m, "E0920", "'%s' ends beyond the %lld bytes of the %s", v->name,
                         (long long)room, weight ? "blob" : "arena");
            continue;
        }
        for (int k = 0; k < i; k++)
            if (values_meet(v, &lives[i], m->value[k], &lives[k]))
                module_error(cx, m, "E0920", "'%s' and '%s' share bytes at the same time",
                             m->value[k]->name, v->name);
    }
}

bool module_verify(Cx *cx, const Module *m)
{
    int errors = diags_error_count(cx->diags);

    if (!verify_names(cx, m) || !verify_arguments(cx, m))
        return false;
    verify_plan(cx, m, find_lives(cx, m));
    return diags_error_count(cx->diags) == errors;
}
