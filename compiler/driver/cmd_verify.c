/* net2c verify: generated code against the operators' own definitions.
 *
 *     layers       kernel  rel. L2   backward  allowed   max abs
 *     conv1+relu1  conv1   1.21e-07  8.40e-08  1.00e-06  1.91e-06  ok
 *
 * The reference is the same groups lowered to their naive nests in double precision, without any
 * optional pass. It runs three times. First each step is compared and its result then replaced by
 * the generated code's own, so that every layer is judged on the inputs it really had. Then from
 * the network's inputs to its outputs, undisturbed. Last with all weights and values made positive
 * and subtractions turned into additions, which gives each element the size of what was summed up
 * in it: an error divided by that is the backward error, which cancellation does not inflate.
 *
 * The model's samples (`check:`) are run too, unless --no-samples: they belong to certain weights.
 *
 * contract: both errors of a layer, and relative L2 of outputs, are at most --tolerance, and the
 * samples are right, or the exit status is 3. Without that option 1e-6 is allowed, 5e-6 or more
 * where Winograd's convolution is used, 4e-3 where weights are bf16; for outputs, as much as for
 * the worst layer. A NaN is equal to a NaN only. The item verified is the first one, by itself;
 * with --batch, the items of a call with more of them must get the bits that each of them gets by
 * itself.
 */
#include "driver/driver.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Layer {
    int64_t n;
    const char *name, *kernel;
    float *got;                    /* by the generated code */
    double *want, *size;           /* by the reference; what was summed up */
    double relative, backward, absolute;
    double allowed;
} Layer;

typedef struct Verify {
    Cx *cx;
    const Options *options;
    Pipeline code, reference, sizes;
    const Module *module;          /* of code, for one item */
    Weights *weights;
    int n_inputs, n_outputs;
    Layer *layer;                  /* one a step, then one a network output */
    int n_steps;
    float **io;                    /* of the generated code */
    double **wide;                 /* of the reference */
    SampleResult *sample;
    int n_samples;
    int64_t given;                 /* items in io */
    BatchResult batches;
    bool positive;                 /* the reference's last run */
} Verify;

static const Value *output_value(const Module *m, unsigned step)
{
    int at = step_output(&m->step[step]);
    return at < 0 ? NULL : m->step[step].arg[at];
}

/* ---- running --------------------------------------------------------------------------------- */

static int capture(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    const Verify *v = user;
    (void)bytes;
    if (phase == N2C_STEP_END)
        buffer_unpack(&output_value(v->module, step)->shape, data, v->layer[step].got);
    return 0;
}

/* Takes the reference's result and puts the generated code's in its place. The memory is the
 * caller's arena or output, so it may be written between two steps. */
static int exchange(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    const Verify *v = user;
    Layer *l = &v->layer[step];
    (void)bytes;
    if (phase != N2C_STEP_END)
        return 0;
    double *result = (double *)(uintptr_t)data;
    memcpy(v->positive ? l->size : l->want, result, (size_t)l->n * sizeof *result);
    for (int64_t i = 0; i < l->n; i++)
        result[i] = v->positive ? fabs((double)l->got[i]) : (double)l->got[i];
    return 0;
}

static bool run_code(Verify *v)
{
    const n2c_exec exec = {.on_step = capture, .user = v};
    Session *s = session_open(&v->code, v->weights, v->options);
    if (!s)
        return false;
    cx_phase(v->cx, "running");
    bool ok = session_run(s, (void *const *)v->io, 1, &exec);
    if (ok && !v->options->n[OPT_NO_SAMPLES])
        ok = samples_run(s, v->code.graph, &v->sample, &v->n_samples);
    if (ok && v->code.n_batches > 1)
        ok = batches_run(s, &v->code, v->io, v->given, &v->batches);
    session_close(s);
    return ok;
}

static void fill_inputs(const Verify *v)
{
    const Graph *g = v->code.graph;
    for (int i = 0; i < g->n_inputs; i++)
        for (int64_t k = 0; k < shape_count(&g->inputs[i]->shape); k++)
            v->wide[i][k] = v->positive ? fabs((double)v->io[i][k]) : (double)v->io[i][k];
}

static void make_positive(Verify *v, Session *s)
{
    int64_t begin = blob_body_offset(v->sizes.module);
    double *w = (double *)(uintptr_t)(s->blob.data + begin);
    for (int64_t i = 0; i < blob_body_bytes(v->sizes.module) / (int64_t)sizeof *w; i++)
        w[i] = fabs(w[i]);
    v->positive = true;
    fill_inputs(v);
}

static void keep_outputs(const Verify *v)
{
    for (int i = 0; i < v->n_outputs; i++) {
        Layer *l = &v->layer[v->n_steps + i];
        memcpy(l->want, v->wide[v->n_inputs + i], (size_t)l->n * sizeof(double));
    }
}

static bool run_reference(Verify *v)
{
    const n2c_exec exec = {.on_step = exchange, .user = v};
    void *const *io = (void *const *)v->wide;
    cx_phase(v->cx, "making the reference");
    Session *s = session_open(&v->reference, v->weights, v->options);
    if (!s)
        return false;
    fill_inputs(v);
    cx_phase(v->cx, "running the reference layer by layer");
    bool ok = session_run(s, io, 1, &exec);
    cx_phase(v->cx, "running the reference end to end");
    ok = ok && session_run(s, io, 1, NULL);
    keep_outputs(v);
    session_close(s);
    return ok;
}

static bool run_sizes(Verify *v)
{
    const n2c_exec exec = {.on_step = exchange, .user = v};
    Session *s = session_open(&v->sizes, v->weights, v->options);
    if (!s)
        return false;
    make_positive(v, s);
    cx_phase(v->cx, "running the reference on absolute values");
    bool ok = session_run(s, (void *const *)v->wide, 1, &exec);
    session_close(s);
    return ok;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double larger(double a, double b)
{
    return b > a || isnan(b) ? b : a;
}

static void compare(Layer *l)
{
    double error = 0, norm = 0;
    l->absolute = l->backward = 0;
    for (int64_t i = 0; i < l->n; i++) {
        double got = (double)l->got[i], want = l->want[i], away = fabs(got - want);
        if ((isnan(got) && isnan(want)) || got == want)
            away = 0;
        else if (isnan(away))
            away = HUGE_VAL;
        double size = l->size ? larger(l->size[i], fabs(want)) : 0;
        if (!isnan(want) && !isinf(want))
            norm += want * want;
        error += away * away;
        l->absolute = larger(l->absolute, away);
        if (away > 0 && l->size)
            l->backward = larger(l->backward, away / size);
    }
    l->relative = error == 0 ? 0 : norm > 0 ? sqrt(error / norm) : HUGE_VAL;
}

static bool layer_ok(const Layer *l)
{
    return l->relative <= l->allowed && l->backward <= l->allowed;
}

/* ---- results --------------------------------------------------------------------------------- */

static void print_sample(Arena *a, const SampleResult *r)
{
    Str s = str_new(a);
    str_printf(&s, "check %d  %s %s  max abs %s  %s", r->sample, r->tensor,
               shape_text(a, &r->shape), figure_short(a, r->absolute), r->n_wrong ? "FAIL" : "ok");
    if (r->n_wrong) {
        str_printf(&s, ": %s is ", sample_index(a, r));
        str_double(&s, r->got);
        str_add(&s, ", expected ");
        str_double(&s, r->want);
        str_printf(&s, "; %lld of %lld differ", (long long)r->n_wrong,
                   (long long)shape_count(&r->shape));
    }
    puts(s.data);
}

static void print_batches(const Verify *v)
{
    Str s = str_new(v->cx->perm);
    for (int i = 0; i < v->code.n_batches; i++)
        str_printf(&s, "%s%lld", i ? ", " : "batches ", (long long)v->code.sized[i]->batch);
    str_printf(&s, "  %lld items at once  ", (long long)v->batches.n_items);
    if (v->batches.n_different > 0)
        str_printf(&s, "FAIL: %lld elements differ from those of items one by one",
                   (long long)v->batches.n_different);
    else
        str_add(&s, "ok");
    puts(s.data);
}

static void print_text(const Verify *v)
{
    Arena *a = v->cx->perm;
    int width = 6, kernel = 6, bad = 0, n = v->n_steps + v->n_outputs;
    for (int i = 0; i < n; i++) {
        int length = (int)strlen(v->layer[i].name), other = (int)strlen(v->layer[i].kernel);
        width = length > width ? length : width;
        kernel = other > kernel ? other : kernel;
    }
    printf("%-*s  %-*s  %-9s %-9s %-9s %-9s\n", width, "layers", kernel, "kernel", "rel. L2",
           "backward", "allowed", "max abs");
    for (int i = 0; i < n; i++) {
        const Layer *l = &v->layer[i];
        bool ok = layer_ok(l);
        bad += !ok;
        printf("%-*s  %-*s  %-9s %-9s %-9s %-9s %s\n", width, l->name, kernel, l->kernel,
               figure_short(a, l->relative), l->size ? figure_short(a, l->backward) : "-",
               figure_short(a, l->allowed), figure_short(a, l->absolute), ok ? "ok" : "FAIL");
    }
    printf("%d of %d differ by more than is allowed\n", bad, n);
    for (int i = 0; i < v->n_samples; i++)
        print_sample(a, &v->sample[i]);
    if (v->code.n_batches > 1)
        print_batches(v);
}

/* JSON has no infinity: an error that is none of a number is null. */
static const char *json_figure(const Verify *v, double x)
{
    return isfinite(x) ? figure_short(v->cx->perm, x) : "null";
}

static void add_value(Str *s, const char *key, double x)
{
    str_printf(s, ", \"%s\": ", key);
    if (isfinite(x))
        str_double(s, x);
    else
        str_add(s, "null");
}

static void add_sample(Str *s, const SampleResult *r, bool first)
{
    str_printf(s, "%s\n  {\"check\": %d, \"output\": ", first ? "" : ",", r->sample);
    json_quote(s, r->tensor);
    add_value(s, "max_abs", r->absolute);
    str_printf(s, ", \"wrong\": %lld, \"ok\": %s", (long long)r->n_wrong,
               r->n_wrong ? "false" : "true");
    if (r->n_wrong) {
        str_printf(s, ", \"index\": %s", sample_index(s->arena, r));
        add_value(s, "got", r->got);
        add_value(s, "expected", r->want);
    }
    str_char(s, '}');
}

static void print_json(const Verify *v)
{
    Str s = str_new(v->cx->perm);
    str_add(&s, "{\"layers\": [");
    for (int i = 0; i < v->n_steps + v->n_outputs; i++) {
        const Layer *l = &v->layer[i];
        str_add(&s, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
        json_quote(&s, l->name);
        str_add(&s, ", \"kernel\": ");
        json_quote(&s, l->kernel);
        str_printf(&s, ", \"relative_l2\": %s, \"backward\": %s, \"max_abs\": %s",
                   json_figure(v, l->relative),
                   l->size ? json_figure(v, l->backward) : "null", json_figure(v, l->absolute));
        str_printf(&s, ", \"allowed\": %s, \"ok\": %s}", json_figure(v, l->allowed),
                   layer_ok(l) ? "true" : "false");
    }
    str_add(&s, "\n], \"samples\": [");
    for (int i = 0; i < v->n_samples; i++)
        add_sample(&s, &v->sample[i], i == 0);
    str_add(&s, "\n]");
    if (v->code.n_batches > 1)
        str_printf(&s, ", \"batches\": {\"items\": %lld, \"different\": %lld}",
                   (long long)v->batches.n_items, (long long)v->batches.n_different);
    str_add(&s, "}\n");
    fputs(s.data, stdout);
}

/* ---- the verb -------------------------------------------------------------------------------- */

/* "net.yaml:21 conv3+relu3" -> "conv3+relu3" */
static const char *layers_of(const Kernel *k)
{
    const char *space = k->origin ? strchr(k->origin, ' ') : NULL;
    return space ? space + 1 : k->name;
}

static void make_layer(Verify *v, Layer *l, int64_t n, bool sized)
{
    l->n = n;
    l->want = NEW_ARRAY(v->cx->perm, double, n);
    l->size = sized ? NEW_ARRAY(v->cx->perm, double, n) : NULL;
}

/* Is the name among those of "conv3+relu3"? */
static bool has_layer(const char *layers, const char *name)
{
    size_t n = strlen(name);
    while (strncmp(layers, name, n) != 0 || (layers[n] && layers[n] != '+')) {
        layers = strchr(layers, '+');
        if (!layers)
            return false;
        layers++;
    }
    return true;
}

/* A layer whose sums have the order of their definition errs less than one that computes them in
 * another way. Winograd's convolutions err with the size of their transforms. */
static double usual_error(const Verify *v, const Kernel *k)
{
    const Graph *g = v->code.graph;
    double error = kernel_sums_as_defined(k) ? 1e-6 : 5e-6;
    for (int i = 0; i < k->n_buffers; i++)
        error = larger(error, k->buffer[i]->type == TYPE_BF16 ? 4e-3 : 0);
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        WinogradForm f;
        if (n->op->nest_by == conv_nest_by && n->algo && winograd_form(n, n->algo, &f) &&
            has_layer(layers_of(k), n->out->name))
            error = larger(error, winograd_growth(&f) * (double)FLT_EPSILON / 2);
    }
    return error;
}

static void make_layers(Verify *v)
{
    double worst = 0;
    const Module *m = v->module;
    const Graph *g = v->code.graph;
    v->layer = NEW_ARRAY(v->cx->perm, Layer, m->n_steps + g->n_outputs);
    v->n_steps = m->n_steps;
    for (int i = 0; i < m->n_steps; i++) {
        const Value *out = output_value(m, (unsigned)i);
        make_layer(v, &v->layer[i], out ? buffer_logical_elements(&out->shape) : 0, true);
        v->layer[i].got = NEW_ARRAY(v->cx->perm, float, v->layer[i].n);
        v->layer[i].kernel = m->step[i].kernel->name;
        v->layer[i].name = layers_of(m->step[i].kernel);
        v->layer[i].allowed = option_number(v->options, OPT_TOLERANCE,
                                            usual_error(v, m->step[i].kernel));
        worst = larger(worst, v->layer[i].allowed);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        Layer *l = &v->layer[m->n_steps + i];
        make_layer(v, l, shape_count(&g->outputs[i]->shape), false);
        l->got = v->io[g->n_inputs + i];
        l->name = g->outputs[i]->name;
        l->kernel = "(output)";
        l->allowed = worst;
    }
    v->wide = NEW_ARRAY(v->cx->perm, double *, g->n_inputs + g->n_outputs);
    for (int i = 0; i < g->n_inputs + g->n_outputs; i++) {
        const Tensor *t = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        v->wide[i] = NEW_ARRAY(v->cx->perm, double, shape_count(&t->shape));
    }
}

/* Both modules must have the same steps, or comparing them means nothing. */
static bool same_steps(const Verify *v)
{
    const Module *m = v->module, *r = v->reference.module;
    bool same = m->n_steps == r->n_steps;
    for (int i = 0; same && i < m->n_steps; i++) {
        const Value *a = output_value(m, (unsigned)i), *b = output_value(r, (unsigned)i);
        same = a && b && buffer_logical_elements(&a->shape) == buffer_elements(&b->shape);
    }
    if (!same)
        diag_error(v->cx->diags, NO_PLACE, "E0965",
                   "internal error: the reference has other steps than the generated code");
    return same;
}

static bool verify(Verify *v)
{
    v->module = pipeline_sized(&v->code, 1);
    v->given = v->code.sized[0]->batch;
    v->io = (float **)tensors_make(v->cx, v->options, v->code.graph, &v->given);
    if (!v->io)
        return false;
    make_layers(v);
    return run_code(v) && pipeline_reference(&v->code, &v->reference, REFERENCE_EXACT) &&
           same_steps(v) && run_reference(v) &&
           pipeline_reference(&v->code, &v->sizes, REFERENCE_SIZES) && run_sizes(v);
}

int cmd_verify(Cx *cx, const Options *o)
{
    Verify v = {.cx = cx, .options = o};
    if (!pipeline_compile(&v.code, cx, o, &v.weights))
        return status_of_errors(cx->diags);
    v.n_inputs = v.code.graph->n_inputs;
    v.n_outputs = v.code.graph->n_outputs;
    bool ok = verify(&v);
    weights_close(v.weights);
    if (!ok)
        return status_of_errors(cx->diags);
    for (int i = 0; i < v.n_steps + v.n_outputs; i++) {
        compare(&v.layer[i]);
        ok = ok && layer_ok(&v.layer[i]);
    }
    for (int i = 0; i < v.n_samples; i++)
        ok = ok && v.sample[i].n_wrong == 0;
    ok = ok && v.batches.n_different == 0;
    if (o->n[OPT_JSON])
        print_json(&v);
    else
        print_text(&v);
    return ok ? STATUS_OK : STATUS_MISMATCH;
}
