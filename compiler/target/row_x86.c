/* row_x86.c: the rows of x86-64, written once: 512, 256 and 128 bits a register.
 *
 * Semantics to remember: maxps(x, y) is x > y ? x : y, so the second operand comes out on a tie and
 * when either is NaN. BIN_MAX keeps its first operand then, hence the swapped operands; a NaN in
 * the second operand of BIN_MAX needs a blend unless it is known to be a number.
 * The numbers are those of a typical server core, deliberately not of the machine at hand.
 */
#include "net2c_rt.h"
#include "target/target.h"

#define INLINE(attribute) "N2C_INLINE __attribute__((" attribute ")) "

/* ---- single elements ------------------------------------------------------------------------ */

static const char scalar_helpers[] =
    INLINE("target(\"fma\")") "float n2c_fma_x86(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    "N2C_INLINE float n2c_sqrt_x86(float x)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));\n"
    "}\n";

static const Instr scalar_instr[] = {
    {INS_FMA, TYPE_F32, 1, "n2c_fma_x86($0, $1, $2)", "d = fma(a, b, c)"},
    {INS_SQRT, TYPE_F32, 1, "n2c_sqrt_x86($0)", "d = sqrt(a)"},
    {INS_COUNT, TYPE_F32, 0, NULL, NULL},
};

/* What the rows have in common; no row by itself. */
static const Row x86 = {
    .name = "x86",
    .has_fma = true,
    .header = "#include <immintrin.h>\n",
    .condition = "defined(N2C_X86_64)",
    .helpers = scalar_helpers,
    .instr = scalar_instr,
    .base = &row_scalar,
};

/* ---- vectors -------------------------------------------------------------------------------- */

/* row: suffix of names; P: prefix of intrinsics; T: vector type; bits: of it; max, min: of a and b,
 * but b where it is NaN; lane: statements that return lane number `lane` of v. */
#define HELPERS(row, attribute, P, T, bits, max, min, lane) \
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n" \
    INLINE(attribute) T " n2c_max_" row "(" T " a, " T " b)\n" \
    "{\n    return " max ";\n}\n" \
    INLINE(attribute) T " n2c_min_" row "(" T " a, " T " b)\n" \
    "{\n    return " min ";\n}\n" \
    INLINE(attribute) T " n2c_pow2i_" row "(" T " x)\n" \
    "{\n" \
    "    const " T "i biased = " P "add_epi32(" P "cvtps_epi32(x), " P "set1_epi32(127));\n" \
    "    return " P "castsi" bits "_ps(" P "slli_epi32(biased, 23));\n" \
    "}\n" \
    INLINE(attribute) "float n2c_lane_" row "(" T " v, int lane)\n" \
    "{\n" lane "}\n"

#define VECTORS(row, lanes, P, fma, round) \
    {INS_LOAD, TYPE_F32, lanes, P "loadu_ps($0)", "d[l] = a[l]"}, \
    {INS_STORE, TYPE_F32, lanes, P "storeu_ps($0, $1)", "a[l] = b[l]"}, \
    {INS_BCAST, TYPE_F32, lanes, P "set1_ps($0)", "d[l] = a"}, \
    {INS_CONST, TYPE_F32, lanes, P "set1_ps($0)", "d[l] = c"}, \
    {INS_ADD, TYPE_F32, lanes, P "add_ps($0, $1)", "d[l] = a[l] + b[l]"}, \
    {INS_SUB, TYPE_F32, lanes, P "sub_ps($0, $1)", "d[l] = a[l] - b[l]"}, \
    {INS_MUL, TYPE_F32, lanes, P "mul_ps($0, $1)", "d[l] = a[l] * b[l]"}, \
    {INS_DIV, TYPE_F32, lanes, P "div_ps($0, $1)", "d[l] = a[l] / b[l]"}, \
    {INS_MIN, TYPE_F32, lanes, "n2c_min_" row "($0, $1)", "d[l] = min(a[l], b[l])"}, \
    {INS_MAX, TYPE_F32, lanes, "n2c_max_" row "($0, $1)", "d[l] = max(a[l], b[l])"}, \
    {INS_MIN_NUM, TYPE_F32, lanes, P "min_ps($1, $0)", "d[l] = min(a[l], b[l])"}, \
    {INS_MAX_NUM, TYPE_F32, lanes, P "max_ps($1, $0)", "d[l] = max(a[l], b[l])"}, \
    {INS_FMA, TYPE_F32, lanes, fma, "d[l] = fma(a[l], b[l], c[l])"}, \
    {INS_NEG, TYPE_F32, lanes, P "xor_ps($0, " P "set1_ps(-0.0f))", "d[l] = -a[l]"}, \
    {INS_ABS, TYPE_F32, lanes, P "andnot_ps(" P "set1_ps(-0.0f), $0)", "d[l] = abs(a[l])"}, \
    {INS_SQRT, TYPE_F32, lanes, P "sqrt_ps($0)", "d[l] = sqrt(a[l])"}, \
    {INS_ROUND, TYPE_F32, lanes, P round "_ps($0, 8)", "d[l] = round(a[l])"}, \
    {INS_POW2I, TYPE_F32, lanes, "n2c_pow2i_" row "($0)", "d[l] = pow2i(a[l])"}, \
    {INS_EXTRACT, TYPE_F32, lanes, "n2c_lane_" row "($0, $1)", "d = a[b]"}

#define SELECT(ins, lanes, format, sign) \
    {ins, TYPE_F32, lanes, format, "d[l] = a[l] " sign " b[l] ? x[l] : y[l]"}

/* ---- x86-64-v4 ------------------------------------------------------------------------------ */

#define AVX512 "target(\"avx512f,avx512dq,avx512bw,avx512vl,fma,avx2\")"
#define SELECT512(ins, predicate, sign) \
    SELECT(ins, 16, "_mm512_mask_blend_ps(_mm512_cmp_ps_mask($0, $1, " predicate "), $3, $2)", \
           sign)

static const char avx512_helpers[] = HELPERS(
    "avx512", AVX512, "_mm512_", "__m512", "512",
    "_mm512_mask_max_ps(b, _mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), b, a)",
    "_mm512_mask_min_ps(b, _mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), b, a)",
    "    return _mm512_cvtss_f32(_mm512_permutexvar_ps(_mm512_set1_epi32(lane), v));\n");

static const Instr avx512_instr[] = {
    VECTORS("avx512", 16, "_mm512_", "_mm512_fmadd_ps($0, $1, $2)", "roundscale"),
    SELECT512(INS_SELECT_LT, "_CMP_LT_OQ", "<"),
    SELECT512(INS_SELECT_LE, "_CMP_LE_OQ", "<="),
    SELECT512(INS_SELECT_EQ, "_CMP_EQ_OQ", "=="),
    SELECT512(INS_SELECT_NE, "_CMP_NEQ_UQ", "!="),
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
    .header = "",
    .condition = "defined(N2C_X86_64)",
    .attribute = AVX512,
    .vector_type = "__m512",
    .cpu = N2C_CPU_AVX512,
    .cpu_name = "N2C_CPU_AVX512",
    .helpers = avx512_helpers,
    .instr = avx512_instr,
    .base = &x86,
};

/* ---- x86-64-v3 ------------------------------------------------------------------------------ */

#define AVX2 "target(\"avx2,fma\")"
#define SELECT256(ins, predicate, sign) \
    SELECT(ins, 8, "_mm256_blendv_ps($3, $2, _mm256_cmp_ps($0, $1, " predicate "))", sign)

static const char avx2_helpers[] = HELPERS(
    "avx2", AVX2, "_mm256_", "__m256", "256",
    "_mm256_blendv_ps(_mm256_max_ps(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q))",
    "_mm256_blendv_ps(_mm256_min_ps(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q))",
    "    return _mm256_cvtss_f32(_mm256_permutevar8x32_ps(v, _mm256_set1_epi32(lane)));\n");

static const Instr avx2_instr[] = {
    VECTORS("avx2", 8, "_mm256_", "_mm256_fmadd_ps($0, $1, $2)", "round"),
    SELECT256(INS_SELECT_LT, "_CMP_LT_OQ", "<"),
    SELECT256(INS_SELECT_LE, "_CMP_LE_OQ", "<="),
    SELECT256(INS_SELECT_EQ, "_CMP_EQ_OQ", "=="),
    SELECT256(INS_SELECT_NE, "_CMP_NEQ_UQ", "!="),
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
    .header = "",
    .condition = "defined(N2C_X86_64)",
    .attribute = AVX2,
    .vector_type = "__m256",
    .cpu = N2C_CPU_AVX2,
    .cpu_name = "N2C_CPU_AVX2",
    .helpers = avx2_helpers,
    .instr = avx2_instr,
    .base = &x86,
};

/* ---- x86-64-v2, without FMA: a multiply-add rounds twice ------------------------------------ */

#define SSE4 "target(\"sse4.2\")"
#define SELECT128(ins, compare, sign) \
    SELECT(ins, 4, "_mm_blendv_ps($3, $2, _mm_" compare "_ps($0, $1))", sign)

static const char sse4_helpers[] = HELPERS(
    "sse4", SSE4, "_mm_", "__m128", "128",
    "_mm_blendv_ps(_mm_max_ps(b, a), b, _mm_cmpunord_ps(b, b))",
    "_mm_blendv_ps(_mm_min_ps(b, a), b, _mm_cmpunord_ps(b, b))",
    "    float lanes[4];\n"
    "    _mm_storeu_ps(lanes, v);\n"
    "    return lanes[lane];\n");

static const Instr sse4_instr[] = {
    VECTORS("sse4", 4, "_mm_", "_mm_add_ps(_mm_mul_ps($0, $1), $2)", "round"),
    SELECT128(INS_SELECT_LT, "cmplt", "<"),
    SELECT128(INS_SELECT_LE, "cmple", "<="),
    SELECT128(INS_SELECT_EQ, "cmpeq", "=="),
    SELECT128(INS_SELECT_NE, "cmpneq", "!="),
    {INS_FMA, TYPE_F32, 1, "($0 * $1 + $2)", "d = a * b + c"},
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
    .header = "",
    .condition = "defined(N2C_X86_64)",
    .attribute = SSE4,
    .vector_type = "__m128",
    .cpu = N2C_CPU_SSE4,
    .cpu_name = "N2C_CPU_SSE4",
    .helpers = sse4_helpers,
    .instr = sse4_instr,
    .base = &x86,
};
