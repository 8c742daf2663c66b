/* fmt: the text of a model in canonical form; what it says stays as it was written.
 *
 *     - conv: { out: 8,'kernel' : 3 }   # first     ->     - conv: {out: 8, "kernel": 3}  # first
 *
 * Blocks are indented by 2, brackets filled to 100 columns, single quotes become double ones, one
 * blank line stays of several. The tree gives the order; the comments lie between its nodes: each
 * '#' there begins one.
 *
 * contract: the result has the same tree and the same comments in the same order, and is its own
 * canonical form. Both are checked: rather an error than a loss.
 */
#include "front/front.h"

#include <string.h>

enum { COLUMNS = 100, STEP = 2 };

typedef struct Comment {
    int at, col;                   /* byte and column of the '#' */
    bool trailing;                 /* behind something on its line */
    const char *text;
} Comment;

typedef struct Fmt {
    Cx *cx;
    const char *text;
    int len;
    Yaml *root;                    /* start and end of its nodes are bytes here */
    Comment *comment;
    size_t n, cap, next;           /* next: the first that is not printed yet */
    Str out, flat;                 /* flat: to measure */
    bool commented;                /* the line being printed ends in a comment */
    bool ended;                    /* what was printed last fixes the blank lines behind it */
} Fmt;

typedef struct Level {             /* entries of a list or map in block style */
    int indent;
    int column;                    /* comments from this column of the text on belong to it */
    int limit;                     /* where the next entry outside begins */
} Level;

/* ---- comments ------------------------------------------------------------------------------- */

static int line_start(const Fmt *f, int at)
{
    while (at > 0 && f->text[at - 1] != '\n')
        at--;
    return at;
}

static int width(const char *text, size_t n)
{
    int columns = 0;
    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

static int source_column(const Fmt *f, int at)
{
    int start = line_start(f, at);
    return 1 + width(f->text + start, (size_t)(at - start));
}

/* The comment at the '#' at `at`; returns where it ends. */
static int add_comment(Fmt *f, int at)
{
    int start = line_start(f, at), end = at;
    while (end < f->len && f->text[end] != '\n')
        end++;
    size_t n = (size_t)(end - at);
    while (strchr(" \r", f->text[at + (int)n - 1]))
        n--;
    f->comment = arena_grow(f->cx->perm, f->comment, f->n, f->n + 1, &f->cap, sizeof(Comment));
    f->comment[f->n++] = (Comment){at, source_column(f, at),
                                   (int)strspn(f->text + start, " ") < at - start,
                                   arena_strndup(f->cx->perm, f->text + at, n)};
    return end;
}

/* Nothing but indicators and comments from at to end; returns the first `stop` of them, or end. */
static int scan(Fmt *f, int at, int end, char stop)
{
    while (at < end && f->text[at] != stop)
        at = f->text[at] == '#' ? add_comment(f, at) : at + 1;
    return at;
}

static void scan_scalar(Fmt *f, Yaml *y)
{
    while (y->start < y->end && strchr(" \r\n#", f->text[y->start]))
        y->start = f->text[y->start] == '#' ? add_comment(f, y->start) : y->start + 1;
    if (y->block)
        scan(f, y->start, y->end, '\n');
}

/* Collects the comments from *at on to the end of y, and makes its places bytes. */
static void scan_node(Fmt *f, const int *byte, Yaml *y, int *at)
{
    y->start = byte[y->start];
    y->end = byte[y->end];
    *at = scan(f, *at, y->start, '\0');
    if (y->alias || y->kind == YAML_SCALAR) {
        y->start += y->anchor ? 1 + (int)strlen(y->anchor) : 0;
        scan_scalar(f, y);
        *at = y->end;
        return;
    }
    *at += y->anchor ? 1 + (int)strlen(y->anchor) : 0;
    for (int i = 0; i < y->n; i++) {
        if (y->kind == YAML_MAP)
            scan_node(f, byte, y->key[i], at);
        else if (y->block)
            *at = scan(f, *at, byte[y->item[i]->start], '-');
        y->item[i]->entry = y->kind == YAML_MAP ? y->key[i]->start : *at;
        scan_node(f, byte, y->item[i], at);
    }
    if (!y->block)
        *at = scan(f, *at, y->end, '\0');
}

/* Where each character of the text begins, and its end. */
static int *byte_table(const Fmt *f)
{
    int *byte = NEW_ARRAY(f->cx->perm, int, f->len + 1), n = 0;
    for (int i = 0; i < f->len; i++)
        if (((unsigned char)f->text[i] & 0xc0) != 0x80)
            byte[n++] = i;
    byte[n] = f->len;
    return byte;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool comment_before(const Fmt *f, int at)
{
    return f->next < f->n && f->comment[f->next].at < at;
}

static int column(const Fmt *f)
{
    size_t start = f->out.len;
    while (start > 0 && f->out.data[start - 1] != '\n')
        start--;
    return width(f->out.data + start, f->out.len - start);
}

/* Does `at` begin its line of the text, and is the line before it blank? */
static bool after_blank(const Fmt *f, int at)
{
    while (at > 0 && f->text[at - 1] == ' ')
        at--;
    if (at == 0 || f->text[--at] != '\n')
        return false;
    while (at > 0 && strchr(" \r", f->text[at - 1]))
        at--;
    return at > 0 && f->text[at - 1] == '\n';
}

static void pad(Fmt *f, int columns)
{
    for (int i = column(f); i < columns; i++)
        str_char(&f->out, ' ');
}

static void new_line(Fmt *f, int at, int indent)
{
    if (f->out.len > 0)
        str_add(&f->out, after_blank(f, at) && !f->ended ? "\n\n" : "\n");
    f->commented = f->ended = false;
    pad(f, indent);
}

static void print_comment(Fmt *f, int indent)
{
    const Comment *c = &f->comment[f->next++];
    if (c->trailing && !f->commented)
        pad(f, c->col - 1 > column(f) + 2 ? c->col - 1 : column(f) + 2);
    else
        new_line(f, c->at, indent);
    str_add(&f->out, c->text);
    f->commented = true;
}

/* A new line for what begins at `at`, behind the comments before it. */
static void start_line(Fmt *f, int at, int indent)
{
    while (comment_before(f, at))
        print_comment(f, indent);
    new_line(f, at, indent);
}

/* ---- scalars and brackets ------------------------------------------------------------------- */

static void add_anchor(Str *s, const Yaml *y)
{
    bool empty = y->kind == YAML_SCALAR && !y->quoted && !*y->text;
    if (y->anchor)
        str_printf(s, empty ? "&%s" : "&%s ", y->anchor);
}

static void add_scalar(Str *s, const Yaml *y)
{
    if (y->alias) {
        str_printf(s, "*%s", y->alias);
        return;
    }
    add_anchor(s, y);
    if (y->quoted || strchr(y->text, '\n'))
        yaml_quote(s, y->text);
    else
        str_add(s, y->text);
}

static void add_key(Str *s, const Yaml *y)
{
    add_scalar(s, y);
    str_add(s, y->alias || (y->anchor && !*y->text) ? " :" : ":");
}

/* On one line; not to its end if that is too long anyway. */
static void add_flat(Str *s, const Yaml *y)
{
    if (y->alias || y->kind == YAML_SCALAR) {
        add_scalar(s, y);
        return;
    }
    add_anchor(s, y);
    str_char(s, y->kind == YAML_MAP ? '{' : '[');
    for (int i = 0; i < y->n && s->len <= 4 * COLUMNS; i++) {
        str_add(s, i ? ", " : "");
        if (y->kind == YAML_MAP) {
            add_key(s, y->key[i]);
            str_char(s, ' ');
        }
        add_flat(s, y->item[i]);
    }
    str_char(s, y->kind == YAML_MAP ? '}' : ']');
}

/* Is there room for it, with so many columns more, and no comment in it? One between a key and its
 * scalar goes behind them. */
static bool fits(Fmt *f, const Yaml *key, const Yaml *y, int more)
{
    f->flat.len = 0;
    if (key) {
        add_key(&f->flat, key);
        str_char(&f->flat, ' ');
    }
    add_flat(&f->flat, y);
    return (y->alias || y->kind == YAML_SCALAR || !comment_before(f, y->end)) &&
           column(f) + width(f->flat.data, f->flat.len) + more <= COLUMNS;
}

/* tail: columns that follow on the line in any case. */
static void print_flow(Fmt *f, const Yaml *y, int tail)
{
    bool map = y->kind == YAML_MAP;
    if (y->alias || y->kind == YAML_SCALAR) {
        add_scalar(&f->out, y);
        return;
    }
    if (fits(f, NULL, y, tail)) {
        str_add_n(&f->out, f->flat.data, f->flat.len);
        return;
    }
    add_anchor(&f->out, y);
    str_char(&f->out, map ? '{' : '[');
    int indent = column(f);
    for (int i = 0; i < y->n; i++) {
        const Yaml *item = y->item[i], *key = map ? y->key[i] : NULL;
        int start = key ? key->start : item->start, more = i + 1 < y->n ? 1 : tail + 1;
        if (comment_before(f, start) || (i > 0 && !fits(f, key, item, more + 1)))
            start_line(f, start, indent);
        else if (i > 0)
            str_char(&f->out, ' ');
        if (key) {
            add_key(&f->out, key);
            str_char(&f->out, ' ');
        }
        print_flow(f, item, more);
        str_add(&f->out, i + 1 < y->n ? "," : "");
    }
    if (comment_before(f, y->end))
        start_line(f, y->end - 1, indent);
    str_char(&f->out, map ? '}' : ']');
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* n bytes as lines of their own; trim: white space at both ends means nothing. */
static void print_lines(Fmt *f, const char *text, size_t n, int indent, size_t cut, bool trim)
{
    for (const char *end = text + n; text <= end; ) {
        const char *stop = memchr(text, '\n', (size_t)(end - text)), *next = stop ? stop : end;
        size_t spaces = strspn(text, " "), skip = trim || spaces < cut ? spaces : cut;
        const char *from = text + skip < next ? text + skip : next;
        size_t length = (size_t)(next - from);
        while (length > 0 && (from[length - 1] == '\r' || (trim && from[length - 1] == ' ')))
            length--;
        str_char(&f->out, '\n');
        if (length > 0)
            pad(f, indent);
        str_add_n(&f->out, from, length);
        text = next + 1;
    }
}

/* Of n bytes, without the blank lines at the end; more than cut spaces are not blank. */
static size_t lines_length(const char *text, size_t n, size_t cut)
{
    for (size_t end = n; end > 0; ) {
        while (end > 0 && strchr("\r\n", text[end - 1]))
            end--;
        n = end;
        while (end > 0 && text[end - 1] == ' ')
            end--;
        if (n == end || n - end > cut || (end > 0 && text[end - 1] != '\n'))
            break;
    }
    return n;
}

/* "|" by its value, which is its lines; ">" by its lines, which are its author's. */
static void print_block_scalar(Fmt *f, const Yaml *y, int indent)
{
    const char *from = f->text + y->start, *content = y->text;
    size_t mark = strcspn(from, " \r\n#"), n = strlen(content), cut = 0;
    while (n > 0 && content[n - 1] == '\n')
        n--;
    size_t extra = strlen(content) - n;
    bool counted = memchr("123456789", from[1], 9) || (mark > 2 && memchr("123456789", from[2], 9));
    bool folded = *from == '>' && !counted;
    add_anchor(&f->out, y);
    if (n == 0) {
        yaml_quote(&f->out, content);
        return;
    }
    str_char(&f->out, folded ? '>' : '|');
    if (!folded && content[strspn(content, "\n")] == ' ')
        str_printf(&f->out, "%d", STEP);
    str_add(&f->out, extra == 0 ? "-" : extra > 1 ? "+" : "");
    if (comment_before(f, y->end))
        print_comment(f, indent);
    if (folded) {
        content = from + strcspn(from, "\n") + 1;
        const char *first = content + strspn(content, " \r\n");
        cut = (size_t)source_column(f, (int)(first - f->text)) - 1;
        n = lines_length(content, (size_t)(f->text + y->end - content), cut);
    }
    print_lines(f, content, n, indent, cut, false);
    for (size_t i = 1; i < extra; i++)
        str_char(&f->out, '\n');
    f->ended = extra > 1;
}

static void print_block(Fmt *f, const Yaml *y, Level level, bool compact);

/* Behind "key:" or, item being true, "-". */
static void print_value(Fmt *f, const Yaml *y, Level level, bool item)
{
    const char *from = f->text + y->start;
    size_t n = (size_t)(y->end - y->start);
    bool scalar = y->kind == YAML_SCALAR && !y->alias;
    if (!scalar && !y->alias && y->block) {
        if (y->anchor)
            str_printf(&f->out, " &%s", y->anchor);
        print_block(f, y, level, item && !y->anchor);
        return;
    }
    if (scalar && !y->anchor && !y->quoted && !*y->text)
        return;
    str_char(&f->out, ' ');
    if (scalar && y->block) {
        print_block_scalar(f, y, level.indent);
    } else if (scalar && memchr(from, '\n', n)) {
        size_t first = strcspn(from, "\r\n");
        add_anchor(&f->out, y);
        str_add_n(&f->out, from, first);
        print_lines(f, strchr(from, '\n') + 1, n - (size_t)(strchr(from, '\n') + 1 - from),
                    level.indent, 0, true);
    } else {
        print_flow(f, y, 0);
    }
}

/* compact: its first entry stands behind the "-" that it is an item of. */
static void print_block(Fmt *f, const Yaml *y, Level level, bool compact)
{
    int column_here = source_column(f, y->item[0]->entry);
    level.column = column_here > level.column ? column_here : level.column;
    for (int i = 0; i < y->n; i++) {
        int start = y->item[i]->entry, next = i + 1 < y->n ? y->item[i + 1]->entry : level.limit;
        if (i == 0 && compact && !comment_before(f, start))
            str_char(&f->out, ' ');
        else
            start_line(f, start, level.indent);
        if (y->kind == YAML_MAP)
            add_key(&f->out, y->key[i]);
        else
            str_char(&f->out, '-');
        print_value(f, y->item[i], (Level){level.indent + STEP, level.column + 1, next},
                    y->kind == YAML_LIST);
    }
    while (comment_before(f, level.limit) && (f->comment[f->next].trailing ||
                                              f->comment[f->next].col >= level.column))
        print_comment(f, level.indent);
}

/* ---- a document ----------------------------------------------------------------------------- */

/* %YAML lines and ---. */
static void print_head(Fmt *f)
{
    for (int at = 0; at < f->root->start; at += 1 + (int)strcspn(f->text + at, "\n")) {
        const char *line = f->text + at;
        size_t n = *line == '%' ? strcspn(line, "\r\n#") : strncmp(line, "---", 3) == 0 ? 3 : 0;
        while (n > 0 && line[n - 1] == ' ')
            n--;
        if (n > 0) {
            start_line(f, at, 0);
            str_add_n(&f->out, line, n);
        }
    }
}

static bool format(Fmt *f, Cx *cx, const char *file, const char *text, size_t len)
{
    int at = 0;
    *f = (Fmt){.cx = cx, .text = text, .out = str_new(cx->perm), .flat = str_new(cx->perm)};
    f->root = yaml_parse(cx, file, text, len);
    if (!f->root || !read_map(cx, f->root, "a model", "net2c: 1"))
        return false;
    f->len = (int)len;
    scan_node(f, byte_table(f), f->root, &at);
    scan(f, at, f->len, '\0');
    print_head(f);
    if (f->root->block && f->root->anchor) {
        start_line(f, f->root->start, 0);
        str_printf(&f->out, "&%s", f->root->anchor);
    }
    if (f->root->block) {
        print_block(f, f->root, (Level){0, 0, f->len}, false);
    } else {
        start_line(f, f->root->start, 0);
        print_flow(f, f->root, 0);
    }
    while (comment_before(f, f->len))
        print_comment(f, 0);
    str_char(&f->out, '\n');
    return true;
}

/* Quotes tell "8", a word, from 8; a text of several lines is neither way a number. */
static bool same_tree(const Yaml *a, const Yaml *b)
{
    bool lines = a->text && strchr(a->text, '\n');
    if (a->kind != b->kind || a->n != b->n || (a->quoted != b->quoted && !lines) ||
        !str_eq(a->text, b->text) || !str_eq(a->anchor, b->anchor) || !str_eq(a->alias, b->alias))
        return false;
    bool same = true;
    for (int i = 0; same && !a->alias && i < a->n; i++)
        same = (a->kind != YAML_MAP || same_tree(a->key[i], b->key[i])) &&
               same_tree(a->item[i], b->item[i]);
    return same;
}

static bool same_comments(const Fmt *a, const Fmt *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = str_eq(a->comment[i].text, b->comment[i].text);
    return same;
}

char *fmt_text(Cx *cx, const char *file, const char *text, size_t len)
{
    Fmt *a = NEW(cx->perm, Fmt), *again = NEW(cx->perm, Fmt);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    /* The ends of strings are looked for in it. */
    text = arena_strndup(cx->perm, text, len);
    if (!format(a, cx, file, text, len))
        return NULL;
    const char *name = arena_printf(cx->perm, "<%s, formatted>", file);
    if (format(again, cx, name, a->out.data, a->out.len) && same_tree(a->root, again->root) &&
        same_comments(a, again) && str_eq(a->out.data, again->out.data))
        return a->out.data;
    diag_error(cx->diags, (Place){.file = file}, "E0973",
               "internal error: formatting would change this model");
    return NULL;
}
