/* loop_interp: runs a kernel, slowly and exactly; what every optimisation is compared with.
 *
 * example: y[i] = fma(x[i + 1], w[0], y[i]) becomes a tree whose accesses hold a pointer to the
 * place i + 1 in x; the loop i moves all places that depend on i by their coefficient in each turn.
 *
 * contract: the kernel has passed loop_verify, bounds apart: an access out of bounds ends the run
 * with E0931. f32 arithmetic is that of float, EXPR_FMA rounds once, lanes are computed before any
 * is stored. Parallel loops run in order. A local holds NaN (or -1) until it is written.
 */
#include "loop/loop.h"

#include <math.h>
#include <string.h>

#define MAX_LANES 64

typedef union Lane {
    float f;
    double d;
    int32_t i;
} Lane;

typedef struct Affine {              /* an index and its value in the current turn of the loops */
    Index index;
    int64_t now;
} Affine;

typedef struct Check {               /* first <= *at <= last */
    const int64_t *at;
    int64_t first, last;
    int dim;
} Check;

typedef struct Digit {               /* a storage dimension that is not affine here */
    const int64_t *at;
    int64_t div, mod, stride;
} Digit;

typedef struct Access {              /* checks that are not proved, then *place plus the digits */
    const Buffer *buffer;
    void *data;
    const Check *check;
    const int64_t *place;
    const Digit *digit;
    int n_checks, n_digits;
} Access;

typedef struct Node Node;
struct Node {
    ExprKind kind;
    ScalarType type;
    int op, ipar, lanes;
    Lane value;                      /* CONST */
    const Lane *cell;                /* NAME: its lanes */
    const Access *access;            /* LOAD */
    const Node *arg[4];
};

typedef struct Update {
    int64_t *now;
    int64_t coef;
} Update;

typedef struct Op Op;
struct Op {                          /* a statement, ready to run */
    const Stmt *stmt;
    Op *next, *body;
    const Op *outer;                 /* the enclosing FOR */
    int64_t turn;                    /* FOR */
    const Update *update;            /* FOR */
    int n_updates;
    const Check *check;              /* IF: n_cond of them */
    const Node *expr;
    Lane *cell;                      /* LET, VAR, SET */
    const Access *access;            /* STORE */
    void *data;                      /* LOCAL */
    Op *loop_before;                 /* FOR: the list of all loops */
};

typedef struct Binding {             /* where a Name or Buffer lives */
    const void *what;
    void *memory;
    const struct Binding *before;
} Binding;

typedef struct Interp {
    Cx *cx;
    Arena *arena;
    const Kernel *kernel;
    const Binding *bindings;
    Affine **affine;
    size_t n_affine, cap_affine;
    Op *loops;                       /* all, the last first */
    const Op *op;                    /* being run */
    bool failed;
} Interp;

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

static const int64_t *affine_value(Interp *in, Index x)
{
    for (size_t i = 0; i < in->n_affine; i++) {
        if (index_equal(in->affine[i]->index, x))
            return &in->affine[i]->now;
    }
    Affine *f = NEW(in->arena, Affine);
    *f = (Affine){x, x.c};
    in->affine = arena_grow(in->arena, in->affine, in->n_affine, in->n_affine + 1,
                            &in->cap_affine, sizeof *in->affine);
    in->affine[in->n_affine++] = f;
    return &f->now;
}

/* Where physical dimension i of an access lies, in elements: affine if div and mod vanish, else a
 * digit to compute in each turn. */
static Index access_digit(Interp *in, Access *x, Digit *digits, const StorageDim *s, Index at,
                          int64_t stride)
{
    Index q, r;

    at = index_offset(at, s->add);
    if (index_divmod(in->arena, at, s->div, &q, &r)
        && (s->mod == 0 || index_divmod(in->arena, q, s->mod, &r, &q)))
        return index_scale(in->arena, q, stride);
    digits[x->n_digits++] = (Digit){affine_value(in, at), s->div, s->mod, stride};
    return index_const(0);
}

static void access_find_place(Interp *in, Access *x, const Index *index)
{
    const Buffer *b = x->buffer;
    bool mapped = b->n_storage > 0 && !in->kernel->physical;
    bool halo = b->n_storage == 0 && (!in->kernel->physical || b->kind == BUF_LOCAL);
    Digit *digits = NEW_ARRAY(in->arena, Digit, MAX_DIMS);
    int64_t extent[MAX_DIMS], stride = b->lanes;
    Index place = index_const(0);

    for (int i = buffer_physical(b, extent) - 1; i >= 0; i--) {
        StorageDim plain = {i, halo ? b->dim[i].lo : 0, 1, 0};
        const StorageDim *s = mapped ? &b->storage[i] : &plain;
        place = index_add(in->arena, place,
                          access_digit(in, x, digits, s, index[s->dim], stride));
        stride *= extent[i];
    }
    x->place = affine_value(in, place);
    x->digit = digits;
}

static const Access *access_make(Interp *in, const Buffer *b, const Index *index, int n,
                                 int lanes)
{
    Access *x = NEW(in->arena, Access);
    Check *checks = NEW_ARRAY(in->arena, Check, n);
    bool by_place = in->kernel->physical && b->kind != BUF_LOCAL;
    int64_t extent[MAX_DIMS], lo, hi;

    x->buffer = b;
    x->data = bound(in, b);
    x->check = checks;
    buffer_physical(b, extent);
    for (int i = 0; i < n; i++) {
        int64_t first = by_place ? 0 : -b->dim[i].lo;
        int64_t last = by_place ? extent[i] - 1 : b->dim[i].extent + b->dim[i].hi - 1;
        if (i == n - 1 && b->lanes == 1)
            last -= lanes - 1;
        index_range(index[i], &lo, &hi);
        if (lo < first || hi > last)
            checks[x->n_checks++] = (Check){affine_value(in, index[i]), first, last, i};
    }
    access_find_place(in, x, index);
    return x;
}

static Lane lane_const(ScalarType t, double v)
{
    switch (t) {
    case TYPE_F32: return (Lane){.f = (float)v};
    case TYPE_F64: return (Lane){.d = v};
    case TYPE_I32: return (Lane){.i = (int32_t)v};
    }
    return (Lane){.i = 0};
}

static const Node *node_make(Interp *in, const Expr *e)
{
    Node *n = NEW(in->arena, Node);

    n->kind = e->kind;
    n->type = e->type.scalar;
    n->op = e->op;
    n->ipar = e->ipar;
    n->lanes = e->type.lanes;
    if (e->kind == EXPR_CONST)
        n->value = lane_const(n->type, e->value);
    if (e->kind == EXPR_NAME)
        n->cell = bound(in, e->name);
    if (e->kind == EXPR_LOAD)
        n->access = access_make(in, e->buffer, e->index, e->n_index, n->lanes);
    for (int i = 0; i < expr_args(e); i++)
        n->arg[i] = node_make(in, e->arg[i]);
    return n;
}

static const Check *checks_make(Interp *in, const Stmt *s)
{
    Check *checks = NEW_ARRAY(in->arena, Check, s->n_cond);

    for (int i = 0; i < s->n_cond; i++)
        checks[i] = (Check){affine_value(in, s->cond[i].index), 0, s->cond[i].extent - 1, i};
    return checks;
}

static Op *op_make(Interp *in, const Stmt *s, const Op *outer)
{
    Op *op = NEW(in->arena, Op);

    op->stmt = s;
    op->outer = outer;
    if (s->expr != NULL)
        op->expr = node_make(in, s->expr);
    if (s->kind == STMT_FOR) {
        op->loop_before = in->loops;
        in->loops = op;
    } else if (s->kind == STMT_IF) {
        op->check = checks_make(in, s);
    } else if (s->kind == STMT_STORE) {
        op->access = access_make(in, s->buffer, s->index, s->n_index, s->expr->type.lanes);
    } else if (s->kind == STMT_LOCAL) {
        op->data = bind(in, s->buffer, arena_alloc(in->arena, (size_t)buffer_bytes(s->buffer)));
    } else if (s->kind == STMT_LET || s->kind == STMT_VAR) {
        op->cell = bind(in, s->name, NEW_ARRAY(in->arena, Lane, s->name->type.lanes));
    } else if (s->kind == STMT_SET) {
        op->cell = bound(in, s->name);
    }
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

/* Each loop gets the list of values that its variable moves. */
static void loops_link(Interp *in)
{
    for (Op *loop = in->loops; loop != NULL; loop = loop->loop_before) {
        Update *updates = NEW_ARRAY(in->arena, Update, in->n_affine);
        for (size_t i = 0; i < in->n_affine; i++) {
            int64_t coef = index_coef(in->affine[i]->index, loop->stmt->var);
            if (coef != 0)
                updates[loop->n_updates++] = (Update){&in->affine[i]->now, coef};
        }
        loop->update = updates;
    }
}

/* ---- arithmetic ---------------------------------------------------------------------------- */
static float bin_f32(int op, float x, float y)
{
    switch (op) {
    case BIN_ADD: return x + y;
    case BIN_SUB: return x - y;
    case BIN_MUL: return x * y;
    case BIN_DIV: return x / y;
    case BIN_MIN: return y < x || isnan(y) ? y : x;
    default: return y > x || isnan(y) ? y : x;
    }
}

static double bin_f64(int op, double x, double y)
{
    switch (op) {
    case BIN_ADD: return x + y;
    case BIN_SUB: return x - y;
    case BIN_MUL: return x * y;
    case BIN_DIV: return x / y;
    case BIN_MIN: return y < x || isnan(y) ? y : x;
    default: return y > x || isnan(y) ? y : x;
    }
}

/* Wraps, as vector instructions do. */
static int32_t bin_i32(int op, int32_t x, int32_t y)
{
    switch (op) {
    case BIN_ADD: return (int32_t)((uint32_t)x + (uint32_t)y);
    case BIN_SUB: return (int32_t)((uint32_t)x - (uint32_t)y);
    case BIN_MUL: return (int32_t)((uint32_t)x * (uint32_t)y);
    case BIN_MIN: return y < x ? y : x;
    default: return y > x ? y : x;
    }
}

static Lane lane_bin(ScalarType t, int op, Lane x, Lane y)
{
    if (t == TYPE_F32)
        return (Lane){.f = bin_f32(op, x.f, y.f)};
    if (t == TYPE_F64)
        return (Lane){.d = bin_f64(op, x.d, y.d)};
    return (Lane){.i = bin_i32(op, x.i, y.i)};
}

/* For f32 too: rounded once more these are the float results, the square root included, as double
 * has more than twice the digits; exp and pow are defined so. Largest: the type's exponent. */
static double un_f64(int op, int k, double x, int largest)
{
    switch (op) {
    case UN_NEG: return -x;
    case UN_ABS: return fabs(x);
    case UN_SQRT: return sqrt(x);
    case UN_ROUND: return rint(x);
    case UN_POW2I: return x > -largest && x <= largest ? ldexp(1, (int)x) : (double)NAN;
    case UN_EXP: return exp(x);
    default: return pow(x, -k / 4.0);
    }
}

static Lane lane_un(ScalarType t, int op, int k, Lane x)
{
    if (t == TYPE_F32)
        return (Lane){.f = (float)un_f64(op, k, (double)x.f, 127)};
    if (t == TYPE_F64)
        return (Lane){.d = un_f64(op, k, x.d, 1023)};
    return (Lane){.i = op == UN_NEG || x.i < 0 ? bin_i32(BIN_SUB, 0, x.i) : x.i};
}

static bool lane_compare(ScalarType t, int op, Lane l, Lane r)
{
    double x = t == TYPE_F32 ? (double)l.f : t == TYPE_F64 ? l.d : l.i;
    double y = t == TYPE_F32 ? (double)r.f : t == TYPE_F64 ? r.d : r.i;

    switch (op) {
    case CMP_LT: return x < y;
    case CMP_LE: return x <= y;
    case CMP_EQ: return x == y;
    default: return x != y;
    }
}

/* To i32: towards zero, and INT32_MIN for what has no such number, as the conversions of x86. */
static Lane lane_cast(ScalarType to, ScalarType from, Lane x)
{
    double v = from == TYPE_F32 ? (double)x.f : from == TYPE_F64 ? x.d : x.i;

    if (to == from)
        return x;
    if (to == TYPE_I32 && !(v > -2147483649.0 && v < 2147483648.0))
        return (Lane){.i = INT32_MIN};
    return lane_const(to, v);
}

/* ---- running ------------------------------------------------------------------------------- */
static void report_bounds(Interp *in, const Access *x, const Check *c)
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
static int64_t access_place(Interp *in, const Access *x)
{
    for (int i = 0; i < x->n_checks; i++) {
        const Check *c = &x->check[i];
        if (*c->at < c->first || *c->at > c->last) {
            report_bounds(in, x, c);
            return -1;
        }
    }
    int64_t place = *x->place;
    for (int i = 0; i < x->n_digits; i++) {
        const Digit *d = &x->digit[i];
        int64_t digit = *d->at / d->div;
        place += (d->mod != 0 ? digit % d->mod : digit) * d->stride;
    }
    return place;
}

static Lane access_load(Interp *in, const Access *x, int lane)
{
    int64_t place = access_place(in, x);

    if (place < 0)
        return (Lane){.d = 0};
    switch (x->buffer->type) {
    case TYPE_F32: return (Lane){.f = ((const float *)x->data)[place + lane]};
    case TYPE_F64: return (Lane){.d = ((const double *)x->data)[place + lane]};
    case TYPE_I32: return (Lane){.i = ((const int32_t *)x->data)[place + lane]};
    }
    return (Lane){.i = 0};
}

static Lane node_eval(Interp *in, const Node *n, int lane);

static Lane node_eval_reduction(Interp *in, const Node *n)
{
    Lane sum = node_eval(in, n->arg[0], 0);

    for (int i = 1; i < n->arg[0]->lanes; i++)
        sum = lane_bin(n->type, n->op, sum, node_eval(in, n->arg[0], i));
    return sum;
}

static Lane node_eval_fma(Interp *in, const Node *n, int lane)
{
    Lane x = node_eval(in, n->arg[0], lane);
    Lane y = node_eval(in, n->arg[1], lane);
    Lane z = node_eval(in, n->arg[2], lane);

    if (n->type == TYPE_F32)
        return (Lane){.f = fmaf(x.f, y.f, z.f)};
    return (Lane){.d = fma(x.d, y.d, z.d)};
}

/* Both values are computed, as in a vector. */
static Lane node_eval_select(Interp *in, const Node *n, int lane)
{
    Lane l = node_eval(in, n->arg[0], lane), r = node_eval(in, n->arg[1], lane);
    Lane x = node_eval(in, n->arg[2], lane), y = node_eval(in, n->arg[3], lane);

    return lane_compare(n->arg[0]->type, n->op, l, r) ? x : y;
}

static Lane node_compute(Interp *in, const Node *n, int lane)
{
    Lane x;

    switch (n->kind) {
    case EXPR_BIN:
        x = node_eval(in, n->arg[0], lane);
        return lane_bin(n->type, n->op, x, node_eval(in, n->arg[1], lane));
    case EXPR_UN:
        return lane_un(n->type, n->op, n->ipar, node_eval(in, n->arg[0], lane));
    case EXPR_FMA: return node_eval_fma(in, n, lane);
    case EXPR_CAST:
        return lane_cast(n->type, n->arg[0]->type, node_eval(in, n->arg[0], lane));
    case EXPR_SELECT: return node_eval_select(in, n, lane);
    case EXPR_BCAST: return node_eval(in, n->arg[0], 0);
    case EXPR_HSUM: return node_eval_reduction(in, n);
    default: return n->value;
    }
}

/* One lane of an expression; scalars have lane 0 only. The leaves are here, as they are many and
 * need no more calls. */
static Lane node_eval(Interp *in, const Node *n, int lane)
{
    switch (n->kind) {
    case EXPR_LOAD: return access_load(in, n->access, lane);
    case EXPR_NAME: return n->cell[lane];
    case EXPR_CONST: return n->value;
    default: return node_compute(in, n, lane);
    }
}

static void op_run_store(Interp *in, const Op *op, const Lane *value)
{
    const Access *x = op->access;
    int64_t place = access_place(in, x);

    if (in->failed)
        return;
    for (int i = 0; i < op->expr->lanes; i++) {
        switch (x->buffer->type) {
        case TYPE_F32: ((float *)x->data)[place + i] = value[i].f; break;
        case TYPE_F64: ((double *)x->data)[place + i] = value[i].d; break;
        case TYPE_I32: ((int32_t *)x->data)[place + i] = value[i].i; break;
        }
    }
}

static void op_run_assign(Interp *in, const Op *op)
{
    Lane value[MAX_LANES];
    int lanes = op->expr->lanes;

    in->op = op;
    value[0] = node_eval(in, op->expr, 0);
    for (int i = 1; i < lanes; i++)
        value[i] = node_eval(in, op->expr, i);
    if (op->access != NULL)
        op_run_store(in, op, value);
    else
        memcpy(op->cell, value, sizeof(Lane) * (size_t)lanes);
}

static void ops_run(Interp *in, Op *op);

static void op_run_for(Interp *in, Op *op)
{
    int64_t extent = op->stmt->var->extent;

    for (op->turn = 0; op->turn < extent && !in->failed; op->turn++) {
        ops_run(in, op->body);
        for (int i = 0; i < op->n_updates; i++)
            *op->update[i].now += op->update[i].coef;
    }
    for (int i = 0; i < op->n_updates; i++)
        *op->update[i].now -= op->update[i].coef * extent;
}

static bool op_holds(const Op *op)
{
    for (int i = 0; i < op->stmt->n_cond; i++) {
        const Check *c = &op->check[i];
        if (*c->at < c->first || *c->at > c->last)
            return false;
    }
    return true;
}

static void ops_run(Interp *in, Op *op)
{
    for (; op != NULL && !in->failed; op = op->next) {
        switch (op->stmt->kind) {
        case STMT_FOR: op_run_for(in, op); break;
        case STMT_IF:
            if (op_holds(op))
                ops_run(in, op->body);
            break;
        case STMT_LET: case STMT_VAR: case STMT_SET: case STMT_STORE:
            op_run_assign(in, op);
            break;
        case STMT_LOCAL:
            memset(op->data, 0xff, (size_t)buffer_bytes(op->stmt->buffer));
            break;
        case STMT_NOTE: break;
        }
    }
}

bool kernel_interpret(Cx *cx, const Kernel *k, void *const *data)
{
    Interp in = {.cx = cx, .arena = cx->temp, .kernel = k};

    for (int i = 0; i < k->n_buffers; i++)
        bind(&in, k->buffer[i], data[i]);
    Op *first = ops_make(&in, k->body, NULL);
    loops_link(&in);
    ops_run(&in, first);
    return !in.failed;
}
