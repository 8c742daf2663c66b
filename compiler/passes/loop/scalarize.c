/* scalarize: small local arrays become named registers.
 *
 *   local acc: f32x16[2];                        var acc_0: f32x16 = bcast(b[0], 16);
 *   acc[0] = bcast(b[0], 16); ...          =>    ...
 *   for ic < 8 { acc[0] = fma(.., acc[0]); }     for ic < 8 { acc_0 = fma(.., acc_0); }
 *
 * needs:  unrolled tiles: a local all of whose indices are constants (others stay arrays).
 * keeps:  every bit.
 * breaks: nothing. C compilers keep names in registers; arrays they may not.
 */
#include "passes/passes.h"

#include <string.h>

#define MAX_REGISTERS 128

typedef struct Local {
    Arena *arena;
    Buffer *buffer;
    bool constant;                        /* all accesses are of one element each */
    const Name *name[MAX_REGISTERS];
    int serial;                           /* tells apart the locals of one kernel */
} Local;

static int64_t flat_index(const Buffer *b, const Index *index, int n)
{
    int64_t flat = 0;
    for (int d = 0; d < n; d++) {
        if (index[d].n)
            return -1;
        flat = flat * (b->dim[d].lo + b->dim[d].extent + b->dim[d].hi) + index[d].c + b->dim[d].lo;
    }
    return flat;
}

static void check_access(void *user, const Access *x)
{
    Local *l = user;
    if (x->buffer == l->buffer &&
        (x->lanes != x->buffer->lanes || flat_index(x->buffer, x->index, x->n) < 0))
        l->constant = false;
}

static void check_stmt(void *user, Stmt *s)
{
    stmt_visit_accesses(s, check_access, user);
}

static const Name *register_of(Local *l, const Index *index, int n)
{
    int64_t i = flat_index(l->buffer, index, n);
    if (!l->name[i])
        l->name[i] = name_new(l->arena, arena_printf(l->arena, "%s%d_%d", l->buffer->name,
                                                     l->serial, (int)i),
                              (Type){l->buffer->type, l->buffer->lanes}, true);
    return l->name[i];
}

static const Expr *map_load(void *user, const Expr *e)
{
    Local *l = user;
    if (e->kind != EXPR_LOAD || e->buffer != l->buffer)
        return NULL;
    return expr_name(l->arena, register_of(l, e->index, e->n_index));
}

static void map_store(void *user, Stmt *s)
{
    Local *l = user;
    if (s->kind == STMT_STORE && s->buffer == l->buffer) {
        s->name = register_of(l, s->index, s->n_index);
        s->kind = STMT_SET;
        s->buffer = NULL;
        s->index = NULL;
        s->n_index = 0;
    }
}

typedef struct Mention {
    const Name *name;
    bool read, set;
} Mention;

static void mention_read(void *user, const Expr *e)
{
    Mention *m = user;
    m->read |= e->kind == EXPR_NAME && e->name == m->name;
}

static void mention_stmt(void *user, Stmt *s)
{
    Mention *m = user;
    m->set |= s->kind == STMT_SET && s->name == m->name;
    stmt_visit_exprs(s, mention_read, m);
}

/* An assignment beside the local's own statement declares, if nothing before it names the
 * register, not even inside a loop; what has no such assignment starts at 0. */
static void declare(Local *l, Stmt *local, int64_t elements)
{
    for (int64_t i = elements - 1; i >= 0; i--) {
        Mention m = {l->name[i], false, false};
        Stmt *s = local;
        while (m.name && s->next && !m.read && !m.set) {
            s = s->next;
            Stmt alone = *s;
            alone.next = NULL;
            body_visit((Body){&alone, &alone}, mention_stmt, &m);
        }
        if (!m.read && !m.set)
            continue;
        if (s->kind == STMT_SET && !m.read) {
            s->kind = STMT_VAR;
            continue;
        }
        Stmt *v = stmt_var(l->arena, m.name, expr_const(l->arena, m.name->type, 0));
        v->next = local->next;
        local->next = v;
    }
}

static bool scalarize_body(Local *l, Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        changed |= scalarize_body(l, &s->body);
        if (s->kind == STMT_LOCAL && buffer_elements(s->buffer) <= MAX_REGISTERS) {
            Body rest = {s->next, s->next ? b->last : NULL};
            memset(l->name, 0, sizeof l->name);
            l->buffer = s->buffer;
            l->constant = true;
            body_visit(rest, check_stmt, l);
            if (l->constant && rest.first) {
                body_map_exprs(l->arena, &rest, map_load, l);
                body_visit(rest, map_store, l);
                declare(l, s, buffer_elements(s->buffer));
                l->serial++;
                changed = true;
                next = s->next;
                continue;
            }
        }
        s->next = NULL;
        body_add(&out, s);
    }
    *b = out;
    return changed;
}

PassResult scalarize(PassCx *pc, Kernel *k)
{
    Local l = {.arena = pc->arena};
    return pass_renamed(k, scalarize_body(&l, &k->body));
}
