/* loop_parse_module: reads the text form of a module: values, kernels and calls.
 *
 * example:
 *   module net row "x86-64-v4" batch 1 type f32 arena 0 blob 0 lower 0;
 *   value input x: f32[1, 8];
 *   value output y: f32[1, 8];
 *   kernel relu(in x: f32[1, 8], out y: f32[1, 8]) { ... }
 *   call relu(x, y);
 *
 * Contract: names are defined before they are used, once; each kernel is called, since a module
 * holds kernels only through its steps. Whether arguments fit is module_verify's business. The
 * text does not tell the BufferKind of a value's shape, which follows from the value's kind.
 */
#include <limits.h>

#include "loop/loop_text.h"

#define MAX_BYTES ((int64_t)1 << 62)
#define MAX_CANDIDATES 200     /* names compared for a hint */

typedef struct ParsedKernel {
    Kernel *kernel;
    Place place;
    bool called;
} ParsedKernel;

typedef struct ModuleParser {
    Parser *p;
    Module *module;
    Map *kernels;                  /* name -> ParsedKernel */
    Map *values;                   /* name -> Value */
    size_t cap_values, cap_steps;
} ModuleParser;

/* ---- head and values --------------------------------------------------------------------- */

static bool parse_module_head(Parser *p, Module *m)
{
    Type type;

    if (!expect_word(p, "module") || !expect_name(p, "the name of the module", &m->name)
        || (accept_word(p, "row") && !expect_name(p, "the name of a target row", &m->row)))
        return false;
    if (!expect_word(p, "batch") || !expect_int(p, 0, TEXT_MAX_NUMBER, &m->batch)
        || !expect_word(p, "type"))
        return false;
    Place place = p->token.place;
    if (!expect_type(p, &type))
        return false;
    if (type.lanes > 1)
        return parser_fail(p, place, "E0506", "the type of a module has no lanes");
    m->type = type.scalar;
    return expect_word(p, "arena") && expect_int(p, 0, MAX_BYTES, &m->arena_bytes)
        && expect_word(p, "blob") && expect_int(p, 0, MAX_BYTES, &m->blob_bytes)
        && expect_word(p, "lower") && expect_int(p, 0, MAX_BYTES, &m->arena_lower_bound)
        && expect_punct(p, ";");
}

/* from [96, 3, 11, 11] */
static bool parse_source_dims(Parser *p, Value *v)
{
    int n = 0;

    if (!expect_punct(p, "["))
        return false;
    do {
        if (n == MAX_DIMS)
            return parser_fail(p, p->token.place, "E0508", "more than %d dimensions", MAX_DIMS);
        if (!expect_int(p, 1, TEXT_MAX_NUMBER, &v->source_dim[n++]))
            return false;
    } while (accept_punct(p, ","));
    return expect_punct(p, "]");
}

/* live 3 to 7 */
static bool parse_lifetime(Parser *p, Value *v)
{
    int64_t first = 0, last = 0;

    if (!expect_int(p, 0, INT_MAX, &first) || !expect_word(p, "to")
        || !expect_int(p, first, INT_MAX, &last))
        return false;
    v->first_step = (int)first;
    v->last_step = (int)last;
    return true;
}

/* key "..." from [...] at 0 live 0 to 1 */
static bool parse_value_facts(Parser *p, Value *v)
{
    v->offset = -1;
    return (!accept_word(p, "key") || expect_string(p, &v->key))
        && (!accept_word(p, "from") || parse_source_dims(p, v))
        && (!accept_word(p, "at") || expect_int(p, 0, MAX_BYTES, &v->offset))
        && (!accept_word(p, "live") || parse_lifetime(p, v))
        && expect_punct(p, ";");
}

static bool parse_value(ModuleParser *mp)
{
    static const BufferKind SHAPE_KIND[5] = {BUF_IN, BUF_OUT, BUF_OUT, BUF_WEIGHT, BUF_SCRATCH};
    Parser *p = mp->p;
    Module *m = mp->module;
    Value *v = NEW(p->arena, Value);
    int kind = p->token.kind == TOKEN_NAME ? find_word(p->token.text, VALUE_WORD, 5) : -1;

    if (kind < 0)
        return parser_expected(p, "input, output, activation, weight or scratch");
    parser_advance(p);
    Place place = p->token.place;
    v->kind = (ValueKind)kind;
    v->shape.kind = SHAPE_KIND[kind];
    if (!expect_name(p, "the name of the value", &v->name) || !expect_punct(p, ":"))
        return false;
    v->shape.name = v->name;
    if (map_get(mp->values, v->name))
        return parser_fail(p, place, "E0505", "there is already a value '%s'", v->name);
    map_put(mp->values, v->name, v);
    size_t n = (size_t)m->n_values++;
    m->value = arena_grow(p->arena, m->value, n, n + 1, &mp->cap_values, sizeof(Value *));
    m->value[n] = v;
    return parse_shape(p, &v->shape) && parse_value_facts(p, v);
}

/* ---- kernels and calls ------------------------------------------------------------------- */

static bool parse_module_kernel(ModuleParser *mp)
{
    Place place = mp->p->ahead.place;
    Kernel *k = parse_kernel(mp->p);

    if (!k)
        return false;
    if (map_get(mp->kernels, k->name))
        return parser_fail(mp->p, place, "E0505", "there is already a kernel '%s'", k->name);
    ParsedKernel *pk = NEW(mp->p->cx->temp, ParsedKernel);
    *pk = (ParsedKernel){k, place, false};
    map_put(mp->kernels, k->name, pk);
    return true;
}

/* The entry that the current token names, which it passes. */
static void *find_entry(Parser *p, const Map *map, const char *what)
{
    const char *candidate[MAX_CANDIDATES];
    Token t = p->token;
    int n = 0;

    if (t.kind != TOKEN_NAME && t.kind != TOKEN_STRING) {
        parser_expected(p, what);
        return NULL;
    }
    void *entry = map_get(map, t.text);
    if (entry) {
        parser_advance(p);
        return entry;
    }
    parser_fail(p, t.place, "E0504", "there is no %s '%s'", what, t.text);
    while ((size_t)n < map_count(map) && n < MAX_CANDIDATES) {
        candidate[n] = map_key(map, (size_t)n);
        n++;
    }
    const char *nearest = str_nearest(p->cx->temp, t.text, candidate, n);
    if (nearest)
        diag_help(p->cx->diags, "did you mean '%s'?", nearest);
    return NULL;
}

static bool parse_call_args(ModuleParser *mp, Place place, Step *step)
{
    Parser *p = mp->p;
    int need = step->kernel->n_buffers, n = 0;

    if (need > MAX_DIMS * 2)
        return parser_fail(p, place, "E0508", "a kernel with more than %d buffers is not called",
                           MAX_DIMS * 2);
    if (!expect_punct(p, "("))
        return false;
    while (n < need && !token_is(&p->token, ")")) {
        if (n > 0 && !expect_punct(p, ","))
            return false;
        step->arg[n] = find_entry(p, mp->values, "value");
        if (!step->arg[n++])
            return false;
    }
    if (n < need || token_is(&p->token, ","))
        return parser_fail(p, place, "E0507", "'%s' takes %d values", step->kernel->name, need);
    return expect_punct(p, ")") && expect_punct(p, ";");
}

static bool parse_call_step(ModuleParser *mp)
{
    Place place = mp->p->token.place;
    Module *m = mp->module;
    ParsedKernel *pk = find_entry(mp->p, mp->kernels, "kernel");
    Step step = {0};

    if (!pk)
        return false;
    pk->called = true;
    step.kernel = pk->kernel;
    if (!parse_call_args(mp, place, &step))
        return false;
    size_t n = (size_t)m->n_steps++;
    m->step = arena_grow(m->arena, m->step, n, n + 1, &mp->cap_steps, sizeof(Step));
    m->step[n] = step;
    return true;
}

static bool parse_item(ModuleParser *mp)
{
    if (token_is_word(&mp->p->token, "kernel"))
        return parse_module_kernel(mp);
    if (accept_word(mp->p, "value"))
        return parse_value(mp);
    if (accept_word(mp->p, "call"))
        return parse_call_step(mp);
    return parser_expected(mp->p, "value, kernel or call");
}

static void check_called(const ModuleParser *mp)
{
    for (size_t i = 0; i < map_count(mp->kernels); i++) {
        const ParsedKernel *pk = map_value(mp->kernels, i);
        if (!pk->called)
            parser_fail(mp->p, pk->place, "E0504", "the kernel '%s' is never called",
                        pk->kernel->name);
    }
}

Module *module_parse(Cx *cx, const char *file, const char *text)
{
    Parser p;

    if (!parser_init(&p, cx, file, text))
        return NULL;
    Module *m = NEW(cx->perm, Module);
    ModuleParser mp = {&p, m, map_new(cx->temp), map_new(cx->temp), 0, 0};
    m->arena = cx->perm;
    skip_comments(&p);
    if (!parse_module_head(&p, m))
        return NULL;
    for (skip_comments(&p); p.token.kind == TOKEN_NAME; skip_comments(&p)) {
        if (!parse_item(&mp))
            parser_recover(&p);
    }
    if (p.errors == 0)
        check_called(&mp);
    return parser_finish(&p, "value, kernel or call") ? m : NULL;
}
