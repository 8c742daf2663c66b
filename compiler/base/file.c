/* file: reading files and mapping them.
 *
 * Only regular files and standard input ("-") are read, so that a model cannot make the compiler
 * wait on a pipe or drink from a device. Every failure names the file and the system's reason.
 * No descriptor is open while an arena allocates: an out-of-memory longjmp leaks nothing.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_error(Cx *cx, const char *code, const char *verb, const char *path, int error)
{
    return diag_error(cx->diags, NO_PLACE, code, "cannot %s '%s': %s", verb, path, strerror(error));
}

static bool too_large(Cx *cx, const char *path, size_t max)
{
    return diag_error(cx->diags, NO_PLACE, "E0103", "'%s' is larger than the limit of %zu bytes",
                      path, max);
}

/* Up to n bytes, fewer only at the end of the file; -1 with errno on failure. */
static ssize_t read_fully(int fd, void *buffer, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, (char *)buffer + got, n - got);
        if (r == 0)
            break;
        if (r > 0)
            got += (size_t)r;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)got;
}

static bool read_stdin(Cx *cx, size_t max, Bytes *out)
{
    enum { PIECE = 1 << 16 };
    char *data = NULL;
    size_t size = 0, cap = 0;
    for (;;) {
        data = arena_grow(cx->perm, data, size, size + PIECE, &cap, 1);
        ssize_t got = read_fully(STDIN_FILENO, data + size, PIECE);
        if (got < 0)
            return file_error(cx, "E0104", "read", "standard input", errno);
        size += (size_t)got;
        if (size > max)
            return too_large(cx, "standard input", max);
        if (got < PIECE)
            break;
    }
    *out = (Bytes){(const uint8_t *)data, size};
    return true;
}

/* The size of a regular file; reports anything else. */
static bool regular_size(Cx *cx, const char *path, size_t *size)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return file_error(cx, "E0101", "open", path, errno);
    if (!S_ISREG(st.st_mode))
        return diag_error(cx->diags, NO_PLACE, "E0102", "'%s' is %s, not a regular file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
    *size = (size_t)st.st_size;
    return true;
}

/* Opens what regular_size looked at; O_NONBLOCK in case it has become a pipe meanwhile. */
static int open_regular(Cx *cx, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        file_error(cx, "E0101", "open", path, errno);
    return fd;
}

bool file_read(Cx *cx, const char *path, size_t max, Bytes *out)
{
    size_t size;
    if (str_eq(path, "-"))
        return read_stdin(cx, max, out);
    if (!regular_size(cx, path, &size))
        return false;
    if (size > max)
        return too_large(cx, path, max);
    uint8_t *data = arena_alloc(cx->perm, size);
    int fd = open_regular(cx, path);
    if (fd < 0)
        return false;
    ssize_t got = read_fully(fd, data, size);
    int error = errno;
    close(fd);
    if (got < 0)
        return file_error(cx, "E0104", "read", path, error);
    *out = (Bytes){data, (size_t)got};
    return true;
}

bool file_map(Cx *cx, const char *path, Bytes *out)
{
    size_t size;
    if (!regular_size(cx, path, &size))
        return false;
    if (size == 0) {
        *out = (Bytes){(const uint8_t *)"", 0};
        return true;
    }
    int fd = open_regular(cx, path);
    if (fd < 0)
        return false;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (data == MAP_FAILED)
        return file_error(cx, "E0104", "map", path, error);
    *out = (Bytes){data, size};
    return true;
}

void file_forget(Bytes b, size_t offset, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (offset > b.size || size > b.size - offset)
        return;
    /* Only whole pages inside the range: a neighbour may still be in use. */
    uintptr_t first = ((uintptr_t)b.data + offset + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)b.data + offset + size) & ~(page - 1);
    if (first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

void file_unmap(Bytes b)
{
    if (b.size > 0)
        munmap((void *)(uintptr_t)b.data, b.size);
}
