/* Random kernels of naive nests, as text: convolutions with groups, padding and strides, pools,
 * fully connected layers, copies between layouts, and nests with something odd about them.
 *
 * example: random_state = 7; const char *text = random_kernel(arena, false);
 */
#ifndef NET2C_SCHED_RANDOM_H
#define NET2C_SCHED_RANDOM_H

#include <stdio.h>

#include "sched_fixture.h"

/* ---- random numbers ------------------------------------------------------------------------- */
static uint64_t random_state;

static inline int random_below(int n)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (int)((z ^ (z >> 31)) >> 33) % n;
}

static inline int random_in(int lo, int hi)
{
    return lo + random_below(hi - lo + 1);
}

static inline bool chance(int percent)
{
    return random_below(100) < percent;
}

/* ---- random nests --------------------------------------------------------------------------- */
typedef struct Shape4 {                /* channels in blocks of 16, or plain; a border around */
    int channels, rows, columns, pad;
    bool blocked;
} Shape4;

static inline void add_tensor(Str *s, const char *kind, const char *name, Shape4 t)
{
    str_printf(s, "%s %s: f32[1, %d", kind, name, t.channels);
    if (t.blocked && t.channels % 16)
        str_printf(s, "~%d", 16 - t.channels % 16);
    if (t.pad)
        str_printf(s, ", %d:%d:%d, %d:%d:%d]", t.pad, t.rows, t.pad, t.pad, t.columns, t.pad);
    else
        str_printf(s, ", %d, %d]", t.rows, t.columns);
    if (t.blocked)
        str_printf(s, " as [d0, d1/16, d2+%d, d3+%d, d1%%16]", t.pad, t.pad);
}

static const char *const steps[] = {"max(%s, 0x0p+0)", "%s * 0x1p+1", "r[n, c, i, j] + %s",
                                    "max(%s, r[n, c, i, j])", "b[c] + %s"};

/* Zero to two steps on the elements of `value`; the last one stores y. */
static inline void add_steps(Str *s, const Shape4 *y, const char *value, int n)
{
    for (int i = 0; i < n; i++) {
        const char *to = i == n - 1 ? "y" : "t";
        char element[32];
        snprintf(element, sizeof element, "%s[n, c, i, j]", i == 0 ? value : "t");
        str_printf(s, "  for n < 1, c < %d, i < %d, j < %d { %s[n, c, i, j] = ", y->channels,
                   y->rows, y->columns, to);
        const char *step = steps[random_below(5)];
        const char *hole = strchr(step, '%');
        str_add_n(s, step, (size_t)(hole - step));
        str_add(s, element);
        str_add(s, hole + 2);
        str_add(s, "; }\n");
    }
}

typedef struct Conv {
    int groups, in_each, out_each, kernel, stride, pad, rows, columns;
    bool guards;                       /* tests, where there is no border of zeros */
    Shape4 x, y;
} Conv;

static inline Conv random_conv(bool likely_layout)
{
    Conv c = {.groups = chance(70) ? 1 : random_in(2, 3)};
    bool wide = chance(30);
    c.in_each = random_in(1, wide ? 40 : 9);
    c.out_each = random_in(1, wide ? 12 : 40);
    if (likely_layout && chance(60)) {
        c.in_each = random_in(1, 70);
        c.out_each = random_in(1, 70);
    }
    c.kernel = random_in(1, 3);
    if (c.groups == 1 && chance(10)) {         /* a sum long enough to be split */
        c.in_each = random_in(300, 900);
        c.out_each = random_in(1, 20);
        c.kernel = 1;
    }
    c.stride = random_in(1, 2);
    c.pad = random_below(c.kernel);
    bool big = c.groups * c.in_each * c.out_each * c.kernel * c.kernel > 2000;
    c.rows = random_in(1, big ? 3 : 5);
    c.columns = random_in(1, big ? 4 : 9);
    c.guards = c.pad > 0 && chance(50);
    c.x = (Shape4){c.groups * c.in_each, (c.rows - 1) * c.stride + c.kernel - 2 * c.pad,
                   (c.columns - 1) * c.stride + c.kernel - 2 * c.pad, c.pad, chance(50)};
    c.x.rows = c.x.rows < 1 ? 1 : c.x.rows;
    c.x.columns = c.x.columns < 1 ? 1 : c.x.columns;
    c.rows = (c.x.rows + 2 * c.pad - c.kernel) / c.stride + 1;
    c.columns = (c.x.columns + 2 * c.pad - c.kernel) / c.stride + 1;
    c.x.pad = c.guards && chance(60) ? 0 : c.pad;
    c.y = (Shape4){c.groups * c.out_each, c.rows, c.columns, 0, chance(50)};
    if (c.groups > 1 && (c.in_each % 16 || c.out_each % 16))
        c.x.blocked = c.y.blocked = c.y.blocked && !likely_layout && chance(10);
    return c;
}

static inline void add_conv(Str *s, bool likely_layout)
{
    Conv c = random_conv(likely_layout);
    int n_steps = random_in(0, 2);
    const char *to = n_steps ? "a" : "y";
    Shape4 r = c.y, t = c.y;
    r.blocked = t.blocked = c.y.blocked;
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", c.x);
    str_printf(s, ", weight w: f32[%d, %d, %d, %d], weight b: f32[%d]", c.y.channels, c.in_each,
               c.kernel, c.kernel, c.y.channels);
    const char *names[] = {"r", "t", "a", "y"}, *kinds[] = {"in", "scratch", "scratch", "out"};
    for (int i = 0; i < 4; i++) {
        str_add(s, ", ");
        add_tensor(s, kinds[i], names[i], i == 3 ? c.y : r);
    }
    char channel[32], in_channel[32];
    snprintf(channel, sizeof channel, c.groups > 1 ? "%d*g + o" : "o", c.out_each);
    snprintf(in_channel, sizeof in_channel, c.groups > 1 ? "%d*g + d" : "d", c.in_each);
    char spatial[96];
    char group[24] = "";
    if (c.groups > 1)
        snprintf(group, sizeof group, "g < %d, ", c.groups);
    snprintf(spatial, sizeof spatial, "n < 1, %so < %d, i < %d, j < %d", group, c.out_each, c.rows,
             c.columns);
    str_printf(s, ") {\n  for %s { %s[n, %s, i, j] = ", spatial, to, channel);
    str_printf(s, chance(50) ? "b[%s]; }\n" : "0x0p+0; }\n", channel);
    str_printf(s, "  for %s, d < %d, p < %d, q < %d {\n", spatial, c.in_each, c.kernel, c.kernel);
    const char *close = "";
    if (c.guards) {
        str_printf(s, "    if (0 <= %d*i + p - %d < %d, 0 <= %d*j + q - %d < %d) {\n", c.stride,
                   c.pad, c.x.rows, c.stride, c.pad, c.x.columns);
        close = "    }\n";
    }
    str_printf(s, "    %s[n, %s, i, j] = fma(x[n, %s, %d*i + p - %d, %d*j + q - %d], "
               "w[%s, d, p, q], %s[n, %s, i, j]);\n%s  }\n", to, channel, in_channel, c.stride,
               c.pad, c.stride, c.pad, channel, to, channel, close);
    add_steps(s, &c.y, "a", n_steps);
    str_add(s, "}\n");
}

/* A maximum with tests, or a sum, over windows. */
static inline void add_pool(Str *s)
{
    bool maximum = chance(60);
    int kernel = random_in(1, 3), stride = random_in(1, 3), pad = random_below(kernel);
    int rows = random_in(1, 6), columns = random_in(1, 9), n_steps = random_in(0, 1);
    Shape4 x = {random_in(1, 40), random_in(kernel, 9), random_in(kernel, 12), 0, chance(60)};
    rows = (x.rows + 2 * pad - kernel) / stride + 1;
    columns = (x.columns + 2 * pad - kernel) / stride + 1;
    Shape4 y = {x.channels, rows, columns, chance(20) ? 1 : 0, chance(60)};
    Shape4 a = {x.channels, rows, columns, 0, y.blocked};
    const char *to = n_steps ? "a" : "y";
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", x);
    str_add(s, ", ");
    add_tensor(s, "in", "r", a);
    str_printf(s, ", weight b: f32[%d], ", x.channels);
    add_tensor(s, "scratch", "a", a);
    str_add(s, ", ");
    add_tensor(s, "out", "y", y);
    char spatial[96];
    snprintf(spatial, sizeof spatial, "n < 1, c < %d, i < %d, j < %d", x.channels, rows, columns);
    str_printf(s, ") {\n  for %s { %s[n, c, i, j] = %s; }\n", spatial, to,
               maximum ? "-inf" : "0x0p+0");
    str_printf(s, "  for %s, p < %d, q < %d {\n", spatial, kernel, kernel);
    str_printf(s, "    if (0 <= %d*i + p - %d < %d, 0 <= %d*j + q - %d < %d) {\n", stride, pad,
               x.rows, stride, pad, x.columns);
    str_printf(s, maximum ? "      %s[n, c, i, j] = max(%s[n, c, i, j], " :
               "      %s[n, c, i, j] = (%s[n, c, i, j] + ", to, to);
    str_printf(s, "x[n, c, %d*i + p - %d, %d*j + q - %d]);\n    }\n  }\n", stride, pad, stride,
               pad);
    add_steps(s, &a, "a", n_steps);
    str_add(s, "}\n");
}

static inline void add_linear(Str *s)
{
    int n = random_in(1, 3), out = random_in(1, 70), in = random_in(1, 40);
    if (chance(15))
        in = random_in(1, 40) * random_in(16, 40), out = random_in(1, 20), n = 1;
    bool relu = chance(50), sum = chance(20);
    str_printf(s, "kernel k(in x: f32[%d, %d], weight w: f32[%d, %d], weight b: f32[%d], "
               "out y: f32[%d, %d%s]) {\n", n, in, out, in, out, n, out, chance(50) ? "" : "~16");
    str_printf(s, "  for n < %d, o < %d { y[n, o] = b[o]; }\n", n, out);
    str_printf(s, "  for n < %d, o < %d, i < %d { y[n, o] = ", n, out, in);
    str_add(s, sum ? "x[n, i] * w[o, i] + y[n, o]; }\n" : "fma(x[n, i], w[o, i], y[n, o]); }\n");
    if (relu)
        str_printf(s, "  for n < %d, c < %d { y[n, c] = max(y[n, c], 0x0p+0); }\n", n, out);
    str_add(s, "}\n");
}

/* Copies between layouts, transposes, squares with neighbours (a normalisation across channels). */
static inline void add_pointwise(Str *s)
{
    Shape4 x = {random_in(1, 40), random_in(1, 5), random_in(1, 9), random_below(2), chance(50)};
    Shape4 y = {x.channels, x.rows, x.columns, random_below(2), chance(50)};
    int size = random_in(1, 5);
    str_add(s, "kernel k(");
    add_tensor(s, "in", "x", x);
    str_printf(s, ", scratch s: f32[1, %d, %d, %d], scratch u: f32[%d], ", x.rows, x.columns,
               x.channels + size - 1, x.channels);
    add_tensor(s, "out", "y", y);
    str_printf(s, ", out z: f32[%d, %d, %d]) {\n", x.rows, x.channels, x.columns);
    char ijc[64];
    snprintf(ijc, sizeof ijc, "i < %d, j < %d, c < %d", x.rows, x.columns, x.channels);
    str_printf(s, "  for %s { s[0, i, j, c] = 0x1p+0; }\n", ijc);
    str_printf(s, "  for i < %d, j < %d, h < %d { s[0, i, j, h + %d] = 0x1p+0; }\n", x.rows,
               x.columns, size, x.channels - 1);
    str_printf(s, "  for %s { s[0, i, j, c + %d] = x[0, c, i, j] * x[0, c, i, j]; }\n", ijc,
               size / 2);
    str_printf(s, "  for %s { y[0, c, i, j] = 0x0p+0; }\n", ijc);
    str_printf(s, "  for %s, h < %d { y[0, c, i, j] = s[0, i, j, c + h] + y[0, c, i, j]; }\n", ijc,
               size);
    str_printf(s, "  for j < %d, c < %d, i < %d { z[i, c, j] = y[0, c, i, j] - 0x1p+0; }\n",
               x.columns, x.channels, x.rows);
    if (chance(30)) {
        str_printf(s, "  for c < %d { u[c] = 0x0p+0; }\n", x.channels);
        str_printf(s, "  for c < %d, i < %d { u[c] = u[c] + x[0, c, i, 0]; }\n", x.channels,
                   x.rows);
        str_printf(s, "  for i < %d, c < %d, j < %d { z[i, c, j] = z[i, c, j] * u[c]; }\n", x.rows,
                   x.channels, x.columns);
    }
    str_add(s, "}\n");
}

/* Nests that a careless reading takes for others. */
static const char *const odd_nests[] = {
    /* elements written by several iterations; the last one counts */
    "(in x: f32[20], in z: f32[8], out y: f32[27]) {"
    "  for i < 20, j < 8 { y[i + j] = x[i] - z[j]; } }",
    "(in x: f32[20], in z: f32[8], out y: f32[20]) {"
    "  for i < 20, j < 8 { y[i] = x[i] - z[j]; } }",
    "(in x: f32[3], in z: f32[3], scratch s: f32[9], out y: f32[9]) {"
    "  for i < 9 { s[i] = 0x1p+0; }  for i < 3, j < 3 { s[2*i + 2*j] = x[i] - z[j]; }"
    "  for i < 9 { y[i] = s[i]; } }",
    /* a sum into elements that several iterations share */
    "(in x: f32[20, 5], in z: f32[8, 5], out y: f32[27]) {"
    "  for i < 20, j < 8 { y[i + j] = 0x0p+0; }"
    "  for i < 20, j < 8, d < 5 { y[i + j] = fma(x[i, d], z[j, d], y[i + j]); } }",
    /* each iteration needs the one before */
    "(in x: f32[6, 40], out y: f32[6, 41]) {"
    "  for i < 6 { y[i, 0] = 0x1p+0; }"
    "  for i < 6, j < 40 { y[i, j + 1] = y[i, j] - x[i, j]; } }",
    "(in x: f32[20], out y: f32[21, 21]) {"
    "  for i < 21, j < 21 { y[i, j] = 0x1p+0; }"
    "  for i < 20, j < 20 { y[i + 1, j] = y[i, j + 1] - x[j]; } }",
    /* a sum without a first value of its own, another one under a test */
    "(in x: f32[20, 9], scratch s: f32[20], out y: f32[20]) {"
    "  for i < 20 { s[i] = x[i, 0]; }"
    "  for i < 20, j < 9 { if (0 <= i + j - 3 < 20) { s[i] = s[i] + x[i, j]; } }"
    "  for i < 20 { y[i] = s[19 - i]; }"
    "  for i < 20, j < 9 { y[i] = y[i] - x[i, j]; } }",
    /* steps that need other elements, earlier values, or overwrite what others need */
    "(in x: f32[20], scratch s: f32[20], scratch t: f32[20], out y: f32[20]) {"
    "  for i < 20 { s[i] = x[i]; }  for i < 20 { t[i] = s[i] - 0x1p+0; }"
    "  for i < 20 { s[i] = t[i] * s[i]; }  for i < 20 { y[i] = s[i] - t[19 - i]; } }",
    "(in x: f32[20], scratch s: f32[20], out y: f32[20]) {"
    "  for i < 20 { s[i] = x[i]; }  for i < 20 { y[i] = s[i] - s[19 - i]; }"
    "  for i < 20 { s[i] = y[i] * y[i]; }  for i < 20 { y[i] = s[i] - y[i]; } }",
    /* a step that many elements write */
    "(in x: f32[20, 5], scratch s: f32[20, 5], out y: f32[20], out z: f32[24]) {"
    "  for i < 20, j < 5 { s[i, j] = x[i, j] - 0x1p+0; }  for i < 20, j < 5 { y[i] = s[i, j]; }"
    "  for i < 20, j < 5 { z[i + j] = s[i, j]; } }",
    /* an update whose operands are its own element, or that is no sum */
    "(in x: f32[20, 5], in z: f32[20], out y: f32[20]) {"
    "  for i < 20 { y[i] = z[i]; }"
    "  for i < 20, d < 5 { y[i] = fma(y[i], x[i, d] - x[i, d], y[i]); }"
    "  for i < 20 { y[i] = y[i] * y[i]; } }",
    "(in x: f32[20, 5], out y: f32[20]) {"
    "  for i < 20 { y[i] = 0x1p+0; }"
    "  for i < 20, d < 5 { y[i] = fma(y[i], x[i, d] * 0x1p-1, x[i, d]); } }",
    /* parts of blocks beside each other */
    "(in x: f32[20~12] as [d0/16, d0%16], in z: f32[33], out y: f32[53~11] as [d0/16, d0%16]) {"
    "  for c < 20 { y[c] = x[c] * 0x1p+1; }  for c < 33 { y[c + 20] = z[c]; } }",
    /* no loops at all; backwards; a transposed step */
    "(in x: f32[40], in o: f32[3], out y: f32[40], out z: f32[1]) {"
    "  z[0] = o[1];  for i < 40 { y[39 - i] = x[i]; } }",
    "(in x: f32[20, 17], scratch s: f32[20, 17], out y: f32[17, 20]) {"
    "  for i < 20, j < 17 { s[i, j] = x[i, j]; }"
    "  for i < 17, j < 20 { y[i, j] = s[j, i] - 0x1p+0; } }",
};

static inline void add_odd(Str *s)
{
    str_add(s, "kernel k");
    str_add(s, odd_nests[random_below((int)(sizeof odd_nests / sizeof odd_nests[0]))]);
    str_add(s, "\n");
}

/* likely_layout: only what the compiler chooses, blocks that no group shares. */
static inline const char *random_kernel(Arena *a, bool likely_layout)
{
    Str s = str_new(a);
    int kind = random_below(12);
    if (kind > 9)
        add_odd(&s);
    else if (kind < 5)
        add_conv(&s, likely_layout);
    else if (kind < 7)
        add_linear(&s);
    else if (kind < 9)
        add_pool(&s);
    else
        add_pointwise(&s);
    return s.data;
}

#endif
