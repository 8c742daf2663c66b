/* loop-simplify: loops of one iteration, decided conditions, empty bodies and unused names vanish.
 *
 *   for n < 1 { for c < 8 { let t = x[n, c]; y[n, c] = 0x0p+0; } }
 *   =>  for c < 8 { y[0, c] = 0x0p+0; }
 *
 * needs:  nothing.
 * keeps:  every bit and every store.
 * breaks: nothing.
 */
#include "passes/passes.h"

static void note_name(void *user, const Expr *e)
{
    if (e->kind == EXPR_NAME)
        map_put(user, e->name->name, user);
}

static void note_uses(void *user, Stmt *s)
{
    stmt_visit_exprs(s, note_name, user);
    if (s->kind == STMT_SET)
        map_put(user, s->name->name, user);
}

static bool is_unused(const Map *used, const Stmt *s)
{
    return (s->kind == STMT_LET || s->kind == STMT_VAR) && !map_get(used, s->name->name);
}

typedef struct Simplify {
    Arena *arena;
    Map *used;                 /* names, by spelling: a namesake's use counts too */
} Simplify;

static bool simplify(void *user, Stmt *s, Body *out)
{
    const Simplify *x = user;
    bool nest = s->kind == STMT_FOR || s->kind == STMT_IF;
    if (is_unused(x->used, s) || (nest && !s->body.first))
        return true;
    if (s->kind == STMT_FOR && s->var->extent == 1 && !s->expr) {
        body_append(out, body_copy(x->arena, s->body, s->var, index_const(0)));
        return true;
    }
    body_add(out, s);
    return false;
}

PassResult loop_simplify(PassCx *pc, Kernel *k)
{
    bool changed = false, again = true;
    while (again) {                            /* what vanishes may be another's only use */
        Simplify x = {pc->arena, map_new(pc->cx->temp)};
        body_visit(k->body, note_uses, x.used);
        again = body_rewrite(&k->body, simplify, &x) || body_settle_ifs(&k->body);
        changed |= again;
    }
    return pass_renamed(k, changed);
}
