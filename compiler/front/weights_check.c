/* weights_check: does a weights file fit a graph?
 *
 * Every parameter must be there, with its shape, as F32. All that is wrong is reported at the
 * layer that needs the tensor, with the nearest remedy: a similar name, a common prefix for
 * `bind`, axes in another order, the attribute that would fit. Tensors the graph does not use are
 * noted, but for num_batches_tracked, which inference has no use for.
 *
 *     error: 'fc6' has 9216 inputs in its weights but receives 6400
 *     note: 'flat' makes [N, 6400] of [N, 256, 5, 5]
 *     help: 'conv1' has pad 0; with pad 2 'fc6' would receive 9216
 */
#include "front/front.h"

#include <string.h>

#define MAX_SUGGESTIONS 20         /* as many errors as are shown: a search costs a pass */
#define MAX_NAMED 5                /* unused tensors named in the note */
#define MAX_CHAIN 64               /* layers before one that are looked at */
#define MAX_STEPS 4                /* of them told */

typedef struct Check {
    Cx *cx;
    const Weights *weights;
    Map *used;                     /* keys that the graph needs */
    const char **spare;            /* keys of the file's tensors that it does not need */
    int n_spare;
    const char *prefix;            /* that stands before the file's names, told already */
    int missing;
} Check;

static void note_call(const Check *c, const Node *n)
{
    if (n->call.file)
        diag_note(c->cx->diags, n->call, "'%s' is part of the block used here", n->out->name);
}

/* ---- missing tensors ----------------------------------------------------------------------- */
/* A tensor whose name ends in ".KEY", or NULL. */
static const char *find_prefixed(const Check *c, const char *key)
{
    size_t n = strlen(key);
    for (int i = 0; i < c->n_spare; i++) {
        size_t m = strlen(c->spare[i]);
        if (m > n && c->spare[i][m - n - 1] == '.' && strcmp(c->spare[i] + m - n, key) == 0)
            return c->spare[i];
    }
    return NULL;
}

/* The tensor that holds the parameter: its key, or what that is a slice of. */
static const char *tensor_name(const Check *c, const Param *p)
{
    char *name;
    int64_t first, end;
    return weights_slice(c->cx->temp, p->key, &name, &first, &end) ? name : p->key;
}

static const char *find_shape(const Check *c, const Shape *shape)
{
    for (int i = 0; i < c->n_spare; i++)
        if (shape_equal(&weights_find(c->weights, c->spare[i])->shape, shape))
            return c->spare[i];
    return NULL;
}

static void suggest_tensor(const Check *c, const Node *n, const Param *p)
{
    Diags *d = c->cx->diags;
    const char *near = str_nearest(c->cx->temp, tensor_name(c, p), c->spare, c->n_spare);
    const char *same = near ? NULL : find_shape(c, &p->shape);
    if (near != NULL)
        diag_help(d, "it has '%s' %s", near,
                  shape_text(c->cx->temp, &weights_find(c->weights, near)->shape));
    else if (same != NULL)
        diag_help(d, "it has '%s' of that shape: if that is it, give the layer its 'path'", same);
    else if (op_attr(n->op, p->role))
        diag_help(d, "if the layer has none, say '%s: false'", p->role);
    else
        diag_help(d, "'path' and 'bind' make the name: are these the weights of this model?");
}

/* One prefix before all names is one mistake, and told once. */
static void report_missing(Check *c, const Node *n, const Param *p)
{
    Diags *d = c->cx->diags;
    bool search = ++c->missing <= MAX_SUGGESTIONS;
    const char *name = tensor_name(c, p);
    const char *longer = search ? find_prefixed(c, name) : NULL;
    size_t extra = longer ? strlen(longer) - strlen(name) : 0;
    if (longer && c->prefix && strncmp(longer, c->prefix, extra) == 0 && !c->prefix[extra])
        return;
    diag_error(d, n->place, "E0204", "the weights file has no tensor '%s' %s, the %s of '%s'",
               p->key, shape_text(c->cx->temp, &p->shape), p->role, n->out->name);
    note_call(c, n);
    if (longer) {
        c->prefix = arena_strndup(c->cx->temp, longer, extra);
        diag_help(d, "it has '%s': bind: \"%s$path.$param\" puts that prefix before each name",
                  longer, c->prefix);
    } else if (search) {
        suggest_tensor(c, n, p);
    }
}

/* ---- other shapes -------------------------------------------------------------------------- */
/* The layers before n, nearest first, as long as each has one input. */
static int find_chain(const Node *n, const Node *chain[MAX_CHAIN])
{
    int count = 0;
    for (n = n->in[0]->producer; n && n->n_in == 1 && count < MAX_CHAIN; n = n->in[0]->producer)
        chain[count++] = n;
    return count;
}

static int64_t last_dim(const Shape *s)
{
    return s->dim[s->rank - 1];
}

/* What comes out of chain[0] if chain[at] had another pad; 0: nothing does. */
static int64_t try_pad(Cx *cx, const Node *const chain[], int at, int64_t pad)
{
    Cx quiet = *cx;
    quiet.diags = diags_new(cx->temp);
    Tensor in = *chain[at]->in[0];
    for (int i = at; i >= 0; i--) {
        Node n = *chain[i];
        Tensor out = *n.out;
        AttrValue *v = &n.attr[i == at ? op_attr_index(n.op, "pad") : 0];
        for (int k = 0; i == at && k < 4; k++)
            v->i[k] = in.shape.rank == 4 || k % 2 == 1 ? pad : 0;
        n.in[0] = &in;
        n.out = &out;
        if (!n.op->infer(&quiet, &n))
            return 0;
        in = out;
    }
    return last_dim(&in.shape);
}

/* Where the number of inputs comes from, and which pad would give the one that the file has. */
static void explain_inputs(const Check *c, const Node *n, int64_t wanted)
{
    Diags *d = c->cx->diags;
    Arena *a = c->cx->temp;
    const Node *chain[MAX_CHAIN];
    int count = find_chain(n, chain), told = 0;
    for (int i = 0; i < count && told < MAX_STEPS; i++) {
        const Tensor *in = chain[i]->in[0], *out = chain[i]->out;
        if (shape_equal(&in->shape, &out->shape))
            continue;
        diag_note(d, chain[i]->place, "'%s' makes %s of %s", out->name,
                  shape_text(a, &out->shape), shape_text(a, &in->shape));
        told++;
    }
    for (int i = count - 1; i >= 0; i--) {
        if (!op_attr(chain[i]->op, "pad") || !op_attr(chain[i]->op, "kernel"))
            continue;
        Window w = node_window(chain[i]);
        for (int64_t pad = 0; pad <= w.kernel[1] / 2 && pad < MAX_CHAIN; pad++) {
            if (try_pad(c->cx, chain, i, pad) != wanted)
                continue;
            diag_add(d, DIAG_HELP, chain[i]->place, NULL, "'%s' has pad %lld; with pad %lld '%s' "
                     "would receive %lld", chain[i]->out->name, (long long)w.pad[1],
                     (long long)pad, n->out->name, (long long)wanted);
            return;
        }
    }
}

/* The attributes that would fit a file's tensor: out is axis 0, groups axis 1, kernel the rest. */
static void suggest_attrs(const Check *c, const Node *n, const Shape *have, const Shape *want)
{
    Diags *d = c->cx->diags;
    const AttrDef *groups = op_attr(n->op, "groups");
    if (have->rank != want->rank)
        return;
    if (have->dim[0] != want->dim[0] && op_attr(n->op, "out"))
        diag_help(d, "'out: %lld' would fit", (long long)have->dim[0]);
    if (have->rank < 2)
        return;
    int64_t channels = groups ? want->dim[1] * node_int(n, "groups") : 0;
    if (have->dim[1] != want->dim[1] && groups && channels % have->dim[1] == 0)
        diag_help(d, "'groups: %lld' would fit", (long long)(channels / have->dim[1]));
    if (have->rank == 4 && op_attr(n->op, "kernel") &&
        (have->dim[2] != want->dim[2] || have->dim[3] != want->dim[3]))
        diag_help(d, "'kernel: [%lld, %lld]' would fit", (long long)have->dim[2],
                  (long long)have->dim[3]);
}

static void report_shape(const Check *c, const Node *n, const Param *p, const WeightTensor *t)
{
    Diags *d = c->cx->diags;
    Arena *a = c->cx->temp;
    const Shape *have = &t->shape, *want = &p->shape;
    bool matrix = have->rank == 2 && want->rank == 2;
    if (matrix && have->dim[0] == want->dim[0] && n->n_in > 0 && op_attr(n->op, "out")) {
        diag_error(d, n->place, "E0203", "'%s' has %lld inputs in its weights but receives %lld",
                   n->out->name, (long long)have->dim[1], (long long)want->dim[1]);
        note_call(c, n);
        explain_inputs(c, n, have->dim[1]);
        return;
    }
    diag_error(d, n->place, "E0203", "'%s' needs '%s' of shape %s, but the weights file has it as "
               "%s", n->out->name, p->key, shape_text(a, want), shape_text(a, have));
    note_call(c, n);
    if (matrix && have->dim[0] == want->dim[1] && have->dim[1] == want->dim[0])
        diag_help(d, "the matrix is transposed: store it as [outputs, inputs]");
    else if (shape_count(have) == shape_count(want))
        diag_help(d, "it has as many elements: store it as PyTorch does, outputs first, then "
                  "inputs and kernel: %s", shape_text(a, want));
    else
        suggest_attrs(c, n, have, want);
}

/* ---- all of them --------------------------------------------------------------------------- */
static void check_param(Check *c, const Node *n, const Param *p)
{
    const WeightTensor *t = weights_find(c->weights, p->key);
    const WeightTensor *whole = t ? t : weights_find(c->weights, tensor_name(c, p));
    if (whole == NULL) {
        report_missing(c, n, p);
        return;
    }
    if (t == NULL) {
        diag_error(c->cx->diags, n->place, "E0203", "'%s' needs '%s' of shape %s, but the weights "
                   "file has '%s' as %s", n->out->name, p->key,
                   shape_text(c->cx->temp, &p->shape), whole->key,
                   shape_text(c->cx->temp, &whole->shape));
        note_call(c, n);
        return;
    }
    if (!shape_equal(&t->shape, &p->shape))
        report_shape(c, n, p, t);
    if (!str_eq(t->type, "F32")) {
        diag_error(c->cx->diags, n->place, "E0205",
                   "'%s' needs '%s' as F32, but the weights file has it as %s", n->out->name,
                   p->key, t->type);
        note_call(c, n);
        diag_help(c->cx->diags, "convert the weights to 32-bit floats: in PyTorch, .float()");
    }
}

static bool is_counter(const char *key)
{
    static const char name[] = "num_batches_tracked";
    size_t n = strlen(key), m = sizeof name - 1;
    return n >= m && strcmp(key + n - m, name) == 0;
}

static void note_unused(const Check *c)
{
    Str names = str_new(c->cx->temp);
    for (int i = 0; i < c->n_spare && i < MAX_NAMED; i++)
        str_printf(&names, "%s'%s'", i > 0 ? ", " : "", c->spare[i]);
    if (c->n_spare > 0)
        diag_note(c->cx->diags, NO_PLACE, "the model does not use %d tensor%s of the weights "
                  "file: %s%s", c->n_spare, c->n_spare > 1 ? "s" : "", names.data,
                  c->n_spare > MAX_NAMED ? ", ..." : "");
}

bool weights_check(Cx *cx, const Weights *w, const Graph *g)
{
    int errors = diags_error_count(cx->diags);
    Check c = {.cx = cx, .weights = w, .used = map_new(cx->temp)};
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_param; k++)
            map_put(c.used, tensor_name(&c, &g->nodes[i]->param[k]), &c);
    c.spare = NEW_ARRAY(cx->temp, const char *, weights_count(w));
    for (int i = 0; i < weights_count(w); i++) {
        const char *key = weights_at(w, i)->key;
        if (!map_get(c.used, key) && !is_counter(key))
            c.spare[c.n_spare++] = key;
    }
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_param; k++)
            check_param(&c, g->nodes[i], &g->nodes[i]->param[k]);
    note_unused(&c);
    return diags_error_count(cx->diags) == errors;
}
