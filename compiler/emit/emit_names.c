/* emit_names.c: C identifiers for the IR's names: legal, never a keyword, never two for one.
 *
 * example: loop variables "oc.o" and "oc_o" in one scope become oc_o and oc_o_2.
 * A name is taken while its scope is open and free again afterwards, so that two loops one after
 * the other are both called `oy`. Nothing of the model's text but [A-Za-z0-9_] reaches the C file.
 */
#include "emit/emit.h"

#include <string.h>

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

bool c_is_identifier(const char *s)
{
    return *s && !strchr(DIGITS, *s) && !s[strspn(s, C_WORD)];
}

/* Words of C and C++, and macros that compilers define without underscores. */
static bool is_reserved(const char *s)
{
    static const char words[] =
        " alignas alignof and and_eq asm assert auto bitand bitor bool break case catch char"
        " class compl concept const const_cast consteval constexpr constinit continue decltype"
        " default delete do double dynamic_cast else enum errno explicit export extern false"
        " float for friend goto i386 if inline int int32_t linux long main mutable namespace"
        " new noexcept not not_eq nullptr operator or or_eq private protected ptrdiff_t public"
        " register reinterpret_cast requires restrict return short signed size_t sizeof static"
        " static_assert static_cast struct switch template this thread_local throw true try"
        " typedef typeid typename typeof uint32_t uint64_t union unix unsigned using virtual"
        " void volatile wchar_t while xor xor_eq ";
    for (const char *p = words; (p = strstr(p + 1, s)); )
        if (p[-1] == ' ' && p[strlen(s)] == ' ')
            return true;
    return false;
}

/* Macros of system headers are all capitals, names of the compiler's own headers begin with an
 * underscore, ours with n2c. */
static bool needs_prefix(const char *s)
{
    bool capitals = s[1] && !s[strcspn(s, LOWER)];
    return capitals || strchr("_" DIGITS, *s) || !strncmp(s, "n2c", 3) ||
           !strncmp(s, "N2C", 3) || is_reserved(s);
}

const char *c_identifier(Arena *a, const char *name)
{
    char *s = arena_strdup(a, *name ? name : "x");
    for (char *p = s; *(p += strspn(p, C_WORD)); )
        *p = '_';
    return needs_prefix(s) ? arena_printf(a, "v_%s", s) : s;
}

const char *c_name_of(Arena *a, const Map *taken, const void *owner, const char *name)
{
    enum { MAX_SAME = 4096 };
    const char *stem = c_identifier(a, name), *s = stem;
    for (int i = 2; map_get(taken, s) != owner; i++) {
        if (owner && i > MAX_SAME)
            return NULL;
        s = arena_printf(a, "%s_%d", stem, i);
    }
    return s;
}

const char *c_name_take(Arena *a, Map *taken, const void *owner, const char *name)
{
    const char *s = c_name_of(a, taken, NULL, name);
    map_put(taken, s, (void *)(uintptr_t)owner);
    return s;
}

void c_name_free(Arena *a, Map *taken, const void *owner, const char *name)
{
    const char *s = c_name_of(a, taken, owner, name);
    if (s)
        map_put(taken, s, NULL);
}

char *c_upper(Arena *a, const char *name)
{
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++)
        *p = strchr(LOWER, *p) ? (char)(*p - 'a' + 'A') : strchr(C_WORD, *p) ? *p : '_';
    return s;
}

/* Text that can neither end a comment nor open one, in printable ASCII. */
static Str comment_escape(Arena *a, const char *text)
{
    Str s = str_new(a);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p == '*' && p[1] == '/') || (*p == '/' && p[1] == '*'))
            str_printf(&s, "%c ", *p);
        else if (*p < 32 || *p > 126)
            str_printf(&s, "\\x%02x", *p);
        else
            str_char(&s, (char)*p);
    }
    return s;
}

void c_comment(Str *out, const char *prefix, const char *text)
{
    enum { WIDTH = 97 };
    Str s = comment_escape(out->arena, text);
    char *pre = arena_strdup(out->arena, prefix), *slash = strchr(pre, '/');
    const char *p = s.data;
    size_t left = s.len, room = WIDTH - strlen(prefix);
    while (left > room) {
        size_t cut = room;
        while (cut > room / 2 && p[cut] != ' ')
            cut--;
        cut = p[cut] == ' ' ? cut : room;
        str_add(out, pre);
        str_add_n(out, p, cut);
        str_char(out, '\n');
        cut += p[cut] == ' ';
        p += cut;
        left -= cut;
        if (slash)
            *slash = ' ';
    }
    str_add(out, pre);
    str_add_n(out, p, left);
    str_char(out, '\n');
}
