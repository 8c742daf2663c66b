/* net2c info: the layers of a model with shapes, parameters and multiply-adds an item.
 *
 *     conv3   conv   [N, 384, 13, 13]   885120   149520384
 */
#include "driver/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Totals {
    int64_t parameters, macs;
    Map *seen;                     /* weight keys: shared ones count once */
} Totals;

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

static int64_t node_parameters(Totals *t, const Node *n)
{
    int64_t sum = new_parameters(t->seen, n);
    t->parameters = saturating_add(t->parameters, sum);
    return sum;
}

static void print_json(Cx *cx, const Graph *g, Totals *t)
{
    Str s = str_new(cx->perm);
    str_add(&s, "{\"name\": ");
    json_quote(&s, g->name);
    str_add(&s, ", \"layers\": [");
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        int64_t macs = n->op->cost(n).macs;
        t->macs = saturating_add(t->macs, macs);
        str_add(&s, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
        json_quote(&s, n->out->name);
        str_printf(&s, ", \"op\": \"%s\", \"shape\": [", n->op->name);
        for (int d = 0; d < n->out->shape.rank; d++)
            str_printf(&s, d ? ", %" PRId64 : "\"N\"", n->out->shape.dim[d]);
        str_printf(&s, "], \"parameters\": %" PRId64 ", \"macs\": %" PRId64 "}",
                   node_parameters(t, n), macs);
    }
    str_printf(&s, "\n], \"parameters\": %" PRId64 ", \"macs\": %" PRId64 "}\n", t->parameters,
               t->macs);
    fputs(s.data, stdout);
}

static void print_table(Cx *cx, const Graph *g, Totals *t)
{
    int name = 5, op = 8, shape = 12;
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        int a = (int)strlen(n->out->name), b = (int)strlen(n->op->name);
        int c = (int)strlen(shape_text(cx->temp, &n->out->shape));
        name = a > name ? a : name;
        op = b > op ? b : op;
        shape = c > shape ? c : shape;
    }
    printf("%-*s  %-*s  %-*s  %12s  %14s\n", name, "layer", op, "operator", shape, "output",
           "parameters", "macs");
    for (int i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        int64_t macs = n->op->cost(n).macs;
        t->macs = saturating_add(t->macs, macs);
        printf("%-*s  %-*s  %-*s  %12" PRId64 "  %14" PRId64 "\n", name, n->out->name, op,
               n->op->name, shape, shape_text(cx->temp, &n->out->shape), node_parameters(t, n),
               macs);
    }
    printf("%-*s  %-*s  %-*s  %12" PRId64 "  %14" PRId64 "\n", name, "total", op, "", shape, "",
           t->parameters, t->macs);
}

int cmd_info(Cx *cx, const Options *o)
{
    Graph *g = model_of_options(cx, o);
    Totals t = {.seen = map_new(cx->perm)};
    if (!g)
        return status_of_errors(cx->diags);
    if (o->n[OPT_JSON])
        print_json(cx, g, &t);
    else
        print_table(cx, g, &t);
    return STATUS_OK;
}
