/* The naive nests of activations, arithmetic, averages, batch normalisation, concat and pad, run by
 * the interpreter, against plain loops. Sums are of small integers, so that they must be equal.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nests_fixture.h"

/* ---- functions of one element ------------------------------------------------------------- */
static void test_activations(void **state)
{
    (void)state;
    static const float x[10] = {-3, -0.0f, 0, 2, 7, NAN, -INFINITY, INFINITY, 1e-42f, -1e-42f};
    static const struct {
        const char *op, *attrs;
        float y[10];
    } cases[] = {
        {"leaky_relu", "negative_slope=0.5",
         {-1.5f, -0.0f, 0, 2, 7, NAN, -INFINITY, INFINITY, 1e-42f, -0.5f * 1e-42f}},
        {"leaky_relu", "negative_slope=2",
         {-6, -0.0f, 0, 2, 7, NAN, -INFINITY, INFINITY, 1e-42f, 2 * -1e-42f}},
        {"leaky_relu", "", {-3 * 0.01f, -0.0f, 0, 2, 7, NAN, -INFINITY, INFINITY, 1e-42f,
                            0.01f * -1e-42f}},
        {"clip", "min=-1 max=3", {-1, -0.0f, 0, 2, 3, NAN, -1, 3, 1e-42f, -1e-42f}},
        {"clip", "min=1", {1, 1, 1, 2, 7, NAN, 1, INFINITY, 1, 1}},
        {"clip", "max=-1", {-3, -1, -1, -1, -1, NAN, -INFINITY, -1, -1, -1}},
        {"clip", "min=3 max=1", {1, 1, 1, 1, 1, NAN, 1, 1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Run r = run_begin(cases[i].op, "N,5", cases[i].attrs);
        memcpy(r.in[0], x, sizeof x);
        run_kernel(&r);
        for (int j = 0; j < 10; j++)
            if (!same(r.out[j], cases[i].y[j]))
                fail_msg("%s %s of %g is %g", cases[i].op, cases[i].attrs, (double)x[j],
                         (double)r.out[j]);
        cx_delete(r.cx);
    }
}

static void test_relu6(void **state)
{
    (void)state;
    Run r = run_begin("relu6", "N,4", "");
    const float x[8] = {-1, 2, 6, 7, NAN, -INFINITY, INFINITY, 5.5f};
    const float y[8] = {0, 2, 6, 6, NAN, 0, 6, 5.5f};
    memcpy(r.in[0], x, sizeof x);
    run_kernel(&r);
    for (int i = 0; i < 8; i++)
        assert_true(same(r.out[i], y[i]));
    cx_delete(r.cx);
}

/* ---- arithmetic --------------------------------------------------------------------------- */
static void test_arithmetic(void **state)
{
    (void)state;
    Run r = run_begin("mul", "N,3,2 N,3,2 N,3,2", "");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 6; i++)
        assert_true(r.out[i] == r.in[0][i] * r.in[1][i] * r.in[2][i]);
    cx_delete(r.cx);
    r = run_begin("mul", "N,3", "value=0.1");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 3; i++)
        assert_true(r.out[i] == r.in[0][i] * 0.1f);
    cx_delete(r.cx);
    r = run_begin("sub", "N,3,2 N,3,2", "");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 6; i++)
        assert_true(r.out[i] == r.in[0][i] - r.in[1][i]);
    cx_delete(r.cx);
    r = run_begin("sub", "N,3", "value=0.1");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 3; i++)
        assert_true(r.out[i] == r.in[0][i] - 0.1f);
    cx_delete(r.cx);
}

/* ---- averages ----------------------------------------------------------------------------- */
typedef struct Average {
    int h, w, kh, kw, sh, sw, top, left, bottom, right;
    bool flat;
} Average;

static const Average averages[] = {
    {7, 6, 3, 3, 2, 2, 0, 0, 0, 0, false}, {7, 6, 3, 3, 2, 2, 1, 1, 1, 1, false},
    {6, 7, 2, 4, 1, 3, 1, 2, 0, 1, false}, {8, 8, 2, 2, 3, 3, 1, 0, 0, 1, false},
    {1, 1, 2, 2, 1, 1, 1, 1, 1, 1, false}, {1, 8, 1, 3, 1, 2, 0, 1, 0, 0, true},
    {1, 9, 1, 4, 1, 4, 0, 2, 0, 1, true},
};

/* Sum of a window's elements and how many of them count, as PyTorch says it: to the window's end
 * or the padded input's, whichever comes first. */
static float average_at(const Average *t, const float *plane, int oy, int ox, bool padded)
{
    float sum = 0;
    int count = 0;
    for (int y = oy * t->sh - t->top; y < oy * t->sh - t->top + t->kh; y++)
        for (int x = ox * t->sw - t->left; x < ox * t->sw - t->left + t->kw; x++) {
            bool inside = y >= 0 && y < t->h && x >= 0 && x < t->w;
            sum += inside ? plane[y * t->w + x] : 0;
            count += padded ? y < t->h + t->bottom && x < t->w + t->right : inside;
        }
    return sum / (float)count;
}

static void average_compare(const Average *t, bool ceil_mode, bool padded)
{
    char shape[64], attrs[160], window[96];
    if (t->flat) {
        snprintf(shape, sizeof shape, "N,3,%d", t->w);
        snprintf(window, sizeof window, "kernel=%d stride=%d pad=%d,%d", t->kw, t->sw, t->left,
                 t->right);
    } else {
        snprintf(shape, sizeof shape, "N,3,%d,%d", t->h, t->w);
        snprintf(window, sizeof window, "kernel=%d,%d stride=%d,%d pad=%d,%d,%d,%d", t->kh, t->kw,
                 t->sh, t->sw, t->top, t->left, t->bottom, t->right);
    }
    snprintf(attrs, sizeof attrs, "%s ceil_mode=%d count_include_pad=%d", window, ceil_mode,
             padded);
    Run r = run_begin("avgpool", shape, attrs);
    run_kernel(&r);
    const Shape *s = &r.node->out->shape;
    int oh = t->flat ? 1 : (int)s->dim[2], ow = (int)s->dim[s->rank - 1];
    for (int i = 0; i < BATCH * 3 * oh * ow; i++) {
        const float *plane = r.in[0] + i / (oh * ow) * t->h * t->w;
        if (r.out[i] != average_at(t, plane, i / ow % oh, i % ow, padded))
            fail_msg("%s %s: element %d\n%s", shape, attrs, i, kernel_text(r.cx->perm, r.kernel));
    }
    cx_delete(r.cx);
}

static void test_avgpool(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof averages / sizeof averages[0]; i++)
        for (int mode = 0; mode < 4; mode++)
            average_compare(&averages[i], mode & 1, mode >> 1);
}

/* One divisor needs no counts. */
static void test_avgpool_scratch(void **state)
{
    (void)state;
    static const char *const attrs[] = {
        "kernel=3 stride=2", "kernel=2 pad=1", "kernel=2 pad=1 count_include_pad=0",
        "kernel=2 ceil_mode=1",
    };
    for (int i = 0; i < 4; i++) {
        Run r = run_begin("avgpool", "N,2,7,7", attrs[i]);
        run_kernel(&r);
        assert_int_equal(kernel_buffer(r.kernel, "count") != NULL, i >= 2);
        cx_delete(r.cx);
    }
}

static void test_global_avgpool(void **state)
{
    (void)state;
    static const char *const shapes[] = {"N,3,4,5", "N,3,20"};
    for (int i = 0; i < 2; i++) {
        Run r = run_begin("global_avgpool", shapes[i], "");
        run_kernel(&r);
        for (int c = 0; c < BATCH * 3; c++) {
            float sum = 0;
            for (int p = 0; p < 20; p++)
                sum += r.in[0][c * 20 + p];
            assert_true(r.out[c] == sum / 20);
        }
        cx_delete(r.cx);
    }
}

/* ---- batch normalisation ------------------------------------------------------------------ */
static void test_batchnorm(void **state)
{
    (void)state;
    static const char *const attrs[] = {"", "eps=0.5", "affine=0"};
    for (int i = 0; i < 6; i++) {
        Run r = run_begin("batchnorm", i < 3 ? "N,4,3,2" : "N,4", attrs[i % 3]);
        int pixels = i < 3 ? 6 : 1;
        bool affine = i % 3 != 2;
        for (int c = 0; c < 4; c++)
            r.param[1][c] = (float)(c + 1);
        run_kernel(&r);
        for (int j = 0; j < BATCH * 4 * pixels; j++) {
            int c = j / pixels % 4;
            double eps = i % 3 == 1 ? 0.5 : 1e-5, scale = affine ? (double)r.param[2][c] : 1;
            double factor = scale / sqrt((double)r.param[1][c] + eps), x = (double)r.in[0][j];
            double mean = (double)r.param[0][c], shift = affine ? (double)r.param[3][c] : 0;
            double error = fabs((double)r.out[j] - ((x - mean) * factor + shift));
            double size = (fabs(x) + fabs(mean)) * fabs(factor) + fabs(shift);
            assert_true(error <= 1.2e-7 * size);
        }
        cx_delete(r.cx);
    }
}

static void test_batchnorm_params(void **state)
{
    (void)state;
    static const char *const role[] = {"running_mean", "running_var", "weight", "bias"};
    for (int affine = 0; affine < 2; affine++) {
        Run r = run_begin("batchnorm", "N,4,3", affine ? "" : "affine=0");
        assert_int_equal(r.node->n_param, affine ? 4 : 2);
        for (int i = 0; i < r.node->n_param; i++)
            assert_string_equal(r.node->param[i].role, role[i]);
        cx_delete(r.cx);
    }
}

/* ---- copies into a larger tensor ---------------------------------------------------------- */
static void test_concat(void **state)
{
    (void)state;
    Run r = run_begin("concat", "N,3,2 N,1,2 N,2,2", "axis=1");
    static const int first[] = {0, 3, 4}, count[] = {3, 1, 2};
    run_kernel(&r);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < BATCH * count[i] * 2; j++) {
            int n = j / (count[i] * 2), at = j % (count[i] * 2);
            assert_true(r.out[n * 12 + first[i] * 2 + at] == r.in[i][j]);
        }
    cx_delete(r.cx);
    r = run_begin("concat", "N,2,3 N,2,1", "axis=-1");
    run_kernel(&r);
    for (int j = 0; j < BATCH * 8; j++) {
        float want = j % 4 < 3 ? r.in[0][j / 4 * 3 + j % 4] : r.in[1][j / 4];
        assert_true(r.out[j] == want);
    }
    cx_delete(r.cx);
}

static void test_pad(void **state)
{
    (void)state;
    for (int flat = 0; flat < 2; flat++) {
        Run r = flat ? run_begin("pad", "N,3,5", "pad=2,1 value=-9")
                     : run_begin("pad", "N,3,4,5", "pad=1,2,0,1 value=-9");
        int h = flat ? 1 : 4, top = flat ? 0 : 1;
        run_kernel(&r);
        for (int i = 0; i < BATCH * 3 * (h + top) * 8; i++) {
            int y = i / 8 % (h + top) - top, x = i % 8 - 2, plane = i / 8 / (h + top);
            bool inside = y >= 0 && x >= 0 && x < 5;
            assert_true(r.out[i] == (inside ? r.in[0][(plane * h + y) * 5 + x] : -9));
        }
        cx_delete(r.cx);
    }
}

static void test_nests_in_double(void **state)
{
    (void)state;
    static const NestCase cases[] = {
        {"leaky_relu", "N,3", ""}, {"relu6", "N,3", ""}, {"clip", "N,3", "min=0 max=1"},
        {"mul", "N,3 N,3", ""}, {"sub", "N,3", "value=1"}, {"batchnorm", "N,3,2", ""},
        {"avgpool", "N,4,5,5", "kernel=3 pad=1 count_include_pad=0"},
        {"global_avgpool", "N,4,5", ""}, {"concat", "N,3 N,4", "axis=1"},
        {"pad", "N,4,5", "pad=1"},
    };
    check_in_double(cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations), cmocka_unit_test(test_relu6),
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_avgpool),
        cmocka_unit_test(test_avgpool_scratch), cmocka_unit_test(test_global_avgpool),
        cmocka_unit_test(test_batchnorm), cmocka_unit_test(test_batchnorm_params),
        cmocka_unit_test(test_concat), cmocka_unit_test(test_pad),
        cmocka_unit_test(test_nests_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
