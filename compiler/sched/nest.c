/* nest: recognise in a kernel's naive body the nests that schedules act on.
 *
 * A naive body is a list of perfect nests, each `for ... [if ...] store`. One nest of the schedule
 * is a run of them: an initial value, an update that reads its own element under reduction loops,
 * and steps that read the element just computed (so they may run while it is in a register):
 *
 *   for oc { y0[oc] = b[oc] }   for oc, ic { y0[oc] = fma(x[ic], w[oc, ic], y0[oc]) }
 *   for c { y[c] = max(y0[c], 0) }                 =>  one nest: init, update, one step
 *
 * A step's loops need not be the nest's: each of its variables is replaced by the index with which
 * the nest wrote that dimension (c by g * 128 + oc), which must cover exactly the same range.
 *
 * Loops may also stand around several nests, with locals between them: a frame. It stays as it is;
 * a step behind it joins the last nest within. Guards that initial value and update share say which
 * elements there are: tiles of 4 cover 13 rows where 4 * ty + i < 13.
 */
#include "sched/sched.h"

#include <string.h>

typedef struct Flat {                 /* one perfect nest of the naive body */
    Frame *frame;
    const Var *var[MAX_NEST_LOOPS];
    int n_vars;
    const Cond *cond;
    int n_cond;
    const Stmt *store;
} Flat;

static bool flat_read(const Stmt *s, Frame *frame, Flat *f)
{
    *f = (Flat){.frame = frame};
    while (s->kind == STMT_FOR && s->loop == LOOP_SERIAL && s->body.first &&
           !s->body.first->next && f->n_vars < MAX_NEST_LOOPS) {
        f->var[f->n_vars++] = s->var;
        s = s->body.first;
    }
    if (s->kind == STMT_IF && s->body.first && !s->body.first->next) {
        f->cond = s->cond;
        f->n_cond = s->n_cond;
        s = s->body.first;
    }
    f->store = s;
    return s->kind == STMT_STORE;
}

typedef struct LoadSearch {
    const Buffer *buffer;
    const Expr *found;
    bool mixed;                       /* loads of it at different elements */
} LoadSearch;

static void search_load(void *user, const Expr *e)
{
    LoadSearch *s = user;
    if (e->kind != EXPR_LOAD || e->buffer != s->buffer)
        return;
    s->mixed |= s->found && !indices_equal(e->index, s->found->index, e->n_index);
    s->found = e;
}

static LoadSearch find_load(const Stmt *store, const Buffer *b)
{
    LoadSearch s = {b, NULL, false};
    stmt_visit_exprs(store, search_load, &s);
    return s;
}

static bool same_element(const Expr *load, const Stmt *store)
{
    return indices_equal(load->index, store->index, store->n_index);
}

static int64_t reach_of(const Term *t)
{
    int64_t lo, hi;
    index_range((Index){0, 1, t}, &lo, &hi);
    return hi > 0 ? hi : lo == INT64_MIN ? INT64_MAX : -lo;
}

/* Does the store give each point of the loops it depends on an element of its own? So it is if in
 * each dimension the coefficients are like those of digits: above what all smaller ones reach. */
static bool is_injective(const Stmt *store)
{
    for (int d = 0; d < store->n_index; d++) {
        Index x = store->index[d];
        for (int i = 0; i < x.n; i++) {
            int64_t step = reach_of(&(Term){&(Var){"", 2}, x.term[i].coef}), smaller = 0;
            for (int k = 0; k < x.n; k++) {
                int64_t other = reach_of(&(Term){&(Var){"", 2}, x.term[k].coef});
                bool counts = other < step || (other == step && k < i);
                if (counts && !checked_add(smaller, reach_of(&x.term[k]), &smaller))
                    return false;
            }
            if (step <= smaller && x.term[i].var->extent > 1)
                return false;
        }
    }
    return true;
}

/* Do all loads in s of the buffer that `store` writes read that very element? */
static bool reads_own_only(const Stmt *s, const Stmt *store)
{
    LoadSearch own = find_load(s, store->buffer);
    return !own.found || (!own.mixed && same_element(own.found, store));
}

/* May s run as soon as c has run for the same element, instead of when c has run for all? */
static bool may_follow(const Stmt *s, const Stmt *c)
{
    return reads_own_only(s, c) && reads_own_only(c, s) && reads_own_only(s, s);
}

/* The last store of the nest so far: what a following step must read. */
static const Stmt *nest_last(const Nest *nest)
{
    if (nest->n_steps)
        return nest->step[nest->n_steps - 1];
    return nest->update ? nest->update : nest->init;
}

static bool is_spatial(const Stmt *store, const Var *v)
{
    for (int d = 0; d < store->n_index; d++)
        if (index_coef(store->index[d], v))
            return true;
    return false;
}

static Nest *nest_start(Arena *a, Kernel *k, const Flat *f)
{
    Nest *nest = NEW(a, Nest);
    nest->arena = a;
    nest->kernel = k;
    nest->frame = f->frame;
    nest->init = f->store;
    for (int i = 0; i < f->n_vars; i++)
        nest->var[nest->n_vars++] = f->var[i];
    nest->n_cond = f->n_cond;
    for (int i = 0; i < f->n_cond; i++)
        nest->cond[i] = f->cond[i];
    return nest;
}

/* The guards of init, renamed like it, become those of all statements: f must have them too. What
 * else guards f is for the update alone. */
static bool join_limits(Nest *nest, const Flat *f, const Index *to)
{
    Stmt *guard = stmt_if(nest->arena, nest->cond, nest->n_cond);
    const Stmt *renamed = stmt_copy(nest->arena, guard, nest->var, to, nest->n_vars);
    int n_cond = 0;
    for (int i = 0; i < renamed->n_cond; i++)
        nest->limit[i] = renamed->cond[i];
    nest->n_limit = renamed->n_cond;
    for (int i = 0; i < f->n_cond; i++) {
        bool shared = false;
        for (int k = 0; k < nest->n_limit; k++)
            shared = shared || (index_equal(f->cond[i].index, nest->limit[k].index) &&
                                f->cond[i].extent == nest->limit[k].extent);
        if (!shared)
            nest->cond[n_cond++] = f->cond[i];
    }
    nest->n_cond = n_cond;
    return f->n_cond - n_cond == nest->n_limit;
}

/* `for spatial, reduction: y = f(y, ...)` after `for spatial: y = init` joins it. */
static bool join_update(Nest *nest, const Flat *f)
{
    if (nest->update || nest->n_steps || f->frame != nest->frame ||
        f->store->buffer != nest->init->buffer)
        return false;
    LoadSearch own = find_load(f->store, f->store->buffer);
    if (!own.found || own.mixed || !same_element(own.found, f->store))
        return false;
    Index to[MAX_NEST_LOOPS];
    int spatial = 0;
    for (int i = 0; i < f->n_vars; i++) {
        if (!is_spatial(f->store, f->var[i]))
            continue;
        if (spatial >= nest->n_vars || nest->var[spatial]->extent != f->var[i]->extent)
            return false;
        to[spatial++] = index_var(nest->arena, f->var[i]);
    }
    if (spatial != nest->n_vars || spatial == f->n_vars)
        return false;
    const Stmt *init = stmt_copy(nest->arena, nest->init, nest->var, to, spatial);
    if (!indices_equal(init->index, f->store->index, init->n_index) ||
        !may_follow(f->store, init) || !reads_own_only(init, init) || !is_injective(f->store))
        return false;
    Nest joined = *nest;
    if (!join_limits(&joined, f, to))
        return false;
    *nest = joined;
    nest->init = init;
    nest->update = f->store;
    nest->n_vars = f->n_vars;
    for (int i = 0; i < f->n_vars; i++)
        nest->var[i] = f->var[i];
    return true;
}

/* Does the first store run several times for an element? Nothing can follow it in between. */
static bool has_reduction(const Nest *nest)
{
    for (int i = 0; i < nest->n_vars; i++)
        if (!is_spatial(nest->init, nest->var[i]))
            return true;
    return false;
}

/* Does index x, limited by the nest's guards, run through 0 .. extent - 1? *reach is how far it
 * would go without them. */
static bool covers(const Nest *nest, Index x, int64_t extent, int64_t *reach)
{
    int64_t lo, hi;
    index_range(x, &lo, &hi);
    *reach = hi + 1;
    for (int i = 0; i < nest->n_limit; i++)
        if (index_equal(nest->limit[i].index, x) && nest->limit[i].extent <= hi)
            hi = nest->limit[i].extent - 1;
    return lo == 0 && hi == extent - 1;
}

/* A guard on anything but an index of the element would leave out others than those beyond its
 * extent. */
static bool limits_elements(const Nest *nest, const Stmt *last)
{
    bool all = true;
    for (int i = 0; i < nest->n_limit; i++) {
        bool found = false;
        for (int d = 0; d < last->n_index; d++)
            found = found || index_equal(nest->limit[i].index, last->index[d]);
        all = all && found;
    }
    return all;
}

/* How often the nest writes, guards apart, if none of its loops or its frames' writes again. */
static int64_t times_written(const Nest *nest, const Stmt *last)
{
    int64_t times = 1;
    bool fits = true;
    for (int i = 0; i < nest->n_vars; i++)
        if (is_spatial(last, nest->var[i]))
            fits = fits && checked_mul(times, nest->var[i]->extent, &times);
    for (const Frame *f = nest->frame; f; f = f->outer)
        for (const Stmt *s = f->loop; s; s = frame_inner(s))
            fits = fits && checked_mul(times, s->var->extent, &times);
    return fits ? times : -1;
}

/* Each variable of f becomes the index with which the nest wrote the dimension it reads. */
static bool map_step(const Nest *nest, const Flat *f, const Expr *read, Index *to)
{
    const Stmt *last = nest_last(nest);
    int64_t points = 1, reach;
    for (int i = 0; i < f->n_vars; i++) {
        int dim = -1;
        for (int d = 0; d < read->n_index; d++) {
            Index x = read->index[d];
            if (index_coef(x, f->var[i]) == 0)
                continue;
            if (x.n != 1 || x.c != 0 || x.term[0].coef != 1 || dim >= 0)
                return false;
            dim = d;
        }
        if (dim < 0 || !covers(nest, last->index[dim], f->var[i]->extent, &reach))
            return false;
        to[i] = last->index[dim];
        if (!checked_mul(points, reach, &points))
            return false;
    }
    return points == times_written(nest, last) && limits_elements(nest, last);
}

/* A pointwise nest that reads the element just computed joins as a step. */
static bool join_step(Nest *nest, const Flat *f)
{
    const Stmt *last = nest_last(nest);
    LoadSearch read = find_load(f->store, last->buffer);
    Index to[MAX_NEST_LOOPS];
    if (!read.found || read.mixed || f->n_cond || nest->n_steps == MAX_STEPS ||
        !frame_within(nest->frame, f->frame) ||
        (!nest->update && (nest->n_cond || has_reduction(nest))) ||
        !map_step(nest, f, read.found, to))
        return false;
    const Stmt *step = stmt_copy(nest->arena, f->store, f->var, to, f->n_vars);
    if (!same_element(find_load(step, last->buffer).found, last) ||
        !is_injective(step) || !may_follow(step, nest->init) ||
        (nest->update && !may_follow(step, nest->update)))
        return false;
    for (int i = 0; i < nest->n_steps; i++)
        if (!may_follow(step, nest->step[i]))
            return false;
    nest->step[nest->n_steps++] = step;
    return true;
}

/* A label of its own for each nest: the buffer's name, or "zero" for a constant fill. */
static void nest_name(Nest **nests, int at)
{
    Nest *nest = nests[at];
    bool fill = !nest->update && nest->init->expr->kind == EXPR_CONST;
    const char *stem = fill ? "zero" : nest->init->buffer->name;
    nest->label = stem;
    for (int i = 0, serial = 2; i < at; i++)
        if (str_eq(nests[i]->label, nest->label)) {
            nest->label = arena_printf(nest->arena, "%s%d", stem, serial++);
            i = -1;
        }
}

static void nest_finish(Nest *nest)
{
    const Stmt *main = nest->update ? nest->update : nest->init;
    nest->ordered = !is_injective(nest->init) || !reads_own_only(nest->init, nest->init);
    nest->stage_at = nest->partial_at = -1;
    for (int i = 0; i < nest->n_vars; i++) {
        nest->loop[i] = (NestLoop){nest->var[i]->name, nest->var[i]->extent, LOOP_SERIAL,
                                   !is_spatial(main, nest->var[i]), 0, 0};
        if (nest->loop[i].reduction && nest->update && nest->stage_at < 0)
            nest->stage_at = i;
    }
    nest->n_loops = nest->n_vars;
    if (nest->stage_at < 0)
        nest->stage_at = nest->n_loops;
}

typedef struct NestReader {
    Cx *cx;
    Kernel *kernel;
    Nest **nest;
    int n;
    size_t cap;
} NestReader;

static bool conflict(const Stmt *s, const Stmt *other)
{
    return s->buffer == other->buffer || find_load(other, s->buffer).found ||
           find_load(s, other->buffer).found;
}

/* What stands behind a frame sees whole buffers; a step that joins the frame's last nest sees what
 * the turns so far wrote. So it must touch nothing that the other nests write, nor write what they
 * read. */
static bool conflicts(const NestReader *r, const Frame *frame, const Stmt *step)
{
    for (int i = 0; i < r->n - 1; i++) {
        const Nest *nest = r->nest[i];
        bool found = conflict(step, nest->init) || (nest->update && conflict(step, nest->update));
        for (int k = 0; k < nest->n_steps; k++)
            found = found || conflict(step, nest->step[k]);
        if (found && frame_within(nest->frame, frame))
            return true;
    }
    return false;
}

static Frame *outermost(Frame *inner, const Frame *outer)
{
    while (inner && inner->outer != outer)
        inner = inner->outer;
    return inner;
}

static void read_nest(NestReader *r, const Flat *f)
{
    Nest *open = r->n ? r->nest[r->n - 1] : NULL;
    bool leaves = open && open->frame != f->frame;
    if (open && join_update(open, f))
        return;
    if (open && !(leaves && conflicts(r, outermost(open->frame, f->frame), f->store)) &&
        join_step(open, f))
        return;
    r->nest = arena_grow(r->kernel->arena, r->nest, (size_t)r->n, (size_t)r->n + 1, &r->cap,
                         sizeof(Nest *));
    r->nest[r->n++] = nest_start(r->kernel->arena, r->kernel, f);
}

static bool read_body(NestReader *r, Body body, Frame *frame);

/* Loops whose innermost body is a list. */
static bool read_frame(NestReader *r, const Stmt *s, Frame *outer)
{
    Frame *frame = NEW(r->kernel->arena, Frame);
    *frame = (Frame){outer, s, NULL, NULL};
    while (s->kind == STMT_FOR && s->loop == LOOP_SERIAL && s->body.first &&
           s->body.first == s->body.last)
        s = s->body.first;
    if (s->kind == STMT_FOR && s->loop == LOOP_SERIAL)
        return read_body(r, s->body, frame);
    diag_error(r->cx->diags, NO_PLACE, "E0941",
               "kernel '%s' is not a list of perfect loop nests, so no schedule can act on it",
               r->kernel->name);
    return diag_help(r->cx->diags, "schedules apply to naive nests: run 'tile' before other loop "
                     "passes");
}

static bool read_body(NestReader *r, Body body, Frame *frame)
{
    for (const Stmt *s = body.first; s; s = s->next) {
        Flat f;
        if (s->kind == STMT_NOTE || (s->kind == STMT_LOCAL && frame))
            continue;
        if (flat_read(s, frame, &f))
            read_nest(r, &f);
        else if (!read_frame(r, s, frame))
            return false;
    }
    return true;
}

int nests_of_kernel(Cx *cx, Kernel *k, Nest ***nests)
{
    NestReader r = {.cx = cx, .kernel = k};
    if (!read_body(&r, k->body, NULL))
        return -1;
    for (int i = 0; i < r.n; i++) {
        nest_name(r.nest, i);
        nest_finish(r.nest[i]);
    }
    *nests = r.nest;
    return r.n;
}

int nest_find_loop(const Nest *nest, const char *name)
{
    for (int i = 0; i < nest->n_loops; i++)
        if (strcmp(nest->loop[i].name, name) == 0)
            return i;
    return -1;
}

int nest_first_loop(const Nest *nest, const char *name)
{
    int at = nest_find_loop(nest, name);
    for (int i = 0; at < 0 && i < nest->n_splits; i++)
        if (str_eq(nest->split[i].from, name)) {
            int outer = nest_first_loop(nest, nest->split[i].outer);
            int inner = nest_first_loop(nest, nest->split[i].inner);
            return outer < inner ? outer : inner;
        }
    return at;
}

static int count_loads(const Expr *e, const Buffer *b)
{
    int n = e->kind == EXPR_LOAD && e->buffer == b;
    for (int i = 0; i < expr_args(e); i++)
        n += count_loads(e->arg[i], b);
    return n;
}

int nest_skipped(const Nest *nest)
{
    const Expr *e = nest->update ? nest->update->expr : NULL;
    for (int i = 0; nest_sums(nest) && e->kind == EXPR_FMA && !nest->n_cond && i < 2; i++)
        if (e->arg[i]->kind == EXPR_LOAD && e->arg[i]->buffer->kind != BUF_WEIGHT &&
            e->arg[1 - i]->kind == EXPR_LOAD && e->arg[1 - i]->buffer->kind == BUF_WEIGHT)
            return i;
    return -1;
}

bool nest_sums(const Nest *nest)
{
    const Expr *e = nest->update ? nest->update->expr : NULL;
    if (!e || (e->kind != EXPR_FMA && (e->kind != EXPR_BIN || e->op != BIN_ADD)))
        return false;
    const Expr *own = e->arg[e->kind == EXPR_FMA ? 2 : 1];
    return own->kind == EXPR_LOAD && own->buffer == nest->update->buffer &&
           count_loads(e, own->buffer) == 1;
}
