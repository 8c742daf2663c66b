/* net2c fmt and expand: a model as text, as its author wrote it or without blocks and expressions.
 *
 *     net2c fmt net.yaml --in-place
 *     net2c expand net.yaml -D scale=8 > flat.yaml
 *
 * contract of fmt: the model stays the same, its comments too. --check writes nothing and fails if
 * fmt would change the file. A file in canonical form is not touched.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <string.h>

int cmd_expand(Cx *cx, const Options *o)
{
    const Graph *g = model_of_options(cx, o);
    if (!g)
        return status_of_errors(cx->diags);
    fputs(graph_text(cx->perm, g), stdout);
    return STATUS_OK;
}

static bool is_canonical(Bytes file, const char *text)
{
    return file.size == strlen(text) && memcmp(file.data, text, file.size) == 0;
}

static bool report_first_difference(Cx *cx, const char *path, Bytes file, const char *text)
{
    Place place = {.file = path, .line = 1};
    for (size_t i = 0; i < file.size && (char)file.data[i] == text[i]; i++)
        place.line += text[i] == '\n';
    diag_error(cx->diags, place, "E0312", "not in canonical form from here on");
    return diag_help(cx->diags, "net2c fmt --in-place %s", path);
}

static bool format(Cx *cx, const Options *o)
{
    const char *path = o->argument[0], *out = option_text(o, OPT_OUTPUT, NULL);
    bool in_place = o->n[OPT_IN_PLACE] > 0;
    Bytes file;
    if (in_place + o->n[OPT_CHECK] + (out != NULL) > 1 || (in_place && str_eq(path, "-")))
        return diag_error(cx->diags, NO_PLACE, "E0009", "--in-place needs a file, and only one of "
                          "--in-place, --check and --output can be given");
    const char *text = file_read(cx, path, MAX_MODEL_FILE, &file)
                           ? fmt_text(cx, path, (const char *)file.data, file.size) : NULL;
    if (!text)
        return false;
    if (o->n[OPT_CHECK])
        return is_canonical(file, text) || report_first_difference(cx, path, file, text);
    if (in_place)
        return is_canonical(file, text) || file_write(cx, path, text, strlen(text));
    if (out)
        return file_write(cx, out, text, strlen(text));
    fputs(text, stdout);
    return true;
}

int cmd_fmt(Cx *cx, const Options *o)
{
    return format(cx, o) ? STATUS_OK : status_of_errors(cx->diags);
}
