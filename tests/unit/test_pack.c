/* Packing against brute force over storage maps and pieces; the blob written, bound and broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emit_fixture.h"
#include "net2c_rt.h"

/* A weight value from its shape text: "f32[24, 5] as [d0/16, d1, d0%16]". */
static Value *value_read(Cx *cx, const char *shape)
{
    Kernel *k = kernel_parse(cx, "shape", arena_printf(cx->temp,
                             "kernel k(weight w: %s, out y: f32[1]) { y[0] = 0x0p+0; }", shape));
    if (!k)
        print_diags(cx);
    assert_non_null(k);
    Value *v = NEW(cx->perm, Value);
    *v = (Value){.name = "w", .kind = VALUE_WEIGHT, .shape = *k->buffer[0], .key = "w"};
    return v;
}

/* Every logical element put where the storage map says. */
static float *pack_slowly(Cx *cx, const Value *v, const float *src)
{
    const Buffer *b = &v->shape;
    int64_t extent[MAX_DIMS], count = 1;
    int n = buffer_physical(b, extent);
    float *out = NEW_ARRAY(cx->perm, float, buffer_elements(b));
    for (int i = 0; i < b->rank; i++)
        count *= b->dim[i].extent;
    for (int64_t e = 0; e < count; e++) {
        int64_t index[MAX_DIMS], rest = e, place = 0;
        for (int i = b->rank - 1; i >= 0; i--) {
            index[i] = rest % b->dim[i].extent;
            rest /= b->dim[i].extent;
        }
        for (int i = 0; i < n; i++) {
            StorageDim s = b->n_storage ? b->storage[i] : (StorageDim){i, b->dim[i].lo, 1, 0};
            int64_t position = (index[s.dim] + s.add) / s.div;
            place = place * extent[i] + (s.mod ? position % s.mod : position);
        }
        out[place] = src[e];
    }
    return out;
}

static float *numbers(Cx *cx, const Value *v, size_t *bytes)
{
    int64_t count = 1;
    for (int i = 0; i < v->shape.rank; i++)
        count *= v->shape.dim[i].extent;
    float *src = NEW_ARRAY(cx->perm, float, count);
    for (int64_t i = 0; i < count; i++)
        src[i] = (float)(i + 1);
    *bytes = (size_t)count * sizeof *src;
    return src;
}

static const char *const SHAPES[] = {
    "f32[7]",
    "f32[3, 5]",
    "f32[6, 4] as [d1, d0]",
    "f32[32, 9] as [d0/16, d1, d0%16]",
    "f32[40~8, 9] as [d0/16, d1, d0%16]",
    "f32[24~8, 3, 3, 2] as [d0/16, d1, d2, d3, d0%16]",
    "f32[16, 20~12, 3, 3] as [d1/16, d0, d2, d3, d1%16]",
    "f32[48, 33] as [d0/32, d1, d0%32]",
    "f32[40, 70] as [d1, d0]",
    "f32[24~8, 50] as [d1, d0/16, d0%16]",
    "f32[2:11:3, 1:4:2]",
    "f32[8, 1:6:1] as [d1+1, d0]",
    "f32[20~4] as [d0/8, d0%8]",
    "f32[5, 18~14] as [d0, d1/16, d1%16]",
    "f32[32, 24~8] as [d0/16, d1/16, d1%16, d0%16]",
    "f32[64, 3] as [d0/32, d1, d0/16%2, d0%16]",
};

static void test_pack(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        Cx *cx = cx_new();
        size_t bytes;
        const Value *v = value_read(cx, SHAPES[i]);
        const float *src = numbers(cx, v, &bytes), *want = pack_slowly(cx, v, src);
        int64_t n = buffer_elements(&v->shape);
        static const int64_t piece[] = {1, 3, 16, 37, 100, 1 << 20};
        for (size_t p = 0; p < sizeof piece / sizeof piece[0]; p++) {
            float *out = NEW_ARRAY(cx->perm, float, n);
            memset(out, 0x5a, (size_t)n * sizeof *out);
            for (int64_t first = 0; first < n; first += piece[p])
                pack_weight(v, src, first, n - first < piece[p] ? n - first : piece[p],
                            out + first);
            if (memcmp(out, want, (size_t)n * sizeof *out) != 0)
                fail_msg("%s in pieces of %d", SHAPES[i], (int)piece[p]);
        }
        cx_delete(cx);
    }
}

/* ---- the blob ------------------------------------------------------------------------------- */

typedef struct Tensors {
    Cx *cx;
    Module *m;
    int asked, given_back;
} Tensors;

static bool tensor(void *user, const char *key, Bytes *out)
{
    Tensors *t = user;
    t->asked++;
    for (int i = 0; i < t->m->n_values; i++) {
        if (str_eq(t->m->value[i]->key, key)) {
            size_t bytes;
            const float *data = numbers(t->cx, t->m->value[i], &bytes);
            *out = (Bytes){(const uint8_t *)data, bytes};
            return true;
        }
    }
    return false;
}

static void done(void *user, Bytes consumed)
{
    (void)consumed;
    ((Tensors *)user)->given_back++;
}

/* A module whose weights have gaps between them and are not in order. */
static Module *blob_module(Cx *cx)
{
    static const struct { const char *shape; int64_t offset; } w[] = {
        {"f32[40~8, 9] as [d0/16, d1, d0%16]", 256}, {"f32[7]", 0},
        {"f32[1200, 1000] as [d1, d0]", 4096},
    };
    Module *m = NEW(cx->perm, Module);
    m->n_values = (int)(sizeof w / sizeof w[0]);
    m->value = NEW_ARRAY(cx->perm, Value *, m->n_values);
    for (int i = 0; i < m->n_values; i++) {
        m->value[i] = value_read(cx, w[i].shape);
        m->value[i]->name = m->value[i]->key = arena_printf(cx->perm, "w%d", i);
        m->value[i]->offset = w[i].offset;
    }
    m->blob_bytes = 4096 + 4800000;
    return m;
}

typedef struct Blob {
    char folder[32], path[48];
    uint8_t *copy;
    size_t bytes;
} Blob;

static void blob_make(Cx *cx, Blob *b, Tensors *t)
{
    const BlobSource source = {tensor, done, t};
    const void *data;
    strcpy(b->folder, "/tmp/net2c-test.XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/w.n2w", b->folder);
    assert_true(blob_write(cx, b->path, t->m, 77, &source));
    assert_int_equal(n2c_map_weights(b->path, &data, &b->bytes), N2C_OK);
    b->copy = n2c_aligned_alloc(b->bytes);
    memcpy(b->copy, data, b->bytes);
    n2c_unmap_weights(data, b->bytes);
    unlink(b->path);
    rmdir(b->folder);
}

static void test_blob(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Blob b;
    Tensors t = {cx, blob_module(cx), 0, 0};
    blob_make(cx, &b, &t);
    assert_int_equal(t.asked, 3);
    assert_int_equal(t.given_back, 3);
    assert_int_equal(b.bytes, blob_body_offset(t.m) + blob_body_bytes(t.m));
    assert_int_equal(n2c_blob_verify(b.copy, b.bytes, 77), N2C_OK);
    assert_int_equal(n2c_blob_check(b.copy), N2C_OK);
    for (int i = 0; i < t.m->n_values; i++) {
        size_t bytes;
        const Value *v = t.m->value[i];
        const float *want = pack_slowly(cx, v, numbers(cx, v, &bytes));
        assert_memory_equal(b.copy + blob_body_offset(t.m) + v->offset, want,
                            (size_t)buffer_bytes(&v->shape));
    }
    n2c_aligned_free(b.copy);
    cx_delete(cx);
}

static void test_broken_blob(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Blob b;
    Tensors t = {cx, blob_module(cx), 0, 0};
    blob_make(cx, &b, &t);
    size_t head = sizeof(n2c_blob_header) + 3 * sizeof(n2c_blob_entry);
    for (size_t at = 0; at < head; at++) {
        b.copy[at] ^= 1;
        assert_int_not_equal(n2c_blob_verify(b.copy, b.bytes, 77), N2C_OK);
        b.copy[at] ^= 1;
    }
    assert_int_equal(n2c_blob_verify(b.copy, b.bytes, 78), N2C_WRONG_MODEL);
    assert_int_equal(n2c_blob_verify(b.copy, b.bytes - 1, 77), N2C_BAD_SIZE);
    assert_int_equal(n2c_blob_verify(b.copy, b.bytes + 64, 77), N2C_BAD_SIZE);
    assert_int_equal(n2c_blob_verify(b.copy, 10, 77), N2C_BAD_SIZE);
    assert_int_equal(n2c_blob_verify(b.copy + 4, b.bytes, 77), N2C_BAD_ALIGN);
    assert_int_equal(n2c_blob_verify(NULL, 0, 77), N2C_BAD_ARGUMENT);
    for (size_t at = (size_t)blob_body_offset(t.m); at < b.bytes; at += 997) {
        if (at > 8000 && at + 8000 < b.bytes && at % 131 != 0)
            continue;
        b.copy[at] ^= 0x80;
        assert_int_equal(n2c_blob_verify(b.copy, b.bytes, 77), N2C_OK);
        assert_int_equal(n2c_blob_check(b.copy), N2C_BAD_CHECKSUM);
        b.copy[at] ^= 0x80;
    }
    n2c_aligned_free(b.copy);
    cx_delete(cx);
}

/* Two places that overlap, one beyond the plan, a source of the wrong size: refused, no file. */
static void test_blob_refused(void **state)
{
    (void)state;
    for (int fault = 0; fault < 4; fault++) {
        Cx *cx = cx_new();
        Tensors t = {cx, blob_module(cx), 0, 0};
        const BlobSource source = {tensor, done, &t};
        const char *path = arena_printf(cx->temp, "/tmp/net2c-test-%d.n2w", (int)getpid());
        if (fault == 0)
            t.m->value[0]->offset = 0;
        if (fault == 1)
            t.m->blob_bytes = 5000;
        if (fault == 2)
            t.m->value[0]->key = "w1";
        if (fault == 3)
            t.m->value[1]->offset = -1;
        assert_false(blob_write(cx, path, t.m, 77, &source));
        assert_int_not_equal(access(path, F_OK), 0);
        assert_true(diags_error_count(cx->diags) > 0);
        cx_delete(cx);
    }
}

static void test_status_texts(void **state)
{
    (void)state;
    for (int i = 0; i <= N2C_IO_ERROR; i++)
        assert_non_null(n2c_status_text((n2c_status)i));
    const void *data;
    size_t bytes;
    assert_int_equal(n2c_map_weights("/no/such/file", &data, &bytes), N2C_IO_ERROR);
    assert_null(data);
    assert_int_equal(n2c_map_weights("/dev/null", &data, &bytes), N2C_IO_ERROR);
    assert_int_equal(n2c_map_weights(NULL, &data, &bytes), N2C_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_broken_blob),
        cmocka_unit_test(test_blob_refused),
        cmocka_unit_test(test_status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
