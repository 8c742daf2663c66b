/* net2c info: the layers of a model, what an item costs, and the memory that compiled code takes.
 *
 *     conv3   conv   [N, 384, 13, 13]   885120   149520384   259584   3540480
 *
 * contract: layers as they are written, before any pass; arena and blob as compile plans them, for
 * a batch of one. --dot prints the layers as a graph instead, for `dot -Tsvg`.
 */
#include "driver/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS = 3, NUMBERS = 4, CELLS = TEXTS + NUMBERS };

typedef struct Layer {
    const char *text[TEXTS];       /* name, operator, output */
    int64_t number[NUMBERS];
} Layer;

static const char *const number_key[NUMBERS] = {"parameters", "macs", "activation_bytes",
                                                "weight_bytes"};

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    return checked_add(a, b, &sum) ? sum : INT64_MAX;
}

/* Of weights that no node before n has: `seen` holds their keys. */
static int64_t new_parameters(Map *seen, const Node *n)
{
    int64_t sum = 0;
    for (int i = 0; i < n->n_param; i++) {
        if (map_get(seen, n->param[i].key))
            continue;
        map_put(seen, n->param[i].key, seen);
        sum = saturating_add(sum, shape_count(&n->param[i].shape));
    }
    return sum;
}

int64_t graph_parameters(Arena *a, const Graph *g)
{
    Map *seen = map_new(a);
    int64_t sum = 0;
    for (int i = 0; i < g->n_nodes; i++)
        sum = saturating_add(sum, new_parameters(seen, g->nodes[i]));
    return sum;
}

static int64_t float_bytes(int64_t count)
{
    int64_t bytes;
    return checked_mul(count, (int64_t)sizeof(float), &bytes) ? bytes : INT64_MAX;
}

/* All layers, and behind them their sums. Passes change the graph: nothing here points into it. */
static Layer *list_layers(Cx *cx, const Graph *g)
{
    Layer *layer = NEW_ARRAY(cx->perm, Layer, g->n_nodes + 1), *total = layer + g->n_nodes;
    Map *seen = map_new(cx->perm);
    *total = (Layer){.text = {"total", "", ""}};
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        int64_t parameters = new_parameters(seen, n);
        layer[i] = (Layer){{n->out->name, n->op->name, shape_text(cx->perm, &n->out->shape)},
                           {parameters, n->op->cost(n).macs,
                            float_bytes(shape_count(&n->out->shape)), float_bytes(parameters)}};
        for (int k = 0; k < NUMBERS; k++)
            total->number[k] = saturating_add(total->number[k], layer[i].number[k]);
    }
    return layer;
}

static void add_numbers(Str *s, const Layer *l)
{
    for (int k = 0; k < NUMBERS; k++)
        str_printf(s, ", \"%s\": %" PRId64, number_key[k], l->number[k]);
}

static void print_json(Cx *cx, const char *name, const Layer *layer, int n, const Pipeline *p)
{
    Str s = str_new(cx->perm);
    str_add(&s, "{\"name\": ");
    json_quote(&s, name);
    str_add(&s, ", \"layers\": [");
    for (int i = 0; i < n; i++) {
        /* Of a shape only N is no JSON. */
        str_printf(&s, "%s{\"name\": \"%s\", \"op\": \"%s\", \"shape\": [\"N\"%s",
                   i ? ",\n  " : "\n  ", layer[i].text[0], layer[i].text[1], layer[i].text[2] + 2);
        add_numbers(&s, &layer[i]);
        str_char(&s, '}');
    }
    str_add(&s, "\n]");
    add_numbers(&s, &layer[n]);
    str_printf(&s, ",\n\"arena_bytes\": %" PRId64 ", \"arena_lower_bound\": %" PRId64
                   ", \"blob_bytes\": %" PRId64 ", \"batch\": %" PRId64 ", \"isa\": [",
               p->module->arena_bytes, p->module->arena_lower_bound, p->module->blob_bytes,
               p->module->batch);
    for (int i = 0; i < p->n_rows; i++)
        str_printf(&s, "%s\"%s\"", i ? ", " : "", p->row[i]->name);
    str_add(&s, "]}\n");
    fputs(s.data, stdout);
}

static void print_row(const char *const cell[CELLS], const int width[CELLS])
{
    for (int k = 0; k < CELLS; k++)
        printf(k < TEXTS ? "%-*s  " : k + 1 < CELLS ? "%*s  " : "%*s\n", width[k], cell[k]);
}

static void print_table(Cx *cx, const Layer *layer, int n, const Pipeline *p)
{
    static const char *const head[CELLS] = {"layer", "operator", "output", "parameters", "macs",
                                            "activation", "weights"};
    const char *(*cell)[CELLS] = arena_alloc(cx->perm, sizeof *cell * (size_t)(n + 2));
    int width[CELLS] = {0};
    for (int i = 0; i < n + 2; i++)
        for (int k = 0; k < CELLS; k++) {
            cell[i][k] = i == 0 ? head[k] : k < TEXTS ? layer[i - 1].text[k]
                         : arena_printf(cx->perm, "%" PRId64, layer[i - 1].number[k - TEXTS]);
            int length = (int)strlen(cell[i][k]);
            width[k] = length > width[k] ? length : width[k];
        }
    for (int i = 0; i < n + 2; i++)
        print_row(cell[i], width);
    printf("\nin bytes of an item: activation, the layer's output; weights, as in the file\n"
           "arena  %12" PRId64 " bytes for all activations (at least %" PRId64 " live at once)\n"
           "blob   %12" PRId64 " bytes of packed weights\n",
           p->module->arena_bytes, p->module->arena_lower_bound, p->module->blob_bytes);
}

/* A name is letters, digits, _ and '.': nothing in it means anything to dot. */
static void print_dot(Cx *cx, const Graph *g)
{
    printf("digraph \"%s\" {\n  node [shape=box];\n", g->name);
    for (int i = 0; i < g->n_inputs; i++)
        printf("  \"%s\" [shape=ellipse, label=\"%s\\n%s\"];\n", g->inputs[i]->name,
               g->inputs[i]->name, shape_text(cx->temp, &g->inputs[i]->shape));
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        printf("  \"%s\" [label=\"%s\\n%s\\n%s\"%s];\n", n->out->name, n->out->name, n->op->name,
               shape_text(cx->temp, &n->out->shape), graph_is_output(g, n->out) ? ", penwidth=3"
                                                                                : "");
        for (int k = 0; k < n->n_in; k++)
            printf("  \"%s\" -> \"%s\";\n", n->in[k]->name, n->out->name);
    }
    printf("}\n");
}

int cmd_info(Cx *cx, const Options *o)
{
    Pipeline p;
    if (!pipeline_start(&p, cx, o) || !(p.graph = model_of_options(cx, o)))
        return status_of_errors(cx->diags);
    if (o->n[OPT_DOT]) {
        print_dot(cx, p.graph);
        return STATUS_OK;
    }
    int n = p.graph->n_nodes;
    const Layer *layer = list_layers(cx, p.graph);
    if (!pipeline_run(&p))
        return status_of_errors(cx->diags);
    if (o->n[OPT_JSON])
        print_json(cx, p.graph->name, layer, n, &p);
    else
        print_table(cx, layer, n, &p);
    return STATUS_OK;
}
