/* The interpreter: a convolution against plain C, the arithmetic of each node, lanes, bounds, and
 * modules in planned memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "loop/loop.h"

static int context_open(void **state)
{
    *state = cx_new();
    return *state == NULL;
}

static int context_close(void **state)
{
    cx_delete(*state);
    return 0;
}

static Kernel *kernel_read(Cx *cx, const char *text)
{
    Kernel *k = kernel_parse(cx, "test.k", text);

    if (k == NULL || !loop_verify(cx, k))
        fail_msg("%s", diags_render(cx->diags, cx->temp, 0, false));
    return k;
}

/* ---- a convolution, built by hand ---------------------------------------------------------- */
enum { OC = 3, IC = 20, HEIGHT = 5, WIDTH = 7, KERNEL = 3 };

typedef struct Conv {
    Kernel *kernel;
    Buffer *x, *w, *y;
} Conv;

static Buffer *parameter(Kernel *k, const char *name, BufferKind kind, int rank,
                         const int64_t *extent)
{
    Buffer *b = kernel_scratch(k, name, TYPE_F32, rank, extent);

    b->kind = kind;
    return b;
}

/* y[oc,oy,ox] = sum of x[ic,oy+ky-1,ox+kx-1] * w[oc,ic,ky,kx] where x has such an element */
static Conv conv_build(Cx *cx)
{
    Conv c = {NEW(cx->perm, Kernel), NULL, NULL, NULL};
    Arena *a = cx->perm;

    c.kernel->arena = a;
    c.kernel->name = "conv";
    c.x = parameter(c.kernel, "x", BUF_IN, 3, (int64_t[]){IC, HEIGHT, WIDTH});
    c.w = parameter(c.kernel, "w", BUF_WEIGHT, 4, (int64_t[]){OC, IC, KERNEL, KERNEL});
    c.y = parameter(c.kernel, "y", BUF_OUT, 3, (int64_t[]){OC, HEIGHT, WIDTH});
    Builder b = build_kernel(c.kernel);
    const Var *oc = build_for(&b, "oc", OC), *oy = build_for(&b, "oy", HEIGHT);
    const Var *ox = build_for(&b, "ox", WIDTH);
    Index at_y[] = {index_var(a, oc), index_var(a, oy), index_var(a, ox)};
    build_store(&b, c.y, at_y, expr_const(a, (Type){TYPE_F32, 1}, 0));
    const Var *ic = build_for(&b, "ic", IC);
    const Var *ky = build_for(&b, "ky", KERNEL), *kx = build_for(&b, "kx", KERNEL);
    Cond inside[] = {{index_make(a, -1, 2, oy, 1, ky, 1), HEIGHT},
                     {index_make(a, -1, 2, ox, 1, kx, 1), WIDTH}};
    Index at_x[] = {index_var(a, ic), inside[0].index, inside[1].index};
    Index at_w[] = {index_var(a, oc), index_var(a, ic), index_var(a, ky), index_var(a, kx)};
    build_if(&b, inside, 2);
    build_store(&b, c.y, at_y, expr_fma(a, expr_load(a, c.x, at_x, 3, 1),
                                        expr_load(a, c.w, at_w, 4, 1),
                                        expr_load(a, c.y, at_y, 3, 1)));
    build_end(&b, 7);
    assert_int_equal(b.depth, 0);
    return c;
}

static float conv_point(const float *x, const float *w, int oc, int oy, int ox)
{
    float sum = 0;

    for (int ic = 0; ic < IC; ic++) {
        for (int ky = 0; ky < KERNEL; ky++) {
            for (int kx = 0; kx < KERNEL; kx++) {
                int iy = oy + ky - 1, ix = ox + kx - 1;
                if (iy >= 0 && iy < HEIGHT && ix >= 0 && ix < WIDTH)
                    sum = fmaf(x[(ic * HEIGHT + iy) * WIDTH + ix],
                               w[((oc * IC + ic) * KERNEL + ky) * KERNEL + kx], sum);
            }
        }
    }
    return sum;
}

/* x in blocks of 16 channels inside a frame of zeros; the kernel's logical accesses stay. */
static void conv_run(Cx *cx, bool blocked)
{
    Conv c = conv_build(cx);
    float x[IC * HEIGHT * WIDTH], w[OC * IC * KERNEL * KERNEL], y[OC * HEIGHT * WIDTH];
    float packed[2 * (HEIGHT + 2) * (WIDTH + 2) * 16];

    for (int i = 0; i < IC * HEIGHT * WIDTH; i++)
        x[i] = (float)((i * 37) % 101 - 50) / 7;
    for (int i = 0; i < OC * IC * KERNEL * KERNEL; i++)
        w[i] = (float)((i * 53) % 89 - 44) / 11;
    if (blocked) {
        c.x->n_storage = 4;
        memcpy(c.x->storage, (StorageDim[]){{0, 0, 16, 0}, {1, 1, 1, 0}, {2, 1, 1, 0},
               {0, 0, 1, 16}}, 4 * sizeof(StorageDim));
        c.x->dim[1].lo = c.x->dim[1].hi = c.x->dim[2].lo = c.x->dim[2].hi = 1;
        memset(packed, 0xff, sizeof packed);
        for (int i = 0; i < IC * HEIGHT * WIDTH; i++) {
            int ic = i / (HEIGHT * WIDTH), iy = i / WIDTH % HEIGHT, ix = i % WIDTH;
            int row = ic / 16 * (HEIGHT + 2) + iy + 1;
            packed[(row * (WIDTH + 2) + ix + 1) * 16 + ic % 16] = x[i];
        }
    }
    assert_true(loop_verify(cx, c.kernel));
    assert_true(kernel_interpret(cx, c.kernel, (void *[]){blocked ? packed : x, w, y}));
    for (int i = 0; i < OC * HEIGHT * WIDTH; i++)
        assert_true(y[i] == conv_point(x, w, i / (HEIGHT * WIDTH), i / WIDTH % HEIGHT, i % WIDTH));
}

static void test_convolution(void **state)
{
    conv_run(*state, false);
    conv_run(*state, true);
}

/* ---- arithmetic ---------------------------------------------------------------------------- */
/* y[i] = expr over x[i] and z[i], f32 */
static void run_pointwise(Cx *cx, const char *expr, int n, const float *x, const float *z, float *y)
{
    Kernel *k = kernel_read(cx, arena_printf(cx->perm, "kernel k(in x: f32[%d], in z: f32[%d], "
                            "out y: f32[%d]) { for i < %d { y[i] = %s; } }", n, n, n, n, expr));

    assert_true(kernel_interpret(cx, k, (void *[]){(void *)(uintptr_t)x, (void *)(uintptr_t)z,
                                                   y}));
}

static void assert_same(float x, float y)
{
    if (isnan(x) || isnan(y))
        assert_true(isnan(x) && isnan(y));
    else
        assert_memory_equal(&x, &y, sizeof x);
}

static void test_f32_rounds_as_float(void **state)
{
    float x[] = {1 / 3.0f, 1e-30f, 16777216, 0.1f, -7}, z[] = {3, 1e-12f, 1, 0.2f, 3}, y[5];

    run_pointwise(*state, "(x[i] + z[i])", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], x[i] + z[i]);
    run_pointwise(*state, "(x[i] / z[i])", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], x[i] / z[i]);
    run_pointwise(*state, "fma(x[i], z[i], -0x1p+0)", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], fmaf(x[i], z[i], -1));
    assert_true(y[0] != 0);
    run_pointwise(*state, "((x[i] * z[i]) - 0x1p+0)", 5, x, z, y);
    assert_same(y[0], 0);
}

static void test_min_max_keep_nan(void **state)
{
    float x[] = {NAN, 1, 0.0f, -0.0f, 2}, z[] = {1, NAN, -0.0f, 0.0f, 3}, y[5];

    run_pointwise(*state, "max(x[i], z[i])", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], (float[]){NAN, NAN, 0.0f, -0.0f, 3}[i]);
    run_pointwise(*state, "min(x[i], z[i])", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], (float[]){NAN, NAN, 0.0f, -0.0f, 2}[i]);
}

static void test_unary(void **state)
{
    float x[] = {2, 2.5f, -3.5f, 0.3f, -0.0f}, y[5];
    static const char *const text[] = {"neg(x[i])", "abs(x[i])", "sqrt(x[i])", "round(x[i])",
                                       "exp(x[i])", "pow_neg_quarters(x[i], 3)"};

    for (int k = 0; k < 6; k++) {
        run_pointwise(*state, text[k], 5, x, x, y);
        for (int i = 0; i < 5; i++) {
            double v = (double)x[i];
            float want[] = {-x[i], fabsf(x[i]), sqrtf(x[i]), rintf(x[i]), (float)exp(v),
                            (float)pow(v, -0.75)};
            assert_same(y[i], want[k]);
        }
    }
    run_pointwise(*state, "pow2i(round(x[i]))", 5, x, x, y);
    assert_same(y[1], 4);
    assert_same(y[2], 0.0625f);
}

static void test_select_and_casts(void **state)
{
    float x[] = {1, 2, NAN, -2.75f, 3e9f}, z[] = {2, 2, 1, 1, 1}, y[5];

    run_pointwise(*state, "select(x[i] < z[i], 0x1p+0, 0x1p+1)", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], (float[]){1, 2, 2, 1, 2}[i]);
    run_pointwise(*state, "select(x[i] != z[i], 0x1p+0, 0x1p+1)", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], (float[]){1, 2, 1, 1, 1}[i]);
    run_pointwise(*state, "f32(i32(x[i]))", 5, x, z, y);
    for (int i = 0; i < 5; i++)
        assert_same(y[i], (float[]){1, 2, -2147483648.0f, -2, -2147483648.0f}[i]);
    run_pointwise(*state, "f32((f64(x[i]) * f64(z[i])))", 5, x, z, y);
    assert_same(y[1], 4);
}

static void test_f64_buffers(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(in x: f64[2], out y: f64[2]) { for i < 2 {"
                            " y[i] = fma(x[i], x[i], x[i]) / 0x1.8p+1; } }");
    double x[] = {0.1, 3}, y[2];

    assert_true(kernel_interpret(cx, k, (void *[]){x, y}));
    for (int i = 0; i < 2; i++)
        assert_true(y[i] == fma(x[i], x[i], x[i]) / 3);
}

/* ---- lanes --------------------------------------------------------------------------------- */
static void test_lanes(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(in x: f32[8], out y: f32[8], out sum: f32[2]) {\n"
                            "  local acc: f32x4[2];\n"
                            "  for i < 2 { acc[i] = x[4*i +: 4]; }\n"
                            "  let b: f32x4 = bcast(x[1], 4);\n"
                            "  var v: f32x4 = acc[1] * b;\n"
                            "  v = v + acc[0];\n"
                            "  y[0 +: 4] = v;\n"
                            "  y[4 +: 4] = y[1 +: 4];\n"
                            "  sum[0] = hsum(v);\n"
                            "  sum[1] = hmax(acc[1]);\n"
                            "}\n");
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {0}, sum[2];

    assert_true(kernel_interpret(cx, k, (void *[]){x, y, sum}));
    for (int i = 0; i < 4; i++)
        assert_same(y[i], x[4 + i] * 2 + x[i]);
    for (int i = 0; i < 4; i++)
        assert_same(y[4 + i], (float[]){14, 17, 20, 0}[i]);
    assert_same(sum[0], 11 + 14 + 17 + 20);
    assert_same(sum[1], 8);
}

/* A local is undefined at each entry of its body. */
static void test_local_starts_as_nan(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(out y: f32[3]) { for i < 3 { local t: f32[1];"
                            " y[i] = t[0]; t[0] = 0x1p+0; } }");
    float y[3];

    assert_true(kernel_interpret(cx, k, (void *[]){y}));
    for (int i = 0; i < 3; i++)
        assert_true(isnan(y[i]));
}

/* ---- violations ---------------------------------------------------------------------------- */
static void test_access_out_of_bounds_is_reported(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_parse(cx, "test.k", "kernel k(in x: f32[4], out y: f32[4]) { # m.yaml:3 c\n"
                             "for i < 2, j < 4 { y[j] = x[i + j]; } }");
    float x[4] = {0}, y[4];

    assert_non_null(k);
    assert_false(kernel_interpret(cx, k, (void *[]){x, y}));
    assert_int_equal(diags_error_count(cx->diags), 1);
    const char *text = diags_render(cx->diags, cx->temp, 0, false);
    assert_non_null(strstr(text, "kernel k (m.yaml:3 c): index 0 of 'x' is 4, outside 0..3"));
    assert_non_null(strstr(text, "j=3 i=1"));
    k = kernel_parse(cx, "test.k", "kernel k(in x: f32[4], out y: f32[4]) {"
                     "for i < 2 { y[2*i +: 4] = x[0 +: 4]; } }");
    assert_false(kernel_interpret(cx, k, (void *[]){x, y}));
    k = kernel_parse(cx, "test.k", "kernel k(in x: f32[1:4:1], out y: f32[4]) {"
                     "for i < 6 { y[0] = x[i - 2]; } }");
    assert_false(kernel_interpret(cx, k, (void *[]){(float[6]){0}, y}));
}

/* ---- modules ------------------------------------------------------------------------------- */
static const char *const MODULE =
    "module m batch 1 type f32 arena 128 blob 64 lower 0;\n"
    "value input x: f32[16];\n"
    "value weight w: f32[16] key \"w\" at 0;\n"
    "value activation a1: f32[16] at 0;\n"
    "value scratch s: f32[16] at 64;\n"
    "value output y: f32[16];\n"
    "kernel k1(in x: f32[16], weight w: f32[16], out y: f32[16]) {"
    " for i < 16 { y[i] = x[i] * w[i]; } }\n"
    "kernel k2(in x: f32[16], out y: f32[16], scratch s: f32[16]) {"
    " for i < 16 { s[i] = x[i]; } for i < 16 { y[i] = s[-1*i + 15]; } }\n"
    "call k1(x, w, a1); call k2(a1, y, s);\n";

typedef struct Seen {
    float weight[16];
    int steps;
    float after_first;
} Seen;

static const void *weight_of(void *user, const Value *v)
{
    Seen *seen = user;

    assert_string_equal(v->key, "w");
    return seen->weight;
}

static void step_seen(void *user, int step, void *const *arg)
{
    Seen *seen = user;

    seen->steps++;
    if (step == 0)
        seen->after_first = ((const float *)arg[2])[3];
}

/* Loops whose turns are computed at once: the same bits as one by one, to which a second store in
 * the loop leads. */
#define ROW_LENGTH 150                   /* more than once the turns that go together */

static const char *const row_sums[] = {
    "y[i] = fma(x[i], z[2*i + 1], x[149 - i] * 0x1.8p+0)",
    "y[i] = max(x[i] / z[i], sqrt(z[i]) - x[3])",
    "y[i] = f32(fma(f64(x[i]), f64(z[i]), exp(f64(z[i]))))",
    "y[i] = select(x[i] < z[i], neg(x[i]), pow_neg_quarters(z[i], 3))",
    "y[149 - i] = x[i] + y[149 - i]",
    "y[i + 1] = y[i] + x[i]",            /* each turn reads what the one before wrote */
    "y[0] = y[0] + x[i]",
    "y[i] = x[i] + t",
};

static void row_run(Cx *cx, const char *sum, const char *second, float *x, float *y)
{
    static float z[2 * ROW_LENGTH];
    const char *text = arena_printf(cx->perm,
        "kernel rows(in x: f32[150], in z: f32[300], out y: f32[151], scratch s: f32[1]) {\n"
        "    for j < 1 {\n        let t: f32 = x[7] * 0x1p-3;\n        for i < 150 {\n"
        "            %s;\n%s        }\n    }\n}\n", sum, second);
    float scratch;

    for (int i = 0; i < 2 * ROW_LENGTH; i++)
        z[i] = 1.0f + (float)(i * 37 % 101) / 7;
    for (int i = 0; i < ROW_LENGTH; i++)
        x[i] = i == 60 ? NAN : (float)(i * 53 % 97 - 40) / 3;
    if (!kernel_interpret(cx, kernel_read(cx, text), (void *[]){x, z, y, &scratch}))
        fail_msg("%s", sum);
}

static void test_rows(void **state)
{
    for (size_t k = 0; k < sizeof row_sums / sizeof *row_sums; k++)
        for (int apart = 0; apart < 3; apart++) {      /* y is x, or one element behind it */
            float one[2][3 * ROW_LENGTH] = {{0}};
            for (int way = 0; way < 2; way++)
                row_run(*state, row_sums[k], way ? "            s[0] = 0x0p+0;\n" : "", one[way],
                        one[way] + (apart == 2 ? ROW_LENGTH : apart));
            if (memcmp(one[0], one[1], sizeof *one) != 0)
                fail_msg("%s, %d apart", row_sums[k], apart);
        }
}

static void test_module(void **state)
{
    Cx *cx = *state;
    Module *m = module_parse(cx, "test.m", MODULE);
    float x[16], y[16];
    Seen seen = {.steps = 0};

    assert_non_null(m);
    assert_true(module_verify(cx, m));
    for (int i = 0; i < 16; i++) {
        x[i] = (float)i;
        seen.weight[i] = (float)(i + 1);
    }
    ModuleRun run = {(void *[]){x}, (void *[]){y}, weight_of, step_seen, &seen};
    assert_true(module_interpret(cx, m, &run));
    for (int i = 0; i < 16; i++)
        assert_same(y[i], (float)((15 - i) * (16 - i)));
    assert_int_equal(seen.steps, 2);
    assert_same(seen.after_first, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_convolution, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_f32_rounds_as_float, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_min_max_keep_nan, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_unary, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_select_and_casts, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_f64_buffers, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_lanes, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_local_starts_as_nan, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_access_out_of_bounds_is_reported, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_rows, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_module, context_open, context_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
