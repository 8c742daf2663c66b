/* loop_print: the text form of the loop IR, for people, dumps, golden tests and hashes.
 *
 * example:
 *   kernel relu1(in x: f32[1, 8, 4], out y: f32[1, 8, 4]) { # net.yaml:7 relu1
 *       for n < 1, c < 8, i < 4 {
 *           y[n, c, i] = max(x[n, c, i], 0x0p+0);
 *       }
 *   }
 *
 * Contract: docs/loop-ir.md is the grammar. Printing is a function of the structure alone, and
 * kernel_parse reads a text back to a kernel with the same text. Constants are exact. A constant
 * shows its type only where the reader could not know it: `want` is what both sides expect.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "loop/loop_text.h"

#define LINE_WIDTH 100

typedef struct Printer {
    Str s;
    int indent;
    uint64_t *hash;   /* not NULL: each finished line is folded into it and forgotten */
} Printer;

const char *const SCALAR_WORD[4] = {"f32", "f64", "i32", "bf16"};
const char *const LOOP_WORD[4] = {"for", "unroll", "vector", "parallel"};
const char *const BUFFER_WORD[5] = {"in", "out", "weight", "scratch", "local"};
const char *const VALUE_WORD[5] = {"input", "output", "activation", "weight", "scratch"};
const char *const BIN_WORD[6] = {"+", "-", "*", "/", "min", "max"};
const char *const HREDUCE_WORD[6] = {"hsum", "hsub", "hmul", "hdiv", "hmin", "hmax"};
const char *const UN_WORD[10] = {"neg", "abs", "sqrt", "round",   "pow2i",
                                 "exp", "log", "tanh", "sigmoid", "pow_neg_quarters"};
const char *const CMP_WORD[4] = {"<", "<=", "==", "!="};

/* ---- words ------------------------------------------------------------------------------- */

static const char *quote(Arena *a, const char *text)
{
    Str s = str_new(a);

    str_char(&s, '"');
    for (const char *c = text; *c; c++) {
        bool control = (unsigned char)*c < 0x20 || *c == 0x7f;
        if (control)
            str_printf(&s, "\\x%02x", (unsigned)(unsigned char)*c);
        else
            str_printf(&s, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    str_char(&s, '"');
    return s.data;
}

/* A name that does not look like one is quoted, so that any layer name survives. */
static const char *name_text(Arena *a, const char *name)
{
    if (!name)
        name = "";
    size_t n = name_length(name);
    bool plain = n > 0 && name[n] == 0 && !str_eq(name, "inf") && !str_eq(name, "nan");
    return plain ? name : quote(a, name);
}

const char *type_text(Arena *a, Type t)
{
    const char *scalar = scalar_name(t.scalar);

    return t.lanes > 1 ? arena_printf(a, "%sx%d", scalar, t.lanes) : scalar;
}

/* One line, trimmed: what the reader gives back. */
static void print_comment(Str *s, const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    str_add(s, n > 0 ? "# " : "#");
    for (size_t i = 0; i < n; i++) {
        bool control = (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
        str_char(s, control ? ' ' : text[i]);
    }
}

/* ---- indices and buffers ----------------------------------------------------------------- */

/* k * name, or k alone without a name, as the first term of a sum or a later one. */
static void print_term(Str *s, bool first, int64_t k, const char *name)
{
    uint64_t size = k < 0 ? 0 - (uint64_t)k : (uint64_t)k;

    if (first)
        str_add(s, k < 0 ? "-" : "");
    else
        str_add(s, k < 0 ? " - " : " + ");
    if (!name)
        str_printf(s, "%" PRIu64, size);
    else if (size == 1)
        str_add(s, name);
    else
        str_printf(s, "%" PRIu64 "*%s", size, name);
}

static void print_index(Str *s, Index x)
{
    for (int i = 0; i < x.n; i++)
        print_term(s, i == 0, x.term[i].coef, name_text(s->arena, x.term[i].var->name));
    if (x.n == 0 || x.c != 0)
        print_term(s, x.n == 0, x.c, NULL);
}

/* y[i, j +: 16]: lanes > 1 says that the last index is the first of that many. */
static void print_access(Str *s, const Buffer *b, const Index *index, int n, int lanes)
{
    str_printf(s, "%s[", name_text(s->arena, b->name));
    for (int i = 0; i < n; i++) {
        str_add(s, i > 0 ? ", " : "");
        print_index(s, index[i]);
    }
    if (lanes > 1 && b->lanes <= 1)
        str_printf(s, " +: %d", lanes);
    str_char(s, ']');
}

static void print_dim(Str *s, const Dim *d)
{
    const char *mark = d->zero ? ":" : "~";

    if (d->lo == 0 && d->hi == 0)
        str_printf(s, "%" PRId64, d->extent);
    else if (d->lo == 0 && !d->zero)
        str_printf(s, "%" PRId64 "~%" PRId64, d->extent, d->hi);
    else
        str_printf(s, "%" PRId64 "%s%" PRId64 "%s%" PRId64, d->lo, mark, d->extent, mark, d->hi);
}

static void print_storage(Str *s, const StorageDim *d)
{
    bool parens = d->add != 0 && (d->div != 1 || d->mod != 0);

    str_printf(s, "%sd%d", parens ? "(" : "", d->dim);
    if (d->add != 0)
        str_printf(s, "%+" PRId64, d->add);
    str_add(s, parens ? ")" : "");
    if (d->div != 1)
        str_printf(s, "/%" PRId64, d->div);
    if (d->mod != 0)
        str_printf(s, "%%%" PRId64, d->mod);
}

static void print_buffer(Str *s, const Buffer *b)
{
    str_printf(s, "%s: %s[", name_text(s->arena, b->name),
               type_text(s->arena, (Type){b->type, b->lanes}));
    for (int i = 0; i < b->rank; i++) {
        str_add(s, i > 0 ? ", " : "");
        print_dim(s, &b->dim[i]);
    }
    str_char(s, ']');
    for (int i = 0; i < b->n_storage; i++) {
        str_add(s, i > 0 ? ", " : " as [");
        print_storage(s, &b->storage[i]);
    }
    str_add(s, b->n_storage > 0 ? "]" : "");
}

/* ---- expressions ------------------------------------------------------------------------- */

static void print_expr(Str *s, const Expr *e, const Type *want, int level);

static void print_const(Str *s, const Expr *e, const Type *want)
{
    /* an f32 constant is a float, whatever double it was computed in */
    double v = e->type.scalar == TYPE_F32 ? (double)(float)e->value : e->value;

    if (e->type.scalar == TYPE_I32 && fabs(v) <= 0x1p31)
        str_printf(s, "%" PRId64, (int64_t)v);
    else
        str_hex_double(s, v);
    if (!want || !type_equal(e->type, *want))
        str_printf(s, ":%s", type_text(s->arena, e->type));
}

/* Levels of binding: 0 anything, 1 the right of + and -, 2 the right of * and /. */
static void print_infix(Str *s, const Expr *e, const Type *want, int level)
{
    int mine = e->op == BIN_ADD || e->op == BIN_SUB ? 0 : 1;

    str_add(s, mine < level ? "(" : "");
    print_expr(s, e->arg[0], want, mine);
    str_printf(s, " %s ", BIN_WORD[e->op]);
    print_expr(s, e->arg[1], want ? want : &e->arg[0]->type, mine + 1);
    str_add(s, mine < level ? ")" : "");
}

/* Arguments from `first` on and the ) behind; the first one's type is known to those after it. */
static void print_args(Str *s, const Expr *e, int first, const Type *want)
{
    for (int i = first; i < expr_args(e); i++) {
        str_add(s, i > first ? ", " : "");
        print_expr(s, e->arg[i], i > first && !want ? &e->arg[first]->type : want, 0);
    }
    if (e->kind == EXPR_UN && e->op == UN_POW_NEG_QUARTERS)
        str_printf(s, ", %d", e->ipar);
    if (e->kind == EXPR_BCAST)
        str_printf(s, ", %d", e->type.lanes);
    str_char(s, ')');
}

static void print_call(Str *s, const char *word, const Expr *e, const Type *want)
{
    str_printf(s, "%s(", word);
    print_args(s, e, 0, want);
}

static void print_select(Str *s, const Expr *e, const Type *want)
{
    str_add(s, "select(");
    print_expr(s, e->arg[0], NULL, 0);
    str_printf(s, " %s ", CMP_WORD[e->op]);
    print_expr(s, e->arg[1], &e->arg[0]->type, 0);
    str_add(s, ", ");
    print_args(s, e, 2, want);
}

static void print_expr(Str *s, const Expr *e, const Type *want, int level)
{
    Type scalar = want ? (Type){want->scalar, 1} : e->type;

    switch (e->kind) {
    case EXPR_CONST: print_const(s, e, want); break;
    case EXPR_LOAD: print_access(s, e->buffer, e->index, e->n_index, e->type.lanes); break;
    case EXPR_NAME: str_add(s, name_text(s->arena, e->name->name)); break;
    case EXPR_BIN:
        if (e->op == BIN_MIN || e->op == BIN_MAX)
            print_call(s, BIN_WORD[e->op], e, want);
        else
            print_infix(s, e, want, level);
        break;
    case EXPR_UN: print_call(s, UN_WORD[e->op], e, want); break;
    case EXPR_FMA: print_call(s, "fma", e, want); break;
    case EXPR_CAST: print_call(s, scalar_name(e->type.scalar), e, NULL); break;
    case EXPR_SELECT: print_select(s, e, want); break;
    case EXPR_BCAST: print_call(s, "bcast", e, want ? &scalar : NULL); break;
    case EXPR_HSUM: print_call(s, HREDUCE_WORD[e->op], e, NULL); break;
    }
}

/* ---- statements -------------------------------------------------------------------------- */

static void end_line(Printer *p)
{
    str_char(&p->s, '\n');
    if (p->hash) {
        *p->hash = hash_bytes(*p->hash, p->s.data, p->s.len);
        p->s.len = 0;
    }
}

static void print_stmt(Printer *p, const Stmt *s);

static void print_body(Printer *p, Body b)
{
    end_line(p);
    p->indent++;
    for (const Stmt *s = b.first; s; s = s->next)
        print_stmt(p, s);
    p->indent--;
    str_printf(&p->s, "%*s}", 4 * p->indent, "");
}

static void print_range(Str *s, const Var *v)
{
    str_printf(s, "%s < %" PRId64, name_text(s->arena, v->name), v->extent);
}

/* Loops of one kind with nothing between them share a head: for oc < 8, oy < 13 { ... }. */
static void print_for(Printer *p, const Stmt *f)
{
    str_add(&p->s, LOOP_WORD[f->loop]);
    for (const char *before = " ";; before = ", ") {
        str_add(&p->s, before);
        print_range(&p->s, f->var);
        if (f->expr) {
            str_add(&p->s, " upto ");
            print_expr(&p->s, f->expr, NULL, 0);
        }
        const Stmt *inner = f->body.first;
        if (!inner || inner->next || inner->kind != STMT_FOR || inner->loop != f->loop)
            break;
        f = inner;
    }
    str_add(&p->s, " {");
    print_body(p, f->body);
}

static void print_if(Printer *p, const Stmt *f)
{
    for (int i = 0; i < f->n_cond; i++) {
        str_add(&p->s, i > 0 ? ", 0 <= " : "if (0 <= ");
        print_index(&p->s, f->cond[i].index);
        str_printf(&p->s, " < %" PRId64, f->cond[i].extent);
    }
    str_add(&p->s, ") {");
    print_body(p, f->body);
}

static void print_value(Str *s, const Expr *e, Type want)
{
    str_add(s, " = ");
    print_expr(s, e, &want, 0);
    str_char(s, ';');
}

static void print_define(Str *s, const char *word, const Stmt *d)
{
    str_printf(s, "%s%s", word, name_text(s->arena, d->name->name));
    if (d->kind != STMT_SET)
        str_printf(s, ": %s", type_text(s->arena, d->name->type));
    print_value(s, d->expr, d->name->type);
}

static void print_store(Str *s, const Stmt *st)
{
    int lanes = st->expr->type.lanes;

    print_access(s, st->buffer, st->index, st->n_index, lanes);
    print_value(s, st->expr, (Type){st->buffer->type, lanes});
}

static void print_local(Str *s, const Buffer *b)
{
    str_add(s, "local ");
    print_buffer(s, b);
    str_char(s, ';');
}

static void print_list(Str *s, const Stmt *l)
{
    str_printf(s, "list %s = nonzero ", name_text(s->arena, l->buffer->name));
    print_range(s, l->var);
    str_add(s, " of ");
    print_expr(s, l->expr, NULL, 0);
    str_char(s, ';');
}

static void print_pick(Str *s, const Stmt *p)
{
    str_add(s, "pick ");
    print_range(s, p->var);
    print_value(s, p->expr, p->expr->type);
}

static void print_prefetch(Str *s, const Stmt *p)
{
    str_add(s, "prefetch ");
    print_access(s, p->buffer, p->index, p->n_index, 1);
    str_char(s, ';');
}

static void print_stmt(Printer *p, const Stmt *s)
{
    str_printf(&p->s, "%*s", 4 * p->indent, "");
    switch (s->kind) {
    case STMT_FOR: print_for(p, s); break;
    case STMT_IF: print_if(p, s); break;
    case STMT_LET: print_define(&p->s, "let ", s); break;
    case STMT_VAR: print_define(&p->s, "var ", s); break;
    case STMT_SET: print_define(&p->s, "", s); break;
    case STMT_STORE: print_store(&p->s, s); break;
    case STMT_LOCAL: print_local(&p->s, s->buffer); break;
    case STMT_NOTE: print_comment(&p->s, s->text); break;
    case STMT_LIST: print_list(&p->s, s); break;
    case STMT_PICK: print_pick(&p->s, s); break;
    case STMT_PREFETCH: print_prefetch(&p->s, s); break;
    }
    end_line(p);
}

/* ---- kernels ----------------------------------------------------------------------------- */

static void print_params(Str *s, const Kernel *k, const char *before)
{
    for (int i = 0; i < k->n_buffers; i++) {
        str_add(s, i > 0 ? "," : "");
        str_add(s, i > 0 && !*before ? " " : before);
        str_printf(s, "%s ", BUFFER_WORD[k->buffer[i]->kind]);
        print_buffer(s, k->buffer[i]);
    }
    str_add(s, k->physical ? ") physical {" : ") {");
}

/* On one line if it fits, else a line for each parameter. */
static void print_head(Str *s, const Kernel *k)
{
    size_t start = s->len;

    str_printf(s, "kernel %s(", name_text(s->arena, k->name));
    size_t params = s->len;
    print_params(s, k, "");
    if (s->len - start > LINE_WIDTH && k->n_buffers > 0) {
        s->len = params;
        print_params(s, k, "\n    ");
    }
    if (k->origin) {
        str_char(s, ' ');
        print_comment(s, k->origin);
    }
}

static void print_attribute(Str *s, const char *word, const char *text)
{
    if (text)
        str_printf(s, "\n    %s %s;", word, quote(s->arena, text));
}

static void print_kernel(Printer *p, const Kernel *k)
{
    Str *s = &p->s;

    print_head(s, k);
    print_attribute(s, "algo", k->algo);
    print_attribute(s, "schedule", k->schedule);
    print_attribute(s, "why", k->why);
    if (k->macs != 0 || k->flops != 0)
        str_printf(s, "\n    cost macs %" PRId64 " flops %" PRId64 ";", k->macs, k->flops);
    print_body(p, k->body);
    end_line(p);
}

/* ---- modules ----------------------------------------------------------------------------- */

static void print_module_value(Str *s, const Value *v)
{
    Buffer shape = v->shape;

    shape.name = v->name;
    str_printf(s, "value %s ", VALUE_WORD[v->kind]);
    print_buffer(s, &shape);
    if (v->key)
        str_printf(s, " key %s", quote(s->arena, v->key));
    if (v->make)
        str_printf(s, " made by %s(", name_text(s->arena, v->make->name));
    for (int i = 0; v->make && i < MAX_SOURCES && v->made_from[i]; i++)
        str_printf(s, "%s%s", i > 0 ? ", " : "", quote(s->arena, v->made_from[i]));
    str_add(s, v->make ? ")" : "");
    for (int i = 0; i < MAX_DIMS && v->source_dim[i] > 0; i++)
        str_printf(s, "%s%" PRId64, i > 0 ? ", " : " from [", v->source_dim[i]);
    str_add(s, v->source_dim[0] > 0 ? "]" : "");
    if (v->offset >= 0)
        str_printf(s, " at %" PRId64, v->offset);
    if (v->first_step != 0 || v->last_step != 0)
        str_printf(s, " live %d to %d", v->first_step, v->last_step);
    str_add(s, ";\n");
}

static void print_module_head(Str *s, const Module *m)
{
    str_printf(s, "module %s", name_text(s->arena, m->name));
    if (m->row)
        str_printf(s, " row %s", quote(s->arena, m->row));
    for (int i = 0; i < m->n_more; i++)
        str_printf(s, ", %s", quote(s->arena, m->more_row[i]));
    str_printf(s, " batch %" PRId64 " type %s arena %" PRId64 " blob %" PRId64 " lower %" PRId64
               ";\n\n", m->batch, scalar_name(m->type), m->arena_bytes, m->blob_bytes,
               m->arena_lower_bound);
}

static void print_step(Str *s, const Step *step)
{
    str_printf(s, "call %s(", name_text(s->arena, step->kernel->name));
    for (int i = 0; i < step->kernel->n_buffers && i < MAX_STEP_ARGS; i++)
        str_printf(s, "%s%s", i > 0 ? ", " : "",
                   name_text(s->arena, step->arg[i] ? step->arg[i]->name : NULL));
    str_add(s, ");\n");
}

static bool called_before(const Module *m, int step)
{
    for (int i = 0; i < step; i++)
        if (m->step[i].kernel == m->step[step].kernel)
            return true;
    return false;
}

/* ---- texts ------------------------------------------------------------------------------- */

char *module_text(Arena *a, const Module *m)
{
    Printer p = {.s = str_new(a)};
    print_module_head(&p.s, m);
    for (int i = 0; i < m->n_values; i++) {
        if (m->value[i]->make)
            print_kernel(&p, m->value[i]->make);
        print_module_value(&p.s, m->value[i]);
    }
    for (int i = 0; i < m->n_steps; i++) {
        for (int row = 0; row <= m->n_more && !called_before(m, i); row++) {
            str_char(&p.s, '\n');
            print_kernel(&p, step_kernel(&m->step[i], row));
        }
    }
    str_add(&p.s, m->n_steps > 0 ? "\n" : "");
    for (int i = 0; i < m->n_steps; i++)
        print_step(&p.s, &m->step[i]);
    return p.s.data;
}

char *kernel_text(Arena *a, const Kernel *k)
{
    Printer p = {.s = str_new(a)};
    print_kernel(&p, k);
    return p.s.data;
}

char *stmt_text(Arena *a, const Stmt *s)
{
    Printer p = {.s = str_new(a)};
    print_stmt(&p, s);
    return p.s.data;
}

char *stmt_head(Arena *a, const Stmt *s)
{
    Stmt head = *s;

    head.body = (Body){NULL, NULL};
    char *text = stmt_text(a, &head);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

char *expr_text(Arena *a, const Expr *e)
{
    Str s = str_new(a);
    print_expr(&s, e, &e->type, 0);
    return s.data;
}

char *index_text(Arena *a, Index x)
{
    Str s = str_new(a);
    print_index(&s, x);
    return s.data;
}

char *buffer_text(Arena *a, const Buffer *b)
{
    Str s = str_new(a);
    print_buffer(&s, b);
    return s.data;
}

/* The same as hashing kernel_text, without keeping the text: a pass runner asks often. */
uint64_t kernel_hash(const Kernel *k)
{
    uint64_t hash = HASH_SEED;
    Printer p = {.s = str_new(k->arena), .hash = &hash};
    print_kernel(&p, k);
    return hash;
}
