/* What the tests of the model language share: the head of a model, reading it, its messages. */
#ifndef NET2C_EXPAND_FIXTURE_H
#define NET2C_EXPAND_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/front.h"

#ifndef NET2C_SOURCE_DIR
#define NET2C_SOURCE_DIR "."
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Lines 1 to 4 of most texts here. */
#define HEAD             \
    "net2c: 1\n"         \
    "name: t\n"          \
    "inputs: {x: {shape: [N, 4, 8, 8]}}\n" \
    "params: {c: 6, k: 3, w: word, list: [1, 2]}\n"

static inline int setup(void **state)
{
    *state = cx_new();
    return *state ? 0 : -1;
}

static inline int teardown(void **state)
{
    cx_delete(*state);
    return 0;
}

static inline Graph *parse(Cx *cx, const char *text)
{
    return model_parse(cx, "t.yaml", text, strlen(text));
}

static inline char *messages(Cx *cx)
{
    return diags_render(cx->diags, cx->perm, 0, false);
}

static inline Graph *parse_good(Cx *cx, const char *text)
{
    Graph *g = parse(cx, text);
    if (!g)
        fail_msg("%s\n%s", text, messages(cx));
    assert_true(graph_verify(cx, g));
    const char *printed = graph_text(cx->perm, g);
    Graph *again = parse(cx, printed);
    if (!again)
        fail_msg("%s\n%s", printed, messages(cx));
    assert_string_equal(graph_text(cx->perm, again), printed);
    return g;
}

#endif
