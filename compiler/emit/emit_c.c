/* emit_c.c: a kernel of the loop IR as one static C function.
 *
 * example: kernel relu1 on row avx512 becomes
 *     // relu1: net.yaml:7 relu1 ...        (a block comment: shapes, multiply-adds, schedule, why)
 *     static __attribute__((target("avx512f,..."))) void relu1_avx512(
 *         const float *restrict x, float *restrict y)
 *     {
 *         for (ptrdiff_t c = 0; c < 8; c++) {
 *             _mm512_storeu_ps(&y[16*c], _mm512_max_ps(_mm512_set1_ps(0.0f), ...));
 *         }
 *     }
 *
 * A parallel loop becomes a function of its iteration's number and of a struct with the buffers and
 * the variables of the loops around, which n2c_for calls, on this thread or on several:
 *     struct conv1_avx512_args { const float *x; ...; ptrdiff_t at[1]; };
 *     static void conv1_avx512_task1(void *ctx, size_t task) { ... }
 *
 * contract: the kernel is physical (apply-layout has run) and has no vector or unrolled loops
 * left; anything else is an internal error. A parallel loop runs serially within another one, and
 * where it needs a name or a local buffer from outside.
 */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

enum { WIDTH = 100 };

/* How much of a text longer than room goes on this line: up to a comma if one is not too far
 * back, else a space, else an opening parenthesis. The whole text if there is none. */
static size_t break_at(const char *text, size_t room)
{
    for (size_t n = room; n > room / 2; n--)
        if (text[n] == ' ' && text[n - 1] == ',')
            return n;
    for (size_t n = room; n > 0; n--)
        if (text[n] == ' ')
            return n;
    for (size_t n = room; n > 0; n--)
        if (text[n - 1] == '(')
            return n;
    return strlen(text);
}

/* One statement, on as many lines as it takes. */
static void emit_line(EmitC *e, const char *text)
{
    size_t pad = 4 * (size_t)e->indent;
    for (bool first = true; *text; first = false) {
        size_t room = pad + 40 < WIDTH ? WIDTH - pad : 40, left = strlen(text);
        size_t cut = left > room ? break_at(text, room) : left;
        str_printf(e->out, "%*s", (int)pad, "");
        str_add_n(e->out, text, cut);
        str_char(e->out, '\n');
        text += cut + (text[cut] == ' ');
        pad += first ? 8 : 0;
    }
}

/* What the expression of the next statement declared first (see hsum_text). */
static void emit_before(EmitC *e)
{
    char *p = e->before.data;
    for (char *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        emit_line(e, p);
    }
    e->before.len = 0;
    e->before.data[0] = '\0';
}

static void emit_body(EmitC *e, Body body);

/* The call that runs a parallel loop. */
static void emit_call(EmitC *e, const EmitTask *t)
{
    for (int i = 0; i < t->n; i++)
        emit_line(e, arena_printf(e->a, "args.at[%d] = %s;", i,
                                  emit_name(e, t->at[i], t->at[i]->name)));
    emit_line(e, arena_printf(e->a, "n2c_for(exec, %" PRId64 ", %s_task%d, &args);",
                              t->loop->var->extent,
                              emit_c_function(e->a, e->kernel, e->row, e->batch), t->number));
}

static void emit_for(EmitC *e, const Stmt *s)
{
    for (const EmitTask *t = e->task; t; t = t->next)
        if (t->loop == s) {
            emit_call(e, t);
            return;
        }
    if (s->loop != LOOP_SERIAL && s->loop != LOOP_PARALLEL) {
        emit_fail(e, "loop %s is still marked %s", s->var->name,
                  s->loop == LOOP_UNROLL ? "unroll" : "vector");
        return;
    }
    const char *v = c_name_take(e->a, e->taken, s->var, s->var->name);
    const char *end = s->expr ? emit_expr(e, s->expr)
                              : arena_printf(e->a, "%" PRId64, s->var->extent);
    emit_line(e, arena_printf(e->a, "for (ptrdiff_t %s = 0; %s < %s; %s++) {", v, v, end, v));
    e->indent++;
    emit_body(e, s->body);
    e->indent--;
    emit_line(e, "}");
    c_name_free(e->a, e->taken, s->var, s->var->name);
}

/* A bound that the variables' ranges imply is not tested: compilers warn about those. */
static void emit_if(EmitC *e, const Stmt *s)
{
    Str test = str_new(e->a);
    for (int i = 0; i < s->n_cond; i++) {
        int64_t min, max;
        const char *x = emit_index(e, s->cond[i].index);
        index_range(s->cond[i].index, &min, &max);
        if (min < 0)
            str_printf(&test, "%s%s >= 0", test.len ? " && " : "", x);
        if (max >= s->cond[i].extent)
            str_printf(&test, "%s%s < %" PRId64, test.len ? " && " : "", x, s->cond[i].extent);
    }
    emit_line(e, test.len ? arena_printf(e->a, "if (%s) {", test.data) : "{");
    e->indent++;
    emit_body(e, s->body);
    e->indent--;
    emit_line(e, "}");
}

/* let, var: a declaration, whose initial value cannot see the name. set: an assignment. */
static void emit_assign(EmitC *e, const Stmt *s)
{
    const char *value = emit_expr(e, s->expr);
    emit_before(e);
    if (s->kind == STMT_SET) {
        const char *name = emit_name(e, s->name, s->name->name);
        emit_line(e, arena_printf(e->a, "%s = %s;", name, value));
        return;
    }
    const char *name = c_name_take(e->a, e->taken, s->name, s->name->name);
    emit_line(e, arena_printf(e->a, "%s%s %s = %s;", s->kind == STMT_LET ? "const " : "",
                              emit_type(e, s->name->type), name, value));
}

static void emit_store(EmitC *e, const Stmt *s)
{
    const char *value = emit_expr(e, s->expr);
    const char *element = emit_element(e, s->buffer, s->index, s->n_index);
    emit_before(e);
    if (s->expr->type.lanes == 1 || s->buffer->lanes == s->expr->type.lanes) {
        emit_line(e, arena_printf(e->a, "%s = %s;", element, value));
        return;
    }
    const char *arg[2] = {arena_printf(e->a, "&%s", element), value};
    emit_line(e, arena_printf(e->a, "%s;", emit_instr(e, INS_STORE, s->expr->type, 2, arg)));
}

static void emit_local(EmitC *e, const Stmt *s)
{
    const Buffer *b = s->buffer;
    Type t = {b->type, b->lanes > 1 ? b->lanes : 1};
    const char *name = c_name_take(e->a, e->taken, b, b->name);
    emit_line(e, arena_printf(e->a, "%s %s[%" PRId64 "] N2C_ALIGNED(64);", emit_type(e, t), name,
                              buffer_elements(b)));
}

static void emit_note(EmitC *e, const char *text)
{
    c_comment(e->out, arena_printf(e->a, "%*s/* ", 4 * e->indent, ""), text);
    e->out->len--;
    str_add(e->out, " */\n");
}

/* Without a branch on the data: each index is written, and stays if its element is not zero. */
static void emit_list(EmitC *e, const Stmt *s)
{
    const char *v = c_name_take(e->a, e->taken, s->var, s->var->name);
    const char *x = emit_expr(e, s->expr);
    const char *list = c_name_take(e->a, e->taken, s->buffer, s->buffer->name);
    const char *n = c_name_take(e->a, e->taken, &s->buffer, "count");
    const char *zero = c_name_take(e->a, e->taken, &s->expr, "zero");
    emit_line(e, arena_printf(e->a, "int32_t %s[%" PRId64 "] = {0};", list,
                              buffer_elements(s->buffer)));
    emit_line(e, "{");
    e->indent++;
    emit_line(e, arena_printf(e->a, "int32_t %s = 0, %s = 0;", n, zero));
    emit_line(e, arena_printf(e->a, "for (int32_t %s = 0; %s < %" PRId64 "; %s++) {", v, v,
                              s->var->extent, v));
    emit_line(e, arena_printf(e->a, "    %s[1 + %s] = %s;", list, n, v));
    emit_line(e, arena_printf(e->a, "    %s = %s != 0 ? %s : %s;", zero, x, zero, v));
    emit_line(e, arena_printf(e->a, "    %s += %s != 0;", n, x));
    emit_line(e, "}");
    emit_line(e, arena_printf(e->a, "while (%s %% %d != 0)", n, LIST_GROUP));
    emit_line(e, arena_printf(e->a, "    %s[1 + %s++] = %s;", list, n, zero));
    emit_line(e, arena_printf(e->a, "%s[1 + %s] = 0;", list, n));
    emit_line(e, arena_printf(e->a, "%s[0] = %s / %d;", list, n, LIST_GROUP));
    e->indent--;
    emit_line(e, "}");
    c_name_free(e->a, e->taken, s->var, s->var->name);
    c_name_free(e->a, e->taken, &s->buffer, "count");
    c_name_free(e->a, e->taken, &s->expr, "zero");
}

static void emit_pick(EmitC *e, const Stmt *s)
{
    const char *from = emit_expr(e, s->expr);
    const char *name = c_name_take(e->a, e->taken, s->var, s->var->name);
    emit_line(e, arena_printf(e->a, "const ptrdiff_t %s = %s;", name, from));
}

static void emit_prefetch(EmitC *e, const Stmt *s)
{
    const Type t = {scalar_loaded(s->buffer->type), 1};
    const char *element = emit_element(e, s->buffer, s->index, s->n_index);
    const char *address = arena_printf(e->a, "&%s", element);
    emit_line(e, arena_printf(e->a, "%s;", emit_instr(e, INS_PREFETCH, t, 1, &address)));
}

static void emit_stmt(EmitC *e, const Stmt *s)
{
    switch (s->kind) {
    case STMT_FOR: emit_for(e, s); break;
    case STMT_IF: emit_if(e, s); break;
    case STMT_LET:
    case STMT_VAR:
    case STMT_SET: emit_assign(e, s); break;
    case STMT_STORE: emit_store(e, s); break;
    case STMT_LOCAL: emit_local(e, s); break;
    case STMT_NOTE: emit_note(e, s->text); break;
    case STMT_LIST: emit_list(e, s); break;
    case STMT_PICK: emit_pick(e, s); break;
    case STMT_PREFETCH: emit_prefetch(e, s); break;
    }
}

static void emit_body(EmitC *e, Body body)
{
    for (const Stmt *s = body.first; s && !e->failed; s = s->next)
        emit_stmt(e, s);
    for (const Stmt *s = body.first; s; s = s->next) {
        if (s->kind == STMT_LET || s->kind == STMT_VAR)
            c_name_free(e->a, e->taken, s->name, s->name->name);
        if (s->kind == STMT_PICK)
            c_name_free(e->a, e->taken, s->var, s->var->name);
        if (s->kind == STMT_LOCAL || s->kind == STMT_LIST)
            c_name_free(e->a, e->taken, s->buffer, s->buffer->name);
    }
}

/* ---- the function --------------------------------------------------------------------------- */

static const char *const kind_text[] = {"in", "out", "weight", "scratch", "local"};

static void emit_comment(EmitC *e)
{
    const Kernel *k = e->kernel;
    bool known = k->origin && *k->origin;
    c_comment(e->out, "/* ", known ? arena_printf(e->a, "%s: %s", k->name, k->origin) : k->name);
    for (int i = 0; i < k->n_buffers; i++)
        c_comment(e->out, " * ", arena_printf(e->a, "%s %s", kind_text[k->buffer[i]->kind],
                                              buffer_text(e->a, k->buffer[i])));
    if (k->macs > 0)
        c_comment(e->out, " * ", arena_printf(e->a, "%" PRId64 " multiply-adds", k->macs));
    if (k->algo)
        c_comment(e->out, " * ", arena_printf(e->a, "algorithm: %s", k->algo));
    if (k->schedule && *k->schedule)
        c_comment(e->out, " * ", arena_printf(e->a, "schedule: %s", k->schedule));
    if (k->why && *k->why)
        c_comment(e->out, " * ", arena_printf(e->a, "why: %s", k->why));
    str_add(e->out, " */\n");
}

/* "conv1", and "conv1.avx2" where a module has that kernel for several rows: conv1_avx2 */
const char *emit_c_function(Arena *a, const Kernel *k, const Row *row, int64_t batch)
{
    const char *one = arena_printf(a, "%.*s_%s", (int)strcspn(k->name, "."), k->name, row->name);
    return batch > 1 ? arena_printf(a, "%s_n%" PRId64, one, batch) : one;
}

/* How many variables of loops around them tasks need, at most. */
static int most_at(const EmitTask *t)
{
    int most = 0;
    for (; t; t = t->next)
        most = t->n > most ? t->n : most;
    return most;
}

/* "const float *restrict " */
static const char *pointer_to(EmitC *e, const Buffer *b, const char *restricted)
{
    bool read_only = b->kind == BUF_IN || b->kind == BUF_WEIGHT;
    return arena_printf(e->a, "%s%s *%s", read_only ? "const " : "",
                        emit_type(e, (Type){b->type, 1}), restricted);
}

static void emit_head(EmitC *e, const char *name)
{
    const Kernel *k = e->kernel;
    str_add(e->out, "static ");
    if (e->row->attribute)
        str_printf(e->out, "__attribute__((%s))\n", e->row->attribute);
    Str s = str_new(e->a);
    str_printf(&s, "void %s(%s", name, e->task ? "const n2c_exec *exec, " : "");
    for (int i = 0; i < k->n_buffers; i++)
        str_printf(&s, "%s%s%s", i ? ", " : "", pointer_to(e, k->buffer[i], "restrict "),
                   emit_name(e, k->buffer[i], k->buffer[i]->name));
    str_add(&s, ")");
    emit_line(e, s.data);
}

static void emit_args(EmitC *e, const char *name)
{
    int at = most_at(e->task);
    str_printf(e->out, "struct %s_args {\n", name);
    for (int i = 0; i < e->kernel->n_buffers; i++) {
        const Buffer *b = e->kernel->buffer[i];
        str_printf(e->out, "    %s%s;\n", pointer_to(e, b, ""),
                   emit_name(e, b, b->name));
    }
    if (at)
        str_printf(e->out, "    ptrdiff_t at[%d];\n", at);
    str_add(e->out, "};\n");
}

static void emit_task(EmitC *e, const char *name, const EmitTask *t)
{
    const Stmt *loop = t->loop;
    str_add(e->out, "static ");
    if (e->row->attribute)
        str_printf(e->out, "__attribute__((%s))\n", e->row->attribute);
    str_printf(e->out, "void %s_task%d(void *ctx, size_t task)\n{\n", name, t->number);
    e->indent = 1;
    emit_line(e, arena_printf(e->a, "const struct %s_args *const args = (const struct %s_args *)"
                              "ctx;", name, name));
    for (int i = 0; i < e->kernel->n_buffers; i++) {
        const Buffer *b = e->kernel->buffer[i];
        const char *field = emit_name(e, b, b->name);
        if (body_uses(loop->body, b))
            emit_line(e, arena_printf(e->a, "%s%s = args->%s;",
                                      pointer_to(e, b, "restrict const "), field, field));
    }
    for (int i = 0; i < t->n; i++)
        emit_line(e, arena_printf(e->a, "const ptrdiff_t %s = args->at[%d];",
                                  c_name_take(e->a, e->taken, t->at[i], t->at[i]->name), i));
    emit_line(e, arena_printf(e->a, "const ptrdiff_t %s = (ptrdiff_t)task;",
                              c_name_take(e->a, e->taken, loop->var, loop->var->name)));
    emit_body(e, loop->body);
    c_name_free(e->a, e->taken, loop->var, loop->var->name);
    for (int i = 0; i < t->n; i++)
        c_name_free(e->a, e->taken, t->at[i], t->at[i]->name);
    str_add(e->out, "}\n");
}

static void emit_tasks(EmitC *e, const char *name)
{
    static const char *const own[] = {"exec", "ctx", "task", "args"};
    const EmitTask *all = e->task;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        c_name_take(e->a, e->taken, own[i], own[i]);
    for (int i = 0; i < e->kernel->n_buffers; i++)
        c_name_take(e->a, e->taken, e->kernel->buffer[i], e->kernel->buffer[i]->name);
    if (all)
        emit_args(e, name);
    e->task = NULL;                            /* loops in a task are serial */
    for (const EmitTask *t = all; t; t = t->next)
        emit_task(e, name, t);
    e->task = all;
}

bool emit_c_kernel(Cx *cx, Str *out, const Kernel *k, const Row *row, int64_t batch)
{
    EmitC e = {.cx = cx, .a = cx->temp, .out = out, .kernel = k, .row = row, .batch = batch};
    e.taken = map_new(e.a);
    e.before = str_new(e.a);
    e.task = emit_tasks_of(e.a, k);
    if (!k->physical)
        emit_fail(&e, "its accesses are still logical (apply-layout has not run)");
    if (!c_is_identifier(arena_strndup(e.a, k->name, strcspn(k->name, "."))))
        emit_fail(&e, "its name is no C identifier");
    if (e.failed)
        return false;
    const char *name = emit_c_function(e.a, k, row, batch);
    emit_comment(&e);
    emit_tasks(&e, name);
    e.indent = 0;
    emit_head(&e, name);
    str_add(out, "{\n");
    e.indent = 1;
    if (e.task) {
        Str list = str_new(e.a);
        for (int i = 0; i < k->n_buffers; i++)
            str_printf(&list, "%s%s", i ? ", " : "",
                       emit_name(&e, k->buffer[i], k->buffer[i]->name));
        emit_line(&e, arena_printf(e.a, "struct %s_args args = {%s%s};", name, list.data,
                                   most_at(e.task) ? ", {0}" : ""));
    }
    /* a buffer of another row's kernel for this step */
    for (int i = 0; i < k->n_buffers && !e.task; i++)
        if (!body_uses(k->body, k->buffer[i]))
            emit_line(&e, arena_printf(e.a, "(void)%s;", c_name_of(e.a, e.taken, k->buffer[i],
                                                                   k->buffer[i]->name)));
    emit_body(&e, k->body);
    str_add(out, "}\n");
    return !e.failed;
}
