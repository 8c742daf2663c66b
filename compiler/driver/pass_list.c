/* pass_list: which passes run and in which order.
 *
 *     --load-pass=mine.so --stop-after=tile
 *     fold-dropout graph-dce mine fuse-layers ... choose-layout tile
 *
 * The passes of the table, or those of --passes; those from outside behind the pass that they name,
 * libraries before commands; nothing behind --stop-after.
 *
 * contract: levels follow each other, whatever the order within one is. A pass from outside runs
 * before the first that stands behind its place in the table, so that the pass at this place need
 * not run itself.
 */
#include "driver/driver.h"

static const PassDef *pass_named(const Pipeline *p, const char *name)
{
    for (int i = 0; i < p->n_outside; i++)
        if (str_eq(p->outside[i].name, name))
            return &p->outside[i];
    return pass_find(name);
}

const PassDef *pass_wanted(const Pipeline *p, const char *name, const char *other)
{
    const PassDef *pass = pass_named(p, name);
    if (pass || str_eq(name, other))
        return pass;
    const char **names = NEW_ARRAY(p->cx->temp, const char *, pass_count() + p->n_outside + 1);
    int n = 0;
    for (int i = 0; i < pass_count(); i++)
        names[n++] = pass_at(i)->name;
    for (int i = 0; i < p->n_outside; i++)
        names[n++] = p->outside[i].name;
    if (other)
        names[n++] = other;
    usage_unknown(p->cx, "pass", name, names, n);
    return NULL;
}

const char *pass_title(const PassDef *pass)
{
    return str_eq(pass->name, PASS_CMD_NAME) ? pass->origin : pass->name;
}

/* ---- passes from outside -------------------------------------------------------------------- */

static void load_libraries(Pipeline *p, const Options *o)
{
    for (int i = 0; i < o->n[OPT_LOAD_PASS]; i++) {
        PassDef *pass = &p->outside[p->n_outside];
        const char *path = o->value[OPT_LOAD_PASS][i];
        if (!plugin_load(p->cx, path, pass))
            continue;
        if (pass_named(p, pass->name))
            diag_error(p->cx->diags, NO_PLACE, "E0137", "the pass in '%s' needs a name of its own: "
                       "'%s' is loaded already", path, pass->name);
        p->n_outside++;
    }
}

static void find_commands(Pipeline *p, const Options *o)
{
    const char *place = option_text(o, OPT_PASS_CMD_AFTER, "narrow-weights");
    const PassDef *after = pass_wanted(p, place, NULL);
    if (!after)
        return;
    if (after->level == LEVEL_MODULE || after->after) {
        diag_error(p->cx->diags, NO_PLACE, "E0007", "a program cannot run behind '%s'", place);
        diag_help(p->cx->diags, "it works on graphs or kernels: name a pass of net2c's own on "
                                "these");
    }
    if (o->n[OPT_PASS_CMD_AFTER] && o->n[OPT_PASS_CMD] == 0)
        diag_error(p->cx->diags, NO_PLACE, "E0004", "--pass-cmd-after needs --pass-cmd");
    for (int i = 0; i < o->n[OPT_PASS_CMD]; i++) {
        PassDef *pass = &p->outside[p->n_outside++];
        *pass = (PassDef){.name = PASS_CMD_NAME, .level = after->level, .optional = true,
                          .after = after, .origin = o->value[OPT_PASS_CMD][i]};
        pass->why = pass->origin;
        if (pass->level == LEVEL_GRAPH)
            pass->graph = command_on_graph;
        else
            pass->kernel = command_on_kernel;
    }
}

/* ---- the list ------------------------------------------------------------------------------- */

static void all_passes(Pipeline *p)
{
    for (int i = 0; i < pass_count(); i++)
        p->pass[p->n_passes++] = pass_at(i);
}

static void chosen_passes(Pipeline *p, const Options *o)
{
    for (int i = 0; i < o->n[OPT_PASSES]; i++) {
        const PassDef *pass = pass_wanted(p, o->value[OPT_PASSES][i], NULL);
        const PassDef *before = p->n_passes ? p->pass[p->n_passes - 1] : NULL;
        if (pass && before && before->level > pass->level) {
            diag_error(p->cx->diags, NO_PLACE, "E0007", "pass '%s' cannot run after '%s'",
                       pass->name, before->name);
            diag_help(p->cx->diags, "passes on graphs come first, then those on kernels, then "
                                    "those on modules");
        }
        if (pass)
            p->pass[p->n_passes++] = pass;
    }
}

/* Where a pass stands in the table, or behind which pass of it. */
static const PassDef *place_of(const PassDef *pass)
{
    return pass->after ? pass->after : pass;
}

/* A pass that --passes names has its place. */
static void insert(Pipeline *p, const PassDef *pass)
{
    int at = 0;
    for (int i = 0; i < p->n_passes; i++)
        if (p->pass[i] == pass)
            return;
    while (at < p->n_passes && (p->pass[at]->level < pass->level ||
                                (p->pass[at]->level == pass->level &&
                                 place_of(p->pass[at]) <= pass->after)))
        at++;
    for (int i = p->n_passes++; i > at; i--)
        p->pass[i] = p->pass[i - 1];
    p->pass[at] = pass;
}

/* Of the passes at one place, one from outside stops those behind it in the list. */
static void stop_after(Pipeline *p, const PassDef *stop)
{
    int n = 0;
    bool passed = false;
    for (int i = 0; i < p->n_passes; i++) {
        const PassDef *pass = p->pass[i];
        if (!passed && pass->level <= stop->level && place_of(pass) <= place_of(stop))
            p->pass[n++] = pass;
        passed = passed || (stop->after && pass == stop);
    }
    p->n_passes = n;
}

static void check_disabled(Pipeline *p, const Options *o)
{
    for (int i = 0; i < o->n[OPT_DISABLE_PASS]; i++) {
        const PassDef *pass = pass_wanted(p, o->value[OPT_DISABLE_PASS][i], NULL);
        if (pass && !pass->optional) {
            diag_error(p->cx->diags, NO_PLACE, "E0006", "pass '%s' cannot be left out", pass->name);
            diag_help(p->cx->diags, "net2c opt --print-pipeline says which are optional");
        }
    }
    p->run.disabled = o->value[OPT_DISABLE_PASS];
    p->run.n_disabled = o->n[OPT_DISABLE_PASS];
}

void pass_list(Pipeline *p, const Options *o)
{
    int outside = o->n[OPT_LOAD_PASS] + o->n[OPT_PASS_CMD];
    p->outside = NEW_ARRAY(p->cx->perm, PassDef, outside);
    p->pass = NEW_ARRAY(p->cx->perm, const PassDef *,
                        outside + o->n[OPT_PASSES] + pass_count());
    load_libraries(p, o);
    find_commands(p, o);
    check_disabled(p, o);
    if (o->n[OPT_PASSES])
        chosen_passes(p, o);
    else
        all_passes(p);
    for (int i = 0; i < p->n_outside; i++)
        insert(p, &p->outside[i]);
    if (o->n[OPT_STOP_AFTER]) {
        const PassDef *stop = pass_wanted(p, option_text(o, OPT_STOP_AFTER, NULL), NULL);
        if (stop)
            stop_after(p, stop);
    }
}

void pass_list_needed(Pipeline *p)
{
    p->pass = NEW_ARRAY(p->cx->perm, const PassDef *, pass_count());
    for (int i = 0; i < pass_count(); i++)
        if (!pass_at(i)->optional)
            p->pass[p->n_passes++] = pass_at(i);
}
