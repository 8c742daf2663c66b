/* golden_text: the parts of a golden file, and how two texts differ.
 *
 *     # run: unroll,scalarize row=avx512
 *     # note: an accumulator that is set before the loop
 *     kernel ...                              the input
 *     ---
 *     kernel ...                              the expectation, or the word: unchanged
 *
 * Words of the first line after the passes: row=NAME, ulp=N (results may differ by N units in the
 * last place) and fails (the expectation is the messages). Instead of passes, one of the words
 * graph, kernel and module: the input is only read and verified. Or weights: a model and a weights
 * file for it, see golden_weights.c; the expectation is the messages.
 */
#include "golden.h"

#include <stdio.h>
#include <string.h>

static bool bad(const Golden *g, const char *what, const char *word)
{
    printf("%s: %s '%s'\n", g->path, what, word);
    return false;
}

static bool read_passes(Golden *g, const char *list)
{
    static const char *const level[] = {"graph", "kernel", "module", "weights"};
    g->passes = "";
    for (int i = 0; i < 4; i++)
        if (str_eq(list, level[i])) {
            g->level = (GoldenLevel)i;
            return true;
        }
    g->passes = list;
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        const char *name = arena_strndup(g->cx->perm, p, n);
        const PassDef *pass = pass_find(name);
        if (!pass)
            return bad(g, "no pass", name);
        if (p != list && g->level != (GoldenLevel)pass->level)
            return bad(g, "passes of different levels:", list);
        g->level = (GoldenLevel)pass->level;
        p += n + (p[n] == ',');
    }
    return true;
}

static bool read_option(Golden *g, const char *word)
{
    if (strncmp(word, "row=", 4) == 0) {
        g->row = row_find(word + 4);
        return g->row || bad(g, "no row", word + 4);
    }
    if (strncmp(word, "ulp=", 4) == 0)
        return parse_i64(word + 4, &g->ulp) || bad(g, "no number", word + 4);
    g->fails = str_eq(word, "fails");
    return g->fails || bad(g, "no option", word);
}

static bool read_run(Golden *g, const char *line)
{
    bool first = true;
    while (*line) {
        size_t n = strcspn(line, " ");
        const char *word = arena_strndup(g->cx->perm, line, n);
        if (n > 0 && !(first ? read_passes(g, word) : read_option(g, word)))
            return false;
        first = first && n == 0;
        line += n + (line[n] == ' ');
    }
    return !first || bad(g, "no passes in", "# run:");
}

bool golden_read(Golden *g, const char *text)
{
    const char *run = "# run: ", *mark = strstr(text, "\n---\n");
    if (strncmp(text, run, strlen(run)) != 0)
        return bad(g, "does not begin with", run);
    if (!mark)
        return bad(g, "has no line", "---");
    size_t line = strcspn(text, "\n");
    g->row = row_find("scalar");
    g->head = arena_strndup(g->cx->perm, text, line);
    g->input = arena_strndup(g->cx->perm, text, (size_t)(mark - text) + 1);
    g->expect = mark + strlen("\n---\n");
    return read_run(g, g->head + strlen(run));
}

/* ---- differences --------------------------------------------------------------------------- */
typedef struct Lines {
    const char **line;
    int n;
} Lines;

static Lines lines_of(Arena *a, const char *text)
{
    Lines l = {NEW_ARRAY(a, const char *, strlen(text) + 1), 0};
    while (*text) {
        size_t n = strcspn(text, "\n");
        l.line[l.n++] = arena_strndup(a, text, n);
        text += n + (text[n] == '\n');
    }
    return l;
}

void golden_show_difference(Arena *a, const char *expect, const char *got)
{
    enum { MOST = 24 };
    Lines x = lines_of(a, expect), y = lines_of(a, got);
    int same = 0, end = 0;
    while (same < x.n && same < y.n && str_eq(x.line[same], y.line[same]))
        same++;
    while (end < x.n - same && end < y.n - same &&
           str_eq(x.line[x.n - 1 - end], y.line[y.n - 1 - end]))
        end++;
    if (same > 0)
        printf("  line %d:   %s\n", same, x.line[same - 1]);
    for (int i = same; i < x.n - end && i < same + MOST; i++)
        printf("  - %s\n", x.line[i]);
    for (int i = same; i < y.n - end && i < same + MOST; i++)
        printf("  + %s\n", y.line[i]);
    if (x.n - end - same > MOST || y.n - end - same > MOST)
        printf("  ...\n");
}
