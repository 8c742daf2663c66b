/* Elementwise arithmetic: add and mul, y = x0 + x1 + ... folded from the left, sub of two inputs;
 * or any of them with a constant, y = x + value.
 *
 * example: add {from: [a, b, c]} is (a + b) + c; mul {value: 0.5} halves.
 * contract: inputs of one rank; where one has extent 1, its element serves all positions of that
 * axis, as in NumPy. The batch is axis 0 of all of them.
 */
#include "ops/ops.h"

static const struct {
    const char *op;
    BinOp fold;
} table[] = {{"add", BIN_ADD}, {"mul", BIN_MUL}, {"sub", BIN_SUB}};

static BinOp fold_of(const Node *n)
{
    size_t i = 0;
    while (!str_eq(table[i].op, n->op->name))
        i++;
    return table[i].fold;
}

/* Each axis of the shape becomes the longer one, if one of them is 1. */
static bool shape_stretch(Cx *cx, const Node *n, Shape *shape, const Shape *other)
{
    bool good = shape->rank == other->rank;
    for (int d = 1; d < shape->rank && good; d++) {
        good = shape->dim[d] == other->dim[d] || shape->dim[d] == 1 || other->dim[d] == 1;
        shape->dim[d] = shape->dim[d] == 1 ? other->dim[d] : shape->dim[d];
    }
    if (good)
        return true;
    op_error(cx, n, NULL, "E0610",
             "inputs have shapes %s and %s; expected the same rank, and extents equal or 1",
             shape_text(cx->temp, &n->in[0]->shape), shape_text(cx->temp, other));
    diag_help(cx->diags, "a 'reshape' can add axes of extent 1");
    return false;
}

bool elementwise_infer(Cx *cx, Node *n)
{
    if (!op_check(cx, n, 1, MAX_RANK))
        return false;
    bool constant = node_attr(n, "value")->set;
    if (constant != (n->n_in == 1)) {
        op_error(cx, n, constant ? "value" : NULL, "E0612",
                 "has %d input%s and %s constant; expected two%s inputs, or one and 'value'",
                 n->n_in, n->n_in == 1 ? "" : "s", constant ? "a" : "no",
                 n->op->max_in > 2 ? " or more" : "");
        return false;
    }
    Shape shape = n->in[0]->shape;
    for (int i = 1; i < n->n_in; i++)
        if (!shape_stretch(cx, n, &shape, &n->in[i]->shape))
            return false;
    return op_set_output(cx, n, &shape);
}

/* The element of b that meets the output's element `at`. */
static const Expr *load_stretched(const NestCx *nx, Buffer *b, const Index *at)
{
    Index from[MAX_DIMS];
    for (int d = 0; d < b->rank; d++)
        from[d] = b->dim[d].extent == nx->out->dim[d].extent ? at[d] : index_const(0);
    return nest_load(nx, b, from);
}

void elementwise_nest(NestCx *nx)
{
    Arena *a = nx->arena;
    BinOp fold = fold_of(nx->node);
    Index at[MAX_DIMS];
    Builder b = build_kernel(nx->kernel);
    nest_loops(&b, nx->out, NULL, at);
    const Expr *y = load_stretched(nx, nx->in[0], at);
    for (int i = 1; i < nx->node->n_in; i++)
        y = expr_bin(a, fold, y, load_stretched(nx, nx->in[i], at));
    if (nx->node->n_in == 1)
        y = expr_bin(a, fold, y, nest_const(nx, node_float(nx->node, "value")));
    build_store(&b, nx->out, at, y);
    build_end(&b, nx->out->rank);
}

OpCost elementwise_cost(const Node *n)
{
    return op_cost(shape_count(&n->out->shape), 0, n->n_in == 1 ? 1 : n->n_in - 1);
}
