/* classify_photo: a picture through AlexNet's generated code. An example of embedding it: map the
 * weights, bind them, give run an arena; nothing else of net2c is linked.
 *
 *   cc -O2 -Iout -Iruntime/include examples/classify_photo.c out/alexnet_gen.c \
 *       build/libnet2c_rt.a -lm -o out/classify_photo
 *   out/classify_photo out/alexnet_gen.n2w models/photo.jpg
 *
 * Prints the five largest logits with their class numbers, milliseconds per image and the bytes of
 * the arena. The preparation is that of `preprocess:` in models/alexnet.yaml, by the formula in
 * docs/model-language.md: the logits are those of net2c run on the same picture.
 */
#include "alexnet_gen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#include <stb/stb_image.h>

enum { SIDE = 224, SHORTER = 256, TOP = 5, RUNS = 20 };

static float image[3 * SIDE * SIDE];
static float logits[ALEXNET_LOGITS_COUNT];

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "classify_photo: %s: %s\n", what, why);
    return 1;
}

typedef struct Axis {              /* of `from` pixels scaled to `to`, those from `begin` on */
    int from;
    double scale, reach, begin;
} Axis;

static Axis axis_make(int from, int to)
{
    double scale = (double)from / to;
    Axis a = {from, scale, fmax(scale, 1), rint((to - SIDE) / 2.0)};
    return a;
}

/* Channel c of target pixel (x, y): each source pixel counts the more the nearer it is. */
static double sample(const unsigned char *rgb, const Axis *h, const Axis *v, int x, int y, int c)
{
    double cx = (h->begin + x + 0.5) * h->scale - 0.5, cy = (v->begin + y + 0.5) * v->scale - 0.5;
    int right = (int)fmin(floor(cx + h->reach), h->from - 1);
    int bottom = (int)fmin(floor(cy + v->reach), v->from - 1);
    double sum = 0, total = 0;
    for (int j = (int)fmax(ceil(cy - v->reach), 0); j <= bottom; j++)
        for (int i = (int)fmax(ceil(cx - h->reach), 0); i <= right; i++) {
            double share = (1 - fabs(j - cy) / v->reach) * (1 - fabs(i - cx) / h->reach);
            sum += share * rgb[((size_t)j * (size_t)h->from + (size_t)i) * 3 + (size_t)c];
            total += share;
        }
    return sum / total;
}

static void prepare(const unsigned char *rgb, int width, int height)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    int wide = width > height;
    Axis h = axis_make(width, wide ? (int)((long long)width * SHORTER / height) : SHORTER);
    Axis v = axis_make(height, wide ? SHORTER : (int)((long long)height * SHORTER / width));
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                double value = sample(rgb, &h, &v, x, y, c) / 255;
                image[(c * SIDE + y) * SIDE + x] = (float)((value - mean[c]) / deviation[c]);
            }
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void print_top(void)
{
    for (int place = 1; place <= TOP; place++) {
        size_t best = 0;
        for (size_t i = 1; i < ALEXNET_LOGITS_COUNT; i++)
            if (logits[i] > logits[best])
                best = i;
        printf("  %d. class %zu, logit %.4f\n", place, best, (double)logits[best]);
        logits[best] = -INFINITY;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return fail("usage", "classify_photo WEIGHTS.n2w PICTURE");
    int width, height, channels;
    unsigned char *rgb = stbi_load(argv[2], &width, &height, &channels, 3);
    if (!rgb)
        return fail(argv[2], stbi_failure_reason());
    prepare(rgb, width, height);
    stbi_image_free(rgb);

    const void *weights;
    size_t bytes;
    alexnet_model model;
    n2c_status status = n2c_map_weights(argv[1], &weights, &bytes);
    if (status == N2C_OK)
        status = alexnet_bind(&model, weights, bytes);
    if (status == N2C_OK)
        status = alexnet_check(&model);
    if (status != N2C_OK)
        return fail(argv[1], n2c_status_text(status));

    size_t arena_bytes = alexnet_info()->arena_bytes;
    void *arena = n2c_aligned_alloc(arena_bytes);
    if (!arena)
        return fail("arena", "out of memory");
    alexnet_io io = {image, logits};
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        double start = now_ms();
        status = alexnet_run(&model, &io, 1, arena, NULL);
        best = fmin(best, now_ms() - start);
        if (status != N2C_OK)
            return fail("run", n2c_status_text(status));
    }
    print_top();
    printf("  %.2f ms per image (best of %d), arena %zu bytes\n", best, RUNS, arena_bytes);
    n2c_aligned_free(arena);
    n2c_unmap_weights(weights, bytes);
    return 0;
}
