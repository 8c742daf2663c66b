/* files: reading, mapping, and output that appears whole or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
