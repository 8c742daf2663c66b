/* The operators' naive nests, run by the interpreter, against plain loops over small data.
 * Convolution and pooling use small integers, so that every sum is exact and must be equal.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nests_fixture.h"

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
            r.algo = alternative ? "im2col" : NULL;
            run_kernel(&r);
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
            r.algo = alternative ? "im2col" : NULL;
            run_kernel(&r);
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
            run_kernel(&r);
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
    run_kernel(&r);
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
        run_kernel(&r);
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
        run_kernel(&r);
        lrn_compare(&r, 6, 6, size, size % 2 ? 0.75 : 1.25);
        cx_delete(r.cx);
        r = run_begin("lrn", "N,4,5", attrs);
        run_kernel(&r);
        lrn_compare(&r, 4, 5, size, size % 2 ? 0.75 : 1.25);
        cx_delete(r.cx);
    }
}

static void test_lrn_of_infinity_is_nan(void **state)
{
    (void)state;
    Run r = run_begin("lrn", "N,3,1,1", "size=3");
    r.in[0][0] = INFINITY;
    run_kernel(&r);
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
    run_kernel(&r);
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
        run_kernel(&r);
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
    run_kernel(&r);
    assert_true(r.out[0] == 1 && r.out[1] == 0 && r.out[2] == 0);
    for (int i = 3; i < 6; i++)
        assert_true(isnan(r.out[i]));
    r.in[0][1] = NAN;
    r.in[0][4] = 1;
    run_kernel(&r);
    assert_true(isnan(r.out[0]) && isnan(r.out[2]));
    assert_true(r.out[3] == 0 && r.out[4] == 1 && r.out[5] == 0);
    cx_delete(r.cx);
}

static void test_add(void **state)
{
    (void)state;
    Run r = run_begin("add", "N,3,2 N,3,2", "");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 6; i++)
        assert_true(r.out[i] == r.in[0][i] + r.in[1][i]);
    cx_delete(r.cx);
    r = run_begin("add", "N,3", "value=0.5");
    run_kernel(&r);
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
        run_kernel(&r);
        for (int64_t j = 0; j < n; j++)
            assert_true(r.out[j] == (float)j);
        cx_delete(r.cx);
    }
}

static void test_nests_in_double(void **state)
{
    (void)state;
    static const NestCase cases[] = {
        {"conv", "N,4,5,5", "out=4 kernel=3 pad=1 groups=2"}, {"linear", "N,7", "out=3 bias=0"},
        {"maxpool", "N,4,5,5", "kernel=3 pad=1"}, {"lrn", "N,4,5,5", "size=5"},
        {"relu", "N,3", ""}, {"softmax", "N,3", "axis=1"}, {"add", "N,3", "value=1"},
        {"add", "N,3 N,3", ""}, {"flatten", "N,3,4", ""}, {"identity", "N,3", ""},
    };
    check_in_double(cases, sizeof cases / sizeof cases[0]);
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
