/* net2c bench: the time of generated code, whole and kernel by kernel.
 *
 *     net2c bench net.yaml -w net.safetensors --runs 20 --layers
 *     min 4.21 ms  median 4.25 ms  p90 4.40 ms  (20 runs, batch 1, 1 thread)
 *
 * contract: one run warms up and is not counted. Kernels are timed in runs of their own, by the
 * hook that generated code calls before and after each, so that the whole is not disturbed; a
 * kernel's time is its median. GB/s counts each argument of a kernel once. Without --input, one
 * call has as many items as the largest of --batch.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct Bench {
    Cx *cx;
    const Module *module;
    Session *session;
    void **io;
    int64_t batch;
    int runs;
    unsigned threads;
    double *whole;                 /* ms, sorted */
    double **step;                 /* by kernel: ms, sorted; NULL: not measured */
    int run;                       /* the one being measured; -1: warming up */
    double began;
} Bench;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted times: the smallest that the share p of all does not exceed. */
static double percentile(const double *t, int n, double p)
{
    int at = (int)(p * n);
    return t[at < n ? at : n - 1];
}

static double median(const double *t, int n)
{
    return n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2;
}

static int time_step(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Bench *b = user;
    double now = now_ms();
    (void)data;
    (void)bytes;
    if (phase == N2C_STEP_BEGIN)
        b->began = now_ms();
    else if (b->run >= 0)
        b->step[step][b->run] += now - b->began;
    return 0;
}

static bool measure_whole(Bench *b)
{
    b->whole = NEW_ARRAY(b->cx->perm, double, b->runs);
    progress("measuring");
    for (int i = -1; i < b->runs; i++) {
        double began = now_ms();
        if (!session_run(b->session, b->io, (size_t)b->batch, NULL))
            return false;
        if (i >= 0)
            b->whole[i] = now_ms() - began;
    }
    qsort(b->whole, (size_t)b->runs, sizeof *b->whole, compare_doubles);
    return true;
}

static bool measure_steps(Bench *b)
{
    const n2c_exec exec = {.on_step = time_step, .user = b};
    b->step = NEW_ARRAY(b->cx->perm, double *, b->module->n_steps);
    for (int i = 0; i < b->module->n_steps; i++)
        b->step[i] = NEW_ARRAY(b->cx->perm, double, b->runs);
    progress("measuring kernels");
    for (b->run = -1; b->run < b->runs; b->run++)
        if (!session_run(b->session, b->io, (size_t)b->batch, &exec))
            return false;
    for (int i = 0; i < b->module->n_steps; i++)
        qsort(b->step[i], (size_t)b->runs, sizeof(double), compare_doubles);
    return true;
}

/* What a kernel has to move at least, scratch apart. */
static double step_bytes(const Step *s)
{
    double bytes = 0;
    for (int i = 0; i < s->kernel->n_buffers; i++)
        if (s->kernel->buffer[i]->kind != BUF_SCRATCH)
            bytes += (double)buffer_bytes(&s->arg[i]->shape);
    return bytes;
}

typedef struct StepFigures {
    double ms, gflops, gbytes;
} StepFigures;

static StepFigures step_figures(const Bench *b, int i)
{
    const Step *s = &b->module->step[i];
    StepFigures f = {.ms = median(b->step[i], b->runs)};
    double seconds = f.ms / 1e3, items = (double)b->batch / (double)b->module->batch;
    if (seconds > 0) {
        f.gflops = (double)s->kernel->flops * items / seconds / 1e9;
        f.gbytes = step_bytes(s) * items / seconds / 1e9;
    }
    return f;
}

/* ---- results -------------------------------------------------------------------------------- */

static void print_text(const Bench *b)
{
    Arena *a = b->cx->perm;
    if (b->step) {
        printf("%-24s %10s %9s %8s\n", "kernel", "ms", "GFLOP/s", "GB/s");
        for (int i = 0; i < b->module->n_steps; i++) {
            StepFigures f = step_figures(b, i);
            printf("%-24s %10s %9s %8s\n", b->module->step[i].kernel->name,
                   figure_fixed(a, f.ms, 4), figure_fixed(a, f.gflops, 1),
                   figure_fixed(a, f.gbytes, 1));
        }
    }
    printf("min %s ms  median %s ms  p90 %s ms  (%d runs, batch %lld, %u thread%s)\n",
           figure_fixed(a, b->whole[0], 3), figure_fixed(a, median(b->whole, b->runs), 3),
           figure_fixed(a, percentile(b->whole, b->runs, 0.9), 3), b->runs, (long long)b->batch,
           b->threads, b->threads == 1 ? "" : "s");
}

static void print_json(const Bench *b, const Options *o)
{
    Arena *a = b->cx->perm;
    Str s = str_new(a);
    str_add(&s, "{\"network\": ");
    json_quote(&s, b->module->name);
    str_add(&s, ", \"isa\": ");
    json_quote(&s, b->module->row);
    str_add(&s, ", \"cc\": ");
    json_quote(&s, option_text(o, OPT_CC, getenv("CC") ? getenv("CC") : "cc"));
    str_printf(&s, ",\n \"min_ms\": %s, \"median_ms\": %s, \"p90_ms\": %s, \"runs\": %d,\n",
               figure_fixed(a, b->whole[0], 6), figure_fixed(a, median(b->whole, b->runs), 6),
               figure_fixed(a, percentile(b->whole, b->runs, 0.9), 6), b->runs);
    str_printf(&s, " \"threads\": %u, \"batch\": %lld, \"arena_bytes\": %lld,\n \"layers\": [",
               b->threads, (long long)b->batch, (long long)b->module->arena_bytes);
    for (int i = 0; i < b->module->n_steps; i++) {
        const Step *step = &b->module->step[i];
        StepFigures f = step_figures(b, i);
        str_add(&s, i ? ",\n  {\"kernel\": " : "\n  {\"kernel\": ");
        json_quote(&s, step->kernel->name);
        str_add(&s, ", \"origin\": ");
        json_quote(&s, step->kernel->origin ? step->kernel->origin : "");
        str_printf(&s, ", \"median_ms\": %s, \"min_ms\": %s, \"flops\": %lld, \"gflops\": %s"
                       ", \"gbytes_per_s\": %s}", figure_fixed(a, f.ms, 6),
                   figure_fixed(a, b->step[i][0], 6), (long long)step->kernel->flops,
                   figure_fixed(a, f.gflops, 3), figure_fixed(a, f.gbytes, 3));
    }
    str_add(&s, "\n ]}\n");
    fputs(s.data, stdout);
}

int cmd_bench(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    int64_t runs = option_count(o, OPT_RUNS, 20);
    Bench b = {.cx = cx, .runs = (int)(runs < 1 ? 1 : runs > 1000000 ? 1000000 : runs)};
    if (!pipeline_compile(&p, cx, o, &w))
        return status_of_errors(cx->diags);
    b.batch = p.sized[0]->batch;
    b.io = tensors_make(cx, o, p.graph, &b.batch);
    b.module = pipeline_sized(&p, b.batch);
    b.session = b.io ? session_open(&p, w, o) : NULL;
    weights_close(w);
    if (!b.session)
        return status_of_errors(cx->diags);
    b.threads = n2c_pool_exec(b.session->pool).threads;
    bool ok = measure_whole(&b) && (!(o->n[OPT_LAYERS] || o->n[OPT_JSON]) || measure_steps(&b));
    session_close(b.session);
    if (!ok)
        return status_of_errors(cx->diags);
    if (o->n[OPT_JSON])
        print_json(&b, o);
    else
        print_text(&b);
    return STATUS_OK;
}
