/* loop_value: arithmetic on single values, as the loop IR defines it.
 *
 * Values are kept in double, which holds those of all types. Rounded once more, the double result
 * of one float operation is the float result, square root included, as double has more than twice
 * the digits; exp and pow are defined so.
 */
#include "loop/loop.h"

#include <math.h>

/* Wraps, as vector instructions do. */
static double wrap_i32(int64_t v)
{
    return (int32_t)(uint32_t)(uint64_t)v;
}

/* To i32: towards zero, and INT32_MIN for what has no such number, as the conversions of x86. */
double value_round(ScalarType t, double v)
{
    switch (t) {
    case TYPE_F32: return (double)(float)v;
    case TYPE_F64: case TYPE_BF16: return v;
    case TYPE_I32: return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
    }
    return v;
}

static double bin_i32(int op, int64_t x, int64_t y)
{
    switch (op) {
    case BIN_ADD: return wrap_i32(x + y);
    case BIN_SUB: return wrap_i32(x - y);
    case BIN_MUL: return wrap_i32(x * y);
    case BIN_MIN: return (double)(y < x ? y : x);
    default: return (double)(y > x ? y : x);
    }
}

double value_bin(ScalarType t, int op, double x, double y)
{
    if (t == TYPE_I32)
        return bin_i32(op, (int64_t)x, (int64_t)y);
    switch (op) {
    case BIN_ADD: return value_round(t, x + y);
    case BIN_SUB: return value_round(t, x - y);
    case BIN_MUL: return value_round(t, x * y);
    case BIN_DIV: return value_round(t, x / y);
    case BIN_MIN: return y < x || isnan(y) ? y : x;
    default: return y > x || isnan(y) ? y : x;
    }
}

double value_un(ScalarType t, int op, int k, double x)
{
    int largest = t == TYPE_F32 ? 127 : 1023;        /* exponent */

    if (t == TYPE_I32)
        return op == UN_NEG || x < 0 ? wrap_i32(-(int64_t)x) : x;
    switch (op) {
    case UN_NEG: return -x;
    case UN_ABS: return fabs(x);
    case UN_SQRT: return value_round(t, sqrt(x));
    case UN_ROUND: return rint(x);
    case UN_POW2I: return x > -largest && x <= largest ? ldexp(1, (int)x) : (double)NAN;
    case UN_EXP: return value_round(t, exp(x));
    case UN_LOG: return value_round(t, log(x));
    case UN_TANH: return value_round(t, tanh(x));
    case UN_SIGMOID: return value_round(t, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)));
    default: return value_round(t, pow(x, -k / 4.0));
    }
}

double value_fma(ScalarType t, double x, double y, double z)
{
    return t == TYPE_F32 ? (double)fmaf((float)x, (float)y, (float)z) : fma(x, y, z);
}

bool value_compare(int op, double x, double y)
{
    switch (op) {
    case CMP_LT: return x < y;
    case CMP_LE: return x <= y;
    case CMP_EQ: return x == y;
    default: return x != y;
    }
}
