/* loop_expr: making and comparing expressions.
 *
 * example: expr_fma(a, x, w, acc) has the type of x; expr_hreduce(a, BIN_ADD, v) has one lane.
 *
 * contract: constructors derive the type from the arguments and check nothing: loop_verify does.
 * Expressions never change after they are made, so that they may be shared.
 */
#include "loop/loop.h"

static Expr *expr_new(Arena *a, ExprKind kind, Type type, int op)
{
    Expr *e = NEW(a, Expr);

    e->kind = kind;
    e->type = type;
    e->op = op;
    return e;
}

const Expr *expr_const(Arena *a, Type t, double v)
{
    Expr *e = expr_new(a, EXPR_CONST, t, 0);

    e->value = t.scalar == TYPE_F32 ? (double)(float)v : v;
    return e;
}

const Expr *expr_load(Arena *a, Buffer *b, const Index *index, int n, int lanes)
{
    Expr *e = expr_new(a, EXPR_LOAD, (Type){b->type, lanes}, 0);
    Index *copy = NEW_ARRAY(a, Index, n);

    for (int i = 0; i < n; i++)
        copy[i] = index[i];
    e->buffer = b;
    e->index = copy;
    e->n_index = n;
    return e;
}

const Expr *expr_name(Arena *a, const Name *n)
{
    Expr *e = expr_new(a, EXPR_NAME, n->type, 0);

    e->name = n;
    return e;
}

const Expr *expr_bin(Arena *a, BinOp op, const Expr *x, const Expr *y)
{
    Expr *e = expr_new(a, EXPR_BIN, x->type, (int)op);

    e->arg[0] = x;
    e->arg[1] = y;
    return e;
}

const Expr *expr_un(Arena *a, UnOp op, const Expr *x)
{
    Expr *e = expr_new(a, EXPR_UN, x->type, (int)op);

    e->arg[0] = x;
    return e;
}

const Expr *expr_pow_neg_quarters(Arena *a, const Expr *x, int k)
{
    Expr *e = expr_new(a, EXPR_UN, x->type, UN_POW_NEG_QUARTERS);

    e->arg[0] = x;
    e->ipar = k;
    return e;
}

const Expr *expr_fma(Arena *a, const Expr *x, const Expr *y, const Expr *z)
{
    Expr *e = expr_new(a, EXPR_FMA, x->type, 0);

    e->arg[0] = x;
    e->arg[1] = y;
    e->arg[2] = z;
    return e;
}

const Expr *expr_cast(Arena *a, ScalarType t, const Expr *x)
{
    Expr *e = expr_new(a, EXPR_CAST, (Type){t, x->type.lanes}, 0);

    e->arg[0] = x;
    return e;
}

const Expr *expr_select(Arena *a, CmpOp op, const Expr *l, const Expr *r, const Expr *x,
                        const Expr *y)
{
    Expr *e = expr_new(a, EXPR_SELECT, x->type, (int)op);

    e->arg[0] = l;
    e->arg[1] = r;
    e->arg[2] = x;
    e->arg[3] = y;
    return e;
}

const Expr *expr_bcast(Arena *a, const Expr *x, int lanes)
{
    Expr *e = expr_new(a, EXPR_BCAST, (Type){x->type.scalar, lanes}, 0);

    e->arg[0] = x;
    return e;
}

const Expr *expr_hreduce(Arena *a, BinOp op, const Expr *x)
{
    Expr *e = expr_new(a, EXPR_HSUM, (Type){x->type.scalar, 1}, (int)op);

    e->arg[0] = x;
    return e;
}

int expr_args(const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST: case EXPR_LOAD: case EXPR_NAME: return 0;
    case EXPR_UN: case EXPR_CAST: case EXPR_BCAST: case EXPR_HSUM: return 1;
    case EXPR_BIN: return 2;
    case EXPR_FMA: return 3;
    case EXPR_SELECT: return 4;
    }
    return 0;
}

/* Equal as text: 0 and -0 differ, NaN equals NaN. */
static bool value_equal(double x, double y)
{
    if (x != x || y != y)
        return x != x && y != y;
    return x == y && (x != 0 || (1 / x < 0) == (1 / y < 0));
}

bool expr_equal(const Expr *x, const Expr *y)
{
    if (x == y)
        return true;
    if (x->kind != y->kind || x->op != y->op || x->ipar != y->ipar || x->name != y->name
        || x->type.scalar != y->type.scalar || x->type.lanes != y->type.lanes
        || x->buffer != y->buffer || x->n_index != y->n_index
        || !value_equal(x->value, y->value))
        return false;
    for (int i = 0; i < x->n_index; i++) {
        if (!index_equal(x->index[i], y->index[i]))
            return false;
    }
    for (int i = 0; i < expr_args(x); i++) {
        if (!expr_equal(x->arg[i], y->arg[i]))
            return false;
    }
    return true;
}
