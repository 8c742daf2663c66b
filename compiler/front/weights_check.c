/* weights_check: does a weights file fit a graph?
 *
 * Every parameter must be there, with its shape, as F32. All that is wrong is reported at the
 * layer that needs the tensor, with the nearest remedy: a similar name, a common prefix for
 * `bind`, a transposed matrix. Tensors the graph does not use are noted, but for
 * num_batches_tracked, which inference has no use for.
 */
#include "front/front.h"

#include <string.h>

#define MAX_SUGGESTIONS 20         /* as many errors as are shown: a search costs a pass */
#define MAX_NAMED 5                /* unused tensors named in the note */

typedef struct Check {
    Cx *cx;
    const Weights *weights;
    const char **keys;             /* of the file's tensors */
    Map *used;                     /* keys that the graph needs */
    int missing;
} Check;

/* A tensor whose name ends in ".KEY", or NULL. */
static const char *find_prefixed(const Check *c, const char *key)
{
    size_t n = strlen(key);
    for (int i = 0; i < weights_count(c->weights); i++) {
        size_t m = strlen(c->keys[i]);
        if (m > n && c->keys[i][m - n - 1] == '.' && strcmp(c->keys[i] + m - n, key) == 0)
            return c->keys[i];
    }
    return NULL;
}

static void report_missing(Check *c, const Node *n, const Param *p)
{
    Diags *d = c->cx->diags;
    diag_error(d, n->place, "E0204", "the weights file has no tensor '%s' %s, the %s of '%s'",
               p->key, shape_text(c->cx->temp, &p->shape), p->role, n->out->name);
    if (++c->missing > MAX_SUGGESTIONS)
        return;
    const char *longer = find_prefixed(c, p->key);
    if (longer != NULL) {
        diag_help(d, "it has '%s': bind: \"%.*s$path.$param\" puts that prefix before each name",
                  longer, (int)(strlen(longer) - strlen(p->key)), longer);
        return;
    }
    const char *near = str_nearest(c->cx->temp, p->key, c->keys, weights_count(c->weights));
    if (near != NULL)
        diag_help(d, "it has '%s' %s", near,
                  shape_text(c->cx->temp, &weights_find(c->weights, near)->shape));
}

static void report_shape(const Check *c, const Node *n, const Param *p, const WeightTensor *t)
{
    const Shape *have = &t->shape, *want = &p->shape;
    diag_error(c->cx->diags, n->place, "E0203",
               "'%s' needs '%s' of shape %s, but the weights file has it as %s", n->out->name,
               p->key, shape_text(c->cx->temp, want), shape_text(c->cx->temp, have));
    if (have->rank == 2 && want->rank == 2 && have->dim[0] == want->dim[1] &&
        have->dim[1] == want->dim[0])
        diag_help(c->cx->diags, "the matrix is transposed: store it as [outputs, inputs]");
}

static void check_param(Check *c, const Node *n, const Param *p)
{
    map_put(c->used, p->key, c);
    const WeightTensor *t = weights_find(c->weights, p->key);
    if (t == NULL) {
        report_missing(c, n, p);
        return;
    }
    if (!shape_equal(&t->shape, &p->shape))
        report_shape(c, n, p, t);
    if (!str_eq(t->type, "F32")) {
        diag_error(c->cx->diags, n->place, "E0205",
                   "'%s' needs '%s' as F32, but the weights file has it as %s", n->out->name,
                   p->key, t->type);
        diag_help(c->cx->diags, "convert the weights to 32-bit floats");
    }
}

static bool is_counter(const char *key)
{
    static const char name[] = "num_batches_tracked";
    size_t n = strlen(key), m = sizeof name - 1;
    return n >= m && strcmp(key + n - m, name) == 0;
}

static void note_unused(const Check *c)
{
    Str names = str_new(c->cx->temp);
    int count = 0;
    for (int i = 0; i < weights_count(c->weights); i++) {
        if (map_get(c->used, c->keys[i]) != NULL || is_counter(c->keys[i]))
            continue;
        if (count++ < MAX_NAMED)
            str_printf(&names, "%s'%s'", count > 1 ? ", " : "", c->keys[i]);
    }
    if (count > 0)
        diag_note(c->cx->diags, NO_PLACE, "the model does not use %d tensor%s of the weights "
                  "file: %s%s", count, count > 1 ? "s" : "", names.data,
                  count > MAX_NAMED ? ", ..." : "");
}

bool weights_check(Cx *cx, const Weights *w, const Graph *g)
{
    int errors = diags_error_count(cx->diags);
    Check c = {.cx = cx, .weights = w, .used = map_new(cx->temp)};
    c.keys = NEW_ARRAY(cx->temp, const char *, weights_count(w));
    for (int i = 0; i < weights_count(w); i++)
        c.keys[i] = weights_at(w, i)->key;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_param; k++)
            check_param(&c, g->nodes[i], &g->nodes[i]->param[k]);
    note_unused(&c);
    return diags_error_count(cx->diags) == errors;
}
