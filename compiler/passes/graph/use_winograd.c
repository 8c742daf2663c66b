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
 * The tile is the one of least cost: multiply-adds of the products and of the transforms, or the
 * bytes of the transformed weights, which are read once, whichever takes longer. Tiles beyond 4 are
 * left out: their rounding errors grow faster than what they save.
 */
#include "ops/ops.h"
#include "passes/passes.h"

#define LARGEST_TILE 4
#define GAIN 1.2                       /* what the estimate must promise */

static double cycles(const Row *row, double multiply_adds, double weights)
{
    double arithmetic = multiply_adds / (row->lanes * row->fma_issue);
    double bytes = weights * (double)sizeof(float) / row->memory_bytes_per_cycle;
    return arithmetic > bytes ? arithmetic : bytes;
}

static double direct_cycles(const Node *n, const Row *row)
{
    return cycles(row, (double)n->op->cost(n).macs, (double)shape_count(&n->param[0].shape));
}

static double winograd_cycles(const Node *n, const Row *row, int64_t m)
{
    Window w = node_window(n);
    double in = (double)n->in[0]->shape.dim[1], out = (double)n->out->shape.dim[1];
    double groups = (double)node_int(n, "groups"), side = (double)m, stride = (double)w.stride[0];
    double alpha = side + (double)((w.kernel[0] - 1) / w.stride[0]), points = alpha * alpha;
    in *= stride * stride;
    double tiles = (double)((w.out[0] + m - 1) / m * ((w.out[1] + m - 1) / m));
    double products = points * tiles * out * in / groups;
    double transforms = tiles * (in * 2 * points * alpha + out * side * alpha * (alpha + side));
    /* element by element: a lane's worth of multiply-adds each */
    double spread = stride > 1 ? tiles * side * side * in * row->lanes * row->fma_issue : 0;
    return cycles(row, products + transforms + spread, points * out * in / groups);
}

/* The label of the cheapest tile, or NULL. */
static const char *best_algo(PassCx *pc, const Node *n)
{
    const char *best = NULL;
    double least = direct_cycles(n, pc->row) / GAIN;
    for (int64_t m = 2; m <= LARGEST_TILE; m++) {
        int64_t same;
        const char *algo = arena_printf(pc->arena, "winograd %d", (int)m);
        if (winograd_tile(n, algo, &same) && winograd_cycles(n, pc->row, m) < least) {
            least = winograd_cycles(n, pc->row, m);
            best = algo;
        }
    }
    return best;
}

PassResult use_winograd(PassCx *pc, Graph *g)
{
    PassResult result = PASS_UNCHANGED;
    for (int i = 0; i < g->n_nodes && !pc->strict; i++) {
        Node *n = g->nodes[i];
        if (!n->op->nest_by || n->algo)
            continue;
        n->algo = best_algo(pc, n);
        if (n->algo)
            result = PASS_CHANGED;
    }
    return result;
}
