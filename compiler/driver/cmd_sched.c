/* net2c sched: the schedule found for each kernel, as an entry for --schedule=FILE, and others.
 *
 *     # conv2 (lenet5.yaml:14 conv2+relu2+pool2): tile of 2 vectors x 8 points, about ...
 *     conv(6x14x14; out 16; kernel [5, 5]; direct) + relu(~1) @ avx2: acc: split oc 8, ...
 *     # 13 thousand cycles: tile of 2 vectors x 4 points
 *     # conv2 @ avx2: acc: split oc 8, ...
 *
 * contract: what stands in no comment is a file of schedules that changes nothing. Others stand in
 * comments, cheapest first; without "# " each is an entry too. Weights decide which algorithms
 * there are: with them it is as compile with them does it.
 */
#include "driver/driver.h"

#include <stdio.h>

enum { SOME = 4, MANY = 13 };      /* candidates of a kernel: of all kernels, of --layer */

static void print_kernel(const Pipeline *p, int step, int max, bool twin, Str *out)
{
    Cx *cx = p->cx;
    Kernel *k = p->module->step[step].kernel;
    const Row *row = p->row[0];
    Candidate *c = NEW_ARRAY(cx->perm, Candidate, max);
    Nest **nests;
    int n_nests = nests_of_kernel(cx, k, &nests);
    int n = n_nests > 0 ? schedule_candidates(cx->perm, nests, n_nests, row, c, max) : 0;
    str_printf(out, "# %s (%s): ", k->name, k->origin);
    if (k->schedule)
        str_printf(out, "as the model says: %s\n", k->schedule);
    else if (n == 0)
        str_add(out, "its loops stay as they are\n");
    else
        str_printf(out, "%s\n", c[0].why ? c[0].why : "tasks for threads");
    if (k->schedule || n == 0)
        return;
    schedule_print(out, twin ? "# again: " : "", p->descriptor[step], row->name, c[0].text);
    for (int i = 1; i < n; i++) {
        str_printf(out, "# %s\n", c[i].why);
        schedule_print(out, "# ", k->name, row->name, c[i].text);
    }
}

int cmd_sched(Cx *cx, const Options *o)
{
    Pipeline p;
    Weights *w;
    if (o->n[OPT_ISA] > 1) {
        diag_error(cx->diags, NO_PLACE, "E0003", "sched takes one instruction set");
        return status_of_errors(cx->diags);
    }
    if (!pipeline_load(&p, cx, o, &w))
        return status_of_errors(cx->diags);
    if (w)
        weights_close(w);
    if (!layers_check(cx, o, p.module))
        return status_of_errors(cx->diags);
    Str out = str_new(cx->perm);
    Map *seen = map_new(cx->perm);
    for (int i = 0; i < p.module->n_steps; i++) {
        if (!layer_chosen(o, p.module->step[i].kernel->name))
            continue;
        print_kernel(&p, i, o->n[OPT_LAYER] ? MANY : SOME,
                     map_get(seen, p.descriptor[i]) != NULL, &out);
        map_put(seen, p.descriptor[i], &p);
    }
    fputs(out.data, stdout);
    return diags_error_count(cx->diags) > 0 ? status_of_errors(cx->diags) : STATUS_OK;
}
