/* str: growing strings, and what compilers do with text: nearest word, hash.
 *
 *     Str s = str_new(arena);
 *     str_printf(&s, "%d x ", 3);
 *     str_double(&s, 0.75);              s.data is "3 x 0.75"
 *
 * data is always 0-terminated and len does not count the terminator. Numbers are in number.c.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

#define NEAREST_MAX_WORD 256

Str str_new(Arena *a)
{
    Str s = {.arena = a};
    s.data = arena_grow(a, NULL, 0, 64, &s.cap, 1);
    return s;
}

void str_add_n(Str *s, const char *text, size_t n)
{
    /* One past the text for the terminator; len + n + 1 cannot wrap for text that exists. */
    s->data = arena_grow(s->arena, s->data, s->len, s->len + n + 1, &s->cap, 1);
    if (n > 0)
        memcpy(s->data + s->len, text, n);
    s->len += n;
    s->data[s->len] = '\0';
}

void str_add(Str *s, const char *text)
{
    str_add_n(s, text, strlen(text));
}

void str_char(Str *s, char c)
{
    str_add_n(s, &c, 1);
}

void str_printf(Str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(s->data + s->len, s->cap - s->len, format, args);
    if (n > 0 && (size_t)n >= s->cap - s->len) {
        s->data = arena_grow(s->arena, s->data, s->len, s->len + (size_t)n + 1, &s->cap, 1);
        vsnprintf(s->data + s->len, (size_t)n + 1, format, again);
    }
    if (n > 0)
        s->len += (size_t)n;
    s->data[s->len] = '\0';
    va_end(again);
    va_end(args);
}

int str_words(Arena *a, const char *text, const char *word[], int max)
{
    int n = 0;
    for (const char *p = text ? text : ""; *p && n < max; ) {
        size_t length = strcspn(p, " ");
        if (length > 0)
            word[n++] = arena_strndup(a, p, length);
        p += length + (p[length] == ' ');
    }
    return n;
}

bool str_eq(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a, b) == 0;
}

/* Edit distance of a and b, or limit + 1 as soon as it must be more than limit. row is scratch
 * of strlen(b) + 1 elements: after line i, row[j] is the distance of a[0..i) and b[0..j). */
static size_t edit_distance(const char *a, const char *b, size_t limit, size_t *row)
{
    size_t na = strlen(a), nb = strlen(b);
    if ((na > nb ? na - nb : nb - na) > limit)
        return limit + 1;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0], best = row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t d = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < d)
                d = row[j] + 1;
            if (row[j - 1] + 1 < d)
                d = row[j - 1] + 1;
            row[j] = d;
            if (d < best)
                best = d;
        }
        if (best > limit)
            return limit + 1;
    }
    return row[nb];
}

const char *str_nearest(Arena *a, const char *word, const char *const *candidates, int n)
{
    size_t len = strlen(word);
    if (len == 0 || len > NEAREST_MAX_WORD)
        return NULL;
    size_t limit = (len + 2) / 3;      /* a third of the letters may be wrong */
    size_t *row = NEW_ARRAY(a, size_t, len + 1);
    const char *nearest = NULL;
    for (int i = 0; i < n && limit > 0; i++) {
        size_t d = edit_distance(candidates[i], word, limit, row);
        if (d <= limit) {
            nearest = candidates[i];
            limit = d - (d > 0);       /* only a strictly nearer one replaces it */
        }
    }
    return nearest;
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t n)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < n; i++)
        seed = (seed ^ byte[i]) * UINT64_C(1099511628211);
    return seed;
}
