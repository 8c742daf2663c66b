/* What expand-math makes of exp and of powers, against libm in double precision: at most 4 units in
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

/* Run `y[i] = CALL` after expand-math over COUNT values. */
static void run(Cx *cx, const char *type, const char *call, void *x, void *y)
{
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
    assert_null(strstr(kernel_text(cx->perm, k), "exp"));
    assert_null(strstr(kernel_text(cx->perm, k), "pow_neg"));
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
        fail_msg("f(%a) is %a, expected %La: %f units", (double)x, (double)got, expect, d);
}

static void check_double(double x, Wide expect, double got)
{
    Wide rounded = (Wide)(double)expect;
    double d = distance(isinf(rounded) ? rounded : expect, (Wide)got, 52, -1022);
    if (d > WORST)
        fail_msg("f(%a) is %a, expected %La: %f units", x, got, expect, d);
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

static void test_exp_float(void **state)
{
    static const float range[][2] = {{-104, 89}, {-1, 1}, {-88, -86}, {87, 89}, {-104, -87}};
    static float x[COUNT], y[COUNT];
    Cx *cx = *state;
    for (size_t r = 0; r < sizeof range / sizeof *range; r++) {
        for (int i = 0; i < COUNT; i++)
            x[i] = special_or(i, uniform(r, i, range[r][0], range[r][1]));
        run(cx, "f32", "exp(x[i])", x, y);
        for (int i = 0; i < COUNT; i++)
            check_float(x[i], expl((Wide)x[i]), y[i]);
    }
}

static void test_exp_double(void **state)
{
    static const double range[][2] = {{-745, 709}, {-1, 1}, {-746, -707}, {708, 710}};
    static const double special[] = {
        0.0, -0.0, HUGE_VAL, -HUGE_VAL, (double)NAN, 709.782, 709.79, 710, 1000, -745.1, -745.2,
        -746, -1000, -708.4, 1e-300, 1e300, -1e300,
    };
    static double x[COUNT], y[COUNT];
    Cx *cx = *state;
    int n = (int)(sizeof special / sizeof *special);
    for (size_t r = 0; r < sizeof range / sizeof *range; r++) {
        for (int i = 0; i < COUNT; i++)
            x[i] = i < n ? special[i]
                         : range[r][0] + (range[r][1] - range[r][0]) *
                                             (double)uniform(r, i, 0, 1);
        run(cx, "f64", "exp(x[i])", x, y);
        for (int i = 0; i < COUNT; i++)
            check_double(x[i], expl((Wide)x[i]), y[i]);
    }
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
        cmocka_unit_test_setup_teardown(test_exp_float, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exp_double, setup, teardown),
        cmocka_unit_test_setup_teardown(test_powers_float, setup, teardown),
        cmocka_unit_test_setup_teardown(test_powers_double, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
