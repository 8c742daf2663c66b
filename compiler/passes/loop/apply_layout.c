/* apply-layout: logical indices become physical ones, through each buffer's storage map.
 *
 *   w: f32[32, 8] as [d0/16, d1, d0%16]:   w[oc.o * 16 + oc.i, ic]   =>   w[oc.o, ic, oc.i]
 *
 * Every division and remainder must vanish against the loops. Where a loop runs across blocks, it
 * is split where a block begins first, which changes no order.
 *
 * needs:  logical accesses.
 * keeps:  every bit and every access.
 * breaks: logical indices: the kernel is physical from here on.
 */
#include "passes/passes.h"

typedef struct Layout {
    Arena *arena;
    const Var *split;              /* a loop that must be split at a block first */
    int64_t block;                 /* elements of that block */
    int64_t lead, piece;           /* turns up to the first block, turns in a block; 0: no way */
} Layout;

/* The loop to split so that `x` divides by `block`: one that counts elements within a block and
 * runs past it. If no other one does, a block may also begin after its first turn. */
static bool find_split(Layout *l, Index x, int64_t block)
{
    const Term *only = NULL;
    int within = 0;
    l->block = block;
    l->lead = l->piece = 0;
    for (int i = 0; i < x.n; i++) {
        const Term *t = &x.term[i];
        if (t->coef % block == 0)
            continue;
        only = t;
        within++;
        bool longer = t->coef > 0 && block % t->coef == 0 && t->coef * t->var->extent > block;
        if (!l->split || (longer && !l->piece))
            l->split = t->var;
        if (longer && !l->piece)
            l->piece = block / t->coef;
    }
    if (within == 1 && only->coef > 0 && block % only->coef == 0) {
        l->piece = block / only->coef;
        l->lead = (floor_mod(-x.c, block) + only->coef - 1) / only->coef;
    }
    return false;
}

static bool physical_index(Layout *l, const Buffer *b, const Index *index, Index *out)
{
    for (int i = 0; i < b->n_storage; i++) {
        const StorageDim *s = &b->storage[i];
        Index x = index_offset(index[s->dim], s->add), q = x, r;
        if (s->div > 1 && !index_divmod(l->arena, x, s->div, &q, &r))
            return find_split(l, x, s->div);
        out[i] = q;
        if (s->mod && !index_divmod(l->arena, q, s->mod, &r, &out[i]))
            return find_split(l, q, s->mod);
    }
    for (int d = 0; d < b->rank && !b->n_storage; d++)
        out[d] = index_offset(index[d], b->dim[d].lo);
    return true;
}

static const Expr *map_load(void *user, const Expr *e)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (e->kind != EXPR_LOAD || e->buffer->kind == BUF_LOCAL ||
        !physical_index(l, e->buffer, e->index, out))
        return NULL;
    return expr_load(l->arena, e->buffer, out, buffer_indices(e->buffer, true), e->type.lanes);
}

static void map_store(void *user, Stmt *s)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if ((s->kind == STMT_STORE || s->kind == STMT_PREFETCH) && s->buffer->kind != BUF_LOCAL &&
        physical_index(l, s->buffer, s->index, out)) {
        int n = buffer_indices(s->buffer, true);
        Index *index = NEW_ARRAY(l->arena, Index, n);
        for (int i = 0; i < n; i++)
            index[i] = out[i];
        s->index = index;
        s->n_index = n;
    }
}

static void check_access(void *user, const Access *x)
{
    Layout *l = user;
    Index out[MAX_DIMS];
    if (x->buffer->kind != BUF_LOCAL && !l->split)
        physical_index(l, x->buffer, x->index, out);
}

static void check_stmt(void *user, Stmt *s)
{
    stmt_visit_accesses(s, check_access, user);
}

/* A loop over turns first .. first + n of another one. */
static Stmt *part_of(Arena *a, Stmt *loop, const char *suffix, int64_t first, int64_t n)
{
    const Var *v = var_new(a, arena_printf(a, "%s.%s", loop->var->name, suffix), n);
    Stmt *part = stmt_for(a, v, loop->loop);
    part->body = body_copy(a, loop->body, loop->var, index_make(a, first, 1, v, 1));
    return part;
}

/* for v < E  =>  for v.h < lead {}  for v.o < whole { for v.i < piece {} }  for v.t < rest {} */
static Body split_loop(Arena *a, Stmt *loop, int64_t lead, int64_t piece)
{
    Body out = {0};
    int64_t left = loop->var->extent - lead, whole = left / piece, rest = left % piece;
    if (lead > 0)
        body_add(&out, part_of(a, loop, "h", 0, lead));
    if (whole > 0) {
        const Var *o = var_new(a, arena_printf(a, "%s.o", loop->var->name), whole);
        const Var *i = var_new(a, arena_printf(a, "%s.i", loop->var->name), piece);
        Stmt *outer = stmt_for(a, o, loop->loop), *inner = stmt_for(a, i, loop->loop);
        inner->body = body_copy(a, loop->body, loop->var,
                                index_make(a, lead, 2, o, (int)piece, i, 1));
        body_add(&outer->body, inner);
        body_add(&out, outer);
    }
    if (rest > 0)
        body_add(&out, part_of(a, loop, "t", lead + whole * piece, rest));
    return out;
}

static bool split_in(void *user, Stmt *s, Body *out)
{
    const Layout *l = user;
    bool found = s->kind == STMT_FOR && s->var == l->split;
    if (found)
        body_append(out, split_loop(l->arena, s, l->lead, l->piece));
    else
        body_add(out, s);
    return found;
}

PassResult apply_layout(PassCx *pc, Kernel *k)
{
    if (k->physical)
        return PASS_UNCHANGED;
    Layout l = {.arena = pc->arena};
    bool again = true;
    while (again) {                            /* each split makes shorter loops: this ends */
        l.split = NULL;
        body_visit(k->body, check_stmt, &l);
        again = l.split && l.piece > 0 && l.lead < l.split->extent &&
                (l.lead > 0 || l.piece < l.split->extent) && body_rewrite(&k->body, split_in, &l);
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
