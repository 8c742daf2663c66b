/* base: arenas, checked arithmetic, strings and numbers, map. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Read by AddressSanitizer, if it is linked: malloc shall return NULL, as it does elsewhere. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
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

static void str_words_by_spaces(void **state)
{
    Cx *cx = *state;
    const char *word[3] = {NULL};
    assert_int_equal(str_words(cx->temp, "  gcc  -O2 ", word, 3), 2);
    assert_string_equal(word[0], "gcc");
    assert_string_equal(word[1], "-O2");
    assert_int_equal(str_words(cx->temp, "a b c d", word, 2), 2);
    assert_string_equal(word[1], "b");
    assert_int_equal(str_words(cx->temp, " ", word, 3), 0);
    assert_int_equal(str_words(cx->temp, NULL, word, 3), 0);
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
        WITH_CX(str_words_by_spaces),
        cmocka_unit_test(hash_is_fnv1a),
        cmocka_unit_test(utf8_is_strict),
        WITH_CX(map_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
