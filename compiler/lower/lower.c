/* lower: one kernel for each group of nodes, and the module that calls them in order.
 *
 *   conv1{group: conv1, algo: direct} relu1{group: conv1, layout: c16 pad 1,1,1,1}
 *   -> kernel conv1(in x, weight w, weight b, out y, scratch acc): zero y's halo;
 *      conv into acc; relu from acc into y
 *
 * contract: every value is unplanned (offset -1); kernels are naive and verified by the runner.
 * Buffers of a kernel come in the order in, weight, out, scratch. Values that stay inside a group
 * are scratch with the shape of the group's output, which lets scheduling keep them in registers.
 */
#include <string.h>

#include "lower/lower.h"

typedef struct GroupCx {           /* lowering one group */
    Lower *lower;
    const Group *group;
    Kernel *kernel;
    Step *step;
    Map *buffers;                  /* tensor name -> Buffer */
    bool failed;
} GroupCx;

static const Tensor *group_out(const GroupCx *gc)
{
    return gc->group->node[gc->group->n_nodes - 1]->out;
}

static void report_too_many(GroupCx *gc)
{
    const Node *first = gc->group->node[0];
    if (!gc->failed) {
        diag_error(gc->lower->cx->diags, first->place, "E0707",
                   "the kernel of '%s' needs more than %d buffers", first->out->name, MAX_ARGS);
        diag_help(gc->lower->cx->diags, "split its group");
    }
    gc->failed = true;
}

/* Short names keep kernels readable: x, x2, x3 for inputs, w and b for weights, y for the output.
 * Naive nests name no loop like that. */
static const char *buffer_name(GroupCx *gc, const char *stem)
{
    const char *name = stem;
    for (int i = 2; kernel_buffer(gc->kernel, name); i++)
        name = arena_printf(gc->lower->arena, "%s%d", stem, i);
    return name;
}

static Buffer *buffer_add(GroupCx *gc, BufferKind kind, const char *stem, const Buffer *shape,
                          Value *value)
{
    Kernel *k = gc->kernel;
    Arena *a = gc->lower->arena;
    Buffer *b = NEW(a, Buffer);
    *b = *shape;
    b->name = buffer_name(gc, stem);
    b->kind = kind;
    if (k->n_buffers >= MAX_ARGS) {
        report_too_many(gc);
        return b;
    }
    Buffer **grown = NEW_ARRAY(a, Buffer *, k->n_buffers + 1);
    if (k->n_buffers > 0)
        memcpy(grown, k->buffer, sizeof(*grown) * (size_t)k->n_buffers);
    k->buffer = grown;
    gc->step->arg[k->n_buffers] = value;
    k->buffer[k->n_buffers++] = b;
    return b;
}

/* The buffer of a tensor with that label. false: reported. */
static bool shape_of_tensor(GroupCx *gc, const Tensor *t, Buffer *out)
{
    const LowerOptions *o = gc->lower->options;
    bool ok = layout_parse(gc->lower->cx, t, o->batch, out);
    out->type = o->type;
    gc->failed = gc->failed || !ok;
    return ok;
}

static void buffer_of_tensor(GroupCx *gc, BufferKind kind, const char *stem, const Tensor *t)
{
    Buffer shape;
    if (map_get(gc->buffers, t->name) || !shape_of_tensor(gc, t, &shape))
        return;
    Value *v = value_of_tensor(gc->lower, t, &shape);
    map_put(gc->buffers, t->name, buffer_add(gc, kind, stem, &shape, v));
}

/* A tensor inside the group takes the layout of the group's output where the shape is the same:
 * then both live in the same registers. */
static void buffer_of_inner(GroupCx *gc, const Tensor *t)
{
    Buffer shape;
    Tensor inner = *t;
    if (!inner.layout && shape_equal(&t->shape, &group_out(gc)->shape))
        inner.layout = group_out(gc)->layout;
    if (shape_of_tensor(gc, &inner, &shape))
        map_put(gc->buffers, t->name, buffer_add(gc, BUF_SCRATCH, "acc", &shape, NULL));
}

/* The label says how weights are stored. */
static ScalarType param_type(const GroupCx *gc, const Node *n, const Param *p)
{
    return n->store && str_eq(p->role, "weight") ? TYPE_BF16 : gc->lower->options->type;
}

static Buffer *buffer_of_param(GroupCx *gc, const Node *n, const Param *p)
{
    Buffer shape = {.lanes = 1, .rank = p->shape.rank, .type = param_type(gc, n, p)};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i].extent = p->shape.dim[i];
    const char *stem = str_eq(p->role, "weight") ? "w" : str_eq(p->role, "bias") ? "b" : p->role;
    return buffer_add(gc, BUF_WEIGHT, stem, &shape, value_of_param(gc->lower, p, &shape));
}

static bool is_inner(const GroupCx *gc, const Tensor *t)
{
    for (int i = 0; i < gc->group->n_nodes; i++)
        if (gc->group->node[i]->out == t)
            return true;
    return false;
}

/* All parameters of the kernel in call order; nx[i] gets those of node i. */
static void buffers_of_group(GroupCx *gc, NestCx *nx)
{
    const Group *g = gc->group;
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->node[i]->n_in; j++)
            if (!is_inner(gc, g->node[i]->in[j]))
                buffer_of_tensor(gc, BUF_IN, "x", g->node[i]->in[j]);
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->node[i]->n_param; j++)
            nx[i].param[j] = buffer_of_param(gc, g->node[i], &g->node[i]->param[j]);
    buffer_of_tensor(gc, BUF_OUT, "y", group_out(gc));
    for (int i = 0; i < g->n_nodes - 1; i++)
        buffer_of_inner(gc, g->node[i]->out);
    for (int i = 0; i < g->n_nodes; i++) {
        for (int j = 0; j < g->node[i]->n_in; j++)
            nx[i].in[j] = map_get(gc->buffers, g->node[i]->in[j]->name);
        nx[i].out = map_get(gc->buffers, g->node[i]->out->name);
    }
}

static bool wrong_label(GroupCx *gc, const Node *n, const char *code, const char *text,
                        const char *help)
{
    diag_error(gc->lower->cx->diags, n->place, code, "%s", text);
    return diag_help(gc->lower->cx->diags, "%s", help);
}

/* A label `store` must have a use: weights that the nests read as they are in the file. */
static bool check_store(GroupCx *gc, const NestCx *nx, const Node *n)
{
    Arena *a = gc->lower->cx->temp;
    if (!n->store)
        return true;
    if (!str_eq(n->store, "bf16"))
        return wrong_label(gc, n, "E0709",
                           arena_printf(a, "weights cannot be stored as '%s'", n->store),
                           "write 'bf16', or remove the label");
    for (int i = 0; i < n->n_param; i++)
        if (nx->param[i]->type == TYPE_BF16 && body_uses(gc->kernel->body, nx->param[i]))
            return true;
    return wrong_label(gc, n, "E0709",
                       arena_printf(a, "%s%s%s reads no weights as they are stored", n->op->name,
                                    n->algo ? " by " : "", n->algo ? n->algo : ""),
                       "remove the label 'store', or a convolution's label 'algo: winograd'");
}

static bool nest_of_node(GroupCx *gc, NestCx *nx, const Node *n)
{
    nx->kernel = gc->kernel;
    nx->arena = gc->lower->arena;
    nx->node = n;
    nx->type = gc->lower->options->type;
    bool direct = !n->algo || str_eq(n->algo, "direct");
    if (n->op->nest_by ? n->op->nest_by(nx, n->algo) : direct) {
        if (!n->op->nest_by)
            n->op->nest(nx);
        return check_store(gc, nx, n);
    }
    return wrong_label(gc, n, "E0708",
                       arena_printf(gc->lower->cx->temp, "this %s has no algorithm '%s'",
                                    n->op->name, n->algo),
                       "write 'direct'; linear takes 'skip-zeros' too, conv takes 'im2col' and, "
                       "for square kernels without dilation over whole blocks of 16 channels, "
                       "'winograd 4' or 'winograd 4 rows 2' if that divides the rows of tiles");
}

static const Made *find_made(const GroupCx *gc, const NestCx *nx, const Buffer *b,
                             const Node **node)
{
    for (int i = 0; i < gc->group->n_nodes; i++)
        for (int j = 0; j < nx[i].n_made; j++)
            if (nx[i].made[j].buffer == b) {
                *node = gc->group->node[i];
                return &nx[i].made[j];
            }
    return NULL;
}

/* What nests asked for in kernel_scratch and nest_made has no value yet. */
static void values_of_nests(GroupCx *gc, const NestCx *nx)
{
    Kernel *k = gc->kernel;
    Lower *l = gc->lower;
    if (k->n_buffers > MAX_ARGS) {
        report_too_many(gc);
        return;
    }
    for (int i = 0; i < k->n_buffers; i++) {
        const Node *node;
        const Buffer *b = k->buffer[i];
        const char *stem = arena_printf(l->cx->temp, "%s_%s", k->name, b->name);
        const Made *made = find_made(gc, nx, b, &node);
        if (gc->step->arg[i])
            continue;
        Value *v = value_new(l, made ? VALUE_WEIGHT : VALUE_SCRATCH, stem, b);
        gc->step->arg[i] = v;
        if (!made)
            continue;
        v->make = made->make;
        v->make->name = name_unique(l->arena, l->kernel_names, stem);
        for (int j = 0; j < made->n_params; j++)
            v->made_from[j] = node->param[made->param[j]].key;
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "alexnet.yaml:21 conv3+relu3" */
static const char *group_origin(const GroupCx *gc)
{
    const Node *first = gc->group->node[0];
    const char *file = first->place.file ? first->place.file : gc->lower->graph->file;
    Str s = str_new(gc->lower->arena);
    str_printf(&s, "%s:%d", file ? base_name(file) : "-", first->place.line);
    for (int i = 0; i < gc->group->n_nodes; i++)
        str_printf(&s, "%c%s", i == 0 ? ' ' : '+', gc->group->node[i]->out->name);
    return s.data;
}

static void add_items(int64_t *sum, int64_t each, int64_t items)
{
    if (!checked_mul(each, items, &each) || !checked_add(*sum, each, sum))
        *sum = INT64_MAX;
}

static void group_labels(GroupCx *gc)
{
    Kernel *k = gc->kernel;
    Lower *l = gc->lower;
    const Group *g = gc->group;
    k->name = name_unique(l->arena, l->kernel_names, g->label ? g->label : g->node[0]->out->name);
    k->origin = group_origin(gc);
    k->place = g->node[0]->place;
    for (int i = 0; i < g->n_nodes; i++) {
        OpCost cost = g->node[i]->op->cost(g->node[i]);
        add_items(&k->macs, cost.macs, l->options->batch);
        add_items(&k->flops, cost.flops, l->options->batch);
        if (!k->schedule)
            k->schedule = g->node[i]->schedule;
        if (g->node[i]->algo && !str_eq(g->node[i]->algo, "direct"))
            k->algo = g->node[i]->algo;
    }
}

static bool group_lower(Lower *l, const Group *g, Step *step)
{
    GroupCx gc = {.lower = l, .group = g, .step = step};
    NestCx *nx = NEW_ARRAY(l->cx->temp, NestCx, g->n_nodes);
    gc.kernel = NEW(l->arena, Kernel);
    gc.kernel->arena = l->arena;
    gc.buffers = map_new(l->cx->temp);
    step->kernel = gc.kernel;
    group_labels(&gc);
    buffers_of_group(&gc, nx);
    if (gc.failed)
        return false;
    halo_zero(gc.kernel, nx[g->n_nodes - 1].out);
    for (int i = 0; i < g->n_nodes; i++)
        if (!nest_of_node(&gc, &nx[i], g->node[i]))
            return false;
    values_of_nests(&gc, nx);
    return !gc.failed;
}

/* Before they are used, so that each wrong label is reported once. */
static bool layouts_check(Cx *cx, const Graph *g, int64_t batch)
{
    bool ok = true;
    Buffer shape;
    for (int i = 0; i < g->n_nodes; i++)
        ok = layout_parse(cx, g->nodes[i]->out, batch, &shape) && ok;
    return ok;
}

Module *lower_graph(Cx *cx, Arena *a, const Graph *g, const LowerOptions *o)
{
    Lower l = {.cx = cx, .arena = a, .graph = g, .options = o};
    Group **group;
    Module *m = NEW(a, Module);
    m->arena = a;
    m->name = g->name;
    m->row = o->row;
    m->batch = o->batch;
    m->type = o->type;
    l.module = m;
    l.kernel_names = map_new(a);
    l.value_names = map_new(a);
    l.tensor_value = map_new(a);
    l.weight_value = map_new(a);
    if (!layouts_check(cx, g, o->batch))
        return NULL;
    values_public(&l);
    int n = groups_of_graph(&l, &group);
    if (n < 0)
        return NULL;
    m->step = NEW_ARRAY(a, Step, n + 1);
    m->n_steps = n;
    for (int i = 0; i < n; i++)
        if (!group_lower(&l, group[i], &m->step[i]))
            l.failed = true;
    return l.failed ? NULL : m;
}
