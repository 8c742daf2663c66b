/* context: the arenas, messages and open output files of one compilation.
 *
 * cx_delete frees everything, also after an out-of-memory longjmp: output files that were not
 * committed are removed, so that no partial output stays behind.
 */
#include "base/base.h"

#include <stdlib.h>

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
    while (cx->open_files != NULL)
        out_discard(cx->open_files);
    while (cx->folders != NULL)
        folder_remove(cx->folders);
    arena_delete(cx->temp);
    arena_delete(cx->perm);
    free(cx);
}
