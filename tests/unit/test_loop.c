/* Indices, storage maps, building, copying and renaming, against brute force over small boxes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "loop/loop.h"

static int context_open(void **state)
{
    *state = cx_new();
    return *state == NULL;
}

static int context_close(void **state)
{
    cx_delete(*state);
    return 0;
}

static Kernel *kernel_read(Cx *cx, const char *text)
{
    Kernel *k = kernel_parse(cx, "test.k", text);

    if (k == NULL)
        fail_msg("%s", diags_render(cx->diags, cx->temp, 0, false));
    return k;
}

/* ---- indices ------------------------------------------------------------------------------- */
static void test_index_is_canonical(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    Var i = {"i", 4}, j = {"j", 5};
    Index x = index_make(a, 7, 3, &i, 2, &j, -3, &i, -2);

    assert_int_equal(x.n, 1);
    assert_int_equal(index_coef(x, &i), 0);
    assert_int_equal(index_coef(x, &j), -3);
    x = index_add(a, index_make(a, 1, 2, &i, 2, &j, 1), index_make(a, 2, 1, &j, -1));
    assert_int_equal(x.n, 1);
    assert_int_equal(x.c, 3);
    assert_int_equal(index_sub(a, x, x).n, 0);
    assert_int_equal(index_scale(a, x, 0).n, 0);
    assert_int_equal(index_scale(a, x, -3).c, -9);
    assert_int_equal(index_coef(index_scale(a, x, -3), &i), -6);
    assert_true(index_equal(index_make(a, 1, 2, &i, 2, &j, 1), index_make(a, 1, 2, &j, 1, &i, 2)));
    assert_false(index_equal(index_make(a, 1, 1, &i, 2), index_make(a, 1, 1, &j, 2)));
    assert_false(index_equal(index_const(1), index_offset(index_const(1), 1)));
}

static void test_index_subst(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    Var i = {"i", 4}, j = {"j", 5};
    Index x = index_subst(a, index_make(a, 1, 2, &i, 3, &j, -6), &i, index_make(a, 5, 1, &j, 2));

    assert_int_equal(x.n, 0);
    assert_int_equal(x.c, 16);
    x = index_subst(a, index_var(a, &i), &i, index_make(a, 1, 1, &i, 2));
    assert_int_equal(index_coef(x, &i), 2);
}

static void test_index_range_saturates(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    Var i = {"i", 4}, j = {"j", 5}, big = {"big", INT64_C(1) << 40};
    int64_t min, max;

    index_range(index_make(a, 1, 2, &i, 2, &j, -3), &min, &max);
    assert_int_equal(min, -11);
    assert_int_equal(max, 7);
    index_range(index_scale(a, index_var(a, &big), INT64_C(1) << 40), &min, &max);
    assert_int_equal(min, 0);
    assert_true(max == INT64_MAX);
}

static int64_t at(Index x, const Var *i, int64_t vi, const Var *j, int64_t vj)
{
    return x.c + index_coef(x, i) * vi + index_coef(x, j) * vj;
}

/* All of the index lies in one block of d once the multiples of d are taken out of its terms. */
static bool one_block(Index x, const Var *i, const Var *j, int64_t d)
{
    int64_t first = floor_div(x.c, d);

    for (int64_t vi = 0; vi < i->extent; vi++) {
        for (int64_t vj = 0; vj < j->extent; vj++) {
            int64_t rest = x.c + index_coef(x, i) % d * vi + index_coef(x, j) % d * vj;
            if (floor_div(rest, d) != first)
                return false;
        }
    }
    return true;
}

static void check_divmod(Arena *a, Index x, const Var *i, const Var *j, int64_t d)
{
    Index q, r;
    bool splits = index_divmod(a, x, d, &q, &r);

    assert_int_equal(splits, one_block(x, i, j, d));
    for (int64_t vi = 0; splits && vi < i->extent; vi++) {
        for (int64_t vj = 0; vj < j->extent; vj++) {
            int64_t value = at(x, i, vi, j, vj);
            assert_int_equal(at(q, i, vi, j, vj), floor_div(value, d));
            assert_int_equal(at(r, i, vi, j, vj), floor_mod(value, d));
        }
    }
}

static void test_index_divmod_by_brute_force(void **state)
{
    static const int coefs[] = {-17, -16, -4, -1, 0, 1, 3, 4, 8, 16, 17, 32};
    static const int64_t divisors[] = {1, 2, 4, 7, 16};
    Cx *cx = *state;
    int n = (int)(sizeof coefs / sizeof *coefs);

    for (int k = 0; k < n * n * 5; k++) {
        for (int64_t c = -20; c <= 20; c++) {
            Var i = {"i", k / 5 % 4 + 1}, j = {"j", k / 7 % 5 + 1};
            Index x = index_make(cx->temp, c, 2, &i, coefs[k % n], &j, coefs[k / n % n]);
            check_divmod(cx->temp, x, &i, &j, divisors[k / n / n]);
        }
        arena_reset(cx->temp);
    }
}

static void test_index_divmod_of_mixed_coefficients(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    Var i = {"i", 16}, j = {"j", 17};
    Index q, r;

    assert_true(index_divmod(a, index_make(a, 0, 1, &i, 17), 16, &q, &r));
    assert_int_equal(index_coef(q, &i), 1);
    assert_int_equal(index_coef(r, &i), 1);
    assert_false(index_divmod(a, index_make(a, 0, 1, &j, 17), 16, &q, &r));
}

/* ---- buffers ------------------------------------------------------------------------------- */
static int64_t place_by_definition(const Buffer *b, const int64_t *index)
{
    int64_t extent[MAX_DIMS], place = 0;
    int n = buffer_physical(b, extent);

    for (int i = 0; i < n; i++) {
        int64_t digit = b->n_storage == 0 ? index[i] + b->dim[i].lo : 0;
        if (b->n_storage > 0) {
            const StorageDim *s = &b->storage[i];
            digit = (index[s->dim] + s->add) / s->div;
            digit = s->mod > 0 ? digit % s->mod : digit;
        }
        assert_in_range(digit, 0, extent[i] - 1);
        place = place * extent[i] + digit;
    }
    return place;
}

/* Writes 1, 2, 3, ... to all elements of a buffer of rank 3, halo included, by a kernel: the value
 * is computed from the indices by a second buffer of the same shape without a storage map. */
static void check_storage(Cx *cx, const char *shape)
{
    Kernel *k = kernel_read(cx, arena_printf(cx->perm, "kernel k(in n: f32[8, 40, 8], out y: %s) "
                                             "{ y[0, 0, 0] = n[0, 0, 0]; }", shape));
    Buffer *y = k->buffer[1], *n = k->buffer[0];
    Builder b;
    Index index[3], from[3];
    int64_t elements = buffer_elements(y);
    float *data = NEW_ARRAY(cx->perm, float, elements), numbers[8 * 40 * 8];

    k->body = (Body){NULL, NULL};
    b = build_kernel(k);
    for (int i = 0; i < 3; i++) {
        const Dim *d = &y->dim[i];
        const Var *v = build_for(&b, i == 0 ? "i" : i == 1 ? "j" : "k", d->lo + d->extent + d->hi);
        from[i] = index_var(k->arena, v);
        index[i] = index_offset(from[i], -d->lo);
    }
    build_store(&b, y, index, expr_load(k->arena, n, from, 3, 1));
    build_end(&b, 3);
    for (int i = 0; i < 8 * 40 * 8; i++)
        numbers[i] = (float)(i + 1);
    assert_true(loop_verify(cx, k));
    assert_true(kernel_interpret(cx, k, (void *[]){numbers, data}));
    for (int64_t i = 0; i < y->dim[0].lo + y->dim[0].extent + y->dim[0].hi; i++) {
        for (int64_t j = 0; j < y->dim[1].lo + y->dim[1].extent + y->dim[1].hi; j++) {
            for (int64_t l = 0; l < y->dim[2].lo + y->dim[2].extent + y->dim[2].hi; l++) {
                int64_t p = place_by_definition(y, (int64_t[]){i - y->dim[0].lo,
                                                j - y->dim[1].lo, l - y->dim[2].lo});
                assert_true(data[p] == (float)((i * 40 + j) * 8 + l + 1));
            }
        }
    }
}

static void test_storage_maps_by_brute_force(void **state)
{
    check_storage(*state, "f32[3, 5, 4]");
    check_storage(*state, "f32[2, 1:5:2, 1:4:1]");
    check_storage(*state, "f32[2, 24~8, 1:3:1] as [d0, d1/16, d2+1, d1%16]");
    check_storage(*state, "f32[2, 20, 3] as [d1/16, d0, d2, d1%16]");
    check_storage(*state, "f32[3, 20, 4] as [d2, d1, d0]");
    check_storage(*state, "f32[5, 20, 4] as [d1/8, d0/2, d2, d1/2%4, d0%2, d1%2]");
}

static void test_buffer_sizes(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(in x: f32[1, 24~8, 1:13:1, 1:13:1] as "
                            "[d0, d1/16, d2+1, d3+1, d1%16], in z: f64[3, 1:4:2]) { }");
    int64_t extent[MAX_DIMS];
    Buffer *x = k->buffer[0], *z = k->buffer[1];

    assert_int_equal(buffer_physical(x, extent), 5);
    assert_int_equal(extent[1], 2);
    assert_int_equal(extent[2], 15);
    assert_int_equal(extent[4], 16);
    assert_int_equal(buffer_bytes(x), 2 * 15 * 15 * 16 * 4);
    assert_int_equal(buffer_indices(x, false), 4);
    assert_int_equal(buffer_indices(x, true), 5);
    assert_int_equal(buffer_bytes(z), 3 * 7 * 8);
    assert_false(buffer_same_layout(x, z));
    assert_true(buffer_same_layout(x, x));
    z->rank = 6;
    for (int i = 0; i < 6; i++)
        z->dim[i].extent = INT64_C(1) << 40;
    assert_true(buffer_bytes(z) == INT64_MAX);
}

static void test_scratch_names_are_unique(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(in x: f32[4]) { }");
    int64_t extent[] = {2, 3};

    assert_string_equal(kernel_scratch(k, "col", TYPE_F32, 2, extent)->name, "col");
    assert_string_equal(kernel_scratch(k, "col", TYPE_F32, 2, extent)->name, "col_1");
    assert_string_equal(kernel_scratch(k, "col", TYPE_F32, 2, extent)->name, "col_2");
    assert_int_equal(k->n_buffers, 4);
    assert_ptr_equal(kernel_buffer(k, "col_1"), k->buffer[2]);
    assert_null(kernel_buffer(k, "row"));
}

/* ---- copying and rewriting ----------------------------------------------------------------- */
static const char *const NESTED = "kernel k(in x: f32[9], out y: f32[9]) {\n"
    "  for i < 8 {\n"
    "    local t: f32[2];\n"
    "    let a: f32 = x[i];\n"
    "    var s: f32 = a;\n"
    "    for j < 2 { t[j] = (a + x[i + j]); s = (s + t[j]); }\n"
    "    if (0 <= i - 1 < 7) { y[i] = s; }\n"
    "  }\n"
    "}\n";

static void test_body_copy_is_separate(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, NESTED);
    const char *before = kernel_text(cx->perm, k);
    Stmt *loop = k->body.first;
    Body copy = body_copy(k->arena, loop->body, loop->var, index_const(3));
    Body original = k->body;

    assert_string_equal(kernel_text(cx->perm, k), before);
    k->body = copy;
    assert_true(loop_verify(cx, k));
    const char *text = kernel_text(cx->perm, k);
    assert_non_null(strstr(text, "let a: f32 = x[3];"));
    assert_non_null(strstr(text, "x[j + 3]"));
    assert_non_null(strstr(text, "if (0 <= 2 < 7)"));
    /* side by side the copies clash, until they have names of their own */
    body_append(&k->body, body_copy(k->arena, original.first->body, loop->var, index_const(4)));
    assert_false(loop_verify(cx, k));
    kernel_unique_names(k);
    assert_true(loop_verify(cx, k));
    text = kernel_text(cx->perm, k);
    assert_non_null(strstr(text, "let a_1: f32 = x[4];"));
    assert_non_null(strstr(text, "t_1[j] = "));
    kernel_unique_names(k);
    assert_string_equal(kernel_text(cx->perm, k), text);
}

static void test_body_subst_in_place(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, NESTED);
    Stmt *loop = k->body.first;
    Var half = {"h", 4};

    body_subst(k->arena, &loop->body, loop->var, index_make(k->arena, 1, 1, &half, 2));
    loop->var = &half;
    assert_true(loop_verify(cx, k));
    const char *text = kernel_text(cx->perm, k);
    assert_non_null(strstr(text, "x[2*h + 1]"));
    assert_non_null(strstr(text, "y[2*h + 1]"));
    assert_non_null(strstr(text, "if (0 <= 2*h < 7)"));
}

static void test_nested_copies_of_a_loop_get_names(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(out y: f32[4]) { for i < 4 { y[i] = 0x1p+0; } }");
    Stmt *loop = k->body.first;
    Body copy = body_copy(k->arena, k->body, NULL, index_const(0));

    body_append(&loop->body, copy);
    assert_false(loop_verify(cx, k));
    kernel_unique_names(k);
    assert_true(loop_verify(cx, k));
    assert_non_null(strstr(kernel_text(cx->perm, k), "y[i_1] = "));
}

static const Expr *double_constants(void *user, const Expr *e)
{
    Cx *cx = user;

    return e->kind == EXPR_CONST ? expr_const(cx->perm, e->type, 2 * e->value) : NULL;
}

static void count_loads(void *user, const Expr *e)
{
    *(int *)user += e->kind == EXPR_LOAD;
}

static void count_statements(void *user, Stmt *s)
{
    int *count = user;

    count[0]++;
    stmt_visit_exprs(s, count_loads, &count[1]);
}

static void test_map_and_visit(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_read(cx, "kernel k(in x: f32[4], out y: f32[4]) {"
                            " for i < 4 { y[i] = ((x[i] + 0x1p+0) * x[i]); y[i] = y[i]; } }");
    const Stmt *store = k->body.first->body.first;
    const Expr *unchanged = store->expr->arg[1];
    int count[2] = {0, 0};

    body_visit(k->body, count_statements, count);
    assert_int_equal(count[0], 3);
    assert_int_equal(count[1], 3);
    body_map_exprs(k->arena, &k->body, double_constants, cx);
    assert_true(store->expr->arg[0]->arg[1]->value == 2);
    assert_ptr_equal(store->expr->arg[1], unchanged);
}

static void test_expr_equal(void **state)
{
    Arena *a = ((Cx *)*state)->perm;
    Type f32 = {TYPE_F32, 1};
    const Expr *zero = expr_const(a, f32, 0), *minus = expr_const(a, f32, -0.0);
    const Expr *sum = expr_bin(a, BIN_ADD, zero, minus);

    assert_true(expr_equal(sum, expr_bin(a, BIN_ADD, zero, minus)));
    assert_false(expr_equal(sum, expr_bin(a, BIN_SUB, zero, minus)));
    assert_false(expr_equal(zero, minus));
    assert_false(expr_equal(zero, expr_const(a, (Type){TYPE_F64, 1}, 0)));
    assert_true(expr_const(a, f32, 0.1)->value == (double)0.1f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_is_canonical, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_index_subst, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_index_range_saturates, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_index_divmod_by_brute_force, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_index_divmod_of_mixed_coefficients, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_storage_maps_by_brute_force, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_buffer_sizes, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_scratch_names_are_unique, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_body_copy_is_separate, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_body_subst_in_place, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_nested_copies_of_a_loop_get_names, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_map_and_visit, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_expr_equal, context_open, context_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
