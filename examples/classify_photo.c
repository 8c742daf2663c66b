/* classify_photo: a picture through AlexNet's generated code. An example of embedding it: map the
 * weights, bind them, give run an arena; nothing else of net2c is linked.
 *
 *   cc -O2 -Iout -Iruntime/include examples/classify_photo.c out/alexnet_gen.c \
 *       build/libnet2c_rt.a -lm -o out/classify_photo
 *   out/classify_photo out/alexnet_gen.n2w models/photo.jpg
 *
 * Prints the five largest logits with their class numbers, milliseconds per image and the bytes of
 * the arena. The preparation is ImageNet's usual one: shorter side to 256, the middle 224 x 224,
 * mean and deviation per channel.
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

/* Channel c at a fractional position, bilinear; positions beyond the edge are clamped. */
static float sample(const unsigned char *rgb, int width, int height, float x, float y, int c)
{
    float cx = fminf(fmaxf(x, 0), (float)(width - 1)), cy = fminf(fmaxf(y, 0), (float)(height - 1));
    int x0 = (int)cx, y0 = (int)cy;
    int x1 = x0 + 1 < width ? x0 + 1 : x0, y1 = y0 + 1 < height ? y0 + 1 : y0;
    float fx = cx - (float)x0, fy = cy - (float)y0;
    float top = (1 - fx) * rgb[(y0 * width + x0) * 3 + c] + fx * rgb[(y0 * width + x1) * 3 + c];
    float low = (1 - fx) * rgb[(y1 * width + x0) * 3 + c] + fx * rgb[(y1 * width + x1) * 3 + c];
    return (1 - fy) * top + fy * low;
}

static void prepare(const unsigned char *rgb, int width, int height)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    float scale = (float)(width < height ? width : height) / SHORTER;
    float left = (float)width / 2 - scale * SIDE / 2, top = (float)height / 2 - scale * SIDE / 2;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                float v = sample(rgb, width, height, left + scale * ((float)x + 0.5f) - 0.5f,
                                 top + scale * ((float)y + 0.5f) - 0.5f, c);
                image[(c * SIDE + y) * SIDE + x] = (v / 255 - mean[c]) / deviation[c];
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
