/* layout: a layout label becomes the dims, halo and storage map of a buffer.
 *
 *   "plain pad 1,2,1,2"  rows and columns have a zero halo (top, left, bottom, right)
 *   "c16 pad 1,1,1,1"    channels in blocks of 16, [n, c/16, y+1, x+1, c%16]; the channels beyond
 *                        the last one, up to a whole block, are slack and never read
 *   "c16", "plain"       the same without a halo
 *
 * contract: labels can be written by hand, so every mistake is reported at the tensor's place with
 * a remedy. A tensor without a label has its public row-major layout, whatever its rank. Name and
 * kind of the buffer are the caller's business; its type is f32.
 */
#include "lower/lower.h"

#define MAX_BLOCK 64
#define MAX_BUFFER_ELEMENTS (INT64_C(1) << 40)

typedef struct Label {
    int64_t block;                  /* channels in a block; 0: plain */
    int64_t pad[4];                 /* top, left, bottom, right */
} Label;

static bool read_number(const char **text, int64_t max, int64_t *out)
{
    const char *s = *text;
    int64_t v = 0;
    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (*s - '0');
        if (v > max)
            return false;
    }
    *text = s;
    *out = v;
    return true;
}

static bool read_word(const char **text, const char *word)
{
    const char *s = *text;
    for (; *word; word++, s++)
        if (*s != *word)
            return false;
    *text = s;
    return true;
}

static bool read_label(const char *text, Label *out)
{
    *out = (Label){0};
    if (!read_word(&text, "plain")) {
        if (!read_word(&text, "c") || !read_number(&text, MAX_BLOCK, &out->block))
            return false;
        if (out->block < 2)
            return false;
    }
    if (!*text)
        return true;
    if (!read_word(&text, " pad "))
        return false;
    for (int i = 0; i < 4; i++) {
        if (i > 0 && !read_word(&text, ","))
            return false;
        if (!read_number(&text, MAX_DIM, &out->pad[i]))
            return false;
    }
    return !*text;
}

static void apply_label(const Label *l, Buffer *b)
{
    const int64_t *pad = l->pad;
    b->dim[2].lo = pad[0], b->dim[2].hi = pad[2], b->dim[2].zero = true;
    b->dim[3].lo = pad[1], b->dim[3].hi = pad[3], b->dim[3].zero = true;
    if (l->block == 0)
        return;
    b->dim[1].hi = (l->block - b->dim[1].extent % l->block) % l->block;
    const StorageDim map[] = {{0, 0, 1, 0},
                              {1, 0, l->block, 0},
                              {2, pad[0], 1, 0},
                              {3, pad[1], 1, 0},
                              {1, 0, 1, l->block}};
    b->n_storage = 5;
    for (int i = 0; i < b->n_storage; i++)
        b->storage[i] = map[i];
}

static bool check_size(Cx *cx, const Tensor *t, const Buffer *b)
{
    int64_t count = 1;
    for (int i = 0; i < b->rank; i++) {
        const Dim *d = &b->dim[i];
        if (!checked_mul(count, d->extent + d->lo + d->hi, &count) ||
            count > MAX_BUFFER_ELEMENTS) {
            diag_error(cx->diags, t->place, "E0703", "'%s' has more than 2^40 elements", t->name);
            return diag_help(cx->diags, "use a smaller batch or smaller pads in its layout label");
        }
    }
    return true;
}

bool layout_parse(Cx *cx, const Tensor *t, int64_t batch, Buffer *out)
{
    *out = (Buffer){.name = t->name, .type = TYPE_F32, .lanes = 1, .rank = t->shape.rank};
    for (int i = 0; i < out->rank; i++)
        out->dim[i].extent = t->shape.dim[i] == DIM_N ? batch : t->shape.dim[i];
    if (t->layout) {
        Label label;
        if (!read_label(t->layout, &label)) {
            diag_error(cx->diags, t->place, "E0701", "layout '%s' of '%s' is not understood",
                       t->layout, t->name);
            return diag_help(cx->diags, "write 'plain' or 'c16', then nothing or 'pad 1,1,1,1' "
                                        "(top, left, bottom, right)");
        }
        if (out->rank != 4) {
            diag_error(cx->diags, t->place, "E0702",
                       "layout '%s' needs the axes N, C, H, W but '%s' has rank %d", t->layout,
                       t->name, out->rank);
            return diag_help(cx->diags, "remove the layout label");
        }
        apply_label(&label, out);
    }
    return check_size(cx, t, out);
}
