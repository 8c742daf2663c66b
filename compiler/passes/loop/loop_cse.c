/* loop-cse: what is computed twice in a straight line is computed once and named.
 *
 *   acc0 = fma(bcast(x[c], 16), w[0], acc0);        let t0 = bcast(x[c], 16);
 *   acc1 = fma(bcast(x[c], 16), w[1], acc1);   =>   acc0 = fma(t0, w[0], acc0);
 *                                                   acc1 = fma(t0, w[1], acc1);
 *
 * Statements are numbered. A value seen at one of them is the same at a later one if nothing that
 * it reads has been written since: equal text is not enough.
 *
 * needs:  nothing; after unroll and scalarize it finds the register tile's shared operands.
 * keeps:  every bit: only pure expressions, no load across a store that could change it.
 * breaks: nothing.
 */
#include "passes/passes.h"

#define BUCKETS 1024

typedef struct Seen {
    const Expr *expr;
    uint64_t hash;
    int at;                            /* the statement that first needs it */
    int uses;
    const Name *name;                  /* set once it has been given a let */
    struct Seen *older;               /* in its bucket */
} Seen;

typedef struct Cse {
    Arena *arena, *temp;
    Seen *bucket[BUCKETS];
    Seen **seen;                     /* all, in the order seen: wholes before their parts */
    size_t n, cap;
    Map *written;                      /* name of a var or buffer -> last statement that wrote it */
    int at;                            /* the current statement, from 1 */
    int serial;
    bool changed;
} Cse;

static uint64_t expr_hash(const Expr *e)
{
    const int key[] = {(int)e->kind, e->op, e->ipar, (int)e->type.scalar, e->type.lanes};
    const void *what[] = {e->name, e->buffer};
    uint64_t h = hash_bytes(hash_bytes(HASH_SEED, key, sizeof key), what, sizeof what);
    h = hash_bytes(h, &e->value, sizeof e->value);
    for (int i = 0; i < e->n_index; i++) {
        uint64_t terms = (uint64_t)e->index[i].c;          /* in any order */
        for (int t = 0; t < e->index[i].n; t++)
            terms += hash_bytes((uint64_t)e->index[i].term[t].coef, &e->index[i].term[t].var,
                                sizeof e->index[i].term[t].var);
        h = hash_bytes(h, &terms, sizeof terms);
    }
    for (int i = 0; i < expr_args(e); i++) {
        uint64_t arg = expr_hash(e->arg[i]);
        h = hash_bytes(h, &arg, sizeof arg);
    }
    return h;
}

static bool worth_naming(const Expr *e)
{
    if (e->kind == EXPR_CONST || e->kind == EXPR_NAME)
        return false;
    return !(e->kind == EXPR_BCAST && e->arg[0]->kind == EXPR_CONST);
}

/* The last statement that wrote something the expression reads; 0: none. */
static int last_write(const Cse *c, const Expr *e)
{
    const char *read = e->kind == EXPR_LOAD ? e->buffer->name
                       : e->kind == EXPR_NAME ? e->name->name : NULL;
    const int *written = read ? map_get(c->written, read) : NULL;
    int last = written ? *written : 0;
    for (int i = 0; i < expr_args(e); i++) {
        int arg = last_write(c, e->arg[i]);
        last = arg > last ? arg : last;
    }
    return last;
}

static void note_write(Cse *c, const Stmt *s)
{
    if (s->kind != STMT_STORE && s->kind != STMT_SET)
        return;
    int *at = NEW(c->temp, int);
    *at = c->at;
    map_put(c->written, s->kind == STMT_STORE ? s->buffer->name : s->name->name, at);
}

/* The value as it was seen last, if it still is what the expression gives here. */
static Seen *find_seen(const Cse *c, const Expr *e, uint64_t hash)
{
    Seen *v = c->bucket[hash % BUCKETS];
    while (v && (v->at > c->at || v->hash != hash || !expr_equal(v->expr, e)))
        v = v->older;
    return v && last_write(c, e) < v->at ? v : NULL;
}

/* Counts uses top-down: inside a value seen before, nothing is counted again. */
static void count(Cse *c, const Expr *e)
{
    if (worth_naming(e)) {
        uint64_t hash = expr_hash(e);
        Seen *v = find_seen(c, e, hash);
        if (v) {
            v->uses++;
            return;
        }
        v = NEW(c->temp, Seen);
        *v = (Seen){e, hash, c->at, 1, NULL, c->bucket[hash % BUCKETS]};
        c->bucket[hash % BUCKETS] = v;
        c->seen = arena_grow(c->temp, c->seen, c->n, c->n + 1, &c->cap, sizeof(Seen *));
        c->seen[c->n++] = v;
    }
    for (int i = 0; i < expr_args(e); i++)
        count(c, e->arg[i]);
}

/* Outermost first: a value's parts may have names of their own. */
static const Expr *use_names(Cse *c, const Expr *e)
{
    Seen *v = worth_naming(e) ? find_seen(c, e, expr_hash(e)) : NULL;
    if (v && v->name)
        return expr_name(c->arena, v->name);
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

static bool straight(const Stmt *s)
{
    return s->kind == STMT_LET || s->kind == STMT_VAR || s->kind == STMT_SET ||
           s->kind == STMT_STORE;
}

static void start_walk(Cse *c)
{
    c->written = map_new(c->temp);
    c->at = 0;
}

/* Sees all values of the straight-line statements from `first` on; returns what follows them. */
static Stmt *scan_run(Cse *c, Stmt *first)
{
    for (int i = 0; i < BUCKETS; i++)
        c->bucket[i] = NULL;
    c->n = 0;
    start_walk(c);
    Stmt *s = first;
    for (; s && straight(s); s = s->next) {
        c->at++;
        count(c, s->expr);
        note_write(c, s);
    }
    return s;
}

/* The same statements with lets put in between. */
static Body rewrite_run(Cse *c, Stmt *first, const Stmt *end)
{
    Body out = {0};
    size_t from = 0, to = 0;
    start_walk(c);
    for (Stmt *s = first, *next; s != end; s = next, from = to) {
        next = s->next;
        c->at++;
        while (to < c->n && c->seen[to]->at == c->at)
            to++;
        for (size_t i = to; i > from; i--) {        /* parts were seen after what they are in */
            Seen *v = c->seen[i - 1];
            if (v->uses < 2)
                continue;
            const Name *name = name_new(c->arena, arena_printf(c->arena, "t%d", c->serial++),
                                        v->expr->type, false);
            body_add(&out, stmt_let(c->arena, name, use_names(c, v->expr)));
            v->name = name;
            c->changed = true;
        }
        s->expr = use_names(c, s->expr);
        note_write(c, s);
        body_add(&out, s);
    }
    return out;
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
        s->body = cse_body(c, s->body);
        body_add(&out, s);
        s = next;
    }
    return out;
}

PassResult loop_cse(PassCx *pc, Kernel *k)
{
    Cse *c = NEW(pc->cx->temp, Cse);
    *c = (Cse){.arena = pc->arena, .temp = pc->cx->temp};
    k->body = cse_body(c, k->body);
    return pass_renamed(k, c->changed);
}
