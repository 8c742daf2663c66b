/* Activations: functions of one element, from a table.
 *
 * example: relu6 is min(max(x, 0), 6); sigmoid is 1 / (1 + exp(-x)), which expand-math works out.
 *
 * contract: NaN passes through.
 */
#include "ops/ops.h"

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

static const Expr *tanh_value(const NestCx *nx, const Expr *x)
{
    return expr_un(nx->arena, UN_TANH, x);
}

static const Expr *sigmoid_value(const NestCx *nx, const Expr *x)
{
    return expr_un(nx->arena, UN_SIGMOID, x);
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
    {"tanh", tanh_value, 20},
    {"sigmoid", sigmoid_value, 18},
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
