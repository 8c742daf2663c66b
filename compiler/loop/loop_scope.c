/* loop_scope: which names are visible, to the parser and to the verifier.
 *
 * example: size_t mark = scope->n; scope_define(scope, SYMBOL_VAR, "i", v); ... the body ...;
 *          scope_close(scope, mark); "i" is free again.
 *
 * contract: of each kind, a name means one thing at a time; things of different kinds may share it.
 */
#include "loop/loop_text.h"

Scope scope_new(Arena *a)
{
    Scope s = {.arena = a};

    for (SymbolKind kind = SYMBOL_VAR; kind <= SYMBOL_KERNEL; kind++)
        s.latest[kind] = map_new(a);
    return s;
}

Symbol *scope_find(const Scope *s, SymbolKind kind, const char *name)
{
    Symbol *latest = map_get(s->latest[kind], name);

    return latest && latest->visible ? latest : NULL;
}

Symbol *scope_define(Scope *s, SymbolKind kind, const char *name, const void *item)
{
    if (scope_find(s, kind, name))
        return NULL;
    Symbol *made = NEW(s->arena, Symbol);
    *made = (Symbol){.kind = kind, .name = name, .item = (void *)(uintptr_t)item, .visible = true};
    map_put(s->latest[kind], name, made);
    s->symbol = arena_grow(s->arena, s->symbol, s->n, s->n + 1, &s->cap, sizeof(Symbol *));
    s->symbol[s->n++] = made;
    return made;
}

void scope_close(Scope *s, size_t n)
{
    while (s->n > n)
        s->symbol[--s->n]->visible = false;
}
