/* loop_parse: reads the text form of a kernel: buffers, statements, the kernel itself.
 *
 * example:
 *   kernel relu1(in x: f32[8, 4], out y: f32[8, 4]) { # net.yaml:7 relu1
 *       for c < 8, i < 4 { y[c, i] = max(x[c, i], 0x0p+0); }
 *   }
 *
 * Contract: docs/loop-ir.md is the grammar; everything else is refused with place and code
 * (E0501 token, E0502 grammar, E0503 number, E0504 unknown name, E0505 defined twice, E0506 type,
 * E0507 number of indices or arguments, E0508 too large, E0509 shape). What is returned is well
 * formed and typed; whether accesses stay in bounds is loop_verify's business.
 */
#include "loop/loop_text.h"

#define MAX_PARAMS 64
#define MAX_COST ((int64_t)1 << 62)

static void parse_block(Parser *p, Body *body);

/* ---- buffers ----------------------------------------------------------------------------- */

/* 13, a zero halo 1:13:1, slack 24~8 or 8~24~8 */
static Dim parse_dim(Parser *p)
{
    int64_t first = parse_int(p, 0, TEXT_MAX_NUMBER);
    bool halo = accept(p, ":");
    if (!halo && !accept(p, "~"))
        return (Dim){.extent = first};
    int64_t second = parse_int(p, 0, TEXT_MAX_NUMBER);
    if (halo)
        expect(p, ":");
    else if (!accept(p, "~"))
        return (Dim){.extent = first, .hi = second};
    int64_t third = parse_int(p, 0, TEXT_MAX_NUMBER);
    return (Dim){second, first, third, halo && (first > 0 || third > 0)};
}

/* d2 or d2+1: the number of the dimension is part of the word */
static void parse_storage_index(Parser *p, int rank, StorageDim *s)
{
    const char *word = p->token.text;
    int64_t dim = 0;

    if (p->token.kind != TOKEN_NAME || word[0] != 'd' || !parse_i64(word + 1, &dim) || dim < 0)
        parser_expected(p, "a dimension (d0, d1, ...)");
    else if (dim >= rank)
        parser_fail(p, p->token.place, "E0509", "there is no dimension %s: the rank is %d", word,
                    rank);
    parser_advance(p);
    s->dim = (int)dim;
    if (accept(p, "+"))
        s->add = parse_int(p, 0, TEXT_MAX_NUMBER);
    else if (accept(p, "-"))
        s->add = -parse_int(p, 0, TEXT_MAX_NUMBER);
}

/* d0, d1/16, d1%16, (d2+1)/4%8 */
static StorageDim parse_storage(Parser *p, int rank)
{
    StorageDim s = {.div = 1};
    bool parens = accept(p, "(");

    parse_storage_index(p, rank, &s);
    if (parens)
        expect(p, ")");
    else if (s.add != 0 && (token_is(&p->token, "/") || token_is(&p->token, "%")))
        parser_fail(p, p->token.place, "E0502", "write (d%d+...) before %s", s.dim, p->token.text);
    if (accept(p, "/"))
        s.div = parse_int(p, 1, TEXT_MAX_NUMBER);
    if (accept(p, "%"))
        s.mod = parse_int(p, 1, TEXT_MAX_NUMBER);
    return s;
}

/* Is there another item in a list that `close` ends? Passes what stands before it. */
static bool more_items(Parser *p, int n, const char *close)
{
    if (accept(p, close) || parser_halted(p))
        return false;
    return n == 0 || expect(p, ",");
}

static void parse_storage_map(Parser *p, Buffer *b)
{
    expect(p, "[");
    do {
        if (!has_room(p, b->n_storage, MAX_DIMS, "dimensions"))
            return;
        b->storage[b->n_storage++] = parse_storage(p, b->rank);
    } while (accept(p, ","));
    expect(p, "]");
}

void parse_shape(Parser *p, Buffer *b)
{
    Place place = p->token.place;
    Type type = parse_type(p);

    if (type.lanes > 1 && b->kind != BUF_LOCAL)
        parser_fail(p, place, "E0506", "only a local buffer has elements with lanes");
    b->type = type.scalar;
    b->lanes = type.lanes;
    expect(p, "[");
    while (more_items(p, b->rank, "]") && has_room(p, b->rank, MAX_DIMS, "dimensions"))
        b->dim[b->rank++] = parse_dim(p);
    if (accept(p, "as"))
        parse_storage_map(p, b);
    if (buffer_bytes(b) == INT64_MAX)
        parser_fail(p, place, "E0509", "this buffer is larger than any memory");
}

/* x: f32[...]; the buffer is visible from here on */
static Buffer *parse_buffer(Parser *p, BufferKind kind)
{
    Buffer *b = NEW(p->arena, Buffer);
    Place place = p->token.place;

    b->kind = kind;
    b->name = parse_name(p, "a buffer");
    expect(p, ":");
    parse_shape(p, b);
    if (!parser_halted(p))
        symbol_define(p, place, SYMBOL_BUFFER, b->name, b);
    return b;
}

/* ---- statements -------------------------------------------------------------------------- */

static void enter_loop(Parser *p)
{
    has_room(p, p->loops++, TEXT_MAX_LOOPS, "nested for and if");
}

/* oc < 24; the variable is visible from here on */
static const Var *parse_range(Parser *p)
{
    Place place = p->token.place;
    Var *v = NEW(p->arena, Var);

    v->name = parse_name(p, "a loop variable");
    expect(p, "<");
    v->extent = parse_int(p, 0, TEXT_MAX_NUMBER);
    symbol_define(p, place, SYMBOL_VAR, v->name, v);
    return v;
}

/* oc < 24 { ... } or oc < 24, oy < 13 { ... }: a nest of loops of one kind */
static Stmt *parse_loop(Parser *p, LoopKind kind)
{
    enter_loop(p);
    Stmt *s = stmt_for(p->arena, parse_range(p), kind);
    if (accept(p, "upto"))
        s->expr = parse_expr(p, (Type){TYPE_I32, 1});
    if (accept(p, ","))
        body_add(&s->body, parse_loop(p, kind));
    else
        parse_block(p, &s->body);
    return s;
}

/* (0 <= oy + ky - 1 < 13, ...) { ... } */
static Stmt *parse_if(Parser *p)
{
    Stmt *s = stmt_if(p->arena, NULL, 0);

    enter_loop(p);
    expect(p, "(");
    do {
        if (!has_room(p, s->n_cond, MAX_COND, "conditions"))
            return s;
        Cond *c = &s->cond[s->n_cond++];
        parse_int(p, 0, 0);
        expect(p, "<=");
        c->index = parse_index(p);
        expect(p, "<");
        c->extent = parse_int(p, -TEXT_MAX_NUMBER, TEXT_MAX_NUMBER);
    } while (accept(p, ","));
    expect(p, ")");
    parse_block(p, &s->body);
    return s;
}

/* t: f32x16 = expression; */
static Stmt *parse_define(Parser *p, bool is_var)
{
    Name *name = NEW(p->arena, Name);
    Place place = p->token.place;

    name->is_var = is_var;
    name->name = parse_name(p, "a name");
    expect(p, ":");
    name->type = parse_type(p);
    bool has_value = expect(p, "=");
    const Expr *e = parse_expr(p, name->type);
    if (has_value)   /* visible even if its value is wrong, so that one error stays one */
        symbol_define(p, place, SYMBOL_NAME, name->name, name);
    expect(p, ";");
    return is_var ? stmt_var(p->arena, name, e) : stmt_let(p->arena, name, e);
}

static Stmt *parse_set(Parser *p)
{
    Place place = p->token.place;
    const Name *name = symbol_find(p, SYMBOL_NAME);

    expect(p, "=");
    if (!name)
        return NULL;
    if (!name->is_var && parser_fail(p, place, "E0502", "'%s' is a let, which has one value",
                                     name->name))
        diag_help(p->cx->diags, "declare it with 'var' to set it again");
    const Expr *e = parse_expr(p, name->type);
    expect(p, ";");
    return stmt_set(p->arena, name, e);
}

static Stmt *parse_store(Parser *p)
{
    Access x = parse_access(p);

    expect(p, "=");
    if (!x.buffer)
        return NULL;
    const Expr *e = parse_expr(p, (Type){x.buffer->type, x.lanes});
    expect(p, ";");
    return stmt_store(p->arena, x.buffer, x.index, x.n, e);
}

static Stmt *parse_local(Parser *p)
{
    Buffer *b = parse_buffer(p, BUF_LOCAL);

    expect(p, ";");
    return stmt_local(p->arena, b);
}

/* nz = nonzero i < 96 of x[i]; i ends with the statement, nz stays */
static Stmt *parse_list(Parser *p)
{
    Place place = p->token.place;
    const char *name = parse_name(p, "a list");
    size_t mark = p->scope.n;

    expect(p, "=");
    expect(p, "nonzero");
    const Var *v = parse_range(p);
    expect(p, "of");
    Access x = parse_access(p);
    expect(p, ";");
    scope_close(&p->scope, mark);
    if (!x.buffer)
        return NULL;
    Stmt *s = stmt_list(p->arena, name, v, expr_load(p->arena, x.buffer, x.index, x.n, x.lanes));
    symbol_define(p, place, SYMBOL_BUFFER, name, s->buffer);
    return s;
}

/* i < 96 = nz[4*j + 1]; */
static Stmt *parse_pick(Parser *p)
{
    const Var *v = parse_range(p);

    expect(p, "=");
    const Expr *e = parse_expr(p, (Type){TYPE_I32, 1});
    expect(p, ";");
    return stmt_pick(p->arena, v, e);
}

static Stmt *parse_prefetch(Parser *p)
{
    Access x = parse_access(p);

    expect(p, ";");
    return x.buffer ? stmt_prefetch(p->arena, x.buffer, x.index, x.n) : NULL;
}

/* What follows the first word tells a store x[..] and a set x = from a keyword, so that no word is
 * reserved. */
static Stmt *parse_stmt(Parser *p)
{
    if (p->token.kind == TOKEN_COMMENT) {
        Stmt *s = stmt_note(p->arena, p->token.text);
        parser_advance(p);
        return s;
    }
    if (token_is(&p->ahead, "["))
        return parse_store(p);
    if (token_is(&p->ahead, "="))
        return parse_set(p);
    if (accept(p, "if"))
        return parse_if(p);
    if (accept(p, "let"))
        return parse_define(p, false);
    if (accept(p, "var"))
        return parse_define(p, true);
    if (accept(p, "local"))
        return parse_local(p);
    if (accept(p, "list"))
        return parse_list(p);
    if (accept(p, "pick"))
        return parse_pick(p);
    if (accept(p, "prefetch"))
        return parse_prefetch(p);
    size_t mark = p->scope.n;
    int kind = accept_word(p, LOOP_WORD, 4);
    if (kind < 0) {
        parser_expected(p, "a statement");
        return NULL;
    }
    Stmt *s = parse_loop(p, (LoopKind)kind);
    scope_close(&p->scope, mark);
    return s;
}

/* Statements up to the } of their block; what they define ends with it. */
static void parse_statements(Parser *p, Body *body)
{
    size_t mark = p->scope.n;

    while (!accept(p, "}")) {
        int loops = p->loops;
        if (p->token.kind == TOKEN_END)
            parser_expected(p, "'}'");
        if (parser_halted(p))
            return;
        Stmt *s = parse_stmt(p);
        p->loops = loops;
        if (parser_halted(p))
            parser_recover(p);
        else
            body_add(body, s);
    }
    scope_close(&p->scope, mark);
}

static void parse_block(Parser *p, Body *body)
{
    expect(p, "{");
    parse_statements(p, body);
}

/* ---- kernels ----------------------------------------------------------------------------- */

static void parse_params(Parser *p, Kernel *k)
{
    size_t cap = 0;

    expect(p, "(");
    while (more_items(p, k->n_buffers, ")") && has_room(p, k->n_buffers, MAX_PARAMS, "buffers")) {
        int kind = accept_word(p, BUFFER_WORD, BUF_LOCAL);
        if (kind < 0)
            parser_expected(p, "in, weight, out or scratch");
        size_t n = (size_t)k->n_buffers++;
        k->buffer = arena_grow(p->arena, k->buffer, n, n + 1, &cap, sizeof(Buffer *));
        k->buffer[n] = parse_buffer(p, (BufferKind)kind);
    }
}

/* algo "..."; schedule "..."; why "..."; cost macs 1 flops 2; each at most once, before the
 * statements */
static void parse_attributes(Parser *p, Kernel *k)
{
    for (;;) {
        bool text = p->ahead.kind == TOKEN_STRING;
        if (text && !k->algo && accept(p, "algo")) {
            k->algo = parse_string(p);
        } else if (text && !k->schedule && accept(p, "schedule")) {
            k->schedule = parse_string(p);
        } else if (text && !k->why && accept(p, "why")) {
            k->why = parse_string(p);
        } else if (token_is(&p->ahead, "macs") && accept(p, "cost")) {
            expect(p, "macs");
            k->macs = parse_int(p, 0, MAX_COST);
            expect(p, "flops");
            k->flops = parse_int(p, 0, MAX_COST);
        } else {
            return;
        }
        expect(p, ";");
        if (parser_halted(p))
            parser_recover(p);
    }
}

Kernel *parse_kernel(Parser *p)
{
    Kernel *k = NEW(p->arena, Kernel);
    size_t mark = p->scope.n;

    k->arena = p->arena;
    expect(p, "kernel");
    k->name = parse_name(p, "the name of the kernel");
    parse_params(p, k);
    k->physical = p->physical = accept(p, "physical");
    int line = p->token.place.line;
    expect(p, "{");
    if (p->token.kind == TOKEN_COMMENT && p->token.place.line == line) {
        k->origin = arena_strdup(p->arena, p->token.text);
        parser_advance(p);
    }
    parse_attributes(p, k);
    parse_statements(p, &k->body);
    scope_close(&p->scope, mark);
    return k;
}

Kernel *kernel_parse(Cx *cx, const char *file, const char *text)
{
    Parser p;

    if (!parser_init(&p, cx, file, text))
        return NULL;
    skip_comments(&p);
    Kernel *k = parse_kernel(&p);
    return parser_finish(&p, "the end of the text") ? k : NULL;
}
