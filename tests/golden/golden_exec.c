/* golden_exec: runs what stands on either side of a golden file, so that a wrong expectation cannot
 * be accepted: both sides must compute the same.
 *
 * example: w: f32[32, 8] and w: f32[32, 8] as [d0/16, d1, d0%16] hold the same 256 numbers, each
 *          where its own storage map says. Zero halos hold zeros, slack holds NaN (-1 in i32).
 *
 * contract: the texts have been verified. Outputs are compared by logical element; what was not
 * written is NaN on both sides.
 */
#include "golden.h"

#include <math.h>
#include <string.h>

enum { BATCH = 2 };

/* ---- logical elements ---------------------------------------------------------------------- */
/* A number from -3 to 4 for each element; of a halo that reads as zero, 0. */
static double element_value(uint64_t seed, const Buffer *b, const int64_t index[])
{
    bool border = false;
    for (int d = 0; d < b->rank; d++)
        border |= index[d] < 0 || index[d] >= b->dim[d].extent;
    if (border)
        return 0;
    return (double)(hash_bytes(seed, index, sizeof *index * (size_t)b->rank) % 8) - 3;
}

static int64_t element_place(const Buffer *b, const int64_t index[])
{
    int64_t extent[MAX_DIMS], place = 0;
    int n = buffer_physical(b, extent);
    for (int i = 0; i < n; i++) {
        const StorageDim *s = &b->storage[i];
        int64_t p = b->n_storage ? floor_div(index[s->dim] + s->add, s->div)
                                 : index[i] + b->dim[i].lo;
        if (b->n_storage && s->mod)
            p = floor_mod(p, s->mod);
        place = place * extent[i] + p;
    }
    return place;
}

/* First and last logical index that has a defined value. */
static int64_t index_first(const Dim *d)
{
    return d->zero ? -d->lo : 0;
}

static int64_t index_end(const Dim *d)
{
    return d->extent + (d->zero ? d->hi : 0);
}

static int64_t logical_count(const Buffer *b)
{
    int64_t n = 1;
    for (int d = 0; d < b->rank; d++)
        n *= index_end(&b->dim[d]) - index_first(&b->dim[d]);
    return n;
}

static void index_start(const Buffer *b, int64_t index[])
{
    for (int d = 0; d < b->rank; d++)
        index[d] = index_first(&b->dim[d]);
}

/* The next logical index, the last dimension fastest. */
static void index_step(const Buffer *b, int64_t index[])
{
    for (int d = b->rank - 1; d >= 0; d--) {
        if (++index[d] < index_end(&b->dim[d]))
            return;
        index[d] = index_first(&b->dim[d]);
    }
}

static void *memory_of(const Golden *g, const Buffer *b)
{
    size_t bytes = (size_t)buffer_bytes(b);
    return memset(arena_alloc(g->cx->perm, bytes), 0xff, bytes);
}

/* Of small integers: exact. */
static uint16_t upper_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void *buffer_filled(const Golden *g, const char *name, const Buffer *b)
{
    void *data = memory_of(g, b);
    uint64_t seed = hash_bytes(HASH_SEED, name, strlen(name));
    int64_t index[MAX_DIMS], n = logical_count(b);
    index_start(b, index);
    for (int64_t i = 0; i < n; i++, index_step(b, index)) {
        double value = element_value(seed, b, index);
        int64_t place = element_place(b, index);
        switch (b->type) {
        case TYPE_F32: ((float *)data)[place] = (float)value; break;
        case TYPE_F64: ((double *)data)[place] = value; break;
        case TYPE_I32: ((int32_t *)data)[place] = (int32_t)value; break;
        case TYPE_BF16: ((uint16_t *)data)[place] = upper_half((float)value); break;
        }
    }
    return data;
}

static void result_add(const Golden *g, Results *out, const char *name, const Buffer *b,
                       const void *data)
{
    size_t size = scalar_bytes(b->type);
    Result *r = NEW(g->cx->perm, Result);
    *r = (Result){b->type, logical_count(b), NULL};
    char *copy = arena_alloc(g->cx->perm, size * (size_t)r->n);
    int64_t index[MAX_DIMS];
    index_start(b, index);
    for (int64_t i = 0; i < r->n; i++, index_step(b, index))
        memcpy(copy + size * (size_t)i,
               (const char *)data + size * (size_t)element_place(b, index), size);
    r->data = copy;
    map_put(out->by_name, name, r);
}

/* ---- kernels and modules ------------------------------------------------------------------- */
static bool kernel_run(const Golden *g, const Kernel *k, Results *out)
{
    void **data = NEW_ARRAY(g->cx->perm, void *, k->n_buffers + 1);
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        bool given = b->kind == BUF_IN || b->kind == BUF_WEIGHT;
        data[i] = given ? buffer_filled(g, b->name, b) : memory_of(g, b);
    }
    if (!kernel_interpret(g->cx, k, data))
        return false;
    for (int i = 0; i < k->n_buffers; i++)
        if (k->buffer[i]->kind == BUF_OUT)
            result_add(g, out, k->buffer[i]->name, k->buffer[i], data[i]);
    return true;
}

/* A made weight as the compiler computes it, from tensors filled by their names. */
static const void *weight_made(const Golden *g, const Value *v)
{
    const void *from[MAX_SOURCES] = {NULL};
    const Kernel *k = v->make;
    for (int i = 0, n = 0; i < k->n_buffers; i++)
        if (k->buffer[i]->kind == BUF_WEIGHT) {
            from[n] = buffer_filled(g, v->made_from[n], k->buffer[i]);
            n++;
        }
    float *made = NEW_ARRAY(g->cx->perm, float, logical_count(&v->shape));
    float *out = memory_of(g, &v->shape);
    int64_t index[MAX_DIMS], n = logical_count(&v->shape);
    if (!value_make(g->cx, v, from, made))
        return out;
    index_start(&v->shape, index);
    for (int64_t i = 0; i < n; i++, index_step(&v->shape, index))
        out[element_place(&v->shape, index)] = made[i];
    return out;
}

static const void *weight_data(void *user, const Value *v)
{
    return v->make ? weight_made(user, v)
                   : buffer_filled(user, v->key ? v->key : v->name, &v->shape);
}

/* Until prepack has run, a kernel may read a weight in another layout than its value has: that
 * layout becomes a value of its own. */
static void settle_weights(const Golden *g, Module *m)
{
    Arena *a = g->cx->perm;
    for (int s = 0; s < m->n_steps; s++)
        for (int i = 0; i < m->step[s].kernel->n_buffers; i++) {
            Value *v = m->step[s].arg[i];
            const Buffer *b = m->step[s].kernel->buffer[i];
            if (v->kind != VALUE_WEIGHT || buffer_same_layout(&v->shape, b))
                continue;
            Value *copy = NEW(a, Value), **value = NEW_ARRAY(a, Value *, m->n_values + 1);
            *copy = *v;
            copy->shape = *b;
            m->step[s].arg[i] = copy;
            for (int k = 0; k < m->n_values; k++)
                value[k] = m->value[k];
            value[m->n_values++] = copy;
            m->value = value;
        }
}

static bool module_run(const Golden *g, Module *m, Results *out)
{
    settle_weights(g, m);
    void **input = NEW_ARRAY(g->cx->perm, void *, m->n_values + 1);
    void **output = NEW_ARRAY(g->cx->perm, void *, m->n_values + 1);
    int n_in = 0, n_out = 0;
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        if (v->kind == VALUE_INPUT)
            input[n_in++] = buffer_filled(g, v->name, &v->shape);
        else if (v->kind == VALUE_OUTPUT)
            output[n_out++] = memory_of(g, &v->shape);
    }
    Golden copy = *g;
    ModuleRun run = {.input = input, .output = output, .weight = weight_data, .user = &copy};
    if (!module_interpret(g->cx, m, &run))
        return false;
    n_out = 0;
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i]->kind == VALUE_OUTPUT)
            result_add(g, out, m->value[i]->name, &m->value[i]->shape, output[n_out++]);
    return true;
}

bool golden_execute(const Golden *g, const Subject *s, Results *out)
{
    out->by_name = map_new(g->cx->perm);
    if (g->level == GOLDEN_KERNEL)
        return kernel_run(g, s->kernel, out);
    if (g->level == GOLDEN_MODULE)
        return module_run(g, s->module, out);
    LowerOptions o = {.row = g->row->name, .batch = BATCH, .type = TYPE_F32};
    Module *m = lower_graph(g->cx, g->cx->perm, s->graph, &o);
    return m && module_verify(g->cx, m) && module_run(g, m, out);
}

/* ---- comparison ---------------------------------------------------------------------------- */
static double value_at(const Result *r, int64_t i)
{
    switch (r->type) {
    case TYPE_F32: return (double)((const float *)r->data)[i];
    case TYPE_F64: return ((const double *)r->data)[i];
    case TYPE_I32: return (double)((const int32_t *)r->data)[i];
    case TYPE_BF16: break;                             /* weights only, no results */
    }
    return 0;
}

static bool same_value(const Golden *g, const Result *x, const Result *y, int64_t i)
{
    size_t size = scalar_bytes(x->type);
    double a = value_at(x, i), b = value_at(y, i);
    if (memcmp((const char *)x->data + size * (size_t)i, (const char *)y->data + size * (size_t)i,
               size) == 0 || (isnan(a) && isnan(b)))
        return true;
    if (g->ulp == 0 || !isfinite(a) || !isfinite(b))
        return false;
    int digits = x->type == TYPE_F32 ? 23 : 52;
    double unit = ldexp(1, ilogb(fabs(a)) - digits);
    return fabs(a - b) <= (double)g->ulp * unit;
}

static bool has_number(const Results *results)
{
    for (size_t k = 0; k < map_count(results->by_name); k++) {
        const Result *r = map_value(results->by_name, k);
        for (int64_t i = 0; i < r->n; i++)
            if (!isnan(value_at(r, i)))
                return true;
    }
    return false;
}

const char *golden_compare(const Golden *g, const Results *before, const Results *after)
{
    Arena *a = g->cx->perm;
    if (!has_number(before))
        return "nothing was computed";
    if (map_count(before->by_name) != map_count(after->by_name))
        return "the two sides have different outputs";
    for (size_t k = 0; k < map_count(before->by_name); k++) {
        const char *name = map_key(before->by_name, k);
        const Result *x = map_value(before->by_name, k), *y = map_get(after->by_name, name);
        if (!y || y->type != x->type || y->n != x->n)
            return arena_printf(a, "'%s' has another shape", name);
        for (int64_t i = 0; i < x->n; i++) {
            if (same_value(g, x, y, i))
                continue;
            Str s = str_new(a);
            str_printf(&s, "element %lld of '%s' is ", (long long)i, name);
            str_double(&s, value_at(x, i));
            str_add(&s, " before and ");
            str_double(&s, value_at(y, i));
            str_add(&s, " after");
            return s.data;
        }
    }
    return NULL;
}
