/* net2c tune: measures schedules of each kernel and writes those that win to a file for --schedule.
 *
 *     net2c tune net.yaml -w net.safetensors --budget 60s -o net.sched
 *     kernel                  tried   found ms    best ms   difference (95 %)
 *     conv2                      21     0.0102     0.0093   -8.8 % (-9.1 to -8.2)
 *
 * The kernels with the most arithmetic come first, each with a share of the time. Of one, the
 * schedules that the cost model likes best are measured together, with some others at random; then
 * what can be varied about the winner; then the winner in turn with the schedule that is found
 * without a file. Only if it is faster there, beyond chance, is it written; else `auto` is.
 *
 * contract: no schedule that is tried changes a bit of a result. What is tried depends on the seed
 * and on what won before. The file is written anew, whole or not at all, after each kernel: ending
 * net2c by a signal keeps what it has. Entries that it had are kept, their kernels left alone.
 */
#include "driver/driver.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIKED = 12, RANKED = 64, LEAST_ROUNDS = 5, FINAL_ROUNDS = 41 };
#define WORTH 0.005                /* a smaller gain is none */

typedef struct Tune {
    Cx *cx;
    const Options *options;
    Pipeline pipeline;
    Weights *weights;
    const char *path;
    Str file;                      /* what is in it */
    double end;                    /* of the budget */
    uint64_t random;
} Tune;

typedef struct Found {             /* for one kernel */
    Candidate best;
    int tried;
    double found_ms, best_ms;      /* medians of the final */
    double delta, low, high;       /* of the difference, as a share */
} Found;

static bool read_budget(Cx *cx, const Options *o, double *ms)
{
    const char *text = option_text(o, OPT_BUDGET, "60s"), *unit = "smh";
    size_t n = strspn(text, "0123456789.");
    const char *at = text[n] ? strchr(unit, text[n]) : unit;
    double number;
    if (at && (!text[n] || !text[n + 1]) &&
        parse_double(arena_strndup(cx->temp, text, n), &number) && number > 0 && number < 1e6) {
        *ms = number * 1e3 * (at == unit ? 1 : at == unit + 1 ? 60 : 3600);
        return true;
    }
    diag_error(cx->diags, NO_PLACE, "E0003", "--budget needs a time like 60s, 5m or 1h, not '%s'",
               text);
    return false;
}

static int fastest(const Trials *t)
{
    int best = 0;
    for (int i = 1; i < t->n; i++)
        best = t->ms[i][0] < t->ms[best][0] ? i : best;
    return best;
}

/* The candidate among n whose schedule was the fastest of the trials; NULL: none could run. */
static const Candidate *measure(Tune *x, int step, const Candidate *c, int n, double end)
{
    Trials t = {.n = n};
    for (int i = 0; i < n; i++)
        t.schedule[i] = c[i].text;
    if (!trials_run(&x->pipeline, x->weights, x->options, step, &t, LEAST_ROUNDS, end))
        return NULL;
    for (int i = 0; i < t.n; i++)
        figures_sort(t.ms[i], t.rounds);
    const char *best = t.schedule[fastest(&t)];
    while (c->text != best)
        c++;
    return c;
}

/* The best of all n by the model, and in the last places some of the others at random. */
static int choose_candidates(Tune *x, Candidate *c, int n, int room)
{
    int some = room / 4;
    if (n <= room)
        return n;
    for (int i = room - some; i < room; i++) {
        x->random = x->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int other = i + (int)((x->random >> 33) % (uint64_t)(n - i));
        Candidate swap = c[i];
        c[i] = c[other];
        c[other] = swap;
    }
    return room;
}

/* The winner in turn with what is found without a file. false: it does not win, or cannot run. */
static bool compare(Tune *x, int step, const char *found, Found *f, double end)
{
    Trials t = {.schedule = {found, f->best.text}, .n = 2};
    if (!trials_run(&x->pipeline, x->weights, x->options, step, &t, FINAL_ROUNDS, end) || t.n < 2)
        return false;
    double *difference = NEW_ARRAY(x->cx->perm, double, t.rounds);
    for (int r = 0; r < t.rounds; r++)
        difference[r] = t.ms[1][r] / t.ms[0][r] - 1;
    for (int i = 0; i < 2; i++)
        figures_sort(t.ms[i], t.rounds);
    figures_sort(difference, t.rounds);
    f->found_ms = figures_median(t.ms[0], t.rounds);
    f->best_ms = figures_median(t.ms[1], t.rounds);
    f->delta = figures_median(difference, t.rounds);
    figures_interval(difference, t.rounds, &f->low, &f->high);
    return f->high < 0 && f->delta < -WORTH && t.ms[1][0] < t.ms[0][0];
}

/* Searches for `share` ms. false: nothing could be measured. */
static bool search(Tune *x, int step, double share, Found *f)
{
    Cx *cx = x->cx;
    Nest **nests;
    const Row *row = x->pipeline.row[0];
    Candidate *c = NEW_ARRAY(cx->perm, Candidate, RANKED), variant[MAX_TRIALS];
    double now = clock_ms();
    int n_nests = nests_of_kernel(cx, x->pipeline.module->step[step].kernel, &nests);
    int n = n_nests > 0 ? schedule_candidates(cx->perm, nests, n_nests, row, c, RANKED) : 0;
    int room = trials_room(&x->pipeline, step);
    *f = (Found){0};
    if (n < 2)
        return false;
    const char *found = c[0].text;
    n = choose_candidates(x, c, n, room < LIKED ? room : LIKED);
    const Candidate *best = measure(x, step, c, n, now + share * 0.4);
    if (!best)
        return false;
    variant[0] = *best;
    f->tried = n;
    if (clock_ms() < now + share * 0.8) {
        n = 1 + schedule_variants(cx->perm, nests, n_nests, row, &best->choice, variant + 1,
                                  room - 1);
        f->tried += n - 1;
        best = n > 1 ? measure(x, step, variant, n, now + share * 0.8) : best;
    }
    f->best = best ? *best : variant[0];
    if (str_eq(f->best.text, found) || !compare(x, step, found, f, now + share))
        f->best.text = "auto";
    return true;
}

static bool write_entry(Tune *x, int step, const Found *f)
{
    const char *name = x->pipeline.module->step[step].kernel->name;
    bool won = !str_eq(f->best.text, "auto");
    str_printf(&x->file, "# %s: ", name);
    if (won)
        str_printf(&x->file, "%s %% less time than the schedule found, of %d tried\n",
                   figure_fixed(x->cx->temp, -100 * f->delta, 1), f->tried);
    else
        str_printf(&x->file, "none of %d tried takes less time than the schedule found\n",
                   f->tried);
    schedule_print(&x->file, "", x->pipeline.descriptor[step], x->pipeline.row[0]->name,
                   f->best.text);
    return file_write(x->cx, x->path, x->file.data, x->file.len);
}

static const char *percent(Arena *a, double share)
{
    return arena_printf(a, "%s%s", share < 0 ? "" : "+", figure_fixed(a, 100 * share, 1));
}

static void print_found(const Tune *x, int step, const Found *f)
{
    Arena *a = x->cx->temp;
    const char *name = x->pipeline.module->step[step].kernel->name;
    if (f->found_ms > 0)
        printf("%-24s %5d %10s %10s   %s %% (%s to %s)%s\n", name, f->tried,
               figure_fixed(a, f->found_ms, 4), figure_fixed(a, f->best_ms, 4),
               percent(a, f->delta), percent(a, f->low), percent(a, f->high),
               str_eq(f->best.text, "auto") ? ", kept as found" : "");
    else
        printf("%-24s %5d   the schedule found is the fastest\n", name, f->tried);
    fflush(stdout);
}

/* The steps to tune, by falling arithmetic; twins, and those that have an entry, are left out. */
static int list_steps(const Tune *x, int *list)
{
    const Pipeline *p = &x->pipeline;
    int n = 0;
    for (int i = 0; i < p->module->n_steps; i++) {
        const Kernel *k = p->module->step[i].kernel;
        const char *text;
        bool wanted = layer_chosen(x->options, k->name) && !k->schedule;
        if (p->schedules && schedules_find(p->schedules, k->name, p->descriptor[i],
                                           p->row[0]->name, &text))
            continue;
        for (int s = 0; s < n; s++)
            wanted = wanted && !str_eq(p->descriptor[list[s]], p->descriptor[i]);
        int at = n;
        n += wanted;
        for (; wanted && at > 0 && p->module->step[list[at - 1]].kernel->flops < k->flops; at--)
            list[at] = list[at - 1];
        if (wanted)
            list[at] = i;
    }
    return n;
}

/* The root: small kernels still get enough to be measured. */
static double weight_of(const Tune *x, int step)
{
    return sqrt((double)x->pipeline.module->step[step].kernel->flops + 1);
}

static bool tune_all(Tune *x)
{
    int *list = NEW_ARRAY(x->cx->perm, int, x->pipeline.module->n_steps);
    int n = list_steps(x, list), i = 0;
    double rest = 0;
    for (int k = 0; k < n; k++)
        rest += weight_of(x, list[k]);
    printf("%-24s %5s %10s %10s   %s\n", "kernel", "tried", "found ms", "best ms",
           "difference (95 %)");
    for (; i < n && clock_ms() < x->end; i++) {
        Found f;
        double share = (x->end - clock_ms()) * weight_of(x, list[i]) / rest;
        rest -= weight_of(x, list[i]);
        cx_phase(x->cx, "kernel %s", x->pipeline.module->step[list[i]].kernel->name);
        bool any = search(x, list[i], share, &f);
        if (diags_error_count(x->cx->diags) > 0 || (any && !write_entry(x, list[i], &f)))
            return false;
        if (any)
            print_found(x, list[i], &f);
    }
    if (i < n) {
        diag_add(x->cx->diags, DIAG_WARNING, NO_PLACE, NULL,
                 "the budget ended before %d of %d kernels", n - i, n);
        diag_help(x->cx->diags, "the same command goes on where this one ended");
    }
    return true;
}

/* The file may be there: then its entries are part of what is compiled, and stay. */
static bool start(Tune *x, Options *o)
{
    Bytes had;
    double budget;
    x->path = option_text(o, OPT_OUTPUT, NULL);
    x->file = str_new(x->cx->perm);
    x->random = hash_bytes(HASH_SEED, "tune", 4) ^ (uint64_t)option_count(o, OPT_SEED, 1);
    if (!read_budget(x->cx, o, &budget))
        return false;
    x->end = clock_ms() + budget;
    if (access(x->path, F_OK) == 0) {
        if (!file_read(x->cx, x->path, (size_t)4 << 20, &had))
            return false;
        str_add_n(&x->file, (const char *)had.data, had.size);
        if (had.size > 0 && had.data[had.size - 1] != '\n')
            str_char(&x->file, '\n');
        o->value[OPT_SCHEDULE] = &x->path;
        o->n[OPT_SCHEDULE] = 1;
    }
    return pipeline_load(&x->pipeline, x->cx, o, &x->weights);
}

int cmd_tune(Cx *cx, const Options *o)
{
    Options with_file = *o;
    Tune x = {.cx = cx, .options = &with_file};
    if (!start(&x, &with_file))
        return status_of_errors(cx->diags);
    bool ok = layers_check(cx, o, x.pipeline.module) && tune_all(&x) &&
              (x.file.len > 0 || file_write(cx, x.path, "", 0));
    weights_close(x.weights);
    return ok ? STATUS_OK : status_of_errors(cx->diags);
}
