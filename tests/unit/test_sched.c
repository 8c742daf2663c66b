/* Schedules one by one: which nests are recognised in a kernel, every verb where it is legal and
 * where it is not, mistakes in the text, and the limits. What legal schedules compute is
 * test_sched_property's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched_fixture.h"

/* ---- recognition ---------------------------------------------------------------------------- */
typedef struct Found {
    Cx *cx;
    Nest **nest;
    int n;
} Found;

static Found nests_in(const char *text)
{
    Found f = {.cx = cx_new()};
    Kernel *k = kernel_read(f.cx, text);
    assert_non_null(k);
    f.n = nests_of_kernel(f.cx, k, &f.nest);
    return f;
}

/* label, loops with a * on reductions, update or not, steps: "a: n o i* +2" */
static void assert_nest(const Found *f, int at, const char *expected)
{
    const Nest *nest = f->nest[at];
    Str s = str_new(f->cx->perm);
    str_printf(&s, "%s:", nest->label);
    for (int i = 0; i < nest->n_loops; i++)
        str_printf(&s, " %s%s", nest->loop[i].name, nest->loop[i].reduction ? "*" : "");
    str_printf(&s, "%s", nest->update ? " +" : " ");
    if (nest->n_steps)
        str_printf(&s, "%d", nest->n_steps);
    str_add(&s, nest->n_cond ? " if" : "");
    str_add(&s, nest->ordered ? " ordered" : "");
    assert_string_equal(s.data, expected);
}

static void test_convolution_with_steps(void **state)
{
    (void)state;
    Found f = nests_in(
        "kernel k(in x: f32[1, 8, 5, 5], weight w: f32[6, 4, 3], weight b: f32[6],"
        "  in r: f32[1, 6, 5], scratch a: f32[1, 6, 5], scratch t: f32[1, 6, 5],"
        "  out y: f32[1, 6, 5]) {"
        "  for n < 1, g < 2, o < 3, i < 5 { a[n, 3*g + o, i] = b[3*g + o]; }"
        "  for n < 1, g < 2, o < 3, i < 5, d < 4, p < 3 { if (0 <= i + p - 1 < 5) {"
        "    a[n, 3*g + o, i] = fma(x[n, 4*g + d, i + p - 1, 0], w[3*g + o, d, p],"
        "                           a[n, 3*g + o, i]);"
        "  } }"
        "  for n < 1, c < 6, i < 5 { t[n, c, i] = max(a[n, c, i], 0x0p+0); }"
        "  for n < 1, c < 6, i < 5 { y[n, c, i] = t[n, c, i] + r[n, c, i]; } }");
    assert_int_equal(f.n, 1);
    assert_nest(&f, 0, "a: n g o i d* p* +2 if");
    assert_int_equal(f.nest[0]->stage_at, 4);
    assert_int_equal(f.nest[0]->partial_at, -1);
    cx_delete(f.cx);
}

static void test_normalisation(void **state)
{
    (void)state;
    Found f = nests_in(
        "kernel k(in x: f32[8, 5], scratch sq: f32[5, 12], out y: f32[8, 5]) {"
        "  for i < 5, c < 2 { sq[i, c] = 0x0p+0; }  for i < 5, c < 2 { sq[i, c + 10] = 0x0p+0; }"
        "  for i < 5, c < 8 { sq[i, c + 2] = x[c, i] * x[c, i]; }"
        "  for i < 5, c < 8 { y[c, i] = 0x0p+0; }"
        "  for i < 5, c < 8, j < 5 { y[c, i] = sq[i, c + j] + y[c, i]; }"
        "  for i < 5, c < 8 { y[c, i] = x[c, i] * pow_neg_quarters(y[c, i], 3); } }");
    assert_int_equal(f.n, 4);
    assert_nest(&f, 0, "zero: i c ");
    assert_nest(&f, 1, "zero2: i c ");
    assert_nest(&f, 2, "sq: i c ");
    assert_nest(&f, 3, "y: i c j* +1");
    cx_delete(f.cx);
}

static void test_exponentials(void **state)
{
    (void)state;
    Found f = nests_in(
        "kernel k(in x: f32[2, 9], scratch m: f32[2], scratch e: f32[2, 9], scratch s: f32[2],"
        "  out y: f32[2, 9]) {"
        "  for n < 2 { m[n] = -inf; }  for n < 2, c < 9 { m[n] = max(m[n], x[n, c]); }"
        "  for n < 2, c < 9 { e[n, c] = exp(x[n, c] - m[n]); }"
        "  for n < 2 { s[n] = 0x0p+0; }  for n < 2, c < 9 { s[n] = e[n, c] + s[n]; }"
        "  for n < 2, c < 9 { y[n, c] = e[n, c] / s[n]; } }");
    assert_int_equal(f.n, 4);
    assert_nest(&f, 0, "m: n c* +");
    assert_nest(&f, 1, "e: n c ");
    assert_nest(&f, 2, "s: n c* +");
    assert_nest(&f, 3, "y: n c ");
    cx_delete(f.cx);
}

static void test_what_depends_stays_ordered(void **state)
{
    (void)state;
    Found f = nests_in(
        "kernel k(in x: f32[9], out y: f32[12], out z: f32[9], out v: f32[9]) {"
        "  for i < 9, j < 4 { y[i + j] = x[i]; }"
        "  for i < 9, j < 4, d < 2 { y[i + j] = x[d] + y[i + j]; }"
        "  for i < 8 { z[i + 1] = z[i]; }"
        "  for i < 3, j < 3 { v[3*i + j] = x[i + 3*j]; } }");
    assert_int_equal(f.n, 4);
    assert_nest(&f, 0, "y: i j  ordered");
    assert_nest(&f, 1, "y2: i j d*  ordered");
    assert_nest(&f, 2, "z: i  ordered");
    assert_nest(&f, 3, "v: i j ");
    cx_delete(f.cx);
}

static void test_bodies_that_are_no_nests(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "kernel k(in x: f32[4], out y: f32[4]) { for i < 4 { let t: f32 = x[i]; y[i] = t; } }",
        "kernel k(in x: f32[4], out y: f32[4]) { unroll i < 4 { y[i] = x[i]; } }",
        "kernel k(in x: f32[4], out y: f32[4]) { let t: f32 = x[0]; for i < 4 { y[i] = t; } }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Found f = nests_in(texts[i]);
        assert_int_equal(f.n, -1);
        assert_string_equal(diags_get(f.cx->diags, 0)->code, "E0941");
        cx_delete(f.cx);
    }
    Found f = nests_in("kernel k(in x: f32[4], out y: f32[4]) { }");
    assert_int_equal(f.n, 0);
    cx_delete(f.cx);
}

/* ---- verbs ---------------------------------------------------------------------------------- */
typedef struct Case {
    const char *schedule;
    const char *refused;             /* part of the message; NULL: legal */
} Case;

static const char *const fc =
    "kernel fc(in x: f32[24], weight w: f32[40, 24], weight b: f32[40], out y: f32[40]) {"
    "  for o < 40 { y[o] = b[o]; }"
    "  for o < 40, i < 24 { y[o] = fma(x[i], w[o, i], y[o]); }"
    "  for o < 40 { y[o] = max(y[o], 0x0p+0); } }";

static const Case fc_cases[] = {
    {"split o 8", NULL},
    {"split o 40", NULL},
    {"split o 1", NULL},
    {"split o 64 tail=peel", NULL},
    {"split o 16", "leaves 8 of 40 over"},
    {"split o 64", "leaves 40 of 40 over"},
    {"split o 0", "cannot split"},
    {"split o -8", "expected a number"},
    {"split o 9223372036854775807 tail=pad", "cannot split"},
    {"split i 16 tail=pad", "is a reduction"},
    {"split i 16 tail=peel", NULL},
    {"split i 5 tail=peel, split i.o 2", NULL},
    {"split i 5 tail=peel, split i.o 3 tail=peel, split i.i 2 tail=peel", NULL},
    {"split o 7 tail=peel, split o.o 2 tail=peel, order o.o.o o.o.i i o.i, unroll o.i", NULL},
    {"split i 16 tail=peel, split i.o 1, split i.i 3 tail=peel", NULL},
    {"split o 16 tail=pad", "past its end"},
    {"split o 16 tail=peel, split o.o 3 tail=pad", "run into what comes after"},
    {"split o 8, split o.i 3 tail=pad", "run into what comes after"},
    {"split c 2", "has no loop 'c'; its loops are: o i"},
    {"split o 8, split o 4", "has no loop 'o'"},
    {"unroll i, split i 4", "marked already"},
    {"order i o", NULL},
    {"order o", "order names 1 loops"},
    {"order o o", "twice"},
    {"order o p", "has no loop 'p'"},
    {"split o 8, order o.i i o.o", "must stay outside"},
    {"split o 8, split o.i 4, order o.i.o i o.o o.i.i", "must stay outside"},
    {"split o 8, split o.o 5, order i o.i o.o.o o.o.i", "must stay outside"},
    {"split o 8, order o.o i o.i, stage at o.i", "is a reduction outside"},
    {"split o 8, order o.o i o.i, stage at i", NULL},
    {"stage at o", NULL},
    {"stage", "is a reduction outside"},
    {"split o 16 tail=peel, stage at o.o", "splits with a rest"},
    {"partial i", NULL},
    {"split i 6, partial i.i", NULL},
    {"partial o", "must be a reduction loop"},
    {"order i o, partial i, order o i", "outside of the partial sums"},
    {"split i 6, partial i.i, split o 4, order o.o i.o i.i o.i", NULL},
    {"split i 6, split o 8, order o.o i.o o.i i.i, partial i.i", "outside of the partial sums"},
    {"unroll o i", NULL},
    {"unroll", "expected a loop"},
    {"vector i", "is a reduction"},
    {"vector o", "must be innermost"},
    {"order i o, vector o", NULL},
    {"order i o, vector o, order o i", "must be innermost"},
    {"parallel o", NULL},
    {"parallel i", "is a reduction"},
    {"border o", NULL},
    {"border i", "outside the staged tile"},
    {"split o 8, border o.o", "comes from a split"},
    {"pack w [d0/8, d1, d0%8]", NULL},
    {"pack w [d1, d0]", NULL},
    {"pack w [(d0+8)/8, d1, d0%8]", "each element a place"},
    {"pack w [(d0+8)/8, d1, (d0+8)%8]", NULL},
    {"pack w [(d0+8)/8, d1, (d0+8)/1%8]", NULL},
    {"pack w [d0/8, d1, d0%4]", "each element a place"},
    {"pack w [d0]", "loses dimension d1"},
    {"pack w [d0, d1, d2]", "no d2"},
    {"pack w [d0, d11]", "expected a dimension"},
    {"pack w [d0/0, d1]", "expected positive"},
    {"pack w [d0, d1", "expected ']'"},
    {"pack w d0", "expected '['"},
    {"pack w [(d0+1, d1]", "expected ')'"},
    {"pack v [d0]", "no buffer 'v'"},
    {"pack x [d0]", "the graph's choice"},
    {"pack w [d0, d1, d0, d1, d0, d1, d0, d1, d0, d1, d0]", "too many dimensions"},
    {"", "unknown verb"},
    {"split", "expected a number"},
    {"split o", "expected a number"},
    {"split o x", "expected a number"},
    {"split o 8 tail=mask", "expected tail=peel or tail=pad"},
    {"stage here", "expected 'at'"},
    {"fuse o", "unknown verb"},
    {"split o 8,", "unknown verb"},
    {"split o 8;", "unknown verb"},
    {"split o 8 ]", "expected ',' or ';'"},
    {"z: split o 8", "unknown label"},
    {"y: split o 8; y: split i 8", NULL},
    {"y : split o 8", NULL},
};

static void check_schedule(const char *text, const Case *c)
{
    Cx *cx = cx_new();
    Output want, got;
    Kernel *naive = kernel_read(cx, text), *k = kernel_read(cx, text);
    assert_non_null(k);
    k->schedule = c->schedule;
    bool ok = pipeline_run(cx, &row_avx512, k);
    const char *said = diags_render(cx->diags, cx->perm, 0, false);
    if (ok != (c->refused == NULL) || (!ok && !strstr(said, c->refused)))
        fail_msg("'%s': %s", c->schedule, ok ? "is not refused" : said);
    if (ok) {
        assert_true(kernel_output(cx, naive, &want) && kernel_output(cx, k, &got));
        assert_true(output_equal(&want, &got));
    } else {
        assert_int_equal(strncmp(diags_get(cx->diags, 0)->code, "E095", 4), 0);
    }
    cx_delete(cx);
}

static void test_verbs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fc_cases / sizeof fc_cases[0]; i++)
        check_schedule(fc, &fc_cases[i]);
}

/* ---- borders, padding, order ---------------------------------------------------------------- */
static void test_border(void **state)
{
    (void)state;
    static const char *const conv =
        "kernel k(in x: f32[9], weight w: f32[5], out y: f32[9]) {"
        "  for i < 9 { y[i] = 0x0p+0; }"
        "  for i < 9, p < 5 { if (0 <= i + p - 2 < 9) {"
        "    y[i] = fma(x[i + p - 2], w[p], y[i]); } } }";
    static const char *const wide =
        "kernel k(in x: f32[9], weight w: f32[200], out y: f32[900]) {"
        "  for i < 900 { y[i] = 0x0p+0; }"
        "  for i < 900, p < 200 { if (0 <= i + p - 199 < 700) {"
        "    y[i] = fma(x[0], w[p], y[i]); } } }";
    static const char *const two_tests =       /* one fails in front, the other behind */
        "kernel k(in x: f32[9, 9], out y: f32[5], out z: f32[5]) {"
        "  for i < 5 { z[i] = 0x1p+0; }  for i < 5 { y[i] = 0x0p+0; }"
        "  for i < 5, p < 2, q < 4 { if (0 <= i + p - 3 < 9, 0 <= i + q < 5) {"
        "    y[i] = x[i + p - 3, i + q] + y[i]; } }"
        "  for i < 5 { z[i] = y[i] + z[i]; } }";
    static const Case legal[] = {{"border i", NULL}, {"border i, unroll i", NULL},
                                 {"border i, stage at i", "outside the staged tile"},
                                 {"border i, split i 3", "cannot split"}};
    for (size_t i = 0; i < 4; i++)
        check_schedule(conv, &legal[i]);
    check_schedule(two_tests, &(Case){"border i", NULL});
    check_schedule(wide, &(Case){"border i", "can be peeled"});
}

static void test_border_makes_copies(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Kernel *k = kernel_read(cx,
        "kernel k(in x: f32[9], out y: f32[9]) {"
        "  for i < 9 { y[i] = -inf; }"
        "  for i < 9, p < 3 { if (0 <= i + p - 1 < 9) { y[i] = max(y[i], x[i + p - 1]); } } }");
    k->schedule = "border i";
    assert_true(pipeline_run(cx, &row_scalar, k));
    const char *middle = strstr(kernel_text(cx->perm, k), "for i < 7");
    assert_non_null(middle);
    const char *guard = strstr(kernel_text(cx->perm, k), "if (");
    assert_true(guard == NULL || guard < middle || strstr(guard, "y[8]"));
    cx_delete(cx);
}

static void test_padding_and_order_need_freedom(void **state)
{
    (void)state;
    static const char *const grouped =
        "kernel k(in x: f32[48], out y: f32[48~16]) {"
        "  for g < 2, o < 24 { y[24*g + o] = x[24*g + o]; } }";
    static const char *const bordered =
        "kernel k(in x: f32[24~8], out y: f32[1:24:8]) { for o < 24 { y[o] = x[o]; } }";
    static const char *const inside =
        "kernel k(in x: f32[24~8], out y: f32[64]) {"
        "  for i < 64 { y[i] = 0x1p+0; }  for o < 24 { y[o] = x[o]; } }";
    static const char *const carried =
        "kernel k(in x: f32[8, 9], out y: f32[9, 10]) {"
        "  for i < 9, j < 10 { y[i, j] = 0x1p+0; }"
        "  for i < 8, j < 9 { y[i + 1, j] = y[i, j + 1] - x[i, j]; } }";
    static const char *const slack =
        "kernel k(in x: f32[24~8], out y: f32[24~8]) { for o < 24 { y[o] = x[o]; } }";
    check_schedule(grouped, &(Case){"split o 16 tail=pad", "write to other elements of 'y'"});
    check_schedule(bordered, &(Case){"split o 16 tail=pad", "must stay zero"});
    check_schedule(inside, &(Case){"split o 16 tail=pad", "write to other elements of 'y'"});
    check_schedule(slack, &(Case){"split o 16 tail=pad, vector o.i", NULL});
    check_schedule(carried, &(Case){"y: order j i", "depend on each other"});
    check_schedule(carried, &(Case){"y: order i j, split j 4 tail=peel, unroll j.i", NULL});
    check_schedule(carried, &(Case){"y: vector j", "depend on each other"});
    check_schedule(carried, &(Case){"y: parallel i", "depend on each other"});
}

/* ---- limits --------------------------------------------------------------------------------- */
static void test_limits(void **state)
{
    (void)state;
    static const char *const big =
        "kernel k(in x: f32[1000], in z: f32[1000], out y: f32[1000, 1000]) {"
        "  for i < 1000, j < 1000 { y[i, j] = x[i] * z[j]; } }";
    static const char *const sum =
        "kernel k(in x: f32[400, 400, 2], out y: f32[400, 400]) {"
        "  for i < 400, j < 400 { y[i, j] = 0x0p+0; }"
        "  for i < 400, j < 400, p < 2 { y[i, j] = x[i, j, p] + y[i, j]; } }";
    check_schedule(big, &(Case){"unroll i j", "statements when its marked loops are unrolled"});
    check_schedule(big, &(Case){"vector j, unroll i", "statements when its marked loops"});
    check_schedule(sum, &(Case){"stage at i", "elements in 2 loops; at most"});
    check_schedule(fc, &(Case){
        "split o 1, split o.o 1, split o.o.o 1, split o.o.o.o 1, split o.o.o.o.o 1, "
        "split o.o.o.o.o.o 1, split o.o.o.o.o.o.o 1, split o.o.o.o.o.o.o.o 1, "
        "split o.o.o.o.o.o.o.o.o 1, split o.o.o.o.o.o.o.o.o.o 1, stage at o.o.o.o.o.o.o.o.o.o.o",
        "in 11 loops; at most"});
    Cx *cx = cx_new();
    Str s = str_new(cx->perm);
    for (int i = 0; i < 23; i++)
        str_printf(&s, "%ssplit %s%.*s 1", i ? ", " : "", "o", 2 * i,
                   ".i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i.i");
    check_schedule(fc, &(Case){s.data, "cannot split"});
    cx_delete(cx);
}

/* Tails of tails: 2^n copies. */
static void test_copies_are_limited(void **state)
{
    (void)state;
    static const char *const deep =
        "kernel k(in x: f32[3, 3, 3, 3, 3, 3], out y: f32[3, 3, 3, 3, 3, 3]) {"
        "  for a < 3, b < 3, c < 3, d < 3, e < 3, f < 3 {"
        "    y[a, b, c, d, e, f] = x[a, b, c, d, e, f]; } }";
    check_schedule(deep, &(Case){"split a 2 tail=peel, split b 2 tail=peel, stage", NULL});
    Cx *cx = cx_new();
    Str s = str_new(cx->perm);
    for (const char *v = "abcdef"; *v; v++)
        str_printf(&s, "split %c 2 tail=peel, split %c.i 1, split %c.i.i 1, ", *v, *v, *v);
    str_add(&s, "stage");
    check_schedule(deep, &(Case){s.data, NULL});
    static const char *const deeper =
        "kernel k(in x: f32[7, 7, 7, 7, 7, 7], out y: f32[7, 7, 7, 7, 7, 7]) {"
        "  for a < 7, b < 7, c < 7, d < 7, e < 7, f < 7 {"
        "    y[a, b, c, d, e, f] = x[a, b, c, d, e, f]; } }";
    s = str_new(s.arena);
    for (const char *v = "abcdef"; *v; v++)
        str_printf(&s, "split %c 4 tail=peel, split %c.i 3 tail=peel, split %c.i.i 2 tail=peel, ",
                   *v, *v, *v);
    str_add(&s, "stage");
    check_schedule(deeper, &(Case){s.data, "make more than 1024 copies"});
    cx_delete(cx);
}

/* ---- the cost model on the edge ------------------------------------------------------------- */
static void test_found_schedule_of_huge_nests(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "kernel k(in x: f32[1, 1], weight w: f32[1099511, 1], out y: f32[1099511, 1]) {"
        "  for o < 1099511, i < 1 { y[o, i] = 0x0p+0; }"
        "  for o < 1099511, i < 1, d < 1099511627776 {"
        "    y[o, i] = fma(x[0, i], w[o, 0], y[o, i]); } }",
        "kernel k(in x: f32[1], out y: f32[1]) {"
        "  for i < 1 { y[i] = 0x0p+0; }"
        "  for i < 1, a < 1099511627776, b < 1099511627776, c < 1099511627776 {"
        "    y[i] = fma(x[i], x[i], y[i]); } }",
        "kernel k(in x: f32[1], weight w: f32[70, 3], out y: f32[70]) {"
        "  for o < 70 { y[o] = w[o, 0]; }"
        "  for o < 70, i < 3 { y[o] = fma(w[o, i], w[o, i], y[o]); } }",
        "kernel k(in x: f32[3], weight w: f32[70, 3], weight v: f32[70, 2], out y: f32[70]) {"
        "  for o < 70 { y[o] = v[o, 1]; }"
        "  for o < 70, i < 3 { y[o] = fma(x[i], w[o, i], y[o]); } }",
        "kernel k(in x: f32[900], weight w: f32[70, 900], out y: f32[70]) {"
        "  for o < 70 { y[o] = 0x1p+0; }"
        "  for o < 70, i < 900 { y[o] = fma(y[o], w[o, i], x[i]); } }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int row = 0; row < row_count(); row++) {
            Cx *cx = cx_new();
            Kernel *k = kernel_read(cx, texts[i]);
            assert_non_null(k);
            if (!pipeline_run(cx, row_at(row), k))
                fail_msg("%s\n%s", texts[i], diags_render(cx->diags, cx->perm, 0, false));
            cx_delete(cx);
        }
}

/* More of everything than the model looks at: the kernel stays as it is, or comes out right. */
static void test_found_schedule_of_many_operands(void **state)
{
    (void)state;
    for (int n = 7; n < 55; n += 9) {
        Cx *cx = cx_new();
        Str s = str_new(cx->perm);
        Output want, got;
        str_add(&s, "kernel k(");
        for (int i = 0; i < n; i++)
            str_printf(&s, "%s x%d: f32[48], ", i % 3 ? "in" : "weight", i);
        str_add(&s, "out y: f32[48]) { for o < 48 { y[o] = 0x0p+0; } for o < 48, i < 4 { y[o] = ");
        for (int i = 0; i < n; i++)
            str_printf(&s, "%sx%d[o] * x%d[o]", i ? " + " : "", i, i);
        str_add(&s, " + y[o]; } }");
        Kernel *naive = kernel_read(cx, s.data), *k = kernel_read(cx, s.data);
        if (!naive || !k || !pipeline_run(cx, &row_avx512, k))
            fail_msg("%d: %s", n, diags_render(cx->diags, cx->perm, 0, false));
        assert_true(kernel_output(cx, naive, &want) && kernel_output(cx, k, &got));
        assert_true(output_equal(&want, &got));
        cx_delete(cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution_with_steps),
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_exponentials),
        cmocka_unit_test(test_what_depends_stays_ordered),
        cmocka_unit_test(test_bodies_that_are_no_nests),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_border),
        cmocka_unit_test(test_border_makes_copies),
        cmocka_unit_test(test_padding_and_order_need_freedom),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_copies_are_limited),
        cmocka_unit_test(test_found_schedule_of_huge_nests),
        cmocka_unit_test(test_found_schedule_of_many_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
