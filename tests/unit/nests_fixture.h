/* What tests of naive nests share: an operator's nest, run by the interpreter on small data.
 *
 * example: Run r = run_begin("mul", "N,3,2 N,3,2", ""); run_kernel(&r); r.out[0] ...
 */
#ifndef NET2C_NESTS_FIXTURE_H
#define NET2C_NESTS_FIXTURE_H

#include <math.h>
#include <stdio.h>

#include "ops_fixture.h"

#define BATCH 2

/* ---- running a nest ----------------------------------------------------------------------- */
typedef struct Run {
    Cx *cx;
    Node *node;
    Kernel *kernel;
    float *in[3], *param[MAX_PARAMS], *out;
    ScalarType type;
    const char *algo;          /* of a convolution; NULL: as defined */
    int64_t halo;              /* zero elements around the last two axes of the first input */
} Run;

static inline int64_t shape_elements(const Shape *s)
{
    return shape_count(s) * (s->dim[0] == DIM_N ? BATCH : 1);
}

static inline Buffer *buffer_make(Run *r, const char *name, BufferKind kind, const Shape *s)
{
    Buffer *b = NEW(r->cx->perm, Buffer);
    Kernel *k = r->kernel;
    *b = (Buffer){.name = name, .kind = kind, .type = r->type, .lanes = 1, .rank = s->rank};
    for (int d = 0; d < s->rank; d++)
        b->dim[d].extent = s->dim[d] == DIM_N ? BATCH : s->dim[d];
    Buffer **grown = NEW_ARRAY(r->cx->perm, Buffer *, k->n_buffers + 1);
    for (int i = 0; i < k->n_buffers; i++)
        grown[i] = k->buffer[i];
    grown[k->n_buffers++] = b;
    k->buffer = grown;
    return b;
}

static inline float *integers(Cx *cx, int64_t n, int seed)
{
    float *v = NEW_ARRAY(cx->perm, float, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)((i * 7 + seed + i / 5) % 11 - 5);
    return v;
}

/* The first input, of rank 4 if it has a halo, as stored: in the middle of its zeros. */
static inline float *input_stored(const Run *r, const Buffer *b)
{
    if (r->halo == 0)
        return r->in[0];
    int64_t h = b->dim[2].extent, w = b->dim[3].extent, p = r->halo;
    float *v = NEW_ARRAY(r->cx->perm, float, buffer_elements(b));
    for (int64_t c = 0; c < b->dim[0].extent * b->dim[1].extent; c++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++)
                v[(c * (h + 2 * p) + y + p) * (w + 2 * p) + x + p] = r->in[0][(c * h + y) * w + x];
    return v;
}

static inline Buffer *input_make(Run *r, int i)
{
    Buffer *b = buffer_make(r, arena_printf(r->cx->perm, "x%d", i), BUF_IN, &r->node->in[i]->shape);
    for (int d = 2; d < b->rank && i == 0 && r->halo > 0; d++)
        b->dim[d] = (Dim){b->dim[d].extent, r->halo, r->halo, true};
    return b;
}

static inline Run run_begin(const char *op, const char *inputs, const char *attrs)
{
    Run r = {.cx = cx_new()};
    r.node = ops_node(r.cx, op, inputs, attrs);
    if (!r.node->op->infer(r.cx, r.node))
        fail_msg("%s", diags_get(r.cx->diags, 0)->text);
    for (int i = 0; i < r.node->n_in; i++)
        r.in[i] = integers(r.cx, shape_elements(&r.node->in[i]->shape), i);
    for (int i = 0; i < r.node->n_param; i++)
        r.param[i] = integers(r.cx, shape_elements(&r.node->param[i].shape), i + 2);
    return r;
}

/* What the compiler does for a made weight. */
static inline void make_weight(Run *r, const NestCx *nx, const Made *made, void **data)
{
    const void *from[MAX_SOURCES] = {NULL};
    Value v = {.name = "made", .kind = VALUE_WEIGHT, .shape = *made->buffer, .make = made->make};
    for (int i = 0; i < made->n_params; i++)
        from[i] = r->param[made->param[i]];
    for (int i = 0; i < nx->kernel->n_buffers; i++)
        if (nx->kernel->buffer[i] == made->buffer) {
            assert_true(loop_verify(r->cx, made->make));
            assert_true(value_make(r->cx, &v, from, data[i]));
        }
}

static inline void run_kernel(Run *r)
{
    Node *n = r->node;
    r->kernel = NEW(r->cx->perm, Kernel);
    r->kernel->arena = r->cx->perm;
    r->kernel->name = "k";
    NestCx nx = {.kernel = r->kernel, .arena = r->cx->perm, .node = n, .type = r->type};
    void *data[16];
    int at = 0;
    for (int i = 0; i < n->n_in; i++, at++) {
        nx.in[i] = input_make(r, i);
        data[at] = i == 0 ? input_stored(r, nx.in[0]) : r->in[i];
    }
    for (int i = 0; i < n->n_param; i++, at++) {
        nx.param[i] = buffer_make(r, n->param[i].role, BUF_WEIGHT, &n->param[i].shape);
        data[at] = r->param[i];
    }
    nx.out = buffer_make(r, "y", BUF_OUT, &n->out->shape);
    data[at++] = r->out = NEW_ARRAY(r->cx->perm, float, shape_elements(&n->out->shape));
    if (r->algo)
        assert_true(n->op->nest_by(&nx, r->algo));
    else
        n->op->nest(&nx);
    for (; at < r->kernel->n_buffers; at++) {
        int64_t count = buffer_elements(r->kernel->buffer[at]);
        float *scratch = NEW_ARRAY(r->cx->perm, float, count);
        for (int64_t i = 0; i < count; i++)
            scratch[i] = NAN;                  /* nothing may rely on what was there */
        data[at] = scratch;
    }
    for (int i = 0; i < nx.n_made; i++)
        make_weight(r, &nx, &nx.made[i], data);
    bool runs = r->type == TYPE_F32;
    if (!loop_verify(r->cx, r->kernel) || (runs && !kernel_interpret(r->cx, r->kernel, data)))
        fail_msg("%s\n%s", diags_get(r->cx->diags, 0)->text,
                 kernel_text(r->cx->perm, r->kernel));
}

typedef struct NestCase {
    const char *op, *inputs, *attrs;
} NestCase;

/* The reference is built from the same nests in double: no f32 may be left in them. */
static inline void check_in_double(const NestCase *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Run r = run_begin(t[i].op, t[i].inputs, t[i].attrs);
        r.type = TYPE_F64;
        run_kernel(&r);
        assert_null(strstr(kernel_text(r.cx->perm, r.kernel), "f32"));
        r.algo = "im2col";
        if (r.node->op->nest_by == conv_nest_by)
            run_kernel(&r);
        cx_delete(r.cx);
    }
}

static inline bool same(float got, float want)
{
    return (isnan(got) && isnan(want)) || (got == want && signbit(got) == signbit(want));
}

#endif
