/* Lowering and the module passes: layout labels, groups, buffers and values of a module, places in
 * blob and arena. That kernels compute the right thing is in test_passes_graph.c and test_nests.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net_fixture.h"

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

/* ---- layout labels -------------------------------------------------------------------------- */

static void test_layout_labels(void **state)
{
    Cx *cx = *state;
    static const char *const good[][2] = {
        {NULL, "t: f32[2, 24, 5, 7]"},
        {"plain", "t: f32[2, 24, 5, 7]"},
        {"plain pad 1,2,3,4", "t: f32[2, 24, 1:5:3, 2:7:4]"},
        {"c16", "t: f32[2, 24~8, 5, 7] as [d0, d1/16, d2, d3, d1%16]"},
        {"c8 pad 1,2,3,4",
         "t: f32[2, 24, 1:5:3, 2:7:4] as [d0, d1/8, d2+1, d3+2, d1%8]"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        Tensor t = {.name = "t", .shape = {4, {DIM_N, 24, 5, 7}}, .layout = good[i][0]};
        Buffer b;
        assert_true(layout_parse(cx, &t, 2, &b));
        assert_string_equal(buffer_text(cx->temp, &b), good[i][1]);
    }
    assert_int_equal(diags_count(cx->diags), 0);
}

static void check_refused(Cx *cx, const Tensor *t, const char *code)
{
    Buffer b;
    int n = diags_count(cx->diags);
    assert_false(layout_parse(cx, t, 1, &b));
    assert_int_equal(diags_count(cx->diags), n + 2);
    assert_string_equal(diags_get(cx->diags, n)->code, code);
    assert_int_equal(diags_get(cx->diags, n)->place.line, 7);
    assert_int_equal(diags_get(cx->diags, n + 1)->kind, DIAG_HELP);
}

static void test_layout_refused(void **state)
{
    Cx *cx = *state;
    static const char *const bad[] = {
        "",           "c",           "c1",           "c65",     "C16",   "plain ",
        "c16 pad",    "c16 pad 1",   "c16 pad 1,2,3", "c16x",    "c-16",  "plain pad 1,2,3,4,5",
        "plain pad 1,2,3,-1",        "plain pad 1,2,3,99999999999999999999", "nhwc",
        "c16 pad 1, 2, 3, 4",
    };
    const Place place = {"net.yaml", 7, 1, 1};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        Tensor t = {.name = "t", .shape = {4, {DIM_N, 24, 5, 7}}, .layout = bad[i],
                    .place = place};
        check_refused(cx, &t, "E0701");
    }
    Tensor flat = {.name = "t", .shape = {2, {DIM_N, 24}}, .layout = "c16", .place = place};
    check_refused(cx, &flat, "E0702");
    Tensor huge = {.name = "t", .shape = {4, {DIM_N, 1 << 10, 1 << 10, 1 << 10}},
                   .layout = "plain pad 16777216,0,0,0", .place = place};
    check_refused(cx, &huge, "E0703");
}

/* ---- groups and values ---------------------------------------------------------------------- */

static void check_lower_error(Cx *cx, const char *net, const char *code)
{
    LowerOptions o = {.row = "scalar", .batch = 1, .type = TYPE_F32};
    Graph *g = net_read(cx, net);
    int n = diags_count(cx->diags);
    assert_null(lower_graph(cx, cx->perm, g, &o));
    assert_true(diags_count(cx->diags) >= n + 2);
    assert_string_equal(diags_get(cx->diags, n)->code, code);
    assert_true(diags_get(cx->diags, n)->place.line > 0);
    assert_int_equal(diags_get(cx->diags, n + 1)->kind, DIAG_HELP);
}

static void test_lower_errors(void **state)
{
    Cx *cx = *state;
    check_lower_error(cx, NET_HEAD "network:\n  - relu: {name: a, group: g}\n"
                                   "  - relu: {name: b, group: g}\n"
                                   "  - add: {name: y, from: [a, b]}\n", "E0706");
    check_lower_error(cx, NET_HEAD "outputs: [a, y]\nnetwork:\n  - relu: {name: a, group: g}\n"
                                   "  - relu: {name: y, group: g}\n", "E0706");
    check_lower_error(cx, NET_HEAD "network:\n  - relu: {name: a, algo: winograd}\n", "E0708");
    check_lower_error(cx, NET_HEAD "network:\n"
                                   "  - conv: {name: a, out: 1, kernel: 1, algo: fft}\n",
                      "E0708");
    check_lower_error(cx, NET_HEAD "network:\n  - flatten\n"
                                   "  - linear: {name: a, out: 1, store: int8}\n", "E0709");
    check_lower_error(cx, NET_HEAD "network:\n  - relu: {name: a, store: bf16}\n", "E0709");
    check_lower_error(cx, NET_HEAD "network:\n  - batchnorm: {name: a, store: bf16}\n", "E0709");
    check_lower_error(cx, NET_HEAD "network:\n  - flatten\n"
                                   "  - linear: {name: a, out: 1, algo: winograd 4}\n", "E0708");
    check_lower_error(cx, NET_HEAD "network:\n  - relu: {name: y, layout: c16}\n", "E0704");
    check_lower_error(cx, NET_HEAD "network:\n  - relu: {name: a, layout: nchw}\n"
                                   "  - relu: {name: y}\n", "E0701");
    Str net = str_new(cx->perm);
    str_add(&net, NET_HEAD "network:\n");
    for (int i = 0; i < 20; i++)
        str_printf(&net, "  - relu: {name: r%d, group: g}\n", i);
    check_lower_error(cx, net.data, "E0707");
}

/* The front end may let an input be an output; lowering has no buffer for both. */
static void test_output_is_input(void **state)
{
    Cx *cx = *state;
    LowerOptions o = {.row = "scalar", .batch = 1, .type = TYPE_F32};
    Graph *g = net_read(cx, NET_HEAD "network:\n  - relu: {name: y}\n");
    Tensor *outputs[] = {g->outputs[0], g->inputs[0], g->outputs[0]};
    g->outputs = outputs;
    g->n_outputs = 3;
    assert_null(lower_graph(cx, cx->perm, g, &o));
    assert_int_equal(diags_error_count(cx->diags), 2);
    assert_string_equal(diags_get(cx->diags, 0)->code, "E0705");
}

static const char *const fused =
    "net2c: 1\nname: net\ninputs: {x.1: {shape: [N, 2, 4, 4]}}\n"
    "weights: {bind: \"$path.$param\"}\nnetwork:\n"
    "  - conv: {name: c.1, path: c, out: 3, kernel: 3, pad: 1, algo: direct, group: c_1}\n"
    "  - relu: {name: c_1, group: c_1, schedule: \"order a b\", layout: \"c2 pad 1,0,0,2\"}\n"
    "  - conv: {name: y, path: c2, out: 3, kernel: 1}\n";

static void test_kernel_of_group(void **state)
{
    Cx *cx = *state;
    Module *m = net_lower(cx, net_read(cx, fused), 2);
    assert_int_equal(m->n_steps, 2);
    const Kernel *k = m->step[0].kernel;
    static const char *const expect[] = {
        "x: f32[2, 2, 4, 4]", "w: f32[3, 2, 3, 3]", "b: f32[3]",
        "y: f32[2, 3~1, 1:4:0, 0:4:2] as [d0, d1/2, d2+1, d3, d1%2]",
    };
    assert_int_equal(k->n_buffers, 5);
    for (int i = 0; i < 4; i++)
        assert_string_equal(buffer_text(cx->temp, k->buffer[i]), expect[i]);
    assert_int_equal(k->buffer[3]->kind, BUF_OUT);
    assert_int_equal(k->buffer[4]->kind, BUF_SCRATCH);
    assert_true(buffer_same_layout(k->buffer[3], k->buffer[4]));
    assert_string_equal(k->name, "c_1");
    assert_string_equal(k->origin, "net.yaml:6 c.1+c_1");
    assert_string_equal(k->schedule, "order a b");
    assert_true(k->macs == 2 * 3 * 16 * 2 * 9);      /* of both items */
    assert_string_equal(m->step[1].kernel->name, "y");
    assert_string_equal(m->step[0].arg[0]->name, "x_1");
    assert_string_equal(m->step[0].arg[1]->key, "c.weight");
    assert_true(m->step[0].arg[1]->source_dim[3] == 3 && m->step[0].arg[1]->source_dim[4] == 0);
    assert_ptr_equal(m->step[0].arg[3], m->step[1].arg[0]);
    for (int i = 0; i < m->n_values; i++)
        assert_true(m->value[i]->offset == -1);
}

/* "a.b" and "a_b" are two tensors and two identifiers; the reference is all f64. */
static void test_names_and_type(void **state)
{
    Cx *cx = *state;
    Graph *g = net_read(cx, NET_HEAD "network:\n  - conv: {name: a.b, path: \"0\", out: 3, "
                                     "kernel: 1}\n  - relu: {name: a_b}\n  - relu: {name: y}\n");
    LowerOptions o = {.row = "scalar", .batch = 3, .type = TYPE_F64};
    Module *m = lower_graph(cx, cx->perm, g, &o);
    assert_non_null(m);
    assert_true(module_verify(cx, m));
    assert_string_equal(m->step[0].kernel->name, "a_b");
    assert_string_equal(m->step[1].kernel->name, "a_b_2");
    for (int i = 0; i < m->n_values; i++) {
        assert_int_equal(m->value[i]->shape.type, TYPE_F64);
        if (m->value[i]->key)
            assert_true(m->value[i]->name[0] == '_');
    }
    for (int i = 0; i < m->n_steps; i++)
        for (int k = 0; k < m->step[i].kernel->n_buffers; k++)
            assert_int_equal(m->step[i].kernel->buffer[k]->type, TYPE_F64);
}

/* Interleaved groups run in the order of their last nodes. */
static void test_interleaved_groups(void **state)
{
    Cx *cx = *state;
    Graph *g = net_read(cx, NET_HEAD "network:\n  - maxpool: {name: a, kernel: 2, group: g}\n"
                                     "  - maxpool: {name: b, from: [image], kernel: 2}\n"
                                     "  - add: {name: y, from: [a, b], group: g}\n");
    Module *m = net_lower(cx, g, 1);
    assert_int_equal(m->n_steps, 2);
    assert_string_equal(m->step[0].kernel->name, "b");
    assert_string_equal(m->step[1].kernel->name, "g");
    const float *fused_out = net_interpret(cx, m, NULL);
    g->nodes[0]->group = g->nodes[2]->group = NULL;
    size_t n;
    const float *apart = net_run(cx, g, 1, &n);
    assert_memory_equal(fused_out, apart, n * sizeof(float));
}

/* ---- prepack and reuse-buffers -------------------------------------------------------------- */

static void module_pass(Cx *cx, Module *m, const char *name)
{
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find("scalar")};
    if (!pass_run_module(&pc, NULL, pass_find(name), m))
        net_show(cx);
    assert_int_equal(diags_error_count(cx->diags), 0);
}

/* A plan of everything, checked by the verifier and by running in it. */
static Module *check_plan(Cx *cx, const char *net, const char *graph_passes)
{
    size_t n, again;
    Graph *g = net_read(cx, net);
    net_passes(cx, g, "avx512", graph_passes);
    const float *before = net_run(cx, g, 2, &n);
    Module *m = net_lower(cx, g, 2);
    module_pass(cx, m, "prepack");
    int64_t apart = m->arena_bytes;
    assert_memory_equal(net_interpret(cx, m, NULL), before, n * sizeof(float));
    module_pass(cx, m, "reuse-buffers");
    assert_memory_equal(net_interpret(cx, m, &again), before, n * sizeof(float));
    assert_int_equal(again, n);
    assert_true(m->arena_bytes <= apart && m->arena_bytes >= m->arena_lower_bound);
    return m;
}

static void test_plan_of_chain(void **state)
{
    const char *net = NET_HEAD "network:\n  - conv: {out: 7, kernel: 3, pad: 2}\n  - relu\n"
                               "  - maxpool: {kernel: 3, stride: 1}\n  - lrn: {size: 3}\n"
                               "  - conv: {out: 12, kernel: 3}\n  - relu\n  - flatten\n"
                               "  - linear: {out: 30}\n  - relu\n  - linear: {out: 9}\n"
                               "  - softmax: {axis: 1}\n";
    static const char *const passes[] = {"", "fuse-layers", "eliminate-im2col,choose-layout"};
    for (int i = 0; i < 3; i++) {
        Module *m = check_plan(*state, net, passes[i]);
        assert_true(m->arena_bytes == m->arena_lower_bound);
    }
}

static void test_plan_of_branches(void **state)
{
    Module *m = check_plan(*state,
                           NET_HEAD "network:\n  - conv: {name: a, out: 16, kernel: 1}\n"
                                    "  - conv: {name: b, out: 4, kernel: 1}\n"
                                    "  - conv: {name: c, out: 16, kernel: 1}\n"
                                    "  - add: {name: d, from: [a, c]}\n"
                                    "  - conv: {name: e, out: 4, kernel: 1}\n"
                                    "  - conv: {name: f, out: 16, kernel: 1}\n"
                                    "  - add: {name: g, from: [d, f]}\n  - flatten\n",
                           "eliminate-im2col");
    assert_true(m->arena_bytes * 100 <= m->arena_lower_bound * 105);
}

static void test_plan_of_nothing(void **state)
{
    Module *m = check_plan(*state, NET_HEAD "network:\n  - relu: {name: y}\n", "");
    assert_true(m->arena_bytes == 0 && m->blob_bytes == 0);
}

static Value *value_by_name(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_values; i++)
        if (str_eq(m->value[i]->name, name))
            return m->value[i];
    return NULL;
}

static const char *const shared =
    NET_HEAD "network:\n  - conv: {name: a, path: same, out: 3, kernel: 1, algo: direct}\n"
             "  - conv: {name: b, path: same, out: 3, kernel: 1, algo: direct}\n";

static void test_prepack_shares(void **state)
{
    Cx *cx = *state;
    Module *m = net_lower(cx, net_read(cx, shared), 1);
    assert_ptr_equal(m->step[0].arg[1], m->step[1].arg[1]);
    module_pass(cx, m, "prepack");
    assert_ptr_equal(m->step[0].arg[1], m->step[1].arg[1]);
    assert_true(m->blob_bytes == 128);                /* 36 and 12 bytes, each rounded up to 64 */
    assert_true(value_by_name(m, "same_weight")->offset == 0);
    assert_true(value_by_name(m, "same_bias")->offset == 64);
}

/* What kernel passes may leave: another layout, a parameter nobody reads, a new scratch buffer. */
static void test_prepack_follows_kernels(void **state)
{
    Cx *cx = *state;
    Module *m = net_lower(cx, net_read(cx, shared), 1);
    Kernel *k = m->step[1].kernel;
    Buffer *w = k->buffer[1];
    w->dim[0].hi = 1;
    w->n_storage = 5;
    w->storage[0] = (StorageDim){0, 0, 4, 0};
    for (int i = 1; i < 4; i++)
        w->storage[i] = (StorageDim){i, 0, 1, 0};
    w->storage[4] = (StorageDim){0, 0, 1, 4};
    int64_t extent = 5;
    kernel_scratch(k, "unused", TYPE_F32, 1, &extent);
    Buffer *tmp = kernel_scratch(k, "tmp", TYPE_F32, 1, &extent);
    Builder b = build_kernel(k);
    Index i = index_var(k->arena, build_for(&b, "i", extent));
    build_store(&b, tmp, &i, expr_const(k->arena, (Type){TYPE_F32, 1}, 0));
    build_end(&b, 1);
    module_pass(cx, m, "prepack");
    const Value *packed = m->step[1].arg[1];
    assert_ptr_not_equal(m->step[0].arg[1], packed);
    assert_string_equal(packed->key, m->step[0].arg[1]->key);
    assert_int_equal(packed->shape.n_storage, 5);
    assert_int_equal(k->n_buffers, 5);
    assert_string_equal(m->step[1].arg[4]->name, "b_tmp");
    assert_null(value_by_name(m, "b_unused"));
    module_pass(cx, m, "reuse-buffers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layout_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lower_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kernel_of_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_and_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interleaved_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan_of_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan_of_branches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepack_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepack_follows_kernels, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
