/* schedules: the entries of --schedule=FILE go to the kernels of a network.
 *
 *     conv3 @ portable: ...        the kernel conv3, when code for this row is made
 *
 * contract: nothing in the file is passed over in silence. A name that no kernel has is an error;
 * an entry that this network, or these instruction sets, do not need is a warning, since one file
 * serves several.
 */
#include "driver/driver.h"

#include <string.h>

static bool tiles(const Pipeline *p)
{
    for (int i = 0; i < p->n_passes; i++)
        if (str_eq(p->pass[i]->name, "tile") && pass_enabled(&p->run, p->pass[i]))
            return true;
    return false;
}

void schedules_choose(const Pipeline *p, Module *m)
{
    for (int i = 0; i < m->n_steps && tiles(p); i++) {
        Kernel *k = m->step[i].kernel;
        if (!schedules_find(p->schedules, k->name, p->descriptor[i], m->row, &k->schedule))
            continue;
        k->why = k->schedule ? "as the file of schedules says" : NULL;
    }
}

static bool is_row(const Pipeline *p, const char *row)
{
    for (int i = 0; i < p->n_rows; i++)
        if (str_eq(p->row[i]->name, row))
            return true;
    return false;
}

/* Names are of one network; what a kernel computes is described with parentheses. */
static bool check_name(const Pipeline *p, const char *key, Place place)
{
    int n = p->module->n_steps;
    const char **names = NEW_ARRAY(p->cx->temp, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        names[i] = p->module->step[i].kernel->name;
        if (str_eq(names[i], key))
            return true;
    }
    const char *near = str_nearest(p->cx->temp, key, names, n);
    diag_error(p->cx->diags, place, "E0959", "no kernel is called '%s'", key);
    if (near)
        diag_help(p->cx->diags, "did you mean '%s'?", near);
    else
        diag_help(p->cx->diags, "net2c sched lists the kernels of a model");
    return false;
}

bool schedules_check(const Pipeline *p)
{
    bool ok = true;
    int unused = 0, at = 0;
    const char *key, *row, *why = "no such kernel is in this network";
    Place place, first = NO_PLACE;
    while ((key = schedules_unused(p->schedules, &at, &row, &place)) != NULL) {
        ok = (strchr(key, '(') || check_name(p, key, place)) && ok;
        if (unused++ > 0)
            continue;
        first = place;
        why = !tiles(p) ? "the pass 'tile' does not run"
              : !is_row(p, row) ? "no code is made for its instruction set"
              : strchr(key, '(') ? why : "another entry is for the same kernel";
    }
    if (ok && unused > 0)
        diag_add(p->cx->diags, DIAG_WARNING, first, NULL, "this entry is not used: %s", why);
    if (ok && unused > 1)
        diag_note(p->cx->diags, NO_PLACE, "nor %s %d more of this file",
                  unused == 2 ? "is" : "are", unused - 1);
    return ok;
}

void schedule_print(Str *out, const char *prefix, const char *key, const char *row,
                    const char *text)
{
    Str line = str_new(out->arena);
    str_printf(&line, "%s%s @ %s:", prefix, key, row);
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        if (line.len + 1 + n > 100) {
            str_printf(out, "%s\n", line.data);
            line = str_new(out->arena);
            str_printf(&line, "%s   ", prefix);
        }
        str_char(&line, ' ');
        str_add_n(&line, text, n);
    }
    str_printf(out, "%s\n", line.data);
}

bool layer_chosen(const Options *o, const char *kernel)
{
    for (int i = 0; i < o->n[OPT_LAYER]; i++)
        if (str_eq(o->value[OPT_LAYER][i], kernel))
            return true;
    return o->n[OPT_LAYER] == 0;
}

bool layers_check(Cx *cx, const Options *o, const Module *m)
{
    const char **names = NEW_ARRAY(cx->temp, const char *, m->n_steps);
    int errors = diags_error_count(cx->diags);
    for (int i = 0; i < m->n_steps; i++)
        names[i] = m->step[i].kernel->name;
    for (int i = 0; i < o->n[OPT_LAYER]; i++) {
        bool found = false;
        for (int k = 0; k < m->n_steps; k++)
            found = found || str_eq(names[k], o->value[OPT_LAYER][i]);
        if (!found)
            usage_unknown(cx, "kernel", o->value[OPT_LAYER][i], names, m->n_steps);
    }
    return diags_error_count(cx->diags) == errors;
}
