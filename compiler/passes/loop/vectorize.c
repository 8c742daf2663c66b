/* vectorize: marked loops become lanes.
 *
 *   vector i < 16 { acc[p, i] = fma(x[c], w[c, i], acc[p, i]); }
 *   =>  acc[p] = fma(bcast(x[c], 16), w[c, 0 +: 16], acc[p]);       acc: f32x16
 *
 * A marked loop whose extent is not the row's vector width is unrolled instead.
 *
 * needs:  physical accesses; in a vector loop every access contiguous in it or free of it, and no
 *         turn that reads or stores what another one stores.
 * keeps:  every bit: lanes never meet.
 * breaks: vector marks; local arrays indexed by lanes only lose that dimension and get lanes.
 */
#include "passes/passes.h"
#include "sched/sched.h"

#define MAX_NAMES 8

typedef struct Vector {
    Arena *arena;
    const Var *var;
    int lanes;
    const Name *from[MAX_NAMES], *to[MAX_NAMES];   /* lets in the loop, and their vector forms */
    int n_names;
    const Buffer *local;             /* being looked at: do only lanes access it? */
    bool lanes_only, accessed;
    const Stmt *store;               /* being looked at: does another turn access its element? */
    const char *problem;
} Vector;

static const Expr *widen(Vector *v, const Expr *e)
{
    return e->type.lanes == v->lanes ? e : expr_bcast(v->arena, e, v->lanes);
}

/* Is `var` in the index, and if so contiguous: coefficient 1 in the last dimension only? */
static bool in_index(Vector *v, const Index *index, int n)
{
    bool used = false;
    for (int d = 0; d < n; d++) {
        int64_t k = index_coef(index[d], v->var);
        if (k && (d != n - 1 || k != 1))
            v->problem = "an access is neither contiguous nor the same in all lanes";
        used |= k != 0;
    }
    return used;
}

static const Index *without_lane(Vector *v, const Buffer *b, const Index *index, int *n)
{
    Index *out = NEW_ARRAY(v->arena, Index, *n);
    for (int d = 0; d < *n; d++)
        out[d] = index_subst(v->arena, index[d], v->var, index_const(0));
    if (b->kind == BUF_LOCAL && *n > b->rank)
        (*n)--;
    return out;
}

static const Expr *vector_load(Vector *v, const Expr *e)
{
    if (!in_index(v, e->index, e->n_index))
        return NULL;
    int n = e->n_index;
    const Index *index = without_lane(v, e->buffer, e->index, &n);
    return expr_load(v->arena, e->buffer, index, n, v->lanes);
}

static const Expr *vector_expr(void *user, const Expr *e)
{
    Vector *v = user;
    bool wide = false;
    if (e->kind == EXPR_LOAD)
        return vector_load(v, e);
    for (int i = 0; i < v->n_names; i++)
        if (v->from[i] == e->name)
            return expr_name(v->arena, v->to[i]);
    for (int i = 0; i < expr_args(e); i++)
        wide |= e->arg[i]->type.lanes > 1;
    if (!wide || e->kind == EXPR_HSUM)
        return NULL;
    Expr *made = NEW(v->arena, Expr);
    *made = *e;
    made->type.lanes = v->lanes;
    for (int i = 0; i < expr_args(e); i++)
        made->arg[i] = widen(v, e->arg[i]);
    return made;
}

static void vector_let(Vector *v, Stmt *s)
{
    if (s->expr->type.lanes == 1)
        return;
    if (v->n_names == MAX_NAMES) {
        v->problem = "too many names in a vector loop";
        return;
    }
    v->from[v->n_names] = s->name;
    s->name = name_new(v->arena, s->name->name, s->expr->type, false);
    v->to[v->n_names++] = s->name;
}

static void vector_stmt(Vector *v, Stmt *s)
{
    if (s->kind != STMT_STORE && s->kind != STMT_LET) {
        v->problem = "only assignments may stand in a vector loop";
        return;
    }
    s->expr = expr_map(v->arena, s->expr, vector_expr, v);
    if (s->kind == STMT_LET) {
        vector_let(v, s);
    } else if (in_index(v, s->index, s->n_index)) {
        s->index = without_lane(v, s->buffer, s->index, &s->n_index);
        s->expr = widen(v, s->expr);
    } else {
        v->problem = "all lanes store to one element";
    }
}

static bool is_vector_loop(const Vector *v, const Stmt *s)
{
    return s->kind == STMT_FOR && s->loop == LOOP_VECTOR && s->var->extent == v->lanes;
}

/* ---- locals whose last dimension only lanes access become arrays of vectors ------------------ */
static void check_access(void *user, const Access *x)
{
    Vector *v = user;
    if (x->buffer != v->local)
        return;
    const Index *last = &x->index[x->n - 1];
    v->accessed = true;
    v->lanes_only &= v->var && last->n == 1 && index_coef(*last, v->var) == 1;
}

static void check_accesses(Vector *v, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        stmt_visit_accesses(s, check_access, v);
        const Var *outer = v->var;
        if (is_vector_loop(v, s))
            v->var = s->var;
        check_accesses(v, s->body);
        v->var = outer;
    }
}

static void claim_locals(Vector *v, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        claim_locals(v, s->body);
        Buffer *l = s->buffer;
        if (s->kind != STMT_LOCAL || l->lanes > 1 || l->rank == 0)
            continue;
        const Dim *last = &l->dim[l->rank - 1];
        if (last->lo || last->hi || last->extent != v->lanes)
            continue;
        v->local = l;
        v->lanes_only = true;
        v->accessed = false;
        check_accesses(v, (Body){s->next, b.last});
        if (!v->lanes_only || !v->accessed)
            continue;
        l->lanes = v->lanes;
        if (l->rank == 1)
            l->dim[0].extent = 1;
        else
            l->rank--;
    }
}

/* ---- loops ----------------------------------------------------------------------------------- */
static void check_turn(void *user, const Access *x)
{
    Vector *v = user;
    int last = x->n - 1;
    if (x->buffer == v->store->buffer && !index_equal(x->index[last], v->store->index[last]))
        v->problem = "one turn needs what another one stores";
}

/* Elements that are stored must be accessed by their own lane only. */
static void check_turns(Vector *v, Body b)
{
    for (const Stmt *s = b.first; s; s = s->next) {
        v->store = s;
        for (const Stmt *t = b.first; t && s->kind == STMT_STORE && !v->problem; t = t->next)
            stmt_visit_accesses(t, check_turn, v);
    }
}

/* A test that is the same in all lanes moves out of their loop. */
static void move_tests_out(const Vector *v, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        Stmt *test = s->body.first;
        bool movable = is_vector_loop(v, s) && test && test->kind == STMT_IF && !test->next;
        for (int i = 0; movable && i < test->n_cond; i++)
            movable = index_coef(test->cond[i].index, s->var) == 0;
        if (movable) {
            Stmt loop = *s, *next = s->next;
            *s = *test;
            s->next = next;
            *test = loop;
            test->next = NULL;
            test->body = s->body;
            s->body = (Body){test, test};
        }
        move_tests_out(v, s->body);
    }
}

static bool vector_body(Vector *v, Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s && !v->problem; s = next) {
        next = s->next;
        s->next = NULL;
        if (is_vector_loop(v, s)) {
            v->var = s->var;
            v->n_names = 0;
            check_turns(v, s->body);
            for (Stmt *t = s->body.first; t && !v->problem; t = t->next)
                vector_stmt(v, t);
            body_append(&out, s->body);
            changed = true;
            continue;
        }
        if (s->kind == STMT_FOR && s->loop == LOOP_VECTOR) {
            s->loop = LOOP_UNROLL;
            changed = true;
        }
        changed |= vector_body(v, &s->body);
        body_add(&out, s);
    }
    *b = out;
    return changed;
}

PassResult vectorize(PassCx *pc, Kernel *k)
{
    Vector v = {.arena = pc->arena, .lanes = pc->row->lanes};
    move_tests_out(&v, k->body);
    if (v.lanes > 1)
        claim_locals(&v, k->body);
    bool changed = vector_body(&v, &k->body);
    if (v.problem) {
        diag_error(pc->cx->diags, schedule_place(pc->schedules, k->schedule, 0), "E0955",
                   "kernel '%s', vector loop '%s': %s", k->name, v.var->name, v.problem);
        diag_help(pc->cx->diags, "mark another loop 'vector', or pack the buffer so that this one "
                  "is its last dimension");
        return PASS_FAILED;
    }
    return changed ? PASS_CHANGED : PASS_UNCHANGED;
}
