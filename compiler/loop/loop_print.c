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

#include "loop/loop.h"
#include "loop/loop_text.h"

#define LINE_WIDTH 100

typedef struct Printer {
    Str s;
    int indent;
    uint64_t *hash;   /* not NULL: each finished line is folded into it and forgotten */
} Printer;

const char *const LOOP_WORD[4] = {"for", "unroll", "vector", "parallel"};
const char *const BUFFER_WORD[5] = {"in", "out", "weight", "scratch", "local"};
const char *const VALUE_WORD[5] = {"input", "output", "activation", "weight", "scratch"};
const char *const BIN_WORD[6] = {"+", "-", "*", "/", "min", "max"};
const char *const HREDUCE_WORD[6] = {"hsum", "hsub", "hmul", "hdiv", "hmin", "hmax"};
const char *const UN_WORD[7] = {"neg",   "abs", "sqrt",            "round",
                                "pow2i", "exp", "pow_neg_quarters"};
const char *const CMP_WORD[4] = {"<", "<=", "==", "!="};

/* ---- words ------------------------------------------------------------------------------- */

static void print_string(Str *s, const char *text)
{
    str_char(s, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            str_char(s, '\\');
            str_char(s, *c);
        } else if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            str_printf(s, "\\x%02x", (unsigned)(unsigned char)*c);
        } else {
            str_char(s, *c);
        }
    }
    str_char(s, '"');
}

/* A name that does not look like one is quoted, so that any layer name survives. */
static void print_name(Str *s, const char *name)
{
    if (!name)
        name = "";
    size_t n = name_length(name);
    bool plain = n > 0 && name[n] == 0 && !str_eq(name, "inf") && !str_eq(name, "nan");
    if (plain)
        str_add(s, name);
    else
        print_string(s, name);
}

/* One line, trimmed: what the reader gives back. */
static void print_comment(Str *s, const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    str_char(s, '#');
    for (size_t i = 0; i < n; i++) {
        if (i == 0)
            str_char(s, ' ');
        bool control = (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
        str_char(s, control ? ' ' : text[i]);
    }
}

static void print_type(Str *s, Type t)
{
    str_add(s, scalar_name(t.scalar));
    if (t.lanes > 1)
        str_printf(s, "x%d", t.lanes);
}

/* ---- indices and buffers ----------------------------------------------------------------- */

static void print_index(Str *s, Index x)
{
    for (int i = 0; i < x.n; i++) {
        int64_t coef = x.term[i].coef;
        if (i > 0)
            str_add(s, coef < 0 ? " - " : " + ");
        else if (coef < 0)
            str_char(s, '-');
        uint64_t size = coef < 0 ? 0 - (uint64_t)coef : (uint64_t)coef;
        if (size != 1)
            str_printf(s, "%" PRIu64 "*", size);
        print_name(s, x.term[i].var->name);
    }
    if (x.n == 0)
        str_printf(s, "%" PRId64, x.c);
    else if (x.c != 0)
        str_printf(s, " %c %" PRIu64, x.c < 0 ? '-' : '+',
                   x.c < 0 ? 0 - (uint64_t)x.c : (uint64_t)x.c);
}

/* [i, j +: 16]: lanes > 1 says that the last index is the first of that many. */
static void print_indices(Str *s, const Index *index, int n, int lanes)
{
    str_char(s, '[');
    for (int i = 0; i < n; i++) {
        if (i > 0)
            str_add(s, ", ");
        print_index(s, index[i]);
    }
    if (lanes > 1)
        str_printf(s, " +: %d", lanes);
    str_char(s, ']');
}

static void print_access(Str *s, const Buffer *b, const Index *index, int n, int lanes)
{
    print_name(s, b->name);
    print_indices(s, index, n, b->lanes > 1 ? 1 : lanes);
}

static void print_dim(Str *s, const Dim *d)
{
    if (d->lo == 0 && d->hi == 0)
        str_printf(s, "%" PRId64, d->extent);
    else if (d->zero)
        str_printf(s, "%" PRId64 ":%" PRId64 ":%" PRId64, d->lo, d->extent, d->hi);
    else if (d->lo == 0)
        str_printf(s, "%" PRId64 "~%" PRId64, d->extent, d->hi);
    else
        str_printf(s, "%" PRId64 "~%" PRId64 "~%" PRId64, d->lo, d->extent, d->hi);
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

static void print_shape(Str *s, const Buffer *b)
{
    print_type(s, (Type){b->type, b->lanes});
    str_char(s, '[');
    for (int i = 0; i < b->rank; i++) {
        str_add(s, i > 0 ? ", " : "");
        print_dim(s, &b->dim[i]);
    }
    str_char(s, ']');
    for (int i = 0; i < b->n_storage; i++) {
        str_add(s, i > 0 ? ", " : " as [");
        print_storage(s, &b->storage[i]);
    }
    if (b->n_storage > 0)
        str_char(s, ']');
}

static void print_buffer(Str *s, const Buffer *b)
{
    print_name(s, b->name);
    str_add(s, ": ");
    print_shape(s, b);
}

/* ---- expressions ------------------------------------------------------------------------- */

static void print_expr(Str *s, const Expr *e, const Type *want, int level);

static bool same_type(Type a, Type b)
{
    return a.scalar == b.scalar && a.lanes == b.lanes;
}

static void print_const(Str *s, const Expr *e, const Type *want)
{
    /* an f32 constant is a float, whatever double it was computed in */
    double v = e->type.scalar == TYPE_F32 ? (double)(float)e->value : e->value;
    if (isnan(v))
        str_add(s, "nan");
    else if (isinf(v))
        str_add(s, v < 0 ? "-inf" : "inf");
    else if (e->type.scalar == TYPE_I32 && fabs(v) <= 0x1p31)
        str_printf(s, "%" PRId64, (int64_t)v);
    else
        str_hex_double(s, v);
    if (!want || !same_type(e->type, *want)) {
        str_char(s, ':');
        print_type(s, e->type);
    }
}

/* Levels of binding: 0 anything, 1 the right of + and -, 2 the right of * and /. */
static void print_infix(Str *s, const Expr *e, const Type *want, int level)
{
    int mine = e->op == BIN_ADD || e->op == BIN_SUB ? 0 : 1;
    if (mine < level)
        str_char(s, '(');
    print_expr(s, e->arg[0], want, mine);
    str_printf(s, " %s ", BIN_WORD[e->op]);
    print_expr(s, e->arg[1], want ? want : &e->arg[0]->type, mine + 1);
    if (mine < level)
        str_char(s, ')');
}

/* Arguments from `first` on; the first one's type is known to those after it. */
static void print_args(Str *s, const Expr *e, int first, int end, const Type *want)
{
    for (int i = first; i < end; i++) {
        str_add(s, i > first ? ", " : "");
        print_expr(s, e->arg[i], i > first && !want ? &e->arg[first]->type : want, 0);
    }
}

static void print_select(Str *s, const Expr *e, const Type *want)
{
    str_add(s, "select(");
    print_expr(s, e->arg[0], NULL, 0);
    str_printf(s, " %s ", CMP_WORD[e->op]);
    print_expr(s, e->arg[1], &e->arg[0]->type, 0);
    str_add(s, ", ");
    print_args(s, e, 2, 4, want);
    str_char(s, ')');
}

static void print_bcast(Str *s, const Expr *e, const Type *want)
{
    Type scalar = want ? (Type){want->scalar, 1} : e->type;
    str_add(s, "bcast(");
    print_expr(s, e->arg[0], want ? &scalar : NULL, 0);
    str_printf(s, ", %d)", e->type.lanes);
}

static void print_call(Str *s, const char *word, const Expr *e, const Type *want)
{
    str_printf(s, "%s(", word);
    print_args(s, e, 0, expr_args(e), want);
    if (e->kind == EXPR_UN && e->op == UN_POW_NEG_QUARTERS)
        str_printf(s, ", %d", e->ipar);
    str_char(s, ')');
}

static void print_expr(Str *s, const Expr *e, const Type *want, int level)
{
    switch (e->kind) {
    case EXPR_CONST: print_const(s, e, want); break;
    case EXPR_LOAD: print_access(s, e->buffer, e->index, e->n_index, e->type.lanes); break;
    case EXPR_NAME: print_name(s, e->name->name); break;
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
    case EXPR_BCAST: print_bcast(s, e, want); break;
    case EXPR_HSUM: print_call(s, HREDUCE_WORD[e->op], e, NULL); break;
    }
}

/* ---- statements -------------------------------------------------------------------------- */

static void print_body(Printer *p, Body b);

static void begin_line(Printer *p)
{
    for (int i = 0; i < p->indent; i++)
        str_add(&p->s, "    ");
}

static void end_line(Printer *p)
{
    str_char(&p->s, '\n');
    if (p->hash) {
        *p->hash = hash_bytes(*p->hash, p->s.data, p->s.len);
        p->s.len = 0;
    }
}

static void print_block(Printer *p, Body b)
{
    str_add(&p->s, " {");
    end_line(p);
    print_body(p, b);
    begin_line(p);
    str_char(&p->s, '}');
}

/* Loops of one kind with nothing between them share a head: for oc < 8, oy < 13 { ... }. */
static void print_for(Printer *p, const Stmt *f)
{
    str_add(&p->s, LOOP_WORD[f->loop]);
    for (const char *before = " ";; before = ", ") {
        str_add(&p->s, before);
        print_name(&p->s, f->var->name);
        str_printf(&p->s, " < %" PRId64, f->var->extent);
        const Stmt *inner = f->body.first;
        if (!inner || inner->next || inner->kind != STMT_FOR || inner->loop != f->loop)
            break;
        f = inner;
    }
    print_block(p, f->body);
}

static void print_if(Printer *p, const Stmt *f)
{
    str_add(&p->s, "if (");
    for (int i = 0; i < f->n_cond; i++) {
        str_add(&p->s, i > 0 ? ", 0 <= " : "0 <= ");
        print_index(&p->s, f->cond[i].index);
        str_printf(&p->s, " < %" PRId64, f->cond[i].extent);
    }
    str_char(&p->s, ')');
    print_block(p, f->body);
}

static void print_define(Str *s, const char *word, const Stmt *d)
{
    str_add(s, word);
    print_name(s, d->name->name);
    if (d->kind != STMT_SET) {
        str_add(s, ": ");
        print_type(s, d->name->type);
    }
    str_add(s, " = ");
    print_expr(s, d->expr, &d->name->type, 0);
    str_char(s, ';');
}

static void print_store(Str *s, const Stmt *st)
{
    Type want = {st->buffer->type, st->expr->type.lanes};
    print_access(s, st->buffer, st->index, st->n_index, want.lanes);
    str_add(s, " = ");
    print_expr(s, st->expr, &want, 0);
    str_char(s, ';');
}

static void print_stmt(Printer *p, const Stmt *s)
{
    begin_line(p);
    switch (s->kind) {
    case STMT_FOR: print_for(p, s); break;
    case STMT_IF: print_if(p, s); break;
    case STMT_LET: print_define(&p->s, "let ", s); break;
    case STMT_VAR: print_define(&p->s, "var ", s); break;
    case STMT_SET: print_define(&p->s, "", s); break;
    case STMT_STORE: print_store(&p->s, s); break;
    case STMT_LOCAL:
        str_add(&p->s, "local ");
        print_buffer(&p->s, s->buffer);
        str_char(&p->s, ';');
        break;
    case STMT_NOTE: print_comment(&p->s, s->text); break;
    }
    end_line(p);
}

static void print_body(Printer *p, Body b)
{
    p->indent++;
    for (const Stmt *s = b.first; s; s = s->next)
        print_stmt(p, s);
    p->indent--;
}

/* ---- kernels ----------------------------------------------------------------------------- */

static void print_params(Str *s, const Kernel *k, const char *before, const char *close)
{
    for (int i = 0; i < k->n_buffers; i++) {
        str_add(s, i > 0 ? "," : "");
        str_add(s, i > 0 && !*before ? " " : before);
        str_printf(s, "%s ", BUFFER_WORD[k->buffer[i]->kind]);
        print_buffer(s, k->buffer[i]);
    }
    str_add(s, close);
}

/* On one line if it fits, else a line for each parameter. */
static void print_head(Printer *p, const Kernel *k)
{
    Str *s = &p->s;
    size_t start = s->len;
    const char *close = k->physical ? ") physical {" : ") {";
    str_add(s, "kernel ");
    print_name(s, k->name);
    str_char(s, '(');
    size_t params = s->len;
    print_params(s, k, "", close);
    if (s->len - start > LINE_WIDTH && k->n_buffers > 0) {
        s->len = params;
        print_params(s, k, "\n    ", close);
    }
    if (k->origin) {
        str_char(s, ' ');
        print_comment(s, k->origin);
    }
    end_line(p);
}

static void print_attribute(Printer *p, const char *word, const char *text)
{
    if (!text)
        return;
    str_printf(&p->s, "    %s ", word);
    print_string(&p->s, text);
    str_char(&p->s, ';');
    end_line(p);
}

static void print_kernel(Printer *p, const Kernel *k)
{
    print_head(p, k);
    print_attribute(p, "schedule", k->schedule);
    print_attribute(p, "why", k->why);
    if (k->macs != 0 || k->flops != 0) {
        str_printf(&p->s, "    cost macs %" PRId64 " flops %" PRId64 ";", k->macs, k->flops);
        end_line(p);
    }
    print_body(p, k->body);
    str_char(&p->s, '}');
    end_line(p);
}

/* ---- modules ----------------------------------------------------------------------------- */

static void print_value(Str *s, const Value *v)
{
    str_printf(s, "value %s ", VALUE_WORD[v->kind]);
    print_name(s, v->name);
    str_add(s, ": ");
    print_shape(s, &v->shape);
    if (v->key) {
        str_add(s, " key ");
        print_string(s, v->key);
    }
    for (int i = 0; i < MAX_DIMS && v->source_dim[i] > 0; i++)
        str_printf(s, "%s%" PRId64, i > 0 ? ", " : " from [", v->source_dim[i]);
    if (v->source_dim[0] > 0)
        str_char(s, ']');
    if (v->offset >= 0)
        str_printf(s, " at %" PRId64, v->offset);
    if (v->first_step != 0 || v->last_step != 0)
        str_printf(s, " live %d to %d", v->first_step, v->last_step);
    str_add(s, ";\n");
}

static void print_module_head(Str *s, const Module *m)
{
    str_add(s, "module ");
    print_name(s, m->name);
    if (m->row) {
        str_add(s, " row ");
        print_string(s, m->row);
    }
    str_printf(s, " batch %" PRId64 " type %s arena %" PRId64 " blob %" PRId64 " lower %" PRId64,
               m->batch, scalar_name(m->type), m->arena_bytes, m->blob_bytes,
               m->arena_lower_bound);
    str_add(s, ";\n\n");
}

static void print_step(Str *s, const Step *step)
{
    str_add(s, "call ");
    print_name(s, step->kernel->name);
    str_char(s, '(');
    for (int i = 0; i < step->kernel->n_buffers && i < MAX_DIMS * 2; i++) {
        str_add(s, i > 0 ? ", " : "");
        print_name(s, step->arg[i] ? step->arg[i]->name : NULL);
    }
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
    for (int i = 0; i < m->n_values; i++)
        print_value(&p.s, m->value[i]);
    for (int i = 0; i < m->n_steps; i++) {
        if (!called_before(m, i)) {
            str_char(&p.s, '\n');
            print_kernel(&p, m->step[i].kernel);
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
