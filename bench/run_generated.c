/* run_generated: a network's generated code as a program that runs on request. Built once a network
 * and compiler, and measured in turn with its rivals.
 *
 *   cc -O2 -DNET=alexnet -DNET_HEADER='"alexnet_gen.h"' run_generated.c alexnet_gen.c libnet2c_rt.a
 *
 * usage: run_generated WEIGHTS.n2w [--input=x.f32] [--output=y.f32] [--batch=N] [--threads=N]
 *                      [--steps]
 *   input, output  raw floats of all inputs / outputs one after the other; without input, seeded
 *   steps          each answer is followed by the milliseconds of every step
 * Prints "step NAME FLOPS WEIGHT_BYTES" lines and "ready", then serves as yardstick.h says:
 * milliseconds of a run for each line read.
 */
#include <net2c_rt.h>
#include NET_HEADER

#include "yardstick.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

enum { MAX_TENSORS = 64, MAX_STEPS = 4096 };

typedef struct Session {
    JOIN(NET, _model) model;
    JOIN(NET, _io) io;
    const n2c_info *info;
    size_t batch;
    n2c_pool *pool;                      /* NULL: this thread alone */
    void *arena;
    float *tensor[MAX_TENSORS];          /* inputs, then outputs: the members of io in order */
    size_t count[MAX_TENSORS];
    double start[MAX_STEPS], seconds[MAX_STEPS];
} Session;

_Static_assert(sizeof(JOIN(NET, _io)) % sizeof(float *) == 0, "io is pointers only");

static int fail(const char *what)
{
    fprintf(stderr, "run_generated: %s\n", what);
    return 1;
}

static int mark_step(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Session *s = user;
    (void)data;
    (void)bytes;
    if (step < MAX_STEPS && phase == N2C_STEP_BEGIN)
        s->start[step] = now_seconds();
    else if (step < MAX_STEPS)
        s->seconds[step] = now_seconds() - s->start[step];
    return 0;
}

/* Allocates every input and output; inputs get seeded values, about as a normalised picture. */
static int prepare_tensors(Session *s)
{
    unsigned n = s->info->n_inputs + s->info->n_outputs;
    uint64_t random = 1;
    if (n > MAX_TENSORS || n * sizeof(float *) != sizeof s->io)
        return fail("unexpected number of inputs and outputs");
    for (unsigned i = 0; i < n; i++) {
        int input = i < s->info->n_inputs;
        const n2c_tensor_info *t =
            input ? &s->info->inputs[i] : &s->info->outputs[i - s->info->n_inputs];
        s->count[i] = s->batch;
        for (unsigned d = 1; d < t->rank; d++)
            s->count[i] *= t->dim[d];
        s->tensor[i] = n2c_aligned_alloc(s->count[i] * sizeof(float));
        if (!s->tensor[i])
            return fail("out of memory");
        for (size_t j = 0; j < s->count[i]; j++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            s->tensor[i][j] = input ? (float)(int32_t)(random >> 32) * 0x1p-30f : 0;
        }
    }
    memcpy(&s->io, s->tensor, sizeof s->io);
    return 0;
}

/* Reads all inputs from, or writes all outputs to, a file of raw floats. */
static int transfer(Session *s, const char *path, int write)
{
    FILE *f = fopen(path, write ? "wb" : "rb");
    if (!f)
        return fail(path);
    unsigned first = write ? s->info->n_inputs : 0;
    unsigned last = write ? first + s->info->n_outputs : s->info->n_inputs;
    int ok = 1;
    for (unsigned i = first; i < last; i++) {
        float *t = s->tensor[i];
        size_t done = write ? fwrite(t, sizeof *t, s->count[i], f)
                            : fread(t, sizeof *t, s->count[i], f);
        ok = ok && done == s->count[i];
    }
    if (fclose(f) != 0 || !ok)
        return fail(path);
    return 0;
}

static double run_once(Session *s, int steps)
{
    n2c_exec exec = n2c_pool_exec(s->pool);
    exec.on_step = steps ? mark_step : NULL;
    exec.user = s;
    double start = now_seconds();
    n2c_status status = JOIN(NET, _run)(&s->model, &s->io, s->batch, s->arena, &exec);
    double ms = (now_seconds() - start) * 1e3;
    if (status == N2C_OK)
        return ms;
    fail(n2c_status_text(status));
    exit(1);
}

static void serve(Session *s, int steps)
{
    char line[64];
    for (unsigned i = 0; steps && i < s->info->n_steps; i++)
        printf("step %s %.0f %.0f\n", s->info->steps[i].name, s->info->steps[i].flops,
               s->info->steps[i].weight_bytes);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("%.6f", run_once(s, steps));
        for (unsigned i = 0; steps && i < s->info->n_steps && i < MAX_STEPS; i++)
            printf(" %.6f", s->seconds[i] * 1e3);
        putchar('\n');
        fflush(stdout);
    }
}

static int start_session(Session *s, const char *weights_path)
{
    const void *weights;
    size_t bytes;
    n2c_status status = n2c_map_weights(weights_path, &weights, &bytes);
    if (status == N2C_OK)
        status = JOIN(NET, _bind)(&s->model, weights, bytes);
    if (status != N2C_OK)
        return fail(n2c_status_text(status));
    s->info = JOIN(NET, _info)();
    s->arena = n2c_aligned_alloc(s->info->arena_bytes);
    if (!s->arena)
        return fail("out of memory");
    return prepare_tensors(s);
}

int main(int argc, char **argv)
{
    static Session session;
    const char *weights = NULL, *input = NULL, *output = NULL;
    unsigned threads = 1;
    int steps = 0;
    session.batch = 1;
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--input=", 8))
            input = argv[i] + 8;
        else if (!strncmp(argv[i], "--output=", 9))
            output = argv[i] + 9;
        else if (!strncmp(argv[i], "--batch=", 8))
            session.batch = (size_t)strtoul(argv[i] + 8, NULL, 10);
        else if (!strncmp(argv[i], "--threads=", 10))
            threads = (unsigned)strtoul(argv[i] + 10, NULL, 10);
        else if (!strcmp(argv[i], "--steps"))
            steps = 1;
        else
            weights = argv[i];
    }
    if (!weights || session.batch < 1)
        return fail("usage: run_generated WEIGHTS.n2w [--input=] [--output=] [--batch=] "
                    "[--threads=] [--steps]");
    session.pool = threads > 1 ? n2c_pool_create(threads) : NULL;
    if (threads > 1 && !session.pool)
        return fail("cannot start threads");
    if (start_session(&session, weights) || (input && transfer(&session, input, 0)))
        return 1;
    run_once(&session, 0);
    if (output && transfer(&session, output, 1))
        return 1;
    serve(&session, steps);
    return 0;
}
