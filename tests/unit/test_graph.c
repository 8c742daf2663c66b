/* The graph's structure operations, its hash and its verifier. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/ops.h"

typedef struct Fixture {
    Cx *cx;
    Graph *g;                     /* x -> relu a -> relu b -> add c (a + b), output c */
} Fixture;

static Tensor *tensor_make(Fixture *f, const char *name)
{
    Tensor *t = NEW(f->cx->perm, Tensor);
    t->name = name;
    t->shape = (Shape){4, {DIM_N, 8, 6, 6}};
    return t;
}

static Node *node_make(Fixture *f, const char *op, const char *name, Tensor *x, Tensor *y)
{
    Node *n = NEW(f->cx->perm, Node);
    n->op = op_find(op);
    n->path = name;
    n->out = tensor_make(f, name);
    n->out->producer = n;
    n->in[n->n_in++] = x;
    if (y)
        n->in[n->n_in++] = y;
    for (int i = 0; n->op->attrs[i].name; i++) {
        n->attr[i].n = 1;
        n->attr[i].f = n->op->attrs[i].fallback;
    }
    graph_add_node(f->g, n);
    return n;
}

static int setup(void **state)
{
    static Fixture f;
    f.cx = cx_new();
    assert_non_null(f.cx);
    f.g = graph_new(f.cx->perm);
    f.g->name = "net";
    f.g->bind = "$path.$param";
    f.g->inputs = NEW_ARRAY(f.cx->perm, Tensor *, 1);
    f.g->inputs[f.g->n_inputs++] = tensor_make(&f, "x");
    Node *a = node_make(&f, "relu", "a", f.g->inputs[0], NULL);
    Node *b = node_make(&f, "relu", "b", a->out, NULL);
    Node *c = node_make(&f, "add", "c", a->out, b->out);
    f.g->outputs = NEW_ARRAY(f.cx->perm, Tensor *, 1);
    f.g->outputs[f.g->n_outputs++] = c->out;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    cx_delete(((Fixture *)*state)->cx);
    return 0;
}

static void test_shapes(void **state)
{
    Fixture *f = *state;
    Shape s = {4, {DIM_N, 256, 6, 6}}, t = s;
    assert_string_equal(shape_text(f->cx->perm, &s), "[N, 256, 6, 6]");
    assert_int_equal(shape_count(&s), 9216);
    assert_true(shape_equal(&s, &t));
    t.dim[3] = 7;
    assert_false(shape_equal(&s, &t));
    t.rank = 3;
    assert_false(shape_equal(&s, &t));
    Shape huge = {6, {DIM_N, MAX_DIM, MAX_DIM, MAX_DIM, MAX_DIM, MAX_DIM}};
    assert_true(shape_count(&huge) == INT64_MAX);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "_", "conv1", "features.0", "A_b.c9"};
    static const char *const bad[] = {"", "0a", ".a", "a b", "a-b", "a$", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(name_is_legal(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_is_legal(bad[i]));
}

static void test_find(void **state)
{
    Fixture *f = *state;
    Graph *g = f->g;
    Tensor *a = graph_find_tensor(g, "a");
    assert_ptr_equal(a->producer, g->nodes[0]);
    assert_ptr_equal(graph_find_tensor(g, "x"), g->inputs[0]);
    assert_null(graph_find_tensor(g, "y"));
    assert_true(graph_is_output(g, graph_find_tensor(g, "c")));
    assert_false(graph_is_output(g, a));
}

static void test_insert_and_remove(void **state)
{
    Fixture *f = *state;
    Graph *g = f->g;
    Node *b = g->nodes[1];
    graph_replace_uses(g, b->out, b->in[0]);
    graph_remove_node(g, b);
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(graph_find_node(g, b), -1);
    assert_ptr_equal(g->nodes[1]->in[1], g->nodes[0]->out);
    assert_true(graph_verify(f->cx, g));
    graph_insert_node(g, 1, b);
    assert_int_equal(graph_find_node(g, b), 1);
    for (int i = 0; i < 100; i++) {
        Node *n = NEW(f->cx->perm, Node);
        *n = *b;
        n->out = tensor_make(f, graph_fresh_name(g, "b"));
        n->out->producer = n;
        graph_insert_node(g, 2, n);
    }
    assert_int_equal(g->n_nodes, 103);
    assert_string_equal(g->nodes[2]->out->name, "b_100");
    assert_ptr_equal(g->nodes[1], b);
    assert_true(graph_verify(f->cx, g));
}

static void test_replace_output(void **state)
{
    Fixture *f = *state;
    Tensor *b = graph_find_tensor(f->g, "b");
    graph_replace_uses(f->g, graph_find_tensor(f->g, "c"), b);
    assert_ptr_equal(f->g->outputs[0], b);
}

static void test_fresh_name(void **state)
{
    Fixture *f = *state;
    assert_string_equal(graph_fresh_name(f->g, "new"), "new");
    assert_string_equal(graph_fresh_name(f->g, "a"), "a_1");
    assert_string_equal(graph_fresh_name(f->g, "x"), "x_1");
}

static void test_hash_sees_everything(void **state)
{
    Fixture *f = *state;
    Graph *g = f->g;
    uint64_t h = graph_hash(g);
    assert_true(h == graph_hash(g));
    g->nodes[0]->place.line = 77;
    assert_true(h == graph_hash(g));
    const char **label[] = {&g->nodes[0]->group, &g->nodes[1]->algo, &g->nodes[2]->schedule,
                            &g->nodes[1]->out->layout, &g->nodes[1]->path, &g->doc, &g->bind,
                            &g->nodes[0]->out->name};
    for (size_t i = 0; i < sizeof label / sizeof *label; i++) {
        const char *old = *label[i];
        *label[i] = "other";
        assert_true(h != graph_hash(g));
        *label[i] = old;
    }
    g->nodes[0]->out->shape.dim[1]++;
    assert_true(h != graph_hash(g));
    g->nodes[0]->out->shape.dim[1]--;
    g->nodes[1]->in[0] = g->inputs[0];
    assert_true(h != graph_hash(g));
}

/* The first error of a graph that one edit has broken. */
static const char *verify_code(Fixture *f)
{
    int first = diags_count(f->cx->diags);
    assert_false(graph_verify(f->cx, f->g));
    return diags_get(f->cx->diags, first)->code;
}

static void test_verify_names(void **state)
{
    Fixture *f = *state;
    assert_true(graph_verify(f->cx, f->g));
    f->g->nodes[1]->out->name = "a";
    assert_string_equal(verify_code(f), "E0901");
    f->g->nodes[1]->out->name = "1b";
    assert_string_equal(verify_code(f), "E0901");
}

static void test_verify_order(void **state)
{
    Fixture *f = *state;
    Node *a = f->g->nodes[0];
    f->g->nodes[0] = f->g->nodes[1];
    f->g->nodes[1] = a;
    assert_string_equal(verify_code(f), "E0902");
}

static void test_verify_producer(void **state)
{
    Fixture *f = *state;
    f->g->nodes[1]->out->producer = f->g->nodes[0];
    assert_string_equal(verify_code(f), "E0903");
}

static void test_verify_arity(void **state)
{
    Fixture *f = *state;
    f->g->nodes[1]->n_in = 0;
    assert_string_equal(verify_code(f), "E0904");
}

static void test_verify_shape(void **state)
{
    Fixture *f = *state;
    f->g->nodes[1]->out->shape.dim[3] = 5;
    assert_string_equal(verify_code(f), "E0905");
    f->g->nodes[1]->out->shape.dim[3] = 0;
    assert_string_equal(verify_code(f), "E0905");
}

static void test_verify_output(void **state)
{
    Fixture *f = *state;
    f->g->outputs[0] = tensor_make(f, "nowhere");
    assert_string_equal(verify_code(f), "E0906");
    f->g->outputs[0] = f->g->inputs[0];
    assert_string_equal(verify_code(f), "E0906");
    f->g->n_outputs = 0;
    assert_string_equal(verify_code(f), "E0906");
}

static void test_verify_params(void **state)
{
    Fixture *f = *state;
    f->g->nodes[1]->n_param = 1;
    assert_string_equal(verify_code(f), "E0907");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes), TEST(test_names), TEST(test_find),
        TEST(test_insert_and_remove), TEST(test_replace_output), TEST(test_fresh_name),
        TEST(test_hash_sees_everything), TEST(test_verify_names), TEST(test_verify_order),
        TEST(test_verify_producer), TEST(test_verify_arity), TEST(test_verify_shape),
        TEST(test_verify_output), TEST(test_verify_params),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
