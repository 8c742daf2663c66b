/* lower_values: the buffers of the whole network: one Value for each tensor that leaves a kernel,
 * each weight key and each kernel's scratch.
 *
 *   tensor "features.0" and tensor "features_0"  ->  values "features_0" and "features_0_2"
 *
 * contract: names are C identifiers and unique; public inputs and outputs come first, in the
 * graph's order, and so get the name nearest to their own. Offsets are left unplanned (-1).
 */
#include "lower/lower.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Weight keys and group labels are free text: what an identifier cannot hold becomes '_'. */
static const char *name_mangle(Arena *a, const char *stem)
{
    char *name = arena_printf(a, "%s%s", is_letter(*stem) ? "" : "_", stem);
    for (char *c = name; *c; c++)
        if (!is_letter(*c) && !is_digit(*c))
            *c = '_';
    return name;
}

const char *name_unique(Arena *a, Map *taken, const char *stem)
{
    const char *base = name_mangle(a, stem);
    const char *name = base;
    for (int i = 2; map_get(taken, name); i++)
        name = arena_printf(a, "%s_%d", base, i);
    map_put(taken, name, taken);
    return name;
}

static BufferKind buffer_kind(ValueKind kind)
{
    switch (kind) {
    case VALUE_INPUT: return BUF_IN;
    case VALUE_OUTPUT:
    case VALUE_ACTIVATION: return BUF_OUT;
    case VALUE_WEIGHT: return BUF_WEIGHT;
    case VALUE_SCRATCH: break;
    }
    return BUF_SCRATCH;
}

Value *value_new(Lower *l, ValueKind kind, const char *stem, const Buffer *shape)
{
    Module *m = l->module;
    Value *v = NEW(l->arena, Value);
    v->name = name_unique(l->arena, l->value_names, stem);
    v->kind = kind;
    v->shape = *shape;
    v->shape.name = v->name;
    v->shape.kind = buffer_kind(kind);
    v->shape.type = shape->type == TYPE_BF16 ? TYPE_BF16 : l->options->type;
    v->offset = -1;
    m->value = arena_grow(l->arena, m->value, (size_t)m->n_values, (size_t)m->n_values + 1,
                          &l->value_cap, sizeof(Value *));
    m->value[m->n_values++] = v;
    return v;
}

static void value_public(Lower *l, const Tensor *t, ValueKind kind)
{
    Buffer shape;
    if (t->layout) {
        diag_error(l->cx->diags, t->place, "E0704",
                   "'%s' is an %s of the network and cannot have the layout '%s'", t->name,
                   kind == VALUE_INPUT ? "input" : "output", t->layout);
        diag_help(l->cx->diags, "inputs and outputs are row-major: remove the layout label, or "
                                "convert with an identity layer");
        l->failed = true;
    } else if (!layout_parse(l->cx, t, l->options->batch, &shape)) {
        l->failed = true;
    } else {
        map_put(l->tensor_value, t->name, value_new(l, kind, t->name, &shape));
    }
}

void values_public(Lower *l)
{
    const Graph *g = l->graph;
    for (int i = 0; i < g->n_inputs; i++)
        value_public(l, g->inputs[i], VALUE_INPUT);
    for (int i = 0; i < g->n_outputs; i++) {
        const Tensor *t = g->outputs[i];
        if (map_get(l->tensor_value, t->name)) {
            diag_error(l->cx->diags, t->place, "E0705", "output '%s' is already an %s", t->name,
                       t->producer ? "output" : "input of the network");
            diag_help(l->cx->diags, "add an identity layer with a name of its own");
            l->failed = true;
        } else {
            value_public(l, t, VALUE_OUTPUT);
        }
    }
}

Value *value_of_tensor(Lower *l, const Tensor *t, const Buffer *shape)
{
    Value *v = map_get(l->tensor_value, t->name);
    if (!v) {
        v = value_new(l, VALUE_ACTIVATION, t->name, shape);
        map_put(l->tensor_value, t->name, v);
    }
    return v;
}

Value *value_of_param(Lower *l, const Param *p, const Buffer *shape)
{
    Value *v = map_get(l->weight_value, p->key);
    if (v && buffer_same_layout(&v->shape, shape))
        return v;
    v = value_new(l, VALUE_WEIGHT, p->key, shape);
    v->key = p->key;
    for (int i = 0; i < p->shape.rank; i++)
        v->source_dim[i] = p->shape.dim[i];
    map_put(l->weight_value, p->key, v);
    return v;
}
