/* choose-layout: tensors between layers get their channels in blocks of a vector's lanes and the
 * zero padding of the convolutions that read them.
 *
 *   conv(image) -> a; conv{pad: 1}(a) -> b; flatten(b) -> y        (a row with 16 lanes)
 *   =>  identity(image) -> image.padded {layout: plain pad 2,2,2,2}
 *       conv(image.padded) -> a {layout: c16 pad 1,1,1,1}; conv(a) -> b {layout: c16}; ...
 *
 * needs:  fuse-layers before it, if at all: tensors inside a group get no label.
 * keeps:  network inputs and outputs are row-major. A convolution that pads a network input reads
 *         a padded copy; one that computes a network output writes blocks and an identity converts
 *         them. Groups and labels that are there already.
 * breaks: nothing. Max pooling pads with -inf, so its padding never goes into a buffer.
 */
#include "ops/ops.h"
#include "passes/passes.h"

typedef struct Readers {           /* what the convolutions that read a tensor ask for */
    int64_t pad[4];
    bool blocks_refused;           /* by one whose loops would run across blocks */
    bool outside;                  /* somebody outside the producer's group reads it */
    Node *first;                   /* the first convolution that pads it, or NULL */
} Readers;

typedef struct Choice {
    PassCx *pc;
    Graph *graph;
    int64_t lanes;                 /* channels in a block; 1: never blocked */
    Map *convs;                    /* group label -> the convolution of that group */
    Map *readers;                  /* tensor name -> Readers */
    bool changed;
} Choice;

/* Blocks of 16 also where a register holds 8 or 4, so that one layout of weights and activations
 * serves all rows. */
static int64_t block_lanes(const Row *row)
{
    return row->lanes > 1 ? 16 : 1;
}

static bool is_conv(const Node *n)
{
    return str_eq(n->op->name, "conv") && n->out->shape.rank == 4;
}

static const Node *group_conv(const Choice *c, const Node *n)
{
    return is_conv(n) ? n : n->group ? map_get(c->convs, n->group) : NULL;
}

/* A convolution's share of channels must not split a block between two of its groups, unless each
 * channel is a group. */
static bool conv_allows_blocks(const Choice *c, const Node *conv, int64_t channels)
{
    int64_t groups = node_int(conv, "groups");
    return groups == 1 || conv_is_depthwise(conv) || channels / groups % c->lanes == 0;
}

/* A reshape between t and another shape counts the channels of t in several loops if a product of
 * the other's last extents lies within them: each but the innermost must then move whole blocks. */
static bool reshape_allows_blocks(const Choice *c, const Tensor *t, const Shape *other)
{
    int64_t unit = t->shape.dim[2] * t->shape.dim[3], product = 1;
    bool good = true;
    for (int d = other->rank - 1; d >= 1 && good; d--) {
        product *= other->dim[d];
        good = product <= unit || product >= unit * t->shape.dim[1] ||
               product % (unit * c->lanes) == 0;
    }
    return good;
}

static bool splits_channels(const Choice *c, const Node *n, const Tensor *t, const Shape *other)
{
    return n->op->view && !n->op->pointwise && !reshape_allows_blocks(c, t, other);
}

static const char *layout_label(const Choice *c, bool blocked, const int64_t pad[4])
{
    bool padded = pad[0] || pad[1] || pad[2] || pad[3];
    if (!blocked && !padded)
        return NULL;
    Str s = str_new(c->pc->arena);
    if (blocked)
        str_printf(&s, "c%lld", (long long)c->lanes);
    else
        str_add(&s, "plain");
    if (padded)
        str_printf(&s, " pad %lld,%lld,%lld,%lld", (long long)pad[0], (long long)pad[1],
                   (long long)pad[2], (long long)pad[3]);
    return s.data;
}

static Readers *readers_of(const Choice *c, const Tensor *t)
{
    Readers *r = map_get(c->readers, t->name);
    if (!r) {
        r = NEW(c->pc->cx->temp, Readers);
        map_put(c->readers, t->name, r);
    }
    return r;
}

static void note_reader(Choice *c, Node *n, const Tensor *t)
{
    Readers *r = readers_of(c, t);
    bool pads = false;
    int64_t pad[4];
    if (!n->group || !t->producer || !str_eq(n->group, t->producer->group))
        r->outside = true;
    const Node *conv = group_conv(c, n);
    if (t->shape.rank == 4 &&
        ((conv && conv != n && !conv_allows_blocks(c, conv, conv->out->shape.dim[1])) ||
         splits_channels(c, n, t, &n->out->shape)))
        r->blocks_refused = true;
    if (!is_conv(n))
        return;
    conv_halo(n, pad);
    for (int side = 0; side < 4; side++) {
        pads = pads || pad[side] > 0;
        r->pad[side] = pad[side] > r->pad[side] ? pad[side] : r->pad[side];
    }
    if (pads && !r->first)
        r->first = n;
    if (!conv_allows_blocks(c, n, t->shape.dim[1]))
        r->blocks_refused = true;
}

static void insert_copy(Choice *c, int at, Tensor *in, Tensor *out, Place place)
{
    Node *n = NEW(c->pc->arena, Node);
    n->op = op_find("identity");
    n->path = "";
    n->place = place;
    n->in[0] = in;
    n->n_in = 1;
    n->out = out;
    out->producer = n;
    graph_insert_node(c->graph, at, n);
    c->changed = true;
    pass_remark(c->pc, REMARK_DONE, place, "'%s' is copied to '%s' to change its layout", in->name,
                out->name);
}

static Tensor *tensor_like(const Choice *c, const Tensor *t, const char *suffix)
{
    Tensor *copy = NEW(c->pc->arena, Tensor);
    const char *stem = arena_printf(c->pc->arena, "%s.%s", t->name, suffix);
    copy->name = graph_fresh_name(c->graph, stem);
    copy->shape = t->shape;
    copy->place = t->place;
    return copy;
}

/* Convolutions that pad a network input read a copy with the padding in place. */
static void pad_input(Choice *c, Tensor *input)
{
    const Readers *r = readers_of(c, input);
    Graph *g = c->graph;
    if (!r->first)
        return;
    int first = graph_find_node(g, r->first);
    Tensor *padded = tensor_like(c, input, "padded");
    padded->layout = layout_label(c, false, r->pad);
    for (int i = first; i < g->n_nodes; i++)
        if (is_conv(g->nodes[i]) && g->nodes[i]->in[0] == input)
            g->nodes[i]->in[0] = padded;
    insert_copy(c, first, input, padded, r->first->place);
}

/* A convolution writes blocks; the network output made from them is a copy in row-major order. */
static void unblock_output(Choice *c, Node *n, const char *layout)
{
    Tensor *output = n->out;
    Graph *g = c->graph;
    Tensor *inner = tensor_like(c, output, "blocked");
    inner->layout = layout;
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (g->nodes[i]->in[j] == output)
                g->nodes[i]->in[j] = inner;
    n->out = inner;
    inner->producer = n;
    insert_copy(c, graph_find_node(g, n) + 1, inner, output, n->place);
}

static void label_output_of(Choice *c, Node *n)
{
    Tensor *t = n->out;
    if (t->shape.rank != 4 || t->layout)
        return;
    const Readers *r = readers_of(c, t);
    const Node *conv = group_conv(c, n);
    bool blocked = c->lanes > 1 && !r->blocks_refused &&
                   (!conv || conv_allows_blocks(c, conv, t->shape.dim[1])) &&
                   !(n->n_in && splits_channels(c, n, t, &n->in[0]->shape));
    const char *layout = layout_label(c, blocked, r->pad);
    if (graph_is_output(c->graph, t)) {
        if (conv && blocked)
            unblock_output(c, n, layout);
    } else if (r->outside && layout) {
        t->layout = layout;
        c->changed = true;
        pass_remark(c->pc, REMARK_DONE, n->place, "'%s' lies in memory as %s", t->name, layout);
    }
}

PassResult choose_layout(PassCx *pc, Graph *g)
{
    Choice c = {.pc = pc, .graph = g, .lanes = block_lanes(pc->row)};
    bool any = false;
    c.convs = map_new(pc->cx->temp);
    c.readers = map_new(pc->cx->temp);
    for (int i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++)
            note_reader(&c, n, n->in[j]);
        if (is_conv(n) && n->group)
            map_put(c.convs, n->group, n);
        any = any || is_conv(n);
    }
    /* Without a convolution, blocks would only cost conversions at both ends. */
    if (!any)
        return PASS_UNCHANGED;
    for (int i = 0; i < g->n_inputs; i++)
        pad_input(&c, g->inputs[i]);
    for (int i = 0; i < g->n_nodes; i++)
        label_output_of(&c, g->nodes[i]);
    return c.changed ? PASS_CHANGED : PASS_UNCHANGED;
}
