/* Models read from text: shapes, names and keys of good ones, code and line of broken ones, and
 * the printed form, which reads back to itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "front/front.h"

#ifndef NET2C_SOURCE_DIR
#define NET2C_SOURCE_DIR "."
#endif

/* Lines 1 to 5 of most texts here; the first layer stands on line 6. */
#define HEAD             \
    "net2c: 1\n"         \
    "name: t\n"          \
    "inputs:\n"          \
    "  x: {shape: [N, 4, 8, 8]}\n" \
    "network:\n"

#define CONV "  - conv: {out: 6, kernel: 3}\n"

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

static Graph *parse(Cx *cx, const char *text)
{
    return model_parse(cx, "t.yaml", text, strlen(text));
}

static Graph *parse_good(Cx *cx, const char *text)
{
    Graph *g = parse(cx, text);
    if (!g)
        fail_msg("%s", diags_render(cx->diags, cx->perm, 0, false));
    assert_true(graph_verify(cx, g));
    return g;
}

/* Printing and reading back change nothing. */
static void check_round_trip(Cx *cx, const Graph *g)
{
    char *text = graph_text(cx->perm, g);
    Graph *again = parse_good(cx, text);
    assert_string_equal(graph_text(cx->perm, again), text);
    assert_true(graph_hash(again) == graph_hash(g));
}

/* ---- the shipped models ------------------------------------------------------------------- */
static void check_model(Cx *cx, const char *file, int64_t params, int64_t macs)
{
    Graph *g = model_load_with(cx, file, (ModelDefines){0});
    if (!g)
        fail_msg("%s", diags_render(cx->diags, cx->perm, 0, false));
    assert_true(graph_verify(cx, g));
    assert_int_equal(g->n_nodes, 24);
    int64_t all_params = 0, all_macs = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        all_macs += n->op->cost(n).macs;
        for (int k = 0; k < n->n_param; k++)
            all_params += shape_count(&n->param[k].shape);
    }
    assert_true(all_params == params);
    assert_true(all_macs == macs);
    assert_int_equal(g->n_outputs, 1);
    assert_string_equal(g->outputs[0]->name, "logits");
    check_round_trip(cx, g);
}

static void test_alexnet(void **state)
{
    check_model(*state, NET2C_SOURCE_DIR "/models/alexnet.yaml", 60965224, 724406816);
}

static void test_alexnet_small(void **state)
{
    check_model(*state, NET2C_SOURCE_DIR "/models/alexnet_small.yaml", 898554, 22789764);
}

/* ---- good models -------------------------------------------------------------------------- */
static void test_names_and_paths(void **state)
{
    const Graph *g = parse_good(*state, HEAD
        "  - relu\n"
        "  - relu: {name: relu2}\n"
        "  - relu:\n"
        "  - conv: {path: 3.body, out: 4, kernel: 1}\n"
        "  - conv: {path: 3.body, out: 4, kernel: 1}\n"
        "  - conv: {path: \"\", out: 4, kernel: 1}\n"
        "  - conv: {name: last, path: m, out: 4, kernel: 1, weights: {bias: \"other b\"}}\n");
    static const char *const names[] = {"relu1", "relu2", "relu3", "_3.body", "_3.body_2",
                                        "conv1", "last"};
    static const char *const paths[] = {"relu1", "relu2", "relu3", "3.body", "3.body", "", "m"};
    for (int i = 0; i < 7; i++) {
        assert_string_equal(g->nodes[i]->out->name, names[i]);
        assert_string_equal(g->nodes[i]->path, paths[i]);
    }
    assert_string_equal(g->nodes[4]->param[1].key, "3.body.bias");
    assert_string_equal(g->nodes[5]->param[0].key, "weight");
    assert_string_equal(g->nodes[6]->param[0].key, "m.weight");
    assert_string_equal(g->nodes[6]->param[1].key, "other b");
    assert_string_equal(g->outputs[0]->name, "last");
    check_round_trip(*state, g);
}

/* A list of axes, tensors of the weights as values, slices of them. */
static void test_tokens(void **state)
{
    const Graph *g = parse_good(*state, HEAD
        "  - reshape: {shape: [N, 4, 64]}\n"
        "  - transpose: {perm: [0, 2, 1], name: seq}\n"
        "  - param: {path: pos_embed, shape: [1, 64, 4]}\n"
        "  - add: {from: [pos_embed, seq]}\n"
        "  - linear: {out: 4, weights: {weight: \"in.weight[4:8]\", bias: in.bias}}\n"
        "  - reduce_mean: {axis: -2}\n"
        "  - reshape: {shape: [N, 2, 2]}\n"
        "  - reduce_mean: {axis: [1, 2], keepdims: true}\n");
    assert_string_equal(g->nodes[2]->param[0].key, "pos_embed");
    assert_int_equal(g->nodes[2]->out->shape.dim[0], DIM_N);
    assert_string_equal(g->nodes[4]->param[0].key, "in.weight[4:8]");
    assert_int_equal(g->nodes[5]->out->shape.rank, 2);
    assert_int_equal(g->nodes[7]->out->shape.rank, 3);
    const char *text = graph_text(((Cx *)*state)->perm, g);
    assert_non_null(strstr(text, "perm: [0, 2, 1]"));
    assert_non_null(strstr(text, "axis: [-2], keepdims: false"));
    assert_non_null(strstr(text, "path: pos_embed, shape: [1, 64, 4], expect: [N, 64, 4]}"));
    assert_non_null(strstr(text, "weights: {weight: \"in.weight[4:8]\", bias: in.bias}"));
    check_round_trip(*state, g);
}

static void check_not_yet(Cx *cx, const char *op)
{
    const Diag *d = diags_get(cx->diags, 0);
    assert_string_equal(d->code, "E0404");
    assert_int_equal(d->place.line, 6);
    assert_non_null(strstr(d->text,
                           arena_printf(cx->perm, "operator '%s' is not supported yet", op)));
}

/* Every operator of the language is there or refused as not there yet: none is unknown. */
static void test_all_operators_are_known(void **state)
{
    static const char words[] =
        "conv conv_transpose linear matmul maxpool avgpool adaptive_avgpool global_avgpool "
        "global_maxpool lrn batchnorm instancenorm groupnorm layernorm relu relu6 leaky_relu prelu "
        "elu sigmoid tanh gelu silu hardsigmoid hardswish clip softmax log_softmax add sub mul div "
        "min max pow sqrt exp neg abs flatten reshape transpose squeeze unsqueeze concat split "
        "slice pad identity dropout resize channel_shuffle depth_to_space space_to_depth "
        "reduce_mean reduce_max reduce_sum param ";
    (void)state;
    int there = 0;
    for (const char *word = words; *word; word = strchr(word, ' ') + 1) {
        Cx *cx = cx_new();                     /* errors of one run are limited */
        const char *op = arena_strndup(cx->perm, word, strcspn(word, " "));
        bool found = op_find(op) != NULL;
        there += found;
        const Graph *g = found ? NULL : parse(cx, arena_printf(cx->perm, HEAD "  - %s\n", op));
        assert_null(g);
        assert_int_equal(diags_count(cx->diags), !found);
        if (!found)
            check_not_yet(cx, op);
        cx_delete(cx);
    }
    assert_int_equal(there, op_count());
}

static void test_bind(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    assert_string_equal(bind_key(a, "$path.$param", "a.0", "weight"), "a.0.weight");
    assert_string_equal(bind_key(a, "$path.$param", "", "weight"), "weight");
    assert_string_equal(bind_key(a, "module.$path.$param", "", "bias"), "module.bias");
    assert_string_equal(bind_key(a, "$path/$param:0", "c", "bias"), "c/bias:0");
    const Graph *g = parse_good(*state,
        "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4], type: f32}}\n"
        "weights: {bind: module.$path.$param}\nnetwork: [{linear: {name: fc, out: 2}}]\n");
    assert_string_equal(g->nodes[0]->param[0].key, "module.fc.weight");
    check_round_trip(*state, g);
}

static void test_branches(void **state)
{
    const Graph *g = parse_good(*state,
        "net2c: 1\nname: t\ndoc: \"two \\\"inputs\\\", \xc3\xa4 \\\\ \\u0085\\nend\"\n"
        "inputs:\n  a: {shape: [N, 3]}\n  b: {shape: [N, 3]}\n"
        "outputs: [sum, r]\n"
        "network:\n"
        "  - relu: {from: b, name: r}\n"
        "  - add: {from: [a, r, a], name: sum}\n"
        "  - add: {value: -0.25}\n"
        "  - reshape: {shape: [N, -1, 3]}\n");
    assert_string_equal(g->doc, "two \"inputs\", \xc3\xa4 \\ \xc2\x85\nend");
    assert_int_equal(g->nodes[1]->n_in, 3);
    assert_ptr_equal(g->nodes[1]->in[1], g->nodes[0]->out);
    assert_ptr_equal(g->outputs[1], g->nodes[0]->out);
    check_round_trip(*state, g);
}

static void test_one_dimension(void **state)
{
    const Graph *g = parse_good(*state,
        "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4, 32]}}\n"
        "network:\n"
        "  - conv: {out: 8, kernel: 5, pad: [4, 0], bias: false}\n"
        "  - maxpool: {kernel: 2, pad: 1}\n");
    assert_string_equal(shape_text(g->arena, &g->nodes[0]->out->shape), "[N, 8, 32]");
    assert_string_equal(shape_text(g->arena, &g->nodes[1]->out->shape), "[N, 8, 17]");
    check_round_trip(*state, g);
    assert_non_null(strstr(graph_text(g->arena, g), "kernel: 5, stride: 1, pad: [4, 0]"));
}

static void test_attribute_forms(void **state)
{
    const Graph *g = parse_good(*state, HEAD
        "  - conv: {out: 4, kernel: [3, 5], stride: [2, 1], pad: [1, 2]}\n"
        "  - conv: {out: 4, kernel: \"3\", pad: [1, 2, 3, 4], bias: false}\n"
        "  - maxpool: {kernel: 3, stride: 2, ceil_mode: true}\n"
        "  - lrn: {size: 3, alpha: 1e-4, beta: .75, k: 0x1p1}\n"
        "  - dropout\n"
        "  - softmax: {axis: -1}\n");
    const Node *n = g->nodes[0];
    assert_int_equal(node_attr(n, "kernel")->i[1], 5);
    assert_int_equal(node_attr(n, "stride")->i[0], 2);
    assert_int_equal(node_attr(n, "pad")->i[2], 1);
    assert_int_equal(node_attr(n, "pad")->i[3], 2);
    assert_int_equal(node_attr(g->nodes[1], "pad")->i[3], 4);
    assert_int_equal(node_int(g->nodes[1], "bias"), 0);
    assert_int_equal(g->nodes[1]->n_param, 1);
    assert_true(node_float(g->nodes[3], "k") == 2.0);
    assert_true(node_float(g->nodes[4], "p") == 0.5);
    check_round_trip(*state, g);
}

static void test_labels(void **state)
{
    const Graph *g = parse_good(*state, HEAD
        "  - conv: {out: 16, kernel: 3, group: g1, layout: \"c16 pad 1,1,1,1\", algo: direct,\n"
        "           schedule: \"split oc 16; vector oc.i\"}\n"
        "  - relu: {group: g1}\n");
    assert_string_equal(g->nodes[0]->schedule, "split oc 16; vector oc.i");
    assert_string_equal(g->nodes[0]->algo, "direct");
    assert_string_equal(g->nodes[0]->out->layout, "c16 pad 1,1,1,1");
    assert_string_equal(g->nodes[1]->group, "g1");
    check_round_trip(*state, g);
}

/* ---- broken models: one mistake each, so one message each ---------------------------------- */
typedef struct Broken {
    const char *code;
    int line;
    const char *text;
} Broken;

static const Broken broken[] = {
    /* the file as a whole */
    {"E0401", 1, "- a\n- b\n"},
    {"E0402", 1, "name: t\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0402", 1, "net2c: 1\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0402", 1, "net2c: 1\nname: t\nnetwork: [relu]\n"},
    {"E0402", 1, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4]}}\n"},
    {"E0403", 7, HEAD "  - relu\nnetworks: []\n"},
    {"E0405", 1, "net2c: 2\nname: t\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0406", 2, "net2c: 1\nname: a.b\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0401", 3, "net2c: 1\nname: t\ndoc: [a]\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0401", 4, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4]}}\nnetwork: relu\n"},
    {"E0422", 4, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4]}}\nnetwork: []\n"},
    /* inputs */
    {"E0401", 3, "net2c: 1\nname: t\ninputs: [x]\nnetwork: [relu]\n"},
    {"E0402", 3, "net2c: 1\nname: t\ninputs: {}\nnetwork: [relu]\n"},
    {"E0401", 3, "net2c: 1\nname: t\ninputs: {x: 3}\nnetwork: [relu]\n"},
    {"E0402", 3, "net2c: 1\nname: t\ninputs: {x: {type: f32}}\nnetwork: [relu]\n"},
    {"E0403", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N], size: 3}}\nnetwork: [relu]\n"},
    {"E0406", 3, "net2c: 1\nname: t\ninputs: {0x: {shape: [N, 4]}}\nnetwork: [relu]\n"},
    {"E0408", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [1, 4]}}\nnetwork: [relu]\n"},
    {"E0408", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 0]}}\nnetwork: [relu]\n"},
    {"E0408", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 16777217]}}\nnetwork: [relu]\n"},
    {"E0408", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N,1,1,1,1,1,1]}}\nnetwork: [relu]\n"},
    {"E0409", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N], type: f16}}\nnetwork: [relu]\n"},
    {"E0422", 3, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 65536, 65536]}}\nnetwork: [relu]\n"},
    /* outputs and weights */
    {"E0401", 7, HEAD "  - relu\noutputs: relu1\n"},
    {"E0413", 7, HEAD "  - relu\noutputs: [relu2]\n"},
    {"E0419", 7, HEAD "  - relu\noutputs: [x]\n"},
    {"E0419", 7, HEAD "  - relu\noutputs: []\n"},
    {"E0419", 7, HEAD "  - relu\noutputs: [relu1, relu1]\n"},
    {"E0401", 7, HEAD CONV "weights: $path\n"},
    {"E0403", 7, HEAD CONV "weights: {bond: $param}\n"},
    {"E0421", 7, HEAD CONV "weights: {bind: $path.$parm}\n"},
    {"E0421", 7, HEAD CONV "weights: {bind: $path}\n"},
    /* layers */
    {"E0411", 6, HEAD "  - [relu]\n"},
    {"E0411", 6, HEAD "  - {conv: {out: 4, kernel: 1}, relu: {}}\n"},
    {"E0411", 6, HEAD "  - conv: 3\n"},
    {"E0411", 7, HEAD "  - relu\n  -\n"},
    {"E0410", 6, HEAD "  - rellu\n  - relu\n"},
    {"E0403", 6, HEAD "  - conv: {out: 4, kernal: 3, kernel: 3}\n  - relu\n"},
    {"E0406", 6, HEAD "  - relu: {name: a-b}\n"},
    {"E0401", 6, HEAD "  - relu: {name: }\n"},
    {"E0407", 7, HEAD "  - relu: {name: a}\n  - relu: {name: a}\n"},
    {"E0407", 6, HEAD "  - relu: {name: x}\n"},
    {"E0417", 6, HEAD "  - relu: {path: a b}\n"},
    {"E0417", 6, HEAD "  - relu: {path: [a]}\n"},
    {"E0401", 6, HEAD "  - relu: {group: [a]}\n"},
    {"E0413", 6, HEAD "  - relu: {from: y}\n  - relu\n"},
    {"E0413", 6, HEAD "  - add: {from: [x, late]}\n  - relu: {name: late}\n"},
    {"E0414", 6, HEAD "  - add: {from: []}\n"},
    {"E0415", 4, "net2c: 1\nname: t\ninputs: {x: {shape: [N]}, y: {shape: [N]}}\n"
                 "network: [relu, relu]\n"},
    {"E0416", 6, HEAD "  - relu: {expect: [N, 4, 8, 9]}\n  - add: {from: [relu1, x]}\n"},
    {"E0408", 6, HEAD "  - relu: {expect: [4, 8, 9]}\n"},
    {"E0418", 6, HEAD "  - relu: {weights: {weight: a}}\n"},
    {"E0403", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {wait: a}}\n"},
    {"E0401", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: a}\n"},
    {"E0420", 7, HEAD "  - conv: {path: c, out: 4, kernel: 1}\n"
                      "  - conv: {path: c, out: 8, kernel: 3}\n"},
    {"E0420", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {weight: a, bias: a}}\n"},
    /* attributes; what depends on shapes is reported once, by the operator */
    {"E0412", 6, HEAD "  - conv: {out: six, kernel: 3}\n  - relu\n"},
    {"E0412", 6, HEAD "  - conv: {out: 6, kernel: [1, 2, 3]}\n"},
    {"E0412", 6, HEAD "  - conv: {out: 6, kernel: 3, pad: [1, 2, 3]}\n"},
    {"E0412", 6, HEAD "  - conv: {out: 6, kernel: 3.5}\n"},
    {"E0412", 6, HEAD "  - conv: {out: 6, kernel: 3, bias: no}\n"},
    {"E0412", 4, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4, 9]}}\n"
                 "network: [{conv: {out: 4, kernel: [3, 3]}}]\n"},
    {"E0412", 4, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4, 9]}}\n"
                 "network: [{conv: {out: 4, kernel: 3, pad: [1, 1, 1, 1]}}]\n"},
    {"E0412", 6, HEAD "  - lrn: {size: 5, alpha: small}\n"},
    {"E0412", 6, HEAD "  - reshape: {shape: [N, 0, -1]}\n"},
    {"E0412", 6, HEAD "  - reshape: {shape: 4}\n"},
    {"E0412", 6, HEAD "  - transpose: {perm: [0, 2, x]}\n"},
    {"E0412", 6, HEAD "  - transpose: {perm: []}\n"},
    {"E0412", 6, HEAD "  - reduce_mean: {axis: {a: 1}}\n"},
    {"E0412", 6, HEAD "  - reduce_mean: {axis: [1, 2, 3, 1, 2, 3, 1]}\n"},
    {"E0612", 6, HEAD "  - param: {from: x, path: p, shape: [1, 4]}\n"},
    {"E0601", 7, HEAD "  - relu\n  - conv: {out: 0, kernel: 3}\n  - relu\n  - relu\n"},
    {"E0611", 6, HEAD "  - conv: {out: 6}\n  - relu\n"},
    {"E0604", 6, HEAD "  - conv: {out: 6, kernel: 9}\n  - flatten\n  - linear: {out: 3}\n"},
    /* forms that wait for later */
    {"E0404", 6, HEAD "  - split: {axis: 1}\n  - relu\n"},
    {"E0404", 6, HEAD "  - relu: {name: [a, b]}\n"},
    /* slices of weights */
    {"E0418", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {weight: \"w[0:5]\"}}\n"},
    {"E0418", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {weight: \"w[-4:0]\"}}\n"},
    {"E0418", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {weight: \"w[:4]\"}}\n"},
    {"E0418", 6, HEAD "  - conv: {out: 4, kernel: 1, weights: {weight: \"w[0:0x4]\"}}\n"},
};

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const Broken *b = &broken[i];
        Cx *cx = cx_new();
        assert_non_null(cx);
        const Graph *g = parse(cx, b->text);
        const Diag *d = diags_count(cx->diags) ? diags_get(cx->diags, 0) : NULL;
        if (g || !d || diags_error_count(cx->diags) != 1 || !str_eq(d->code, b->code) ||
            d->place.line != b->line || !str_eq(d->place.file, "t.yaml") || d->place.col < 1)
            fail_msg("expected %s in line %d of\n%sfound\n%s", b->code, b->line, b->text,
                     diags_render(cx->diags, cx->perm, 0, false));
        cx_delete(cx);
    }
}

static void test_several_errors(void **state)
{
    Cx *cx = *state;
    assert_null(parse(cx, "net2c: 1\nname: 1t\ninputs: {x: {shape: [N, 4, 8, 8]}}\n"
                          "network:\n"
                          "  - conv: {out: many, kernel: 3}\n"       /* 5 */
                          "  - relu: {nam: r}\n"                     /* 6 */
                          "  - softmaxx: {axis: 1}\n"                /* 7 */
                          "  - linear: {out: 3}\n"                   /* follows: silent */
                          "  - conv: {from: x, out: 4, kernel: 9}\n" /* 9 */
                          "outputs: [conv1, nowhere]\n"));           /* 10 */
    static const int lines[] = {2, 5, 6, 7, 9, 10};
    int found = 0;
    for (int i = 0; i < diags_count(cx->diags); i++) {
        const Diag *d = diags_get(cx->diags, i);
        if (d->kind != DIAG_ERROR)
            continue;
        assert_true(found < 6);
        assert_int_equal(d->place.line, lines[found++]);
    }
    assert_int_equal(found, 6);
}

/* A near name is looked up for the first errors only: a file full of them ends quickly. */
static void test_errors_are_capped(void **state)
{
    Cx *cx = *state;
    Str s = str_new(cx->perm);
    str_add(&s, HEAD);
    for (int i = 0; i < 10000; i++)
        str_add(&s, "  - relu: {from: nowhere}\n");
    assert_null(parse(cx, s.data));
    assert_int_equal(diags_error_count(cx->diags), 20);
}

static void test_hints(void **state)
{
    Cx *cx = *state;
    assert_null(parse(cx, HEAD "  - rellu\n  - conv: {out: 4, kernal: 3}\n"
                               "  - relu: {name: stem, from: x}\n  - relu: {from: sten}\n"));
    const char *text = diags_render(cx->diags, cx->perm, 0, false);
    assert_non_null(strstr(text, "did you mean 'relu'?"));
    assert_non_null(strstr(text, "did you mean 'kernel'?"));
    assert_non_null(strstr(text, "did you mean 'stem'?"));
}

static void test_missing_file(void **state)
{
    Cx *cx = *state;
    assert_null(model_load_with(cx, "/nonexistent/model.yaml", (ModelDefines){0}));
    assert_int_equal(diags_error_count(cx->diags), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_alexnet),        TEST(test_alexnet_small),     TEST(test_names_and_paths),
        TEST(test_tokens),         TEST(test_all_operators_are_known),
        TEST(test_bind),           TEST(test_branches),          TEST(test_one_dimension),
        TEST(test_attribute_forms), TEST(test_labels),           TEST(test_broken),
        TEST(test_several_errors), TEST(test_errors_are_capped), TEST(test_hints),
        TEST(test_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
