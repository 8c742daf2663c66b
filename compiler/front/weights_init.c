/* weights_init: made-up weights for a graph, the same bytes on every host.
 *
 * A value is k * scale, where k is a sum of twelve 16-bit uniforms less its middle, 6 * 65536:
 * nearly normal with standard deviation 65536. Uniforms come four at a time from splitmix64
 * (Steele, Lea, Flood 2014), seeded with the user's seed and the tensor's name, so that a
 * tensor's values do not depend on its neighbours. k is an integer, so the one multiplication
 * and the rounding to float are all that can round; no libm but sqrt, which IEEE 754 makes exact.
 *
 *     weight, 2 or more dimensions    deviation sqrt(2 / fan_in), mean 0
 *     weight of one, running_var      deviation 1/16, mean 1
 *     bias, running_mean              deviation 1/16, mean 0
 *
 * Tensors lie in graph order, shared ones once.
 */
#include "front/front.h"

#include <math.h>
#include <string.h>

#define UNIFORM 65536              /* range of a 16-bit uniform */
#define DRAWS 3                    /* of 64 bits a value: twelve uniforms */
#define PIECE 16384                /* values written at once */

typedef struct Generator {
    uint64_t state;
    int32_t offset;                /* added to the sum of uniforms */
    double scale;
} Generator;

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static Generator generator_for(const Param *p, uint64_t seed)
{
    Generator g = {.state = hash_bytes(draw(&seed), p->key, strlen(p->key))};
    g.offset = -6 * UNIFORM;
    if (str_eq(p->role, "weight") && p->shape.rank > 1) {
        int64_t fan_in = shape_count(&p->shape) / p->shape.dim[0];
        g.scale = sqrt(2.0 / (double)fan_in) / UNIFORM;
        return g;
    }
    g.scale = 1.0 / 16 / UNIFORM;
    if (str_eq(p->role, "weight") || str_eq(p->role, "running_var"))
        g.offset += 16 * UNIFORM;
    return g;
}

/* n values as little-endian floats. */
static void fill(Generator *g, uint8_t *out, size_t n)
{
    const uint64_t low = UINT64_C(0x0000ffff0000ffff);
    for (size_t i = 0; i < n; i++) {
        uint64_t pairs = 0;        /* two 32-bit sums side by side */
        for (int k = 0; k < DRAWS; k++) {
            uint64_t z = draw(&g->state);
            pairs += (z & low) + (z >> 16 & low);
        }
        int32_t sum = (int32_t)((pairs & 0xffffffff) + (pairs >> 32));
        float value = (float)((double)(sum + g->offset) * g->scale);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        for (int b = 0; b < 4; b++)
            out[4 * i + (size_t)b] = (uint8_t)(bits >> 8 * b);
    }
}

/* The graph's parameters, each name once; of slices, the tensor they are cut from. */
static Map *collect_params(Arena *a, const Graph *g)
{
    Map *params = map_new(a);
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_param; k++) {
            Param *p = NEW(a, Param);
            *p = g->nodes[i]->param[k];
            char *name;
            int64_t first, end;
            if (weights_slice(a, p->key, &name, &first, &end)) {
                p->key = name;
                p->shape.dim[0] = end;
            }
            const Param *other = map_get(params, p->key);
            if (other == NULL || other->shape.dim[0] < p->shape.dim[0])
                map_put(params, p->key, p);
        }
    return params;
}

static bool add_header(Str *header, const Map *params)
{
    int64_t offset = 0, bytes;
    str_char(header, '{');
    for (size_t i = 0; i < map_count(params); i++) {
        const Param *p = map_value(params, i);
        str_add(header, i == 0 ? "" : ",");
        json_quote(header, p->key);
        str_add(header, ":{\"dtype\":\"F32\",\"shape\":[");
        for (int k = 0; k < p->shape.rank; k++)
            str_printf(header, "%s%lld", k == 0 ? "" : ",", (long long)p->shape.dim[k]);
        if (!checked_mul(shape_count(&p->shape), 4, &bytes) ||
            !checked_add(offset, bytes, &bytes))
            return false;
        str_printf(header, "],\"data_offsets\":[%lld,%lld]}", (long long)offset,
                   (long long)bytes);
        offset = bytes;
    }
    str_char(header, '}');
    while (header->len % 8 != 0)   /* the data begins at a multiple of eight */
        str_char(header, ' ');
    return header->len <= WEIGHTS_MAX_HEADER && map_count(params) <= WEIGHTS_MAX_TENSORS;
}

static bool write_tensors(OutFile *f, const Map *params, uint64_t seed, uint8_t *piece)
{
    for (size_t i = 0; i < map_count(params); i++) {
        const Param *p = map_value(params, i);
        Generator g = generator_for(p, seed);
        for (int64_t left = shape_count(&p->shape); left > 0; left -= PIECE) {
            size_t n = left < PIECE ? (size_t)left : PIECE;
            fill(&g, piece, n);
            if (!out_write(f, piece, 4 * n))
                return false;
        }
    }
    return true;
}

bool weights_init(Cx *cx, const Graph *g, uint64_t seed, const char *path)
{
    Map *params = collect_params(cx->temp, g);
    Str header = str_new(cx->temp);
    if (!add_header(&header, params))
        return diag_error(cx->diags, (Place){.file = g->file}, "E0211",
                          "the model's weights are too large for a safetensors file");
    uint8_t *piece = NEW_ARRAY(cx->temp, uint8_t, 4 * PIECE), length[8];
    for (int b = 0; b < 8; b++)
        length[b] = (uint8_t)((uint64_t)header.len >> 8 * b);
    OutFile *f = out_open(cx, path);
    if (f == NULL)
        return false;
    out_write(f, length, sizeof length);
    out_write(f, header.data, header.len);
    write_tensors(f, params, seed, piece);
    return out_commit(f);
}
