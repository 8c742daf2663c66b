/* golden: runs golden files, each an input, the passes to run on it and the text they must give.
 *
 *     golden [--update] [FILE or FOLDER]...           no path: tests/golden
 *
 * For each file the input is read and verified, the passes run (verified one by one, with the check
 * that they tell the truth about changes), the result is printed and compared with the expectation,
 * read back and printed again, and both sides are executed and must compute the same. Files of
 * errors and of weights compare the messages instead. --update writes the expectation that would
 * pass; read it before you commit it. Exit status 0: all passed.
 */
#include "golden.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool subject_parse(const Golden *g, const char *file, const char *text, Subject *s)
{
    Cx *cx = g->cx;
    char *copy = arena_strdup(cx->perm, text);
    *s = (Subject){NULL, NULL, NULL};
    switch (g->level) {
    case GOLDEN_GRAPH:
        s->graph = model_parse(cx, file, copy, strlen(copy));
        return s->graph && graph_verify(cx, s->graph);
    case GOLDEN_KERNEL:
        s->kernel = kernel_parse(cx, file, copy);
        return s->kernel && loop_verify(cx, s->kernel);
    case GOLDEN_MODULE:
        s->module = module_parse(cx, file, copy);
        return s->module && module_verify(cx, s->module);
    case GOLDEN_WEIGHTS:
        return golden_weights(g, copy);
    }
    return false;
}

static const char *subject_text(const Golden *g, const Subject *s)
{
    switch (g->level) {
    case GOLDEN_GRAPH: return graph_text(g->cx->perm, s->graph);
    case GOLDEN_KERNEL: return kernel_text(g->cx->perm, s->kernel);
    case GOLDEN_MODULE: return module_text(g->cx->perm, s->module);
    case GOLDEN_WEIGHTS: break;
    }
    return "";
}

/* Weights are whole numbers here, but for those whose name says otherwise. */
static bool is_finite(void *weights, const char *key)
{
    (void)weights;
    return strstr(key, "infinite") == NULL;
}

static bool run_passes(const Golden *g, Subject *s)
{
    PassCx pc = {.cx = g->cx, .arena = g->cx->perm, .row = g->row, .narrow = true,
                 .finite = is_finite};
    bool ok = true;
    for (const char *p = g->passes; ok && *p;) {
        size_t n = strcspn(p, ",");
        const PassDef *pass = pass_find(arena_strndup(g->cx->perm, p, n));
        ok = pass->level == LEVEL_GRAPH    ? pass_run_graph(&pc, NULL, pass, s->graph)
             : pass->level == LEVEL_KERNEL ? pass_run_kernel(&pc, NULL, pass, s->kernel)
                                           : pass_run_module(&pc, NULL, pass, s->module);
        p += n + (p[n] == ',');
    }
    return ok;
}

/* What the compiler does with an input, for messages: a graph is lowered as well. */
static bool compile(const Golden *g, Subject *s)
{
    LowerOptions o = {.row = g->row->name, .batch = 1, .type = TYPE_F32};
    return subject_parse(g, g->file, g->input, s) && run_passes(g, s) &&
           (!s->graph || lower_graph(g->cx, g->cx->perm, s->graph, &o));
}

static bool fail(const Golden *g, const char *what)
{
    printf("%s: %s\n", g->path, what);
    printf("%s", diags_render(g->cx->diags, g->cx->perm, 0, false));
    return false;
}

/* Reads a printed text back, which must print the same, and executes it. */
static bool run_text(const Golden *g, const char *text, Results *results)
{
    Subject again;
    if (!subject_parse(g, "printed", text, &again))
        return fail(g, "a printed text does not read back");
    const char *printed = subject_text(g, &again);
    if (!str_eq(printed, text)) {
        fail(g, "a text prints differently when it is read back");
        golden_show_difference(g->cx->perm, text, printed);
        return false;
    }
    return golden_execute(g, &again, results) || fail(g, "does not run");
}

/* What the expectation should be, everything but the comparison with it done; NULL: said why. */
static const char *golden_outcome(const Golden *g)
{
    Subject s;
    Results before, after;
    if (g->fails || g->level == GOLDEN_WEIGHTS) {
        if (compile(g, &s) == g->fails)
            return fail(g, g->fails ? "should fail and does not" : "fails"), NULL;
        if (g->fails && diags_error_count(g->cx->diags) == 0)
            return fail(g, "fails without a message"), NULL;
        return diags_render(g->cx->diags, g->cx->perm, 0, false);
    }
    if (!subject_parse(g, g->file, g->input, &s))
        return fail(g, "the input is wrong"), NULL;
    const char *text = subject_text(g, &s);
    if (!run_passes(g, &s))
        return fail(g, "a pass failed"), NULL;
    const char *result = subject_text(g, &s);
    if (!run_text(g, text, &before) || !run_text(g, result, &after))
        return NULL;
    const char *wrong = golden_compare(g, &before, &after);
    if (wrong)
        return fail(g, wrong), NULL;
    return str_eq(result, text) ? "unchanged\n" : result;
}

static bool write_expectation(const Golden *g, const char *outcome)
{
    const char *text = arena_printf(g->cx->perm, "%s---\n%s", g->input, outcome);
    printf("%s: updated\n", g->path);
    return file_write(g->cx, g->path, text, strlen(text)) || fail(g, "cannot be written");
}

static bool golden_run(const char *path, bool update)
{
    Cx *cx = cx_new();
    Bytes bytes;
    if (!cx || cx_guard(cx)) {
        printf("%s: out of memory\n", path);
        return false;
    }
    const char *slash = strrchr(path, '/');
    Golden g = {.cx = cx, .path = path, .file = slash ? slash + 1 : path};
    bool ok = file_read(cx, path, 1 << 20, &bytes) || fail(&g, "cannot be read");
    ok = ok && golden_read(&g, arena_strndup(cx->perm, (const char *)bytes.data, bytes.size));
    const char *outcome = ok ? golden_outcome(&g) : NULL;
    ok = outcome != NULL;
    if (ok && !str_eq(outcome, g.expect)) {
        ok = update && write_expectation(&g, outcome);
        if (!update) {
            printf("%s: another result than expected\n", path);
            golden_show_difference(cx->perm, g.expect, outcome);
        }
    }
    cx_delete(cx);
    return ok;
}

typedef struct Tally {
    bool update;
    int passed, failed;
} Tally;

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* A file, or all golden files below a folder in the order of their names. */
static void run_path(Arena *a, Tally *t, const char *path)
{
    struct dirent **entry;
    int n = scandir(path, &entry, is_visible, alphasort);
    if (n < 0) {
        const char *end = strrchr(path, '.');
        if (!str_eq(end, ".golden"))
            return;
        if (golden_run(path, t->update))
            t->passed++;
        else
            t->failed++;
        return;
    }
    for (int i = 0; i < n; i++) {
        run_path(a, t, arena_printf(a, "%s/%s", path, entry[i]->d_name));
        free(entry[i]);
    }
    free(entry);
}

int main(int argc, char **argv)
{
    Cx *cx = cx_new();
    Tally t = {false, 0, 0};
    int first = 1;
    if (!cx)
        return EXIT_FAILURE;
    if (argc > 1 && str_eq(argv[1], "--update")) {
        t.update = true;
        first = 2;
    }
    if (first == argc)
        run_path(cx->perm, &t, "tests/golden");
    for (int i = first; i < argc; i++)
        run_path(cx->perm, &t, argv[i]);
    cx_delete(cx);
    printf("%d passed, %d failed\n", t.passed, t.failed);
    return t.failed || t.passed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
