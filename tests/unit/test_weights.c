/* weights: safetensors files good and broken, what a graph asks of them, seeded initialisation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "front/front.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/net2c_weights_XXXXXX";
static char path[64], other[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    strcat(strcpy(path, folder), "/w.safetensors");
    strcat(strcpy(other, folder), "/x.safetensors");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

static int make_cx(void **state)
{
    *state = cx_new();
    return *state == NULL;
}

static int delete_cx(void **state)
{
    cx_delete(*state);
    return 0;
}

/* A file of this header and data_bytes bytes 0, 1, 2, ... after it. */
static void write_weights(Cx *cx, const char *header, size_t header_bytes, size_t data_bytes)
{
    uint8_t *data = arena_alloc(cx->temp, data_bytes), length[8];
    for (int b = 0; b < 8; b++)
        length[b] = (uint8_t)((uint64_t)header_bytes >> 8 * b);
    for (size_t i = 0; i < data_bytes; i++)
        data[i] = (uint8_t)i;
    OutFile *f = out_open(cx, path);
    assert_non_null(f);
    out_write(f, length, 8);
    out_write(f, header, header_bytes);
    out_write(f, data, data_bytes);
    assert_true(out_commit(f));
}

static Weights *open_header(Cx *cx, const char *header, size_t data_bytes)
{
    write_weights(cx, header, strlen(header), data_bytes);
    return weights_open(cx, path);
}

static const Diag *last_error(Cx *cx)
{
    int i = diags_count(cx->diags) - 1;
    while (i >= 0 && diags_get(cx->diags, i)->kind != DIAG_ERROR)
        i--;
    assert_true(i >= 0);
    return diags_get(cx->diags, i);
}

static void refuse(Cx *cx, const char *header, size_t data_bytes, const char *code)
{
    int before = diags_error_count(cx->diags);
    assert_null(open_header(cx, header, data_bytes));
    assert_int_equal(diags_error_count(cx->diags), before + 1);
    assert_string_equal(last_error(cx)->code, code);
    assert_string_equal(last_error(cx)->place.file, path);
}

/* ---- reading ---- */

static void reads_tensors_in_data_order(void **state)
{
    Cx *cx = *state;
    static const char header[] =
        "{\"__metadata__\": {\"format\": \"pt\"}, "
        "\"b\": {\"dtype\": \"F16\", \"shape\": [3], \"data_offsets\": [24, 30]}, "
        "\"a\\u00e4\": {\"data_offsets\":[0,24],\"shape\":[2,3],\"dtype\":\"F32\"}, "
        "\"s\": {\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[30,31]}, "
        "\"z\": {\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[24,24]}}   ";
    Weights *w = open_header(cx, header, 31);
    assert_non_null(w);
    assert_int_equal(weights_count(w), 4);
    assert_string_equal(weights_at(w, 0)->key, "a\xc3\xa4");
    assert_string_equal(weights_at(w, 1)->key, "z");
    assert_string_equal(weights_at(w, 3)->key, "s");
    const WeightTensor *a = weights_find(w, "a\xc3\xa4"), *b = weights_find(w, "b");
    assert_ptr_equal(a, weights_at(w, 0));
    assert_int_equal(a->shape.rank, 2);
    assert_true(a->shape.dim[0] == 2 && a->shape.dim[1] == 3);
    assert_string_equal(a->type, "F32");
    assert_int_equal(a->data.size, 24);
    assert_int_equal(b->data.size, 6);
    assert_int_equal(b->data.data[0], 24);
    assert_int_equal(weights_find(w, "s")->shape.rank, 0);
    assert_null(weights_find(w, "__metadata__"));
    assert_null(weights_find(w, "c"));
    weights_close(w);
    weights_close(w);
}

static void reads_no_tensors(void **state)
{
    Weights *w = open_header(*state, "{}", 0);
    assert_int_equal(weights_count(w), 0);
    assert_null(weights_find(w, "a"));
    weights_close(w);
    refuse(*state, "{}", 1, "E0209");
}

#define ONE(dtype, shape, offsets) \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define T(name, shape, offsets) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void refuses_bad_spans(void **state)
{
    Cx *cx = *state;
    assert_non_null(open_header(cx, ONE("F32", "[2]", "[0,8]"), 8));
    refuse(cx, ONE("F32", "[2]", "[0,8]"), 7, "E0208");
    refuse(cx, ONE("F32", "[2]", "[0,8]"), 9, "E0209");
    refuse(cx, ONE("F32", "[2]", "[0,7]"), 8, "E0208");
    refuse(cx, ONE("F32", "[2]", "[8,0]"), 8, "E0208");
    refuse(cx, ONE("F32", "[2]", "[4,12]"), 12, "E0209");
    refuse(cx, ONE("F32", "[3]", "[0,8]"), 8, "E0208");
    refuse(cx, ONE("F64", "[2]", "[0,8]"), 8, "E0208");
    refuse(cx, ONE("F33", "[2]", "[0,8]"), 8, "E0207");
    refuse(cx, ONE("F32", "[4611686018427387905]", "[0,4]"), 4, "E0208");
    refuse(cx, ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, "E0208");
    refuse(cx, ONE("F32", "[1]", "[9223372036854775800,9223372036854775804]"), 4, "E0208");
    refuse(cx, ONE("F32", "[99999999999999999999]", "[0,4]"), 4, "E0206");
    assert_non_null(open_header(cx, ONE("U8", "[1,1,1,1,1,1]", "[0,1]"), 1));
    refuse(cx, ONE("U8", "[1,1,1,1,1,1,1]", "[0,1]"), 1, "E0206");
}

static void refuses_holes_overlaps_and_duplicates(void **state)
{
    Cx *cx = *state;
    assert_non_null(open_header(cx, "{" T("a", "[1]", "[0,4]") "," T("b", "[1]", "[4,8]") "}", 8));
    refuse(cx, "{" T("a", "[1]", "[0,4]") "," T("b", "[1]", "[5,9]") "}", 9, "E0209");
    refuse(cx, "{" T("a", "[1]", "[0,4]") "," T("b", "[1]", "[3,7]") "}", 7, "E0209");
    refuse(cx, "{" T("a", "[1]", "[0,4]") "," T("b", "[1]", "[0,4]") "}", 4, "E0209");
    refuse(cx, "{" T("a", "[2]", "[0,8]") "," T("b", "[0]", "[4,4]") "}", 8, "E0209");
    refuse(cx, "{" T("a", "[1]", "[0,4]") "," T("a", "[1]", "[4,8]") "}", 8, "E0210");
    refuse(cx, "{" T("a", "[1]", "[0,4]") "," T("\\u0061", "[1]", "[4,8]") "}", 8, "E0210");
    refuse(cx, "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "E0210");
}

static void refuses_loose_json(void **state)
{
    static const char *const bad[] = {
        "", " {}", "[]", "{", "{}x", "{}{}", "null", "{\"a\"}", "{\"a\":1}", "{\"a\":{}}", "{,}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},}",
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}",
        "{'a':{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        ONE("U8", "[1,]", "[0,1]"), ONE("U8", "[,1]", "[0,1]"), ONE("U8", "[01]", "[0,1]"),
        ONE("U8", "[1.0]", "[0,1]"), ONE("U8", "[1e0]", "[0,1]"), ONE("U8", "[-1]", "[0,1]"),
        ONE("U8", "[+1]", "[0,1]"), ONE("U8", "[\"1\"]", "[0,1]"), ONE("U8", "1", "[0,1]"),
        ONE("U8", "[1]", "[0]"), ONE("U8", "[1]", "[0,1,1]"), ONE("U8", "[1 1]", "[0,1]"),
        "{\"a\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"\\q\":1}", "{\"\\u12\":1}", "{\"\\u12g4\":1}", "{\"\\ud800\":1}", "{\"\\ud800\\n\":1}",
        "{\"\\ud800\\u0041\":1}", "{\"\\udc00\":1}", "{\"\\u0000\":1}", "{\"\\", "{\"a", "{\"a\":",
        "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}",
        "{\"__metadata__\":[]}", "{\"__metadata__\":{\"a\":\"b\",}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(*state, bad[i], 1, "E0206");
}

static void reads_escapes(void **state)
{
    Weights *w = open_header(*state, "{" T("\\\"\\\\\\/\\b\\f\\n\\r\\t", "[0]", "[0,0]") ","
                                     T("\\uD83D\\uDE00\\u20ac", "[0]", "[0,0]") "}", 0);
    assert_non_null(w);
    assert_non_null(weights_find(w, "\"\\/\b\f\n\r\t"));
    assert_non_null(weights_find(w, "\xf0\x9f\x98\x80\xe2\x82\xac"));
}

static void refuses_broken_files(void **state)
{
    Cx *cx = *state;
    static const char header[] = ONE("F32", "[2]", "[0,8]");
    write_weights(cx, header, sizeof header - 1, 8);
    Bytes whole;
    assert_true(file_read(cx, path, 1000, &whole));
    for (size_t n = 0; n < whole.size; n++) {          /* truncated at every byte */
        assert_true(file_write(cx, path, whole.data, n));
        assert_null(weights_open(cx, path));
        const char *code = last_error(cx)->code;
        assert_string_equal(code, n < 8 + sizeof header - 1 ? "E0201" : "E0208");
    }
    assert_null(weights_open(cx, folder));
    assert_string_equal(last_error(cx)->code, "E0102");
    unlink(path);
    assert_null(weights_open(cx, path));
    assert_string_equal(last_error(cx)->code, "E0101");
    assert_true(file_write(cx, path, "PK\3\4 a zip archive", 18));
    assert_null(weights_open(cx, path));
    assert_true(file_write(cx, path, "\x93NUMPY a numpy file", 19));
    assert_null(weights_open(cx, path));
    assert_string_equal(last_error(cx)->code, "E0202");
}

static void every_flipped_bit_is_survived(void **state)
{
    Cx *cx = *state;
    static const char header[] = "{" T("a", "[1]", "[0,4]") "," T("b", "[1]", "[4,8]") "}";
    write_weights(cx, header, sizeof header - 1, 8);
    Bytes whole;
    assert_true(file_read(cx, path, 1000, &whole));
    uint8_t *copy = arena_alloc(cx->perm, whole.size);
    memcpy(copy, whole.data, whole.size);
    for (size_t bit = 0; bit < 8 * (whole.size - 8); bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        OutFile *f = out_open(cx, path);
        out_write(f, copy, whole.size);
        assert_true(out_commit(f));
        Weights *w = weights_open(cx, path);           /* another name is still a good file */
        if (w != NULL)
            weights_close(w);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* ---- limits ---- */

static void limit_of_header(void **state)
{
    Cx *cx = *state;
    for (size_t n = WEIGHTS_MAX_HEADER - 1; n <= WEIGHTS_MAX_HEADER + 1; n++) {
        char *header = arena_alloc(cx->temp, n);
        memset(header, ' ', n);
        memcpy(header, "{}", 2);
        write_weights(cx, header, n, 0);
        Weights *w = weights_open(cx, path);
        if (n <= WEIGHTS_MAX_HEADER) {
            assert_non_null(w);
            weights_close(w);
        } else {
            assert_null(w);
            assert_string_equal(last_error(cx)->code, "E0202");
        }
        arena_reset(cx->temp);
    }
}

static void limit_of_entries(void **state)
{
    Cx *cx = *state;
    for (int metadata = 0; metadata < 2; metadata++)
        for (int n = WEIGHTS_MAX_TENSORS - 1; n <= WEIGHTS_MAX_TENSORS + 1; n++) {
            Str s = str_new(cx->temp);
            str_add(&s, metadata ? "{\"__metadata__\":{" : "{");
            for (int i = 0; i < n; i++)
                str_printf(&s, metadata ? "%s\"k%d\":\"v\"" : "%s" T("k%d", "[1]", "[%d,%d]"),
                           i > 0 ? "," : "", i, 4 * i, 4 * i + 4);
            str_add(&s, metadata ? "}}" : "}");
            Weights *w = open_header(cx, s.data, metadata ? 0 : 4 * (size_t)n);
            if (n <= WEIGHTS_MAX_TENSORS) {
                assert_int_equal(weights_count(w), metadata ? 0 : n);
                weights_close(w);
            } else {
                assert_null(w);
                assert_string_equal(last_error(cx)->code, "E0206");
            }
            arena_reset(cx->temp);
        }
}

/* ---- against a graph ---- */

static Node *add_layer(Graph *g, const char *name, int line)
{
    Node *n = NEW(g->arena, Node);
    n->place = (Place){"m.yaml", line, 1, 0};
    n->op = op_find("identity");
    n->out = NEW(g->arena, Tensor);
    n->out->name = name;
    graph_add_node(g, n);
    return n;
}

static void add_param(Node *n, const char *role, const char *key, Shape shape)
{
    n->param[n->n_param++] = (Param){role, key, shape};
}

static Graph *small_graph(Cx *cx)
{
    Graph *g = graph_new(cx->perm);
    g->file = "m.yaml";
    Node *conv = add_layer(g, "conv1", 1), *fc = add_layer(g, "fc", 2);
    add_param(conv, "weight", "conv1.weight", (Shape){4, {4, 3, 2, 2}});
    add_param(conv, "bias", "conv1.bias", (Shape){1, {4}});
    add_param(fc, "weight", "fc.weight", (Shape){2, {3, 5}});
    add_param(add_layer(g, "twin", 3), "weight", "fc.weight", (Shape){2, {3, 5}});
    return g;
}

#define CONV T("conv1.weight", "[4,3,2,2]", "[0,192]") "," T("conv1.bias", "[4]", "[192,208]")
#define FC T("fc.weight", "[3,5]", "[208,268]")

/* Checks, and returns the messages. */
static const char *check(Cx *cx, const char *header, size_t bytes, bool good)
{
    int first = diags_count(cx->diags);
    Weights *w = open_header(cx, header, bytes);
    assert_non_null(w);
    assert_int_equal(weights_check(cx, w, small_graph(cx)), good);
    const char *text = diags_render(cx->diags, cx->perm, first, false);
    weights_close(w);
    return text;
}

static void check_good(void **state)
{
    assert_string_equal(check(*state, "{" CONV "," FC "}", 268, true), "");
}

static void check_superfluous(void **state)
{
    assert_string_equal(
        check(*state, "{" CONV "," FC "," T("old", "[1]", "[268,272]") ","
              T("bn.num_batches_tracked", "[]", "[272,276]") "}", 276, true),
        "note: the model does not use 1 tensor of the weights file: 'old'\n");
}

static void check_missing(void **state)
{
    const char *text = check(*state, "{" CONV "," T("fcc.weight", "[3,5]", "[208,268]") "}", 268,
                             false);
    assert_non_null(strstr(text, "m.yaml:2:1: error: the weights file has no tensor 'fc.weight' "
                                 "[3, 5], the weight of 'fc' [E0204]\n"
                                 "help: it has 'fcc.weight' [3, 5]\n"));
    assert_non_null(strstr(text, "m.yaml:3:1: error:"));
}

static void check_prefix(void **state)
{
    const char *text = check(*state, "{" CONV "," T("net.module.fc.weight", "[3,5]", "[208,268]")
                             "}", 268, false);
    assert_non_null(strstr(text, "help: it has 'net.module.fc.weight': "
                                 "bind: \"net.module.$path.$param\" puts"));
}

static void check_empty_file(void **state)
{
    const char *text = check(*state, "{}", 0, false);
    assert_null(strstr(text, "it has"));
    assert_int_equal(diags_error_count(((Cx *)*state)->diags), 4);
}

static void check_shapes(void **state)
{
    Cx *cx = *state;
    const char *text = check(cx, "{" CONV "," T("fc.weight", "[5,3]", "[208,268]") "}", 268, false);
    assert_non_null(strstr(text, "m.yaml:2:1: error: 'fc' needs 'fc.weight' of shape [3, 5], but "
                                 "the weights file has it as [5, 3] [E0203]\n"
                                 "help: the matrix is transposed"));
    text = check(cx, "{" CONV "," T("fc.weight", "[15]", "[208,268]") "}", 268, false);
    assert_non_null(strstr(text, "has it as [15] [E0203]\nhelp: it has as many elements"));
}

/* ---- slices ---- */

static void finds_slices(void **state)
{
    Cx *cx = *state;
    Weights *w = open_header(cx, "{" T("w", "[4,2]", "[0,32]") "," T("s", "[]", "[32,36]") ","
                             T("w[0:1]", "[3]", "[36,48]") "}", 48);
    assert_non_null(w);
    const WeightTensor *whole = weights_find(w, "w"), *part = weights_find(w, "w[1:3]");
    assert_string_equal(part->key, "w[1:3]");
    assert_string_equal(shape_text(cx->perm, &part->shape), "[2, 2]");
    assert_ptr_equal(part->data.data, whole->data.data + 8);
    assert_int_equal(part->data.size, 16);
    assert_ptr_equal(weights_find(w, "w[1:3]"), part);
    assert_ptr_equal(weights_find(w, "w[0:4]")->data.data, whole->data.data);
    assert_int_equal(weights_find(w, "w[0:1]")->shape.dim[0], 3);     /* its own name */
    static const char *const none[] = {"w[3:5]", "w[4:5]", "w[2:2]", "w[-1:1]", "w[0:x]", "w[:2]",
                                       "s[0:1]", "v[0:1]", "w[0:1", "[0:1]", "w[1:2][0:1]"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(weights_find(w, none[i]));
    assert_int_equal(weights_count(w), 3);
    weights_close(w);
}

/* Two layers, each with its part of one tensor. */
static Graph *sliced_graph(Cx *cx)
{
    Graph *g = graph_new(cx->perm);
    g->file = "m.yaml";
    add_param(add_layer(g, "q", 1), "weight", "in.w[0:4]", (Shape){2, {4, 2}});
    add_param(add_layer(g, "k", 2), "weight", "in.w[4:6]", (Shape){2, {2, 2}});
    return g;
}

static void check_slices(void **state)
{
    Cx *cx = *state;
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"{" T("in.w", "[6,2]", "[0,48]") "}", ""},
        {"{" T("in.w", "[5,2]", "[0,40]") "}",
         "m.yaml:2:1: error: 'k' needs 'in.w[4:6]' of shape [2, 2], but the weights file has "
         "'in.w' as [5, 2] [E0203]\n"},
        {"{" T("in_w", "[6,2]", "[0,48]") "}", "help: it has 'in_w' [6, 2]"},
        {"{" T("net.in.w", "[6,2]", "[0,48]") "}", "bind: \"net.$path.$param\""},
        {"{" T("in.w", "[8,3]", "[0,96]") "}",
         "has it as [4, 3] [E0203]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int first = diags_count(cx->diags);
        Weights *w = open_header(cx, cases[i].header, i == 1 ? 40 : i == 4 ? 96 : 48);
        assert_int_equal(weights_check(cx, w, sliced_graph(cx)), i == 0);
        const char *text = diags_render(cx->diags, cx->perm, first, false);
        if (i == 0 ? *text : !strstr(text, cases[i].message))
            fail_msg("%s", text);
        weights_close(w);
    }
}

static void check_type(void **state)
{
    const char *text = check(*state, "{" CONV ",\"fc.weight\":{\"dtype\":\"BF16\","
                             "\"shape\":[3,5],\"data_offsets\":[208,238]}}", 238, false);
    assert_non_null(strstr(text, "'fc' needs 'fc.weight' as F32, but the weights file has it as "
                                 "BF16 [E0205]"));
}

/* ---- initialisation ---- */

static float value_at(const WeightTensor *t, size_t i)
{
    const uint8_t *b = t->data.data + 4 * i;
    uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Bytes that every host must write: a change here changes every published result. */
static void init_is_the_same_everywhere(void **state)
{
    Cx *cx = *state;
    Bytes a, b;
    assert_true(weights_init(cx, small_graph(cx), 1, path));
    assert_true(weights_init(cx, small_graph(cx), 1, other));
    assert_true(file_read(cx, path, 10000, &a) && file_read(cx, other, 10000, &b));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    assert_int_equal((a.size - 268) % 8, 0);
    assert_true(hash_bytes(HASH_SEED, a.data, a.size) == UINT64_C(0x2edb18fd7c760d04));
    assert_true(weights_init(cx, small_graph(cx), 2, other));
    assert_true(file_read(cx, other, 10000, &b));
    assert_memory_not_equal(a.data, b.data, a.size);
}

static void init_fits_its_graph(void **state)
{
    Cx *cx = *state;
    assert_true(weights_init(cx, small_graph(cx), 7, path));
    Weights *w = weights_open(cx, path);
    assert_non_null(w);
    assert_int_equal(weights_count(w), 3);
    assert_true(weights_check(cx, w, small_graph(cx)));
    assert_int_equal(diags_count(cx->diags), 0);
    weights_close(w);
}

static void init_escapes_keys(void **state)
{
    Cx *cx = *state;
    Graph *g = graph_new(cx->perm);
    add_param(add_layer(g, "a", 1), "weight", "q\"\\\n\xc3\xa4", (Shape){2, {1, 1}});
    assert_true(weights_init(cx, g, 7, path));
    Weights *w = weights_open(cx, path);
    assert_non_null(w);
    assert_true(weights_check(cx, w, g));
    weights_close(w);
}

static void expect_normal(const WeightTensor *t, double mean, double deviation)
{
    size_t n = t->data.size / 4;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double v = (double)value_at(t, i) - mean;
        sum += v;
        squares += v * v;
        assert_true(fabs(v) <= 6 * deviation);
    }
    double room = 5 * deviation / sqrt((double)n);
    assert_true(fabs(sum / (double)n) < room);
    assert_true(fabs(sqrt(squares / (double)n) - deviation) < room);
}

static void init_has_the_promised_distribution(void **state)
{
    Cx *cx = *state;
    Graph *g = graph_new(cx->perm);
    Node *n = add_layer(g, "a", 1), *m = add_layer(g, "b", 2);
    add_param(n, "weight", "conv", (Shape){4, {128, 32, 5, 5}});
    add_param(n, "bias", "bias", (Shape){1, {20000}});
    add_param(m, "weight", "scale", (Shape){1, {20000}});
    add_param(m, "running_mean", "mean", (Shape){1, {20000}});
    add_param(m, "running_var", "var", (Shape){1, {20000}});
    assert_true(weights_init(cx, g, 42, path));
    Weights *w = weights_open(cx, path);
    expect_normal(weights_find(w, "conv"), 0, sqrt(2.0 / (32 * 5 * 5)));
    expect_normal(weights_find(w, "bias"), 0, 1.0 / 16);
    expect_normal(weights_find(w, "scale"), 1, 1.0 / 16);
    expect_normal(weights_find(w, "mean"), 0, 1.0 / 16);
    expect_normal(weights_find(w, "var"), 1, 1.0 / 16);
    assert_true(value_at(weights_find(w, "bias"), 0) != value_at(weights_find(w, "mean"), 0));
    weights_close(w);
}

static void init_of_slices(void **state)
{
    Cx *cx = *state;
    assert_true(weights_init(cx, sliced_graph(cx), 1, path));
    Weights *w = weights_open(cx, path);
    assert_int_equal(weights_count(w), 1);
    assert_string_equal(shape_text(cx->perm, &weights_find(w, "in.w")->shape), "[6, 2]");
    assert_true(weights_check(cx, w, sliced_graph(cx)));
    assert_int_equal(diags_count(cx->diags), 0);
    weights_close(w);
}

static void init_that_fails(void **state)
{
    Cx *cx = *state;
    assert_false(weights_init(cx, small_graph(cx), 1, "/dev/full"));
    assert_string_equal(last_error(cx)->code, "E0105");
    Graph *g = graph_new(cx->perm);
    Shape huge = {3, {INT64_C(1) << 31, INT64_C(1) << 31, 1}};
    add_param(add_layer(g, "a", 1), "weight", "a", huge);
    assert_false(weights_init(cx, g, 1, path));
    assert_string_equal(last_error(cx)->code, "E0211");
    assert_int_equal(diags_count(cx->diags), 2);
}

#define WITH_CX(f) cmocka_unit_test_setup_teardown(f, make_cx, delete_cx)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CX(reads_tensors_in_data_order),
        WITH_CX(reads_no_tensors),
        WITH_CX(refuses_bad_spans),
        WITH_CX(refuses_holes_overlaps_and_duplicates),
        WITH_CX(refuses_loose_json),
        WITH_CX(reads_escapes),
        WITH_CX(refuses_broken_files),
        WITH_CX(every_flipped_bit_is_survived),
        WITH_CX(limit_of_header),
        WITH_CX(limit_of_entries),
        WITH_CX(check_good),
        WITH_CX(check_superfluous),
        WITH_CX(check_missing),
        WITH_CX(check_prefix),
        WITH_CX(check_empty_file),
        WITH_CX(check_shapes),
        WITH_CX(finds_slices),
        WITH_CX(check_slices),
        WITH_CX(check_type),
        WITH_CX(init_is_the_same_everywhere),
        WITH_CX(init_fits_its_graph),
        WITH_CX(init_escapes_keys),
        WITH_CX(init_has_the_promised_distribution),
        WITH_CX(init_of_slices),
        WITH_CX(init_that_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
