/* tensors: the network's inputs and outputs as memory, by the names in the model.
 *
 *     -i image=x.npy -i photo.jpg -o logits=y.npy
 *
 * contract: an input is a float32 array of the model's shape with any number of items first, the
 * same for all inputs; or a picture, which is one item. Each input is given once. A name may be
 * left out where there is only one tensor it can mean.
 */
#include "driver/driver.h"

#include <string.h>

static bool is_word(const char *text, size_t n)
{
    return n > 0 && name_is_legal(text) && strlen(text) == n;
}

int binding_find(Cx *cx, const char *text, Tensor *const *tensor, int n, const char *what,
                 const char **path)
{
    size_t length = strcspn(text, "=");
    const char *name = arena_strndup(cx->perm, text, length);
    bool named = text[length] && is_word(name, length);
    const char **names = NEW_ARRAY(cx->perm, const char *, n);
    *path = named ? text + length + 1 : text;
    for (int i = 0; i < n; i++) {
        names[i] = tensor[i]->name;
        if (named ? str_eq(name, names[i]) : n == 1)
            return i;
    }
    if (named) {
        const char *near = str_nearest(cx->perm, name, names, n);
        diag_error(cx->diags, NO_PLACE, "E0124", "the network has no %s '%s'", what, name);
        diag_help(cx->diags, "did you mean '%s'?", near ? near : names[0]);
    } else {
        diag_error(cx->diags, NO_PLACE, "E0124", "the network has %d %ss: which one is '%s'?", n,
                   what, text);
        diag_help(cx->diags, "write %s=%s", names[0], text);
    }
    return -1;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && str_eq(path + n - m, end);
}

static bool wrong_shape(Cx *cx, const Tensor *t, const char *path, const Shape *found)
{
    diag_error(cx->diags, NO_PLACE, "E0123", "'%s' has shape %s, but '%s' has %s", path,
               shape_text(cx->perm, found), t->name, shape_text(cx->perm, &t->shape));
    return diag_help(cx->diags, "N is the number of items, at least 1");
}

const float *tensor_read(Cx *cx, const Tensor *t, const char *path, int64_t *batch)
{
    Npy npy;
    if (!npy_read(cx, path, &npy))
        return NULL;
    Shape want = t->shape;
    int64_t items = npy.shape.rank > 0 ? npy.shape.dim[0] : 0;
    want.dim[0] = items;
    if (items < 1 || !shape_equal(&want, &npy.shape)) {
        wrong_shape(cx, t, path, &npy.shape);
        return NULL;
    }
    *batch = items;
    return npy.data;
}

/* What the model says about pictures for t; without it, bytes become 0 to 1. */
static Preprocess preprocess_of(const Graph *g, const Tensor *t)
{
    for (int i = 0; i < g->n_preprocess; i++)
        if (str_eq(g->preprocess[i].input, t->name))
            return g->preprocess[i];
    return (Preprocess){.channels = (int)t->shape.dim[1], .std = {1, 1, 1}};
}

static const float *read_picture(Cx *cx, const Options *o, const Graph *g, const Tensor *t,
                                 const char *path, int64_t *batch)
{
    if (t->shape.rank != 4 || (t->shape.dim[1] != 1 && t->shape.dim[1] != 3)) {
        diag_error(cx->diags, NO_PLACE, "E0123", "input '%s' is not a picture: its shape is %s, "
                   "expected [N, 1 or 3, height, width]", t->name,
                   shape_text(cx->perm, &t->shape));
        diag_help(cx->diags, "give it an array: %s=FILE.npy", t->name);
        return NULL;
    }
    Preprocess p = preprocess_of(g, t);
    *batch = 1;
    return image_options(cx, o, &p) ? image_read(cx, path, &t->shape, &p) : NULL;
}

static const float *read_input(Cx *cx, const Options *o, const Graph *g, const Tensor *t,
                               const char *path, int64_t *batch)
{
    if (ends_with(path, ".npy"))
        return tensor_read(cx, t, path, batch);
    if (ends_with(path, ".jpg") || ends_with(path, ".jpeg") || ends_with(path, ".png"))
        return read_picture(cx, o, g, t, path, batch);
    diag_error(cx->diags, NO_PLACE, "E0125", "cannot tell what '%s' is", path);
    diag_help(cx->diags, "inputs are .npy, .jpg or .png files");
    return NULL;
}

uint64_t tensor_seed(const Options *o, const Tensor *t)
{
    return hash_bytes((uint64_t)option_count(o, OPT_SEED, 1), t->name, strlen(t->name));
}

/* Uniform in -1..1 from splitmix64, the same on every host and in a generated test. */
static float *random_input(Cx *cx, const Tensor *t, int64_t batch, uint64_t state)
{
    int64_t n = shape_count(&t->shape) * batch;
    float *out = NEW_ARRAY(cx->perm, float, n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        out[i] = (float)((int32_t)(z >> 40) - (1 << 23)) / (float)(1 << 23);
    }
    return out;
}

/* The files of --input, each at its input; io[i] NULL: none given. */
static bool read_given(Cx *cx, const Options *o, const Graph *g, void **io, int64_t *batch)
{
    bool ok = true;
    *batch = 0;
    for (int k = 0; k < o->n[OPT_INPUT]; k++) {
        const char *path;
        int64_t items = 0;
        int i = binding_find(cx, o->value[OPT_INPUT][k], g->inputs, g->n_inputs, "input", &path);
        const float *data = i < 0 ? NULL : read_input(cx, o, g, g->inputs[i], path, &items);
        ok = ok && data;
        if (!data)
            continue;
        if (io[i] || (*batch && *batch != items)) {
            diag_error(cx->diags, NO_PLACE, "E0124", io[i] ? "input '%s' is given twice"
                       : "input '%s' has another number of items than the input before it",
                       g->inputs[i]->name);
            ok = false;
        }
        io[i] = (void *)(uintptr_t)data;
        *batch = items;
    }
    return ok;
}

void **tensors_make(Cx *cx, const Options *o, const Graph *g, int64_t *batch)
{
    void **io = NEW_ARRAY(cx->perm, void *, g->n_inputs + g->n_outputs);
    bool random = !o->n[OPT_INPUT], ok = random || read_given(cx, o, g, io, batch);
    for (int i = 0; ok && i < g->n_inputs; i++) {
        if (random) {
            io[i] = random_input(cx, g->inputs[i], *batch, tensor_seed(o, g->inputs[i]));
        } else if (!io[i]) {
            diag_error(cx->diags, NO_PLACE, "E0124", "input '%s' is missing", g->inputs[i]->name);
            diag_help(cx->diags, "add -i %s=FILE", g->inputs[i]->name);
            ok = false;
        }
    }
    for (int i = 0; ok && i < g->n_outputs; i++)
        io[g->n_inputs + i] = NEW_ARRAY(cx->perm, float,
                                        shape_count(&g->outputs[i]->shape) * *batch);
    return ok ? io : NULL;
}
