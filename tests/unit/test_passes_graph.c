/* Graph passes: each fires, must not fire, and has an edge shape; and none changes a bit of what
 * the network computes. The runner finds passes that lie or leave a broken graph.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net_fixture.h"

static const char *const every_pass =
    "fold-dropout,graph-dce,fuse-layers,eliminate-im2col,choose-layout";

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

/* ---- fold-dropout -------------------------------------------------------------------------- */

static void test_dropout_folds(void **state)
{
    Cx *cx = *state;
    const char *net = NET_HEAD "network:\n  - flatten: {name: f}\n  - dropout: {name: d, p: 0.5}\n"
                               "  - linear: {name: y, out: 4}\n";
    Graph *g = net_read(cx, net);
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_CHANGED);
    assert_int_equal(g->n_nodes, 2);
    assert_string_equal(g->nodes[1]->in[0]->name, "f");
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_UNCHANGED);
    net_check_passes(cx, net, "avx512", "fold-dropout");
}

static void test_dropout_at_output(void **state)
{
    Cx *cx = *state;
    const char *net = NET_HEAD "outputs: [y]\nnetwork:\n  - relu: {name: a}\n"
                               "  - dropout: {name: y}\n  - relu: {name: dead, from: [a]}\n";
    Graph *g = net_read(cx, net);
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_CHANGED);
    assert_string_equal(g->outputs[0]->name, "y");
    assert_string_equal(g->nodes[0]->out->name, "y");
    assert_string_equal(g->nodes[1]->in[0]->name, "y");
    net_check_passes(cx, net, "avx512", "fold-dropout");
}

static void test_identity_stays(void **state)
{
    Cx *cx = *state;
    Graph *g = net_read(cx, NET_HEAD "network:\n  - identity: {name: y}\n");
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_UNCHANGED);
    g = net_read(cx, NET_HEAD "outputs: [a, y]\nnetwork:\n  - relu: {name: a}\n"
                              "  - identity: {name: y}\n");
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_UNCHANGED);
    g = net_read(cx, NET_HEAD "network:\n  - identity: {name: a}\n  - identity: {name: b}\n"
                              "  - identity: {name: y}\n");
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_CHANGED);
    assert_int_equal(g->n_nodes, 1);
    assert_string_equal(g->nodes[0]->out->name, "y");
    g = net_read(cx, NET_HEAD "network:\n  - identity: {name: a, layout: \"plain pad 1,1,1,1\"}\n"
                              "  - relu: {name: y}\n");
    assert_int_equal(net_pass(cx, g, "avx512", fold_dropout), PASS_UNCHANGED);
}

/* ---- graph-dce ------------------------------------------------------------------------------ */

static void test_dce(void **state)
{
    Cx *cx = *state;
    const char *net = NET_HEAD "outputs: [y]\nnetwork:\n  - relu: {name: a}\n"
                               "  - conv: {name: aux, from: [a], out: 2, kernel: 1}\n"
                               "  - relu: {name: aux2}\n"
                               "  - relu: {name: y, from: [a]}\n  - relu: {name: tail}\n";
    Graph *g = net_read(cx, net);
    assert_int_equal(net_pass(cx, g, "avx512", graph_dce), PASS_CHANGED);
    assert_int_equal(g->n_nodes, 2);
    assert_string_equal(g->nodes[0]->out->name, "a");
    assert_string_equal(g->nodes[1]->out->name, "y");
    assert_int_equal(net_pass(cx, g, "avx512", graph_dce), PASS_UNCHANGED);
    net_check_passes(cx, net, "avx512", "graph-dce");
}

/* ---- fuse-layers ---------------------------------------------------------------------------- */

static void check_groups(Cx *cx, const char *net, const char *const *expect)
{
    Graph *g = net_read(cx, net);
    net_pass(cx, g, "avx512", fuse_layers);
    for (int i = 0; i < g->n_nodes; i++)
        assert_string_equal(g->nodes[i]->group ? g->nodes[i]->group : "-", expect[i]);
    assert_int_equal(net_pass(cx, g, "avx512", fuse_layers), PASS_UNCHANGED);
    net_check_passes(cx, net, "avx512", "fuse-layers");
}

static void test_fuse_chain(void **state)
{
    check_groups(*state,
                 NET_HEAD "network:\n  - conv: {name: a, out: 4, kernel: 3}\n"
                          "  - relu: {name: b}\n  - add: {name: c, value: 2}\n"
                          "  - maxpool: {name: d, kernel: 2}\n  - flatten: {name: e}\n"
                          "  - relu: {name: f}\n  - softmax: {name: g, axis: 1}\n"
                          "  - relu: {name: y}\n",
                 (const char *[]){"a", "a", "a", "-", "-", "-", "-", "-"});
}

/* b is read twice and c is an output: both end their groups; the sum joins the later branch. */
static void test_fuse_branches(void **state)
{
    check_groups(*state,
                 NET_HEAD "outputs: [c, y]\nnetwork:\n"
                          "  - conv: {name: a, out: 4, kernel: 3}\n  - relu: {name: b}\n"
                          "  - conv: {name: c, out: 4, kernel: 1}\n  - relu: {name: d}\n"
                          "  - conv: {name: e, from: [b], out: 4, kernel: 1}\n"
                          "  - conv: {name: f, from: [d], out: 4, kernel: 1}\n"
                          "  - add: {name: s, from: [f, e]}\n  - relu: {name: y}\n",
                 (const char *[]){"a", "a", "-", "-", "-", "f", "f", "f"});
}

static void test_fuse_twice_the_same(void **state)
{
    check_groups(*state,
                 NET_HEAD "network:\n  - maxpool: {name: a, kernel: 2}\n"
                          "  - add: {name: y, from: [a, a]}\n",
                 (const char *[]){"a", "a"});
}

static void test_fuse_is_bounded(void **state)
{
    Cx *cx = *state;
    Str net = str_new(cx->perm);
    str_add(&net, NET_HEAD "network:\n  - conv: {name: a, out: 4, kernel: 3}\n");
    for (int i = 0; i < 30; i++)
        str_printf(&net, "  - relu: {name: r%d}\n", i);
    net_check_passes(cx, net.data, "avx512", "fuse-layers");
}

/* ---- eliminate-im2col ----------------------------------------------------------------------- */

static void test_im2col(void **state)
{
    Cx *cx = *state;
    const char *net =
        NET_HEAD "network:\n  - conv: {name: a, out: 4, kernel: 3, pad: 1, stride: 2}\n"
                 "  - conv: {name: b, out: 4, kernel: 3, groups: 2, algo: im2col}\n  - relu\n";
    Graph *g = net_read(cx, net);
    assert_int_equal(net_pass(cx, g, "avx512", eliminate_im2col), PASS_CHANGED);
    assert_string_equal(g->nodes[0]->algo, "direct");
    assert_string_equal(g->nodes[1]->algo, "im2col");
    assert_null(g->nodes[2]->algo);
    assert_int_equal(net_pass(cx, g, "avx512", eliminate_im2col), PASS_UNCHANGED);
    net_check_passes(cx, net, "avx512", "eliminate-im2col");
}

/* ---- choose-layout -------------------------------------------------------------------------- */

typedef struct Layouts {
    const char *net;
    struct {
        const char *tensor, *avx512, *scalar;
    } expect[8];
} Layouts;

static const Layouts layouts[] = {
    {NET_HEAD "network:\n  - conv: {name: a, out: 24, kernel: 3, pad: 2}\n"
              "  - conv: {name: b, out: 32, kernel: 3, pad: [1, 0, 2, 3]}\n"
              "  - conv: {name: c, from: [a], out: 32, kernel: 5, pad: 2}\n"
              "  - conv: {name: d, from: [b], out: 8, kernel: 1, groups: 2}\n"
              "  - flatten\n",
     {{"image.padded", "plain pad 2,2,2,2", "plain pad 2,2,2,2"},
      {"a", "c16 pad 2,2,2,3", "plain pad 2,2,2,3"},
      {"b", "c16", NULL},
      {"d", NULL, NULL}}},
    /* 24 channels in two groups: blocks would straddle the groups; max pooling pads itself */
    {NET_HEAD "network:\n  - conv: {name: a, out: 24, kernel: 3}\n"
              "  - maxpool: {name: p, kernel: 3, stride: 1, pad: 1}\n"
              "  - conv: {name: b, out: 4, kernel: 3, groups: 2, pad: 1}\n  - flatten\n",
     {{"a", "c16", NULL}, {"p", "plain pad 1,1,1,1", "plain pad 1,1,1,1"}}},
    /* the output is converted, inner readers take the blocks */
    {NET_HEAD "outputs: [a, y]\nnetwork:\n  - conv: {name: a, out: 16, kernel: 3}\n"
              "  - maxpool: {name: y, kernel: 3}\n",
     {{"a.blocked", "c16", NULL}, {"a", NULL, NULL}, {"y", NULL, NULL}}},
    /* without a convolution there is nothing to gain */
    {NET_HEAD "network:\n  - relu: {name: a}\n  - maxpool: {name: y, kernel: 3}\n",
     {{"a", NULL, NULL}}},
};

static void check_layout(const Graph *g, const char *tensor, const char *expect)
{
    const Tensor *t = graph_find_tensor(g, tensor);
    const char *found = t && t->layout ? t->layout : "none";
    if (!str_eq(found, expect ? expect : "none"))
        fail_msg("%s: %s, expected %s", tensor, found, expect ? expect : "none");
}

static void test_layouts(void **state)
{
    Cx *cx = *state;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
        const Layouts *l = &layouts[i];
        Graph *wide = net_read(cx, l->net), *scalar = net_read(cx, l->net);
        net_pass(cx, wide, "avx512", choose_layout);
        net_pass(cx, scalar, "scalar", choose_layout);
        for (int k = 0; k < 8 && l->expect[k].tensor; k++) {
            check_layout(wide, l->expect[k].tensor, l->expect[k].avx512);
            check_layout(scalar, l->expect[k].tensor, l->expect[k].scalar);
        }
        assert_int_equal(net_pass(cx, wide, "avx512", choose_layout), PASS_UNCHANGED);
        net_check_passes(cx, l->net, "avx512", "choose-layout");
        net_check_passes(cx, l->net, "scalar", "choose-layout");
    }
}

static void test_layout_outside_groups_only(void **state)
{
    Cx *cx = *state;
    Graph *g = net_read(cx, NET_HEAD "network:\n  - conv: {name: a, out: 16, kernel: 3}\n"
                                     "  - relu: {name: b}\n"
                                     "  - conv: {name: c, out: 16, kernel: 3, pad: 1}\n"
                                     "  - relu: {name: y}\n");
    net_passes(cx, g, "avx512", "fuse-layers,choose-layout");
    check_layout(g, "a", NULL);
    check_layout(g, "b", "c16 pad 1,1,1,1");
    check_layout(g, "y.blocked", "c16");
    check_layout(g, "c", NULL);
    assert_string_equal(g->nodes[3]->group, "c");
    assert_null(g->nodes[4]->group);
}

/* ---- together ------------------------------------------------------------------------------- */

static const char *const nets[] = {
    NET_HEAD "network:\n  - conv: {out: 16, kernel: 3, stride: 2, pad: 1}\n  - relu\n"
             "  - maxpool: {kernel: 3, stride: 1}\n  - lrn: {size: 5}\n"
             "  - conv: {out: 32, kernel: 3, pad: 1, groups: 2}\n  - relu\n"
             "  - maxpool: {kernel: 2}\n  - flatten\n  - dropout\n  - linear: {out: 6}\n  - relu\n"
             "  - linear: {out: 5}\n  - softmax: {axis: 1}\n",
    NET_HEAD "network:\n  - conv: {name: stem, out: 20, kernel: 3, pad: 1}\n"
             "  - conv: {name: l1, out: 20, kernel: 3, pad: 1}\n  - relu\n"
             "  - conv: {name: l2, out: 20, kernel: 3, pad: 1}\n"
             "  - add: {name: sum, from: [l2, stem]}\n  - relu: {name: out}\n",
    NET_HEAD "network:\n  - conv: {name: tiny, out: 1, kernel: [9, 7]}\n  - relu\n",
    NET_HEAD "network:\n  - reshape: {name: r, shape: [N, 27, 7]}\n"
             "  - conv: {name: line, out: 8, kernel: 3, pad: 1}\n  - relu\n"
             "  - maxpool: {kernel: 2}\n  - linear: {out: 3}\n  - relu\n",
};

static void test_all_passes(void **state)
{
    Cx *cx = *state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++) {
        net_check_passes(cx, nets[i], "avx512", every_pass);
        net_check_passes(cx, nets[i], "scalar", every_pass);
        net_check_passes(cx, nets[i], "avx512", "choose-layout,fuse-layers");
    }
}

/* A graph after the passes is a valid input that the passes leave alone. */
static void test_labels_read_back(void **state)
{
    Cx *cx = *state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++) {
        Graph *g = net_read(cx, nets[i]);
        net_passes(cx, g, "avx512", every_pass);
        const char *text = graph_text(cx->perm, g);
        Graph *again = net_read(cx, text);
        assert_true(graph_hash(g) == graph_hash(again));
        net_passes(cx, again, "avx512", every_pass);
        assert_string_equal(graph_text(cx->perm, again), text);
    }
}

/* ---- the runner ----------------------------------------------------------------------------- */

static PassResult lie(PassCx *pc, Graph *g)
{
    (void)pc;
    g->nodes[0]->algo = "direct";
    return PASS_UNCHANGED;
}

static PassResult boast(PassCx *pc, Graph *g)
{
    (void)pc;
    (void)g;
    return PASS_CHANGED;
}

static PassResult spoil(PassCx *pc, Graph *g)
{
    (void)pc;
    g->nodes[0]->out->shape.dim[1]++;
    return PASS_CHANGED;
}

static void test_runner_refuses(void **state)
{
    Cx *cx = *state;
    static const GraphPass bad[] = {lie, boast, spoil};
    for (int i = 0; i < 3; i++) {
        PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find("scalar")};
        PassDef def = {.name = "bad", .level = LEVEL_GRAPH, .graph = bad[i]};
        Graph *g = net_read(cx, NET_HEAD "network:\n  - conv: {out: 2, kernel: 3}\n");
        int errors = diags_error_count(cx->diags);
        assert_false(pass_run_graph(&pc, NULL, &def, g));
        assert_true(diags_error_count(cx->diags) > errors);
    }
}

static void count_dump(void *user, const PassDef *p, const Graph *g, const Kernel *k,
                       const Module *m)
{
    int *count = user;
    assert_true(p->level == LEVEL_GRAPH && g && !k && !m);
    ++*count;
}

static void test_runner_options(void **state)
{
    Cx *cx = *state;
    int dumps = 0;
    const char *disabled[] = {"graph-dce", "apply-layout"};
    PassRun run = {.disabled = disabled, .n_disabled = 2, .dump = count_dump, .user = &dumps};
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find("scalar")};
    Graph *g = net_read(cx, nets[0]);
    for (int i = 0; i < pass_count(); i++) {
        const PassDef *p = pass_at(i);
        assert_ptr_equal(pass_find(p->name), p);
        if (p->level == LEVEL_GRAPH && p <= pass_find("fuse-layers"))
            assert_true(pass_run_graph(&pc, &run, p, g));
    }
    assert_int_equal(dumps, 2);                       /* fold-dropout and fuse-layers */
    assert_ptr_equal(pc.pass, pass_find("fuse-layers"));
    assert_null(g->nodes[0]->algo);
    assert_true(pass_enabled(&run, pass_find("apply-layout")));      /* not optional */
    assert_null(pass_find("no-such-pass"));
    assert_null(pass_at(-1));
    assert_null(pass_at(pass_count()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dropout_folds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropout_at_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dce, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fuse_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fuse_branches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fuse_twice_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fuse_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_im2col, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layout_outside_groups_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner_options, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
