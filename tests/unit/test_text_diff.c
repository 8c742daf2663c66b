/* text_diff: the changes of two texts make one into the other, and are the fewest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "driver/driver.h"

static uint64_t state = 1;

static int random_below(int n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((state >> 33) % (uint64_t)n);
}

/* n lines, each one of so many words; word[i] is what line i has. */
static char *random_text(Arena *a, int n, int words, int *word)
{
    Str s = str_new(a);
    for (int i = 0; i < n; i++)
        str_printf(&s, "line %d\n", word[i] = random_below(words));
    return s.data;
}

/* Lines of both in order: by the table of longest common subsequences of all beginnings. */
static int lines_in_common(Arena *a, const int *x, int n, const int *y, int m)
{
    int *best = NEW_ARRAY(a, int, (n + 1) * (m + 1));
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int *at = &best[i * (m + 1) + j], up = at[-m - 1], left = at[-1];
            *at = x[i - 1] == y[j - 1] ? at[-m - 2] + 1 : up > left ? up : left;
        }
    return best[n * (m + 1) + m];
}

/* In order, apart from each other, and equal around: returns the lines that go and come. */
static int check_changes(const int *x, int n, const int *y, int m, const Change *c, int count)
{
    int at[2] = {0, 0}, changed = 0;
    for (int i = 0; i <= count; i++) {
        int from[2] = {i < count ? c[i].from[0] : n, i < count ? c[i].from[1] : m};
        assert_true(i == 0 || i == count || from[0] > at[0]);
        assert_true(from[0] >= at[0] && from[0] <= n && from[1] <= m);
        assert_int_equal(from[0] - at[0], from[1] - at[1]);
        while (at[0] < from[0])
            assert_int_equal(x[at[0]++], y[at[1]++]);
        for (int k = 0; k < 2 && i < count; k++) {
            assert_true(c[i].to[k] >= c[i].from[k]);
            changed += c[i].to[k] - c[i].from[k];
            at[k] = c[i].to[k];
        }
    }
    return changed;
}

static int random_changes(Cx *cx, int n, int m, int words, int *common)
{
    int *x = NEW_ARRAY(cx->temp, int, n + 1), *y = NEW_ARRAY(cx->temp, int, m + 1);
    const char *old = random_text(cx->temp, n, words, x);
    const char *new = random_text(cx->temp, m, words, y);
    Change *c;
    int count = text_changes(cx->temp, old, new, &c);
    if (common)
        *common = lines_in_common(cx->temp, x, n, y, m);
    return check_changes(x, n, y, m, c, count);
}

static void test_fewest(void **unused)
{
    Cx *cx = cx_new();
    (void)unused;
    for (int i = 0; i < 4000; i++) {
        int n = random_below(14), m = random_below(14), common;
        int changed = random_changes(cx, n, m, 1 + random_below(6), &common);
        assert_int_equal(changed, n + m - 2 * common);
        arena_reset(cx->temp);
    }
    cx_delete(cx);
}

/* Beyond the limit of a search: still right. */
static void test_little_in_common(void **unused)
{
    Cx *cx = cx_new();
    (void)unused;
    assert_true(random_changes(cx, 9000, 7000, 3000, NULL) >= 2000);
    assert_int_equal(random_changes(cx, 5000, 0, 3, NULL), 5000);
    assert_true(random_changes(cx, 4000, 4000, 2, NULL) > 0);
    cx_delete(cx);
}

static void test_unified(void **unused)
{
    Cx *cx = cx_new();
    (void)unused;
    const char *old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
    assert_string_equal(text_diff(cx->perm, old, old, true), "");
    assert_string_equal(text_diff(cx->perm, "", "", false), "");
    assert_string_equal(text_diff(cx->perm, "", "a\n", false), "@@ -0,0 +1,1 @@\n+a\n");
    assert_string_equal(text_diff(cx->perm, old, "a\nX\nc\nd\ne\nf\ng\nh\ni\nk\nl\nm\n", false),
                        "@@ -1,5 +1,5 @@\n a\n-b\n+X\n c\n d\n e\n"
                        "@@ -7,6 +7,6 @@\n g\n h\n i\n-j\n k\n l\n+m\n");
    assert_string_equal(text_diff(cx->perm, "a\nb\n", "a\nc", true),
                        "\033[36m@@ -1,2 +1,2 @@\033[0m\n a\n"
                        "\033[31m-b\033[0m\n\033[32m+c\033[0m\n");
    cx_delete(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fewest),
        cmocka_unit_test(test_little_in_common),
        cmocka_unit_test(test_unified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
