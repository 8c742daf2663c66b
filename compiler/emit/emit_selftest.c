/* emit_selftest.c: NAME_test.c, a program that tries the generated code where it is to run.
 *
 *     ./net_gen_test --bench net_gen.n2w
 *     avx2: ok
 *     avx2: 0.1402 ms
 *
 * The inputs are seeded numbers that it makes itself; what must come out stands in it. It needs the
 * C library and, where the weights are a file, n2c_map_weights.
 * contract: C99 and C++. Of an output, at most MOST elements are recorded, evenly spaced. An
 * element may differ by a share of the largest magnitude of the output.
 */
#include "emit/emit.h"

#include <inttypes.h>
#include <math.h>

enum { MOST = 1000, NUMBERS_A_LINE = 4 };
#define TOLERANCE 1e-4

static int64_t stride_of(const EmitPublic *p)
{
    return (p->count + MOST - 1) / MOST;
}

static void add_number(Str *out, double v)
{
    if (isnan(v))
        str_add(out, "NAN");
    else if (isinf(v))
        str_add(out, v > 0 ? "HUGE_VAL" : "-HUGE_VAL");
    else
        str_double(out, v);
}

static void add_expected(Str *out, const EmitPublic *p, const double *expected)
{
    str_printf(out, "static const double want_%s[] = {", p->field);
    for (int64_t i = 0, n = 0; i < p->count; i += stride_of(p), n++) {
        str_add(out, n % NUMBERS_A_LINE ? ", " : n ? ",\n    " : "\n    ");
        add_number(out, expected[i]);
    }
    str_add(out, "\n};\n");
}

static double allowed(const EmitPublic *p, const double *expected)
{
    double most = 0;
    for (int64_t i = 0; i < p->count; i++)
        if (isfinite(expected[i]))
            most = fmax(most, fabs(expected[i]));
    return TOLERANCE * most;
}

static void add_data(const EmitFile *f, Str *out)
{
    for (int i = 0; i < f->n_io; i++) {
        emit_text_of(f, out, &f->io[i], "static $T $d_$f[$N_MAX_BATCH * $N_$M_COUNT];\n");
        if (i >= f->n_inputs)
            add_expected(out, &f->io[i], f->o->test->expected[i]);
    }
}

/* One row: seeded inputs, poisoned outputs, run, compare. */
static void add_row_test(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "/* One instruction set; outputs are NaN before, in case they are not written. */\n"
              "static int test($n_model *m, const $n_io *io, uint32_t isa, const char *row,\n"
              "    int bench)\n"
              "{\n"
              "    static const size_t batch[] = {${n$,$eu$}};\n"
              "    size_t i;\n"
              "    int right = 1;\n"
              "    if (!$n_use_isa(m, isa)) {\n"
              "        printf(\"%s: not on this CPU\\n\", row);\n"
              "        return 1;\n"
              "    }\n"
              "    for (i = 0; i < sizeof batch / sizeof *batch; i++) {\n"
              "${o        memset(out_$f, 255, sizeof out_$f);\n$}"
              "        right &= run(m, io, batch[i]);\n");
    for (int i = f->n_inputs; i < f->n_io; i++) {
        const EmitPublic *p = &f->io[i];
        str_printf(out, "        right &= compare(\"%s\", out_%s, want_%s, %" PRId64 "u, "
                        "sizeof want_%s / sizeof *want_%s,\n            ", p->field, p->field,
                   p->field, stride_of(p), p->field, p->field);
        add_number(out, allowed(p, f->o->test->expected[i]));
        str_add(out, ");\n");
    }
    str_add(out, "    }\n"
                 "    printf(\"%s: %s\\n\", row, right ? \"ok\" : \"WRONG\");\n"
                 "    if (bench)\n"
                 "        printf(\"%s: %.4f ms\\n\", row, measure(m, io));\n"
                 "    return right;\n}\n\n");
}

static void add_helpers(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "\n/* Uniform in -1 ... 1, by splitmix64. */\n"
              "static void fill(float *x, size_t n, uint64_t state)\n"
              "{\n"
              "    size_t i;\n"
              "    for (i = 0; i < n; i++) {\n"
              "        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);\n"
              "        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);\n"
              "        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);\n"
              "        x[i] = (float)((int32_t)(z >> 40) - (1 << 23)) / (float)(1 << 23);\n"
              "    }\n"
              "}\n\n"
              "static int compare(const char *name, const float *got, const double *want,\n"
              "    size_t stride, size_t n, double allowed)\n"
              "{\n"
              "    size_t i, wrong = 0;\n"
              "    for (i = 0; i < n; i++) {\n"
              "        const double a = (double)got[i * stride], b = want[i];\n"
              "        const int same = a == b || (a != a && b != b) || fabs(a - b) <= allowed;\n"
              "        if (!same && wrong++ == 0)\n"
              "            printf(\"%s[%lu] is %.9g, expected %.9g\\n\", name,\n"
              "                (unsigned long)(i * stride), a, b);\n"
              "    }\n"
              "    return wrong == 0;\n"
              "}\n\n"
              "static int run(const $n_model *m, const $n_io *io, size_t batch)\n"
              "{\n"
              "    static unsigned char room[$N_ARENA_BYTES(1) + $N_ARENA_ALIGN];\n"
              "    unsigned char *arena = room + ($N_ARENA_ALIGN - (uintptr_t)room %\n"
              "        $N_ARENA_ALIGN) % $N_ARENA_ALIGN;\n"
              "    return $n_run(m, io, batch, arena, NULL) == N2C_OK;\n"
              "}\n\n"
              "/* Milliseconds a run: the best of five times a tenth of a second and more. */\n"
              "static double measure(const $n_model *m, const $n_io *io)\n"
              "{\n"
              "    double best = HUGE_VAL;\n"
              "    long i, runs = 1;\n"
              "    int round = 0;\n"
              "    while (round < 5) {\n"
              "        const clock_t start = clock();\n"
              "        double seconds;\n"
              "        for (i = 0; i < runs; i++)\n"
              "            run(m, io, $N_MAX_BATCH);\n"
              "        seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;\n"
              "        if (seconds < 0.1 && runs < 1L << 24) {\n"
              "            runs *= 2;\n"
              "        } else {\n"
              "            best = fmin(best, 1e3 * seconds / (double)runs);\n"
              "            round++;\n"
              "        }\n"
              "    }\n"
              "    return best;\n"
              "}\n\n");
}

static void add_main(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "int main(int argc, char **argv)\n"
              "{\n"
              "    const int bench = argc > 1 && strcmp(argv[1], \"--bench\") == 0;\n"
              "${l    const void *const weights = $n_weights;\n"
              "    const size_t bytes = $N_WEIGHTS_BYTES;\n"
              "    n2c_status status = N2C_OK;\n$}"
              "${m    const char *const path = argc > bench + 1 ? argv[bench + 1] : \"$F.n2w\";\n"
              "    const void *weights;\n"
              "    size_t bytes;\n"
              "    n2c_status status = n2c_map_weights(path, &weights, &bytes);\n$}"
              "    int right = 1;\n"
              "    $n_model m;\n"
              "    $n_io io;\n");
    for (int i = 0; i < f->n_io; i++) {
        emit_text_of(f, out, &f->io[i], "    io.$f = $d_$f;\n");
        if (i < f->n_inputs)
            str_printf(out, "    fill(in_%s, sizeof in_%s / sizeof *in_%s,\n"
                            "        UINT64_C(0x%016" PRIx64 "));\n", f->io[i].field,
                       f->io[i].field, f->io[i].field, f->o->test->seed[i]);
    }
    emit_text(f, out,
              "    if (status == N2C_OK)\n"
              "        status = $n_bind(&m, weights, bytes);\n"
              "    if (status == N2C_OK)\n"
              "        status = $n_check(&m);\n"
              "    if (status != N2C_OK) {\n"
              "        printf(\"status %d: see net2c_rt.h\\n\", (int)status);\n"
              "        return 1;\n"
              "    }\n"
              "${r    right &= test(&m, &io, $N_ISA_$I, \"$r\", bench);\n$}"
              "    return !right;\n"
              "}\n");
}

void emit_selftest(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "/* $F_test.c: does $F.c compute what it should? Generated by net2c $V.\n"
              " *\n"
              " * Seeded numbers go in; what comes out is compared with the operators'\n"
              " * definitions in double precision, on each instruction set that this CPU has.\n"
              " * Build: cc -O2 $F_test.c $F.c ${mlibnet2c_rt.a$}${S$F_weights.S -I.$}"
              "${C$F_weights.c$} -lm\n"
              " * usage: $F_test [--bench]${m [$F.n2w]$}\n"
              " * Exit status: 0 right, 1 wrong. --bench: milliseconds of $N_MAX_BATCH items.\n"
              " */\n"
              "#include \"$F.h\"\n\n"
              "#include <math.h>\n#include <stdio.h>\n#include <string.h>\n#include <time.h>\n\n");
    add_data(f, out);
    add_helpers(f, out);
    add_row_test(f, out);
    add_main(f, out);
}
