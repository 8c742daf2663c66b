/* net2c_rt.h: what generated code and its caller share. C99 and C++.
 *
 * Everything generated code needs is in this header; runtime/ adds optional helpers (status text,
 * mapping a weights file). Nothing here allocates except where it says so.
 */
#ifndef NET2C_RT_H
#define NET2C_RT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define N2C_INLINE static inline __attribute__((unused))
#define N2C_ALIGNED(n) __attribute__((aligned(n)))
#else
#define N2C_INLINE static inline
#define N2C_ALIGNED(n)
#endif

typedef enum n2c_status {
    N2C_OK = 0,
    N2C_BAD_ARGUMENT,       /* a NULL or misaligned pointer, or a batch of 0 */
    N2C_BAD_MAGIC,          /* not a weights blob */
    N2C_BAD_VERSION,        /* blob of another format version */
    N2C_BAD_ENDIAN,         /* blob of the other byte order */
    N2C_BAD_SIZE,           /* truncated or extended blob */
    N2C_BAD_ALIGN,          /* weights not aligned to 64 bytes */
    N2C_WRONG_MODEL,        /* blob packed for another model or by other options */
    N2C_BAD_HEADER,         /* header or table changed */
    N2C_BAD_CHECKSUM,       /* body changed (found by check) */
    N2C_NO_CPU,             /* this CPU has none of the instruction sets in the file */
    N2C_CANCELLED,          /* on_step asked to stop */
    N2C_IO_ERROR            /* runtime helpers only: errno tells */
} n2c_status;

/* phases of on_step */
enum { N2C_STEP_BEGIN = 0, N2C_STEP_END = 1 };

/* How run executes. NULL instead of it: this thread, no hooks. */
typedef struct n2c_exec {
    /* Calls task(ctx, i) for every i < n, on any threads, and returns when all are done.
     * NULL: serial. */
    void (*parallel_for)(void *pool, size_t n, void (*task)(void *ctx, size_t i), void *ctx);
    void *pool;
    unsigned threads;       /* how many at once at most; 0 or 1: serial */
    /* Called before and after each step; at the end with the step's output in its internal
     * layout. A non-zero return cancels the run. NULL: none. */
    int (*on_step)(void *user, unsigned step, int phase, const void *data, size_t bytes);
    void *user;
} n2c_exec;

typedef struct n2c_tensor_info {
    const char *name;
    unsigned rank;          /* batch axis included */
    uint32_t dim[6];        /* dim[0] is 1: one item */
} n2c_tensor_info;

typedef struct n2c_step_info {
    const char *name;       /* kernel */
    const char *origin;     /* model line and layers */
    double flops;           /* an item */
    double weight_bytes;
} n2c_step_info;

typedef struct n2c_info {
    const char *name, *compiler;
    unsigned n_inputs, n_outputs, n_steps;
    const n2c_tensor_info *inputs, *outputs;
    const n2c_step_info *steps;
    size_t weights_bytes, arena_bytes;
} n2c_info;

/* ---- the weights blob, little-endian: header, table, then the body on a page boundary ---- */
#define N2C_BLOB_VERSION 1u
#define N2C_BLOB_ENDIAN 0x01020304u

typedef struct n2c_blob_header {          /* 64 bytes */
    char magic[8];                        /* N2C_BLOB_MAGIC */
    uint32_t version, endian;
    uint64_t model_hash, total_bytes, body_offset, body_hash;
    uint64_t table_hash;                  /* of the table, continued over this header with 0 here */
    uint32_t n_tensors, reserved;
} n2c_blob_header;
#define N2C_BLOB_MAGIC "NET2CW\r\n"

typedef struct n2c_blob_entry {           /* the table: one a tensor, in the order of the body */
    uint64_t offset, bytes;               /* in the body */
    uint64_t name_hash;                   /* FNV-1a of the tensor's name in the module */
    uint64_t reserved;
} n2c_blob_entry;

/* Four interleaved FNV-1a hashes over 64-bit words, so that multiplications overlap: word i goes
 * to hash i % 4. A stream is hashed in pieces of a multiple of 32 bytes. */
typedef struct n2c_hash {
    uint64_t lane[4];
} n2c_hash;

N2C_INLINE n2c_hash n2c_hash_start(void)
{
    const uint64_t seed = UINT64_C(14695981039346656037);
    n2c_hash h;
    h.lane[0] = seed;
    h.lane[1] = seed + 1;
    h.lane[2] = seed + 2;
    h.lane[3] = seed + 3;
    return h;
}

/* data: 8-byte aligned; bytes: a multiple of 32. */
N2C_INLINE n2c_hash n2c_hash_add(n2c_hash h, const void *data, size_t bytes)
{
    const uint64_t prime = UINT64_C(1099511628211);
    const uint64_t *p = (const uint64_t *)data;
    size_t i;
    for (i = 0; i + 4 <= bytes / 8; i += 4) {
        h.lane[0] = (h.lane[0] ^ p[i]) * prime;
        h.lane[1] = (h.lane[1] ^ p[i + 1]) * prime;
        h.lane[2] = (h.lane[2] ^ p[i + 2]) * prime;
        h.lane[3] = (h.lane[3] ^ p[i + 3]) * prime;
    }
    return h;
}

N2C_INLINE uint64_t n2c_hash_end(n2c_hash h)
{
    const uint64_t prime = UINT64_C(1099511628211);
    uint64_t all = h.lane[0];
    all = (all ^ h.lane[1]) * prime;
    all = (all ^ h.lane[2]) * prime;
    all = (all ^ h.lane[3]) * prime;
    return all ^ (all >> 32);
}

/* The header and table of a blob, hashed with table_hash taken as 0. */
N2C_INLINE uint64_t n2c_table_hash(const n2c_blob_header *header, const n2c_blob_entry *table)
{
    n2c_hash h = n2c_hash_start();
    n2c_blob_header copy = *header;
    copy.table_hash = 0;
    h = n2c_hash_add(h, table, header->n_tensors * sizeof *table);
    return n2c_hash_end(n2c_hash_add(h, &copy, sizeof copy));
}

/* What bind does with a blob: N2C_OK, or what is wrong with it. Reads header and table only. */
N2C_INLINE n2c_status n2c_blob_verify(const void *weights, size_t bytes, uint64_t model_hash)
{
    const n2c_blob_header *h = (const n2c_blob_header *)weights;
    const n2c_blob_entry *table = (const n2c_blob_entry *)(h + 1);
    const char magic[] = N2C_BLOB_MAGIC;
    size_t i;
    if (!weights)
        return N2C_BAD_ARGUMENT;
    if ((uintptr_t)weights % 64 != 0)
        return N2C_BAD_ALIGN;
    if (bytes < sizeof *h)
        return N2C_BAD_SIZE;
    for (i = 0; i < sizeof h->magic; i++)
        if (h->magic[i] != magic[i])
            return N2C_BAD_MAGIC;
    if (h->endian != N2C_BLOB_ENDIAN)
        return N2C_BAD_ENDIAN;
    if (h->version != N2C_BLOB_VERSION)
        return N2C_BAD_VERSION;
    if (h->total_bytes != bytes)
        return N2C_BAD_SIZE;
    if (h->body_offset > bytes || h->body_offset < sizeof *h + sizeof *table * h->n_tensors)
        return N2C_BAD_HEADER;
    if (h->table_hash != n2c_table_hash(h, table))
        return N2C_BAD_HEADER;
    return h->model_hash == model_hash ? N2C_OK : N2C_WRONG_MODEL;
}

/* What check does: reads the whole body of a blob that n2c_blob_verify has accepted. */
N2C_INLINE n2c_status n2c_blob_check(const void *weights)
{
    const n2c_blob_header *h = (const n2c_blob_header *)weights;
    const char *body = (const char *)weights + h->body_offset;
    const n2c_hash hash = n2c_hash_add(n2c_hash_start(), body,
                                       (size_t)(h->total_bytes - h->body_offset));
    return n2c_hash_end(hash) == h->body_hash ? N2C_OK : N2C_BAD_CHECKSUM;
}

/* Calls on_step, if there is one. */
N2C_INLINE int n2c_step(const n2c_exec *exec, unsigned step, int phase, const void *data,
                        size_t bytes)
{
    return exec && exec->on_step ? exec->on_step(exec->user, step, phase, data, bytes) : 0;
}

/* Runs task(ctx, i) for every i < n, in parallel if exec says so. */
N2C_INLINE void n2c_for(const n2c_exec *exec, size_t n, void (*task)(void *ctx, size_t i),
                        void *ctx)
{
    size_t i;
    if (exec && exec->parallel_for && exec->threads > 1)
        exec->parallel_for(exec->pool, n, task, ctx);
    else
        for (i = 0; i < n; i++)
            task(ctx, i);
}

/* ---- what this CPU and its operating system can do ---------------------------------------- */
enum {
    N2C_CPU_AVX2 = 1,       /* AVX2 and FMA */
    N2C_CPU_AVX512 = 2,     /* AVX-512 F, DQ, BW and VL */
    N2C_CPU_SSE4 = 4        /* SSE4.2 and what is below it */
};

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define N2C_X86_64 1
#endif

#ifdef N2C_X86_64
N2C_INLINE void n2c_cpuid(uint32_t leaf, uint32_t reg[4])
{
    __asm__ volatile("cpuid" : "=a"(reg[0]), "=b"(reg[1]), "=c"(reg[2]), "=d"(reg[3])
                     : "a"(leaf), "c"(0));
}

/* AVX needs the system's help: XGETBV tells which registers it saves. */
N2C_INLINE unsigned n2c_cpu_features(void)
{
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    uint32_t one[4], seven[4], saved, high;
    unsigned features = 0;
    n2c_cpuid(0, one);
    if (one[0] < 7)
        return 0;
    n2c_cpuid(1, one);
    n2c_cpuid(7, seven);
    if (one[2] & 1u << 20)
        features |= N2C_CPU_SSE4;
    if (!(one[2] & 1u << 27))
        return features;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 6) == 6 && (one[2] & 1u << 12) && (seven[1] & 1u << 5))
        features |= N2C_CPU_AVX2;
    if ((features & N2C_CPU_AVX2) && (saved & 0xe6) == 0xe6 && (seven[1] & avx512) == avx512)
        features |= N2C_CPU_AVX512;
    return features;
}
#else
N2C_INLINE unsigned n2c_cpu_features(void)
{
    return 0;
}
#endif

/* ---- optional helpers, in libnet2c_rt ---- */
const char *n2c_status_text(n2c_status s);
/* Map a weights file read-only, aligned to a page. *data is NULL on failure. */
n2c_status n2c_map_weights(const char *path, const void **data, size_t *bytes);
void n2c_unmap_weights(const void *data, size_t bytes);
void *n2c_aligned_alloc(size_t bytes);    /* 64-byte aligned; n2c_aligned_free */
void n2c_aligned_free(void *p);

/* Threads. threads 0: as many as this process may run on, the caller included. NULL: no memory. */
typedef struct n2c_pool n2c_pool;
n2c_pool *n2c_pool_create(unsigned threads);
void n2c_pool_destroy(n2c_pool *pool);
n2c_exec n2c_pool_exec(n2c_pool *pool);   /* for runs with it, one at a time; hooks can be added */
void n2c_pool_parallel_for(void *pool, size_t n, void (*task)(void *ctx, size_t i), void *ctx);

#ifdef __cplusplus
}
#endif

#endif
