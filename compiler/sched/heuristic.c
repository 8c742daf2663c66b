/* heuristic: find a nest's schedule, from shapes and the row's numbers alone.
 *
 * The cheapest tile (cost.c) is written down as a line of verbs: spatial loops outside, the tile
 * inside, between them the reductions, blocks of blocked dimensions first; weights packed in the
 * order that the loops read them.
 */
#include "sched/sched.h"

#include <math.h>
#include <string.h>

/* A reduction loop over a blocked dimension of an input is split at its block. */
static int64_t reduction_block(const Problem *p, int var)
{
    for (int i = 0; i < p->n_all; i++) {
        const Buffer *b = p->all[i].buffer;
        for (int s = 0; s < b->n_storage && b->kind != BUF_WEIGHT; s++) {
            Index x = p->all[i].index[b->storage[s].dim];
            int64_t mod = b->storage[s].mod;
            if (mod > 1 && index_coef(x, p->nest->var[var]) == 1 &&
                block_aligned(x, p->nest->var[var], mod) && p->nest->var[var]->extent > mod)
                return mod;
        }
    }
    return 0;
}

typedef struct SumLoop {               /* one loop of a reduction */
    const char *name;
    int64_t extent;
    int var;                           /* what it counts: index into nest->var */
    char half;                         /* '/': numbers of blocks, '%': places in one, ' ': all */
} SumLoop;

typedef struct Reductions {            /* the reduction loops as the schedule orders them */
    SumLoop loop[MAX_NEST_LOOPS];
    int n;
    int partial;                       /* position of the partial sums' first loop, or -1 */
    const char *split;                 /* the loop that is split in two to make it so, or NULL */
} Reductions;

/* Blocks of blocked dimensions, then whole loops, then the insides of blocks. */
static Reductions reductions_in_order(const Problem *p)
{
    Reductions r = {.partial = -1};
    for (int pass = 0; pass < 3; pass++)
        for (int v = 0; v < p->nest->n_vars; v++) {
            const Var *var = p->nest->var[v];
            int64_t block = reduction_block(p, v);
            if (!is_reduction(p->nest, v) || (block != 0) != (pass != 1))
                continue;
            const char *half[3] = {".o", "", ".i"};
            int64_t extent[3] = {block ? var->extent / block : 0, var->extent, block};
            r.loop[r.n++] = (SumLoop){arena_printf(p->arena, "%s%s", var->name, half[pass]),
                                      extent[pass], v, "/ %"[pass]};
        }
    return r;
}

/* By how much the loops of the frames step through a dimension, at least; 0: not at all. */
static int64_t frame_step(const Nest *nest, Index x)
{
    int64_t step = 0;
    for (int i = 0; i < x.n; i++) {
        bool own = false;
        for (int v = 0; v < nest->n_vars; v++)
            own = own || nest->var[v] == x.term[i].var;
        for (int64_t a = x.term[i].coef, rest; !own && a; a = rest) {
            rest = step % a;
            step = a;
        }
    }
    return step;
}

/* The weights' layout follows the loops: what the frames step over, lane blocks, reductions in
 * order, lanes last. */
static void write_pack(const Problem *p, Str *out, const Tile *t, const Reductions *r,
                       const Expr *load)
{
    const Buffer *b = load->buffer;
    const Access access = {load->buffer, load->index, load->n_index, 1, false};
    int lane = lane_dim(&access, p->nest->var[t->lane]);
    int64_t width = t->block * p->row->lanes;
    bool placed[MAX_DIMS] = {false};
    if (lane < 0)
        return;
    int64_t step = frame_step(p->nest, load->index[lane]);
    if (t->row)
        width = t->row;
    else if (t->pad || !block_aligned(load->index[lane], p->nest->var[t->lane], width))
        width = p->row->lanes;
    str_printf(out, "pack %s [", b->name);
    if (step)
        str_printf(out, "d%d/%lld, ", lane, (long long)step);
    placed[lane] = true;
    Str inner = str_new(p->arena);
    for (int i = r->split ? 1 : 0; i < r->n; i++) {       /* a split changes no order */
        const SumLoop *s = &r->loop[i];
        int d = lane_dim(&access, p->nest->var[s->var]);
        if (d < 0 || d == lane || load->index[d].n > 1)   /* not this reduction's alone */
            continue;
        placed[d] = true;
        str_printf(&inner, "d%d", d);
        if (s->half != ' ')
            str_printf(&inner, "%c%lld", s->half, (long long)reduction_block(p, s->var));
        str_add(&inner, ", ");
    }
    for (int d = 0; d < b->rank; d++)
        if (!placed[d])
            str_printf(out, "d%d, ", d);
    if (step > width)
        str_printf(out, "d%d/%d%%%d, ", lane, (int)width, (int)(step / width));
    else if (!step)
        str_printf(out, "d%d/%d, ", lane, (int)width);
    str_printf(out, "%sd%d%%%d], ", inner.data, lane, (int)width);
}

/* Long sums become sums of partial sums, each about as long as there are of them: where the loops
 * have no boundary near that length, the outermost is split to make one. */
static void choose_partial(const Problem *p, Reductions *r)
{
    double length = p->turns, ideal = 1.5 * sqrt(length), chunk = 1, best = 3;
    if (!nest_sums(p->nest) || p->nest->update->expr->kind != EXPR_FMA || length <= 512)
        return;
    for (int i = r->n - 1; i > 0; i--) {
        chunk *= (double)r->loop[i].extent;
        double off = chunk > ideal ? chunk / ideal : ideal / chunk;
        if (chunk >= 64 && off < best) {
            best = off;
            r->partial = i;
        }
    }
    if (r->partial >= 0)
        return;
    SumLoop *outer = &r->loop[0];
    double rest = length / (double)outer->extent;
    int64_t factor = (int64_t)(ideal / rest);
    factor = factor < outer->extent ? factor : outer->extent - 1;
    while (factor > 1 && outer->extent % factor)
        factor--;
    if (factor <= 1)
        return;
    r->split = outer->name;
    memmove(outer + 1, outer, sizeof *outer * (size_t)r->n++);
    outer[0].name = arena_printf(p->arena, "%s.o", r->split);
    outer[0].extent /= factor;
    outer[1].name = arena_printf(p->arena, "%s.i", r->split);
    outer[1].extent = factor;
    r->partial = 1;
}

static void write_split(Str *out, const char *name, int64_t factor, int64_t extent)
{
    str_printf(out, "split %s %lld%s, ", name, (long long)factor,
               extent % factor ? " tail=peel" : "");
}

static void write_reduction_splits(const Problem *p, Str *out, const Reductions *r)
{
    for (int v = 0; v < p->nest->n_vars; v++) {
        const Var *var = p->nest->var[v];
        int64_t block = is_reduction(p->nest, v) ? reduction_block(p, v) : 0;
        if (block)
            write_split(out, var->name, block, var->extent);
    }
    if (r->split)
        write_split(out, r->split, r->loop[1].extent, r->loop[0].extent * r->loop[1].extent);
}

static void write_tile_splits(const Problem *p, Str *out, const Tile *t)
{
    const Var *lane = p->nest->var[t->lane];
    int64_t lanes = p->row->lanes, width = t->block * lanes;
    if (t->pad) {
        str_printf(out, "split %s %lld tail=pad, ", lane->name, (long long)lanes);
        write_split(out, arena_printf(p->arena, "%s.o", lane->name), t->block,
                    (lane->extent + lanes - 1) / lanes);
    } else {
        write_split(out, lane->name, width, lane->extent);
        write_split(out, arena_printf(p->arena, "%s.i", lane->name), lanes, width);
    }
    if (t->point >= 0)
        write_split(out, p->nest->var[t->point]->name, t->points,
                    p->nest->var[t->point]->extent);
}

#define MAX_UNROLLED_SUM 16            /* turns of the innermost sum, in a variant */
#define SKIP_ROW 2048                  /* floats: 8 KiB */
#define LONGEST_SKIP_ROW 4096
#define PARALLEL_CYCLES 50000          /* what is worth waking threads for */
#define FRAME_CYCLES 20000             /* the same in a frame, among whose nests they are awake */
#define PARALLEL_TASKS 4               /* loops with fewer iterations would leave threads idle */

/* Iterations of a spatial loop outside of the tile. */
static int64_t outer_extent(const Problem *p, const Tile *t, int v)
{
    int64_t n = p->nest->var[v]->extent;
    if (v == t->lane)
        return (t->pad ? n + p->row->lanes - 1 : n) / (t->block * p->row->lanes);
    return v == t->point ? n / t->points : n;
}

/* The loop that becomes tasks, by the variable it counts: the outermost one with enough iterations,
 * else the one with the most. -1: not worth it. It becomes the outermost loop. */
static int parallel_var(const Problem *p, const Tile *t, int64_t *extent)
{
    int best = -1;
    *extent = 1;
    if (t->cycles < PARALLEL_CYCLES)
        return -1;
    for (int v = 0; v < p->nest->n_vars && *extent < PARALLEL_TASKS; v++) {
        int64_t n = is_reduction(p->nest, v) ? 0 : outer_extent(p, t, v);
        if (n > *extent) {
            *extent = n;
            best = v;
        }
    }
    return best;
}

/* What stands for a loop outside of the tile. */
static const char *outer_name(const Problem *p, const Tile *t, int v)
{
    const char *half = v == t->lane ? t->pad ? ".o.o" : ".o" : v == t->point ? ".o" : "";
    return arena_printf(p->arena, "%s%s", p->nest->var[v]->name, half);
}

/* The spatial loops outside of the tile, the choice's first, which is also the parallel one if any
 * is. Returns that one's name. */
static const char *write_outer(const Problem *p, Str *out, const Choice *c)
{
    int64_t extent;
    int parallel = parallel_var(p, &c->tile, &extent);
    int first = c->first >= 0 ? c->first : parallel;
    parallel = parallel >= 0 ? first : -1;
    for (int pass = 0; pass < 2; pass++)
        for (int v = 0; v < p->nest->n_vars; v++)
            if (!is_reduction(p->nest, v) && (v == first) == (pass == 0))
                str_printf(out, " %s", outer_name(p, &c->tile, v));
    return parallel >= 0 ? outer_name(p, &c->tile, parallel) : NULL;
}

/* Spatial loops outside, the tile inside; between them the reductions. Where nothing can be a lane
 * there is no tile, but sums still have the order and the parts of other rows. */
static void write_order(const Problem *p, Str *out, const Choice *c, const Reductions *r)
{
    const Tile *t = &c->tile;
    const char *point = NULL, *block = NULL, *vector = NULL;
    str_add(out, "order");
    const char *parallel = write_outer(p, out, c);
    for (int i = 0; i < r->n; i++)
        str_printf(out, " %s", r->loop[i].name);
    if (t->point >= 0) {
        point = arena_printf(p->arena, "%s.i", p->nest->var[t->point]->name);
        str_printf(out, " %s", point);
    }
    if (t->lane >= 0) {
        const char *lane = p->nest->var[t->lane]->name;
        block = arena_printf(p->arena, t->pad ? "%s.o.i" : "%s.i.o", lane);
        vector = arena_printf(p->arena, t->pad ? "%s.i" : "%s.i.i", lane);
        str_printf(out, " %s %s", block, vector);
    }
    str_printf(out, ", stage at %s", r->n ? r->loop[0].name : point ? point : block);
    if (r->partial >= 0)
        str_printf(out, ", partial %s", r->loop[r->partial].name);
    if (t->row)
        str_printf(out, ", skip %s", r->loop[r->partial].name);
    if (c->unroll && r->n)
        str_printf(out, ", unroll %s", r->loop[r->n - 1].name);
    if (point)
        str_printf(out, ", unroll %s", point);
    if (vector && !t->row)
        str_printf(out, ", unroll %s", block);
    if (vector)
        str_printf(out, ", vector %s", vector);
    if (parallel)
        str_printf(out, ", parallel %s", parallel);
}

/* How many outputs lie in a row of weights, a multiple of every vector width: memory is fast from
 * 4 KiB on, and the row's sums stay in the first-level cache. 0: no such number. */
static int64_t skip_row(int64_t outputs)
{
    int64_t all = (outputs + 15) / 16 * 16;
    for (int64_t n = SKIP_ROW; n < outputs && n <= LONGEST_SKIP_ROW; n += 16)
        if (outputs % n == 0)
            return n;
    return all >= 512 && all <= LONGEST_SKIP_ROW ? all : 0;
}

/* The tile for a kernel that skips zeros: all outputs of a row, whose sums are in memory. */
static bool skipping_tile(const Problem *p, const Reductions *r, Tile *t)
{
    const Nest *nest = p->nest;
    int64_t lanes = p->row->lanes;
    int lane = -1;
    for (int v = 0; v < nest->n_vars; v++) {
        if (is_reduction(nest, v) || nest->var[v]->extent == 1)
            continue;
        if (lane >= 0)
            return false;
        lane = v;
    }
    if (!nest->kernel->algo || !str_eq(nest->kernel->algo, "skip-zeros") || lane < 0 ||
        lanes == 1 || nest_skipped(nest) < 0 || r->n != 2 || !r->split || r->partial != 1 ||
        r->loop[1].extent % LIST_GROUP)
        return false;
    int64_t outputs = nest->var[lane]->extent, row = skip_row(outputs);
    int64_t over = (lanes - outputs % lanes) % lanes;
    bool scatter = !can_be_lane(p, lane, false) ||
                   (over && !lane_has_slack(p, nest->var[lane], over, false));
    *t = (Tile){.lane = lane, .point = -1, .points = 1, .pad = over > 0, .scatter = scatter,
                .row = row};
    t->block = ((row < outputs ? row : outputs) + lanes - 1) / lanes;
    t->cycles = p->weight_bytes / p->row->memory_bytes_per_cycle;
    return row > 0 && can_be_lane(p, lane, scatter) &&
           (!over || lane_has_slack(p, nest->var[lane], over, scatter));
}

/* A nest that keeps its loops may still have one whose iterations are tasks. */
static void write_tasks(const Problem *p, Str *out, const Tile *t)
{
    int64_t extent;
    int v = parallel_var(p, t, &extent);
    if (v >= 0)
        str_printf(out, "%s%s: parallel %s", out->len ? "; " : "", p->nest->label,
                   p->nest->var[v]->name);
}

/* The loop of a frame whose iterations become tasks, like those of a nest; NULL: none pays.
 * `cycles` are those of each nest once. */
static const Var *frame_tasks(Nest *const *nests, int n, const double *cycles, const Frame *frame)
{
    const Var *best = NULL;
    if (!frame || frame_tasks(nests, n, cycles, frame->outer))
        return NULL;
    for (const Stmt *s = frame->loop; s; s = frame_inner(s)) {
        double all = 0;
        if ((best && (best->extent >= PARALLEL_TASKS || s->var->extent <= best->extent)) ||
            s->var->extent == 1 || frame_shares(nests, n, frame, s->var))
            continue;
        for (int i = 0; i < n; i++) {
            double times = frame_within(nests[i]->frame, frame) ? 1 : 0;
            for (const Stmt *t = s; t; t = frame_inner(t))
                times *= (double)t->var->extent;
            for (const Frame *f = nests[i]->frame; times > 0 && f != frame; f = f->outer)
                for (const Stmt *t = f->loop; t; t = frame_inner(t))
                    times *= (double)t->var->extent;
            all += times * cycles[i];
        }
        best = all >= FRAME_CYCLES ? s->var : best;
    }
    return best;
}

static void write_frames(Nest *const *nests, int n, const double *cycles, Str *out)
{
    for (int i = 0; i < n; i++)
        for (const Frame *f = nests[i]->frame; f; f = f->outer) {
            const Var *task = frame_tasks(nests, n, cycles, f);
            if (task && (i == 0 || !frame_within(nests[i - 1]->frame, f)))
                str_printf(out, "%s%s: parallel %s", out->len ? "; " : "", nests[i]->label,
                           task->name);
        }
}

typedef struct Plan {                  /* for one nest */
    Problem problem;
    Reductions sums;
    Choice choice;
} Plan;

static Plan plan_nest(Arena *a, const Nest *nest, const Row *row)
{
    Plan plan = {.problem = problem_of(a, nest, row), .choice = {.first = -1}};
    if (!plan.problem.simple)
        return plan;
    plan.choice.tile = best_tile(&plan.problem);
    plan.sums = reductions_in_order(&plan.problem);
    choose_partial(&plan.problem, &plan.sums);
    Tile row_tile;
    if (skipping_tile(&plan.problem, &plan.sums, &row_tile))
        plan.choice.tile = row_tile;
    return plan;
}

/* Appends the nest's line. Returns the reason for it; NULL: its loops keep their order. */
static const char *write_nest(const Plan *plan, Str *out)
{
    const Problem *p = &plan->problem;
    const Reductions *r = &plan->sums;
    const Tile *t = &plan->choice.tile;
    if (t->lane < 0 && r->partial < 0 && (r->n == 0 || r->loop[0].half != '/')) {
        write_tasks(p, out, t);
        return NULL;
    }
    str_printf(out, "%s%s: ", out->len ? "; " : "", p->nest->label);
    if (t->scatter)
        str_add(out, "scatter, ");
    write_reduction_splits(p, out, r);
    if (t->lane >= 0)
        write_tile_splits(p, out, t);
    for (int l = 0; l < p->n_loads && t->lane >= 0; l++)
        if (is_packed(p, p->load[l]->buffer))
            write_pack(p, out, t, r, p->load[l]);
    write_order(p, out, &plan->choice, r);
    if (t->lane >= 0)
        return arena_printf(p->arena, "tile of %d vectors x %d points, about %.0f thousand cycles",
                            (int)t->block, (int)t->points, t->cycles / 1000);
    return r->partial >= 0 ? "sums in parts, for accuracy; no loop can be lanes"
                           : "sums in the order of other rows; no loop can be lanes";
}

/* A schedule of all nests; its choice is the one of nest number `main`. */
static Candidate write_plans(Arena *a, Nest *const *nests, const Plan *plan, int n, int main)
{
    Str out = str_new(a);
    Candidate c = {0};
    double *cycles = NEW_ARRAY(a, double, n);
    for (int i = 0; i < n; i++) {
        if (!plan[i].problem.simple)
            continue;
        const char *why = write_nest(&plan[i], &out);
        cycles[i] = plan[i].choice.tile.cycles;
        if (why && (main < 0 || i == main))
            c.why = why;
    }
    write_frames(nests, n, cycles, &out);
    c.text = out.len ? out.data : NULL;
    if (main >= 0)
        c.choice = plan[main].choice;
    return c;
}

static Plan *plan_nests(Arena *a, Nest *const *nests, int n, const Row *row)
{
    Plan *plan = NEW_ARRAY(a, Plan, n);
    for (int i = 0; i < n; i++)
        plan[i] = plan_nest(a, nests[i], row);
    return plan;
}

const char *schedule_find(Arena *a, Nest *const *nests, int n, const Row *row, const char **why)
{
    Candidate c = write_plans(a, nests, plan_nests(a, nests, n, row), n, -1);
    *why = c.why ? c.why : *why;
    return c.text;
}

/* The nest that takes longest, of those with a tile to choose. */
static int main_nest(const Plan *plan, int n)
{
    int main = -1;
    for (int i = 0; i < n; i++) {
        const Tile *t = &plan[i].choice.tile;
        if (plan[i].problem.simple && t->lane >= 0 && !t->row &&
            (main < 0 || t->cycles > plan[main].choice.tile.cycles))
            main = i;
    }
    return main;
}

int schedule_candidates(Arena *a, Nest *const *nests, int n, const Row *row, Candidate *out,
                        int max)
{
    Plan *plan = plan_nests(a, nests, n, row);
    Tile *tile = NEW_ARRAY(a, Tile, max);
    int main = main_nest(plan, n), made = 1;
    out[0] = write_plans(a, nests, plan, n, main);
    if (main < 0)
        return out[0].text != NULL;
    Tile best = plan[main].choice.tile;
    int found = ranked_tiles(&plan[main].problem, tile, max);
    for (int i = 0; i < found && made < max; i++) {
        plan[main].choice.tile = tile[i];
        bool same = tile[i].lane == best.lane && tile[i].point == best.point &&
                    tile[i].block == best.block && tile[i].points == best.points;
        if (!same)
            out[made++] = write_plans(a, nests, plan, n, main);
    }
    return made;
}

int schedule_variants(Arena *a, Nest *const *nests, int n, const Row *row, const Choice *from,
                      Candidate *out, int max)
{
    Plan *plan = plan_nests(a, nests, n, row);
    int main = main_nest(plan, n), made = 0;
    if (main < 0)
        return 0;
    const Nest *nest = plan[main].problem.nest;
    const Reductions *sums = &plan[main].sums;
    bool short_sum = sums->n && sums->loop[sums->n - 1].extent <= MAX_UNROLLED_SUM;
    for (int first = -1; first < nest->n_vars; first++)
        for (int unroll = 0; unroll < 1 + short_sum && made < max; unroll++) {
            plan[main].choice = (Choice){from->tile, first, unroll};
            bool outer = first < 0 || (!is_reduction(nest, first) &&
                                       outer_extent(&plan[main].problem, &from->tile, first) >=
                                           PARALLEL_TASKS);
            if (outer && (first != from->first || unroll != from->unroll))
                out[made++] = write_plans(a, nests, plan, n, main);
        }
    return made;
}
