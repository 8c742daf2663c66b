/* Expressions of the model language: values, what is wrong and where, and how deep they go. */
#include "expand_fixture.h"

/* ---- expressions ---------------------------------------------------------------------------- */
static Yaml *scalar(Cx *cx, const char *text, bool quoted)
{
    Yaml *y = NEW(cx->perm, Yaml);
    *y = (Yaml){.text = text, .quoted = quoted,
                .place = {"t.yaml", 1, 1, (int)strlen(text)}};
    return y;
}

static bool evaluate(Cx *cx, const char *text, Datum *out)
{
    Scope scope = {.vars = map_new(cx->perm), .tensors = map_new(cx->perm)};
    Model m = {.cx = cx, .scope = &scope, .params = map_new(cx->perm), .work = MAX_WORK};
    Tensor *t = NEW(cx->perm, Tensor);
    *t = (Tensor){.name = "x", .shape = {4, {DIM_N, 3, 7, 9}}};
    Yaml *in = scalar(cx, "x", true), *list = NEW(cx->perm, Yaml), *lost = scalar(cx, "", false);
    in->tensor = t;
    list->kind = YAML_LIST;
    lost->broken = true;
    map_put(scope.vars, "in", in);
    map_put(scope.vars, "list", list);
    map_put(scope.vars, "lost", lost);
    map_put(m.params, "a", scalar(cx, "7", false));
    map_put(m.params, "b", scalar(cx, "-2", false));
    map_put(m.params, "h", scalar(cx, "0.5", false));
    map_put(m.params, "w", scalar(cx, "word", false));
    map_put(m.params, "q", scalar(cx, "7", true));
    map_put(m.params, "on", scalar(cx, "true", false));
    map_put(m.params, "big", scalar(cx, "9223372036854775807", false));
    map_put(m.params, "huge", scalar(cx, "9223372036854775808", false));
    const Yaml *y = scalar(cx, arena_printf(cx->perm, "%s)", text), false);
    const char *at = y->text;
    return expr_read(&m, y, &at, out) && *at == '\0';
}

static void test_values(void **state)
{
    static const char *const cases[][2] = {
        /* arithmetic: Python's precedence, integers round down */
        {"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"7 / 2", "3"}, {"-7 / 2", "-4"},
        {"7 / -2", "-4"}, {"-7 / -2", "3"}, {"7 % 3", "1"}, {"-7 % 3", "2"}, {"7 % -3", "-2"},
        {"-7 % -3", "-1"}, {"2 - 3 - 4", "-5"}, {"12 / 3 * 2", "8"}, {"- - 3", "3"}, {"+3", "3"},
        {"1 << 4", "16"}, {"1 + 1 << 2", "8"}, {"-9 >> 1", "-5"},
        {"1 << 62", "4611686018427387904"},
        {"big", "9223372036854775807"}, {"-big - 1", "-9223372036854775808"},
        {"a", "7"}, {"a*b", "-14"}, {"007", "7"},
        /* fractions */
        {"7 / 2.0", "3.5"}, {"h + h", "1.0"}, {"-7.5 % 2", "0.5"}, {"7.5 % -2", "-0.5"},
        {"1e-4 * 10", "0.001"}, {".5", "0.5"}, {"sqrt(16)", "4.0"}, {"1 / sqrt(64)", "0.125"},
        {"1e+2", "100.0"}, {"0x10p0", "16.0"}, {"-h", "-0.5"},
        /* min, max */
        {"min(3, 1, 2)", "1"}, {"max(1, 2.5)", "2.5"}, {"max(a)", "7"}, {"min(1, 2) + 1", "2"},
        /* comparisons, logic; what is not needed is not worked out */
        {"1 < 2", "true"}, {"2 <= 1", "false"}, {"1 == 1.0", "true"}, {"1 != 1", "false"},
        {"2 > 1", "true"}, {"2 >= 3", "false"}, {"h < 1", "true"}, {"w == 'word'", "true"},
        {"w != \"other\"", "true"}, {"w == q", "false"}, {"on == true", "true"},
        {"not 1 == 2", "true"}, {"not on or on", "true"}, {"true or 1 / 0", "true"},
        {"false and nothing", "false"}, {"1 and 2", "true"}, {"0 or 0.0", "false"},
        {"1 or 0 and 0", "true"}, {"not not a", "true"},
        {"1 if on else 2", "1"}, {"1 if not on else 2", "2"}, {"1 if 0 else 2 if 0 else 3", "3"},
        {"1 / 0 if false else 2", "2"}, {"2 if true else 1 / 0", "2"},
        {"(1 if on else 2) + 1", "2"},
        {"1 if on else 2 + 1", "1"}, {"'x y'", "x y"}, {"w", "word"}, {"q", "7"},
        /* shapes */
        {"in.channels", "3"}, {"in.height * in.width", "63"}, {"0 if 0 else in.width", "9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx *cx = *state;
        Datum v;
        if (!evaluate(cx, cases[i][0], &v))
            fail_msg("%s: %s", cases[i][0], messages(cx));
        assert_string_equal(datum_text(cx->perm, &v), cases[i][1]);
    }
}

static void test_wrong_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
        int col;
    } cases[] = {
        {"", "E0430", 1}, {"1 +", "E0430", 4}, {"1 2", "E0430", 3}, {"(1", "E0430", 4},
        {"1 = 2", "E0430", 3}, {"1 < 2 < 3", "E0430", 8}, {"1 if 2", "E0430", 7},
        {"$a", "E0430", 1}, {"7x", "E0430", 1}, {"1.2.3", "E0430", 1}, {"'abc", "E0430", 1},
        {"abs(1)", "E0430", 1}, {"not", "E0430", 4}, {"1 + and", "E0431", 5}, {"min(1", "E0430", 7},
        {"sqrt(1, 2)", "E0430", 7}, {"in.depth", "E0430", 4}, {"a // 2", "E0430", 4},
        {"a ** 2", "E0430", 4}, {"nothing", "E0431", 1}, {"1 + aa", "E0431", 5},
        {"w + 1", "E0432", 5}, {"q + 1", "E0432", 5}, {"list + 1", "E0432", 1},
        {"1 + on", "E0432", 5}, {"w < 'x'", "E0432", 5}, {"w == 1", "E0432", 6},
        {"in + 1", "E0432", 6}, {"a.width", "E0432", 1}, {"1 if w else 2", "E0432", 6},
        {"not w", "E0432", 5}, {"sqrt(-1)", "E0432", 7}, {"sqrt(w)", "E0432", 6},
        {"h << 1", "E0432", 6}, {"min(1, w)", "E0432", 8}, {"min(w)", "E0432", 5},
        {"1 / 0", "E0433", 5}, {"1 % 0", "E0433", 5}, {"1 / 0.0", "E0433", 5},
        {"big + 1", "E0433", 7}, {"-big - 2", "E0433", 8}, {"big * 2", "E0433", 7},
        {"1 << 63", "E0433", 6}, {"2 << 62", "E0433", 6}, {"1 << -1", "E0433", 7},
        {"huge", "E0433", 1}, {"9223372036854775808", "E0433", 1}, {"(-big - 1) / -1", "E0433", 15},
        {"1e308 * 10", "E0433", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx *cx = cx_new();
        Datum v;
        bool good = evaluate(cx, cases[i].text, &v);
        const Diag *d = diags_count(cx->diags) ? diags_get(cx->diags, 0) : NULL;
        if (good || !d || diags_error_count(cx->diags) != 1 || !str_eq(d->code, cases[i].code) ||
            d->place.col != cases[i].col)
            fail_msg("%s: expected %s at %d, found %d\n%s", cases[i].text, cases[i].code,
                     cases[i].col, d ? d->place.col : 0, messages(cx));
        cx_delete(cx);
    }
    Cx *cx = cx_new();
    Datum v;
    assert_false(evaluate(cx, "lost + 1", &v));        /* reported where it was lost */
    assert_int_equal(diags_error_count(cx->diags), 0);
    cx_delete(cx);
}

/* n times open, 1, n times close: one level is the expression itself. */
static bool nested(Cx *cx, const char *open, const char *close, int n)
{
    Str s = str_new(cx->perm);
    Datum v;
    for (int i = 0; i < n; i++)
        str_add(&s, open);
    str_char(&s, '1');
    for (int i = 0; i < n; i++)
        str_add(&s, close);
    return evaluate(cx, s.data, &v);
}

static void test_nesting_of_expressions(void **state)
{
    static const char *const forms[][2] = {
        {"(", ")"}, {"-", ""}, {"not ", ""}, {"min(", ")"}, {"1 if 0 else ", ""},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_true(nested(*state, forms[i][0], forms[i][1], MAX_NESTING - 2));
        assert_true(nested(*state, forms[i][0], forms[i][1], MAX_NESTING - 1));
        assert_false(nested(*state, forms[i][0], forms[i][1], MAX_NESTING));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values),
        TEST(test_wrong_expressions),
        TEST(test_nesting_of_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
