/* loop_interp: runs a kernel, slowly and exactly; what every optimisation is compared with.
 *
 * example: y[i] = fma(x[i + 1], w[0], y[i]) becomes a tree whose accesses hold a pointer to the
 * place i + 1 in x; the loop i moves all places that depend on i by their coefficient in each turn.
 *
 * contract: the kernel has passed loop_verify, bounds apart: an access out of bounds ends the run
 * with E0931. f32 arithmetic is that of float, EXPR_FMA rounds once, lanes are computed before any
 * is stored. Parallel loops run in order. A local holds NaN (or -1) until it is written.
 *
 * Values are kept in double, which holds those of all types. Rounded once more, the double result
 * of one float operation is the float result, square root included, as double has more than twice
 * the digits; exp and pow are defined so.
 */
#include "loop/loop.h"

#include <math.h>
#include <string.h>

#define MAX_LANES 64

typedef struct Affine {              /* an index and its value in the current turn of the loops */
    Index index;
    int64_t now;
    struct Affine *before;
} Affine;

typedef struct Update {              /* what one turn of a loop adds to a value */
    int64_t *now;
    int64_t coef;
    const struct Update *next;
} Update;

typedef struct Check {               /* first <= *at <= last */
    const int64_t *at;
    int64_t first, last;
    int dim;
} Check;

typedef struct Digit {               /* a storage dimension that is not affine here */
    const int64_t *at;
    int64_t div, mod, stride;
} Digit;

typedef struct Address {              /* checks that are not proved, then *place plus the digits */
    const Buffer *buffer;
    void *data;
    Check *check;
    Digit *digit;
    int n_checks, n_digits;
    const int64_t *place;
} Address;

typedef struct Node Node;
struct Node {
    const Expr *expr;
    double value;                    /* CONST */
    const double *cell;              /* NAME: its lanes */
    const Address *access;            /* LOAD */
    const Node *arg[4];
};

typedef struct Op Op;
struct Op {                          /* a statement, ready to run */
    const Stmt *stmt;
    Op *next, *body;
    const Op *outer;                 /* the enclosing FOR */
    int64_t turn;                    /* FOR; LIST, PICK: the variable's value */
    const Update *updates;           /* FOR, LIST, PICK */
    Check check[MAX_COND];           /* IF */
    const Node *expr;
    double *cell;                    /* LET, VAR, SET */
    const Address *access;            /* STORE */
    void *data;                      /* LOCAL, LIST */
};

typedef struct Binding {             /* where a Name or Buffer lives, which Op a Var belongs to */
    const void *what;
    void *memory;
    const struct Binding *before;
} Binding;

typedef struct Interp {
    Cx *cx;
    Arena *arena;
    const Kernel *kernel;
    const Binding *bindings;
    Affine *affines;
    const Op *op;                    /* being run */
    bool failed;
} Interp;

/* ---- arithmetic ---------------------------------------------------------------------------- */
/* Wraps, as vector instructions do. */
static double wrap_i32(int64_t v)
{
    return (int32_t)(uint32_t)(uint64_t)v;
}

/* To i32: towards zero, and INT32_MIN for what has no such number, as the conversions of x86. */
static double round_to(ScalarType t, double v)
{
    switch (t) {
    case TYPE_F32: return (double)(float)v;
    case TYPE_F64: return v;
    case TYPE_I32: return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
    }
    return v;
}

static double eval_bin_i32(int op, int64_t x, int64_t y)
{
    switch (op) {
    case BIN_ADD: return wrap_i32(x + y);
    case BIN_SUB: return wrap_i32(x - y);
    case BIN_MUL: return wrap_i32(x * y);
    case BIN_MIN: return (double)(y < x ? y : x);
    default: return (double)(y > x ? y : x);
    }
}

static double eval_bin(ScalarType t, int op, double x, double y)
{
    if (t == TYPE_I32)
        return eval_bin_i32(op, (int64_t)x, (int64_t)y);
    switch (op) {
    case BIN_ADD: return round_to(t, x + y);
    case BIN_SUB: return round_to(t, x - y);
    case BIN_MUL: return round_to(t, x * y);
    case BIN_DIV: return round_to(t, x / y);
    case BIN_MIN: return y < x || isnan(y) ? y : x;
    default: return y > x || isnan(y) ? y : x;
    }
}

static double eval_un(ScalarType t, int op, int k, double x)
{
    int largest = t == TYPE_F32 ? 127 : 1023;        /* exponent */

    if (t == TYPE_I32)
        return op == UN_NEG || x < 0 ? wrap_i32(-(int64_t)x) : x;
    switch (op) {
    case UN_NEG: return -x;
    case UN_ABS: return fabs(x);
    case UN_SQRT: return round_to(t, sqrt(x));
    case UN_ROUND: return rint(x);
    case UN_POW2I: return x > -largest && x <= largest ? ldexp(1, (int)x) : (double)NAN;
    case UN_EXP: return round_to(t, exp(x));
    case UN_LOG: return round_to(t, log(x));
    case UN_TANH: return round_to(t, tanh(x));
    case UN_SIGMOID: return round_to(t, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)));
    default: return round_to(t, pow(x, -k / 4.0));
    }
}

static double eval_fma(ScalarType t, double x, double y, double z)
{
    return t == TYPE_F32 ? (double)fmaf((float)x, (float)y, (float)z) : fma(x, y, z);
}

static bool compare(int op, double x, double y)
{
    switch (op) {
    case CMP_LT: return x < y;
    case CMP_LE: return x <= y;
    case CMP_EQ: return x == y;
    default: return x != y;
    }
}

/* ---- making the tree ----------------------------------------------------------------------- */
static void *bind(Interp *in, const void *what, void *memory)
{
    Binding *b = NEW(in->arena, Binding);

    *b = (Binding){what, memory, in->bindings};
    in->bindings = b;
    return memory;
}

static void *bound(const Interp *in, const void *what)
{
    const Binding *b = in->bindings;

    while (b != NULL && b->what != what)
        b = b->before;
    return b != NULL ? b->memory : NULL;
}

/* The value of an index, which the loops of its variables keep up to date. */
static const int64_t *affine_value(Interp *in, Index x)
{
    Affine *f = in->affines;

    while (f != NULL && !index_equal(f->index, x))
        f = f->before;
    if (f != NULL)
        return &f->now;
    f = NEW(in->arena, Affine);
    *f = (Affine){x, x.c, in->affines};
    in->affines = f;
    for (int i = 0; i < x.n; i++) {
        Op *loop = bound(in, x.term[i].var);
        Update *u = NEW(in->arena, Update);
        *u = (Update){&f->now, x.term[i].coef, loop->updates};
        loop->updates = u;
    }
    return &f->now;
}

/* Where physical dimension i of an access lies, in elements: affine if div and mod vanish, else a
 * digit to compute in each turn. */
static Index access_digit(Interp *in, Address *x, const StorageDim *s, Index at, int64_t stride)
{
    Index q, r;

    at = index_offset(at, s->add);
    if (index_divmod(in->arena, at, s->div, &q, &r)
        && (s->mod == 0 || index_divmod(in->arena, q, s->mod, &r, &q)))
        return index_scale(in->arena, q, stride);
    x->digit[x->n_digits++] = (Digit){affine_value(in, at), s->div, s->mod, stride};
    return index_const(0);
}

static const int64_t *access_find_place(Interp *in, Address *x, const Index *index)
{
    const Buffer *b = x->buffer;
    bool physical = in->kernel->physical, mapped = b->n_storage > 0 && !physical;
    bool halo = b->n_storage == 0 && (!physical || b->kind == BUF_LOCAL);
    int64_t extent[MAX_DIMS], stride = b->lanes;
    Index place = index_const(0);

    for (int i = buffer_physical(b, extent) - 1; i >= 0; i--) {
        StorageDim plain = {i, halo ? b->dim[i].lo : 0, 1, 0};
        const StorageDim *s = mapped ? &b->storage[i] : &plain;
        place = index_add(in->arena, place, access_digit(in, x, s, index[s->dim], stride));
        stride *= extent[i];
    }
    return affine_value(in, place);
}

static const Address *access_make(Interp *in, const Buffer *b, const Index *index, int n,
                                 int lanes)
{
    Address *x = NEW(in->arena, Address);
    int64_t first, last, lo, hi;

    x->buffer = b;
    x->data = bound(in, b);
    x->check = NEW_ARRAY(in->arena, Check, n);
    x->digit = NEW_ARRAY(in->arena, Digit, MAX_DIMS);
    for (int i = 0; i < n; i++) {
        buffer_bounds(b, in->kernel->physical, i, lanes, &first, &last);
        index_range(index[i], &lo, &hi);
        if (lo < first || hi > last)
            x->check[x->n_checks++] = (Check){affine_value(in, index[i]), first, last, i};
    }
    x->place = access_find_place(in, x, index);
    return x;
}

static const Node *node_make(Interp *in, const Expr *e)
{
    Node *n = NEW(in->arena, Node);

    n->expr = e;
    n->value = round_to(e->type.scalar, e->value);
    if (e->kind == EXPR_NAME)
        n->cell = bound(in, e->name);
    if (e->kind == EXPR_LOAD)
        n->access = access_make(in, e->buffer, e->index, e->n_index, e->type.lanes);
    for (int i = 0; i < expr_args(e); i++)
        n->arg[i] = node_make(in, e->arg[i]);
    return n;
}

static Op *op_make(Interp *in, const Stmt *s, const Op *outer)
{
    Op *op = NEW(in->arena, Op);

    *op = (Op){.stmt = s, .outer = outer};
    if (s->var != NULL)
        bind(in, s->var, op);
    if (s->expr != NULL)
        op->expr = node_make(in, s->expr);
    for (int i = 0; i < s->n_cond; i++)
        op->check[i] = (Check){affine_value(in, s->cond[i].index), 0, s->cond[i].extent - 1, i};
    if (s->kind == STMT_STORE)
        op->access = access_make(in, s->buffer, s->index, s->n_index, s->expr->type.lanes);
    else if (s->kind == STMT_LOCAL || s->kind == STMT_LIST)
        op->data = bind(in, s->buffer, arena_alloc(in->arena, (size_t)buffer_bytes(s->buffer)));
    else if (s->kind == STMT_LET || s->kind == STMT_VAR)
        op->cell = bind(in, s->name, NEW_ARRAY(in->arena, double, s->name->type.lanes));
    else if (s->kind == STMT_SET)
        op->cell = bound(in, s->name);
    return op;
}

static Op *ops_make(Interp *in, Body b, const Op *outer)
{
    Op *first = NULL, **end = &first;

    for (const Stmt *s = b.first; s != NULL; s = s->next) {
        Op *op = op_make(in, s, outer);
        op->body = ops_make(in, s->body, s->kind == STMT_FOR ? op : outer);
        *end = op;
        end = &op->next;
    }
    return first;
}

/* ---- running ------------------------------------------------------------------------------- */
static const Check *find_violated(const Check *check, int n)
{
    for (int i = 0; i < n; i++)
        if (*check[i].at < check[i].first || *check[i].at > check[i].last)
            return &check[i];
    return NULL;
}

static void report_bounds(Interp *in, const Address *x, const Check *c)
{
    Arena *a = in->cx->temp;
    const Kernel *k = in->kernel;
    Str turns = str_new(a);

    in->failed = true;
    diag_error(in->cx->diags, NO_PLACE, "E0931",
               "kernel %s (%s): index %d of '%s' is %lld, outside %lld..%lld", k->name,
               k->origin != NULL ? k->origin : "no origin", c->dim, x->buffer->name,
               (long long)*c->at, (long long)c->first, (long long)c->last);
    for (const Op *loop = in->op->outer; loop != NULL; loop = loop->outer)
        str_printf(&turns, " %s=%lld", loop->stmt->var->name, (long long)loop->turn);
    diag_note(in->cx->diags, NO_PLACE, "at%s in: %s", turns.data, stmt_head(a, in->op->stmt));
}

/* The element of lane 0, or -1 after a report. */
static int64_t access_place(Interp *in, const Address *x)
{
    const Check *violated = find_violated(x->check, x->n_checks);

    if (violated != NULL) {
        report_bounds(in, x, violated);
        return -1;
    }
    int64_t place = *x->place;
    for (int i = 0; i < x->n_digits; i++) {
        const Digit *d = &x->digit[i];
        int64_t digit = *d->at / d->div;
        place += (d->mod != 0 ? digit % d->mod : digit) * d->stride;
    }
    return place;
}

static double access_load(Interp *in, const Address *x, int lane)
{
    int64_t place = access_place(in, x);

    if (place < 0)
        return 0;
    switch (x->buffer->type) {
    case TYPE_F32: return (double)((const float *)x->data)[place + lane];
    case TYPE_F64: return ((const double *)x->data)[place + lane];
    case TYPE_I32: return ((const int32_t *)x->data)[place + lane];
    }
    return 0;
}

static void access_store(const Address *x, int64_t at, double value)
{
    switch (x->buffer->type) {
    case TYPE_F32: ((float *)x->data)[at] = (float)value; break;
    case TYPE_F64: ((double *)x->data)[at] = value; break;
    case TYPE_I32: ((int32_t *)x->data)[at] = (int32_t)value; break;
    }
}

static double node_eval(Interp *in, const Node *n, int lane);

static double node_reduce(Interp *in, const Node *n)
{
    double sum = node_eval(in, n->arg[0], 0);

    for (int i = 1; i < n->arg[0]->expr->type.lanes; i++)
        sum = eval_bin(n->expr->type.scalar, n->expr->op, sum, node_eval(in, n->arg[0], i));
    return sum;
}

/* Both values of a select are computed, as in a vector. */
static double node_compute(Interp *in, const Node *n, int lane)
{
    const Expr *e = n->expr;
    ScalarType t = e->type.scalar;
    double x[4] = {0};

    for (int i = 0; i < expr_args(e); i++)
        x[i] = node_eval(in, n->arg[i], lane);
    switch (e->kind) {
    case EXPR_BIN: return eval_bin(t, e->op, x[0], x[1]);
    case EXPR_UN: return eval_un(t, e->op, e->ipar, x[0]);
    case EXPR_FMA: return eval_fma(t, x[0], x[1], x[2]);
    case EXPR_CAST: return round_to(t, x[0]);
    case EXPR_SELECT: return compare(e->op, x[0], x[1]) ? x[2] : x[3];
    default: return n->value;
    }
}

/* One lane of an expression; scalars have lane 0 only. The leaves are here, as they are many and
 * need no more calls. */
static double node_eval(Interp *in, const Node *n, int lane)
{
    switch (n->expr->kind) {
    case EXPR_LOAD: return access_load(in, n->access, lane);
    case EXPR_NAME: return n->cell[lane];
    case EXPR_CONST: return n->value;
    case EXPR_BCAST: return node_eval(in, n->arg[0], 0);
    case EXPR_HSUM: return node_reduce(in, n);
    default: return node_compute(in, n, lane);
    }
}

static void run_assign(Interp *in, const Op *op)
{
    double value[MAX_LANES];
    int lanes = op->expr->expr->type.lanes;

    in->op = op;
    for (int i = 0; i < lanes; i++)
        value[i] = node_eval(in, op->expr, i);
    if (op->access == NULL) {
        memcpy(op->cell, value, sizeof(double) * (size_t)lanes);
        return;
    }
    int64_t place = access_place(in, op->access);
    for (int i = 0; i < lanes && !in->failed; i++)
        access_store(op->access, place + i, value[i]);
}

static void run_ops(Interp *in, Op *op);

static void run_for(Interp *in, Op *op)
{
    int64_t extent = op->stmt->var->extent;
    double upto = op->expr != NULL ? node_eval(in, op->expr, 0) : (double)extent;

    extent = upto < (double)extent ? (int64_t)upto : extent;
    for (op->turn = 0; op->turn < extent && !in->failed; op->turn++) {
        run_ops(in, op->body);
        for (const Update *u = op->updates; u != NULL; u = u->next)
            *u->now += u->coef;
    }
    for (const Update *u = op->updates; u != NULL; u = u->next)
        *u->now -= u->coef * extent;
}

/* The variable's next value, and what depends on it. */
static void set_var(Op *op, int64_t value)
{
    for (const Update *u = op->updates; u != NULL; u = u->next)
        *u->now += u->coef * (value - op->turn);
    op->turn = value;
}

static void run_list(Interp *in, Op *op)
{
    int32_t *list = op->data, n = 0, zero = 0;

    memset(list, 0, (size_t)buffer_bytes(op->stmt->buffer));
    for (int32_t i = 0; i < op->stmt->var->extent; i++) {
        set_var(op, i);
        if (node_eval(in, op->expr, 0) != 0)
            list[++n] = i;
        else
            zero = i;
    }
    while (n % LIST_GROUP != 0)
        list[++n] = zero;
    list[0] = n / LIST_GROUP;
}

static void run_ops(Interp *in, Op *op)
{
    for (; op != NULL && !in->failed; op = op->next) {
        const Stmt *s = op->stmt;
        switch (s->kind) {
        case STMT_FOR: run_for(in, op); break;
        case STMT_IF:
            if (find_violated(op->check, s->n_cond) == NULL)
                run_ops(in, op->body);
            break;
        case STMT_LET: case STMT_VAR: case STMT_SET: case STMT_STORE: run_assign(in, op); break;
        case STMT_LOCAL: memset(op->data, 0xff, (size_t)buffer_bytes(s->buffer)); break;
        case STMT_LIST: run_list(in, op); break;
        case STMT_PICK: set_var(op, (int64_t)node_eval(in, op->expr, 0)); break;
        case STMT_NOTE: case STMT_PREFETCH: break;
        }
    }
}

bool kernel_interpret(Cx *cx, const Kernel *k, void *const *data)
{
    Interp in = {.cx = cx, .arena = cx->temp, .kernel = k};

    for (int i = 0; i < k->n_buffers; i++)
        bind(&in, k->buffer[i], data[i]);
    run_ops(&in, ops_make(&in, k->body, NULL));
    return !in.failed;
}
