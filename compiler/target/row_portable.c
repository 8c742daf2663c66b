/* row_portable.c: GNU vectors of 4 floats, which gcc and clang turn into whatever the processor has
 * (SSE2, NEON, ...) or into scalars. No intrinsic, so it runs on every processor.
 *
 * Comparisons give -1 or 0 in each lane of an integer vector; choosing is and, andnot, or.
 * A multiply-add rounds twice. The numbers are those of a modest core.
 */
#include "target/target.h"

/* The scalar row's function on every lane. */
#define EACH_LANE(f) \
    "N2C_INLINE n2c_f32x4 n2c_" f "_f32x4(n2c_f32x4 x)\n" \
    "{\n" \
    "    const n2c_f32x4 v = {n2c_" f "_f32(x[0]), n2c_" f "_f32(x[1]), n2c_" f "_f32(x[2]),\n" \
    "        n2c_" f "_f32(x[3])};\n" \
    "    return v;\n" \
    "}\n"

static const char helpers[] =
    "typedef float n2c_f32x4 __attribute__((vector_size(16)));\n"
    "typedef int32_t n2c_i32x4 __attribute__((vector_size(16)));\n"
    "typedef uint32_t n2c_u32x4 __attribute__((vector_size(16)));\n"
    "typedef float n2c_f32x4_any __attribute__((vector_size(16), aligned(4), may_alias));\n"
    "N2C_INLINE n2c_f32x4 n2c_load_f32x4(const float *p) { return *(const n2c_f32x4_any *)p; }\n"
    "N2C_INLINE void n2c_store_f32x4(float *p, n2c_f32x4 v) { *(n2c_f32x4_any *)p = v; }\n"
    "N2C_INLINE n2c_f32x4 n2c_load_bf16x4(const uint16_t *p)\n"
    "{\n"
    "    const n2c_u32x4 upper = {p[0], p[1], p[2], p[3]};\n"
    "    return (n2c_f32x4)(upper << 16);\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_bcast_f32x4(float x)\n"
    "{\n"
    "    const n2c_f32x4 v = {x, x, x, x};\n"
    "    return v;\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_choose_f32x4(n2c_i32x4 mask, n2c_f32x4 x, n2c_f32x4 y)\n"
    "{\n"
    "    return (n2c_f32x4)((mask & (n2c_i32x4)x) | (~mask & (n2c_i32x4)y));\n"
    "}\n"
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n"
    "N2C_INLINE n2c_f32x4 n2c_max_f32x4(n2c_f32x4 a, n2c_f32x4 b)\n"
    "{\n"
    "    return n2c_choose_f32x4((n2c_i32x4)(b > a) | (n2c_i32x4)(b != b), b, a);\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_min_f32x4(n2c_f32x4 a, n2c_f32x4 b)\n"
    "{\n"
    "    return n2c_choose_f32x4((n2c_i32x4)(b < a) | (n2c_i32x4)(b != b), b, a);\n"
    "}\n"
    EACH_LANE("sqrt") EACH_LANE("round") EACH_LANE("pow2i")
    "N2C_INLINE n2c_f32x4 n2c_signs_f32x4(void) { return n2c_bcast_f32x4(-0.0f); }\n";

#define SELECT(sign) "n2c_choose_f32x4((n2c_i32x4)($0 " sign " $1), $2, $3)"

static const char *const vector[INS_COUNT] = {
    [INS_LOAD] = "n2c_load_f32x4($0)",
    [INS_STORE] = "n2c_store_f32x4($0, $1)",
    [INS_LOAD_BF16] = "n2c_load_bf16x4($0)",
    [INS_BCAST] = "n2c_bcast_f32x4($0)",
    [INS_CONST] = "n2c_bcast_f32x4($0)",
    [INS_ADD] = "($0 + $1)",
    [INS_SUB] = "($0 - $1)",
    [INS_MUL] = "($0 * $1)",
    [INS_DIV] = "($0 / $1)",
    [INS_MIN] = "n2c_min_f32x4($0, $1)",
    [INS_MAX] = "n2c_max_f32x4($0, $1)",
    [INS_MIN_NUM] = "n2c_min_f32x4($0, $1)",
    [INS_MAX_NUM] = "n2c_max_f32x4($0, $1)",
    [INS_FMA] = "($0 * $1 + $2)",
    [INS_NEG] = "(n2c_f32x4)((n2c_i32x4)$0 ^ (n2c_i32x4)n2c_signs_f32x4())",
    [INS_ABS] = "(n2c_f32x4)((n2c_i32x4)$0 & ~(n2c_i32x4)n2c_signs_f32x4())",
    [INS_SQRT] = "n2c_sqrt_f32x4($0)",
    [INS_ROUND] = "n2c_round_f32x4($0)",
    [INS_POW2I] = "n2c_pow2i_f32x4($0)",
    [INS_SELECT_LT] = SELECT("<"),
    [INS_SELECT_LE] = SELECT("<="),
    [INS_SELECT_EQ] = SELECT("=="),
    [INS_SELECT_NE] = SELECT("!="),
    [INS_EXTRACT] = "($0)[$1]",
};

static const char *const scalar[INS_COUNT] = {
    [INS_PREFETCH] = "__builtin_prefetch($0, 0, 2)",
};

const Row row_portable = {
    .name = "portable",
    .summary = "any processor: GNU vectors of 4 floats, gcc and clang",
    .lanes = 4,
    .registers = 16,
    .fma_issue = 1,
    .loads = 2,
    .fma_latency = 8,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 512 * 1024,
    .l2_bytes_per_cycle = 16,
    .memory_bytes_per_cycle = 4,
    .condition = "defined(__GNUC__)",
    .vector_type = "n2c_f32x4",
    .helpers = helpers,
    .scalar = {[TYPE_F32] = scalar},
    .vector = vector,
    .base = &row_scalar,
};
