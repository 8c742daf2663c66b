/* loop_interp: runs a kernel, slowly and exactly; what every optimisation is compared with.
 *
 * example: y[i] = fma(x[i + 1], w[0], y[i]) becomes a tree whose accesses hold a pointer to the
 * place i + 1 in x; the loop i moves all places that depend on i by their coefficient in each turn.
 * A loop of nothing but one store, whose turns do not depend on each other, is a row: its
 * expression is computed node by node for many turns at once, with the same results.
 *
 * contract: the kernel has passed loop_verify, bounds apart: an access out of bounds ends the run
 * with E0931. f32 arithmetic is that of float, EXPR_FMA rounds once, lanes are computed before any
 * is stored. Parallel loops run in order. A local holds NaN (or -1) until it is written.
 */
#include "loop/loop.h"

#include <string.h>

#define MAX_LANES 64
#define ROW 64                       /* turns of a loop that are computed at once */
#define MAX_ROW_DEPTH 16             /* of its expression: each level has rows on the stack */

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
    Index index;                     /* of which *place is the value */
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
    bool row;                        /* FOR: its turns can be computed at once */
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

static Index access_find_index(Interp *in, Address *x, const Index *index)
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
    return place;
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
    x->index = access_find_index(in, x, index);
    x->place = affine_value(in, x->index);
    return x;
}

static const Node *node_make(Interp *in, const Expr *e)
{
    Node *n = NEW(in->arena, Node);

    n->expr = e;
    n->value = value_round(e->type.scalar, e->value);
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

/* Are what a row loads and what it stores apart, or the same element in each turn? */
static bool is_independent(const Address *load, const Address *store)
{
    const char *x = load->data, *y = store->data;

    if (load->n_checks > 0 || load->n_digits > 0)
        return false;
    return (x == y && load->place == store->place && load->buffer->type == store->buffer->type) ||
           x + buffer_bytes(load->buffer) <= y || y + buffer_bytes(store->buffer) <= x;
}

static bool is_row_node(const Node *n, const Address *store, int depth)
{
    bool ok = n->expr->type.lanes == 1 && depth < MAX_ROW_DEPTH &&
              (n->expr->kind != EXPR_LOAD || is_independent(n->access, store));

    for (int i = 0; ok && i < expr_args(n->expr); i++)
        ok = is_row_node(n->arg[i], store, depth + 1);
    return ok;
}

/* Is the loop one store, to another element in each turn, of what no other turn stores? */
static bool is_row(const Op *loop)
{
    const Op *op = loop->body;

    return op != NULL && op->next == NULL && op->stmt->kind == STMT_STORE &&
           op->access->n_checks == 0 && op->access->n_digits == 0 &&
           index_coef(op->access->index, loop->stmt->var) != 0 &&
           is_row_node(op->expr, op->access, 0);
}

/* Of a loop of one turn the body is enough. */
static Op *ops_make(Interp *in, Body b, const Op *outer)
{
    Op *first = NULL, **end = &first;

    for (const Stmt *s = b.first; s != NULL; s = s->next) {
        Op *op = op_make(in, s, outer);
        bool loop = s->kind == STMT_FOR && s->expr == NULL;    /* of known length */
        op->body = ops_make(in, s->body, s->kind == STMT_FOR ? op : outer);
        op->row = loop && is_row(op);
        for (*end = loop && s->var->extent == 1 ? op->body : op; *end != NULL; )
            end = &(*end)->next;
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

static double widen_bf16(uint16_t upper)
{
    uint32_t bits = (uint32_t)upper << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static inline double element(const Address *x, int64_t at)
{
    switch (x->buffer->type) {
    case TYPE_F32: return (double)((const float *)x->data)[at];
    case TYPE_F64: return ((const double *)x->data)[at];
    case TYPE_I32: return ((const int32_t *)x->data)[at];
    case TYPE_BF16: return widen_bf16(((const uint16_t *)x->data)[at]);
    }
    return 0;
}

static double access_load(Interp *in, const Address *x, int lane)
{
    int64_t place = access_place(in, x);

    return place < 0 ? 0 : element(x, place + lane);
}

static void access_store(const Address *x, int64_t at, double value)
{
    switch (x->buffer->type) {
    case TYPE_F32: ((float *)x->data)[at] = (float)value; break;
    case TYPE_F64: ((double *)x->data)[at] = value; break;
    case TYPE_I32: ((int32_t *)x->data)[at] = (int32_t)value; break;
    case TYPE_BF16: break;                            /* weights are not stored to */
    }
}

static double node_eval(Interp *in, const Node *n, int lane);

static double node_reduce(Interp *in, const Node *n)
{
    double sum = node_eval(in, n->arg[0], 0);

    for (int i = 1; i < n->arg[0]->expr->type.lanes; i++)
        sum = value_bin(n->expr->type.scalar, n->expr->op, sum, node_eval(in, n->arg[0], i));
    return sum;
}

/* Both values of a select are computed, as in a vector. */
static double node_apply(const Node *n, const double x[4])
{
    const Expr *e = n->expr;
    ScalarType t = e->type.scalar;

    switch (e->kind) {
    case EXPR_BIN: return value_bin(t, e->op, x[0], x[1]);
    case EXPR_UN: return value_un(t, e->op, e->ipar, x[0]);
    case EXPR_FMA: return value_fma(t, x[0], x[1], x[2]);
    case EXPR_CAST: return value_round(t, x[0]);
    case EXPR_SELECT: return value_compare(e->op, x[0], x[1]) ? x[2] : x[3];
    default: return x[0];
    }
}

static double node_compute(Interp *in, const Node *n, int lane)
{
    double x[4] = {0};

    for (int i = 0; i < expr_args(n->expr); i++)
        x[i] = node_eval(in, n->arg[i], lane);
    return node_apply(n, x);
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

/* ---- rows ---------------------------------------------------------------------------------- */
typedef struct Turns {               /* of a loop, computed at once */
    const Var *var;
    int64_t first;
    int n;
} Turns;

static void fill_row(double *out, double value, int turns)
{
    for (int i = 0; i < turns; i++)
        out[i] = value;
}

static void load_row(const Address *x, const Turns *t, double *out)
{
    int64_t step = index_coef(x->index, t->var), at = *x->place + t->first * step;

    for (int i = 0; i < t->n; i++)
        out[i] = element(x, at + i * step);
}

/* Sums and products of them are what there is most of. */
static void apply_row(const Node *n, double x[4][ROW], int turns, double *out)
{
    const Expr *e = n->expr;
    int args = expr_args(e);

    for (int i = 0; i < turns && e->kind == EXPR_FMA; i++)
        out[i] = value_fma(e->type.scalar, x[0][i], x[1][i], x[2][i]);
    for (int i = 0; i < turns && e->kind != EXPR_FMA; i++) {
        double v[4] = {0};
        for (int k = 0; k < args; k++)
            v[k] = x[k][i];
        out[i] = node_apply(n, v);
    }
}

static void eval_row(const Node *n, const Turns *t, double *out)
{
    double x[4][ROW];

    for (int k = 0; k < expr_args(n->expr); k++)
        eval_row(n->arg[k], t, x[k]);
    switch (n->expr->kind) {
    case EXPR_LOAD: load_row(n->access, t, out); break;
    case EXPR_NAME: fill_row(out, n->cell[0], t->n); break;
    case EXPR_CONST: fill_row(out, n->value, t->n); break;
    default: apply_row(n, x, t->n, out); break;
    }
}

static void run_row(const Op *loop)
{
    const Op *op = loop->body;
    double value[ROW];
    int64_t step = index_coef(op->access->index, loop->stmt->var), left = loop->stmt->var->extent;

    for (Turns t = {.var = loop->stmt->var}; left > 0; t.first += t.n, left -= t.n) {
        t.n = left < ROW ? (int)left : ROW;
        eval_row(op->expr, &t, value);
        for (int i = 0; i < t.n; i++)
            access_store(op->access, *op->access->place + (t.first + i) * step, value[i]);
    }
}

static void run_ops(Interp *in, Op *op);

static void run_for(Interp *in, Op *op)
{
    int64_t extent = op->stmt->var->extent;
    double upto = op->expr != NULL ? node_eval(in, op->expr, 0) : (double)extent;

    extent = upto < (double)extent ? (int64_t)upto : extent;
    if (op->row) {
        run_row(op);
        return;
    }
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
