/* grid_net: from grid cases to a model, its weights, inputs and expected outputs.
 * example: case 12 (conv, relu) becomes the layers c12_0 and c12_1 on the input x12.
 * Contract: see grid_net.h; names and data depend on the case's number alone. */
#include "grid_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS, OUTPUTS, NETWORK };

static void *keep(Net *net, size_t bytes)
{
    void **more = realloc(net->kept, (net->n_kept + 1) * sizeof *more);
    void *p = calloc(1, bytes + 1);
    if (!more || !p) {
        perror("grid");
        exit(1);
    }
    net->kept = more;
    net->kept[net->n_kept++] = p;
    return p;
}

Net *net_new(const char *folder, int index, int batch)
{
    Net *net = calloc(1, sizeof *net);
    if (!net)
        exit(1);
    net->folder = folder;
    net->batch = batch;
    snprintf(net->model_path, sizeof net->model_path, "%s/grid%d.yaml", folder, index);
    snprintf(net->weights_path, sizeof net->weights_path, "%s/grid%d.safetensors", folder, index);
    for (int i = 0; i < 3; i++)
        net->stream[i] = open_memstream(&net->text[i], &net->text_size[i]);
    net->file = keep(net, 1024 * sizeof *net->file);
    net->weight = keep(net, 4096 * sizeof *net->weight);
    return net;
}

void net_delete(Net *net)
{
    for (int i = 0; i < 3; i++) {
        if (net->stream[i])
            fclose(net->stream[i]);
        free(net->text[i]);
    }
    for (size_t i = 0; i < net->n_kept; i++)
        free(net->kept[i]);
    free(net->kept);
    free(net);
}

/* A uniform integer in -most..most, from splitmix64. */
static int random_int(Net *net, int most)
{
    uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((z >> 33) % (uint64_t)(2 * most + 1)) - most;
}

static Values new_values(Net *net, int rank, const int *dim)
{
    Values v = {.rank = rank, .n = tensor_count(rank, dim)};
    memcpy(v.dim, dim, (size_t)rank * sizeof *dim);
    v.value = keep(net, v.n * sizeof *v.value);
    v.bound = keep(net, v.n * sizeof *v.bound);
    return v;
}

static Values random_values(Net *net, int rank, const int *dim, int most)
{
    Values v = new_values(net, rank, dim);
    for (size_t i = 0; i < v.n; i++) {
        v.value[i] = random_int(net, most);
        v.bound[i] = fabs(v.value[i]);
    }
    return v;
}

static const float *floats_of(Net *net, const Values *v)
{
    float *data = keep(net, v->n * sizeof *data);
    for (size_t i = 0; i < v->n; i++)
        data[i] = (float)v->value[i];
    return data;
}

static NetFile *add_file(Net *net, const char *name, bool is_output)
{
    NetFile *f = &net->file[net->n_files++];
    snprintf(f->argument, sizeof f->argument, "%s=%s/%s.npy", name, net->folder, name);
    f->path = strchr(f->argument, '=') + 1;
    f->is_output = is_output;
    return f;
}

static void print_dims(FILE *f, const Values *v)
{
    fprintf(f, "[N");
    for (int i = 1; i < v->rank; i++)
        fprintf(f, ", %d", v->dim[i]);
    fprintf(f, "]");
}

static Values add_input(Net *net, const char *name, int rank, const int *dim, int most)
{
    Values v = random_values(net, rank, dim, most);
    fprintf(net->stream[INPUTS], "  %s: {shape: ", name);
    print_dims(net->stream[INPUTS], &v);
    fprintf(net->stream[INPUTS], "}\n");
    npy_write(add_file(net, name, false)->path, rank, dim, floats_of(net, &v));
    return v;
}

static void add_tensor(Net *net, const char *layer, const char *role, const Values *v)
{
    char *key = keep(net, strlen(layer) + strlen(role) + 2);
    strcat(strcat(strcpy(key, layer), "."), role);
    TensorFile *t = &net->weight[net->n_weights++];
    *t = (TensorFile){.key = key, .rank = v->rank, .data = floats_of(net, v)};
    memcpy(t->dim, v->dim, (size_t)v->rank * sizeof *v->dim);
}

/* A weight tensor of integers, at most `most` in magnitude. */
static Values add_weight(Net *net, const char *layer, const char *role, int rank, const int *dim,
                         int most)
{
    Values v = random_values(net, rank, dim, most);
    add_tensor(net, layer, role, &v);
    return v;
}

/* What a layer sees of its case. */
typedef struct LayerCx {
    Net *net;
    const GridLayer *layer;
    const char *from, *name, *input;
    int number, most;
    Values in, case_input;
} LayerCx;

static RefWindow bind_window(const LayerCx *cx)
{
    RefWindow w = cx->layer->window;
    w.n = cx->in.dim[0];
    w.ih = cx->in.rank == 4 ? cx->in.dim[2] : 1;
    w.iw = cx->in.dim[cx->in.rank - 1];
    return w;
}

static void print_window(FILE *f, const LayerCx *cx)
{
    const RefWindow *w = &cx->layer->window;
    if (cx->in.rank == 4)
        fprintf(f, ", kernel: [%d, %d], stride: [%d, %d], pad: [%d, %d, %d, %d]", w->kh, w->kw,
                w->sh, w->sw, w->top, w->left, w->bottom, w->right);
    else
        fprintf(f, ", kernel: %d, stride: %d, pad: [%d, %d]", w->kw, w->sw, w->left, w->right);
    if (cx->in.rank == 4 && cx->layer->kind != GRID_AVGPOOL)
        fprintf(f, ", dilation: [%d, %d]", w->dh, w->dw);
    else if (cx->layer->kind != GRID_AVGPOOL)
        fprintf(f, ", dilation: %d", w->dw);
    if (w->ceil)
        fprintf(f, ", ceil_mode: true");
}

static Values window_output(const LayerCx *cx, const RefWindow *w, int channels)
{
    int dim[4] = {cx->in.dim[0], channels, ref_out_h(w), ref_out_w(w)};
    if (cx->in.rank == 3)
        dim[2] = dim[3];
    return new_values(cx->net, cx->in.rank, dim);
}

static Values add_conv(const LayerCx *cx)
{
    const GridLayer *l = cx->layer;
    FILE *f = cx->net->stream[NETWORK];
    RefWindow w = bind_window(cx);
    int dim[4] = {l->out, cx->in.dim[1] / l->groups, w.kh, w.kw};
    if (cx->in.rank == 3)
        dim[2] = dim[3];
    fprintf(f, "  - conv: {from: %s, out: %d", cx->from, l->out);
    print_window(f, cx);
    fprintf(f, ", groups: %d, bias: %s, path: %s, name: %s}\n", l->groups,
            l->bias ? "true" : "false", cx->name, cx->name);
    Values weight = add_weight(cx->net, cx->name, "weight", cx->in.rank, dim, cx->most);
    Values bias = {0}, y = window_output(cx, &w, l->out);
    if (l->bias)
        bias = add_weight(cx->net, cx->name, "bias", 1, &l->out, cx->most);
    ref_conv(&w, cx->in.dim[1], l->out, l->groups, cx->in.value, weight.value, bias.value, y.value);
    ref_conv(&w, cx->in.dim[1], l->out, l->groups, cx->in.bound, weight.bound, bias.bound, y.bound);
    return y;
}

static Values add_maxpool(const LayerCx *cx)
{
    FILE *f = cx->net->stream[NETWORK];
    RefWindow w = bind_window(cx);
    fprintf(f, "  - maxpool: {from: %s", cx->from);
    print_window(f, cx);
    fprintf(f, ", name: %s}\n", cx->name);
    Values y = window_output(cx, &w, cx->in.dim[1]);
    ref_maxpool(&w, cx->in.dim[1], cx->in.value, y.value);
    ref_maxpool(&w, cx->in.dim[1], cx->in.bound, y.bound);
    return y;
}

/* What the errors of an inexact layer are measured by, where nothing cancels. */
static Values bound_by_value(Values y)
{
    for (size_t i = 0; i < y.n; i++)
        y.bound[i] = fabs(y.value[i]);
    return y;
}

static Values add_avgpool(const LayerCx *cx)
{
    FILE *f = cx->net->stream[NETWORK];
    RefWindow w = bind_window(cx);
    if (cx->layer->kind == GRID_GLOBAL_AVGPOOL) {
        fprintf(f, "  - global_avgpool: {from: %s, name: %s}\n", cx->from, cx->name);
        w.kh = w.ih;
        w.kw = w.iw;
    } else {
        fprintf(f, "  - avgpool: {from: %s", cx->from);
        print_window(f, cx);
        fprintf(f, ", count_include_pad: %s, name: %s}\n",
                cx->layer->count_pad ? "true" : "false", cx->name);
    }
    Values y = window_output(cx, &w, cx->in.dim[1]);
    ref_avgpool(&w, cx->in.dim[1], cx->layer->count_pad, cx->in.value, y.value);
    return bound_by_value(y);
}

static Values add_linear(const LayerCx *cx)
{
    const GridLayer *l = cx->layer;
    int in = cx->in.dim[cx->in.rank - 1], rows = (int)cx->in.n / in, dim[6];
    memcpy(dim, cx->in.dim, sizeof dim);
    dim[cx->in.rank - 1] = l->out;
    fprintf(cx->net->stream[NETWORK], "  - linear: {from: %s, out: %d, bias: %s, path: %s, "
            "name: %s}\n", cx->from, l->out, l->bias ? "true" : "false", cx->name, cx->name);
    Values weight = add_weight(cx->net, cx->name, "weight", 2, (int[]){l->out, in}, cx->most);
    Values bias = {0}, y = new_values(cx->net, cx->in.rank, dim);
    if (l->bias)
        bias = add_weight(cx->net, cx->name, "bias", 1, &l->out, cx->most);
    ref_linear(rows, in, l->out, cx->in.value, weight.value, bias.value, y.value);
    ref_linear(rows, in, l->out, cx->in.bound, weight.bound, bias.bound, y.bound);
    return y;
}

/* add, sub, mul */
static Values add_arithmetic(const LayerCx *cx)
{
    static const struct {
        const char *op;
        void (*value)(int count, const double *a, const double *b, double *y);
        void (*bound)(int count, const double *a, const double *b, double *y);
    } table[] = {{"add", ref_add, ref_add}, {"sub", ref_sub, ref_add}, {"mul", ref_mul, ref_mul}};
    int at = (int)cx->layer->kind - GRID_ADD;
    char other[32];
    snprintf(other, sizeof other, "z%d", cx->number);
    bool again = cx->layer->case_input;
    Values b = again ? cx->case_input : add_input(cx->net, other, cx->in.rank, cx->in.dim, 8);
    fprintf(cx->net->stream[NETWORK], "  - %s: {from: [%s, %s], name: %s}\n", table[at].op,
            cx->from, again ? cx->input : other, cx->name);
    Values y = new_values(cx->net, cx->in.rank, cx->in.dim);
    table[at].value((int)y.n, cx->in.value, b.value, y.value);
    table[at].bound((int)y.n, cx->in.bound, b.bound, y.bound);
    return y;
}

/* With a new input, behind the layer before it or in front. */
static Values add_concat(const LayerCx *cx)
{
    int axis = cx->layer->size, dim[6], outer = 1, inner = 1;
    char other[32];
    snprintf(other, sizeof other, "z%d", cx->number);
    memcpy(dim, cx->in.dim, sizeof dim);
    dim[axis] = cx->layer->out;
    Values a = cx->in, b = add_input(cx->net, other, cx->in.rank, dim, 8);
    bool swap = cx->layer->swap;
    fprintf(cx->net->stream[NETWORK], "  - concat: {from: [%s, %s], axis: %d, name: %s}\n",
            swap ? other : cx->from, swap ? cx->from : other, axis, cx->name);
    for (int d = 0; d < a.rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : dim[d];
    dim[axis] = a.dim[axis] + b.dim[axis];
    const Values *first = swap ? &b : &a, *second = swap ? &a : &b;
    Values y = new_values(cx->net, a.rank, dim);
    ref_concat(outer, first->dim[axis], second->dim[axis], inner, first->value, second->value,
               y.value);
    ref_concat(outer, first->dim[axis], second->dim[axis], inner, first->bound, second->bound,
               y.bound);
    return y;
}

static Values add_pad(const LayerCx *cx)
{
    RefWindow w = bind_window(cx);
    int planes = cx->in.dim[0] * cx->in.dim[1], value = cx->layer->size;
    fprintf(cx->net->stream[NETWORK], "  - pad: {from: %s, pad: ", cx->from);
    if (cx->in.rank == 4)
        fprintf(cx->net->stream[NETWORK], "[%d, %d, %d, %d]", w.top, w.left, w.bottom, w.right);
    else
        fprintf(cx->net->stream[NETWORK], "[%d, %d]", w.left, w.right);
    fprintf(cx->net->stream[NETWORK], ", value: %d, name: %s}\n", value, cx->name);
    Values y = window_output(cx, &w, cx->in.dim[1]);
    ref_pad(&w, planes, value, cx->in.value, y.value);
    ref_pad(&w, planes, abs(value), cx->in.bound, y.bound);
    return y;
}

static Values add_lrn(const LayerCx *cx)
{
    Values y = new_values(cx->net, cx->in.rank, cx->in.dim);
    int channels = cx->in.dim[1], pixels = (int)cx->in.n / cx->in.dim[0] / channels;
    fprintf(cx->net->stream[NETWORK], "  - lrn: {from: %s, size: %d, alpha: 1e-2, beta: 0.75, "
            "k: 2, name: %s}\n", cx->from, cx->layer->size, cx->name);
    ref_lrn(cx->in.dim[0], channels, pixels, cx->layer->size, 1e-2, 0.75, 2, cx->in.value, y.value);
    return bound_by_value(y);
}

static Values add_softmax(const LayerCx *cx)
{
    Values y = new_values(cx->net, cx->in.rank, cx->in.dim);
    int axis = cx->layer->size, outer = 1;
    for (int d = 0; d < axis; d++)
        outer *= cx->in.dim[d];
    fprintf(cx->net->stream[NETWORK], "  - softmax: {from: %s, axis: %d, name: %s}\n", cx->from,
            axis, cx->name);
    ref_softmax(outer, cx->in.dim[axis], (int)cx->in.n / outer / cx->in.dim[axis], cx->in.value,
                y.value);
    return bound_by_value(y);
}

/* Variances of 1 and 4 with eps 0 keep the results exact, those of 1 to 7 with eps 0.1 do not. */
static Values add_batchnorm(const LayerCx *cx)
{
    int channels = cx->in.dim[1], items = cx->in.dim[0];
    bool real = cx->layer->kind == GRID_REAL_BATCHNORM;
    double eps = real ? (double)0.1f : 0;
    int pixels = (int)cx->in.n / items / channels;
    fprintf(cx->net->stream[NETWORK], "  - batchnorm: {from: %s, eps: %s, path: %s, name: %s}\n",
            cx->from, real ? "0.1" : "0", cx->name, cx->name);
    Values mean = add_weight(cx->net, cx->name, "running_mean", 1, &channels, 4);
    Values w = add_weight(cx->net, cx->name, "weight", 1, &channels, 2);
    Values b = add_weight(cx->net, cx->name, "bias", 1, &channels, 8);
    Values var = new_values(cx->net, 1, &channels), against = new_values(cx->net, 1, &channels);
    for (int c = 0; c < channels; c++) {
        var.value[c] = real ? 1 + c % 7 : c % 2 ? 4 : 1;
        against.value[c] = -mean.bound[c];
    }
    add_tensor(cx->net, cx->name, "running_var", &var);
    Values y = new_values(cx->net, cx->in.rank, cx->in.dim);
    ref_batchnorm(items, channels, pixels, eps, mean.value, var.value, w.value, b.value,
                  cx->in.value, y.value);
    ref_batchnorm(items, channels, pixels, eps, against.value, var.value, w.bound, b.bound,
                  cx->in.bound, y.bound);
    return y;
}

/* Powers of two and small integers keep the results exact. */
static Values add_activation(const LayerCx *cx)
{
    FILE *f = cx->net->stream[NETWORK];
    Values y = new_values(cx->net, cx->in.rank, cx->in.dim);
    int n = (int)y.n;
    y.bound = cx->in.bound;
    if (cx->layer->kind == GRID_LEAKY_RELU) {
        fprintf(f, "  - leaky_relu: {negative_slope: 0.25, ");
        ref_leaky_relu(n, 0.25, cx->in.value, y.value);
    } else if (cx->layer->kind == GRID_CLIP) {
        fprintf(f, "  - clip: {min: -3, max: 5, ");
        ref_clip(n, -3, 5, cx->in.value, y.value);
    } else if (cx->layer->kind == GRID_RELU6) {
        fprintf(f, "  - relu6: {");
        ref_clip(n, 0, 6, cx->in.value, y.value);
    } else {
        fprintf(f, "  - relu: {");
        ref_relu(n, cx->in.value, y.value);
    }
    fprintf(f, "from: %s, name: %s}\n", cx->from, cx->name);
    return y;
}

static Values add_flatten(const LayerCx *cx)
{
    Values y = cx->in;
    y.rank = 2;
    y.dim[1] = (int)cx->in.n / cx->in.dim[0];
    fprintf(cx->net->stream[NETWORK], "  - flatten: {from: %s, name: %s}\n", cx->from, cx->name);
    return y;
}

static Values add_layer(const LayerCx *cx)
{
    static Values (*const add[])(const LayerCx *) = {
        [GRID_CONV] = add_conv, [GRID_MAXPOOL] = add_maxpool, [GRID_LINEAR] = add_linear,
        [GRID_FLATTEN] = add_flatten, [GRID_CONCAT] = add_concat, [GRID_PAD] = add_pad,
        [GRID_RELU] = add_activation, [GRID_RELU6] = add_activation,
        [GRID_LEAKY_RELU] = add_activation, [GRID_CLIP] = add_activation,
        [GRID_BATCHNORM] = add_batchnorm, [GRID_ADD] = add_arithmetic,
        [GRID_SUB] = add_arithmetic, [GRID_MUL] = add_arithmetic, [GRID_LRN] = add_lrn,
        [GRID_SOFTMAX] = add_softmax, [GRID_AVGPOOL] = add_avgpool,
        [GRID_GLOBAL_AVGPOOL] = add_avgpool, [GRID_REAL_BATCHNORM] = add_batchnorm,
    };
    return add[cx->layer->kind](cx);
}

bool net_add_case(Net *net, const GridCase *k, int number)
{
    char name[2][32];
    int dim[4] = {net->batch, k->c, k->rank == 3 ? k->w : k->h, k->w};
    int most = k->n_layers > 3 ? 1 : 4;
    net->random = (uint64_t)number << 32;
    char input[32];
    snprintf(input, sizeof input, "x%d", number);
    strcpy(name[0], input);
    LayerCx cx = {.net = net, .number = number, .most = most, .input = input,
                  .in = add_input(net, input, k->rank, dim, 2 * most)};
    cx.case_input = cx.in;
    for (int i = 0; i < k->n_layers; i++) {
        cx.layer = &k->layer[i];
        cx.from = name[i % 2];
        cx.name = name[1 - i % 2];
        snprintf(name[1 - i % 2], sizeof name[0], "c%d_%d", number, i);
        cx.in = add_layer(&cx);
        for (size_t j = 0; j < cx.in.n; j++)
            if (cx.in.bound[j] >= 16777216.0) {
                printf("case %d (%s): sums could reach 2^24\n", number, k->family);
                return false;
            }
    }
    NetFile *out = add_file(net, cx.name, true);
    out->shape = k;
    out->number = number;
    out->want = cx.in;
    out->units = cx.layer->kind < GRID_LRN ? 0 : 4;
    fprintf(net->stream[OUTPUTS], "%s%s", net->text_size[OUTPUTS] ? ", " : "", cx.name);
    fflush(net->stream[OUTPUTS]);
    return true;
}

void net_write(Net *net)
{
    for (int i = 0; i < 3; i++)
        fflush(net->stream[i]);
    FILE *f = fopen(net->model_path, "w");
    if (!f || fprintf(f, "net2c: 1\nname: grid\ninputs:\n%soutputs: [%s]\nweights:\n"
                      "  bind: \"$path.$param\"\nnetwork:\n%s", net->text[INPUTS],
                      net->text[OUTPUTS], net->text[NETWORK]) < 0 || fclose(f) != 0) {
        perror(net->model_path);
        exit(1);
    }
    safetensors_write(net->weights_path, net->n_weights, net->weight);
    for (int i = 0; i < net->n_files; i++)
        if (net->file[i].is_output)
            remove(net->file[i].path);
}

/* NaNs are equal, zeros of different signs are not. */
static bool same_bits(float a, float b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

/* Units in the last place of what the element is made of. */
static bool close_by(float got, double want, double bound, double units)
{
    float size = (float)bound;
    double unit = (double)nextafterf(size, INFINITY) - (double)size;
    return fabs((double)got - want) <= units * unit;
}

bool net_compare(Net *net, const NetFile *f, size_t *n)
{
    const Values *want = &f->want;
    float *got = npy_read(f->path, want->n);
    size_t different = 0, first = 0;
    for (size_t i = 0; got && i < want->n; i++)
        if (f->units > 0 ? !close_by(got[i], want->value[i], want->bound[i], f->units)
                         : !same_bits(got[i], (float)want->value[i]))
            if (different++ == 0)
                first = i;
    if (!got || different) {
        const GridCase *k = f->shape;
        printf("case %d (%s), input [%d, %d, %d, %d] in %s:\n", f->number, k->family, net->batch,
               k->c, k->h, k->w, net->model_path);
        if (got)
            printf("  %zu of %zu elements differ; first [%zu]: got %.9g, expected %.9g\n",
                   different, want->n, first, (double)got[first], want->value[first]);
    }
    bool ok = got && !different;
    *n += got ? want->n : 0;
    free(got);
    return ok;
}
