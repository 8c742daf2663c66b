/* pipeline: THE way from a model to loops.
 *
 *     load model -> graph passes -> lower -> kernel passes on each kernel -> module passes
 *
 * Which passes, in which order and why, is passes/passes.def, each line with its reason; this file
 * runs them. Kernel passes go pass by pass over all kernels, so that what lies between two passes
 * is a whole network that can be printed and executed.
 *
 * Passes from outside stand in the list like those of the table.
 *
 * contract: after each pass the runner verifies the IR; false means that something was reported.
 */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

static void unknown_row(Cx *cx, const char *name)
{
    const char **names = NEW_ARRAY(cx->temp, const char *, row_count());
    for (int i = 0; i < row_count(); i++)
        names[i] = row_at(i)->name;
    usage_unknown(cx, "instruction set", name, names, row_count());
}

static void add_row(Pipeline *p, const char *name)
{
    const Row *row = row_find(name);
    bool twice = false;
    for (int i = 0; i < p->n_rows; i++)
        twice = twice || p->row[i] == row;
    if (!row)
        unknown_row(p->cx, name);
    else if (!twice)
        p->row[p->n_rows++] = row;
}

/* What runs here is for one row: the first that this CPU has (the interpreter has all), or the one
 * to use, which stays among the others. */
static void choose_row(Pipeline *p, const char *use, bool interpreter)
{
    const char *names[MAX_ROWS];
    bool listed = !use;
    for (int i = 0; i < p->n_rows; i++) {
        names[i] = p->row[i]->name;
        listed = listed || str_eq(use, names[i]);
    }
    if (!listed) {
        usage_unknown(p->cx, "instruction set of --isa", use, names, p->n_rows);
        return;
    }
    for (int i = 0; i < p->n_rows; i++) {
        if ((use && !str_eq(use, p->row[i]->name)) ||
            (!interpreter && (n2c_cpu_features() & p->row[i]->cpu) != p->row[i]->cpu))
            continue;
        if (use) {
            p->used_row = i;
        } else {
            p->row[0] = p->row[i];
            p->n_rows = 1;
        }
        return;
    }
    diag_error(p->cx->diags, NO_PLACE, "E0116", "this CPU lacks the instruction set %s",
               use ? use : p->row[p->n_rows - 1]->name);
    diag_help(p->cx->diags, "use --isa=portable");
}

static void find_rows(Pipeline *p, const Options *o)
{
    static const char *const standard[] = {"avx512", "avx2", "portable"};
    bool one = o->verb == VERB_OPT || o->verb == VERB_SCHED;
    bool runs = o->verb == VERB_RUN || o->verb == VERB_VERIFY || o->verb == VERB_BENCH ||
                o->verb == VERB_TUNE;
    for (int i = 0; i < o->n[OPT_ISA]; i++)
        add_row(p, o->value[OPT_ISA][i]);
    for (int i = 0; i < (one ? 1 : 3) && !o->n[OPT_ISA]; i++)
        add_row(p, standard[i]);
    if (runs && p->n_rows > 0)
        choose_row(p, option_text(o, OPT_USE_ISA, NULL), p->backend == BACKEND_INTERP);
}

#define MAX_BATCH 65536

static int find_batch(const Pipeline *p, int64_t batch)
{
    int i = 0;
    while (i < p->n_batches && p->batch[i] != batch)
        i++;
    return i;
}

/* Any number of items is composed of the sizes, so 1 is one of them. */
static void find_batches(Pipeline *p, const Options *o)
{
    for (int i = 0; i < o->n[OPT_BATCH]; i++) {
        int64_t batch;
        const char *text = o->value[OPT_BATCH][i];
        if (!parse_i64(text, &batch) || batch < 1 || batch > MAX_BATCH) {
            diag_error(p->cx->diags, NO_PLACE, "E0003", "--batch needs numbers of items from 1 to "
                       "%d, found '%s'", MAX_BATCH, text);
        } else if (find_batch(p, batch) == MAX_BATCHES - 1) {
            diag_error(p->cx->diags, NO_PLACE, "E0003", "--batch takes at most %d sizes",
                       MAX_BATCHES - 1);
            return;
        } else if (find_batch(p, batch) == p->n_batches) {
            p->batch[p->n_batches++] = batch;
        }
    }
    if (find_batch(p, 1) == p->n_batches && (o->verb != VERB_OPT || p->n_batches == 0))
        p->batch[p->n_batches++] = 1;
}

/* An option of two values: is it the second? */
static bool find_choice(Cx *cx, const Options *o, OptId option, const char *first,
                        const char *second)
{
    const char *const values[] = {first, second}, *value = option_text(o, option, first);
    if (!str_eq(value, first) && !str_eq(value, second))
        usage_unknown(cx, "value", value, values, 2);
    return str_eq(value, second);
}

/* The kinds that are wanted. */
static unsigned find_remarks(Cx *cx, const Options *o)
{
    static const char *const words[] = {"all", "done", "missed"};
    static const unsigned kinds[] = {REMARK_DONE | REMARK_MISSED, REMARK_DONE, REMARK_MISSED};
    int word = option_word(cx, o, OPT_REMARKS, words, 3);
    return o->n[OPT_REMARKS] && word >= 0 ? kinds[word] : 0;
}

bool pipeline_start(Pipeline *p, Cx *cx, const Options *o)
{
    static const char *const backends[] = {"c", "jit", "interp"};
    *p = (Pipeline){.cx = cx, .type = TYPE_F32};
    p->backend = (Backend)option_word(cx, o, OPT_BACKEND, backends, o->verb == VERB_RUN ? 3 : 2);
    find_rows(p, o);
    find_batches(p, o);
    p->pass_cx = (PassCx){.cx = cx, .arena = cx->perm, .row = p->row[0]};
    p->pass_cx.strict = find_choice(cx, o, OPT_MATH, "default", "strict");
    p->pass_cx.narrow = find_choice(cx, o, OPT_PRECISION, "f32", "bf16w");
    p->pass_cx.remarks = find_remarks(cx, o);
    p->schedule_file = option_text(o, OPT_SCHEDULE, NULL);
    if (p->schedule_file)
        p->schedules = schedules_read(cx, p->schedule_file);
    p->pass_cx.schedules = p->schedules;
    pass_list(p, o);
    return diags_error_count(cx->diags) == 0;
}

static void end_phase(Pipeline *p)
{
    if (p->on_time && p->phase)
        p->on_time(p->cx, p->phase, clock_ms() - p->phase_start);
    p->phase = NULL;
}

static void start_phase(Pipeline *p, const char *name)
{
    end_phase(p);
    cx_phase(p->cx, "%s", name);
    p->phase = name;
    p->phase_start = clock_ms();
}

/* Besides the pass, what watches it after each step can fail. */
static bool no_errors(const Pipeline *p, bool ok)
{
    return ok && diags_error_count(p->cx->diags) == 0;
}

bool pipeline_graph(Pipeline *p)
{
    bool ok = true;
    for (int i = 0; ok && i < p->n_passes && p->pass[i]->level == LEVEL_GRAPH; i++) {
        start_phase(p, pass_title(p->pass[i]));
        ok = no_errors(p, pass_run_graph(&p->pass_cx, &p->run, p->pass[i], p->graph));
    }
    end_phase(p);
    return ok;
}

static Module *lower_for(Pipeline *p, const Row *row, int64_t batch)
{
    const LowerOptions o = {.row = row->name, .batch = batch, .type = p->type};
    Module *m = lower_graph(p->cx, p->cx->perm, p->graph, &o);
    arena_reset(p->cx->temp);
    if (m && p->schedules)
        schedules_choose(p, m);
    return m;
}

bool pipeline_lower(Pipeline *p)
{
    start_phase(p, "lowering");
    p->descriptor = graph_descriptors(p->cx, p->cx->perm, p->graph);
    p->module = !p->descriptor ? NULL : lower_for(p, p->row[0], p->batch[0]);
    bool ok = p->module && module_verify(p->cx, p->module);
    end_phase(p);
    arena_reset(p->cx->temp);
    return ok;
}

static bool pass_on_kernels(Pipeline *p, const PassDef *pass, const Module *m, const Row *row)
{
    PassCx pass_cx = p->pass_cx;
    bool ok = true;
    pass_cx.row = row;
    if (m != p->module)                    /* once is enough */
        pass_cx.remarks = 0;
    for (int i = 0; ok && i < m->n_steps; i++)
        ok = no_errors(p, pass_run_kernel(&pass_cx, &p->run, pass, m->step[i].kernel));
    return ok;
}

static bool kernel_passes(Pipeline *p, const Module *m, const Row *row)
{
    bool ok = true;
    for (int i = 0; ok && i < p->n_passes; i++) {
        if (p->pass[i]->level != LEVEL_KERNEL)
            continue;
        start_phase(p, pass_title(p->pass[i]));
        ok = pass_on_kernels(p, p->pass[i], m, row);
    }
    return ok;
}

/* With its storage map written out: no map means row-major, and that passes may choose one. */
static Buffer settled_layout(const Buffer *b)
{
    Buffer settled = *b;
    for (int d = 0; d < b->rank && b->n_storage == 0; d++)
        settled.storage[settled.n_storage++] = (StorageDim){d, b->dim[d].lo, 1, 0};
    return settled;
}

/* Weights lie as the kernel for the first row and batch reads them. */
static void share_layouts(const Kernel *first, Kernel *k)
{
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer from = settled_layout(first->buffer[i]);
        Buffer *b = k->buffer[i];
        if (b->kind != BUF_WEIGHT)
            continue;
        memcpy(b->dim, from.dim, sizeof b->dim);
        memcpy(b->storage, from.storage, sizeof b->storage);
        b->n_storage = from.n_storage;
    }
}

/* The network from the same nests, for another row or batch. NULL: reported. */
static Module *other_module(Pipeline *p, const Row *row, int64_t batch)
{
    Module *other = lower_for(p, row, batch);
    for (int i = 0; other && i < other->n_steps; i++)
        share_layouts(p->module->step[i].kernel, other->step[i].kernel);
    return other;
}

/* What a schedule of the user's own may do to weights that a kernel for another row, or batch,
 * reads as well. */
static bool check_layouts(Pipeline *p, const Kernel *first, const Kernel *k, const Row *row)
{
    for (int i = 0; i < k->n_buffers && i < first->n_buffers; i++) {
        const Buffer has = settled_layout(first->buffer[i]), needs = settled_layout(k->buffer[i]);
        if (k->buffer[i]->kind != BUF_WEIGHT || buffer_same_layout(&has, &needs))
            continue;
        diag_error(p->cx->diags, schedule_place(p->schedules, k->schedule, 0), "E0958",
                   "illegal schedule of '%s': on %s it lays out the weights '%s' otherwise than on "
                   "%s", k->name, row->name, k->buffer[i]->name, p->row[0]->name);
        diag_help(p->cx->diags, "the first instruction set decides how weights lie: leave 'pack' "
                  "and 'tail=pad' out, pack alike for both, or compile for %s alone", row->name);
        return false;
    }
    return true;
}

/* A module's kernels for another row. */
static bool more_kernels(Pipeline *p, Module *m, const Row *row)
{
    Module *other = other_module(p, row, m->batch);
    for (int i = 0; other && i < m->n_steps; i++) {
        Kernel *k = other->step[i].kernel;
        k->name = arena_printf(p->cx->perm, "%s.%s", k->name, row->name);
    }
    if (!other || !kernel_passes(p, other, row))
        return false;
    for (int i = 0; i < m->n_steps; i++) {
        if (!check_layouts(p, p->module->step[i].kernel, other->step[i].kernel, row))
            return false;
        m->step[i].more[m->n_more] = other->step[i].kernel;
    }
    m->more_row[m->n_more++] = row->name;
    return true;
}

static bool module_passes(Pipeline *p, Module *m)
{
    PassCx pass_cx = p->pass_cx;
    bool ok = true;
    if (m != p->module)
        pass_cx.remarks = 0;
    for (int i = 0; ok && i < p->n_passes; i++) {
        if (p->pass[i]->level != LEVEL_MODULE)
            continue;
        start_phase(p, pass_title(p->pass[i]));
        ok = no_errors(p, pass_run_module(&pass_cx, &p->run, p->pass[i], m));
    }
    end_phase(p);
    return ok;
}

/* Do all weights of m lie in the first batch's blob, as m's kernels read them? */
static bool blob_serves(const Module *first, const Module *m)
{
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        bool found = v->kind != VALUE_WEIGHT;
        for (int k = 0; !found && k < first->n_values; k++) {
            const Value *w = first->value[k];
            const Buffer has = settled_layout(&w->shape), needs = settled_layout(&v->shape);
            found = w->kind == VALUE_WEIGHT && w->offset == v->offset &&
                    str_eq(w->name, v->name) && buffer_same_layout(&has, &needs);
        }
        if (!found)
            return false;
    }
    return true;
}

static bool check_blob(Pipeline *p)
{
    for (int i = 0; i < p->n_batches; i++) {
        if (blob_serves(p->module, p->sized[i]))
            continue;
        diag_error(p->cx->diags, NO_PLACE, "E0966", "internal error: a batch of %lld reads other "
                   "weights than one of %lld", (long long)p->sized[i]->batch,
                   (long long)p->module->batch);
        return false;
    }
    return true;
}

static void sort_sized(Pipeline *p)
{
    for (int i = 1; i < p->n_batches; i++)
        for (int k = i; k > 0 && p->sized[k]->batch > p->sized[k - 1]->batch; k--) {
            Module *smaller = p->sized[k - 1];
            p->sized[k - 1] = p->sized[k];
            p->sized[k] = smaller;
        }
}

/* All kernels first: passes on modules drop buffers, and layouts are shared by their number. */
bool pipeline_module(Pipeline *p)
{
    bool ok = true;
    for (int i = 0; ok && i < p->n_batches; i++) {
        Module *m = i ? other_module(p, p->row[0], p->batch[i]) : p->module;
        p->sized[i] = m;
        ok = m && kernel_passes(p, m, p->row[0]);
        for (int r = 1; ok && r < p->n_rows; r++)
            ok = more_kernels(p, m, p->row[r]);
    }
    for (int i = 0; ok && i < p->n_batches; i++)
        ok = module_passes(p, p->sized[i]);
    if (!ok || !check_blob(p))
        return false;
    sort_sized(p);
    return !p->schedules || schedules_check(p);
}

const Module *pipeline_sized(const Pipeline *p, int64_t items)
{
    int i = 0;
    while (i + 1 < p->n_batches && p->sized[i]->batch > items)
        i++;
    return p->sized[i];
}

Graph *model_of_options(Cx *cx, const Options *o)
{
    ModelDefines defines = {o->value[OPT_DEFINE], o->n[OPT_DEFINE]};
    return o->model.data ? model_parse_with(cx, o->argument[0], o->model, defines)
                         : model_load_with(cx, o->argument[0], defines);
}

static Weights *weights_of_options(Cx *cx, const Options *o)
{
    const char *name = option_text(o, OPT_WEIGHTS, NULL);
    return o->weights.data ? weights_parse(cx, name, o->weights) : weights_open(cx, name);
}

bool pipeline_run(Pipeline *p)
{
    return pipeline_graph(p) && pipeline_lower(p) && pipeline_module(p);
}

#define PIECE ((size_t)16 << 20)       /* bytes of weights in memory at a time */

/* Also once it is stored as bf16, of which the largest has the upper half 0x7f7f. */
static bool weight_is_finite(void *weights, const char *key)
{
    const WeightTensor *t = weights_find(weights, key);
    bool finite = t && str_eq(t->type, "F32");
    for (size_t at = 0; finite && at < t->data.size; at += PIECE) {
        size_t size = t->data.size - at < PIECE ? t->data.size - at : PIECE;
        const unsigned char *f = t->data.data + at;          /* little-endian */
        unsigned infinite = 0;
        for (size_t i = 0; i < size; i += 4)
            infinite |= ((f[i + 3] & 0x7fu) << 8 | f[i + 2]) >= 0x7f7fu;
        finite = !infinite;
        weights_forget(weights, (Bytes){t->data.data + at, size});
    }
    return finite;
}

/* All are there; and a label `algo: skip-zeros` is a promise, whoever wrote it. */
static bool check_weights(const Pipeline *p, Weights *w)
{
    Cx *cx = p->cx;
    bool ok = weights_check(cx, w, p->graph);
    for (int i = 0; ok && i < p->graph->n_nodes; i++) {
        const Node *n = p->graph->nodes[i];
        if (n->op->nest_by != linear_nest_by || !str_eq(n->algo, "skip-zeros") ||
            weight_is_finite(w, n->param[0].key))
            continue;
        diag_error(cx->diags, n->place, "E0213", "'%s' cannot skip zeros: a weight of '%s' is "
                   "infinite, NaN or near the largest float", n->out->name, n->param[0].key);
        diag_help(cx->diags, "remove the label 'algo: skip-zeros': 0 * infinity is no zero");
        ok = false;
    }
    return ok;
}

bool pipeline_load(Pipeline *p, Cx *cx, const Options *o, Weights **w)
{
    *w = NULL;
    if (!pipeline_start(p, cx, o))
        return false;
    p->graph = model_of_options(cx, o);
    if (!p->graph)
        return false;
    *w = o->n[OPT_WEIGHTS] ? weights_of_options(cx, o) : NULL;
    if (o->n[OPT_WEIGHTS] && !*w)
        return false;
    /* rows of weights for one item at a time do not serve several */
    p->pass_cx.finite = *w && p->n_batches == 1 ? weight_is_finite : NULL;
    p->pass_cx.weights = *w;
    /* A pass from outside may give layers other weights. */
    bool before = *w && p->n_outside == 0, after = *w && !before;
    if ((!before || check_weights(p, *w)) && pipeline_graph(p) &&
        (!after || check_weights(p, *w)) && pipeline_lower(p))
        return true;
    if (*w)
        weights_close(*w);
    return false;
}

bool pipeline_look(Pipeline *p, Cx *cx, const Options *o)
{
    if (!pipeline_start(p, cx, o))
        return false;
    p->graph = model_of_options(cx, o);
    Weights *w = o->n[OPT_WEIGHTS] ? weights_of_options(cx, o) : NULL;
    if (w && p->graph)
        weights_check(cx, w, p->graph);
    if (w)
        weights_close(w);
    return p->graph && diags_error_count(cx->diags) == 0;
}

bool pipeline_compile(Pipeline *p, Cx *cx, const Options *o, Weights **w)
{
    if (!pipeline_load(p, cx, o, w))
        return false;
    if (pipeline_module(p))
        return true;
    weights_close(*w);
    return false;
}

/* The expression with nothing taken away in it: its value on positive operands is the size of what
 * it sums up. An exponent keeps its meaning: it is no sum. tanh and sigmoid pass on what their
 * operand has lost, at most: their slope is at most 1. */
static const Expr *expr_of_sizes(Arena *a, const Expr *e)
{
    if (e->kind == EXPR_UN && e->op == UN_EXP)
        return e;
    if (e->kind == EXPR_UN && (e->op == UN_NEG || e->op == UN_TANH))
        return expr_of_sizes(a, e->arg[0]);
    if (e->kind == EXPR_UN && e->op == UN_SIGMOID)
        return expr_bin(a, BIN_ADD, expr_of_sizes(a, e->arg[0]), expr_const(a, e->type, 1));
    if (e->kind == EXPR_CONST)
        return isfinite(e->value) ? expr_const(a, e->type, fabs(e->value)) : e;
    Expr *copy = NEW(a, Expr);
    *copy = *e;
    if (e->kind == EXPR_BIN && e->op == BIN_SUB)
        copy->op = BIN_ADD;
    for (int i = 0; i < expr_args(e); i++)
        copy->arg[i] = expr_of_sizes(a, e->arg[i]);
    return copy;
}

static void stmt_of_sizes(void *user, Stmt *s)
{
    if (s->expr)
        s->expr = expr_of_sizes(user, s->expr);
}

bool pipeline_reference(Pipeline *p, Pipeline *reference, Reference kind)
{
    Graph *g = p->graph;
    *reference = (Pipeline){.cx = p->cx, .pass_cx = p->pass_cx, .type = TYPE_F64, .graph = g,
                            .row = {&row_scalar}, .n_rows = 1, .batch = {1}, .n_batches = 1};
    reference->pass_cx.row = &row_scalar;
    reference->pass_cx.remarks = 0;
    pass_list_needed(reference);
    for (int i = 0; i < g->n_nodes; i++) {
        g->nodes[i]->out->layout = NULL;
        g->nodes[i]->schedule = NULL;
        g->nodes[i]->algo = "direct";
        if (kind != REFERENCE_STORED)
            g->nodes[i]->store = NULL;
    }
    if (!pipeline_lower(reference))
        return false;
    for (int i = 0; kind == REFERENCE_SIZES && i < reference->module->n_steps; i++)
        body_visit(reference->module->step[i].kernel->body, stmt_of_sizes, p->cx->perm);
    return pipeline_module(reference);
}
