/* blob.c: writes the weights blob (.n2w): header, table, then the packed tensors.
 *
 *     0        n2c_blob_header          64 bytes
 *     64       n2c_blob_entry[n]        in the order of the body
 *     4096*k   body                     tensors at their planned offsets, zeros between
 *
 * The body is made and hashed piece by piece, so that memory stays at one piece plus the pages of
 * one source tensor, or one made weight; nothing of it stays in the temporary arena. The header,
 * which holds the hash, is written last, over zeros.
 */
#include "emit/emit.h"
#include "net2c_rt.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 4 << 20, PAGE = 4096, BLOB_ALIGN = 64 };

typedef struct BlobStream {
    Cx *cx;
    OutFile *file;
    uint8_t *piece;                /* PIECE bytes to make the body's next ones in */
    int64_t position;              /* in the body: a multiple of BLOB_ALIGN */
    n2c_hash hash;
} BlobStream;

int64_t blob_body_offset(const Module *m)
{
    int64_t weights = 0;
    for (int i = 0; i < m->n_values; i++)
        weights += m->value[i]->kind == VALUE_WEIGHT;
    int64_t bytes = (int64_t)sizeof(n2c_blob_header) + weights * (int64_t)sizeof(n2c_blob_entry);
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

int64_t blob_body_bytes(const Module *m)
{
    return (m->blob_bytes + BLOB_ALIGN - 1) / BLOB_ALIGN * BLOB_ALIGN;
}

/* Adds the first n bytes of the piece to the body, zeros behind them up to the alignment. */
static bool stream_add(BlobStream *s, size_t n)
{
    size_t whole = (n + BLOB_ALIGN - 1) / BLOB_ALIGN * BLOB_ALIGN;
    memset(s->piece + n, 0, whole - n);
    s->position += (int64_t)whole;
    s->hash = n2c_hash_add(s->hash, s->piece, whole);
    return out_write(s->file, s->piece, whole);
}

static bool stream_zeros(BlobStream *s, int64_t until)
{
    bool ok = true;
    while (ok && s->position < until) {
        int64_t left = until - s->position;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        memset(s->piece, 0, n);
        ok = stream_add(s, n);
    }
    return ok;
}

/* A made weight, row-major. */
static bool make_tensor(BlobStream *s, const Value *v, const BlobSource *source, Bytes *out)
{
    Bytes raw[MAX_SOURCES];
    const void *from[MAX_SOURCES] = {NULL};
    int n = 0;
    for (; n < MAX_SOURCES && v->made_from[n]; n++) {
        if (!source->tensor(source->user, v->made_from[n], &raw[n]))
            return false;
        from[n] = raw[n].data;
    }
    out->size = (size_t)buffer_logical_elements(&v->shape) * sizeof(float);
    float *made = arena_alloc(s->cx->temp, out->size);
    out->data = (const uint8_t *)made;
    bool ok = value_make(s->cx, v, from, made);
    while (n > 0)
        source->done(source->user, raw[--n]);
    return ok;
}

static bool stream_tensor(BlobStream *s, const Value *v, const BlobSource *source)
{
    Bytes raw;
    int64_t elements = buffer_logical_elements(&v->shape), total = buffer_elements(&v->shape);
    size_t size = scalar_bytes(v->shape.type);
    if (!(v->make ? make_tensor(s, v, source, &raw) : source->tensor(source->user, v->key, &raw)))
        return false;
    if (raw.size != (size_t)elements * sizeof(float)) {
        diag_error(s->cx->diags, NO_PLACE, "E0962",
                   "internal error: weight %s has %zu bytes, its layout needs %lld elements",
                   v->name, raw.size, (long long)elements);
        return false;
    }
    for (int64_t first = 0; first < total; ) {
        int64_t n = PIECE / (int64_t)size;
        n = n < total - first ? n : total - first;
        pack_elements(v, (const float *)(const void *)raw.data, first, n, s->piece);
        first += n;
        if (!stream_add(s, (size_t)n * size))
            return false;
    }
    if (v->make)
        arena_reset(s->cx->temp);
    else
        source->done(source->user, raw);
    return true;
}

static int compare_offsets(const void *x, const void *y)
{
    const Value *a = *(Value *const *)x, *b = *(Value *const *)y;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* The weights in the order of their offsets, checked against each other; -1: reported. */
static int sorted_weights(Cx *cx, const Module *m, Value **out)
{
    int n = 0;
    for (int i = 0; i < m->n_values; i++)
        if (m->value[i]->kind == VALUE_WEIGHT)
            out[n++] = m->value[i];
    qsort(out, (size_t)n, sizeof out[0], compare_offsets);
    int64_t end = 0;
    for (int i = 0; i < n; i++) {
        if (out[i]->offset < end || out[i]->offset % BLOB_ALIGN != 0) {
            diag_error(cx->diags, NO_PLACE, "E0962",
                       "internal error: weight %s has no place of its own in the blob",
                       out[i]->name);
            return -1;
        }
        end = out[i]->offset + buffer_bytes(&out[i]->shape);
    }
    if (end > m->blob_bytes) {
        diag_error(cx->diags, NO_PLACE, "E0962", "internal error: the blob is planned too small");
        return -1;
    }
    return n;
}

static bool write_body(BlobStream *s, const Module *m, Value **weight, int n,
                       const BlobSource *source)
{
    int64_t head = blob_body_offset(m);
    memset(s->piece, 0, PAGE);
    for (int64_t at = 0; at < head; at += PAGE)
        if (!out_write(s->file, s->piece, PAGE))
            return false;
    for (int i = 0; i < n; i++)
        if (!stream_zeros(s, weight[i]->offset) || !stream_tensor(s, weight[i], source))
            return false;
    return stream_zeros(s, blob_body_bytes(m));
}

static bool write_head(BlobStream *s, const Module *m, Value **weight, int n, uint64_t model_hash)
{
    n2c_blob_entry *table = NEW_ARRAY(s->cx->temp, n2c_blob_entry, n);
    for (int i = 0; i < n; i++) {
        table[i].offset = (uint64_t)weight[i]->offset;
        table[i].bytes = (uint64_t)buffer_bytes(&weight[i]->shape);
        table[i].name_hash = hash_bytes(HASH_SEED, weight[i]->name, strlen(weight[i]->name));
    }
    n2c_blob_header h = {
        .magic = {0}, .version = N2C_BLOB_VERSION, .endian = N2C_BLOB_ENDIAN,
        .model_hash = model_hash, .body_offset = (uint64_t)blob_body_offset(m),
        .body_hash = n2c_hash_end(s->hash), .n_tensors = (uint32_t)n,
    };
    memcpy(h.magic, N2C_BLOB_MAGIC, sizeof h.magic);
    h.total_bytes = h.body_offset + (uint64_t)blob_body_bytes(m);
    h.table_hash = n2c_table_hash(&h, table);
    return out_write_at(s->file, 0, &h, sizeof h) &&
           out_write_at(s->file, sizeof h, table, (size_t)n * sizeof *table);
}

bool blob_write_to(Cx *cx, OutFile *file, const Module *m, uint64_t model_hash,
                   const BlobSource *source)
{
    Value **weight = NEW_ARRAY(cx->perm, Value *, m->n_values + 1);
    int n = sorted_weights(cx, m, weight);
    if (n < 0)
        return false;
    BlobStream s = {.cx = cx, .file = file, .hash = n2c_hash_start()};
    s.piece = arena_alloc(cx->perm, PIECE);
    return write_body(&s, m, weight, n, source) && write_head(&s, m, weight, n, model_hash);
}
