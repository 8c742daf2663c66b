/* loop_parse_module: reads the text form of a module: values, kernels and calls.
 *
 * example:
 *   module net row "x86-64-v4" batch 1 type f32 arena 0 blob 0 lower 0;
 *   value input x: f32[1, 8];
 *   value output y: f32[1, 8];
 *   kernel relu(in x: f32[1, 8], out y: f32[1, 8]) { ... }
 *   call relu(x, y);
 * A weight that the compiler computes names its kernel, which stands before it, and the tensors of
 * the weights file that this kernel reads: value weight u: f32[8] made by u_of_w("conv.weight");
 * A module for several rows, row "avx512", "avx2", has a kernel relu.avx2 too, which the same call
 * stands for.
 *
 * Contract: names are defined before they are used, once; each kernel is called, since a module
 * holds kernels only through its steps. Whether arguments fit is module_verify's business. The
 * text does not tell the BufferKind of a value's shape, which follows from the value's kind.
 */
#include <limits.h>

#include "loop/loop_text.h"

#define MAX_BYTES ((int64_t)1 << 62)

typedef struct ModuleParser {
    Parser p;
    Module *module;
    size_t cap_values, cap_steps;
} ModuleParser;

/* word 13 */
static int64_t parse_field(Parser *p, const char *word, int64_t max)
{
    expect(p, word);
    return parse_int(p, 0, max);
}

/* "avx512", "avx2" */
static void parse_rows(Parser *p, Module *m)
{
    m->row = parse_name(p, "the name of a target row");
    while (accept(p, ",") && has_room(p, m->n_more + 1, MAX_ROWS, "rows"))
        m->more_row[m->n_more++] = parse_name(p, "the name of a target row");
}

static void parse_module_head(Parser *p, Module *m)
{
    expect(p, "module");
    m->name = parse_name(p, "the name of the module");
    if (accept(p, "row"))
        parse_rows(p, m);
    m->batch = parse_field(p, "batch", TEXT_MAX_NUMBER);
    expect(p, "type");
    Place place = p->token.place;
    Type type = parse_type(p);
    if (type.lanes > 1)
        parser_fail(p, place, "E0506", "the type of a module has no lanes");
    m->type = type.scalar;
    m->arena_bytes = parse_field(p, "arena", MAX_BYTES);
    m->blob_bytes = parse_field(p, "blob", MAX_BYTES);
    m->arena_lower_bound = parse_field(p, "lower", MAX_BYTES);
    expect(p, ";");
}

/* ---- values ------------------------------------------------------------------------------ */

/* from [96, 3, 11, 11] */
static void parse_source_dims(Parser *p, Value *v)
{
    int n = 0;

    expect(p, "[");
    do {
        if (!has_room(p, n, MAX_DIMS, "dimensions"))
            return;
        v->source_dim[n++] = parse_int(p, 1, TEXT_MAX_NUMBER);
    } while (accept(p, ","));
    expect(p, "]");
}

/* made by u_of_w("a", "b") */
static void parse_made(Parser *p, Value *v)
{
    int n = 0;

    expect(p, "by");
    v->make = symbol_find(p, SYMBOL_KERNEL);
    expect(p, "(");
    while (!token_is(&p->token, ")") && !parser_halted(p) &&
           has_room(p, n, MAX_SOURCES, "tensors")) {
        if (n > 0)
            expect(p, ",");
        v->made_from[n++] = parse_string(p);
    }
    expect(p, ")");
}

/* key "..." from [...] at 0 live 0 to 1; */
static void parse_value_facts(Parser *p, Value *v)
{
    if (accept(p, "key"))
        v->key = parse_string(p);
    else if (accept(p, "made"))
        parse_made(p, v);
    if (accept(p, "from"))
        parse_source_dims(p, v);
    v->offset = accept(p, "at") ? parse_int(p, 0, MAX_BYTES) : -1;
    if (accept(p, "live")) {
        v->first_step = (int)parse_int(p, 0, INT_MAX);
        expect(p, "to");
        v->last_step = (int)parse_int(p, v->first_step, INT_MAX);
    }
    expect(p, ";");
}

static void parse_value(ModuleParser *mp)
{
    static const BufferKind SHAPE_KIND[5] = {BUF_IN, BUF_OUT, BUF_OUT, BUF_WEIGHT, BUF_SCRATCH};
    Parser *p = &mp->p;
    Module *m = mp->module;
    Value *v = NEW(p->arena, Value);
    int kind = accept_word(p, VALUE_WORD, 5);

    if (kind < 0) {
        parser_expected(p, "input, output, activation, weight or scratch");
        return;
    }
    Place place = p->token.place;
    v->kind = (ValueKind)kind;
    v->shape.kind = SHAPE_KIND[kind];
    v->name = v->shape.name = parse_name(p, "the name of the value");
    if (!expect(p, ":"))
        return;
    symbol_define(p, place, SYMBOL_VALUE, v->name, v);
    size_t n = (size_t)m->n_values++;
    m->value = arena_grow(p->arena, m->value, n, n + 1, &mp->cap_values, sizeof(Value *));
    m->value[n] = v;
    parse_shape(p, &v->shape);
    parse_value_facts(p, v);
}

/* ---- kernels and calls ------------------------------------------------------------------- */

static void parse_module_kernel(Parser *p)
{
    Place place = p->ahead.place;
    Kernel *k = parse_kernel(p);

    if (!parser_halted(p))
        symbol_define(p, place, SYMBOL_KERNEL, k->name, k);
}

/* The kernels of the same call for the other rows. */
static void find_more(Parser *p, const Module *m, Place place, Step *step)
{
    for (int i = 0; i < m->n_more; i++) {
        const char *name = arena_printf(p->arena, "%s.%s", step->kernel->name, m->more_row[i]);
        Symbol *s = scope_find(&p->scope, SYMBOL_KERNEL, name);
        if (!s) {
            parser_fail(p, place, "E0504", "there is no kernel '%s'", name);
            return;
        }
        s->used = true;
        step->more[i] = s->item;
    }
}

static void parse_call_args(Parser *p, Place place, Step *step)
{
    int need = step->kernel->n_buffers, n = 0;

    if (need > MAX_STEP_ARGS) {
        parser_fail(p, place, "E0508", "a kernel with more than %d buffers is not called",
                    MAX_STEP_ARGS);
        return;
    }
    expect(p, "(");
    while (n < need && !token_is(&p->token, ")") && !parser_halted(p)) {
        if (n > 0)
            expect(p, ",");
        step->arg[n++] = symbol_find(p, SYMBOL_VALUE);
    }
    if (n < need || token_is(&p->token, ","))
        parser_fail(p, place, "E0507", "'%s' takes %d values", step->kernel->name, need);
    expect(p, ")");
    expect(p, ";");
}

static void parse_call_step(ModuleParser *mp)
{
    Parser *p = &mp->p;
    Module *m = mp->module;
    Place place = p->token.place;
    Step step = {.kernel = symbol_find(p, SYMBOL_KERNEL)};

    if (!step.kernel)
        return;
    find_more(p, m, place, &step);
    parse_call_args(p, place, &step);
    size_t n = (size_t)m->n_steps++;
    m->step = arena_grow(m->arena, m->step, n, n + 1, &mp->cap_steps, sizeof(Step));
    m->step[n] = step;
}

static void parse_item(ModuleParser *mp)
{
    Parser *p = &mp->p;

    if (token_is(&p->token, "kernel"))
        parse_module_kernel(p);
    else if (accept(p, "value"))
        parse_value(mp);
    else if (accept(p, "call"))
        parse_call_step(mp);
    else
        parser_expected(p, "value, kernel or call");
    if (parser_halted(p))
        parser_recover(p);
}

static void check_called(Parser *p)
{
    for (size_t i = 0; i < p->scope.n; i++) {
        const Symbol *s = p->scope.symbol[i];
        if (s->kind == SYMBOL_KERNEL && !s->used) {
            parser_fail(p, s->place, "E0504", "the kernel '%s' is never called", s->name);
            parser_recover(p);
        }
    }
}

Module *module_parse(Cx *cx, const char *file, const char *text)
{
    ModuleParser mp = {.module = NEW(cx->perm, Module)};
    Parser *p = &mp.p;

    if (!parser_init(p, cx, file, text))
        return NULL;
    mp.module->arena = cx->perm;
    skip_comments(p);
    parse_module_head(p, mp.module);
    for (skip_comments(p); p->token.kind == TOKEN_NAME; skip_comments(p))
        parse_item(&mp);
    if (p->errors == 0)
        check_called(p);
    return parser_finish(p, "value, kernel or call") ? mp.module : NULL;
}
