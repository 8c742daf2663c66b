/* The canonical form of models: what changes, what stays, and that nothing is lost. */
#include "front/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

typedef struct Case {
    const char *text, *canonical;      /* canonical NULL: as it is */
} Case;

static void check(const Case *c)
{
    Cx *cx = cx_new();
    const char *want = c->canonical ? c->canonical : c->text;
    char *got = fmt_text(cx, "t.yaml", c->text, strlen(c->text));
    if (!got)
        fail_msg("%s\n%s", c->text, diags_render(cx->diags, cx->perm, 0, false));
    assert_string_equal(got, want);
    cx_delete(cx);
}

#define CHECK_ALL(cases) \
    for (size_t i = 0; i < sizeof (cases) / sizeof *(cases); i++) \
        check(&(cases)[i])

static void test_white_space(void **state)
{
    static const Case cases[] = {
        {"a:   1", "a: 1\n"},
        {"\n\na: 1\n\n\n\nb: 2   \n\n", "a: 1\n\nb: 2\n"},
        {"a: 1\r\nb:\r\n  - x # c\r\n", "a: 1\nb:\n  - x  # c\n"},
        {"\xef\xbb\xbf" "a: 1\n", "a: 1\n"},
        {"a:\n- x\n-   y\n", "a:\n  - x\n  - y\n"},
        {"a:\n     b:\n       c: 1\n", "a:\n  b:\n    c: 1\n"},
        {"a:\n  - - 1\n    - 2\n  -\n    b: 1\n    c: 2\n",
         "a:\n  - - 1\n    - 2\n  - b: 1\n    c: 2\n"},
        {"a:\n  - b:\n    c:\nd:\n", NULL},
        {"a:\n  1\n", "a: 1\n"},
        {"? a\n: 1\n", "a: 1\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void test_brackets(void **state)
{
    static const Case cases[] = {
        {"a: { b: 1,c:  2 ,  d: [ x,y ] , }\n", "a: {b: 1, c: 2, d: [x, y]}\n"},
        {"a: [\n  1,\n  2\n]\n", "a: [1, 2]\n"},
        {"{\"a\":1,\"b\":[1,{\"c\":2}]}\n", "{\"a\": 1, \"b\": [1, {\"c\": 2}]}\n"},
        {"a: []\nb: {}\nc: {d: }\n", NULL},
        {"a: [b: 1]\n", "a: [{b: 1}]\n"},
        /* the last of 100 columns is used, one more is not */
        {"a: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "44444444444444444444444444, 5]\n",
         "a: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "44444444444444444444444444, 5]\n"},
        {"a: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "444444444444444444444444444, 5]\n",
         "a: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "444444444444444444444444444,\n    5]\n"},
        {"a: {b: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "44444444444444444444, {c: 55555555555555, d: 6}], e: 1}\n",
         "a: {b: [11111111111111111111, 22222222222222222222, 33333333333333333333, "
         "44444444444444444444,\n        {c: 55555555555555, d: 6}], e: 1}\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void test_comments(void **state)
{
    static const Case cases[] = {
        {"# head\n\n# more\na: 1\n# end\n", NULL},
        {"a: 1 # close\nb: 2      # its column stays\n",
         "a: 1  # close\nb: 2      # its column stays\n"},
        {"a:  # of a\n  b: 1\n  # end of a\n# before c\nc: 2\n", NULL},
        {"a:\n- x\n# before b\nb: 1\n", "a:\n  - x\n# before b\nb: 1\n"},
        {"a:\n- x\n  # of the list\nb: 1\n", "a:\n  - x\n  # of the list\nb: 1\n"},
        {"a:\n  - x\n\n  # between\n\n  - y\n", NULL},
        {"a:\n  - # of the item\n    b: 1\n", "a:\n  -  # of the item\n    b: 1\n"},
        {"a: {b: 1, # of b\n  # alone\n  c: 2 # of c\n  # last\n}\n",
         "a: {b: 1,  # of b\n    # alone\n    c: 2  # of c\n    # last\n    }\n"},
        {"a: [ # first\n  1]\n", "a: [  # first\n    1]\n"},
        {"a: 'no # comment' # one\n", "a: \"no # comment\"  # one\n"},
        {"--- # start\na: 1\n... # stop\n# after\n", "---  # start\na: 1  # stop\n# after\n"},
        {"# one\n%YAML 1.2\n# two\n---\na: 1\n", NULL},
        {"a: {b: 1, c: # of c\n     2, d: 3}\n", "a: {b: 1, c: 2,  # of c\n    d: 3}\n"},
        {"a:\n  # before the value\n  1\nb: 2\n", "a: 1\n# before the value\nb: 2\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void test_scalars(void **state)
{
    static const Case cases[] = {
        {"a: 'x'\n'b': 'it''s \"\\'\n", "a: \"x\"\n\"b\": \"it's \\\"\\\\\"\n"},
        {"a: \"\\u00fc\\u0007\"\n", "a: \"\xc3\xbc\\u0007\"\n"},
        {"a: $(b / 2)\nc: \"$d\"\n", NULL},
        {"a: &n [1, 2]\nb: *n\nc: &m\n  d: 1\ne: &k 5\nf: {g: *k, *k : &z }\n"
         "h:\n  - &l\n    i: 1\n",
         "a: &n [1, 2]\nb: *n\nc: &m\n  d: 1\ne: &k 5\nf: {g: *k, *k : &z}\n"
         "h:\n  - &l\n    i: 1\n"},
        {"a: |\n     x # text\n\n       y\nb: |-\n x\nc: |+\n x\n\nd: 1\n",
         "a: |\n  x # text\n\n    y\nb: |-\n  x\nc: |+\n  x\n\nd: 1\n"},
        {"a: |1\n  x\n y\nb: ''\nc: |\n\n", "a: |2\n   x\n  y\nb: \"\"\nc: \"\"\n"},
        {"a: >  # folded\n      some\n      words\n\n      more\nb: 1\n",
         "a: >  # folded\n  some\n  words\n\n  more\nb: 1\n"},
        {"# c\n&r\na: [one\n\n two]\n", "# c\n&r\na: [\"one\\u000atwo\"]\n"},
        {"a: one\n     two\n\n     three\nb: \"one\n  two\"\n",
         "a: one\n  two\n\n  three\nb: \"one\n  two\"\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void test_refused(void **state)
{
    static const char *const texts[] = {"a: {b: 1\n", "a: 1\na: 2\n", "[1, 2]\n", "", "a:\t1\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Cx *cx = cx_new();
        assert_null(fmt_text(cx, "t.yaml", texts[i], strlen(texts[i])));
        assert_int_equal(diags_error_count(cx->diags), 1);
        assert_string_not_equal(diags_get(cx->diags, 0)->code, "E0973");
        cx_delete(cx);
    }
}

/* Long lists: each line is full, and all are there. */
static void test_long(void **state)
{
    Cx *cx = cx_new();
    Str text = str_new(cx->perm);
    (void)state;
    str_add(&text, "a: [");
    for (int i = 0; i < 20000; i++)
        str_printf(&text, "%s%d", i ? "," : "", i);
    str_add(&text, "]");
    char *got = fmt_text(cx, "t.yaml", text.data, text.len);
    assert_non_null(got);
    int lines = 0, longest = 0;
    for (char *line = got, *end; (end = strchr(line, '\n')); line = end + 1, lines++)
        longest = (int)(end - line) > longest ? (int)(end - line) : longest;
    assert_in_range(longest, 95, 100);
    assert_in_range(lines, 1300, 1450);
    cx_delete(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_space), cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_comments),    cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
