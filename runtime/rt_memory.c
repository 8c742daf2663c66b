/* rt_memory.c: mapping a weights file, and memory aligned for generated code.
 *
 * POSIX only. A mapping is read-only and shared: several processes use the same pages.
 */
#define _POSIX_C_SOURCE 200809L
#include "net2c_rt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static n2c_status map_file(int fd, const void **data, size_t *bytes)
{
    struct stat info;
    void *p;
    if (fstat(fd, &info) != 0)
        return N2C_IO_ERROR;
    if (!S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return N2C_IO_ERROR;
    }
    if (info.st_size <= 0 || (uintmax_t)info.st_size > SIZE_MAX)
        return N2C_BAD_SIZE;
    p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return N2C_IO_ERROR;
    *data = p;
    *bytes = (size_t)info.st_size;
    return N2C_OK;
}

n2c_status n2c_map_weights(const char *path, const void **data, size_t *bytes)
{
    n2c_status status;
    int fd, error;
    if (!path || !data || !bytes)
        return N2C_BAD_ARGUMENT;
    *data = NULL;
    *bytes = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return N2C_IO_ERROR;
    status = map_file(fd, data, bytes);
    error = errno;
    close(fd);
    errno = error;
    return status;
}

void n2c_unmap_weights(const void *data, size_t bytes)
{
    if (data)
        munmap((void *)(uintptr_t)data, bytes);
}

void *n2c_aligned_alloc(size_t bytes)
{
    void *p = NULL;
    return posix_memalign(&p, 64, bytes ? bytes : 64) == 0 ? p : NULL;
}

void n2c_aligned_free(void *p)
{
    free(p);
}
