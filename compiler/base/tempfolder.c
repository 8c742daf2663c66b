/* tempfolder: private folders below TMPDIR that never stay behind.
 *
 *     static const char *const names[] = {"net.so", "log", NULL};
 *     TempFolder *f = folder_make(cx, names);      its path: $TMPDIR/net2c.Xy12ab
 *     folder_remove(f);
 *
 * What may lie in it is said beforehand: then removing it needs no memory and no library, and a
 * signal's handler can do it. cx_delete removes what is left, also when memory has run out.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TempFolder *folder_make(Cx *cx, const char *const *names)
{
    const char *base = getenv("TMPDIR");
    TempFolder *f = NEW(cx->perm, TempFolder);
    char *path = arena_printf(cx->perm, "%s/net2c.XXXXXX", base && *base ? base : "/tmp");
    *f = (TempFolder){cx, cx->folders, path, names};
    if (mkdtemp(path)) {
        cx->folders = f;
        return f;
    }
    diag_error(cx->diags, NO_PLACE, "E0111", "cannot make the temporary folder '%s': %s", path,
               strerror(errno));
    diag_help(cx->diags, "set TMPDIR to a folder with room for the weights");
    return NULL;
}

/* Calls nothing that a signal's handler must not. */
static void remove_all(const TempFolder *f)
{
    int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && f->names[i]; i++)
        unlinkat(fd, f->names[i], 0);
    if (fd >= 0)
        close(fd);
    rmdir(f->path);
}

void folder_remove(TempFolder *f)
{
    TempFolder **link = &f->cx->folders;
    while (*link != f)
        link = &(*link)->next;
    remove_all(f);
    *link = f->next;
}

void cx_interrupt(const Cx *cx)
{
    if (cx->child > 0) {
        kill(-(pid_t)cx->child, SIGTERM);
        waitpid((pid_t)cx->child, NULL, 0);
    }
    out_unlink_all(cx);
    for (const TempFolder *f = cx->folders; f; f = f->next)
        remove_all(f);
}
