/* nest_build: scheduled nests become loops again.
 *
 *   for outer loops                        those before stage_at
 *     local acc[tile]                      the spatial loops from stage_at on
 *     for tile: acc = init
 *     for loops from stage_at on: acc = update(acc)      with `partial`: into a tile of its own,
 *                                                        which is then added to acc; with `skip`
 *                                                        over a list of what is not zero
 *     for tile: y = steps(acc)
 *
 * A split with a tail emits its inside twice (whole iterations, then the rest), a border loop up to
 * three times; each copy has loops and variables of its own, with extents of its own.
 */
#include "sched/sched.h"

typedef struct Emitter {
    Nest *nest;
    Arena *arena;
    bool drop_intermediate[MAX_STEPS + 2];     /* stores no other nest reads */
    Index value[MAX_NEST_LOOPS + 1];           /* of each loop, in the variables emitted so far */
    int64_t extent[MAX_NEST_LOOPS + 1];        /* of each loop in the copy being emitted */
    int64_t start[MAX_NEST_LOOPS];             /* of each split: where its inner half begins */
    int64_t whole[MAX_NEST_LOOPS];             /* of each split: iterations of its outer half */
    int64_t rest[MAX_NEST_LOOPS];              /* of each split: left over for copies */
    Buffer *acc;                               /* the tile being accumulated into */
    bool partial_open;
    int copies;                                /* of the nest's statements so far */
    int acc_loop[MAX_DIMS];                    /* which loop each dimension of acc follows */
    int n_acc;
} Emitter;

static Index value_of(const Emitter *m, const char *name)
{
    int at = nest_find_loop(m->nest, name);
    if (at >= 0)
        return m->value[at];
    for (int i = m->nest->n_splits - 1; i >= 0; i--) {
        const NestSplit *s = &m->nest->split[i];
        if (str_eq(s->from, name))
            return index_offset(index_add(m->arena,
                                          index_scale(m->arena, value_of(m, s->outer), s->factor),
                                          value_of(m, s->inner)), m->start[i]);
    }
    return index_const(0);
}

/* Extents of a loop in this copy, or of the halves it was split into. */
static void set_extent(Emitter *m, const char *name, int64_t extent)
{
    int at = nest_find_loop(m->nest, name);
    if (at >= 0) {
        m->extent[at] = extent;
        return;
    }
    for (int i = 0; i < m->nest->n_splits; i++) {
        const NestSplit *s = &m->nest->split[i];
        if (!str_eq(s->from, name))
            continue;
        int64_t outer, inner;
        split_extents(s, extent, &outer, &inner, &m->rest[i]);
        m->whole[i] = outer;
        m->start[i] = 0;
        set_extent(m, s->outer, outer);
        set_extent(m, s->inner, inner);
    }
}

/* The largest piece of a rest that splits without a rest of its own. */
static int64_t piece_of(const Nest *nest, const char *name, int64_t rest)
{
    for (int i = 0; i < nest->n_splits; i++) {
        const NestSplit *s = &nest->split[i];
        if (str_eq(s->from, name) && !s->pad && rest > s->factor)
            return rest - rest % s->factor;
    }
    return rest;
}

/* A statement of the nest with each original variable replaced by its value here. */
static Stmt *instance(const Emitter *m, const Stmt *s)
{
    Index value[MAX_NEST_LOOPS];
    for (int i = 0; i < m->nest->n_vars; i++)
        value[i] = value_of(m, m->nest->var[i]->name);
    return stmt_copy(m->arena, s, m->nest->var, value, m->nest->n_vars);
}

typedef struct Replace {
    const Buffer *buffer;
    const Expr *by;
} Replace;

static const Expr *replace_load(void *user, const Expr *e)
{
    const Replace *r = user;
    return e->kind == EXPR_LOAD && e->buffer == r->buffer ? r->by : NULL;
}

static const Expr *acc_load(const Emitter *m, Index *index)
{
    for (int d = 0; d < m->n_acc; d++)
        index[d] = m->value[m->acc_loop[d]];
    return expr_load(m->arena, m->acc, index, m->n_acc, 1);
}

static void emit_acc_store(Emitter *m, Body *out, const Expr *e)
{
    Index index[MAX_DIMS];
    acc_load(m, index);
    body_add(out, stmt_store(m->arena, m->acc, index, m->n_acc, e));
}

static Body *open_loop(Emitter *m, Body *out, int level, int64_t extent, int64_t start)
{
    const NestLoop *l = &m->nest->loop[level];
    if (extent == 1 && l->kind != LOOP_VECTOR) {
        m->value[level] = index_const(start);
        return out;
    }
    const Var *v = var_new(m->arena, l->name, extent);
    m->value[level] = index_offset(index_var(m->arena, v), start);
    Stmt *loop = stmt_for(m->arena, v, l->kind);
    body_add(out, loop);
    return &loop->body;
}

/* Loops over the tile, in the schedule's order. */
static Body *open_tile(Emitter *m, Body *out)
{
    for (int i = m->nest->stage_at; i < m->nest->n_loops; i++)
        if (!m->nest->loop[i].reduction || !m->nest->update)
            out = open_loop(m, out, i, m->extent[i], 0);
    return out;
}

/* The chain of steps on one element whose value so far is e; stores what must be stored. */
static void emit_steps(Emitter *m, Body *out, const Expr *e, const Stmt *last)
{
    Nest *nest = m->nest;
    for (int i = 0; i <= nest->n_steps; i++) {
        Stmt *s = instance(m, i == 0 ? last : nest->step[i - 1]);
        if (i > 0) {
            const Stmt *before = i == 1 ? last : nest->step[i - 2];
            if (e->kind != EXPR_NAME) {
                const Name *name = name_new(m->arena, arena_printf(m->arena, "v%d", i), e->type,
                                            false);
                body_add(out, stmt_let(m->arena, name, e));
                e = expr_name(m->arena, name);
            }
            Replace r = {before->buffer, e};
            e = expr_map(m->arena, s->expr, replace_load, &r);
        }
        if (!m->drop_intermediate[i] || i == nest->n_steps) {
            s->expr = e;
            body_add(out, s);
        }
    }
}

static void emit_staged(Emitter *m, Body *out);

typedef void (*EmitLevel)(Emitter *m, Body *out, int level);

/* The copies for what splits leave over, when `level` is their outermost loop. */
static void emit_rest(Emitter *m, Body *out, int level, EmitLevel emit)
{
    for (int at = m->nest->n_splits - 1; at >= 0; at--) {
        const NestSplit *s = &m->nest->split[at];
        int64_t left = m->rest[at], whole = m->whole[at];
        if (left == 0 || nest_first_loop(m->nest, s->outer) != level)
            continue;
        set_extent(m, s->outer, 1);
        m->start[at] = whole * s->factor;
        while (left > 0) {
            int64_t piece = piece_of(m->nest, s->inner, left);
            set_extent(m, s->inner, piece);
            emit(m, open_loop(m, out, level, 1, 0), level + 1);
            m->start[at] += piece;
            left -= piece;
        }
        m->start[at] = 0;
        set_extent(m, s->outer, whole);
        set_extent(m, s->inner, s->factor);
    }
}

/* One loop of the part before the tile, with its copies for borders and tails. */
static void emit_outer(Emitter *m, Body *out, int level)
{
    Nest *nest = m->nest;
    if (m->copies > MAX_COPIES)
        return;
    if (level == nest->stage_at) {
        emit_staged(m, out);
        return;
    }
    const NestLoop *l = &nest->loop[level];
    int64_t extent = m->extent[level];
    int64_t middle = extent - l->peel_lo - l->peel_hi;
    for (int64_t i = 0; i < l->peel_lo; i++)
        emit_outer(m, open_loop(m, out, level, 1, i), level + 1);
    if (middle > 0)
        emit_outer(m, open_loop(m, out, level, middle, l->peel_lo), level + 1);
    for (int64_t i = extent - l->peel_hi; i < extent; i++)
        emit_outer(m, open_loop(m, out, level, 1, i), level + 1);
    emit_rest(m, out, level, emit_outer);
}

static void make_acc(Emitter *m, ScalarType type, Body *out)
{
    Buffer *acc = NEW(m->arena, Buffer);
    *acc = (Buffer){.name = "acc", .kind = BUF_LOCAL, .type = type, .lanes = 1};
    m->n_acc = 0;
    for (int i = m->nest->stage_at; i < m->nest->n_loops; i++)
        if (!m->nest->loop[i].reduction && m->nest->loop[i].kind != LOOP_VECTOR)
            m->acc_loop[m->n_acc++] = i;
    for (int i = m->nest->stage_at; i < m->nest->n_loops; i++)
        if (!m->nest->loop[i].reduction && m->nest->loop[i].kind == LOOP_VECTOR)
            m->acc_loop[m->n_acc++] = i;
    if (m->n_acc == 0) {                      /* a tile of one element still has one dimension */
        m->acc_loop[m->n_acc++] = m->nest->n_loops;
        m->value[m->nest->n_loops] = index_const(0);
        m->extent[m->nest->n_loops] = 1;
    }
    for (int d = 0; d < m->n_acc; d++)
        acc->dim[acc->rank++].extent = m->extent[m->acc_loop[d]];
    m->acc = acc;
    body_add(out, stmt_local(m->arena, acc));
}

static void emit_update(Emitter *m, Body *out, int level);

/* part = 0; part = update(part) over the loops from level on; acc = part + acc */
static void emit_partial(Emitter *m, Body *out, int level)
{
    Index index[MAX_DIMS];
    Buffer *total = m->acc;
    ScalarType type = total->type;
    make_acc(m, type, out);
    Buffer *part = m->acc;
    part->name = "part";
    emit_acc_store(m, open_tile(m, out), expr_const(m->arena, (Type){type, 1}, 0));
    m->partial_open = true;
    emit_update(m, out, level);
    m->partial_open = false;
    Body *leaf = open_tile(m, out);
    const Expr *sum = acc_load(m, index);
    m->acc = total;
    emit_acc_store(m, leaf, expr_bin(m->arena, BIN_ADD, sum, acc_load(m, index)));
}

/* The update's operands where the skipped loop is at a variable. */
static const Expr *operand_at(Emitter *m, int level, const Var *v, int arg)
{
    m->value[level] = index_var(m->arena, v);
    return instance(m, m->nest->update)->expr->arg[arg];
}

/* A variable for place 1 + 4*j + u of the list, in groups further on. */
static const Var *emit_pick(Emitter *m, Body *out, int level, const Stmt *list, const Var *j, int u)
{
    const Var *v = var_new(m->arena, m->nest->loop[level].name, list->var->extent);
    Index at = index_make(m->arena, 1 + u, 1, j, LIST_GROUP);
    body_add(out, stmt_pick(m->arena, v, list_load(m->arena, list->buffer, at)));
    return v;
}

/* The tile's loops; with lanes, each turn fetches a vector of the rows it will need next. */
static Body *open_skip_tile(Emitter *m, Body *out, int level, const Var *const *next)
{
    const Nest *nest = m->nest;
    for (int i = level + 1; i < nest->n_loops; i++) {
        for (int u = 0; nest->loop[i].kind == LOOP_VECTOR && u < LIST_GROUP; u++) {
            m->value[i] = index_const(0);
            const Expr *e = operand_at(m, level, next[u], 1 - nest_skipped(nest));
            body_add(out, stmt_prefetch(m->arena, e->buffer, e->index, e->n_index));
        }
        out = open_loop(m, out, i, m->extent[i], 0);
    }
    return out;
}

/* list nz = nonzero i < 96 of x[i];
 * for j < 24 upto nz[0] { pick i = nz[4*j + 1]; ... tile: part = fma(x[i], w[i], part) four times }
 * One load and one store of the tile serve four products, and four rows of weights are read at a
 * time: memory has more to do at once. */
static void emit_skip(Emitter *m, Body *out, int level)
{
    const NestLoop *l = &m->nest->loop[level];
    int x = nest_skipped(m->nest);
    const Var *pick[2 * LIST_GROUP], *i = var_new(m->arena, l->name, m->extent[level]);
    const Expr *factor[LIST_GROUP];
    Index index[MAX_DIMS];
    Stmt *list = stmt_list(m->arena, "nz", i, operand_at(m, level, i, x));
    body_add(out, list);
    const Var *j = var_new(m->arena, "j", i->extent / LIST_GROUP);
    Stmt *groups = stmt_for(m->arena, j, LOOP_SERIAL);
    groups->expr = list_load(m->arena, list->buffer, index_const(0));
    body_add(out, groups);
    bool vector = m->nest->loop[m->nest->n_loops - 1].kind == LOOP_VECTOR;
    for (int u = 0; u < (vector ? 2 : 1) * LIST_GROUP; u++)
        pick[u] = emit_pick(m, &groups->body, level, list, j, u);
    for (int u = 0; u < LIST_GROUP; u++) {
        const Expr *e = operand_at(m, level, pick[u], x);
        const Name *name = name_new(m->arena, "x0", e->type, false);
        body_add(&groups->body, stmt_let(m->arena, name, e));
        factor[u] = expr_name(m->arena, name);
    }
    Body *leaf = open_skip_tile(m, &groups->body, level, pick + LIST_GROUP);
    const Expr *sum = acc_load(m, index);
    for (int u = 0; u < LIST_GROUP; u++) {
        const Expr *w = operand_at(m, level, pick[u], 1 - x);
        sum = expr_fma(m->arena, x ? w : factor[u], x ? factor[u] : w, sum);
    }
    emit_acc_store(m, leaf, sum);
}

/* An update written against the accumulator instead of its buffer. */
static void emit_update(Emitter *m, Body *out, int level)
{
    Nest *nest = m->nest;
    if (m->copies > MAX_COPIES)
        return;
    if (level == nest->partial_at && !m->partial_open) {
        emit_partial(m, out, level);
        return;
    }
    if (level == nest->partial_at && nest->skip) {
        m->copies++;
        emit_skip(m, out, level);
        return;
    }
    if (level < nest->n_loops) {
        emit_update(m, open_loop(m, out, level, m->extent[level], 0), level + 1);
        emit_rest(m, out, level, emit_update);
        return;
    }
    m->copies++;
    Index index[MAX_DIMS];
    Stmt *s = instance(m, nest->update);
    Replace r = {nest->update->buffer, acc_load(m, index)};
    if (nest->n_cond) {
        Stmt *guard = stmt_if(m->arena, nest->cond, nest->n_cond);
        body_add(out, instance(m, guard));
        out = &out->last->body;
    }
    emit_acc_store(m, out, expr_map(m->arena, s->expr, replace_load, &r));
}

/* The statements that only elements within the nest's limits get. */
static Body *open_limit(Emitter *m, Body *out)
{
    if (m->nest->n_limit == 0)
        return out;
    body_add(out, instance(m, stmt_if(m->arena, m->nest->limit, m->nest->n_limit)));
    return &out->last->body;
}

/* tile = acc in whole vectors; then each element of it that padding did not add takes the steps. */
static void emit_scatter(Emitter *m, Body *out)
{
    Nest *nest = m->nest;
    Index index[MAX_DIMS];
    Cond inside[MAX_COND];
    LoopKind kind[MAX_NEST_LOOPS];
    int n = 0;
    Buffer *acc = m->acc;
    make_acc(m, acc->type, out);
    Buffer *tile = m->acc;
    tile->name = "tile";
    Body *leaf = open_tile(m, out);
    m->acc = acc;
    const Expr *value = acc_load(m, index);
    m->acc = tile;
    emit_acc_store(m, leaf, value);
    for (int i = 0; i < nest->n_loops; i++) {
        kind[i] = nest->loop[i].kind;
        nest->loop[i].kind = LOOP_SERIAL;
    }
    leaf = open_tile(m, out);
    for (int i = 0; i < nest->n_loops; i++)
        nest->loop[i].kind = kind[i];
    for (int i = 0; i < nest->n_splits; i++)
        for (int v = 0; v < nest->n_vars && n < MAX_COND; v++)
            if (nest->split[i].pad && str_eq(nest->split[i].from, nest->var[v]->name))
                inside[n++] = (Cond){value_of(m, nest->var[v]->name), nest->var[v]->extent};
    if (n) {
        body_add(leaf, stmt_if(m->arena, inside, n));
        leaf = &leaf->last->body;
    }
    emit_steps(m, open_limit(m, leaf), acc_load(m, index), nest->update);
}

static void emit_staged(Emitter *m, Body *out)
{
    Nest *nest = m->nest;
    if (!nest->update) {                      /* pointwise: no accumulator */
        m->copies++;
        Body *leaf = open_tile(m, out);
        if (nest->n_cond) {
            body_add(leaf, instance(m, stmt_if(m->arena, nest->cond, nest->n_cond)));
            leaf = &leaf->last->body;
        }
        emit_steps(m, leaf, instance(m, nest->init)->expr, nest->init);
        return;
    }
    make_acc(m, nest->update->buffer->type, out);
    Body *leaf = open_tile(m, out);
    emit_acc_store(m, leaf, instance(m, nest->init)->expr);
    emit_update(m, out, nest->stage_at);
    if (nest->scatter) {
        emit_scatter(m, out);
        return;
    }
    leaf = open_tile(m, out);
    Index index[MAX_DIMS];
    const Expr *sum = acc_load(m, index);
    emit_steps(m, open_limit(m, leaf), sum, nest->update);
}

/* Does any other nest, or a later step than the next, read what statement i of the chain wrote? */
static bool read_elsewhere(Nest **nests, int n, const Nest *own, int i, const Buffer *b)
{
    bool read = b->kind == BUF_OUT;
    for (int k = 0; k < n; k++) {
        const Nest *nest = nests[k];
        if (nest != own)
            read |= stmt_loads(nest->init, b) || (nest->update && stmt_loads(nest->update, b));
        for (int j = nest == own ? i + 1 : 0; j < nest->n_steps; j++)
            read |= stmt_loads(nest->step[j], b);
    }
    return read;
}

/* Statement i of the chain writes an element that a later one of the chain writes again, with none
 * but the next, which has the value in hand, reading it before. */
static bool overwritten(const Nest *nest, int i, const Buffer *b)
{
    for (int j = i; j < nest->n_steps; j++) {
        if (j > i && stmt_loads(nest->step[j], b))
            return false;
        if (nest->step[j]->buffer == b)
            return true;
    }
    return false;
}

/* Is `name`, of this extent, whole in the tile with all that it is split into? */
static bool splits_whole(const Nest *nest, const char *name, int64_t extent, const char **loop)
{
    for (int i = 0; i < nest->n_splits; i++) {
        const NestSplit *s = &nest->split[i];
        int64_t outer, inner, rest;
        if (!str_eq(s->from, name))
            continue;
        split_extents(s, extent, &outer, &inner, &rest);
        int first = nest_first_loop(nest, s->outer);
        *loop = nest->loop[first].name;
        if (rest && first >= nest->stage_at && !(nest->update && nest->loop[first].reduction))
            return false;
        if (!splits_whole(nest, s->outer, outer, loop) ||
            !splits_whole(nest, s->inner, inner, loop))
            return false;
        for (int64_t piece; rest > 0; rest -= piece) {
            piece = piece_of(nest, s->inner, rest);
            if (!splits_whole(nest, s->inner, piece, loop))
                return false;
        }
    }
    return true;
}

bool nest_tile_whole(const Nest *nest, const char **loop)
{
    for (int v = 0; v < nest->n_vars; v++)
        if (!splits_whole(nest, nest->var[v]->name, nest->var[v]->extent, loop))
            return false;
    return true;
}

void split_extents(const NestSplit *s, int64_t extent, int64_t *outer, int64_t *inner,
                   int64_t *rest)
{
    *inner = extent < s->factor && !s->pad ? extent : s->factor;
    *outer = s->pad ? (extent + s->factor - 1) / s->factor : extent / *inner;
    *rest = s->pad ? 0 : extent - *outer * *inner;
}

/* Where the nests of a frame go: its loops are built, with its locals, when the first one comes. */
static Body *frame_body(Kernel *k, Frame *f)
{
    if (!f)
        return &k->body;
    if (f->body)
        return f->body;
    Body *out = frame_body(k, f->outer);
    const Stmt *s = f->loop;
    for (;; s = frame_inner(s)) {
        bool parallel = s->var == f->parallel;
        Stmt *loop = stmt_for(k->arena, s->var, parallel ? LOOP_PARALLEL : s->loop);
        body_add(out, loop);
        out = &loop->body;
        if (!frame_inner(s))
            break;
    }
    for (s = s->body.first; s; s = s->next)
        if (s->kind == STMT_LOCAL)
            body_add(out, stmt_local(k->arena, s->buffer));
    return f->body = out;
}

bool nests_apply(Kernel *k, Nest **nests, int n)
{
    bool ok = true;
    k->body = (Body){0};
    for (int i = 0; i < n; i++) {
        Nest *nest = nests[i];
        Emitter m = {.nest = nest, .arena = k->arena};
        for (int j = 0; j <= nest->n_steps; j++) {
            const Stmt *last = nest->update ? nest->update : nest->init;
            const Buffer *b = j == 0 ? last->buffer : nest->step[j - 1]->buffer;
            m.drop_intermediate[j] =
                overwritten(nest, j, b) || !read_elsewhere(nests, n, nest, j, b);
        }
        for (int v = 0; v < nest->n_vars; v++)
            set_extent(&m, nest->var[v]->name, nest->var[v]->extent);
        emit_outer(&m, frame_body(k, nest->frame), 0);
        ok = ok && m.copies <= MAX_COPIES;
    }
    if (ok)
        kernel_unique_names(k);
    return ok;
}
