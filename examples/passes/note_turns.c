/* note-turns: a comment before each innermost loop says how often its body runs in all. Comments
 * stay in all texts, the generated C too.
 *
 *   for c < 8 {                        for c < 8 {
 *       for i < 4 { ... }       =>         # 32 turns
 *   }                                      for i < 4 { ... }
 *                                      }
 *
 * A pass on kernels from outside: net2c opt MODEL --load-pass=note_turns.so
 */
#include <net2c/plugin.h>

/* Returns whether there is a loop in b, which itself runs so many times. */
static bool note(PassCx *pc, Body *b, int64_t turns)
{
    bool found = false;
    Body out = {NULL, NULL};
    for (Stmt *s = b->first, *next; s; s = next) {
        bool loop = s->kind == STMT_FOR;
        int64_t inside = turns;
        next = s->next;
        if (loop && !checked_mul(turns, s->var->extent, &inside))
            loop = false;
        bool nested = note(pc, &s->body, inside);
        if (loop && !nested)
            body_add(&out, stmt_note(pc->arena, arena_printf(pc->arena, "%s%lld turns",
                                                             s->expr ? "at most " : "",
                                                             (long long)inside)));
        body_add(&out, s);
        found = found || loop || nested;
    }
    *b = out;
    return found;
}

static PassResult note_turns(PassCx *pc, Kernel *k)
{
    return note(pc, &k->body, 1) ? PASS_CHANGED : PASS_UNCHANGED;
}

const net2c_plugin net2c_plugin_v1 = {
    .abi = NET2C_PLUGIN_ABI, .name = "note-turns", .kernel = note_turns,
    .after = "loop-simplify", .why = "where the time may go",
};
