/* row_scalar.c: plain C99, one element at a time: runs everywhere, and is what the other rows
 * fall back on for single elements.
 *
 * Needs no library: square root and rounding are written out, bit for bit what IEEE 754 asks.
 * There is no fused multiply-add here: it rounds twice, as the row says (has_fma false). Doubles
 * are for the reference only; their square root and rounding come from <math.h>.
 * An operand may be long text, so a format names each operand once and helpers do the rest.
 */
#include "target/target.h"

static const char helpers[] =
    "N2C_INLINE float n2c_f32_of_bits(uint32_t bits)\n"
    "{\n"
    "    union { uint32_t u; float f; } x;\n"
    "    x.u = bits;\n"
    "    return x.f;\n"
    "}\n"
    "N2C_INLINE uint32_t n2c_bits_of_f32(float value)\n"
    "{\n"
    "    union { uint32_t u; float f; } x;\n"
    "    x.f = value;\n"
    "    return x.u;\n"
    "}\n"
    "N2C_INLINE double n2c_f64_of_bits(uint64_t bits)\n"
    "{\n"
    "    union { uint64_t u; double f; } x;\n"
    "    x.u = bits;\n"
    "    return x.f;\n"
    "}\n"
    "/* The second operand if it is greater or NaN, else the first; min likewise. */\n"
    "N2C_INLINE float n2c_max_f32(float a, float b) { return b > a || b != b ? b : a; }\n"
    "N2C_INLINE float n2c_min_f32(float a, float b) { return b < a || b != b ? b : a; }\n"
    "N2C_INLINE double n2c_max_f64(double a, double b) { return b > a || b != b ? b : a; }\n"
    "N2C_INLINE double n2c_min_f64(double a, double b) { return b < a || b != b ? b : a; }\n"
    "N2C_INLINE int32_t n2c_max_i32(int32_t a, int32_t b) { return b > a ? b : a; }\n"
    "N2C_INLINE int32_t n2c_min_i32(int32_t a, int32_t b) { return b < a ? b : a; }\n"
    "N2C_INLINE float n2c_abs_f32(float x)\n"
    "{\n"
    "    return n2c_f32_of_bits(n2c_bits_of_f32(x) & 0x7fffffffu);\n"
    "}\n"
    "/* To the nearest integer, ties to even: below 2^23 by adding and taking away 2^23. */\n"
    "N2C_INLINE float n2c_round_f32(float x)\n"
    "{\n"
    "    const uint32_t sign = n2c_bits_of_f32(x) & 0x80000000u;\n"
    "    float a = n2c_abs_f32(x);\n"
    "    if (a < 8388608.0f)\n"
    "        a = (a + 8388608.0f) - 8388608.0f;\n"
    "    return n2c_f32_of_bits(n2c_bits_of_f32(a) | sign);\n"
    "}\n"
    "/* Correctly rounded. The 24-bit significand, its exponent made even, is widened to 50 bits\n"
    " * and its integer root found bit by bit: 25 bits, the last of which decides the rounding.\n"
    " * A root is never halfway between two floats, so there is no tie. */\n"
    "N2C_INLINE float n2c_sqrt_f32(float x)\n"
    "{\n"
    "    uint32_t bits = n2c_bits_of_f32(x);\n"
    "    int32_t exponent = (int32_t)(bits >> 23);\n"
    "    uint64_t rest, root = 0, bit;\n"
    "    if (x != x || x == 0.0f || bits == 0x7f800000u)\n"
    "        return x;\n"
    "    if (bits >> 31)\n"
    "        return n2c_f32_of_bits(0x7fc00000u);\n"
    "    bits &= 0x7fffffu;\n"
    "    if (exponent)\n"
    "        bits |= 0x800000u;\n"
    "    else\n"
    "        for (exponent = 1; !(bits & 0x800000u); exponent--)\n"
    "            bits <<= 1;\n"
    "    exponent -= 127;\n"
    "    rest = (uint64_t)bits << (exponent & 1 ? 26 : 25);\n"
    "    for (bit = (uint64_t)1 << 48; bit; bit >>= 2) {\n"
    "        if (rest >= root + bit) {\n"
    "            rest -= root + bit;\n"
    "            root = (root >> 1) + bit;\n"
    "        } else {\n"
    "            root >>= 1;\n"
    "        }\n"
    "    }\n"
    "    exponent = exponent & 1 ? (exponent - 1) / 2 : exponent / 2;\n"
    "    root = (root + 1) >> 1;\n"
    "    return n2c_f32_of_bits(((uint32_t)(exponent + 126) << 23) + (uint32_t)root);\n"
    "}\n"
    "/* 2^x for an integer x in -126..127. */\n"
    "N2C_INLINE float n2c_pow2i_f32(float x)\n"
    "{\n"
    "    return n2c_f32_of_bits((uint32_t)((int32_t)x + 127) << 23);\n"
    "}\n"
    "N2C_INLINE double n2c_pow2i_f64(double x)\n"
    "{\n"
    "    return n2c_f64_of_bits((uint64_t)((int64_t)x + 1023) << 52);\n"
    "}\n";

/* What all three scalar types share. */
#define ARITHMETIC(suffix) \
    [INS_CONST] = "$0", \
    [INS_PREFETCH] = "(void)$0", \
    [INS_ADD] = "($0 + $1)", \
    [INS_SUB] = "($0 - $1)", \
    [INS_MUL] = "($0 * $1)", \
    [INS_DIV] = "($0 / $1)", \
    [INS_NEG] = "(-($0))", \
    [INS_FMA] = "($0 * $1 + $2)", \
    [INS_SELECT_LT] = "($0 < $1 ? $2 : $3)", \
    [INS_SELECT_LE] = "($0 <= $1 ? $2 : $3)", \
    [INS_SELECT_EQ] = "($0 == $1 ? $2 : $3)", \
    [INS_SELECT_NE] = "($0 != $1 ? $2 : $3)", \
    [INS_MIN] = "n2c_min_" suffix "($0, $1)", \
    [INS_MAX] = "n2c_max_" suffix "($0, $1)", \
    [INS_MIN_NUM] = "n2c_min_" suffix "($0, $1)", \
    [INS_MAX_NUM] = "n2c_max_" suffix "($0, $1)"

static const char *const f32[INS_COUNT] = {
    ARITHMETIC("f32"),
    [INS_LOAD_BF16] = "n2c_f32_of_bits((uint32_t)$0 << 16)",
    [INS_ABS] = "n2c_abs_f32($0)",
    [INS_SQRT] = "n2c_sqrt_f32($0)",
    [INS_ROUND] = "n2c_round_f32($0)",
    [INS_POW2I] = "n2c_pow2i_f32($0)",
};

static const char *const f64[INS_COUNT] = {
    ARITHMETIC("f64"),
    [INS_ABS] = "fabs($0)",
    [INS_SQRT] = "sqrt($0)",
    [INS_ROUND] = "rint($0)",
    [INS_POW2I] = "n2c_pow2i_f64($0)",
};

static const char *const i32[INS_COUNT] = {
    ARITHMETIC("i32"),
};

const Row row_scalar = {
    .name = "scalar",
    .summary = "strict C99, one element at a time, any machine",
    .lanes = 1,
    .registers = 16,
    .fma_issue = 1,
    .loads = 2,
    .fma_latency = 8,
    .l1_bytes = 32 * 1024,
    .l2_bytes = 512 * 1024,
    .l2_bytes_per_cycle = 16,
    .memory_bytes_per_cycle = 4,
    .helpers = helpers,
    .scalar = {[TYPE_F32] = f32, [TYPE_F64] = f64, [TYPE_I32] = i32},
};
