/* grid_cases: which shapes the exact-integer grid covers. Sweeps rather than random draws, so that
 * a failure names its neighbours: every channel count from 1 to 33 beside widths around those of
 * vectors, every kernel x stride x dilation x groups up to depthwise, widths 1 to 35, asymmetric
 * padding, padding at least as large as the kernel, pooling in all its modes, one-dimensional
 * layers, and chains whose inner tensors have a layout of the compiler's choice.
 *
 * Contract: integers stay small enough that every sum is exact in float (grid.c checks it).
 */
#include "grid.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* extents around those of vectors */
static const int edge[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33};

typedef struct CaseList {
    GridCase *item;
    int n, cap;
} CaseList;

static GridCase *case_add(CaseList *list, const char *family, int c, int h, int w)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->item = realloc(list->item, (size_t)list->cap * sizeof *list->item);
        if (!list->item) {
            perror("grid");
            exit(1);
        }
    }
    GridCase *k = &list->item[list->n++];
    *k = (GridCase){.family = family, .rank = h ? 4 : w ? 3 : 2, .c = c, .h = h, .w = w};
    return k;
}

static GridLayer *layer_add(GridCase *k, GridKind kind)
{
    GridLayer *l = &k->layer[k->n_layers++];
    *l = (GridLayer){.kind = kind, .groups = 1, .bias = true};
    l->window = (RefWindow){.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    return l;
}

static GridLayer *add_conv(GridCase *k, int out, int kernel, int stride, int pad)
{
    GridLayer *l = layer_add(k, GRID_CONV);
    int kernel_h = k->rank == 4 ? kernel : 1, pad_h = k->rank == 4 ? pad : 0;
    l->out = out;
    l->window = (RefWindow){.kh = kernel_h, .kw = kernel, .sh = k->rank == 4 ? stride : 1,
                            .sw = stride, .dh = 1, .dw = 1, .top = pad_h, .left = pad,
                            .bottom = pad_h, .right = pad};
    return l;
}

static GridLayer *add_maxpool(GridCase *k, int kernel, int stride, int pad)
{
    GridLayer *l = add_conv(k, 0, kernel, stride, pad);
    l->kind = GRID_MAXPOOL;
    return l;
}

static GridLayer *add_avgpool(GridCase *k, int kernel, int stride, int pad, bool count_pad)
{
    GridLayer *l = add_conv(k, 0, kernel, stride, pad);
    l->kind = GRID_AVGPOOL;
    l->count_pad = count_pad;
    return l;
}

static GridLayer *add_linear(GridCase *k, int out)
{
    GridLayer *l = layer_add(k, GRID_LINEAR);
    l->out = out;
    return l;
}

static GridLayer *add_concat(GridCase *k, int axis, int out, bool swap)
{
    GridLayer *l = layer_add(k, GRID_CONCAT);
    l->size = axis;
    l->out = out;
    l->swap = swap;
    return l;
}

static void set_pads(GridLayer *l, int top, int left, int bottom, int right)
{
    l->window.top = top;
    l->window.left = left;
    l->window.bottom = bottom;
    l->window.right = right;
}

/* ---- convolution ---------------------------------------------------------------------------- */

static void sweep_channels(CaseList *list)
{
    for (int c = 1; c <= 33; c++)
        for (int i = 0; i < COUNT(edge); i++) {
            GridCase *k = case_add(list, "channels and width", c, 3, edge[i]);
            GridLayer *l = add_conv(k, 1 + (c * 5 + i * 11) % 34, 3, 1, 1);
            l->window.kh = 1 + (c + i) % 3;
            l->bias = c % 3 != 0;
            if ((c + i) % 2)
                layer_add(k, GRID_RELU);
        }
    for (int i = 0; i < COUNT(edge); i++)
        for (int o = 0; o < COUNT(edge); o++) {
            GridCase *k = case_add(list, "input and output channels", edge[i], 4, 5);
            add_conv(k, edge[o], 1 + (i + o) % 3, 1, o % 2);
            if ((i + o) % 3 == 0)
                layer_add(k, GRID_RELU6);
        }
    for (int out = 1; out <= 33; out++) {
        GridCase *k = case_add(list, "output channels", 1 + out * 7 % 20, 5, 5);
        add_conv(k, out, out % 4 ? 1 : 2, 1, 0);
        if (out % 3 == 0)
            layer_add(k, GRID_ADD);
        if (out % 2)
            layer_add(k, GRID_RELU);
    }
    static const int wide[][2] = {{48, 64}, {64, 48}, {40, 96}, {17, 80}, {96, 33}, {130, 16}};
    for (int i = 0; i < COUNT(wide); i++)
        add_conv(case_add(list, "wide", wide[i][0], 7, 9), wide[i][1], 3, 1, 1);
}

static void sweep_widths(CaseList *list)
{
    for (int w = 1; w <= 35; w++)
        for (int kernel = 1; kernel <= 5; kernel += 2)
            for (int stride = 1; stride <= 2; stride++) {
                GridCase *k = case_add(list, "width", 1 + w % 4, 3, w);
                GridLayer *l = add_conv(k, 8 + 8 * (w % 3), kernel, stride + w % 2 * 2, kernel / 2);
                l->window.kh = 1 + w % 3;
                if (w % 5 == 0)
                    layer_add(k, GRID_ADD);
            }
    for (int h = 1; h <= 35; h++)
        add_conv(case_add(list, "height", 1 + h % 3, h, 5), 16 + h % 2, 1 + h % 3, 1 + h % 4, 1);
}

/* What padding a window gets: none, the usual, another on each side, as much as the window. */
static void pad_somehow(GridLayer *l, int how)
{
    int span_h = l->window.dh * (l->window.kh - 1) + 1;
    int span_w = l->window.dw * (l->window.kw - 1) + 1;
    if (how == 1)
        set_pads(l, span_h / 2, span_w / 2, span_h / 2, span_w / 2);
    else if (how == 2)
        set_pads(l, 1, 0, 2, 3);
    else if (how == 3)
        set_pads(l, span_h, span_w + 1, 0, span_w);
}

static void sweep_windows(CaseList *list)
{
    static const int channels[][3] = {  /* input, output, groups */
        {5, 8, 1}, {6, 10, 2}, {9, 6, 3}, {17, 17, 17},
    };
    for (int kernel = 1; kernel <= 5; kernel++)
        for (int stride = 1; stride <= 4; stride++)
            for (int dilation = 1; dilation <= 3; dilation++)
                for (int g = 0; g < COUNT(channels); g++) {
                    GridCase *k = case_add(list, "kernel, stride, dilation, groups",
                                           channels[g][0], 12 + stride, 13 + dilation);
                    GridLayer *l = add_conv(k, channels[g][1] * (1 + stride % 2), kernel, stride,
                                            0);
                    l->groups = channels[g][2];
                    l->window.dh = l->window.dw = dilation;
                    pad_somehow(l, (kernel + stride + dilation + g) % 4);
                    if ((kernel + dilation) % 2)
                        layer_add(k, GRID_RELU);
                }
    static const int uneven[][4] = {
        {2, 3, 1, 2}, {3, 2, 2, 1}, {5, 1, 1, 3}, {1, 5, 3, 1}, {1, 7, 1, 4}, {7, 1, 4, 1},
        {11, 11, 4, 4}, {7, 7, 2, 2},
    };
    for (int i = 0; i < COUNT(uneven); i++)
        for (int dilation = 1; dilation <= 2; dilation++) {
            GridLayer *l = add_conv(case_add(list, "uneven kernel and stride", 5, 24, 25), 20, 1, 1,
                                    0);
            l->window.kh = uneven[i][0];
            l->window.kw = uneven[i][1];
            l->window.sh = uneven[i][2];
            l->window.sw = uneven[i][3];
            l->window.dw = dilation;
        }
}

static void sweep_groups(CaseList *list)
{
    static const int shape[][3] = {     /* input channels, output channels, groups */
        {2, 2, 2}, {4, 6, 2}, {16, 16, 2}, {32, 32, 2}, {32, 64, 2}, {48, 32, 2}, {34, 34, 2},
        {3, 3, 3}, {6, 9, 3}, {33, 33, 3}, {48, 48, 3}, {96, 48, 3},
        {1, 5, 1}, {8, 16, 8}, {5, 15, 5}, {32, 32, 4}, {64, 64, 8}, {36, 18, 6},
    };
    for (int i = 0; i < COUNT(shape); i++) {
        GridCase *k = case_add(list, "groups", shape[i][0], 6, 8);
        add_conv(k, shape[i][1], i % 2 ? 3 : 2, 1 + i % 3 / 2, 1)->groups = shape[i][2];
        if (i % 2)
            layer_add(k, GRID_RELU);
    }
    for (int c = 1; c <= 33; c++)
        for (int stride = 1; stride <= 2; stride++) {
            GridCase *k = case_add(list, "depthwise", c, 6, 7 + c % 12);
            add_conv(k, c * (1 + c % 5 / 4), 3, stride, 1)->groups = c;
            if (c % 2)
                layer_add(k, GRID_RELU6);
            if (c % 3 == 0)
                add_conv(k, 12 + c, 1, 1, 0);
        }
}

static void sweep_pads(CaseList *list)
{
    static const int amount[] = {0, 1, 4};
    for (int i = 0; i < 81; i++) {
        GridCase *k = case_add(list, "padding", 3 + i % 7, 5, 6);
        set_pads(add_conv(k, 12 + i % 10, 2 + i % 3 / 2, 1 + i % 2, 0), amount[i % 3],
                 amount[i / 3 % 3], amount[i / 9 % 3], amount[i / 27]);
    }
    for (int kernel = 1; kernel <= 4; kernel++)
        for (int side = 0; side < 4; side++) {
            GridCase *k = case_add(list, "padding beyond the kernel", 4, 4, 5);
            GridLayer *l = add_conv(k, 16, kernel, 1 + side % 2, 0);
            int pad[4] = {0};
            pad[side] = kernel + 2;
            set_pads(l, pad[0], pad[1], pad[2], pad[3]);
        }
}

/* ---- pooling -------------------------------------------------------------------------------- */

static void sweep_pools(CaseList *list)
{
    static const int channels[] = {1, 3, 15, 16, 17, 32, 33, 48};
    for (int kernel = 1; kernel <= 4; kernel++)
        for (int stride = 1; stride <= 4; stride++)
            for (int mode = 0; mode < 8; mode++) {
                bool padded = mode & 1, ceil = mode & 2, count_pad = mode & 4;
                int c = channels[(kernel * 3 + stride + mode) % 8];
                int pad = padded ? kernel / 2 : 0;
                GridCase *k = case_add(list, "average pooling", c, 9 + stride, 8 + kernel);
                GridLayer *l = add_avgpool(k, kernel, stride, pad, count_pad);
                l->window.ceil = ceil;
                if (stride == 3)
                    set_pads(l, pad, 0, kernel / 3, pad);
                if (count_pad)
                    continue;
                k = case_add(list, "max pooling", c, 9 + stride, 8 + kernel);
                l = add_maxpool(k, kernel, stride, pad);
                l->window.ceil = ceil;
                if (stride == 3)
                    set_pads(l, 0, pad, pad, kernel / 3);
            }
    for (int i = 0; i < 12; i++) {
        GridLayer *l = add_maxpool(case_add(list, "max pooling, dilation", 3 * i + 1, 11, 12), 3,
                                   1 + i % 2, i % 3 / 2);
        l->window.dh = 1 + i % 3;
        l->window.dw = 3 - i % 3;
        l->window.ceil = i % 4 == 3;
    }
}

static void sweep_pool_shapes(CaseList *list)
{
    for (int c = 1; c <= 33; c++) {
        add_maxpool(case_add(list, "max pooling, channels", c, 5, 7), 3, 1 + c % 2, c % 2);
        add_avgpool(case_add(list, "average pooling, channels", c, 7, 5), 2, 1 + c % 2, 1, c % 3);
        layer_add(case_add(list, "global average", c, 1 + c % 7, c), GRID_GLOBAL_AVGPOOL);
    }
    for (int w = 3; w <= 35; w++) {
        add_maxpool(case_add(list, "max pooling, width", 1 + w % 3, 4, w), 3, 1 + w % 3, w % 2);
        add_avgpool(case_add(list, "average pooling, width", 1 + w % 4, 4, w), 3, 1 + w % 3, 1,
                    w % 2);
    }
}

/* ---- linear and one dimension --------------------------------------------------------------- */

static void sweep_linear(CaseList *list)
{
    static const int big[][2] = {{100, 80}, {257, 33}, {600, 17}, {1100, 5}, {64, 256}};
    for (int i = 0; i < COUNT(edge); i++)
        for (int o = 0; o < COUNT(edge); o++) {
            GridCase *k = case_add(list, "linear", edge[i], 0, 0);
            add_linear(k, edge[o])->bias = (i + o) % 4 != 0;
            if ((i + o) % 2)
                layer_add(k, GRID_RELU);
            if ((i + o) % 3 == 0)
                layer_add(k, GRID_ADD);
        }
    for (int i = 0; i < COUNT(big); i++)
        add_linear(case_add(list, "large linear", big[i][0], 0, 0), big[i][1]);
    for (int i = 0; i < COUNT(edge); i++)
        add_linear(case_add(list, "linear on rows", edge[i], 0, edge[11 - i]), edge[(i * 5) % 12]);
}

static void sweep_one_dimension(CaseList *list)
{
    for (int kernel = 1; kernel <= 5; kernel++)
        for (int stride = 1; stride <= 4; stride++)
            for (int dilation = 1; dilation <= 3; dilation++) {
                GridCase *k = case_add(list, "one dimension", 3 * stride, 0, 11 + kernel * 3);
                GridLayer *l = add_conv(k, 6 * dilation + stride / 4 * 9, kernel, stride, 0);
                l->groups = dilation == 3 ? 3 : 1;
                l->window.dw = dilation;
                pad_somehow(l, (kernel + stride) % 4);
                l->window.top = l->window.bottom = 0;
            }
    for (int i = 1; i <= 16; i++) {
        GridCase *k = case_add(list, "one dimension, pooling", 2 * i + 1, 0, 8 + i);
        int kernel = 1 + i % 4;
        GridLayer *l = i % 2 ? add_maxpool(k, kernel, 1 + i / 4, kernel / 2)
                             : add_avgpool(k, kernel, 1 + i / 4, kernel / 2, i % 3);
        l->window.ceil = i % 5 == 0;
    }
}

/* ---- element by element, copies, along an axis ---------------------------------------------- */

/* Alone, and behind a convolution; with the case's own input where that has the shape. */
static void sweep_pointwise(CaseList *list)
{
    static const int shape[][3] = {
        {1, 1, 1}, {3, 5, 7}, {16, 4, 4}, {33, 3, 35}, {17, 1, 16}, {37, 0, 0}, {5, 0, 9},
    };
    for (int kind = GRID_RELU; kind <= GRID_MUL; kind++)
        for (int i = 0; i < COUNT(shape); i++)
            for (int conv = 0; conv <= (shape[i][1] > 0); conv++) {
                GridCase *k = case_add(list, "pointwise", shape[i][0], shape[i][1], shape[i][2]);
                if (conv)
                    add_conv(k, i % 2 ? k->c : 8 + 9 * i, 3, 1, 1);
                layer_add(k, (GridKind)kind)->case_input = conv && i % 2;
                if (i == 4)
                    layer_add(k, GRID_RELU);
            }
    for (int c = 1; c <= 33; c++) {
        GridCase *k = case_add(list, "real batchnorm", c, 3, 1 + c % 9);
        if (c % 3 == 0)
            add_conv(k, 34 - c, 1, 1, 0);
        layer_add(k, GRID_REAL_BATCHNORM);
    }
}

static void sweep_copies(CaseList *list)
{
    static const int channels[] = {1, 7, 8, 15, 16, 17, 33};
    for (int a = 0; a < COUNT(channels); a++)
        for (int b = 0; b < COUNT(channels); b++) {
            GridCase *k = case_add(list, "concat", channels[a], 4, 3 + b);
            if (a % 2)
                add_conv(k, channels[(a + b) % 7], 3, 1, 1);
            add_concat(k, 1, channels[b], (a + b) % 2);
            if (b % 2)
                add_conv(k, 9 + a, 1, 1, 0);
            if (a % 3 == 0)
                layer_add(k, GRID_RELU);
        }
    for (int i = 1; i <= 12; i++) {
        add_concat(case_add(list, "concat, other axes", i, 4, 5), 2 + i % 2, 3 * i, i % 3);
        add_concat(case_add(list, "concat, vectors", i, 0, 0), 1, 34 - 2 * i, i % 2);
    }
    for (int i = 0; i < 24; i++) {
        GridCase *k = case_add(list, "pad", 1 + i * 7 % 20, 3 + i % 2, 4 + i);
        if (i % 3 == 1)
            add_conv(k, 16, 3, 1, 1);
        GridLayer *l = layer_add(k, GRID_PAD);
        set_pads(l, i % 2, i % 3, i % 4, i % 5);
        l->size = i % 4 - 2;
        if (i % 3)
            add_conv(k, 17, 3, 1, i % 2);
    }
}

static void sweep_axes(CaseList *list)
{
    static const int channels[] = {1, 3, 5, 16, 17, 33};
    for (int size = 1; size <= 7; size++)
        for (int i = 0; i < COUNT(channels); i++) {
            GridCase *k = case_add(list, "lrn", channels[i], 2 + size % 2, 5 + size);
            if (i % 2)
                add_conv(k, 12 + i, 1, 1, 0);
            layer_add(k, GRID_LRN)->size = size;
        }
    for (int c = 1; c <= 35; c++)
        layer_add(case_add(list, "softmax", c, 0, 0), GRID_SOFTMAX)->size = 1;
    for (int i = 0; i < COUNT(edge); i++)
        for (int axis = 1; axis <= 3; axis++) {
            GridCase *k = case_add(list, "softmax, axis", edge[i], 3, edge[11 - i]);
            layer_add(k, GRID_SOFTMAX)->size = axis;
        }
}

/* ---- chains --------------------------------------------------------------------------------- */

/* Inner tensors: blocked, padded, fused; then flattened into a linear layer. */
static void sweep_chains(CaseList *list)
{
    static const int channels[][2] = {{8, 16}, {16, 16}, {16, 33}, {17, 32}, {32, 48}, {33, 20}};
    for (int i = 0; i < COUNT(channels); i++)
        for (int kernel = 1; kernel <= 5; kernel += 2) {
            GridCase *k = case_add(list, "chain to linear", 3, 11, 12);
            add_conv(k, channels[i][0], kernel, 1 + kernel / 5, kernel / 2);
            layer_add(k, GRID_RELU);
            add_maxpool(k, 3, 2, i % 2);
            add_conv(k, channels[i][1], 3, 1 + i % 2, 1 + i % 3);
            layer_add(k, GRID_FLATTEN);
            add_linear(k, 10 + i);

            k = case_add(list, "chain to depthwise", 5, 9, 11);
            add_conv(k, channels[i][0], 1, 1, 0);
            add_conv(k, channels[i][0], kernel, 1 + i % 2, kernel / 2)->groups = channels[i][0];
            layer_add(k, GRID_RELU);
            add_conv(k, channels[i][1], 1, 1, 0);

            k = case_add(list, "chain of groups", 2 * channels[i][0], 7, 9);
            add_conv(k, 2 * channels[i][0], kernel, 1, 2)->groups = 2;
            layer_add(k, GRID_ADD);
            layer_add(k, GRID_RELU);
            add_conv(k, channels[i][1], 1, 1, 0);
            add_maxpool(k, 2, 2, 0)->window.ceil = i % 2;
            layer_add(k, GRID_RELU);

            k = case_add(list, "residual chain", channels[i][0], 6, 7);
            add_conv(k, channels[i][1], kernel, 1, kernel / 2);
            layer_add(k, GRID_RELU6);
            add_conv(k, channels[i][0], 1, 1, 0);
            layer_add(k, GRID_ADD)->case_input = true;
            layer_add(k, GRID_RELU);
            add_concat(k, 1, 5 + i, i % 2);
        }
}

/* conv, relu and pooling of the kinds that are fused. */
static void sweep_fused(CaseList *list)
{
    for (int out = 1; out <= 33; out++)
        for (int variant = 0; variant < 3; variant++) {
            GridCase *k = case_add(list, "conv, relu, pool", 1 + out % 5, 9, 7 + out % 13);
            add_conv(k, out, 1 + 2 * ((out + variant) % 3), 1, variant);
            layer_add(k, out % 4 ? GRID_RELU : GRID_LEAKY_RELU);
            if (variant == 2)
                add_avgpool(k, 2, 2, 0, true);
            else
                add_maxpool(k, 2 + variant, 2, variant * (out % 2))->window.ceil = out % 3 == 0;
        }
    for (int i = 0; i < COUNT(edge); i++) {
        GridCase *k = case_add(list, "conv, batchnorm, relu, conv", edge[i], 5, edge[11 - i]);
        add_conv(k, edge[(i * 7) % 12], 3, 1, 1);
        layer_add(k, GRID_BATCHNORM);
        layer_add(k, GRID_RELU);
        add_conv(k, edge[(i * 5) % 12], 1 + i % 3, 1, i % 2);
    }
}

GridCase *grid_cases(int *n)
{
    CaseList list = {0};
    sweep_channels(&list);
    sweep_widths(&list);
    sweep_windows(&list);
    sweep_groups(&list);
    sweep_pads(&list);
    sweep_pools(&list);
    sweep_pool_shapes(&list);
    sweep_linear(&list);
    sweep_one_dimension(&list);
    sweep_pointwise(&list);
    sweep_copies(&list);
    sweep_axes(&list);
    sweep_chains(&list);
    sweep_fused(&list);
    *n = list.n;
    return list.item;
}
