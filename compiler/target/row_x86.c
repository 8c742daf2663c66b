/* row_x86.c: the rows of x86-64, written once: 512, 256 and 128 bits a register.
 *
 * Semantics to remember: maxps(x, y) is x > y ? x : y, so the second operand comes out on a tie and
 * when either is NaN. BIN_MAX keeps its first operand then, hence the swapped operands; a NaN in
 * the second operand of BIN_MAX needs a blend unless it is known to be a number.
 * The numbers are those of a typical server core, deliberately not of the machine at hand.
 */
#include "net2c_rt.h"
#include "target/target.h"

#define TARGET(features) "target(\"" features "\")"
#define INLINE(features) "N2C_INLINE __attribute__((" TARGET(features) ")) "

/* ---- single elements ------------------------------------------------------------------------ */

/* g++ 12 warns of its own header's undefined vectors wherever they are inlined. */
static const char scalar_helpers[] =
    "#pragma GCC diagnostic push\n"
    "#pragma GCC diagnostic ignored \"-Wuninitialized\"\n"
    "#include <immintrin.h>\n"
    "#pragma GCC diagnostic pop\n"
    INLINE("fma") "float n2c_fma_x86(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    "N2C_INLINE float n2c_sqrt_x86(float x)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));\n"
    "}\n";

static const char *const scalar_f32[INS_COUNT] = {
    [INS_FMA] = "n2c_fma_x86($0, $1, $2)",
    [INS_SQRT] = "n2c_sqrt_x86($0)",
    [INS_PREFETCH] = "_mm_prefetch((const char *)$0, _MM_HINT_T1)",
};

/* What the rows have in common; no row by itself. */
static const Row x86 = {
    .name = "x86",
    .condition = "defined(N2C_X86_64)",
    .helpers = scalar_helpers,
    .scalar = {[TYPE_F32] = scalar_f32},
    .base = &row_scalar,
};

/* ---- vectors -------------------------------------------------------------------------------- */

/* features: of functions; P: prefix of intrinsics; bits: of the vector type; BOUND("max"), with
 * "min" likewise: of a and b, but b where it is NaN; half: a load of half a vector from p; lane:
 * statements that return lane number `lane` of v. */
#define HELPERS(row, features, P, bits, BOUND, half, lane) \
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n" \
    INLINE(features) "__m" bits " n2c_max_" row "(__m" bits " a, __m" bits " b)\n" \
    "{\n    return " BOUND("max") ";\n}\n" \
    INLINE(features) "__m" bits " n2c_min_" row "(__m" bits " a, __m" bits " b)\n" \
    "{\n    return " BOUND("min") ";\n}\n" \
    INLINE(features) "__m" bits " n2c_pow2i_" row "(__m" bits " x)\n" \
    "{\n" \
    "    const __m" bits "i biased = " P "add_epi32(" P "cvtps_epi32(x), " P "set1_epi32(127));\n" \
    "    return " P "castsi" bits "_ps(" P "slli_epi32(biased, 23));\n" \
    "}\n" \
    INLINE(features) "__m" bits " n2c_load_bf16_" row "(const uint16_t *p)\n" \
    "{\n" \
    "    const __m" bits "i wide = " P "cvtepu16_epi32(" half ");\n" \
    "    return " P "castsi" bits "_ps(" P "slli_epi32(wide, 16));\n" \
    "}\n" \
    INLINE(features) "float n2c_lane_" row "(__m" bits " v, int lane)\n" \
    "{\n" lane "}\n"

/* fma: of $0, $1 and $2; SELECT("lt", "LT_OQ"): $2 where $0 < $1, else $3, by the comparison's name
 * or predicate. */
#define VECTORS(row, P, fma, round, SELECT) { \
    [INS_LOAD] = P "loadu_ps($0)", \
    [INS_STORE] = P "storeu_ps($0, $1)", \
    [INS_LOAD_BF16] = "n2c_load_bf16_" row "($0)", \
    [INS_BCAST] = P "set1_ps($0)", \
    [INS_CONST] = P "set1_ps($0)", \
    [INS_ADD] = P "add_ps($0, $1)", \
    [INS_SUB] = P "sub_ps($0, $1)", \
    [INS_MUL] = P "mul_ps($0, $1)", \
    [INS_DIV] = P "div_ps($0, $1)", \
    [INS_MIN] = "n2c_min_" row "($0, $1)", \
    [INS_MAX] = "n2c_max_" row "($0, $1)", \
    [INS_MIN_NUM] = P "min_ps($1, $0)", \
    [INS_MAX_NUM] = P "max_ps($1, $0)", \
    [INS_FMA] = fma, \
    [INS_NEG] = P "xor_ps($0, " P "set1_ps(-0.0f))", \
    [INS_ABS] = P "andnot_ps(" P "set1_ps(-0.0f), $0)", \
    [INS_SQRT] = P "sqrt_ps($0)", \
    [INS_ROUND] = P round "_ps($0, 8)", \
    [INS_POW2I] = "n2c_pow2i_" row "($0)", \
    [INS_SELECT_LT] = SELECT("lt", "LT_OQ"), \
    [INS_SELECT_LE] = SELECT("le", "LE_OQ"), \
    [INS_SELECT_EQ] = SELECT("eq", "EQ_OQ"), \
    [INS_SELECT_NE] = SELECT("neq", "NEQ_UQ"), \
    [INS_EXTRACT] = "n2c_lane_" row "($0, $1)", \
}

#define COMMON(row, feature_list, required_cpu) \
    .name = #row, \
    .loads = 2, \
    .l1_bytes = 32 * 1024, \
    .l2_bytes = 1024 * 1024, \
    .memory_bytes_per_cycle = 6, \
    .condition = "defined(N2C_X86_64)", \
    .attribute = TARGET(feature_list), \
    .features = feature_list, \
    .cpu = required_cpu, \
    .cpu_name = #required_cpu, \
    .helpers = row##_helpers, \
    .vector = row##_vector, \
    .base = &x86

/* ---- x86-64-v4 ------------------------------------------------------------------------------ */

#define AVX512 "avx512f,avx512dq,avx512bw,avx512vl,fma,avx2"
#define BOUND512(op) "_mm512_mask_" op "_ps(b, _mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), b, a)"
#define SELECT512(name, predicate) \
    "_mm512_mask_blend_ps(_mm512_cmp_ps_mask($0, $1, _CMP_" predicate "), $3, $2)"

static const char avx512_helpers[] = HELPERS(
    "avx512", AVX512, "_mm512_", "512", BOUND512,
    "_mm256_loadu_si256((const __m256i *)(const void *)p)",
    "    return _mm512_cvtss_f32(_mm512_permutexvar_ps(_mm512_set1_epi32(lane), v));\n");

static const char *const avx512_vector[INS_COUNT] = VECTORS(
    "avx512", "_mm512_", "_mm512_fmadd_ps($0, $1, $2)", "roundscale", SELECT512);

const Row row_avx512 = {
    COMMON(avx512, AVX512, N2C_CPU_AVX512),
    .summary = "x86-64-v4: AVX-512 F, DQ, BW, VL",
    .lanes = 16,
    .registers = 32,
    .has_fma = true,
    .fma_issue = 2,
    .fma_latency = 4,
    .l2_bytes_per_cycle = 48,
    .vector_type = "__m512",
};

/* ---- x86-64-v3 ------------------------------------------------------------------------------ */

#define AVX2 "avx2,fma"
#define BOUND256(op) \
    "_mm256_blendv_ps(_mm256_" op "_ps(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q))"
#define SELECT256(name, predicate) \
    "_mm256_blendv_ps($3, $2, _mm256_cmp_ps($0, $1, _CMP_" predicate "))"

static const char avx2_helpers[] = HELPERS(
    "avx2", AVX2, "_mm256_", "256", BOUND256,
    "_mm_loadu_si128((const __m128i *)(const void *)p)",
    "    return _mm256_cvtss_f32(_mm256_permutevar8x32_ps(v, _mm256_set1_epi32(lane)));\n");

static const char *const avx2_vector[INS_COUNT] = VECTORS(
    "avx2", "_mm256_", "_mm256_fmadd_ps($0, $1, $2)", "round", SELECT256);

const Row row_avx2 = {
    COMMON(avx2, AVX2, N2C_CPU_AVX2),
    .summary = "x86-64-v3: AVX2 and FMA",
    .lanes = 8,
    .registers = 16,
    .has_fma = true,
    .fma_issue = 2,
    .fma_latency = 4,
    .l2_bytes_per_cycle = 32,
    .vector_type = "__m256",
};

/* ---- x86-64-v2, without FMA: a multiply-add rounds twice ------------------------------------ */

#define SSE4 "sse4.2"
#define BOUND128(op) "_mm_blendv_ps(_mm_" op "_ps(b, a), b, _mm_cmpunord_ps(b, b))"
#define SELECT128(name, predicate) "_mm_blendv_ps($3, $2, _mm_cmp" name "_ps($0, $1))"

static const char sse4_helpers[] = HELPERS(
    "sse4", SSE4, "_mm_", "128", BOUND128,
    "_mm_loadl_epi64((const __m128i *)(const void *)p)",
    "    float lanes[4];\n    _mm_storeu_ps(lanes, v);\n    return lanes[lane];\n");

static const char *const sse4_vector[INS_COUNT] = VECTORS(
    "sse4", "_mm_", "_mm_add_ps(_mm_mul_ps($0, $1), $2)", "round", SELECT128);

static const char *const sse4_f32[INS_COUNT] = {[INS_FMA] = "($0 * $1 + $2)"};

const Row row_sse4 = {
    COMMON(sse4, SSE4, N2C_CPU_SSE4),
    .summary = "x86-64-v2: SSE4.2, no FMA",
    .lanes = 4,
    .registers = 16,
    .fma_issue = 1,
    .fma_latency = 8,
    .l2_bytes_per_cycle = 16,
    .vector_type = "__m128",
    .scalar = {[TYPE_F32] = sse4_f32},
};
