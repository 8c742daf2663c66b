/* loop-cse: what is computed twice in a straight line is computed once and named.
 *
 *   acc0 = fma(bcast(x[c], 16), w[0], acc0);        let t0 = bcast(x[c], 16);
 *   acc1 = fma(bcast(x[c], 16), w[1], acc1);   =>   acc0 = fma(t0, w[0], acc0);
 *                                                   acc1 = fma(t0, w[1], acc1);
 *
 * needs:  nothing; after unroll and scalarize it finds the register tile's shared operands.
 * keeps:  every bit: only pure expressions, no load across a store that could change it.
 * breaks: nothing.
 */
#include "passes/passes.h"

#define MAX_SEEN 512

typedef struct Seen {
    const Expr *expr;
    int uses;
    const Name *name;                  /* set once it has been given a let */
    Stmt *first;                       /* the statement that first needs it */
} Seen;

typedef struct Cse {
    Arena *arena;
    Seen seen[MAX_SEEN];
    int n;
    Stmt *current;
    int *serial;
    bool changed;
} Cse;

static bool worth_naming(const Expr *e)
{
    if (e->kind == EXPR_CONST || e->kind == EXPR_NAME)
        return false;
    return !(e->kind == EXPR_BCAST && e->arg[0]->kind == EXPR_CONST);
}

static Seen *find_seen(Cse *c, const Expr *e)
{
    for (int i = 0; i < c->n; i++)
        if (expr_equal(c->seen[i].expr, e))
            return &c->seen[i];
    return NULL;
}

/* Counts uses top-down: inside a value seen before, nothing is counted again. */
static void count(Cse *c, const Expr *e)
{
    if (worth_naming(e)) {
        Seen *s = find_seen(c, e);
        if (s) {
            s->uses++;
            return;
        }
        if (c->n < MAX_SEEN)
            c->seen[c->n++] = (Seen){e, 1, NULL, c->current};
    }
    for (int i = 0; i < expr_args(e); i++)
        count(c, e->arg[i]);
}

/* Outermost first: a value's parts may have names of their own. */
static const Expr *use_names(Cse *c, const Expr *e)
{
    for (int i = 0; i < c->n && worth_naming(e); i++)
        if (c->seen[i].name && expr_equal(c->seen[i].expr, e))
            return expr_name(c->arena, c->seen[i].name);
    Expr *copy = NULL;
    for (int i = 0; i < expr_args(e); i++) {
        const Expr *arg = use_names(c, e->arg[i]);
        if (arg == e->arg[i])
            continue;
        if (!copy) {
            copy = NEW(c->arena, Expr);
            *copy = *e;
        }
        copy->arg[i] = arg;
    }
    return copy ? copy : e;
}

typedef struct Reads {
    const Buffer *buffer;
    const Name *name;
    bool found;
} Reads;

static void find_read(void *user, const Expr *e)
{
    Reads *r = user;
    if ((r->buffer && e->kind == EXPR_LOAD && e->buffer == r->buffer) ||
        (r->name && e->kind == EXPR_NAME && e->name == r->name))
        r->found = true;
}

static bool expr_reads(const Expr *e, const Stmt *writer)
{
    Stmt probe = {.kind = STMT_LET, .expr = e};
    Reads r = {writer->kind == STMT_STORE ? writer->buffer : NULL,
               writer->kind == STMT_SET ? writer->name : NULL, false};
    stmt_visit_exprs(&probe, find_read, &r);
    return r.found;
}

/* Statements first..end (exclusive) are straight-line; rewrite them with lets put in between. */
static Body rewrite_run(Cse *c, Stmt *first, const Stmt *end)
{
    Body out = {0};
    for (Stmt *s = first, *next; s != end; s = next) {
        next = s->next;
        s->next = NULL;
        for (int i = c->n - 1; i >= 0; i--) {       /* parts were seen after what they are in */
            Seen *seen = &c->seen[i];
            if (seen->first != s || seen->uses < 2)
                continue;
            Name *name = NEW(c->arena, Name);
            *name = (Name){arena_printf(c->arena, "t%d", (*c->serial)++), seen->expr->type, false};
            Stmt *let = stmt_let(c->arena, name, use_names(c, seen->expr));
            seen->name = name;
            body_add(&out, let);
            c->changed = true;
        }
        if (s->expr)
            s->expr = use_names(c, s->expr);
        body_add(&out, s);
    }
    return out;
}

static bool straight(const Stmt *s)
{
    return s->kind == STMT_LET || s->kind == STMT_VAR || s->kind == STMT_SET ||
           s->kind == STMT_STORE;
}

/* Forget the values that `s` changes; true if one of them is shared, so that the run must end. */
static bool forget_changed(Cse *c, const Stmt *s)
{
    bool shared = false;
    int kept = 0;
    for (int i = 0; i < c->n; i++) {
        bool changed = expr_reads(c->seen[i].expr, s);
        bool keep = !changed || (c->seen[i].uses > 1 && c->seen[i].first != s);
        shared |= changed && keep;
        if (keep)
            c->seen[kept++] = c->seen[i];
    }
    c->n = kept;
    return shared;
}

/* The longest run from `first` whose shared values no statement in between changes; returns the
 * statement after it. */
static Stmt *scan_run(Cse *c, Stmt *first)
{
    c->n = 0;
    Stmt *s = first;
    for (; s && straight(s); s = s->next) {
        c->current = s;
        count(c, s->expr);
        bool writes = s->kind == STMT_STORE || s->kind == STMT_SET;
        if ((writes && forget_changed(c, s)) || c->n > MAX_SEEN - 64)
            return s->next;
    }
    return s;
}

static Body cse_body(Cse *c, Body b)
{
    Body out = {0};
    for (Stmt *s = b.first; s;) {
        if (straight(s)) {
            Stmt *end = scan_run(c, s);
            body_append(&out, rewrite_run(c, s, end));
            s = end;
            continue;
        }
        Stmt *next = s->next;
        s->next = NULL;
        s->body = cse_body(c, s->body);
        body_add(&out, s);
        s = next;
    }
    return out;
}

PassResult loop_cse(PassCx *pc, Kernel *k)
{
    int serial = 0;
    Cse *c = NEW(pc->cx->temp, Cse);
    *c = (Cse){.arena = pc->arena, .serial = &serial};
    k->body = cse_body(c, k->body);
    if (!c->changed)
        return PASS_UNCHANGED;
    kernel_unique_names(k);
    return PASS_CHANGED;
}
