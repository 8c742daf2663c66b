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

#include <stdio.h>
#include <stdlib.h>

#include "sched_fixture.h"

static int cases = 500;
static uint64_t first_seed = 1;

/* ---- random numbers --------------------------------------------------------------------------- */
static uint64_t random_state;

static int random_below(int n)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (int)((z ^ (z >> 31)) >> 33) % n;
}

static int random_in(int lo, int hi)
{
    return lo + random_below(hi - lo + 1);
}

static bool chance(int percent)
{
    return random_below(100) < percent;
}

/* ---- random nests ----------------------------------------------------------------------------- */
typedef struct Shape4 {                /* channels in blocks of 16, or plain; a border around */
    int channels, rows, columns, pad;
    bool blocked;
} Shape4;

static void add_tensor(Str *s, const char *kind, const char *name, Shape4 t)
{
    str_printf(s, "%s %s: f32[1, %d", kind, name, t.channels);
    if (t.blocked && t.channels % 16)
        str_printf(s, "~%d", 16 - t.channels % 16);
    if (t.pad)
        str_printf(s, ", %d:%d:%d, %d:%d:%d]", t.pad, t.rows, t.pad, t.pad, t.columns, t.pad);
    else
        str_printf(s, ", %d, %d]", t.rows, t.columns);
    if (t.blocked)
        str_printf(s, " as [d0, d1/16, d2+%d, d3+%d, d1%%16]", t.pad, t.pad);
}

static const char *const steps[] = {"max(%s, 0x0p+0)", "%s * 0x1p+1", "r[n, c, i, j] + %s",
                                    "max(%s, r[n, c, i, j])", "b[c] + %s"};

/* Zero to two steps on the elements of `value`; the last one stores y. */
static void add_steps(Str *s, const Shape4 *y, const char *value, int n)
{
    for (int i = 0; i < n; i++) {
        const char *to = i == n - 1 ? "y" : "t";
        char element[32];
        snprintf(element, sizeof element, "%s[n, c, i, j]", i == 0 ? value : "t");
        str_printf(s, "  for n < 1, c < %d, i < %d, j < %d { %s[n, c, i, j] = ", y->channels,
                   y->rows, y->columns, to);
        const char *step = steps[random_below(5)];
        const char *hole = strchr(step, '%');
        str_add_n(s, step, (size_t)(hole - step));
        str_add(s, element);
        str_add(s, hole + 2);
        str_add(s, "; }\n");
    }
}

typedef struct Conv {
    int groups, in_each, out_each, kernel, stride, pad, rows, columns;
    bool guards;                       /* tests, where there is no border of zeros */
    Shape4 x, y;
} Conv;

static Conv random_conv(bool legal_layout)
{
    Conv c = {.groups = chance(70) ? 1 : random_in(2, 3)};
    bool wide = chance(30);
    c.in_each = random_in(1, wide ? 40 : 9);
    c.out_each = random_in(1, wide ? 12 : 40);
    if (legal_layout && chance(60)) {
        c.in_each = random_in(1, 70);
        c.out_each = random_in(1, 70);
    }
    c.kernel = random_in(1, 3);
    c.stride = random_in(1, 2);
    c.pad = random_below(c.kernel);
    bool big = c.groups * c.in_each * c.out_each * c.kernel * c.kernel > 2000;
    c.rows = random_in(1, big ? 3 : 5);
    c.columns = random_in(1, big ? 4 : 9);
    c.guards = c.pad > 0 && chance(50);
    c.x = (Shape4){c.groups * c.in_each, (c.rows - 1) * c.stride + c.kernel - 2 * c.pad,
                   (c.columns - 1) * c.stride + c.kernel - 2 * c.pad, c.pad, chance(50)};
    c.x.rows = c.x.rows < 1 ? 1 : c.x.rows;
    c.x.columns = c.x.columns < 1 ? 1 : c.x.columns;
    c.rows = (c.x.rows + 2 * c.pad - c.kernel) / c.stride + 1;
    c.columns = (c.x.columns + 2 * c.pad - c.kernel) / c.stride + 1;
    c.x.pad = c.guards && chance(60) ? 0 : c.pad;
    c.y = (Shape4){c.groups * c.out_each, c.rows, c.columns, 0, chance(50)};
    if (c.groups > 1 && (c.in_each % 16 || c.out_each % 16))
        c.x.blocked = c.y.blocked = c.y.blocked && !legal_layout && chance(10);
    return c;
}

static void add_conv(Str *s, bool legal_layout)
{
    Conv c = random_conv(legal_layout);
    int n_steps = random_in(0, 2);
    const char *to = n_steps ? "a" : "y";
    Shape4 r = c.y, t = c.y;
    r.blocked = t.blocked = c.y.blocked;
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", c.x);
    str_printf(s, ", weight w: f32[%d, %d, %d, %d], weight b: f32[%d]", c.y.channels, c.in_each,
               c.kernel, c.kernel, c.y.channels);
    const char *names[] = {"r", "t", "a", "y"}, *kinds[] = {"in", "scratch", "scratch", "out"};
    for (int i = 0; i < 4; i++) {
        str_add(s, ", ");
        add_tensor(s, kinds[i], names[i], i == 3 ? c.y : r);
    }
    char channel[32], in_channel[32];
    snprintf(channel, sizeof channel, c.groups > 1 ? "%d*g + o" : "o", c.out_each);
    snprintf(in_channel, sizeof in_channel, c.groups > 1 ? "%d*g + d" : "d", c.in_each);
    char spatial[96];
    char group[24] = "";
    if (c.groups > 1)
        snprintf(group, sizeof group, "g < %d, ", c.groups);
    snprintf(spatial, sizeof spatial, "n < 1, %so < %d, i < %d, j < %d", group, c.out_each, c.rows,
             c.columns);
    str_printf(s, ") {\n  for %s { %s[n, %s, i, j] = ", spatial, to, channel);
    str_printf(s, chance(50) ? "b[%s]; }\n" : "0x0p+0; }\n", channel);
    str_printf(s, "  for %s, d < %d, p < %d, q < %d {\n", spatial, c.in_each, c.kernel, c.kernel);
    const char *open = "", *close = "";
    if (c.guards) {
        str_printf(s, "    if (0 <= %d*i + p - %d < %d, 0 <= %d*j + q - %d < %d) {\n", c.stride,
                   c.pad, c.x.rows, c.stride, c.pad, c.x.columns);
        close = "    }\n";
    }
    str_printf(s, "%s    %s[n, %s, i, j] = fma(x[n, %s, %d*i + p - %d, %d*j + q - %d], "
               "w[%s, d, p, q], %s[n, %s, i, j]);\n%s  }\n", open, to, channel, in_channel, c.stride,
               c.pad, c.stride, c.pad, channel, to, channel, close);
    add_steps(s, &c.y, "a", n_steps);
    str_add(s, "}\n");
}

/* A maximum with tests, or a sum, over windows. */
static void add_pool(Str *s)
{
    bool maximum = chance(60);
    int kernel = random_in(1, 3), stride = random_in(1, 3), pad = random_below(kernel);
    int rows = random_in(1, 6), columns = random_in(1, 9), n_steps = random_in(0, 1);
    Shape4 x = {random_in(1, 40), random_in(kernel, 9), random_in(kernel, 12), 0, chance(60)};
    rows = (x.rows + 2 * pad - kernel) / stride + 1;
    columns = (x.columns + 2 * pad - kernel) / stride + 1;
    Shape4 y = {x.channels, rows, columns, chance(20) ? 1 : 0, chance(60)};
    Shape4 a = {x.channels, rows, columns, 0, y.blocked};
    const char *to = n_steps ? "a" : "y";
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", x);
    str_add(s, ", ");
    add_tensor(s, "in", "r", a);
    str_printf(s, ", weight b: f32[%d], ", x.channels);
    add_tensor(s, "scratch", "a", a);
    str_add(s, ", ");
    add_tensor(s, "out", "y", y);
    char spatial[96];
    snprintf(spatial, sizeof spatial, "n < 1, c < %d, i < %d, j < %d", x.channels, rows, columns);
    str_printf(s, ") {\n  for %s { %s[n, c, i, j] = %s; }\n", spatial, to,
               maximum ? "-inf" : "0x0p+0");
    str_printf(s, "  for %s, p < %d, q < %d {\n", spatial, kernel, kernel);
    str_printf(s, "    if (0 <= %d*i + p - %d < %d, 0 <= %d*j + q - %d < %d) {\n", stride, pad, x.rows,
               stride, pad, x.columns);
    str_printf(s, maximum ? "      %s[n, c, i, j] = max(%s[n, c, i, j], " :
               "      %s[n, c, i, j] = (%s[n, c, i, j] + ", to, to);
    str_printf(s, "x[n, c, %d*i + p - %d, %d*j + q - %d]);\n    }\n  }\n", stride, pad, stride, pad);
    add_steps(s, &a, "a", n_steps);
    str_add(s, "}\n");
}

static void add_linear(Str *s)
{
    int n = random_in(1, 3), out = random_in(1, 70), in = random_in(1, 40);
    if (chance(15))
        in = random_in(1, 40) * random_in(16, 40), out = random_in(1, 20), n = 1;
    bool relu = chance(50), sum = chance(20);
    str_printf(s, "kernel k(in x: f32[%d, %d], weight w: f32[%d, %d], weight b: f32[%d], "
               "out y: f32[%d, %d%s]) {\n", n, in, out, in, out, n, out, chance(50) ? "" : "~16");
    str_printf(s, "  for n < %d, o < %d { y[n, o] = b[o]; }\n", n, out);
    str_printf(s, "  for n < %d, o < %d, i < %d { y[n, o] = ", n, out, in);
    str_add(s, sum ? "x[n, i] * w[o, i] + y[n, o]; }\n" : "fma(x[n, i], w[o, i], y[n, o]); }\n");
    if (relu)
        str_printf(s, "  for n < %d, c < %d { y[n, c] = max(y[n, c], 0x0p+0); }\n", n, out);
    str_add(s, "}\n");
}

/* Copies between layouts, transposes, squares with neighbours (a normalisation across channels). */
static void add_pointwise(Str *s)
{
    Shape4 x = {random_in(1, 40), random_in(1, 5), random_in(1, 9), random_below(2), chance(50)};
    Shape4 y = {x.channels, x.rows, x.columns, random_below(2), chance(50)};
    int size = random_in(1, 5);
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", x);
    str_printf(s, ", scratch s: f32[1, %d, %d, %d], scratch u: f32[%d], ", x.rows, x.columns,
               x.channels + size - 1, x.channels);
    add_tensor(s, "out", "y", y);
    str_printf(s, ", out z: f32[%d, %d, %d]) {\n", x.rows, x.channels, x.columns);
    str_printf(s, "  for i < %d, j < %d, c < %d { s[0, i, j, c] = 0x1p+0; }\n", x.rows, x.columns,
               x.channels + size - 1);
    str_printf(s, "  for i < %d, j < %d, c < %d { s[0, i, j, c + %d] = x[0, c, i, j] * x[0, c, i, j]; }\n",
               x.rows, x.columns, x.channels, size / 2);
    str_printf(s, "  for i < %d, j < %d, c < %d { y[0, c, i, j] = 0x0p+0; }\n", x.rows, x.columns,
               x.channels);
    str_printf(s, "  for i < %d, j < %d, c < %d, h < %d { y[0, c, i, j] = s[0, i, j, c + h] + y[0, c, i, j]; }\n",
               x.rows, x.columns, x.channels, size);
    str_printf(s, "  for j < %d, c < %d, i < %d { z[i, c, j] = y[0, c, i, j] - 0x1p+0; }\n", x.columns,
               x.channels, x.rows);
    if (chance(30))
        str_printf(s, "  for c < %d { u[c] = 0x0p+0; }\n  for c < %d, i < %d { u[c] = u[c] + x[0, c, i, 0]; }\n"
                   "  for i < %d, c < %d, j < %d { z[i, c, j] = z[i, c, j] * u[c]; }\n", x.channels,
                   x.channels, x.rows, x.rows, x.channels, x.columns);
    str_add(s, "}\n");
}

static const char *random_kernel(Arena *a, bool legal_layout)
{
    Str s = str_new(a);
    int kind = random_below(10);
    if (kind < 5)
        add_conv(&s, legal_layout);
    else if (kind < 7)
        add_linear(&s);
    else if (kind < 9)
        add_pool(&s);
    else
        add_pointwise(&s);
    return s.data;
}

/* ---- random schedules --------------------------------------------------------------------------- */
typedef struct Writer {                /* the verbs that were legal so far, as text */
    VerbCx v;
    Nest *nest;
    Kernel *kernel;
    Str text;
} Writer;

static const char *random_loop(const Writer *w)
{
    return w->nest->n_loops ? w->nest->loop[random_below(w->nest->n_loops)].name : "none";
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
    const NestLoop *last = &nest->loop[nest->n_loops - 1];
    if (chance(50) && nest->n_loops && last->extent > 16 && !last->reduction)
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
        Writer w = {{cx, NO_PLACE, row}, nests[i], k, str_new(a)};
        write_verbs(&w);
        if (w.text.len)
            str_printf(&out, "%s%s: %.*s", out.len ? "; " : "", nests[i]->label,
                       (int)w.text.len - 2, w.text.data);
    }
    cx_delete(cx);
    return out.len ? out.data : NULL;
}

/* ---- one case ------------------------------------------------------------------------------------ */
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
             what, text, schedule ? schedule : "(found)", diags_render(cx->diags, cx->perm, 0, false),
             k ? kernel_text(cx->perm, k) : "");
}

/* schedule NULL: the compiler finds one, which must be legal. */
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
        if (!schedule || !is_refusal(cx))
            complain(seed, row, cx, text, schedule, k, "the pipeline fails");
        tally->refused++;
    } else {
        if (!kernel_output(cx, k, &got))
            complain(seed, row, cx, text, schedule, k, "the result does not run");
        if (!output_equal(&want, &got))
            complain(seed, row, cx, text, schedule, k, "the result has other bits");
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
    Tally tally = {0, 0};
    (void)state;
    Cx *cx = cx_new();
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)cases / 2; seed++) {
        random_state = (seed << 20) + 77;
        const char *text = random_kernel(cx->perm, true);
        check_case(seed, row_of(seed), text, NULL, &tally);
        arena_reset(cx->perm);
    }
    cx_delete(cx);
    assert_int_equal(tally.refused, 0);
}

/* ---- verb soup ------------------------------------------------------------------------------------ */
static const char *random_soup(Arena *a)
{
    static const char *const words[] = {
        "split", "order", "stage", "at", "partial", "unroll", "vector", "parallel", "border", "pack",
        "n", "o", "g", "i", "j", "c", "d", "p", "q", "h", "o.o", "o.i", "j.o", "j.i", "i.o.i", "d.o",
        "d.i", "w", "s", "x", "[", "]", "d0", "d1", "d2", "d3", "/", "%", "+", "(", ")", ",", ",", ",",
        ";", ":", "1", "2", "3", "16", "0", "-1", "9223372036854775807", "1000000", "tail=peel",
        "tail=pad", "tail=", "y", "a", "zero", "\t", "\"", "\xff", "split o 16 tail=peel,",
        "split j 4 tail=peel,", "split d 2 tail=peel,", "order n o i j,", "unroll j,", "vector j,",
        "stage at d,", "pack w [d0/16, d1, d2, d3, d0%16],", "split o 1000000000 tail=pad,",
        "split j 3 tail=pad,", "border i,", "border j,", "partial p,", "unroll o i j d p q,"};
    Str s = str_new(a);
    for (int i = random_in(0, 14); i > 0; i--) {
        str_add(&s, words[random_below((int)(sizeof words / sizeof words[0]))]);
        str_add(&s, chance(90) ? " " : "");
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
