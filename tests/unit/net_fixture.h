/* What tests of graph passes and lowering share: a network from YAML, run by the interpreter on
 * small integers, so that results are exact in any order of sums.
 *
 * example: Graph *g = net_read(cx, NET_HEAD "  - relu\n"); float *y = net_run(cx, g, 1, NULL);
 */
#ifndef NET2C_NET_FIXTURE_H
#define NET2C_NET_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "front/front.h"
#include "lower/lower.h"
#include "passes/passes.h"

#define NET_HEAD \
    "net2c: 1\nname: net\ninputs: {image: {shape: [N, 3, 9, 7]}}\n" \
    "weights: {bind: \"$path.$param\"}\n"

static inline void net_show(Cx *cx)
{
    print_message("%s", diags_render(cx->diags, cx->perm, 0, false));
}

static inline Graph *net_read(Cx *cx, const char *text)
{
    char *copy = arena_strdup(cx->perm, text);
    Graph *g = model_parse(cx, "net.yaml", copy, strlen(copy));
    if (!g)
        net_show(cx);
    assert_non_null(g);
    return g;
}

/* Run the named passes, comma-separated, for a row. */
static inline void net_passes(Cx *cx, Graph *g, const char *row, const char *names)
{
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find(row)};
    assert_non_null(pc.row);
    while (*names) {
        size_t n = strcspn(names, ",");
        const PassDef *p = pass_find(arena_strndup(cx->perm, names, n));
        assert_non_null(p);
        if (!pass_run_graph(&pc, NULL, p, g))
            net_show(cx);
        assert_int_equal(diags_error_count(cx->diags), 0);
        names += n + (names[n] == ',');
    }
}

static inline PassResult net_pass(Cx *cx, Graph *g, const char *row, GraphPass pass)
{
    PassCx pc = {.cx = cx, .arena = cx->perm, .row = row_find(row)};
    uint64_t before = graph_hash(g);
    PassResult result = pass(&pc, g);
    assert_int_equal(result == PASS_CHANGED, graph_hash(g) != before);
    assert_true(graph_verify(cx, g));
    return result;
}

static inline float net_number(uint64_t seed, int64_t i)
{
    return (float)(int)(hash_bytes(seed, &i, sizeof(i)) % 5) - 2.0f;
}

static inline float *net_fill(float *data, int64_t n, const char *key)
{
    for (int64_t i = 0; i < n; i++)
        data[i] = net_number(hash_bytes(HASH_SEED, key, strlen(key)), i);
    return data;
}

/* Weights follow from their key alone, so that two lowerings of a network have the same. */
static inline const void *net_weight(void *user, const Value *v)
{
    Cx *cx = user;
    int64_t n = buffer_elements(&v->shape);
    float *data = NEW_ARRAY(cx->perm, float, n);
    assert_int_equal(v->shape.n_storage, 0);
    if (!v->make) {
        net_fill(data, n, v->key);
        return data;
    }
    const void *from[MAX_SOURCES] = {NULL};
    for (int i = 0; i < MAX_SOURCES && v->made_from[i]; i++) {
        int64_t count = buffer_elements(v->make->buffer[i]);
        from[i] = net_fill(NEW_ARRAY(cx->perm, float, count), count, v->made_from[i]);
    }
    assert_true(value_make(cx, v, from, data));
    return data;
}

static inline Module *net_lower(Cx *cx, const Graph *g, int64_t batch)
{
    LowerOptions o = {.row = "scalar", .batch = batch, .type = TYPE_F32};
    Module *m = lower_graph(cx, cx->perm, g, &o);
    if (!m || !module_verify(cx, m))
        net_show(cx);
    assert_non_null(m);
    assert_int_equal(diags_error_count(cx->diags), 0);
    return m;
}

/* The outputs of a module, one after the other. */
static inline float *net_interpret(Cx *cx, const Module *m, size_t *count)
{
    void *input[8], *output[8];
    int n_inputs = 0, n_outputs = 0;
    size_t total = 0;
    float *all = NEW_ARRAY(cx->perm, float, 1 << 16);
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        int64_t n = buffer_elements(&v->shape);
        if (v->kind == VALUE_OUTPUT) {
            output[n_outputs++] = all + total;
            total += (size_t)n;
        } else if (v->kind == VALUE_INPUT) {
            float *data = NEW_ARRAY(cx->perm, float, n);
            for (int64_t k = 0; k < n; k++)
                data[k] = net_number(HASH_SEED + (uint64_t)n_inputs, k);
            input[n_inputs++] = data;
        }
    }
    assert_true(total <= 1 << 16);
    ModuleRun run = {.input = input, .output = output, .weight = net_weight, .user = cx};
    if (!module_interpret(cx, m, &run))
        net_show(cx);
    assert_int_equal(diags_error_count(cx->diags), 0);
    if (count)
        *count = total;
    return all;
}

static inline float *net_run(Cx *cx, const Graph *g, int64_t batch, size_t *count)
{
    return net_interpret(cx, net_lower(cx, g, batch), count);
}

/* A pass must not change a single bit. */
static inline void net_check_passes(Cx *cx, const char *text, const char *row, const char *names)
{
    size_t n, m;
    Graph *g = net_read(cx, text);
    const float *before = net_run(cx, g, 2, &n);
    net_passes(cx, g, row, names);
    const float *after = net_run(cx, g, 2, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n * sizeof(float));
}

static inline const Tensor *net_tensor(const Graph *g, const char *name)
{
    const Tensor *t = graph_find_tensor(g, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

#endif
