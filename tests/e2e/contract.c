/* contract: what generated code promises its caller, clause by clause, on the network NET whose
 * header is NET_HEADER and whose macros for stack and batch are STACK_BYTES and NET_MAX_BATCH (one
 * input and one output).
 *
 * usage: contract WEIGHTS.n2w [--threads | --same | --stack | --batch]
 * --threads: only the concurrent runs, for TSan; --same: all instruction sets of the file must give
 * equal bits; --stack: only that a run takes no more stack than that; --batch: only the calls with
 * several items.
 * Prints each clause that does not hold, then "N passed, N failed".
 */
#define _GNU_SOURCE
#include <net2c_rt.h>
#include NET_HEADER

#include <dirent.h>
#include <fenv.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define bind JOIN(NET, _bind)
#define run JOIN(NET, _run)
#define check JOIN(NET, _check)
#define use_isa JOIN(NET, _use_isa)
#define info JOIN(NET, _info)

enum { PAGE = 4096, BATCH = 17, THREADS = 16, MAX_ROWS = 8 };
/* What the resident memory may grow by although nothing leaks: the C library's own. */
enum { SLACK = 512 * 1024, STACK = 1024 * 1024, PAINT = 0xa5 };

typedef JOIN(NET, _model) Model;
typedef JOIN(NET, _io) Io;

static int passed, failed;

static void expect(int holds, const char *clause)
{
    *(holds ? &passed : &failed) += 1;
    if (!holds)
        printf("does not hold: %s\n", clause);
}

/* Pages with a forbidden one on each side; the returned block touches one of them. */
static void *guarded(size_t bytes, int at_end)
{
    size_t body = (bytes + PAGE - 1) / PAGE * PAGE;
    char *map = mmap(NULL, body + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + PAGE, body, PROT_READ | PROT_WRITE)) {
        perror("contract");
        exit(5);
    }
    return map + PAGE + (at_end ? body - bytes : 0);
}

static size_t tensor_count(const n2c_tensor_info *t)
{
    size_t n = 1;
    for (unsigned d = 0; d < t->rank; d++)
        n *= t->dim[d];
    return n;
}

static void fill(float *x, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static size_t n_in, n_out, deepest;
static Model model;

static Io io_of(const float *x, float *y)
{
    Io io;
    const void *part[2] = {x, y};
    memcpy(&io, part, sizeof io);
    return io;
}

static void run_plain(const float *x, float *y, size_t batch, int poison)
{
    void *arena = n2c_aligned_alloc(info()->arena_bytes);
    memset(arena, poison, info()->arena_bytes);
    Io io = io_of(x, y);
    expect(run(&model, &io, batch, arena, NULL) == N2C_OK, "run succeeds on valid arguments");
    n2c_aligned_free(arena);
}

static void check_memory(const float *x, const float *want, size_t items)
{
    size_t in = items * n_in * sizeof *x, out = items * n_out * sizeof *x;
    size_t arena_bytes = info()->arena_bytes;
    for (int at_end = 0; at_end < 2; at_end++) {
        float *gx = guarded(in, at_end), *gy = guarded(out, at_end);
        size_t slack = at_end ? arena_bytes % 64 : 0;
        char *arena = guarded(arena_bytes + (slack ? 64 - slack : 0), at_end);
        memcpy(gx, x, in);
        if (!at_end)
            expect(!mprotect(gx, (in + PAGE - 1) / PAGE * PAGE, PROT_READ),
                   "inputs can be read-only");
        Io io = io_of(gx, gy);
        expect(run(&model, &io, items, arena, NULL) == N2C_OK,
               "nothing beside the arguments is touched");
        expect(!memcmp(gy, want, out), "bits do not depend on where buffers lie");
    }
}

/* However a call is composed, each item gets the bits of a call of its own. */
static void check_batches(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 16, BATCH};
    float *x = malloc(BATCH * n_in * sizeof *x), *want = malloc(BATCH * n_out * sizeof *want);
    float *y = malloc(BATCH * n_out * sizeof *y);
    fill(x, BATCH * n_in, 3);
    for (size_t i = 0; i < BATCH; i++)
        run_plain(x + i * n_in, want + i * n_out, 1, 0xff);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(y, PAINT, BATCH * n_out * sizeof *y);
        run_plain(x, y, sizes[i], 0x55);
        expect(!memcmp(y, want, sizes[i] * n_out * sizeof *y),
               "items of a batch get the bits of single items");
        const unsigned char *rest = (const unsigned char *)(y + sizes[i] * n_out);
        expect(sizes[i] == BATCH || *rest == PAINT, "items beyond the batch are not computed");
    }
    check_memory(x, want, NET_MAX_BATCH);
    check_memory(x, want, BATCH);
    free(y);
    free(want);
    free(x);
}

static void check_arguments(const float *x, float *y)
{
    char *arena = n2c_aligned_alloc(info()->arena_bytes + 64);
    Io io = io_of(x, y), no_input = io_of(NULL, y), no_output = io_of(x, NULL);
    Io odd = io_of((const float *)((const char *)x + 1), y);
    Model unbound = {0};
    expect(run(NULL, &io, 1, arena, NULL) == N2C_BAD_ARGUMENT, "no model is refused");
    expect(run(&unbound, &io, 1, arena, NULL) == N2C_BAD_ARGUMENT, "an unbound model is refused");
    expect(run(&model, NULL, 1, arena, NULL) == N2C_BAD_ARGUMENT, "no io is refused");
    expect(run(&model, &no_input, 1, arena, NULL) == N2C_BAD_ARGUMENT, "no input is refused");
    expect(run(&model, &no_output, 1, arena, NULL) == N2C_BAD_ARGUMENT, "no output is refused");
    expect(run(&model, &odd, 1, arena, NULL) == N2C_BAD_ARGUMENT, "an unaligned input is refused");
    expect(run(&model, &io, 0, arena, NULL) == N2C_BAD_ARGUMENT, "a batch of 0 is refused");
    expect(run(&model, &io, 1, NULL, NULL) == N2C_BAD_ARGUMENT, "no arena is refused");
    expect(run(&model, &io, 1, arena + 4, NULL) == N2C_BAD_ARGUMENT, "an odd arena is refused");
    n2c_aligned_free(arena);
}

typedef struct Hook {
    unsigned begun, ended, stop_at;
    int in_order;
} Hook;

static int on_step(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Hook *h = user;
    if (phase == N2C_STEP_BEGIN)
        h->in_order &= step == h->begun++;
    else
        h->in_order &= step == h->ended++ && data && bytes;
    return phase == N2C_STEP_BEGIN && step == h->stop_at;
}

static void check_hooks(const float *x, float *y, const float *want)
{
    void *arena = n2c_aligned_alloc(info()->arena_bytes);
    Hook all = {0, 0, ~0u, 1}, some = {0, 0, 2, 1};
    n2c_exec exec = {.on_step = on_step, .user = &all};
    Io io = io_of(x, y);
    expect(run(&model, &io, 1, arena, &exec) == N2C_OK, "run succeeds with hooks");
    expect(all.begun == info()->n_steps && all.ended == all.begun && all.in_order,
           "each step begins and ends once, in order");
    expect(!memcmp(y, want, n_out * sizeof *y), "hooks change no bit");
    exec.user = &some;
    expect(run(&model, &io, 1, arena, &exec) == N2C_CANCELLED && some.ended == 2,
           "a hook cancels at once");
    n2c_aligned_free(arena);
}

typedef struct Worker {
    const float *x, *want;
    int same, runs;
    const n2c_exec *exec;
    pthread_barrier_t *start;       /* NULL: at once */
} Worker;

static void *work(void *user)
{
    Worker *w = user;
    float *y = malloc(n_out * sizeof *y);
    void *arena = n2c_aligned_alloc(info()->arena_bytes);
    Io io = io_of(w->x, y);
    if (w->start)
        pthread_barrier_wait(w->start);
    w->same = 1;
    for (int i = 0; i < w->runs; i++)
        w->same &= run(&model, &io, 1, arena, w->exec) == N2C_OK &&
                   !memcmp(y, w->want, n_out * sizeof *y);
    n2c_aligned_free(arena);
    free(y);
    return NULL;
}

static void check_threads(const float *x, const float *want, int runs, const n2c_exec *exec)
{
    pthread_t thread[THREADS];
    Worker worker[THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        worker[i] = (Worker){x, want, 0, runs, exec, &start};
        if (pthread_create(&thread[i], NULL, work, &worker[i]))
            exit(5);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        expect(worker[i].same, "threads with arenas of their own get the same bits");
    }
    pthread_barrier_destroy(&start);
}

/* Any number of threads in a run; a pool that several runs want at once; one that a fork has left
 * without its threads. */
static void check_pool(const float *x, const float *want)
{
    for (unsigned threads = 0; threads <= 5; threads++) {
        n2c_pool *pool = n2c_pool_create(threads);
        const n2c_exec exec = n2c_pool_exec(pool);
        Worker alone = {x, want, 0, 5, &exec, NULL};
        work(&alone);
        expect(alone.same, "bits do not depend on the number of threads in a run");
        if (threads == 3) {
            int status = 1;
            check_threads(x, want, 3, &exec);
            pid_t child = fork();
            if (child == 0) {
                work(&alone);
                n2c_pool_destroy(pool);
                _exit(!alone.same);
            }
            waitpid(child, &status, 0);
            expect(status == 0, "a pool works in the child of a fork");
        }
        n2c_pool_destroy(pool);
    }
}

/* ---- state: floating-point environment, memory, threads, stack ------------------------------ */

/* Rounding, denormals and traps, without the flags that every operation raises. */
static uint64_t float_control(void)
{
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3fu;
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
#else
    return (uint64_t)fegetround();
#endif
}

static void check_float_environment(const float *x, const float *want)
{
    static const int round[] = {FE_UPWARD, FE_TOWARDZERO, FE_TONEAREST};
    float *y = malloc(n_out * sizeof *y);
    for (int i = 0; i < 3; i++) {
        fesetround(round[i]);
        uint64_t before = float_control();
        run_plain(x, y, 1, 0);
        expect(float_control() == before && fegetround() == round[i],
               "the floating-point environment is left as it was");
    }
    expect(!memcmp(y, want, n_out * sizeof *y), "bits come back with the rounding mode");
    free(y);
}

/* From the page tables: the counters of statm lag behind with threads. */
static size_t resident_bytes(void)
{
    size_t kilobytes = 0;
    char line[256];
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "Rss: %zu", &kilobytes) != 1)
        continue;
    if (!f || !kilobytes)
        exit(5);
    fclose(f);
    return kilobytes * 1024;
}

static int entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* Once to warm up, then again: what leaks grows each time. */
static void check_flat(const float *x, const float *want, int runs, const n2c_exec *exec)
{
    int rounds = 0, grows = 1;
    check_threads(x, want, runs / 10, exec);
    while (grows && rounds++ < 3) {
        size_t before = resident_bytes();
        check_threads(x, want, runs, exec);
        grows = resident_bytes() > before + SLACK;
    }
    expect(!grows, "memory does not grow from run to run");
}

static void check_pool_cycles(const float *x, const float *want, int cycles)
{
    size_t memory = 0;
    int threads = entries("/proc/self/task"), files = entries("/proc/self/fd"), left = 0;
    for (int i = 0; i < cycles; i++) {
        n2c_pool *pool = n2c_pool_create(2 + (unsigned)i % 4);
        const n2c_exec exec = n2c_pool_exec(pool);
        Worker w = {x, want, 0, 1, &exec, NULL};
        work(&w);
        expect(w.same, "a new pool gives the same bits");
        n2c_pool_destroy(pool);
        if (i == cycles / 10)
            memory = resident_bytes();
    }
    /* a joined thread may still have its entry for a moment */
    while (entries("/proc/self/task") > threads && left++ < 100)
        usleep(10000);
    expect(entries("/proc/self/task") == threads, "pools leave no thread");
    expect(entries("/proc/self/fd") == files, "pools leave no file open");
    expect(resident_bytes() <= memory + SLACK, "pools leave no memory");
}

static void *work_not(void *user)
{
    return user;
}

/* How deep a thread's stack was used: what is no longer painted. */
static size_t stack_used(void *(*function)(void *), void *user)
{
    unsigned char *stack = guarded(STACK, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    size_t clean = 0;
    memset(stack, PAINT, STACK);
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, stack, STACK) ||
        pthread_create(&thread, &attributes, function, user))
        exit(5);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    while (clean < STACK && stack[clean] == PAINT)
        clean++;
    return STACK - clean;
}

typedef struct Call {
    Io io;
    void *arena;
} Call;

static void *work_bare(void *user)
{
    Call *call = user;
    return run(&model, &call->io, 1, call->arena, NULL) == N2C_OK ? NULL : user;
}

static void check_stack(const float *x, float *y)
{
    Call call = {io_of(x, y), n2c_aligned_alloc(info()->arena_bytes)};
    work_bare(&call);       /* symbols are resolved */
    size_t idle = stack_used(work_not, &call), used = stack_used(work_bare, &call);
    expect(used <= idle + STACK_BYTES, "the stack is as small as the header says");
    if (used > idle + deepest)
        deepest = used - idle;
    n2c_aligned_free(call.arena);
}

static void check_values(float *x, const float *want)
{
    float *y = malloc(BATCH * n_out * sizeof *y), *many = malloc(BATCH * n_in * sizeof *many);
    run_plain(x, y, 1, 0xff);
    expect(!memcmp(y, want, n_out * sizeof *y), "bits do not depend on what the arena held (NaN)");
    fill(many, BATCH * n_in, 7);
    memcpy(many + 2 * n_in, x, n_in * sizeof *x);
    run_plain(many, y, BATCH, 0x55);
    expect(!memcmp(y + 2 * n_out, want, n_out * sizeof *y), "bits do not depend on the position");
    for (size_t i = 0; i < n_in; i++)
        many[i] = i % 3 ? NAN : INFINITY;
    run_plain(many, y, 1, 0);
    expect(isnan(y[0]), "NaN goes through to the output");
    check_arguments(x, y);
    check_hooks(x, y, want);
    free(many);
    free(y);
}

/* All clauses on the instruction set in use. */
static void check_row(float *x, float *want, const char *mode, int first)
{
    if (!strcmp(mode, "--batch")) {
        check_batches();
        return;
    }
    if (!strcmp(mode, "--stack")) {
        check_stack(x, want);
        return;
    }
    if (!strcmp(mode, "--same") && !first) {
        float *y = malloc(n_out * sizeof *y);
        run_plain(x, y, 1, 0);
        expect(!memcmp(y, want, n_out * sizeof *y), "instruction sets give equal bits");
        free(y);
        return;
    }
    run_plain(x, want, 1, 0);
    check_pool(x, want);
    if (*mode)
        check_threads(x, want, 20, NULL);
    if (!strcmp(mode, "--threads"))
        return;
    if (!*mode) {
        n2c_pool *pool = n2c_pool_create(3);
        const n2c_exec exec = n2c_pool_exec(pool);
        check_flat(x, want, first ? 1000 : 50, NULL);
        check_flat(x, want, 50, &exec);
        n2c_pool_destroy(pool);
        check_pool_cycles(x, want, first ? 500 : 50);
    }
    check_float_environment(x, want);
    check_memory(x, want, 1);
    check_values(x, want);
    check_batches();
}

int main(int argc, char **argv)
{
    const void *weights;
    size_t bytes;
    if (argc < 2 || n2c_map_weights(argv[1], &weights, &bytes) != N2C_OK)
        return 2;
    mallopt(M_ARENA_MAX, 1);        /* the C library's memory does not grow with threads */
    n2c_status status = bind(&model, weights, bytes);
    if (status == N2C_NO_CPU) {
        printf("skipped: this CPU lacks the instruction set\n");
        return 77;
    }
    expect(status == N2C_OK && check(&model) == N2C_OK, "bind and check accept the blob");
    n_in = tensor_count(&info()->inputs[0]);
    n_out = tensor_count(&info()->outputs[0]);
    float *x = malloc(n_in * sizeof *x), *want = malloc(n_out * sizeof *want);
    fill(x, n_in, 1);
    const char *mode = argc > 2 ? argv[2] : "";
    for (uint32_t isa = 1, rows = 0; isa <= MAX_ROWS; isa++)
        if (use_isa(&model, isa))
            check_row(x, want, mode, rows++ == 0);
    expect(!use_isa(&model, 0) && !use_isa(&model, MAX_ROWS + 1), "no other instruction sets");
    n2c_unmap_weights(weights, bytes);
    if (deepest)
        printf("%zu of %zu bytes of stack, ", deepest, (size_t)STACK_BYTES);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
