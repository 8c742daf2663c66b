/* ir_stats: how much a network is while it is compiled, graph or module, in a few numbers.
 *
 *     opt --stats     after          nodes  kernels  loops  statements  multiply-adds ...
 *                     (model)           24       24      -           -      714188480
 *                     fuse-layers       21       13      -           -      714188480
 *
 * contract: what an IR has not got is -1. Multiply-adds of a graph are those of the operators'
 * definitions, of a module the fused ones that its loops execute, tests and early ends not counted:
 * the same for naive sums, more for padded tiles, fewer for Winograd; all items of a batch count.
 * Bytes of activations are of each one in memory of its own until a plan says how much memory they
 * take together.
 */
#include "driver/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const ir_stat_name[IR_STATS] = {"nodes", "kernels", "loops", "statements",
                                            "multiply-adds", "activations", "weights"};

static void add(int64_t *sum, int64_t a, int64_t b)
{
    int64_t product;
    if (!checked_mul(a, b, &product) || !checked_add(*sum, product, sum))
        *sum = INT64_MAX;
}

static void graph_stats(Arena *a, const Graph *g, int64_t stat[IR_STATS])
{
    Map *groups = map_new(a), *keys = map_new(a);
    stat[STAT_NODES] = g->n_nodes;
    stat[STAT_LOOPS] = stat[STAT_STATEMENTS] = -1;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const Node *n = g->nodes[i];
        add(&stat[STAT_MACS], n->op->cost(n).macs, 1);
        for (int k = 0; k < n->n_param; k++) {
            if (map_get(keys, n->param[k].key))
                continue;
            map_put(keys, n->param[k].key, keys);
            add(&stat[STAT_WEIGHTS], shape_count(&n->param[k].shape),
                (int64_t)scalar_bytes(k == 0 && n->store ? TYPE_BF16 : TYPE_F32));
        }
        if (n->group && map_get(groups, n->group))
            continue;
        if (n->group)
            map_put(groups, n->group, groups);
        stat[STAT_KERNELS]++;
        if (!graph_is_output(g, n->out))       /* only a group's last tensor is stored */
            add(&stat[STAT_ACTIVATIONS], shape_count(&n->out->shape), (int64_t)sizeof(float));
    }
}

typedef struct Count {
    int64_t *stat, times;          /* how often the statement is executed */
} Count;

static void count_fma(void *user, const Expr *e)
{
    const Count *c = user;
    if (e->kind == EXPR_FMA)
        add(&c->stat[STAT_MACS], c->times, e->type.lanes);
}

static void count_body(Body b, Count c)
{
    for (const Stmt *s = b.first; s; s = s->next) {
        Count inner = {c.stat, 0};
        c.stat[STAT_STATEMENTS]++;
        c.stat[STAT_LOOPS] += s->kind == STMT_FOR;
        add(&inner.times, c.times, s->kind == STMT_FOR ? s->var->extent : 1);
        stmt_visit_exprs(s, count_fma, &c);
        count_body(s->body, inner);
    }
}

static void module_stats(Arena *a, const Module *m, int64_t stat[IR_STATS])
{
    Map *seen = map_new(a);
    stat[STAT_NODES] = -1;
    stat[STAT_KERNELS] = m->n_steps;
    for (int i = 0; i < m->n_steps; i++) {
        const Kernel *k = m->step[i].kernel;
        count_body(k->body, (Count){stat, 1});
        for (int j = 0; j < k->n_buffers; j++) {
            const Value *v = m->step[i].arg[j];
            bool weight = v->kind == VALUE_WEIGHT;
            if (v->kind == VALUE_INPUT || v->kind == VALUE_OUTPUT || map_get(seen, v->name))
                continue;
            map_put(seen, v->name, seen);
            /* The kernel's buffer is ahead of the value's until weights are packed. */
            add(&stat[weight ? STAT_WEIGHTS : STAT_ACTIVATIONS], buffer_bytes(k->buffer[j]), 1);
        }
    }
    if (m->arena_bytes)
        stat[STAT_ACTIVATIONS] = m->arena_bytes;
}

void ir_stats(Arena *a, Ir ir, int64_t stat[IR_STATS])
{
    memset(stat, 0, sizeof *stat * IR_STATS);
    if (ir.graph)
        graph_stats(a, ir.graph, stat);
    else
        module_stats(a, ir.module, stat);
}

static void print_stage(const char *name, const char *const cell[IR_STATS])
{
    printf("%-16s", name);
    for (int k = 0; k < IR_STATS; k++) {
        int width = (int)strlen(ir_stat_name[k]);
        printf("  %*s", width < 10 ? 10 : width, cell[k]);
    }
    printf("\n");
}

void stages_print(Arena *a, const Stage *stage, int n)
{
    print_stage("after", ir_stat_name);
    for (int i = 0; i < n; i++) {
        const char *cell[IR_STATS];
        for (int k = 0; k < IR_STATS; k++)
            cell[k] = stage[i].stat[k] < 0 ? "-"
                                           : arena_printf(a, "%" PRId64, stage[i].stat[k]);
        print_stage(stage[i].name, cell);
    }
}
