/* A graph as text: the model language in expanded form, one layer a line, labels included.
 *
 *     - relu: {name: relu1, from: [conv1], path: relu1, expect: [N, 96, 55, 55], group: g1}
 *
 * Contract: the text reads back to a graph with the same graph_hash, which prints the same text.
 * Weight keys are written only where bind does not give them.
 */
#include "front/front.h"

#include <string.h>

/* ---- scalars ------------------------------------------------------------------------------ */
static bool is_plain(const char *s)
{
    static const char rest[] = "_.-/+";
    if (!name_is_legal((const char[]){*s, 0}))
        return false;
    for (; *s; s++)
        if (!strchr(rest, *s) && !(*s >= '0' && *s <= '9') &&
            !name_is_legal((const char[]){*s, 0}))
            return false;
    return true;
}

/* Characters that YAML takes for line breaks or does not print are written by number. */
void yaml_quote(Str *s, const char *text)
{
    size_t used;
    str_char(s, '"');
    for (; *text; text += used) {
        uint32_t code = utf8_decode(text, strlen(text), &used);
        bool odd = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
                   code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff;
        if (odd) {
            str_printf(s, "\\u%04x", (unsigned)code);
        } else {
            if (code == '"' || code == '\\')
                str_char(s, '\\');
            str_add_n(s, text, used);
        }
    }
    str_char(s, '"');
}

static void print_text(Str *s, const char *text)
{
    if (is_plain(text))
        str_add(s, text);
    else
        yaml_quote(s, text);
}

static void print_pair(Str *s, const char *key, const char *text)
{
    if (!text)
        return;
    str_printf(s, ", %s: ", key);
    print_text(s, text);
}

/* ---- layers ------------------------------------------------------------------------------- */
static void print_attr(Str *s, const Node *n, int at)
{
    AttrValue v;
    const AttrDef *def = &n->op->attrs[at];
    if (!attr_form(n, at, &v))
        return;
    str_printf(s, ", %s: ", def->name);
    attr_text(s, def, &v);
}

static void print_names(Str *s, Tensor *const *t, int n)
{
    str_char(s, '[');
    for (int i = 0; i < n; i++)
        str_printf(s, "%s%s", i ? ", " : "", t[i]->name);
    str_char(s, ']');
}

static void print_keys(Str *s, const Graph *g, const Node *n)
{
    int written = 0;
    for (int i = 0; i < n->n_param; i++) {
        const Param *p = &n->param[i];
        if (str_eq(p->key, param_key(s->arena, g, n, i)))
            continue;
        str_printf(s, "%s%s: ", written++ ? ", " : ", weights: {", p->role);
        print_text(s, p->key);
    }
    if (written)
        str_char(s, '}');
}

static void print_layer(Str *s, const Graph *g, const Node *n)
{
    str_printf(s, "  - %s: {name: %s", n->op->name, n->out->name);
    if (n->n_in > 0) {
        str_add(s, ", from: ");
        print_names(s, n->in, n->n_in);
    }
    print_pair(s, "path", n->path);
    for (int i = 0; n->op->attrs[i].name; i++)
        print_attr(s, n, i);
    str_printf(s, ", expect: %s", shape_text(s->arena, &n->out->shape));
    print_keys(s, g, n);
    print_pair(s, "group", n->group);
    print_pair(s, "layout", n->out->layout);
    print_pair(s, "algo", n->algo);
    print_pair(s, "store", n->store);
    print_pair(s, "schedule", n->schedule);
    str_add(s, "}\n");
}

/* ---- check, preprocess -------------------------------------------------------------------- */
static void print_files(Str *s, const char *key, const SampleFile *file, int n)
{
    str_printf(s, "%s: {", key);
    for (int i = 0; i < n; i++) {
        str_printf(s, "%s%s: ", i ? ", " : "", file[i].tensor);
        print_text(s, file[i].path);
    }
    str_add(s, "}, ");
}

static void print_sample(Str *s, const Sample *sample)
{
    str_add(s, "  - {");
    print_files(s, "inputs", sample->in, sample->n_in);
    print_files(s, "outputs", sample->out, sample->n_out);
    str_add(s, "rtol: ");
    str_double(s, sample->rtol);
    str_add(s, ", atol: ");
    str_double(s, sample->atol);
    str_add(s, "}\n");
}

static void print_channels(Str *s, const char *key, const double *v, int n)
{
    str_printf(s, ", %s: [", key);
    for (int i = 0; i < n; i++) {
        str_add(s, i ? ", " : "");
        str_double(s, v[i]);
    }
    str_char(s, ']');
}

static void print_preprocess(Str *s, const Preprocess *p)
{
    str_printf(s, "  %s: {order: %s", p->input, p->bgr ? "bgr" : "rgb");
    if (p->resize)
        str_printf(s, ", resize: %lld", (long long)p->resize);
    if (p->crop)
        str_printf(s, ", crop: %lld", (long long)p->crop);
    print_channels(s, "mean", p->mean, p->channels);
    print_channels(s, "std", p->std, p->channels);
    str_add(s, "}\n");
}

char *graph_text(Arena *a, const Graph *g)
{
    Str s = str_new(a);
    str_printf(&s, "net2c: 1\nname: %s\n", g->name);
    if (g->doc) {
        str_add(&s, "doc: ");
        print_text(&s, g->doc);
        str_char(&s, '\n');
    }
    str_add(&s, "\ninputs:\n");
    for (int i = 0; i < g->n_inputs; i++)
        str_printf(&s, "  %s: {shape: %s}\n", g->inputs[i]->name,
                   shape_text(a, &g->inputs[i]->shape));
    str_add(&s, "outputs: ");
    print_names(&s, g->outputs, g->n_outputs);
    str_add(&s, "\n\nweights:\n  bind: ");
    print_text(&s, g->bind);
    str_add(&s, "\n\nnetwork:\n");
    for (int i = 0; i < g->n_nodes; i++)
        print_layer(&s, g, g->nodes[i]);
    str_add(&s, g->n_samples ? "\ncheck:\n" : "");
    for (int i = 0; i < g->n_samples; i++)
        print_sample(&s, &g->samples[i]);
    str_add(&s, g->n_preprocess ? "\npreprocess:\n" : "");
    for (int i = 0; i < g->n_preprocess; i++)
        print_preprocess(&s, &g->preprocess[i]);
    return s.data;
}
