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

/* What compile would refuse as well, labels and schedules included. */
static bool check(Cx *cx, const Options *o)
{
    Pipeline p;
    if (!pipeline_look(&p, cx, o))
        return false;
    const char *what = arena_printf(cx->perm, "%d layers, %lld parameters", p.graph->n_nodes,
                                    (long long)graph_parameters(cx->temp, p.graph));
    if (!pipeline_run(&p))
        return false;
    if (!o->n[OPT_QUIET])
        fprintf(stderr, "%s: no errors: %s\n", o->argument[0], what);
    return true;
}

int cmd_check(Cx *cx, const Options *o)
{
    bool ok = check(cx, o);
    if (o->n[OPT_JSON])
        print_json(cx);
    return ok ? STATUS_OK : status_of_errors(cx->diags);
}
