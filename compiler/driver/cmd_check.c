/* net2c check: what is wrong with a model, and with the weights for it; nothing is written.
 *
 *     net2c check net.yaml -w net.safetensors     net.yaml: no errors: 24 layers, 898554 parameters
 *     net2c check net.yaml --json                 [{"file": "net.yaml", "line": 5, ...}]
 *
 * contract: all errors in one run. --json prints the messages as a list on stdout, each with the
 * notes and helps that belong to it; without errors it may still hold remarks, or be empty.
 */
#include "driver/driver.h"

#include <stdio.h>

static void json_place(Str *s, const Place *p)
{
    str_add(s, ", \"file\": ");
    if (p->file)
        json_quote(s, p->file);
    else
        str_add(s, "null");
    str_printf(s, ", \"line\": %d, \"column\": %d, \"length\": %d", p->line, p->col, p->len);
}

/* Messages of one kind behind number i, up to the next that stands for itself. */
static void json_attached(Str *s, const Diags *d, int i, DiagKind kind, const char *name)
{
    int n = 0;
    str_printf(s, ", \"%s\": [", name);
    for (i++; i < diags_count(d) && (diags_get(d, i)->kind == DIAG_NOTE ||
                                     diags_get(d, i)->kind == DIAG_HELP); i++) {
        const Diag *m = diags_get(d, i);
        if (m->kind != kind)
            continue;
        str_add(s, n++ ? ", {\"message\": " : "{\"message\": ");
        json_quote(s, m->text);
        json_place(s, &m->place);
        str_char(s, '}');
    }
    str_char(s, ']');
}

static void print_json(Cx *cx)
{
    static const char *const severity[] = {"error", "warning", "note", "help", "remark"};
    const Diags *d = cx->diags;
    Str s = str_new(cx->perm);
    str_char(&s, '[');
    for (int i = 0; i < diags_count(d); i++) {
        const Diag *m = diags_get(d, i);
        if (i > 0 && (m->kind == DIAG_NOTE || m->kind == DIAG_HELP))
            continue;
        str_printf(&s, "%s{\"severity\": \"%s\", \"code\": ", i ? ",\n " : "", severity[m->kind]);
        str_printf(&s, m->code ? "\"%s\"" : "null", m->code);
        json_place(&s, &m->place);
        str_add(&s, ", \"message\": ");
        json_quote(&s, m->text);
        json_attached(&s, d, i, DIAG_NOTE, "notes");
        json_attached(&s, d, i, DIAG_HELP, "help");
        str_char(&s, '}');
    }
    str_add(&s, "]\n");
    fputs(s.data, stdout);
}

/* What compile would say as well: labels are understood when they are lowered. */
static bool check(Pipeline *p, Cx *cx, const Options *o)
{
    const char *path = option_text(o, OPT_WEIGHTS, NULL);
    bool started = pipeline_start(p, cx, o);
    p->graph = started ? model_of_options(cx, o) : NULL;
    Weights *w = path ? weights_open(cx, path) : NULL;
    if (w && p->graph)
        weights_check(cx, w, p->graph);
    if (w)
        weights_close(w);
    return p->graph && pipeline_lower(p) && diags_error_count(cx->diags) == 0;
}

int cmd_check(Cx *cx, const Options *o)
{
    Pipeline p;
    bool ok = check(&p, cx, o);
    if (o->n[OPT_JSON])
        print_json(cx);
    if (!ok)
        return status_of_errors(cx->diags);
    if (!o->n[OPT_QUIET])
        fprintf(stderr, "%s: no errors: %d layers, %lld parameters\n", o->argument[0],
                p.graph->n_nodes, (long long)graph_parameters(cx->temp, p.graph));
    return STATUS_OK;
}
