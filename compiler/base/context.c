/* context: the arenas, messages and open output files of one compilation.
 *
 * cx_delete frees everything, also after an out-of-memory longjmp: output files that were not
 * committed are removed, so that no partial output stays behind; mappings and loaded code, which
 * their owners have announced with cx_at_end, go too. Contexts share nothing: each thread may have
 * one of its own.
 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct AtEnd {
    struct AtEnd *next;
    void (*end)(void *object);
    void *object;
} AtEnd;

static bool make_parts(Cx *cx)
{
    if (cx_guard(cx))
        return false;
    cx->perm = arena_new(&cx->out_of_memory);
    cx->temp = arena_new(&cx->out_of_memory);
    if (cx->perm == NULL || cx->temp == NULL)
        return false;
    cx->diags = diags_new(cx->perm);
    return true;
}

Cx *cx_new(void)
{
    Cx *cx = calloc(1, sizeof *cx);
    if (cx != NULL && !make_parts(cx)) {
        cx_delete(cx);
        return NULL;
    }
    return cx;
}

void cx_delete(Cx *cx)
{
    if (cx == NULL)
        return;
    for (AtEnd *a = cx->at_end; a != NULL; a = a->next)
        a->end(a->object);
    while (cx->open_files != NULL)
        out_discard(cx->open_files);
    while (cx->folders != NULL)
        folder_remove(cx->folders);
    arena_delete(cx->temp);
    arena_delete(cx->perm);
    free(cx);
}

void cx_at_end(Cx *cx, void (*end)(void *object), void *object)
{
    AtEnd *a = NEW(cx->perm, AtEnd);
    *a = (AtEnd){cx->at_end, end, object};
    cx->at_end = a;
}

void cx_phase(Cx *cx, const char *format, ...)
{
    char text[200];
    va_list args;
    if (cx->on_phase == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cx->on_phase(text);
}
