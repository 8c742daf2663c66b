/* samples: the `check:` of a model: inputs in files, and the outputs that generated code must give.
 *
 *     check 1  logits [10, 10]  max abs 1.91e-06  ok
 *     check 2  logits [1, 10]  max abs 2.10e-01  FAIL: [0, 3] is 0.5, expected 0.71; 2 of 10 differ
 *
 * contract: the files lie below the model's folder (front/model_samples.c) and are regular ones.
 * An element is right if |got - want| <= atol + rtol * |want|, or if both are NaN or the same
 * infinity.
 */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

/* As the model names it, from the model's folder. */
static const char *path_beside(Cx *cx, const Graph *g, const char *path)
{
    const char *slash = strrchr(g->file, '/');
    return arena_printf(cx->perm, "%.*s/%s", slash ? (int)(slash - g->file) : 1,
                        slash ? g->file : ".", path);
}

static int find_tensor(Tensor *const *tensor, int n, const char *name)
{
    int i = 0;
    while (i < n && !str_eq(tensor[i]->name, name))
        i++;
    return i;
}

/* What the file holds for the named tensor, all files with the same number of items. */
static const float *read_file(Cx *cx, const Graph *g, const Sample *sample, const SampleFile *file,
                              const Tensor *t, int64_t *batch)
{
    int64_t items;
    const float *data = tensor_read(cx, t, path_beside(cx, g, file->path), &items);
    if (data && *batch && items != *batch) {
        diag_error(cx->diags, NO_PLACE, "E0124", "'%s' has %lld items, the file before it %lld",
                   file->path, (long long)items, (long long)*batch);
        data = NULL;
    }
    if (!data)
        diag_note(cx->diags, sample->place, "used by this sample");
    *batch = items;
    return data;
}

static bool is_right(const Sample *s, double got, double want)
{
    if (isnan(want) || isinf(want))
        return got == want || (isnan(got) && isnan(want));
    return fabs(got - want) <= s->atol + s->rtol * fabs(want);
}

static void compare(const Sample *s, const float *got, const float *want, SampleResult *r)
{
    for (int64_t i = 0; i < shape_count(&r->shape); i++) {
        double a = (double)got[i], b = (double)want[i], away = fabs(a - b);
        if (!is_right(s, a, b) && r->n_wrong++ == 0) {
            r->first = i;
            r->got = a;
            r->want = b;
        }
        r->absolute = away > r->absolute ? away : r->absolute;
    }
}

/* The sample's inputs into io; what its outputs must be into want. */
static bool read_files(Cx *cx, const Graph *g, const Sample *sample, void **io,
                       const float **want, int64_t *batch)
{
    bool ok = true;
    *batch = 0;
    for (int i = 0; i < sample->n_in; i++) {
        int at = find_tensor(g->inputs, g->n_inputs, sample->in[i].tensor);
        const float *data = read_file(cx, g, sample, &sample->in[i], g->inputs[at], batch);
        io[at] = (void *)(uintptr_t)data;
        ok = ok && data;
    }
    for (int i = 0; i < sample->n_out; i++) {
        const Tensor *t = g->outputs[find_tensor(g->outputs, g->n_outputs, sample->out[i].tensor)];
        want[i] = read_file(cx, g, sample, &sample->out[i], t, batch);
        ok = ok && want[i];
    }
    return ok;
}

static bool run_sample(Session *s, const Graph *g, const Sample *sample, SampleResult *out)
{
    Arena *a = s->cx->perm;
    void **io = NEW_ARRAY(a, void *, g->n_inputs + g->n_outputs);
    const float **want = NEW_ARRAY(a, const float *, sample->n_out);
    int64_t batch;
    if (!read_files(s->cx, g, sample, io, want, &batch))
        return false;
    for (int i = 0; i < g->n_outputs; i++)
        io[g->n_inputs + i] = NEW_ARRAY(a, float, shape_count(&g->outputs[i]->shape) * batch);
    if (!session_run(s, io, (size_t)batch, NULL))
        return false;
    for (int i = 0; i < sample->n_out; i++) {
        int at = find_tensor(g->outputs, g->n_outputs, sample->out[i].tensor);
        out[i] = (SampleResult){.tensor = g->outputs[at]->name, .shape = g->outputs[at]->shape};
        out[i].shape.dim[0] = batch;
        compare(sample, io[g->n_inputs + at], want[i], &out[i]);
    }
    return true;
}

bool samples_run(Session *s, const Graph *g, SampleResult **out, int *n)
{
    int total = 0, at = 0;
    for (int i = 0; i < g->n_samples; i++)
        total += g->samples[i].n_out;
    SampleResult *r = *out = NEW_ARRAY(s->cx->perm, SampleResult, total);
    *n = total;
    for (int i = 0; i < g->n_samples; i++) {
        cx_phase(s->cx, "running sample %d", i + 1);
        if (!run_sample(s, g, &g->samples[i], r + at))
            return false;
        for (int k = 0; k < g->samples[i].n_out; k++)
            r[at++].sample = i + 1;
    }
    return true;
}

const char *sample_index(Arena *a, const SampleResult *r)
{
    int64_t rest = r->first, dim[MAX_RANK];
    Str s = str_new(a);
    for (int i = r->shape.rank; i-- > 0; rest /= r->shape.dim[i])
        dim[i] = rest % r->shape.dim[i];
    for (int i = 0; i < r->shape.rank; i++)
        str_printf(&s, "%s%lld", i ? ", " : "[", (long long)dim[i]);
    str_char(&s, ']');
    return s.data;
}
