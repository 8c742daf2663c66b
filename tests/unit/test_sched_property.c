/* Random nests under random schedules, and under the schedules that the compiler finds: after the
 * whole loop pipeline every output must have the bits that the naive kernel gives. An illegal
 * schedule must be refused with a message; neither wrong results nor a broken kernel may come out.
 *
 *   test_sched_property [cases [seed]]      more cases than the test suite runs
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "sched_random.h"

static int cases = 500;
static uint64_t first_seed = 1;

/* ---- random schedules ----------------------------------------------------------------------- */
typedef struct Writer {                /* the verbs that were legal so far, as text */
    VerbCx v;
    Nest *nest;
    Kernel *kernel;
    Str text;
} Writer;

static const char *random_loop(const Writer *w)
{
    const Nest *nest = w->nest;
    for (int i = 0; i < nest->n_loops && chance(20); i++)     /* often the halves of a split */
        if (strchr(nest->loop[i].name, '.'))
            return nest->loop[i].name;
    return nest->n_loops ? nest->loop[random_below(nest->n_loops)].name : "none";
}

static void write_split(Writer *w, const char *loop, int factor)
{
    static const char *const tails[] = {"", " tail=peel", " tail=pad"};
    int tail = chance(60) ? TAIL_PEEL : random_below(3);
    const char *name = arena_strdup(w->v.cx->perm, loop);
    if (w->nest->n_loops < 14 && verb_split(&w->v, w->nest, name, factor, (TailKind)tail))
        str_printf(&w->text, "split %s %d%s, ", name, factor, tails[tail]);
}

static void swap_loops(const char **loops, int i, int j)
{
    const char *t = loops[i];
    loops[i] = loops[j];
    loops[j] = t;
}

/* Some swaps, or the usual form: spatial loops, sums, the last halves of spatial loops. */
static void write_order(Writer *w)
{
    const char *loops[MAX_NEST_LOOPS] = {NULL};
    Nest *nest = w->nest, before = *w->nest;
    int n = nest->n_loops, at = 0, usual = chance(60);
    for (int part = 0; part < 3 && usual; part++)
        for (int i = 0; i < n; i++) {
            bool half = strchr(nest->loop[i].name, 'i') > nest->loop[i].name;
            int own = nest->loop[i].reduction ? 1 : half ? 2 : 0;
            if (own == part)
                loops[at++] = nest->loop[i].name;
        }
    for (int i = 0; i < n && !usual; i++)
        loops[i] = nest->loop[i].name;
    for (int i = 0, swaps = random_below(usual ? 3 : 6); n > 1 && i < swaps; i++)
        swap_loops(loops, random_below(n), random_below(n));
    if (!verb_order(&w->v, nest, loops, n)) {
        *nest = before;
        return;
    }
    str_add(&w->text, "order");
    for (int i = 0; i < n; i++)
        str_printf(&w->text, " %s", loops[i]);
    str_add(&w->text, ", ");
}

static void write_mark(Writer *w, const char *loop, LoopKind kind)
{
    static const char *const names[] = {"", "unroll", "vector", "parallel"};
    if (verb_mark(&w->v, w->nest, loop, kind))
        str_printf(&w->text, "%s %s, ", names[kind], loop);
}

static void write_pack(Writer *w)
{
    const Buffer *b = kernel_buffer(w->kernel, chance(80) ? "w" : "s");
    int order[MAX_DIMS];
    if (!b || chance(50))
        return;
    for (int d = 0; d < b->rank; d++)
        order[d] = d;
    for (int d = b->rank - 1; d > 0; d--) {
        int other = random_below(d + 1), kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
    int split = chance(80) ? 0 : random_below(b->rank), width = chance(70) ? 16 : random_in(2, 32);
    str_printf(&w->text, "pack %s [d%d/%d, ", b->name, split, width);
    for (int d = 0; d < b->rank; d++)
        if (order[d] != split)
            str_printf(&w->text, "d%d, ", order[d]);
    str_printf(&w->text, "d%d%%%d], ", split, width);
}

static void write_simple(Writer *w, const char *verb, const char *loop)
{
    Nest *nest = w->nest;
    bool legal = str_eq(verb, "stage at") ? verb_stage(&w->v, nest, loop) :
                 str_eq(verb, "partial") ? verb_partial(&w->v, nest, loop) :
                 verb_border(&w->v, nest, loop);
    if (legal)
        str_printf(&w->text, "%s %s, ", verb, loop);
}

static void write_verbs(Writer *w)
{
    Nest *nest = w->nest;
    static const int factors[] = {1, 2, 3, 4, 5, 7, 8, 16, 16, 16, 32, 48};
    for (int i = random_below(5); i > 0; i--)
        write_split(w, random_loop(w), factors[random_below(12)]);
    if (chance(80))
        write_order(w);
    const NestLoop *last = nest->n_loops ? &nest->loop[nest->n_loops - 1] : NULL;
    if (chance(50) && last && last->extent > 16 && !last->reduction)
        write_split(w, last->name, 16);
    if (chance(30))
        write_simple(w, "border", random_loop(w));
    if (chance(40))
        write_simple(w, "stage at", random_loop(w));
    if (chance(40))
        write_simple(w, "partial", random_loop(w));
    for (int i = random_below(4); i > 0 && nest->n_loops; i--) {
        int at = random_below(nest->n_loops);
        if (nest->loop[at].extent <= 9)
            write_mark(w, nest->loop[at].name, LOOP_UNROLL);
    }
    if (chance(10))
        write_mark(w, random_loop(w), LOOP_PARALLEL);
    if (chance(70) && nest->n_loops)
        write_mark(w, nest->loop[nest->n_loops - 1].name, LOOP_VECTOR);
    if (chance(5))
        write_split(w, random_loop(w), factors[random_below(12)]);
    if (chance(5))
        write_order(w);
    write_pack(w);
}

/* Verbs for each nest that gets some, tried out on the nests of a kernel of its own. */
static const char *random_schedule(Arena *a, const char *text, const Row *row)
{
    Cx *cx = cx_new();
    Kernel *k = kernel_read(cx, text);
    Nest **nests;
    int n = k ? nests_of_kernel(cx, k, &nests) : -1;
    Str out = str_new(a);
    for (int i = 0; i < n; i++) {
        if (chance(30))
            continue;
        Writer w = {{cx, NO_PLACE, row, NULL}, nests[i], k, str_new(a)};
        write_verbs(&w);
        if (w.text.len)
            str_printf(&out, "%s%s: %.*s", out.len ? "; " : "", nests[i]->label,
                       (int)w.text.len - 2, w.text.data);
    }
    cx_delete(cx);
    return out.len ? out.data : NULL;
}

/* ---- one case ------------------------------------------------------------------------------- */
typedef struct Tally {
    int equal, refused;
} Tally;

/* What a schedule may be refused with; other codes mean that a broken kernel came out. */
static bool is_refusal(const Cx *cx)
{
    for (int i = 0; i < diags_count(cx->diags); i++) {
        const Diag *d = diags_get(cx->diags, i);
        if (d->kind == DIAG_ERROR)
            return strncmp(d->code, "E095", 4) == 0;
    }
    return false;
}

static void complain(uint64_t seed, const Row *row, Cx *cx, const char *text, const char *schedule,
                     const Kernel *k, const char *what)
{
    fail_msg("seed %llu, row %s: %s\n%s\nschedule: %s\n%s\n%s", (unsigned long long)seed, row->name,
             what, text, schedule ? schedule : "(found)",
             diags_render(cx->diags, cx->perm, 0, false),
             k ? kernel_text(cx->perm, k) : "");
}

/* schedule NULL: the compiler finds one. tally NULL: nothing may be refused. */
static void check_case(uint64_t seed, const Row *row, const char *text, const char *schedule,
                       Tally *tally)
{
    Cx *cx = cx_new();
    Output want, got;
    Kernel *naive = kernel_read(cx, text), *k = kernel_read(cx, text);
    if (!naive || !k || !kernel_output(cx, naive, &want)) {
        complain(seed, row, cx, text, schedule, NULL, "the naive kernel is broken");
        return;
    }
    k->schedule = schedule;
    if (!pipeline_run(cx, row, k)) {
        if (!tally || !is_refusal(cx))
            complain(seed, row, cx, text, schedule, k, "the pipeline fails");
        else
            tally->refused++;
    } else {
        if (!kernel_output(cx, k, &got))
            complain(seed, row, cx, text, schedule, k, "the result does not run");
        if (!output_equal(&want, &got))
            complain(seed, row, cx, text, schedule, k, "the result has other bits");
        if (tally)
            tally->equal++;
    }
    cx_delete(cx);
}

static const Row *row_of(uint64_t seed)
{
    return seed % 4 == 3 ? &row_scalar : &row_avx512;
}

static void test_random_schedules(void **state)
{
    Tally tally = {0, 0};
    (void)state;
    Cx *cx = cx_new();
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)cases; seed++) {
        random_state = seed << 20;
        const char *text = random_kernel(cx->perm, false);
        const char *schedule = random_schedule(cx->perm, text, row_of(seed));
        check_case(seed, row_of(seed), text, schedule, &tally);
        arena_reset(cx->perm);
    }
    cx_delete(cx);
    print_message("random schedules: %d equal, %d refused\n", tally.equal, tally.refused);
    assert_true(tally.equal >= cases / 2);
}

static void test_found_schedules(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)cases / 2; seed++) {
        random_state = (seed << 20) + 77;
        const char *text = random_kernel(cx->perm, true);
        check_case(seed, row_of(seed), text, NULL, NULL);
        arena_reset(cx->perm);
    }
    cx_delete(cx);
}

/* ---- verb soup ------------------------------------------------------------------------------ */
static const char *soup_loop(void)
{
    static const char *const loops[] = {"n", "o", "g", "i", "j", "c", "d", "p", "q", "o.o", "o.i",
                                        "j.o", "j.i", "i.o", "i.i", "c.o", "c.i", "d.o", "d.i",
                                        "o.i.o", "o.i.i"};
    return loops[random_below(chance(70) ? 9 : 21)];
}

static void add_soup_verb(Str *s)
{
    static const char *const factors[] = {"2", "3", "4", "16", "16", "0", "-1", "1000000",
                                          "1099511627776", "9223372036854775807", "x"};
    static const char *const tails[] = {"", " tail=peel", " tail=peel", " tail=peel", " tail=pad"};
    static const char *const simple[] = {"stage at", "partial", "unroll", "vector", "parallel",
                                         "border", "stage", "fuse"};
    static const char *const packs[] = {
        "pack w [d0/16, d1, d2, d3, d0%16]", "pack w [d1, d0]", "pack w [d0/16, d1, d0%8]",
        "pack a [d0, d1/16, d2, d3, d1%16]", "pack t [d3, d2, d1, d0]",
        "pack s [d0, d3/4, d1, d2, d3%4]",
        "pack w [(d0+9223372036854775807)/2, d1, d2, d3, d0%2]", "pack x [d0]", "pack w [d7]",
        "pack w [d0/9223372036854775807, d1, d2, d3, d0%9223372036854775807]", "pack w [d0"};
    int kind = random_below(20);
    if (kind < 8)
        str_printf(s, "split %s %s%s", soup_loop(), factors[random_below(11)],
                   tails[random_below(5)]);
    else if (kind < 11)
        for (int i = random_in(1, 8); i >= 0; i--)
            str_printf(s, "%s ", i == 8 ? "order" : soup_loop());
    else if (kind < 13)
        str_add(s, packs[random_below(11)]);
    else
        str_printf(s, "%s %s", simple[random_below(8)], soup_loop());
}

static const char *random_soup(Arena *a)
{
    static const char *const labels[] = {"y: ", "a: ", "s: ", "zero: ", "zero2: ", "q: ", ":", ";"};
    static const char junk[] = "[](),;:/%+=.\"\xff\t 0d";
    Str s = str_new(a);
    for (int i = random_in(0, 4); i >= 0; i--) {
        if (chance(s.len ? 10 : 50))
            str_add(&s, labels[random_below(s.len ? 8 : 4)]);
        add_soup_verb(&s);
        if (chance(4))
            str_char(&s, junk[random_below((int)sizeof junk - 1)]);
        str_add(&s, i == 0 ? "" : chance(80) ? ", " : "; y: ");
    }
    return s.data;
}

static void test_verb_soup(void **state)
{
    Tally tally = {0, 0};
    (void)state;
    Cx *cx = cx_new();
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)cases * 4; seed++) {
        random_state = (seed << 20) + 999;
        const char *text = random_kernel(cx->perm, false);
        check_case(seed, row_of(seed), text, random_soup(cx->perm), &tally);
        arena_reset(cx->perm);
    }
    cx_delete(cx);
    print_message("verb soup: %d equal, %d refused\n", tally.equal, tally.refused);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_schedules),
        cmocka_unit_test(test_found_schedules),
        cmocka_unit_test(test_verb_soup),
    };
    cases = argc > 1 ? atoi(argv[1]) : cases;
    first_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : first_seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
