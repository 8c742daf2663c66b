/* predict: a network in C. Maps the weights, binds them, runs once, prints the result.
 *
 *   predict tiny_gen.n2w
 *
 * The order of things: weights first, for as long as the model is used; then the model, which never
 * changes after bind; an arena for each call that runs at the same time as another.
 */
#include "tiny_gen.h"

#include <stdio.h>

enum { SIDE = 12 };

static float image[TINY_IMAGE_COUNT];
static float prob[TINY_PROB_COUNT];

static void draw(void)
{
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            image[y * SIDE + x] = (float)((x + 2 * y) % 16) / 16;
}

static void print_steps(const n2c_info *info)
{
    for (unsigned i = 0; i < info->n_steps; i++)
        fprintf(stderr, "step %u: %s\n", i, info->steps[i].name);
    fprintf(stderr, "weights %zu bytes, arena %zu bytes\n", info->weights_bytes,
            info->arena_bytes);
}

int main(int argc, char **argv)
{
    const void *weights = NULL;
    size_t bytes = 0;
    tiny_model model;
    tiny_io io = {image, prob};
    const char *path = argc > 1 ? argv[1] : "tiny_gen.n2w";
    void *arena = n2c_aligned_alloc(TINY_ARENA_BYTES(1));
    n2c_status status = arena ? n2c_map_weights(path, &weights, &bytes) : N2C_BAD_ARGUMENT;
    if (status == N2C_OK)
        status = tiny_bind(&model, weights, bytes);
    if (status == N2C_OK)
        status = tiny_check(&model);        /* optional: reads all weights once */
    if (status == N2C_OK) {
        draw();
        print_steps(tiny_info());
        status = tiny_run(&model, &io, 1, arena, NULL);
    }
    for (size_t i = 0; status == N2C_OK && i < TINY_PROB_COUNT; i++)
        printf("%.9g\n", (double)prob[i]);
    if (status != N2C_OK)
        fprintf(stderr, "predict: %s: %s\n", path, n2c_status_text(status));
    n2c_unmap_weights(weights, bytes);
    n2c_aligned_free(arena);
    return status != N2C_OK;
}
