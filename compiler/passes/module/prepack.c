/* prepack: every weight gets its place in the blob, in the layout its kernel reads; every other
 * buffer a place of its own in the arena.
 *
 *   kernel conv1(in x, weight w: [96, 3, 11, 11] as [d0/16, d1, d2, d3, d0%16], ...)
 *   =>  value weight conv1_weight: that shape, at 0; value weight conv1_bias: ..., at 139392
 *
 * needs:  all kernel passes: layouts are final, and which parameters are still read.
 * keeps:  values that kernels share. A key read in two layouts becomes two values.
 * breaks: nothing. Parameters without any access disappear with their values; scratch buffers that
 *         kernel passes added get values. reuse-buffers improves the arena.
 */
#include "passes/passes.h"

#define MAX_ARGS (MAX_DIMS * 2)
#define ALIGN 64

typedef struct Prepack {
    PassCx *pc;
    Module *module;
    Map *names;                    /* value names taken */
    Map *fixed;                    /* value name -> Value whose layout a step has decided */
    Map *by_key;                   /* weight key -> WeightList */
    Value **value;                 /* the values in use */
    int n_values;
    size_t value_cap;
} Prepack;

typedef struct WeightList {        /* layouts in which a key is read */
    Value *value;
    struct WeightList *next;
} WeightList;

static void keep_value(Prepack *p, Value *v)
{
    map_put(p->fixed, v->name, v);
    p->value = arena_grow(p->pc->arena, p->value, (size_t)p->n_values, (size_t)p->n_values + 1,
                          &p->value_cap, sizeof(Value *));
    p->value[p->n_values++] = v;
}

static Value *value_named(Prepack *p, const Value *like, const char *stem)
{
    Value *v = NEW(p->pc->arena, Value);
    *v = *like;
    v->name = stem;
    for (int i = 2; map_get(p->names, v->name); i++)
        v->name = arena_printf(p->pc->arena, "%s_%d", stem, i);
    map_put(p->names, v->name, v);
    return v;
}

/* ---- parameters that nobody reads ------------------------------------------------------------ */

/* On any of the module's rows, whose kernels have the same buffers. */
static bool is_used(const Prepack *p, const Step *step, int buffer)
{
    bool used = false;
    for (int row = 0; row <= p->module->n_more; row++)
        used |= body_uses(step_kernel(step, row)->body, step_kernel(step, row)->buffer[buffer]);
    return used;
}

static bool drop_unused(Prepack *p, Step *step)
{
    Kernel *k = step->kernel;
    int kept = 0, more = p->module->n_more;
    for (int i = 0; i < k->n_buffers; i++) {
        if (k->buffer[i]->kind != BUF_OUT && !is_used(p, step, i))
            continue;
        if (kept == MAX_ARGS) {
            diag_error(p->pc->cx->diags, NO_PLACE, "E0922", "kernel '%s' has more than %d buffers",
                       k->name, MAX_ARGS);
            diag_help(p->pc->cx->diags, "fuse fewer layers into it: --disable-pass=fuse-layers");
            return false;
        }
        for (int row = 0; row <= more; row++)
            step_kernel(step, row)->buffer[kept] = step_kernel(step, row)->buffer[i];
        step->arg[kept++] = i < MAX_ARGS ? step->arg[i] : NULL;
    }
    for (int row = 0; row <= more; row++)
        step_kernel(step, row)->n_buffers = kept;
    for (int i = kept; i < MAX_ARGS; i++)
        step->arg[i] = NULL;
    return true;
}

/* ---- layouts --------------------------------------------------------------------------------- */

static void take_shape(Value *v, const Buffer *b)
{
    BufferKind kind = v->shape.kind;
    v->shape = *b;
    v->shape.name = v->name;
    v->shape.kind = kind;
}

/* A made weight belongs to one step. */
static Value *weight_for(Prepack *p, Value *v, const Buffer *b)
{
    const char *key = v->key ? v->key : v->name;
    WeightList *list = map_get(p->by_key, key);
    for (WeightList *w = list; w; w = w->next)
        if (w->value->make == v->make && buffer_same_layout(&w->value->shape, b))
            return w->value;
    if (map_get(p->fixed, v->name))
        v = value_named(p, v, v->name);
    take_shape(v, b);
    keep_value(p, v);
    WeightList *head = NEW(p->pc->cx->temp, WeightList);
    *head = (WeightList){v, list};
    map_put(p->by_key, key, head);
    return v;
}

static Value *scratch_for(Prepack *p, Value *v, const Kernel *k, const Buffer *b)
{
    if (!v) {
        const Value empty = {.kind = VALUE_SCRATCH, .shape = *b, .offset = -1};
        v = value_named(p, &empty, arena_printf(p->pc->arena, "%s_%s", k->name, b->name));
    }
    take_shape(v, b);
    keep_value(p, v);
    return v;
}

static bool settle_step(Prepack *p, Step *step)
{
    if (!drop_unused(p, step))
        return false;
    for (int i = 0; i < step->kernel->n_buffers; i++) {
        const Buffer *b = step->kernel->buffer[i];
        Value *v = step->arg[i];
        if (b->kind == BUF_WEIGHT)
            step->arg[i] = weight_for(p, v, b);
        else if (b->kind == BUF_SCRATCH)
            step->arg[i] = scratch_for(p, v, step->kernel, b);
        else if (!map_get(p->fixed, v->name))
            keep_value(p, v);
    }
    return true;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool place_after(Prepack *p, Value *v, int64_t *end)
{
    int64_t next;
    if (checked_add(*end, buffer_bytes(&v->shape), &next) &&
        checked_add(next, ALIGN - 1, &next)) {
        v->offset = *end;
        *end = next / ALIGN * ALIGN;
        return true;
    }
    diag_error(p->pc->cx->diags, NO_PLACE, "E0923", "the network's buffers exceed 2^63 bytes");
    diag_help(p->pc->cx->diags, "use a smaller batch");
    return false;
}

static bool place_values(Prepack *p)
{
    Module *m = p->module;
    int64_t arena = 0, blob = 0;
    for (int i = 0; i < m->n_values; i++) {
        Value *v = m->value[i];
        bool weight = v->kind == VALUE_WEIGHT;
        if (v->kind == VALUE_INPUT || v->kind == VALUE_OUTPUT)
            continue;
        v->first_step = 0;
        v->last_step = weight || m->n_steps == 0 ? 0 : m->n_steps - 1;
        if (!place_after(p, v, weight ? &blob : &arena))
            return false;
    }
    m->blob_bytes = blob;
    m->arena_bytes = m->arena_lower_bound = arena;
    return true;
}

PassResult prepack(PassCx *pc, Module *m)
{
    Prepack p = {.pc = pc, .module = m};
    const char *before = module_text(pc->cx->temp, m);
    p.names = map_new(pc->cx->temp);
    p.fixed = map_new(pc->cx->temp);
    p.by_key = map_new(pc->cx->temp);
    for (int i = 0; i < m->n_values; i++) {
        Value *v = m->value[i];
        map_put(p.names, v->name, v);
        if (v->kind == VALUE_INPUT || v->kind == VALUE_OUTPUT)
            keep_value(&p, v);
    }
    for (int i = 0; i < m->n_steps; i++)
        if (!settle_step(&p, &m->step[i]))
            return PASS_FAILED;
    m->value = p.value;
    m->n_values = p.n_values;
    if (!place_values(&p))
        return PASS_FAILED;
    return str_eq(before, module_text(pc->cx->temp, m)) ? PASS_UNCHANGED : PASS_CHANGED;
}
