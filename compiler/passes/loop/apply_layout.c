/* apply-layout: logical indices become physical ones, through each buffer's storage map.
 *
 *   w: f32[32, 8] as [d0/16, d1, d0%16]:   w[oc.o * 16 + oc.i, ic]   =>   w[oc.o, ic, oc.i]
 *
 * Every division and remainder must vanish against the loops. Where a loop runs across blocks, it
 * is split at the block first, which changes no order.
 *
 * needs:  logical accesses.
 * keeps:  every bit and every access.
 * breaks: logical indices: the kernel is physical from here on.
 */
#include "passes/passes.h"

typedef struct Layout {
    Arena *arena;
    Cx *cx;
    const Kernel *kernel;
    const Var *split;              /* a loop that must be split at a block first */
    int64_t block;
    bool failed;
} Layout;

/* The loop that keeps `x` from dividing by `block`: the one variable that counts single blocks'
 * elements and runs past one. */
static const Var *crossing_var(Index x, int64_t block)
{
    for (int i = 0; i < x.n; i++)
        if (block % x.term[i].coef == 0 && x.term[i].coef < block &&
            x.term[i].coef * x.term[i].var->extent > block)
            return x.term[i].var;
    for (int i = 0; i < x.n; i++)              /* an offset moves a short loop across a block */
        if (x.term[i].coef % block != 0)
            return x.term[i].var;
    return NULL;
}

static bool physical_index(Layout *l, const Buffer *b, const Index *index, Index *out)
{
    for (int i = 0; i < b->n_storage; i++) {
        const StorageDim *s = &b->storage[i];
        Index x = index_offset(index[s->dim], s->add), q = x, r;
        if (s->div > 1 && !index_divmod(l->arena, x, s->div, &q, &r)) {
            l->split = crossing_var(x, s->div);
            l->block = s->div;
            return false;
        }
        out[i] = q;
        if (s->mod && !index_divmod(l->arena, q, s->mod, &r, &out[i])) {
            l->split = crossing_var(q, s->mod);
            l->block = s->mod;
            return false;
        }
    }
    for (int d = 0; d < b->rank && !b->n_storage; d++)
        out[d] = index_offset(index[d], b->dim[d].lo);
    return true;
}

static const Expr *map_load(void *user, const Expr *e)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (e->kind != EXPR_LOAD || e->buffer->kind == BUF_LOCAL || l->split || l->failed ||
        !physical_index(l, e->buffer, e->index, out))
        return NULL;
    return expr_load(l->arena, e->buffer, out, buffer_indices(e->buffer, true), e->type.lanes);
}

static void map_store(void *user, Stmt *s)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (s->kind == STMT_STORE && s->buffer->kind != BUF_LOCAL && !l->split &&
        physical_index(l, s->buffer, s->index, out)) {
        int n = buffer_indices(s->buffer, true);
        Index *index = NEW_ARRAY(l->arena, Index, n);
        for (int i = 0; i < n; i++)
            index[i] = out[i];
        s->index = index;
        s->n_index = n;
    }
}

static void check_load(void *user, const Expr *e)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (e->kind == EXPR_LOAD && e->buffer->kind != BUF_LOCAL && !l->split)
        physical_index(l, e->buffer, e->index, out);
}

static void check_stmt(void *user, Stmt *s)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (s->kind == STMT_STORE && s->buffer->kind != BUF_LOCAL && !l->split)
        physical_index(l, s->buffer, s->index, out);
    stmt_visit_exprs(s, check_load, l);
}

/* for v < E  =>  for v.o < E / block { for v.i < block { .. } }  for v.t < E % block { .. } */
static Body split_loop(Arena *a, Stmt *loop, int64_t block)
{
    Body out = {0};
    int64_t whole = loop->var->extent / block, rest = loop->var->extent % block;
    if (whole > 0) {
        Var *o = NEW(a, Var), *i = NEW(a, Var);
        *o = (Var){arena_printf(a, "%s.o", loop->var->name), whole};
        *i = (Var){arena_printf(a, "%s.i", loop->var->name), block};
        Stmt *outer = stmt_for(a, o, loop->loop), *inner = stmt_for(a, i, loop->loop);
        inner->body = body_copy(a, loop->body, loop->var,
                                index_make(a, 0, 2, o, (int)block, i, 1));
        body_add(&outer->body, inner);
        body_add(&out, outer);
    }
    if (rest > 0) {
        Var *t = NEW(a, Var);
        *t = (Var){arena_printf(a, "%s.t", loop->var->name), rest};
        Stmt *tail = stmt_for(a, t, loop->loop);
        tail->body = body_copy(a, loop->body, loop->var, index_make(a, whole * block, 1, t, 1));
        body_add(&out, tail);
    }
    return out;
}

static bool split_in(Arena *a, Body *b, const Var *v, int64_t block)
{
    Body out = {0};
    bool found = false;
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->kind == STMT_FOR && s->var == v) {
            found = true;
            body_append(&out, split_loop(a, s, block));
        } else {
            found |= split_in(a, &s->body, v, block);
            body_add(&out, s);
        }
    }
    *b = out;
    return found;
}

PassResult apply_layout(PassCx *pc, Kernel *k)
{
    if (k->physical)
        return PASS_UNCHANGED;
    Layout l = {pc->arena, pc->cx, k, NULL, 0, false};
    for (int tries = 0; tries < 64; tries++) {
        l.split = NULL;
        body_visit(k->body, check_stmt, &l);
        if (!l.split || l.split->extent <= l.block / 2 ||
            !split_in(pc->arena, &k->body, l.split, l.block))
            break;
    }
    if (l.split) {
        diag_error(pc->cx->diags, NO_PLACE, "E0954",
                   "kernel '%s': loop '%s' does not fall on blocks of %lld of a buffer's layout",
                   k->name, l.split->name, (long long)l.block);
        diag_help(pc->cx->diags, "choose a plain layout for this tensor or split '%s' at the block",
                  l.split->name);
        return PASS_FAILED;
    }
    body_map_exprs(pc->arena, &k->body, map_load, &l);
    body_visit(k->body, map_store, &l);
    k->physical = true;
    return PASS_CHANGED;
}
