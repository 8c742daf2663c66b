/* Every instruction of every row, compiled and run on special values, against its meaning. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "emit_fixture.h"

enum { CASES = 800 };          /* a multiple of every number of lanes */

typedef struct Instr {
    Ins ins;
    ScalarType type;
    int lanes;
    const char *format;
} Instr;

static double operand(Ins ins, int k, int i)
{
    if (ins == INS_POW2I)
        return i % 254 - 126;
    int pick = k == 0 ? i % N_SPECIAL : k == 1 ? i / N_SPECIAL : (i * (k + 4) + i / 7) % N_SPECIAL;
    double v = SPECIAL[pick % N_SPECIAL];
    bool number = (ins == INS_MIN_NUM || ins == INS_MAX_NUM) && k == 1;
    return number && isnan(v) ? 2.0 : v;
}

/* Doubles and integers take part with what they can hold. */
static double operand_of(ScalarType t, Ins ins, int k, int i)
{
    double v = operand(ins, k, i);
    if (t == TYPE_I32) {
        v = isfinite(v) && fabs(v) < 1000 ? trunc(v) : 5.0;
        return ins == INS_DIV && k == 1 && v == 0 ? 3.0 : v;
    }
    return t == TYPE_F32 ? (double)(float)v : v;
}

static bool compare(Ins ins, double a, double b)
{
    switch (ins) {
    case INS_SELECT_LT: return a < b;
    case INS_SELECT_LE: return a <= b;
    case INS_SELECT_EQ: return a == b;
    default: return a != b;
    }
}

/* What loop.h says; fused: one rounding. */
static float meaning_f32(Ins ins, const float v[4], bool fused)
{
    volatile float product = v[0] * v[1];
    switch (ins) {
    case INS_ADD: return v[0] + v[1];
    case INS_SUB: return v[0] - v[1];
    case INS_MUL: return product;
    case INS_DIV: return v[0] / v[1];
    case INS_MIN: case INS_MIN_NUM: return v[1] < v[0] || isnan(v[1]) ? v[1] : v[0];
    case INS_MAX: case INS_MAX_NUM: return v[1] > v[0] || isnan(v[1]) ? v[1] : v[0];
    case INS_FMA: return fused ? fmaf(v[0], v[1], v[2]) : product + v[2];
    case INS_NEG: return -v[0];
    case INS_ABS: return fabsf(v[0]);
    case INS_SQRT: return sqrtf(v[0]);
    case INS_ROUND: return rintf(v[0]);
    case INS_POW2I: return ldexpf(1.0f, (int)v[0]);
    case INS_SELECT_LT: case INS_SELECT_LE: case INS_SELECT_EQ: case INS_SELECT_NE:
        return compare(ins, (double)v[0], (double)v[1]) ? v[2] : v[3];
    default: return v[0];
    }
}

static double meaning_f64(Ins ins, const double v[4])
{
    volatile double product = v[0] * v[1];
    switch (ins) {
    case INS_ADD: return v[0] + v[1];
    case INS_SUB: return v[0] - v[1];
    case INS_MUL: return product;
    case INS_DIV: return v[0] / v[1];
    case INS_MIN: case INS_MIN_NUM: return v[1] < v[0] || isnan(v[1]) ? v[1] : v[0];
    case INS_MAX: case INS_MAX_NUM: return v[1] > v[0] || isnan(v[1]) ? v[1] : v[0];
    case INS_FMA: return product + v[2];
    case INS_NEG: return -v[0];
    case INS_ABS: return fabs(v[0]);
    case INS_SQRT: return sqrt(v[0]);
    case INS_ROUND: return rint(v[0]);
    case INS_POW2I: return ldexp(1.0, (int)v[0]);
    case INS_SELECT_LT: case INS_SELECT_LE: case INS_SELECT_EQ: case INS_SELECT_NE:
        return compare(ins, v[0], v[1]) ? v[2] : v[3];
    default: return v[0];
    }
}

static void expand(Str *out, const char *format, const char *const *arg)
{
    for (const char *p = format; *p; p++) {
        if (*p == '$')
            str_add(out, arg[*++p - '0']);
        else
            str_char(out, *p);
    }
}

/* void insK(const T *a, const T *b, const T *c, const T *d, T *out): all cases. */
static void add_function(Cx *cx, Str *c, const Row *row, const Instr *in, int number)
{
    const char *arg[4], *type = row_type(row, (Type){in->type, 1});
    Type t = {in->type, in->lanes};
    str_printf(c, "void ins%d(const %s *p0, const %s *p1, const %s *p2, const %s *p3, %s *out);\n",
               number, type, type, type, type, type);
    const char *attribute = row->attribute
        ? arena_printf(cx->temp, "__attribute__((%s))", row->attribute) : "";
    str_printf(c, "%s void ins%d(const %s *p0, const %s *p1, const %s *p2, const %s *p3, "
               "%s *out)\n{\n    for (int i = 0; i < %d; i += %d) {\n        (void)p0; (void)p1;"
               " (void)p2; (void)p3;\n", attribute, number, type, type, type, type, type, CASES,
               in->lanes);
    bool fetch = in->ins == INS_PREFETCH;      /* is a statement, after which the element is read */
    bool memory = in->ins == INS_LOAD || in->ins == INS_STORE || in->ins == INS_BCAST_LOAD || fetch;
    for (int k = 0; k < 4; k++) {
        Str s = str_new(cx->temp);
        const char *address = arena_printf(cx->temp, "&p%d[i]", k);
        if (in->lanes > 1 && in->ins != INS_BCAST && in->ins != INS_CONST)
            expand(&s, row_format(row, INS_LOAD, t), &address);
        else
            str_printf(&s, "p%d[i]", k);
        arg[k] = memory ? address : s.data;
    }
    if (in->ins == INS_LOAD_BF16)
        arg[0] = in->lanes > 1 ? "(const uint16_t *)(const void *)p0 + i"
                               : "((const uint16_t *)(const void *)p0)[i]";
    if (in->ins == INS_EXTRACT) {
        for (int lane = 0; lane < in->lanes; lane++) {
            arg[1] = arena_printf(cx->temp, "%d", lane);
            str_printf(c, "        out[i + %d] = ", lane);
            expand(c, in->format, arg);
            str_add(c, ";\n");
        }
        str_add(c, "    }\n}\n");
        return;
    }
    Str value = str_new(cx->temp);
    if (fetch) {
        expand(c, in->format, arg);
        str_add(c, ";\n");
    }
    expand(&value, in->ins == INS_STORE ? row_format(row, INS_LOAD, t) :
                   fetch ? "*$0" : in->format, arg);
    const char *store[2] = {"&out[i]", value.data};
    str_add(c, "        ");
    if (in->lanes > 1)
        expand(c, row_format(row, INS_STORE, t), store);
    else
        expand(c, "*($0) = $1", store);
    str_add(c, ";\n    }\n}\n");
}

/* The floats' bits, seen as elements of bf16. */
static float widened(const float *data, int i)
{
    uint32_t bits = (uint32_t)((const uint16_t *)(const void *)data)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_f32(const Row *row, const Instr *in, void *function)
{
    static float v[4][CASES], out[CASES];
    bool fused = row->has_fma;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < CASES; i++)
            v[k][i] = (float)operand_of(TYPE_F32, in->ins, k, i);
    void (*f)(const float *, const float *, const float *, const float *, float *) =
        (void (*)(const float *, const float *, const float *, const float *,
                  float *))(uintptr_t)function;
    f(v[0], v[1], v[2], v[3], out);
    for (int i = 0; i < CASES; i++) {
        bool first = in->ins == INS_BCAST || in->ins == INS_CONST || in->ins == INS_BCAST_LOAD;
        int from = first ? i / in->lanes * in->lanes : i;
        float arg[4] = {v[0][from], v[1][from], v[2][from], v[3][from]};
        float want = in->ins == INS_LOAD_BF16 ? widened(v[0], i) : meaning_f32(in->ins, arg, fused);
        if (!same_f32(want, out[i]))
            fail_msg("%s %s x%d (%a, %a, %a, %a): %a instead of %a", row->name,
                     ins_name(in->ins), in->lanes, (double)arg[0], (double)arg[1],
                     (double)arg[2], (double)arg[3], (double)out[i], (double)want);
    }
}

static void check_f64(const Instr *in, void *function)
{
    static double v[4][CASES], out[CASES];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < CASES; i++)
            v[k][i] = operand_of(TYPE_F64, in->ins, k, i);
    void (*f)(const double *, const double *, const double *, const double *, double *) =
        (void (*)(const double *, const double *, const double *, const double *,
                  double *))(uintptr_t)function;
    f(v[0], v[1], v[2], v[3], out);
    for (int i = 0; i < CASES; i++) {
        double arg[4] = {v[0][i], v[1][i], v[2][i], v[3][i]}, want = meaning_f64(in->ins, arg);
        if (!(isnan(want) && isnan(out[i])) && memcmp(&want, &out[i], sizeof want) != 0)
            fail_msg("%s f64: %a instead of %a", ins_name(in->ins), out[i], want);
    }
}

static void check_i32(const Instr *in, void *function)
{
    static int32_t v[4][CASES], out[CASES];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < CASES; i++)
            v[k][i] = (int32_t)operand_of(TYPE_I32, in->ins, k, i);
    void (*f)(const int32_t *, const int32_t *, const int32_t *, const int32_t *, int32_t *) =
        (void (*)(const int32_t *, const int32_t *, const int32_t *, const int32_t *,
                  int32_t *))(uintptr_t)function;
    f(v[0], v[1], v[2], v[3], out);
    for (int i = 0; i < CASES; i++) {
        double arg[4] = {v[0][i], v[1][i], v[2][i], v[3][i]};
        assert_int_equal(out[i], (int32_t)meaning_f64(in->ins, arg));
    }
}

/* All that the row says, itself or by its base; returns how many. */
static int instructions(const Row *row, Instr out[4 * INS_COUNT])
{
    const Type type[] = {{TYPE_F32, 1}, {TYPE_F64, 1}, {TYPE_I32, 1}, {TYPE_F32, row->lanes}};
    int n = 0, types = row->lanes > 1 ? 4 : 3;
    for (int t = 0; t < types; t++)
        for (int i = 0; i < INS_COUNT; i++) {
            const char *format = row_format(row, (Ins)i, type[t]);
            if (format)
                out[n++] = (Instr){(Ins)i, type[t].scalar, type[t].lanes, format};
        }
    return n;
}

static void check_row(const Row *row)
{
    Cx *cx = cx_new();
    if (row_runs(row)) {
        Instr in[4 * INS_COUNT];
        int n = instructions(row, in);
        Str c = str_new(cx->temp);
        emit_c_prelude(&c, &row, 1, TYPE_F64, "net2c_rt.h");
        for (int i = 0; i < n; i++)
            add_function(cx, &c, row, &in[i], i);
        CcModule *m = compile_c(cx, c.data);
        assert_non_null(m);
        for (int i = 0; i < n; i++) {
            void *f = cc_symbol(cx, m, arena_printf(cx->temp, "ins%d", i));
            if (in[i].type == TYPE_F32)
                check_f32(row, &in[i], f);
            else if (in[i].type == TYPE_F64)
                check_f64(&in[i], f);
            else
                check_i32(&in[i], f);
        }
        cc_unload(m);
    }
    cx_delete(cx);
}

static void test_instructions(void **state)
{
    (void)state;
    for (int i = 0; i < row_count(); i++)
        check_row(row_at(i));
}

/* The scalar square root is ours: against the machine's on numbers of every exponent. */
static void test_sqrt(void **state)
{
    (void)state;
    Cx *cx = cx_new();
    Str c = str_new(cx->temp);
    const Row *row = &row_scalar;
    emit_c_prelude(&c, &row, 1, TYPE_F32, "net2c_rt.h");
    str_add(&c, "float root(float x);\nfloat root(float x) { return n2c_sqrt_f32(x); }\n");
    CcModule *m = compile_c(cx, c.data);
    assert_non_null(m);
    float (*root)(float) = (float (*)(float))(uintptr_t)cc_symbol(cx, m, "root");
    uint32_t bits = 1;
    for (int i = 0; i < 4000000; i++) {
        bits = bits * 1664525u + 1013904223u;
        uint32_t positive = i < 3000 ? (uint32_t)i : bits & 0x7fffffffu;
        float x;
        memcpy(&x, &positive, sizeof x);
        if (!same_f32(root(x), sqrtf(x)))
            fail_msg("sqrt(%a) = %a", (double)x, (double)root(x));
    }
    cc_unload(m);
    cx_delete(cx);
}

static void test_lookup(void **state)
{
    (void)state;
    assert_null(row_find("no such row"));
    for (int i = 0; i < row_count(); i++) {
        const Row *row = row_at(i);
        assert_ptr_equal(row_find(row->name), row);
        assert_non_null(row_format(row, INS_FMA, (Type){TYPE_F32, 1}));
        assert_non_null(row_type(row, (Type){TYPE_F32, row->lanes}));
        assert_null(row_format(row, INS_ADD, (Type){TYPE_F32, 5}));
        assert_null(row_type(row, (Type){TYPE_F32, 5}));
    }
    for (int i = 0; i < INS_COUNT; i++)
        assert_non_null(ins_name((Ins)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_instructions),
        cmocka_unit_test(test_sqrt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
