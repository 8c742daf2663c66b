/* The operators' shape rules: what they accept, what shapes they give, which code and place an
 * error has. Nests are in test_nests.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops_fixture.h"

typedef struct Accepted {
    const char *op, *inputs, *attrs;
    const char *output, *weight;        /* weight NULL: no parameters */
} Accepted;

static const Accepted accepted[] = {
    {"conv", "N,3,8,8", "out=4 kernel=3", "[N, 4, 6, 6]", "[4, 3, 3, 3]"},
    {"conv", "N,3,224,224", "out=96 kernel=11 stride=4 pad=2", "[N, 96, 55, 55]",
     "[96, 3, 11, 11]"},
    {"conv", "N,96,27,27", "out=256 kernel=5 pad=2 groups=2", "[N, 256, 27, 27]",
     "[256, 48, 5, 5]"},
    {"conv", "N,4,9,7", "out=8 kernel=3,1 stride=2,1", "[N, 8, 4, 7]", "[8, 4, 3, 1]"},
    {"conv", "N,4,9,7", "out=8 kernel=3 pad=1,2", "[N, 8, 9, 9]", "[8, 4, 3, 3]"},
    {"conv", "N,4,9,7", "out=8 kernel=3 pad=1,0,2,3", "[N, 8, 10, 8]", "[8, 4, 3, 3]"},
    {"conv", "N,4,9,9", "out=4 kernel=3 dilation=2 groups=4", "[N, 4, 5, 5]", "[4, 1, 3, 3]"},
    {"conv", "N,4,3,3", "out=4 kernel=5 pad=1", "[N, 4, 1, 1]", "[4, 4, 5, 5]"},
    {"conv", "N,4,9", "out=6 kernel=3", "[N, 6, 7]", "[6, 4, 3]"},
    {"conv", "N,4,9", "out=6 kernel=3 pad=2", "[N, 6, 11]", "[6, 4, 3]"},
    {"conv", "N,4,9", "out=6 kernel=3 pad=2,0 stride=2", "[N, 6, 5]", "[6, 4, 3]"},
    {"conv", "N,4,2,2", "out=2 kernel=1 stride=65536 pad=7", "[N, 2, 1, 1]", "[2, 4, 1, 1]"},
    {"linear", "N,9216", "out=4096", "[N, 4096]", "[4096, 9216]"},
    {"linear", "N,17,64", "out=10", "[N, 17, 10]", "[10, 64]"},
    {"maxpool", "N,96,55,55", "kernel=3 stride=2", "[N, 96, 27, 27]", NULL},
    {"maxpool", "N,4,8,6", "kernel=2", "[N, 4, 4, 3]", NULL},
    {"maxpool", "N,4,8,6", "kernel=2,3", "[N, 4, 4, 2]", NULL},
    {"maxpool", "N,4,7,7", "kernel=2", "[N, 4, 3, 3]", NULL},
    {"maxpool", "N,4,7,7", "kernel=2 ceil_mode=1", "[N, 4, 4, 4]", NULL},
    {"maxpool", "N,4,5,5", "kernel=2 stride=3 pad=1 ceil_mode=1", "[N, 4, 2, 2]", NULL},
    {"maxpool", "N,4,1,1", "kernel=2 stride=2 pad=1 ceil_mode=1", "[N, 4, 1, 1]", NULL},
    {"maxpool", "N,4,4,4", "kernel=1 stride=4 ceil_mode=1", "[N, 4, 1, 1]", NULL},
    {"maxpool", "N,4,5,5", "kernel=1 stride=3 ceil_mode=1", "[N, 4, 2, 2]", NULL},
    {"maxpool", "N,4,9,9", "kernel=3 stride=1 pad=1 dilation=2", "[N, 4, 7, 7]", NULL},
    {"maxpool", "N,4,9", "kernel=3 pad=1,0", "[N, 4, 3]", NULL},
    {"lrn", "N,96,27,27", "size=5 alpha=1e-4 beta=0.75 k=2", "[N, 96, 27, 27]", NULL},
    {"lrn", "N,3,5", "size=1", "[N, 3, 5]", NULL},
    {"lrn", "N,3,5,5", "size=9 beta=1.5", "[N, 3, 5, 5]", NULL},
    {"relu", "N,7", "", "[N, 7]", NULL},
    {"relu", "N", "", "[N]", NULL},
    {"softmax", "N,1000", "axis=1", "[N, 1000]", NULL},
    {"softmax", "N,3,4,5", "axis=-3", "[N, 3, 4, 5]", NULL},
    {"add", "N,3,4 N,3,4", "", "[N, 3, 4]", NULL},
    {"add", "N,3 N,3 N,3", "", "[N, 3]", NULL},
    {"add", "N,3", "value=0.5", "[N, 3]", NULL},
    {"leaky_relu", "N,3,4", "", "[N, 3, 4]", NULL},
    {"leaky_relu", "N,3", "negative_slope=-2", "[N, 3]", NULL},
    {"relu6", "N,3", "", "[N, 3]", NULL},
    {"clip", "N,3", "min=-1", "[N, 3]", NULL},
    {"clip", "N,3,4", "min=3 max=1", "[N, 3, 4]", NULL},
    {"mul", "N,3,4 N,3,4 N,3,4", "", "[N, 3, 4]", NULL},
    {"mul", "N,3", "value=0.5", "[N, 3]", NULL},
    {"sub", "N,3 N,3", "", "[N, 3]", NULL},
    {"sub", "N,3", "value=0.5", "[N, 3]", NULL},
    {"avgpool", "N,4,7,7", "kernel=2", "[N, 4, 3, 3]", NULL},
    {"avgpool", "N,4,7,7", "kernel=2 ceil_mode=1", "[N, 4, 4, 4]", NULL},
    {"avgpool", "N,4,9", "kernel=3 stride=1 pad=1 count_include_pad=0", "[N, 4, 9]", NULL},
    {"global_avgpool", "N,512,7,5", "", "[N, 512, 1, 1]", NULL},
    {"global_avgpool", "N,5,9", "", "[N, 5, 1]", NULL},
    {"batchnorm", "N,4,7,7", "", "[N, 4, 7, 7]", "[4]"},
    {"batchnorm", "N,5", "eps=0.1 affine=0", "[N, 5]", "[5]"},
    {"concat", "N,3,8,8 N,5,8,8 N,1,8,8", "axis=1", "[N, 9, 8, 8]", NULL},
    {"concat", "N,3 N,4", "axis=-1", "[N, 7]", NULL},
    {"pad", "N,3,8,8", "pad=1,0,2,3", "[N, 3, 11, 11]", NULL},
    {"pad", "N,3,8", "pad=1,2 value=-1", "[N, 3, 11]", NULL},
    {"tanh", "N,3,4", "", "[N, 3, 4]", NULL},
    {"sigmoid", "N", "", "[N]", NULL},
    {"log_softmax", "N,3,4", "axis=-1", "[N, 3, 4]", NULL},
    {"add", "N,3,4 N,3,1", "", "[N, 3, 4]", NULL},
    {"mul", "N,1,4 N,3,1 N,1,1", "", "[N, 3, 4]", NULL},
    {"sub", "N,1 N,5", "", "[N, 5]", NULL},
    {"transpose", "N,3,4,5", "perm=0,3,1,2", "[N, 5, 3, 4]", NULL},
    {"transpose", "N,3,4", "perm=0,-1,-2", "[N, 4, 3]", NULL},
    {"transpose", "N", "perm=0", "[N]", NULL},
    {"reduce_mean", "N,17,64", "axis=1", "[N, 64]", NULL},
    {"reduce_mean", "N,3,4,5", "axis=-1,1", "[N, 4]", NULL},
    {"reduce_mean", "N,3,4,5", "axis=2,3 keepdims=1", "[N, 3, 1, 1]", NULL},
    {"reduce_mean", "N,3,4", "axis=1,2", "[N]", NULL},
    {"param", "", "shape=1,17,64", "[N, 17, 64]", "[1, 17, 64]"},
    {"param", "", "shape=1", "[N]", "[1]"},
    {"flatten", "N,256,6,6", "", "[N, 9216]", NULL},
    {"flatten", "N,5", "", "[N, 5]", NULL},
    {"flatten", "N", "", "[N, 1]", NULL},
    {"reshape", "N,8,6", "shape=N,4,12", "[N, 4, 12]", NULL},
    {"reshape", "N,8,6", "shape=N,-1,3", "[N, 16, 3]", NULL},
    {"reshape", "N,48", "shape=N,1,6,1,8", "[N, 1, 6, 1, 8]", NULL},
    {"reshape", "N,6,10", "shape=N,60", "[N, 60]", NULL},
    {"reshape", "N,1,1", "shape=N", "[N]", NULL},
    {"dropout", "N,3,4", "p=0.5", "[N, 3, 4]", NULL},
    {"identity", "N,3,4", "", "[N, 3, 4]", NULL},
};

typedef struct Refused {
    const char *op, *inputs, *attrs, *code;
    int col;                            /* 3: at an attribute, 1: at the layer */
} Refused;

static const Refused refused[] = {
    {"conv", "N,3", "out=4 kernel=3", "E0602", 1},
    {"conv", "N,3,4,4,4", "out=4 kernel=3", "E0602", 1},
    {"conv", "N,3,8,8", "out=4", "E0611", 1},
    {"conv", "N,3,8,8", "kernel=3", "E0611", 1},
    {"conv", "N,3,8,8", "out=0 kernel=3", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=0", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 stride=0", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 stride=1,-1", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 dilation=0", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 pad=-1", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 pad=0,0,0,16777217", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 groups=0", "E0601", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 groups=2", "E0603", 3},
    {"conv", "N,4,8,8", "out=3 kernel=3 groups=2", "E0603", 3},
    {"conv", "N,3,8,8", "out=4 kernel=9", "E0604", 3},
    {"conv", "N,3,8,8", "out=4 kernel=3 dilation=4", "E0604", 3},
    {"conv", "N,3,8,8", "out=4 kernel=16777216 dilation=16777216", "E0604", 3},
    {"conv", "N,3,8", "out=4 kernel=3,3", "E0613", 3},
    {"conv", "N,3,8", "out=4 kernel=3 pad=0,0,1,1", "E0613", 3},
    {"conv", "N,16777216,8,8", "out=16777216 kernel=1", "E0605", 1},
    {"conv", "N,1,8,8", "out=1 kernel=1 pad=16777216", "E0605", 1},
    {"conv", "N,3,8,8 N,3,8,8", "out=4 kernel=3", "E0612", 1},
    {"conv", "", "out=4 kernel=3", "E0612", 1},
    {"linear", "N,4,3,3", "out=5", "E0602", 1},
    {"linear", "N", "out=5", "E0602", 1},
    {"linear", "N,5", "", "E0611", 1},
    {"linear", "N,16777216", "out=16777216", "E0605", 1},
    {"maxpool", "N,4", "kernel=2", "E0602", 1},
    {"maxpool", "N,4,8,8", "kernel=3 pad=2", "E0606", 3},
    {"maxpool", "N,4,8,8", "kernel=3 pad=0,0,0,2", "E0606", 3},
    {"maxpool", "N,4,8,8", "kernel=9", "E0604", 3},
    {"maxpool", "N,4,8,8", "kernel=2 stride=0", "E0601", 3},
    {"lrn", "N,4", "size=5", "E0602", 1},
    {"lrn", "N,4,3,3", "size=0", "E0601", 3},
    {"lrn", "N,4,3,3", "size=5 beta=0.7", "E0609", 3},
    {"lrn", "N,4,3,3", "size=5 beta=0", "E0609", 3},
    {"lrn", "N,4,3,3", "size=5 alpha=nan", "E0601", 3},
    {"softmax", "N,4", "axis=0", "E0607", 3},
    {"softmax", "N,4", "axis=-2", "E0607", 3},
    {"softmax", "N,4", "axis=2", "E0607", 3},
    {"softmax", "N,4", "axis=-3", "E0607", 3},
    {"softmax", "N,4", "axis=9", "E0601", 3},
    {"softmax", "N,4", "", "E0611", 1},
    {"add", "N,3,4", "", "E0612", 1},
    {"add", "N,3,4 N,3,4", "value=1", "E0612", 3},
    {"add", "N,3,4 N,3,2", "", "E0610", 1},
    {"add", "N,3,4 N,4", "", "E0610", 1},
    {"add", "N,3,1 N,1,4 N,2,4", "", "E0610", 1},
    {"add", "N,16777216,1 N,1,16777216", "", "E0605", 1},
    {"log_softmax", "N,4", "axis=0", "E0607", 3},
    {"log_softmax", "N", "axis=1", "E0602", 1},
    {"tanh", "N N", "", "E0612", 1},
    {"transpose", "N,3,4", "perm=1,0,2", "E0607", 3},
    {"transpose", "N,3,4", "perm=0,1", "E0607", 3},
    {"transpose", "N,3,4", "perm=0,1,1", "E0607", 3},
    {"transpose", "N,3,4", "perm=0,1,0", "E0607", 3},
    {"transpose", "N,3,4", "perm=0,1,3", "E0607", 3},
    {"transpose", "N,3,4", "perm=0,1,9", "E0601", 3},
    {"transpose", "N,3,4", "", "E0611", 1},
    {"reduce_mean", "N,3,4", "axis=0,1", "E0607", 3},
    {"reduce_mean", "N,3,4", "axis=1,-2", "E0607", 3},
    {"reduce_mean", "N,3,4", "axis=3", "E0607", 3},
    {"reduce_mean", "N,3,4", "", "E0611", 1},
    {"reduce_mean", "N", "axis=1", "E0602", 1},
    {"param", "", "", "E0611", 1},
    {"param", "", "shape=N,4", "E0614", 3},
    {"param", "", "shape=2,4", "E0614", 3},
    {"param", "", "shape=1,-1", "E0614", 3},
    {"param", "", "shape=1,16777216,16777216", "E0605", 1},
    {"param", "N,4", "shape=1,4", "E0612", 1},
    {"add", "N,3", "value=inf", "E0601", 3},
    {"leaky_relu", "N,3", "negative_slope=nan", "E0601", 3},
    {"clip", "N,3", "", "E0611", 1},
    {"clip", "N,3", "max=1e39", "E0601", 3},
    {"mul", "N,3,4", "", "E0612", 1},
    {"mul", "N,3,4 N,4,3", "", "E0610", 1},
    {"sub", "N,3 N,3 N,3", "", "E0612", 1},
    {"sub", "N,3 N,3", "value=1", "E0612", 3},
    {"avgpool", "N,4,8,8", "", "E0611", 1},
    {"avgpool", "N,4,8,8", "kernel=3 pad=2", "E0606", 3},
    {"avgpool", "N,4,8", "kernel=3,3", "E0613", 3},
    {"avgpool", "N,4", "kernel=2", "E0602", 1},
    {"global_avgpool", "N,4", "", "E0602", 1},
    {"batchnorm", "N", "", "E0602", 1},
    {"batchnorm", "N,4", "eps=-1", "E0601", 3},
    {"concat", "N,3 N,4", "axis=0", "E0607", 3},
    {"concat", "N,3 N,4", "axis=2", "E0607", 3},
    {"concat", "N,3,4 N,3,5", "axis=1", "E0610", 1},
    {"concat", "N,3,4 N,3", "axis=1", "E0610", 1},
    {"concat", "N,16777216 N,1", "axis=1", "E0605", 1},
    {"pad", "N,3,8,8", "", "E0611", 1},
    {"pad", "N,3,8,8", "pad=-1", "E0601", 3},
    {"pad", "N,3", "pad=1", "E0602", 1},
    {"reshape", "N,6,10", "shape=N,4,15", "E0609", 3},
    {"reshape", "N,6,10", "shape=N,7,-1", "E0608", 3},
    {"reshape", "N,6,10", "shape=N,59", "E0608", 3},
    {"reshape", "N,6,10", "shape=N,-1,-1", "E0614", 3},
    {"reshape", "N,6,10", "shape=60", "E0614", 3},
    {"reshape", "N,6,10", "shape=N,16777216,16777216,16777216,16777216,16777216", "E0608", 3},
    {"dropout", "N,3", "p=1.5", "E0601", 3},
    {"identity", "N,3 N,3", "", "E0612", 1},
    {"relu", "", "", "E0612", 1},
};

static void test_accepted(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        const Accepted *a = &accepted[i];
        Node *n = ops_node(cx, a->op, a->inputs, a->attrs);
        for (int again = 0; again < 2; again++) {      /* rules may be run again */
            if (!n->op->infer(cx, n))
                fail_msg("%s %s: %s", a->op, a->attrs, diags_get(cx->diags, 0)->text);
            assert_string_equal(shape_text(cx->perm, &n->out->shape), a->output);
            assert_int_equal(n->n_param > 0, a->weight != NULL);
            if (a->weight)
                assert_string_equal(shape_text(cx->perm, &n->param[0].shape), a->weight);
            if (n->n_param > 0)
                n->param[0].key = "kept";
        }
        if (n->n_param > 0)
            assert_string_equal(n->param[0].key, "kept");
    }
    assert_int_equal(diags_count(cx->diags), 0);
    cx_delete(cx);
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const Refused *r = &refused[i];
        Cx *cx = cx_new();
        Node *n = ops_node(cx, r->op, r->inputs, r->attrs);
        if (n->op->infer(cx, n))
            fail_msg("%s %s %s: accepted", r->op, r->inputs, r->attrs);
        const Diag *d = diags_get(cx->diags, 0);
        if (strcmp(d->code, r->code) != 0 || d->place.col != r->col)
            fail_msg("%s %s %s: %s at %d: %s", r->op, r->inputs, r->attrs, d->code, d->place.col,
                     d->text);
        cx_delete(cx);
    }
}

static void test_all_attributes_are_reported(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Node *n = ops_node(cx, "conv", "N,3,8,8", "out=0 kernel=0 stride=0 groups=0");
    assert_false(n->op->infer(cx, n));
    assert_int_equal(diags_error_count(cx->diags), 4);
    cx_delete(cx);
}

static void test_params(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Node *n = ops_node(cx, "conv", "N,3,8,8", "out=4 kernel=3");
    assert_true(n->op->infer(cx, n));
    assert_int_equal(n->n_param, 2);
    assert_string_equal(n->param[1].role, "bias");
    assert_string_equal(shape_text(cx->perm, &n->param[1].shape), "[4]");
    n = ops_node(cx, "linear", "N,3", "out=4 bias=0");
    assert_true(n->op->infer(cx, n));
    assert_int_equal(n->n_param, 1);
    cx_delete(cx);
}

static void test_lookup(void **state)
{
    (void)state;
    assert_ptr_equal(op_find("conv"), op_at(0));
    assert_null(op_find("convolution"));
    assert_true(op_is_planned("layernorm"));
    assert_false(op_is_planned("conv"));
    assert_false(op_is_planned("nonsense"));
    assert_null(op_attr(op_find("relu"), "out"));
    assert_int_equal(op_attr(op_find("conv"), "out")->kind, ATTR_INT);
    for (int i = 0; i < op_count(); i++) {
        const OpDef *op = op_at(i);
        assert_ptr_equal(op_find(op->name), op);
        assert_false(op_is_planned(op->name));
        assert_true(op->infer && op->nest && op->cost && op->summary);
    }
}

static void test_cost(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Node *n = ops_node(cx, "conv", "N,96,27,27", "out=256 kernel=5 pad=2 groups=2");
    assert_true(n->op->infer(cx, n));
    assert_int_equal(n->op->cost(n).macs, INT64_C(256) * 27 * 27 * 48 * 25);
    assert_int_equal(n->op->cost(n).flops, INT64_C(2) * 256 * 27 * 27 * 48 * 25);
    n = ops_node(cx, "linear", "N,9216", "out=4096");
    assert_true(n->op->infer(cx, n));
    assert_int_equal(n->op->cost(n).macs, INT64_C(4096) * 9216);
    cx_delete(cx);
}

static void test_window(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Node *n = ops_node(cx, "maxpool", "N,4,9", "kernel=3 pad=1,0");
    assert_true(n->op->infer(cx, n));
    Window w = node_window(n);
    assert_int_equal(w.kernel[0], 1);
    assert_int_equal(w.kernel[1], 3);
    assert_int_equal(w.stride[1], 3);
    assert_int_equal(w.pad[1], 1);
    assert_int_equal(w.pad[3], 0);
    assert_int_equal(w.pad[0] + w.pad[2], 0);
    assert_int_equal(w.in[1], 9);
    assert_int_equal(w.out[1], 3);
    cx_delete(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_attributes_are_reported), cmocka_unit_test(test_params),
        cmocka_unit_test(test_lookup), cmocka_unit_test(test_cost), cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
