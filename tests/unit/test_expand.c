/* The language above a flat list of layers: parameters, expressions, blocks, repetition and
 * conditions; what they give, code and line of what is wrong in them, and their limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/front.h"

#ifndef NET2C_SOURCE_DIR
#define NET2C_SOURCE_DIR "."
#endif

/* Lines 1 to 4 of most texts here. */
#define HEAD             \
    "net2c: 1\n"         \
    "name: t\n"          \
    "inputs: {x: {shape: [N, 4, 8, 8]}}\n" \
    "params: {c: 6, k: 3, w: word, list: [1, 2]}\n"
#define TWO                                                                             \
    "net2c: 1\nname: t\n"                                                               \
    "inputs: {x: {shape: [N, 4, 8, 8]}, y: {shape: [N, 4, 8, 8]}}\n"                    \
    "params: {}\n"

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

static char *messages(Cx *cx)
{
    return diags_render(cx->diags, cx->perm, 0, false);
}

static Graph *parse_good(Cx *cx, const char *text)
{
    Graph *g = parse(cx, text);
    if (!g)
        fail_msg("%s\n%s", text, messages(cx));
    assert_true(graph_verify(cx, g));
    const char *printed = graph_text(cx->perm, g);
    Graph *again = parse(cx, printed);
    if (!again)
        fail_msg("%s\n%s", printed, messages(cx));
    assert_string_equal(graph_text(cx->perm, again), printed);
    return g;
}

/* "conv conv1<x c1 [N, 6, 8, 8]; ...": operator, name, inputs, path, shape. */
static char *summary(Cx *cx, const Graph *g)
{
    Str s = str_new(cx->perm);
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        str_printf(&s, "%s%s %s", i ? "; " : "", n->op->name, n->out->name);
        for (int k = 0; k < n->n_in; k++)
            str_printf(&s, "%c%s", k ? ',' : '<', n->in[k]->name);
        str_printf(&s, " %s %s", n->path, shape_text(cx->perm, &n->out->shape));
    }
    return s.data;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- expressions ---------------------------------------------------------------------------- */
static Yaml *scalar(Cx *cx, const char *text, bool quoted)
{
    Yaml *y = NEW(cx->perm, Yaml);
    *y = (Yaml){.text = text, .quoted = quoted,
                .place = {"t.yaml", 1, 1, (int)strlen(text)}};
    return y;
}

static bool evaluate(Cx *cx, const char *text, Datum *out)
{
    Scope scope = {.vars = map_new(cx->perm), .tensors = map_new(cx->perm)};
    Model m = {.cx = cx, .scope = &scope, .params = map_new(cx->perm), .work = MAX_WORK};
    Tensor *t = NEW(cx->perm, Tensor);
    *t = (Tensor){.name = "x", .shape = {4, {DIM_N, 3, 7, 9}}};
    Yaml *in = scalar(cx, "x", true), *list = NEW(cx->perm, Yaml), *lost = scalar(cx, "", false);
    in->tensor = t;
    list->kind = YAML_LIST;
    lost->broken = true;
    map_put(scope.vars, "in", in);
    map_put(scope.vars, "list", list);
    map_put(scope.vars, "lost", lost);
    map_put(m.params, "a", scalar(cx, "7", false));
    map_put(m.params, "b", scalar(cx, "-2", false));
    map_put(m.params, "h", scalar(cx, "0.5", false));
    map_put(m.params, "w", scalar(cx, "word", false));
    map_put(m.params, "q", scalar(cx, "7", true));
    map_put(m.params, "on", scalar(cx, "true", false));
    map_put(m.params, "big", scalar(cx, "9223372036854775807", false));
    map_put(m.params, "huge", scalar(cx, "9223372036854775808", false));
    const Yaml *y = scalar(cx, arena_printf(cx->perm, "%s)", text), false);
    const char *at = y->text;
    return expr_read(&m, y, &at, out) && *at == '\0';
}

static void test_values(void **state)
{
    static const char *const cases[][2] = {
        /* arithmetic: Python's precedence, integers round down */
        {"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"7 / 2", "3"}, {"-7 / 2", "-4"},
        {"7 / -2", "-4"}, {"-7 / -2", "3"}, {"7 % 3", "1"}, {"-7 % 3", "2"}, {"7 % -3", "-2"},
        {"-7 % -3", "-1"}, {"2 - 3 - 4", "-5"}, {"12 / 3 * 2", "8"}, {"- - 3", "3"}, {"+3", "3"},
        {"1 << 4", "16"}, {"1 + 1 << 2", "8"}, {"-9 >> 1", "-5"}, {"1 << 62", "4611686018427387904"},
        {"big", "9223372036854775807"}, {"-big - 1", "-9223372036854775808"},
        {"a", "7"}, {"a*b", "-14"}, {"007", "7"},
        /* fractions */
        {"7 / 2.0", "3.5"}, {"h + h", "1.0"}, {"-7.5 % 2", "0.5"}, {"7.5 % -2", "-0.5"},
        {"1e-4 * 10", "0.001"}, {".5", "0.5"}, {"sqrt(16)", "4.0"}, {"1 / sqrt(64)", "0.125"},
        {"1e+2", "100.0"}, {"0x10p0", "16.0"}, {"-h", "-0.5"},
        /* min, max */
        {"min(3, 1, 2)", "1"}, {"max(1, 2.5)", "2.5"}, {"max(a)", "7"}, {"min(1, 2) + 1", "2"},
        /* comparisons, logic; what is not needed is not worked out */
        {"1 < 2", "true"}, {"2 <= 1", "false"}, {"1 == 1.0", "true"}, {"1 != 1", "false"},
        {"2 > 1", "true"}, {"2 >= 3", "false"}, {"h < 1", "true"}, {"w == 'word'", "true"},
        {"w != \"other\"", "true"}, {"w == q", "false"}, {"on == true", "true"},
        {"not 1 == 2", "true"}, {"not on or on", "true"}, {"true or 1 / 0", "true"},
        {"false and nothing", "false"}, {"1 and 2", "true"}, {"0 or 0.0", "false"},
        {"1 or 0 and 0", "true"}, {"not not a", "true"},
        {"1 if on else 2", "1"}, {"1 if not on else 2", "2"}, {"1 if 0 else 2 if 0 else 3", "3"},
        {"1 / 0 if false else 2", "2"}, {"2 if true else 1 / 0", "2"}, {"(1 if on else 2) + 1", "2"},
        {"1 if on else 2 + 1", "1"}, {"'x y'", "x y"}, {"w", "word"}, {"q", "7"},
        /* shapes */
        {"in.channels", "3"}, {"in.height * in.width", "63"}, {"0 if 0 else in.width", "9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx *cx = *state;
        Datum v;
        if (!evaluate(cx, cases[i][0], &v))
            fail_msg("%s: %s", cases[i][0], messages(cx));
        assert_string_equal(datum_text(cx->perm, &v), cases[i][1]);
    }
}

static void test_wrong_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
        int col;
    } cases[] = {
        {"", "E0430", 1}, {"1 +", "E0430", 4}, {"1 2", "E0430", 3}, {"(1", "E0430", 4},
        {"1 = 2", "E0430", 3}, {"1 < 2 < 3", "E0430", 8}, {"1 if 2", "E0430", 7},
        {"$a", "E0430", 1}, {"7x", "E0430", 1}, {"1.2.3", "E0430", 1}, {"'abc", "E0430", 1},
        {"abs(1)", "E0430", 1}, {"not", "E0430", 4}, {"1 + and", "E0431", 5}, {"min(1", "E0430", 7},
        {"sqrt(1, 2)", "E0430", 7}, {"in.depth", "E0430", 4}, {"a // 2", "E0430", 4},
        {"a ** 2", "E0430", 4}, {"nothing", "E0431", 1}, {"1 + aa", "E0431", 5},
        {"w + 1", "E0432", 5}, {"q + 1", "E0432", 5}, {"list + 1", "E0432", 1},
        {"1 + on", "E0432", 5}, {"w < 'x'", "E0432", 5}, {"w == 1", "E0432", 6},
        {"in + 1", "E0432", 6}, {"a.width", "E0432", 1}, {"1 if w else 2", "E0432", 6},
        {"not w", "E0432", 5}, {"sqrt(-1)", "E0432", 7}, {"sqrt(w)", "E0432", 6},
        {"h << 1", "E0432", 6}, {"min(1, w)", "E0432", 8}, {"min(w)", "E0432", 5},
        {"1 / 0", "E0433", 5}, {"1 % 0", "E0433", 5}, {"1 / 0.0", "E0433", 5},
        {"big + 1", "E0433", 7}, {"-big - 2", "E0433", 8}, {"big * 2", "E0433", 7},
        {"1 << 63", "E0433", 6}, {"2 << 62", "E0433", 6}, {"1 << -1", "E0433", 7},
        {"huge", "E0433", 1}, {"9223372036854775808", "E0433", 1}, {"(-big - 1) / -1", "E0433", 15},
        {"1e308 * 10", "E0433", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx *cx = cx_new();
        Datum v;
        bool good = evaluate(cx, cases[i].text, &v);
        const Diag *d = diags_count(cx->diags) ? diags_get(cx->diags, 0) : NULL;
        if (good || !d || diags_error_count(cx->diags) != 1 || !str_eq(d->code, cases[i].code) ||
            d->place.col != cases[i].col)
            fail_msg("%s: expected %s at %d, found %d\n%s", cases[i].text, cases[i].code,
                     cases[i].col, d ? d->place.col : 0, messages(cx));
        cx_delete(cx);
    }
    Cx *cx = cx_new();
    Datum v;
    assert_false(evaluate(cx, "lost + 1", &v));        /* reported where it was lost */
    assert_int_equal(diags_error_count(cx->diags), 0);
    cx_delete(cx);
}

/* n times open, 1, n times close: one level is the expression itself. */
static bool nested(Cx *cx, const char *open, const char *close, int n)
{
    Str s = str_new(cx->perm);
    Datum v;
    for (int i = 0; i < n; i++)
        str_add(&s, open);
    str_char(&s, '1');
    for (int i = 0; i < n; i++)
        str_add(&s, close);
    return evaluate(cx, s.data, &v);
}

static void test_nesting_of_expressions(void **state)
{
    static const char *const forms[][2] = {
        {"(", ")"}, {"-", ""}, {"not ", ""}, {"min(", ")"}, {"1 if 0 else ", ""},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_true(nested(*state, forms[i][0], forms[i][1], MAX_NESTING - 2));
        assert_true(nested(*state, forms[i][0], forms[i][1], MAX_NESTING - 1));
        assert_false(nested(*state, forms[i][0], forms[i][1], MAX_NESTING));
    }
}

/* ---- good models ---------------------------------------------------------------------------- */
static const char *const good[][2] = {
    /* substitution */
    {HEAD "network: [{conv: {out: $c, kernel: $k, pad: $(k / 2)}}]\n",
     "conv conv1<x conv1 [N, 6, 8, 8]"},
    {HEAD "network: [{conv: {out: 1, kernel: $list, name: $w, path: a.$w-$k}}]\n",
     "conv word<x a.word-3 [N, 1, 8, 7]"},
    {HEAD "network: [{conv: {out: $c, kernel: 1, name: a$(k)b, expect: [N, $c, 8, $(4 * 2)]}}]\n",
     "conv a3b<x a3b [N, 6, 8, 8]"},
    {"net2c: 1\nname: net_$n\nparams: {n: 5, m: $(n * 2)}\ninputs: {x: {shape: [N, $m]}}\n"
     "outputs: [o$n]\nnetwork: [{linear: {out: $n, name: o5}}]\n",
     "linear o5<x o5 [N, 5]"},
    {HEAD "network: [{relu: {name: \"a$k.b$c\"}}, {relu: {from: a3.b6}}]\n",
     "relu a3.b6<x a3.b6 [N, 4, 8, 8]; relu relu1<a3.b6 relu1 [N, 4, 8, 8]"},
    /* repeat and when */
    {HEAD "network:\n  - repeat: {i: [1, 4]}\n    layers: [{relu: {name: r$i}}]\n",
     "relu r1<x r1 [N, 4, 8, 8]; relu r4<r1 r4 [N, 4, 8, 8]"},
    {HEAD "network:\n  - repeat: {i: 2..$k}\n    layers: [{relu: {name: r$i}}]\n  - relu\n",
     "relu r2<x r2 [N, 4, 8, 8]; relu r3<r2 r3 [N, 4, 8, 8]; relu relu1<r3 relu1 [N, 4, 8, 8]"},
    {HEAD "network:\n  - repeat: {i: 1..0}\n    layers: [rellu]\n  - relu\n",
     "relu relu1<x relu1 [N, 4, 8, 8]"},
    {HEAD "network:\n  - repeat: {i: $list}\n    layers:\n    - repeat: {j: 0..$(i - 1)}\n"
          "      layers: [{relu: {path: p.$i.$j}}]\n  - relu: {from: p.2.0}\n",
     "relu p.1.0<x p.1.0 [N, 4, 8, 8]; relu p.2.0<p.1.0 p.2.0 [N, 4, 8, 8]; "
     "relu p.2.1<p.2.0 p.2.1 [N, 4, 8, 8]; relu relu1<p.2.0 relu1 [N, 4, 8, 8]"},
    {HEAD "network:\n  - repeat: {s: [[1, 2], 3]}\n"
          "    layers: [{conv: {out: 4, kernel: $s}}]\n",
     "conv conv1<x conv1 [N, 4, 8, 7]; conv conv2<conv1 conv2 [N, 4, 6, 5]"},
    {HEAD "network:\n  - repeat: {k: [1]}\n    layers: [{relu: {name: a$k}}]\n"
          "  - relu: {name: b$k}\n",
     "relu a1<x a1 [N, 4, 8, 8]; relu b3<a1 b3 [N, 4, 8, 8]"},
    {HEAD "network:\n  - when: $(c > 5)\n    layers: [{relu: {name: a}}]\n"
          "    else: [{relu: {name: b}}]\n",
     "relu a<x a [N, 4, 8, 8]"},
    {HEAD "network:\n  - when: $(c < 5)\n    layers: [{relu: {name: a}}]\n"
          "    else: [{relu: {name: a}}, relu]\n",
     "relu a<x a [N, 4, 8, 8]; relu relu1<a relu1 [N, 4, 8, 8]"},
    {HEAD "network:\n  - when: false\n    layers: [rellu]\n  - relu\n",
     "relu relu1<x relu1 [N, 4, 8, 8]"},
    {HEAD "network:\n  - when: 1\n    layers: []\n  - relu\n", "relu relu1<x relu1 [N, 4, 8, 8]"},
    /* blocks */
    {HEAD "blocks: {b: {layers: [relu, relu]}}\nnetwork: [b, {b: {name: z}}, {relu: {from: z}}]\n",
     "relu relu1<x relu1 [N, 4, 8, 8]; relu relu2<relu1 relu2 [N, 4, 8, 8]; "
     "relu z.relu<relu2 z [N, 4, 8, 8]; relu z<z.relu z [N, 4, 8, 8]; "
     "relu relu3<z relu3 [N, 4, 8, 8]"},
    {HEAD "blocks: {b: {args: {o: required, k: 1, p: $(k / 2)}, layers: [{conv: {out: $o,\n"
          "  kernel: $k, pad: $p}}]}}\nnetwork: [{b: {o: 2, path: f.0}}, {b: {o: $k, k: 5}}]\n",
     "conv f.0.conv<x f.0 [N, 2, 8, 8]; conv conv1<f.0.conv conv1 [N, 3, 8, 8]"},
    {HEAD "blocks: {b: {layers: [{conv: {path: c, out: 2, kernel: 1}}, relu]}}\n"
          "network: [{b: {path: e.1}}, {b: {name: n}}, b]\n",
     "conv e.1.c<x e.1.c [N, 2, 8, 8]; relu e.1.relu<e.1.c e.1 [N, 2, 8, 8]; "
     "conv n.c<e.1.relu n.c [N, 2, 8, 8]; relu n<n.c n [N, 2, 8, 8]; "
     "conv c<n c [N, 2, 8, 8]; relu relu1<c relu1 [N, 2, 8, 8]"},
    /* names inside are local: the second a makes way, and z refers to the second one */
    {HEAD "blocks: {b: {layers: [{relu: {name: a}}, {relu: {name: z}}, {add: {from: [a, z]}}]}}\n"
          "network: [b, {b: {path: q}}]\n",
     "relu a<x a [N, 4, 8, 8]; relu z<a z [N, 4, 8, 8]; add add1<a,z add1 [N, 4, 8, 8]; "
     "relu q.a<add1 q [N, 4, 8, 8]; relu q.z<q.a q [N, 4, 8, 8]; "
     "add q.add<q.a,q.z q [N, 4, 8, 8]"},
    {HEAD "blocks: {b: {layers: [{relu: {name: a}}]}}\n"
          "network: [b, {relu: {name: a}}, {add: {from: [a, x]}}]\n",
     "relu b.a<x b.a [N, 4, 8, 8]; relu a<b.a a [N, 4, 8, 8]; add add1<a,x add1 [N, 4, 8, 8]"},
    /* $in, inputs, tensors as arguments, even where the block has a name that is the same */
    {HEAD "blocks: {b: {layers: [{relu: {name: r}}, {add: {from: [$in, r]}}]}}\n"
          "network: [b, {b: {from: x, name: s}}]\n",
     "relu r<x r [N, 4, 8, 8]; add add1<x,r add1 [N, 4, 8, 8]; "
     "relu s.r<x s [N, 4, 8, 8]; add s<x,s.r s [N, 4, 8, 8]"},
    {TWO "blocks: {b: {inputs: [p, q], layers: [{add: {from: [$p, $q]}}, {add: {value: 1}}]}}\n"
         "network: [{b: {from: [y, x]}}]\n",
     "add add1<y,x add1 [N, 4, 8, 8]; add add2<add1 add2 [N, 4, 8, 8]"},
    {HEAD "blocks: {up: {args: {skip: required}, layers: [{relu: {name: e}}, "
          "{add: {from: [$skip, e]}}]}}\n"
          "network: [{relu: {name: e}}, {up: {skip: e, path: u}}]\n",
     "relu e<x e [N, 4, 8, 8]; relu u.e<e u [N, 4, 8, 8]; add u.add<e,u.e u [N, 4, 8, 8]"},
    {HEAD "blocks:\n  sum: {args: {of: required}, layers: [{add: {from: $of}}]}\n"
          "  two: {args: {a: x, of: required}, layers: [{relu: {name: e}}, {sum: {of: $of}}]}\n"
          "network: [{relu: {name: e}}, {two: {of: [e, x]}}]\n",
     "relu e<x e [N, 4, 8, 8]; relu two.e<e two.e [N, 4, 8, 8]; add add1<e,x add1 [N, 4, 8, 8]"},
    {HEAD "blocks: {b: {layers: [{conv: {out: $(in.channels * 2), kernel: $(in.height / 4)}}]}}\n"
          "network: [b, b]\n",
     "conv conv1<x conv1 [N, 8, 7, 7]; conv conv2<conv1 conv2 [N, 16, 7, 7]"},
    {HEAD "blocks: {b: {args: {o: $(in.channels)}, layers:\n  [{when: $(o != in.channels), layers: "
          "[{conv: {out: $o, kernel: 1}}]}]}}\nnetwork: [b, {b: {o: 2}}, {b: {name: same}}]\n",
     "conv conv1<x conv1 [N, 2, 8, 8]; identity same<conv1 identity1 [N, 2, 8, 8]"},
    /* blocks in blocks, in repetition; a block sees no variable of its caller */
    {HEAD "blocks:\n  one: {args: {n: required}, layers: [{relu: {name: r$n}}]}\n"
          "  all: {args: {n: 2}, layers: [{repeat: {i: 1..$n}, layers: [{one: {n: $i}}]}]}\n"
          "network: [all, {all: {n: 1, name: last, path: m}}]\n",
     "relu r1<x r1 [N, 4, 8, 8]; relu r2<r1 r2 [N, 4, 8, 8]; relu last<r2 m [N, 4, 8, 8]"},
    {HEAD "blocks: {b: {args: {list: []}, layers: [{repeat: {i: $list}, layers: [relu]}]}}\n"
          "network: [b, {b: {list: [1, a]}}]\n",
     "relu relu1<x relu1 [N, 4, 8, 8]; relu relu2<relu1 relu2 [N, 4, 8, 8]"},
    {HEAD "blocks: {b: {layers: [relu]}}\nnetwork: [{b: {expect: [N, 4, $(k + 5), 8]}}]\n",
     "relu relu1<x relu1 [N, 4, 8, 8]"},
    /* weights: names and slices of rows */
    {HEAD "network: [{conv: {out: 4, kernel: 1, bias: false, weights: {weight: \"q.$k[4:8]\"}}}]\n",
     "conv conv1<x conv1 [N, 4, 8, 8]"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        Cx *cx = cx_new();
        const Graph *g = parse_good(cx, good[i][0]);
        if (!str_eq(summary(cx, g), good[i][1]))
            fail_msg("%s\nfound    %s\nexpected %s", good[i][0], summary(cx, g), good[i][1]);
        cx_delete(cx);
    }
}

/* ---- broken models: one mistake each, so one message each ----------------------------------- */
typedef struct Broken {
    const char *code;
    int line;
    const char *text;
    const char *part;              /* of the message, NULL: any */
} Broken;

#define NET(layers) HEAD "network:\n" layers
#define BLOCK(b) HEAD "blocks: {b: " b "}\nnetwork: [relu, {b: {name: z}}, {relu: {from: z}}]\n"
#define CALL(call) \
    HEAD "blocks: {b: {args: {o: required, k: 1}, layers: [{conv: {out: $o, kernel: $k}}]}}\n" \
         "network: [relu, " call ", relu]\n"

static const Broken broken[] = {
    /* substitution */
    {"E0430", 6, NET("  - relu: {name: a$}\n"), "followed by a name"},
    {"E0430", 6, NET("  - relu: {name: $1}\n  - relu\n"), NULL},
    {"E0430", 6, NET("  - relu: {name: $(k}\n"), "expected ')'"},
    {"E0431", 6, NET("  - conv: {out: $d, kernel: 3}\n  - linear: {out: 3}\n"), "'d'"},
    {"E0431", 6, NET("  - conv: {out: $lst, kernel: 3}\n"), "did you mean 'list'"},
    {"E0431", 6, NET("  - conv: {out: $in, kernel: 3}\n"), "input of a block"},
    {"E0431", 6, NET("  - relu: {name: a$b.c, path: p}\n  - relu: {from: a1.c}\n"), NULL},
    {"E0432", 6, NET("  - relu: {name: a$list}\n"), "a list of 2"},
    {"E0432", 6, NET("  - conv: {out: 4, kernel: [$list, 3]}\n"), "inside a list"},
    {"E0432", 6, NET("  - relu: {path: p$(k / 2.0)}\n"), "whole numbers and words"},
    {"E0412", 6, NET("  - conv: {out: $w, kernel: 3}\n"), "'word'"},
    {"E0412", 6, NET("  - conv: {out: $list, kernel: 3}\n"), "a list of 2"},
    {"E0412", 6, NET("  - conv: {out: $(k / 2.0), kernel: 3}\n"), "'1.5'"},
    {"E0412", 6, NET("  - conv: {out: $(sqrt(16)), kernel: 3}\n"), "'4.0'"},
    {"E0406", 6, NET("  - relu: {name: $k}\n"), NULL},
    {"E0404", 6, NET("  - relu: {name: $list}\n"), "several names"},
    {"E0416", 6, NET("  - relu: {expect: [N, $k, 8, 8]}\n"), "[N, 3, 8, 8]"},
    {"E0431", 2, "net2c: 1\nname: $n\ninputs: {x: {shape: [N, 4]}}\nnetwork: [relu]\n", NULL},
    {"E0431", 3, "net2c: 1\nname: n\ninputs: {x: {shape: [N, $n]}}\nnetwork: [{linear: {out: 3}}]\n",
     NULL},
    {"E0431", 3, "net2c: 1\nname: n\noutputs: [a$n]\ninputs: {x: {shape: [N, 4]}}\n"
                 "network: [relu]\n", NULL},
    /* params */
    {"E0401", 1, "params: [a]\nnet2c: 1\nname: t\ninputs: {x: {shape: [N]}}\nnetwork: [relu]\n",
     NULL},
    {"E0435", 1, "params: {a-b: 1}\nnet2c: 1\nname: t\ninputs: {x: {shape: [N]}}\n"
                 "network: [relu]\n", "'a-b'"},
    {"E0435", 1, "params: {in: 1}\nnet2c: 1\nname: t\ninputs: {x: {shape: [N]}}\n"
                 "network: [relu]\n", NULL},
    {"E0434", 1, "params: {a: {b: 1}}\nnet2c: 1\nname: t\ninputs: {x: {shape: [N, $a]}}\n"
                 "network: [relu]\n", "a map"},
    {"E0431", 1, "params: {a: $b, b: 1}\nnet2c: 1\nname: t\ninputs: {x: {shape: [N, $a]}}\n"
                 "network: [relu]\n", "'b'"},
    {"E0433", 1, "params: {a: 0, b: $(1 / a), c: $b}\nnet2c: 1\nname: t\n"
                 "inputs: {x: {shape: [N, $c]}}\nnetwork: [relu]\n", "division by zero"},
    /* declarations of blocks */
    {"E0401", 5, HEAD "blocks: [b]\nnetwork: [relu]\n", NULL},
    {"E0401", 5, BLOCK("[relu]"), "block 'b'"},
    {"E0402", 5, BLOCK("{args: {}}"), "no 'layers'"},
    {"E0401", 5, BLOCK("{layers: relu}"), "'layers'"},
    {"E0401", 5, BLOCK("{args: [a], layers: [relu]}"), "'args'"},
    {"E0401", 5, BLOCK("{inputs: a, layers: [relu]}"), "'inputs'"},
    {"E0403", 5, BLOCK("{arg: {}, layers: [relu]}"), "did you mean 'args'"},
    {"E0435", 5, BLOCK("{args: {from: 1}, layers: [relu]}"), "'from'"},
    {"E0435", 5, BLOCK("{args: {in: 1}, layers: [relu]}"), "'in'"},
    {"E0435", 5, BLOCK("{args: {a.b: 1}, layers: [relu]}"), "'a.b'"},
    {"E0435", 5, BLOCK("{args: {else: 1}, layers: [relu]}"), NULL},
    {"E0435", 5, BLOCK("{inputs: [], layers: [relu]}"), "1 to 16"},
    {"E0435", 5, BLOCK("{inputs: [[a]], layers: [relu]}"), NULL},
    {"E0435", 5, BLOCK("{inputs: [a, b], args: {b: 1}, layers: [relu]}"), "an input"},
    {"E0435", 5, HEAD "blocks: {conv: {layers: [relu]}}\nnetwork: [relu]\n", "operator"},
    {"E0435", 5, HEAD "blocks: {gelu: {layers: [relu]}}\nnetwork: [relu]\n", "operator"},
    {"E0435", 5, HEAD "blocks: {when: {layers: [relu]}}\nnetwork: [relu]\n", NULL},
    {"E0435", 5, HEAD "blocks: {0b: {layers: [relu]}}\nnetwork: [relu]\n", NULL},
    /* calls */
    {"E0436", 6, CALL("b"), "needs the argument 'o'"},
    {"E0403", 6, CALL("{b: {o: 3, p: 3}}"), "'p' in block 'b'"},
    {"E0403", 6, CALL("{b: {o: 3, group: g}}"), NULL},
    {"E0411", 6, CALL("{b: 3}"), "must be a map"},
    {"E0436", 6, CALL("{b: {o: {a: 1}}}"), "a map"},
    {"E0431", 6, CALL("{b: {o: $d}}"), NULL},
    {"E0436", 6, CALL("{b: {o: 3, from: [x, x]}}"), "has 1 input, found 2"},
    {"E0413", 6, CALL("{b: {o: 3, from: y}}"), "'y'"},
    {"E0407", 6, CALL("{b: {o: 3, name: x}}"), "used twice"},
    {"E0406", 6, CALL("{b: {o: 3, name: 3x}}"), NULL},
    {"E0417", 6, CALL("{b: {o: 3, path: [a]}}"), NULL},
    {"E0416", 6, CALL("{b: {o: 3, expect: [N, 4, 8, 8]}}"), "[N, 3, 8, 8]"},
    {"E0410", 6, CALL("{bb: {o: 3}}"), "did you mean 'b'"},
    {"E0412", 5, CALL("{b: {o: three}}"), "in block b (line 5), used at line 6"},
    {"E0412", 5, CALL("{b: {o: three}}, {b: {o: three}}, {b: {o: 1, name: q}}, {relu: {from: q}}"),
     NULL},
    {"E0604", 5, CALL("{b: {o: 3, k: 9}}"), "in block b (line 5)"},
    {"E0437", 5, BLOCK("{layers: [relu, b]}"), "calls itself"},
    {"E0437", 5, HEAD "blocks: {a: {layers: [b]}, b: {layers: [c]}, c: {layers: [relu, a]}}\n"
                      "network: [a, b, c]\n", "in block c (line 5), used at line 5"},
    /* inside */
    {"E0431", 5, BLOCK("{layers: [{relu: {name: $y}}]}"), "'y'"},
    {"E0431", 5, BLOCK("{inputs: [p], layers: [{relu: {from: $in}}]}"), "names of their own"},
    {"E0413", 5, BLOCK("{layers: [{relu: {from: x}}]}"), "pass it as an argument"},
    {"E0413", 5, BLOCK("{args: {f: nix}, layers: [{relu: {from: $f}}]}"), "'nix'"},
    {"E0407", 5, BLOCK("{layers: [{relu: {name: p}}, {relu: {name: p}}]}"), "used twice"},
    {"E0413", 6, HEAD "blocks: {b: {layers: [{relu: {name: p}}]}}\n"
                      "network: [b, {relu: {from: p}}]\n", "'p'"},
    {"E0415", 5, HEAD "blocks: {b: {inputs: [p, q], layers: [relu]}}\n"
                      "network: [{b: {from: [x, x]}}, relu]\n", "add 'from: $p'"},
    {"E0415", 6, TWO "blocks: {b: {layers: [relu]}}\nnetwork: [b, relu]\n", "2 inputs"},
    {"E0432", 5, HEAD "blocks: {b: {layers: [{linear: {out: $(in.height)}}]}}\n"
                      "network: [flatten, b, relu]\n", "[N, 256]: it has no height"},
    {"E0420", 5, HEAD "blocks: {b: {layers: [{conv: {path: c, out: 2, kernel: 1}}]}}\n"
                      "network: [b, b]\n", "give one of them another 'path'"},
    /* repeat, when */
    {"E0438", 6, NET("  - repeat: {i: 3}\n    layers: [relu]\n  - linear: {out: 2}\n"), "1..4"},
    {"E0438", 6, NET("  - repeat: {i: 1..b}\n    layers: [relu]\n"), NULL},
    {"E0432", 6, NET("  - repeat: {i: 1..$(k / 2.0)}\n    layers: [relu]\n"), NULL},
    {"E0438", 6, NET("  - repeat: {i: 1..2, j: 1..2}\n    layers: [relu]\n"), "one variable"},
    {"E0438", 6, NET("  - repeat: i\n    layers: [relu]\n"), "one variable"},
    {"E0438", 6, NET("  - repeat: {i: {}}\n    layers: [relu]\n"), "a map"},
    {"E0438", 6, NET("  - repeat: {i: 1..2}\n"), "no 'layers'"},
    {"E0401", 7, NET("  - repeat: {i: 1..2}\n    layers: relu\n"), NULL},
    {"E0403", 8, NET("  - repeat: {i: 1..2}\n    layers: [relu]\n    name: a\n"), "'name'"},
    {"E0435", 6, NET("  - repeat: {in: 1..2}\n    layers: [relu]\n"), "'in'"},
    {"E0431", 6, NET("  - repeat: {i: $n}\n    layers: [{relu: {name: a}}]\n"
                     "  - relu: {from: a}\n"), "'n'"},
    {"E0407", 7, NET("  - repeat: {i: 1..9}\n    layers: [{relu: {name: a}}]\n"), "used twice"},
    {"E0410", 7, NET("  - repeat: {i: 1..9}\n    layers: [rellu]\n"), NULL},
    {"E0431", 8, NET("  - repeat: {i: 1..2}\n    layers: [relu]\n  - relu: {name: a$i}\n"), "'i'"},
    {"E0422", 6, NET("  - repeat: {i: 0..65536}\n    layers: [relu]\n"), "65536"},
    {"E0422", 6, NET("  - repeat: {i: -9223372036854775808..9223372036854775807}\n"
                     "    layers: []\n"), "65536"},
    {"E0438", 6, NET("  - when: true\n"), "no 'layers'"},
    {"E0403", 8, NET("  - when: true\n    layers: [relu]\n    otherwise: []\n"), NULL},
    {"E0401", 8, NET("  - when: true\n    layers: [relu]\n    else: relu\n"), "'else'"},
    {"E0432", 6, NET("  - when: no\n    layers: [relu]\n  - linear: {out: 2}\n"), "'no'"},
    {"E0432", 6, NET("  - when: $list\n    layers: [relu]\n"), NULL},
    {"E0433", 6, NET("  - when: $(1 / 0)\n    layers: [{relu: {name: a}}]\n"
                     "  - relu: {from: a}\n"), NULL},
    {"E0422", 5, HEAD "network: [{when: false, layers: [relu]}]\n", "no layers"},
    {"E0404", 6, NET("  - relu: {name: [a, b]}\n  - relu: {from: x}\n"), "several names"},
    /* check, preprocess */
    {"E0401", 6, HEAD "network: [relu]\ncheck: {}\n", NULL},
    {"E0401", 6, HEAD "network: [relu]\ncheck: [x]\n", NULL},
    {"E0403", 6, HEAD "network: [relu]\ncheck: [{in: {}}]\n", NULL},
    {"E0402", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: a.npy}}]\n", "no 'outputs'"},
    {"E0439", 6, HEAD "network: [relu]\ncheck: [{inputs: {}, outputs: {relu1: b.npy}}]\n",
     "all 1 inputs"},
    {"E0439", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: a.npy}, outputs: {relu: b.npy}}]\n",
     "did you mean 'relu1'"},
    {"E0439", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: /a.npy}, outputs: {}}]\n", "below"},
    {"E0439", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: a/../../b}, outputs: {}}]\n", "below"},
    {"E0439", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: ..}, outputs: {}}]\n", "below"},
    {"E0440", 6, HEAD "network: [relu]\ncheck: [{inputs: {x: a}, outputs: {}, rtol: -1}]\n",
     "'rtol'"},
    {"E0439", 6, HEAD "network: [relu]\npreprocess: {y: {}}\n", "no input 'y'"},
    {"E0401", 6, HEAD "network: [relu]\npreprocess: [x]\n", NULL},
    {"E0440", 6, HEAD "network: [relu]\npreprocess: {x: {}}\n", "no picture"},
#define PICTURE(p)                                                                      \
    "net2c: 1\nname: t\ninputs: {x: {shape: [N, 3, 8, 8]}}\nnetwork: [relu]\n"           \
    "preprocess: {x: " p "}\n"
    {"E0403", 5, PICTURE("{size: 3}"), NULL},
    {"E0440", 5, PICTURE("{crop: 9}"), "[N, 3, 8, 8]"},
    {"E0440", 5, PICTURE("{resize: 0}"), "whole number from 1 on"},
    {"E0440", 5, PICTURE("{mean: [1, 2]}"), "a list of 3"},
    {"E0440", 5, PICTURE("{mean: [1, 2, x]}"), NULL},
    {"E0440", 5, PICTURE("{std: [1, 2, 0]}"), "from 1e-9 on"},
    {"E0440", 5, PICTURE("{order: rbg}"), "rgb or bgr"},
};

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const Broken *b = &broken[i];
        Cx *cx = cx_new();
        const Graph *g = parse(cx, b->text);
        const Diag *d = diags_count(cx->diags) ? diags_get(cx->diags, 0) : NULL;
        if (g || !d || diags_error_count(cx->diags) != 1 || !str_eq(d->code, b->code) ||
            d->place.line != b->line || d->place.col < 1 ||
            (b->part && !strstr(messages(cx), b->part)))
            fail_msg("expected %s in line %d ('%s') of\n%sfound\n%s", b->code, b->line,
                     b->part ? b->part : "", b->text, messages(cx));
        cx_delete(cx);
    }
}

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
    static const int lines[] = {4, 8, 13, 10, 16, 18, 24, 5}   ;   /* as they are found */
    expect_errors(*state,
        "net2c: 1\n"
        "name: t\n"
        "inputs: {x: {shape: [N, 4, 8, 8]}}\n"
        "params: {a: $none, b: $a, k: 3}\n"                                 /* 4 */
        "outputs: [nowhere, $none]\n"                                       /* 5; a gap could be nowhere */
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
        lines, 8);
}

static void test_errors_are_capped(void **state)
{
    assert_null(parse(*state, HEAD "network:\n  - repeat: {i: 1..60000}\n    layers: [relu]\n"
                              "  - repeat: {i: 1..2}\n"
                              "    layers: [$a, $b, $c, $d, $e, $f, $g, $h, $i, $j, $k, $l, $m, $n,\n"
                              "             $o, $p, $q, $r, $s, $t, $u, $v, $w, $x]\n"));
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
    static const char text[] = HEAD "network:\n  - repeat: {i: 1..%d}\n    layers: [relu]\n  - relu\n";
    assert_null(verdict(arena_printf(cx->perm, text, MAX_LAYERS - 2)));
    assert_null(verdict(arena_printf(cx->perm, text, MAX_LAYERS - 1)));
    assert_string_equal(verdict(arena_printf(cx->perm, text, MAX_LAYERS)), "E0422");
    static const char none[] = HEAD "network:\n  - repeat: {i: 1..%d}\n    layers: []\n  - relu\n";
    assert_null(verdict(arena_printf(cx->perm, none, MAX_LAYERS - 1)));
    assert_null(verdict(arena_printf(cx->perm, none, MAX_LAYERS)));
    assert_string_equal(verdict(arena_printf(cx->perm, none, MAX_LAYERS + 1)), "E0422");
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
                                     "    - repeat: {j: 1..60000}\n      layers: []\n  - relu\n"), "E0422");
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
}

/* The same network, paths of layers without weights aside. */
static void check_same(Cx *cx, ModelDefines defines, const char *flat)
{
    Graph *a = model_load_with(cx, NET2C_SOURCE_DIR "/models/alexnet.yaml", defines);
    Graph *b = model_load(cx, flat);
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
    assert_int_equal(n, 11);
}

/* ---- damaged files -------------------------------------------------------------------------- */
static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static char *damage(Arena *a, const char *text, uint64_t *seed)
{
    static const char *const parts[] = {
        "$", "$(", ")", "{", "}", "[", "]", ": ", ", ", "..", "-", "1", "0", "99999", " if ",
        " else ", "in", "$in", "i", "\n", "  ", "- ", "'", "\"", "b", "repeat", "when", "from",
        "9223372036854775807", " / ", " % ", " << ", "*a", "&a ", "N", "name", ".", "x",
    };
    char *copy = arena_strdup(a, text);
    for (uint32_t n = draw(seed, 3) + 1; n > 0; n--) {
        size_t len = strlen(copy), at = draw(seed, (uint32_t)len), cut = draw(seed, 6);
        cut = at + cut > len ? 0 : cut;
        const char *part = parts[draw(seed, sizeof parts / sizeof *parts)];
        copy = draw(seed, 4) == 0
            ? arena_printf(a, "%.*s%s", (int)at, copy, copy + at / 2)       /* a stretch twice */
            : arena_printf(a, "%.*s%s%s", (int)at, copy, draw(seed, 3) ? part : "", copy + at + cut);
    }
    return copy;
}

/* Whatever is in the file: a graph that is right, or messages. */
static void test_damaged(void **state)
{
    Cx *keep = *state;
    Bytes file;
    assert_true(file_read(keep, NET2C_SOURCE_DIR "/models/alexnet.yaml", 1 << 20, &file));
    const char *alexnet = strstr(arena_strndup(keep->perm, (const char *)file.data, file.size),
                                 "net2c:");
    size_t n_good = sizeof good / sizeof *good, n_broken = sizeof broken / sizeof *broken;
    uint64_t seed = 1;
    const char *rounds = getenv("NET2C_FUZZ_ROUNDS");
    for (int i = rounds ? atoi(rounds) : 2000; i > 0; i--) {
        Cx *cx = cx_new();
        if (cx_guard(cx))
            fail_msg("out of memory");
        uint32_t which = draw(&seed, (uint32_t)(n_good + n_broken) + 20);
        const char *text = which < n_good              ? good[which][0]
                           : which < n_good + n_broken ? broken[which - n_good].text
                                                       : alexnet;
        text = damage(cx->perm, text, &seed);
        const Graph *g = parse(cx, text);
        if ((g == NULL) != (diags_error_count(cx->diags) > 0))
            fail_msg("neither graph nor message, or both:\n%s", text);
        if (g && (!graph_verify(cx, g) ||
                  (g->n_nodes < 4000 && !parse(cx, graph_text(cx->perm, g)))))
            fail_msg("%s\n%s", text, messages(cx));
        cx_delete(cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values),         TEST(test_wrong_expressions), TEST(test_nesting_of_expressions),
        TEST(test_good),           TEST(test_broken),            TEST(test_several_errors),
        TEST(test_errors_are_capped), TEST(test_chain),          TEST(test_layer_limit),
        TEST(test_nesting_limit),  TEST(test_scalar_limit),      TEST(test_work_limit),
        TEST(test_alexnet),        TEST(test_defines),           TEST(test_samples),
        TEST(test_manual),         TEST(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
