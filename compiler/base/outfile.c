/* outfile: output files that appear whole or not at all.
 *
 *     OutFile *f = out_open(cx, "net_gen.c");
 *     out_write(f, text, n);
 *     out_commit(f);
 *
 * Bytes go to a temporary file in the target's folder; commit flushes, syncs, closes and renames
 * it, and any failure on the way leaves the target untouched and removes the temporary file.
 * Existing devices and pipes (/dev/stdout) are written to directly. The first failure is
 * reported; later calls on the same file return false in silence.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)64 << 10)
#define NAME_TRIES 1000

struct OutFile {
    Cx *cx;
    OutFile *next;                 /* in cx->open_files */
    const char *path;              /* the target, symbolic links resolved */
    const char *temp;              /* NULL: straight to a device, or renamed already */
    int fd;                        /* -1: closed already */
    bool failed;
    uint8_t *memory;               /* instead of fd: of `room` bytes, `size` are written */
    size_t room, size;
    size_t filled;                 /* bytes in buffer */
    uint8_t buffer[BUFFER_SIZE];
};

static bool fail(OutFile *f, const char *verb)
{
    int error = errno;
    if (!f->failed)
        file_error(f->cx, "E0105", verb, f->path, error);
    f->failed = true;
    return false;
}

/* Replacing a symbolic link by a file would surprise: write to what it points at. */
static const char *resolve(Arena *a, const char *path)
{
    char real[PATH_MAX];
    return arena_strdup(a, realpath(path, real) == NULL ? path : real);
}

/* Creates path.N.tmp with the usual permissions; NULL with errno when that fails. */
static void open_temp(OutFile *f)
{
    for (int try = 0; try < NAME_TRIES; try++) {
        f->temp = arena_printf(f->cx->perm, "%s.%ld.%d.tmp", f->path, (long)getpid(), try);
        f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return;
        f->temp = NULL;                /* somebody else's */
        if (errno != EEXIST)
            return;
    }
}

OutFile *out_open(Cx *cx, const char *path)
{
    OutFile *f = NEW(cx->perm, OutFile);
    f->cx = cx;
    f->path = resolve(cx->perm, path);
    f->fd = -1;
    struct stat st;
    bool special = stat(f->path, &st) == 0 && !S_ISREG(st.st_mode);
    if (special && S_ISDIR(st.st_mode)) {
        file_error(cx, "E0105", "write", path, EISDIR);
        return NULL;
    }
    /* In the list before it is there, for whoever a signal tells to remove it. */
    f->next = cx->open_files;
    cx->open_files = f;
    if (special)
        f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
    else
        open_temp(f);
    if (f->fd >= 0)
        return f;
    cx->open_files = f->next;
    file_error(cx, "E0105", "create", path, errno);
    return NULL;
}

static bool write_memory(OutFile *f, size_t at, const void *data, size_t n)
{
    if (at > f->room || n > f->room - at) {
        errno = ENOSPC;
        return fail(f, "write");
    }
    if (n > 0)
        memcpy(f->memory + at, data, n);
    if (at + n > f->size)
        f->size = at + n;
    return true;
}

/* At `offset` of the file, or behind what was written last if that is negative. */
static bool write_fully(OutFile *f, off_t offset, const void *data, size_t n)
{
    const char *p = data;
    if (f->memory != NULL)
        return write_memory(f, offset < 0 ? f->size : (size_t)offset, data, n);
    while (n > 0) {
        ssize_t w = offset < 0 ? write(f->fd, p, n) : pwrite(f->fd, p, n, offset);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return fail(f, "write");
        p += w;
        n -= (size_t)w;
        offset += offset < 0 ? 0 : w;
    }
    return true;
}

static bool flush(OutFile *f)
{
    size_t n = f->filled;
    f->filled = 0;
    return !f->failed && write_fully(f, -1, f->buffer, n);
}

bool out_write(OutFile *f, const void *data, size_t n)
{
    if (f->failed)
        return false;
    if (n > BUFFER_SIZE - f->filled && !flush(f))
        return false;
    if (n >= BUFFER_SIZE)
        return write_fully(f, -1, data, n);
    if (n > 0)
        memcpy(f->buffer + f->filled, data, n);
    f->filled += n;
    return true;
}

bool out_write_at(OutFile *f, uint64_t offset, const void *data, size_t n)
{
    return flush(f) && write_fully(f, (off_t)offset, data, n);
}

const char *out_written(OutFile *f)
{
    return flush(f) ? f->temp ? f->temp : f->path : NULL;
}

/* The rename itself must survive a power cut too. Not every file system can sync a folder. */
static void sync_folder(const char *path, Arena *a)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    const char *folder = n == 0 ? "." : arena_strndup(a, path, n);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool out_commit(OutFile *f)
{
    Cx *cx = f->cx;
    flush(f);
    if (f->temp != NULL && !f->failed && fsync(f->fd) != 0)
        fail(f, "write");
    int fd = f->fd;
    f->fd = -1;
    if (close(fd) != 0)
        fail(f, "write");
    if (f->temp != NULL && !f->failed && rename(f->temp, f->path) != 0)
        fail(f, "replace");
    bool renamed = f->temp != NULL && !f->failed;
    if (renamed)
        f->temp = NULL;
    out_discard(f);
    if (renamed)
        sync_folder(f->path, cx->perm);
    return !f->failed;
}

void out_discard(OutFile *f)
{
    OutFile **link = &f->cx->open_files;
    while (*link != f)
        link = &(*link)->next;
    *link = f->next;
    if (f->fd >= 0)
        close(f->fd);
    if (f->temp != NULL)
        unlink(f->temp);
}

void out_unlink_all(const Cx *cx)
{
    for (const OutFile *f = cx->open_files; f != NULL; f = f->next)
        if (f->temp != NULL)
            unlink(f->temp);
}

OutFile *out_memory(Cx *cx, size_t size)
{
    OutFile *f = NEW(cx->perm, OutFile);
    f->cx = cx;
    f->path = "memory";
    f->fd = -1;
    f->memory = arena_alloc_64(cx->perm, size);
    f->room = size;
    return f;
}

Bytes out_bytes(OutFile *f)
{
    flush(f);
    return (Bytes){f->memory, f->size};
}

bool file_write(Cx *cx, const char *path, const void *data, size_t n)
{
    OutFile *f = out_open(cx, path);
    if (f == NULL)
        return false;
    out_write(f, data, n);
    return out_commit(f);
}
