/* unroll: marked loops become straight lines.
 *
 *   unroll p < 2 { acc[p] = fma(x[p], w[0], acc[p]); }
 *   =>  acc[0] = fma(x[0], w[0], acc[0]);  acc[1] = fma(x[1], w[0], acc[1]);
 *
 * Conditions that are decided in a copy go, with what never runs.
 *
 * needs:  nothing.
 * keeps:  every bit and the order of statements.
 * breaks: unroll marks. Refuses to make more than MAX_STATEMENTS statements of one kernel.
 */
#include "passes/passes.h"
#include "sched/sched.h"

#define MAX_STATEMENTS 20000

static int64_t count_unrolled(Body b)
{
    int64_t n = 0;
    for (const Stmt *s = b.first; s; s = s->next) {
        int64_t inside = count_unrolled(s->body);
        bool copies = s->kind == STMT_FOR && s->loop == LOOP_UNROLL;
        if (!checked_mul(inside, copies ? s->var->extent : 1, &inside) ||
            !checked_add(n, inside + 1, &n))
            return INT64_MAX - 1;
    }
    return n;
}

static bool unroll_stmt(void *arena, Stmt *s, Body *out)
{
    if (s->kind != STMT_FOR || s->loop != LOOP_UNROLL) {
        body_add(out, s);
        return false;
    }
    for (int64_t i = 0; i < s->var->extent; i++)
        body_append(out, body_copy(arena, s->body, s->var, index_const(i)));
    return true;
}

PassResult unroll(PassCx *pc, Kernel *k)
{
    int64_t statements = count_unrolled(k->body);
    if (statements > MAX_STATEMENTS) {
        diag_error(pc->cx->diags, schedule_place(pc->schedules, k->schedule, 0), "E0956",
                   "kernel '%s' has %s%lld statements when its marked loops are unrolled; at most "
                   "%d are supported", k->name, statements >= INT64_MAX - 1 ? "over " : "",
                   (long long)statements, MAX_STATEMENTS);
        diag_help(pc->cx->diags, "split the loop and unroll its inner half only");
        return PASS_FAILED;
    }
    bool changed = body_rewrite(&k->body, unroll_stmt, pc->arena);
    if (changed)
        body_settle_ifs(&k->body);
    return pass_renamed(k, changed);
}
