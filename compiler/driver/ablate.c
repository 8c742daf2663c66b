/* ablate: what each optional pass brings: the code without it beside the code with all of them.
 *
 *     net2c bench net.yaml -w net.safetensors --ablate
 *     without                  min ms  median ms  difference ms (95 %)         arena bytes  C bytes
 *     -                         4.210      4.251                                      62720  536169
 *     fuse-layers               4.402      4.447  +0.195 (+0.180 to +0.211)           73280  501203
 *     graph-dce            same code
 *
 * contract: all variants are compiled before the first is measured. Then they run in turn, round by
 * round, each once untimed before it is timed, so that drift of the machine meets all alike. The
 * difference is the median over rounds of the difference within a round; the interval is by order,
 * whatever the distribution. A variant whose loops are those of the whole is not measured.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <string.h>

typedef struct Variant {
    const char *without;           /* a pass; NULL: all are there */
    Module *module;
    Session *session;              /* NULL: the same code as with all */
    double *ms, *difference;       /* by round, sorted at the end */
    double minimum, median, delta, low, high;
} Variant;

typedef struct Ablation {
    Cx *cx;
    const Options *options;
    Variant *variant;              /* the first one has all passes */
    int n, rounds;
    void **io;
    int64_t batch;
    const char *isa;
} Ablation;

static Options options_without(Arena *a, const Options *o, const char *pass)
{
    Options changed = *o;
    int n = o->n[OPT_DISABLE_PASS];
    const char **names = NEW_ARRAY(a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        names[i] = o->value[OPT_DISABLE_PASS][i];
    names[n] = pass;
    changed.value[OPT_DISABLE_PASS] = names;
    changed.n[OPT_DISABLE_PASS] = n + (pass != NULL);
    return changed;
}

static uint64_t hash_module(Cx *cx, const Module *m)
{
    const char *text = module_text(cx->temp, m);
    uint64_t hash = hash_bytes(HASH_SEED, text, strlen(text));
    arena_reset(cx->temp);
    return hash;
}

/* Compiles what is left without the pass; the inputs are made once, for the first variant. */
static bool open_variant(Ablation *x, const char *pass)
{
    Options o = options_without(x->cx->perm, x->options, pass);
    Variant *all = &x->variant[0], *v = &x->variant[x->n];
    Pipeline p;
    Weights *w;
    *v = (Variant){.without = pass};
    if (!pipeline_compile(&p, x->cx, &o, &w))
        return false;
    v->module = p.sized[0];
    x->n++;
    if (v != all && hash_module(x->cx, v->module) == hash_module(x->cx, all->module)) {
        weights_close(w);
        return true;
    }
    if (v == all) {
        x->batch = v->module->batch;
        x->io = tensors_make(x->cx, &o, p.graph, &x->batch);
        x->isa = p.row[p.used_row]->name;
    }
    v->session = x->io ? session_open(&p, w, &o) : NULL;
    weights_close(w);
    v->ms = NEW_ARRAY(x->cx->perm, double, x->rounds);
    v->difference = NEW_ARRAY(x->cx->perm, double, x->rounds);
    return v->session != NULL;
}

static bool open_all(Ablation *x)
{
    Pipeline given;
    if (!pipeline_start(&given, x->cx, x->options))
        return false;
    x->variant = NEW_ARRAY(x->cx->perm, Variant, given.n_passes + 1);
    bool ok = open_variant(x, NULL);
    for (int i = 0; ok && i < given.n_passes; i++)
        if (given.pass[i]->optional && pass_enabled(&given.run, given.pass[i]))
            ok = open_variant(x, given.pass[i]->name);
    return ok;
}

static bool measure(Ablation *x)
{
    for (int r = 0; r < x->rounds; r++)
        for (int i = 0; i < x->n; i++) {
            Variant *v = &x->variant[i];
            if (!v->session)
                continue;
            cx_phase(x->cx, "round %d, without %s", r + 1, v->without ? v->without : "nothing");
            if (!session_run(v->session, x->io, (size_t)x->batch, NULL))
                return false;
            double began = clock_ms();
            if (!session_run(v->session, x->io, (size_t)x->batch, NULL))
                return false;
            v->ms[r] = clock_ms() - began;
            v->difference[r] = v->ms[r] - x->variant[0].ms[r];
        }
    return true;
}

static void sum_up(Variant *v, int n)
{
    figures_sort(v->ms, n);
    figures_sort(v->difference, n);
    v->minimum = v->ms[0];
    v->median = figures_median(v->ms, n);
    v->delta = figures_median(v->difference, n);
    figures_interval(v->difference, n, &v->low, &v->high);
}

/* ---- results -------------------------------------------------------------------------------- */

static const char *signed_ms(Arena *a, double v)
{
    return arena_printf(a, "%s%s", v < 0 ? "" : "+", figure_fixed(a, v, 3));
}

static void print_text(const Ablation *x)
{
    Arena *a = x->cx->perm;
    printf("%-18s %9s %10s  %-30s %12s %9s\n", "without", "min ms", "median ms",
           "difference ms (95 %)", "arena bytes", "C bytes");
    for (int i = 0; i < x->n; i++) {
        const Variant *v = &x->variant[i];
        const char *name = v->without ? v->without : "-", *difference = "";
        if (!v->session) {
            printf("%-18s same code\n", name);
            continue;
        }
        if (i > 0)
            difference = arena_printf(a, "%s (%s to %s)", signed_ms(a, v->delta),
                                      signed_ms(a, v->low), signed_ms(a, v->high));
        printf("%-18s %9s %10s  %-30s %12lld %9llu\n", name, figure_fixed(a, v->minimum, 3),
               figure_fixed(a, v->median, 3), difference, (long long)v->module->arena_bytes,
               (unsigned long long)v->session->c_bytes);
    }
}

static void print_json(const Ablation *x)
{
    Arena *a = x->cx->perm;
    Str s = str_new(a);
    str_add(&s, "{\"network\": ");
    json_quote(&s, x->variant[0].module->name);
    str_printf(&s, ", \"isa\": \"%s\", \"rounds\": %d, \"threads\": %u, \"batch\": %lld,\n"
                   " \"variants\": [", x->isa, x->rounds,
               n2c_pool_exec(x->variant[0].session->pool).threads, (long long)x->batch);
    for (int i = 0; i < x->n; i++) {
        const Variant *v = &x->variant[i];
        str_printf(&s, "%s\n  {\"without\": \"%s\", \"same_code\": %s", i ? "," : "",
                   v->without ? v->without : "", v->session ? "false" : "true");
        if (v->session)
            str_printf(&s, ", \"min_ms\": %s, \"median_ms\": %s, \"difference_ms\": %s"
                           ", \"low_ms\": %s, \"high_ms\": %s, \"arena_bytes\": %lld"
                           ", \"c_bytes\": %llu", figure_fixed(a, v->minimum, 6),
                       figure_fixed(a, v->median, 6), figure_fixed(a, v->delta, 6),
                       figure_fixed(a, v->low, 6), figure_fixed(a, v->high, 6),
                       (long long)v->module->arena_bytes, (unsigned long long)v->session->c_bytes);
        str_add(&s, "}");
    }
    str_add(&s, "\n ]}\n");
    fputs(s.data, stdout);
}

int bench_ablate(Cx *cx, const Options *o)
{
    int64_t runs = option_count(o, OPT_RUNS, 20);
    Ablation x = {.cx = cx, .options = o,
                  .rounds = (int)(runs < 1 ? 1 : runs > 10000 ? 10000 : runs)};
    if (o->n[OPT_LAYERS] || o->n[OPT_BASELINE] || o->n[OPT_BACKEND]) {
        diag_error(cx->diags, NO_PLACE, "E0009", "--ablate goes with neither --layers, --baseline "
                   "nor --backend");
        return status_of_errors(cx->diags);
    }
    bool ok = open_all(&x) && measure(&x);
    for (int i = 0; ok && i < x.n; i++)
        if (x.variant[i].session)
            sum_up(&x.variant[i], x.rounds);
    for (int i = 0; i < x.n; i++)
        if (x.variant[i].session)
            session_close(x.variant[i].session);
    if (!ok)
        return status_of_errors(cx->diags);
    if (o->n[OPT_JSON])
        print_json(&x);
    else
        print_text(&x);
    return STATUS_OK;
}
