/* yardstick: what the measuring programs of this folder have in common, so that a script can run
 * them in turn. A program answers each line on standard input with one figure on standard output;
 * with --rounds=N it measures N times and sums up instead.
 */
#ifndef NET2C_YARDSTICK_H
#define NET2C_YARDSTICK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline int yardstick_main(int argc, char **argv, const char *unit, double (*measure)(void))
{
    enum { MAX_ROUNDS = 1000 };
    static double figure[MAX_ROUNDS];
    int rounds = 0;
    char line[64];
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "--rounds=", 9))
            rounds = atoi(argv[i] + 9);
    measure();                                     /* warm: pages, clock */
    if (rounds > MAX_ROUNDS)
        rounds = MAX_ROUNDS;
    for (int i = 0; i < rounds; i++)
        figure[i] = measure();
    if (rounds > 0) {
        qsort(figure, (size_t)rounds, sizeof *figure, compare_doubles);
        printf("max %.2f median %.2f min %.2f %s\n", figure[rounds - 1], figure[rounds / 2],
               figure[0], unit);
        return 0;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("%.6f\n", measure());
        fflush(stdout);
    }
    return 0;
}

#endif
