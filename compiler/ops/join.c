/* Copies into a larger tensor: concat, inputs one after another along an axis; pad, a constant
 * around the last axes; param, a tensor of the weights for each item of the batch.
 *
 * example: concat {from: [a, b], axis: 1} of [N, 3, 8, 8] and [N, 5, 8, 8] is [N, 8, 8, 8];
 * pad {pad: [0, 1, 0, 1], value: -1} adds a column of -1 on the left and on the right;
 * param {path: pos_embed, shape: [1, 17, 64]} is [N, 17, 64].
 *
 * contract: concat's inputs agree in all other axes, and the axis is not the batch. pad is at rank
 * 3 or 4. Every element of the output is stored.
 */
#include "ops/ops.h"

/* Stores x into y with its origin at `origin`. */
static void copy_nest_at(NestCx *nx, Buffer *x, const int64_t origin[MAX_RANK])
{
    Index from[MAX_DIMS], at[MAX_DIMS];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, x, NULL, from);
    for (int d = 0; d < x->rank; d++)
        at[d] = index_offset(from[d], origin[d]);
    build_store(&b, nx->out, at, nest_load(nx, x, from));
    build_end(&b, x->rank);
}

/* ---- concat ------------------------------------------------------------------------------- */
static bool join_check(Cx *cx, const Node *n, int axis, const Shape *other)
{
    const Shape *first = &n->in[0]->shape;
    bool good = first->rank == other->rank;
    for (int d = 0; d < first->rank && good; d++)
        good = d == axis || first->dim[d] == other->dim[d];
    if (!good)
        op_error(cx, n, NULL, "E0610",
                 "inputs have shapes %s and %s; expected equal ones but for axis %d",
                 shape_text(cx->temp, first), shape_text(cx->temp, other), axis);
    return good;
}

bool concat_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 2, MAX_RANK))
        return false;
    Shape shape = n->in[0]->shape;
    int axis;
    if (!op_axis(cx, n, "axis", node_int(n, "axis"), &axis))
        return false;
    for (int i = 1; i < n->n_in; i++) {
        if (!join_check(cx, n, axis, &n->in[i]->shape))
            return false;
        shape.dim[axis] += n->in[i]->shape.dim[axis];
    }
    return op_set_output(cx, n, &shape);
}

void concat_nest(NestCx *nx)
{
    int64_t origin[MAX_RANK] = {0};
    int axis = node_axis(nx->node);
    for (int i = 0; i < nx->node->n_in; i++) {
        copy_nest_at(nx, nx->in[i], origin);
        origin[axis] += nx->in[i]->dim[axis].extent;
    }
}

/* ---- pad ---------------------------------------------------------------------------------- */
bool pad_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 3, 4))
        return false;
    Window w = node_window(n);
    Shape shape = n->in[0]->shape;
    for (int d = 2; d < shape.rank; d++) {
        int direction = d - shape.rank + 2;
        shape.dim[d] += w.pad[direction] + w.pad[direction + 2];
    }
    return op_set_output(cx, n, &shape);
}

void pad_nest(NestCx *nx)
{
    Index at[MAX_DIMS];
    int rank = nx->out->rank;
    Window w = node_window(nx->node);
    int64_t origin[MAX_RANK] = {0};
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    build_store(&b, nx->out, at, nest_const(nx, node_float(nx->node, "value")));
    build_end(&b, rank);
    for (int d = 2; d < rank; d++)
        origin[d] = w.pad[d - rank + 2];
    copy_nest_at(nx, nx->in[0], origin);
}

/* ---- param -------------------------------------------------------------------------------- */
bool param_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 0, MAX_RANK))
        return false;
    const AttrValue *want = node_attr(n, "shape");
    Shape shape = {.rank = want->n};
    bool whole = want->i[0] == 1;
    for (int d = 0; d < want->n; d++) {
        shape.dim[d] = want->i[d];
        whole = whole && want->i[d] > 0;
    }
    if (!whole) {
        op_error(cx, n, "shape", "E0614",
                 "'shape' is not that of a tensor with 1 in place of the batch");
        diag_help(cx->diags, "[1, 17, 64] is one: each item of the batch gets the same numbers");
        return false;
    }
    if (!op_set_param(cx, n, 0, "weight", shape))
        return false;
    shape.dim[0] = DIM_N;
    return op_set_output(cx, n, &shape);
}

void param_nest(NestCx *nx)
{
    Index at[MAX_DIMS], from[MAX_DIMS];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    from[0] = index_const(0);
    for (int d = 1; d < nx->out->rank; d++)
        from[d] = at[d];
    build_store(&b, nx->out, at, nest_load(nx, nx->param[0], from));
    build_end(&b, nx->out->rank);
}
