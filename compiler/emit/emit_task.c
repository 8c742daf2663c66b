/* emit_task: which parallel loops of a kernel become functions, tasks of n2c_for.
 *
 * example: of `for n < 2 { parallel oc < 24 { ... y[n, oc] = ...; } }` the loop oc, which needs n.
 *
 * contract: loops within a task are no tasks, nor is one that needs a name, a picked index, a list
 * or a local buffer of the bodies around it: those run serially.
 */
#include "emit/emit.h"

typedef struct Around Around;
struct Around {                    /* a loop around a statement, or a declaration that it sees */
    const Stmt *stmt;
    const Around *outer;
};

typedef struct Search {
    const Stmt *around;
    bool found;
} Search;

static void search_index(Search *s, Index x)
{
    if (s->around->var && index_coef(x, s->around->var) != 0)
        s->found = true;
}

static void search_access(void *user, const Access *x)
{
    for (int i = 0; i < x->n; i++)
        search_index(user, x->index[i]);
    if (((Search *)user)->around->buffer == x->buffer)
        ((Search *)user)->found = true;
}

static void search_name(void *user, const Expr *e)
{
    Search *s = user;
    if (e->kind == EXPR_NAME && e->name == s->around->name)
        s->found = true;
}

static void search_stmt(void *user, Stmt *s)
{
    Search *search = user;
    stmt_visit_accesses(s, search_access, search);
    stmt_visit_exprs(s, search_name, search);
    for (int i = 0; i < s->n_cond; i++)
        search_index(search, s->cond[i].index);
    if (s->kind == STMT_SET && s->name == search->around->name)
        search->found = true;
}

/* Does the body need the variable, the name or the local buffer? */
static bool body_needs(Body body, const Stmt *around)
{
    Search s = {around, false};
    body_visit(body, search_stmt, &s);
    return s.found;
}

/* Fills t; false: the loop needs what a function of its own could not see. */
static bool task_make(const Stmt *loop, const Around *around, EmitTask *t)
{
    *t = (EmitTask){.loop = loop};
    for (; around; around = around->outer) {
        if (!body_needs(loop->body, around->stmt))
            continue;
        if (around->stmt->kind != STMT_FOR || t->n == MAX_AROUND)
            return false;
        t->at[t->n++] = around->stmt->var;
    }
    return true;
}

typedef struct Tasks {
    Arena *arena;
    EmitTask *first, *last;
} Tasks;

static void find_tasks(Tasks *tasks, Body body, const Around *around)
{
    for (const Stmt *s = body.first; s; s = s->next) {
        EmitTask t;
        Around *here = NEW(tasks->arena, Around);
        *here = (Around){s, around};
        if (s->kind == STMT_FOR && s->loop == LOOP_PARALLEL && task_make(s, around, &t)) {
            EmitTask *made = NEW(tasks->arena, EmitTask);
            t.number = tasks->last ? tasks->last->number + 1 : 1;
            *made = t;
            *(tasks->last ? &tasks->last->next : &tasks->first) = made;
            tasks->last = made;
        } else if (s->kind == STMT_FOR) {
            find_tasks(tasks, s->body, here);
        } else if (s->kind == STMT_LET || s->kind == STMT_VAR || s->kind == STMT_LOCAL ||
                   s->kind == STMT_LIST || s->kind == STMT_PICK) {
            around = here;
        }
    }
}

const EmitTask *emit_tasks_of(Arena *a, const Kernel *k)
{
    Tasks tasks = {.arena = a};
    find_tasks(&tasks, k->body, NULL);
    return tasks.first;
}
