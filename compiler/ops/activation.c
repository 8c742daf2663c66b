/* Activations: functions of one element (a table of them: relu, leaky_relu, relu6, clip), and
 * softmax, y = exp(x - m) / s with the maximum m and the sum s of the exponentials along an axis.
 *
 * example: softmax {axis: 1} of [1e30, -1e30, 1000] is [1, 0, 0].
 *
 * contract: NaN passes through the functions of one element and spreads along softmax's axis;
 * softmax of -infinity alone is NaN, as in PyTorch (-infinity - -infinity).
 */
#include "ops/ops.h"

#include <math.h>

/* ---- functions of one element ------------------------------------------------------------- */
typedef const Expr *(*Function)(const NestCx *nx, const Expr *x);

static const Expr *relu_value(const NestCx *nx, const Expr *x)
{
    return expr_bin(nx->arena, BIN_MAX, x, nest_const(nx, 0));
}

/* Not a maximum: a slope above 1 is legal. NaN takes the product. */
static const Expr *leaky_relu_value(const NestCx *nx, const Expr *x)
{
    const Expr *slope = nest_const(nx, node_float(nx->node, "negative_slope"));
    return expr_select(nx->arena, CMP_LT, nest_const(nx, 0), x, x,
                       expr_bin(nx->arena, BIN_MUL, x, slope));
}

static const Expr *relu6_value(const NestCx *nx, const Expr *x)
{
    return expr_bin(nx->arena, BIN_MIN, relu_value(nx, x), nest_const(nx, 6));
}

/* First min, then max: where min is above max, everything is max. */
static const Expr *clip_value(const NestCx *nx, const Expr *x)
{
    static const struct {
        const char *bound;
        BinOp op;
    } step[] = {{"min", BIN_MAX}, {"max", BIN_MIN}};
    for (int i = 0; i < 2; i++)
        if (node_attr(nx->node, step[i].bound)->set)
            x = expr_bin(nx->arena, step[i].op, x,
                         nest_const(nx, node_float(nx->node, step[i].bound)));
    return x;
}

static const struct {
    const char *op;
    Function value;
    int flops;
} functions[] = {
    {"relu", relu_value, 1},
    {"leaky_relu", leaky_relu_value, 2},
    {"relu6", relu6_value, 2},
    {"clip", clip_value, 2},
};

static size_t function_of(const Node *n)
{
    size_t i = 0;
    while (!str_eq(functions[i].op, n->op->name))
        i++;
    return i;
}

bool clip_infer(Cx *cx, Node *n)
{
    if (!pointwise_infer(cx, n))
        return false;
    if (node_attr(n, "min")->set || node_attr(n, "max")->set)
        return true;
    op_error(cx, n, NULL, "E0611", "'min' and 'max' are both missing; expected at least one");
    return false;
}

void activation_nest(NestCx *nx)
{
    Index at[MAX_DIMS];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    const Expr *x = nest_load(nx, nx->in[0], at);
    build_store(&b, nx->out, at, functions[function_of(nx->node)].value(nx, x));
    build_end(&b, nx->out->rank);
}

OpCost activation_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, functions[function_of(n)].flops);
}

/* ---- softmax ------------------------------------------------------------------------------ */
bool softmax_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 2, MAX_RANK))
        return false;
    int rank = n->in[0]->shape.rank, axis = node_axis(n);
    if (axis < 0 || axis >= rank) {
        op_error(cx, n, "axis", "E0607", "axis %lld is not an axis of input %s",
                 (long long)node_int(n, "axis"), shape_text(cx->temp, &n->in[0]->shape));
        diag_help(cx->diags, "axes of rank %d are 1 to %d, or -%d to -1", rank, rank - 1,
                  rank - 1);
        return false;
    }
    if (axis == 0) {
        op_error(cx, n, "axis", "E0607", "axis 0 is the batch; expected an axis within an item");
        diag_help(cx->diags, "axis 1 is the first of an item");
        return false;
    }
    return op_set_output(cx, n, &n->in[0]->shape);
}

typedef struct SoftmaxNest {
    NestCx *nx;
    Builder build;
    int axis, rank;
    Index all[MAX_DIMS];           /* of an element */
    Index outer[MAX_DIMS];         /* without the axis */
} SoftmaxNest;

/* The loops over all axes but `axis`, in order; with_axis: then that one, innermost, named c.
 * Returns how many it opened. */
static int softmax_loops(SoftmaxNest *s, bool with_axis)
{
    const Buffer *y = s->nx->out;
    int outer = 0;
    for (int d = 0; d < s->rank; d++) {
        if (d == s->axis)
            continue;
        const char *name = d == 0 ? "n" : arena_printf(s->nx->arena, "i%d", d);
        s->all[d] = nest_loop(&s->build, name, y->dim[d].extent);
        s->outer[outer++] = s->all[d];
    }
    if (!with_axis)
        return outer;
    s->all[s->axis] = nest_loop(&s->build, "c", y->dim[s->axis].extent);
    return outer + 1;
}

static Buffer *line_scratch(const SoftmaxNest *s, const char *name)
{
    int64_t extent[MAX_DIMS];
    int outer = 0;
    for (int d = 0; d < s->rank; d++)
        if (d != s->axis)
            extent[outer++] = s->nx->out->dim[d].extent;
    return kernel_scratch(s->nx->kernel, name, s->nx->type, outer, extent);
}

/* One value a line along the axis: first the neutral value, then max or sum of its elements. */
static Buffer *reduce_nest(SoftmaxNest *s, const char *name, Buffer *from, BinOp op)
{
    Buffer *to = line_scratch(s, name);
    int open = softmax_loops(s, false);
    build_store(&s->build, to, s->outer, nest_const(s->nx, op == BIN_MAX ? -HUGE_VAL : 0));
    build_end(&s->build, open);

    open = softmax_loops(s, true);
    build_store(&s->build, to, s->outer,
                nest_reduce(s->nx, op, nest_load(s->nx, to, s->outer),
                            nest_load(s->nx, from, s->all)));
    build_end(&s->build, open);
    return to;
}

void softmax_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    SoftmaxNest s = {.nx = nx, .build = build_kernel(nx->kernel), .rank = nx->out->rank,
                     .axis = node_axis(nx->node)};
    int64_t extent[MAX_DIMS];
    for (int d = 0; d < s.rank; d++)
        extent[d] = nx->out->dim[d].extent;
    Buffer *m = reduce_nest(&s, "m", nx->in[0], BIN_MAX);

    Buffer *e = kernel_scratch(nx->kernel, "e", nx->type, s.rank, extent);
    int open = softmax_loops(&s, true);
    const Expr *shifted = expr_bin(a, BIN_SUB, nest_load(nx, nx->in[0], s.all),
                                   nest_load(nx, m, s.outer));
    build_store(&s.build, e, s.all, expr_un(a, UN_EXP, shifted));
    build_end(&s.build, open);

    Buffer *sum = reduce_nest(&s, "s", e, BIN_ADD);
    open = softmax_loops(&s, true);
    build_store(&s.build, nx->out, s.all,
                expr_bin(a, BIN_DIV, nest_load(nx, e, s.all), nest_load(nx, sum, s.outer)));
    build_end(&s.build, open);
}

/* Maximum, difference, sum and quotient, and about 12 operations for an exponential. */
OpCost softmax_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, 16);
}
