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

static bool parse_block(Parser *p, Body *body);

/* ---- buffers ----------------------------------------------------------------------------- */

/* 13, a zero halo 1:13:1, slack 24~8 or 8~24~8 */
static bool parse_dim(Parser *p, Dim *d)
{
    int64_t first = 0;

    if (!expect_int(p, 0, TEXT_MAX_NUMBER, &first))
        return false;
    *d = (Dim){.extent = first};
    const char *mark = token_is(&p->token, ":") ? ":" : "~";
    if (!accept_punct(p, mark))
        return true;
    int64_t second = 0;
    if (!expect_int(p, 0, TEXT_MAX_NUMBER, &second))
        return false;
    if (mark[0] == '~' && !token_is(&p->token, "~")) {
        d->hi = second;
        return true;
    }
    d->lo = first;
    d->extent = second;
    if (!expect_punct(p, mark) || !expect_int(p, 0, TEXT_MAX_NUMBER, &d->hi))
        return false;
    d->zero = mark[0] == ':' && (d->lo > 0 || d->hi > 0);
    return true;
}

/* d2 or d2+1: the number of the dimension is part of the word */
static bool parse_storage_index(Parser *p, int rank, StorageDim *s)
{
    const char *word = p->token.text;
    int64_t dim = 0;

    if (p->token.kind != TOKEN_NAME || word[0] != 'd' || !parse_i64(word + 1, &dim) || dim < 0)
        return parser_expected(p, "a dimension (d0, d1, ...)");
    if (dim >= rank)
        return parser_fail(p, p->token.place, "E0509",
                           "there is no dimension %s: the rank is %d", word, rank);
    s->dim = (int)dim;
    parser_advance(p);
    bool minus = token_is(&p->token, "-");
    if (!minus && !token_is(&p->token, "+"))
        return true;
    parser_advance(p);
    if (!expect_int(p, 0, TEXT_MAX_NUMBER, &s->add))
        return false;
    s->add = minus ? -s->add : s->add;
    return true;
}

/* d0, d1/16, d1%16, (d2+1)/4%8 */
static bool parse_storage(Parser *p, int rank, StorageDim *s)
{
    *s = (StorageDim){.div = 1};
    bool parens = accept_punct(p, "(");
    if (!parse_storage_index(p, rank, s) || (parens && !expect_punct(p, ")")))
        return false;
    if (s->add != 0 && !parens && (token_is(&p->token, "/") || token_is(&p->token, "%")))
        return parser_fail(p, p->token.place, "E0502", "write (d%d+...) before %s", s->dim,
                           p->token.text);
    if (accept_punct(p, "/") && !expect_int(p, 1, TEXT_MAX_NUMBER, &s->div))
        return false;
    return !accept_punct(p, "%") || expect_int(p, 1, TEXT_MAX_NUMBER, &s->mod);
}

static bool parse_dims(Parser *p, Buffer *b)
{
    if (!expect_punct(p, "["))
        return false;
    while (!token_is(&p->token, "]")) {
        if (b->rank > 0 && !expect_punct(p, ","))
            return false;
        if (b->rank == MAX_DIMS)
            return parser_fail(p, p->token.place, "E0508", "more than %d dimensions", MAX_DIMS);
        if (!parse_dim(p, &b->dim[b->rank++]))
            return false;
    }
    return expect_punct(p, "]");
}

static bool parse_storage_map(Parser *p, Buffer *b)
{
    if (!expect_punct(p, "["))
        return false;
    do {
        if (b->n_storage == MAX_DIMS)
            return parser_fail(p, p->token.place, "E0508", "more than %d dimensions", MAX_DIMS);
        if (!parse_storage(p, b->rank, &b->storage[b->n_storage++]))
            return false;
    } while (accept_punct(p, ","));
    return expect_punct(p, "]");
}

bool parse_shape(Parser *p, Buffer *b)
{
    Place place = p->token.place;
    Type type;

    if (!expect_type(p, &type))
        return false;
    if (type.lanes > 1 && b->kind != BUF_LOCAL)
        return parser_fail(p, place, "E0506", "only a local buffer has elements with lanes");
    b->type = type.scalar;
    b->lanes = type.lanes;
    if (!parse_dims(p, b) || (accept_word(p, "as") && !parse_storage_map(p, b)))
        return false;
    if (buffer_bytes(b) == INT64_MAX)
        return parser_fail(p, place, "E0509", "this buffer is larger than any memory");
    return true;
}

/* x: f32[...]; the buffer is visible from here on */
static Buffer *parse_buffer(Parser *p, BufferKind kind)
{
    Buffer *b = NEW(p->arena, Buffer);
    Place place = p->token.place;

    b->kind = kind;
    if (!expect_name(p, "a buffer", &b->name) || !expect_punct(p, ":") || !parse_shape(p, b)
        || !symbol_define(p, place, SYMBOL_BUFFER, b->name, b))
        return NULL;
    return b;
}

/* ---- statements -------------------------------------------------------------------------- */

static bool enter_loop(Parser *p)
{
    if (++p->loops <= TEXT_MAX_LOOPS)
        return true;
    return parser_fail(p, p->token.place, "E0508", "more than %d nested for and if",
                       TEXT_MAX_LOOPS);
}

/* oc < 24 { ... } or oc < 24, oy < 13 { ... }: a nest of loops of one kind */
static Stmt *parse_loop(Parser *p, LoopKind kind)
{
    Var *v = NEW(p->arena, Var);
    Place place = p->token.place;

    if (!enter_loop(p) || !expect_name(p, "a loop variable", &v->name) || !expect_punct(p, "<")
        || !expect_int(p, 0, TEXT_MAX_NUMBER, &v->extent)
        || !symbol_define(p, place, SYMBOL_VAR, v->name, v))
        return NULL;
    Stmt *s = stmt_for(p->arena, v, kind);
    if (!accept_punct(p, ","))
        return expect_punct(p, "{") && parse_block(p, &s->body) ? s : NULL;
    Stmt *inner = parse_loop(p, kind);
    if (inner)
        body_add(&s->body, inner);
    return inner ? s : NULL;
}

/* 0 <= oy + ky - 1 < 13 */
static bool parse_cond(Parser *p, Cond *c)
{
    int64_t zero = 0;

    return expect_int(p, 0, 0, &zero) && expect_punct(p, "<=") && parse_index(p, &c->index)
        && expect_punct(p, "<") && expect_int(p, -TEXT_MAX_NUMBER, TEXT_MAX_NUMBER, &c->extent);
}

static Stmt *parse_if(Parser *p)
{
    Cond cond[MAX_COND];
    int n = 0;

    if (!enter_loop(p) || !expect_punct(p, "("))
        return NULL;
    do {
        if (n == MAX_COND) {
            parser_fail(p, p->token.place, "E0508", "more than %d conditions", MAX_COND);
            return NULL;
        }
        if (!parse_cond(p, &cond[n++]))
            return NULL;
    } while (accept_punct(p, ","));
    if (!expect_punct(p, ")") || !expect_punct(p, "{"))
        return NULL;
    Stmt *s = stmt_if(p->arena, cond, n);
    return parse_block(p, &s->body) ? s : NULL;
}

/* t: f32x16 = expression; */
static Stmt *parse_define(Parser *p, bool is_var)
{
    Name *name = NEW(p->arena, Name);
    Place place = p->token.place;

    name->is_var = is_var;
    if (!expect_name(p, "a name", &name->name) || !expect_punct(p, ":")
        || !expect_type(p, &name->type) || !expect_punct(p, "="))
        return NULL;
    const Expr *e = parse_expr(p, name->type);
    /* visible even if its value is wrong, so that one error stays one */
    if (!symbol_define(p, place, SYMBOL_NAME, name->name, name) || !e || !expect_punct(p, ";"))
        return NULL;
    return is_var ? stmt_var(p->arena, name, e) : stmt_let(p->arena, name, e);
}

static Stmt *parse_set(Parser *p)
{
    Place place = p->token.place;
    const Name *name = symbol_find(p, SYMBOL_NAME);

    if (!name || !expect_punct(p, "="))
        return NULL;
    if (!name->is_var) {
        parser_fail(p, place, "E0502", "'%s' is a let, which has one value", name->name);
        diag_help(p->cx->diags, "declare it with 'var' to set it again");
        return NULL;
    }
    const Expr *e = parse_expr(p, name->type);
    return e && expect_punct(p, ";") ? stmt_set(p->arena, name, e) : NULL;
}

static Stmt *parse_store(Parser *p)
{
    Buffer *b;
    Index index[MAX_DIMS];
    int n, lanes;

    if (!parse_access(p, &b, index, &n, &lanes) || !expect_punct(p, "="))
        return NULL;
    const Expr *e = parse_expr(p, (Type){b->type, lanes});
    return e && expect_punct(p, ";") ? stmt_store(p->arena, b, index, n, e) : NULL;
}

static Stmt *parse_local(Parser *p)
{
    Buffer *b = parse_buffer(p, BUF_LOCAL);

    return b && expect_punct(p, ";") ? stmt_local(p->arena, b) : NULL;
}

/* What follows the first word tells a store x[..] and a set x = from a keyword, so that no word is
 * reserved. */
static Stmt *parse_stmt(Parser *p)
{
    if (p->token.kind == TOKEN_COMMENT) {
        Stmt *s = stmt_note(p->arena, arena_strdup(p->arena, p->token.text));
        parser_advance(p);
        return s;
    }
    if (token_is(&p->ahead, "["))
        return parse_store(p);
    if (token_is(&p->ahead, "="))
        return parse_set(p);
    if (accept_word(p, "if"))
        return parse_if(p);
    if (accept_word(p, "let"))
        return parse_define(p, false);
    if (accept_word(p, "var"))
        return parse_define(p, true);
    if (accept_word(p, "local"))
        return parse_local(p);
    int kind = p->token.kind == TOKEN_NAME ? find_word(p->token.text, LOOP_WORD, 4) : -1;
    if (kind >= 0) {
        size_t mark = scope_open(p);
        parser_advance(p);
        Stmt *s = parse_loop(p, (LoopKind)kind);
        scope_close(p, mark);
        return s;
    }
    parser_expected(p, "a statement");
    return NULL;
}

/* Statements up to the } of the block; what they define ends with it. */
static bool parse_block(Parser *p, Body *body)
{
    size_t mark = scope_open(p);

    while (!accept_punct(p, "}")) {
        if (p->token.kind == TOKEN_END || p->token.kind == TOKEN_BAD)
            return parser_expected(p, "'}'");
        int loops = p->loops;
        Stmt *s = parse_stmt(p);
        p->loops = loops;
        if (s)
            body_add(body, s);
        else
            parser_recover(p);
    }
    scope_close(p, mark);
    return true;
}

/* ---- kernels ----------------------------------------------------------------------------- */

static bool parse_params(Parser *p, Kernel *k)
{
    size_t cap = 0;

    if (!expect_punct(p, "("))
        return false;
    while (!token_is(&p->token, ")")) {
        if (k->n_buffers > 0 && !expect_punct(p, ","))
            return false;
        int kind = p->token.kind == TOKEN_NAME ? find_word(p->token.text, BUFFER_WORD, 4) : -1;
        if (kind < 0)
            return parser_expected(p, "in, weight, out or scratch");
        if (k->n_buffers == MAX_PARAMS)
            return parser_fail(p, p->token.place, "E0508", "more than %d buffers", MAX_PARAMS);
        parser_advance(p);
        Buffer *b = parse_buffer(p, (BufferKind)kind);
        if (!b)
            return false;
        size_t n = (size_t)k->n_buffers++;
        k->buffer = arena_grow(p->arena, k->buffer, n, n + 1, &cap, sizeof(Buffer *));
        k->buffer[n] = b;
    }
    return expect_punct(p, ")");
}

static bool parse_cost(Parser *p, Kernel *k)
{
    return expect_word(p, "macs") && expect_int(p, 0, MAX_COST, &k->macs)
        && expect_word(p, "flops") && expect_int(p, 0, MAX_COST, &k->flops);
}

/* schedule "..."; why "..."; cost macs 1 flops 2; each at most once, before the statements */
static void parse_attributes(Parser *p, Kernel *k)
{
    for (;;) {
        bool text = p->ahead.kind == TOKEN_STRING, ok;
        if (text && !k->schedule && accept_word(p, "schedule"))
            ok = expect_string(p, &k->schedule);
        else if (text && !k->why && accept_word(p, "why"))
            ok = expect_string(p, &k->why);
        else if (token_is_word(&p->ahead, "macs") && accept_word(p, "cost"))
            ok = parse_cost(p, k);
        else
            return;
        if (!ok || !expect_punct(p, ";"))
            parser_recover(p);
    }
}

static bool parse_kernel_into(Parser *p, Kernel *k)
{
    if (!expect_word(p, "kernel") || !expect_name(p, "the name of the kernel", &k->name)
        || !parse_params(p, k))
        return false;
    k->physical = accept_word(p, "physical");
    p->physical = k->physical;
    int line = p->token.place.line;
    if (!expect_punct(p, "{"))
        return false;
    if (p->token.kind == TOKEN_COMMENT && p->token.place.line == line) {
        k->origin = arena_strdup(p->arena, p->token.text);
        parser_advance(p);
    }
    parse_attributes(p, k);
    return parse_block(p, &k->body);
}

Kernel *parse_kernel(Parser *p)
{
    Kernel *k = NEW(p->arena, Kernel);
    size_t mark = scope_open(p);

    k->arena = p->arena;
    bool ok = parse_kernel_into(p, k);
    scope_close(p, mark);
    return ok ? k : NULL;
}

Kernel *kernel_parse(Cx *cx, const char *file, const char *text)
{
    Parser p;

    if (!parser_init(&p, cx, file, text))
        return NULL;
    skip_comments(&p);
    Kernel *k = parse_kernel(&p);
    return k && parser_finish(&p, "the end of the text") ? k : NULL;
}
