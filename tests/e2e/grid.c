/* grid: the exact-integer grid on one instruction set with one compiler; test_grid.py puts these
 * together. Puts many small cases (grid_cases.c) side by side into one model, with small integers
 * as weights and inputs so that every sum is exact in float, runs the model through net2c and
 * demands 0 different bits from the oracles of tests/ref. What is not exact (LRN, softmax,
 * averages, real batch normalisation) may be 4 units in the last place off.
 *
 * usage: grid NET2C FOLDER [--part=P/K] [--per-model=M] [options handed to `net2c run`]
 *   e.g. grid build/net2c /tmp/grid --part=0/10 --isa=avx512 --cc=clang --cflags=-O2
 * --part: of K random parts of the cases, number P.
 * Exit status: 0 equal; 1 different or failed; 77 skipped: this CPU lacks the instruction set.
 */
#include "grid.h"
#include "grid_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Options {
    const char *net2c, *folder;
    int part, parts, per_model;
    char **passed;      /* to net2c run */
    int n_passed;
} Options;

/* Runs net2c on the written files; true if it ended with status 0. */
static bool run_net(const Options *o, const Net *net)
{
    enum { MAX_ARGS = 4096 };
    static const char *argv[MAX_ARGS];
    int n = 0;
    argv[n++] = o->net2c;
    argv[n++] = "run";
    argv[n++] = net->model_path;
    argv[n++] = "-w";
    argv[n++] = net->weights_path;
    argv[n++] = "--math=strict";
    for (int i = 0; i < net->n_files && n < MAX_ARGS - 64; i++) {
        argv[n++] = net->file[i].is_output ? "-o" : "-i";
        argv[n++] = net->file[i].argument;
    }
    for (int i = 0; i < o->n_passed && n < MAX_ARGS - 1; i++)
        argv[n++] = o->passed[i];
    argv[n] = NULL;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        execv(o->net2c, (char *const *)(void *)argv);
        perror(o->net2c);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    printf("%s: net2c run ended with %s %d\n", net->model_path,
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

typedef struct Tally {
    int shapes, failed;
    size_t elements;
} Tally;

/* The given cases as one model. */
static void check_model(const Options *o, const GridCase *all, int n, const int *number, int index,
                        Tally *tally)
{
    Net *net = net_new(o->folder, index, 1 + (index % 4 == 3));
    bool good = true;
    for (int i = 0; i < n && good; i++)
        good = net_add_case(net, &all[number[i]], number[i]);
    if (good)
        net_write(net);
    if (good && run_net(o, net)) {
        for (int i = 0; i < net->n_files; i++)
            if (net->file[i].is_output)
                tally->failed += !net_compare(net, &net->file[i], &tally->elements);
    } else {
        tally->failed += n;
    }
    tally->shapes += n;
    net_delete(net);
}

/* Mixed, so that neighbours in a sweep come to different parts. */
static bool in_part(const Options *o, int number)
{
    uint64_t z = ((uint64_t)number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (int)((z >> 32) % (uint64_t)o->parts) == o->part;
}

static Tally check_cases(const Options *o, const GridCase *all, int n_all)
{
    Tally tally = {0};
    int *number = malloc((size_t)o->per_model * sizeof *number), n = 0, index = 0;
    for (int i = 0; number && i < n_all; i++) {
        if (in_part(o, i))
            number[n++] = i;
        if (n > 0 && (n == o->per_model || i == n_all - 1)) {
            check_model(o, all, n, number, index++, &tally);
            n = 0;
        }
    }
    free(number);
    return tally;
}

/* Is the instruction set that would run one that this CPU lacks? */
static bool row_missing(const Options *o)
{
    const char *row = "";
    for (int i = 0; i < o->n_passed; i++)
        if (!strncmp(o->passed[i], "--isa=", 6) || !strncmp(o->passed[i], "--use-isa=", 10))
            row = strchr(o->passed[i], '=') + 1;
    return (!strcmp(row, "avx512") && !__builtin_cpu_supports("avx512f")) ||
           (!strcmp(row, "avx2") && !__builtin_cpu_supports("avx2")) ||
           (!strcmp(row, "sse4") && !__builtin_cpu_supports("sse4.2"));
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: grid NET2C FOLDER [--part=P/K] [--per-model=M] "
                "[options of run]\n");
        return 2;
    }
    Options o = {.net2c = argv[1], .folder = argv[2], .parts = 1, .per_model = 48,
                 .passed = argv + 3};
    for (int i = 3; i < argc; i++) {
        if (sscanf(argv[i], "--part=%d/%d", &o.part, &o.parts) != 2 &&
            sscanf(argv[i], "--per-model=%d", &o.per_model) != 1)
            o.passed[o.n_passed++] = argv[i];
    }
    if (o.parts < 1 || o.part < 0 || o.part >= o.parts || o.per_model < 1)
        return 2;
    if (row_missing(&o)) {
        printf("grid: skipped, this CPU lacks the instruction set\n");
        return 77;
    }
    mkdir(o.folder, 0777);
    int n = 0;
    GridCase *all = grid_cases(&n);
    Tally tally = check_cases(&o, all, n);
    free(all);
    printf("grid: %d of %d shapes, %zu elements", tally.shapes, n, tally.elements);
    for (int i = 0; i < o.n_passed; i++)
        printf(" %s", o.passed[i]);
    printf(": %d with different bits\n", tally.failed);
    return tally.failed || tally.shapes == 0 ? 1 : 0;
}
