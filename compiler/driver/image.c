/* image: a photograph as a network's input.
 *
 *     451 x 300 JPEG -> 224 x 224: scaled until it covers the square (337 x 224), cut around the
 *     middle, each channel (v / 255 - mean) / std, as planes R, G, B
 *
 * Scaling is linear interpolation with a triangle as wide as a target pixel when it shrinks, so
 * that no source pixel is skipped. Decoding is stb_image's; JPEG and PNG only. contract: a file
 * that cannot be decoded, or of more than 64 million pixels, is reported.
 */
#include "driver/driver.h"

#include <limits.h>
#include <math.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS (1 << 16)
#include <stb/stb_image.h>

#define MAX_FILE ((size_t)256 << 20)
#define MAX_PIXELS (64 << 20)

typedef struct Axis {              /* source pixels behind each target pixel, weights included */
    int *first, *count;
    double *weight;                /* `most` a target pixel */
    int most;
} Axis;

static bool bad(Cx *cx, const char *path, const char *why)
{
    diag_error(cx->diags, NO_PLACE, "E0122", "cannot use the picture '%s': %s", path, why);
    return false;
}

/* n target pixels; scale source pixels each, the first one beginning at start. */
static Axis axis_make(Arena *a, int source, int64_t n, double start, double scale)
{
    double reach = scale > 1 ? scale : 1;
    Axis x = {NEW_ARRAY(a, int, n), NEW_ARRAY(a, int, n), NULL, (int)(2 * reach) + 3};
    x.weight = NEW_ARRAY(a, double, n * x.most);
    for (int64_t i = 0; i < n; i++) {
        double center = start + ((double)i + 0.5) * scale - 0.5, sum = 0;
        int first = (int)ceil(center - reach), last = (int)floor(center + reach);
        first = first < 0 ? 0 : first > source - 1 ? source - 1 : first;
        last = last > source - 1 ? source - 1 : last < first ? first : last;
        x.first[i] = first;
        x.count[i] = last - first + 1 < x.most ? last - first + 1 : x.most;
        double *w = &x.weight[i * x.most];
        for (int k = 0; k < x.count[i]; k++) {
            double away = fabs(first + k - center) / reach;
            w[k] = away < 1 ? 1 - away : 0;
            sum += w[k];
        }
        for (int k = 0; k < x.count[i]; k++)
            w[k] = sum > 0 ? w[k] / sum : k == 0;
    }
    return x;
}

static double sample(const stbi_uc *pixel, int width, int64_t channels, int64_t c, const Axis *y,
                     int64_t i, const Axis *x, int64_t j)
{
    double sum = 0;
    for (int k = 0; k < y->count[i]; k++) {
        const stbi_uc *line = pixel + (size_t)(y->first[i] + k) * (size_t)width * (size_t)channels;
        double part = 0;
        for (int l = 0; l < x->count[j]; l++)
            part += x->weight[j * x->most + l] * line[(x->first[j] + l) * channels + c];
        sum += y->weight[i * y->most + k] * part;
    }
    return sum;
}

static float *resample(Cx *cx, const stbi_uc *pixel, int width, int height, const int64_t to[3],
                       const ImageOptions *o)
{
    double scale = fmin((double)width / (double)to[2], (double)height / (double)to[1]);
    Axis x = axis_make(cx->perm, width, to[2], (width - scale * (double)to[2]) / 2, scale);
    Axis y = axis_make(cx->perm, height, to[1], (height - scale * (double)to[1]) / 2, scale);
    float *out = NEW_ARRAY(cx->perm, float, to[0] * to[1] * to[2]);
    float *at = out;
    for (int64_t c = 0; c < to[0]; c++)
        for (int64_t i = 0; i < to[1]; i++)
            for (int64_t j = 0; j < to[2]; j++) {
                double v = sample(pixel, width, to[0], c, &y, i, &x, j) / 255;
                *at++ = (float)((v - o->mean[c]) / o->std[c]);
            }
    return out;
}

/* The Huffman tables of one JPEG segment, which begins with its length. stb_image trusts their
 * sizes: more than 256 codes would overrun it. */
static bool tables_fit(const uint8_t *p, size_t n)
{
    int left = (p[0] << 8 | p[1]) - 2;
    size_t at = 2;
    while (left > 0 && at + 17 <= n) {
        int codes = 0;
        for (int i = 1; i <= 16; i++)
            codes += p[at + (size_t)i];
        if (codes > 256)
            return false;
        left -= 17 + codes;
        at += 17 + (size_t)codes;
    }
    return true;
}

/* Are all tables of a JPEG sound? Looks from segment to segment before the first scan, afterwards
 * wherever a marker may stand. */
static bool jpeg_fits(Bytes file)
{
    if (file.data[0] != 0xff)
        return true;
    bool scan = false;
    for (size_t at = 0; at + 3 < file.size; ) {
        const uint8_t *p = file.data + at++;
        if (p[0] != 0xff || p[1] == 0 || p[1] == 0xff)
            continue;
        if (p[1] == 0xc4 && !tables_fit(p + 2, file.size - at - 1))
            return false;
        bool bare = p[1] == 0x01 || (p[1] >= 0xd0 && p[1] <= 0xd9);
        scan = scan || p[1] == 0xda;
        if (!scan && !bare)
            at += 1 + (size_t)(p[2] << 8 | p[3]);
    }
    return true;
}

float *image_read(Cx *cx, const char *path, int64_t c, int64_t h, int64_t w,
                  const ImageOptions *o)
{
    Bytes file;
    int width, height, channels;
    const int64_t to[3] = {c, h, w};
    if (c != 1 && c != 3) {
        bad(cx, path, "the input has neither 1 nor 3 channels");
        return NULL;
    }
    if (!file_read(cx, path, MAX_FILE, &file))
        return NULL;
    bool sound = file.size > 0 && jpeg_fits(file);
    if (!sound ||
        !stbi_info_from_memory(file.data, (int)file.size, &width, &height, &channels) ||
        (int64_t)width * height > MAX_PIXELS) {
        bad(cx, path, "not a sound JPEG or PNG file, or too large");
        return NULL;
    }
    stbi_uc *pixel = stbi_load_from_memory(file.data, (int)file.size, &width, &height, &channels,
                                           (int)c);
    if (!pixel) {
        bad(cx, path, stbi_failure_reason());
        return NULL;
    }
    float *out = resample(cx, pixel, width, height, to, o);
    stbi_image_free(pixel);
    return out;
}

static bool read_three(Cx *cx, const Options *o, OptId id, const char *fallback, double out[3])
{
    const char *text = option_text(o, id, fallback), *at = text;
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(at, ",");
        if (!parse_double(arena_strndup(cx->temp, at, n), &out[i]) || (at[n] != ',') != (i == 2) ||
            (id == OPT_STD && !(out[i] > 0)) || !isfinite(out[i])) {
            diag_error(cx->diags, NO_PLACE, "E0003", "'%s' is not three numbers%s", text,
                       id == OPT_STD ? " above 0" : "");
            diag_help(cx->diags, "write them like %s", fallback);
            return false;
        }
        at += n + (at[n] == ',');
    }
    return true;
}

bool image_options(Cx *cx, const Options *o, ImageOptions *out)
{
    return read_three(cx, o, OPT_MEAN, "0.485,0.456,0.406", out->mean) &&
           read_three(cx, o, OPT_STD, "0.229,0.224,0.225", out->std);
}
