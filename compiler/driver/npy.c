/* npy: arrays as NumPy saves them: float32, C order, little-endian, nothing else.
 *
 *     \x93NUMPY 1 0 <length> {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 224, 224), }
 *
 * Source: the format's description in NumPy (numpy.lib.format), versions 1.0 to 3.0. contract: the
 * header is a literal with exactly these three keys, the data are exactly as long as the shape
 * says, the shape has at most MAX_RANK dimensions and MAX_ELEMENTS elements.
 */
#include "driver/driver.h"

#include <string.h>

#define MAX_FILE ((size_t)16 << 30)
#define ALIGN 64                   /* data begin at a multiple of this */

typedef struct Header {            /* being read */
    const char *at, *end;
} Header;

static bool bad(Cx *cx, const char *path, const char *what)
{
    diag_error(cx->diags, NO_PLACE, "E0121", "'%s' %s", path, what);
    return diag_help(cx->diags, "save it with numpy.save(file, numpy.ascontiguousarray(a, "
                     "'float32'))");
}

static bool take(Header *h, const char *text)
{
    size_t n = strlen(text);
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n'))
        h->at++;
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, text, n) != 0)
        return false;
    h->at += n;
    return true;
}

static bool take_number(Header *h, int64_t *out)
{
    int64_t v = 0;
    take(h, "");
    const char *first = h->at;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9' && v <= MAX_ELEMENTS; h->at++)
        v = v * 10 + (*h->at - '0');
    *out = v;
    return h->at > first && v <= MAX_ELEMENTS;
}

static bool take_shape(Header *h, Shape *s)
{
    s->rank = 0;
    if (!take(h, "("))
        return false;
    while (!take(h, ")")) {
        if (s->rank == MAX_RANK || !take_number(h, &s->dim[s->rank++]))
            return false;
        if (!take(h, ","))
            return s->rank > 1 && take(h, ")");
    }
    return true;
}

/* NULL, or what is wrong with the literal. */
static const char *read_literal(Header *h, Shape *shape)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    if (!take(h, "{"))
        return "has a malformed header";
    while (!take(h, "}")) {
        if (!(seen & DESCR) && take(h, "'descr':")) {
            if (!take(h, "'<f4'"))
                return "does not hold float32 ('<f4')";
            seen |= DESCR;
        } else if (!(seen & ORDER) && take(h, "'fortran_order':")) {
            if (!take(h, "False"))
                return "is in Fortran order";
            seen |= ORDER;
        } else if (!(seen & SHAPE) && take(h, "'shape':") && take_shape(h, shape)) {
            seen |= SHAPE;
        } else {
            return "has a malformed header";
        }
        if (!take(h, ",") && (h->at == h->end || *h->at != '}'))
            return "has a malformed header";
    }
    take(h, "");
    return seen == (DESCR | ORDER | SHAPE) && h->at == h->end ? NULL : "has a malformed header";
}

/* Where the literal and the data begin; false: not an .npy file. */
static bool find_parts(Bytes file, size_t *literal, size_t *data)
{
    const uint8_t *p = file.data;
    if (file.size < 12 || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3 || p[7] != 0)
        return false;
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] > 1)
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    *literal = p[6] > 1 ? 12 : 10;
    *data = *literal + length;
    return *data <= file.size;
}

bool npy_read(Cx *cx, const char *path, Npy *out)
{
    Bytes file;
    size_t literal, data;
    if (!file_read(cx, path, MAX_FILE, &file))
        return false;
    if (!find_parts(file, &literal, &data))
        return bad(cx, path, "is not a NumPy array file");
    Header h = {(const char *)file.data + literal, (const char *)file.data + data};
    const char *problem = read_literal(&h, &out->shape);
    if (problem)
        return bad(cx, path, problem);
    int64_t count = 1;
    for (int i = 0; i < out->shape.rank; i++)
        if (!checked_mul(count, out->shape.dim[i], &count) || count > MAX_ELEMENTS)
            return bad(cx, path, "has too many elements");
    if ((size_t)count * sizeof(float) != file.size - data)
        return bad(cx, path, "is not as long as its shape says");
    float *copy = NEW_ARRAY(cx->perm, float, count);
    memcpy(copy, file.data + data, (size_t)count * sizeof(float));
    out->data = copy;
    return true;
}

bool npy_write(Cx *cx, const char *path, const Npy *npy)
{
    static const char magic[] = "\x93NUMPY\x01\x00";
    Str head = str_new(cx->perm);
    int64_t count = 1;
    str_add(&head, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < npy->shape.rank; i++) {
        str_printf(&head, "%s%lld", i ? ", " : "", (long long)npy->shape.dim[i]);
        count *= npy->shape.dim[i];
    }
    str_add(&head, npy->shape.rank == 1 ? ",), }" : "), }");
    while ((10 + head.len + 1) % ALIGN != 0)
        str_char(&head, ' ');
    str_char(&head, '\n');
    const uint8_t length[2] = {(uint8_t)(head.len & 255), (uint8_t)(head.len >> 8)};
    OutFile *f = out_open(cx, path);
    if (!f)
        return false;
    out_write(f, magic, 8);
    out_write(f, length, 2);
    out_write(f, head.data, head.len);
    out_write(f, npy->data, (size_t)count * sizeof(float));
    return out_commit(f);
}
