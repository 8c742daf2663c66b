/* base: arenas, checked arithmetic, strings and numbers, map, messages, files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read by AddressSanitizer, if it is linked: malloc shall return NULL, as it does elsewhere. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static char folder[] = "/tmp/net2c_base_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

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

static const char *in_folder(Cx *cx, const char *name)
{
    return arena_printf(cx->perm, "%s/%s", folder, name);
}

static const char *last_code(Cx *cx)
{
    int n = diags_count(cx->diags);
    return n == 0 ? NULL : diags_get(cx->diags, n - 1)->code;
}

/* ---- arena ---- */

static void arena_gives_zeroed_aligned_pieces(void **state)
{
    Cx *cx = *state;
    for (size_t n = 0; n < 300; n++) {
        uint8_t *p = arena_alloc(cx->temp, n);
        assert_true(((uintptr_t)p & 15) == 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, n);
    }
    arena_reset(cx->temp);
    uint8_t *p = arena_alloc(cx->temp, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
}

static void arena_survives_resets_and_large_pieces(void **state)
{
    Cx *cx = *state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            memset(arena_alloc(cx->temp, 1000), 1, 1000);
        memset(arena_alloc(cx->temp, (size_t)20 << 20), 1, (size_t)20 << 20);
        arena_reset(cx->temp);
    }
    arena_delete(NULL);
}

static volatile int jumps;

static void expect_jump(Cx *cx, size_t bytes)
{
    if (cx_guard(cx)) {
        jumps++;
        return;
    }
    arena_alloc(cx->perm, bytes);
    fail();
}

static void expect_grow_jump(Cx *cx, size_t need, size_t elem)
{
    size_t cap = 0;
    if (cx_guard(cx)) {
        jumps++;
        return;
    }
    arena_grow(cx->perm, NULL, 0, need, &cap, elem);
    fail();
}

static void arena_jumps_when_memory_is_out(void **state)
{
    Cx *cx = *state;
    jumps = 0;
    expect_jump(cx, SIZE_MAX);
    expect_jump(cx, SIZE_MAX - 15);
    expect_jump(cx, SIZE_MAX / 2);
    expect_jump(cx, SIZE_MAX / 4);
    expect_grow_jump(cx, SIZE_MAX / 4, 8);
    expect_grow_jump(cx, SIZE_MAX, 1);
    assert_int_equal(jumps, 6);
    assert_string_equal(arena_strdup(cx->perm, "still works"), "still works");
}

static void arena_texts(void **state)
{
    Cx *cx = *state;
    assert_string_equal(arena_strndup(cx->perm, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(cx->perm, NULL, 0), "");
    assert_string_equal(arena_printf(cx->perm, "%s-%d", "x", 42), "x-42");
    assert_string_equal(arena_printf(cx->perm, "%s", ""), "");
    char *wide = arena_printf(cx->perm, "%100000d", 1);
    assert_int_equal(strlen(wide), 100000);
}

static void arena_grow_keeps_elements(void **state)
{
    Cx *cx = *state;
    int *a = NULL;
    size_t cap = 0;
    for (size_t n = 0; n < 1000; n++) {
        a = arena_grow(cx->perm, a, n, n + 1, &cap, sizeof *a);
        a[n] = (int)n * 3;
    }
    assert_true(cap >= 1000);
    for (size_t n = 0; n < 1000; n++)
        assert_int_equal(a[n], (int)n * 3);
    assert_ptr_equal(arena_grow(cx->perm, a, 1000, cap, &cap, sizeof *a), a);
}

/* ---- checked arithmetic ---- */

static void checked_signed(void **state)
{
    (void)state;
    int64_t r = 77;
    assert_true(checked_add(INT64_MAX - 1, 1, &r) && r == INT64_MAX);
    assert_false(checked_add(INT64_MAX, 1, &r));
    assert_false(checked_add(INT64_MIN, -1, &r));
    assert_true(checked_sub(INT64_MIN + 1, 1, &r) && r == INT64_MIN);
    assert_false(checked_sub(INT64_MIN, 1, &r));
    assert_false(checked_sub(0, INT64_MIN, &r));
    assert_true(checked_mul(INT64_C(1) << 31, INT64_C(1) << 31, &r) && r == INT64_C(1) << 62);
    assert_false(checked_mul(INT64_C(1) << 32, INT64_C(1) << 31, &r));
    assert_false(checked_mul(INT64_MIN, -1, &r));
    assert_true(r == INT64_C(1) << 62);            /* untouched on failure */
}

static void checked_sizes(void **state)
{
    (void)state;
    size_t r = 5;
    assert_true(checked_size_add(SIZE_MAX - 1, 1, &r) && r == SIZE_MAX);
    assert_false(checked_size_add(SIZE_MAX, 1, &r));
    assert_true(checked_size_mul(SIZE_MAX, 1, &r) && r == SIZE_MAX);
    assert_false(checked_size_mul(SIZE_MAX / 2 + 1, 2, &r));
    assert_true(checked_size_mul(SIZE_MAX, 0, &r) && r == 0);
}

static void floor_division(void **state)
{
    (void)state;
    for (int64_t b = 1; b < 6; b++)
        for (int64_t a = -20; a <= 20; a++) {
            assert_true(floor_div(a, b) == (int64_t)floor((double)a / (double)b));
            assert_true(floor_mod(a, b) >= 0 && floor_mod(a, b) < b);
            assert_true(floor_div(a, b) * b + floor_mod(a, b) == a);
        }
    assert_true(floor_div(INT64_MIN, 1) == INT64_MIN);
    assert_true(floor_mod(INT64_MIN, INT64_MAX) == INT64_MAX - 1);
}

/* ---- strings and numbers ---- */

static void str_grows(void **state)
{
    Cx *cx = *state;
    Str s = str_new(cx->perm);
    assert_string_equal(s.data, "");
    for (int i = 0; i < 1000; i++) {
        str_add(&s, "ab");
        str_char(&s, 'c');
        str_printf(&s, "%d", i % 10);
        str_add_n(&s, "xyz", 2);
    }
    assert_int_equal(s.len, 6000);
    assert_int_equal(strlen(s.data), 6000);
    assert_memory_equal(s.data + 12, "abc2xy", 6);
}

static const char *decimal(Cx *cx, double v)
{
    Str s = str_new(cx->perm);
    str_double(&s, v);
    return s.data;
}

static const char *hexadecimal(Cx *cx, double v)
{
    Str s = str_new(cx->perm);
    str_hex_double(&s, v);
    return s.data;
}

static void str_double_is_shortest(void **state)
{
    Cx *cx = *state;
    assert_string_equal(decimal(cx, 0.1), "0.1");
    assert_string_equal(decimal(cx, 3), "3");
    assert_string_equal(decimal(cx, -0.0), "-0");
    assert_string_equal(decimal(cx, 0), "0");
    assert_string_equal(decimal(cx, 12.75), "12.75");
    assert_string_equal(decimal(cx, 1e-4), "0.0001");
    assert_string_equal(decimal(cx, 1.5e-7), "1.5e-7");
    assert_string_equal(decimal(cx, 1000), "1000");
    assert_string_equal(decimal(cx, 1e22), "1e22");
    assert_string_equal(decimal(cx, 123456789012345680.0), "1.2345678901234568e17");
    assert_string_equal(decimal(cx, 0.1 + 0.2), "0.30000000000000004");
    assert_string_equal(decimal(cx, 5e-324), "5e-324");
    assert_string_equal(decimal(cx, (double)INFINITY), "inf");
    assert_string_equal(decimal(cx, -(double)INFINITY), "-inf");
    assert_string_equal(decimal(cx, (double)NAN), "nan");
}

static void str_hex_double_is_exact(void **state)
{
    Cx *cx = *state;
    assert_string_equal(hexadecimal(cx, 3), "0x1.8p+1");
    assert_string_equal(hexadecimal(cx, 1), "0x1p+0");
    assert_string_equal(hexadecimal(cx, -0.375), "-0x1.8p-2");
    assert_string_equal(hexadecimal(cx, 0), "0x0p+0");
    assert_string_equal(hexadecimal(cx, -0.0), "-0x0p+0");
    assert_string_equal(hexadecimal(cx, 5e-324), "0x0.0000000000001p-1022");
    assert_string_equal(hexadecimal(cx, 1.7976931348623157e308), "0x1.fffffffffffffp+1023");
}

static void numbers_read_back(void **state)
{
    Cx *cx = *state;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double v, back;
        memcpy(&v, &bits, sizeof v);
        if (isnan(v) || isinf(v))
            continue;
        assert_true(parse_double(decimal(cx, v), &back));
        assert_memory_equal(&back, &v, sizeof v);
        assert_true(parse_double(hexadecimal(cx, v), &back));
        assert_memory_equal(&back, &v, sizeof v);
        arena_reset(cx->perm);
    }
    cx->diags = diags_new(cx->perm);
}

static void numbers_ignore_the_locale(void **state)
{
    Cx *cx = *state;
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool found = false;
    for (size_t i = 0; !found && i < sizeof comma / sizeof comma[0]; i++)
        found = setlocale(LC_ALL, comma[i]) != NULL && localeconv()->decimal_point[0] == ',';
    if (!found)
        skip();
    double v = 0;
    bool ok = parse_double("1.5", &v) && v == 1.5 && !parse_double("1,5", &v);
    ok = ok && str_eq(decimal(cx, 0.75), "0.75") && str_eq(hexadecimal(cx, 3), "0x1.8p+1");
    setlocale(LC_ALL, "C");
    assert_true(ok);
}

static void parse_double_takes_whole_numbers_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "+", "-", ".", "e5", "1e", "1e+", "1.5x", " 1", "1 ",
                                      "1,5", "0x", "0x.p1", "1e999", "infinity", "nan(1)", "--1",
                                      "1.2.3", "0x1p", "1_000", "0x1.8p+1q", "1e999999999999"};
    double v = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parse_double(bad[i], &v));
    assert_true(v == 42);
    assert_true(parse_double("1e-4", &v) && v == 1e-4);
    assert_true(parse_double("+.5", &v) && v == 0.5);
    assert_true(parse_double("5.", &v) && v == 5);
    assert_true(parse_double("-0X1.8P+1", &v) && v == -3);
    assert_true(parse_double("1e-999", &v) && v == 0);
    assert_true(parse_double("-inf", &v) && isinf(v) && v < 0);
    assert_true(parse_double("nan", &v) && isnan(v));
    char digits[5000];
    memset(digits, '1', sizeof digits);
    digits[sizeof digits - 1] = '\0';
    assert_false(parse_double(digits, &v));
}

static void parse_i64_checks_range(void **state)
{
    (void)state;
    int64_t v = 42;
    assert_true(parse_i64("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(parse_i64("-9223372036854775808", &v) && v == INT64_MIN);
    assert_true(parse_i64("+7", &v) && v == 7);
    assert_true(parse_i64("010", &v) && v == 10);
    static const char *const bad[] = {"9223372036854775808", "-9223372036854775809", "", "-", "1.0",
                                      " 1", "1 ", "0x10", "1e3", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parse_i64(bad[i], &v));
    assert_true(v == 10);
}

static void str_eq_and_nearest(void **state)
{
    Cx *cx = *state;
    static const char *const ops[] = {"conv", "relu", "maxpool", "softmax", "lrn"};
    assert_true(str_eq(NULL, NULL) && !str_eq("a", NULL) && !str_eq(NULL, "a"));
    assert_true(str_eq("a", "a") && !str_eq("a", "b"));
    assert_string_equal(str_nearest(cx->temp, "rleu", ops, 5), "relu");
    assert_string_equal(str_nearest(cx->temp, "maxpol", ops, 5), "maxpool");
    assert_string_equal(str_nearest(cx->temp, "conv", ops, 5), "conv");
    assert_string_equal(str_nearest(cx->temp, "soft_max", ops, 5), "softmax");
    assert_null(str_nearest(cx->temp, "transformer", ops, 5));
    assert_null(str_nearest(cx->temp, "", ops, 5));
    assert_null(str_nearest(cx->temp, "conv", ops, 0));
}

static void hash_is_fnv1a(void **state)
{
    (void)state;
    assert_true(hash_bytes(HASH_SEED, "", 0) == HASH_SEED);
    assert_true(hash_bytes(HASH_SEED, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_bytes(HASH_SEED, "foobar", 6) == UINT64_C(0x85944171f73967e8));
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf5\x80\x80\x80", "\xc3(",
    };
    size_t used;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(utf8_decode(bad[i], strlen(bad[i]), &used) == UTF8_INVALID);
        assert_int_equal(used, 1);
    }
    assert_true(utf8_decode("\xc3\xa4", 2, &used) == 0xe4 && used == 2);
    assert_true(utf8_decode("\xe2\x82\xac", 3, &used) == 0x20ac && used == 3);
    assert_true(utf8_decode("\xf0\x9f\x98\x80", 4, &used) == 0x1f600 && used == 4);
}

/* ---- map ---- */

static void map_keeps_order(void **state)
{
    Cx *cx = *state;
    Map *m = map_new(cx->perm);
    int value[2000];
    assert_null(map_get(m, "k"));
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        map_put(m, key, &value[i]);
    }
    map_put(m, "k7", &value[0]);
    assert_int_equal(map_count(m), 2000);
    assert_string_equal(map_key(m, 7), "k7");
    assert_ptr_equal(map_value(m, 7), &value[0]);
    assert_ptr_equal(map_get(m, "k1999"), &value[1999]);
    assert_null(map_get(m, "k2000"));
}

/* ---- messages ---- */

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

/* ---- files ---- */

static void files_round_trip(void **state)
{
    Cx *cx = *state;
    const char *path = in_folder(cx, "round");
    uint8_t *data = arena_alloc(cx->perm, 300000);
    for (size_t i = 0; i < 300000; i++)
        data[i] = (uint8_t)(i * 7);
    assert_true(file_write(cx, path, data, 300000));
    Bytes b;
    assert_true(file_read(cx, path, 300000, &b));
    assert_int_equal(b.size, 300000);
    assert_memory_equal(b.data, data, 300000);
    assert_false(file_read(cx, path, 299999, &b));
    assert_string_equal(last_code(cx), "E0103");
    assert_true(file_map(cx, path, &b));
    assert_memory_equal(b.data, data, 300000);
    file_forget(b, 5000, 200000);
    file_forget(b, 0, 300000);
    file_forget(b, 300001, 1);
    file_forget(b, 5, SIZE_MAX);
    assert_memory_equal(b.data, data, 300000);
    file_unmap(b);
    unlink(path);
}

static void empty_files(void **state)
{
    Cx *cx = *state;
    const char *path = in_folder(cx, "empty");
    Bytes b;
    assert_true(file_write(cx, path, NULL, 0));
    assert_true(file_read(cx, path, 0, &b));
    assert_int_equal(b.size, 0);
    assert_true(file_map(cx, path, &b));
    assert_int_equal(b.size, 0);
    assert_non_null(b.data);
    file_forget(b, 0, 0);
    file_unmap(b);
    unlink(path);
}

static void files_that_are_not_regular(void **state)
{
    Cx *cx = *state;
    const char *pipe = in_folder(cx, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    Bytes b;
    assert_false(file_read(cx, pipe, 100, &b));
    assert_string_equal(last_code(cx), "E0102");
    assert_false(file_map(cx, "/dev/zero", &b));
    assert_string_equal(last_code(cx), "E0102");
    assert_false(file_read(cx, folder, 100, &b));
    assert_string_equal(last_code(cx), "E0102");
    assert_false(file_read(cx, in_folder(cx, "absent"), 100, &b));
    assert_string_equal(last_code(cx), "E0101");
    assert_false(file_map(cx, in_folder(cx, "absent"), &b));
    assert_string_equal(last_code(cx), "E0101");
    unlink(pipe);
}

static void standard_input(void **state)
{
    Cx *cx = *state;
    const char *path = in_folder(cx, "stdin");
    char text[200000];
    memset(text, 'q', sizeof text);
    assert_true(file_write(cx, path, text, sizeof text));
    int saved = dup(STDIN_FILENO);
    Bytes b;
    for (int i = 0; i < 2; i++) {
        int fd = open(path, O_RDONLY);
        assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        close(fd);
        if (i == 0) {
            assert_true(file_read(cx, "-", sizeof text, &b));
            assert_int_equal(b.size, sizeof text);
            assert_memory_equal(b.data, text, sizeof text);
        } else {
            assert_false(file_read(cx, "-", sizeof text - 1, &b));
            assert_string_equal(last_code(cx), "E0103");
        }
    }
    dup2(saved, STDIN_FILENO);
    close(saved);
    unlink(path);
}

static void expect_content(Cx *cx, const char *path, const char *text)
{
    Bytes b;
    assert_true(file_read(cx, path, 1000, &b));
    assert_int_equal(b.size, strlen(text));
    assert_memory_equal(b.data, text, b.size);
}

static void output_appears_at_commit(void **state)
{
    Cx *cx = *state;
    const char *path = in_folder(cx, "target");
    assert_true(file_write(cx, path, "old", 3));
    OutFile *f = out_open(cx, path);
    assert_non_null(f);
    assert_true(out_write(f, "XXX data", 8));
    assert_true(out_write_at(f, 0, "new", 3));
    assert_true(out_write(f, " more", 5));
    expect_content(cx, path, "old");
    assert_true(out_commit(f));
    expect_content(cx, path, "new data more");
    f = out_open(cx, path);
    assert_true(out_write(f, "gone", 4));
    out_discard(f);
    expect_content(cx, path, "new data more");
    unlink(path);                  /* remove_folder proves that no temporary file is left */
}

static void output_in_pieces(void **state)
{
    Cx *cx = *state;
    const char *path = in_folder(cx, "pieces");
    OutFile *f = out_open(cx, path);
    uint8_t *expected = arena_alloc(cx->perm, 1 << 20);
    size_t total = 0;
    for (size_t n = 1; total + n < (1 << 20); n = n * 5 / 3 + 1) {
        for (size_t i = 0; i < n; i++)
            expected[total + i] = (uint8_t)(n + i);
        assert_true(out_write(f, expected + total, n));
        total += n;
    }
    assert_true(out_commit(f));
    Bytes b;
    assert_true(file_read(cx, path, 1 << 20, &b));
    assert_int_equal(b.size, total);
    assert_memory_equal(b.data, expected, total);
    unlink(path);
}

static void output_follows_links(void **state)
{
    Cx *cx = *state;
    const char *target = in_folder(cx, "real"), *link = in_folder(cx, "link");
    assert_true(file_write(cx, target, "1", 1));
    assert_int_equal(symlink(target, link), 0);
    assert_true(file_write(cx, link, "22", 2));
    expect_content(cx, target, "22");
    struct stat st;
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    unlink(link);
    unlink(target);
}

static void output_that_fails(void **state)
{
    Cx *cx = *state;
    assert_null(out_open(cx, folder));
    assert_string_equal(last_code(cx), "E0105");
    assert_null(out_open(cx, in_folder(cx, "no/such/folder")));
    assert_string_equal(last_code(cx), "E0105");
    assert_false(file_write(cx, in_folder(cx, "no/such"), "x", 1));
    assert_int_equal(diags_error_count(cx->diags), 3);
    assert_null(cx->open_files);
}

static void output_to_devices(void **state)
{
    Cx *cx = *state;
    assert_true(file_write(cx, "/dev/null", "x", 1));
    char *big = arena_alloc(cx->perm, 200000);
    assert_false(file_write(cx, "/dev/full", "x", 1));
    assert_int_equal(diags_error_count(cx->diags), 1);
    OutFile *f = out_open(cx, "/dev/full");
    assert_false(out_write(f, big, 200000));
    assert_false(out_write(f, big, 1));
    assert_false(out_write_at(f, 0, big, 1));
    assert_false(out_commit(f));
    assert_int_equal(diags_error_count(cx->diags), 2);     /* once a file */
    struct stat st;
    assert_true(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));
}

static void deleting_the_context_discards_output(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    char path[200];
    snprintf(path, sizeof path, "%s/left", folder);
    OutFile *f = out_open(cx, path), *g = out_open(cx, path);
    assert_true(out_write(f, "a", 1) && out_write(g, "b", 1));
    cx_delete(cx);
    assert_int_equal(access(path, F_OK), -1);
    cx_delete(NULL);
}

#define WITH_CX(f) cmocka_unit_test_setup_teardown(f, make_cx, delete_cx)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CX(arena_gives_zeroed_aligned_pieces),
        WITH_CX(arena_survives_resets_and_large_pieces),
        WITH_CX(arena_jumps_when_memory_is_out),
        WITH_CX(arena_texts),
        WITH_CX(arena_grow_keeps_elements),
        cmocka_unit_test(checked_signed),
        cmocka_unit_test(checked_sizes),
        cmocka_unit_test(floor_division),
        WITH_CX(str_grows),
        WITH_CX(str_double_is_shortest),
        WITH_CX(str_hex_double_is_exact),
        WITH_CX(numbers_read_back),
        WITH_CX(numbers_ignore_the_locale),
        cmocka_unit_test(parse_double_takes_whole_numbers_only),
        cmocka_unit_test(parse_i64_checks_range),
        WITH_CX(str_eq_and_nearest),
        cmocka_unit_test(hash_is_fnv1a),
        cmocka_unit_test(utf8_is_strict),
        WITH_CX(map_keeps_order),
        WITH_CX(diags_quote_the_line),
        WITH_CX(diags_render_without_place),
        WITH_CX(diags_escape_and_cut),
        WITH_CX(diags_show_twenty_errors),
        WITH_CX(files_round_trip),
        WITH_CX(empty_files),
        WITH_CX(files_that_are_not_regular),
        WITH_CX(standard_input),
        WITH_CX(output_appears_at_commit),
        WITH_CX(output_in_pieces),
        WITH_CX(output_follows_links),
        WITH_CX(output_that_fails),
        WITH_CX(output_to_devices),
        cmocka_unit_test(deleting_the_context_discards_output),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
