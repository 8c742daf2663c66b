/* frame: the loops around several nests, and which of them may become tasks.
 *
 *   for cb < 6, ty < 7 { local t: ...; t[..] = ...; v[.., 16*cb + c] = ...; }     cb and ty may
 *   for ob < 8 { mm[..] = ...; y[.., 32*ob + oc] = ...mm[..]; }                   ob may not
 *
 * Iterations may run at the same time if each has a part of its own of every buffer that the frame
 * writes and that is not local to it: in one dimension all accesses stay within a distance that is
 * less than what one iteration is from the next.
 */
#include "sched/sched.h"

bool frame_within(const Frame *inner, const Frame *outer)
{
    while (inner && inner != outer)
        inner = inner->outer;
    return inner == outer;
}

const Stmt *frame_inner(const Stmt *loop)
{
    const Stmt *s = loop->body.first;
    return s && !s->next && s->kind == STMT_FOR ? s : NULL;
}

const Stmt *frame_find_loop(Frame **frame, const char *name)
{
    for (; *frame; *frame = (*frame)->outer)
        for (const Stmt *s = (*frame)->loop; s; s = frame_inner(s))
            if (str_eq(s->var->name, name))
                return s;
    return NULL;
}

/* Has v one value during an iteration of `task`? */
static bool is_fixed(const Frame *frame, const Var *task, const Var *v)
{
    for (; frame; frame = frame->outer)
        for (const Stmt *s = frame->loop; s; s = frame_inner(s)) {
            if (s->var == v)
                return true;
            if (s->var == task)
                break;
        }
    return false;
}

typedef struct Part {                 /* of one dimension of a buffer, in an iteration */
    Arena *arena;
    const Frame *frame;
    const Var *task;
    const Buffer *buffer;
    int dim;
    bool any, apart;                  /* accesses seen; they begin at the same place */
    Index start;                      /* what is fixed of the index */
    int64_t lo, hi;                   /* and how far the rest goes */
} Part;

static void see_access(void *user, const Access *x)
{
    Part *p = user;
    if (x->buffer != p->buffer)
        return;
    Index start = index_const(0), whole = x->index[p->dim];
    int64_t lo, hi;
    for (int i = 0; i < whole.n; i++)
        if (is_fixed(p->frame, p->task, whole.term[i].var))
            start = index_add(p->arena, start, (Index){0, 1, &whole.term[i]});
    index_range(index_sub(p->arena, whole, start), &lo, &hi);
    Index distance = p->any ? index_sub(p->arena, start, p->start) : index_const(0);
    p->apart = p->apart && distance.n == 0 && lo > INT64_MIN / 4 && hi < INT64_MAX / 4;
    p->lo = !p->any || lo < p->lo ? lo : p->lo;
    p->hi = !p->any || hi > p->hi ? hi : p->hi;
    p->start = start;
    p->any = true;
}

static bool is_private(const Frame *inner, const Frame *outer, const Buffer *b)
{
    for (const Frame *f = inner; f && f != outer->outer; f = f->outer) {
        const Stmt *s = f->loop;
        while (frame_inner(s))
            s = frame_inner(s);
        for (s = s->body.first; s; s = s->next)
            if (s->kind == STMT_LOCAL && s->buffer == b)
                return true;
    }
    return false;
}

typedef void (*NestVisit)(void *user, const Nest *nest, const Stmt *s);

static void visit_stores(const Nest *nest, NestVisit f, void *user)
{
    f(user, nest, nest->init);
    if (nest->update)
        f(user, nest, nest->update);
    for (int i = 0; i < nest->n_steps; i++)
        f(user, nest, nest->step[i]);
}

static void see_store(void *user, const Nest *nest, const Stmt *s)
{
    (void)nest;
    stmt_visit_accesses(s, see_access, user);
}

typedef struct Shared {
    Nest *const *nests;
    int n;
    const Frame *frame;
    const Var *task;
    const Buffer *found;
} Shared;

static void check_store(void *user, const Nest *nest, const Stmt *s)
{
    Shared *shared = user;
    bool own = is_private(nest->frame, shared->frame, s->buffer);
    for (int d = 0; d < s->n_index && !own; d++) {
        Part p = {nest->arena, shared->frame, shared->task, s->buffer, d, .apart = true};
        for (int i = 0; i < shared->n; i++)
            if (frame_within(shared->nests[i]->frame, shared->frame))
                visit_stores(shared->nests[i], see_store, &p);
        int64_t step = index_coef(p.start, shared->task);
        own = p.apart && (step < 0 ? -step : step) > p.hi - p.lo;
    }
    shared->found = own ? shared->found : s->buffer;
}

const Buffer *frame_shares(Nest *const *nests, int n, const Frame *frame, const Var *task)
{
    Shared shared = {nests, n, frame, task, NULL};
    for (int i = 0; i < n; i++)
        if (frame_within(nests[i]->frame, frame))
            visit_stores(nests[i], check_store, &shared);
    return shared.found;
}
