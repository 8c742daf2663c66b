/* reduce_mean: y = (sum of x along axes) / (how many they are).
 *
 * example: reduce_mean {axis: 1} of [N, 17, 64] is [N, 64]; with keepdims, [N, 1, 64].
 * contract: one chain of additions, axes in order, and one division.
 */
#include "ops/ops.h"

/* Which axes are summed up; false: reported. */
static bool axes_read(Cx *cx, const Node *n, bool reduced[MAX_RANK])
{
    const AttrValue *v = node_attr(n, "axis");
    bool good = v->n > 0;
    for (int i = 0; i < v->n; i++) {
        int axis;
        if (!op_axis(cx, n, "axis", v->i[i], &axis))
            return false;
        good = good && !reduced[axis];
        reduced[axis] = true;
    }
    if (!good)
        op_error(cx, n, "axis", "E0607", "'axis' does not name at least one axis, each once");
    return good;
}

bool reduce_mean_infer(Cx *cx, Node *n)
{
    bool reduced[MAX_RANK] = {false};
    if (!op_check(cx, n, 2, MAX_RANK) || !axes_read(cx, n, reduced))
        return false;
    Shape shape = {0};
    for (int d = 0; d < n->in[0]->shape.rank; d++)
        if (!reduced[d])
            shape.dim[shape.rank++] = n->in[0]->shape.dim[d];
        else if (node_int(n, "keepdims"))
            shape.dim[shape.rank++] = 1;
    return op_set_output(cx, n, &shape);
}

typedef struct ReduceNest {
    NestCx *nx;
    Builder build;
    bool reduced[MAX_RANK];
    Index at[MAX_DIMS], from[MAX_DIMS];    /* of the output and the input */
    int64_t count;                         /* elements of a sum */
} ReduceNest;

/* Loops over the axes that stay, then over the others if they are wanted. Returns how many. */
static int reduce_loops(ReduceNest *r, bool all)
{
    const Buffer *x = r->nx->in[0];
    int open = 0, to = 0;
    bool keep = node_int(r->nx->node, "keepdims") != 0;
    for (int pass = 0; pass < (all ? 2 : 1); pass++)
        for (int d = 0; d < x->rank; d++) {
            if (pass == 0 && r->reduced[d] && keep)
                r->at[to++] = index_const(0);
            if (r->reduced[d] != (pass == 1))
                continue;
            r->from[d] = nest_axis(&r->build, x, d);
            open++;
            if (pass == 0)
                r->at[to++] = r->from[d];
        }
    return open;
}

void reduce_mean_nest(NestCx *nx)
{
    Buffer *x = nx->in[0], *y = nx->out;
    ReduceNest r = {.nx = nx, .build = build_kernel(nx->kernel), .count = 1};
    const AttrValue *axes = node_attr(nx->node, "axis");
    for (int i = 0; i < axes->n; i++) {
        int64_t d = axes->i[i] < 0 ? axes->i[i] + x->rank : axes->i[i];
        r.reduced[d] = true;
        r.count *= x->dim[d].extent;
    }
    int open = reduce_loops(&r, false);
    build_store(&r.build, y, r.at, nest_const(nx, 0));
    build_end(&r.build, open);

    open = reduce_loops(&r, true);
    build_store(&r.build, y, r.at,
                nest_reduce(nx, BIN_ADD, nest_load(nx, y, r.at), nest_load(nx, x, r.from)));
    build_end(&r.build, open);

    open = reduce_loops(&r, false);
    build_store(&r.build, y, r.at,
                expr_bin(nx->arena, BIN_DIV, nest_load(nx, y, r.at),
                         nest_const(nx, (double)r.count)));
    build_end(&r.build, open);
}

OpCost reduce_mean_cost(const Node *n)
{
    return op_cost(shape_count(&n->in[0]->shape), 0, 1);
}
