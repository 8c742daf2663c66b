/* diag: how messages quote, escape, cut and count. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#include <string.h>

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

static void diags_quote_the_line(void **state)
{
    Cx *cx = *state;
    static const char text[] = "net2c: 1\n  - conv: {out: 96}\r\nlast";
    diags_add_source(cx->diags, "m.yaml", text, sizeof text - 1);
    diag_error(cx->diags, (Place){"m.yaml", 2, 5, 4}, "E0401", "unknown operator '%s'", "conv");
    diag_note(cx->diags, ((Place){"m.yaml", 1, 1, 0}), "a note");
    diag_help(cx->diags, "a remedy");
    diag_error(cx->diags, (Place){"m.yaml", 3, 5, 0}, NULL, "end");
    assert_string_equal(diags_render(cx->diags, cx->temp, 0, false),
                        "m.yaml:2:5: error: unknown operator 'conv' [E0401]\n"
                        "    2 |   - conv: {out: 96}\n"
                        "      |     ^~~~\n"
                        "note: a note (m.yaml:1:1)\n"
                        "help: a remedy\n"
                        "m.yaml:3:5: error: end\n"
                        "    3 | last\n"
                        "      |     ^\n");
    assert_int_equal(diags_error_count(cx->diags), 2);
    assert_int_equal(diags_count(cx->diags), 4);
    assert_string_equal(diags_render(cx->diags, cx->temp, 4, false), "");
    assert_non_null(strstr(diags_render(cx->diags, cx->temp, 0, true), "\033[1;31merror:\033[0m"));
}

static void diags_render_without_place(void **state)
{
    Cx *cx = *state;
    diag_error(cx->diags, NO_PLACE, "E0101", "no file");
    diag_error(cx->diags, (Place){.file = "w.safetensors"}, "E0201", "too short");
    diag_error(cx->diags, (Place){"unknown.yaml", 9, 9, 9}, NULL, "no source");
    assert_string_equal(diags_render(cx->diags, cx->temp, 0, false),
                        "error: no file [E0101]\n"
                        "w.safetensors: error: too short [E0201]\n"
                        "unknown.yaml:9:9: error: no source\n");
}

static void diags_escape_and_cut(void **state)
{
    Cx *cx = *state;
    Str line = str_new(cx->perm), name = str_new(cx->perm);
    for (int i = 0; i < 300; i++)
        str_printf(&line, "%d", i % 10);
    for (int i = 0; i < 5000; i++)
        str_char(&name, 'x');
    str_add(&line, "\n\033[2J\xe2\x80\xae\xff\xc3\xa4z\n");
    diags_add_source(cx->diags, "f", line.data, line.len);
    diag_error(cx->diags, (Place){"f", 1, 200, 3}, NULL, "evil \033]0;\a %s", name.data);
    diag_error(cx->diags, (Place){"f", 2, 5, 1}, NULL, "\xc2\x9b");
    diag_error(cx->diags, (Place){"f", 2, 8, 0}, NULL, "z");
    const char *text = diags_render(cx->diags, cx->temp, 0, false);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "evil \\x1b]0;\\x07 xxx"));
    assert_non_null(strstr(text, "xxx...\n"));
    assert_non_null(strstr(text, "    1 | ...0123"));
    assert_non_null(strstr(text, "error: \\x9b\n"));
    assert_non_null(strstr(text, "    2 | \\x1b[2J\\u202e\\xff\xc3\xa4z\n"
                                 "      |        ^~~~~~\n"));
    assert_non_null(strstr(text, "      |                   ^\n"));
    assert_true(strlen(text) < 2000);
}

static void diags_show_twenty_errors(void **state)
{
    Cx *cx = *state;
    for (int i = 0; i < 20; i++)
        diag_error(cx->diags, NO_PLACE, NULL, "number %d", i);
    assert_null(strstr(diags_render(cx->diags, cx->temp, 0, false), "more errors"));
    for (int i = 20; i < 5000; i++) {
        diag_error(cx->diags, NO_PLACE, NULL, "number %d", i);
        diag_help(cx->diags, "help");
    }
    const char *text = diags_render(cx->diags, cx->temp, 0, false);
    assert_non_null(strstr(text, "number 19\nand 4980 more errors\n"));
    assert_null(strstr(text, "help"));
    assert_int_equal(diags_error_count(cx->diags), 5000);
    assert_true(diags_count(cx->diags) < 2100);
}

#define WITH_CX(f) cmocka_unit_test_setup_teardown(f, make_cx, delete_cx)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CX(diags_quote_the_line),
        WITH_CX(diags_render_without_place),
        WITH_CX(diags_escape_and_cut),
        WITH_CX(diags_show_twenty_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
