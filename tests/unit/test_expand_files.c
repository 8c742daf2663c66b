/* Whole files of the model language: several errors at once, limits, -D, samples, the manual. */
#include "expand_fixture.h"

/* ---- several errors ------------------------------------------------------------------------- */
static void expect_errors(Cx *cx, const char *text, const int *lines, int n)
{
    int found = 0;
    assert_null(parse(cx, text));
    for (int i = 0; i < diags_count(cx->diags); i++) {
        const Diag *d = diags_get(cx->diags, i);
        if (d->kind != DIAG_ERROR)
            continue;
        if (found >= n || d->place.line != lines[found])
            fail_msg("error %d of %d\n%s", found, n, messages(cx));
        found++;
    }
    assert_int_equal(found, n);
}

static void test_several_errors(void **state)
{
    static const int lines[] = {4, 8, 13, 10, 10, 16, 18, 24, 5};  /* as they are found */
    expect_errors(*state,
        "net2c: 1\n"
        "name: t\n"
        "inputs: {x: {shape: [N, 4, 8, 8]}}\n"
        "params: {a: $none, b: $a, k: 3}\n"                                 /* 4 */
        "outputs: [nowhere, $none]\n"                       /* 5; a gap could be nowhere */
        "blocks:\n"
        "  good: {args: {o: $a}, layers: [{conv: {out: $o, kernel: $k}}]}\n"
        "  conv: {layers: [rellu]}\n"                                       /* 8 */
        "  bad:\n"
        "    layers: [{relu: {name: $y}}, {softmax: {axis: 7}}]\n"           /* 10 */
        "network:\n"
        "  - good: {name: g}\n"                                              /* a is lost: silent */
        "  - good: {from: g, oo: 1}\n"                                       /* 13 */
        "  - bad: {from: x, name: p}\n"
        "  - bad: {from: p}\n"                                               /* told once */
        "  - linear: {out: $(1 +)}\n"                                        /* 16 */
        "  - repeat: {i: 1..4}\n"
        "    layers: [{conv: {from: x, out: 4, kernel: 9$i}}]\n"             /* 18 */
        "  - repeat: {i: 1..$b}\n"
        "    layers: [{relu: {name: q}}]\n"
        "  - relu: {from: q}\n"
        "  - when: $a\n"
        "    layers: [rellu, {relu: {from: [p, $x]}}]\n"                    /* not taken */
        "  - conv: {from: x, kernel: 1}\n",                                  /* 24 */
        lines, 9);
}

static void test_errors_are_capped(void **state)
{
    assert_null(parse(*state, HEAD "network:\n  - repeat: {i: 1..8000}\n    layers: [relu]\n"
                              "  - repeat: {i: 1..2}\n"
                              "    layers: [$a, $b, $c, $d, $e, $f, $g, $h, $i, $j, $k, $l,\n"
                              "             $m, $n, $o, $p, $q, $r, $s, $t, $u, $v, $w, $x]\n"));
    assert_int_equal(diags_error_count(((Cx *)*state)->diags), MAX_ERRORS);
}

static void test_chain(void **state)
{
    assert_null(parse(*state,
        HEAD "blocks:\n"
             "  inner: {args: {o: 1},\n"                                      /* 6 */
             "          layers: [{conv: {out: $o, kernel: 1}}]}\n"
             "  outer:\n"                                                     /* 8 */
             "    layers:\n"
             "      - relu\n"
             "      - inner: {o: 0}\n"                                        /* 11 */
             "network:\n"
             "  - outer\n"));                                                 /* 13 */
    const char *text = messages(*state);
    assert_non_null(strstr(text, "t.yaml:7:33: error: conv: 'out' is 0"));
    assert_non_null(strstr(text, "note: in block inner (line 6), used at line 11 (t.yaml:11:9)"));
    assert_non_null(strstr(text, "note: in block outer (line 8), used at line 13 (t.yaml:13:5)"));
}

/* ---- limits --------------------------------------------------------------------------------- */
/* Parses the text; NULL if it is good, else the code of the only error. */
static const char *verdict(const char *text)
{
    static char code[8];
    Cx *cx = cx_new();
    const Graph *g = parse(cx, text);
    if (!g && diags_error_count(cx->diags) != 1)
        fail_msg("%s", messages(cx));
    if (!g)
        snprintf(code, sizeof code, "%s", diags_get(cx->diags, 0)->code);
    cx_delete(cx);
    return g ? NULL : code;
}

static void test_layer_limit(void **state)
{
    Cx *cx = *state;
    static const char text[] = HEAD "network:\n  - repeat: {i: 1..%d}\n    layers: [relu]\n"
                                    "  - relu\n";
    assert_null(verdict(arena_printf(cx->perm, text, MAX_LAYERS - 2)));
    assert_null(verdict(arena_printf(cx->perm, text, MAX_LAYERS - 1)));
    assert_string_equal(verdict(arena_printf(cx->perm, text, MAX_LAYERS)), "E0422");
}

static void test_repeat_limit(void **state)
{
    Cx *cx = *state;
    static const char none[] = HEAD "network:\n  - repeat: {i: 1..%d}\n    layers: []\n  - relu\n";
    assert_null(verdict(arena_printf(cx->perm, none, MAX_REPEATS - 1)));
    assert_null(verdict(arena_printf(cx->perm, none, MAX_REPEATS)));
    assert_string_equal(verdict(arena_printf(cx->perm, none, MAX_REPEATS + 1)), "E0422");
}

/* The largest graph, of the layers with most to say, reads back. */
static void test_largest_graph_reads_back(void **state)
{
    Cx *cx = *state;
    const Graph *g = parse(cx, arena_printf(
        cx->perm, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4, 8, 8]}}\nnetwork:\n"
        "  - repeat: {i: 1..%d}\n    layers: [{conv: {out: 4, kernel: [3, 3], pad: 1, group: g1,"
        " layout: 'c16 pad 1,1,1,1', algo: direct, schedule: 's', weights: {weight: w, bias: b}}}]"
        "\n", MAX_LAYERS));
    assert_non_null(g);
    assert_int_equal(g->n_nodes, MAX_LAYERS);
    const char *text = graph_text(cx->perm, g);
    const Graph *again = parse(cx, text);
    assert_non_null(again);
    assert_string_equal(graph_text(cx->perm, again), text);
}

/* Dimensions, elements, ranks and inputs of one layer, one below, at and one above the limit. */
static void test_shape_limits(void **state)
{
    static const struct {
        const char *format, *good[2], *bad, *code;
    } limits[] = {
        {"inputs: {x: {shape: [N, %s]}}\nnetwork: [relu]\n", {"16777215", "16777216"}, "16777217",
         "E0408"},
        {"inputs: {x: {shape: [N, %s]}}\nnetwork: [relu]\n", {"1, 1, 1, 1", "1, 1, 1, 1, 1"},
         "1, 1, 1, 1, 1, 1", "E0408"},
        {"inputs: {x: {shape: [N, %s]}}\nnetwork: [relu]\n", {"16777215, 128", "16777216, 128"},
         "16777216, 129", "E0422"},
        {"inputs: {x: {shape: [N, 1, 1, 1]}}\nnetwork: [{conv: {out: %s, kernel: 1}}]\n",
         {"16777215", "16777216"}, "16777217", "E0601"},
        {"inputs: {x: {shape: [N, 1, 128, 1]}}\nnetwork: [{conv: {kernel: 1, %s}}]\n",
         {"out: 16777215", "out: 16777216"}, "out: 16777216, pad: [0, 0, 1, 0]", "E0605"},
        {"inputs: {x: {shape: [N, 1]}}\nnetwork: [{add: {from: [x, x, x, x, x, x, x, x, x, x, x, "
         "x, x, x, %s]}}]\n", {"x", "x, x"}, "x, x, x", "E0414"},
        {"inputs: {x: {shape: [N, 1]}}\nblocks: {b: {inputs: [a, b, c, d, e, f, g, h, i, j, k, l, "
         "m, n, %s], layers: [{relu: {from: $a}}]}}\nnetwork: [{relu: {from: x}}]\n",
         {"o", "o, p"}, "o, p, q", "E0435"},
    };
    Cx *cx = *state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        for (int k = 0; k < 3; k++) {
            const char *value = k < 2 ? limits[i].good[k] : limits[i].bad;
            const char *body = arena_printf(cx->perm, "net2c: 1\nname: t\n%s", limits[i].format);
            const char *mark = strstr(body, "%s");
            const char *code = verdict(arena_printf(cx->perm, "%.*s%s%s", (int)(mark - body), body,
                                                    value, mark + 2));
            if (k < 2 ? code != NULL : !str_eq(code, limits[i].code))
                fail_msg("limit %zu, '%s': %s", i, value, code ? code : "good");
        }
}

/* n blocks inside each other; the network's own list is the first level. */
static const char *nested_blocks(Arena *a, int n)
{
    Str s = str_new(a);
    str_add(&s, HEAD "blocks:\n");
    for (int i = 1; i < n; i++)
        str_printf(&s, "  b%d: {layers: [b%d]}\n", i, i + 1);
    str_printf(&s, "  b%d: {layers: [relu]}\nnetwork: [b1]\n", n);
    return s.data;
}

static void test_nesting_limit(void **state)
{
    Cx *cx = *state;
    assert_null(verdict(nested_blocks(cx->perm, MAX_NESTING - 2)));
    assert_null(verdict(nested_blocks(cx->perm, MAX_NESTING - 1)));
    assert_string_equal(verdict(nested_blocks(cx->perm, MAX_NESTING)), "E0422");
}

static void test_scalar_limit(void **state)
{
    Cx *cx = *state;
    Str s = str_new(cx->perm);
    for (int i = 0; i < MAX_SCALAR / 2 - 1; i++)
        str_char(&s, 'a');
    static const char text[] = "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4]}}\nparams: {p: %s}\n"
                               "network: [{relu: {path: \"$p$p.%s\"}}]\n";
    assert_null(verdict(arena_printf(cx->perm, text, s.data, "")));
    assert_null(verdict(arena_printf(cx->perm, text, s.data, "b")));
    assert_string_equal(verdict(arena_printf(cx->perm, text, s.data, "bc")), "E0422");
}

/* Small files that would take for ever: each ends with one message, or is done. */
static void test_work_limit(void **state)
{
    Cx *cx = *state;
    assert_string_equal(verdict(HEAD "network:\n  - repeat: {i: 1..60000}\n    layers:\n"
                                     "    - repeat: {j: 1..60000}\n      layers: []\n  - relu\n"),
                        "E0422");
    assert_string_equal(verdict(HEAD "network:\n  - repeat: {i: 1..60000}\n    layers:\n"
                                     "    - when: $(" "1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"
                                     "+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1 < 0)\n"
                                     "      layers: []\n  - relu\n"), "E0422");
    Str s = str_new(cx->perm);         /* each list twice the one before */
    str_add(&s, "net2c: 1\nname: t\ninputs: {x: {shape: [N, 4]}}\nparams:\n  p0: [1, 2]\n");
    for (int i = 1; i < 40; i++)
        str_printf(&s, "  p%d: [$p%d, $p%d]\n", i, i - 1, i - 1);
    str_add(&s, "network: [relu]\n");
    Cx *other = cx_new();
    assert_null(parse(other, s.data));
    cx_delete(other);
    s = str_new(cx->perm);             /* long texts */
    for (int i = 0; i < MAX_SCALAR - 10; i++)
        str_char(&s, 'a');
    assert_string_equal(verdict(arena_printf(
        cx->perm, HEAD "network:\n  - repeat: {i: 1..60000}\n"
                       "    layers: [{relu: {path: '%s$i'}}]\n", s.data)), "E0422");
    s = str_new(cx->perm);             /* a long list handed to every call */
    str_add(&s, HEAD "blocks: {b: {args: {l: []}, layers: []}}\nnetwork:\n"
                     "  - repeat: {i: 1..60000}\n    layers:\n    - b: {l: [$i");
    for (int i = 0; i < 20000; i++)
        str_add(&s, ",1");
    str_add(&s, "]}\n  - relu\n");
    assert_string_equal(verdict(s.data), "E0422");
}

/* ---- -D ------------------------------------------------------------------------------------- */
static void hide_paths(Graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->n_param == 0)
            g->nodes[i]->path = "";
    g->name = g->doc = "net";
    g->n_preprocess = 0;
}

/* The same network, paths of layers without weights and the preparation of pictures aside. */
static void check_same(Cx *cx, ModelDefines defines, const char *flat)
{
    Graph *a = model_load_with(cx, NET2C_SOURCE_DIR "/models/alexnet.yaml", defines);
    Graph *b = model_load_with(cx, flat, (ModelDefines){0});
    if (!a || !b)
        fail_msg("%s", messages(cx));
    hide_paths(a);
    hide_paths(b);
    assert_string_equal(graph_text(cx->perm, a), graph_text(cx->perm, b));
}

static void test_alexnet(void **state)
{
    static const char *const small[] = {"scale=2", "classes=10", "scale=8"};
    check_same(*state, (ModelDefines){0}, NET2C_SOURCE_DIR "/tests/unit/alexnet_flat.yaml");
    check_same(*state, (ModelDefines){small, 3}, NET2C_SOURCE_DIR "/models/alexnet_small.yaml");
}

static void test_defines(void **state)
{
    (void)state;
    static const struct {
        const char *define, *code, *part;
    } cases[] = {
        {"scale=$(2 * classes / 250)", NULL, NULL}, {"scale=\"8\"", "E0432", "'8'"},
        {"scle=8", "E0434", "did you mean 'scale'"}, {"scale", "E0434", "name=value"},
        {"scale=[1", "E0301", "-D scale=[1"}, {"scale=", "E0311", "-D scale="},
        {"scale={a: 1}", "E0434", "-D scale"}, {"classes=many", "E0412", "'many'"},
        {"=3", "E0434", NULL}, {"scale=0", "E0433", "division by zero"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx *cx = cx_new();
        Graph *g = model_load_with(cx, NET2C_SOURCE_DIR "/models/alexnet.yaml",
                                   (ModelDefines){&cases[i].define, 1});
        bool right = cases[i].code ? !g && diags_error_count(cx->diags) > 0 &&
                                    str_eq(diags_get(cx->diags, 0)->code, cases[i].code)
                                  : g != NULL;
        if (!right || (cases[i].part && !strstr(messages(cx), cases[i].part)))
            fail_msg("-D %s: %s", cases[i].define, messages(cx));
        cx_delete(cx);
    }
}

/* ---- check and preprocess ------------------------------------------------------------------- */
static void test_samples(void **state)
{
    const Graph *g = parse_good(*state,
        "net2c: 1\nname: t\nparams: {s: 8}\n"
        "inputs: {x: {shape: [N, 3, $s, $s]}, y: {shape: [N, 1, 8, 8]}}\n"
        "outputs: [a]\nnetwork: [{relu: {from: x, name: a}}]\n"
        "check:\n"
        "  - {inputs: {x: \"in $s.npy\", y: d/y.npy}, outputs: {a: a.npy}, rtol: 1e-3}\n"
        "  - {inputs: {x: ..x, y: a..b/c}, outputs: {}}\n"
        "preprocess:\n"
        "  x: {resize: $(s * 2), crop: $s, mean: [0.5, .25, 1e-1], std: [1, 2, 3], order: bgr}\n"
        "  y: {}\n");
    assert_int_equal(g->n_samples, 2);
    assert_string_equal(g->samples[0].in[0].path, "in 8.npy");
    assert_string_equal(g->samples[0].out[0].tensor, "a");
    assert_true(g->samples[0].rtol == 1e-3 && g->samples[0].atol == 1e-5);
    assert_int_equal(g->n_preprocess, 2);
    const Preprocess *p = g->preprocess;
    assert_true(p->bgr && p->resize == 16 && p->crop == 8 && p->channels == 3);
    assert_true(p->mean[1] == 0.25 && p->std[2] == 3);
    assert_true(p[1].channels == 1 && p[1].mean[0] == 0 && p[1].std[0] == 1 && p[1].crop == 0);
}

/* ---- the manual ----------------------------------------------------------------------------- */
/* What an example leaves out is put around it. */
static char *complete(Arena *a, const char *text)
{
    bool all = strncmp(text, "net2c", 5) == 0;
    return arena_printf(a, "%s%s%s%s", all ? "" : "net2c: 1\nname: example\n",
                        all || strstr(text, "inputs:\n") || strncmp(text, "inputs:", 7) == 0
                            ? "" : "inputs: {image: {shape: [N, 4, 32, 32]}}\n",
                        text, strstr(text, "network:") ? "" : "network: [relu]\n");
}

static void test_manual(void **state)
{
    Cx *cx = *state;
    Bytes file;
    assert_true(file_read(cx, NET2C_SOURCE_DIR "/docs/model-language.md", 1 << 20, &file));
    const char *at = arena_strndup(cx->perm, (const char *)file.data, file.size);
    int n = 0;
    while ((at = strstr(at, "\n```yaml\n")) != NULL) {
        at += strlen("\n```yaml\n");
        const char *end = strstr(at, "```\n");
        assert_non_null(end);
        char *text = complete(cx->perm, arena_strndup(cx->perm, at, (size_t)(end - at)));
        if (!parse(cx, text))
            fail_msg("%s\n%s", text, messages(cx));
        n++;
    }
    assert_int_equal(n, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_several_errors), TEST(test_errors_are_capped), TEST(test_chain),
        TEST(test_repeat_limit),   TEST(test_shape_limits),
        TEST(test_largest_graph_reads_back),
        TEST(test_layer_limit),    TEST(test_nesting_limit),     TEST(test_scalar_limit),
        TEST(test_work_limit),     TEST(test_alexnet),           TEST(test_defines),
        TEST(test_samples),        TEST(test_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
