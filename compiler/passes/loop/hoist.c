/* hoist: what a loop does not change leaves it.
 *
 *   for y < 13 { let t0 = bcast(b[0], 16); out[y, 0 +: 16] = t0; }
 *   =>  let t0 = bcast(b[0], 16);  for y < 13 { out[y, 0 +: 16] = t0; }
 *
 * needs:  nothing; works on lets, which loop-cse makes.
 * keeps:  every bit: only lets that read neither the loop's variable, nor a name assigned in the
 *         loop, nor a buffer stored in it.
 * breaks: nothing. Conditions are not crossed, since what they guard may be out of bounds, nor
 *         parallel loops, whose iterations run elsewhere and compute their own.
 */
#include "passes/passes.h"

typedef struct Hoist {
    Map *written;             /* what the loop counts, declares, assigns or stores, by name */
    bool blocked;
} Hoist;

static void collect(void *user, Stmt *s)
{
    Hoist *h = user;
    if (s->var)
        map_put(h->written, s->var->name, h);
    if (s->kind == STMT_STORE || s->kind == STMT_LOCAL || s->kind == STMT_LIST)
        map_put(h->written, s->buffer->name, h);
    if (s->kind == STMT_SET || s->kind == STMT_LET || s->kind == STMT_VAR)
        map_put(h->written, s->name->name, h);
}

static void check_expr(void *user, const Expr *e)
{
    Hoist *h = user;
    if (e->kind == EXPR_LOAD)
        h->blocked |= map_get(h->written, e->buffer->name) != NULL;
    if (e->kind == EXPR_NAME)
        h->blocked |= map_get(h->written, e->name->name) != NULL;
    for (int i = 0; i < e->n_index; i++)
        for (int t = 0; t < e->index[i].n; t++)
            h->blocked |= map_get(h->written, e->index[i].term[t].var->name) != NULL;
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

/* Moves what may leave the loop `s` into out; true if anything did. */
static bool hoist_loop(Arena *temp, Stmt *s, Body *out)
{
    bool changed = false;
    Body kept = {0};
    Hoist h = {map_new(temp), false};
    map_put(h.written, s->var->name, &h);
    body_visit(s->body, collect, &h);
    for (Stmt *t = s->body.first, *next; t; t = next) {
        next = t->next;
        if (t->kind != STMT_LET || !invariant(&h, t)) {
            body_add(&kept, t);
            continue;
        }
        body_add(out, t);
        map_put(h.written, t->name->name, NULL);   /* what needs it may follow */
        changed = true;
    }
    s->body = kept;
    return changed;
}

static bool hoist_stmt(void *temp, Stmt *s, Body *out)
{
    bool changed = s->kind == STMT_FOR && s->loop != LOOP_PARALLEL && hoist_loop(temp, s, out);
    body_add(out, s);
    return changed;
}

PassResult hoist(PassCx *pc, Kernel *k)
{
    return pass_renamed(k, body_rewrite(&k->body, hoist_stmt, pc->cx->temp));
}
