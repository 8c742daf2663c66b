/* grid: the exact-integer grid. Puts many small cases (grid_cases.c) side by side into one model,
 * with small integers as weights and inputs so that every sum is exact in float, runs the model
 * through net2c and demands 0 different bits from the oracles of tests/ref. LRN and softmax,
 * which are not exact, may be 4 units in the last place off.
 *
 * usage: grid NET2C FOLDER [--every=K] [--per-model=M] [options handed to `net2c run`]
 *   e.g. grid build/net2c /tmp/grid --isa=avx512 --cc=clang --cflags=-O2
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
    int every, per_model;
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

/* Cases first, first + every, ... as one model. Returns how many of them fail. */
static int check_model(const Options *o, const GridCase *all, int n_all, int first, int index,
                       int *done)
{
    Net *net = net_new(o->folder, index, 1 + (index % 4 == 3));
    *done = 0;
    for (int i = first; i < n_all && *done < o->per_model; i += o->every, ++*done)
        if (!net_add_case(net, &all[i], i)) {
            net_delete(net);
            return 1;
        }
    net_write(net);
    int failed = *done;
    if (run_net(o, net)) {
        failed = 0;
        for (int i = 0; i < net->n_files; i++)
            if (net->file[i].is_output && !net_compare(net, &net->file[i]))
                failed++;
    }
    net_delete(net);
    return failed;
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
        fprintf(stderr, "usage: grid NET2C FOLDER [--every=K] [--per-model=M] [options of run]\n");
        return 2;
    }
    Options o = {.net2c = argv[1], .folder = argv[2], .every = 1, .per_model = 48,
                 .passed = argv + 3};
    for (int i = 3; i < argc; i++) {
        if (!strncmp(argv[i], "--every=", 8))
            o.every = atoi(argv[i] + 8);
        else if (!strncmp(argv[i], "--per-model=", 12))
            o.per_model = atoi(argv[i] + 12);
        else
            o.passed[o.n_passed++] = argv[i];
    }
    if (o.every < 1 || o.per_model < 1)
        return 2;
    if (row_missing(&o)) {
        printf("grid: skipped, this CPU lacks the instruction set\n");
        return 77;
    }
    mkdir(o.folder, 0777);
    int n = 0, failed = 0, total = 0, done = 0;
    GridCase *all = grid_cases(&n);
    for (int first = 0, index = 0; first < n; first += done * o.every, index++) {
        failed += check_model(&o, all, n, first, index, &done);
        total += done;
    }
    free(all);
    printf("grid: %d shapes", total);
    for (int i = 0; i < o.n_passed; i++)
        printf(" %s", o.passed[i]);
    printf(": %d with different bits\n", failed);
    return failed ? 1 : 0;
}
