/* batches: do the items of one call get the bits that each gets in a call of its own?
 *
 *     batches 8, 1  9 items at once  ok
 *
 * contract: one call has an item for each place in each size of batch, so that every place is
 * tried; where fewer items are given, they are repeated. All NaNs count as equal.
 */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

static int64_t count_different(const float *a, const float *b, int64_t n)
{
    int64_t different = 0;
    for (int64_t i = 0; i < n; i++)
        different += memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]));
    return different;
}

/* Item number `item` alone, compared with what the call with all of them gave it. */
static bool run_alone(Session *s, const Graph *g, float *const *all, int64_t item,
                      BatchResult *out)
{
    int n = g->n_inputs + g->n_outputs;
    void **one = NEW_ARRAY(s->cx->temp, void *, n);
    for (int i = 0; i < g->n_inputs; i++)
        one[i] = all[i] + item * shape_count(&g->inputs[i]->shape);
    for (int i = 0; i < g->n_outputs; i++)
        one[g->n_inputs + i] = NEW_ARRAY(s->cx->temp, float, shape_count(&g->outputs[i]->shape));
    if (!session_run(s, one, 1, NULL))
        return false;
    for (int i = 0; i < g->n_outputs; i++) {
        int64_t count = shape_count(&g->outputs[i]->shape);
        out->n_different += count_different(all[g->n_inputs + i] + item * count,
                                            one[g->n_inputs + i], count);
    }
    arena_reset(s->cx->temp);
    return true;
}

bool batches_run(Session *s, const Pipeline *p, float *const *io, int64_t given, BatchResult *out)
{
    const Graph *g = p->graph;
    float **all = NEW_ARRAY(s->cx->perm, float *, g->n_inputs + g->n_outputs);
    *out = (BatchResult){0};
    for (int i = 0; i < p->n_batches; i++)
        out->n_items += p->sized[i]->batch;
    for (int i = 0; i < g->n_inputs + g->n_outputs; i++) {
        const Tensor *t = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        int64_t count = shape_count(&t->shape);
        all[i] = NEW_ARRAY(s->cx->perm, float, out->n_items * count);
        for (int64_t k = 0; k < out->n_items && i < g->n_inputs; k++)
            memcpy(all[i] + k * count, io[i] + k % given * count, (size_t)count * sizeof **all);
    }
    cx_phase(s->cx, "running %lld items", (long long)out->n_items);
    bool ok = session_run(s, (void *const *)all, (size_t)out->n_items, NULL);
    for (int64_t item = 0; ok && item < out->n_items; item++)
        ok = run_alone(s, g, all, item, out);
    return ok;
}
