/* The model language to a graph: the sections of the file, in the order in which they depend on
 * each other; layers, attributes and weights have files of their own.
 *
 *     net2c: 1
 *     name: tiny
 *     inputs: {x: {shape: [N, 3, 8, 8]}}
 *     network: [{conv: {out: 4, kernel: 3}}, relu]
 *
 * Contract: either a graph or at least one error, never both; all errors of a file in one run, and
 * none that only follows from another.
 */
#include "front/front.h"

#define FORMAT_VERSION "1"
#define DEFAULT_BIND "$path.$param"

static Yaml *need_key(Model *m, const Yaml *root, const char *key, const char *example)
{
    Yaml *y = yaml_get(root, key);
    if (y || read_misspelt(m->cx, root, key))
        return y;
    diag_error(m->cx->diags, root->place, "E0402", "the model has no '%s'", key);
    diag_help(m->cx->diags, "add '%s'", example);
    return NULL;
}

/* ---- header ------------------------------------------------------------------------------- */
static void read_version(Model *m, const Yaml *root)
{
    const Yaml *y = need_key(m, root, "net2c", "net2c: " FORMAT_VERSION);
    if (!y || str_eq(y->text, FORMAT_VERSION))
        return;
    diag_error(m->cx->diags, y->place, "E0405", "'net2c' must be " FORMAT_VERSION ", the version "
               "of the format; found %s", read_found(m->cx->perm, y));
}

/* A C identifier: it begins every public symbol of the generated code. */
static void read_model_name(Model *m, const Yaml *root)
{
    Yaml *y = need_key(m, root, "name", "name: my_network");
    const char *name = y ? read_word(m->cx, y = expand_value(m, y), "'name'") : NULL;
    if (!name)
        return;
    bool legal = name_is_legal(name);
    for (const char *c = name; *c; c++)
        legal &= *c != '.';
    m->graph->name = name;
    if (legal)
        return;
    diag_error(m->cx->diags, y->place, "E0406", "'%.60s' is not a C identifier", name);
    diag_help(m->cx->diags, "the name begins every public symbol: letters, digits and _ only");
}

static void read_doc(Model *m, const Yaml *root)
{
    const Yaml *y = yaml_get(root, "doc");
    if (y && y->kind == YAML_SCALAR)
        m->graph->doc = y->text;
    else if (y)
        diag_error(m->cx->diags, y->place, "E0401", "'doc' must be text, found %s",
                   read_found(m->cx->perm, y));
}

static void read_weights(Model *m, const Yaml *root)
{
    static const char *const known[] = {"bind"};
    m->graph->bind = DEFAULT_BIND;
    const Yaml *y = yaml_get(root, "weights");
    if (!y || !read_map(m->cx, y, "'weights'", "weights: {bind: \"" DEFAULT_BIND "\"}"))
        return;
    read_keys(m->cx, y, "'weights'", known, 1);
    const Yaml *bind = yaml_get(y, "bind");
    if (bind && bind_is_legal(m->cx, bind))
        m->graph->bind = bind->text;
}

/* ---- inputs and outputs ------------------------------------------------------------------- */
static void read_type(Model *m, const Yaml *y)
{
    if (!y || y->broken || str_eq(y->text, "f32"))
        return;
    diag_error(m->cx->diags, y->place, "E0409", "inputs are of type f32, found %s",
               read_found(m->cx->perm, y));
    diag_help(m->cx->diags, "leave 'type' out and convert the data to 32-bit floats");
}

static void read_input(Model *m, const Yaml *key, const Yaml *y, Tensor *t)
{
    static const char *const known[] = {"shape", "type"};
    Cx *cx = m->cx;
    const char *what = arena_printf(cx->perm, "input '%.60s'", key->text);
    const char *whose = arena_printf(cx->perm, "the shape of %s", what);
    model_define(m, t, key->text, key->place);
    read_legal(cx, key->place, t->name);
    if (!read_map(cx, y, what, "image: {shape: [N, 3, 224, 224]}"))
        return;
    read_keys(cx, y, what, known, 2);
    read_type(m, yaml_get(y, "type"));
    const Yaml *shape = yaml_get(y, "shape");
    if (!shape && !read_misspelt(cx, y, "shape")) {
        diag_error(cx->diags, key->place, "E0402", "%s has no 'shape'", what);
        diag_help(cx->diags, "add 'shape: [N, 3, 224, 224]', N being the batch");
    } else if (shape && !read_shape(cx, shape, whose, &t->shape)) {
        t->shape.rank = 0;
    }
}

static void read_inputs(Model *m, const Yaml *root)
{
    static const char example[] = "inputs: {image: {shape: [N, 3, 224, 224]}}";
    Graph *g = m->graph;
    Yaml *y = need_key(m, root, "inputs", example);
    if (!y || !read_map(m->cx, y = expand_value(m, y), "'inputs'", example))
        return;
    if (y->n == 0) {
        diag_error(m->cx->diags, y->place, "E0402", "the network has no inputs");
        diag_help(m->cx->diags, "write it like this: %s", example);
    }
    g->inputs = NEW_ARRAY(m->cx->perm, Tensor *, y->n);
    g->n_inputs = y->n;
    for (int i = 0; i < y->n; i++) {
        g->inputs[i] = NEW(m->cx->perm, Tensor);
        read_input(m, y->key[i], y->item[i], g->inputs[i]);
    }
    m->last = y->n == 1 ? g->inputs[0] : NULL;
}

static void read_output(Model *m, const Yaml *y)
{
    Graph *g = m->graph;
    Tensor *t = model_find_tensor(m, y, "an item of 'outputs'");
    if (!t)
        return;
    if (!t->producer) {
        diag_error(m->cx->diags, y->place, "E0419", "the output '%s' is an input", t->name);
        diag_help(m->cx->diags, "add a layer '- identity: {from: %s, name: out}'", t->name);
    } else if (graph_is_output(g, t)) {
        diag_error(m->cx->diags, y->place, "E0419", "'%s' is an output already: name it once",
                   t->name);
    } else {
        g->outputs[g->n_outputs++] = t;
    }
}

static void read_outputs(Model *m, const Yaml *root)
{
    Graph *g = m->graph;
    Yaml *y = yaml_get(root, "outputs");
    y = y ? expand_value(m, y) : NULL;
    if (y && !read_list(m->cx, y, "'outputs'", "outputs: [logits]"))
        return;
    if (y && y->n == 0) {
        diag_error(m->cx->diags, y->place, "E0419", "'outputs' is empty");
        diag_help(m->cx->diags, "without 'outputs' the last layer is the output");
    }
    int room = y ? y->n : 1;
    g->outputs = NEW_ARRAY(m->cx->perm, Tensor *, room);
    for (int i = 0; y && i < y->n && !expand_stopped(m); i++)
        read_output(m, y->item[i]);
    if (!y && m->last && m->last->producer)
        g->outputs[g->n_outputs++] = m->last;
    if (diags_error_count(m->cx->diags) == 0 && g->n_nodes == 0)
        diag_error(m->cx->diags, yaml_get(root, "network")->place, "E0422",
                   "the network has no layers: add one, as in '- relu'");
}

/* ---- network ------------------------------------------------------------------------------ */
/* Names that are written down come first: derived names make way for them, wherever they stand. */
static void collect_names(Model *m, const Yaml *layers)
{
    for (int i = 0; layers && layers->kind == YAML_LIST && i < layers->n; i++) {
        const Yaml *item = layers->item[i];
        collect_names(m, yaml_get(item, "layers"));
        collect_names(m, yaml_get(item, "else"));
        const Yaml *name = item->kind == YAML_MAP && item->n > 0 ? yaml_get(item->item[0], "name")
                                                                 : NULL;
        if (name && name->kind == YAML_SCALAR && !map_get(m->written, name->text))
            map_put(m->written, name->text, (void *)&name->place);
    }
}

static void read_network(Model *m, const Yaml *root)
{
    static const char example[] = "network: [{conv: {out: 8, kernel: 3}}, relu]";
    const Yaml *y = need_key(m, root, "network", example);
    if (!y || !read_list(m->cx, y, "'network'", example))
        return;
    collect_names(m, y);
    expand_layers(m, y);
    if (!expand_stopped(m))
        read_outputs(m, root);
}

static Graph *model_build(Cx *cx, const char *file, const Yaml *root, ModelDefines defines)
{
    static const char *const known[] = {"net2c",   "name",    "doc",    "params",  "inputs",
                                        "outputs", "weights", "blocks", "network", "check",
                                        "preprocess"};
    int errors = diags_error_count(cx->diags);
    Arena *a = cx->perm;
    Scope top = {.vars = map_new(a), .tensors = map_new(a)};
    Model m = {.cx = cx, .graph = graph_new(a), .scope = &top, .written = map_new(a),
               .used = map_new(a), .counters = map_new(a), .keys = map_new(a),
               .params = map_new(a), .blocks = map_new(a), .work = MAX_WORK, .noted = errors};
    m.graph->file = arena_strdup(a, file);
    if (!read_map(cx, root, "a model", "net2c: 1"))
        return NULL;
    read_keys(cx, root, "the model", known, sizeof known / sizeof *known);
    read_version(&m, root);
    expand_params(&m, yaml_get(root, "params"), defines);
    read_model_name(&m, root);
    read_doc(&m, root);
    read_weights(&m, root);
    read_inputs(&m, root);
    expand_blocks(&m, yaml_get(root, "blocks"));
    read_network(&m, root);
    model_samples(&m, yaml_get(root, "check"), yaml_get(root, "preprocess"));
    return diags_error_count(cx->diags) == errors ? m.graph : NULL;
}

Graph *model_parse_with(Cx *cx, const char *file, Bytes text, ModelDefines defines)
{
    const Yaml *root = yaml_parse(cx, file, (const char *)text.data, text.size);
    return root ? model_build(cx, file, root, defines) : NULL;
}

Graph *model_parse(Cx *cx, const char *file, const char *text, size_t len)
{
    const Bytes bytes = {(const uint8_t *)text, len};
    return model_parse_with(cx, file, bytes, (ModelDefines){0});
}

Graph *model_load_with(Cx *cx, const char *path, ModelDefines defines)
{
    Bytes text;
    return file_read(cx, path, MAX_MODEL_FILE, &text) ? model_parse_with(cx, path, text, defines)
                                                      : NULL;
}
