/* Shape operators: the same elements in the same order under another shape (flatten, reshape) or
 * under the same (dropout, identity), or with the axes in another order (transpose).
 *
 * example: reshape {shape: [N, 4, 12]} of [N, 8, 6] loops over the factors 4, 2, 6 that both
 * shapes are made of: y[n, i1, i2*6 + i3] = x[n, i1*2 + i2, i3].
 *
 * contract: a reshape without such factors (6 x 10 to 4 x 15) is refused: its indices would not
 * be affine. Going through the flat shape always works.
 */
#include "ops/ops.h"

/* ---- shape rules -------------------------------------------------------------------------- */
bool flatten_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 1, MAX_RANK))
        return false;
    Shape flat = {2, {n->in[0]->shape.dim[0], shape_count(&n->in[0]->shape)}};
    return op_set_output(cx, n, &flat);
}

/* The wanted shape, N first and the one 0 (written -1) filled in. */
static bool target_shape(Cx *cx, const Node *n, Shape *out)
{
    const AttrValue *want = node_attr(n, "shape");
    int64_t count = shape_count(&n->in[0]->shape), known = 1;
    int open = -1;
    if (want->n < 1 || want->n > MAX_RANK || want->i[0] != DIM_N) {
        op_error(cx, n, "shape", "E0614", "'shape' does not begin with N; the batch is axis 0");
        return false;
    }
    *out = (Shape){.rank = want->n, .dim = {DIM_N}};
    for (int i = 1; i < want->n; i++) {
        out->dim[i] = want->i[i];
        if (want->i[i] == 0 && open >= 0) {
            op_error(cx, n, "shape", "E0614", "'shape' has -1 twice; one can be inferred");
            return false;
        }
        if (want->i[i] == 0)
            open = i;
        else if (!checked_mul(known, want->i[i], &known) || known > MAX_ELEMENTS)
            known = MAX_ELEMENTS + 1;
    }
    if (open >= 0 && count % known == 0)
        out->dim[open] = count / known;
    if (open >= 0 ? count % known != 0 : count != known) {
        op_error(cx, n, "shape", "E0608",
                 "input %s has %lld elements an item; 'shape' asks for %s%lld",
                 shape_text(cx->temp, &n->in[0]->shape), (long long)count,
                 open >= 0 ? "a multiple of " : "", (long long)known);
        return false;
    }
    return true;
}

bool transpose_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 1, MAX_RANK))
        return false;
    const AttrValue *perm = node_attr(n, "perm");
    const Shape *in = &n->in[0]->shape;
    Shape shape = {.rank = in->rank, .dim = {DIM_N}};
    bool used[MAX_RANK] = {true}, good = perm->n == in->rank && perm->i[0] == 0;
    for (int d = 1; d < in->rank && good; d++) {
        int axis;
        if (!op_axis(cx, n, "perm", perm->i[d], &axis))
            return false;
        good = !used[axis];
        used[axis] = true;
        shape.dim[d] = in->dim[axis];
    }
    if (good)
        return op_set_output(cx, n, &shape);
    op_error(cx, n, "perm", "E0607", "'perm' does not name each axis of input %s once, 0 first",
             shape_text(cx->temp, in));
    diag_help(cx->diags, "axis 0 is the batch and stays: [0, 2, 1] swaps the axes of an item");
    return false;
}

/* ---- common factors ----------------------------------------------------------------------- */
/* The loops that make up both shapes, fastest first: loop i has extent factor[i], and one step of
 * it moves stride[i] elements. */
typedef struct Factors {
    int n;
    int64_t factor[2 * MAX_RANK], stride[2 * MAX_RANK];
} Factors;

/* Products of trailing dimensions of both shapes, merged in ascending order, are the strides;
 * false when one does not divide the next. */
static bool factors_find(const Shape *x, const Shape *y, Factors *f)
{
    int i = x->rank - 1, j = y->rank - 1;
    int64_t px = 1, py = 1, stride = 1;        /* products so far */
    f->n = 0;
    while (i >= 1 || j >= 1) {
        int64_t next_x = i >= 1 ? px * x->dim[i] : INT64_MAX;
        int64_t next_y = j >= 1 ? py * y->dim[j] : INT64_MAX;
        int64_t next = next_x < next_y ? next_x : next_y;
        if (next % stride != 0)
            return false;
        if (next_x == next)
            px = next, i--;
        if (next_y == next)
            py = next, j--;
        if (next == stride)
            continue;
        f->factor[f->n] = next / stride;
        f->stride[f->n++] = stride;
        stride = next;
    }
    return true;
}

bool reshape_infer(Cx *cx, Node *n)
{
    Shape out;
    Factors f;
    if (!op_check(cx, n, 1, MAX_RANK) || !target_shape(cx, n, &out))
        return false;
    if (!factors_find(&n->in[0]->shape, &out, &f)) {
        op_error(cx, n, "shape", "E0609", "from %s to %s is not supported yet in one step",
                 shape_text(cx->temp, &n->in[0]->shape), shape_text(cx->temp, &out));
        diag_help(cx->diags, "put a 'flatten' layer before it");
        return false;
    }
    return op_set_output(cx, n, &out);
}

/* ---- nests -------------------------------------------------------------------------------- */
void copy_nest(NestCx *nx)
{
    Index at[MAX_DIMS];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    build_store(&b, nx->out, at, nest_load(nx, nx->in[0], at));
    build_end(&b, nx->out->rank);
}

void transpose_nest(NestCx *nx)
{
    Index at[MAX_DIMS], from[MAX_DIMS];
    const AttrValue *perm = node_attr(nx->node, "perm");
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    for (int d = 0; d < nx->out->rank; d++)
        from[perm->i[d] < 0 ? perm->i[d] + nx->out->rank : perm->i[d]] = at[d];
    build_store(&b, nx->out, at, nest_load(nx, nx->in[0], from));
    build_end(&b, nx->out->rank);
}

/* Indices of one side: each dimension is the sum of the loops whose strides lie within it. */
static void side_index(Arena *a, const Shape *s, const Factors *f, const Index *loop,
                       Index at[MAX_DIMS])
{
    int64_t unit = 1;                          /* elements that one step along d moves */
    int i = 0;
    for (int d = s->rank - 1; d >= 1; d--) {
        int first = i;
        at[d] = index_const(0);
        while (i < f->n && f->stride[i] < unit * s->dim[d])
            i++;
        for (int k = i - 1; k >= first; k--)
            at[d] = index_add(a, at[d], index_scale(a, loop[k], f->stride[k] / unit));
        unit *= s->dim[d];
    }
}

void reshape_nest(NestCx *nx)
{
    const Shape *in = &nx->node->in[0]->shape, *out = &nx->node->out->shape;
    Arena *a = nx->arena;
    Factors f;
    Index loop[2 * MAX_RANK], from[MAX_DIMS], at[MAX_DIMS];
    factors_find(in, out, &f);                 /* succeeded in the shape rule */
    Builder b = build_kernel(nx->kernel);
    from[0] = at[0] = nest_loop(&b, "n", nx->out->dim[0].extent);
    for (int i = f.n - 1; i >= 0; i--)
        loop[i] = nest_loop(&b, arena_printf(a, "i%d", f.n - i), f.factor[i]);
    side_index(a, in, &f, loop, from);
    side_index(a, out, &f, loop, at);
    build_store(&b, nx->out, at, nest_load(nx, nx->in[0], from));
    build_end(&b, f.n + 1);
}

OpCost copy_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, 0);
}
