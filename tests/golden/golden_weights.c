/* golden_weights: a weights file made from its description, checked against a model.
 *
 *     # run: weights fails
 *     net2c: 1                                the model
 *     ...
 *     === data=40 cut=100                     how the file differs from a good one
 *     {"fc.weight": {"dtype": "F32", ...}}    its header, to the end of the input
 *
 * Words of the line ===: data=N (N zero bytes behind the header), length=N (what the file says of
 * its header's size), cut=N (only the first N bytes are there), file=PATH (no file is made: this
 * one is opened). A made file is NAME.safetensors in a folder of its own; tests/e2e reads the same
 * description.
 */
#include "golden.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "\n==="

typedef struct Description {
    int64_t data, length, cut;     /* length, cut: -1 where nothing is said */
    const char *file;              /* or NULL */
} Description;

static bool read_setting(const Golden *g, const char *word, Description *d)
{
    if (strncmp(word, "file=", 5) == 0) {
        d->file = arena_strdup(g->cx->perm, word + 5);
        return true;
    }
    return (strncmp(word, "data=", 5) == 0 && parse_i64(word + 5, &d->data)) ||
           (strncmp(word, "length=", 7) == 0 && parse_i64(word + 7, &d->length)) ||
           (strncmp(word, "cut=", 4) == 0 && parse_i64(word + 4, &d->cut));
}

static bool read_description(const Golden *g, const char *line, Description *d)
{
    *d = (Description){.length = -1, .cut = -1};
    while (*(line += strspn(line, " "))) {
        size_t n = strcspn(line, " ");
        if (!read_setting(g, arena_strndup(g->cx->perm, line, n), d)) {
            printf("%s: what is '%s'?\n", g->path, line);
            return false;
        }
        line += n;
    }
    return true;
}

static bool make_file(const Golden *g, const Description *d, const char *header, const char *name)
{
    size_t n = strlen(header), size = 8 + n + (size_t)d->data;
    uint8_t *bytes = arena_alloc(g->cx->perm, size);
    uint64_t length = d->length < 0 ? n : (uint64_t)d->length;
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 8, header, n);
    return file_write(g->cx, name, bytes, d->cut < 0 ? size : (size_t)d->cut);
}

/* The file is opened under its bare name, which is what messages show. */
static Weights *open_made(const Golden *g, const Description *d, const char *header)
{
    char folder[] = "/tmp/net2c_golden_XXXXXX";
    const char *dot = strrchr(g->file, '.');
    const char *name = arena_printf(g->cx->perm, "%.*s.safetensors", (int)(dot - g->file),
                                    g->file);
    Weights *w = NULL;
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (back >= 0 && mkdtemp(folder) && chdir(folder) == 0) {
        w = make_file(g, d, header, name) ? weights_open(g->cx, name) : NULL;
        unlink(name);
        if (fchdir(back) != 0)
            printf("%s: cannot go back\n", g->path);
        rmdir(folder);
    }
    close(back);
    return w;
}

bool golden_weights(const Golden *g, char *input)
{
    Description d;
    char *mark = strstr(input, MARK), *line = mark ? mark + strlen(MARK) : "";
    char *header = strchr(line, '\n');
    if (!header) {
        printf("%s: no line ===\n", g->path);
        return false;
    }
    mark[1] = *header++ = '\0';
    header[*header ? strlen(header) - 1 : 0] = '\0';
    const Graph *graph = model_parse(g->cx, g->file, input, strlen(input));
    if (!graph || !read_description(g, line, &d))
        return false;
    Weights *w = d.file ? weights_open(g->cx, d.file) : open_made(g, &d, header);
    bool good = w && weights_check(g->cx, w, graph);
    if (w)
        weights_close(w);
    return good;
}
