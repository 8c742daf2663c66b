/* net2c reduce: makes a model that a command fails on smaller, as long as it fails in the same way.
 *
 *     net2c reduce net.yaml -o small.yaml -- net2c opt {} --verify-each=exec
 *     net2c reduce net.yaml -o small.yaml -- sh -c 'net2c weights init {} -o w && ./mine.sh {} w'
 *
 * Layers go first, from the end, from the front and between; then outputs, inputs of layers, labels
 * and attributes; then sizes. Each candidate is a whole model, written to a file whose name takes
 * the place of {} in the command, or stands behind it.
 *
 * contract: deterministic. The command is started without a shell, and what it prints is not shown.
 * The last candidate with the exit status of the model itself is written to -o. Shapes change, so a
 * command that needs weights makes them anew.
 */
#include "driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* What may be done at a place i, and there in a way j. */
typedef enum { END_AT, BEGIN_AT, REMOVE, DROP_OUTPUT, DROP_INPUT, DROP_LABELS, RESET_ATTRIBUTE,
               HALVE_ATTRIBUTE, HALVE_INPUT, LESS_INPUT, CHANGES } Shrink;

typedef struct Reduce {
    Cx *cx;
    const Options *options;
    const char *text;              /* of the smallest model so far */
    const char *path;              /* of candidates */
    int status, tries;
} Reduce;

/* ---- the command ----------------------------------------------------------------------------- */

/* Every {} in a word is the path. */
static char *with_path(Arena *a, const char *word, const char *path, bool *found)
{
    Str s = str_new(a);
    for (; *word; word++)
        if (word[0] == '{' && word[1] == '}') {
            str_add(&s, path);
            *found = true;
            word++;
        } else {
            str_char(&s, *word);
        }
    return s.data;
}

static int start(char **argv, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t group;
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&group);
    if (error == 0) {
        posix_spawnattr_setflags(&group, POSIX_SPAWN_SETPGROUP);
        for (int fd = 0; fd < 3 && error == 0; fd++)
            error = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
        if (error == 0)
            error = posix_spawnp(child, argv[0], &files, &group, argv, environ);
        posix_spawnattr_destroy(&group);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Its exit status, 128 and more for a signal; -1: reported. */
static int run_command(const Reduce *r)
{
    int n = r->options->n_command, status = 0;
    char **argv = NEW_ARRAY(r->cx->temp, char *, n + 2);
    bool found = false;
    pid_t child, done;
    for (int i = 0; i < n; i++)
        argv[i] = with_path(r->cx->temp, r->options->command[i], r->path, &found);
    if (!found)
        argv[n] = arena_strdup(r->cx->temp, r->path);
    int error = start(argv, &child);
    if (error != 0) {
        diag_error(r->cx->diags, NO_PLACE, "E0138", "cannot start '%s': %s", argv[0],
                   strerror(error));
        return -1;
    }
    r->cx->child = child;
    do
        done = waitpid(child, &status, 0);
    while (done < 0 && errno == EINTR);
    r->cx->child = 0;
    arena_reset(r->cx->temp);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- changes --------------------------------------------------------------------------------- */

static bool is_read(const Graph *g, const Tensor *t)
{
    bool found = false;
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            found = found || g->nodes[i]->in[j] == t;
    return found;
}

/* Layers that reach no output go, and inputs that nobody reads but the last one. */
static void sweep(Graph *g)
{
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (!graph_is_output(g, g->nodes[i]->out) && !is_read(g, g->nodes[i]->out))
            graph_remove_node(g, g->nodes[i]);
    for (int i = g->n_inputs - 1; i >= 0 && g->n_inputs > 1; i--)
        if (!is_read(g, g->inputs[i])) {
            g->n_inputs--;
            memmove(&g->inputs[i], &g->inputs[i + 1],
                    (size_t)(g->n_inputs - i) * sizeof *g->inputs);
        }
}

static bool end_at(Graph *g, Node *n)
{
    if (g->n_outputs == 1 && g->outputs[0] == n->out)
        return false;
    g->outputs[0] = n->out;
    g->n_outputs = 1;
    return true;
}

/* The layer's output becomes an input of the network. */
static bool begin_at(Graph *g, Node *n)
{
    Tensor **inputs = NEW_ARRAY(g->arena, Tensor *, g->n_inputs + 1);
    if (graph_is_output(g, n->out))
        return false;
    for (int i = 0; i < g->n_inputs; i++)
        inputs[i] = g->inputs[i];
    inputs[g->n_inputs++] = n->out;
    g->inputs = inputs;
    n->out->producer = NULL;
    graph_remove_node(g, n);
    return true;
}

static bool remove_layer(Graph *g, Node *n)
{
    bool other = n->n_in > 0 && shape_equal(&n->in[0]->shape, &n->out->shape);
    if (!other || (graph_is_output(g, n->out) &&
                   (!n->in[0]->producer || graph_is_output(g, n->in[0]))))
        return false;
    graph_replace_uses(g, n->out, n->in[0]);
    graph_remove_node(g, n);
    return true;
}

static bool drop_output(Graph *g, int i)
{
    if (i >= g->n_outputs || g->n_outputs == 1)
        return false;
    g->n_outputs--;
    memmove(&g->outputs[i], &g->outputs[i + 1], (size_t)(g->n_outputs - i) * sizeof *g->outputs);
    return true;
}

static bool drop_input(Node *n, int j)
{
    if (j >= n->n_in || n->n_in == 1)
        return false;
    n->n_in--;
    memmove(&n->in[j], &n->in[j + 1], (size_t)(n->n_in - j) * sizeof *n->in);
    return true;
}

static bool drop_labels(Node *n)
{
    bool some = n->group || n->algo || n->store || n->schedule || n->out->layout;
    n->group = n->algo = n->store = n->schedule = n->out->layout = NULL;
    return some;
}

static bool change_attribute(Node *n, int j, bool halve)
{
    const AttrDef *def = &n->op->attrs[j];
    AttrValue *v = &n->attr[j];
    const AttrValue was = *v;
    bool whole = def->kind != ATTR_FLOAT && def->kind != ATTR_SHAPE && def->kind != ATTR_AXIS &&
                 def->kind != ATTR_AXES;
    if (!halve && !def->required) {
        v->set = false;
        v->f = def->fallback;
        for (int i = 0; i < MAX_RANK && whole; i++)
            v->i[i] = (int64_t)def->fallback;
    }
    for (int i = 0; i < MAX_RANK && halve && whole; i++)
        v->i[i] = v->i[i] > 1 ? v->i[i] / 2 : v->i[i];
    return v->f != was.f || memcmp(v->i, was.i, sizeof v->i) != 0;
}

static bool shrink_input(Graph *g, int i, int j, bool halve)
{
    if (i >= g->n_inputs || j + 1 >= g->inputs[i]->shape.rank)
        return false;
    int64_t *extent = &g->inputs[i]->shape.dim[j + 1];
    bool more = *extent > 1;
    *extent -= more ? halve ? *extent / 2 : 1 : 0;
    return more;
}

/* false: there is nothing of the kind. */
static bool change_graph(Graph *g, Shrink change, int i, int j)
{
    Node *n = i < g->n_nodes ? g->nodes[i] : NULL;
    if (change == DROP_OUTPUT)
        return drop_output(g, i);
    if (change >= HALVE_INPUT)
        return shrink_input(g, i, j, change == HALVE_INPUT);
    if (!n)
        return false;
    switch (change) {
    case END_AT: return end_at(g, n);
    case BEGIN_AT: return begin_at(g, n);
    case REMOVE: return remove_layer(g, n);
    case DROP_INPUT: return drop_input(n, j);
    case DROP_LABELS: return drop_labels(n);
    default: return j < MAX_ATTRS && n->op->attrs[j].name &&
                    change_attribute(n, j, change == HALVE_ATTRIBUTE);
    }
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* Shapes by the operators' own rules. What they say goes to the messages of a context of its own,
 * which nobody prints. */
static bool infer(Cx *cx, Graph *g)
{
    g->n_samples = g->n_preprocess = 0;
    g->doc = NULL;
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->op->infer(cx, g->nodes[i]))
            return false;
    return graph_verify(cx, g);
}

/* The changed model's text, in perm of r; NULL: there is no such change, or no valid model. */
static const char *candidate(const Reduce *r, Shrink change, int i, int j)
{
    Cx *cx = cx_new();
    const char *volatile text = NULL;
    if (cx && !cx_guard(cx)) {
        Graph *g = model_parse(cx, r->options->argument[0], r->text, strlen(r->text));
        if (g && change_graph(g, change, i, j)) {
            sweep(g);
            text = infer(cx, g) ? graph_text(r->cx->perm, g) : NULL;
        }
    }
    cx_delete(cx);
    return text && !str_eq(text, r->text) ? text : NULL;
}

/* 1: the command fails as before. -1: reported. */
static int try_text(Reduce *r, const char *text)
{
    if (!file_write(r->cx, r->path, text, strlen(text)))
        return -1;
    int status = run_command(r);
    r->tries++;
    cx_phase(r->cx, "candidate %d", r->tries);
    return status < 0 ? -1 : status == r->status;
}

/* All places of a kind of change, as often as there is one that keeps the failure. */
static int reduce_by(Reduce *r, Shrink change, int places, bool *smaller)
{
    bool halving = change >= HALVE_ATTRIBUTE;
    int ways = change == DROP_INPUT ? MAX_INPUTS : change >= RESET_ATTRIBUTE ? MAX_ATTRS : 1;
    for (int k = 0; k < places; k++)
        for (int j = 0; j < ways; j++) {
            int at = change == END_AT ? k : places - 1 - k;
            const char *text = candidate(r, change, at, j);
            int fails = text ? try_text(r, text) : 0;
            if (fails < 0)
                return -1;
            if (fails == 0)
                continue;
            r->text = text;
            *smaller = true;
            if (change == END_AT)
                return 0;
            j -= halving || change == DROP_INPUT;
        }
    return 0;
}

static bool reduce(Reduce *r, const Graph *g)
{
    bool smaller = true;
    r->status = 0;
    int fails = try_text(r, r->text);
    if (fails == 1)
        diag_error(r->cx->diags, NO_PLACE, "E0139", "the command does not fail on the model");
    if (fails != 0)
        return false;
    r->status = run_command(r);
    while (smaller) {
        smaller = false;
        for (Shrink c = END_AT; c < CHANGES; c++)
            if (reduce_by(r, c, g->n_nodes + g->n_inputs + g->n_outputs, &smaller) < 0)
                return false;
    }
    return true;
}

int cmd_reduce(Cx *cx, const Options *o)
{
    static const char *const names[] = {"model.yaml", NULL};
    const char *out = option_text(o, OPT_OUTPUT, NULL);
    Reduce r = {.cx = cx, .options = o};
    if (o->n_command == 0)
        diag_error(cx->diags, NO_PLACE, "E0005", "reduce needs a command behind --");
    const Graph *g = o->n_command ? model_of_options(cx, o) : NULL;
    TempFolder *folder = g ? folder_make(cx, names) : NULL;
    if (!folder)
        return status_of_errors(cx->diags);
    r.path = arena_printf(cx->perm, "%s/model.yaml", folder->path);
    r.text = graph_text(cx->perm, g);
    bool ok = reduce(&r, g) && file_write(cx, out, r.text, strlen(r.text));
    folder_remove(folder);
    return ok ? STATUS_OK : status_of_errors(cx->diags);
}
