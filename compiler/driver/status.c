/* status: from the codes of what was reported to the exit status.
 *
 *     E0914 -> 70    E0112 -> 5    E0002 -> 2    anything else -> 1
 *
 * contract: of several, the one that says most about where to look wins: an internal error before
 * the environment, before usage, before the user's files.
 */
#include "driver/driver.h"

#include <string.h>

static bool is_environment(const char *code)
{
    static const char *const codes[] = {
        "E0105",                             /* cannot write */
        "E0111", "E0112", "E0113", "E0114",  /* no folder, compiler or loading */
        "E0116",                             /* this CPU lacks the row */
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (str_eq(code, codes[i]))
            return true;
    return false;
}

static Status status_of_code(const char *code)
{
    if (!code)
        return STATUS_INPUT;
    if (strncmp(code, "E09", 3) == 0)
        return STATUS_INTERNAL;
    if (is_environment(code))
        return STATUS_ENVIRONMENT;
    return strncmp(code, "E00", 3) == 0 ? STATUS_USAGE : STATUS_INPUT;
}

int status_of_errors(const Diags *d)
{
    Status worst = STATUS_INPUT;
    for (int i = 0; i < diags_count(d); i++) {
        const Diag *m = diags_get(d, i);
        Status s = m->kind == DIAG_ERROR ? status_of_code(m->code) : STATUS_INPUT;
        worst = s > worst ? s : worst;
    }
    return (int)worst;
}
