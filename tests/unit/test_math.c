/* What expand-math makes of functions and powers, against libm in long double: at most 4 units in
 * the last place over the whole range, and the same special values.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "passes/passes.h"

#define COUNT 4096
#define WORST 4.0

typedef long double Wide;

static const char *running;            /* for messages */

/* Run `y[i] = CALL` after expand-math over COUNT values. */
static void run(Cx *cx, const char *type, const char *call, void *x, void *y)
{
    running = call;
    const char *text = arena_printf(cx->perm, "kernel k(in x: %s[%d], out y: %s[%d]) {\n"
                                              "for i < %d { y[i] = %s; }\n}\n",
                                    type, COUNT, type, COUNT, COUNT, call);
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find("scalar")};
    Kernel *k = kernel_parse(cx, "math", text);
    assert_non_null(k);
    bool ok = pass_run_kernel(&pc, NULL, pass_find("expand-math"), k);
    void *data[] = {x, y};
    if (!ok || !kernel_interpret(cx, k, data))
        fail_msg("%s", diags_render(cx->diags, cx->perm, 0, false));
    static const char *const functions[] = {"exp(", "log(", "tanh(", "sigmoid(", "pow_neg"};
    for (int i = 0; i < 5; i++)
        assert_null(strstr(kernel_text(cx->perm, k), functions[i]));
}

/* Distance in units in the last place of the expected value, denormals included. */
static double distance(Wide expect, Wide got, int digits, int smallest)
{
    if (isnan(expect) || isnan(got))
        return isnan(expect) && isnan(got) ? 0 : HUGE_VAL;
    if (isinf(expect) || isinf(got))
        return expect == got ? 0 : HUGE_VAL;
    int exponent = expect == 0 ? smallest : ilogbl(expect);
    exponent = exponent < smallest ? smallest : exponent;
    return (double)fabsl(ldexpl(got - expect, digits - exponent));
}

static void check_float(float x, Wide expect, float got)
{
    Wide rounded = (Wide)(float)expect;        /* beyond the range: infinity */
    double d = distance(isinf(rounded) ? rounded : expect, (Wide)got, 23, -126);
    /* next to the overflow either side may round to infinity */
    if (isinf(rounded) != isinf(got))
        d = fabsl(expect) > 0x1.fffff0p+127L && (isinf(got) || got > 0x1.fffff0p+127f) ? 0 : d;
    if (d > WORST)
        fail_msg("%s of %a is %a, expected %La: %f units", running, (double)x, (double)got,
                 expect, d);
}

static void check_double(double x, Wide expect, double got)
{
    Wide rounded = (Wide)(double)expect;
    double d = distance(isinf(rounded) ? rounded : expect, (Wide)got, 52, -1022);
    if (d > WORST)
        fail_msg("%s of %a is %a, expected %La: %f units", running, x, got, expect, d);
}

static float uniform(uint64_t seed, int i, float lo, float hi)
{
    uint64_t h = hash_bytes(seed, &i, sizeof i);
    return lo + (hi - lo) * (float)(h >> 40) * 0x1p-24f;
}

static const float specials[] = {
    0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-149f, 0x1p-126f, 1.0f, -1.0f,
    88.72283f, 88.72284f, 89.0f, 100.0f, 3e38f, -3e38f, -87.33654f, -87.4f, -100.0f, -103.2f,
    -103.9f, -103.98f, -104.0f, -105.0f, -150.0f, 0.34657359f, -0.34657359f, 0.69314718f, 1e-8f,
};

static float special_or(int i, float other)
{
    int n = (int)(sizeof specials / sizeof *specials);
    return i < n ? specials[i] : other;
}

static Wide sigmoid(Wide x)
{
    return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

static const double wide_specials[] = {
    0.0, -0.0, HUGE_VAL, -HUGE_VAL, (double)NAN, 709.782, 709.79, 710, 1000, -745.1, -745.2, -746,
    -1000, -708.4, 1e-300, 1e300, -1e300, 0x1p-1074, -0x1p-1074, 0x1p-1022, 0x1.fffffffffffffp-1,
    0x1.0000000000001p+0, 0x1p-28, 0x1p-29, 20, 0.34657359027997264, 1, -1,
};

/* Values between the bounds, or, where `powers`, two to such powers. */
typedef struct Function {
    const char *call;
    Wide (*expect)(Wide);
    double range[6][2];
    bool powers[6];
} Function;

static const Function float_functions[] = {
    {"exp(x[i])", expl, {{-104, 89}, {-1, 1}, {-88, -86}, {87, 89}, {-104, -87}, {-1e-3, 1e-3}},
     {false}},
    {"tanh(x[i])", tanhl, {{-10, 10}, {-1, 1}, {0.3, 0.4}, {-20, -8}, {-149, 3}, {-16, -10}},
     {false, false, false, false, true, true}},
    {"sigmoid(x[i])", sigmoid, {{-104, 89}, {-1, 1}, {-104, -87}, {8, 20}, {-149, 3}, {-30, 30}},
     {false, false, false, false, true, false}},
    {"log(x[i])", logl, {{-149, 128}, {0.5, 2}, {0.99, 1.01}, {-149, -126}, {-2, 2}, {1, 1000}},
     {true, false, false, true, true, false}},
};

static const Function double_functions[] = {
    {"exp(x[i])", expl, {{-745, 709}, {-1, 1}, {-746, -707}, {708, 710}, {-1e-3, 1e-3}, {-40, 40}},
     {false}},
    {"tanh(x[i])", tanhl, {{-20, 20}, {-1, 1}, {0.3, 0.4}, {-40, -18}, {-1074, 3}, {-30, -26}},
     {false, false, false, false, true, true}},
    {"sigmoid(x[i])", sigmoid, {{-745, 709}, {-1, 1}, {-746, -707}, {18, 40}, {-1074, 3}, {-9, 9}},
     {false, false, false, false, true, false}},
    {"log(x[i])", logl, {{-1074, 1024}, {0.5, 2}, {0.99, 1.01}, {-1074, -1022}, {-2, 2},
                         {1, 1000}}, {true, false, false, true, true, false}},
};

static double value_in(const Function *f, int range, int i)
{
    const double *r = f->range[range];
    double v = r[0] + (r[1] - r[0]) * (double)uniform((uint64_t)range, i, 0, 1);
    return f->powers[range] ? exp2(v) * (i % 2 ? 1 : f->expect == logl ? 1 : -1) : v;
}

static void test_floats(void **state)
{
    static float x[COUNT], y[COUNT];
    Cx *cx = *state;
    for (size_t k = 0; k < sizeof float_functions / sizeof *float_functions; k++) {
        const Function *f = &float_functions[k];
        for (int r = 0; r < 6; r++) {
            for (int i = 0; i < COUNT; i++)
                x[i] = special_or(i, (float)value_in(f, r, i));
            run(cx, "f32", f->call, x, y);
            for (int i = 0; i < COUNT; i++)
                check_float(x[i], f->expect((Wide)x[i]), y[i]);
        }
    }
}

static void test_doubles(void **state)
{
    static double x[COUNT], y[COUNT];
    Cx *cx = *state;
    int n = (int)(sizeof wide_specials / sizeof *wide_specials);
    for (size_t k = 0; k < sizeof double_functions / sizeof *double_functions; k++) {
        const Function *f = &double_functions[k];
        for (int r = 0; r < 6; r++) {
            for (int i = 0; i < COUNT; i++)
                x[i] = i < n ? wide_specials[i] : value_in(f, r, i);
            run(cx, "f64", f->call, x, y);
            for (int i = 0; i < COUNT; i++)
                check_double(x[i], f->expect((Wide)x[i]), y[i]);
        }
    }
}

/* What == cannot see: -0 stays -0. */
static void test_signs(void **state)
{
    static float x[COUNT] = {-0.0f, 0.0f}, y[COUNT];
    run(*state, "f32", "tanh(x[i])", x, y);
    assert_true(signbit(y[0]) && !signbit(y[1]));
}

/* Powers from the smallest normal number on; negative numbers and NaN give NaN, 0 and infinity
 * each other. */
static void test_powers_float(void **state)
{
    static float x[COUNT], y[COUNT];
    Cx *cx = *state;
    for (int k = 1; k <= 8; k++) {
        for (int i = 0; i < COUNT; i++)
            x[i] = ldexpf(1 + uniform((uint64_t)k, i, 0, 1), i % 250 - 125);
        x[0] = 0;
        x[1] = INFINITY;
        x[2] = NAN;
        x[3] = 1;
        run(cx, "f32", arena_printf(cx->perm, "pow_neg_quarters(x[i], %d)", k), x, y);
        for (int i = 0; i < COUNT; i++) {
            Wide expect = powl((Wide)x[i], -(Wide)k / 4);
            if (k <= 4 || (fabsl(expect) > 0x1p-126L && fabsl(expect) < 0x1p+125L) || i < 4)
                check_float(x[i], expect, y[i]);
        }
        x[0] = -4;
        run(cx, "f32", arena_printf(cx->perm, "pow_neg_quarters(x[i], %d)", k), x, y);
        assert_true(k % 4 == 0 || isnan(y[0]));
    }
}

/* What the normalisation of a network asks for: k + a sum of squares, to the power -3/4. */
static void test_powers_double(void **state)
{
    static double x[COUNT], y[COUNT];
    Cx *cx = *state;
    for (int k = 1; k <= 8; k++) {
        for (int i = 0; i < COUNT; i++)
            x[i] = ldexp(1 + (double)uniform((uint64_t)k, i, 0, 1), i % 500 - 250);
        run(cx, "f64", arena_printf(cx->perm, "pow_neg_quarters(x[i], %d)", k), x, y);
        for (int i = 0; i < COUNT; i++)
            check_double(x[i], powl((Wide)x[i], -(Wide)k / 4), y[i]);
    }
}

static int setup(void **state)
{
    *state = cx_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    cx_delete(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_floats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_doubles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_powers_float, setup, teardown),
        cmocka_unit_test_setup_teardown(test_powers_double, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
