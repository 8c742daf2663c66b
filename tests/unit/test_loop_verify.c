/* What loop_verify and module_verify accept, and the code of what they refuse. */
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

typedef struct Case {
    const char *why;
    const char *text;                /* what follows "kernel k(" */
    const char *code;                /* NULL: accepted */
} Case;

static const char *first_code(Cx *cx, int from)
{
    for (int i = from; i < diags_count(cx->diags); i++) {
        if (diags_get(cx->diags, i)->kind == DIAG_ERROR)
            return diags_get(cx->diags, i)->code;
    }
    return NULL;
}

static void check_case(Cx *cx, const Case *c)
{
    int before = diags_count(cx->diags);
    Kernel *k = kernel_parse(cx, "test.k", arena_printf(cx->perm, "kernel k(%s", c->text));

    if (k == NULL)
        fail_msg("%s: %s", c->why, diags_render(cx->diags, cx->temp, before, false));
    bool ok = loop_verify(cx, k);
    const char *code = first_code(cx, before);
    if (ok != (code == NULL) || !str_eq(code, c->code))
        fail_msg("%s: expected %s, got %s\n%s", c->why, c->code != NULL ? c->code : "nothing",
                 code != NULL ? code : "nothing",
                 diags_render(cx->diags, cx->temp, before, false));
}

/* ---- bounds -------------------------------------------------------------------------------- */
static const Case BOUNDS[] = {
    {"whole range", "in x: f32[8], out y: f32[8]) { for i < 8 { y[i] = x[i]; } }", NULL},
    {"one too far", "in x: f32[8], out y: f32[9]) { for i < 9 { y[i] = x[i]; } }", "E0911"},
    {"one too early", "in x: f32[8], out y: f32[8]) { for i < 8 { y[i] = x[i - 1]; } }", "E0911"},
    {"halo below", "in x: f32[1:8:0], out y: f32[8]) { for i < 8 { y[i] = x[i - 1]; } }", NULL},
    {"slack above", "in x: f32[8~2], out y: f32[8]) { for i < 8 { y[i] = x[i + 2]; } }", NULL},
    {"beyond the slack", "in x: f32[8~1], out y: f32[8]) { for i < 8 { y[i] = x[i + 2]; } }",
     "E0911"},
    {"store too far", "in x: f32[8], out y: f32[7]) { for i < 8 { y[i] = x[i]; } }", "E0911"},
    {"backwards", "in x: f32[8], out y: f32[8]) { for i < 8 { y[i] = x[-1*i + 7]; } }", NULL},
    {"guarded on both sides", "in x: f32[8], out y: f32[8]) { for i < 8, k < 3 {"
     " if (0 <= i + k - 1 < 8) { y[i] = x[i + k - 1]; } } }", NULL},
    {"guard too wide", "in x: f32[8], out y: f32[8]) { for i < 8, k < 3 {"
     " if (0 <= i + k - 1 < 9) { y[i] = x[i + k - 1]; } } }", "E0911"},
    {"guard of something else", "in x: f32[8], out y: f32[8]) { for i < 8, k < 3 {"
     " if (0 <= i < 8) { y[i] = x[i + k - 1]; } } }", "E0911"},
    {"sides from two guards", "in x: f32[8], out y: f32[8]) { for i < 8, k < 3 {"
     " if (0 <= i + k - 1 < 9) { if (0 <= i + k < 9) { y[i] = x[i + k - 1]; } } } }", NULL},
    {"guard of a shifted index", "in x: f32[8], out y: f32[8]) { for i < 8, k < 3 {"
     " if (0 <= i + k - 2 < 6) { y[i] = x[i + k - 1]; } } }", NULL},
    {"guard of a multiple", "in x: f32[5], out y: f32[8]) { for i < 8 {"
     " if (0 <= 2*i < 9) { y[i] = x[i]; } } }", NULL},
    {"multiple guarded too wide", "in x: f32[5], out y: f32[8]) { for i < 8 {"
     " if (0 <= 2*i < 11) { y[i] = x[i]; } } }", "E0911"},
    {"access is the multiple", "in x: f32[10], out y: f32[8]) { for i < 8 {"
     " if (0 <= i < 5) { y[i] = x[2*i + 1]; } } }", NULL},
    {"guard runs backwards", "in x: f32[4], out y: f32[8]) { for i < 8 {"
     " if (0 <= 3 - i < 4) { y[i] = x[i]; } } }", NULL},
    {"guard of the tail", "in x: f32[24], out y: f32[24]) { for o < 2, i < 16 {"
     " if (0 <= 16*o + i < 24) { y[16*o + i] = x[16*o + i]; } } }", NULL},
    {"never executed", "in x: f32[4], out y: f32[4]) { for i < 4 {"
     " if (0 <= i < 1, 0 <= i - 2 < 1) { y[i] = x[i + 3]; } } }", NULL},
    {"overflow", "in x: f32[4], out y: f32[4]) { for i < 1099511627776, j < 1099511627776 {"
     " y[0] = x[1099511627776*i + 1099511627776*j]; } }", "E0911"},
};

static void test_bounds(void **state)
{
    for (size_t i = 0; i < sizeof BOUNDS / sizeof *BOUNDS; i++)
        check_case(*state, &BOUNDS[i]);
}

/* ---- layouts and lanes --------------------------------------------------------------------- */
static const Case LAYOUTS[] = {
    {"physical accesses", "in x: f32[1, 20, 4] as [d0, d1/16, d2, d1%16], out y: f32[4]) physical {"
     " for i < 4, o < 2 { y[i] = x[0, o, i, 15]; } }", NULL},
    {"a block has 16 places", "in x: f32[20] as [d0/16, d0%16], out y: f32[1]) physical {"
     " y[0] = x[1, 16]; }", "E0911"},
    {"vector", "in x: f32[40], out y: f32[40]) { for i < 5 { y[8*i +: 8] = x[8*i +: 8]; } }", NULL},
    {"vector beyond the end", "in x: f32[40], out y: f32[48]) {"
     " for i < 6 { y[8*i +: 8] = x[8*i +: 8]; } }", "E0911"},
    {"guarded vector", "in x: f32[40], out y: f32[48]) { for i < 6 {"
     " if (0 <= 8*i < 33) { y[8*i +: 8] = x[8*i +: 8]; } } }", NULL},
    {"vector guarded too wide", "in x: f32[40], out y: f32[48]) { for i < 6 {"
     " if (0 <= 8*i < 41) { y[8*i +: 8] = x[8*i +: 8]; } } }", "E0911"},
    {"not side by side", "in x: f32[4, 32] as [d1/16, d0, d1%16], out y: f32[16]) {"
     " y[0 +: 16] = x[0, 0 +: 16]; }", "E0916"},
    {"last dimension stays last", "in x: f32[4, 32] as [d0, d1], out y: f32[16]) {"
     " y[0 +: 16] = x[0, 3 +: 16]; }", NULL},
    {"local of vectors", "out y: f32[16]) { local a: f32x16[2];"
     " a[1] = bcast(0x1p+0, 16); y[0 +: 16] = a[1]; }", NULL},
    {"two elements share a place", "in x: f32[20] as [d0/16], out y: f32[1]) { y[0] = x[0]; }",
     "E0915"},
    {"digits out of step", "in x: f32[64] as [d0/16, d0%8], out y: f32[1]) { y[0] = x[0]; }",
     "E0915"},
    {"dimension without a place", "in x: f32[4, 2] as [d0], out y: f32[1]) { y[0] = x[0, 0]; }",
     "E0915"},
    {"halo before the storage", "in x: f32[1:4:1] as [d0], out y: f32[1]) { y[0] = x[0]; }",
     "E0915"},
    {"store into an input", "in x: f32[1]) { x[0] = 0x0p+0; }", "E0915"},
    {"store into a weight", "weight w: f32[1]) { w[0] = 0x0p+0; }", "E0915"},
    {"scratch is written and read", "scratch s: f32[2], out y: f32[1]) {"
     " s[1] = 0x1p+0; y[0] = s[1]; }", NULL},
    {"reading an output", "out y: f32[2]) { y[1] = 0x1p+0; y[0] = y[1]; }", NULL},
    {"loop names beside each other", "out y: f32[2]) { for i < 2 { y[i] = 0x1p+0; }"
     " for i < 2 { y[i] = y[i] + 0x1p+0; } }", NULL},
    {"names of ended scopes", "out y: f32[2]) { for i < 2 { let a: f32 = 0x1p+0; y[i] = a; }"
     " let a: f32 = 0x1p+1; y[0] = a; }", NULL},
};

static void test_layouts_and_lanes(void **state)
{
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof *LAYOUTS; i++)
        check_case(*state, &LAYOUTS[i]);
}

/* ---- what the parser would never return ---------------------------------------------------- */
typedef struct Hand {
    Cx *cx;
    Kernel *kernel;
    Stmt *loop;                      /* for i < 4: holds let a, var s and a store into y */
    Buffer *y;
    Arena *arena;
} Hand;

static Hand hand_begin(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_parse(cx, "test.k", "kernel k(out y: f32[4]) { for i < 4 {"
                             " let a: f32 = 0x1p+0; var s: f32 = a; y[i] = s; } }");

    assert_non_null(k);
    assert_true(loop_verify(cx, k));
    return (Hand){cx, k, k->body.first, k->buffer[0], k->arena};
}

static void hand_refused(const Hand *h, const char *code)
{
    int before = diags_count(h->cx->diags);

    assert_false(loop_verify(h->cx, h->kernel));
    assert_string_equal(first_code(h->cx, before), code);
}

static void store(const Hand *h, Index at, const Expr *e)
{
    body_add(&h->kernel->body, stmt_store(h->arena, h->y, &at, 1, e));
}

#define F32 ((Type){TYPE_F32, 1})

static void test_scopes(void **state)
{
    Hand h = hand_begin(state);
    const Stmt *let = h.loop->body.first;
    const Expr *one = expr_const(h.arena, F32, 1);

    store(&h, index_var(h.arena, h.loop->var), one);
    hand_refused(&h, "E0912");       /* loop variable after its loop */
    h = hand_begin(state);
    let = h.loop->body.first;
    store(&h, index_const(0), expr_name(h.arena, let->name));
    hand_refused(&h, "E0912");       /* let after its body */
    h = hand_begin(state);
    body_add(&h.loop->body, stmt_set(h.arena, name_new(h.arena, "s", F32, true), one));
    hand_refused(&h, "E0912");       /* another s than the one defined */
    h = hand_begin(state);
    body_add(&h.loop->body, stmt_let(h.arena, name_new(h.arena, "s", F32, false), one));
    hand_refused(&h, "E0913");       /* s twice */
    h = hand_begin(state);
    body_add(&h.loop->body, stmt_set(h.arena, h.loop->body.first->name, one));
    hand_refused(&h, "E0917");       /* set of a let */
    h = hand_begin(state);
    body_add(&h.kernel->body, stmt_for(h.arena, h.loop->var, LOOP_SERIAL));
    hand_refused(&h, "E0917");       /* a variable of two loops */
    h = hand_begin(state);
    Buffer *stranger = NEW(h.arena, Buffer);
    *stranger = *h.y;
    h.y = stranger;
    store(&h, index_const(0), one);
    hand_refused(&h, "E0912");       /* a buffer that is no parameter */
}

static void test_types(void **state)
{
    Hand h = hand_begin(state);
    const Expr *one = expr_const(h.arena, F32, 1);
    const Expr *wide = expr_const(h.arena, (Type){TYPE_F64, 1}, 1);
    const Expr *many = expr_bcast(h.arena, one, 4);
    const Expr *whole = expr_const(h.arena, (Type){TYPE_I32, 1}, 1);

    const Expr *wrong[] = {
        wide,
        expr_bin(h.arena, BIN_ADD, one, wide),
        expr_bin(h.arena, BIN_ADD, one, many),
        expr_fma(h.arena, one, one, wide),
        expr_select(h.arena, CMP_LT, one, wide, one, one),
        expr_hreduce(h.arena, BIN_ADD, wide),
        expr_cast(h.arena, TYPE_F32, expr_un(h.arena, UN_SQRT, whole)),
        expr_cast(h.arena, TYPE_F32, expr_bin(h.arena, BIN_DIV, whole, whole)),
        expr_cast(h.arena, TYPE_F32, expr_const(h.arena, (Type){TYPE_I32, 1}, 0.5)),
        expr_bcast(h.arena, many, 1),
        expr_bcast(h.arena, one, 1000),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        h = hand_begin(state);
        store(&h, index_const(0), wrong[i]);
        hand_refused(&h, "E0914");
    }
    h = hand_begin(state);
    store(&h, index_const(0), expr_hreduce(h.arena, BIN_MAX, many));
    store(&h, index_const(0), many);
    store(&h, index_const(0), expr_cast(h.arena, TYPE_F32, wide));
    assert_true(loop_verify(h.cx, h.kernel));
}

static void test_statements(void **state)
{
    Hand h = hand_begin(state);

    body_add(&h.kernel->body, stmt_if(h.arena, NULL, 0));
    hand_refused(&h, "E0917");
    h = hand_begin(state);
    Var none = {"none", 0};
    body_add(&h.kernel->body, stmt_for(h.arena, &none, LOOP_SERIAL));
    hand_refused(&h, "E0917");
    h = hand_begin(state);
    Index two[] = {index_const(0), index_const(0)};
    body_add(&h.kernel->body, stmt_store(h.arena, h.y, two, 2, expr_const(h.arena, F32, 1)));
    hand_refused(&h, "E0911");
}

static void test_message_names_the_place(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_parse(cx, "test.k", "kernel pool1(in x: f32[8], out y: f32[8]) {"
                             " # net.yaml:7 pool1\n for i < 8 { y[i] = x[i + 1]; } }");

    assert_false(loop_verify(cx, k));
    const char *text = diags_render(cx->diags, cx->temp, 0, false);
    assert_non_null(strstr(text, "kernel pool1 (net.yaml:7 pool1): index 0 of 'x', i + 1, is 1..8, "
                           "outside 0..7"));
    assert_non_null(strstr(text, "y[i] = x[i + 1];"));
}

/* ---- modules ------------------------------------------------------------------------------- */
static const char *const MODULE =
    "module m batch 1 type f32 arena 256 blob 128 lower 0;\n"
    "value input x: f32[16];\n"
    "value weight w: f32[16] key \"w\" at 0;\n"
    "value weight b: f32[16] key \"b\" at 64;\n"
    "value activation a1: f32[16] at 0;\n"
    "value activation a2: f32[16] at 64;\n"
    "value activation a3: f32[16] at 0;\n"
    "value output y: f32[16];\n"
    "kernel k1(in x: f32[16], weight w: f32[16], out y: f32[16]) {"
    " for i < 16 { y[i] = x[i] * w[i]; } }\n"
    "kernel k2(in x: f32[16], out y: f32[16]) { for i < 16 { y[i] = x[i]; } }\n"
    "call k1(x, w, a1); call k2(a1, a2); call k1(a2, b, a3); call k2(a3, y);\n";

static void check_module(Cx *cx, const char *from, const char *to, const char *code)
{
    const char *at = strstr(MODULE, from);
    int before = diags_count(cx->diags);

    assert_non_null(at);
    const char *text = arena_printf(cx->perm, "%.*s%s%s", (int)(at - MODULE), MODULE, to,
                                    at + strlen(from));
    Module *m = module_parse(cx, "test.m", text);
    if (m == NULL)
        fail_msg("%s", diags_render(cx->diags, cx->temp, before, false));
    bool ok = module_verify(cx, m);
    const char *found = first_code(cx, before);
    if (ok != (found == NULL) || !str_eq(found, code))
        fail_msg("'%s': expected %s\n%s", to, code != NULL ? code : "nothing",
                 diags_render(cx->diags, cx->temp, before, false));
}

static void test_modules(void **state)
{
    Cx *cx = *state;

    check_module(cx, "", "", NULL);
    check_module(cx, "a2: f32[16] at 64", "a2: f32[16] at 0", "E0920");
    check_module(cx, "a2: f32[16] at 64", "a2: f32[16] at 32", "E0920");
    check_module(cx, "a2: f32[16] at 64", "a2: f32[16] at 256", "E0920");
    check_module(cx, "key \"b\" at 64", "key \"b\" at 0", "E0920");
    check_module(cx, "blob 128", "blob 64", "E0920");
    check_module(cx, "a2: f32[16] at 64", "a2: f32[15] at 64", "E0918");
    check_module(cx, "k1(x, w, a1)", "k1(x, a2, a1)", "E0918");
    check_module(cx, "k1(x, w, a1)", "k1(x, w, b)", "E0918");
    check_module(cx, "k2(a1, a2)", "k2(a1, a1)", "E0918");
    check_module(cx, "k2(a1, a2)", "k2(a3, a2)", "E0919");
    check_module(cx, "k2(a3, y)", "k2(a3, a2)", "E0919");
    check_module(cx, "y[i] = x[i];", "y[i] = x[i + 1];", "E0911");
}

/* Lifetimes come from the steps, whatever the values say of themselves. */
static void test_plan_is_checked_independently(void **state)
{
    check_module(*state, "a2: f32[16] at 64", "a2: f32[16] at 0 live 7 to 7", "E0920");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bounds, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_layouts_and_lanes, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_scopes, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_types, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_statements, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_message_names_the_place, context_open,
                                        context_close),
        cmocka_unit_test_setup_teardown(test_modules, context_open, context_close),
        cmocka_unit_test_setup_teardown(test_plan_is_checked_independently, context_open,
                                        context_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
