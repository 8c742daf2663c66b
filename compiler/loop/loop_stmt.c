/* loop_stmt: making statements and putting them into bodies.
 *
 * example: Stmt *loop = stmt_for(a, i, LOOP_SERIAL); body_add(&loop->body, stmt_store(...));
 *
 * contract: a statement is owned by one body. Nothing is checked here: loop_verify does.
 */
#include "loop/loop.h"

#include <string.h>

void body_add(Body *b, Stmt *s)
{
    body_append(b, (Body){s, s});
    s->next = NULL;
}

void body_append(Body *b, Body more)
{
    if (more.first == NULL)
        return;
    if (b->first == NULL)
        b->first = more.first;
    else
        b->last->next = more.first;
    b->last = more.last;
}

/* Returns whether the if can run at all. */
static bool settle_conds(Stmt *s, bool *changed)
{
    int kept = 0, n = s->n_cond;

    for (int i = 0; i < n; i++) {
        int64_t min, max;
        index_range(s->cond[i].index, &min, &max);
        if (max < 0 || min >= s->cond[i].extent)
            return false;
        if (min < 0 || max >= s->cond[i].extent)
            s->cond[kept++] = s->cond[i];
    }
    s->n_cond = kept;
    *changed |= kept < n;
    return true;
}

bool body_settle_ifs(Body *b)
{
    bool changed = false;
    Body out = {NULL, NULL};

    for (Stmt *s = b->first, *next; s != NULL; s = next) {
        next = s->next;
        s->next = NULL;
        changed |= body_settle_ifs(&s->body);
        if (s->kind != STMT_IF)
            body_add(&out, s);
        else if (!settle_conds(s, &changed))
            changed = true;
        else if (s->n_cond > 0)
            body_add(&out, s);
        else
            body_append(&out, s->body);
    }
    *b = out;
    return changed;
}

static Stmt *stmt_new(Arena *a, StmtKind kind)
{
    Stmt *s = NEW(a, Stmt);

    s->kind = kind;
    return s;
}

static Stmt *stmt_assign(Arena *a, StmtKind kind, const Name *n, const Expr *e)
{
    Stmt *s = stmt_new(a, kind);

    s->name = n;
    s->expr = e;
    return s;
}

Stmt *stmt_for(Arena *a, const Var *v, LoopKind kind)
{
    Stmt *s = stmt_new(a, STMT_FOR);

    s->var = v;
    s->loop = kind;
    return s;
}

Stmt *stmt_if(Arena *a, const Cond *c, int n)
{
    Stmt *s = stmt_new(a, STMT_IF);

    for (int i = 0; i < n && i < MAX_COND; i++)
        s->cond[i] = c[i];
    s->n_cond = n;
    return s;
}

Stmt *stmt_let(Arena *a, const Name *n, const Expr *e)
{
    return stmt_assign(a, STMT_LET, n, e);
}

Stmt *stmt_var(Arena *a, const Name *n, const Expr *e)
{
    return stmt_assign(a, STMT_VAR, n, e);
}

Stmt *stmt_set(Arena *a, const Name *n, const Expr *e)
{
    return stmt_assign(a, STMT_SET, n, e);
}

Stmt *stmt_store(Arena *a, Buffer *b, const Index *index, int n, const Expr *e)
{
    Stmt *s = stmt_new(a, STMT_STORE);
    Index *copy = NEW_ARRAY(a, Index, n);

    for (int i = 0; i < n; i++)
        copy[i] = index[i];
    s->buffer = b;
    s->index = copy;
    s->n_index = n;
    s->expr = e;
    return s;
}

Stmt *stmt_local(Arena *a, Buffer *b)
{
    Stmt *s = stmt_new(a, STMT_LOCAL);

    s->buffer = b;
    return s;
}

Stmt *stmt_note(Arena *a, const char *text)
{
    Stmt *s = stmt_new(a, STMT_NOTE);

    s->text = arena_strdup(a, text);
    return s;
}

char *stmt_head(Arena *a, const Stmt *s)
{
    Stmt head = *s;

    head.body = (Body){NULL, NULL};
    char *text = stmt_text(a, &head);
    text[strcspn(text, "\n")] = '\0';
    return text;
}
