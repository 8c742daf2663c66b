/* What the tests of schedules share: a kernel from text, the loop pipeline, and running a kernel on
 * small integers, so that two forms of it must agree bit for bit.
 *
 * example: Kernel *k = kernel_read(cx, text); k->schedule = "split o 16"; pipeline_run(cx, &row, k)
 */
#ifndef NET2C_SCHED_FIXTURE_H
#define NET2C_SCHED_FIXTURE_H

#include <string.h>

#include "passes/passes.h"
#include "sched/sched.h"

static inline Kernel *kernel_read(Cx *cx, const char *text)
{
    Kernel *k = kernel_parse(cx, "test.loop", text);
    return k && loop_verify(cx, k) ? k : NULL;
}

/* Every kernel pass in the pipeline's order; false: one of them has reported. */
static inline bool pipeline_run(Cx *cx, const Row *row, Kernel *k)
{
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row};
    for (int i = 0; i < pass_count(); i++)
        if (pass_at(i)->level == LEVEL_KERNEL && !pass_run_kernel(&pc, NULL, pass_at(i), k))
            return false;
    return true;
}

/* ---- data: one value for each logical element, wherever the storage map puts it ------------- */
static inline int64_t element_place(const Buffer *b, const int64_t index[])
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

static inline int64_t index_first(const Dim *d)
{
    return d->zero ? -d->lo : 0;
}

static inline int64_t index_end(const Dim *d)
{
    return d->extent + (d->zero ? d->hi : 0);
}

static inline int64_t logical_count(const Buffer *b)
{
    int64_t n = 1;
    for (int d = 0; d < b->rank; d++)
        n *= index_end(&b->dim[d]) - index_first(&b->dim[d]);
    return n;
}

static inline void index_start(const Buffer *b, int64_t index[])
{
    for (int d = 0; d < b->rank; d++)
        index[d] = index_first(&b->dim[d]);
}

static inline void index_step(const Buffer *b, int64_t index[])
{
    for (int d = b->rank - 1; d >= 0; d--) {
        if (++index[d] < index_end(&b->dim[d]))
            return;
        index[d] = index_first(&b->dim[d]);
    }
}

/* -3 to 3 by name and index; 0 in a border. What has no logical element is NaN. */
static inline float *buffer_data(Cx *cx, const Buffer *b)
{
    size_t bytes = (size_t)buffer_bytes(b);
    float *data = memset(arena_alloc(cx->perm, bytes), 0xff, bytes);
    if (b->kind != BUF_IN && b->kind != BUF_WEIGHT)
        return data;
    uint64_t seed = hash_bytes(HASH_SEED, b->name, strlen(b->name));
    int64_t index[MAX_DIMS];
    index_start(b, index);
    for (int64_t i = logical_count(b); i > 0; i--, index_step(b, index)) {
        bool border = false;
        for (int d = 0; d < b->rank; d++)
            border |= index[d] < 0 || index[d] >= b->dim[d].extent;
        uint64_t h = hash_bytes(seed, index, sizeof index[0] * (size_t)b->rank);
        data[element_place(b, index)] = border ? 0.0f : (float)((int)(h >> 7) % 4);
    }
    return data;
}

typedef struct Output {            /* the logical elements of a kernel's outputs, in order */
    float *value;
    int64_t n;
} Output;

static inline bool kernel_output(Cx *cx, const Kernel *k, Output *out)
{
    void **data = NEW_ARRAY(cx->perm, void *, k->n_buffers + 1);
    int64_t total = 0;
    for (int i = 0; i < k->n_buffers; i++) {
        data[i] = buffer_data(cx, k->buffer[i]);
        total += k->buffer[i]->kind == BUF_OUT ? logical_count(k->buffer[i]) : 0;
    }
    if (!kernel_interpret(cx, k, data))
        return false;
    *out = (Output){NEW_ARRAY(cx->perm, float, total + 1), 0};
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = k->buffer[i];
        int64_t index[MAX_DIMS];
        if (b->kind != BUF_OUT)
            continue;
        index_start(b, index);
        for (int64_t j = logical_count(b); j > 0; j--, index_step(b, index))
            out->value[out->n++] = ((const float *)data[i])[element_place(b, index)];
    }
    return true;
}

static inline bool output_equal(const Output *x, const Output *y)
{
    return x->n == y->n && memcmp(x->value, y->value, sizeof(float) * (size_t)x->n) == 0;
}

#endif
