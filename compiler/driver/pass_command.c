/* pass_command: a pass from outside, a program in any language, on graphs or on kernels.
 *
 *     net2c opt net.yaml --pass-cmd='./drop_relu.py --all'
 *     graph_text -> the program's standard input; its standard output -> model_parse -> the graph
 *     net2c opt net.yaml --pass-cmd=./mine.py --pass-cmd-after=unroll
 *     kernel_text -> the program -> kernel_parse -> the kernel, for each kernel
 *
 * The program is started directly, without a shell: spaces separate its arguments, no character
 * means anything else. It need not read what it gets; what it prints and its exit status count.
 * What it says on standard error goes where ours goes.
 *
 * contract: PASS_FAILED: reported, and graph or kernel are as they were. Either way nothing of the
 * program's process group runs any more. The network's name, inputs, outputs and samples stay, and
 * so do a kernel's name and buffers.
 */
#define _GNU_SOURCE
#include "driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SECONDS = 10, MAX_WORDS = 64, TO_IT = 0, FROM_IT = 1 };

typedef struct Talk {              /* with the program */
    const char *command;
    pid_t child;
    int fd[2];                     /* our ends of its standard input and output; -1: closed */
    const char *text;              /* left to be written */
    size_t left;
    char *answer;                  /* room for one byte more than it may have */
    size_t size;
    double end;                    /* clock_ms when its time is up */
} Talk;

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool start(Cx *cx, Talk *t)
{
    const char *argv[MAX_WORDS + 1] = {NULL};
    int to[2], from[2], error = 0;
    if (str_words(cx->temp, t->command, argv, MAX_WORDS) == 0) {
        diag_error(cx->diags, NO_PLACE, "E0003", "--pass-cmd needs a program");
        return false;
    }
    if (pipe2(to, O_CLOEXEC) != 0) {
        error = errno;
    } else if (pipe2(from, O_CLOEXEC) != 0) {
        error = errno;
        shut(&to[0]);
        shut(&to[1]);
    } else {
        error = child_start(cx, argv, (const int[]){to[0], from[1], -1});
        t->child = (pid_t)cx->child;
        shut(&to[0]);
        shut(&from[1]);
        t->fd[TO_IT] = to[1];
        t->fd[FROM_IT] = from[0];
    }
    if (error == 0)
        return true;
    shut(&t->fd[TO_IT]);
    shut(&t->fd[FROM_IT]);
    diag_error(cx->diags, NO_PLACE, "E0131", "cannot start the pass '%s': %s", argv[0],
               strerror(error));
    diag_help(cx->diags, "a script needs permission to run (chmod +x) and a first line like "
                         "'#!/usr/bin/env python3'; one in this folder is called ./NAME");
    return false;
}

/* As much as a pipe takes without waiting. A program that has stopped reading is no error. */
static void give(Talk *t)
{
    ssize_t n = write(t->fd[TO_IT], t->text, t->left < PIPE_BUF ? t->left : PIPE_BUF);
    if (n > 0) {
        t->text += n;
        t->left -= (size_t)n;
    }
    if (t->left == 0 || (n < 0 && errno != EINTR))
        shut(&t->fd[TO_IT]);
}

static void take(Talk *t)
{
    ssize_t n = read(t->fd[FROM_IT], t->answer + t->size, MAX_MODEL_FILE + 1 - t->size);
    if (n > 0)
        t->size += (size_t)n;
    else if (n == 0 || errno != EINTR)
        shut(&t->fd[FROM_IT]);
}

/* Until the program closes its output, prints too much or has had its time. */
static void talk(Talk *t)
{
    for (double left = 1; left > 0 && t->fd[FROM_IT] >= 0 && t->size <= MAX_MODEL_FILE; ) {
        struct pollfd ready[] = {{t->fd[TO_IT], POLLOUT, 0}, {t->fd[FROM_IT], POLLIN, 0}};
        left = t->end - clock_ms();
        if (left <= 0 || poll(ready, 2, (int)left + 1) <= 0)
            continue;
        if (ready[TO_IT].revents)
            give(t);
        if (ready[FROM_IT].revents)
            take(t);
    }
}

/* A program that does not read must not end us: SIGPIPE is held back in this thread and then taken
 * away, unless it was waiting before. */
static void talk_unharmed(Talk *t)
{
    const struct timespec now = {0, 0};
    sigset_t broken, before, waiting;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&waiting);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    talk(t);
    if (!sigismember(&waiting, SIGPIPE))
        sigtimedwait(&broken, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Has it ended, or does it in the time it has left? It stays to be waited for. */
static bool ends(const Talk *t)
{
    siginfo_t info = {.si_pid = 0};
    if (t->fd[FROM_IT] >= 0)
        return false;
    while (waitid(P_PID, (id_t)t->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0) {
        if (clock_ms() > t->end)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

/* The whole exchange; *status as of waitpid. Nothing is allocated meanwhile: running out of memory
 * would leave the program behind. false: it had to be stopped. */
static bool run_command(Cx *cx, Talk *t, int *status)
{
    talk_unharmed(t);
    shut(&t->fd[TO_IT]);
    bool ended = ends(t);
    shut(&t->fd[FROM_IT]);
    kill(-t->child, SIGKILL);
    while (waitpid(t->child, status, 0) < 0 && errno == EINTR)
        ;
    cx->child = 0;
    return ended;
}

static bool report(Cx *cx, const Talk *t, bool ended, int status)
{
    if (t->size > MAX_MODEL_FILE) {
        diag_error(cx->diags, NO_PLACE, "E0133", "the pass '%s' printed more than %zu MiB",
                   t->command, MAX_MODEL_FILE >> 20);
    } else if (!ended) {
        diag_error(cx->diags, NO_PLACE, "E0133", "the pass '%s' did not end within %d seconds",
                   t->command, MAX_SECONDS);
        diag_help(cx->diags, "it must read to the end of its input and then end, with all that "
                             "it has started");
    } else if (WIFSIGNALED(status)) {
        diag_error(cx->diags, NO_PLACE, "E0132", "the pass '%s' died of signal %d", t->command,
                   WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        diag_error(cx->diags, NO_PLACE, "E0132", "the pass '%s' failed with status %d",
                   t->command, WEXITSTATUS(status));
    } else if (t->size == 0) {
        diag_error(cx->diags, NO_PLACE, "E0134", "the pass '%s' printed nothing", t->command);
        diag_help(cx->diags, "it must print all that it reads, changed or not");
    } else if (memchr(t->answer, '\0', t->size)) {
        diag_error(cx->diags, NO_PLACE, "E0134", "the pass '%s' printed something else than text",
                   t->command);
    } else {
        return true;
    }
    return false;
}

/* What the program of the pass that runs makes of a text, in perm; NULL: reported. */
static const char *answer(PassCx *pc, const char *text)
{
    Cx *cx = pc->cx;
    int status = 0;
    Talk t = {.command = pc->pass->origin, .text = text, .left = strlen(text), .fd = {-1, -1}};
    t.answer = NEW_ARRAY(cx->temp, char, MAX_MODEL_FILE + 1);
    t.end = clock_ms() + 1e3 * MAX_SECONDS;
    if (!start(cx, &t))
        return NULL;
    bool ended = run_command(cx, &t, &status);
    return report(cx, &t, ended, status) ? arena_strndup(cx->perm, t.answer, t.size) : NULL;
}

static PassResult wrong_answer(PassCx *pc, const char *what, const char *help)
{
    if (what) {
        diag_error(pc->cx->diags, NO_PLACE, "E0134", "the pass '%s' changed %s", pc->pass->origin,
                   what);
        diag_help(pc->cx->diags, "%s", help);
    } else {
        diag_note(pc->cx->diags, NO_PLACE, "this is what the pass '%s' printed", pc->pass->origin);
    }
    return PASS_FAILED;
}

static bool same_tensors(Tensor *const *a, int n, Tensor *const *b, int m)
{
    for (int i = 0; i < n && n == m; i++)
        if (!str_eq(a[i]->name, b[i]->name) || !shape_equal(&a[i]->shape, &b[i]->shape))
            return false;
    return n == m;
}

PassResult command_on_graph(PassCx *pc, Graph *g)
{
    Cx *cx = pc->cx;
    uint64_t before = graph_hash(g);
    const char *text = answer(pc, graph_text(cx->temp, g));
    if (!text)
        return PASS_FAILED;
    const char *file = arena_printf(cx->perm, "<%s>", pc->pass->origin);
    Graph *found = model_parse(cx, file, text, strlen(text));
    if (!found)
        return wrong_answer(pc, NULL, NULL);
    if (!str_eq(g->name, found->name) ||
        !same_tensors(g->inputs, g->n_inputs, found->inputs, found->n_inputs) ||
        !same_tensors(g->outputs, g->n_outputs, found->outputs, found->n_outputs))
        return wrong_answer(pc, "the name, the inputs or the outputs of the network",
                            "a layer that makes an output keeps its name and shape");
    found->file = g->file;
    found->doc = g->doc;
    found->samples = g->samples;
    found->n_samples = g->n_samples;
    found->preprocess = g->preprocess;
    found->n_preprocess = g->n_preprocess;
    *g = *found;
    return graph_hash(g) == before ? PASS_UNCHANGED : PASS_CHANGED;
}

static bool same_buffers(Arena *a, const Kernel *x, const Kernel *y)
{
    for (int i = 0; i < x->n_buffers && x->n_buffers == y->n_buffers; i++)
        if (x->buffer[i]->kind != y->buffer[i]->kind ||
            !str_eq(buffer_text(a, x->buffer[i]), buffer_text(a, y->buffer[i])))
            return false;
    return x->n_buffers == y->n_buffers && x->physical == y->physical;
}

PassResult command_on_kernel(PassCx *pc, Kernel *k)
{
    Cx *cx = pc->cx;
    uint64_t before = kernel_hash(k);
    const char *text = answer(pc, kernel_text(cx->temp, k));
    if (!text)
        return PASS_FAILED;
    const char *file = arena_printf(cx->perm, "<%s on %s>", pc->pass->origin, k->name);
    const Kernel *found = kernel_parse(cx, file, text);
    if (!found)
        return wrong_answer(pc, NULL, NULL);
    if (!str_eq(k->name, found->name) || !same_buffers(cx->temp, k, found))
        return wrong_answer(pc, arena_printf(cx->temp, "the name or the buffers of kernel %s",
                                             k->name), "only what the kernel does is its own");
    for (int i = 0; i < k->n_buffers; i++) {
        *found->buffer[i] = *k->buffer[i];
        k->buffer[i] = found->buffer[i];
    }
    k->body = found->body;
    k->schedule = found->schedule;
    k->why = found->why;
    return kernel_hash(k) == before ? PASS_UNCHANGED : PASS_CHANGED;
}
