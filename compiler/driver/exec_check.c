/* exec_check: does a pass change results? Interpreted on small integers before and after it.
 *
 * A kernel gets integers in each of its inputs and weights, made from the buffer's name and the
 * logical index, so that layouts may change in between. A graph is lowered to its naive nests, and
 * a network, graph or module, is run kernel by kernel with the tensors between them kept in logical
 * order. Once a module has its memory planned it is run as planned too, arena and packed weights.
 *
 * contract: results are equal bit for bit. Two exceptions are stated here: where exp or a root
 * power of a kernel becomes arithmetic, or a layer gets another algorithm, that step may differ by
 * TOLERANCE of the largest element.
 */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-5

typedef struct Result {            /* logical elements of the outputs, one after the other */
    float *data;
    int64_t n;
    bool functions;                /* a kernel has functions that expand-math will expand */
    int algorithms;                /* kernels that compute otherwise than defined */
} Result;

struct ExecCheck {
    Cx *cx;
    const Row *row;
    Map *before;                   /* "graph", "module" or a kernel's name -> Result */
};

ExecCheck *exec_check_new(Cx *cx, const Row *row)
{
    ExecCheck *x = NEW(cx->perm, ExecCheck);
    *x = (ExecCheck){cx, row, map_new(cx->perm)};
    return x;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* -2..2, the same for a name whatever its layout. */
static float *integers(Arena *a, const char *name, const Buffer *b)
{
    int64_t n = buffer_logical_elements(b);
    float *out = NEW_ARRAY(a, float, n);
    uint64_t state = hash_bytes(HASH_SEED, name, strlen(name));
    for (int64_t i = 0; i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (float)((int)((state >> 33) % 5) - 2);
    }
    return out;
}

static void *pack(Arena *a, const Buffer *b, const float *logical)
{
    const Value v = {.name = b->name, .shape = *b};
    int64_t n = buffer_elements(b);
    float *out = NEW_ARRAY(a, float, n);
    pack_elements(&v, logical, 0, n, out);
    return out;
}

static void note_function(void *user, const Expr *e)
{
    if (e->kind == EXPR_UN && e->op > UN_POW2I)
        *(bool *)user = true;
}

static void visit_stmt(void *user, Stmt *s)
{
    stmt_visit_exprs(s, note_function, user);
}

static bool has_functions(const Kernel *k)
{
    bool found = false;
    body_visit(k->body, visit_stmt, &found);
    return found;
}

static Result result_make(Cx *cx, int64_t n)
{
    return (Result){.data = NEW_ARRAY(cx->perm, float, n), .n = n};
}

/* The logical elements of a weight, made ones from integers. */
static float *weight_integers(Cx *cx, const Value *v)
{
    const void *from[MAX_SOURCES] = {NULL};
    if (!v->make)
        return integers(cx->temp, v->key, &v->shape);
    for (int i = 0, n = 0; i < v->make->n_buffers; i++)
        if (v->make->buffer[i]->kind == BUF_WEIGHT) {
            from[n] = integers(cx->temp, v->made_from[n], v->make->buffer[i]);
            n++;
        }
    float *out = NEW_ARRAY(cx->temp, float, buffer_logical_elements(&v->shape));
    value_make(cx, v, from, out);
    return out;
}

/* ---- running --------------------------------------------------------------------------------- */

/* logical[i]: data of input and weight buffers in logical order; NULL: integers by the buffer's
 * name. Outputs are put there. */
static bool run_kernel(Cx *cx, const Kernel *k, float **logical)
{
    void *data[MAX_ARGS];
    Arena *a = cx->temp;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        if (b->kind == BUF_IN || b->kind == BUF_WEIGHT) {
            data[i] = pack(a, b, logical[i] ? logical[i] : integers(a, b->name, b));
        } else {
            data[i] = arena_alloc(a, (size_t)buffer_bytes(b));
            memset(data[i], 0xff, (size_t)buffer_bytes(b));
        }
    }
    if (!kernel_interpret(cx, k, data))
        return false;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        if (b->kind != BUF_OUT)
            continue;
        logical[i] = NEW_ARRAY(a, float, buffer_logical_elements(b));
        buffer_unpack(b, data[i], logical[i]);
    }
    return true;
}

static bool kernel_result(Cx *cx, const Kernel *k, Result *out)
{
    float *logical[MAX_ARGS] = {NULL};
    int64_t n = 0;
    if (!run_kernel(cx, k, logical))
        return false;
    for (int i = 0; i < k->n_buffers; i++)
        n += k->buffer[i]->kind == BUF_OUT ? buffer_logical_elements(k->buffer[i]) : 0;
    *out = result_make(cx, n);
    out->functions = has_functions(k);
    float *at = out->data;
    for (int i = 0; i < k->n_buffers; i++) {
        if (k->buffer[i]->kind != BUF_OUT)
            continue;
        n = buffer_logical_elements(k->buffer[i]);
        memcpy(at, logical[i], (size_t)n * sizeof *at);
        at += n;
    }
    return true;
}

static int64_t output_elements(const Module *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_values; i++)
        n += m->value[i]->kind == VALUE_OUTPUT ? buffer_logical_elements(&m->value[i]->shape) : 0;
    return n;
}

static bool run_step(Cx *cx, const Step *s, Map *tensors)
{
    float *logical[MAX_ARGS] = {NULL};
    const Kernel *k = s->kernel;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        if (b->kind == BUF_WEIGHT)
            logical[i] = weight_integers(cx, s->arg[i]);
        if (b->kind != BUF_IN)
            continue;
        logical[i] = map_get(tensors, s->arg[i]->name);
        if (!logical[i])
            logical[i] = integers(cx->temp, s->arg[i]->name, b);
    }
    cx_phase(cx, "interpreting %s", k->name);
    if (!run_kernel(cx, k, logical))
        return false;
    for (int i = 0; i < k->n_buffers; i++)
        if (k->buffer[i]->kind == BUF_OUT)
            map_put(tensors, s->arg[i]->name, logical[i]);
    return true;
}

/* Kernel by kernel. */
static bool network_result(Cx *cx, const Module *m, Result *out)
{
    Map *tensors = map_new(cx->temp);
    *out = result_make(cx, output_elements(m));
    float *at = out->data;
    for (int i = 0; i < m->n_steps; i++) {
        out->algorithms += !kernel_sums_as_defined(m->step[i].kernel);
        if (!run_step(cx, &m->step[i], tensors))
            return false;
    }
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        int64_t n = buffer_logical_elements(&v->shape);
        const float *data = v->kind == VALUE_OUTPUT ? map_get(tensors, v->name) : NULL;
        if (!data)
            continue;
        memcpy(at, data, (size_t)n * sizeof *at);
        at += n;
    }
    return true;
}

static const void *packed_integers(void *user, const Value *v)
{
    Cx *cx = user;
    return pack(cx->temp, &v->shape, weight_integers(cx, v));
}

/* In the planned memory. */
static bool planned_result(Cx *cx, const Module *m, Result *out)
{
    void **io = NEW_ARRAY(cx->temp, void *, m->n_values);
    int inputs = 0, outputs = 0;
    *out = result_make(cx, output_elements(m));
    float *at = out->data;
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        if (v->kind == VALUE_INPUT)
            io[inputs++] = integers(cx->temp, v->name, &v->shape);
    }
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        if (v->kind != VALUE_OUTPUT)
            continue;
        io[inputs + outputs++] = at;
        at += buffer_logical_elements(&v->shape);
    }
    const ModuleRun run = {io, io + inputs, packed_integers, NULL, cx};
    cx_phase(cx, "interpreting the planned network");
    return module_interpret(cx, m, &run);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool same(const Result *a, const Result *b, double tolerance)
{
    double largest = 0;
    if (a->n != b->n)
        return false;
    for (int64_t i = 0; i < a->n; i++)
        if (isfinite(a->data[i]))
            largest = fmax(largest, fabs((double)a->data[i]));
    for (int64_t i = 0; i < a->n; i++) {
        float x = a->data[i], y = b->data[i];
        bool equal = x == y || (isnan(x) && isnan(y));
        if (!equal && !(fabs((double)x - (double)y) <= tolerance * largest))
            return false;
    }
    return true;
}

static bool compare(ExecCheck *x, const char *after, const char *what, const Result *now)
{
    const Result *before = map_get(x->before, what);
    Result *kept = NEW(x->cx->perm, Result);
    bool other = before && ((before->functions && !now->functions) ||
                            before->algorithms != now->algorithms);
    *kept = *now;
    map_put(x->before, what, kept);
    if (!before || same(before, now, other ? TOLERANCE : 0))
        return true;
    diag_error(x->cx->diags, NO_PLACE, "E0972",
               "internal error: pass '%s' has changed what %s computes", after, what);
    return false;
}

static bool check_graph(ExecCheck *x, const char *after, const Graph *g)
{
    const LowerOptions o = {.row = x->row->name, .batch = 1, .type = TYPE_F32};
    Result r;
    Module *m = lower_graph(x->cx, x->cx->perm, g, &o);
    return m && network_result(x->cx, m, &r) && compare(x, after, "the graph", &r);
}

static bool check_module(ExecCheck *x, const char *after, const Module *m)
{
    Result r;
    bool planned = m->n_values > 0;
    for (int i = 0; i < m->n_values; i++)
        planned = planned && (m->value[i]->kind <= VALUE_OUTPUT || m->value[i]->offset >= 0);
    if (!network_result(x->cx, m, &r))
        return false;
    for (int i = 0; i < m->n_steps; i++)
        r.functions = r.functions || has_functions(m->step[i].kernel);
    if (!compare(x, after, "the network", &r))
        return false;
    return !planned || (planned_result(x->cx, m, &r) && compare(x, after, "the network", &r));
}

bool exec_check(ExecCheck *x, const char *after, Ir ir)
{
    Result r;
    if (ir.graph)
        return check_graph(x, after, ir.graph);
    if (ir.module)
        return check_module(x, after, ir.module);
    cx_phase(x->cx, "interpreting %s", ir.kernel->name);
    return kernel_result(x->cx, ir.kernel, &r) &&
           compare(x, after, arena_printf(x->cx->perm, "kernel %s", ir.kernel->name), &r);
}
