/* Unit tests of the loop IR's text form: round trips of every construct, errors with their place,
 * and a parser that survives broken texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- texts in canonical form ----------------------------------------------- */

/* One string a kernel: printing what was read gives the same text. */
static const char *const CANONICAL[] = {
    "kernel relu1(in x: f32[1, 8, 4], out y: f32[1, 8, 4]) { # net.yaml:7 relu1\n"
    "    for n < 1, c < 8, i < 4 {\n"
    "        y[n, c, i] = max(x[n, c, i], 0x0p+0);\n"
    "    }\n"
    "}\n",

    "kernel conv3(\n"
    "    in x: f32[1, 256, 1:13:1, 1:13:1],\n"
    "    weight w: f32[384, 256, 3, 3] as [d0/16, d1, d2, d3, d0%16],\n"
    "    out y: f32[1, 384~8, 13, 13] as [d0, d1/16, d2+1, (d3+1)/4%8, d1%16],\n"
    "    scratch t: f64[2~13~1]) physical {\n"
    "    schedule \"split oc 16 \xc2\xb7 vector oc.i\";\n"
    "    why \"26 \\\"registers\\\", a \\\\ and \\x01\";\n"
    "    cost macs 149520384 flops 299040768;\n"
    "    # bias, then the sum\n"
    "    parallel oc.o < 24 {\n"
    "        for oy < 13 {\n"
    "            local acc: f32x16[13];\n"
    "            unroll ox < 13 {\n"
    "                acc[ox] = 0x0p+0;\n"
    "            }\n"
    "            vector v < 16 {\n"
    "            }\n"
    "            for ic < 256, ky < 3, kx < 3 {\n"
    "                if (0 <= oy + ky - 1 < 13, 0 <= -2*oy + 3*kx + 4 < 13) {\n"
    "                    let t0: f32x16 = w[oc.o, ic, ky, kx, 0 +: 16];\n"
    "                    acc[0] = fma(t0, bcast(x[0, ic, oy + ky, kx], 16), acc[0]);\n"
    "                }\n"
    "            }\n"
    "            y[0, oc.o, oy, 1, 0 +: 16] = acc[0];\n"
    "        }\n"
    "    }\n"
    "}\n",

    "kernel exprs(in x: f32[16], out y: f32[16], out z: f64[1], out k: i32[4]) {\n"
    "    let a: f32 = x[0];\n"
    "    let b: f32 = 0x1.8p+1;\n"
    "    var v: f32x16 = x[0 +: 16];\n"
    "    v = v * 0x1p-1 + v;\n"
    "    v = v * (0x1p-1 + v) - (v - v) / (v / v) / v;\n"
    "    v = (v + v) * v - v * v + (v + (v + v));\n"
    "    v = neg(abs(sqrt(round(pow2i(exp(pow_neg_quarters(v, 3)))))));\n"
    "    v = select(v < 0x0p+0, -0x0p+0, inf);\n"
    "    v = select(0x1p+0:f32x16 <= v, min(v, nan), max(v, -inf));\n"
    "    v = select(a == b, v, v + bcast(a * 0x1p+0, 16));\n"
    "    v = bcast(hsum(v), 16);\n"
    "    y[0] = hmax(v + 0x1p+0) + hmin(v) + hmul(v);\n"
    "    y[1] = select(f64(a) != 0x1.5555555555555p-2, a - b, b - a);\n"
    "    z[0] = f64(a) + 0x1.999999999999ap-4 * f64(0x1p+0:f32);\n"
    "    k[3] = -3 + i32(a) * 2147483647;\n"
    "}\n",

    "kernel \"odd name\"(in in: f32[4], out out: f32[4], scratch \"inf\": f32[4], "
    "scratch \"1x\": i32[]) {\n"
    "    for for < 4 {\n"
    "        let let: f32 = in[for];\n"
    "        var if: f32 = let;\n"
    "        if = let;\n"
    "        out[for] = \"inf\"[0] + if + f32(\"1x\"[]);\n"
    "    }\n"
    "}\n",

    "kernel empty() {\n}\n",
};

static const char MODULE[] =
    "module net row \"x86-64-v4\" batch 1 type f32 arena 4096 blob 64 lower 4096;\n"
    "\n"
    "value input x: f32[1, 8];\n"
    "value weight fc.w: f32[8, 8] as [d0/8, d1, d0%8] key \"fc.weight\" from [8, 8] at 0;\n"
    "value activation t: f32[1, 8~8] at 64 live 0 to 1;\n"
    "value scratch \"a b\": f32[8] live 1 to 1;\n"
    "value output y: f32[1, 8];\n"
    "\n"
    "kernel relu(in x: f32[1, 8], out y: f32[1, 8~8]) {\n"
    "    for i < 8 {\n"
    "        y[0, i] = max(x[0, i], 0x0p+0);\n"
    "    }\n"
    "}\n"
    "\n"
    "kernel copy(in x: f32[1, 8~8], weight w: f32[8, 8], out y: f32[1, 8], scratch s: f32[8]) {\n"
    "    # nothing yet\n"
    "}\n"
    "\n"
    "call relu(x, t);\n"
    "call copy(t, fc.w, y, \"a b\");\n";

/* ---- helpers ----------------------------------------------- */

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

static char *reprint(Cx *cx, const char *text)
{
    Kernel *k = kernel_parse(cx, "k.loop", text);

    if (!k)
        fail_msg("%s", diags_render(cx->diags, cx->temp, 0, false));
    return kernel_text(cx->temp, k);
}

/* ---- round trips ----------------------------------------------- */

static void canonical_text_is_kept(void **state)
{
    Cx *cx = *state;

    for (int i = 0; i < COUNT(CANONICAL); i++)
        assert_string_equal(reprint(cx, CANONICAL[i]), CANONICAL[i]);
    Module *m = module_parse(cx, "m.loop", MODULE);
    if (!m)
        fail_msg("%s", diags_render(cx->diags, cx->temp, 0, false));
    assert_string_equal(module_text(cx->temp, m), MODULE);
    assert_int_equal(m->n_values, 5);
    assert_int_equal(m->n_steps, 2);
    assert_ptr_equal(m->step[1].arg[3], m->value[3]);
    assert_int_equal(m->value[3]->offset, -1);
}

/* Any spelling that is read prints in the one canonical form. */
static void free_text_becomes_canonical(void **state)
{
    Cx *cx = *state;

    assert_string_equal(
        reprint(cx, "# a file\nkernel \"k\"(in x:f32[0:4:0,3~0],out y:f32 [4,3]as[(d0),d1/1]){\n"
                    "for a<4{for b<3{y[a,1+b-1]=(x[a,2*b-b])*0.5+1;}}}# end"),
        "kernel k(in x: f32[4, 3], out y: f32[4, 3] as [d0, d1]) {\n"
        "    for a < 4, b < 3 {\n"
        "        y[a, b] = x[a, b] * 0x1p-1 + 0x1p+0;\n"
        "    }\n"
        "}\n");
}

static void structure_is_exact(void **state)
{
    Cx *cx = *state;
    Kernel *k = kernel_parse(cx, "k", CANONICAL[1]);

    assert_non_null(k);
    assert_true(k->physical);
    assert_int_equal(k->n_buffers, 4);
    assert_int_equal(k->macs, 149520384);
    assert_string_equal(k->why, "26 \"registers\", a \\ and \x01");
    const Buffer *y = k->buffer[2];
    assert_int_equal(y->kind, BUF_OUT);
    assert_int_equal(y->dim[1].hi, 8);
    assert_false(y->dim[1].zero);
    assert_int_equal(y->n_storage, 5);
    assert_int_equal(y->storage[3].add, 1);
    assert_int_equal(y->storage[3].div, 4);
    assert_int_equal(y->storage[3].mod, 8);
    assert_true(k->buffer[0]->dim[2].zero);
    assert_int_equal(k->buffer[3]->dim[0].lo, 2);
    const Stmt *note = k->body.first, *loop = note->next;
    assert_string_equal(note->text, "bias, then the sum");
    assert_int_equal(loop->loop, LOOP_PARALLEL);
    assert_int_equal(loop->var->extent, 24);
    const Stmt *local = loop->body.first->body.first;
    assert_int_equal(local->buffer->lanes, 16);
    assert_int_equal(local->next->body.first->expr->type.lanes, 16);
}

static void hash_is_of_the_text(void **state)
{
    Cx *cx = *state;

    for (int i = 0; i < COUNT(CANONICAL); i++) {
        const Kernel *k = kernel_parse(cx, "k", CANONICAL[i]);
        assert_non_null(k);
        assert_true(kernel_hash(k) == hash_bytes(HASH_SEED, CANONICAL[i], strlen(CANONICAL[i])));
    }
}

/* ---- pieces ----------------------------------------------- */

static void pieces_print(void **state)
{
    Cx *cx = *state;
    Arena *a = cx->temp;
    Var i = {"i", 4}, j = {"j", 4};
    Type f64x2 = {TYPE_F64, 2};
    Buffer acc = {.name = "acc", .kind = BUF_LOCAL, .type = TYPE_F32, .lanes = 8, .rank = 1,
                  .dim = {{.extent = 3, .zero = true}}};
    Index at = index_make(a, -2, 2, &i, -1, &j, 3);

    assert_string_equal(index_text(a, index_const(-7)), "-7");
    assert_string_equal(index_text(a, at), "-i + 3*j - 2");
    assert_string_equal(buffer_text(a, &acc), "acc: f32x8[3]");
    assert_string_equal(expr_text(a, expr_const(a, f64x2, 0.5)), "0x1p-1");
    const Expr *load = expr_load(a, &acc, &at, 1, 8);
    assert_string_equal(expr_text(a, load), "acc[-i + 3*j - 2]");
    assert_string_equal(stmt_text(a, stmt_store(a, &acc, &at, 1, load)),
                        "acc[-i + 3*j - 2] = acc[-i + 3*j - 2];\n");
    assert_string_equal(stmt_text(a, stmt_note(a, " two\nlines ")), "# two lines\n");
}

/* Every tree of two operators keeps its shape: parentheses exactly where needed. */
static void trees_keep_their_shape(void **state)
{
    Cx *cx = *state;
    Type f32 = {TYPE_F32, 1};
    Name name = {"a", f32, false};

    for (int code = 0; code < 6 * 6 * 2; code++) {
        BinOp inner = (BinOp)(code / 12), outer = (BinOp)(code / 2 % 6);
        const Expr *leaf = expr_name(cx->temp, &name);
        const Expr *one = expr_const(cx->temp, f32, -1);
        const Expr *sub = expr_bin(cx->temp, inner, leaf, one);
        const Expr *e = code % 2 ? expr_bin(cx->temp, outer, leaf, sub)
                                 : expr_bin(cx->temp, outer, sub, leaf);
        const char *text = expr_text(cx->temp, e);
        const Kernel *k = kernel_parse(cx, "k", arena_printf(cx->temp,
            "kernel k() { var a: f32 = 0; a = %s; }", text));
        assert_non_null(k);
        const Expr *back = k->body.last->expr;
        assert_int_equal(back->op, outer);
        assert_int_equal(back->arg[code % 2]->kind, EXPR_BIN);
        assert_int_equal(back->arg[code % 2]->op, inner);
        assert_string_equal(expr_text(cx->temp, back), text);
    }
}

/* ---- errors ----------------------------------------------- */

typedef struct Refused {
    const char *text;
    const char *code;
    int line, col;
    const char *message;   /* a part of it */
} Refused;

#define BODY(s) "kernel k(in x: f32[4], out y: f32[4], scratch w: f32[4]) {\n" s "\n}"

static const Refused REFUSED[] = {
    {"", "E0502", 1, 1, "the text ends before 'kernel'"},
    {"kernel k(in x: f32[4]) {\n", "E0502", 2, 1, "the text ends before '}'"},
    {"kernel k() { } }", "E0502", 1, 16, "the end of the text"},
    {"kernel k(at x: f32[4]) { }", "E0502", 1, 10, "in, weight, out or scratch"},
    {"kernel k(in x: f16[4]) { }", "E0502", 1, 16, "a type"},
    {"kernel k(in x: f32x8[4]) { }", "E0506", 1, 16, "only a local"},
    {"kernel k(in x: f32[4 # no\n]) { }", "E0502", 1, 22, "before this comment"},
    {"kernel k(in x: f32[4], in x: f32[4]) { }", "E0505", 1, 27, "already defined"},
    {"kernel k(in x: f32[4] as [d1]) { }", "E0509", 1, 27, "no dimension d1"},
    {"kernel k(in x: f32[4] as [c]) { }", "E0502", 1, 27, "a dimension"},
    {"kernel k(in x: f32[4] as [d0+1/2]) { }", "E0502", 1, 31, "write (d0"},
    {"kernel k(in x: f32[4] as [d0/0]) { }", "E0503", 1, 30, "range 1"},
    {"kernel k(in x: f32[1099511627776, 1099511627776]) { }", "E0509", 1, 16, "larger"},
    {"kernel k(in x: f32[1,1,1,1,1,1,1,1,1,1,1]) { }", "E0508", 1, 40, "more than 10"},
    {"kernel k(in x: f32[99999999999999999999]) { }", "E0503", 1, 20, "not in the range"},
    {BODY("let a: f32 = $;"), "E0501", 2, 14, "no meaning"},
    {BODY("let \"a\\n\": f32 = 0;"), "E0501", 2, 5, "unknown escape"},
    {BODY("let \"a"), "E0501", 2, 5, "does not end"},
    {BODY("let a: f32 = 12ab;"), "E0501", 2, 14, "not a number"},
    {BODY("let a: f32 = 1e39;"), "E0503", 2, 14, "does not fit f32"},
    {BODY("let a: i32 = 0.5;"), "E0503", 2, 14, "does not fit i32"},
    {BODY("let a: f32 = x[0] +;"), "E0502", 2, 20, "an expression"},
    {BODY("let a: f32 = -x[0];"), "E0502", 2, 15, "neg(...)"},
    {BODY("let a: f32 = mix(x[0]);"), "E0504", 2, 14, "no function 'mix'"},
    {BODY("let a: f32 = aa;"), "E0504", 2, 14, "no value 'aa'"},
    {BODY("let a: f32 = v[0];"), "E0504", 2, 14, "no buffer 'v'"},
    {BODY("for i < 4 { }\ny[i] = 0;"), "E0504", 3, 3, "no loop variable 'i'"},
    {BODY("for i < 4 { for i < 3 { } }"), "E0505", 2, 17, "already defined"},
    {BODY("for i < -4 { }"), "E0502", 2, 9, "a whole number"},
    {BODY("if (1 <= 0 < 4) { }"), "E0503", 2, 5, "range 0 to 0"},
    {BODY("y[0, 1] = 0;"), "E0507", 2, 1, "takes 1 index here"},
    {BODY("y[] = 0;"), "E0507", 2, 1, "takes 1 index here"},
    {BODY("y[0 +: 1] = 0;"), "E0503", 2, 8, "range 2"},
    {BODY("y[0 +: 4] = x[0];"), "E0506", 2, 13, "this is f32 where f32x4 is needed"},
    {BODY("y[0] = x[0 +: 4];"), "E0506", 2, 8, "this is f32x4 where f32 is needed"},
    {BODY("local a: f32x4[2];\na[0 +: 4] = 0;"), "E0506", 3, 5, "already has 4 lanes"},
    {BODY("let a: f32 = 0;\na = 1;"), "E0502", 3, 1, "has one value"},
    {BODY("let a: f32 = f64(0x1p+0);"), "E0506", 2, 18, "nothing here tells the type"},
    {BODY("let a: f32 = bcast(x[0], 4);"), "E0506", 2, 14, "f32x4 where f32"},
    {BODY("let a: f32x4 = bcast(x[0 +: 4], 4);"), "E0506", 2, 22, "f32x4 where f32"},
    {BODY("let a: f32 = hsum(x[0]);"), "E0506", 2, 19, "needs a vector"},
    {BODY("let a: f32 = select(x[0] = x[1], 0, 1);"), "E0502", 2, 26, "a comparison"},
    {BODY("call f();"), "E0502", 2, 1, "a statement"},
};

static void errors_name_their_place(void **state)
{
    Cx *cx = *state;

    for (int i = 0; i < COUNT(REFUSED); i++) {
        const Refused *r = &REFUSED[i];
        int first = diags_count(cx->diags);
        assert_null(kernel_parse(cx, "k.loop", r->text));
        const Diag *d = diags_get(cx->diags, first);
        if (!str_eq(d->code, r->code) || d->place.line != r->line || d->place.col != r->col
            || !strstr(d->text, r->message))
            fail_msg("'%s' gives:\n%s", r->text, diags_render(cx->diags, cx->temp, first, false));
    }
}

static void hints_name_the_nearest(void **state)
{
    Cx *cx = *state;

    assert_null(kernel_parse(cx, "k.loop", "kernel k(out out1: f32[4]) {\n    out2[0] = 0;\n}\n"));
    const char *text = diags_render(cx->diags, cx->temp, 0, false);
    assert_non_null(strstr(text, "k.loop:2:5"));
    assert_non_null(strstr(text, "did you mean 'out1'?"));
}

/* One run shows each wrong statement once, and nothing that only follows from it. */
static void reading_goes_on_after_an_error(void **state)
{
    Cx *cx = *state;

    assert_null(kernel_parse(cx, "k.loop",
                             BODY("let a: f32 = v[0];\n"
                                  "for i < { y[i] = 0; }\n"
                                  "for i < 4 { y[i] = a + ; y[i] = a; y[j] = a; }\n"
                                  "y[0] = 0;")));
    assert_int_equal(diags_error_count(cx->diags), 4);
    Str many = str_new(cx->temp);
    for (int i = 0; i < 1000; i++)
        str_add(&many, "y[j] = 0;\n");
    assert_null(kernel_parse(cx, "k.loop", arena_printf(cx->temp, BODY("%s"), many.data)));
    assert_int_equal(diags_error_count(cx->diags), 24);
}

static const Refused REFUSED_MODULE[] = {
    {"kernel k() { }", "E0502", 1, 1, "expected 'module'"},
    {"module m batch 1 type f32x4", "E0506", 1, 23, "no lanes"},
    {"value input x: f32[4];", "E0505", 3, 13, "already a value"},
    {"value in z: f32[4];", "E0502", 3, 7, "input, output"},
    {"value weight z: f32[4] from [0];", "E0503", 3, 30, "range 1"},
    {"kernel k() { }", "E0505", 3, 8, "already a kernel"},
    {"kernel j() { }\ncall k(x);", "E0504", 3, 8, "never called"},
    {"call j(x);", "E0504", 3, 6, "no kernel 'j'"},
    {"call k(z);", "E0504", 3, 8, "no value 'z'"},
    {"call k(x, x);", "E0507", 3, 6, "takes 1 values"},
    {"call k();", "E0507", 3, 6, "takes 1 values"},
    {"}", "E0502", 3, 1, "value, kernel or call"},
};

static void modules_are_checked(void **state)
{
    Cx *cx = *state;

    for (int i = 0; i < COUNT(REFUSED_MODULE); i++) {
        const Refused *r = &REFUSED_MODULE[i];
        int first = diags_count(cx->diags);
        const char *text = i < 2 ? r->text : arena_printf(cx->temp,
            "module m batch 1 type f32 arena 0 blob 0 lower 0; value input x: f32[4];\n"
            "kernel k(in x: f32[4]) { } call k(x);\n%s", r->text);
        assert_null(module_parse(cx, "m.loop", text));
        const Diag *d = diags_get(cx->diags, first);
        if (!str_eq(d->code, r->code) || d->place.line != r->line || d->place.col != r->col
            || !strstr(d->text, r->message))
            fail_msg("'%s' gives:\n%s", r->text, diags_render(cx->diags, cx->temp, first, false));
    }
}

/* ---- limits ----------------------------------------------- */

static char *repeat(Cx *cx, const char *text, int n)
{
    Str s = str_new(cx->temp);

    while (n-- > 0)
        str_add(&s, text);
    return s.data;
}

static bool parses(Cx *cx, const char *format, const char *a, const char *b)
{
    return kernel_parse(cx, "k", arena_printf(cx->temp, "kernel k(out y: f32[9]) { %s%s%s }", a,
                                              format, b)) != NULL;
}

static void depth_is_limited(void **state)
{
    Cx *cx = *state;

    assert_true(parses(cx, "", repeat(cx, "if (0 <= 0 < 1) { ", 64), repeat(cx, "}", 64)));
    assert_false(parses(cx, "", repeat(cx, "if (0 <= 0 < 1) { ", 65), repeat(cx, "}", 65)));
    assert_false(parses(cx, "y[0] = ", "", repeat(cx, "(", 1000000)));
    assert_false(parses(cx, "y[0] = 0", "", repeat(cx, " + 0", 1000)));
    assert_false(parses(cx, "y[0", "", repeat(cx, " + 0", 1000)));
    assert_true(parses(cx, "", repeat(cx, "y[0] = 0;", 10000), ""));
    assert_null(kernel_parse(cx, "k", repeat(cx, "        ", 600000)));
}

/* ---- robustness ----------------------------------------------- */

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* Deletes, repeats or overwrites a few bytes, with pieces of the grammar among the new ones. */
static void mutate(uint64_t *seed, char *text, size_t size)
{
    static const char PIECES[] = "(){}[],;:=<+-*/%~#\"\\019.eaxf32x16 +: <= inf nan\n\x80\xff";

    for (uint32_t i = 1 + next_random(seed) % 3; i > 0; i--) {
        size_t n = strlen(text), at = next_random(seed) % (uint32_t)(n + 1);
        size_t k = 1 + next_random(seed) % 8;
        switch (next_random(seed) % 3) {
        case 0:
            k = at + k > n ? n - at : k;
            memmove(text + at, text + at + k, n - at - k + 1);
            break;
        case 1:
            if (at + k <= n && n + k < size)
                memmove(text + at + k, text + at, n - at + 1);
            break;
        default:
            if (at < n)
                text[at] = PIECES[next_random(seed) % (sizeof PIECES - 1)];
            break;
        }
    }
}

/* What is still accepted must print to a text that reads back to itself; all else is reported. */
static void check_mutant(Cx *cx, const char *text, bool module)
{
    if (module) {
        const Module *m = module_parse(cx, "m", text);
        const char *once = m ? module_text(cx->temp, m) : NULL;
        m = m ? module_parse(cx, "m", once) : NULL;
        if (once)
            assert_string_equal(m ? module_text(cx->temp, m) : "refused", once);
        else
            assert_true(diags_error_count(cx->diags) > 0);
        return;
    }
    const Kernel *k = kernel_parse(cx, "k", text);
    if (k)
        assert_string_equal(reprint(cx, kernel_text(cx->temp, k)), kernel_text(cx->temp, k));
    else
        assert_true(diags_error_count(cx->diags) > 0);
    diags_render(cx->diags, cx->temp, 0, false);
}

static void broken_texts_are_refused(void **state)
{
    (void)state;
    char text[4096];
    uint64_t seed = 1;

    for (int i = 0; i < 6000; i++) {
        int which = i % (COUNT(CANONICAL) + 1);
        bool module = which == COUNT(CANONICAL);
        Cx *cx = cx_new();
        assert_non_null(cx);
        snprintf(text, sizeof text, "%s", module ? MODULE : CANONICAL[which]);
        mutate(&seed, text, sizeof text);
        check_mutant(cx, text, module);
        cx_delete(cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(canonical_text_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(free_text_becomes_canonical, setup, teardown),
        cmocka_unit_test_setup_teardown(structure_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(hash_is_of_the_text, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_print, setup, teardown),
        cmocka_unit_test_setup_teardown(trees_keep_their_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(hints_name_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_goes_on_after_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(modules_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_limited, setup, teardown),
        cmocka_unit_test(broken_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
