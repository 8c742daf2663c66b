/* utf8: strict decoding, one character at a time.
 *
 * Refuses overlong forms, surrogates and code points above U+10FFFF, so that one text has one
 * spelling. An invalid byte is reported as UTF8_INVALID and consumes one byte.
 */
#include "base/base.h"

uint32_t utf8_decode(const char *text, size_t n, size_t *used)
{
    const uint8_t *b = (const uint8_t *)text;
    *used = 1;
    if (b[0] < 0x80)
        return b[0];
    size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || length > n)
        return UTF8_INVALID;
    uint32_t c = b[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return UTF8_INVALID;
        c = c << 6 | (b[i] & 0x3fu);
    }
    bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
    if (overlong || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return UTF8_INVALID;
    *used = length;
    return c;
}
