/* yaml: the located tree, what it refuses and where, and every limit at n - 1, n and n + 1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "front/front.h"

#include <string.h>
#include <time.h>

static int make_cx(void **state)
{
    *state = cx_new();
    return *state == NULL;
}

static int delete_cx(void **state)
{
    cx_delete(*state);
    return 0;
}

static Yaml *parse(Cx *cx, const char *text)
{
    return yaml_parse(cx, "t.yaml", text, strlen(text));
}

/* Parsing fails with exactly this code at this place. */
static void refuse_bytes(Cx *cx, const char *text, size_t len, const char *code, int line, int col)
{
    int first = diags_count(cx->diags);
    assert_null(yaml_parse(cx, "t.yaml", text, len));
    assert_true(diags_count(cx->diags) > first);
    const Diag *d = diags_get(cx->diags, first);
    assert_int_equal(d->kind, DIAG_ERROR);
    assert_string_equal(d->code, code);
    assert_string_equal(d->place.file, "t.yaml");
    assert_int_equal(d->place.line, line);
    assert_int_equal(d->place.col, col);
}

static void refuse(Cx *cx, const char *text, const char *code, int line, int col)
{
    refuse_bytes(cx, text, strlen(text), code, line, col);
}

static void expect_scalar(const Yaml *y, const char *text, int line, int col, int len)
{
    assert_non_null(y);
    assert_int_equal(y->kind, YAML_SCALAR);
    assert_string_equal(y->text, text);
    assert_int_equal(y->place.line, line);
    assert_int_equal(y->place.col, col);
    assert_int_equal(y->place.len, len);
}

static void tree_with_places(void **state)
{
    Yaml *y = parse(*state, "net2c: 1      # version\n"
                            "name: \"alex net\"\n"
                            "network:\n"
                            "  - conv: {out: 96, pad: [1, 2]}\n"
                            "  - relu\n"
                            "  - relu:\n");
    assert_non_null(y);
    assert_int_equal(y->kind, YAML_MAP);
    assert_int_equal(y->n, 3);
    assert_string_equal(y->place.file, "t.yaml");
    expect_scalar(y->key[0], "net2c", 1, 1, 5);
    expect_scalar(yaml_get(y, "net2c"), "1", 1, 8, 1);
    expect_scalar(yaml_get(y, "name"), "alex net", 2, 7, 10);
    assert_true(yaml_get(y, "name")->quoted && !yaml_get(y, "net2c")->quoted);
    Yaml *list = yaml_get(y, "network");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->n, 3);
    Yaml *conv = yaml_get(list->item[0], "conv");
    assert_int_equal(conv->place.line, 4);
    assert_int_equal(conv->place.col, 11);
    assert_int_equal(conv->place.len, 22);
    expect_scalar(yaml_get(conv, "pad")->item[1], "2", 4, 30, 1);
    expect_scalar(list->item[1], "relu", 5, 5, 4);
    assert_string_equal(yaml_get(list->item[2], "relu")->text, "");
    assert_null(yaml_get(y, "absent"));
    assert_null(yaml_get(list, "conv"));
    assert_null(yaml_get(NULL, "conv"));
}

static void accepted_forms(void **state)
{
    static const char *const texts[] = {
        "%YAML 1.1\n---\na: 1\n",
        "%YAML 1.2\n---\na: 1\n...\n",
        "---\na: 1\n",
        "a: 1\r\nb: 2\r\n",
        "{\"a\": 1, \"b\": [1, 2, {\"c\": null}]}",
        "\xef\xbb\xbf{a: 1}\n",
        "a: |\n  block\n  text\n",
        "a: >-\n  folded\n  text\n",
        "\"<<\": 1\n",
        "# only\na: 1 # comment",
        "a: \xc3\xa4\xf0\x9f\x98\x80\n",
        "? a\n: 1\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Yaml *y = parse(*state, texts[i]);
        assert_non_null(y);
        assert_int_equal(y->kind, YAML_MAP);
    }
    assert_int_equal(diags_count(((Cx *)*state)->diags), 0);
}

static void byte_order_mark_takes_no_column(void **state)
{
    Yaml *y = parse(*state, "\xef\xbb\xbf" "a: 1\n");
    expect_scalar(yaml_get(y, "a"), "1", 1, 4, 1);
}

static void columns_count_characters(void **state)
{
    Yaml *y = parse(*state, "{\xc3\xa4\xc3\xa4: 1}\n");
    expect_scalar(y->item[0], "1", 1, 6, 1);
    refuse(*state, "\xc3\xa4\xc3\xa4: \xff\n", "E0302", 1, 5);
}

static void aliases_share_but_have_their_place(void **state)
{
    Yaml *y = parse(*state, "a: &x {k: [1, 2]}\nb: *x\nc: &x 7\nd: *x\n");
    assert_non_null(y);
    Yaml *a = yaml_get(y, "a"), *b = yaml_get(y, "b");
    assert_ptr_equal(yaml_get(a, "k"), yaml_get(b, "k"));
    assert_int_equal(b->place.line, 2);
    assert_int_equal(b->place.col, 4);
    expect_scalar(yaml_get(y, "d"), "7", 4, 4, 2);
}

static void refusals(void **state)
{
    Cx *cx = *state;
    refuse(cx, "", "E0311", 0, 0);
    refuse(cx, "# nothing\n", "E0311", 0, 0);
    refuse(cx, "a: 1\nb: 2\na: 3\n", "E0305", 3, 1);
    refuse(cx, "a: 1\n\"a\": 3\n", "E0305", 2, 1);
    refuse(cx, "a: &x {b: 1}\nc:\n  <<: *x\n", "E0306", 3, 3);
    refuse(cx, "[a]: 1\n", "E0307", 1, 1);
    refuse(cx, "{a: 1}: 1\n", "E0307", 1, 1);
    refuse(cx, "a: &x [1]\n*x : 1\n", "E0307", 2, 1);
    refuse(cx, "a: *nope\n", "E0308", 1, 4);
    refuse(cx, "a: &x [1, *x]\n", "E0308", 1, 11);
    refuse(cx, "a: 1\n---\nb: 2\n", "E0309", 2, 1);
    refuse(cx, "a: !!str 1\n", "E0310", 1, 4);
    refuse(cx, "a: !x [1]\n", "E0310", 1, 4);
    refuse(cx, "!x {a: 1}\n", "E0310", 1, 1);
    refuse(cx, "%TAG ! tag:x,2000:\n---\na: 1\n", "E0310", 1, 1);
    refuse(cx, "a:\t1\n", "E0303", 1, 3);
    refuse(cx, "a: 1\n\tb: 2\n", "E0303", 2, 1);
    refuse(cx, "a: 1 #\t\n", "E0303", 1, 7);
    refuse(cx, "a: \xc0\x80\n", "E0302", 1, 4);
    refuse(cx, "a: 1\nb: \xed\xa0\x80\n", "E0302", 2, 4);
    refuse(cx, "a: \x01\n", "E0302", 1, 4);
    refuse(cx, "a: 1\rb: 2\n", "E0302", 1, 5);
    refuse(cx, "a: \xe2\x80\xa8x\n", "E0302", 1, 4);
    refuse(cx, "a: \"x\\0y\"\n", "E0302", 1, 4);
    refuse_bytes(cx, "a: \0x\n", 6, "E0302", 1, 4);
    refuse_bytes(cx, "\xff\xfe" "a\0", 4, "E0302", 1, 1);
}

static void syntax_errors(void **state)
{
    Cx *cx = *state;
    refuse(cx, "a: [1, 2\nb: 3\n", "E0301", 2, 2);
    refuse(cx, "a: \"open\n", "E0301", 2, 1);
    refuse(cx, "a: b: c\n", "E0301", 1, 5);
    refuse(cx, "- a\nb\n", "E0301", 3, 1);
    refuse(cx, "a: @x\n", "E0301", 1, 4);
    refuse(cx, "%YAML 3.0\n---\na: 1\n", "E0301", 1, 1);
    refuse(cx, "%YAML 1.1\n%YAML 1.1\n---\na: 1\n", "E0301", 2, 1);
    refuse(cx, "a: 1\n  b: 2\n", "E0301", 2, 4);
    refuse(cx, "}", "E0301", 1, 1);
}

static void several_duplicates_in_one_run(void **state)
{
    Cx *cx = *state;
    assert_null(parse(cx, "a: 1\na: 2\nb: {c: 1, c: 2, c: 3}\n"));
    assert_int_equal(diags_error_count(cx->diags), 3);
    assert_int_equal(diags_get(cx->diags, 1)->place.line, 1);
}

/* ---- limits ---- */

static char *repeat(Arena *a, const char *piece, int n, const char *last)
{
    Str s = str_new(a);
    for (int i = 0; i < n; i++)
        str_add(&s, piece);
    str_add(&s, last);
    return s.data;
}

static void limit_of_depth(void **state)
{
    Cx *cx = *state;
    for (int depth = 63; depth <= 65; depth++) {
        char *flow = arena_printf(cx->perm, "%s%s", repeat(cx->perm, "[", depth, "x"),
                                  repeat(cx->perm, "]", depth, "\n"));
        char *block = repeat(cx->perm, "- ", depth, "x\n");
        if (depth <= 64) {
            assert_non_null(parse(cx, flow));
            assert_non_null(parse(cx, block));
        } else {
            refuse(cx, flow, "E0304", 1, 65);
            refuse(cx, block, "E0304", 1, 129);
        }
    }
}

static void limit_of_depth_through_aliases(void **state)
{
    Cx *cx = *state;
    for (int depth = 31; depth <= 33; depth++) {
        char *open = repeat(cx->perm, "[", depth, ""), *close = repeat(cx->perm, "]", depth, "");
        char *text = arena_printf(cx->perm, "[&x %sx%s, %s*x%s]\n", open, close,
                                  repeat(cx->perm, "[", 31, ""), repeat(cx->perm, "]", 31, ""));
        if (depth <= 32)
            assert_non_null(parse(cx, text));
        else
            refuse(cx, text, "E0304", 1, 5 + 2 * 33 + 1 + 2 + 31);
    }
}

static void limit_of_scalars(void **state)
{
    Cx *cx = *state;
    for (int n = 4095; n <= 4097; n++) {
        char *plain = arena_printf(cx->perm, "a: %s", repeat(cx->perm, "x", n, "\n"));
        char *quoted = arena_printf(cx->perm, "a: \"%s", repeat(cx->perm, "x", n, "\"\n"));
        char *key = arena_printf(cx->perm, "? %s", repeat(cx->perm, "x", n, "\n: 1\n"));
        if (n <= 4096) {
            assert_int_equal(strlen(parse(cx, plain)->item[0]->text), n);
            assert_non_null(parse(cx, quoted));
            assert_non_null(parse(cx, key));
        } else {
            refuse(cx, plain, "E0304", 1, 4);
            refuse(cx, quoted, "E0304", 1, 4);
            refuse(cx, key, "E0304", 1, 3);
        }
    }
}

static void limit_of_nodes(void **state)
{
    Cx *cx = *state;
    for (int n = 499999; n <= 500001; n++) {           /* the list itself is a node too */
        char *text = arena_printf(cx->perm, "[%s]\n", repeat(cx->perm, "x,", n - 1, ""));
        if (n <= 500000)
            assert_int_equal(parse(cx, text)->n, n - 1);
        else
            refuse(cx, text, "E0304", 1, 2 + 2 * 499999);
    }
}

static void limit_of_nodes_through_aliases(void **state)
{
    Cx *cx = *state;
    /* &x has 1000 nodes: with the root list, 498 aliases and 999 more it is at the limit. */
    for (int extra = 0; extra <= 2; extra++) {
        char *text = arena_printf(cx->perm, "[&x [%s], %s%s]\n", repeat(cx->perm, "y,", 998, "y"),
                                  repeat(cx->perm, "*x,", 498, ""),
                                  repeat(cx->perm, "z,", 998 + extra, ""));
        int first = diags_count(cx->diags);
        Yaml *y = parse(cx, text);
        if (extra <= 1)
            assert_non_null(y);
        else
            assert_null(y);
        assert_int_equal(diags_count(cx->diags) - first, extra == 2);
    }
    Str laughs = str_new(cx->perm);
    str_add(&laughs, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++) {
        str_printf(&laughs, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            str_printf(&laughs, "*a%d, ", i - 1);
        str_add(&laughs, "]\n");
    }
    assert_null(parse(cx, laughs.data));
    int last = diags_count(cx->diags) - 1;
    assert_string_equal(diags_get(cx->diags, last)->code, "E0304");
    assert_int_equal(diags_get(cx->diags, last)->place.line, 6);
}

static void limit_of_size(void **state)
{
    Cx *cx = *state;
    for (int n = (4 << 20) - 1; n <= (4 << 20) + 1; n++) {
        char *text = arena_printf(cx->perm, "a: 1\n%s", repeat(cx->perm, "#", n - 5, ""));
        if (n <= 4 << 20)
            assert_non_null(parse(cx, text));
        else
            refuse(cx, text, "E0304", 0, 0);
    }
}

/* Input that is known to take libyaml's other interfaces minutes must be refused at once. */
static void hostile_input_ends_soon(void **state)
{
    Cx *cx = *state;
    static const char *const piece[] = {"[", "{", "{a: ", "- ", "? ", "[\n", "&a ", "*a ", "!a ",
                                        "%TAG !a! b\n", "%YAML 1.1\n", "\"", "'", "|\n", ">\n",
                                        "a: ", "a:\n ", "? a\n", "- a\n", "%FOO\n", "---\n", "- - ",
                                        "[a,", "{a,", "{? ", "#\n", "\n", ": ", ",", "]", "- |\n",
                                        "? - ", "a: &b c\n", "\"\\"};
    clock_t start = clock();
    for (size_t i = 0; i < sizeof piece / sizeof piece[0]; i++) {
        int n = (int)(((size_t)4 << 20) / strlen(piece[i]));
        parse(cx, repeat(cx->temp, piece[i], n, ""));
        arena_reset(cx->temp);
    }
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20);
}

#define WITH_CX(f) cmocka_unit_test_setup_teardown(f, make_cx, delete_cx)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CX(tree_with_places),
        WITH_CX(accepted_forms),
        WITH_CX(byte_order_mark_takes_no_column),
        WITH_CX(columns_count_characters),
        WITH_CX(aliases_share_but_have_their_place),
        WITH_CX(refusals),
        WITH_CX(syntax_errors),
        WITH_CX(several_duplicates_in_one_run),
        WITH_CX(limit_of_depth),
        WITH_CX(limit_of_depth_through_aliases),
        WITH_CX(limit_of_scalars),
        WITH_CX(limit_of_nodes),
        WITH_CX(limit_of_nodes_through_aliases),
        WITH_CX(limit_of_size),
        WITH_CX(hostile_input_ends_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
