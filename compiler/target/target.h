/* target: instruction sets as rows of data. A row has numbers (lanes, registers, ports, caches)
 * for the cost model, what its C needs (headers, attribute), and instructions: each with its
 * meaning as loop-IR text and a C format string. No intrinsic is named outside this folder.
 */
#ifndef NET2C_TARGET_H
#define NET2C_TARGET_H

#include "loop/loop.h"

typedef enum {
    INS_LOAD,        /* $0 = address            -> vector (unaligned) */
    INS_STORE,       /* $0 = address, $1 = vector */
    INS_BCAST_LOAD,  /* $0 = address of a scalar; a row without it uses INS_BCAST */
    INS_BCAST,       /* $0 = scalar expression */
    INS_CONST,       /* $0 = C constant, to all lanes */
    INS_ADD, INS_SUB, INS_MUL, INS_DIV,
    INS_MIN, INS_MAX,           /* BIN_MIN, BIN_MAX of loop.h, NaN of either operand kept */
    INS_MIN_NUM, INS_MAX_NUM,   /* the same where $1 is known not to be NaN (a constant): cheaper */
    INS_FMA,         /* $0 * $1 + $2 */
    INS_NEG, INS_ABS, INS_SQRT, INS_ROUND, INS_POW2I,
    INS_SELECT_LT, INS_SELECT_LE, INS_SELECT_EQ, INS_SELECT_NE,   /* $0 cmp $1 ? $2 : $3 */
    INS_EXTRACT,     /* lane $1 (a literal) of $0 */
    INS_COUNT
} Ins;

typedef struct Instr {
    Ins ins;
    ScalarType type;
    int lanes;
    const char *format;            /* C expression or statement, $0..$3 are the operands */
    const char *meaning;           /* one loop-IR-like line: "d[l] = fma(a[l], b[l], c[l])" */
} Instr;

typedef struct Row {
    const char *name;              /* as on the command line: "avx512" */
    const char *summary;
    int lanes;                     /* f32 lanes of a vector register; 1: scalar */
    int registers;                 /* vector registers */
    bool has_fma;
    /* numbers of the cost model: per cycle */
    double fma_issue;              /* vector FMAs started */
    double loads;                  /* vector or broadcast loads */
    int fma_latency;               /* cycles */
    int64_t l1_bytes, l2_bytes;
    double l2_bytes_per_cycle, memory_bytes_per_cycle;
    /* C text */
    const char *header;            /* "#include <immintrin.h>\n" or "" */
    const char *condition;         /* of the preprocessor, for compilers that know it, or "" */
    const char *attribute;         /* per-function attribute, e.g. target("avx512f,..."), or "" */
    const char *vector_type;       /* C type of a full f32 vector, or "" */
    unsigned cpu;                  /* bits of n2c_cpu_features() that it needs */
    const char *cpu_name;          /* and their name in C, or "" for none */
    const char *helpers;           /* static inline helper functions in C, or "" */
    const Instr *instr;            /* ends with format NULL */
    const struct Row *base;        /* its helpers and instructions serve too, or NULL */
} Row;

extern const Row row_scalar, row_avx512, row_avx2, row_sse4, row_portable;

const Row *row_find(const char *name);        /* NULL if unknown */
int row_count(void);
const Row *row_at(int i);
/* The format of an instruction for a type, or NULL if the row lacks it. Scalars (lanes 1) are in
 * the table of every row too, so that the emitter never writes an operator's C by itself. */
const char *row_format(const Row *r, Ins ins, Type t);
const char *ins_name(Ins ins);                /* "fma", "bcast_load" */
const char *row_type(const Row *r, Type t);   /* C type name: "float", "__m512" ... */

#endif
