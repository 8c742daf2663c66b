/* The operators' naive nests, run by the interpreter, against plain loops over small data.
 * Convolution and pooling use small integers, so that every sum is exact and must be equal.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "ops_fixture.h"

#define BATCH 2

/* ---- running a nest ----------------------------------------------------------------------- */
typedef struct Run {
    Cx *cx;
    Node *node;
    Kernel *kernel;
    float *in[2], *param[2], *out;
    ScalarType type;
    int64_t halo;              /* zero elements around the last two axes of the input */
} Run;

static Buffer *buffer_make(Run *r, const char *name, BufferKind kind, const Shape *s, int64_t halo)
{
    Buffer *b = NEW(r->cx->perm, Buffer);
    *b = (Buffer){.name = name, .kind = kind, .type = r->type, .lanes = 1, .rank = s->rank};
    for (int d = 0; d < s->rank; d++) {
        b->dim[d].extent = s->dim[d] == DIM_N ? BATCH : s->dim[d];
        if (halo > 0 && d >= 2)
            b->dim[d] = (Dim){b->dim[d].extent, halo, halo, true};
    }
    Kernel *k = r->kernel;
    Buffer **grown = NEW_ARRAY(r->cx->perm, Buffer *, k->n_buffers + 1);
    for (int i = 0; i < k->n_buffers; i++)
        grown[i] = k->buffer[i];
    grown[k->n_buffers++] = b;
    k->buffer = grown;
    return b;
}

static int64_t shape_elements(const Shape *s)
{
    return shape_count(s) * (s->dim[0] == DIM_N ? BATCH : 1);
}

static float *integers(Cx *cx, int64_t n, int seed)
{
    float *v = NEW_ARRAY(cx->perm, float, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)((i * 7 + seed + i / 5) % 11 - 5);
    return v;
}

static Run run_begin(const char *op, const char *inputs, const char *attrs)
{
    Run r = {.cx = cx_new()};
    r.node = ops_node(r.cx, op, inputs, attrs);
    if (!r.node->op->infer(r.cx, r.node))
        fail_msg("%s", diags_get(r.cx->diags, 0)->text);
    for (int i = 0; i < r.node->n_in; i++)
        r.in[i] = integers(r.cx, shape_elements(&r.node->in[i]->shape), i);
    for (int i = 0; i < r.node->n_param; i++)
        r.param[i] = integers(r.cx, shape_elements(&r.node->param[i].shape), i + 2);
    return r;
}

/* The input as stored: in the middle of its zeros. Rank 4 with a halo, else as it is. */
static float *input_stored(const Run *r, const Buffer *b)
{
    if (r->halo == 0)
        return r->in[0];
    int64_t h = b->dim[2].extent, w = b->dim[3].extent, p = r->halo;
    float *v = NEW_ARRAY(r->cx->perm, float, buffer_elements(b));
    for (int64_t c = 0; c < b->dim[0].extent * b->dim[1].extent; c++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++)
                v[(c * (h + 2 * p) + y + p) * (w + 2 * p) + x + p] = r->in[0][(c * h + y) * w + x];
    return v;
}

static void run_kernel(Run *r, bool alternative)
{
    static const char *const in_name[] = {"x", "x2"}, *const param_name[] = {"w", "b"};
    Node *n = r->node;
    r->kernel = NEW(r->cx->perm, Kernel);
    r->kernel->arena = r->cx->perm;
    r->kernel->name = "k";
    NestCx nx = {.kernel = r->kernel, .arena = r->cx->perm, .node = n, .type = r->type};
    void *data[16];
    int at = 0;
    for (int i = 0; i < n->n_in; i++) {
        nx.in[i] = buffer_make(r, in_name[i], BUF_IN, &n->in[i]->shape, r->halo);
        data[at++] = i == 0 ? input_stored(r, nx.in[0]) : r->in[i];
    }
    for (int i = 0; i < n->n_param; i++, at++) {
        nx.param[i] = buffer_make(r, param_name[i], BUF_WEIGHT, &n->param[i].shape, 0);
        data[at] = r->param[i];
    }
    nx.out = buffer_make(r, "y", BUF_OUT, &n->out->shape, 0);
    data[at++] = r->out = NEW_ARRAY(r->cx->perm, float, shape_elements(&n->out->shape));
    if (alternative)
        assert_true(n->op->nest_by(&nx, "im2col"));
    else
        n->op->nest(&nx);
    for (; at < r->kernel->n_buffers; at++) {
        float *scratch = NEW_ARRAY(r->cx->perm, float, buffer_elements(r->kernel->buffer[at]));
        for (int64_t i = 0; i < buffer_elements(r->kernel->buffer[at]); i++)
            scratch[i] = NAN;                  /* nothing may rely on what was there */
        data[at] = scratch;
    }
    bool runs = r->type == TYPE_F32;
    if (!loop_verify(r->cx, r->kernel) ||
        (runs && !kernel_interpret(r->cx, r->kernel, data)))
        fail_msg("%s\n%s", diags_get(r->cx->diags, 0)->text,
                 kernel_text(r->cx->perm, r->kernel));
}

static bool has_guard(const Run *r)
{
    return strstr(kernel_text(r->cx->perm, r->kernel), "if ") != NULL;
}

/* ---- windows ------------------------------------------------------------------------------ */
typedef struct Case {
    int c, h, w, out, kh, kw, sh, sw, dh, dw;
    int top, left, bottom, right, groups, bias;
    bool flat;
} Case;

static float input_at(const Case *t, const float *x, int n, int c, int y, int xx, float outside)
{
    bool inside = y >= 0 && y < t->h && xx >= 0 && xx < t->w;
    return inside ? x[((n * t->c + c) * t->h + y) * t->w + xx] : outside;
}

static float plain_conv(const Case *t, const Run *r, int n, int o, int oy, int ox)
{
    int each = t->c / t->groups, first = o / (t->out / t->groups) * each;
    float sum = t->bias ? r->param[1][o] : 0;
    for (int i = 0; i < each; i++)
        for (int ky = 0; ky < t->kh; ky++)
            for (int kx = 0; kx < t->kw; kx++)
                sum += r->param[0][((o * each + i) * t->kh + ky) * t->kw + kx] *
                       input_at(t, r->in[0], n, first + i, oy * t->sh + ky * t->dh - t->top,
                                ox * t->sw + kx * t->dw - t->left, 0);
    return sum;
}

static float plain_maxpool(const Case *t, const Run *r, int n, int c, int oy, int ox)
{
    float most = -INFINITY;
    for (int ky = 0; ky < t->kh; ky++)
        for (int kx = 0; kx < t->kw; kx++) {
            float v = input_at(t, r->in[0], n, c, oy * t->sh + ky * t->dh - t->top,
                               ox * t->sw + kx * t->dw - t->left, -INFINITY);
            most = isnan(most) || v < most ? most : v;
        }
    return most;
}

typedef float (*Plain)(const Case *t, const Run *r, int n, int c, int oy, int ox);

static void compare_windows(const Case *t, const Run *r, Plain plain)
{
    const Shape *s = &r->node->out->shape;
    int rank = s->rank, oh = t->flat ? 1 : (int)s->dim[2], ow = (int)s->dim[rank - 1];
    int channels = (int)s->dim[1], at = 0;
    for (int n = 0; n < BATCH; n++)
        for (int c = 0; c < channels; c++)
            for (int oy = 0; oy < oh; oy++)
                for (int ox = 0; ox < ow; ox++, at++) {
                    float want = plain(t, r, n, c, oy, ox), got = r->out[at];
                    if (!(want == got || (isnan(want) && isnan(got))))
                        fail_msg("[%d, %d, %d, %d] is not as it should be\n%s", n, c, oy, ox,
                                 kernel_text(r->cx->perm, r->kernel));
                }
}

static Run window_run(const char *op, const Case *t, const char *more)
{
    char shape[64], attrs[256];
    if (t->flat) {
        snprintf(shape, sizeof shape, "N,%d,%d", t->c, t->w);
        snprintf(attrs, sizeof attrs, "kernel=%d stride=%d dilation=%d pad=%d,%d%s", t->kw, t->sw,
                 t->dw, t->left, t->right, more);
    } else {
        snprintf(shape, sizeof shape, "N,%d,%d,%d", t->c, t->h, t->w);
        snprintf(attrs, sizeof attrs, "kernel=%d,%d stride=%d,%d dilation=%d,%d pad=%d,%d,%d,%d%s",
                 t->kh, t->kw, t->sh, t->sw, t->dh, t->dw, t->top, t->left, t->bottom, t->right,
                 more);
    }
    return run_begin(op, shape, attrs);
}

static const Case conv_cases[] = {
    {3, 7, 6, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {3, 7, 6, 4, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, false},
    {4, 9, 8, 6, 3, 2, 2, 1, 1, 2, 1, 0, 2, 3, 2, 1, false},
    {4, 5, 5, 4, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 4, 1, false},
    {1, 1, 1, 2, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, false},
    {2, 3, 3, 2, 2, 2, 3, 4, 1, 1, 4, 5, 3, 6, 1, 1, false},   /* pad above kernel */
    {5, 4, 4, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, false},
    {4, 1, 9, 6, 1, 3, 1, 2, 1, 1, 0, 2, 0, 0, 2, 1, true},
    {3, 1, 9, 4, 1, 3, 1, 1, 1, 2, 0, 1, 0, 3, 1, 0, true},
};

static void test_conv(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof conv_cases[0]; i++) {
        const Case *t = &conv_cases[i];
        char more[64];
        snprintf(more, sizeof more, " out=%d groups=%d bias=%d", t->out, t->groups, t->bias);
        for (int alternative = 0; alternative < 2; alternative++) {
            Run r = window_run("conv", t, more);
            run_kernel(&r, alternative);
            compare_windows(t, &r, plain_conv);
            bool pads = t->top || t->left || t->bottom || t->right;
            assert_int_equal(has_guard(&r), pads);
            cx_delete(r.cx);
        }
    }
}

static void test_conv_reads_zero_halo(void **state)
{
    (void)state;
    const Case *t = &conv_cases[3];
    for (int halo = 1; halo <= 2; halo++)
        for (int alternative = 0; alternative < 2; alternative++) {
            Run r = window_run("conv", t, " out=4 groups=4");
            r.halo = halo;
            run_kernel(&r, alternative);
            compare_windows(t, &r, plain_conv);
            assert_int_equal(has_guard(&r), halo < 2);     /* a halo of 1 is too small */
            cx_delete(r.cx);
        }
}

static const Case pool_cases[] = {
    {3, 7, 6, 0, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1, false},
    {3, 7, 6, 0, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {2, 6, 7, 0, 2, 4, 1, 3, 2, 1, 1, 2, 0, 1, 1, 1, false},
    {2, 1, 1, 0, 2, 2, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, false},   /* windows see nothing but pad */
    {3, 1, 8, 0, 1, 3, 1, 2, 1, 1, 0, 1, 0, 0, 1, 1, true},
};

static void test_maxpool(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pool_cases / sizeof pool_cases[0]; i++)
        for (int ceil_mode = 0; ceil_mode < 2; ceil_mode++) {
            Run r = window_run("maxpool", &pool_cases[i], ceil_mode ? " ceil_mode=1" : "");
            r.in[0][1] = NAN;
            r.in[0][0] = -INFINITY;
            run_kernel(&r, false);
            compare_windows(&pool_cases[i], &r, plain_maxpool);
            cx_delete(r.cx);
        }
}

static void test_maxpool_keeps_guards_in_zero_halo(void **state)
{
    (void)state;
    Run r = window_run("maxpool", &pool_cases[1], "");
    for (int i = 0; i < BATCH * 3 * 7 * 6; i++)
        r.in[0][i] = -1 - r.in[0][i] * r.in[0][i];         /* zeros would win */
    r.halo = 1;
    run_kernel(&r, false);
    compare_windows(&pool_cases[1], &r, plain_maxpool);
    assert_true(has_guard(&r));
    cx_delete(r.cx);
}

/* ---- the others --------------------------------------------------------------------------- */
static void test_linear(void **state)
{
    (void)state;
    static const char *const shapes[] = {"N,7", "N,3,7"};
    for (int i = 0; i < 4; i++) {
        Run r = run_begin("linear", shapes[i / 2], i % 2 ? "out=5" : "out=5 bias=0");
        run_kernel(&r, false);
        for (int t = 0; t < (i < 2 ? BATCH : BATCH * 3); t++)
            for (int o = 0; o < 5; o++) {
                float sum = i % 2 ? r.param[1][o] : 0;
                for (int k = 0; k < 7; k++)
                    sum += r.in[0][t * 7 + k] * r.param[0][o * 7 + k];
                assert_true(r.out[t * 5 + o] == sum);
            }
        cx_delete(r.cx);
    }
}

static void lrn_compare(const Run *r, int channels, int positions, int size, double beta)
{
    for (int n = 0; n < BATCH; n++)
        for (int p = 0; p < positions; p++)
            for (int c = 0; c < channels; c++) {
                const float *x = r->in[0] + n * channels * positions + p;
                double sum = 0;
                for (int j = c - size / 2; j <= c + (size - 1) / 2; j++)
                    if (j >= 0 && j < channels)
                        sum += (double)x[j * positions] * (double)x[j * positions];
                double want = (double)x[c * positions] * pow(2 + 0.5 / size * sum, -beta);
                double got = (double)r->out[(n * channels + c) * positions + p];
                assert_true(fabs(got - want) <= 4 * 6e-8 * fabs(want));
            }
}

static void test_lrn(void **state)
{
    (void)state;
    for (int size = 1; size <= 9; size++) {
        char attrs[64];
        snprintf(attrs, sizeof attrs, "size=%d alpha=0.5 beta=%s k=2", size,
                 size % 2 ? "0.75" : "1.25");
        Run r = run_begin("lrn", "N,6,3,2", attrs);
        run_kernel(&r, false);
        lrn_compare(&r, 6, 6, size, size % 2 ? 0.75 : 1.25);
        cx_delete(r.cx);
        r = run_begin("lrn", "N,4,5", attrs);
        run_kernel(&r, false);
        lrn_compare(&r, 4, 5, size, size % 2 ? 0.75 : 1.25);
        cx_delete(r.cx);
    }
}

static void test_lrn_of_infinity_is_nan(void **state)
{
    (void)state;
    Run r = run_begin("lrn", "N,3,1,1", "size=3");
    r.in[0][0] = INFINITY;
    run_kernel(&r, false);
    assert_true(isnan(r.out[0]));
    assert_true(r.out[1] == 0 && !isnan(r.out[2]));
    cx_delete(r.cx);
}

static void test_relu(void **state)
{
    (void)state;
    Run r = run_begin("relu", "N,3", "");
    const float x[] = {-1, 2, NAN, -INFINITY, INFINITY, 1e-42f};
    const float y[] = {0, 2, NAN, 0, INFINITY, 1e-42f};
    memcpy(r.in[0], x, sizeof x);
    run_kernel(&r, false);
    for (int i = 0; i < 6; i++)
        assert_true(i == 2 ? isnan(r.out[i]) : r.out[i] == y[i]);
    cx_delete(r.cx);
}

/* Lines of 4 elements, step apart. */
static void softmax_compare(const Run *r, int line, int step)
{
    const float *x = r->in[0] + line, *y = r->out + line;
    double sum = 0, most = -HUGE_VAL;
    for (int c = 0; c < 4; c++)
        most = fmax(most, (double)x[c * step]);
    for (int c = 0; c < 4; c++)
        sum += exp((double)x[c * step] - most);
    for (int c = 0; c < 4; c++) {
        double want = exp((double)x[c * step] - most) / sum;
        assert_true(fabs((double)y[c * step] - want) <= 4 * 6e-8 * want);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    static const char *const shapes[] = {"N,4", "N,4,3", "N,3,4", "N,4,3,1"};
    static const char *const axes[] = {"axis=1", "axis=1", "axis=-1", "axis=-3"};
    for (int i = 0; i < 4; i++) {
        Run r = run_begin("softmax", shapes[i], axes[i]);
        int step = i % 2 ? 3 : 1;
        run_kernel(&r, false);
        for (int n = 0; n < BATCH * (i == 0 ? 1 : 3); n++)
            softmax_compare(&r, i % 2 ? n / 3 * 12 + n % 3 : n * 4, step);
        cx_delete(r.cx);
    }
}

static void test_softmax_of_special_values(void **state)
{
    (void)state;
    Run r = run_begin("softmax", "N,3", "axis=1");
    const float x[] = {1e30f, -1e30f, 1000, -INFINITY, -INFINITY, -INFINITY};
    memcpy(r.in[0], x, sizeof x);
    run_kernel(&r, false);
    assert_true(r.out[0] == 1 && r.out[1] == 0 && r.out[2] == 0);
    for (int i = 3; i < 6; i++)
        assert_true(isnan(r.out[i]));
    r.in[0][1] = NAN;
    r.in[0][4] = 1;
    run_kernel(&r, false);
    assert_true(isnan(r.out[0]) && isnan(r.out[2]));
    assert_true(r.out[3] == 0 && r.out[4] == 1 && r.out[5] == 0);
    cx_delete(r.cx);
}

static void test_add(void **state)
{
    (void)state;
    Run r = run_begin("add", "N,3,2 N,3,2", "");
    run_kernel(&r, false);
    for (int i = 0; i < BATCH * 6; i++)
        assert_true(r.out[i] == r.in[0][i] + r.in[1][i]);
    cx_delete(r.cx);
    r = run_begin("add", "N,3", "value=0.5");
    run_kernel(&r, false);
    for (int i = 0; i < BATCH * 3; i++)
        assert_true(r.out[i] == r.in[0][i] + 0.5f);
    cx_delete(r.cx);
}

static void test_copies_keep_order(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"flatten", "N,4,3,5", ""}, {"flatten", "N", ""}, {"flatten", "N,1,1,6", ""},
        {"reshape", "N,8,6", "shape=N,4,12"}, {"reshape", "N,8,6", "shape=N,2,4,2,3"},
        {"reshape", "N,8,6", "shape=N,1,48,1"}, {"reshape", "N,48", "shape=N,2,3,2,4,1"},
        {"reshape", "N,2,1,3,4,2", "shape=N,-1,2,2,2"}, {"reshape", "N,1", "shape=N"},
        {"dropout", "N,2,3", "p=0.5"}, {"identity", "N", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Run r = run_begin(cases[i][0], cases[i][1], cases[i][2]);
        int64_t n = shape_elements(&r.node->out->shape);
        for (int64_t j = 0; j < n; j++)
            r.in[0][j] = (float)j;
        run_kernel(&r, false);
        for (int64_t j = 0; j < n; j++)
            assert_true(r.out[j] == (float)j);
        cx_delete(r.cx);
    }
}

/* The reference is built from the same nests in double: no f32 may be left in them. */
static void test_nests_in_double(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"conv", "N,4,5,5", "out=4 kernel=3 pad=1 groups=2"}, {"linear", "N,7", "out=3 bias=0"},
        {"maxpool", "N,4,5,5", "kernel=3 pad=1"}, {"lrn", "N,4,5,5", "size=5"},
        {"relu", "N,3", ""}, {"softmax", "N,3", "axis=1"}, {"add", "N,3", "value=1"},
        {"add", "N,3 N,3", ""}, {"flatten", "N,3,4", ""}, {"identity", "N,3", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Run r = run_begin(cases[i][0], cases[i][1], cases[i][2]);
        r.type = TYPE_F64;
        run_kernel(&r, false);
        assert_null(strstr(kernel_text(r.cx->perm, r.kernel), "f32"));
        if (r.node->op->nest_by == conv_nest_by)
            run_kernel(&r, true);
        cx_delete(r.cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv), cmocka_unit_test(test_conv_reads_zero_halo),
        cmocka_unit_test(test_maxpool), cmocka_unit_test(test_maxpool_keeps_guards_in_zero_halo),
        cmocka_unit_test(test_linear), cmocka_unit_test(test_lrn),
        cmocka_unit_test(test_lrn_of_infinity_is_nan), cmocka_unit_test(test_relu),
        cmocka_unit_test(test_softmax), cmocka_unit_test(test_softmax_of_special_values),
        cmocka_unit_test(test_add), cmocka_unit_test(test_copies_keep_order),
        cmocka_unit_test(test_nests_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
