/* diag: messages with a place in a user's file, collected during a run and printed at its end.
 *
 *     net.yaml:31:14: error: 'fc6' has 9216 inputs in its weights but receives 6400 [E0203]
 *        31 |   - linear: {path: classifier.1, out: 4096, name: fc6}
 *           |              ^~~~~~
 *     note: 'flatten' gives 6400 = 256 x 5 x 5 (net.yaml:27:5)
 *     help: pad 2 in conv1 would give 9216
 *
 * Text from files is never sent to a terminal as it is: control characters, direction overrides
 * and bytes that are not UTF-8 are escaped, long text is cut. Columns count characters.
 */
#include "base/base.h"

#include <string.h>

#define MAX_ERRORS 20              /* shown */
#define MAX_STORED 1000            /* errors kept; further messages are only counted */
#define MAX_TEXT 600               /* characters of a message */
#define MAX_LINE 100               /* characters of a quoted line */
#define CONTEXT 60                 /* of which at most so many before the caret */

typedef struct Source {
    const char *text;
    size_t len;
} Source;

struct Diags {
    Arena *arena;
    Diag *diag;
    size_t count, cap;
    int errors, dropped;           /* all errors; those that were not stored */
    Map *sources;                  /* file name to Source */
    bool remarks_hidden;
};

Diags *diags_new(Arena *a)
{
    Diags *d = NEW(a, Diags);
    d->arena = a;
    d->sources = map_new(a);
    return d;
}

void diags_add_source(Diags *d, const char *file, const char *text, size_t len)
{
    Source *s = NEW(d->arena, Source);
    *s = (Source){text, len};
    map_put(d->sources, file, s);
}

bool diag_add(Diags *d, DiagKind kind, Place p, const char *code, const char *format, ...)
{
    bool stored = d->errors < MAX_STORED;
    d->errors += kind == DIAG_ERROR;
    d->dropped += kind == DIAG_ERROR && !stored;
    if (!stored)
        return false;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(d->arena, format, args);
    va_end(args);
    d->diag = arena_grow(d->arena, d->diag, d->count, d->count + 1, &d->cap, sizeof(Diag));
    d->diag[d->count++] = (Diag){kind, p, code, text};
    return false;
}

void diags_hide_remarks(Diags *d)
{
    d->remarks_hidden = true;
}

int diags_error_count(const Diags *d)
{
    return d->errors;
}

int diags_count(const Diags *d)
{
    return (int)d->count;
}

const Diag *diags_get(const Diags *d, int i)
{
    return &d->diag[i];
}

/* Characters that move or reorder what a terminal shows. */
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* Appends the character at text escaped; returns its bytes, *width the columns it takes. */
static size_t add_char(Str *s, const char *text, size_t n, size_t *width)
{
    size_t before = s->len, used;
    uint32_t c = utf8_decode(text, n, &used);
    if (c == UTF8_INVALID)
        str_printf(s, "\\x%02x", (unsigned char)text[0]);
    else if (is_hidden(c))
        str_printf(s, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    else
        str_add_n(s, text, used);
    *width = c != UTF8_INVALID && !is_hidden(c) ? 1 : s->len - before;
    return used;
}

static void add_escaped(Str *s, const char *text, size_t max)
{
    size_t n = strlen(text), at = 0, width;
    for (size_t i = 0; at < n && i < max; i++)
        at += add_char(s, text + at, n - at, &width);
    if (at < n)
        str_add(s, "...");
}

/* The bytes of a 1-based line without its end, or false if the source has no such line. */
static bool find_line(const Source *src, int line, const char **text, size_t *len)
{
    const char *p = src->text, *end = src->text + src->len;
    for (int i = 1; i < line; i++) {
        p = p == end ? NULL : memchr(p, '\n', (size_t)(end - p));
        if (p == NULL)
            return false;
        p++;
    }
    const char *stop = p == end ? NULL : memchr(p, '\n', (size_t)(end - p));
    *text = p;
    *len = (size_t)((stop == NULL ? end : stop) - p);
    if (*len > 0 && p[*len - 1] == '\r')
        --*len;
    return true;
}

/* The line and, under it, a caret at the column and ~ under the rest of the place. */
static void add_quote(const Diags *d, Str *s, Place p, const char *mark_color, const char *reset)
{
    const Source *src = map_get(d->sources, p.file);
    const char *text;
    size_t len;
    if (src == NULL || p.line < 1 || !find_line(src, p.line, &text, &len))
        return;
    Str mark = str_new(s->arena);
    int col = p.col < 1 ? 1 : p.col, first = col > CONTEXT ? col - CONTEXT + 1 : 1;
    int last = p.len > 1 && p.len < MAX_LINE ? col + p.len - 1 : col;
    str_printf(s, "%5d | ", p.line);
    if (first > 1) {
        str_add(s, "...");
        str_add(&mark, "   ");
    }
    int i = 1;
    for (size_t at = 0; at < len && i < first + MAX_LINE; i++) {
        size_t start = s->len, width;
        at += add_char(s, text + at, len - at, &width);
        if (i < first)
            s->len = start;
        for (size_t k = 0; i >= first && i <= last && k < width; k++)
            str_char(&mark, i < col ? ' ' : i == col && k == 0 ? '^' : '~');
        if (i == first + MAX_LINE - 1 && at < len)
            str_add(s, "...");
    }
    for (; i <= col; i++)                  /* past the end of the line */
        str_char(&mark, i < col ? ' ' : '^');
    s->data[s->len] = '\0';
    str_printf(s, "\n      | %s%s%s\n", mark_color, mark.data, reset);
}

static void add_place(Str *s, Place p)
{
    add_escaped(s, p.file, MAX_TEXT);
    if (p.line > 0)
        str_printf(s, ":%d", p.line);
    if (p.line > 0 && p.col > 0)
        str_printf(s, ":%d", p.col);
}

static void render(const Diags *d, Str *s, const Diag *m, bool color)
{
    static const char *const name[] = {"error", "warning", "note", "help", "remark"};
    static const char *const paint[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1;32m",
                                        "\033[1;34m"};
    const char *on = color ? paint[m->kind] : "", *off = color ? "\033[0m" : "";
    bool attached = m->kind == DIAG_NOTE || m->kind == DIAG_HELP;
    bool placed = m->place.file != NULL;
    if (placed && !attached) {
        add_place(s, m->place);
        str_add(s, ": ");
    }
    str_printf(s, "%s%s:%s ", on, name[m->kind], off);
    add_escaped(s, m->text, MAX_TEXT);
    if (m->code != NULL)
        str_printf(s, " [%s]", m->code);
    if (placed && attached) {
        str_add(s, " (");
        add_place(s, m->place);
        str_add(s, ")");
    }
    str_char(s, '\n');
    if (placed && !attached && m->kind != DIAG_REMARK)     /* there are many: a line each */
        add_quote(d, s, m->place, on, off);
}

char *diags_render(const Diags *d, Arena *a, int first, bool color)
{
    Str s = str_new(a);
    int errors = 0;
    for (size_t i = first < 0 ? 0 : (size_t)first; i < d->count; i++) {
        errors += d->diag[i].kind == DIAG_ERROR;
        if (errors <= MAX_ERRORS && !(d->remarks_hidden && d->diag[i].kind == DIAG_REMARK))
            render(d, &s, &d->diag[i], color);
    }
    if (errors > MAX_ERRORS)
        str_printf(&s, "and %d more errors\n", errors - MAX_ERRORS + d->dropped);
    return s.data;
}
