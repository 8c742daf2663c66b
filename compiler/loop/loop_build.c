/* loop_build: the cursor that naive nests are written with.
 *
 * example: Builder b = build_kernel(k); const Var *i = build_for(&b, "i", 8);
 *          build_store(&b, y, &(Index){...}, e); build_end(&b, 1);
 *
 * contract: what is built is appended to the kernel; accesses are logical. An `if` without
 * conditions is no statement, yet counts as a level, so that callers need not tell the cases apart.
 * Levels beyond what the builder holds share the deepest body; operators have far fewer.
 */
#include "loop/loop.h"

Builder build_kernel(Kernel *k)
{
    return (Builder){.arena = k->arena, .at = {&k->body}, .depth = 0};
}

static Body **build_top(Builder *b)
{
    int last = (int)(sizeof b->at / sizeof b->at[0]) - 1;

    return &b->at[b->depth < last ? b->depth : last];
}

static void build_nest(Builder *b, Stmt *s)
{
    body_add(*build_top(b), s);
    b->depth++;
    *build_top(b) = &s->body;
}

const Var *build_for(Builder *b, const char *name, int64_t extent)
{
    const Var *v = var_new(b->arena, arena_strdup(b->arena, name), extent);

    build_nest(b, stmt_for(b->arena, v, LOOP_SERIAL));
    return v;
}

void build_if(Builder *b, const Cond *c, int n)
{
    Body *here = *build_top(b);

    if (n > 0) {
        build_nest(b, stmt_if(b->arena, c, n));
    } else {
        b->depth++;
        *build_top(b) = here;
    }
}

void build_end(Builder *b, int levels)
{
    b->depth -= levels < b->depth ? levels : b->depth;
}

Buffer *build_local(Builder *b, const char *name, ScalarType t, int rank, const int64_t *extent)
{
    Buffer *l = NEW(b->arena, Buffer);

    *l = (Buffer){.name = name, .kind = BUF_LOCAL, .type = t, .lanes = 1, .rank = rank};
    for (int i = 0; i < rank; i++)
        l->dim[i].extent = extent[i];
    body_add(*build_top(b), stmt_local(b->arena, l));
    return l;
}

void build_store(Builder *b, Buffer *buf, const Index *index, const Expr *e)
{
    body_add(*build_top(b), stmt_store(b->arena, buf, index, buf->rank, e));
}

/* `name`, or name_1, name_2, ... where a kernel of several layers has one already. */
Buffer *kernel_add_buffer(Kernel *k, BufferKind kind, const char *name, ScalarType t, int rank,
                          const int64_t *extent)
{
    Buffer *s = NEW(k->arena, Buffer);
    size_t n = (size_t)k->n_buffers, cap = n;

    *s = (Buffer){.kind = kind, .type = t, .lanes = 1, .rank = rank};
    s->name = arena_strdup(k->arena, name);
    for (int i = 1; kernel_buffer(k, s->name) != NULL; i++)
        s->name = arena_printf(k->arena, "%s_%d", name, i);
    for (int i = 0; i < rank; i++)
        s->dim[i].extent = extent[i];
    k->buffer = arena_grow(k->arena, k->buffer, n, n + 1, &cap, sizeof(Buffer *));
    k->buffer[k->n_buffers++] = s;
    return s;
}

Buffer *kernel_scratch(Kernel *k, const char *name, ScalarType t, int rank, const int64_t *extent)
{
    return kernel_add_buffer(k, BUF_SCRATCH, name, t, rank, extent);
}

Kernel *step_kernel(const Step *s, int row)
{
    return row == 0 ? s->kernel : s->more[row - 1];
}

bool kernel_sums_as_defined(const Kernel *k)
{
    return k->algo == NULL || str_eq(k->algo, "im2col") || str_eq(k->algo, "skip-zeros");
}

Buffer *kernel_buffer(const Kernel *k, const char *name)
{
    for (int i = 0; i < k->n_buffers; i++)
        if (str_eq(k->buffer[i]->name, name))
            return k->buffer[i];
    return NULL;
}
