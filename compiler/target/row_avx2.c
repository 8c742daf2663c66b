/* row_avx2.c: x86-64-v3, AVX2 with FMA: 8 floats a register, 16 registers.
 *
 * Semantics to remember: vmaxps(x, y) is x > y ? x : y, so the second operand comes out on a tie
 * and when either is NaN. BIN_MAX keeps its first operand then, hence the swapped operands; a NaN
 * in the second operand of BIN_MAX needs a blend unless it is known to be a number.
 * The numbers are those of a typical server core, deliberately not of the machine at hand.
 */
#include "target/target.h"

#define ATTRIBUTE "target(\"avx2,fma\")"
#define INLINE "N2C_INLINE __attribute__((" ATTRIBUTE ")) "

static const char helpers[] =
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n"
    INLINE "__m256 n2c_max_f32x8(__m256 a, __m256 b)\n"
    "{\n"
    "    return _mm256_blendv_ps(_mm256_max_ps(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q));\n"
    "}\n"
    INLINE "__m256 n2c_min_f32x8(__m256 a, __m256 b)\n"
    "{\n"
    "    return _mm256_blendv_ps(_mm256_min_ps(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q));\n"
    "}\n"
    INLINE "__m256 n2c_pow2i_f32x8(__m256 x)\n"
    "{\n"
    "    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));\n"
    "    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));\n"
    "}\n"
    INLINE "float n2c_lane_f32x8(__m256 v, int lane)\n"
    "{\n"
    "    return _mm256_cvtss_f32(_mm256_permutevar8x32_ps(v, _mm256_set1_epi32(lane)));\n"
    "}\n"
    INLINE "float n2c_fma_f32(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    INLINE "float n2c_sqrtss_f32(float x)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));\n"
    "}\n";

#define V TYPE_F32, 8
#define SELECT(ins, predicate, sign) \
    {ins, V, "_mm256_blendv_ps($3, $2, _mm256_cmp_ps($0, $1, " predicate "))", \
     "d[l] = a[l] " sign " b[l] ? x[l] : y[l]"}

static const Instr instr[] = {
    {INS_LOAD, V, "_mm256_loadu_ps($0)", "d[l] = a[l]"},
    {INS_STORE, V, "_mm256_storeu_ps($0, $1)", "a[l] = b[l]"},
    {INS_BCAST, V, "_mm256_set1_ps($0)", "d[l] = a"},
    {INS_CONST, V, "_mm256_set1_ps($0)", "d[l] = c"},
    {INS_ADD, V, "_mm256_add_ps($0, $1)", "d[l] = a[l] + b[l]"},
    {INS_SUB, V, "_mm256_sub_ps($0, $1)", "d[l] = a[l] - b[l]"},
    {INS_MUL, V, "_mm256_mul_ps($0, $1)", "d[l] = a[l] * b[l]"},
    {INS_DIV, V, "_mm256_div_ps($0, $1)", "d[l] = a[l] / b[l]"},
    {INS_MIN, V, "n2c_min_f32x8($0, $1)", "d[l] = min(a[l], b[l])"},
    {INS_MAX, V, "n2c_max_f32x8($0, $1)", "d[l] = max(a[l], b[l])"},
    {INS_MIN_NUM, V, "_mm256_min_ps($1, $0)", "d[l] = min(a[l], b[l])"},
    {INS_MAX_NUM, V, "_mm256_max_ps($1, $0)", "d[l] = max(a[l], b[l])"},
    {INS_FMA, V, "_mm256_fmadd_ps($0, $1, $2)", "d[l] = fma(a[l], b[l], c[l])"},
    {INS_NEG, V, "_mm256_xor_ps($0, _mm256_set1_ps(-0.0f))", "d[l] = -a[l]"},
    {INS_ABS, V, "_mm256_andnot_ps(_mm256_set1_ps(-0.0f), $0)", "d[l] = abs(a[l])"},
    {INS_SQRT, V, "_mm256_sqrt_ps($0)", "d[l] = sqrt(a[l])"},
    {INS_ROUND, V, "_mm256_round_ps($0, 8)", "d[l] = round(a[l])"},
    {INS_POW2I, V, "n2c_pow2i_f32x8($0)", "d[l] = pow2i(a[l])"},
    SELECT(INS_SELECT_LT, "_CMP_LT_OQ", "<"),
    SELECT(INS_SELECT_LE, "_CMP_LE_OQ", "<="),
    SELECT(INS_SELECT_EQ, "_CMP_EQ_OQ", "=="),
    SELECT(INS_SELECT_NE, "_CMP_NEQ_UQ", "!="),
    {INS_EXTRACT, V, "n2c_lane_f32x8($0, $1)", "d = a[b]"},
    {INS_FMA, TYPE_F32, 1, "n2c_fma_f32($0, $1, $2)", "d = fma(a, b, c)"},
    {INS_SQRT, TYPE_F32, 1, "n2c_sqrtss_f32($0)", "d = sqrt(a)"},
    {INS_COUNT, TYPE_F32, 0, NULL, NULL},
};

const Row row_avx2 = {
    .name = "avx2",
    .summary = "x86-64-v3: AVX2 and FMA",
    .lanes = 8,
    .registers = 16,
    .has_fma = true,
    .fma_issue = 2,
    .loads = 2,
    .fma_latency = 4,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 1024 * 1024,
    .l2_bytes_per_cycle = 32,
    .memory_bytes_per_cycle = 6,
    .header = "#include <immintrin.h>\n",
    .attribute = ATTRIBUTE,
    .vector_type = "__m256",
    .cpu_test = "(n2c_cpu_features() & N2C_CPU_AVX2) != 0",
    .helpers = helpers,
    .instr = instr,
    .base = &row_scalar,
};
