/* fma_loop: the most multiply-adds this core can do, as a yardstick for generated code. Independent
 * accumulators in registers, no memory: GFLOP/s at 512 or 256 bits, a multiply-add counted as two.
 *
 * usage: fma_loop [--bits=512|256]       one figure for each line read (served until end of input)
 *        fma_loop --rounds=N             N figures, then maximum and median
 * Exit status 77: this CPU has no such vectors.
 */
#include "yardstick.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 400000, ACCUMULATORS = 24 };

#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) \
    F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) F(21) F(22) F(23)
#define EACH_HALF(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)

/* The accumulators stay where they are: the loop must not be folded into fewer steps. */
#define PIN(i) __asm__ volatile("" : "+v"(a##i));

__attribute__((target("avx512f"))) static float loop_512(float x)
{
    __m512 b = _mm512_set1_ps(x), c = _mm512_set1_ps(1e-9f), sum = _mm512_setzero_ps();
#define DECLARE(i) __m512 a##i = _mm512_set1_ps((float)i);
#define STEP(i) a##i = _mm512_fmadd_ps(b, c, a##i);
#define COLLECT(i) sum = _mm512_add_ps(sum, a##i);
    EACH(DECLARE)
    for (int r = 0; r < REPEATS; r++) {
        EACH(STEP)
        EACH(PIN)
    }
    EACH(COLLECT)
#undef DECLARE
#undef STEP
#undef COLLECT
    return _mm512_reduce_add_ps(sum);
}

/* Sixteen registers only: twelve accumulators, twice as many rounds. */
__attribute__((target("avx2,fma"))) static float loop_256(float x)
{
    __m256 b = _mm256_set1_ps(x), c = _mm256_set1_ps(1e-9f), sum = _mm256_setzero_ps();
#define DECLARE(i) __m256 a##i = _mm256_set1_ps((float)i);
#define STEP(i) a##i = _mm256_fmadd_ps(b, c, a##i);
#define COLLECT(i) sum = _mm256_add_ps(sum, a##i);
    EACH_HALF(DECLARE)
    for (int r = 0; r < 2 * REPEATS; r++) {
        EACH_HALF(STEP)
        __asm__ volatile("" : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5));
        __asm__ volatile("" : "+x"(a6), "+x"(a7), "+x"(a8), "+x"(a9), "+x"(a10), "+x"(a11));
    }
    EACH_HALF(COLLECT)
#undef DECLARE
#undef STEP
#undef COLLECT
    float lane[8];
    _mm256_storeu_ps(lane, sum);
    return lane[0] + lane[7];
}

static int bits = 512;
static volatile float sink;

static double measure(void)
{
    double start = now_seconds();
    sink = bits == 512 ? loop_512(1.0f) : loop_256(1.0f);
    double seconds = now_seconds() - start;
    return 2.0 * (bits / 32) * ACCUMULATORS * REPEATS / seconds * 1e-9;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--bits=", 7))
            bits = atoi(argv[i] + 7) == 256 ? 256 : 512;
    if (!(bits == 512 ? __builtin_cpu_supports("avx512f") : __builtin_cpu_supports("fma"))) {
        fprintf(stderr, "fma_loop: this CPU has no %d-bit multiply-add\n", bits);
        return 77;
    }
    return yardstick_main(argc, argv, "GFLOP/s", measure);
}
