/* cost: which register tile of a nest takes the fewest cycles, by the row's numbers alone.
 *
 * A register tile has `block` vectors along one spatial loop (the lanes) and `points` iterations
 * of another. One turn of the reduction loops then costs
 *
 *   max(updates / fma_issue, loads / load ports, latency, bytes / bandwidth) + what overlaps badly
 *
 * where a load counts once for every tile iteration it differs in, and bytes are those of weights
 * too large for the first-level cache; what the tiles that follow read again is in the second by
 * then. The tile with the least sum over all its copies wins;
 * accumulators, operands and a spare must fit the registers.
 */
#include "sched/sched.h"

#include <math.h>

/* How often the tiles read the same weights before others, while the second-level cache has
 * them. */
static double weight_passes(const Problem *p, const Expr *load, int64_t block, int64_t points)
{
    double passes = 1.0 / (double)points;
    for (int v = 0; v < p->nest->n_vars; v++)
        if (!is_reduction(p->nest, v) && !varies(load->index, load->n_index, p->nest->var[v]))
            passes *= (double)p->nest->var[v]->extent;
    bool fits = p->turns * (double)(block * p->row->lanes * 4) <= (double)p->row->l2_bytes / 2;
    return fits && passes > 1 ? passes : 1;
}

/* Cycles of one turn of the reduction over a tile of block x points. */
static double turn_cycles(const Problem *p, const Tile *t, int64_t block, int64_t points)
{
    const Row *row = p->row;
    double loads = 0, near = 0, far = 0;      /* bytes from the second level and from memory */
    for (int i = 0; i < p->n_loads; i++) {
        const Expr *e = p->load[i];
        bool lanes = varies(e->index, e->n_index, p->nest->var[t->lane]);
        bool each = t->point >= 0 && varies(e->index, e->n_index, p->nest->var[t->point]);
        double n = (double)((lanes ? block : 1) * (each ? points : 1));
        loads += n;
        if (e->buffer->kind != BUF_WEIGHT || !lanes || p->weight_bytes <= (double)row->l1_bytes)
            continue;
        near += n * row->lanes * 4;
        if (p->weight_bytes > (double)row->l2_bytes * 4)
            far += n * row->lanes * 4 / weight_passes(p, e, block, points);
    }
    double port = loads / row->loads, fmas = (double)(block * points) / row->fma_issue;
    double cycles = fmax(fmax(fmas, port), row->fma_latency);
    cycles = fmax(cycles, near / row->l2_bytes_per_cycle);
    cycles = fmax(cycles, far / row->memory_bytes_per_cycle);
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

typedef struct Ranking {               /* the cheapest tiles seen, at most max of them */
    Tile *tile;
    int n, max;
} Ranking;

static void rank_tile(Ranking *r, const Tile *t)
{
    int at = r->n < r->max ? r->n++ : r->max;
    if (at == r->max && (r->max == 0 || r->tile[--at].cycles <= t->cycles))
        return;
    for (; at > 0 && r->tile[at - 1].cycles > t->cycles; at--)
        r->tile[at] = r->tile[at - 1];
    r->tile[at] = *t;
}

/* The best tile whose lanes run along `lane`. */
static void search_tiles(const Problem *p, int lane, bool scatter, Tile *best, Ranking *all)
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
                Tile t = {lane, point, block, points, pad, scatter, 0, 0, 0};
                if (!tile_fits(p, &t))
                    break;
                if (!tile_on_blocks(p, &t))
                    continue;
                tile_cost(p, &t);
                rank_tile(all, &t);
                if (best->lane < 0 || t.cycles < best->cycles * 0.999)
                    *best = t;
            }
    }
}

static Tile search_lanes(const Problem *p, Ranking *all)
{
    Tile best = {.lane = -1, .point = -1, .cycles = p->turns * p->elements};
    for (int v = 0; v < p->nest->n_vars && p->row->lanes > 1; v++)
        if (can_be_lane(p, v, false))
            search_tiles(p, v, false, &best, all);
        else if (p->nest->update && can_be_lane(p, v, true))
            search_tiles(p, v, true, &best, all);
    return best;
}

Tile best_tile(const Problem *p)
{
    Ranking none = {NULL, 0, 0};
    return search_lanes(p, &none);
}

int ranked_tiles(const Problem *p, Tile *tile, int max)
{
    Ranking all = {tile, 0, max};
    search_lanes(p, &all);
    return all.n;
}
