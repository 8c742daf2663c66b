/* progress: a line on stderr when a phase takes over a second, then one every ten.
 *
 *     cx_phase(cx, "compiling %s", path);  ...  net2c: compiling net_gen.c (11 s)
 *
 * A timer's signal prints the line, so that phases need no calls inside their loops. contract:
 * the handler calls nothing but write(); --quiet keeps it silent, --verbose names each phase at
 * once. A crash says in which phase it was. The timer and what it prints belong to the process:
 * this is the command line's, no library's.
 */
#include "driver/driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define EVERY 10                   /* seconds between the lines of one phase */

static struct {
    volatile sig_atomic_t on;
    bool verbose;
    volatile sig_atomic_t seconds; /* of this phase, when the timer fires next */
    char text[216];                /* changed only while the timer is off */
    size_t length;
} state;

static void on_timer(int sig)
{
    char line[sizeof state.text + 32];
    int n = state.seconds, digits = 0, saved = errno;
    size_t at = state.length;
    char digit[12];
    (void)sig;
    memcpy(line, state.text, at);
    do
        digit[digits++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    line[at++] = ' ';
    line[at++] = '(';
    while (digits > 0)
        line[at++] = digit[--digits];
    memcpy(line + at, " s)\n", 4);
    state.seconds += EVERY;
    if (write(STDERR_FILENO, line, at + 4) < 0)
        state.on = false;          /* nobody listens */
    errno = saved;
}

static void set_timer(int first, int every)
{
    struct itimerval t = {.it_value = {.tv_sec = first}, .it_interval = {.tv_sec = every}};
    setitimer(ITIMER_REAL, &t, NULL);
}

static void start_phase(const char *text)
{
    set_timer(0, 0);
    snprintf(state.text, sizeof state.text, "net2c: %s", text);
    state.length = strlen(state.text);
    if (!state.on)
        return;
    state.seconds = 1;
    if (state.verbose)
        fprintf(stderr, "%s\n", state.text);
    set_timer(1, EVERY);
}

void progress_start(Cx *cx, const Options *o)
{
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    cx->on_phase = start_phase;
    if (o->n[OPT_QUIET])
        return;
    state.on = true;
    state.verbose = o->n[OPT_VERBOSE] > 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
}

void progress_crash(void)
{
    static const char what[] = " (crashed)\n";
    if (write(STDERR_FILENO, state.text, state.length) >= 0 &&
        write(STDERR_FILENO, what, sizeof what - 1) < 0)
        state.on = false;
}

void progress_end(void)
{
    set_timer(0, 0);
}

bool wants_color(FILE *f)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(f)) && !(no_color && *no_color);
}
