/* net2c run: a model on arrays or pictures, by generated C, by code made in this process
 * or by the interpreter.
 *
 *     net2c run net.yaml -w net.safetensors -i photo.jpg --top 5
 *     net2c run net.yaml -w net.safetensors -i x.npy -o logits=y.npy
 *
 * contract: each item of the batch is computed; outputs that are not asked for are not written.
 * --top prints a line an element: output, item, index, value, largest first, and with --labels its
 * name.
 */
#include "driver/driver.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the interpreter ------------------------------------------------------------------------ */

typedef struct Interpreter {
    const Pipeline *pipeline;
    const Weights *weights;
    const Module *module;          /* for the items being computed */
} Interpreter;

static const void *pack(void *user, const Value *v)
{
    const Interpreter *in = user;
    Arena *a = in->pipeline->cx->temp;
    int64_t n = buffer_elements(&v->shape);
    float *out = NEW_ARRAY(a, float, n);
    const void *from[MAX_SOURCES] = {NULL}, *data;
    for (int i = 0; i < MAX_SOURCES && v->made_from[i]; i++)
        from[i] = weights_find(in->weights, v->made_from[i])->data.data;
    if (v->make) {
        float *made = NEW_ARRAY(a, float, buffer_logical_elements(&v->shape));
        value_make(in->pipeline->cx, v, from, made);
        data = made;
    } else {
        data = weights_find(in->weights, v->key)->data.data;
    }
    pack_elements(v, data, 0, n, out);
    return out;
}

static void tell_step(void *user, int step, void *const *arg)
{
    const Interpreter *in = user;
    (void)arg;
    if (step + 1 < in->module->n_steps)
        cx_phase(in->pipeline->cx, "interpreting %s", in->module->step[step + 1].kernel->name);
}

static bool run_interpreter(const Pipeline *p, const Weights *w, void *const *io, int64_t batch)
{
    const Graph *g = p->graph;
    int n = g->n_inputs + g->n_outputs;
    Interpreter in = {p, w, NULL};
    void **at = NEW_ARRAY(p->cx->perm, void *, n);
    for (int64_t item = 0, left = batch; left > 0; left = batch - item) {
        const Module *m = in.module = pipeline_sized(p, left);
        for (int i = 0; i < n; i++) {
            const Tensor *t = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
            at[i] = (float *)io[i] + item * shape_count(&t->shape);
        }
        const ModuleRun run = {at, at + g->n_inputs, pack, tell_step, &in};
        cx_phase(p->cx, "interpreting");
        bool ok = module_interpret(p->cx, m, &run);
        arena_reset(p->cx->temp);
        item += m->batch;
        if (!ok)
            return false;
    }
    return true;
}

/* ---- results -------------------------------------------------------------------------------- */

typedef struct Element {
    float value;
    int64_t index;
} Element;

/* Largest first, of equal ones the first. NaN counts as the largest: it must not hide. */
static int compare_elements(const void *a, const void *b)
{
    const Element *x = a, *y = b;
    bool less = x->value < y->value || (isnan(y->value) && !isnan(x->value));
    bool more = x->value > y->value || (isnan(x->value) && !isnan(y->value));
    return less != more ? less - more : (x->index > y->index) - (x->index < y->index);
}

typedef struct Labels {
    const char **name;                 /* NULL: none were given */
    int64_t n;
} Labels;

/* One name a line; control characters would reach the terminal and are refused. */
static bool labels_read(Cx *cx, const char *path, Labels *out)
{
    Bytes file;
    size_t cap = 0;
    *out = (Labels){NULL, 0};
    if (!path)
        return true;
    if (!file_read(cx, path, (size_t)1 << 20, &file))
        return false;
    for (size_t at = 0; at < file.size;) {
        size_t end = at;
        while (end < file.size && file.data[end] != '\n')
            if (file.data[end++] < ' ') {
                Place place = {path, (int)out->n + 1, (int)(end - at), 1};
                diag_error(cx->diags, place, "E0107", "a control character in a label");
                return diag_help(cx->diags, "write one name a line, as plain text");
            }
        out->name = arena_grow(cx->perm, out->name, (size_t)out->n, (size_t)out->n + 1, &cap,
                               sizeof *out->name);
        out->name[out->n++] = arena_strndup(cx->perm, (const char *)file.data + at, end - at);
        at = end + 1;
    }
    return true;
}

static void print_top(Cx *cx, const char *name, int64_t item, const float *v, int64_t n, int64_t k,
                      const Labels *labels)
{
    Element *element = NEW_ARRAY(cx->temp, Element, n);
    for (int64_t i = 0; i < n; i++)
        element[i] = (Element){v[i], i};
    qsort(element, (size_t)n, sizeof *element, compare_elements);
    for (int64_t i = 0; i < k && i < n; i++) {
        int64_t index = element[i].index;
        Str number = str_new(cx->temp);
        str_double(&number, (double)element[i].value);
        printf("%s %lld %lld %s%s%s\n", name, (long long)item, (long long)index, number.data,
               index < labels->n ? " " : "", index < labels->n ? labels->name[index] : "");
    }
    arena_reset(cx->temp);
}

static bool write_output(Cx *cx, const Graph *g, const char *text, void *const *io, int64_t batch)
{
    const char *path;
    int i = binding_find(cx, text, g->outputs, g->n_outputs, "output", &path);
    if (i < 0)
        return false;
    Npy npy = {g->outputs[i]->shape, io[g->n_inputs + i]};
    npy.shape.dim[0] = batch;
    return npy_write(cx, path, &npy);
}

static bool give_results(Cx *cx, const Options *o, const Graph *g, void *const *io, int64_t batch)
{
    bool ok = true;
    int64_t k = option_count(o, OPT_TOP, 0);
    Labels labels;
    if (!labels_read(cx, option_text(o, OPT_LABELS, NULL), &labels))
        return false;
    for (int i = 0; i < o->n[OPT_OUTPUT]; i++)
        ok &= write_output(cx, g, o->value[OPT_OUTPUT][i], io, batch);
    for (int i = 0; ok && i < g->n_outputs; i++) {
        const Tensor *t = g->outputs[i];
        int64_t n = shape_count(&t->shape);
        for (int64_t item = 0; k > 0 && item < batch; item++)
            print_top(cx, t->name, item, (const float *)io[g->n_inputs + i] + item * n, n, k,
                      &labels);
    }
    return ok;
}

/* ---- the verb ------------------------------------------------------------------------------- */

static bool run_code(Pipeline *p, const Weights *w, const Options *o, void *const *io,
                     int64_t batch)
{
    Session *s = session_open(p, w, o);
    if (!s)
        return false;
    cx_phase(p->cx, "running");
    bool ok = session_run(s, io, (size_t)batch, NULL);
    session_close(s);
    return ok;
}

/* Wrong names should not cost a compilation. */
static bool check_names(Cx *cx, const Options *o, const Graph *g)
{
    const char *path;
    bool ok = true;
    for (int i = 0; i < o->n[OPT_OUTPUT]; i++)
        ok &= binding_find(cx, o->value[OPT_OUTPUT][i], g->outputs, g->n_outputs, "output",
                           &path) >= 0;
    return ok;
}

static bool run_model(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    int64_t batch;
    if (!pipeline_compile(&p, cx, o, &w))
        return false;
    bool ok = check_names(cx, o, p.graph);
    void **io = tensors_make(cx, o, p.graph, &batch);
    ok = ok && io;
    if (ok)
        ok = p.backend == BACKEND_INTERP ? run_interpreter(&p, w, io, batch)
                                         : run_code(&p, w, o, io, batch);
    weights_close(w);
    return ok && give_results(cx, o, p.graph, io, batch);
}

int cmd_run(Cx *cx, const Options *o)
{
    if (!o->n[OPT_OUTPUT] && !o->n[OPT_TOP]) {
        diag_error(cx->diags, NO_PLACE, "E0004", "run needs --output or --top");
        diag_help(cx->diags, "write results with -o FILE.npy or print the largest with --top 5");
    }
    if (diags_error_count(cx->diags) > 0 || !run_model(cx, o))
        return status_of_errors(cx->diags);
    return STATUS_OK;
}
