/* grid_cases: which shapes the exact-integer grid covers. Sweeps rather than random draws, so that
 * a failure names its neighbours: every channel count from 1 to 33, every kernel x stride x
 * dilation, widths 1 to 35, groups up to depthwise, asymmetric padding, padding at least as large
 * as the kernel, one-dimensional layers, and short chains whose inner tensors have a layout of the
 * compiler's choice.
 *
 * Contract: integers stay small enough that every sum is exact in float (grid.c checks it).
 */
#include "grid.h"

#include <stdio.h>
#include <stdlib.h>

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

static GridLayer *add_linear(GridCase *k, int out)
{
    GridLayer *l = layer_add(k, GRID_LINEAR);
    l->out = out;
    return l;
}

static void set_pads(GridLayer *l, int top, int left, int bottom, int right)
{
    l->window.top = top;
    l->window.left = left;
    l->window.bottom = bottom;
    l->window.right = right;
}

static void sweep_channels(CaseList *list)
{
    for (int c = 1; c <= 33; c++) {
        GridCase *k = case_add(list, "input channels", c, 6, 7);
        add_conv(k, 1 + c * 5 % 34, 3, 1, 1)->bias = c % 3 != 0;
        if (c % 2)
            layer_add(k, GRID_RELU);
    }
    for (int out = 1; out <= 33; out++) {
        GridCase *k = case_add(list, "output channels", 1 + out * 7 % 20, 5, 5);
        add_conv(k, out, out % 4 ? 1 : 2, 1, 0);
        if (out % 3 == 0)
            layer_add(k, GRID_ADD);
        if (out % 2)
            layer_add(k, GRID_RELU);
    }
    static const int wide[][2] = {{48, 64}, {64, 48}, {40, 96}, {17, 80}, {96, 33}};
    for (int i = 0; i < 5; i++)
        add_conv(case_add(list, "wide", wide[i][0], 7, 9), wide[i][1], 3, 1, 1);
}

static void sweep_windows(CaseList *list)
{
    for (int kernel = 1; kernel <= 5; kernel++)
        for (int stride = 1; stride <= 4; stride++)
            for (int dilation = 1; dilation <= 3; dilation++) {
                GridCase *k = case_add(list, "kernel, stride, dilation", 3 + kernel,
                                       12 + stride, 13 + dilation);
                GridLayer *l = add_conv(k, 8 * dilation, kernel, stride, (kernel + stride) % 3);
                l->window.dh = l->window.dw = dilation;
                if ((kernel + dilation) % 2)
                    layer_add(k, GRID_RELU);
            }
    for (int w = 1; w <= 35; w++) {
        GridCase *k = case_add(list, "width", 1 + w % 4, 3, w);
        add_conv(k, 16, 3, 1, 1)->window.kh = 1 + w % 3;
        if (w % 5 == 0)
            layer_add(k, GRID_ADD);
    }
    static const int uneven[][4] = {{2, 3, 1, 2}, {3, 2, 2, 1}, {5, 1, 1, 3}, {1, 5, 3, 1}};
    for (int i = 0; i < 4; i++) {
        GridLayer *l = add_conv(case_add(list, "uneven kernel and stride", 5, 14, 11), 20, 1, 1, 0);
        l->window.kh = uneven[i][0];
        l->window.kw = uneven[i][1];
        l->window.sh = uneven[i][2];
        l->window.sw = uneven[i][3];
    }
}

static void sweep_groups(CaseList *list)
{
    static const int shape[][3] = {     /* input channels, output channels, groups */
        {2, 2, 2}, {4, 6, 2}, {16, 16, 2}, {32, 32, 2}, {32, 64, 2}, {48, 32, 2}, {34, 34, 2},
        {3, 3, 3}, {6, 9, 3}, {33, 33, 3}, {48, 48, 3}, {96, 48, 3},
        {1, 5, 1}, {7, 7, 7}, {16, 16, 16}, {17, 17, 17}, {32, 32, 32}, {33, 33, 33}, {8, 16, 8},
        {5, 15, 5},
    };
    for (int i = 0; i < (int)(sizeof shape / sizeof *shape); i++) {
        GridCase *k = case_add(list, "groups", shape[i][0], 6, 8);
        add_conv(k, shape[i][1], i % 2 ? 3 : 2, 1 + i % 3 / 2, 1)->groups = shape[i][2];
        if (i % 2)
            layer_add(k, GRID_RELU);
    }
}

static void sweep_pads(CaseList *list)
{
    static const int pad[][4] = {       /* top, left, bottom, right */
        {0, 0, 0, 1}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {2, 0, 1, 3}, {0, 3, 2, 0},
        {3, 3, 3, 3}, {4, 4, 4, 4}, {5, 0, 0, 5}, {0, 6, 6, 0},
    };
    for (int i = 0; i < (int)(sizeof pad / sizeof *pad); i++)
        for (int stride = 1; stride <= 2; stride++) {
            GridCase *k = case_add(list, "padding", 4 + i, 5, 6);
            set_pads(add_conv(k, 12 + i, 3, stride, 0), pad[i][0], pad[i][1], pad[i][2], pad[i][3]);
        }
}

static void sweep_pools(CaseList *list)
{
    static const int channels[] = {1, 3, 15, 16, 17, 32, 33, 48};
    for (int kernel = 1; kernel <= 4; kernel++)
        for (int stride = 1; stride <= 4; stride++) {
            GridCase *k = case_add(list, "max pooling", channels[(kernel * 3 + stride) % 8],
                                   9 + stride, 8 + kernel);
            add_maxpool(k, kernel, stride, stride % 2 ? kernel / 2 : 0);
        }
    for (int c = 0; c < 8; c++)
        add_maxpool(case_add(list, "max pooling, channels", channels[c], 7, 7), 3, 2, c % 2);
    for (int dilation = 2; dilation <= 3; dilation++) {
        GridLayer *l = add_maxpool(case_add(list, "max pooling, dilation", 18, 11, 12), 3, 2, 1);
        l->window.dh = l->window.dw = dilation;
    }
    for (int i = 0; i < 4; i++) {
        GridLayer *l = add_maxpool(case_add(list, "max pooling, uneven pads", 20, 8, 9), 4, 3, 0);
        set_pads(l, i & 1, i >> 1, 2 - (i & 1), 2);
    }
}

static void sweep_linear(CaseList *list)
{
    static const int in[] = {1, 3, 16, 31, 33, 100}, out[] = {1, 7, 16, 17, 33, 80};
    for (int i = 0; i < 6; i++)
        for (int o = 0; o < 6; o++) {
            GridCase *k = case_add(list, "linear", in[i], 0, 0);
            add_linear(k, out[o])->bias = (i + o) % 4 != 0;
            if ((i + o) % 2)
                layer_add(k, GRID_RELU);
            if ((i + o) % 3 == 0)
                layer_add(k, GRID_ADD);
        }
    static const int rows[][3] = {{4, 16, 20}, {17, 33, 16}, {5, 7, 9}};
    for (int i = 0; i < 3; i++)
        add_linear(case_add(list, "linear on rows", rows[i][0], 0, rows[i][1]), rows[i][2]);
}

static void sweep_one_dimension(CaseList *list)
{
    for (int i = 1; i <= 4; i++) {
        GridCase *k = case_add(list, "one dimension", 3 * i, 0, 9 + i);
        GridLayer *l = add_conv(k, 7 * i, i, 1, i / 2);
        l->window.right = i - 1;
        l->window.sw = 1 + i % 2;
        add_maxpool(case_add(list, "one dimension, max pooling", 8 * i + 1, 0, 12), i, 2, i / 2);
    }
}

static void sweep_pointwise(CaseList *list)
{
    static const int shape[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 4, 4}, {33, 3, 35}};
    for (int i = 0; i < 4; i++) {
        layer_add(case_add(list, "relu", shape[i][0], shape[i][1], shape[i][2]), GRID_RELU);
        layer_add(case_add(list, "add", shape[i][0], shape[i][1], shape[i][2]), GRID_ADD);
    }
    layer_add(case_add(list, "relu on a vector", 37, 0, 0), GRID_RELU);
}

/* Inner tensors: blocked, padded, fused; then flattened into a linear layer. */
static void sweep_chains(CaseList *list)
{
    static const int channels[][2] = {{8, 16}, {16, 16}, {16, 33}, {17, 32}, {32, 48}, {33, 20}};
    for (int i = 0; i < 6; i++) {
        GridCase *k = case_add(list, "chain to linear", 3, 11, 12);
        add_conv(k, channels[i][0], 3, 1, 1);
        layer_add(k, GRID_RELU);
        add_maxpool(k, 3, 2, i % 2);
        add_conv(k, channels[i][1], 3, 1 + i % 2, 1 + i % 3);
        layer_add(k, GRID_FLATTEN);
        add_linear(k, 10 + i);

        k = case_add(list, "chain to depthwise", 5, 9, 11);
        add_conv(k, channels[i][0], 1, 1, 0);
        add_conv(k, channels[i][0], 3, 1 + i % 2, 1)->groups = channels[i][0];
        layer_add(k, GRID_RELU);
        add_conv(k, channels[i][1], 1, 1, 0);

        k = case_add(list, "chain of groups", 2 * channels[i][0], 7, 9);
        add_conv(k, 2 * channels[i][0], 3, 1, 2)->groups = 2;
        layer_add(k, GRID_ADD);
        layer_add(k, GRID_RELU);
        add_conv(k, channels[i][1], 1, 1, 0);
        add_maxpool(k, 2, 2, 0);
        layer_add(k, GRID_RELU);
    }
}

static void sweep_inexact(CaseList *list)
{
    static const int channels[] = {1, 3, 5, 16, 17, 33};
    for (int i = 0; i < 6; i++) {
        layer_add(case_add(list, "lrn", channels[i], 4, 5), GRID_LRN)->size = 5 - i % 3;
        layer_add(case_add(list, "softmax", 7 * channels[i], 0, 0), GRID_SOFTMAX);
    }
}

/* Windows over all kinds of padding, so that divisors vary. */
static void sweep_averages(CaseList *list)
{
    static const int channels[] = {1, 3, 16, 17, 33};
    for (int kernel = 1; kernel <= 4; kernel++)
        for (int stride = 1; stride <= 3; stride++)
            for (int count_pad = 0; count_pad < 2; count_pad++) {
                GridCase *k = case_add(list, "average pooling",
                                       channels[(kernel * 2 + stride) % 5], 9 + stride, 8 + kernel);
                GridLayer *l = add_maxpool(k, kernel, stride, kernel / 2);
                l->kind = GRID_AVGPOOL;
                l->count_pad = count_pad != 0;
                set_pads(l, kernel / 2, stride % 2 ? kernel / 2 : 0, kernel / 3, kernel / 2);
            }
}

/* Alone and behind a convolution. */
static void sweep_more_pointwise(CaseList *list)
{
    static const int shape[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 4, 4}, {33, 3, 35}};
    for (int kind = GRID_LEAKY_RELU; kind <= GRID_MUL; kind++)
        for (int i = 0; i < 4; i++) {
            GridCase *k = case_add(list, "pointwise", shape[i][0], shape[i][1], shape[i][2]);
            if (i % 2)
                add_conv(k, 8 + 9 * i, 3, 1, 1);
            layer_add(k, (GridKind)kind);
        }
}

GridCase *grid_cases(int *n)
{
    CaseList list = {0};
    sweep_channels(&list);
    sweep_windows(&list);
    sweep_groups(&list);
    sweep_pads(&list);
    sweep_pools(&list);
    sweep_linear(&list);
    sweep_one_dimension(&list);
    sweep_pointwise(&list);
    sweep_chains(&list);
    sweep_inexact(&list);
    sweep_averages(&list);
    sweep_more_pointwise(&list);
    *n = list.n;
    return list.item;
}
