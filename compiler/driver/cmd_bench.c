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

/* What two times must have in common to be compared, as --json prints it. */
enum { N_SETTINGS = 5 };
static const char *const settings[N_SETTINGS] = {"network", "isa", "precision", "threads", "batch"};

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
    const char *here[N_SETTINGS], *there[N_SETTINGS];   /* in the baseline; NULL: not told */
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
    for (int i = 0; i < N_SETTINGS; i++) {
        str_printf(&s, "%s\"%s\": ", i ? ", " : "{", settings[i]);
        if (b->here[i][strspn(b->here[i], "0123456789")])
            json_quote(&s, b->here[i]);
        else
            str_add(&s, b->here[i]);
    }
    str_add(&s, ",\n \"cc\": ");
    json_quote(&s, b->backend == BACKEND_JIT
                        ? "jit" : option_text(o, OPT_CC, getenv("CC") ? getenv("CC") : "cc"));
    str_printf(&s, ", \"min_ms\": %s, \"median_ms\": %s, \"p90_ms\": %s, \"runs\": %d,\n",
               figure_fixed(a, b->whole[0], 6),
               figure_fixed(a, figures_median(b->whole, b->runs), 6),
               figure_fixed(a, percentile(b->whole, b->runs, 0.9), 6), b->runs);
    str_printf(&s, " \"arena_bytes\": %lld,\n \"layers\": [",
               (long long)b->module->arena_bytes);
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

/* A string, or the digits of a number; "" before anything else. NULL: not JSON. */
static const char *read_scalar(Json *j)
{
    if (json_peek(j, '"'))
        return json_string(j);
    size_t n = strspn(j->text + j->at, "0123456789.");
    j->at += n;
    return arena_strndup(j->arena, j->text + j->at - n, n);
}

/* The settings and the minimum; what stands behind it is not wanted. */
static bool read_minimum(Json *j, const char *setting[N_SETTINGS], double *minimum)
{
    bool first = true;
    json_take(j, '{');
    while (json_next(j, '}', &first)) {
        const char *key = json_string(j);
        const char *scalar = key && json_take(j, ':') ? read_scalar(j) : NULL;
        if (!scalar)
            return false;
        for (int i = 0; i < N_SETTINGS; i++)
            if (str_eq(key, settings[i]))
                setting[i] = scalar;
        if (str_eq(key, "min_ms"))
            return parse_double(scalar, minimum) && *minimum > 0;
    }
    return false;
}

static const char *read_result(Cx *cx, const char *path, const char *network,
                               const char *setting[N_SETTINGS], double *minimum)
{
    Bytes file;
    if (!file_read(cx, path, 1 << 20, &file))
        return NULL;
    const char *text = arena_strndup(cx->perm, (const char *)file.data, file.size);
    Json j = json_start(cx->perm, text, file.size);
    if (read_minimum(&j, setting, minimum) && str_eq(setting[0], network))
        return text;
    diag_error(cx->diags, NO_PLACE, "E0127", "'%s' is no result of bench for '%s'", path, network);
    diag_help(cx->diags, "net2c bench --json prints one");
    return NULL;
}

const char *bench_read(Cx *cx, const char *path, const char *network, double *minimum)
{
    const char *setting[N_SETTINGS] = {NULL};
    return read_result(cx, path, network, setting, minimum);
}

static bool read_baseline(Bench *b, const Options *o, const char *network)
{
    const char *path = option_text(o, OPT_BASELINE, NULL);
    const char *most = option_text(o, OPT_MAX_REGRESS, "3%");
    size_t digits = strcspn(most, "%");
    if (!parse_double(arena_strndup(b->cx->perm, most, digits), &b->max_regress) ||
        !(b->max_regress >= 0) || (most[digits] && most[digits + 1]))
        return diag_error(b->cx->diags, NO_PLACE, "E0003", "--max-regress needs a percentage, not "
                          "'%s'", most);
    b->max_regress /= 100;
    return !path || read_result(b->cx, path, network, b->there, &b->baseline);
}

static bool check_settings(const Bench *b, const Options *o)
{
    for (int i = 0; i < N_SETTINGS && o->n[OPT_BASELINE]; i++) {
        if (str_eq(b->there[i], b->here[i]))
            continue;
        diag_error(b->cx->diags, NO_PLACE, "E0127", "'%s' is no baseline of this: %s is %s there, "
                   "%s here", option_text(o, OPT_BASELINE, ""), settings[i],
                   b->there[i] ? b->there[i] : "not told", b->here[i]);
        return diag_help(b->cx->diags, "compare with what bench --json prints with these options");
    }
    return true;
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

static bool open_bench(Bench *b, Pipeline *p, const Weights *w, const Options *o)
{
    Arena *a = b->cx->perm;
    b->batch = p->sized[0]->batch;
    if (!read_baseline(b, o, p->graph->name) ||
        !(b->io = tensors_make(b->cx, o, p->graph, &b->batch)) ||
        !(b->session = session_open(p, w, o)))
        return false;
    b->module = pipeline_sized(p, b->batch);
    b->threads = n2c_pool_exec(b->session->pool).threads;
    const char *const here[N_SETTINGS] = {
        p->graph->name, p->row[p->used_row]->name, p->pass_cx.narrow ? "bf16w" : "f32",
        arena_printf(a, "%u", b->threads), arena_printf(a, "%lld", (long long)b->batch)};
    memcpy(b->here, here, sizeof here);
    return true;
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
    bool ok = open_bench(&b, &p, w, o);
    weights_close(w);
    ok = ok && check_settings(&b, o) && measure_whole(&b) &&
         (!(o->n[OPT_LAYERS] || o->n[OPT_JSON]) || measure_steps(&b));
    if (ok && o->n[OPT_JSON])
        print_json(&b, o);
    else if (ok)
        print_text(&b);
    if (b.session)
        session_close(b.session);
    return ok ? compare_baseline(&b) : status_of_errors(cx->diags);
}
