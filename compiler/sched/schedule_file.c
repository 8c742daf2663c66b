/* schedule_file: a file of schedules, one entry for a kernel and an instruction set.
 *
 *     # by the name of the kernel, or by what it computes, whatever its name
 *     conv3 @ portable: split oc 32, order n oc.o oy ox ic ky kx oc.i,
 *         stage at ic, vector oc.i
 *     linear(9216; out 4096) + relu(~1) @ scalar: auto
 *
 * An entry begins in the first column; lines that begin with a space go on with it. `auto` stands
 * for the schedule that the cost model finds.
 *
 * contract: texts have single spaces; schedule_place says where in the file a character of one
 * stands. The reader of the file knows no kernels: whether verbs are legal is found out by tile.
 */
#include "sched/sched.h"

#include <string.h>

#define MAX_FILE ((size_t)4 << 20)

typedef struct Entry {
    const char *key, *row, *text;      /* text: NULL for auto */
    Place place;
    const char *raw;                   /* the text in the file, comments blanked */
    size_t n_raw;
    int line, col;                     /* where it begins */
    bool used;
} Entry;

struct Schedules {
    Cx *cx;
    const char *file;
    Entry *entry;
    int n;
    size_t cap;
};

typedef struct FileReader {
    Schedules *s;
    char *text;                        /* the file, with spaces for comments */
    size_t at, line_start;
    int line;
} FileReader;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Writes raw with single spaces between words (out: or NULL). Returns where in raw the character
 * number `offset` of that comes from. */
static size_t squeeze(const char *raw, size_t n, size_t offset, Str *out)
{
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        bool first_space = is_space(raw[i]) && made > 0 && !is_space(raw[i - 1]);
        if (is_space(raw[i]) && !first_space)
            continue;
        if (made++ == offset)
            return i;
        if (out)
            str_char(out, first_space ? ' ' : raw[i]);
    }
    return n;
}

static const char *squeezed(Arena *a, const char *raw, size_t n)
{
    Str s = str_new(a);
    squeeze(raw, n, SIZE_MAX, &s);
    if (s.len > 0 && s.data[s.len - 1] == ' ')
        s.data[--s.len] = '\0';
    return s.len ? s.data : "";
}

static bool fail(const FileReader *r, size_t at, const char *what)
{
    Diags *d = r->s->cx->diags;
    Place place = {r->s->file, r->line, (int)(at - r->line_start) + 1, 0};
    diag_error(d, place, "E0957", "%s", what);
    return diag_help(d, "an entry is 'KERNEL @ ISA: VERBS', further lines of it begin with a "
                     "space");
}

static bool check_row(const FileReader *r, const Entry *e)
{
    const char *names[MAX_ROWS];
    int n = 0;
    for (int i = 0; i < row_count() && i < MAX_ROWS; i++)
        names[n++] = row_at(i)->name;
    if (row_find(e->row))
        return true;
    Diags *d = r->s->cx->diags;
    const char *near = str_nearest(r->s->cx->temp, e->row, names, n);
    diag_error(d, e->place, "E0957", "unknown instruction set '%s'", e->row);
    return diag_help(d, "did you mean '%s'?", near ? near : row_at(0)->name);
}

static Entry *find_entry(const Schedules *s, const char *key, const char *row)
{
    for (int i = 0; i < s->n; i++)
        if (str_eq(s->entry[i].key, key) && str_eq(s->entry[i].row, row))
            return &s->entry[i];
    return NULL;
}

static bool add_entry(FileReader *r, Entry *e)
{
    Schedules *s = r->s;
    const Entry *twin = find_entry(s, e->key, e->row);
    if (!*e->key || !*e->row || !e->text[0])
        return fail(r, r->line_start, "expected 'KERNEL @ ISA: VERBS'");
    if (twin) {
        diag_error(s->cx->diags, e->place, "E0957", "a second entry for '%s' @ %s", e->key,
                   e->row);
        diag_note(s->cx->diags, twin->place, "the first one");
        return diag_help(s->cx->diags, "take one of them out");
    }
    if (str_eq(e->text, "auto"))
        e->text = NULL;
    s->entry = arena_grow(s->cx->perm, s->entry, (size_t)s->n, (size_t)s->n + 1, &s->cap,
                          sizeof *s->entry);
    s->entry[s->n++] = *e;
    return check_row(r, e);
}

static size_t line_end(const FileReader *r, size_t at)
{
    return at + strcspn(r->text + at, "\n");
}

/* The entry that begins at r->at; afterwards that is the line behind it. */
static bool read_entry(FileReader *r)
{
    Arena *a = r->s->cx->perm;
    size_t start = r->at, end = line_end(r, start);
    size_t at = start + strcspn(r->text + start, "@\n"), colon = at + strcspn(r->text + at, ":\n");
    if (r->text[at] != '@' || r->text[colon] != ':')
        return fail(r, start, "expected 'KERNEL @ ISA: VERBS'");
    Entry e = {.key = squeezed(a, r->text + start, at - start),
               .row = squeezed(a, r->text + at + 1, colon - at - 1),
               .place = {r->s->file, r->line, 1, (int)(colon - start)},
               .raw = r->text + colon + 1, .line = r->line, .col = (int)(colon - start) + 2};
    int lines = 1;
    while (r->text[end] && is_space(r->text[end + 1])) {
        end = line_end(r, end + 1);
        lines++;
    }
    e.n_raw = (size_t)(r->text + end - e.raw);
    e.text = squeezed(a, e.raw, e.n_raw);
    if (!add_entry(r, &e))
        return false;
    r->line += lines;
    r->at = r->line_start = end + (r->text[end] != '\0');
    return true;
}

/* A space in place of each character of a comment, so that places stay what they are. */
static bool blank_comments(FileReader *r, size_t size)
{
    bool comment = false;
    for (size_t i = 0; i < size; i++) {
        char *c = &r->text[i];
        comment = *c != '\n' && (comment || *c == '#');
        if (comment)
            *c = ' ';
        else if ((unsigned char)*c < ' ' && !is_space(*c))
            return fail(r, i, "control character");
        if (*c == '\n') {
            r->line++;
            r->line_start = i + 1;
        }
    }
    r->line = 1;
    r->line_start = 0;
    return true;
}

Schedules *schedules_read(Cx *cx, const char *path)
{
    Bytes file;
    Schedules *s = NEW(cx->perm, Schedules);
    FileReader r = {.s = s, .line = 1};
    *s = (Schedules){.cx = cx, .file = path};
    if (!file_read(cx, path, MAX_FILE, &file))
        return NULL;
    diags_add_source(cx->diags, path, (const char *)file.data, file.size);
    r.text = arena_alloc(cx->perm, file.size + 1);
    memcpy(r.text, file.data, file.size);
    if (!blank_comments(&r, file.size))
        return NULL;
    while (r.text[r.at]) {
        size_t end = line_end(&r, r.at), blank = r.at + strspn(r.text + r.at, " \t\r");
        if (blank < end && blank > r.at) {
            fail(&r, blank, "this line goes on with no entry");
            return NULL;
        }
        if (blank < end) {
            if (!read_entry(&r))
                return NULL;
            continue;
        }
        r.at = r.line_start = end + (r.text[end] != '\0');
        r.line++;
    }
    return s;
}

bool schedules_find(Schedules *s, const char *name, const char *descriptor, const char *row,
                    const char **text)
{
    Entry *e = find_entry(s, name, row);
    e = e ? e : find_entry(s, descriptor, row);
    if (!e)
        return false;
    e->used = true;
    *text = e->text;
    return true;
}

const char *schedules_unused(const Schedules *s, int *i, const char **row, Place *place)
{
    while (*i < s->n && s->entry[*i].used)
        ++*i;
    if (*i >= s->n)
        return NULL;
    const Entry *e = &s->entry[(*i)++];
    *row = e->row;
    *place = e->place;
    return e->key;
}

Place schedule_place(const Schedules *s, const char *text, size_t offset)
{
    for (int i = 0; s && text && i < s->n; i++) {
        const Entry *e = &s->entry[i];
        Place place = {s->file, e->line, e->col, 1};
        if (e->text != text)
            continue;
        size_t at = squeeze(e->raw, e->n_raw, offset, NULL);
        for (size_t k = 0; k < at; k++) {
            place.col = e->raw[k] == '\n' ? 1 : place.col + 1;
            place.line += e->raw[k] == '\n';
        }
        size_t rest = e->n_raw - at, word = 0;
        while (word < rest && !strchr(",;\n", e->raw[at + word]))
            word++;
        place.len = word ? (int)word : 1;
        return place;
    }
    return NO_PLACE;
}
