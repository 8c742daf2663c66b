/* loop_node: making and comparing expressions, making statements and putting them into bodies.
 *
 * example: expr_fma(a, x, w, acc) has the type of x; expr_hreduce(a, BIN_ADD, v) has one lane.
 *          Stmt *loop = stmt_for(a, i, LOOP_SERIAL); body_add(&loop->body, stmt_store(...));
 *
 * contract: constructors derive the type from the arguments and check nothing: loop_verify does.
 * Expressions never change after they are made, so that they may be shared; a statement is owned
 * by one body.
 */
#include "loop/loop.h"

#include <math.h>

static const Index *index_copy(Arena *a, const Index *index, int n)
{
    Index *copy = NEW_ARRAY(a, Index, n);

    for (int i = 0; i < n; i++)
        copy[i] = index[i];
    return copy;
}

/* ---- expressions ------------------------------------------------------------------------- */

static const Expr *expr_new(Arena *a, Expr e)
{
    Expr *made = NEW(a, Expr);

    *made = e;
    return made;
}

const Name *name_new(Arena *a, const char *name, Type t, bool is_var)
{
    Name *n = NEW(a, Name);

    *n = (Name){name, t, is_var};
    return n;
}

const Expr *expr_const(Arena *a, Type t, double v)
{
    if (t.scalar == TYPE_F32)
        v = (double)(float)v;
    return expr_new(a, (Expr){.kind = EXPR_CONST, .type = t, .value = v});
}

const Expr *expr_load(Arena *a, Buffer *b, const Index *index, int n, int lanes)
{
    Type type = {scalar_loaded(b->type), lanes};
    return expr_new(a, (Expr){.kind = EXPR_LOAD, .type = type, .buffer = b,
                              .index = index_copy(a, index, n), .n_index = n});
}

const Expr *expr_name(Arena *a, const Name *n)
{
    return expr_new(a, (Expr){.kind = EXPR_NAME, .type = n->type, .name = n});
}

const Expr *expr_bin(Arena *a, BinOp op, const Expr *x, const Expr *y)
{
    return expr_new(a, (Expr){.kind = EXPR_BIN, .type = x->type, .op = (int)op, .arg = {x, y}});
}

const Expr *expr_un(Arena *a, UnOp op, const Expr *x)
{
    return expr_new(a, (Expr){.kind = EXPR_UN, .type = x->type, .op = (int)op, .arg = {x}});
}

const Expr *expr_pow_neg_quarters(Arena *a, const Expr *x, int k)
{
    return expr_new(a, (Expr){.kind = EXPR_UN, .type = x->type, .op = UN_POW_NEG_QUARTERS,
                              .ipar = k, .arg = {x}});
}

const Expr *expr_fma(Arena *a, const Expr *x, const Expr *y, const Expr *z)
{
    return expr_new(a, (Expr){.kind = EXPR_FMA, .type = x->type, .arg = {x, y, z}});
}

const Expr *expr_cast(Arena *a, ScalarType t, const Expr *x)
{
    return expr_new(a, (Expr){.kind = EXPR_CAST, .type = {t, x->type.lanes}, .arg = {x}});
}

const Expr *expr_select(Arena *a, CmpOp op, const Expr *l, const Expr *r, const Expr *x,
                        const Expr *y)
{
    return expr_new(a, (Expr){.kind = EXPR_SELECT, .type = x->type, .op = (int)op,
                              .arg = {l, r, x, y}});
}

const Expr *expr_bcast(Arena *a, const Expr *x, int lanes)
{
    return expr_new(a, (Expr){.kind = EXPR_BCAST, .type = {x->type.scalar, lanes}, .arg = {x}});
}

const Expr *expr_hreduce(Arena *a, BinOp op, const Expr *x)
{
    return expr_new(a, (Expr){.kind = EXPR_HSUM, .type = {x->type.scalar, 1}, .op = (int)op,
                              .arg = {x}});
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
    return isnan(x) ? isnan(y) : x == y && signbit(x) == signbit(y);
}

bool expr_equal(const Expr *x, const Expr *y)
{
    if (x == y)
        return true;
    if (x->kind != y->kind || x->op != y->op || x->ipar != y->ipar || x->name != y->name
        || !type_equal(x->type, y->type) || x->buffer != y->buffer || x->n_index != y->n_index
        || !value_equal(x->value, y->value) || !indices_equal(x->index, y->index, x->n_index))
        return false;
    for (int i = 0; i < expr_args(x); i++)
        if (!expr_equal(x->arg[i], y->arg[i]))
            return false;
    return true;
}

/* ---- statements -------------------------------------------------------------------------- */

void body_add(Body *b, Stmt *s)
{
    body_append(b, (Body){s, s});
    s->next = NULL;
}

void body_append(Body *b, Body more)
{
    if (more.first == NULL)
        return;
    if (b->first == NULL)
        b->first = more.first;
    else
        b->last->next = more.first;
    b->last = more.last;
}

/* Returns whether the if can run at all. */
static bool settle_conds(Stmt *s, bool *changed)
{
    int kept = 0, n = s->n_cond;

    for (int i = 0; i < n; i++) {
        int64_t min, max;
        index_range(s->cond[i].index, &min, &max);
        if (max < 0 || min >= s->cond[i].extent)
            return false;
        if (min < 0 || max >= s->cond[i].extent)
            s->cond[kept++] = s->cond[i];
    }
    s->n_cond = kept;
    *changed |= kept < n;
    return true;
}

static bool settle_if(void *user, Stmt *s, Body *out)
{
    bool changed = false;

    (void)user;
    if (s->kind == STMT_IF && !settle_conds(s, &changed))
        return true;
    if (s->kind == STMT_IF && s->n_cond == 0)
        body_append(out, s->body);
    else
        body_add(out, s);
    return changed;
}

bool body_settle_ifs(Body *b)
{
    return body_rewrite(b, settle_if, NULL);
}

static Stmt *stmt_new(Arena *a, Stmt s)
{
    Stmt *made = NEW(a, Stmt);

    *made = s;
    return made;
}

Stmt *stmt_for(Arena *a, const Var *v, LoopKind kind)
{
    return stmt_new(a, (Stmt){.kind = STMT_FOR, .var = v, .loop = kind});
}

Stmt *stmt_if(Arena *a, const Cond *c, int n)
{
    Stmt *s = stmt_new(a, (Stmt){.kind = STMT_IF, .n_cond = n});

    for (int i = 0; i < n && i < MAX_COND; i++)
        s->cond[i] = c[i];
    return s;
}

Stmt *stmt_let(Arena *a, const Name *n, const Expr *e)
{
    return stmt_new(a, (Stmt){.kind = STMT_LET, .name = n, .expr = e});
}

Stmt *stmt_var(Arena *a, const Name *n, const Expr *e)
{
    return stmt_new(a, (Stmt){.kind = STMT_VAR, .name = n, .expr = e});
}

Stmt *stmt_set(Arena *a, const Name *n, const Expr *e)
{
    return stmt_new(a, (Stmt){.kind = STMT_SET, .name = n, .expr = e});
}

Stmt *stmt_store(Arena *a, Buffer *b, const Index *index, int n, const Expr *e)
{
    return stmt_new(a, (Stmt){.kind = STMT_STORE, .buffer = b, .index = index_copy(a, index, n),
                              .n_index = n, .expr = e});
}

Stmt *stmt_local(Arena *a, Buffer *b)
{
    return stmt_new(a, (Stmt){.kind = STMT_LOCAL, .buffer = b});
}

Stmt *stmt_note(Arena *a, const char *text)
{
    return stmt_new(a, (Stmt){.kind = STMT_NOTE, .text = arena_strdup(a, text)});
}

Stmt *stmt_list(Arena *a, const char *name, const Var *v, const Expr *e)
{
    Buffer *b = NEW(a, Buffer);

    *b = (Buffer){.name = name, .kind = BUF_LIST, .type = TYPE_I32, .lanes = 1, .rank = 1};
    b->dim[0].extent = 1 + v->extent + LIST_GROUP;
    return stmt_new(a, (Stmt){.kind = STMT_LIST, .buffer = b, .var = v, .expr = e});
}

const Expr *list_load(Arena *a, Buffer *list, Index at)
{
    return expr_load(a, list, &at, 1, 1);
}

Stmt *stmt_pick(Arena *a, const Var *v, const Expr *e)
{
    return stmt_new(a, (Stmt){.kind = STMT_PICK, .var = v, .expr = e});
}

Stmt *stmt_prefetch(Arena *a, Buffer *b, const Index *index, int n)
{
    return stmt_new(a, (Stmt){.kind = STMT_PREFETCH, .buffer = b,
                              .index = index_copy(a, index, n), .n_index = n});
}
