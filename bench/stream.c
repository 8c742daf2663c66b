/* stream: how fast this core reads memory, as a yardstick for layers that are bound by their
 * weights. Sums 512 MiB once, in one or several streams side by side: GB/s.
 *
 * usage: stream [--streams=1|2|4] [--mib=512]      as fma_loop, see yardstick.h
 */
#include "yardstick.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef float Vector __attribute__((vector_size(32), aligned(32)));

static size_t bytes = (size_t)512 << 20;
static size_t streams = 1;
static const Vector *memory;
static volatile float sink;

/* 256 bits are wide enough to wait for memory; eight sums hide the adds. */
__attribute__((target("avx2"))) static float sum_streams(void)
{
    Vector sum[8] = {{0}};
    size_t length = bytes / sizeof(Vector) / streams;
    for (size_t i = 0; i + 8 <= length; i += 8)
        for (size_t s = 0; s < streams; s++) {
            const Vector *p = memory + s * length + i;
            sum[0] += p[0];
            sum[1] += p[1];
            sum[2] += p[2];
            sum[3] += p[3];
            sum[4] += p[4];
            sum[5] += p[5];
            sum[6] += p[6];
            sum[7] += p[7];
        }
    sum[0] += sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
    return sum[0][0] + sum[0][7];
}

static double measure(void)
{
    double start = now_seconds();
    sink = sum_streams();
    double seconds = now_seconds() - start;
    return (double)bytes / seconds * 1e-9;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--streams=", 10))
            streams = (size_t)strtoul(argv[i] + 10, NULL, 10);
        if (!strncmp(argv[i], "--mib=", 6))
            bytes = (size_t)strtoul(argv[i] + 6, NULL, 10) << 20;
    }
    if (streams < 1 || streams > 4 || bytes < 4096) {
        fprintf(stderr, "usage: stream [--streams=1..4] [--mib=SIZE] [--rounds=N]\n");
        return 2;
    }
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        perror("stream");
        return 1;
    }
    memset(map, 0x3c, bytes);       /* every page its own: the zero page would stay in cache */
    memory = map;
    return yardstick_main(argc, argv, "GB/s", measure);
}
