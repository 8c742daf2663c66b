/* loop-simplify: loops of one iteration, empty bodies and unused names vanish.
 *
 *   for n < 1 { for c < 8 { let t = x[n, c]; y[n, c] = 0x0p+0; } }
 *   =>  for c < 8 { y[0, c] = 0x0p+0; }
 *
 * needs:  nothing.
 * keeps:  every bit and every store.
 * breaks: nothing.
 */
#include "passes/passes.h"

typedef struct Uses {
    const Name *name;
    int n;
} Uses;

static void count_use(void *user, const Expr *e)
{
    Uses *u = user;
    u->n += e->kind == EXPR_NAME && e->name == u->name;
}

static void count_stmt(void *user, Stmt *s)
{
    Uses *u = user;
    stmt_visit_exprs(s, count_use, u);
    u->n += s->kind == STMT_SET && s->name == u->name;
}

static bool unused(const Stmt *s)
{
    if (s->kind != STMT_LET && s->kind != STMT_VAR)
        return false;
    Uses u = {s->name, 0};
    Body after = {s->next, NULL};
    body_visit(after, count_stmt, &u);
    return u.n == 0;
}

static bool simplify(Arena *a, Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        changed |= simplify(a, &s->body);
        bool nest = s->kind == STMT_FOR || s->kind == STMT_IF;
        if (unused(s) || (nest && !s->body.first)) {
            changed = true;
            continue;
        }
        s->next = NULL;
        if (s->kind == STMT_FOR && s->var->extent == 1) {
            body_append(&out, body_copy(a, s->body, s->var, index_const(0)));
            changed = true;
        } else {
            body_add(&out, s);
        }
    }
    *b = out;
    return changed;
}

PassResult loop_simplify(PassCx *pc, Kernel *k)
{
    bool changed = false;
    while (simplify(pc->arena, &k->body))      /* what vanished may have been another's only use */
        changed = true;
    if (!changed)
        return PASS_UNCHANGED;
    kernel_unique_names(k);
    return PASS_CHANGED;
}
