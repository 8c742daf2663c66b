/* What a model says about its use: `check`, files with inputs and outputs that verify compares, and
 * `preprocess`, how a picture becomes an input.
 *
 *     check: [{inputs: {image: x.npy}, outputs: {logits: y.npy}, rtol: 1e-4}]
 *     preprocess: {image: {resize: 256, crop: 224, mean: [0.485, 0.456, 0.406]}}
 *
 * Contract: names are the graph's inputs and outputs, files lie below the model's folder; whether
 * the files are there is the business of who reads them.
 */
#include "front/front.h"

#include <string.h>

#define SAMPLE "{inputs: {image: x.npy}, outputs: {logits: y.npy}}"
#define PICTURE "preprocess: {image: {resize: 256, crop: 224}}"

static Tensor *find_named(Model *m, const Yaml *key, Tensor *const *tensor, int n, bool input)
{
    const char **names = NEW_ARRAY(m->cx->temp, const char *, n);
    for (int i = 0; i < n; i++) {
        names[i] = tensor[i]->name;
        if (str_eq(names[i], key->text))
            return tensor[i];
    }
    if (m->gaps || expand_stopped(m))
        return NULL;
    diag_error(m->cx->diags, key->place, "E0439", "the network has no %s '%.60s'",
               input ? "input" : "output", key->text);
    suggest(m->cx, key->text, names, n);
    return NULL;
}

/* The number at y, the fallback where there is none. */
static double read_number(Model *m, const Yaml *y, const char *what, bool whole, double least,
                          double fallback)
{
    double v = fallback;
    int64_t i = 0;
    if (!y || y->broken ||
        (y->kind == YAML_SCALAR && parse_double(y->text, &v) && v >= least && v <= MAX_DIM &&
         (!whole || parse_i64(y->text, &i))))
        return v;
    Str s = str_new(m->cx->perm);
    str_double(&s, least);
    diag_error(m->cx->diags, y->place, "E0440", "'%s' must be a %snumber from %s on, found %s",
               what, whole ? "whole " : "", s.data, read_found(m->cx->perm, y));
    return fallback;
}

/* No part of the path leads up or to the root. */
static bool path_is_below(const char *path)
{
    bool below = *path != '/';
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        below &= strncmp(part, "..", 2) != 0 || (part[2] && part[2] != '/');
    }
    return below;
}

static SampleFile *read_files(Model *m, const Yaml *sample, bool input, int *n)
{
    const Graph *g = m->graph;
    const char *key = input ? "inputs" : "outputs";
    const Yaml *y = yaml_get(sample, key);
    if (!y && !read_misspelt(m->cx, sample, key)) {
        diag_error(m->cx->diags, sample->place, "E0402", "a sample has no '%s'", key);
        diag_help(m->cx->diags, "write it like this: " SAMPLE);
    }
    if (!y || !read_map(m->cx, y, key, SAMPLE))
        return NULL;
    SampleFile *file = NEW_ARRAY(m->cx->perm, SampleFile, y->n);
    for (int i = 0; i < y->n && !expand_stopped(m); i++) {
        find_named(m, y->key[i], input ? g->inputs : g->outputs,
                   input ? g->n_inputs : g->n_outputs, input);
        file[i] = (SampleFile){y->key[i]->text, read_word(m->cx, y->item[i], "a file")};
        if (file[i].path && !path_is_below(file[i].path))
            diag_error(m->cx->diags, y->item[i]->place, "E0439",
                       "'%.60s' is not below the model's folder: copy it there", file[i].path);
    }
    *n = y->n;
    return file;
}

static void read_sample(Model *m, const Yaml *y, Sample *s)
{
    static const char *const known[] = {"inputs", "outputs", "rtol", "atol"};
    if (!read_map(m->cx, y, "a sample", SAMPLE) || !read_keys(m->cx, y, "a sample", known, 4))
        return;
    s->place = y->place;
    s->in = read_files(m, y, true, &s->n_in);
    s->out = read_files(m, y, false, &s->n_out);
    s->rtol = read_number(m, yaml_get(y, "rtol"), "rtol", false, 0, 1e-4);
    s->atol = read_number(m, yaml_get(y, "atol"), "atol", false, 0, 1e-5);
    if (s->in && s->n_in < m->graph->n_inputs)
        diag_error(m->cx->diags, y->place, "E0439", "a sample must give all %d inputs, found %d",
                   m->graph->n_inputs, s->n_in);
}

static void read_channels(Model *m, const Yaml *y, const char *what, int n, double least,
                          double fallback, double *out)
{
    bool list = y && y->kind == YAML_LIST && y->n == n;
    if (y && !list && !y->broken)
        diag_error(m->cx->diags, y->place, "E0440", "'%s' must be a list of %d, one a channel, "
                   "found %s", what, n, read_found(m->cx->perm, y));
    for (int i = 0; i < n; i++)
        out[i] = read_number(m, list ? y->item[i] : NULL, what, false, least, fallback);
}

static void read_preprocess(Model *m, const Yaml *key, const Yaml *y, Preprocess *p)
{
    static const char *const known[] = {"resize", "crop", "mean", "std", "order"};
    Cx *cx = m->cx;
    const Tensor *t = find_named(m, key, m->graph->inputs, m->graph->n_inputs, true);
    if (!read_map(cx, y, "'preprocess'", PICTURE) ||
        !read_keys(cx, y, "'preprocess'", known, 5) || !t || t->shape.rank == 0)
        return;
    const Shape *s = &t->shape;
    if (s->rank != 4 || (s->dim[1] != 1 && s->dim[1] != 3)) {
        diag_error(cx->diags, key->place, "E0440", "input '%s' is no picture: %s, expected [N, 1 "
                   "or 3, height, width]", t->name, shape_text(cx->perm, s));
        return;
    }
    const Yaml *crop = yaml_get(y, "crop"), *order = yaml_get(y, "order");
    *p = (Preprocess){
        .input = t->name, .channels = (int)s->dim[1],
        .resize = (int64_t)read_number(m, yaml_get(y, "resize"), "resize", true, 1, 0),
        .crop = (int64_t)read_number(m, crop, "crop", true, 1, 0)};
    read_channels(m, yaml_get(y, "mean"), "mean", p->channels, -MAX_DIM, 0, p->mean);
    read_channels(m, yaml_get(y, "std"), "std", p->channels, 1e-9, 1, p->std);
    p->bgr = order && str_eq(order->text, "bgr");
    if (order && !order->broken && !p->bgr && !str_eq(order->text, "rgb"))
        diag_error(cx->diags, order->place, "E0440", "'order' must be rgb or bgr, found %s",
                   read_found(cx->perm, order));
    if (p->crop && (p->crop != s->dim[2] || p->crop != s->dim[3]))
        diag_error(cx->diags, crop->place, "E0440", "'crop' gives a square of %lld, the input is "
                   "%s", (long long)p->crop, shape_text(cx->perm, s));
}

void model_samples(Model *m, Yaml *check, Yaml *preprocess)
{
    Graph *g = m->graph;
    if (check && read_list(m->cx, check = expand_value(m, check), "'check'", "[" SAMPLE "]")) {
        g->samples = NEW_ARRAY(m->cx->perm, Sample, check->n);
        g->n_samples = check->n;
    }
    for (int i = 0; i < g->n_samples && !expand_stopped(m); i++)
        read_sample(m, check->item[i], &g->samples[i]);
    if (preprocess &&
        read_map(m->cx, preprocess = expand_value(m, preprocess), "'preprocess'", PICTURE)) {
        g->preprocess = NEW_ARRAY(m->cx->perm, Preprocess, preprocess->n);
        g->n_preprocess = preprocess->n;
    }
    for (int i = 0; i < g->n_preprocess && !expand_stopped(m); i++)
        read_preprocess(m, preprocess->key[i], preprocess->item[i], &g->preprocess[i]);
}
