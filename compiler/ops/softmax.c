/* softmax: y = exp(x - m) / s, and log_softmax: y = (x - m) - log(s), with the maximum m and the
 * sum s of exp(x - m) along an axis.
 *
 * example: softmax {axis: 1} of [1e30, -1e30, 1000] is [1, 0, 0].
 *
 * contract: NaN spreads along the axis; a line of -infinity alone is NaN, as in PyTorch
 * (-infinity - -infinity). A long axis is reduced in parts, element c to part c % parts, which are
 * lanes where the axis is contiguous; the last PARTS pairwise. So errors of a sum hardly grow with
 * the axis: those of one chain were up to 15 ULP for 231 elements.
 */
#include "ops/ops.h"

#include <math.h>

#define PARTS 16
#define MAX_CHAIN 32               /* elements of a part */

bool softmax_infer(Cx *cx, Node *n)
{
    int axis;
    return op_check(cx, n, 2, MAX_RANK) && op_axis(cx, n, "axis", node_int(n, "axis"), &axis) &&
           op_set_output(cx, n, &n->in[0]->shape);
}

typedef struct SoftmaxNest {
    NestCx *nx;
    Builder build;
    int axis, rank;
    Index all[MAX_DIMS];           /* of an element */
    Index outer[MAX_DIMS];         /* without the axis */
} SoftmaxNest;

/* The loops over all axes but `axis`, in order, then, if it is not 0, one over an extent along
 * that axis. Returns how many it opened. */
static int line_loops(SoftmaxNest *s, int64_t extent)
{
    int outer = 0;
    for (int d = 0; d < s->rank; d++) {
        if (d == s->axis)
            continue;
        s->all[d] = nest_axis(&s->build, s->nx->out, d);
        s->outer[outer++] = s->all[d];
    }
    if (extent == 0)
        return outer;
    s->all[s->axis] = nest_loop(&s->build, "c", extent);
    return outer + 1;
}

/* A tensor like the output, with another extent along the axis; 0: without the axis. */
static Buffer *line_scratch(const SoftmaxNest *s, const char *name, int64_t along)
{
    int64_t extent[MAX_DIMS];
    int rank = 0;
    for (int d = 0; d < s->rank; d++)
        if (d != s->axis || along)
            extent[rank++] = d == s->axis ? along : s->nx->out->dim[d].extent;
    return kernel_scratch(s->nx->kernel, name, s->nx->type, rank, extent);
}

/* to[c] = op over k of from[parts * k + c + first], from k = 0 to count; without a loop k for one
 * element each. */
static void fold_into(SoftmaxNest *s, Buffer *to, Buffer *from, BinOp op, int64_t first,
                      int64_t count, int64_t parts)
{
    Arena *a = s->nx->arena;
    Index at[MAX_DIMS];
    int open = line_loops(s, parts);
    for (int d = 0; d < s->rank; d++)
        at[d] = s->all[d];
    if (count > 1) {
        Index k = nest_loop(&s->build, "k", count);
        at[s->axis] = index_add(a, index_scale(a, k, to->dim[s->axis].extent), at[s->axis]);
        open++;
    }
    at[s->axis] = index_offset(at[s->axis], first);
    build_store(&s->build, to, s->all,
                nest_reduce(s->nx, op, nest_load(s->nx, to, s->all), nest_load(s->nx, from, at)));
    build_end(&s->build, open);
}

static Buffer *parts_nest(SoftmaxNest *s, const char *name, Buffer *from, BinOp op, int64_t parts)
{
    int64_t count = from->dim[s->axis].extent, whole = count / parts;
    name = arena_printf(s->nx->arena, "%s%lld", name, (long long)parts);
    Buffer *to = line_scratch(s, name, parts);
    int open = line_loops(s, parts);
    build_store(&s->build, to, s->all, nest_const(s->nx, op == BIN_MAX ? -HUGE_VAL : 0));
    build_end(&s->build, open);
    fold_into(s, to, from, op, 0, whole, parts);
    if (count % parts)
        fold_into(s, to, from, op, whole * parts, 1, count % parts);
    return to;
}

/* op over from[first .. first + count], the halves by themselves. */
static const Expr *pairwise(SoftmaxNest *s, Buffer *from, BinOp op, int64_t first, int64_t count)
{
    int64_t half = count / 2;
    s->all[s->axis] = index_const(first);
    if (count == 1)
        return nest_load(s->nx, from, s->all);
    const Expr *left = pairwise(s, from, op, first, half);
    return expr_bin(s->nx->arena, op, left, pairwise(s, from, op, first + half, count - half));
}

/* One value a line along the axis: max or sum of its elements. */
static Buffer *reduce_nest(SoftmaxNest *s, const char *name, Buffer *from, BinOp op)
{
    while (from->dim[s->axis].extent > PARTS) {
        int64_t parts = PARTS;
        while (parts * MAX_CHAIN < from->dim[s->axis].extent)
            parts *= PARTS;
        from = parts_nest(s, name, from, op, parts);
    }
    Buffer *to = line_scratch(s, name, 0);
    int open = line_loops(s, 0);
    build_store(&s->build, to, s->outer, pairwise(s, from, op, 0, from->dim[s->axis].extent));
    build_end(&s->build, open);
    return to;
}

/* x - m of the open loops. */
static const Expr *shifted(const SoftmaxNest *s, Buffer *m)
{
    return expr_bin(s->nx->arena, BIN_SUB, nest_load(s->nx, s->nx->in[0], s->all),
                    nest_load(s->nx, m, s->outer));
}

void softmax_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    SoftmaxNest s = {.nx = nx, .build = build_kernel(nx->kernel), .rank = nx->out->rank,
                     .axis = node_axis(nx->node)};
    int64_t extent = nx->out->dim[s.axis].extent;
    bool log = str_eq(nx->node->op->name, "log_softmax");
    Buffer *m = reduce_nest(&s, "m", nx->in[0], BIN_MAX);

    Buffer *e = line_scratch(&s, "e", extent);
    int open = line_loops(&s, extent);
    build_store(&s.build, e, s.all, expr_un(a, UN_EXP, shifted(&s, m)));
    build_end(&s.build, open);

    Buffer *sum = reduce_nest(&s, "s", e, BIN_ADD);
    if (log) {
        open = line_loops(&s, 0);
        build_store(&s.build, sum, s.outer, expr_un(a, UN_LOG, nest_load(nx, sum, s.outer)));
        build_end(&s.build, open);
    }
    open = line_loops(&s, extent);
    const Expr *total = nest_load(nx, sum, s.outer);
    build_store(&s.build, nx->out, s.all,
                log ? expr_bin(a, BIN_SUB, shifted(&s, m), total)
                    : expr_bin(a, BIN_DIV, nest_load(nx, e, s.all), total));
    build_end(&s.build, open);
}

/* Maximum, difference, sum and quotient, and about 12 operations for an exponential. */
OpCost softmax_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, 16);
}
