/* hoist: what a loop does not change leaves it.
 *
 *   for y < 13 { let t0 = bcast(b[0], 16); out[y, 0 +: 16] = t0; }
 *   =>  let t0 = bcast(b[0], 16);  for y < 13 { out[y, 0 +: 16] = t0; }
 *
 * needs:  nothing; works on lets, which loop-cse makes.
 * keeps:  every bit: only lets that read neither the loop's variable, nor a name assigned in the
 *         loop, nor a buffer stored in it.
 * breaks: nothing. Conditions are not crossed, since what they guard may be out of bounds.
 */
#include "passes/passes.h"

typedef struct Hoist {
    const Var *var;
    const Buffer *stored[64];
    const Name *assigned[160];
    int n_stored, n_assigned;
    bool blocked;
} Hoist;

static void collect(void *user, Stmt *s)
{
    Hoist *h = user;
    if (s->kind == STMT_STORE) {
        if (h->n_stored < 64)
            h->stored[h->n_stored++] = s->buffer;
        else
            h->blocked = true;
    }
    if (s->kind == STMT_SET || s->kind == STMT_LET || s->kind == STMT_VAR) {
        if (h->n_assigned < 160)
            h->assigned[h->n_assigned++] = s->name;
        else
            h->blocked = true;
    }
}

static void check_expr(void *user, const Expr *e)
{
    Hoist *h = user;
    for (int i = 0; e->kind == EXPR_LOAD && i < h->n_stored; i++)
        h->blocked |= h->stored[i] == e->buffer;
    for (int i = 0; e->kind == EXPR_LOAD && i < e->n_index; i++)
        h->blocked |= index_coef(e->index[i], h->var) != 0;
    for (int i = 0; e->kind == EXPR_NAME && i < h->n_assigned; i++)
        h->blocked |= h->assigned[i] == e->name;
}

/* A let that has left is no longer assigned in the loop: what needs it may follow. */
static void forget(Hoist *h, const Name *name)
{
    for (int i = 0; i < h->n_assigned; i++)
        if (h->assigned[i] == name)
            h->assigned[i] = NULL;
}

/* May the let leave the loop whose writes are in h? */
static bool invariant(Hoist *h, const Stmt *let)
{
    bool before = h->blocked;
    stmt_visit_exprs(let, check_expr, h);
    bool free = !h->blocked;
    h->blocked = before;
    return free;
}

static bool hoist_body(Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        changed |= hoist_body(&s->body);
        Body kept = {0};
        Hoist h = {.var = s->var, .blocked = s->kind != STMT_FOR};
        body_visit(s->body, collect, &h);
        for (Stmt *t = s->body.first, *after; t; t = after) {
            after = t->next;
            bool leaves = t->kind == STMT_LET && invariant(&h, t);
            t->next = NULL;
            body_add(leaves ? &out : &kept, t);
            if (leaves)
                forget(&h, t->name);
            changed |= leaves;
        }
        s->body = kept;
        body_add(&out, s);
    }
    *b = out;
    return changed;
}

PassResult hoist(PassCx *pc, Kernel *k)
{
    (void)pc;
    if (!hoist_body(&k->body))
        return PASS_UNCHANGED;
    kernel_unique_names(k);
    return PASS_CHANGED;
}
