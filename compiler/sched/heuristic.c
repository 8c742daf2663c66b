/* heuristic: find a nest's schedule by cost, from shapes and the row's numbers alone.
 *
 * A register tile has `block` vectors along one spatial loop (the lanes: where every access is
 * contiguous or the same in all lanes) and `points` iterations of another. One turn of the
 * reduction loops then costs
 *
 *   max(updates / fma_issue, loads / load ports, latency, bytes / bandwidth) + what overlaps badly
 *
 * where a load counts once for every tile iteration it differs in, and bytes are those of weights
 * too large for the first-level cache. The tile with the least sum over all its copies wins;
 * accumulators, operands and a spare must fit the registers.
 */
#include "sched/sched.h"

#include <math.h>
#include <string.h>

#define MAX_LOADS 8                    /* nests with more of anything keep their loops */
#define MAX_ACCESSES 64
#define MAX_VARS 10
#define MAX_PACKED 6                   /* dimensions of weights that are packed */

typedef struct Access {
    const Buffer *buffer;
    const Index *index;
    bool store;
    bool final;                        /* when the tile is finished: not in lanes if scattered */
} Access;

typedef struct Problem {
    Arena *arena;
    const Nest *nest;
    const Row *row;
    Access all[MAX_ACCESSES];          /* every access of the nest */
    int n_all;
    const Expr *load[MAX_LOADS];       /* of the update, without the accumulator */
    int n_loads;
    double turns, elements;            /* products of the reduction and the spatial extents */
    double weight_bytes;               /* read by the update, per copy of the whole nest */
    bool in_steps;                     /* while collecting */
    bool simple;                       /* all of it is here, and its loops may be reordered */
} Problem;

typedef struct Tile {
    int lane, point;                   /* index into nest->var; -1: none */
    int64_t block, points;             /* vectors, iterations */
    bool pad, scatter;
    double cycles;
    int copies;
} Tile;

static void collect_access(Problem *p, Access x)
{
    if (p->n_all < MAX_ACCESSES)
        p->all[p->n_all++] = x;
    else
        p->simple = false;
}

static void collect_load(void *user, const Expr *e)
{
    Problem *p = user;
    const Stmt *update = p->nest->update;
    bool own = update && e->buffer == update->buffer;
    if (e->kind == EXPR_LOAD)
        collect_access(p, (Access){e->buffer, e->index, false, p->in_steps || own});
}

static void collect_stmt(Problem *p, const Stmt *s)
{
    if (!s)
        return;
    collect_access(p, (Access){s->buffer, s->index, true, true});
    stmt_visit_exprs(s, collect_load, p);
}

static void collect_operand(void *user, const Expr *e)
{
    Problem *p = user;
    if (e->kind != EXPR_LOAD || e->buffer == p->nest->update->buffer)
        return;
    if (p->n_loads == MAX_LOADS) {
        p->simple = false;
        return;
    }
    p->load[p->n_loads++] = e;
    if (e->buffer->kind == BUF_WEIGHT)
        p->weight_bytes += (double)buffer_bytes(e->buffer);
}

static bool varies(const Index *index, int n, const Var *v)
{
    bool found = false;
    for (int d = 0; d < n; d++)
        found |= index_coef(index[d], v) != 0;
    return found;
}

static bool is_reduction(const Nest *nest, int var)
{
    const Stmt *main = nest->update ? nest->update : nest->init;
    return !varies(main->index, main->n_index, nest->var[var]);
}

static Problem problem_of(Arena *a, const Nest *nest, const Row *row)
{
    Problem p = {.arena = a, .nest = nest, .row = row, .turns = 1, .elements = 1,
                 .simple = !nest->ordered && nest->n_vars <= MAX_VARS};
    collect_stmt(&p, nest->init);
    collect_stmt(&p, nest->update);
    p.in_steps = true;
    for (int i = 0; i < nest->n_steps; i++)
        collect_stmt(&p, nest->step[i]);
    if (nest->update)
        stmt_visit_exprs(nest->update, collect_operand, &p);
    for (int i = 0; i < nest->n_vars; i++)
        *(is_reduction(nest, i) ? &p.turns : &p.elements) *= (double)nest->var[i]->extent;
    return p;
}

/* The logical dimension of an access that `v` runs along with step 1, if in no other. */
static int lane_dim(const Access *x, const Var *v)
{
    int dim = -1;
    for (int d = 0; d < x->buffer->rank; d++) {
        int64_t k = index_coef(x->index[d], v);
        if (k && (k != 1 || dim >= 0))
            return -2;
        if (k)
            dim = d;
    }
    return dim;
}

/* Does the rest of the index stay on multiples of `block`, so that lanes fall into one block? */
static bool block_aligned(Index x, const Var *v, int64_t block)
{
    bool ok = x.c % block == 0;
    for (int i = 0; i < x.n; i++)
        ok = ok && (x.term[i].var == v || x.term[i].coef % block == 0);
    return ok;
}

/* Weights that only the update reads, once, are packed for it, unless they have their layout. */
static bool is_packed(const Problem *p, const Buffer *b)
{
    int reads = 0, operands = 0;
    for (int i = 0; i < p->n_all; i++)
        reads += p->all[i].buffer == b;
    for (int i = 0; i < p->n_loads; i++)
        operands += p->load[i]->buffer == b;
    return b->kind == BUF_WEIGHT && b->n_storage == 0 && b->rank >= 2 && b->rank <= MAX_PACKED &&
           reads == 1 && operands == 1;
}

static bool lane_contiguous(const Problem *p, const Access *x, const Var *v)
{
    int d = lane_dim(x, v), lanes = p->row->lanes;
    const Buffer *b = x->buffer;
    if (d == -1)
        return true;
    if (d < 0)
        return false;
    if (is_packed(p, b))                       /* a packed copy puts this dimension last */
        return block_aligned(x->index[d], v, lanes);
    if (b->n_storage == 0)
        return d == b->rank - 1;
    const StorageDim *last = &b->storage[b->n_storage - 1];
    return last->dim == d && last->div == 1 &&
           (last->mod == 0 ||
            (last->mod % lanes == 0 &&
             block_aligned(index_offset(x->index[d], last->add), v, last->mod)));
}

/* May the lanes run past the end up to a whole vector? */
static bool lane_has_slack(const Problem *p, const Var *v, int64_t over, bool scatter)
{
    for (int i = 0; i < p->n_all; i++) {
        const Access *x = &p->all[i];
        int d = lane_dim(x, v);
        if (d < 0 || (scatter && x->final))
            continue;
        const Dim *dim = &x->buffer->dim[d];
        int64_t min, max, end = dim->extent - 1;
        index_range(x->index[d], &min, &max);
        if (dim->zero || (x->store && (max != end || x->index[d].n > 1)) ||
            ((x->buffer->kind != BUF_WEIGHT || x->buffer->n_storage) && max + over > end + dim->hi))
            return false;
    }
    return true;
}

static bool can_be_lane(const Problem *p, int var, bool scatter)
{
    const Var *v = p->nest->var[var];
    if (is_reduction(p->nest, var))
        return false;
    for (int i = 0; i < p->nest->n_cond; i++)
        if (index_coef(p->nest->cond[i].index, v))
            return false;
    bool used = false;
    for (int i = 0; i < p->n_all; i++) {
        if (scatter && p->all[i].final)
            continue;
        if (!lane_contiguous(p, &p->all[i], v))
            return false;
        used |= lane_dim(&p->all[i], v) >= 0;
    }
    return used;
}

/* Cycles of one turn of the reduction over a tile of block x points. */
static double turn_cycles(const Problem *p, const Tile *t, int64_t block, int64_t points)
{
    const Row *row = p->row;
    double loads = 0, bytes = 0;
    for (int i = 0; i < p->n_loads; i++) {
        const Expr *e = p->load[i];
        bool lanes = varies(e->index, e->n_index, p->nest->var[t->lane]);
        bool each = t->point >= 0 && varies(e->index, e->n_index, p->nest->var[t->point]);
        double n = (double)((lanes ? block : 1) * (each ? points : 1));
        loads += n;
        if (e->buffer->kind == BUF_WEIGHT && lanes)
            bytes += n * row->lanes * 4;
    }
    double bandwidth = p->weight_bytes > (double)row->l2_bytes * 4 ? row->memory_bytes_per_cycle
                                                           : row->l2_bytes_per_cycle;
    double port = loads / row->loads, fmas = (double)(block * points) / row->fma_issue;
    double cycles = fmax(fmax(fmas, port), row->fma_latency);
    if (p->weight_bytes > (double)row->l1_bytes && bytes / bandwidth > cycles)
        cycles = bytes / bandwidth;
    return cycles + 0.15 * port + 0.5;
}

static void tile_cost(const Problem *p, Tile *t)
{
    int64_t lanes = p->row->lanes, extent = p->nest->var[t->lane]->extent;
    int64_t vectors = t->pad ? (extent + lanes - 1) / lanes : extent / lanes;
    int64_t scalars = t->pad ? 0 : extent % lanes;
    int64_t point = t->point < 0 ? 1 : p->nest->var[t->point]->extent;
    int64_t count[2] = {vectors / t->block, 1}, width[2] = {t->block, vectors % t->block};
    int64_t rows[2] = {point / t->points, 1}, high[2] = {t->points, point % t->points};
    t->cycles = 0;
    t->copies = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            if (!width[i] || !high[j] || !count[i] || !rows[j])
                continue;
            double once = p->turns * turn_cycles(p, t, width[i], high[j]) +
                          (t->scatter ? 2.0 * (double)lanes : 2.0) * (double)(width[i] * high[j]) +
                          6;
            t->cycles += once * (double)(count[i] * rows[j]);
            t->copies++;
        }
    t->cycles += (double)scalars * (double)point * p->turns;
    t->cycles *= p->elements / ((double)extent * (double)point) * (1 + 0.005 * t->copies);
}

/* Accumulators, and twice the block's vectors: compilers load the next turn's early. */
static bool tile_fits(const Problem *p, const Tile *t)
{
    return t->block * t->points + 2 * t->block <= p->row->registers - 2;
}

/* Do parts of `width` begin and end with the blocks of every buffer that is blocked along `v`, or
 * lie inside one? */
static bool parts_on_blocks(const Problem *p, const Var *v, int64_t width)
{
    for (int i = 0; i < p->n_all && width < v->extent; i++) {
        int d = lane_dim(&p->all[i], v);
        const Buffer *b = p->all[i].buffer;
        for (int s = 0; d >= 0 && s < b->n_storage; s++) {
            int64_t mod = b->storage[s].dim == d ? b->storage[s].mod : 0;
            if (mod && width % mod && mod % width)
                return false;
        }
    }
    return true;
}

static bool tile_on_blocks(const Problem *p, const Tile *t)
{
    return parts_on_blocks(p, p->nest->var[t->lane], t->block * p->row->lanes) &&
           (t->point < 0 || parts_on_blocks(p, p->nest->var[t->point], t->points));
}

/* Weights that stream from memory get blocks of two cache lines: wider ones are no faster, and rows
 * with fewer registers can read the same blocks. */
static int64_t most_vectors(const Problem *p)
{
    bool streams = p->weight_bytes > (double)p->row->l2_bytes * 4;
    return !p->nest->update ? 1 : streams && p->row->lanes > 4 ? 32 / p->row->lanes : 8;
}

/* The best tile whose lanes run along `lane`. */
static void search_tiles(const Problem *p, int lane, bool scatter, Tile *best)
{
    int64_t lanes = p->row->lanes, extent = p->nest->var[lane]->extent;
    int64_t over = (lanes - extent % lanes) % lanes;
    bool pad = over > 0 && lane_has_slack(p, p->nest->var[lane], over, scatter);
    if (extent < lanes && !pad)
        return;
    int64_t vectors = (extent + (pad ? over : 0)) / lanes;
    for (int point = p->nest->n_vars - 1; point >= -1; point--) {      /* innermost wins a tie */
        if (point == lane || (point >= 0 && (is_reduction(p->nest, point) || !p->nest->update ||
                                             p->nest->var[point]->extent == 1)))
            continue;
        int64_t most = point < 0 ? 1 : p->nest->var[point]->extent;
        for (int64_t block = 1; block <= vectors && block <= most_vectors(p); block++)
            for (int64_t points = 1; points <= most && points <= 28; points++) {
                Tile t = {lane, point, block, points, pad, scatter, 0, 0};
                if (!tile_fits(p, &t))
                    break;
                if (!tile_on_blocks(p, &t))
                    continue;
                tile_cost(p, &t);
                if (best->lane < 0 || t.cycles < best->cycles * 0.999)
                    *best = t;
            }
    }
}

/* ---- the tile as a line of verbs ------------------------------------------------------------- */

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

typedef struct Reductions {            /* the reduction loops as the schedule orders them */
    const char *name[MAX_NEST_LOOPS];
    int64_t extent[MAX_NEST_LOOPS];
    int n;
    int partial;                       /* position of the partial sums' first loop, or -1 */
    int64_t split;                     /* of the outermost loop, to make it so; 0: none */
    int var[MAX_NEST_LOOPS];           /* before that split: what they count, and which half */
    char half[MAX_NEST_LOOPS];         /* '/': number of a block, '%': place in it, ' ': all */
    int n_vars;
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
            r.var[r.n] = v;
            r.half[r.n] = "/ %"[pass];
            r.extent[r.n] = pass == 0 ? var->extent / block : pass == 1 ? var->extent : block;
            r.name[r.n++] = arena_printf(p->arena, "%s%s", var->name,
                                         pass == 0 ? ".o" : pass == 1 ? "" : ".i");
        }
    r.n_vars = r.n;
    return r;
}

/* The weights' layout follows the loops: lane blocks outside, reductions in order, lanes last. */
static void write_pack(const Problem *p, Str *out, const Tile *t, const Reductions *r,
                       const Expr *load)
{
    const Buffer *b = load->buffer;
    const Access access = {b, load->index, false, false};
    int lane = lane_dim(&access, p->nest->var[t->lane]);
    int64_t width = t->block * p->row->lanes;
    bool placed[MAX_DIMS] = {false};
    if (lane < 0)
        return;
    if (t->pad || !block_aligned(load->index[lane], p->nest->var[t->lane], width))
        width = p->row->lanes;
    str_printf(out, "pack %s [", b->name);
    placed[lane] = true;
    Str inner = str_new(p->arena);
    for (int i = 0; i < r->n_vars; i++) {
        int d = lane_dim(&access, p->nest->var[r->var[i]]);
        if (d < 0 || d == lane || load->index[d].n > 1)   /* not this reduction's alone */
            continue;
        placed[d] = true;
        str_printf(&inner, "d%d", d);
        if (r->half[i] != ' ')
            str_printf(&inner, "%c%lld", r->half[i], (long long)reduction_block(p, r->var[i]));
        str_add(&inner, ", ");
    }
    for (int d = 0; d < b->rank; d++)
        if (!placed[d])
            str_printf(out, "d%d, ", d);
    str_printf(out, "d%d/%d, %sd%d%%%d], ", lane, (int)width, inner.data, lane, (int)width);
}

/* Long sums become sums of partial sums, each about as long as there are of them: where the loops
 * have no boundary near that length, the outermost is split to make one. */
static void choose_partial(const Problem *p, Reductions *r)
{
    double length = p->turns, ideal = 1.5 * sqrt(length), chunk = 1, best = 3;
    if (!nest_sums(p->nest) || p->nest->update->expr->kind != EXPR_FMA || length <= 512)
        return;
    for (int i = r->n - 1; i > 0; i--) {
        chunk *= (double)r->extent[i];
        double off = chunk > ideal ? chunk / ideal : ideal / chunk;
        if (chunk >= 64 && off < best) {
            best = off;
            r->partial = i;
        }
    }
    if (r->partial >= 0)
        return;
    double rest = length / (double)r->extent[0];
    for (int64_t f = (int64_t)(ideal / rest); f > 1 && !r->split; f--)
        if (f < r->extent[0] && r->extent[0] % f == 0)
            r->split = f;
    if (!r->split)
        return;
    memmove(&r->name[1], &r->name[0], sizeof r->name[0] * (size_t)r->n);
    r->n++;
    r->name[0] = arena_printf(p->arena, "%s.o", r->name[1]);
    r->name[1] = arena_printf(p->arena, "%s.i", r->name[1]);
    r->partial = 1;
}

static void write_reduction_splits(const Problem *p, Str *out, const Reductions *r)
{
    for (int v = 0; v < p->nest->n_vars; v++) {
        const Var *var = p->nest->var[v];
        int64_t block = is_reduction(p->nest, v) ? reduction_block(p, v) : 0;
        if (block)
            str_printf(out, "split %s %lld%s, ", var->name, (long long)block,
                       var->extent % block ? " tail=peel" : "");
    }
    if (r->split)                              /* named x.o and x.i: x is what is split */
        str_printf(out, "split %.*s %d, ", (int)strlen(r->name[0]) - 2, r->name[0], (int)r->split);
}

static void write_tile_splits(const Problem *p, Str *out, const Tile *t)
{
    const Nest *nest = p->nest;
    int lanes = p->row->lanes;
    const Var *lane = nest->var[t->lane];
    if (t->pad) {
        int64_t vectors = (lane->extent + lanes - 1) / lanes;
        str_printf(out, "split %s %d tail=pad, ", lane->name, lanes);
        str_printf(out, "split %s.o %d%s, ", lane->name, (int)t->block,
                   vectors % t->block ? " tail=peel" : "");
    } else {
        int width = (int)t->block * lanes;
        str_printf(out, "split %s %d%s, ", lane->name, width,
                   lane->extent % width ? " tail=peel" : "");
        str_printf(out, "split %s.i %d, ", lane->name, lanes);
    }
    if (t->point >= 0)
        str_printf(out, "split %s %d%s, ", nest->var[t->point]->name, (int)t->points,
                   nest->var[t->point]->extent % t->points ? " tail=peel" : "");
}

#define PARALLEL_CYCLES 50000          /* what is worth waking threads for */
#define PARALLEL_TASKS 4               /* loops with fewer iterations would leave threads idle */

/* The loop that becomes tasks, by the variable it counts: the outermost one with enough iterations,
 * else the one with the most. -1: not worth it. It becomes the outermost loop. */
static int parallel_var(const Problem *p, const Tile *t, int64_t *extent)
{
    int best = -1;
    *extent = 1;
    if (t->cycles < PARALLEL_CYCLES)
        return -1;
    for (int v = 0; v < p->nest->n_vars && *extent < PARALLEL_TASKS; v++) {
        int64_t n = p->nest->var[v]->extent;
        if (is_reduction(p->nest, v))
            continue;
        if (v == t->lane)
            n = (t->pad ? n + p->row->lanes - 1 : n) / (t->block * p->row->lanes);
        else if (v == t->point)
            n /= t->points;
        if (n > *extent) {
            *extent = n;
            best = v;
        }
    }
    return best;
}

/* The spatial loops outside of the tile, the parallel one first. Returns that one's name. */
static const char *write_outer(const Problem *p, Str *out, const Tile *t)
{
    int64_t extent;
    int parallel = parallel_var(p, t, &extent);
    const char *first = NULL;
    for (int pass = 0; pass < 2; pass++)
        for (int v = 0; v < p->nest->n_vars; v++) {
            const char *name = p->nest->var[v]->name;
            if (is_reduction(p->nest, v) || (v == parallel) != (pass == 0))
                continue;
            if (v == t->lane)
                name = arena_printf(p->arena, t->pad ? "%s.o.o" : "%s.o", name);
            else if (v == t->point)
                name = arena_printf(p->arena, "%s.o", name);
            str_printf(out, "%s ", name);
            first = pass == 0 ? name : first;
        }
    return first;
}

/* Where nothing can be a lane, sums still have the order and the parts of other rows. */
static void write_sums(const Problem *p, Str *out, const Tile *t, const Reductions *r)
{
    str_add(out, "order ");
    const char *parallel = write_outer(p, out, t);
    for (int i = 0; i < r->n; i++)
        str_printf(out, i ? " %s" : "%s", r->name[i]);
    str_printf(out, ", stage at %s", r->name[0]);
    if (r->partial >= 0)
        str_printf(out, ", partial %s", r->name[r->partial]);
    if (parallel)
        str_printf(out, ", parallel %s", parallel);
}

/* Spatial loops outside, the tile inside; between them the reductions. */
static void write_order(const Problem *p, Str *out, const Tile *t, const Reductions *r)
{
    const Nest *nest = p->nest;
    const char *lane = nest->var[t->lane]->name;
    const char *point = t->point < 0 ? NULL : nest->var[t->point]->name;
    const char *block = arena_printf(p->arena, t->pad ? "%s.o.i" : "%s.i.o", lane);
    const char *vector = arena_printf(p->arena, t->pad ? "%s.i" : "%s.i.i", lane);
    str_add(out, "order ");
    const char *parallel = write_outer(p, out, t);
    for (int i = 0; i < r->n; i++)
        str_printf(out, "%s ", r->name[i]);
    if (point)
        str_printf(out, "%s.i ", point);
    str_printf(out, "%s %s, stage at ", block, vector);
    str_printf(out, r->n || !point ? "%s" : "%s.i", r->n ? r->name[0] : point ? point : block);
    if (r->partial >= 0)
        str_printf(out, ", partial %s", r->name[r->partial]);
    if (point)
        str_printf(out, ", unroll %s.i", point);
    str_printf(out, ", unroll %s, vector %s", block, vector);
    if (parallel)
        str_printf(out, ", parallel %s", parallel);
}

static Tile best_tile(const Problem *p)
{
    Tile best = {.lane = -1, .point = -1, .cycles = p->turns * p->elements};
    for (int v = 0; v < p->nest->n_vars && p->row->lanes > 1; v++)
        if (can_be_lane(p, v, false))
            search_tiles(p, v, false, &best);
        else if (p->nest->update && can_be_lane(p, v, true))
            search_tiles(p, v, true, &best);
    return best;
}

const char *schedule_find(Arena *a, const Kernel *k, Nest *const *nests, int n, const Row *row,
                          const char **why)
{
    Str out = str_new(a);
    for (int i = 0; i < n; i++) {
        Problem p = problem_of(a, nests[i], row);
        if (!p.simple)
            continue;
        Tile t = best_tile(&p);
        Reductions r = reductions_in_order(&p);
        choose_partial(&p, &r);
        if (t.lane < 0 && r.partial < 0 && (r.n == 0 || r.half[0] != '/'))
            continue;
        str_printf(&out, "%s%s: ", out.len ? "; " : "", nests[i]->label);
        if (t.lane >= 0 && t.scatter)
            str_add(&out, "scatter, ");
        write_reduction_splits(&p, &out, &r);
        if (t.lane < 0) {
            write_sums(&p, &out, &t, &r);
            *why = r.partial >= 0 ? "sums in parts, for accuracy; no loop can be lanes"
                                  : "sums in the order of other rows; no loop can be lanes";
            continue;
        }
        write_tile_splits(&p, &out, &t);
        for (int l = 0; l < p.n_loads; l++)
            if (is_packed(&p, p.load[l]->buffer))
                write_pack(&p, &out, &t, &r, p.load[l]);
        write_order(&p, &out, &t, &r);
        *why = arena_printf(a, "tile of %d vectors x %d points, about %.0f thousand cycles",
                            (int)t.block, (int)t.points, t.cycles / 1000);
    }
    (void)k;
    return out.len ? out.data : NULL;
}
