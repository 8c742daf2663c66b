/* exec_check: does a pass change results? Interpreted before and after it, on small integers and
 * on random fractions.
 *
 * A kernel gets numbers in each of its inputs and weights, made from the buffer's name and the
 * logical index, so that layouts may change in between. A graph is lowered to its naive nests, and
 * a network, graph or module, is run kernel by kernel with the tensors between them kept in logical
 * order. Once a module has its memory planned it is run as planned too, arena and packed weights.
 *
 * contract: on integers, results are equal bit for bit as long as what kernels read are integers
 * that a float holds exactly: no order of a sum matters then. Exceptions: where exp or a root power
 * of a kernel becomes arithmetic, or a layer gets another algorithm, that step may differ by
 * TOLERANCE of the tensor's largest element, or of 1. So may all that is computed from fractions.
 */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-5
#define EXACT 0x1p24f              /* all integers up to here are floats */

typedef enum { INTEGERS, FRACTIONS, DATA_KINDS } Data;
static const char *const data_name[] = {"integers", "random fractions"};

typedef struct Kept {              /* of a tensor: logical elements, in order */
    const Buffer *buffer;
    float *data;
    int64_t n;
    bool result;                   /* of the kernel or network; else in between */
} Kept;

typedef struct Result {
    Map *tensors;                  /* name -> Kept, in the order of execution */
    bool functions;                /* a kernel has functions that expand-math will expand */
    bool exact;                    /* kernels have read integers only */
    int algorithms;                /* kernels that compute otherwise than defined */
} Result;

struct ExecCheck {
    Cx *cx;
    const Row *row;
    Data data;                     /* of this run */
    Map *before[DATA_KINDS];       /* "the network" or a kernel's name -> Result */
};

ExecCheck *exec_check_new(Cx *cx, const Row *row)
{
    ExecCheck *x = NEW(cx->perm, ExecCheck);
    *x = (ExecCheck){cx, row, INTEGERS, {map_new(cx->perm), map_new(cx->perm)}};
    return x;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* A power of two that keeps sums over a weight of n elements about 1. Passes shape weights anew, so
 * that n is all to go by: as if it were a convolution of 3 by 3 with as many inputs as outputs. */
static double weight_scale(int64_t n)
{
    double scale = 1;
    while (scale * scale * 3 * sqrt((double)n) > 1)
        scale /= 2;
    return scale;
}

/* -2..2, or fractions that bf16 holds too; the same for a name whatever its layout. */
static float *numbers(const ExecCheck *x, const char *name, const Buffer *b)
{
    int64_t n = buffer_logical_elements(b);
    float *out = NEW_ARRAY(x->cx->temp, float, n);
    uint64_t state = hash_bytes(HASH_SEED, name, strlen(name));
    double scale = b->kind == BUF_WEIGHT ? weight_scale(n) / 64 : 0x1p-6;
    for (int64_t i = 0; i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = x->data == INTEGERS ? (float)((int)((state >> 33) % 5) - 2)
                                     : (float)(((int)((state >> 33) % 255) - 127) * scale);
    }
    return out;
}

/* What the compiler computes with; a vector may be variances, which are positive. */
static const float *source_numbers(const ExecCheck *x, const char *key, const Buffer *b)
{
    float *out = numbers(x, key, b);
    for (int64_t i = 0; b->rank == 1 && i < buffer_logical_elements(b); i++)
        out[i] = fabsf(out[i]) + 1;
    return out;
}

static bool is_exact(const float *data, int64_t n)
{
    bool exact = true;
    for (int64_t i = 0; i < n && exact; i++)
        exact = fabsf(data[i]) <= EXACT && data[i] == truncf(data[i]);
    return exact;
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

static Result result_new(const ExecCheck *x)
{
    return (Result){.tensors = map_new(x->cx->perm), .exact = x->data == INTEGERS};
}

/* data: copied, or NULL for room to be filled. */
static Kept *keep(const ExecCheck *x, Result *r, const char *name, const Buffer *b,
                  const float *data)
{
    Kept *k = NEW(x->cx->perm, Kept);
    Buffer *buffer = NEW(x->cx->perm, Buffer);
    *buffer = *b;
    *k = (Kept){.buffer = buffer, .n = buffer_logical_elements(b), .result = true};
    k->data = NEW_ARRAY(x->cx->perm, float, k->n);
    if (data)
        memcpy(k->data, data, (size_t)k->n * sizeof *data);
    map_put(r->tensors, name, k);
    return k;
}

/* The logical elements of a weight, made ones from their sources. */
static float *weight_numbers(const ExecCheck *x, const Value *v)
{
    const void *from[MAX_SOURCES] = {NULL};
    if (!v->make)
        return numbers(x, v->key, &v->shape);
    for (int i = 0, n = 0; i < v->make->n_buffers; i++)
        if (v->make->buffer[i]->kind == BUF_WEIGHT) {
            from[n] = source_numbers(x, v->made_from[n], v->make->buffer[i]);
            n++;
        }
    float *out = NEW_ARRAY(x->cx->temp, float, buffer_logical_elements(&v->shape));
    value_make(x->cx, v, from, out);
    return out;
}

/* ---- running --------------------------------------------------------------------------------- */

/* logical[i]: data of input and weight buffers in logical order; NULL: numbers by the buffer's
 * name. Outputs are put there. */
static bool run_kernel(const ExecCheck *x, const Kernel *k, const float **logical)
{
    void *data[MAX_ARGS];
    Arena *a = x->cx->temp;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        if (b->kind == BUF_IN || b->kind == BUF_WEIGHT) {
            data[i] = pack(a, b, logical[i] ? logical[i] : numbers(x, b->name, b));
        } else {
            data[i] = arena_alloc(a, (size_t)buffer_bytes(b));
            memset(data[i], 0xff, (size_t)buffer_bytes(b));
        }
    }
    if (!kernel_interpret(x->cx, k, data))
        return false;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        if (b->kind != BUF_OUT)
            continue;
        float *out = NEW_ARRAY(a, float, buffer_logical_elements(b));
        buffer_unpack(b, data[i], out);
        logical[i] = out;
    }
    return true;
}

static bool kernel_result(const ExecCheck *x, const Kernel *k, Result *r)
{
    const float *logical[MAX_ARGS] = {NULL};
    cx_phase(x->cx, "interpreting %s", k->name);
    if (!run_kernel(x, k, logical))
        return false;
    r->functions = has_functions(k);
    for (int i = 0; i < k->n_buffers; i++)
        if (k->buffer[i]->kind == BUF_OUT)
            keep(x, r, k->buffer[i]->name, k->buffer[i], logical[i]);
    return true;
}

static bool run_step(const ExecCheck *x, const Step *s, Result *r)
{
    const float *logical[MAX_ARGS] = {NULL};
    const Kernel *k = s->kernel;
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        const Kept *kept = map_get(r->tensors, s->arg[i]->name);
        if (b->kind == BUF_WEIGHT)
            logical[i] = weight_numbers(x, s->arg[i]);
        else if (b->kind == BUF_IN)
            logical[i] = kept ? kept->data : numbers(x, s->arg[i]->name, b);
        if (logical[i])
            r->exact = r->exact && is_exact(logical[i], buffer_logical_elements(b));
    }
    cx_phase(x->cx, "interpreting %s", k->name);
    if (!run_kernel(x, k, logical))
        return false;
    for (int i = 0; i < k->n_buffers; i++)
        if (k->buffer[i]->kind == BUF_OUT)
            keep(x, r, s->arg[i]->name, k->buffer[i], logical[i])->result =
                s->arg[i]->kind == VALUE_OUTPUT;
    return true;
}

/* Kernel by kernel. */
static bool network_result(const ExecCheck *x, const Module *m, Result *r)
{
    for (int i = 0; i < m->n_steps; i++) {
        r->algorithms += !kernel_sums_as_defined(m->step[i].kernel);
        r->functions = r->functions || has_functions(m->step[i].kernel);
        if (!run_step(x, &m->step[i], r))
            return false;
    }
    return true;
}

static const void *packed_numbers(void *user, const Value *v)
{
    const ExecCheck *x = user;
    return pack(x->cx->temp, &v->shape, weight_numbers(x, v));
}

/* In the planned memory. r: what the network gave kernel by kernel, now its outputs alone. */
static bool planned_result(ExecCheck *x, const Module *m, Result *r)
{
    void **io = NEW_ARRAY(x->cx->temp, void *, m->n_values);
    int inputs = 0, outputs = 0;
    r->tensors = map_new(x->cx->perm);
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i]->kind == VALUE_INPUT)
            io[inputs++] = numbers(x, m->value[i]->name, &m->value[i]->shape);
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i]->kind == VALUE_OUTPUT)
            io[inputs + outputs++] =
                keep(x, r, m->value[i]->name, &m->value[i]->shape, NULL)->data;
    const ModuleRun run = {io, io + inputs, packed_numbers, NULL, x};
    cx_phase(x->cx, "interpreting the planned network");
    return module_interpret(x->cx, m, &run);
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* The first element that differs by more; -1: none. */
static int64_t first_difference(const Kept *a, const Kept *b, double tolerance)
{
    double largest = 1;
    if (a->n != b->n)
        return 0;
    for (int64_t i = 0; i < a->n; i++)
        if (isfinite(a->data[i]))
            largest = fmax(largest, fabs((double)a->data[i]));
    for (int64_t i = 0; i < a->n; i++) {
        float x = a->data[i], y = b->data[i];
        bool equal = x == y || (isnan(x) && isnan(y));
        if (!equal && !(fabs((double)x - (double)y) <= tolerance * largest))
            return i;
    }
    return -1;
}

static bool same(const Result *a, const Result *b, double tolerance)
{
    bool equal = true;
    for (size_t i = 0; i < map_count(a->tensors) && equal; i++) {
        const Kept *before = map_value(a->tensors, i);
        const Kept *now = map_get(b->tensors, map_key(a->tensors, i));
        equal = !before->result || (now && first_difference(before, now, tolerance) < 0);
    }
    return equal;
}

/* The first tensor that there is before and after the pass, and that differs. */
static void report(const ExecCheck *x, const char *after, const char *what, const Result *a,
                   const Result *b, double tolerance)
{
    Diags *d = x->cx->diags;
    diag_error(d, NO_PLACE, "E0972", "internal error: pass '%s' has changed what %s computes",
               after, what);
    for (size_t i = 0; i < map_count(a->tensors); i++) {
        const char *name = map_key(a->tensors, i);
        const Kept *before = map_value(a->tensors, i), *now = map_get(b->tensors, name);
        int64_t at = now ? first_difference(before, now, tolerance) : -1;
        if (at < 0)
            continue;
        Shape shape = {.rank = before->buffer->rank};
        for (int k = 0; k < shape.rank && k < MAX_RANK; k++)
            shape.dim[k] = before->buffer->dim[k].extent;
        Str s = str_new(x->cx->perm);
        str_printf(&s, "with %s '%s' %s is ", data_name[x->data], name,
                   element_index(x->cx->perm, &shape, at));
        str_double(&s, (double)now->data[at]);
        str_add(&s, ", and was ");
        str_double(&s, (double)before->data[at]);
        diag_note(d, NO_PLACE, "%s", s.data);
        return;
    }
}

static bool compare(ExecCheck *x, const char *after, const char *what, const Result *now)
{
    const Result *before = map_get(x->before[x->data], what);
    Result *kept = NEW(x->cx->perm, Result);
    *kept = *now;
    map_put(x->before[x->data], what, kept);
    if (!before)
        return true;
    bool other = !before->exact || !now->exact || (before->functions && !now->functions) ||
                 before->algorithms != now->algorithms;
    double tolerance = other ? TOLERANCE : 0;
    if (same(before, now, tolerance))
        return true;
    report(x, after, what, before, now, tolerance);
    return false;
}

static bool check_graph(ExecCheck *x, const char *after, const Graph *g)
{
    const LowerOptions o = {.row = x->row->name, .batch = 1, .type = TYPE_F32};
    Result r = result_new(x);
    Module *m = lower_graph(x->cx, x->cx->perm, g, &o);
    return m && network_result(x, m, &r) && compare(x, after, "the graph", &r);
}

static bool check_module(ExecCheck *x, const char *after, const Module *m)
{
    Result r = result_new(x);
    bool planned = m->n_values > 0;
    for (int i = 0; i < m->n_values; i++)
        planned = planned && (m->value[i]->kind <= VALUE_OUTPUT || m->value[i]->offset >= 0);
    if (!network_result(x, m, &r) || !compare(x, after, "the network", &r))
        return false;
    return !planned || (planned_result(x, m, &r) && compare(x, after, "the network", &r));
}

static bool check_kernel(ExecCheck *x, const char *after, const Kernel *k)
{
    Result r = result_new(x);
    return kernel_result(x, k, &r) &&
           compare(x, after, arena_printf(x->cx->perm, "kernel %s", k->name), &r);
}

bool exec_check(ExecCheck *x, const char *after, Ir ir)
{
    bool ok = true;
    for (x->data = INTEGERS; ok && x->data < DATA_KINDS; x->data++)
        ok = ir.graph ? check_graph(x, after, ir.graph)
             : ir.module ? check_module(x, after, ir.module) : check_kernel(x, after, ir.kernel);
    return ok;
}
