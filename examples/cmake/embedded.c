/* embedded: a network without files and without allocation. The weights are linked into the
 * program, the arena is a static array of exactly the size that the header tells.
 */
#include "tiny_gen.h"

#include <stdio.h>

enum { SIDE = 12 };

static N2C_ALIGNED(64) unsigned char arena[TINY_ARENA_BYTES(1)];
static float image[TINY_IMAGE_COUNT];
static float prob[TINY_PROB_COUNT];

int main(void)
{
    tiny_model model;
    tiny_io io = {image, prob};
    n2c_status status = tiny_bind(&model, tiny_weights, TINY_WEIGHTS_BYTES);
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (float)((i % SIDE + 2 * (i / SIDE)) % 16) / 16;
    if (status == N2C_OK)
        status = tiny_run(&model, &io, 1, arena, NULL);
    for (size_t i = 0; status == N2C_OK && i < TINY_PROB_COUNT; i++)
        printf("%.9g\n", (double)prob[i]);
    if (status != N2C_OK)
        fprintf(stderr, "embedded: %s\n", n2c_status_text(status));
    return status != N2C_OK;
}
