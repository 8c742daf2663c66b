/* row_sse4.c: x86-64-v2, SSE4.2 without FMA: 4 floats a register, 16 registers. A multiply-add
 * rounds twice.
 *
 * Semantics to remember: maxps(x, y) is x > y ? x : y, so the second operand comes out on a tie
 * and when either is NaN. BIN_MAX keeps its first operand then, hence the swapped operands; a NaN
 * in the second operand of BIN_MAX needs a blend unless it is known to be a number.
 * The numbers are those of a typical server core, deliberately not of the machine at hand.
 */
#include "target/target.h"

#define ATTRIBUTE "target(\"sse4.2\")"
#define INLINE "N2C_INLINE __attribute__((" ATTRIBUTE ")) "

static const char helpers[] =
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n"
    INLINE "__m128 n2c_max_f32x4(__m128 a, __m128 b)\n"
    "{\n"
    "    return _mm_blendv_ps(_mm_max_ps(b, a), b, _mm_cmpunord_ps(b, b));\n"
    "}\n"
    INLINE "__m128 n2c_min_f32x4(__m128 a, __m128 b)\n"
    "{\n"
    "    return _mm_blendv_ps(_mm_min_ps(b, a), b, _mm_cmpunord_ps(b, b));\n"
    "}\n"
    INLINE "__m128 n2c_pow2i_f32x4(__m128 x)\n"
    "{\n"
    "    const __m128i biased = _mm_add_epi32(_mm_cvtps_epi32(x), _mm_set1_epi32(127));\n"
    "    return _mm_castsi128_ps(_mm_slli_epi32(biased, 23));\n"
    "}\n"
    INLINE "float n2c_lane_f32x4(__m128 v, int lane)\n"
    "{\n"
    "    float lanes[4];\n"
    "    _mm_storeu_ps(lanes, v);\n"
    "    return lanes[lane];\n"
    "}\n"
    INLINE "float n2c_sqrtss_f32(float x)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));\n"
    "}\n";

#define V TYPE_F32, 4
#define SELECT(ins, compare, sign) \
    {ins, V, "_mm_blendv_ps($3, $2, _mm_" compare "_ps($0, $1))", \
     "d[l] = a[l] " sign " b[l] ? x[l] : y[l]"}

static const Instr instr[] = {
    {INS_LOAD, V, "_mm_loadu_ps($0)", "d[l] = a[l]"},
    {INS_STORE, V, "_mm_storeu_ps($0, $1)", "a[l] = b[l]"},
    {INS_BCAST, V, "_mm_set1_ps($0)", "d[l] = a"},
    {INS_CONST, V, "_mm_set1_ps($0)", "d[l] = c"},
    {INS_ADD, V, "_mm_add_ps($0, $1)", "d[l] = a[l] + b[l]"},
    {INS_SUB, V, "_mm_sub_ps($0, $1)", "d[l] = a[l] - b[l]"},
    {INS_MUL, V, "_mm_mul_ps($0, $1)", "d[l] = a[l] * b[l]"},
    {INS_DIV, V, "_mm_div_ps($0, $1)", "d[l] = a[l] / b[l]"},
    {INS_MIN, V, "n2c_min_f32x4($0, $1)", "d[l] = min(a[l], b[l])"},
    {INS_MAX, V, "n2c_max_f32x4($0, $1)", "d[l] = max(a[l], b[l])"},
    {INS_MIN_NUM, V, "_mm_min_ps($1, $0)", "d[l] = min(a[l], b[l])"},
    {INS_MAX_NUM, V, "_mm_max_ps($1, $0)", "d[l] = max(a[l], b[l])"},
    {INS_FMA, V, "_mm_add_ps(_mm_mul_ps($0, $1), $2)", "d[l] = fma(a[l], b[l], c[l])"},
    {INS_NEG, V, "_mm_xor_ps($0, _mm_set1_ps(-0.0f))", "d[l] = -a[l]"},
    {INS_ABS, V, "_mm_andnot_ps(_mm_set1_ps(-0.0f), $0)", "d[l] = abs(a[l])"},
    {INS_SQRT, V, "_mm_sqrt_ps($0)", "d[l] = sqrt(a[l])"},
    {INS_ROUND, V, "_mm_round_ps($0, 8)", "d[l] = round(a[l])"},
    {INS_POW2I, V, "n2c_pow2i_f32x4($0)", "d[l] = pow2i(a[l])"},
    SELECT(INS_SELECT_LT, "cmplt", "<"),
    SELECT(INS_SELECT_LE, "cmple", "<="),
    SELECT(INS_SELECT_EQ, "cmpeq", "=="),
    SELECT(INS_SELECT_NE, "cmpneq", "!="),
    {INS_EXTRACT, V, "n2c_lane_f32x4($0, $1)", "d = a[b]"},
    {INS_SQRT, TYPE_F32, 1, "n2c_sqrtss_f32($0)", "d = sqrt(a)"},
    {INS_COUNT, TYPE_F32, 0, NULL, NULL},
};

const Row row_sse4 = {
    .name = "sse4",
    .summary = "x86-64-v2: SSE4.2, no FMA",
    .lanes = 4,
    .registers = 16,
    .has_fma = false,
    .fma_issue = 1,
    .loads = 2,
    .fma_latency = 8,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 1024 * 1024,
    .l2_bytes_per_cycle = 16,
    .memory_bytes_per_cycle = 6,
    .header = "#include <immintrin.h>\n",
    .attribute = ATTRIBUTE,
    .vector_type = "__m128",
    .cpu_test = "(n2c_cpu_features() & N2C_CPU_SSE4) != 0",
    .helpers = helpers,
    .instr = instr,
    .base = &row_scalar,
};
