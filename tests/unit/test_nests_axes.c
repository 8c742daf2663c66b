/* The naive nests of tanh, sigmoid, log_softmax, long softmax, param and of operators that move,
 * merge or stretch axes, against the oracles of tests/ref.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nests_fixture.h"
#include "ref.h"

#define MOST 65536

static double *wide(const Run *r, const float *v, int64_t n)
{
    double *out = NEW_ARRAY(r->cx->perm, double, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)v[i];
    return out;
}

/* Every element within so many units in the last place of the expected one, or of `least` if that
 * is larger. */
static void compare_from(const Run *r, const double *want, double ulps, double least)
{
    for (int64_t i = 0; i < shape_elements(&r->node->out->shape); i++) {
        double got = (double)r->out[i], size = fmax(fabs(want[i]), least);
        double unit = 0x1p-149;
        if (size >= 0x1p-126)
            unit = ldexp(1, ilogb(size) - 23);
        if (!(fabs(got - want[i]) <= ulps * unit) && !(isnan(got) && isnan(want[i])))
            fail_msg("%s: element %d is %a, expected %a", r->node->op->name, (int)i, got, want[i]);
    }
}

static void compare(const Run *r, const double *want, double ulps)
{
    compare_from(r, want, ulps, 0);
}

/* Multiples of 2^-10: the difference of two is exact. */
static void random_fill(float *v, int64_t n, uint64_t seed, double lo, double hi)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t h = hash_bytes(seed, &i, sizeof i);
        v[i] = (float)rint((lo + (hi - lo) * ((double)(h >> 11) * 0x1p-53)) * 1024) / 1024;
    }
}

static void shape_dims(const Shape *s, int dim[6])
{
    for (int d = 0; d < s->rank; d++)
        dim[d] = s->dim[d] == DIM_N ? BATCH : (int)s->dim[d];
}

/* ---- functions ---------------------------------------------------------------------------- */
static void test_functions(void **state)
{
    (void)state;
    static const char *const names[] = {"tanh", "sigmoid"};
    static void (*const ref[])(int, const double *, double *) = {ref_tanh, ref_sigmoid};
    static double want[BATCH * 500];
    for (int f = 0; f < 2; f++) {
        Run r = run_begin(names[f], "N,5,100", "");
        random_fill(r.in[0], BATCH * 500, 5, -12, 12);
        const float special[] = {0, INFINITY, -INFINITY, NAN, -0.0f, 1e-42f, -100, 100};
        memcpy(r.in[0], special, sizeof special);
        run_kernel(&r);
        ref[f](BATCH * 500, wide(&r, r.in[0], BATCH * 500), want);
        compare(&r, want, 1);
        assert_int_equal(signbit(r.out[4]) != 0, f == 0);      /* tanh keeps -0 */
        cx_delete(r.cx);
    }
}

/* ---- softmax ------------------------------------------------------------------------------ */
static void softmax_case(const char *op, int axis, int inner, uint64_t seed, double spread)
{
    static double want[MOST];
    char shape[32];
    snprintf(shape, sizeof shape, "N,%d,%d", axis, inner);
    Run r = run_begin(op, shape, "axis=1");
    int64_t n = BATCH * axis * inner;
    random_fill(r.in[0], n, seed, -spread, spread);
    run_kernel(&r);
    const double *x = wide(&r, r.in[0], n);
    bool log = str_eq(op, "log_softmax");
    (log ? ref_log_softmax : ref_softmax)(BATCH, axis, inner, x, want);
    compare_from(&r, want, log ? 2 : 4, log ? 1 : 0);      /* the log of a sum of 1 and more */
    cx_delete(r.cx);
}

/* Random data: one chain of additions was up to 6 units off at these lengths. */
static void test_softmax_is_accurate(void **state)
{
    (void)state;
    static const int axis[] = {1, 7, 16, 17, 112, 231, 1000, 2049, 4100};
    for (size_t i = 0; i < sizeof axis / sizeof axis[0]; i++)
        for (uint64_t seed = 0; seed < 24; seed++) {
            double spread = seed % 3 == 0 ? 0.1 : seed % 3 == 1 ? 3 : 30;
            if (axis[i] <= 1000 || seed < 4)
                softmax_case("softmax", axis[i], 3, seed, spread);
        }
}

static void test_log_softmax(void **state)
{
    (void)state;
    static const int axis[] = {1, 2, 7, 16, 33, 231, 1000};
    for (size_t i = 0; i < sizeof axis / sizeof axis[0]; i++)
        for (uint64_t seed = 0; seed < 6; seed++)
            softmax_case("log_softmax", axis[i], 2, seed, seed % 2 ? 50 : 1);
}

static void test_log_softmax_of_special_values(void **state)
{
    (void)state;
    Run r = run_begin("log_softmax", "N,3", "axis=1");
    const float x[] = {1e30f, -1e30f, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    memcpy(r.in[0], x, sizeof x);
    run_kernel(&r);
    assert_true(r.out[0] == 0 && r.out[1] == -2e30f && r.out[2] == -INFINITY);
    for (int i = 3; i < 6; i++)
        assert_true(isnan(r.out[i]));
    cx_delete(r.cx);
}

/* ---- axes --------------------------------------------------------------------------------- */
static void test_transpose(void **state)
{
    (void)state;
    static double want[MOST];
    static const struct {
        const char *shape, *attrs;
        int perm[6];
    } cases[] = {
        {"N,3,4", "perm=0,2,1", {0, 2, 1}},       {"N,3,4,5", "perm=0,3,1,2", {0, 3, 1, 2}},
        {"N,3,4,5", "perm=0,-2,1,-1", {0, 2, 1, 3}}, {"N,2,3", "perm=0,1,2", {0, 1, 2}},
        {"N,2,3,2,2,3", "perm=0,5,1,4,2,3", {0, 5, 1, 4, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Run r = run_begin("transpose", cases[i].shape, cases[i].attrs);
        const Shape *s = &r.node->in[0]->shape;
        int dim[6];
        shape_dims(s, dim);
        for (int64_t k = 0; k < shape_elements(s); k++)
            r.in[0][k] = (float)k;
        run_kernel(&r);
        ref_transpose(s->rank, dim, cases[i].perm, wide(&r, r.in[0], shape_elements(s)), want);
        compare(&r, want, 0);
        cx_delete(r.cx);
    }
}

static void test_reduce_mean(void **state)
{
    (void)state;
    static double want[MOST];
    static const struct {
        const char *shape, *axis;
        int reduced[6];
    } cases[] = {
        {"N,17,8", "axis=1", {0, 1, 0}},          {"N,17,8", "axis=-1", {0, 0, 1}},
        {"N,3,4,5", "axis=3,1", {0, 1, 0, 1}},    {"N,3,4,5", "axis=2,3", {0, 0, 1, 1}},
        {"N,3,4", "axis=1,2", {0, 1, 1}},         {"N,1,4", "axis=1", {0, 1, 0}},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        char attrs[64];
        snprintf(attrs, sizeof attrs, "%s keepdims=%d", cases[i / 2].axis, (int)(i % 2));
        Run r = run_begin("reduce_mean", cases[i / 2].shape, attrs);
        const Shape *s = &r.node->in[0]->shape;
        int dim[6];
        shape_dims(s, dim);
        run_kernel(&r);
        ref_reduce_mean(s->rank, dim, cases[i / 2].reduced,
                        wide(&r, r.in[0], shape_elements(s)), want);
        compare(&r, want, 0.5);                /* exact sums of integers, one division */
        cx_delete(r.cx);
    }
}

static void test_stretched_arithmetic(void **state)
{
    (void)state;
    static double a[MOST], b[MOST], want[MOST];
    static const char *const shapes[] = {
        "N,3,4 N,1,4", "N,3,4 N,3,1", "N,1,4 N,3,1", "N,3,4,5 N,3,1,1", "N,1 N,7", "N,3,4 N,3,4",
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        Run r = run_begin("sub", shapes[i], "");
        int dim[6], from[2][6], n = (int)shape_elements(&r.node->out->shape);
        shape_dims(&r.node->out->shape, dim);
        for (int k = 0; k < 2; k++) {
            const Shape *s = &r.node->in[k]->shape;
            shape_dims(s, from[k]);
            ref_stretch(s->rank, dim, from[k], wide(&r, r.in[k], shape_elements(s)), k ? b : a);
        }
        run_kernel(&r);
        ref_sub(n, a, b, want);
        compare(&r, want, 0);
        cx_delete(r.cx);
    }
}

static void test_param(void **state)
{
    (void)state;
    Run r = run_begin("param", "", "shape=1,3,4");
    run_kernel(&r);
    for (int i = 0; i < BATCH * 12; i++)
        assert_true(r.out[i] == r.param[0][i % 12]);
    cx_delete(r.cx);
}

static void test_nests_in_double(void **state)
{
    (void)state;
    static const NestCase cases[] = {
        {"tanh", "N,3", ""}, {"sigmoid", "N,3", ""}, {"log_softmax", "N,40", "axis=1"},
        {"softmax", "N,3000", "axis=1"}, {"transpose", "N,3,4", "perm=0,2,1"},
        {"reduce_mean", "N,3,4", "axis=1"}, {"add", "N,3 N,1", ""}, {"param", "", "shape=1,3"},
    };
    check_in_double(cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_softmax_is_accurate),
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_log_softmax_of_special_values), cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_reduce_mean), cmocka_unit_test(test_stretched_arithmetic),
        cmocka_unit_test(test_param), cmocka_unit_test(test_nests_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
