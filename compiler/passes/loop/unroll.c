/* unroll: marked loops become straight lines.
 *
 *   unroll p < 2 { acc[p] = fma(x[p], w[0], acc[p]); }
 *   =>  acc[0] = fma(x[0], w[0], acc[0]);  acc[1] = fma(x[1], w[0], acc[1]);
 *
 * needs:  nothing.
 * keeps:  every bit and the order of statements.
 * breaks: unroll marks.
 */
#include "passes/passes.h"

static bool unroll_body(Arena *a, Body *b)
{
    bool changed = false;
    Body out = {0};
    for (Stmt *s = b->first, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        changed |= unroll_body(a, &s->body);
        if (s->kind != STMT_FOR || s->loop != LOOP_UNROLL) {
            body_add(&out, s);
            continue;
        }
        changed = true;
        for (int64_t i = 0; i < s->var->extent; i++)
            body_append(&out, body_copy(a, s->body, s->var, index_const(i)));
    }
    *b = out;
    return changed;
}

PassResult unroll(PassCx *pc, Kernel *k)
{
    if (!unroll_body(pc->arena, &k->body))
        return PASS_UNCHANGED;
    kernel_unique_names(k);
    return PASS_CHANGED;
}
