/* Kernels written by hand, as C through the system compiler, against the interpreter, bit by bit;
 * names, comments and refusals; a whole network through its generated interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emit_fixture.h"
#include "net2c_rt.h"

enum { MAX_BUFFERS = 8 };

static const Row *const SCALAR_ROW[] = {&row_scalar};

static Kernel *kernel_read(Cx *cx, const char *text)
{
    Kernel *k = kernel_parse(cx, "kernel", text);
    if (!k || !loop_verify(cx, k))
        print_diags(cx);
    assert_non_null(k);
    assert_int_equal(diags_error_count(cx->diags), 0);
    return k;
}

/* Data of every buffer: special values between small numbers, or integers alone. */
static void fill(const Kernel *k, float **data, bool integers)
{
    uint32_t r = 12345;
    for (int i = 0; i < k->n_buffers; i++) {
        for (int64_t e = 0; e < buffer_elements(k->buffer[i]); e++) {
            r = r * 1664525u + 1013904223u;
            float v = (float)((int)(r >> 24) % 17 - 8);
            if (!integers)
                v = (r >> 8) % 5 == 0 ? (float)SPECIAL[(r >> 12) % N_SPECIAL] : v * 0.37f;
            data[i][e] = v;
        }
    }
}

/* The kernel as a function void call(float *const *p). */
static CcModule *kernel_compile(Cx *cx, const Kernel *k, const Row *row)
{
    Str c = str_new(cx->perm);
    emit_c_prelude(&c, &row, 1, TYPE_F32, "net2c_rt.h");
    if (!emit_c_kernel(cx, &c, k, row, 1)) {
        print_diags(cx);
        return NULL;
    }
    str_printf(&c, "void call(float *const *p);\nvoid call(float *const *p)\n{\n    %s_%s(%s",
               k->name, row->name, emit_tasks_of(cx->perm, k) ? "NULL, " : "");
    for (int i = 0; i < k->n_buffers; i++)
        str_printf(&c, "%sp[%d]", i ? ", " : "", i);
    str_add(&c, ");\n}\n");
    return compile_c(cx, c.data);
}

static void check_kernel(const char *text, const char *row_name, bool integers)
{
    Cx *cx = cx_new();
    const Row *row = row_find(row_name);
    if (row_runs(row)) {
        Kernel *k = kernel_read(cx, text);
        float *want[MAX_BUFFERS], *got[MAX_BUFFERS];
        for (int i = 0; i < k->n_buffers; i++) {
            want[i] = NEW_ARRAY(cx->perm, float, buffer_elements(k->buffer[i]));
            got[i] = NEW_ARRAY(cx->perm, float, buffer_elements(k->buffer[i]));
        }
        fill(k, want, integers);
        fill(k, got, integers);
        CcModule *m = kernel_compile(cx, k, row);
        assert_non_null(m);
        void (*call)(float *const *) = (void (*)(float *const *))(uintptr_t)cc_symbol(cx, m,
                                                                                      "call");
        call(got);
        assert_true(kernel_interpret(cx, k, (void *const *)want));
        for (int i = 0; i < k->n_buffers; i++)
            for (int64_t e = 0; e < buffer_elements(k->buffer[i]); e++)
                if (!same_f32(want[i][e], got[i][e]))
                    fail_msg("%s on %s: %s[%d] is %a, not %a", k->name, row->name,
                             k->buffer[i]->name, (int)e, (double)got[i][e], (double)want[i][e]);
        cc_unload(m);
    }
    cx_delete(cx);
}

/* ---- kernels -------------------------------------------------------------------------------- */

/* Guards, a negative factor, a halo and a window: an untiled convolution. */
static const char CONV[] =
    "kernel conv(in x: f32[3, 7], weight w: f32[4, 3, 3], weight b: f32[4], out y: f32[4, 1:4:2])"
    " physical { # net.yaml:1 conv */ oops /* \n"
    "  for oc < 4, ox < 4 { y[oc, ox + 1] = b[oc]; }\n"
    "  for oc < 4, ox < 4, ic < 3, kx < 3 {\n"
    "    if (0 <= 2*ox + kx - 1 < 7) {\n"
    "      y[oc, ox + 1] = fma(x[ic, 2*ox + kx - 1], w[oc, ic, 2 - kx], y[oc, ox + 1]);\n"
    "  } }\n"
    "  parallel oc < 4 { for ox < 4 { y[oc, ox + 1] = max(y[oc, ox + 1], 0x0p+0); } }\n"
    "}\n";

/* Everything scalar code can say, on special values. */
static const char SCALAR[] =
    "kernel scalar(in a: f32[64], in b: f32[64], out y: f32[16, 64]) physical {\n"
    "  for i < 64 {\n"
    "    let t: f32 = a[i] + b[i]; var v: f32 = a[i] - b[i];\n"
    "    local buf: f32[2, 1:2:1]; # a local with a halo\n"
    "    buf[1, -1] = t * v; buf[0, 2] = a[i] / b[i];\n"
    "    v = neg(buf[1, -1]);\n"
    "    y[0, i] = t; y[1, i] = v; y[2, i] = buf[0, 2];\n"
    "    y[3, i] = max(a[i], b[i]); y[4, i] = min(a[i], b[i]);\n"
    "    y[5, i] = max(a[i], 0x0p+0); y[6, i] = max(0x0p+0, a[i]); y[7, i] = min(-0x0p+0, a[i]);\n"
    "    y[8, i] = max(-inf, a[i]); y[9, i] = min(a[i], nan);\n"
    "    y[10, i] = abs(a[i]); y[11, i] = sqrt(b[i]); y[12, i] = round(a[i]);\n"
    "    y[13, i] = select(a[i] < b[i], t, v); y[14, i] = select(a[i] != b[i], 0x1.8p-3, inf);\n"
    "    y[15, i] = select(neg(-0x1p+0:f32) <= a[i], max(0x1.8p+1, b[i]), f32(i32(0x1p+1:f32)));\n"
    "  }\n"
    "}\n";

static const char VECTOR[] =
    "kernel vector(in a: f32[8, 16], in b: f32[8, 16], out y: f32[18, 8, 16], out s: f32[3, 8])"
    " physical {\n"
    "  for i < 8 {\n"
    "    let x: f32x16 = a[i, 0 +: 16];\n"
    "    let z: f32x16 = b[i, 0 +: 16];\n"
    "    local r: f32x16[2]; r[1] = x + z; r[0] = x - z;\n"
    "    local m: f32[16]; m[0 +: 16] = x * z;\n"
    "    y[0, i, 0 +: 16] = r[1] / r[0];\n"
    "    y[1, i, 0 +: 16] = fma(x, bcast(b[i, 3], 16), m[0 +: 16]);\n"
    "    y[2, i, 0 +: 16] = max(x, z); y[3, i, 0 +: 16] = min(x, z);\n"
    "    y[4, i, 0 +: 16] = max(x, 0x0p+0); y[5, i, 0 +: 16] = max(0x0p+0, x);\n"
    "    y[6, i, 0 +: 16] = min(-0x0p+0, x); y[7, i, 0 +: 16] = max(-inf, x);\n"
    "    y[8, i, 0 +: 16] = neg(x); y[9, i, 0 +: 16] = abs(x);\n"
    "    y[10, i, 0 +: 16] = sqrt(abs(x)); y[11, i, 0 +: 16] = round(z);\n"
    "    y[12, i, 0 +: 16] = select(x < z, x, z); y[13, i, 0 +: 16] = select(x <= z, z, x);\n"
    "    y[14, i, 0 +: 16] = select(x == z, 0x1p+0, x);\n"
    "    y[15, i, 0 +: 16] = select(x != z, x, nan);\n"
    "    y[16, i, 0 +: 16] = pow2i(select(abs(z) < 0x1p+6, round(z), -0x1p+6));\n"
    "    y[17, i, 0 +: 16] = bcast(fma(b[i, 1], a[i, 2], sqrt(b[i, 0])), 16);\n"
    "    s[0, i] = hsum(x); s[1, i] = hmax(x * z); s[2, i] = hmin(z) + hsum(x - z);\n"
    "  }\n"
    "}\n";

/* Names that are no C names, that C forbids, that become alike, or that are taken. */
static const char NAMES[] =
    "kernel names(in \"int\": f32[4], in \"a.b\": f32[4], in a_b: f32[4], in \"1x*/\": f32[4],\n"
    "  out n2c_max_f32: f32[4], out _mm512_add_ps: f32[4], out NULL: f32[4]) physical {\n"
    "  for \"for\" < 4 { n2c_max_f32[\"for\"] = max(\"int\"[\"for\"], \"a.b\"[\"for\"]); }\n"
    "  for \"for\" < 4 { let \"a-b\": f32 = a_b[\"for\"] * \"1x*/\"[\"for\"];\n"
    "    _mm512_add_ps[\"for\"] = \"a-b\"; NULL[\"for\"] = \"a-b\" + \"a.b\"[\"for\"]; }\n"
    "}\n";

static void test_kernels(void **state)
{
    (void)state;
    check_kernel(CONV, "scalar", true);
    check_kernel(CONV, "avx512", true);
    check_kernel(CONV, "avx512", false);
    check_kernel(SCALAR, "scalar", false);
    check_kernel(SCALAR, "avx512", false);
    check_kernel(VECTOR, "avx512", false);
    check_kernel(VECTOR, "avx512", true);
    check_kernel(NAMES, "scalar", false);
    check_kernel(NAMES, "avx512", false);
}

static void test_refused(void **state)
{
    static const char *const text[] = {
        "kernel k(in x: f32[4], out y: f32[4]) { for i < 4 { y[i] = x[i]; } }",
        "kernel k(in x: f32[4], out y: f32[4]) physical { unroll i < 4 { y[i] = x[i]; } }",
        "kernel k(in x: f32[4], out y: f32[4]) physical { vector i < 4 { y[i] = x[i]; } }",
        "kernel k(in x: f32[4], out y: f32[4]) physical { y[0 +: 4] = x[0 +: 4]; }",
        "kernel k(in x: f32[4], out y: f32[4]) physical { for i < 4 { y[i] = exp(x[i]); } }",
        "kernel \"k 1\"(in x: f32[4], out y: f32[4]) physical { for i < 4 { y[i] = x[i]; } }",
    };
    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        Cx *cx = cx_new();
        Str out = str_new(cx->perm);
        Kernel *k = kernel_read(cx, text[i]);
        assert_false(emit_c_kernel(cx, &out, k, &row_scalar, 1));
        assert_int_equal(diags_error_count(cx->diags), 1);
        assert_string_equal(diags_get(cx->diags, 0)->code, "E0961");
        cx_delete(cx);
    }
}

static void test_lines(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Str out = str_new(cx->perm);
    Kernel *k = kernel_read(cx, VECTOR);
    k->origin = "a long origin, \xc3\xa9 and \n a line, */ and /* /*/ with many words that go "
                "on and on until the line has to be broken somewhere, at best at a space, forever";
    assert_true(emit_c_kernel(cx, &out, k, &row_avx512, 1));
    for (char *p = out.data, *end; (end = strchr(p, '\n')); p = end + 1)
        if (end - p > 100)
            fail_msg("too long: %.*s", (int)(end - p), p);
    for (char *p = out.data; *p; p++)
        assert_true(*p == '\n' || (*p >= 32 && *p < 127));
    cx_delete(cx);
}

/* ---- a network ------------------------------------------------------------------------------ */

/* For n items in a call. */
#define NET(n) \
    "module net row \"scalar\" batch " n " type f32 arena 64 blob 256 lower 64;\n" \
    "value input \"Im.age\": f32[" n ", 8];\n" \
    "value weight fc.w: f32[8, 8] as [d0/8, d1, d0%8] key \"fc.weight\" from [8, 8] at 0;\n" \
    "value activation t: f32[" n ", 8] at 0 live 0 to 1;\n" \
    "value output \"im.age\": f32[" n ", 8];\n" \
    "kernel relu(in x: f32[" n ", 8], out y: f32[" n ", 8]) physical {\n" \
    "  for n < " n ", i < 8 { y[n, i] = max(x[n, i], 0x0p+0); }\n" \
    "}\n" \
    "kernel fc(in x: f32[" n ", 8], weight w: f32[8, 8] as [d0/8, d1, d0%8], " \
    "out y: f32[" n ", 8])" \
    " physical {\n" \
    "  for n < " n ", o < 8 { y[n, o] = 0x0p+0; }\n" \
    "  for n < " n ", o < 8, i < 8 { y[n, o] = fma(x[n, i], w[0, i, o], y[n, o]); }\n" \
    "}\n" \
    "call relu(\"Im.age\", t);\n" \
    "call fc(t, fc.w, \"im.age\");\n"

typedef struct NetModel { const void *weights; uint32_t isa; } NetModel;
typedef struct NetIo { const float *in; float *out; } NetIo;

typedef struct Net {
    Cx *cx;
    CcModule *m;
    uint8_t *weights;
    size_t bytes;
    NetModel model;
    n2c_status (*bind)(NetModel *, const void *, size_t);
    n2c_status (*run)(const NetModel *, const NetIo *, size_t, void *, const n2c_exec *);
    n2c_status (*check)(const NetModel *);
    const n2c_info *(*info)(void);
} Net;

static float weight[64];

static bool tensor(void *user, const char *key, Bytes *out)
{
    (void)user;
    *out = (Bytes){(const uint8_t *)weight, sizeof weight};
    return str_eq(key, "fc.weight");
}

static void done(void *user, Bytes consumed)
{
    (void)user;
    (void)consumed;
}

/* All files into a folder, compiled and loaded; weights read back. */
static void net_open(Net *n, const char *base)
{
    static const BlobSource source = {tensor, done, NULL};
    char folder[] = "/tmp/net2c-test.XXXXXX";
    const void *data;
    EmitFiles files;
    n->cx = cx_new();
    assert_non_null(mkdtemp(folder));
    Module *m = module_parse(n->cx, "net", NET("2"));
    Module *const sized[] = {m, module_parse(n->cx, "net", NET("1"))};
    const EmitOptions options = {base, "--test */ \xff", "0.0", SCALAR_ROW, 1, WEIGHTS_FILE,
                                 NULL, sized, 2};
    if (!m || !sized[1] || !emit_c_files(n->cx, m, &options, &files))
        print_diags(n->cx);
    assert_non_null(m);
    const char *stem = arena_printf(n->cx->perm, "%s/%s", folder, base);
    const char *c = arena_printf(n->cx->perm, "%s.c", stem);
    const char *h = arena_printf(n->cx->perm, "%s.h", stem);
    const char *w = arena_printf(n->cx->perm, "%s.n2w", stem);
    assert_true(file_write(n->cx, c, files.c.data, files.c.len));
    assert_true(file_write(n->cx, h, files.h.data, files.h.len));
    assert_true(blob_write(n->cx, w, m, files.model_hash, &source));
    n->m = cc_load(n->cx, c, NET2C_INCLUDE_DIR, NULL, NULL);
    if (!n->m)
        print_diags(n->cx);
    assert_non_null(n->m);
    assert_int_equal(n2c_map_weights(w, &data, &n->bytes), N2C_OK);
    n->weights = n2c_aligned_alloc(n->bytes);
    memcpy(n->weights, data, n->bytes);
    n2c_unmap_weights(data, n->bytes);
    unlink(c);
    unlink(h);
    unlink(w);
    rmdir(folder);
    *(void **)&n->bind = cc_symbol(n->cx, n->m, "net_bind");
    *(void **)&n->run = cc_symbol(n->cx, n->m, "net_run");
    *(void **)&n->check = cc_symbol(n->cx, n->m, "net_check");
    *(void **)&n->info = cc_symbol(n->cx, n->m, "net_info");
}

static void net_close(Net *n)
{
    n2c_aligned_free(n->weights);
    cc_unload(n->m);
    cx_delete(n->cx);
}

static void expected(const float *x, float *y)
{
    for (int o = 0; o < 8; o++) {
        y[o] = 0;
        for (int i = 0; i < 8; i++)
            y[o] += (x[i] > 0 ? x[i] : 0) * weight[8 * o + i];
    }
}

static void test_network(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char arena[64];
    static float in[5 * 8], out[5 * 8], want[8];
    Net n = {0};
    for (int i = 0; i < 64; i++)
        weight[i] = (float)(i % 7 - 3);
    for (int i = 0; i < 40; i++)
        in[i] = (float)(i % 11 - 4);
    net_open(&n, "net_gen");
    const NetIo io = {in, out};
    assert_int_equal(n.run(&n.model, &io, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.bind(&n.model, n.weights, n.bytes), N2C_OK);
    assert_int_equal(n.check(&n.model), N2C_OK);
    for (size_t batch = 1; batch <= 5; batch++) {
        memset(out, 0, sizeof out);
        assert_int_equal(n.run(&n.model, &io, batch, arena, NULL), N2C_OK);
        for (size_t item = 0; item < batch; item++) {
            expected(in + 8 * item, want);
            assert_memory_equal(out + 8 * item, want, sizeof want);
        }
    }
    assert_int_equal(n.info()->n_steps, 2);
    assert_string_equal(n.info()->inputs[0].name, "Im.age");
    net_close(&n);
}

static void test_arguments(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char arena[128];
    static float in[16], out[16];
    Net n = {0};
    net_open(&n, "other-name.1");
    assert_int_equal(n.bind(&n.model, n.weights, n.bytes), N2C_OK);
    const NetIo io = {in, out}, no_in = {NULL, out}, no_out = {in, NULL};
    const NetIo odd = {(const float *)(const void *)((const char *)in + 1), out};
    assert_int_equal(n.run(NULL, &io, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, NULL, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &no_in, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &no_out, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &odd, 2, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &io, 0, arena, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &io, 2, NULL, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.run(&n.model, &io, 2, arena + 4, NULL), N2C_BAD_ARGUMENT);
    assert_int_equal(n.bind(NULL, n.weights, n.bytes), N2C_BAD_ARGUMENT);
    assert_int_equal(n.bind(&n.model, NULL, n.bytes), N2C_BAD_ARGUMENT);
    assert_int_equal(n.bind(&n.model, n.weights, n.bytes - 64), N2C_BAD_SIZE);
    assert_int_equal(n.bind(&n.model, n.weights + 4, n.bytes), N2C_BAD_ALIGN);
    assert_int_equal(n.run(&n.model, &io, 2, arena, NULL), N2C_BAD_ARGUMENT);
    n.weights[n.bytes - 1] ^= 1;
    assert_int_equal(n.bind(&n.model, n.weights, n.bytes), N2C_OK);
    assert_int_equal(n.check(&n.model), N2C_BAD_CHECKSUM);
    net_close(&n);
}

typedef struct Hook {
    int calls, stop_at;
    float last;
} Hook;

static int on_step(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Hook *h = user;
    assert_int_equal(step, h->calls / 2);
    assert_int_equal(phase, h->calls % 2 ? N2C_STEP_END : N2C_STEP_BEGIN);
    assert_int_equal(bytes, phase == N2C_STEP_END ? 64 : 0);
    if (data)
        h->last = ((const float *)data)[0];
    return h->calls++ == h->stop_at;
}

static void test_hooks(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char arena[64];
    static float in[16] = {3}, out[16];
    Net n = {0};
    net_open(&n, "net_gen");
    assert_int_equal(n.bind(&n.model, n.weights, n.bytes), N2C_OK);
    const NetIo io = {in, out};
    for (int stop = -1; stop < 4; stop++) {
        Hook hook = {0, stop, 0};
        const n2c_exec exec = {.on_step = on_step, .user = &hook};
        n2c_status s = n.run(&n.model, &io, 2, arena, &exec);
        assert_int_equal(s, stop < 0 ? N2C_OK : N2C_CANCELLED);
        assert_int_equal(hook.calls, stop < 0 ? 4 : stop + 1);
        if (stop == 1)
            assert_true(hook.last == 3.0f);
    }
    net_close(&n);
}

static void test_bad_base_name(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    EmitFiles files;
    Module *m = module_parse(cx, "net", NET("1"));
    const EmitOptions options = {"a\"b", "", "0.0", SCALAR_ROW, 1, WEIGHTS_FILE, NULL,
                                 &m, 1};
    assert_false(emit_c_files(cx, m, &options, &files));
    assert_string_equal(diags_get(cx->diags, 0)->code, "E0115");
    cx_delete(cx);
}

/* ---- the C compiler ------------------------------------------------------------------------- */

static void test_cc(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    CcModule *m = compile_c(cx, "int one(void);\nint one(void) { return 1; }\n");
    assert_non_null(m);
    assert_non_null(cc_symbol(cx, m, "one"));
    assert_null(cc_symbol(cx, m, "two"));
    cc_unload(m);
    int before = diags_error_count(cx->diags);
    assert_null(compile_c(cx, "this is no C\n"));
    assert_int_equal(diags_error_count(cx->diags), before + 1);
    const char *old = getenv("CC");
    old = old ? arena_strdup(cx->perm, old) : NULL;
    setenv("CC", "/no/such/compiler; touch /tmp/injected", 1);
    assert_null(compile_c(cx, "int x;\n"));
    assert_int_not_equal(access("/tmp/injected", F_OK), 0);
    if (old)
        setenv("CC", old, 1);
    else
        unsetenv("CC");
    cx_delete(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_hooks),
        cmocka_unit_test(test_bad_base_name),
        cmocka_unit_test(test_cc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
