/* seeded_bugs: ten mistakes that passes of neural-network compilers make, each as a pass from
 * outside. What checks passes has to find all of them, and tools that search for a guilty pass have
 * something to find.
 *
 *     cc -shared -fPIC -I build/include -DBUG=dropped_bias tests/plugins/seeded_bugs.c -o bug.so
 *     net2c opt tests/plugins/seeded_bugs.yaml --load-pass=bug.so --verify-exec
 *
 * contract: each does something to seeded_bugs.yaml, whatever the options are, and says so, but for
 * lying_flag.
 */
#include <net2c/plugin.h>

/* ---- on graphs ------------------------------------------------------------------------------ */

static bool is_conv(const Node *n)
{
    return str_eq(n->op->name, "conv");
}

/* Top for bottom, left for right: the shapes stay. */
static PassResult swapped_pads(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    (void)pc;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!is_conv(n))
            continue;
        const AttrValue before = *node_attr(n, "pad");
        AttrValue *pad = &n->attr[op_attr_index(n->op, "pad")];
        for (int side = 0; side < 4; side++)
            pad->i[side] = before.i[(side + 2) % 4];
        if (before.i[0] != before.i[2] || before.i[1] != before.i[3])
            result = PASS_CHANGED;
    }
    return result;
}

static PassResult dropped_bias(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    (void)pc;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!is_conv(n) || n->n_param < 2)
            continue;
        n->attr[op_attr_index(n->op, "bias")] = (AttrValue){.set = true, .n = 1};
        n->n_param = 1;
        result = PASS_CHANGED;
    }
    return result;
}

static PassResult wrong_axis(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    (void)pc;
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!str_eq(n->op->name, "softmax") || n->out->shape.rank < 3)
            continue;
        AttrValue *axis = &n->attr[op_attr_index(n->op, "axis")];
        axis->i[0] = axis->i[0] == 1 ? 2 : 1;
        result = PASS_CHANGED;
    }
    return result;
}

/* ---- on kernels ----------------------------------------------------------------------------- */

typedef struct Rewrite {
    Arena *arena;
    bool changed;
} Rewrite;

static PassResult rewrite(PassCx *pc, Kernel *k, ExprMap f)
{
    Rewrite r = {.arena = pc->arena};
    body_map_exprs(pc->arena, &k->body, f, &r);
    return r.changed ? PASS_CHANGED : PASS_UNCHANGED;
}

/* Element (n, c, y, x) of a convolution's input, where the window moves along y. */
static bool reads_window(const Expr *e)
{
    return e->kind == EXPR_LOAD && e->buffer->kind == BUF_IN && e->n_index == 4 &&
           e->index[2].n > 1;
}

static const Expr *with_index(Arena *a, const Expr *load, int at, Index x)
{
    Index index[MAX_DIMS];
    for (int i = 0; i < load->n_index; i++)
        index[i] = i == at ? x : load->index[i];
    return expr_load(a, load->buffer, index, load->n_index, load->type.lanes);
}

static const Expr *next_row(void *user, const Expr *e)
{
    Rewrite *r = user;
    if (!reads_window(e))
        return NULL;
    r->changed = true;
    return with_index(r->arena, e, 2, index_offset(e->index[2], 1));
}

static PassResult off_by_one_halo(PassCx *pc, Kernel *k)
{
    return rewrite(pc, k, next_row);
}

/* g*C + ic -> ic */
static const Expr *first_group(void *user, const Expr *e)
{
    Rewrite *r = user;
    if (!reads_window(e) || e->index[1].n < 2)
        return NULL;
    r->changed = true;
    return with_index(r->arena, e, 1, index_subst(r->arena, e->index[1], e->index[1].term[0].var,
                                                  index_const(0)));
}

static PassResult lost_group_offset(PassCx *pc, Kernel *k)
{
    return rewrite(pc, k, first_group);
}

static const Expr *whole_number(void *user, const Expr *e)
{
    Rewrite *r = user;
    if (e->kind != EXPR_BIN || e->op != BIN_DIV)
        return NULL;
    r->changed = true;
    return expr_cast(r->arena, TYPE_F32, expr_cast(r->arena, TYPE_I32, e));
}

static PassResult wrong_dtype(PassCx *pc, Kernel *k)
{
    return rewrite(pc, k, whole_number);
}

/* The last turn of the innermost loops is not made. */
static void shorten(void *user, Stmt *s)
{
    Rewrite *r = user;
    if (s->kind != STMT_FOR || s->var->extent == 1 || s->body.first->kind != STMT_STORE)
        return;
    const Var *shorter = var_new(r->arena, s->var->name, s->var->extent - 1);
    body_subst(r->arena, &s->body, s->var, index_var(r->arena, shorter));
    s->var = shorter;
    r->changed = true;
}

static PassResult wrong_tail(PassCx *pc, Kernel *k)
{
    Rewrite r = {.arena = pc->arena};
    body_visit(k->body, shorten, &r);
    return r.changed ? PASS_CHANGED : PASS_UNCHANGED;
}

/* The sum before what makes it zero. */
static PassResult unsafe_reorder(PassCx *pc, Kernel *k)
{
    Stmt *first = k->body.first, *second = first ? first->next : NULL;
    (void)pc;
    if (!second)
        return PASS_UNCHANGED;
    first->next = second->next;
    second->next = first;
    k->body.first = second;
    if (k->body.last == second)
        k->body.last = first;
    return PASS_CHANGED;
}

static PassResult lying_flag(PassCx *pc, Kernel *k)
{
    body_add(&k->body, stmt_note(pc->arena, "nobody has been here"));
    return PASS_UNCHANGED;
}

/* ---- on modules ----------------------------------------------------------------------------- */

/* What is read once more later gives its memory to what is made meanwhile. */
static PassResult reused_live_buffer(PassCx *pc, Module *m)
{
    (void)pc;
    for (int i = 0; i < m->n_values; i++)
        for (int j = 0; j < m->n_values; j++) {
            const Value *live = m->value[i];
            Value *made = m->value[j];
            if (live->kind == VALUE_ACTIVATION && made->kind == VALUE_ACTIVATION &&
                live->first_step < made->first_step && live->last_step > made->first_step) {
                made->offset = live->offset;
                return PASS_CHANGED;
            }
        }
    return PASS_UNCHANGED;
}

/* ---- the one that the library is ------------------------------------------------------------ */

#define PASS_swapped_pads .name = "swapped-pads", .graph = swapped_pads, .after = "graph-dce"
#define PASS_dropped_bias .name = "dropped-bias", .graph = dropped_bias, .after = "graph-dce"
#define PASS_wrong_axis .name = "wrong-axis", .graph = wrong_axis, .after = "graph-dce"
#define PASS_off_by_one_halo \
    .name = "off-by-one-halo", .kernel = off_by_one_halo, .after = "choose-layout"
#define PASS_lost_group_offset \
    .name = "lost-group-offset", .kernel = lost_group_offset, .after = "choose-layout"
#define PASS_wrong_dtype .name = "wrong-dtype", .kernel = wrong_dtype, .after = "choose-layout"
#define PASS_wrong_tail .name = "wrong-tail", .kernel = wrong_tail, .after = "choose-layout"
#define PASS_unsafe_reorder \
    .name = "unsafe-reorder", .kernel = unsafe_reorder, .after = "choose-layout"
#define PASS_lying_flag .name = "lying-flag", .kernel = lying_flag, .after = "split-border"
#define PASS_reused_live_buffer \
    .name = "reused-live-buffer", .module = reused_live_buffer, .after = "reuse-buffers"

#define EXPAND(bug) PASS_##bug
#define DESCRIBE(bug) EXPAND(bug)
const net2c_plugin net2c_plugin_v1 = {
    .abi = NET2C_PLUGIN_ABI, .why = "a seeded bug", DESCRIBE(BUG),
};
