/* contract_two: two networks in one program, and one of them twice, from C and from C++. Each has a
 * blob of its own; runs are nested in each other's steps and side by side on threads, with batches
 * of 1 and 2, and must give the bits of runs alone.
 *
 * usage: contract_two lenet5_gen.n2w alexnet_small_gen.n2w
 * Prints each clause that does not hold, then "N passed, N failed".
 */
#include "alexnet_small_gen.h"
#include "lenet5_gen.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2, ROUNDS = 20 };     /* items a run, runs a thread */

typedef struct Lenet {
    lenet5_model model;
    float *image, *logits, *want;   /* MOST items */
    void *arena;
} Lenet;

typedef struct Alexnet {
    alexnet_small_model model;
    float *image, *logits, *want;   /* one item */
    void *arena;
} Alexnet;

static int passed, failed;

static void expect(int holds, const char *clause)
{
    *(holds ? &passed : &failed) += 1;
    if (!holds)
        printf("does not hold: %s\n", clause);
}

static float *floats(size_t n)
{
    float *x = (float *)n2c_aligned_alloc(n * sizeof *x);
    size_t i;
    for (i = 0; i < n; i++)
        x[i] = (float)(i * 7 % 31) / 16.0f - 1.0f;
    return x;
}

static n2c_status run_lenet(Lenet *l, size_t batch, const n2c_exec *exec)
{
    lenet5_io io;
    io.image = l->image;
    io.logits = l->logits;
    memset(l->logits, 0, MOST * LENET5_LOGITS_COUNT * sizeof(float));
    return lenet5_run(&l->model, &io, batch, l->arena, exec);
}

static n2c_status run_alexnet(Alexnet *a)
{
    alexnet_small_io io;
    io.image = a->image;
    io.logits = a->logits;
    memset(a->logits, 0, ALEXNET_SMALL_LOGITS_COUNT * sizeof(float));
    return alexnet_small_run(&a->model, &io, 1, a->arena, NULL);
}

static int same_lenet(const Lenet *l, size_t batch)
{
    return !memcmp(l->logits, l->want, batch * LENET5_LOGITS_COUNT * sizeof(float));
}

static int same_alexnet(const Alexnet *a)
{
    return !memcmp(a->logits, a->want, ALEXNET_SMALL_LOGITS_COUNT * sizeof(float));
}

static void make_lenet(Lenet *l, const void *weights, size_t bytes)
{
    expect(lenet5_bind(&l->model, weights, bytes) == N2C_OK, "lenet5 accepts its blob");
    l->image = floats(MOST * LENET5_IMAGE_COUNT);
    l->logits = floats(MOST * LENET5_LOGITS_COUNT);
    l->want = floats(MOST * LENET5_LOGITS_COUNT);
    l->arena = n2c_aligned_alloc(LENET5_ARENA_BYTES(1));
    expect(run_lenet(l, MOST, NULL) == N2C_OK, "lenet5 runs");
    memcpy(l->want, l->logits, MOST * LENET5_LOGITS_COUNT * sizeof(float));
}

static void make_alexnet(Alexnet *a, const void *weights, size_t bytes)
{
    expect(alexnet_small_bind(&a->model, weights, bytes) == N2C_OK,
           "alexnet_small accepts its blob");
    a->image = floats(ALEXNET_SMALL_IMAGE_COUNT);
    a->logits = floats(ALEXNET_SMALL_LOGITS_COUNT);
    a->want = floats(ALEXNET_SMALL_LOGITS_COUNT);
    a->arena = n2c_aligned_alloc(ALEXNET_SMALL_ARENA_BYTES(1));
    expect(run_alexnet(a) == N2C_OK, "alexnet_small runs");
    memcpy(a->want, a->logits, ALEXNET_SMALL_LOGITS_COUNT * sizeof(float));
}

static void free_all(float *image, float *logits, float *want, void *arena)
{
    n2c_aligned_free(image);
    n2c_aligned_free(logits);
    n2c_aligned_free(want);
    n2c_aligned_free(arena);
}

/* What runs inside each step of the first lenet. */
typedef struct Nested {
    Lenet *other;
    Alexnet *alexnet;
    int runs, same;
} Nested;

static int run_inside(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Nested *n = (Nested *)user;
    (void)data;
    (void)bytes;
    if (phase != N2C_STEP_BEGIN)
        return 0;
    n->same &= run_lenet(n->other, 1 + step % MOST, NULL) == N2C_OK &&
               same_lenet(n->other, 1 + step % MOST);
    n->same &= run_alexnet(n->alexnet) == N2C_OK && same_alexnet(n->alexnet);
    n->runs++;
    return 0;
}

static void check_nested(Lenet *first, Lenet *second, Alexnet *alexnet)
{
    Nested nested;
    n2c_exec exec;
    memset(&exec, 0, sizeof exec);
    nested.other = second;
    nested.alexnet = alexnet;
    nested.runs = 0;
    nested.same = 1;
    exec.on_step = run_inside;
    exec.user = &nested;
    expect(run_lenet(first, MOST, &exec) == N2C_OK && same_lenet(first, MOST),
           "bits do not depend on the runs in between");
    expect(nested.runs > 1 && nested.same, "bits do not depend on the run around");
}

/* One of the two on a thread of its own. */
typedef struct Task {
    Lenet *lenet;
    Alexnet *alexnet;
    int same;
} Task;

static void *work(void *user)
{
    Task *t = (Task *)user;
    size_t i;
    t->same = 1;
    for (i = 0; i < ROUNDS; i++)
        if (t->lenet)
            t->same &= run_lenet(t->lenet, 1 + i % MOST, NULL) == N2C_OK &&
                       same_lenet(t->lenet, 1 + i % MOST);
        else
            t->same &= run_alexnet(t->alexnet) == N2C_OK && same_alexnet(t->alexnet);
    return NULL;
}

static void check_threads(Lenet *first, Lenet *second, Alexnet *alexnet)
{
    Task task[3] = {{NULL, NULL, 0}, {NULL, NULL, 0}, {NULL, NULL, 0}};
    pthread_t thread[3];
    int i;
    task[0].lenet = first;
    task[1].lenet = second;
    task[2].alexnet = alexnet;
    for (i = 0; i < 3; i++)
        if (pthread_create(&thread[i], NULL, work, &task[i]))
            exit(5);
    for (i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        expect(task[i].same, "bits do not depend on what runs beside");
    }
}

int main(int argc, char **argv)
{
    const void *weights[2];
    size_t bytes[2];
    Lenet first, second;
    Alexnet alexnet;
    lenet5_model wrong;
    if (argc < 3 || n2c_map_weights(argv[1], &weights[0], &bytes[0]) != N2C_OK ||
        n2c_map_weights(argv[2], &weights[1], &bytes[1]) != N2C_OK)
        return 2;
    expect(lenet5_bind(&wrong, weights[1], bytes[1]) == N2C_WRONG_MODEL,
           "lenet5 refuses the other's blob");
    make_lenet(&first, weights[0], bytes[0]);
    make_lenet(&second, weights[0], bytes[0]);
    make_alexnet(&alexnet, weights[1], bytes[1]);
    check_nested(&first, &second, &alexnet);
    check_threads(&first, &second, &alexnet);
    free_all(first.image, first.logits, first.want, first.arena);
    free_all(second.image, second.logits, second.want, second.arena);
    free_all(alexnet.image, alexnet.logits, alexnet.want, alexnet.arena);
    n2c_unmap_weights(weights[0], bytes[0]);
    n2c_unmap_weights(weights[1], bytes[1]);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
