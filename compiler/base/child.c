/* child: a program that works for us, in a process group of its own: so all of it can be ended.
 *
 *     error = child_start(cx, argv, (const int[]){-1, log, log});     its output goes to log
 *     waitpid((pid_t)cx->child, &status, 0);
 *     cx->child = 0;
 *
 * contract: a signal that comes while the program is started comes before it is there or once
 * cx_interrupt knows of it: signals are held back in between, in this thread.
 */
#include "base/base.h"

#include <spawn.h>

extern char **environ;

int child_start(Cx *cx, const char *const argv[], const int fd[3])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, before;
    pid_t child;
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    for (int i = 0; i < 3 && error == 0; i++)
        if (fd[i] >= 0)
            error = posix_spawn_file_actions_adddup2(&files, fd[i], i);
    if (error == 0)
        error = posix_spawnattr_init(&how);
    if (error == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigmask(&how, &before);
        error = posix_spawnp(&child, argv[0], &files, &how, (char *const *)argv, environ);
        if (error == 0)
            cx->child = child;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}
