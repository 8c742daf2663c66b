/* main: one command from start to exit status.
 *
 * contract: messages are printed once, at the end, to stderr; memory, output files that are not
 * finished and loaded code are gone afterwards, also when memory runs out or when someone cuts off
 * a weights file while it is mapped: reading what is no longer there raises SIGBUS.
 */
#include "driver/driver.h"

#include <signal.h>
#include <stdio.h>

static void print_messages(Cx *cx, const Options *o)
{
    if (diags_error_count(cx->diags) > 0 || !o->n[OPT_QUIET])
        fputs(diags_render(cx->diags, cx->perm, 0, wants_color(stderr)), stderr);
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

static int run_verb(Cx *cx, const Options *o)
{
    static int (*const run[])(Cx *cx, const Options *o) = {
#define VERB(id, name, function, arguments, minimum, maximum, summary) function,
#include "driver/options.def"
    };
    return o->n[OPT_HELP] ? cmd_help(cx, o) : run[o->verb](cx, o);
}

static int run(Cx *cx, int argc, char **argv)
{
    Options *o = NEW(cx->perm, Options);
    int status = STATUS_USAGE;
    if (options_parse(cx, argc, argv, o)) {
        progress_start(cx, o);
        status = run_verb(cx, o);
        progress_end();
    }
    print_messages(cx, o);
    return finish_stdout(status);
}

static Cx *running;
static const char *volatile failure = "out of memory";

/* The fault is in a read of this thread: it can be left as out of memory leaves it. */
static void leave_mapped_file(int signal)
{
    (void)signal;
    failure = "a file was cut off while it was read";
    longjmp(running->out_of_memory, 1);
}

/* What ends this program still ends it, but nothing stays behind. */
static void clean_up(int signal)
{
    cx_interrupt(running);
    if (signal != SIGINT && signal != SIGTERM && signal != SIGHUP)
        progress_crash();
    raise(signal);
}

/* The second time the handler is gone: a program that is slow to clean up can be ended too. */
static void catch_ends(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGILL, SIGFPE, SIGABRT};
    const struct sigaction clean = {.sa_handler = clean_up,
                                    .sa_flags = (int)(SA_NODEFER | SA_RESETHAND)};
    struct sigaction old;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(ends[i], &clean, NULL);
}

int main(int argc, char **argv)
{
    Cx *cx = cx_new();
    volatile int status = STATUS_ENVIRONMENT;
    const struct sigaction leave = {.sa_handler = leave_mapped_file, .sa_flags = SA_NODEFER};
    running = cx;
    if (!cx || cx_guard(cx) || sigaction(SIGBUS, &leave, NULL) != 0) {
        fprintf(stderr, "error: %s\n", failure);
    } else {
        catch_ends();
        status = run(cx, argc, argv);
    }
    cx_delete(cx);
    return status;
}
