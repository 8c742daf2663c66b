/* Blocks, repeat and when: the layers of `network:` one by one, as a flat list would give them.
 *
 *     - conv_relu: {path: features.0, out: 96}     ->   - conv: {path: features.0, out: 96}
 *                                                       - relu: {path: features.0}
 *
 * Contract: each layer is built before the next one is expanded, so that expressions can ask for
 * shapes. An error inside a block tells the chain of calls, and is told for one call only.
 */
#include "front/front.h"

#include <string.h>

static const char *const call_keys[] = {"from", "name", "path", "expect"};
#define N_CALL_KEYS ((int)(sizeof call_keys / sizeof *call_keys))

/* ---- declarations --------------------------------------------------------------------------- */
bool expand_word(Model *m, const Yaml *y, const char *what)
{
    static const char *const words[] = {"from",   "name", "path", "expect", "in",  "repeat", "when",
                                        "layers", "if",   "else", "and",    "or",  "not",
                                        "true",   "false", NULL};
    const char *word = y->kind == YAML_SCALAR ? y->text : "";
    bool legal = *word && word_length(word) == strlen(word);
    for (const char *const *w = words; *w; w++)
        legal &= !str_eq(word, *w);
    if (legal)
        return true;
    diag_error(m->cx->diags, y->place, "E0435", "%s cannot be named %s", what,
               read_found(m->cx->perm, y));
    return diag_help(m->cx->diags, "a name has letters, digits and _, and is no word of the "
                     "language");
}

static bool check_block(Model *m, const Yaml *key, const Yaml *y)
{
    static const char *const known[] = {"args", "inputs", "layers"};
    Cx *cx = m->cx;
    const char *what = arena_printf(cx->perm, "block '%.60s'", key->text);
    bool good = expand_word(m, key, "a block");
    if (op_find(key->text) || op_is_planned(key->text)) {
        diag_error(cx->diags, key->place, "E0435", "'%s' is an operator: a block needs a name of "
                   "its own", key->text);
        good = false;
    }
    if (!read_map(cx, y, what, "conv_relu: {args: {out: required}, layers: [...]}") ||
        !read_keys(cx, y, what, known, 3))
        return false;
    const Yaml *args = yaml_get(y, "args"), *inputs = yaml_get(y, "inputs");
    const Yaml *layers = yaml_get(y, "layers");
    good &= !args || read_map(cx, args, "'args'", "args: {out: required, kernel: 3}");
    for (int i = 0; good && args && i < args->n; i++)
        good &= expand_word(m, args->key[i], "an argument");
    good &= !inputs || read_list(cx, inputs, "'inputs'", "inputs: [a, b]");
    if (good && inputs && (inputs->n < 1 || inputs->n > MAX_INPUTS)) {
        diag_error(cx->diags, inputs->place, "E0435", "a block has 1 to %d inputs, found %d",
                   MAX_INPUTS, inputs->n);
        good = false;
    }
    for (int i = 0; good && inputs && i < inputs->n; i++) {
        good &= expand_word(m, inputs->item[i], "an input");
        if (good && yaml_get(args, inputs->item[i]->text)) {
            diag_error(cx->diags, inputs->item[i]->place, "E0435",
                       "'%s' is an argument and an input", inputs->item[i]->text);
            good = false;
        }
    }
    if (!layers) {
        diag_error(cx->diags, key->place, "E0402", "%s has no 'layers'", what);
        return diag_help(cx->diags, "add 'layers: [relu]', the list of what it stands for");
    }
    return read_list(cx, layers, "'layers'", "layers: [relu]") && good;
}

void expand_blocks(Model *m, const Yaml *blocks)
{
    if (!blocks || !read_map(m->cx, blocks, "'blocks'", "blocks: {conv_relu: {layers: [...]}}"))
        return;
    for (int i = 0; i < blocks->n; i++) {
        Block *b = NEW(m->cx->perm, Block);
        const Yaml *y = blocks->item[i];
        *b = (Block){.name = blocks->key[i]->text, .place = blocks->key[i]->place,
                     .args = yaml_get(y, "args"), .inputs = yaml_get(y, "inputs"),
                     .layers = yaml_get(y, "layers")};
        b->failed = !check_block(m, blocks->key[i], y);
        if (!op_find(b->name))
            map_put(m->blocks, b->name, b);
    }
}

/* ---- calls ---------------------------------------------------------------------------------- */
/* Behind errors that came up since the last time: the blocks they stand in. */
static void note_chain(Model *m)
{
    int errors = diags_error_count(m->cx->diags);
    for (const Scope *s = m->scope; s->block && errors > m->noted; s = s->outer)
        diag_note(m->cx->diags, s->place, "in block %s (line %d), used at line %d", s->block->name,
                  s->block->place.line, s->place.line);
    m->noted = errors;
}

/* Words that name a tensor where the call stands mean that tensor wherever they end up. */
static Yaml *bind_tensors(Model *m, Yaml *y)
{
    Tensor *t = y->kind == YAML_SCALAR && !y->tensor ? map_get(m->scope->tensors, y->text) : NULL;
    if (!expand_charge(m, y->place, 1) || (y->kind == YAML_SCALAR && !t) || y->kind == YAML_MAP)
        return y;
    Yaml *copy = NEW(m->cx->perm, Yaml);
    *copy = *y;
    copy->tensor = t;
    copy->item = NEW_ARRAY(m->cx->perm, Yaml *, y->n);
    for (int i = 0; i < y->n; i++)
        copy->item[i] = bind_tensors(m, y->item[i]);
    return copy;
}

/* The block's inputs; unknown ones after an error. */
static bool bind_inputs(Model *m, const LayerForm *form, Scope *s)
{
    const Yaml *names = s->block->inputs;
    int due = names ? names->n : 1, n = 0;
    Tensor *in[MAX_INPUTS] = {NULL};
    bool good = model_inputs(m, form, in, &n);
    if (good && n != due) {
        diag_error(m->cx->diags, form->place, "E0436", "block '%s' has %d input%s, found %d",
                   form->word, due, due == 1 ? "" : "s", n);
        diag_note(m->cx->diags, s->block->place, "it is declared here");
        diag_help(m->cx->diags, "'from' lists the inputs; without it the layer before is the only "
                                "one");
        good = false;
    }
    if (!good)
        model_lose(m);
    for (int i = 0; i < due; i++) {
        Yaml *y = NEW(m->cx->perm, Yaml);
        *y = (Yaml){.place = s->place, .quoted = true, .tensor = good ? in[i] : m->last};
        y->text = y->tensor->name;
        map_put(s->vars, names ? names->item[i]->text : "in", y);
    }
    if (good)
        m->last = due == 1 ? in[0] : NULL;
    return good;
}

/* What the call gives is worked out where it stands, defaults in the block, in order. */
static void bind_args(Model *m, const LayerForm *form, Scope *s)
{
    const Yaml *args = s->block->args;
    for (int i = 0; args && i < args->n; i++) {
        const char *name = args->key[i]->text;
        Yaml *y = args->item[i], *given = form->attrs ? yaml_get(form->attrs, name) : NULL;
        if (given && given->kind == YAML_MAP) {
            diag_error(m->cx->diags, given->place, "E0436",
                       "'%s' must be a number, a word or a list, found a map", name);
            diag_help(m->cx->diags, "give each of its values by an argument of its own");
            given = expand_broken(m, given);
        } else if (!given && str_eq(y->text, "required")) {
            if (form->known) {
                diag_error(m->cx->diags, form->place, "E0436",
                           "block '%s' needs the argument '%s'", form->word, name);
                diag_note(m->cx->diags, args->key[i]->place, "it is declared here");
                diag_help(m->cx->diags, "write '%s: {%s: VALUE}'", form->word, name);
            }
            given = expand_broken(m, y);
        }
        if (given)
            map_put(s->vars, name, bind_tensors(m, given));
    }
    note_chain(m);
    m->scope = s;
    for (int i = 0; args && i < args->n; i++)
        if (!map_get(s->vars, args->key[i]->text))
            map_put(s->vars, args->key[i]->text, expand_value(m, args->item[i]));
}

static bool check_call_keys(Model *m, const LayerForm *form, const Block *b)
{
    int n_args = b->args ? b->args->n : 0, n = 0;
    const char **known = NEW_ARRAY(m->cx->perm, const char *, n_args + N_CALL_KEYS);
    for (; n < n_args; n++)
        known[n] = b->args->key[n]->text;
    for (int i = 0; i < N_CALL_KEYS; i++)
        known[n++] = call_keys[i];
    const char *what = arena_printf(m->cx->perm, "block '%s'", b->name);
    return !form->attrs || read_keys(m->cx, form->attrs, what, known, n);
}

/* The block's value gets the call's name; a value from outside gets a layer that has it. */
static void name_value(Model *m, LayerForm *form, const char *name, int first)
{
    const Graph *g = m->graph;
    bool inside = g->n_nodes > first && g->nodes[g->n_nodes - 1]->out == m->last;
    if (m->last && m->last->shape.rank > 0 && !inside)
        model_layer(m, &(LayerForm){.word = "identity", .place = form->place, .known = true});
    if (m->last)
        model_define(m, m->last, name, yaml_get(form->attrs, "name")->place);
}

static void expand_body(Model *m, LayerForm *form, Block *b, Scope *s)
{
    Scope *outer = m->scope;
    bool good = check_call_keys(m, form, b) && form->known;
    good &= bind_inputs(m, form, s);
    bind_args(m, form, s);
    int errors = diags_error_count(m->cx->diags);
    b->active = true;
    expand_layers(m, b->layers);
    b->active = false;
    b->failed = diags_error_count(m->cx->diags) > errors;
    m->scope = outer;
    if (!good || b->failed)
        model_lose(m);
}

static void call_block(Model *m, LayerForm *form, Block *b)
{
    Arena *a = m->cx->perm;
    int first = m->graph->n_nodes;
    if (form->attrs)
        form->attrs = expand_value(m, form->attrs);
    const char *name = model_name(m, form), *path = model_path(m, form);
    Scope s = {.outer = m->scope, .block = b, .place = form->place, .vars = map_new(a),
               .tensors = map_new(a), .path = path ? path : m->scope->path ? m->scope->path : name};
    s.prefix = name ? name : path && *path ? path_stem(a, path) : b->name;
    if (b->active)
        diag_error(m->cx->diags, form->place, "E0437", "block '%s' calls itself: repeat layers "
                   "with 'repeat'", b->name);
    if (b->active || b->failed)
        model_lose(m);
    else
        expand_body(m, form, b, &s);
    if (name)
        name_value(m, form, name, first);
    if (m->last)
        model_expect(m, form, m->last);
}

/* ---- repeat and when ------------------------------------------------------------------------ */
static bool control_layers(Model *m, const Yaml *item, const char *word, const char *key,
                           const Yaml **out)
{
    *out = yaml_get(item, key);
    if (*out)
        return read_list(m->cx, *out, arena_printf(m->cx->perm, "'%s'", key), "layers: [relu]");
    diag_error(m->cx->diags, item->place, "E0438", "'%s' has no '%s'", word, key);
    return diag_help(m->cx->diags, "'%s' is a list of layers beside '%s'", key, word);
}

/* "1..4": both ends, or a list. */
static bool read_range(Model *m, const Yaml *y, int64_t *first, int64_t *n)
{
    Arena *a = m->cx->perm;
    *first = 0;
    *n = y->kind == YAML_LIST ? y->n : 0;
    if (y->kind == YAML_LIST || y->broken)
        return !y->broken;
    const char *dots = y->kind == YAML_SCALAR ? strstr(y->text, "..") : NULL;
    int64_t last = 0;
    if (!dots || !parse_i64(arena_strndup(a, y->text, (size_t)(dots - y->text)), first) ||
        !parse_i64(dots + 2, &last)) {
        diag_error(m->cx->diags, y->place, "E0438", "'repeat' goes over a list or a range such as "
                   "1..4, found %s", read_found(a, y));
        return diag_help(m->cx->diags, "write 'repeat: {i: 1..4}' or 'repeat: {i: [1, 2, 5]}'");
    }
    if (last < *first)
        return true;
    if (checked_sub(last, *first, n) && *n < MAX_REPEATS) {
        *n += 1;
        return true;
    }
    return diag_error(m->cx->diags, y->place, "E0422", "'repeat' repeats more than %d times",
                      MAX_REPEATS);
}

/* After the first round with an error the next ones would only say it again. */
static void repeat_over(Model *m, const char *name, Yaml *over, const Yaml *layers)
{
    int64_t first, n;
    int errors = diags_error_count(m->cx->diags);
    Yaml *before = map_get(m->scope->vars, name);
    Round round = {m->scope->round, name, NULL};
    bool good = read_range(m, over, &first, &n);
    m->scope->round = &round;
    for (int64_t i = 0; good && i < n; i++) {
        Yaml *value = over->item ? over->item[i] : NEW(m->cx->perm, Yaml);
        if (!over->item)
            *value = (Yaml){.place = over->place, .text = arena_printf(
                m->cx->perm, "%lld", (long long)(first + i))};
        round.value = value;
        map_put(m->scope->vars, name, value);
        expand_layers(m, layers);
        good = diags_error_count(m->cx->diags) == errors && expand_charge(m, over->place, 1);
    }
    m->scope->round = round.outer;
    map_put(m->scope->vars, name, before);
    if (!good)
        model_lose(m);
}

static void repeat_layers(Model *m, const Yaml *item)
{
    static const char *const known[] = {"repeat", "layers"};
    const Yaml *head = yaml_get(item, "repeat"), *layers;
    bool good = read_keys(m->cx, item, "a repetition", known, 2) &&
                control_layers(m, item, "repeat", "layers", &layers);
    if (head->kind != YAML_MAP || head->n != 1) {
        diag_error(m->cx->diags, head->place, "E0438", "'repeat' must have one variable, found %s",
                   read_found(m->cx->perm, head));
        diag_help(m->cx->diags, "write 'repeat: {i: 1..4}'");
        good = false;
    }
    if (good && expand_word(m, head->key[0], "a variable"))
        repeat_over(m, head->key[0]->text, expand_value(m, head->item[0]), layers);
    else
        model_lose(m);
}

static void choose_layers(Model *m, const Yaml *item)
{
    static const char *const known[] = {"when", "layers", "else"};
    Yaml *condition = expand_value(m, yaml_get(item, "when"));
    const Yaml *layers, *other = yaml_get(item, "else");
    Datum v;
    bool yes = false, good = read_keys(m->cx, item, "a condition", known, 3) &&
                             control_layers(m, item, "when", "layers", &layers);
    good &= !other || read_list(m->cx, other, "'else'", "else: [relu]");
    good = expr_value(m, condition->place, condition, &v) &&
           expr_truth(m, condition->place, &v, &yes) && good;
    if (!good)
        model_lose(m);
    else if (yes || other)
        expand_layers(m, yes ? layers : other);
}

/* ---- the walk ------------------------------------------------------------------------------- */
static void expand_layer(Model *m, const Yaml *item)
{
    LayerForm form = {.known = true};
    if (yaml_get(item, "repeat"))
        repeat_layers(m, item);
    else if (yaml_get(item, "when"))
        choose_layers(m, item);
    else if (!layer_split(m, item, &form))
        model_lose(m);
    else if (map_get(m->blocks, form.word))
        call_block(m, &form, map_get(m->blocks, form.word));
    else
        model_layer(m, &form);
    note_chain(m);
}

void expand_layers(Model *m, const Yaml *layers)
{
    if (m->depth == MAX_NESTING) {
        diag_error(m->cx->diags, layers->place, "E0422",
                   "blocks, repetitions and conditions are nested more than %d deep", MAX_NESTING);
        model_lose(m);
        return;
    }
    m->depth++;
    for (int i = 0; i < layers->n && !expand_stopped(m); i++)
        expand_layer(m, layers->item[i]);
    m->depth--;
}
