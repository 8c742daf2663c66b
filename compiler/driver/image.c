/* image: a photograph as a network's input.
 *
 *     preprocess: {image: {resize: 256, crop: 224, mean: [...], std: [...]}}
 *     451 x 300 JPEG -> 384 x 256, of which the middle 224 x 224; channels (v / 255 - mean) / std
 *
 * Without `preprocess` the picture is scaled until it covers the input, and cut around the middle.
 * Scaling is linear interpolation with a triangle as wide as a target pixel when it shrinks, so
 * that no source pixel is skipped; docs/model-language.md has the formula. Decoding is stb_image's;
 * JPEG and PNG only. contract: a file that cannot be decoded, of more than 64 million pixels, or
 * that does not give the input's size, is reported.
 */
#include "driver/driver.h"

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
    return diag_error(cx->diags, NO_PLACE, "E0122", "cannot use the picture '%s': %s", path, why);
}

/* n of the `to` target pixels of `from` source pixels, from number `begin` on. */
static Axis axis_make(Arena *a, int64_t from, int64_t to, int64_t begin, int64_t n)
{
    double scale = (double)from / (double)to;
    double reach = scale > 1 ? scale : 1;
    Axis x = {NEW_ARRAY(a, int, n), NEW_ARRAY(a, int, n), NULL, (int)(2 * reach) + 3};
    x.weight = NEW_ARRAY(a, double, n * x.most);
    for (int64_t i = 0; i < n; i++) {
        double center = ((double)(begin + i) + 0.5) * scale - 0.5, sum = 0;
        int first = (int)ceil(center - reach), last = (int)floor(center + reach);
        int end = (int)from - 1;
        first = first < 0 ? 0 : first > end ? end : first;
        last = last > end ? end : last < first ? first : last;
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

/* The size, height first, to which a picture is scaled: one side is told, the other follows. */
static void scaled_size(const Preprocess *p, const int64_t from[2], const int64_t need[2],
                        int64_t to[2])
{
    bool told = p->input != NULL;
    int side = told ? from[1] < from[0] : need[0] * from[1] < need[1] * from[0];
    to[side] = !told ? need[side] : p->resize ? p->resize : from[side];
    to[!side] = from[!side] * to[side] / from[side];
}

static float *resample(Cx *cx, const stbi_uc *pixel, const int64_t from[2], const int64_t to[2],
                       const int64_t need[2], const Preprocess *p)
{
    int64_t begin[2], channels = p->channels;
    for (int i = 0; i < 2; i++)
        begin[i] = (int64_t)rint((double)(to[i] - need[i]) / 2);
    Axis y = axis_make(cx->perm, from[0], to[0], begin[0], need[0]);
    Axis x = axis_make(cx->perm, from[1], to[1], begin[1], need[1]);
    float *out = NEW_ARRAY(cx->perm, float, channels * need[0] * need[1]);
    float *at = out;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < need[0]; i++)
            for (int64_t j = 0; j < need[1]; j++) {
                int64_t from_channel = p->bgr ? channels - 1 - c : c;
                double v = sample(pixel, (int)from[1], channels, from_channel, &y, i, &x, j) / 255;
                *at++ = (float)((v - p->mean[c]) / p->std[c]);
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

static bool check_size(Cx *cx, const char *path, const Preprocess *p, const int64_t from[2],
                       const int64_t to[2], const int64_t need[2])
{
    bool cut = !p->input || p->crop, fits = true;
    for (int i = 0; i < 2; i++)
        fits = fits && (cut ? to[i] >= need[i] : to[i] == need[i]);
    if (fits)
        return true;
    bad(cx, path, arena_printf(cx->perm, "'preprocess' makes %lld x %lld of its %lld x %lld "
                               "pixels, the input takes %lld x %lld", (long long)to[1],
                               (long long)to[0], (long long)from[1], (long long)from[0],
                               (long long)need[1], (long long)need[0]));
    return diag_help(cx->diags, "'resize' sets the shorter side, 'crop' cuts out the middle");
}

float *image_read(Cx *cx, const char *path, const Shape *s, const Preprocess *p)
{
    Bytes file;
    int width, height, channels;
    const int64_t need[2] = {s->dim[2], s->dim[3]};
    if (!file_read(cx, path, MAX_FILE, &file))
        return NULL;
    bool sound = file.size > 0 && jpeg_fits(file);
    if (!sound ||
        !stbi_info_from_memory(file.data, (int)file.size, &width, &height, &channels) ||
        (int64_t)width * height > MAX_PIXELS) {
        bad(cx, path, "not a sound JPEG or PNG file, or too large");
        return NULL;
    }
    const int64_t from[2] = {height, width};
    int64_t to[2];
    scaled_size(p, from, need, to);
    if (!check_size(cx, path, p, from, to, need))
        return NULL;
    stbi_uc *pixel = stbi_load_from_memory(file.data, (int)file.size, &width, &height, &channels,
                                           p->channels);
    if (!pixel) {
        bad(cx, path, stbi_failure_reason());
        return NULL;
    }
    float *out = resample(cx, pixel, from, to, need, p);
    stbi_image_free(pixel);
    return out;
}

/* "0.5" for all channels or "0.485,0.456,0.406"; nothing given: out stays as it is. */
static bool read_channels(Cx *cx, const Options *o, OptId id, int channels, double *out)
{
    const char *text = option_text(o, id, NULL), *at = text;
    for (int i = 0; at && i < channels; i++) {
        size_t n = strcspn(at, ",");
        bool more = at[n] == ',', one = i == 0 && !more;
        if (!parse_double(arena_strndup(cx->temp, at, n), &out[i]) || !isfinite(out[i]) ||
            (id == OPT_STD && !(out[i] > 0)) || (!one && more != (i + 1 < channels))) {
            diag_error(cx->diags, NO_PLACE, "E0003", "'%s' is not a number%s, nor one for each "
                       "of the %d channels", text, id == OPT_STD ? " above 0" : "", channels);
            return diag_help(cx->diags, "write it like 0.5%s",
                             channels == 3 ? " or 0.5,0.4,0.3" : "");
        }
        for (int k = 1; one && k < channels; k++)
            out[k] = out[0];
        at = one ? NULL : at + n + more;
    }
    return true;
}

bool image_options(Cx *cx, const Options *o, Preprocess *p)
{
    return read_channels(cx, o, OPT_MEAN, p->channels, p->mean) &&
           read_channels(cx, o, OPT_STD, p->channels, p->std);
}
