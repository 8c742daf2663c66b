/* main: one command from start to exit status.
 *
 * contract: messages are printed once, at the end, to stderr; memory, output files that are not
 * finished and loaded code are gone afterwards, also when memory runs out.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_messages(Cx *cx, const Options *o)
{
    const char *no_color = getenv("NO_COLOR");
    bool color = isatty(STDERR_FILENO) && !(no_color && *no_color);
    if (diags_error_count(cx->diags) > 0 || !o->n[OPT_QUIET])
        fputs(diags_render(cx->diags, cx->perm, 0, color), stderr);
}

/* Results that do not arrive are an error: a full disk, a closed pipe. */
static int finish_stdout(int status)
{
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || failed) {
        fputs("error: cannot write to standard output\n", stderr);
        return status == STATUS_OK ? STATUS_ENVIRONMENT : status;
    }
    return status;
}

static int run(Cx *cx, int argc, char **argv)
{
    Options *o = NEW(cx->perm, Options);
    int status = STATUS_USAGE;
    if (options_parse(cx, argc, argv, o)) {
        progress_start(o);
        status = options_run(cx, o);
        progress_end();
    }
    print_messages(cx, o);
    return finish_stdout(status);
}

int main(int argc, char **argv)
{
    Cx *cx = cx_new();
    volatile int status = STATUS_ENVIRONMENT;
    if (!cx || cx_guard(cx))
        fputs("error: out of memory\n", stderr);
    else
        status = run(cx, argc, argv);
    cx_delete(cx);
    return status;
}
