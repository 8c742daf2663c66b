/* The language above a flat list of layers: what parameters, blocks, repetition and conditions
 * give, code and line of what is wrong in them, and the same files damaged. */
#include "expand_fixture.h"

#define TWO                                                                             \
    "net2c: 1\nname: t\n"                                                               \
    "inputs: {x: {shape: [N, 4, 8, 8]}, y: {shape: [N, 4, 8, 8]}}\n"                    \
    "params: {}\n"


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
    /* the name of a call is its path only where no block around it has one */
    {HEAD "blocks:\n  c: {layers: [{conv: {path: w, out: 2, kernel: 1}}]}\n"
          "  b: {layers: [{c: {name: n}}]}\nnetwork: [{b: {path: p}}, b]\n",
     "conv n<x p.w [N, 2, 8, 8]; conv b.n<n n.w [N, 2, 8, 8]"},
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
    {"E0431", 3, "net2c: 1\nname: n\ninputs: {x: {shape: [N, $n]}}\n"
                 "network: [{linear: {out: 3}}]\n", NULL},
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
            : arena_printf(a, "%.*s%s%s", (int)at, copy, draw(seed, 3) ? part : "",
                           copy + at + cut);
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
    const struct CMUnitTest tests[] = {TEST(test_good), TEST(test_broken), TEST(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
