/* The graph's structure: adding, removing and finding nodes and tensors, rewiring uses.
 *
 *     graph_replace_uses(g, dropout->out, dropout->in[0]);
 *     graph_remove_node(g, dropout);
 *
 * Contract: nodes stay in topological order if the caller inserts them so; tensors are reached
 * through the network's inputs and the nodes' outputs only, there is no other list of them.
 */
#include "graph/graph.h"

#include <string.h>

Graph *graph_new(Arena *a)
{
    Graph *g = NEW(a, Graph);
    g->arena = a;
    return g;
}

void graph_add_node(Graph *g, Node *n)
{
    graph_insert_node(g, g->n_nodes, n);
}

void graph_insert_node(Graph *g, int at, Node *n)
{
    size_t count = (size_t)g->n_nodes;
    if (count == g->cap_nodes)
        g->nodes = arena_grow(g->arena, g->nodes, count, count + 1, &g->cap_nodes,
                              sizeof(Node *));
    Node **slot = g->nodes + at;
    memmove(slot + 1, slot, (count - (size_t)at) * sizeof(Node *));
    *slot = n;
    g->n_nodes++;
}

void graph_remove_node(Graph *g, const Node *n)
{
    int at = graph_find_node(g, n);
    if (at < 0)
        return;
    Node **slot = g->nodes + at;
    g->n_nodes--;
    memmove(slot, slot + 1, (size_t)(g->n_nodes - at) * sizeof(Node *));
}

int graph_find_node(const Graph *g, const Node *n)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i] == n)
            return i;
    return -1;
}

Tensor *graph_find_tensor(const Graph *g, const char *name)
{
    for (int i = 0; i < g->n_inputs; i++)
        if (str_eq(g->inputs[i]->name, name))
            return g->inputs[i];
    for (int i = 0; i < g->n_nodes; i++)
        if (str_eq(g->nodes[i]->out->name, name))
            return g->nodes[i]->out;
    return NULL;
}

bool graph_is_output(const Graph *g, const Tensor *t)
{
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == t)
            return true;
    return false;
}

void graph_replace_uses(Graph *g, Tensor *from, Tensor *to)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] == from)
                g->nodes[i]->in[k] = to;
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from)
            g->outputs[i] = to;
}

char *graph_fresh_name(const Graph *g, const char *stem)
{
    char *name = arena_strdup(g->arena, stem);
    for (int i = 1; graph_find_tensor(g, name); i++)
        name = arena_printf(g->arena, "%s_%d", stem, i);
    return name;
}

/* Spelled out rather than by <ctype.h>, whose answers depend on the locale. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool name_is_legal(const char *name)
{
    if (!is_letter(*name))
        return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && !(*c >= '0' && *c <= '9') && *c != '.')
            return false;
    return true;
}
