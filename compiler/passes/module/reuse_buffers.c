/* reuse-buffers: activations and scratch that never live at the same time share memory.
 *
 *   a (steps 0..1, 1 MB) b (1..2, 1 MB) c (2..3, 1 MB):  3 MB  =>  a and c at 0, b at 1 MB: 2 MB
 *
 * needs:  prepack: every value has its final shape.
 * keeps:  places of weights. Places are multiples of 64 bytes.
 * breaks: nothing. A buffer lives from the first to the last step that names it, both included,
 *         so no step reads and writes the same memory. No plan can be smaller than what lives
 *         during one step, the lower bound; of a few orders of placing, the smallest plan wins.
 */
#include <stdlib.h>

#include "passes/passes.h"

#define ALIGN 64

typedef struct Item {              /* a buffer to place */
    Value *value;
    int64_t bytes;                 /* rounded up to ALIGN */
    int64_t at;                    /* -1: not placed yet */
    int64_t best;                  /* its place in the best plan so far */
} Item;

typedef struct Plan {
    Item *item, **order, **around; /* around: placed items that live with the one being placed */
    int n;
    int64_t bound, best;           /* lower bound, and bytes of the best plan so far */
} Plan;

static int64_t round_up(int64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_planned(const Value *v)
{
    return v->kind == VALUE_ACTIVATION || v->kind == VALUE_SCRATCH;
}

static void find_lifetimes(const Module *m)
{
    for (int i = 0; i < m->n_values; i++)
        if (is_planned(m->value[i]))
            m->value[i]->first_step = -1;
    for (int s = 0; s < m->n_steps; s++)
        for (int i = 0; i < m->step[s].kernel->n_buffers; i++) {
            Value *v = m->step[s].arg[i];
            if (!is_planned(v))
                continue;
            if (v->first_step < 0)
                v->first_step = s;
            v->last_step = s;
        }
    for (int i = 0; i < m->n_values; i++)      /* named by no step: as if by the first */
        if (is_planned(m->value[i]) && m->value[i]->first_step < 0)
            m->value[i]->first_step = m->value[i]->last_step = 0;
}

/* Bytes alive at each step, as a running sum of what is born and what has died. */
static int64_t lower_bound(Arena *temp, const Module *m, const Plan *p)
{
    int64_t *change = NEW_ARRAY(temp, int64_t, m->n_steps + 2);
    int64_t live = 0, most = 0;
    for (int i = 0; i < p->n; i++) {
        change[p->item[i].value->first_step] += p->item[i].bytes;
        change[p->item[i].value->last_step + 1] -= p->item[i].bytes;
    }
    for (int s = 0; s < m->n_steps; s++) {
        live += change[s];
        most = live > most ? live : most;
    }
    return most;
}

static bool live_together(const Value *a, const Value *b)
{
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    return compare_i64((*(Item *const *)a)->at, (*(Item *const *)b)->at);
}

static int item_length(const Item *x)
{
    return x->value->last_step - x->value->first_step;
}

/* Ties go to the order of values, so that a plan depends on nothing else. */
static int by_start(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    if (x->value->kind != y->value->kind)
        return x->value->kind == VALUE_ACTIVATION ? -1 : 1;
    int c = compare_i64(x->value->first_step, y->value->first_step);
    return c ? c : (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    int c = compare_i64(y->bytes, x->bytes);
    return c ? c : by_start(a, b);
}

static int by_length(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    int c = compare_i64(item_length(y), item_length(x));
    return c ? c : by_size(a, b);
}

/* The smallest gap between the neighbours in time that holds the item; at its low or high end. */
static void place_item(Plan *p, Item *it, bool high)
{
    int n = 0;
    int64_t end = 0, found = -1, gap = INT64_MAX;
    for (int i = 0; i < p->n; i++)
        if (p->item[i].at >= 0 && live_together(p->item[i].value, it->value))
            p->around[n++] = &p->item[i];
    qsort(p->around, (size_t)n, sizeof(Item *), by_place);
    for (int i = 0; i <= n; i++) {
        int64_t next = i < n ? p->around[i]->at : p->bound;
        if (next - end >= it->bytes && next - end < gap) {
            gap = next - end;
            found = high ? next - it->bytes : end;
        }
        if (i < n && end < p->around[i]->at + p->around[i]->bytes)
            end = p->around[i]->at + p->around[i]->bytes;
    }
    it->at = found >= 0 ? found : end;
}

/* Place all items in an order, at the low ends of gaps or alternating between both ends. In a
 * chain, where consecutive tensors live together, alternation reaches the lower bound. */
static void try_order(Plan *p, int (*order)(const void *, const void *), bool alternate)
{
    int64_t bytes = 0;
    if (p->best == p->bound)
        return;
    for (int i = 0; i < p->n; i++) {
        p->order[i] = &p->item[i];
        p->item[i].at = -1;
    }
    qsort(p->order, (size_t)p->n, sizeof(Item *), order);
    for (int i = 0; i < p->n; i++) {
        Item *it = p->order[i];
        place_item(p, it, alternate && i % 2 == 1);
        bytes = it->at + it->bytes > bytes ? it->at + it->bytes : bytes;
    }
    if (bytes >= p->best)
        return;
    p->best = bytes;
    for (int i = 0; i < p->n; i++)
        p->item[i].best = p->item[i].at;
}

static Plan plan_new(Arena *temp, const Module *m)
{
    Plan p = {.best = INT64_MAX};
    p.item = NEW_ARRAY(temp, Item, m->n_values + 1);
    p.order = NEW_ARRAY(temp, Item *, m->n_values + 1);
    p.around = NEW_ARRAY(temp, Item *, m->n_values + 1);
    for (int i = 0; i < m->n_values; i++)
        if (is_planned(m->value[i]))
            p.item[p.n++] =
                (Item){m->value[i], round_up(buffer_bytes(&m->value[i]->shape)), -1, -1};
    p.bound = lower_bound(temp, m, &p);
    return p;
}

/* The plan cannot be smaller than what the fullest step needs. */
static void remark_plan(const PassCx *pc, const Module *m, const Plan *p)
{
    int64_t apart = 0, most = 0;
    int fullest = 0;
    for (int i = 0; i < p->n; i++)
        apart += p->item[i].bytes;
    for (int s = 0; s < m->n_steps; s++) {
        int64_t live = 0;
        for (int i = 0; i < p->n; i++)
            if (p->item[i].value->first_step <= s && s <= p->item[i].value->last_step)
                live += p->item[i].bytes;
        fullest = live > most ? s : fullest;
        most = live > most ? live : most;
    }
    if (p->n == 0)
        return;
    const Kernel *k = m->step[fullest].kernel;
    pass_remark(pc, REMARK_DONE, k->place,
                "%d buffers share %lld bytes instead of having %lld; '%s' needs %lld of them",
                p->n, (long long)p->best, (long long)apart, k->name, (long long)most);
    if (p->best > p->bound)
        pass_remark(pc, REMARK_MISSED, k->place, "%lld bytes more than the fullest step needs",
                    (long long)(p->best - p->bound));
}

PassResult reuse_buffers(PassCx *pc, Module *m)
{
    const char *before = module_text(pc->cx->temp, m);
    find_lifetimes(m);
    Plan p = plan_new(pc->cx->temp, m);
    try_order(&p, by_start, true);
    try_order(&p, by_size, false);
    try_order(&p, by_length, false);
    try_order(&p, by_start, false);
    try_order(&p, by_size, true);
    for (int i = 0; i < p.n; i++)
        p.item[i].value->offset = p.item[i].best;
    m->arena_bytes = p.best;
    m->arena_lower_bound = p.bound;
    remark_plan(pc, m, &p);
    return str_eq(before, module_text(pc->cx->temp, m)) ? PASS_UNCHANGED : PASS_CHANGED;
}
