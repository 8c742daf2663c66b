/* text_check: if it cannot be printed and read back, it does not exist.
 *
 *     print(parse(print(ir))) = print(ir)
 *
 * contract: reports the first line that differs, or what the parser says. Failing is an internal
 * error: both sides are this program.
 */
#include "driver/driver.h"

#include <string.h>

char *ir_text(Arena *a, Ir ir)
{
    return ir.graph ? graph_text(a, ir.graph)
           : ir.kernel ? kernel_text(a, ir.kernel) : module_text(a, ir.module);
}

/* NULL: the parser has reported. */
static char *read_back(Cx *cx, const char *file, Ir ir, const char *text)
{
    Ir again = {NULL, NULL, NULL};
    if (ir.graph)
        again.graph = model_parse(cx, file, text, strlen(text));
    else if (ir.kernel)
        again.kernel = kernel_parse(cx, file, text);
    else
        again.module = module_parse(cx, file, text);
    return again.graph || again.kernel || again.module ? ir_text(cx->perm, again) : NULL;
}

static void report_difference(Cx *cx, const char *file, const char *a, const char *b)
{
    int line = 1;
    size_t start = 0, i = 0;
    for (; a[i] && a[i] == b[i]; i++)
        if (a[i] == '\n') {
            line++;
            start = i + 1;
        }
    diag_error(cx->diags, NO_PLACE, "E0971",
               "internal error: %s reads back as something else from line %d on", file, line);
    diag_note(cx->diags, NO_PLACE, "printed: %.*s", (int)strcspn(a + start, "\n"), a + start);
    diag_note(cx->diags, NO_PLACE, "then:    %.*s", (int)strcspn(b + start, "\n"), b + start);
}

bool text_check(Cx *cx, const char *after, Ir ir)
{
    const char *what = ir.graph ? "graph" : ir.kernel ? ir.kernel->name : "module";
    char *file = arena_printf(cx->perm, "<%s after %s>", what, after);
    char *text = ir_text(cx->perm, ir);
    char *again = read_back(cx, file, ir, text);
    if (!again)
        diag_error(cx->diags, NO_PLACE, "E0971", "internal error: %s cannot be read back", file);
    else if (!str_eq(text, again))
        report_difference(cx, file, text, again);
    else
        return true;
    return false;
}
