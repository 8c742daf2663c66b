/* fuse-layers: a layer and the pointwise layers after it become one group, hence one kernel.
 *
 *   conv(x) -> a; add(a, skip) -> b; relu(b) -> y
 *   =>  conv{group: a}(x) -> a; add{group: a}(a, skip) -> b; relu{group: a}(b) -> y
 *
 * needs:  nothing.
 * keeps:  groups that are already labelled. Only the last tensor of a group is visible outside: a
 *         tensor with two consumers, or a network output, ends its group. An addition of two
 *         branches joins the branch that is computed last.
 * breaks: nothing.
 */
#include "ops/ops.h"
#include "passes/passes.h"

/* What a call and a nest can hold, see Step.arg; scratch of the main operator counts as two. */
#define MAX_BUFFERS (MAX_DIMS * 2)
#define SCRATCH_RESERVE 2
#define POINTWISE_MADE 2           /* what a batchnorm computes of its weights */
#define MAX_FOLLOWERS 8

typedef struct Home {              /* what is known of a tensor */
    int uses;                      /* nodes that read it, and 1 if it is a network output */
    int at;                        /* position of its producer; -1: network input */
    struct Fusion *fusion;         /* group its producer can pass on, or NULL */
} Home;

typedef struct Fusion {
    Node *main;
    int followers, buffers;
} Fusion;

static Home *home_of(Arena *temp, Map *homes, const Tensor *t)
{
    Home *h = map_get(homes, t->name);
    if (!h) {
        h = NEW(temp, Home);
        h->at = -1;
        map_put(homes, t->name, h);
    }
    return h;
}

static void count_uses(Arena *temp, Map *homes, const Graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++)
            if (j == 0 || n->in[j] != n->in[j - 1])
                home_of(temp, homes, n->in[j])->uses++;
        home_of(temp, homes, n->out)->at = i;
    }
    for (int i = 0; i < g->n_outputs; i++)
        home_of(temp, homes, g->outputs[i])->uses++;
}

/* Operators whose nest makes several sweeps over their output take no followers: there is no
 * single place where a value is in a register for the last time. */
static bool is_several_nests(const OpDef *op)
{
    return str_eq(op->name, "lrn") || str_eq(op->name, "softmax") ||
           str_eq(op->name, "log_softmax");
}

/* What a node adds to its kernel: a value inside the group counts at who reads it. */
static int node_buffers(const Node *n)
{
    return n->n_in + n->n_param + (n->op->pointwise && n->n_param ? POINTWISE_MADE : 0);
}

static Fusion *fusion_new(Arena *temp, Node *n)
{
    if (n->group || n->op->view || is_several_nests(n->op))
        return NULL;
    Fusion *f = NEW(temp, Fusion);
    f->main = n;
    f->buffers = node_buffers(n) + 1 + SCRATCH_RESERVE;
    return f;
}

/* Why node n, although it is pointwise, does not join the group that computes `in`. */
static const char *why_apart(const Map *homes, const Node *n, const Tensor *in)
{
    const Home *h = map_get(homes, in->name);
    return !in->producer                                ? "is an input of the network"
           : h->uses > 1                                ? "has other readers, or is an output"
           : !shape_equal(&in->shape, &n->out->shape)   ? "has another shape"
           : is_several_nests(in->producer->op)         ? "is computed in several sweeps"
           : !h->fusion                                 ? "is a view, or in a group by label"
                                                        : "has a kernel that is full";
}

/* The group that node n can join: of the inputs that only n reads, the one computed last. */
static Fusion *fusion_find(const Map *homes, const Node *n)
{
    const Home *best = NULL;
    if (n->group || !n->op->pointwise)
        return NULL;
    for (int j = 0; j < n->n_in; j++) {
        const Home *h = map_get(homes, n->in[j]->name);
        if (h->fusion && h->uses == 1 && shape_equal(&n->in[j]->shape, &n->out->shape) &&
            (!best || h->at > best->at))
            best = h;
    }
    if (!best || best->fusion->followers >= MAX_FOLLOWERS ||
        best->fusion->buffers + node_buffers(n) > MAX_BUFFERS)
        return NULL;
    return best->fusion;
}

PassResult fuse_layers(PassCx *pc, Graph *g)
{
    Arena *temp = pc->cx->temp;
    Map *homes = map_new(temp);
    PassResult result = PASS_UNCHANGED;
    count_uses(temp, homes, g);
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        Fusion *f = fusion_find(homes, n);
        if (f) {
            f->main->group = f->main->out->name;
            n->group = f->main->group;
            f->followers++;
            f->buffers += node_buffers(n);
            result = PASS_CHANGED;
            pass_remark(pc, REMARK_DONE, n->place, "'%s' joins the kernel of '%s'", n->out->name,
                        n->group);
        } else {
            if (n->op->pointwise && !n->group)
                pass_remark(pc, REMARK_MISSED, n->place, "'%s' stays a kernel of its own: '%s' %s",
                            n->out->name, n->in[0]->name, why_apart(homes, n, n->in[0]));
            f = fusion_new(temp, n);
        }
        home_of(temp, homes, n->out)->fusion = f;
    }
    return result;
}
