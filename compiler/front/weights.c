/* weights: reading safetensors files without reading their tensors.
 *
 * A file is a 64-bit little-endian header length, a JSON header, and the data:
 *
 *     {"conv1.weight": {"dtype": "F32", "shape": [96, 3, 11, 11], "data_offsets": [0, 139392]}}
 *
 * The file is mapped, or in the caller's memory; only its header is touched here. The format is
 * held to the letter: tensors cover the data exactly, without holes or overlap, each name once, so
 * that every accepted file has one meaning. Tensors come in the order of their data, and are not
 * necessarily aligned.
 */
#include "front/front.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8
#define METADATA "__metadata__"

struct Weights {
    Bytes file, data;              /* the whole file; what comes after the header */
    bool mapped;                   /* else it is the caller's memory */
    WeightTensor *tensor;
    size_t count, cap;
    Arena *arena;
    Map *by_key;                   /* to WeightTensor; slices too, once asked for */
    const char *path;
};

typedef struct TypeSize {
    const char *name;
    int64_t bytes;
} TypeSize;

static const TypeSize types[] = {
    {"F64", 8},     {"F32", 4},     {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4},
    {"I16", 2},     {"I8", 1},      {"U64", 8}, {"U32", 4},  {"U16", 2}, {"U8", 1},
    {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"BOOL", 1},
};

static Place file_place(const Weights *w)
{
    return (Place){.file = w->path};
}

/* 0: unknown. */
static int64_t type_bytes(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].bytes;
    return 0;
}

static bool read_shape_field(Json *j, Shape *shape)
{
    bool first = true;
    shape->rank = 0;
    json_take(j, '[');
    while (json_next(j, ']', &first)) {
        if (shape->rank == MAX_RANK)
            return json_fail(j, "a tensor has more than 6 dimensions");
        if (!json_uint(j, &shape->dim[shape->rank]))
            return false;
        shape->rank++;
    }
    return j->problem == NULL;
}

/* Fields of one tensor; each exactly once. offsets are relative to the data. */
static bool read_info(Json *j, WeightTensor *t, int64_t offset[2])
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    unsigned seen = 0;
    bool first = true;
    json_take(j, '{');
    while (json_next(j, '}', &first)) {
        const char *field = json_string(j);
        if (field == NULL || !json_take(j, ':'))
            return false;
        unsigned bit = str_eq(field, "dtype") ? DTYPE : str_eq(field, "shape") ? SHAPE
                       : str_eq(field, "data_offsets") ? OFFSETS : 0;
        if (bit == 0 || (seen & bit) != 0)
            return json_fail(j, bit == 0 ? "unknown field of a tensor" : "a field comes twice");
        seen |= bit;
        if (bit == DTYPE)
            t->type = json_string(j);
        else if (bit == SHAPE)
            read_shape_field(j, &t->shape);
        else if (json_take(j, '[') && json_uint(j, &offset[0]) && json_take(j, ',') &&
                 json_uint(j, &offset[1]))
            json_take(j, ']');
        if (j->problem != NULL)
            return false;
    }
    if (j->problem == NULL && seen != ALL)
        json_fail(j, "a tensor lacks dtype, shape or data_offsets");
    return j->problem == NULL;
}

/* __metadata__: a map of strings, of no meaning here. */
static bool skip_metadata(Json *j)
{
    bool first = true;
    Map *seen = map_new(j->arena);
    json_take(j, '{');
    while (json_next(j, '}', &first)) {
        const char *key = json_string(j);
        if (key == NULL || !json_take(j, ':') || json_string(j) == NULL)
            return false;
        if (map_get(seen, key) != NULL)
            return json_fail(j, "a key of __metadata__ comes twice");
        if (map_count(seen) == WEIGHTS_MAX_TENSORS)
            return json_fail(j, "more than 65536 entries in __metadata__");
        map_put(seen, key, j);
    }
    return j->problem == NULL;
}

/* The tensor's offsets lie in the data and span what its shape and type need. */
static bool check_span(Cx *cx, const Weights *w, const WeightTensor *t, const int64_t offset[2])
{
    int64_t bytes = type_bytes(t->type);
    if (bytes == 0)
        return diag_error(cx->diags, file_place(w), "E0207", "tensor '%s' has the unknown type "
                          "'%s'", t->key, t->type);
    bool fits = true;
    for (int i = 0; i < t->shape.rank; i++)
        fits = fits && checked_mul(bytes, t->shape.dim[i], &bytes);
    if (!fits || offset[0] > offset[1] || offset[1] - offset[0] != bytes)
        return diag_error(cx->diags, file_place(w), "E0208", "tensor '%s' of type %s and shape %s "
                          "does not fill its bytes %lld to %lld", t->key, t->type,
                          shape_text(cx->temp, &t->shape), (long long)offset[0],
                          (long long)offset[1]);
    if ((uint64_t)offset[1] > w->data.size)
        return diag_error(cx->diags, file_place(w), "E0208", "tensor '%s' ends at byte %lld of "
                          "the data, which has only %zu: the file is cut off", t->key,
                          (long long)offset[1], w->data.size);
    return true;
}

static bool add_tensor(Cx *cx, Weights *w, Json *j, const char *key)
{
    WeightTensor t = {.key = key};
    int64_t offset[2] = {0, 0};
    if (!read_info(j, &t, offset))
        return false;
    if (w->count == WEIGHTS_MAX_TENSORS)
        return json_fail(j, "more than 65536 tensors");
    if (!check_span(cx, w, &t, offset))
        return false;
    t.data = (Bytes){w->data.data + offset[0], (size_t)(offset[1] - offset[0])};
    w->tensor = arena_grow(cx->perm, w->tensor, w->count, w->count + 1, &w->cap, sizeof t);
    w->tensor[w->count++] = t;
    return true;
}

static bool read_header(Cx *cx, Weights *w, Json *j)
{
    bool first = true;
    json_take(j, '{');
    while (json_next(j, '}', &first)) {
        const char *key = json_string(j);
        if (key == NULL || !json_take(j, ':'))
            return false;
        if (map_get(w->by_key, key) != NULL)
            return diag_error(cx->diags, file_place(w), "E0210", "tensor '%s' is there twice", key);
        map_put(w->by_key, key, w);        /* seen; the tensor follows when all are in order */
        if (!(str_eq(key, METADATA) ? skip_metadata(j) : add_tensor(cx, w, j, key)))
            return false;
    }
    return json_end(j);
}

static int compare_data(const void *a, const void *b)
{
    const WeightTensor *x = a, *y = b;
    if (x->data.data != y->data.data)
        return x->data.data < y->data.data ? -1 : 1;
    if (x->data.size != y->data.size)
        return x->data.size < y->data.size ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Tensors in the order of their data, each beginning where the one before it ends. */
static bool check_coverage(Cx *cx, Weights *w)
{
    if (w->count > 0)
        qsort(w->tensor, w->count, sizeof *w->tensor, compare_data);
    size_t end = 0;
    for (size_t i = 0; i < w->count; i++) {
        const WeightTensor *t = &w->tensor[i];
        size_t start = (size_t)(t->data.data - w->data.data);
        if (start != end)
            return diag_error(cx->diags, file_place(w), "E0209", start < end
                              ? "tensor '%s' begins at byte %zu of the data, inside another one"
                              : "the bytes before tensor '%s' at byte %zu of the data are unused",
                              t->key, start);
        end = start + t->data.size;
    }
    if (end != w->data.size)
        return diag_error(cx->diags, file_place(w), "E0209", "the data has %zu bytes, but the "
                          "tensors use only %zu", w->data.size, end);
    return true;
}

/* The header is quoted around the problem; lines and columns count from its first byte. */
static bool report_json(Cx *cx, const Weights *w, const Json *j)
{
    if (j->problem == NULL)
        return false;
    Place p = {w->path, 1, 1, 0};
    for (size_t i = 0; i < j->at; i++) {
        p.col += ((unsigned char)j->text[i] & 0xc0) != 0x80;
        if (j->text[i] == '\n')
            p = (Place){w->path, p.line + 1, 1, 0};
    }
    diags_add_source(cx->diags, w->path, arena_strndup(cx->perm, j->text, j->len), j->len);
    const char *problem = !str_eq(j->problem, "expected")
                              ? j->problem : arena_printf(cx->temp, "expected '%c'", j->expected);
    return diag_error(cx->diags, p, "E0206", "at byte %zu of the header: %s", j->at, problem);
}

/* Splits the file into header and data; *length is the header's. */
static bool split_file(Cx *cx, Weights *w, size_t *length)
{
    const uint8_t *b = w->file.data;
    if (w->file.size < LENGTH_BYTES)
        return diag_error(cx->diags, file_place(w), "E0201", "%zu bytes are no safetensors file: "
                          "it begins with the 8 bytes of its header's length", w->file.size);
    uint64_t n = 0;
    for (int i = LENGTH_BYTES; i-- > 0;)
        n = n << 8 | b[i];
    size_t rest = w->file.size - LENGTH_BYTES;
    if (n > WEIGHTS_MAX_HEADER) {
        diag_error(cx->diags, file_place(w), "E0202",
                   "not a safetensors file: its header would have %llu bytes, the limit is %d",
                   (unsigned long long)n, WEIGHTS_MAX_HEADER);
        if (memcmp(b, "PK\3\4", 4) == 0)
            diag_help(cx->diags, "this is a zip archive (.pt, .npz?)");
        return false;
    }
    if (n > rest)
        return diag_error(cx->diags, file_place(w), "E0201",
                          "the header should have %llu bytes, but the file ends after %zu",
                          (unsigned long long)n, rest);
    *length = (size_t)n;
    w->data = (Bytes){b + LENGTH_BYTES + n, rest - (size_t)n};
    return true;
}

static bool read_file(Cx *cx, Weights *w)
{
    size_t length = 0;
    if (!split_file(cx, w, &length))
        return false;
    Json j = json_start(cx->perm, (const char *)w->file.data + LENGTH_BYTES, length);
    if (length > 0 && j.text[0] != '{')
        json_fail(&j, "the header must begin with '{'");
    if (!read_header(cx, w, &j))
        return report_json(cx, w, &j);
    return check_coverage(cx, w);
}

void weights_close(Weights *w)
{
    if (w->mapped)
        file_unmap(w->file);
    w->file = w->data = (Bytes){(const uint8_t *)"", 0};
}

static void end_weights(void *weights)
{
    weights_close(weights);
}

static Weights *weights_new(Cx *cx, const char *path)
{
    Weights *w = NEW(cx->perm, Weights);
    w->path = arena_strdup(cx->perm, path);
    w->arena = cx->perm;
    w->by_key = map_new(cx->perm);
    return w;
}

/* The tensors of the file. NULL: reported, and closed. */
static Weights *weights_index(Cx *cx, Weights *w)
{
    if (!read_file(cx, w)) {
        diag_help(cx->diags, "in Python, safetensors.torch.save_file(state_dict, path) writes a "
                             "good file");
        weights_close(w);
        return NULL;
    }
    for (size_t i = 0; i < w->count; i++)
        map_put(w->by_key, w->tensor[i].key, &w->tensor[i]);
    map_put(w->by_key, METADATA, NULL);    /* a key of the header, but no tensor */
    return w;
}

Weights *weights_open(Cx *cx, const char *path)
{
    Weights *w = weights_new(cx, path);
    cx_at_end(cx, end_weights, w);
    w->mapped = file_map(cx, path, &w->file);
    return w->mapped ? weights_index(cx, w) : NULL;
}

Weights *weights_parse(Cx *cx, const char *name, Bytes file)
{
    Weights *w = weights_new(cx, name);
    w->file = file;
    return weights_index(cx, w);
}

void weights_forget(const Weights *w, Bytes part)
{
    if (w->mapped)
        file_forget(part, 0, part.size);
}

int weights_count(const Weights *w)
{
    return (int)w->count;
}

const WeightTensor *weights_at(const Weights *w, int i)
{
    return &w->tensor[i];
}

bool weights_slice(Arena *a, const char *key, char **name, int64_t *first, int64_t *end)
{
    size_t n = strlen(key);
    const char *open = strrchr(key, '['), *colon = open ? strchr(open, ':') : NULL;
    if (!colon || key[n - 1] != ']')
        return false;
    *name = arena_strndup(a, key, (size_t)(open - key));
    return parse_i64(arena_strndup(a, open + 1, (size_t)(colon - open - 1)), first) &&
           parse_i64(arena_strndup(a, colon + 1, strlen(colon) - 2), end) && *first >= 0 &&
           *end > *first && *end <= MAX_DIM;
}

const WeightTensor *weights_find(const Weights *w, const char *key)
{
    char *name;
    int64_t first, end;
    const WeightTensor *whole = map_get(w->by_key, key);
    if (whole || !weights_slice(w->arena, key, &name, &first, &end))
        return whole;
    whole = map_get(w->by_key, name);
    if (!whole || whole->shape.rank == 0 || end > whole->shape.dim[0])
        return NULL;
    WeightTensor *t = NEW(w->arena, WeightTensor);
    *t = *whole;
    t->key = arena_strdup(w->arena, key);
    t->shape.dim[0] = end - first;
    size_t row = whole->data.size / (size_t)whole->shape.dim[0];
    t->data = (Bytes){whole->data.data + row * (size_t)first, row * (size_t)t->shape.dim[0]};
    map_put(w->by_key, key, t);
    return t;
}
