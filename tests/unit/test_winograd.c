/* Winograd's convolutions: the matrices of every F(m, r), and the whole nest by the interpreter,
 * bit by bit equal to the oracle. Weights are multiples of what the matrix G divides by, and both
 * they and the inputs are sparse, so that every intermediate value is a float.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nests_fixture.h"
#include "ref.h"

/* The odd part of what the rows of G have as denominators, as least common multiple: products of
 * the distances between the points 0, 1, -1, 1/2, -2, -1/2, 2, here times 2. */
static int64_t odd_divisor(int64_t alpha)
{
    static const int64_t point[] = {0, 2, -2, 1, -4, -1, 4};
    int64_t common = 1;
    for (int i = 0; i < alpha - 1; i++) {
        int64_t product = 1;
        for (int k = 0; k < alpha - 1; k++)
            product *= k == i ? 1 : point[i] - point[k];
        product = product < 0 ? -product : product;
        while (product % 2 == 0)
            product /= 2;
        int64_t a = common, b = product;
        while (b) {
            int64_t rest = a % b;
            a = b;
            b = rest;
        }
        common *= product / a;
    }
    return common;
}

/* -1, 0 or 1, one of `every` not 0. */
static float sparse(uint64_t seed, int64_t i, uint64_t every)
{
    uint64_t h = hash_bytes(seed, &i, sizeof i);
    return h % every ? 0 : h / every % 2 ? 1 : -1;
}

static void fill(float *data, int64_t n, uint64_t seed, uint64_t every, int64_t scale)
{
    for (int64_t i = 0; i < n; i++)
        data[i] = sparse(seed, i, every) * (float)scale;
}

static double *doubles(Cx *cx, const float *data, int64_t n)
{
    double *d = NEW_ARRAY(cx->perm, double, n);
    for (int64_t i = 0; i < n; i++)
        d[i] = (double)data[i];
    return d;
}

static double *oracle(const Run *r)
{
    const Node *n = r->node;
    Window w = node_window(n);
    const RefWindow p = {.n = BATCH, .ih = (int)w.in[0], .iw = (int)w.in[1],
                         .kh = (int)w.kernel[0], .kw = (int)w.kernel[1], .sh = (int)w.stride[0],
                         .sw = (int)w.stride[1], .dh = 1, .dw = 1, .top = (int)w.pad[0],
                         .left = (int)w.pad[1], .bottom = (int)w.pad[2], .right = (int)w.pad[3]};
    double *y = NEW_ARRAY(r->cx->perm, double, shape_elements(&n->out->shape));
    ref_conv(&p, (int)n->in[0]->shape.dim[1], (int)n->out->shape.dim[1],
             (int)node_int(n, "groups"),
             doubles(r->cx, r->in[0], shape_elements(&n->in[0]->shape)),
             doubles(r->cx, r->param[0], shape_elements(&n->param[0].shape)),
             n->n_param > 1 ? doubles(r->cx, r->param[1], n->out->shape.dim[1]) : NULL, y);
    return y;
}

static Run winograd_begin(const char *input, const char *attrs, const char *algo)
{
    Run r = run_begin("conv", input, attrs);
    WinogradForm f;
    r.algo = algo;
    if (!winograd_form(r.node, algo, &f))
        fail_msg("%s: %s has no %s", input, attrs, algo);
    int64_t divisor = odd_divisor(f.m + f.r - 1);
    fill(r.in[0], shape_elements(&r.node->in[0]->shape), 1, 5, 1);
    fill(r.param[0], shape_elements(&r.node->param[0].shape), 2, 9, divisor * divisor);
    return r;
}

static void check_exact(const char *input, const char *attrs, const char *algo)
{
    Run r = winograd_begin(input, attrs, algo);
    const double *want = oracle(&r);
    int64_t others = 0, n = shape_elements(&r.node->out->shape);
    run_kernel(&r);
    for (int64_t i = 0; i < n; i++) {
        others += want[i] != want[0];
        if ((double)r.out[i] != want[i])
            fail_msg("%s, %s, %s: element %lld is %.9g, not %.9g", input, attrs, algo,
                     (long long)i, (double)r.out[i], want[i]);
    }
    assert_true(n == 1 || others > 0);
    cx_delete(r.cx);
}

/* ---- the matrices ------------------------------------------------------------------------- */
static const float *made_data(const Run *r, const NestCx *nx, int which)
{
    const Made *made = &nx->made[which];
    float *data = NEW_ARRAY(r->cx->perm, float, buffer_elements(made->buffer));
    const void *from[MAX_SOURCES] = {r->param[0]};
    Value v = {.name = "made", .kind = VALUE_WEIGHT, .shape = *made->buffer, .make = made->make};
    assert_true(value_make(r->cx, &v, made->n_params ? from : NULL, data));
    return data;
}

/* Of one kernel k e e' with a single tap: sum over p and q of A[i,p] A[j,q] B[p,y] B[q,x] U[p,q] is
 * k where y = i + row and x = j + column, else 0, exactly. With separable B and A it is enough to
 * look at the rows for one column of U after the other. */
static void check_tap(const float *a, const float *b, const float *u, int64_t m, int64_t alpha,
                      int64_t row, int64_t column, double scale)
{
    double half[8][8][8];              /* i, y, q: sum over p */
    for (int64_t i = 0; i < m; i++)
        for (int64_t y = 0; y < alpha; y++)
            for (int64_t q = 0; q < alpha; q++) {
                half[i][y][q] = 0;
                for (int64_t p = 0; p < alpha; p++)
                    half[i][y][q] += (double)a[i * alpha + p] * (double)b[p * alpha + y] *
                                     (double)u[(p * alpha + q) * 16 * 16];
            }
    for (int64_t i = 0; i < m; i++)
        for (int64_t y = 0; y < alpha; y++)
            for (int64_t j = 0; j < m; j++)
                for (int64_t x = 0; x < alpha; x++) {
                    double sum = 0;
                    for (int64_t q = 0; q < alpha; q++)
                        sum += (double)a[j * alpha + q] * (double)b[q * alpha + x] * half[i][y][q];
                    double want = y == i + row && x == j + column ? scale : 0;
                    if (sum != want)
                        fail_msg("F(%lld): tap %lld %lld of output %lld %lld at %lld %lld: %g",
                                 (long long)m, (long long)row, (long long)column, (long long)i,
                                 (long long)j, (long long)y, (long long)x, sum);
                }
}

static void check_tables(int64_t m, int64_t r)
{
    char attrs[64], algo[32];
    int64_t alpha = m + r - 1, scale = odd_divisor(alpha) * odd_divisor(alpha);
    snprintf(attrs, sizeof attrs, "out=16 kernel=%d bias=0", (int)r);
    snprintf(algo, sizeof algo, "winograd %d", (int)m);
    for (int64_t tap = 0; tap < r * r; tap++) {
        Run run = winograd_begin("N,16,8,8", attrs, algo);
        WinogradForm f;
        assert_true(winograd_form(run.node, algo, &f));
        fill(run.param[0], 16 * 16 * r * r, 0, 1, 0);
        run.param[0][tap] = (float)scale;      /* of input channel 0 to output channel 0 */
        run.kernel = NEW(run.cx->perm, Kernel);
        *run.kernel = (Kernel){.arena = run.cx->perm, .name = "k"};
        NestCx nx = {.kernel = run.kernel, .arena = run.cx->perm, .node = run.node};
        nx.in[0] = buffer_make(&run, "x", BUF_IN, &run.node->in[0]->shape);
        nx.param[0] = buffer_make(&run, "weight", BUF_WEIGHT, &run.node->param[0].shape);
        nx.out = buffer_make(&run, "y", BUF_OUT, &run.node->out->shape);
        winograd_nest(&nx, &f);
        assert_int_equal(nx.n_made, 3);
        check_tap(made_data(&run, &nx, 0), made_data(&run, &nx, 1), made_data(&run, &nx, 2), m,
                  alpha, tap / r, tap % r, (double)scale);
        cx_delete(run.cx);
    }
}

static void test_tables(void **state)
{
    (void)state;
    int forms = 0;
    for (int64_t m = 2; m <= 7; m++)
        for (int64_t r = 2; m + r - 1 <= 8; r++, forms++)
            check_tables(m, r);
    assert_int_equal(forms, 21);
}

/* ---- the nest ----------------------------------------------------------------------------- */
static void test_forms(void **state)
{
    (void)state;
    for (int r = 2; r <= 7; r++)
        for (int m = 2; m + r - 1 <= 8; m++) {
            char attrs[64], algo[32];
            snprintf(attrs, sizeof attrs, "out=16 kernel=%d pad=%d", r, r / 2);
            snprintf(algo, sizeof algo, "winograd %d", m);
            check_exact("N,16,9,7", attrs, algo);
        }
}

/* Kernels that the stride divides and that it does not, up to one tap in the last channel. */
static void test_strides(void **state)
{
    (void)state;
    static const char *const shape[][3] = {
        {"N,4,11,9", "out=16 kernel=3 stride=2 pad=1", "winograd 4"},
        {"N,4,12,9", "out=16 kernel=4 stride=2 pad=1", "winograd 2"},
        {"N,8,13,10", "out=32 kernel=5 stride=2 pad=2,1,0,2", "winograd 3"},
        {"N,16,13,14", "out=16 kernel=7 stride=3 pad=3", "winograd 4"},
        {"N,16,9,9", "out=16 kernel=4 stride=3", "winograd 2"},
        {"N,1,23,27", "out=16 kernel=11 stride=4 pad=2", "winograd 4"},
        {"N,3,24,21", "out=32 kernel=8 stride=4 pad=1", "winograd 2"},
        {"N,1,19,33", "out=16 kernel=9 stride=8 pad=1", "winograd 3"},
        {"N,8,11,12", "out=64 kernel=3 stride=2 groups=2", "winograd 4 rows 1"},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        check_exact(shape[i][0], shape[i][1], shape[i][2]);
}

/* Channels that are no whole blocks. */
static void test_filled_up(void **state)
{
    (void)state;
    static const char *const shape[][3] = {
        {"N,1,8,8", "out=16 kernel=3 pad=1", "winograd 2"},
        {"N,17,8,7", "out=16 kernel=3", "winograd 4 rows 1"},
        {"N,10,8,9", "out=32 kernel=3 pad=1 groups=2", "winograd 2"},
        {"N,6,8,8", "out=16 kernel=3 stride=2", "winograd 2"},
        {"N,3,21,18", "out=16 kernel=7 stride=2 pad=3", "winograd 4"},
        {"N,6,11,8", "out=32 kernel=5 stride=2 pad=2 groups=2", "winograd 3"},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        check_exact(shape[i][0], shape[i][1], shape[i][2]);
}

static void test_groups_pads_tails(void **state)
{
    (void)state;
    static const char *const shape[][3] = {
        {"N,32,6,6", "out=32 kernel=3 pad=1 groups=2", "winograd 4"},
        {"N,48,5,7", "out=96 kernel=3 pad=1 groups=3", "winograd 2"},
        {"N,48,5,5", "out=48 kernel=5 pad=2 groups=3 bias=0", "winograd 3"},
        {"N,16,5,6", "out=16 kernel=3 pad=2,0,1,3", "winograd 4"},
        {"N,16,5,6", "out=16 kernel=3 pad=0,3,2,0 bias=0", "winograd 3"},
        {"N,16,3,3", "out=16 kernel=3 pad=5", "winograd 4"},           /* tiles of padding alone */
        {"N,16,3,3", "out=16 kernel=3", "winograd 4"},                  /* one output */
        {"N,16,1,20", "out=16 kernel=3 pad=1", "winograd 6"},
        {"N,16,20,1", "out=16 kernel=3 pad=1", "winograd 5"},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        check_exact(shape[i][0], shape[i][1], shape[i][2]);
    for (int out = 1; out <= 13; out++) {          /* every rest of every tile */
        char input[32], algo[32];
        snprintf(input, sizeof input, "N,16,%d,%d", out, 14 - out);
        snprintf(algo, sizeof algo, "winograd %d", 2 + out % 3);
        check_exact(input, "out=16 kernel=3 pad=1", algo);
    }
}

/* Bands of every divisor of the tile rows give the same bits, on any data. */
static void test_bands(void **state)
{
    (void)state;
    static const char *const attrs[] = {"out=16 kernel=3 pad=1", "out=32 kernel=5 pad=2"};
    for (int k = 0; k < 2; k++) {
        Cx *first = NULL;                      /* of the whole, which the bands are compared with */
        const float *whole = NULL;
        for (int band = 12; band >= 1; band--) {
            char algo[32];
            snprintf(algo, sizeof algo, "winograd 2 rows %d", band);
            Run r = run_begin("conv", "N,16,23,5", attrs[k]);
            WinogradForm f;
            assert_int_equal(winograd_form(r.node, algo, &f), 12 % band == 0);
            if (12 % band == 0) {
                r.algo = algo;
                run_kernel(&r);
                whole = band == 12 ? r.out : whole;
                assert_memory_equal(r.out, whole,
                                    sizeof(float) * (size_t)shape_elements(&r.node->out->shape));
            }
            if (band == 12)
                first = r.cx;
            else
                cx_delete(r.cx);
        }
        cx_delete(first);
    }
}

/* Infinity and NaN stay within the tiles that see them. */
static void test_special_values(void **state)
{
    (void)state;
    static const float special[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        Run r = winograd_begin("N,16,13,13", "out=16 kernel=3 pad=1", "winograd 4");
        const double *want = oracle(&r);
        r.in[0][(1 * 16 + 3) * 169 + 6 * 13 + 5] = special[k];     /* item 1, row 6, column 5 */
        run_kernel(&r);
        int spread = 0;
        for (int64_t i = 0; i < BATCH * 16 * 169; i++) {
            int64_t y = i / 13 % 13, x = i % 13;
            bool near = i >= 16 * 169 && y / 4 == 1 && x / 4 == 1;
            assert_true(near || (double)r.out[i] == want[i]);
            spread += near && !isfinite(r.out[i]);
        }
        assert_true(spread >= 16 * 9);             /* what the direct sum would lose, at least */
        cx_delete(r.cx);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const shape[][3] = {
        {"N,16,8,8", "out=16 kernel=3", ""}, {"N,16,8,8", "out=16 kernel=3", "winograd"},
        {"N,16,8,8", "out=16 kernel=3", "winograd "}, {"N,16,8,8", "out=16 kernel=3", "winograd 1"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 0"},
        {"N,16,8,8", "out=16 kernel=3", "winograd -2"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 7"},
        {"N,16,8,8", "out=16 kernel=7", "winograd 3"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 4 "},
        {"N,16,8,8", "out=16 kernel=3", "winograd 4x"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 40000"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows 0"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows 2"},      /* of 3 */
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows 6"},
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows 3 "},
        {"N,16,8,8", "out=16 kernel=3", "winograd 2 rows 00003"},
        {"N,16,8,8", "out=8 kernel=3", "winograd 2"},
        {"N,16,8,8", "out=40 kernel=3", "winograd 2"},
        {"N,32,8,8", "out=16 kernel=3 groups=2", "winograd 2"},
        {"N,16,8,8", "out=16 kernel=3,2", "winograd 2"},
        {"N,16,8,8", "out=16 kernel=3 stride=2,1", "winograd 2"},
        {"N,16,8,8", "out=16 kernel=3 dilation=2", "winograd 2"},
        {"N,16,8,8", "out=16 kernel=1", "winograd 2"},
        {"N,16,8,8", "out=16 kernel=2 stride=2", "winograd 2"},     /* one tap */
        {"N,16,18,18", "out=16 kernel=18 stride=9", "winograd 2"},
        {"N,16,8", "out=16 kernel=3", "winograd 2"},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        Run r = run_begin("conv", shape[i][0], shape[i][1]);
        WinogradForm f;
        if (winograd_form(r.node, shape[i][2], &f))
            fail_msg("%s, %s: has %s", shape[i][0], shape[i][1], shape[i][2]);
        cx_delete(r.cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables), cmocka_unit_test(test_forms), cmocka_unit_test(test_strides),
        cmocka_unit_test(test_filled_up),
        cmocka_unit_test(test_groups_pads_tails), cmocka_unit_test(test_bands),
        cmocka_unit_test(test_special_values), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
