/* status: from the codes of what was reported to the exit status.
 *
 *     E0914 -> 70    E0112 -> 5    E0002 -> 2    E0203 -> 1
 *
 * contract: of several, the one that says most about where to look wins: an internal error before
 * the environment, before usage, before the user's files.
 */
#include "driver/driver.h"

const Code code_table[] = {
#define CODE(status, code, title, text, wrong, right) \
    {STATUS_##status, code, title, text, wrong, right},
#include "driver/codes.def"
};

const int code_count = (int)(sizeof code_table / sizeof *code_table);

const Code *code_find(const char *name)
{
    for (int i = 0; i < code_count; i++)
        if (str_eq(code_table[i].name, name))
            return &code_table[i];
    return NULL;
}

int status_of_errors(const Diags *d)
{
    Status worst = STATUS_INPUT;
    for (int i = 0; i < diags_count(d); i++) {
        const Diag *m = diags_get(d, i);
        const Code *code = m->kind == DIAG_ERROR ? code_find(m->code) : NULL;
        worst = code && code->status > worst ? code->status : worst;
    }
    return (int)worst;
}
