/* target: instruction sets as rows of data. A row has numbers (lanes, registers, ports, caches)
 * for the cost model, what its C needs (helpers, attribute), and for each instruction a C format
 * string. No intrinsic is named outside this folder.
 */
#ifndef NET2C_TARGET_H
#define NET2C_TARGET_H

#include "loop/loop.h"

/* The instructions; a format has the operands as $0..$3. */
#define INSTRUCTIONS(I) \
    I(LOAD)          /* $0 = address            -> vector (unaligned) */ \
    I(STORE)         /* $0 = address, $1 = vector */ \
    I(BCAST_LOAD)    /* $0 = address of a scalar; a row without it uses BCAST */ \
    I(LOAD_BF16)     /* $0 = address, of one element: itself -> f32, widened */ \
    I(BCAST)         /* $0 = scalar expression */ \
    I(CONST)         /* $0 = C constant, to all lanes */ \
    I(ADD) I(SUB) I(MUL) I(DIV) \
    I(MIN) I(MAX)           /* BIN_MIN, BIN_MAX of loop.h, NaN of either operand kept */ \
    I(MIN_NUM) I(MAX_NUM)   /* the same where $1 is no NaN (a constant): cheaper */ \
    I(FMA)           /* $0 * $1 + $2 */ \
    I(NEG) I(ABS) I(SQRT) I(ROUND) I(POW2I)     /* UnOp of loop.h */ \
    I(SELECT_LT) I(SELECT_LE) I(SELECT_EQ) I(SELECT_NE)     /* $0 cmp $1 ? $2 : $3 */ \
    I(EXTRACT)       /* lane $1 (a literal) of $0 */ \
    I(PREFETCH)      /* $0 = address, to the second-level cache; or nothing */

#define INS_ENUM(name) INS_##name,
typedef enum { INSTRUCTIONS(INS_ENUM) INS_COUNT } Ins;

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
    /* C text; NULL: none */
    const char *condition;         /* of the preprocessor, for compilers that know it */
    const char *attribute;         /* per-function attribute, e.g. target("avx512f,...") */
    const char *features;          /* "avx2,fma": what LLVM may use; NULL: what every CPU has */
    const char *vector_type;       /* C type of a full f32 vector */
    unsigned cpu;                  /* bits of n2c_cpu_features() that it needs */
    const char *cpu_name;          /* and their name in C */
    const char *helpers;           /* headers to include, static inline helper functions */
    const char *const *scalar[TYPE_I32 + 1];   /* formats by Ins, for elements of a ScalarType */
    const char *const *vector;                 /* and for full f32 vectors */
    const struct Row *base;        /* its helpers and formats serve too */
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
