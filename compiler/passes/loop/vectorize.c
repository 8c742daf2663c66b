/* vectorize: marked loops become lanes.
 *
 *   vector i < 16 { acc[p, i] = fma(x[c], w[c, i], acc[p, i]); }
 *   =>  acc[p] = fma(bcast(x[c], 16), w[c, 0 +: 16], acc[p]);       acc: f32x16
 *
 * A marked loop whose extent is not the row's vector width is unrolled instead.
 *
 * needs:  physical accesses; in a vector loop every access contiguous in it or free of it.
 * keeps:  every bit: lanes never meet.
 * breaks: vector marks; local arrays indexed by a lane lose that dimension and get lanes.
 */
#include "passes/passes.h"

typedef struct Vector {
    Arena *arena;
    const Var *var;
    int lanes;
    const Name *from[8], *to[8];     /* lets inside the loop and their vector forms */
    int n_names;
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

static const Expr *vector_expr(void *user, const Expr *e)
{
    Vector *v = user;
    const Expr *a = e->arg[0], *b = e->arg[1];
    bool wide = false;
    for (int i = 0; i < expr_args(e); i++)
        wide |= e->arg[i]->type.lanes > 1;
    switch (e->kind) {
    case EXPR_LOAD: {
        if (!in_index(v, e->index, e->n_index))
            return NULL;
        int n = e->n_index;
        const Index *index = without_lane(v, e->buffer, e->index, &n);
        return expr_load(v->arena, e->buffer, index, n, v->lanes);
    }
    case EXPR_NAME:
        for (int i = 0; i < v->n_names; i++)
            if (v->from[i] == e->name)
                return expr_name(v->arena, v->to[i]);
        return NULL;
    case EXPR_BIN:
        return wide ? expr_bin(v->arena, (BinOp)e->op, widen(v, a), widen(v, b)) : NULL;
    case EXPR_UN:
        if (!wide)
            return NULL;
        if (e->op == UN_POW_NEG_QUARTERS)
            return expr_pow_neg_quarters(v->arena, a, e->ipar);
        return expr_un(v->arena, (UnOp)e->op, a);
    case EXPR_FMA:
        return wide ? expr_fma(v->arena, widen(v, a), widen(v, b), widen(v, e->arg[2])) : NULL;
    case EXPR_SELECT:
        return wide ? expr_select(v->arena, (CmpOp)e->op, widen(v, a), widen(v, b),
                                  widen(v, e->arg[2]), widen(v, e->arg[3]))
                    : NULL;
    case EXPR_CAST:
        return wide ? expr_cast(v->arena, e->type.scalar, a) : NULL;
    default:
        return NULL;
    }
}

/* Local arrays whose last dimension is the lane become arrays of vectors, once. */
static void claim_local(Vector *v, Buffer *b, const Index *index, int n)
{
    if (b->kind == BUF_LOCAL && b->lanes == 1 && n == b->rank && in_index(v, index, n) &&
        b->dim[n - 1].extent == v->lanes) {
        b->lanes = v->lanes;
        if (b->rank == 1)
            b->dim[0].extent = 1;
        else
            b->rank--;
    }
}

static void vector_stmt(Vector *v, Stmt *s)
{
    if (s->kind == STMT_STORE || s->kind == STMT_LET) {
        s->expr = expr_map(v->arena, s->expr, vector_expr, v);
    } else {
        v->problem = "only assignments may stand in a vector loop";
        return;
    }
    if (s->kind == STMT_LET) {
        if (s->expr->type.lanes == 1)
            return;
        Name *name = NEW(v->arena, Name);
        *name = (Name){s->name->name, s->expr->type, false};
        if (v->n_names == 8) {
            v->problem = "too many names in a vector loop";
            return;
        }
        v->from[v->n_names] = s->name;
        v->to[v->n_names++] = name;
        s->name = name;
        return;
    }
    if (!in_index(v, s->index, s->n_index)) {
        v->problem = "all lanes store to one element";
        return;
    }
    s->index = without_lane(v, s->buffer, s->index, &s->n_index);
    s->expr = widen(v, s->expr);
}

static void claim_loads(void *user, const Expr *e)
{
    if (e->kind == EXPR_LOAD)
        claim_local(user, e->buffer, e->index, e->n_index);
}

/* All accesses of the locals in the kernel's vector loops, before any is rewritten. */
static void claim_body(Vector *v, Body b)
{
    for (Stmt *s = b.first; s; s = s->next) {
        if (v->var && s->kind == STMT_STORE)
            claim_local(v, s->buffer, s->index, s->n_index);
        if (v->var)
            stmt_visit_exprs(s, claim_loads, v);
        const Var *outer = v->var;
        if (s->kind == STMT_FOR && s->loop == LOOP_VECTOR && s->var->extent == v->lanes)
            v->var = s->var;
        claim_body(v, s->body);
        v->var = outer;
    }
}

static bool vector_body(Vector *v, Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s && !v->problem; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->kind == STMT_FOR && s->loop == LOOP_VECTOR && s->var->extent == v->lanes) {
            v->var = s->var;
            v->n_names = 0;
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
    if (v.lanes > 1)
        claim_body(&v, k->body);
    v.problem = NULL;
    bool changed = vector_body(&v, &k->body);
    if (v.problem) {
        diag_error(pc->cx->diags, NO_PLACE, "E0955", "kernel '%s', vector loop '%s': %s", k->name,
                   v.var->name, v.problem);
        diag_help(pc->cx->diags, "mark another loop 'vector', or pack the buffer so that this one "
                  "is its last dimension");
        return PASS_FAILED;
    }
    return changed ? PASS_CHANGED : PASS_UNCHANGED;
}
