/* use-winograd: convolutions take the fewer products of Winograd's minimal filtering
 * where that pays.
 *
 *   conv{kernel: 3}(x) -> y    =>    conv{kernel: 3, algo: winograd 4}(x) -> y
 *
 * needs:  nothing.
 * keeps:  an algo label that is already there.
 * breaks: nothing; results differ by rounding, and what infinity or NaN meets in a tile of outputs
 *         spreads over it. --math=strict and --disable-pass=use-winograd keep direct sums.
 *
 * Tile and band are those of least cost: multiply-adds of the products and of the transforms, or
 * the bytes of the transformed weights, whichever take longer, and what the cache cannot hold
 * between the steps. Bands read the weights again, from memory if the cache cannot hold them.
 * Tiles beyond 4 are left out: their rounding errors grow faster than what they save.
 */
#include "ops/ops.h"
#include "passes/passes.h"

#define LARGEST_TILE 4
#define GAIN 1.2                       /* what the estimate must promise */
#define THIRD_LEVEL 6                  /* by how much that cache is faster than memory */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double memory_cycles(const Row *row, double elements)
{
    return elements * (double)sizeof(float) / row->memory_bytes_per_cycle;
}

static double direct_cycles(const Node *n, const Row *row)
{
    return larger((double)n->op->cost(n).macs / (row->lanes * row->fma_issue),
                  memory_cycles(row, (double)shape_count(&n->param[0].shape)));
}

static double winograd_cycles(const Node *n, const Row *row, const WinogradForm *f)
{
    double groups = (double)node_int(n, "groups"), m = (double)f->m;
    double in = (double)f->in * groups;
    double out = (double)n->out->shape.dim[1], cache = (double)row->l2_bytes / sizeof(float);
    double alpha = m + (double)f->r - 1, points = alpha * alpha;
    double tiles = (double)(f->tiles[0] * f->tiles[1]), bands = (double)(f->tiles[0] / f->band);
    double products = points * tiles * out * in / groups, weights = points * out * in / groups;
    double transforms = tiles * (in * 2 * points * alpha + out * m * alpha * (alpha + m));
    /* element by element, where a vector could have had a multiply-add */
    double spread = tiles * m * (m + (double)(f->r - 1) / (double)f->band) * in * row->lanes *
                    row->fma_issue;
    if (f->in * (int64_t)groups == n->in[0]->shape.dim[1])
        spread = 0;
    double between = points * tiles / bands * (in / groups + 32);
    double spilled = between > cache * 0.75 ? 2 * points * tiles * (in + out) / THIRD_LEVEL : 0;
    double reads = weights > cache / 2 ? bands * weights : weights;
    return larger((products + transforms + spread) / (row->lanes * row->fma_issue),
                  memory_cycles(row, reads)) + memory_cycles(row, spilled);
}

/* The label of the cheapest form, or NULL if there is none; *least are its cycles. */
static const char *best_form(PassCx *pc, const Node *n, double *least)
{
    const char *best = NULL;
    for (int m = 2; m <= LARGEST_TILE; m++) {
        const int64_t tiles = (node_window(n).out[0] + m - 1) / m;
        for (int64_t rows = tiles; rows > 0; rows--) {
            WinogradForm f;
            if (tiles % rows != 0)
                continue;
            const char *algo = arena_printf(pc->arena, "winograd %d rows %d", m, (int)rows);
            if (!winograd_form(n, algo, &f) ||
                (best && winograd_cycles(n, pc->row, &f) >= *least))
                continue;
            *least = winograd_cycles(n, pc->row, &f);
            best = rows < tiles ? algo : arena_printf(pc->arena, "winograd %d", m);
        }
    }
    return best;
}

/* The label of the cheapest form if it pays, else NULL. */
static const char *best_algo(PassCx *pc, const Node *n)
{
    double least = 0, direct = direct_cycles(n, pc->row);
    const char *algo = best_form(pc, n, &least);
    bool pays = algo && least < direct / GAIN;
    if (!algo)
        pass_remark(pc, REMARK_MISSED, n->place,
                    "'%s' cannot take Winograd: its kernel, stride, dilation or channels do not "
                    "fit", n->out->name);
    else
        pass_remark(pc, pays ? REMARK_DONE : REMARK_MISSED, n->place,
                    pays ? "'%s' takes %s: about %d %% of a direct convolution's cycles"
                         : "'%s' does not take %s: it would be about %d %% of a direct "
                           "convolution's cycles", n->out->name, algo, (int)(100 * least / direct));
    return pays ? algo : NULL;
}

PassResult use_winograd(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes && !pc->strict; i++) {
        Node *n = g->nodes[i];
        if (n->op->nest_by != conv_nest_by || n->algo)
            continue;
        n->algo = best_algo(pc, n);
        if (n->algo)
            result = PASS_CHANGED;
    }
    return result;
}
