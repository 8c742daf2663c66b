/* number: numbers to text and back, the same in every locale.
 *
 *     0.1 -> "0.1"     1e22 -> "1e22"     3.0 -> "3"     hexadecimal: 3.0 -> "0x1.8p+1"
 *
 * Decimal text is the shortest that reads back to the same double. libc converts (correctly
 * rounded in glibc and musl); the locale's decimal point is put in and taken out here.
 */
#include "base/base.h"

#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLE_DIGITS 17
#define MAX_NUMBER_TEXT 4096
#define DIGITS "0123456789"

/* Decimal digits of |v|, as few as read back to it, without the point; *exponent is that of the
 * first one. */
static void shortest_digits(double v, char digits[DOUBLE_DIGITS + 1], int *exponent)
{
    char text[64];
    for (int precision = 0; precision < DOUBLE_DIGITS; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    int n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && n < DOUBLE_DIGITS)
            digits[n++] = *p;
    digits[n] = '\0';
    *exponent = (int)strtol(p + 1, NULL, 10);
}

static bool add_special(Str *s, double v)
{
    if (isnan(v)) {
        str_add(s, "nan");
        return true;
    }
    if (signbit(v))
        str_char(s, '-');
    if (isinf(v)) {
        str_add(s, "inf");
        return true;
    }
    return false;
}

void str_double(Str *s, double v)
{
    char digits[DOUBLE_DIGITS + 1];
    int exponent;
    if (add_special(s, v))
        return;
    shortest_digits(fabs(v), digits, &exponent);
    int n = (int)strlen(digits);
    if (exponent < -5 || exponent > 15) {
        str_char(s, digits[0]);
        if (n > 1)
            str_printf(s, ".%s", digits + 1);
        str_printf(s, "e%d", exponent);
        return;
    }
    if (exponent < 0)
        str_add(s, "0");
    for (int i = exponent < 0 ? exponent + 1 : 0; i < n || i <= exponent; i++) {
        if (i == exponent + 1)
            str_char(s, '.');
        str_char(s, i >= 0 && i < n ? digits[i] : '0');
    }
}

void str_hex_double(Str *s, double v)
{
    if (add_special(s, v))
        return;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    bool normal = exponent != 0;
    if (!normal)
        exponent = mantissa == 0 ? 1023 : 1;       /* 0x0p+0, or a subnormal 0x0.8p-1022 */
    str_add(s, normal ? "0x1" : "0x0");
    if (mantissa != 0)
        str_char(s, '.');
    for (; mantissa != 0; mantissa = mantissa << 4 & ((UINT64_C(1) << 52) - 1))
        str_char(s, "0123456789abcdef"[mantissa >> 48]);
    str_printf(s, "p%+d", exponent - 1023);
}

/* The end of digits[.digits][e[sign]digits] (hexadecimal: p), or NULL; *point is at the '.'. */
static const char *skip_number(const char *p, bool hex, const char **point)
{
    const char *digits = hex ? DIGITS "abcdefABCDEF" : DIGITS;
    size_t whole = strspn(p, digits), part = p[whole] == '.' ? strspn(p + whole + 1, digits) : 0;
    if (whole + part == 0)
        return NULL;
    *point = p[whole] == '.' ? p + whole : NULL;
    p += whole + (*point != NULL) + part;
    if ((*p | 0x20) == (hex ? 'p' : 'e')) {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        size_t exponent = strspn(p, DIGITS);
        p = exponent > 0 ? p + exponent : NULL;
    }
    return p;
}

bool parse_double(const char *text, double *out)
{
    const char *p = text + (*text == '+' || *text == '-'), *point = NULL;
    if (str_eq(p, "inf") || str_eq(p, "nan")) {
        double v = *p == 'i' ? (double)INFINITY : (double)NAN;
        *out = *text == '-' ? -v : v;
        return true;
    }
    bool hex = p[0] == '0' && (p[1] | 0x20) == 'x';
    const char *end = skip_number(hex ? p + 2 : p, hex, &point);
    if (end == NULL || *end != '\0' || end - text >= MAX_NUMBER_TEXT)
        return false;
    char copy[MAX_NUMBER_TEXT + 16];
    if (point == NULL)
        snprintf(copy, sizeof copy, "%s", text);
    else
        snprintf(copy, sizeof copy, "%.*s%s%s", (int)(point - text), text,
                 nl_langinfo(RADIXCHAR), point + 1);
    double v = strtod(copy, NULL);
    if (isinf(v))
        return false;
    *out = v;
    return true;
}

bool parse_i64(const char *text, int64_t *out)
{
    const char *p = text + (*text == '+' || *text == '-');
    int64_t v = 0;
    if (*p == '\0')
        return false;
    for (; *p != '\0'; p++) {
        int64_t digit = *p - '0';
        if (*p < '0' || *p > '9' || !checked_mul(v, 10, &v) ||
            !checked_add(v, *text == '-' ? -digit : digit, &v))
            return false;
    }
    *out = v;
    return true;
}
