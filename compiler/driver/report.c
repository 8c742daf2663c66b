/* report: a compilation as one HTML page that needs no network: after each pass the graph, or the
 * loops of each kernel that it changed, and at the end the C of each kernel.
 *
 *     Report *r = report_new(cx);
 *     report_ir(r, &stage[i], ir);                      what pass i has left
 *     report_write(r, "report.html", &pipeline, stage, n, NULL);
 *
 * report.html beside this file is the page; what it draws is JSON, which this file writes. A text
 * is a list of numbers of lines: what a pass leaves is mostly what it found, so that a line is
 * there once.
 *
 * contract: the page appears whole or not at all; false means that something was reported. The same
 * compilation gives the same bytes.
 */
#include "driver/driver.h"

#include <inttypes.h>
#include <string.h>

typedef struct Text {              /* of a graph or kernel, as the last pass left it */
    const char *text;
    int number;                    /* in Report.texts */
} Text;

struct Report {
    Cx *cx;
    Map *lines;                    /* each line -> int, its place in the map */
    Map *current;                  /* "graph", or a kernel's name -> Text */
    Str texts;                     /* as JSON */
    int n_texts;
};

extern const char report_page[];   /* report.html, made a C file by cmake/embed.cmake */

Report *report_new(Cx *cx)
{
    Report *r = NEW(cx->perm, Report);
    *r = (Report){.cx = cx, .lines = map_new(cx->perm), .current = map_new(cx->perm),
                  .texts = str_new(cx->perm)};
    return r;
}

/* A list or object ends: no comma behind its last element. */
static void add_end(Str *s, const char *end)
{
    if (s->len >= 2 && strcmp(s->data + s->len - 2, ", ") == 0)
        s->len -= 2;
    str_add(s, end);
}

static void add_pair(Str *s, const char *key, const char *value)
{
    if (!value)
        return;
    str_printf(s, "\"%s\": ", key);
    json_quote(s, value);
    str_add(s, ", ");
}

static void add_number(Str *s, const char *key, int64_t value)
{
    str_printf(s, "\"%s\": %" PRId64 ", ", key, value);
}

/* ---- what passes leave ----------------------------------------------------------------------- */

static int add_text(Report *r, const char *text)
{
    str_add(&r->texts, "[");
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, "\n");
        const char *line = arena_strndup(r->cx->temp, p, length);
        int *number = map_get(r->lines, line);
        if (!number) {
            number = NEW(r->cx->perm, int);
            *number = (int)map_count(r->lines);
            map_put(r->lines, line, number);
        }
        str_printf(&r->texts, "%d, ", *number);
        p += length + (p[length] == '\n');
    }
    add_end(&r->texts, "], ");
    return r->n_texts++;
}

/* {"name": "conv1", "old": 3, "new": 7, "changes": [[0, 2, 0, 3]]}: from and to in the old text,
 * then in the new one. false: the text is what it was. */
static bool add_change(Report *r, Str *s, const char *name, const char *text)
{
    Text *now = map_get(r->current, name), old = now ? *now : (Text){NULL, 0};
    if (str_eq(old.text, text))
        return false;
    if (!now)
        map_put(r->current, name, now = NEW(r->cx->perm, Text));
    *now = (Text){arena_strdup(r->cx->perm, text), add_text(r, text)};
    str_char(s, '{');
    add_pair(s, "name", name);
    add_number(s, "new", now->number);
    if (old.text) {
        Change *c;
        int n = text_changes(r->cx->temp, old.text, text, &c);
        add_number(s, "old", old.number);
        str_add(s, "\"changes\": [");
        for (int i = 0; i < n; i++)
            str_printf(s, "[%d, %d, %d, %d], ", c[i].from[0], c[i].to[0], c[i].from[1],
                       c[i].to[1]);
        add_end(s, "]");
    }
    add_end(s, "}, ");
    return true;
}

static void add_names(Str *s, const char *key, Tensor *const *t, int n)
{
    str_printf(s, "\"%s\": [", key);
    for (int i = 0; i < n; i++) {
        json_quote(s, t[i]->name);
        str_add(s, ", ");
    }
    add_end(s, "], ");
}

static void add_place(Str *s, Place p)
{
    if (p.file)
        add_pair(s, "place", arena_printf(s->arena, "%s:%d", p.file, p.line));
}

static void add_node(Str *s, const Node *n)
{
    add_pair(s, "op", n->op->name);
    add_names(s, "from", n->in, n->n_in);
    add_pair(s, "group", n->group);
    add_pair(s, "algo", n->algo);
    add_pair(s, "store", n->store);
    add_pair(s, "schedule", n->schedule);
    add_place(s, n->place);
}

static void add_tensor(Str *s, const Tensor *t)
{
    str_char(s, '{');
    add_pair(s, "name", t->name);
    add_pair(s, "shape", shape_text(s->arena, &t->shape));
    add_pair(s, "layout", t->layout);
    if (t->producer)
        add_node(s, t->producer);
    add_end(s, "}, ");
}

static void add_graph(Str *s, const Graph *g)
{
    s->len = 0;
    str_char(s, '{');
    add_names(s, "outputs", g->outputs, g->n_outputs);
    str_add(s, "\"tensors\": [");
    for (int i = 0; i < g->n_inputs; i++)
        add_tensor(s, g->inputs[i]);
    for (int i = 0; i < g->n_nodes; i++)
        add_tensor(s, g->nodes[i]->out);
    add_end(s, "]}");
}

/* What has a place in the arena, and the steps during which it lives. */
static void add_values(Str *s, const Module *m)
{
    s->len = 0;
    str_char(s, '[');
    for (int i = 0; i < m->n_values && m->arena_bytes; i++) {
        const Value *v = m->value[i];
        if (v->kind != VALUE_ACTIVATION && v->kind != VALUE_SCRATCH)
            continue;
        str_char(s, '{');
        add_pair(s, "name", v->name);
        add_number(s, "at", v->offset);
        add_number(s, "bytes", buffer_bytes(&v->shape));
        add_number(s, "first", v->first_step);
        add_number(s, "last", v->last_step);
        add_end(s, "}, ");
    }
    add_end(s, "]");
}

void report_ir(Report *r, Stage *stage, Ir ir)
{
    Arena *temp = r->cx->temp;
    if (ir.graph) {
        if (add_change(r, &stage->changes, "graph", graph_text(temp, ir.graph)))
            add_graph(&stage->graph, ir.graph);
    } else if (ir.kernel) {
        add_change(r, &stage->changes, ir.kernel->name, kernel_text(temp, ir.kernel));
    } else {
        for (int i = 0; i < ir.module->n_steps; i++) {
            const Kernel *k = ir.module->step[i].kernel;
            add_change(r, &stage->changes, k->name, kernel_text(temp, k));
        }
        add_values(&stage->values, ir.module);
    }
}

/* ---- the page -------------------------------------------------------------------------------- */

static void add_stage(Str *s, const Diags *d, const Stage *stage, int end)
{
    static const char *const level[] = {"graph", "kernel", "module"};
    str_add(s, "\n{");
    add_pair(s, "name", stage->name);
    if (stage->pass) {
        add_pair(s, "level", level[stage->pass->level]);
        add_pair(s, "why", stage->pass->why);
    }
    str_add(s, "\"stat\": [");
    for (int k = 0; k < IR_STATS; k++)
        str_printf(s, "%" PRId64 ", ", stage->stat[k]);
    add_end(s, "], \"remarks\": [");
    for (int i = stage->first_message; i < end; i++)
        if (diags_get(d, i)->kind == DIAG_REMARK) {
            str_char(s, '{');
            add_place(s, diags_get(d, i)->place);
            add_pair(s, "text", diags_get(d, i)->text);
            add_end(s, "}, ");
        }
    add_end(s, "], ");
    if (stage->graph.len)
        str_printf(s, "\"graph\": %s, ", stage->graph.data);
    if (stage->values.len)
        str_printf(s, "\"values\": %s, ", stage->values.data);
    str_printf(s, "\"changes\": [%s", stage->changes.data);
    add_end(s, "]}, ");
}

static bool add_kernel(Report *r, Str *s, const Pipeline *p, const Kernel *k)
{
    Str c = str_new(r->cx->temp);
    str_add(s, "\n{");
    add_pair(s, "name", k->name);
    add_pair(s, "origin", k->origin);
    add_pair(s, "algo", k->algo);
    add_pair(s, "schedule", k->schedule);
    add_pair(s, "why", k->why);
    add_number(s, "macs", k->macs);
    if (k->physical) {
        if (!emit_c_kernel(r->cx, &c, k, p->row[0], p->module->batch))
            return false;
        add_number(s, "c", add_text(r, c.data));
    }
    add_end(s, "}, ");
    arena_reset(r->cx->temp);
    return true;
}

static bool add_data(Report *r, Str *s, const Pipeline *p, const Stage *stage, int n,
                     const char *bench)
{
    bool ok = true;
    str_char(s, '{');
    add_pair(s, "network", p->graph->name);
    add_pair(s, "file", p->graph->file);
    add_pair(s, "row", p->row[0]->name);
    add_number(s, "batch", p->batch[0]);
    add_pair(s, "bench", bench);
    str_add(s, "\"stats\": [");
    for (int k = 0; k < IR_STATS; k++)
        str_printf(s, "\"%s\", ", ir_stat_name[k]);
    add_end(s, "],\n\"stages\": [");
    for (int i = 0; i < n; i++)
        add_stage(s, r->cx->diags, &stage[i], i + 1 < n ? stage[i + 1].first_message
                                                        : diags_count(r->cx->diags));
    add_end(s, "],\n\"kernels\": [");
    for (int i = 0; ok && p->module && i < p->module->n_steps; i++)
        ok = add_kernel(r, s, p, p->module->step[i].kernel);
    add_end(s, "],\n\"lines\": [");
    for (size_t i = 0; i < map_count(r->lines); i++) {
        json_quote(s, map_key(r->lines, i));
        str_add(s, ", ");
    }
    add_end(s, "],\n\"texts\": [");
    str_add(s, r->texts.data);
    add_end(s, "]}");
    return ok;
}

bool report_write(Report *r, const char *path, const Pipeline *p, const Stage *stage, int n,
                  const char *bench)
{
    static const char place[] = "{{data}}";
    const char *rest = strstr(report_page, place);
    Str page = str_new(r->cx->perm), data = str_new(r->cx->perm);
    if (!rest || !add_data(r, &data, p, stage, n, bench))
        return false;
    str_add_n(&page, report_page, (size_t)(rest - report_page));
    for (const char *c = data.data; *c; c++)       /* nothing in it may end the script */
        if (*c == '<')
            str_add(&page, "\\u003c");
        else
            str_char(&page, *c);
    str_add(&page, rest + strlen(place));
    return file_write(r->cx, path, page.data, page.len);
}
