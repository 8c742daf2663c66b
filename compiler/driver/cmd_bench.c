/* net2c bench: the time of generated code, whole and kernel by kernel.
 *
 *     net2c bench net.yaml -w net.safetensors --runs 20 --layers
 *     min 4.21 ms  median 4.25 ms  p90 4.40 ms  (20 runs, batch 1, 1 thread)
 *
 * contract: one run warms up and is not counted. Kernels are timed in runs of their own, by the
 * hook that generated code calls before and after each, so that the whole is not disturbed; a
 * kernel's time is its median. GFLOP/s count the operations of the definition, whatever the
 * algorithm; GB/s count each argument of a kernel once. Without --input, one call has as many items
 * as the largest of --batch.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bench {
    Cx *cx;
    const Module *module;
    Backend backend;
    Session *session;
    void **io;
    int64_t batch;
    int runs;
    unsigned threads;
    double *whole;                 /* ms, sorted */
    double **step;                 /* by kernel: ms, sorted; NULL: not measured */
    int run;                       /* the one being measured; -1: warming up */
    double began;
    double baseline, max_regress;  /* ms, 0: none; share */
} Bench;

/* Of sorted times: the smallest that the share p of all does not exceed. */
static double percentile(const double *t, int n, double p)
{
    int at = (int)(p * n);
    return t[at < n ? at : n - 1];
}

static int time_step(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Bench *b = user;
    double now = clock_ms();
    (void)data;
    (void)bytes;
    if (phase == N2C_STEP_BEGIN)
        b->began = clock_ms();
    else if (b->run >= 0)
        b->step[step][b->run] += now - b->began;
    return 0;
}

static bool measure_whole(Bench *b)
{
    b->whole = NEW_ARRAY(b->cx->perm, double, b->runs);
    cx_phase(b->cx, "measuring");
    for (int i = -1; i < b->runs; i++) {
        double began = clock_ms();
        if (!session_run(b->session, b->io, (size_t)b->batch, NULL))
            return false;
        if (i >= 0)
            b->whole[i] = clock_ms() - began;
    }
    figures_sort(b->whole, b->runs);
    return true;
}

static bool measure_steps(Bench *b)
{
    const n2c_exec exec = {.on_step = time_step, .user = b};
    b->step = NEW_ARRAY(b->cx->perm, double *, b->module->n_steps);
    for (int i = 0; i < b->module->n_steps; i++)
        b->step[i] = NEW_ARRAY(b->cx->perm, double, b->runs);
    cx_phase(b->cx, "measuring kernels");
    for (b->run = -1; b->run < b->runs; b->run++)
        if (!session_run(b->session, b->io, (size_t)b->batch, &exec))
            return false;
    for (int i = 0; i < b->module->n_steps; i++)
        figures_sort(b->step[i], b->runs);
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
    StepFigures f = {.ms = figures_median(b->step[i], b->runs)};
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
           figure_fixed(a, b->whole[0], 3),
           figure_fixed(a, figures_median(b->whole, b->runs), 3),
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
    json_quote(&s, b->backend == BACKEND_JIT
                       ? "jit" : option_text(o, OPT_CC, getenv("CC") ? getenv("CC") : "cc"));
    str_printf(&s, ",\n \"min_ms\": %s, \"median_ms\": %s, \"p90_ms\": %s, \"runs\": %d,\n",
               figure_fixed(a, b->whole[0], 6),
               figure_fixed(a, figures_median(b->whole, b->runs), 6),
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
        str_add(&s, ", \"algorithm\": ");
        json_quote(&s, step->kernel->algo ? step->kernel->algo : "direct");
        str_printf(&s, ", \"median_ms\": %s, \"min_ms\": %s, \"flops\": %lld, \"gflops\": %s"
                       ", \"gbytes_per_s\": %s}", figure_fixed(a, f.ms, 6),
                   figure_fixed(a, b->step[i][0], 6), (long long)step->kernel->flops,
                   figure_fixed(a, f.gflops, 3), figure_fixed(a, f.gbytes, 3));
    }
    str_add(&s, "\n ]}\n");
    fputs(s.data, stdout);
}

/* ---- baseline ------------------------------------------------------------------------------- */

/* The value of "min_ms", which is all that is wanted of the file; it stands after strings only. */
static bool find_minimum(Json *j, const char *network, double *out)
{
    bool first = true, same = false;
    json_take(j, '{');
    while (json_next(j, '}', &first)) {
        const char *key = json_string(j);
        if (!key || !json_take(j, ':'))
            return false;
        if (str_eq(key, "min_ms")) {
            const char *number = j->text + j->at + strspn(j->text + j->at, " ");
            size_t n = strspn(number, "0123456789.");
            return same && parse_double(arena_strndup(j->arena, number, n), out) && *out > 0;
        }
        const char *value = json_string(j);
        same = same || (str_eq(key, "network") && value && str_eq(value, network));
    }
    return false;
}

const char *bench_read(Cx *cx, const char *path, const char *network, double *minimum)
{
    Bytes file;
    if (!file_read(cx, path, 1 << 20, &file))
        return NULL;
    const char *text = arena_strndup(cx->perm, (const char *)file.data, file.size);
    Json j = json_start(cx->perm, text, file.size);
    if (find_minimum(&j, network, minimum))
        return text;
    diag_error(cx->diags, NO_PLACE, "E0127", "'%s' is no result of bench for '%s'", path, network);
    diag_help(cx->diags, "net2c bench --json prints one");
    return NULL;
}

static bool read_baseline(Bench *b, const Options *o, const char *network)
{
    const char *path = option_text(o, OPT_BASELINE, NULL);
    const char *most = option_text(o, OPT_MAX_REGRESS, "3%");
    size_t digits = strcspn(most, "%");
    if (!parse_double(arena_strndup(b->cx->perm, most, digits), &b->max_regress) ||
        !(b->max_regress >= 0) || (most[digits] && most[digits + 1])) {
        diag_error(b->cx->diags, NO_PLACE, "E0003", "--max-regress needs a percentage, not '%s'",
                   most);
        return false;
    }
    b->max_regress /= 100;
    return !path || bench_read(b->cx, path, network, &b->baseline);
}

static int compare_baseline(const Bench *b)
{
    if (b->baseline == 0)
        return STATUS_OK;
    Arena *a = b->cx->perm;
    double longer = b->whole[0] / b->baseline - 1;
    bool regressed = longer > b->max_regress;
    fprintf(stderr, "%s: %s%s %% beside the baseline of %s ms; +%s %% is allowed\n",
            regressed ? "regression" : "no regression", longer < 0 ? "" : "+",
            figure_fixed(a, longer * 100, 1), figure_fixed(a, b->baseline, 3),
            figure_fixed(a, b->max_regress * 100, 1));
    return regressed ? STATUS_REGRESSION : STATUS_OK;
}

int cmd_bench(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    int64_t runs = option_count(o, OPT_RUNS, 20);
    Bench b = {.cx = cx, .runs = (int)(runs < 1 ? 1 : runs > 1000000 ? 1000000 : runs)};
    if (o->n[OPT_ABLATE])
        return bench_ablate(cx, o);
    if (!pipeline_compile(&p, cx, o, &w))
        return status_of_errors(cx->diags);
    b.backend = p.backend;
    b.batch = p.sized[0]->batch;
    if (read_baseline(&b, o, p.graph->name))
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
    return compare_baseline(&b);
}
