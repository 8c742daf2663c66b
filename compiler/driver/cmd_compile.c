/* net2c compile: model and weights to NAME.c, NAME.h, NAME.n2w and NAME.json.
 *
 *     net2c compile net.yaml -w net.safetensors -o out/net_gen
 *
 * contract: all four files or none; the folder is made when everything else has worked out. The
 * lines on stderr are file names and sizes.
 */
#include "driver/driver.h"

#include <stdio.h>
#include <string.h>

static void print_files(const CodeFiles *files)
{
    for (int i = 0; i < files->n; i++)
        fprintf(stderr, "%s: %llu bytes\n", files->path[i], (unsigned long long)files->bytes[i]);
}

static bool check_base(Cx *cx, const char *base)
{
    size_t n = strlen(base);
    if (n > 0 && base[n - 1] != '/')
        return true;
    diag_error(cx->diags, NO_PLACE, "E0004", "--output=%s names no file", base);
    diag_help(cx->diags, "write DIR/NAME: NAME.c, NAME.h, NAME.n2w and NAME.json appear in DIR");
    return false;
}

int cmd_compile(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    CodeFiles files;
    const char *base = option_text(o, OPT_OUTPUT, "");
    if (!check_base(cx, base) || !pipeline_compile(&p, cx, o, &w))
        return status_of_errors(cx->diags);
    bool ok = code_write(cx, &p, w, base, true, &files);
    weights_close(w);
    if (!ok)
        return status_of_errors(cx->diags);
    if (!o->n[OPT_QUIET])
        print_files(&files);
    return STATUS_OK;
}
