/* figures: measured numbers: the clock, medians, and text without the locale's decimal point.
 *
 *     figure_fixed(a, 4.2561, 2) -> "4.26"     figure_short(a, 1.2345e-7) -> "1.23e-07"
 */
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void figures_sort(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare_doubles);
}

double figures_median(const double *sorted, int n)
{
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* It leaves out as many at each end as hold the median by chance in 2.5 of 100. */
void figures_interval(const double *sorted, int n, double *low, double *high)
{
    int at = (int)fmax(0, floor((n - 1) / 2.0 - 0.98 * sqrt(n) + 0.5));
    *low = sorted[at];
    *high = sorted[n - 1 - at];
}

const char *figure_fixed(Arena *a, double v, int decimals)
{
    int64_t unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    if (v < 0)
        return arena_printf(a, "-%s", figure_fixed(a, -v, decimals));
    if (!(v >= 0 && v < 1e12))
        return figure_short(a, v);
    int64_t n = (int64_t)(v * (double)unit + 0.5);
    if (decimals == 0)
        return arena_printf(a, "%lld", (long long)n);
    return arena_printf(a, "%lld.%0*lld", (long long)(n / unit), decimals, (long long)(n % unit));
}

const char *figure_short(Arena *a, double v)
{
    if (v == 0)
        return "0";
    if (isnan(v))
        return "nan";
    if (isinf(v))
        return v > 0 ? "inf" : "-inf";
    int exponent = (int)floor(log10(fabs(v)));
    int64_t digits = (int64_t)(fabs(v) * pow(10, 2 - exponent) + 0.5);
    if (digits >= 1000) {
        digits /= 10;
        exponent++;
    }
    return arena_printf(a, "%s%lld.%02llde%+03d", v < 0 ? "-" : "", (long long)(digits / 100),
                        (long long)(digits % 100), exponent);
}
