/* The library: what it refuses, what it says, what it computes, and memory that runs out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "net2c/net2c.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENET NET2C_SOURCE_DIR "/models/lenet5"

static const char network[] = "net2c: 1\nname: net\ninputs: {x: {shape: [N, 2, 3]}}\n"
                              "network: [relu]\n";
static const char nothing[] = "\2\0\0\0\0\0\0\0{}";            /* weights without a tensor */
static char folder[] = "/tmp/test_library.XXXXXX";           /* TMPDIR */

/* ---- the memory of net2c: the linker gives it these functions (--wrap), and each piece of an
 * arena is an allocation of its own (NET2C_ARENA_MALLOC) --------------------------------------- */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

static long calls, failing;        /* allocations so far; the one that fails, 0: none */
static long live;                  /* not freed yet */

static int fails(void)
{
    return ++calls == failing;
}

void *__wrap_malloc(size_t n)
{
    void *p = fails() ? NULL : __real_malloc(n);
    live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __real_calloc(n, size);
    live += p != NULL;
    return p;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

static int count_files(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Is a file of this name mapped? */
static int is_mapped(const char *name)
{
    char line[4096];
    int found = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        found |= strstr(line, name) != NULL;
    fclose(f);
    return found;
}

/* ---- fixtures -------------------------------------------------------------------------------- */

static net2c_job *new_job(void)
{
    net2c_job *job = NULL;
    assert_int_equal(net2c_job_new(&job), NET2C_OK);
    return job;
}

static net2c_job *small_job(void)
{
    net2c_job *job = new_job();
    assert_int_equal(net2c_job_model(job, "net.yaml", network, strlen(network)), NET2C_OK);
    assert_int_equal(net2c_job_weights(job, "no weights", nothing, sizeof nothing - 1), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "isa", "scalar"), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "cflags", "-O0"), NET2C_OK);
    return job;
}

static net2c_job *lenet_job(void)
{
    net2c_job *job = new_job();
    assert_int_equal(net2c_job_model_file(job, LENET ".yaml"), NET2C_OK);
    assert_int_equal(net2c_job_weights_file(job, LENET ".safetensors"), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "isa", "scalar"), NET2C_OK);
    return job;
}

/* ---- calls that are wrong -------------------------------------------------------------------- */

static void wrong_calls_are_refused(void **state)
{
    static const float x[6];
    static float y[6];
    const float *in[] = {x}, *no_in[] = {NULL};
    float *out[] = {y}, *no_out[] = {NULL}, *odd_out[] = {(float *)(void *)((char *)y + 1)};
    net2c_job *job = small_job();
    net2c_result *r = (net2c_result *)(void *)y;
    (void)state;
    assert_int_equal(net2c_job_new(NULL), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_model_file(NULL, "x"), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_model_file(job, NULL), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_model_file(job, ""), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_model(job, "x", NULL, 0), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_model(job, "x", network, SIZE_MAX), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_weights_file(job, NULL), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_weights(job, "x", NULL, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_weights(job, NULL, nothing, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_weights(job, "x", nothing, SIZE_MAX), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_option(NULL, "isa", "scalar"), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_job_option(job, NULL, "scalar"), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_check(NULL, &r), NET2C_BAD_ARGUMENT);
    assert_null(r);
    assert_int_equal(net2c_check(job, NULL), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_load(NULL, &r), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_compile(job, NULL, &r), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_compile(job, "", &r), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_compile(job, "out/net", &r), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(NULL, in, out, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_check(job, &r), NET2C_OK);          /* nothing is loaded */
    assert_int_equal(net2c_run(r, in, out, 1), NET2C_BAD_ARGUMENT);
    net2c_result_delete(r);
    assert_int_equal(net2c_load(job, &r), NET2C_OK);
    assert_int_equal(net2c_run(r, NULL, out, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, NULL, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, no_in, out, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, no_out, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, odd_out, 1), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, out, 0), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, out, SIZE_MAX / 8), NET2C_BAD_ARGUMENT);
    assert_int_equal(net2c_run(r, in, out, 1), NET2C_OK);
    net2c_result_delete(r);
    net2c_job_delete(job);
    net2c_result_delete(NULL);
    net2c_job_delete(NULL);
    assert_int_equal(live, 0);
}

static void a_result_that_is_not_there_is_empty(void **state)
{
    size_t n = 7;
    (void)state;
    assert_null(net2c_messages(NULL, &n));
    assert_int_equal(n, 0);
    assert_null(net2c_files(NULL, NULL));
    assert_null(net2c_inputs(NULL, &n));
    assert_null(net2c_outputs(NULL, &n));
    assert_string_equal(net2c_messages_text(NULL), "");
    assert_int_equal(net2c_abi(), NET2C_ABI);
    assert_string_not_equal(net2c_version(), "");
    for (int status = -1; status < 80; status++)
        assert_non_null(net2c_status_text((net2c_status)status));
}

/* ---- messages -------------------------------------------------------------------------------- */

static void expect_messages(net2c_job *job, net2c_status status, const char *codes)
{
    char found[200] = "";
    net2c_result *r = NULL;
    size_t n;
    assert_int_equal(net2c_compile(job, "net", &r), status);
    const net2c_message *m = net2c_messages(r, &n);
    for (size_t i = 0, own = 0; i < n; i++) {
        assert_int_equal(m[i].severity == NET2C_NOTE || m[i].severity == NET2C_HELP, own > 0);
        own = own > 0 ? own - 1 : m[i].attached;
        if (m[i].severity == NET2C_ERROR)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", m[i].code);
    }
    assert_string_equal(found, codes);
    assert_null(net2c_files(r, &n));
    assert_int_equal(n, 0);
    net2c_result_delete(r);
}

static void what_is_missing_or_unknown_is_said(void **state)
{
    static const char *const wrong[][2] = {
        {"isaa", "avx2"}, {"output", "x"}, {"help", NULL}, {"", ""}, {"isa", "avx1024"},
        {"isa", NULL}, {"batch", "99999999999999999999"}, {"threads", "many"},
        {"disable-pass", "vectorize"}, {"math", "loose"}, {"pass-cmd-after", "hoist"},
    };
    net2c_job *job = new_job();
    (void)state;
    expect_messages(job, NET2C_BAD_OPTION, "E0005 E0004 ");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(net2c_job_option(job, wrong[i][0], wrong[i][1]), NET2C_OK);
    expect_messages(job, NET2C_BAD_OPTION,
                    "E0005 E0004 E0001 E0001 E0001 E0001 E0002 E0003 ");
    net2c_job_delete(job);
    job = small_job();
    assert_int_equal(net2c_job_option(job, "isa", "avx1024"), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "batch", "99999999999999999999"), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "math", "loose"), NET2C_OK);
    assert_int_equal(net2c_job_option(job, "disable-pass", "vectorize"), NET2C_OK);
    expect_messages(job, NET2C_BAD_OPTION, "E0001 E0003 E0001 E0006 ");
    net2c_job_delete(job);
    assert_int_equal(live, 0);
}

static void messages_have_places(void **state)
{
    static const char text[] = "net2c: 1\nname: net\ninputs: {x: {shape: [N, 2, 3]}}\n"
                               "network:\n  - reluu\n  - conv: {out: 3}\n";
    net2c_job *job = small_job();
    net2c_result *r = NULL;
    size_t n;
    (void)state;
    assert_int_equal(net2c_job_model(job, "in memory", text, strlen(text)), NET2C_OK);
    assert_int_equal(net2c_check(job, &r), NET2C_BAD_INPUT);
    net2c_job_delete(job);
    const net2c_message *m = net2c_messages(r, &n);
    assert_true(n >= 2);
    assert_string_equal(m[0].file, "in memory");
    assert_string_equal(m[0].code, "E0410");
    assert_int_equal(m[0].line, 5);
    assert_int_equal(m[0].column, 5);
    assert_int_equal(m[0].length, 5);
    assert_int_equal(m[0].attached, 1);
    assert_string_equal(m[1].text, "did you mean 'relu'?");
    assert_non_null(strstr(net2c_messages_text(r), "\n    5 |   - reluu\n      |     ^~~~~\n"));
    assert_null(net2c_inputs(r, &n));
    net2c_result_delete(r);
}

static void a_dash_is_a_file_and_sizes_are_checked(void **state)
{
    net2c_job *job = small_job();
    (void)state;
    assert_int_equal(net2c_job_model_file(job, "-"), NET2C_OK);
    expect_messages(job, NET2C_BAD_INPUT, "E0101 ");
    assert_int_equal(net2c_job_model(job, "empty", "", 0), NET2C_OK);
    expect_messages(job, NET2C_BAD_INPUT, "E0311 ");
    assert_int_equal(net2c_job_model(job, "huge", network, PTRDIFF_MAX), NET2C_OK);
    expect_messages(job, NET2C_BAD_INPUT, "E0304 ");
    assert_int_equal(net2c_job_model(job, "net.yaml", network, strlen(network)), NET2C_OK);
    assert_int_equal(net2c_job_weights(job, "empty", "", 0), NET2C_OK);
    expect_messages(job, NET2C_BAD_INPUT, "E0201 ");
    assert_int_equal(net2c_job_weights(job, "cut off", nothing, 9), NET2C_OK);
    expect_messages(job, NET2C_BAD_INPUT, "E0201 ");
    net2c_job_delete(job);
    assert_int_equal(live, 0);
}

/* ---- results --------------------------------------------------------------------------------- */

static void loaded_code_computes(void **state)
{
    static const float x[] = {-1, 2, -3, 4, -5, 6, 7, -8, 9, -10, 11, -12};
    float y[12] = {0};
    const float *in[] = {x};
    float *out[] = {y};
    net2c_job *job = small_job();
    net2c_result *r = NULL;
    size_t n;
    (void)state;
    assert_int_equal(net2c_job_option(job, "threads", "2"), NET2C_OK);
    assert_int_equal(net2c_load(job, &r), NET2C_OK);
    net2c_job_delete(job);
    const net2c_tensor *t = net2c_inputs(r, &n);
    assert_int_equal(n, 1);
    assert_string_equal(t->name, "x");
    assert_int_equal(t->elements, 6);
    assert_int_equal(t->rank, 3);
    assert_int_equal(t->dim[0] * t->dim[1] * t->dim[2], 6);
    assert_int_equal(net2c_outputs(r, &n)->elements, 6);
    assert_int_equal(n, 1);
    assert_int_equal(net2c_run(r, in, out, 2), NET2C_OK);
    for (size_t i = 0; i < 12; i++)
        assert_true(y[i] == (x[i] > 0 ? x[i] : 0));
    net2c_result_delete(r);
    assert_int_equal(live, 0);
}

static void *read_all(const char *path, size_t *bytes)
{
    static char buffer[2][1 << 20];
    static int turn;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *to = buffer[turn++ % 2];
    *bytes = fread(to, 1, sizeof buffer[0], f);
    assert_true(*bytes < sizeof buffer[0]);
    fclose(f);
    return to;
}

static void memory_and_files_give_the_same(void **state)
{
    static const char *const end[] = {".c", ".h", ".n2w", ".json"};
    net2c_job *job = lenet_job();
    net2c_result *r[2] = {NULL, NULL};
    size_t n[2], model_bytes, weights_bytes;
    (void)state;
    assert_int_equal(net2c_compile(job, "lenet5_gen", &r[0]), NET2C_OK);
    assert_false(is_mapped("lenet5.safetensors"));
    const void *model = read_all(LENET ".yaml", &model_bytes);
    const char *weights = read_all(LENET ".safetensors", &weights_bytes);
    char *odd = (char *)(uintptr_t)weights + 1;                /* aligned to nothing */
    memmove(odd, weights, weights_bytes);
    assert_int_equal(net2c_job_model(job, LENET ".yaml", model, model_bytes), NET2C_OK);
    assert_int_equal(net2c_job_weights(job, "w", odd, weights_bytes), NET2C_OK);
    assert_int_equal(net2c_compile(job, "lenet5_gen", &r[1]), NET2C_OK);
    const net2c_file *a = net2c_files(r[0], &n[0]), *b = net2c_files(r[1], &n[1]);
    assert_int_equal(n[0], 4);
    assert_int_equal(n[1], 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(a[i].name + strlen("lenet5_gen"), end[i]);
        assert_string_equal(a[i].name, b[i].name);
        assert_int_equal(a[i].bytes, b[i].bytes);
        assert_memory_equal(a[i].data, b[i].data, a[i].bytes);
        assert_true(i == 2 || strlen(a[i].data) == a[i].bytes);
    }
    assert_int_equal((uintptr_t)a[2].data % 64, 0);
    assert_int_equal((uintptr_t)b[2].data % 64, 0);
    net2c_result_delete(r[0]);
    net2c_result_delete(r[1]);
    net2c_job_delete(job);
    assert_int_equal(live, 0);
}

/* ---- memory that runs out -------------------------------------------------------------------- */

typedef net2c_status Action(const net2c_job *job, net2c_result **r);

static net2c_status compile_net(const net2c_job *job, net2c_result **r)
{
    return net2c_compile(job, "net", r);
}

/* The action with its n-th allocation failing, for the first 128 n and then ever fewer of them, up
 * to the one with which all is well. Returns how many allocations there are then. */
static long starve(net2c_job *job, Action *action, const char *mapped)
{
    net2c_status status = NET2C_NO_MEMORY;
    net2c_result *r = NULL;
    long before = live, n = 0;
    assert_int_equal(action(job, &r), NET2C_OK);       /* what libc keeps is there from now on */
    net2c_result_delete(r);
    int open = count_files("/proc/self/fd"), left = count_files(folder);
    while (status == NET2C_NO_MEMORY) {
        calls = 0;
        failing = n += 1 + n / 128;
        status = action(job, &r);
        failing = 0;
        assert_true(status == NET2C_OK || (status == NET2C_NO_MEMORY && r == NULL));
    }
    assert_int_equal(status, NET2C_OK);
    assert_true(calls < n);
    net2c_result_delete(r);
    assert_int_equal(live, before);
    assert_int_equal(count_files("/proc/self/fd"), open);
    assert_int_equal(count_files(folder), left);
    assert_false(is_mapped(mapped));
    return calls;
}

static void out_of_memory_is_a_status(void **state)
{
    net2c_job *job = lenet_job();
    (void)state;
    long checked = starve(job, net2c_check, "lenet5.safetensors");
    long compiled = starve(job, compile_net, "lenet5.safetensors");
    net2c_job_delete(job);
    job = small_job();
    long loaded = starve(job, net2c_load, "net.so");
    net2c_job_delete(job);
    printf("allocations: check %ld, compile %ld, load %ld\n", checked, compiled, loaded);
    assert_true(checked > 2000 && compiled > checked && loaded > 200);
}

static void a_job_survives_out_of_memory(void **state)
{
    static char text[100000];
    net2c_job *job = NULL;
    (void)state;
    for (failing = 1, calls = 0; net2c_job_new(&job) == NET2C_NO_MEMORY; calls = 0, failing++)
        assert_null(job);
    assert_true(failing > 3);
    failing = 0;
    net2c_job_delete(job);
    job = small_job();
    memset(text, 'x', sizeof text - 1);
    calls = 0;
    failing = 1;
    assert_int_equal(net2c_job_model_file(job, text), NET2C_NO_MEMORY);
    calls = 0;
    assert_int_equal(net2c_job_option(job, "isa", text), NET2C_NO_MEMORY);
    calls = 0;
    assert_int_equal(net2c_job_weights(job, text, nothing, 10), NET2C_NO_MEMORY);
    failing = 0;
    net2c_result *r = NULL;                    /* as if these calls had not been */
    assert_int_equal(compile_net(job, &r), NET2C_OK);
    net2c_result_delete(r);
    net2c_job_delete(job);
    assert_int_equal(live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(a_result_that_is_not_there_is_empty),
        cmocka_unit_test(what_is_missing_or_unknown_is_said),
        cmocka_unit_test(messages_have_places),
        cmocka_unit_test(a_dash_is_a_file_and_sizes_are_checked),
        cmocka_unit_test(loaded_code_computes),
        cmocka_unit_test(memory_and_files_give_the_same),
        cmocka_unit_test(out_of_memory_is_a_status),
        cmocka_unit_test(a_job_survives_out_of_memory),
    };
    if (!mkdtemp(folder) || setenv("TMPDIR", folder, 1) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) != 0 || failed;
}
