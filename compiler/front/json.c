/* json: a strict reader of JSON (RFC 8259), as much of it as a safetensors header needs.
 *
 *     json_take(&j, '{'); key = json_string(&j); json_take(&j, ':'); json_uint(&j, &n);
 *
 * Each function skips white space, then reads one token. The first problem is kept in
 * Json.problem with its offset, and everything after it fails: callers check once. Keys must not
 * contain U+0000, since they become C strings.
 */
#include "front/front.h"

#include <string.h>

#define UTF8_MAX 4

Json json_start(Arena *a, const char *text, size_t len)
{
    return (Json){.arena = a, .text = text, .len = len};
}

bool json_fail(Json *j, const char *problem)
{
    if (j->problem == NULL)
        j->problem = problem;
    return false;
}

static void skip_space(Json *j)
{
    while (j->at < j->len && strchr(" \t\r\n", j->text[j->at]) != NULL && j->text[j->at] != '\0')
        j->at++;
}

bool json_peek(Json *j, char c)
{
    skip_space(j);
    return j->problem == NULL && j->at < j->len && j->text[j->at] == c;
}

bool json_take(Json *j, char c)
{
    if (json_peek(j, c)) {
        j->at++;
        return true;
    }
    if (j->problem == NULL)
        j->expected = c;
    return json_fail(j, "expected");
}

bool json_next(Json *j, char close, bool *first)
{
    if (*first) {
        *first = false;
        if (!json_peek(j, close))
            return j->problem == NULL;
    } else if (json_peek(j, ',')) {
        j->at++;
        return true;
    }
    if (!json_peek(j, close))
        return json_fail(j, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    j->at++;
    return false;
}

bool json_end(Json *j)
{
    skip_space(j);
    return j->problem == NULL && (j->at == j->len || json_fail(j, "text after the end"));
}

bool json_uint(Json *j, int64_t *out)
{
    skip_space(j);
    size_t start = j->at;
    int64_t v = 0;
    for (; j->at < j->len && j->text[j->at] >= '0' && j->text[j->at] <= '9'; j->at++)
        if (!checked_mul(v, 10, &v) || !checked_add(v, j->text[j->at] - '0', &v))
            return json_fail(j, "the number is too large");
    if (j->at == start)
        return json_fail(j, "expected a number without sign");
    if (j->text[start] == '0' && j->at > start + 1)
        return json_fail(j, "a number must not begin with 0");
    if (j->at < j->len && j->text[j->at] != '\0' && strchr(".eE", j->text[j->at]) != NULL)
        return json_fail(j, "expected a whole number");
    *out = v;
    return j->problem == NULL;
}

static bool read_hex4(Json *j, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        static const char digits[] = "0123456789abcdef";
        char c = j->at < j->len ? j->text[j->at] : '\0';
        const char *d = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);
        if (d == NULL)
            return json_fail(j, "expected four hexadecimal digits");
        v = v << 4 | (uint32_t)(d - digits);
    }
    *out = v;
    return true;
}

static void add_utf8(Str *s, uint32_t c)
{
    char bytes[UTF8_MAX];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint32_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(lead[n] | c);
    str_add_n(s, bytes, n);
}

/* After \u: a character, or a surrogate pair. */
static bool read_unicode(Json *j, Str *s)
{
    uint32_t c, low;
    if (!read_hex4(j, &c))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (j->len - j->at < 2 || memcmp(j->text + j->at, "\\u", 2) != 0)
            return json_fail(j, "half a surrogate pair");
        j->at += 2;
        if (!read_hex4(j, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return json_fail(j, "half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return json_fail(j, "half a surrogate pair");
    } else if (c == 0) {
        return json_fail(j, "the character 0 in a string");
    }
    add_utf8(s, c);
    return true;
}

static bool read_escape(Json *j, Str *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = j->at < j->len ? j->text[j->at] : '\0';
    const char *known = c == '\0' ? NULL : strchr(from, c);
    if (known == NULL && c != 'u')
        return json_fail(j, "unknown escape");
    j->at++;
    if (c == 'u')
        return read_unicode(j, s);
    str_char(s, to[known - from]);
    return true;
}

/* Bytes up to the closing quote: enough for the string, since escapes only shrink. */
static size_t raw_length(const Json *j)
{
    size_t i = j->at;
    while (i < j->len && j->text[i] != '"')
        i += j->text[i] == '\\' ? 2 : 1;
    return i - j->at;
}

char *json_string(Json *j)
{
    if (!json_take(j, '"'))
        return NULL;
    Str s = {.arena = j->arena, .cap = raw_length(j) + 1};
    s.data = arena_alloc(s.arena, s.cap);
    while (j->at < j->len && j->text[j->at] != '"') {
        size_t used;
        uint32_t c = utf8_decode(j->text + j->at, j->len - j->at, &used);
        if (c == UTF8_INVALID || c < 0x20) {
            json_fail(j, c < 0x20 ? "a control character in a string" : "not UTF-8");
            return NULL;
        }
        if (c != '\\') {
            str_add_n(&s, j->text + j->at, used);
            j->at += used;
            continue;
        }
        j->at++;
        if (!read_escape(j, &s))
            return NULL;
    }
    return json_take(j, '"') ? s.data : NULL;
}

void json_quote(Str *s, const char *text)
{
    str_char(s, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            str_printf(s, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            str_printf(s, "\\u%04x", (unsigned)*text);
        else
            str_char(s, *text);
    }
    str_char(s, '"');
}
