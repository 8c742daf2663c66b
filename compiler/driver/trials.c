/* trials: kernels with different schedules beside each other, to see which is the fastest.
 *
 *     kernels conv2_c1(x, w, y), conv2_c2(x, w as [...], y), ...   one module, called in turn
 *
 * contract: the module has the network's step as often as there are schedules, all on the same
 * input and output and each on weights of its own, if they are packed otherwise. Generated,
 * compiled and called like a network. What the input holds is at random, half of it zero.
 */
#include "driver/driver.h"


enum { MAX_ROUNDS = 2000 };
#define MAX_WEIGHTS (INT64_C(400) << 20)     /* bytes of all trials together */

typedef struct Timing {
    Trials *trials;
    double began;
    int round;                     /* -1: warming up */
} Timing;

static int time_trial(void *user, unsigned step, int phase, const void *data, size_t bytes)
{
    Timing *t = user;
    double now = clock_ms();
    (void)data;
    (void)bytes;
    if (phase == N2C_STEP_BEGIN)
        t->began = clock_ms();
    else if (t->round >= 0)
        t->trials->ms[step][t->round] = now - t->began;
    return 0;
}

/* The step once more, lowered anew: a kernel is scheduled only once. NULL: reported. */
static Step *step_again(const Pipeline *p, int step, const char *schedule, int number)
{
    Pipeline again = *p;
    again.schedules = NULL;
    if (!pipeline_lower(&again))
        return NULL;
    Step *s = &again.module->step[step];
    Kernel *k = s->kernel;
    k->name = arena_printf(p->cx->perm, "%s_c%d", k->name, number);
    k->schedule = schedule;
    for (int i = 0; i < k->n_buffers; i++)
        if (s->arg[i]->kind == VALUE_SCRATCH || s->arg[i]->make)
            s->arg[i]->name = arena_printf(p->cx->perm, "%s_c%d", s->arg[i]->name, number);
    return s;
}

static void add_value(Module *m, Value *v)
{
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i] == v || (v->kind == VALUE_WEIGHT && str_eq(m->value[i]->name, v->name)))
            return;
    m->value[m->n_values++] = v;
}

/* Tensors are those of the first step; what was within the network goes in and comes out. */
static void add_step(Module *m, const Step *s)
{
    Step *out = &m->step[m->n_steps++];
    const Kernel *k = s->kernel;
    *out = *s;
    for (int i = 0; i < k->n_buffers; i++) {
        Value *v = s->arg[i];
        bool in = k->buffer[i]->kind == BUF_IN;
        if (in || k->buffer[i]->kind == BUF_OUT) {
            out->arg[i] = v = m->step[0].arg[i];
            v->kind = in ? VALUE_INPUT : VALUE_OUTPUT;
        }
        add_value(m, v);
    }
}

/* A pipeline whose module is nothing but these kernels. false: reported. */
static bool make_module(const Pipeline *p, int step, const Trials *t, Pipeline *out)
{
    Arena *a = p->cx->perm;
    Module *m = NEW(a, Module);
    *out = *p;
    out->schedules = NULL;
    out->pass_cx.schedules = NULL;
    *m = (Module){.arena = a, .name = p->module->name, .row = p->module->row,
                  .batch = p->module->batch, .type = p->module->type};
    m->step = NEW_ARRAY(a, Step, t->n);
    m->value = NEW_ARRAY(a, Value *, t->n * MAX_STEP_ARGS);
    for (int i = 0; i < t->n; i++) {
        const Step *s = step_again(p, step, t->schedule[i], i);
        if (!s)
            return false;
        add_step(m, s);
    }
    out->module = m;
    return true;
}

/* One by one, with messages that nobody reads: another candidate is not the user's mistake. */
static void drop_illegal(const Pipeline *p, int step, Trials *t)
{
    Cx *cx = p->cx;
    Diags *diags = cx->diags;
    int kept = 0;
    for (int i = 0; i < t->n; i++) {
        Trials one = {.schedule = {t->schedule[i]}, .n = 1};
        Pipeline alone;
        cx->diags = diags_new(cx->perm);
        if (make_module(p, step, &one, &alone) && pipeline_module(&alone))
            t->schedule[kept++] = t->schedule[i];
        arena_reset(cx->temp);
    }
    cx->diags = diags;
    t->n = kept;
}

static void **make_memory(Cx *cx, const Module *m)
{
    void **io = NEW_ARRAY(cx->perm, void *, m->n_values);
    uint64_t state = 1;
    int n = 0;
    for (int kind = VALUE_INPUT; kind <= VALUE_OUTPUT; kind++)
        for (int i = 0; i < m->n_values; i++) {
            if (m->value[i]->kind != (ValueKind)kind)
                continue;
            int64_t bytes = buffer_bytes(&m->value[i]->shape);
            float *data = io[n++] = arena_alloc(cx->perm, (size_t)bytes);
            for (int64_t k = 0; kind == VALUE_INPUT && k < bytes / (int64_t)sizeof *data; k++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
                data[k] = state >> 63 ? (float)(state >> 40) / (float)(1 << 24) : 0;
            }
        }
    return io;
}

static bool measure(Session *s, Trials *t, void **io, int least, double end)
{
    Timing timing = {.trials = t};
    const n2c_exec exec = {.on_step = time_trial, .user = &timing};
    for (int i = 0; i < t->n; i++)
        t->ms[i] = NEW_ARRAY(s->cx->perm, double, MAX_ROUNDS);
    for (int r = -1; r < MAX_ROUNDS && (r < least || clock_ms() < end); r++) {
        timing.round = r;
        if (!session_run(s, io, (size_t)s->module->batch, &exec))
            return false;
        t->rounds = r + 1;
    }
    return true;
}

bool trials_run(Pipeline *p, const Weights *w, const Options *o, int step, Trials *t, int least,
                double end)
{
    Pipeline all;
    drop_illegal(p, step, t);
    if (t->n == 0 || !make_module(p, step, t, &all) || !pipeline_module(&all))
        return false;
    Session *s = session_open(&all, w, o);
    if (!s)
        return false;
    bool ok = measure(s, t, make_memory(p->cx, all.module), least, end);
    session_close(s);
    return ok;
}

int trials_room(const Pipeline *p, int step)
{
    const Step *s = &p->module->step[step];
    int64_t bytes = 1;
    for (int i = 0; i < s->kernel->n_buffers; i++)
        if (s->kernel->buffer[i]->kind == BUF_WEIGHT)
            bytes += buffer_bytes(&s->arg[i]->shape);
    int64_t room = MAX_WEIGHTS / bytes;
    return room < 2 ? 2 : room > MAX_TRIALS ? MAX_TRIALS : (int)room;
}
