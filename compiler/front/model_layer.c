/* One item of `network:` becomes a node: operator, name, path, inputs, attributes, shape, weights.
 *
 *     - conv: {path: features.4, out: 256, kernel: 5}
 *
 * Contract: the layer's tensor is defined whatever goes wrong, with rank 0 if its shape is unknown.
 * Layers that read such a tensor have their own attributes checked, but nothing that follows from
 * shapes is reported: one mistake, one message.
 */
#include "front/front.h"


static const char *const common_keys[] = {"from",  "name",   "path", "expect",  "weights",
                                          "group", "layout", "algo", "store", "schedule"};
#define N_COMMON ((int)(sizeof common_keys / sizeof *common_keys))

static Yaml *form_key(const LayerForm *form, const char *key)
{
    return form->attrs ? yaml_get(form->attrs, key) : NULL;
}

bool layer_split(Model *m, const Yaml *item, LayerForm *form)
{
    Arena *a = m->cx->perm;
    *form = (LayerForm){.word = item->text, .place = item->place, .known = true};
    if (item->kind == YAML_SCALAR && *item->text)
        return true;
    if (item->kind != YAML_MAP || item->n != 1) {
        diag_error(m->cx->diags, item->place, "E0411", "a layer must be one operator, found %s",
                   item->kind != YAML_MAP ? read_found(a, item) : arena_printf(
                       a, "%d keys: attributes stand in braces behind the operator", item->n));
        return diag_help(m->cx->diags, "write '- relu' or '- conv: {out: 96, kernel: 11}'");
    }
    Yaml *value = item->item[0];
    form->word = item->key[0]->text;
    form->place = item->key[0]->place;
    if (value->kind == YAML_MAP) {
        form->attrs = value;
    } else if (value->kind == YAML_LIST || *value->text) {
        diag_error(m->cx->diags, value->place, "E0411", "attributes of '%.60s' must be a map, "
                   "found %s", form->word, read_found(a, value));
        diag_help(m->cx->diags, "write '- %.60s: {attribute: value}'", form->word);
        form->known = false;
    }
    return true;
}

static const OpDef *find_op(const Model *m, const LayerForm *form)
{
    Cx *cx = m->cx;
    const OpDef *op = op_find(form->word);
    if (op)
        return op;
    if (op_is_planned(form->word)) {
        diag_error(cx->diags, form->place, "E0404", "operator '%s' is not supported yet: docs/"
                   "operators.md lists those that are", form->word);
        return NULL;
    }
    diag_error(cx->diags, form->place, "E0410", "unknown operator '%.60s'", form->word);
    const char **names = NEW_ARRAY(cx->temp, const char *, (size_t)op_count() +
                                   map_count(m->blocks));
    int n = add_keys(names, 0, m->blocks);
    for (int i = 0; i < op_count(); i++)
        names[n++] = op_at(i)->name;
    suggest(cx, form->word, names, n);
    return NULL;
}

static bool check_keys(const Model *m, const LayerForm *form, const OpDef *op)
{
    const char *known[N_COMMON + MAX_ATTRS];
    int n = 0;
    for (const AttrDef *def = op->attrs; def->name; def++)
        known[n++] = def->name;
    for (int i = 0; i < N_COMMON; i++)
        known[n++] = common_keys[i];
    const char *what = arena_printf(m->cx->perm, "'%s'", form->word);
    return !form->attrs || read_keys(m->cx, form->attrs, what, known, n);
}

/* ---- paths and names ---------------------------------------------------------------------- */
static char *path_join(Arena *a, const char *outer, const char *inner)
{
    bool both = outer && *outer && *inner;
    return arena_printf(a, "%s%s%s", outer ? outer : "", both ? "." : "", inner);
}

/* Inside a block it extends the block's. */
const char *model_path(Model *m, LayerForm *form)
{
    const Yaml *y = form_key(form, "path");
    if (!y)
        return NULL;
    bool ok = y->kind == YAML_SCALAR && !y->broken;
    for (const char *c = y->text; ok && *c; c++)
        ok = (unsigned char)*c > ' ' && *c != 0x7f;
    if (ok)
        return path_join(m->cx->perm, m->scope->path, y->text);
    form->known = false;
    if (y->broken)
        return NULL;
    diag_error(m->cx->diags, y->place, "E0417", "'path' must be one word, found %s",
               read_found(m->cx->perm, y));
    diag_help(m->cx->diags, "it is the module's path in PyTorch, as in 'path: features.0'");
    return NULL;
}

const char *model_name(Model *m, LayerForm *form)
{
    Cx *cx = m->cx;
    const Yaml *y = form_key(form, "name");
    if (!y)
        return NULL;
    const char *name = NULL;
    if (y->kind == YAML_LIST)
        diag_error(cx->diags, y->place, "E0404", "several names for one layer are not supported "
                   "yet");
    else
        name = read_word(cx, y, "'name'");
    if (name && read_legal(cx, y->place, name))
        return name;
    form->known = false;
    m->gaps = true;                /* whoever means this layer will not find it */
    return NULL;
}

char *path_stem(Arena *a, const char *path)
{
    char *stem = arena_printf(a, "%s%s", *path >= '0' && *path <= '9' ? "_" : "", path);
    for (char *c = stem; *c; c++)
        if (!name_is_legal((const char[]){'_', *c, 0}))
            *c = '_';
    if (*stem == '.')
        *stem = '_';
    return stem;
}

static bool is_taken(const Model *m, const char *name)
{
    return map_get(m->used, name) || map_get(m->written, name);
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
    while (is_taken(m, name));
    return name;
}

static const char *free_name(Model *m, const char *stem)
{
    return !is_taken(m, stem) ? stem
                              : numbered_name(m, arena_printf(m->cx->perm, "%s_", stem), 2);
}

/* From its path ("features.0"), or the block's and the operator ("features.0.relu"), else the
 * operator and a counter ("relu3") of the nameless layers of that operator alone, so that edits of
 * other layers do not move it. */
static const char *derive_name(Model *m, const LayerForm *form, const char *path)
{
    if (path && *path)
        return free_name(m, path_stem(m->cx->perm, path));
    if (path || !m->scope->path || !*m->scope->path)
        return numbered_name(m, form->word, 1);
    return free_name(m, path_stem(m->cx->perm,
                                  path_join(m->cx->perm, m->scope->path, form->word)));
}

static void use_name(Model *m, Tensor *t, const char *name, Place place)
{
    t->name = name;
    t->place = place;
    Place *kept = NEW(m->cx->perm, Place);
    *kept = place;
    map_put(m->used, name, kept);
}

/* Where the name was first used, or, of a name in a repetition, which round uses it again. */
static void note_first(const Model *m, Place place, Place first)
{
    Arena *a = m->cx->temp;
    const char *where = "", *names = "";
    if (first.line != place.line || first.col != place.col || !m->scope->round) {
        diag_note(m->cx->diags, first, "it is first used here");
        return;
    }
    for (const Round *r = m->scope->round; r; r = r->outer) {
        where = arena_printf(a, "%s is %s%s%s", r->variable, read_found(a, r->value),
                             *where ? ", " : "", where);
        names = arena_printf(a, "$%s%s%s", r->variable, *names ? " and " : "", names);
    }
    diag_note(m->cx->diags, NO_PLACE, "an earlier round of 'repeat' used it, now %s", where);
    diag_help(m->cx->diags, "give each round a name of its own: put %s into it", names);
}

void model_define(Model *m, Tensor *t, const char *name, Place place)
{
    bool local = m->scope->block != NULL;
    const Tensor *same = map_get(m->scope->tensors, name);
    const Place *first = same ? &same->place : local ? NULL : map_get(m->used, name);
    if (first) {
        diag_error(m->cx->diags, place, "E0407", "the name '%.60s' is used twice: rename one",
                   name);
        note_first(m, place, *first);
    }
    map_put(m->scope->tensors, name, t);
    if (local && is_taken(m, name))
        name = free_name(m, path_join(m->cx->perm, m->scope->prefix, name));
    use_name(m, t, name, place);
}

/* The node's path and its output's name. */
static void name_layer(Model *m, LayerForm *form, Node *n)
{
    const char *path = model_path(m, form), *name = model_name(m, form);
    if (name) {
        model_define(m, n->out, name, form_key(form, "name")->place);
    } else {
        use_name(m, n->out, derive_name(m, form, path), form->place);
        map_put(m->scope->tensors, n->out->name, n->out);
    }
    n->path = path ? path : m->scope->path ? m->scope->path : n->out->name;
}

/* ---- inputs ------------------------------------------------------------------------------- */
Tensor *model_find_tensor(Model *m, const Yaml *y, const char *what)
{
    Cx *cx = m->cx;
    if (y->tensor)
        return y->tensor;
    const char *name = read_word(cx, y, what);
    Tensor *t = name ? map_get(m->scope->tensors, name) : NULL;
    if (t || !name || m->gaps)
        return t;
    const Scope *outer = m->scope->outer;
    const Place *later = outer ? NULL : map_get(m->written, name);
    if (later) {
        diag_error(cx->diags, y->place, "E0413", "'%s' is defined later than it is used: "
                   "move it up", name);
        diag_note(cx->diags, *later, "it is defined here");
        return NULL;
    }
    diag_error(cx->diags, y->place, "E0413", "no tensor is named '%.60s'", name);
    while (outer && !map_get(outer->tensors, name))
        outer = outer->outer;
    if (outer)
        diag_help(cx->diags, "a block does not see the names outside: pass it as an argument");
    else
        suggest_key(cx, name, m->scope->tensors);
    return NULL;
}

/* The layer before, or the one input of the network or block. */
static bool default_input(Model *m, const LayerForm *form, Tensor **in, int *n)
{
    if (m->last) {
        in[(*n)++] = m->last;
        return true;
    }
    const Yaml *names = m->scope->block ? m->scope->block->inputs : NULL;
    int inputs = names ? names->n : m->graph->n_inputs;
    if (inputs < 2)                /* the inputs themselves were refused */
        return false;
    diag_error(m->cx->diags, form->place, "E0415",
               "'%.60s' must say which of the %d inputs it reads", form->word, inputs);
    return diag_help(m->cx->diags, "add 'from: %s%s'", names ? "$" : "",
                     names ? names->item[0]->text : m->graph->inputs[0]->name);
}

bool model_inputs(Model *m, const LayerForm *form, Tensor **in, int *n)
{
    const Yaml *from = form_key(form, "from");
    bool list = from && from->kind == YAML_LIST, good = true;
    if (list && (from->n < 1 || from->n > MAX_INPUTS))
        return diag_error(m->cx->diags, from->place, "E0414", "'from' must name 1 to %d tensors, "
                          "found %d", MAX_INPUTS, from->n);
    if (!from)
        good = default_input(m, form, in, n);
    for (int i = 0; from && i < (list ? from->n : 1); i++) {
        Tensor *t = list ? model_find_tensor(m, from->item[i], "an item of 'from'")
                         : model_find_tensor(m, from, "'from'");
        if (t)
            in[(*n)++] = t;
        good &= t != NULL;
    }
    for (int i = 0; i < *n; i++)
        good &= in[i]->shape.rank > 0;
    return good;
}

void model_lose(Model *m)
{
    m->last = NEW(m->cx->perm, Tensor);
    m->last->name = "";
    m->gaps = true;
}

/* ---- labels, shape ------------------------------------------------------------------------ */
static const char *read_label(Model *m, LayerForm *form, const char *key)
{
    const Yaml *y = form_key(form, key);
    const char *what = arena_printf(m->cx->perm, "'%s'", key);
    const char *label = y ? read_word(m->cx, y, what) : NULL;
    form->known &= label || !y;
    return label;
}

static void read_labels(Model *m, LayerForm *form, Node *n)
{
    n->group = read_label(m, form, "group");
    n->algo = read_label(m, form, "algo");
    n->store = read_label(m, form, "store");
    n->schedule = read_label(m, form, "schedule");
    n->out->layout = read_label(m, form, "layout");
}

/* The shape is no longer known if it is not what the file expects. */
void model_expect(Model *m, const LayerForm *form, Tensor *t)
{
    Cx *cx = m->cx;
    const Yaml *y = form_key(form, "expect");
    Shape expect = {0};
    if (!y || !read_shape(cx, y, "'expect'", &expect) || t->shape.rank == 0 ||
        shape_equal(&expect, &t->shape))
        return;
    diag_error(cx->diags, y->place, "E0416", "'%s' has shape %s, expected %s", t->name,
               shape_text(cx->perm, &t->shape), shape_text(cx->perm, &expect));
    const Node *n = t->producer;
    for (int i = 0; n && i < n->n_in; i++)
        diag_note(cx->diags, n->in[i]->place, "its input '%s' is %s", n->in[i]->name,
                  shape_text(cx->perm, &n->in[i]->shape));
    t->shape.rank = 0;
}

void model_layer(Model *m, LayerForm *form)
{
    Node *n = NEW(m->cx->perm, Node);
    bool complete = form->known;
    if (form->attrs)
        form->attrs = expand_value(m, form->attrs);
    n->op = find_op(m, form);
    n->place = form->place;
    for (const Scope *s = m->scope; s->block; s = s->outer)
        n->call = s->place;
    n->out = NEW(m->cx->perm, Tensor);
    n->out->producer = n;
    bool source = n->op && n->op->max_in == 0 && !form_key(form, "from");
    if (!source && !model_inputs(m, form, n->in, &n->n_in))
        form->known = false;
    name_layer(m, form, n);            /* afterwards: a layer cannot mean itself */
    m->last = n->out;
    if (!n->op)
        return;
    complete &= check_keys(m, form, n->op);
    form->known &= model_attrs(m, n, form->attrs, complete) && complete;
    read_labels(m, form, n);
    graph_add_node(m->graph, n);
    if (m->graph->n_nodes > MAX_LAYERS) {
        m->stopped = true;
        diag_error(m->cx->diags, n->place, "E0422", "the network has more than %d layers",
                   MAX_LAYERS);
    }
    if (form->known && n->op->infer(m->cx, n))
        model_params(m, n, form_key(form, "weights"));
    else
        n->out->shape.rank = 0;
    model_expect(m, form, n->out);
}
