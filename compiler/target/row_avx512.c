/* row_avx512.c: x86-64 with AVX-512 F, DQ, BW and VL: 16 floats a register, 32 registers.
 *
 * Semantics to remember: vmaxps(x, y) is x > y ? x : y, so the second operand comes out on a tie
 * and when either is NaN. BIN_MAX keeps its first operand then, hence the swapped operands; a NaN
 * in the second operand of BIN_MAX needs a mask unless it is known to be a number.
 * The numbers are those of a typical server core, deliberately not of the machine at hand.
 */
#include "target/target.h"

#define ATTRIBUTE "target(\"avx512f,avx512dq,avx512bw,avx512vl,fma,avx2\")"
#define INLINE "N2C_INLINE __attribute__((" ATTRIBUTE ")) "

static const char helpers[] =
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n"
    INLINE "__m512 n2c_max_f32x16(__m512 a, __m512 b)\n"
    "{\n"
    "    return _mm512_mask_max_ps(b, _mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), b, a);\n"
    "}\n"
    INLINE "__m512 n2c_min_f32x16(__m512 a, __m512 b)\n"
    "{\n"
    "    return _mm512_mask_min_ps(b, _mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), b, a);\n"
    "}\n"
    INLINE "__m512 n2c_pow2i_f32x16(__m512 x)\n"
    "{\n"
    "    const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(127));\n"
    "    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));\n"
    "}\n"
    INLINE "float n2c_lane_f32x16(__m512 v, int lane)\n"
    "{\n"
    "    return _mm512_cvtss_f32(_mm512_permutexvar_ps(_mm512_set1_epi32(lane), v));\n"
    "}\n"
    INLINE "float n2c_fma_f32(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    INLINE "float n2c_sqrtss_f32(float x)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));\n"
    "}\n";

#define V TYPE_F32, 16
#define SELECT(ins, predicate, sign) \
    {ins, V, "_mm512_mask_blend_ps(_mm512_cmp_ps_mask($0, $1, " predicate "), $3, $2)", \
     "d[l] = a[l] " sign " b[l] ? x[l] : y[l]"}

static const Instr instr[] = {
    {INS_LOAD, V, "_mm512_loadu_ps($0)", "d[l] = a[l]"},
    {INS_STORE, V, "_mm512_storeu_ps($0, $1)", "a[l] = b[l]"},
    {INS_BCAST, V, "_mm512_set1_ps($0)", "d[l] = a"},
    {INS_CONST, V, "_mm512_set1_ps($0)", "d[l] = c"},
    {INS_ADD, V, "_mm512_add_ps($0, $1)", "d[l] = a[l] + b[l]"},
    {INS_SUB, V, "_mm512_sub_ps($0, $1)", "d[l] = a[l] - b[l]"},
    {INS_MUL, V, "_mm512_mul_ps($0, $1)", "d[l] = a[l] * b[l]"},
    {INS_DIV, V, "_mm512_div_ps($0, $1)", "d[l] = a[l] / b[l]"},
    {INS_MIN, V, "n2c_min_f32x16($0, $1)", "d[l] = min(a[l], b[l])"},
    {INS_MAX, V, "n2c_max_f32x16($0, $1)", "d[l] = max(a[l], b[l])"},
    {INS_MIN_NUM, V, "_mm512_min_ps($1, $0)", "d[l] = min(a[l], b[l])"},
    {INS_MAX_NUM, V, "_mm512_max_ps($1, $0)", "d[l] = max(a[l], b[l])"},
    {INS_FMA, V, "_mm512_fmadd_ps($0, $1, $2)", "d[l] = fma(a[l], b[l], c[l])"},
    {INS_NEG, V, "_mm512_xor_ps($0, _mm512_set1_ps(-0.0f))", "d[l] = -a[l]"},
    {INS_ABS, V, "_mm512_andnot_ps(_mm512_set1_ps(-0.0f), $0)", "d[l] = abs(a[l])"},
    {INS_SQRT, V, "_mm512_sqrt_ps($0)", "d[l] = sqrt(a[l])"},
    {INS_ROUND, V, "_mm512_roundscale_ps($0, 8)", "d[l] = round(a[l])"},
    {INS_POW2I, V, "n2c_pow2i_f32x16($0)", "d[l] = pow2i(a[l])"},
    SELECT(INS_SELECT_LT, "_CMP_LT_OQ", "<"),
    SELECT(INS_SELECT_LE, "_CMP_LE_OQ", "<="),
    SELECT(INS_SELECT_EQ, "_CMP_EQ_OQ", "=="),
    SELECT(INS_SELECT_NE, "_CMP_NEQ_UQ", "!="),
    {INS_EXTRACT, V, "n2c_lane_f32x16($0, $1)", "d = a[b]"},
    {INS_FMA, TYPE_F32, 1, "n2c_fma_f32($0, $1, $2)", "d = fma(a, b, c)"},
    {INS_SQRT, TYPE_F32, 1, "n2c_sqrtss_f32($0)", "d = sqrt(a)"},
    {INS_COUNT, TYPE_F32, 0, NULL, NULL},
};

const Row row_avx512 = {
    .name = "avx512",
    .summary = "x86-64-v4: AVX-512 F, DQ, BW, VL",
    .lanes = 16,
    .registers = 32,
    .has_fma = true,
    .fma_issue = 2,
    .loads = 2,
    .fma_latency = 4,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 1024 * 1024,
    .l2_bytes_per_cycle = 48,
    .memory_bytes_per_cycle = 6,
    .header = "#include <immintrin.h>\n",
    .attribute = ATTRIBUTE,
    .vector_type = "__m512",
    .cpu_test = "(n2c_cpu_features() & N2C_CPU_AVX512) != 0",
    .helpers = helpers,
    .instr = instr,
    .base = &row_scalar,
};
