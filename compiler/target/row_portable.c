/* row_portable.c: GNU vectors of 4 floats, which gcc and clang turn into whatever the processor has
 * (SSE2, NEON, ...) or into scalars. No intrinsic, so it runs on every processor.
 *
 * Comparisons give -1 or 0 in each lane of an integer vector; choosing is and, andnot, or.
 * A multiply-add rounds twice. The numbers are those of a modest core.
 */
#include "target/target.h"

static const char helpers[] =
    "typedef float n2c_f32x4 __attribute__((vector_size(16)));\n"
    "typedef int32_t n2c_i32x4 __attribute__((vector_size(16)));\n"
    "typedef float n2c_f32x4_any __attribute__((vector_size(16), aligned(4), may_alias));\n"
    "N2C_INLINE n2c_f32x4 n2c_load_f32x4(const float *p) { return *(const n2c_f32x4_any *)p; }\n"
    "N2C_INLINE void n2c_store_f32x4(float *p, n2c_f32x4 v) { *(n2c_f32x4_any *)p = v; }\n"
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
    "N2C_INLINE n2c_f32x4 n2c_sqrt_f32x4(n2c_f32x4 x)\n"
    "{\n"
    "    const n2c_f32x4 v = {n2c_sqrt_f32(x[0]), n2c_sqrt_f32(x[1]), n2c_sqrt_f32(x[2]),\n"
    "        n2c_sqrt_f32(x[3])};\n"
    "    return v;\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_round_f32x4(n2c_f32x4 x)\n"
    "{\n"
    "    const n2c_f32x4 v = {n2c_round_f32(x[0]), n2c_round_f32(x[1]), n2c_round_f32(x[2]),\n"
    "        n2c_round_f32(x[3])};\n"
    "    return v;\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_pow2i_f32x4(n2c_f32x4 x)\n"
    "{\n"
    "    const n2c_f32x4 v = {n2c_pow2i_f32(x[0]), n2c_pow2i_f32(x[1]), n2c_pow2i_f32(x[2]),\n"
    "        n2c_pow2i_f32(x[3])};\n"
    "    return v;\n"
    "}\n"
    "N2C_INLINE n2c_f32x4 n2c_signs_f32x4(void) { return n2c_bcast_f32x4(-0.0f); }\n";

#define V TYPE_F32, 4
#define SELECT(ins, sign) \
    {ins, V, "n2c_choose_f32x4((n2c_i32x4)($0 " sign " $1), $2, $3)", \
     "d[l] = a[l] " sign " b[l] ? x[l] : y[l]"}

static const Instr instr[] = {
    {INS_LOAD, V, "n2c_load_f32x4($0)", "d[l] = a[l]"},
    {INS_STORE, V, "n2c_store_f32x4($0, $1)", "a[l] = b[l]"},
    {INS_BCAST, V, "n2c_bcast_f32x4($0)", "d[l] = a"},
    {INS_CONST, V, "n2c_bcast_f32x4($0)", "d[l] = c"},
    {INS_ADD, V, "($0 + $1)", "d[l] = a[l] + b[l]"},
    {INS_SUB, V, "($0 - $1)", "d[l] = a[l] - b[l]"},
    {INS_MUL, V, "($0 * $1)", "d[l] = a[l] * b[l]"},
    {INS_DIV, V, "($0 / $1)", "d[l] = a[l] / b[l]"},
    {INS_MIN, V, "n2c_min_f32x4($0, $1)", "d[l] = min(a[l], b[l])"},
    {INS_MAX, V, "n2c_max_f32x4($0, $1)", "d[l] = max(a[l], b[l])"},
    {INS_MIN_NUM, V, "n2c_min_f32x4($0, $1)", "d[l] = min(a[l], b[l])"},
    {INS_MAX_NUM, V, "n2c_max_f32x4($0, $1)", "d[l] = max(a[l], b[l])"},
    {INS_FMA, V, "($0 * $1 + $2)", "d[l] = fma(a[l], b[l], c[l])"},
    {INS_NEG, V, "(n2c_f32x4)((n2c_i32x4)$0 ^ (n2c_i32x4)n2c_signs_f32x4())", "d[l] = -a[l]"},
    {INS_ABS, V, "(n2c_f32x4)((n2c_i32x4)$0 & ~(n2c_i32x4)n2c_signs_f32x4())",
     "d[l] = abs(a[l])"},
    {INS_SQRT, V, "n2c_sqrt_f32x4($0)", "d[l] = sqrt(a[l])"},
    {INS_ROUND, V, "n2c_round_f32x4($0)", "d[l] = round(a[l])"},
    {INS_POW2I, V, "n2c_pow2i_f32x4($0)", "d[l] = pow2i(a[l])"},
    SELECT(INS_SELECT_LT, "<"),
    SELECT(INS_SELECT_LE, "<="),
    SELECT(INS_SELECT_EQ, "=="),
    SELECT(INS_SELECT_NE, "!="),
    {INS_EXTRACT, V, "($0)[$1]", "d = a[b]"},
    {INS_COUNT, TYPE_F32, 0, NULL, NULL},
};

const Row row_portable = {
    .name = "portable",
    .summary = "any processor: GNU vectors of 4 floats, gcc and clang",
    .lanes = 4,
    .registers = 16,
    .has_fma = false,
    .fma_issue = 1,
    .loads = 2,
    .fma_latency = 8,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 512 * 1024,
    .l2_bytes_per_cycle = 16,
    .memory_bytes_per_cycle = 4,
    .header = "",
    .condition = "defined(__GNUC__)",
    .attribute = "",
    .vector_type = "n2c_f32x4",
    .cpu = 0,
    .cpu_name = "",
    .helpers = helpers,
    .instr = instr,
    .base = &row_scalar,
};
