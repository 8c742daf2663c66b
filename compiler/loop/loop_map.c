/* loop_map: walking, rewriting and copying kernels.
 *
 * example: body_copy(a, body, i, index_const(3)) is the fourth turn of an unrolled loop i.
 *
 * contract: expressions are rebuilt, never changed; what no rewrite touches stays shared. A copy
 * has loop variables, names and locals of its own, so that both may stand in one kernel.
 */
#include "loop/loop.h"

const Expr *expr_map(Arena *a, const Expr *e, ExprMap f, void *user)
{
    const Expr *arg[4];
    int n = expr_args(e);
    bool changed = false;

    for (int i = 0; i < n; i++) {
        arg[i] = expr_map(a, e->arg[i], f, user);
        changed |= arg[i] != e->arg[i];
    }
    if (changed) {
        Expr *copy = NEW(a, Expr);
        *copy = *e;
        for (int i = 0; i < n; i++)
            copy->arg[i] = arg[i];
        e = copy;
    }
    const Expr *replacement = f(user, e);
    return replacement != NULL ? replacement : e;
}

bool body_rewrite(Body *b, StmtRewrite f, void *user)
{
    Body out = {NULL, NULL};
    bool changed = false;

    for (Stmt *s = b->first, *next; s != NULL; s = next) {
        next = s->next;
        changed |= body_rewrite(&s->body, f, user);
        changed |= f(user, s, &out);
    }
    *b = out;
    return changed;
}

void body_visit(Body b, StmtVisit f, void *user)
{
    for (Stmt *s = b.first; s != NULL; s = s->next) {
        f(user, s);
        body_visit(s->body, f, user);
    }
}

static void expr_visit(const Expr *e, ExprVisit f, void *user)
{
    for (int i = 0; i < expr_args(e); i++)
        expr_visit(e->arg[i], f, user);
    f(user, e);
}

void stmt_visit_exprs(const Stmt *s, ExprVisit f, void *user)
{
    if (s->expr != NULL)
        expr_visit(s->expr, f, user);
}

void body_map_exprs(Arena *a, Body *b, ExprMap f, void *user)
{
    for (Stmt *s = b->first; s != NULL; s = s->next) {
        if (s->expr != NULL)
            s->expr = expr_map(a, s->expr, f, user);
        body_map_exprs(a, &s->body, f, user);
    }
}

typedef struct AccessVisitor {
    AccessVisit f;
    void *user;
} AccessVisitor;

static void visit_load(void *user, const Expr *e)
{
    const AccessVisitor *v = user;

    if (e->kind == EXPR_LOAD)
        v->f(v->user, &(Access){e->buffer, e->index, e->n_index, e->type.lanes, false});
}

void stmt_visit_accesses(const Stmt *s, AccessVisit f, void *user)
{
    AccessVisitor v = {f, user};

    if (s->kind == STMT_STORE)
        f(user, &(Access){s->buffer, s->index, s->n_index, s->expr->type.lanes, true});
    if (s->kind == STMT_PREFETCH)
        f(user, &(Access){s->buffer, s->index, s->n_index, 1, false});
    stmt_visit_exprs(s, visit_load, &v);
}

static bool expr_loads(const Expr *e, const Buffer *b)
{
    bool loads = e->kind == EXPR_LOAD && e->buffer == b;

    for (int i = 0; !loads && i < expr_args(e); i++)
        loads = expr_loads(e->arg[i], b);
    return loads;
}

bool stmt_loads(const Stmt *s, const Buffer *b)
{
    return s->expr != NULL && expr_loads(s->expr, b);
}

bool body_uses(Body body, const Buffer *b)
{
    bool uses = false;

    for (const Stmt *s = body.first; s != NULL && !uses; s = s->next)
        uses = ((s->kind == STMT_STORE || s->kind == STMT_PREFETCH) && s->buffer == b)
            || stmt_loads(s, b) || body_uses(s->body, b);
    return uses;
}

/* ---- renaming: what a copied or substituted body has instead of a variable, name or local */
typedef struct Rename {
    const void *from;                /* a Var, Name or Buffer */
    Index by;                        /* instead of a Var */
    void *to;                        /* instead of a Name or Buffer */
    const struct Rename *next;       /* from inner to outer */
} Rename;

typedef struct RenameCx {
    Arena *arena;
    const Rename *renames;
    Map *taken;                      /* spellings in use, to make unique ones; or NULL */
} RenameCx;

static const Rename *rename_find(const RenameCx *cx, const void *from)
{
    const Rename *r = cx->renames;

    while (r != NULL && r->from != from)
        r = r->next;
    return r;
}

static void rename_add(RenameCx *cx, Rename rename)
{
    Rename *r = NEW(cx->arena, Rename);

    *r = rename;
    r->next = cx->renames;
    cx->renames = r;
}

/* What stands for a Name or Buffer, or NULL for NULL. */
static void *renamed(const RenameCx *cx, const void *from)
{
    const Rename *r = from != NULL ? rename_find(cx, from) : NULL;

    return r != NULL ? r->to : (void *)(uintptr_t)from;
}

/* All variables at once: what replaces one variable may mention another that is replaced. */
static Index index_rename(const RenameCx *cx, Index x)
{
    bool changed = false;

    for (int i = 0; i < x.n; i++)
        changed |= rename_find(cx, x.term[i].var) != NULL;
    if (!changed)
        return x;
    Index sum = index_const(x.c);
    for (int i = 0; i < x.n; i++) {
        const Rename *r = rename_find(cx, x.term[i].var);
        Index by = r != NULL ? r->by : index_var(cx->arena, x.term[i].var);
        sum = index_add(cx->arena, sum, index_scale(cx->arena, by, x.term[i].coef));
    }
    return sum;
}

/* The renamed indices, or the old array when none changes. */
static const Index *indices_rename(const RenameCx *cx, const Index *index, int n)
{
    Index *copy = NEW_ARRAY(cx->arena, Index, n);
    bool changed = false;

    for (int i = 0; i < n; i++) {
        copy[i] = index_rename(cx, index[i]);
        changed |= copy[i].term != index[i].term;
    }
    return changed ? copy : index;
}

static const Expr *expr_rename(void *user, const Expr *e)
{
    const RenameCx *cx = user;
    Expr copy = *e;

    if (e->kind != EXPR_NAME && e->kind != EXPR_LOAD)
        return NULL;
    copy.name = renamed(cx, e->name);
    copy.buffer = renamed(cx, e->buffer);
    copy.index = indices_rename(cx, e->index, e->n_index);
    if (copy.name == e->name && copy.buffer == e->buffer && copy.index == e->index)
        return NULL;
    Expr *made = NEW(cx->arena, Expr);
    *made = copy;
    return made;
}

/* Rename what a statement uses; what it defines is the caller's. */
static void stmt_rename(RenameCx *cx, Stmt *s)
{
    if (s->expr != NULL)
        s->expr = expr_map(cx->arena, s->expr, expr_rename, cx);
    s->index = indices_rename(cx, s->index, s->n_index);
    for (int i = 0; i < s->n_cond; i++)
        s->cond[i].index = index_rename(cx, s->cond[i].index);
    s->buffer = renamed(cx, s->buffer);
    s->name = renamed(cx, s->name);
}

/* Loops beside each other may share a spelling, nested ones and picks of a body may not. */
static bool loop_name_in_scope(const RenameCx *cx, const char *name)
{
    for (const Rename *r = cx->renames; r != NULL; r = r->next)
        if (r->by.n > 0 && str_eq(r->by.term[0].var->name, name))
            return true;
    return false;
}

/* The spelling of a fresh definition: `name`, or where that is taken name_1, name_2, ... */
static const char *name_spell(const RenameCx *cx, const char *name, bool is_loop)
{
    const char *spelling = name;

    if (cx->taken == NULL || (is_loop && !loop_name_in_scope(cx, name)))
        return name;
    int *count = map_get(cx->taken, name);
    if (count == NULL) {
        map_put(cx->taken, name, NEW(cx->arena, int));
        return name;
    }
    while (map_get(cx->taken, spelling) != NULL)
        spelling = arena_printf(cx->arena, "%s_%d", name, ++*count);
    map_put(cx->taken, spelling, NEW(cx->arena, int));
    return spelling;
}

/* A fresh Var, Name or local for what the statement defines. */
static void stmt_redefine(RenameCx *cx, Stmt *s)
{
    const Var *var = s->var;
    const Name *name = s->name;

    if (s->var != NULL) {
        s->var = var_new(cx->arena, name_spell(cx, var->name, true), var->extent);
        rename_add(cx, (Rename){.from = var, .by = index_var(cx->arena, s->var)});
    }
    if (s->kind == STMT_LET || s->kind == STMT_VAR) {
        s->name = name_new(cx->arena, name_spell(cx, name->name, false), name->type, name->is_var);
        rename_add(cx, (Rename){.from = name, .to = (void *)(uintptr_t)s->name});
    } else if (s->kind == STMT_LOCAL || s->kind == STMT_LIST) {
        Buffer *b = NEW(cx->arena, Buffer);
        *b = *s->buffer;
        b->name = name_spell(cx, b->name, false);
        rename_add(cx, (Rename){.from = s->buffer, .to = b});
        s->buffer = b;
    }
}

static Body body_rename_copy(RenameCx *cx, Body b)
{
    const Rename *outer = cx->renames;
    Body copy = {NULL, NULL};

    for (const Stmt *s = b.first; s != NULL; s = s->next) {
        const Rename *before = cx->renames;
        Stmt *c = NEW(cx->arena, Stmt);
        *c = *s;
        stmt_redefine(cx, c);
        stmt_rename(cx, c);          /* a list's expression has the list's own variable */
        c->body = body_rename_copy(cx, s->body);
        if (s->kind == STMT_FOR)
            cx->renames = before;
        body_add(&copy, c);
    }
    cx->renames = outer;
    return copy;
}

Body body_copy(Arena *a, Body b, const Var *v, Index by)
{
    RenameCx cx = {a, NULL, NULL};

    if (v != NULL)
        rename_add(&cx, (Rename){.from = v, .by = by});
    return body_rename_copy(&cx, b);
}

Stmt *stmt_copy(Arena *a, const Stmt *s, const Var *const *v, const Index *by, int n)
{
    RenameCx cx = {a, NULL, NULL};
    Stmt alone = *s;

    alone.next = NULL;
    for (int i = 0; i < n; i++)
        rename_add(&cx, (Rename){.from = v[i], .by = by[i]});
    return body_rename_copy(&cx, (Body){&alone, &alone}).first;
}

static void stmt_subst(void *user, Stmt *s)
{
    stmt_rename(user, s);
}

void body_subst(Arena *a, Body *b, const Var *v, Index by)
{
    RenameCx cx = {a, NULL, NULL};

    rename_add(&cx, (Rename){.from = v, .by = by});
    body_visit(*b, stmt_subst, &cx);
}

static void name_take_loop(void *user, Stmt *s)
{
    RenameCx *cx = user;

    if (s->var != NULL)
        map_put(cx->taken, s->var->name, NEW(cx->arena, int));
}

void kernel_unique_names(Kernel *k)
{
    RenameCx cx = {k->arena, NULL, map_new(k->arena)};

    for (int i = 0; i < k->n_buffers; i++)
        map_put(cx.taken, k->buffer[i]->name, NEW(k->arena, int));
    body_visit(k->body, name_take_loop, &cx);
    k->body = body_rename_copy(&cx, k->body);
}
