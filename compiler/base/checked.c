/* checked: integer arithmetic that reports overflow instead of wrapping.
 *
 * Every size, offset and product that depends on a model or a weights file goes through here:
 * wrapped size products are the commonest defect of model parsers. On false, *out is not written.
 */
#include "base/base.h"

#define CHECKED(name, T, overflows) \
    bool name(T a, T b, T *out)     \
    {                               \
        T r;                        \
        if (overflows(a, b, &r))    \
            return false;           \
        *out = r;                   \
        return true;                \
    }

CHECKED(checked_add, int64_t, __builtin_add_overflow)
CHECKED(checked_sub, int64_t, __builtin_sub_overflow)
CHECKED(checked_mul, int64_t, __builtin_mul_overflow)
CHECKED(checked_size_mul, size_t, __builtin_mul_overflow)
CHECKED(checked_size_add, size_t, __builtin_add_overflow)

int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t r = a % b;
    return r < 0 ? r + b : r;
}
