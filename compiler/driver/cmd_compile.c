/* net2c compile: model and weights to NAME.c, NAME.h, NAME.n2w and NAME.json.
 *
 *     net2c compile net.yaml -w net.safetensors -o out/net_gen --weights-as=incbin --selftest -MD
 *
 * contract: all files or none; the folder is made when everything else has worked out. The lines on
 * stderr are file names and sizes. What --selftest's program expects are the results of the
 * operators' definitions in doubles on its seeded inputs, as in verify, but with the weights as
 * they are stored: bf16 is not for the program to judge.
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
    return diag_help(cx->diags, "write DIR/NAME: NAME.c, NAME.h, NAME.n2w and NAME.json appear "
                     "in DIR");
}

/* The reference's outputs on the inputs that the program will make. NULL: reported. */
static const EmitTest *make_test(Pipeline *p, const Weights *w, const Options *o)
{
    Cx *cx = p->cx;
    const Graph *g = p->graph;
    Pipeline reference;
    int64_t batch = 1;
    int n = g->n_inputs + g->n_outputs;
    float **io = (float **)tensors_make(cx, o, g, &batch);
    double **wide = NEW_ARRAY(cx->perm, double *, n);
    uint64_t *seed = NEW_ARRAY(cx->perm, uint64_t, n);
    for (int i = 0; i < n; i++) {
        const Tensor *t = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        int64_t count = shape_count(&t->shape);
        wide[i] = NEW_ARRAY(cx->perm, double, count);
        seed[i] = tensor_seed(o, t);
        for (int64_t k = 0; i < g->n_inputs && k < count; k++)
            wide[i][k] = (double)io[i][k];
    }
    Session *s = pipeline_reference(p, &reference, REFERENCE_STORED)
                     ? session_open(&reference, w, o) : NULL;
    if (!s)
        return NULL;
    cx_phase(cx, "running the reference");
    bool ok = session_run(s, (void *const *)wide, 1, NULL);
    session_close(s);
    EmitTest *test = NEW(cx->perm, EmitTest);
    *test = (EmitTest){seed, wide};
    return ok ? test : NULL;
}

static bool write_files(Pipeline *p, const Weights *w, const Options *o, const char *base,
                        CodeFiles *files)
{
    static const char *const ways[] = {"file", "incbin", "array"};
    int way = option_word(p->cx, o, OPT_WEIGHTS_AS, ways, 3);
    const char *model = o->argument[0];
    const char *read[3] = {option_text(o, OPT_WEIGHTS, NULL)};
    CodeWish wish = {.manifest = true, .read = read, .n_read = 1};
    if (!str_eq(model, "-"))
        read[wish.n_read++] = model;
    if (p->schedule_file)
        read[wish.n_read++] = p->schedule_file;
    if (o->n[OPT_DEPENDENCIES] || o->n[OPT_DEPFILE])
        wish.depfile = option_text(o, OPT_DEPFILE, arena_printf(p->cx->perm, "%s.d", base));
    if (way < 0)
        return false;
    wish.weights_as = (WeightsAs)way;
    if (o->n[OPT_SELFTEST] && !(wish.test = make_test(p, w, o)))
        return false;
    return code_write(p->cx, p, w, base, &wish, files);
}

int cmd_compile(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    CodeFiles files;
    const char *base = option_text(o, OPT_OUTPUT, "");
    if (!check_base(cx, base) || !pipeline_compile(&p, cx, o, &w))
        return status_of_errors(cx->diags);
    bool ok = write_files(&p, w, o, base, &files);
    weights_close(w);
    if (!ok)
        return status_of_errors(cx->diags);
    if (!o->n[OPT_QUIET])
        print_files(&files);
    return STATUS_OK;
}
