/* One item of `network:` becomes a node: operator, name, path, inputs, attributes, shape, weights.
 *
 *     - conv: {path: features.4, out: 256, kernel: 5}
 *
 * Contract: the layer's tensor is defined whatever goes wrong, with rank 0 if its shape is unknown.
 * Layers that read such a tensor have their own attributes checked, but nothing that follows from
 * shapes is reported: one mistake, one message.
 */
#include "front/front.h"

#include <string.h>

typedef struct Layer {
    Model *m;
    const char *op_name;
    Place place;                   /* of the operator's name */
    const Yaml *attrs;             /* a map, or NULL */
    Node *node;
    bool known;                    /* nothing wrong so far */
} Layer;

static const char *const common_keys[] = {"from",  "name",   "path", "expect",  "weights",
                                          "group", "layout", "algo", "schedule"};
#define N_COMMON ((int)(sizeof common_keys / sizeof *common_keys))

static const Yaml *layer_key(const Layer *l, const char *key)
{
    return l->attrs ? yaml_get(l->attrs, key) : NULL;
}

static void refuse_layer(Model *m, Place place, const char *found)
{
    diag_error(m->cx->diags, place, "E0411", "a layer must be one operator, found %s", found);
    diag_help(m->cx->diags, "write '- relu' or '- conv: {out: 96, kernel: 11}'");
}

/* "relu", {relu: } or {relu: {...}}. */
static bool layer_split(Layer *l, const Yaml *item)
{
    Arena *a = l->m->cx->perm;
    l->place = item->place;
    if (item->kind == YAML_SCALAR && *item->text) {
        l->op_name = item->text;
        return true;
    }
    if (item->kind != YAML_MAP || item->n != 1) {
        const char *found = item->kind == YAML_MAP
            ? arena_printf(a, "%d keys: attributes stand in braces behind the operator", item->n)
            : read_found(a, item);
        refuse_layer(l->m, item->place, found);
        return false;
    }
    const Yaml *value = item->item[0];
    l->op_name = item->key[0]->text;
    l->place = item->key[0]->place;
    if (value->kind == YAML_MAP) {
        l->attrs = value;
    } else if (value->kind == YAML_LIST || *value->text) {
        diag_error(l->m->cx->diags, value->place, "E0411",
                   "attributes of '%.60s' must be a map, found %s", l->op_name,
                   read_found(a, value));
        diag_help(l->m->cx->diags, "write '- %.60s: {attribute: value}'", l->op_name);
        l->known = false;
    }
    return true;
}

static bool find_op(Layer *l)
{
    Cx *cx = l->m->cx;
    l->node->op = op_find(l->op_name);
    if (l->node->op)
        return true;
    if (op_is_planned(l->op_name)) {
        diag_error(cx->diags, l->place, "E0404", "operator '%s' is not supported yet",
                   l->op_name);
        return false;
    }
    diag_error(cx->diags, l->place, "E0410", "unknown operator '%.60s'", l->op_name);
    const char **names = NEW_ARRAY(cx->perm, const char *, op_count());
    for (int i = 0; i < op_count(); i++)
        names[i] = op_at(i)->name;
    const char *nearest = str_nearest(cx->perm, l->op_name, names, op_count());
    if (nearest)
        diag_help(cx->diags, "did you mean '%s'?", nearest);
    return false;
}

static bool check_keys(const Layer *l)
{
    const char *known[N_COMMON + MAX_ATTRS];
    int n = 0;
    const AttrDef *def = l->node->op->attrs;
    for (; def->name; def++)
        known[n++] = def->name;
    for (int i = 0; i < N_COMMON; i++)
        known[n++] = common_keys[i];
    const char *what = arena_printf(l->m->cx->perm, "'%s'", l->op_name);
    return !l->attrs || read_keys(l->m->cx, l->attrs, what, known, n);
}

/* ---- path and name ------------------------------------------------------------------------ */
static const char *read_path(Layer *l, const Yaml *y)
{
    const char *text = y->kind == YAML_SCALAR ? y->text : NULL;
    bool ok = text != NULL;
    for (const char *c = text; ok && *c; c++)
        ok = (unsigned char)*c > ' ' && *c != 0x7f;
    if (ok)
        return text;
    l->known = false;
    diag_error(l->m->cx->diags, y->place, "E0417", "'path' must be one word, found %s",
               read_found(l->m->cx->perm, y));
    diag_help(l->m->cx->diags, "it is the module's path in PyTorch, as in 'path: features.0'");
    return NULL;
}

static const char *read_name(Layer *l, const Yaml *y)
{
    Cx *cx = l->m->cx;
    l->known = false;
    if (y->kind == YAML_LIST) {
        diag_error(cx->diags, y->place, "E0404", "several names for one layer are not supported "
                   "yet");
        return NULL;
    }
    const char *name = read_word(cx, y, "'name'");
    if (!name)
        return NULL;
    if (!name_is_legal(name)) {
        diag_error(cx->diags, y->place, "E0406", "'%.60s' is not a legal name", name);
        diag_help(cx->diags, "a name begins with a letter or _ and goes on with letters, digits, "
                             "_ and .");
        return NULL;
    }
    l->known = true;
    return name;
}

static void take_name(Model *m, const char *name, Place place)
{
    Place *kept = NEW(m->cx->perm, Place);
    *kept = place;
    map_put(m->taken, name, kept);
}

static char *legal_stem(Arena *a, const char *path)
{
    char *stem = arena_printf(a, "%s%s", *path >= '0' && *path <= '9' ? "_" : "", path);
    for (char *c = stem; *c; c++)
        if (!name_is_legal((const char[]){'_', *c, 0}))
            *c = '_';
    if (*stem == '.')
        *stem = '_';
    return stem;
}

/* prefix and the next number of this prefix that makes a free name. */
static const char *numbered_name(Model *m, const char *prefix, int first)
{
    int *next = map_get(m->counters, prefix);
    if (!next) {
        next = NEW(m->cx->perm, int);
        *next = first;
        map_put(m->counters, prefix, next);
    }
    const char *name;
    do
        name = arena_printf(m->cx->perm, "%s%d", prefix, (*next)++);
    while (map_get(m->taken, name));
    return name;
}

/* From the path if there is one ("features.0"), else the operator and a counter ("relu3") of the
 * nameless layers of that operator alone, so that edits of other layers do not move it. */
static const char *derive_name(Layer *l, const char *path)
{
    if (!path || !*path)
        return numbered_name(l->m, l->op_name, 1);
    const char *stem = legal_stem(l->m->cx->perm, path);
    if (!map_get(l->m->taken, stem))
        return stem;
    return numbered_name(l->m, arena_printf(l->m->cx->perm, "%s_", stem), 2);
}

/* Fills the node's path and the output's name. */
static void name_layer(Layer *l)
{
    const Yaml *path_key = layer_key(l, "path"), *name_key = layer_key(l, "name");
    const char *path = path_key ? read_path(l, path_key) : NULL;
    bool known = l->known;
    const char *name = name_key ? read_name(l, name_key) : NULL;
    l->known &= known;
    Tensor *out = l->node->out;
    out->name = name ? name : derive_name(l, path);
    out->place = name ? name_key->place : l->place;
    take_name(l->m, out->name, out->place);
    l->node->path = path ? path : out->name;
}

/* ---- inputs ------------------------------------------------------------------------------- */
Tensor *model_find_tensor(Model *m, const Yaml *y, const char *what)
{
    Cx *cx = m->cx;
    const char *name = read_word(cx, y, what);
    Tensor *t = name ? map_get(m->tensors, name) : NULL;
    if (t || !name)
        return t;
    const Place *later = map_get(m->taken, name);
    if (later) {
        diag_error(cx->diags, y->place, "E0413", "'%s' is defined later than it is used", name);
        diag_note(cx->diags, *later, "it is defined here");
        return NULL;
    }
    diag_error(cx->diags, y->place, "E0413", "no tensor is named '%.60s'", name);
    int n = (int)map_count(m->tensors);
    const char **names = NEW_ARRAY(cx->perm, const char *, n);
    for (int i = 0; i < n; i++)
        names[i] = map_key(m->tensors, (size_t)i);
    const char *nearest = str_nearest(cx->perm, name, names, n);
    if (nearest)
        diag_help(cx->diags, "did you mean '%s'?", nearest);
    return NULL;
}

static void add_input(Layer *l, Tensor *t)
{
    l->known &= t && t->shape.rank > 0;
    if (t)
        l->node->in[l->node->n_in++] = t;
}

static void read_from(Layer *l, const Yaml *from)
{
    Cx *cx = l->m->cx;
    if (from->kind != YAML_LIST) {
        add_input(l, model_find_tensor(l->m, from, "'from'"));
        return;
    }
    if (from->n < 1 || from->n > MAX_INPUTS) {
        l->known = false;
        diag_error(cx->diags, from->place, "E0414", "'from' must name 1 to %d tensors, found %d",
                   MAX_INPUTS, from->n);
        return;
    }
    for (int i = 0; i < from->n; i++)
        add_input(l, model_find_tensor(l->m, from->item[i], "an item of 'from'"));
}

static void default_input(Layer *l)
{
    Model *m = l->m;
    if (m->last) {
        add_input(l, m->last);
        return;
    }
    l->known = false;
    if (m->graph->n_inputs < 2)
        return;                    /* the inputs themselves were refused */
    diag_error(m->cx->diags, l->place, "E0415",
               "'%.60s' must say which of the %d inputs it reads", l->op_name,
               m->graph->n_inputs);
    diag_help(m->cx->diags, "add 'from: %s'", m->graph->inputs[0]->name);
}

/* ---- labels, shape ------------------------------------------------------------------------ */
static const char *read_label(Layer *l, const char *key)
{
    const Yaml *y = layer_key(l, key);
    const char *what = arena_printf(l->m->cx->perm, "'%s'", key);
    const char *label = y ? read_word(l->m->cx, y, what) : NULL;
    l->known &= label || !y;
    return label;
}

static void read_labels(Layer *l)
{
    Node *n = l->node;
    n->group = read_label(l, "group");
    n->algo = read_label(l, "algo");
    n->schedule = read_label(l, "schedule");
    n->out->layout = read_label(l, "layout");
}

/* false, and the layer's shape is no longer known, if it is not what the file expects. */
static bool check_expect(const Layer *l, const Shape *expect)
{
    Cx *cx = l->m->cx;
    const Node *n = l->node;
    if (shape_equal(expect, &n->out->shape))
        return true;
    diag_error(cx->diags, layer_key(l, "expect")->place, "E0416",
               "'%s' has shape %s, expected %s", n->out->name,
               shape_text(cx->perm, &n->out->shape), shape_text(cx->perm, expect));
    for (int i = 0; i < n->n_in; i++)
        diag_note(cx->diags, n->in[i]->place, "its input '%s' is %s", n->in[i]->name,
                  shape_text(cx->perm, &n->in[i]->shape));
    return false;
}

/* Shapes and weights, once everything that stands in the file is understood. */
static void infer_layer(Layer *l)
{
    Node *n = l->node;
    const Yaml *key = layer_key(l, "expect");
    Shape expect = {0};
    bool expects = key && read_shape(l->m->cx, key, "'expect'", &expect);
    if (l->known && n->op->infer(l->m->cx, n) && (!expects || check_expect(l, &expect)))
        model_params(l->m, n, layer_key(l, "weights"));
    else
        n->out->shape.rank = 0;
}

void model_layer(Model *m, const Yaml *item)
{
    Layer l = {.m = m, .known = true, .node = NEW(m->cx->perm, Node)};
    Node *n = l.node;
    n->out = NEW(m->cx->perm, Tensor);
    n->out->producer = n;
    if (!layer_split(&l, item)) {
        m->last = n->out;
        return;
    }
    n->place = l.place;
    l.known &= find_op(&l);
    name_layer(&l);
    const Yaml *from = layer_key(&l, "from");
    if (from)
        read_from(&l, from);
    else
        default_input(&l);
    map_put(m->tensors, n->out->name, n->out);
    m->last = n->out;
    if (!n->op)
        return;
    bool keys = check_keys(&l);
    bool attrs = model_attrs(m, n, l.attrs);
    l.known &= keys && attrs;
    read_labels(&l);
    graph_add_node(m->graph, n);
    infer_layer(&l);
}
