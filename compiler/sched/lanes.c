/* lanes: what a nest reads and writes, and which of its loops can be the lanes of vectors.
 *
 * A spatial loop can when each access is contiguous along it or the same in all lanes, as it is or
 * once weights are packed; with scatter, only while the sum runs, not for the finished tile. Lanes
 * may run past the end of the loop where every buffer has room for a whole vector.
 */
#include "sched/sched.h"

static void collect_access(void *user, const Access *x)
{
    Problem *p = user;
    const Stmt *update = p->nest->update;
    if (p->n_all == MAX_ACCESSES) {
        p->simple = false;
        return;
    }
    p->final[p->n_all] = x->store || p->in_steps || (update && x->buffer == update->buffer);
    p->all[p->n_all++] = *x;
}

static void collect_operand(void *user, const Expr *e)
{
    Problem *p = user;
    if (e->kind != EXPR_LOAD || e->buffer == p->nest->update->buffer)
        return;
    if (p->n_loads == MAX_LOADS) {
        p->simple = false;
        return;
    }
    p->load[p->n_loads++] = e;
    if (e->buffer->kind == BUF_WEIGHT)
        p->weight_bytes += (double)buffer_bytes(e->buffer);
}

bool varies(const Index *index, int n, const Var *v)
{
    bool found = false;
    for (int d = 0; d < n; d++)
        found |= index_coef(index[d], v) != 0;
    return found;
}

bool is_reduction(const Nest *nest, int var)
{
    const Stmt *main = nest->update ? nest->update : nest->init;
    return !varies(main->index, main->n_index, nest->var[var]);
}

Problem problem_of(Arena *a, const Nest *nest, const Row *row)
{
    Problem p = {.arena = a, .nest = nest, .row = row, .turns = 1, .elements = 1,
                 .simple = !nest->ordered && nest->n_vars <= MAX_VARS};
    stmt_visit_accesses(nest->init, collect_access, &p);
    if (nest->update) {
        stmt_visit_accesses(nest->update, collect_access, &p);
        stmt_visit_exprs(nest->update, collect_operand, &p);
    }
    p.in_steps = true;
    for (int i = 0; i < nest->n_steps; i++)
        stmt_visit_accesses(nest->step[i], collect_access, &p);
    for (int i = 0; i < nest->n_vars; i++)
        *(is_reduction(nest, i) ? &p.turns : &p.elements) *= (double)nest->var[i]->extent;
    return p;
}

int lane_dim(const Access *x, const Var *v)
{
    int dim = -1;
    for (int d = 0; d < x->buffer->rank; d++) {
        int64_t k = index_coef(x->index[d], v);
        if (k && (k != 1 || dim >= 0))
            return -2;
        if (k)
            dim = d;
    }
    return dim;
}

bool block_aligned(Index x, const Var *v, int64_t block)
{
    bool ok = x.c % block == 0;
    for (int i = 0; i < x.n; i++)
        ok = ok && (x.term[i].var == v || x.term[i].coef % block == 0);
    return ok;
}

bool is_packed(const Problem *p, const Buffer *b)
{
    int reads = 0, operands = 0;
    for (int i = 0; i < p->n_all; i++)
        reads += p->all[i].buffer == b;
    for (int i = 0; i < p->n_loads; i++)
        operands += p->load[i]->buffer == b;
    return b->kind == BUF_WEIGHT && b->n_storage == 0 && b->rank >= 2 && b->rank <= MAX_PACKED &&
           reads == 1 && operands == 1;
}

static bool lane_contiguous(const Problem *p, const Access *x, const Var *v)
{
    int d = lane_dim(x, v), lanes = p->row->lanes;
    const Buffer *b = x->buffer;
    if (d == -1)
        return true;
    if (d < 0)
        return false;
    if (is_packed(p, b))                       /* a packed copy puts this dimension last */
        return block_aligned(x->index[d], v, lanes);
    if (b->n_storage == 0)
        return d == b->rank - 1;
    const StorageDim *last = &b->storage[b->n_storage - 1];
    return last->dim == d && last->div == 1 &&
           (last->mod == 0 ||
            (last->mod % lanes == 0 &&
             block_aligned(index_offset(x->index[d], last->add), v, last->mod)));
}

bool lane_has_slack(const Problem *p, const Var *v, int64_t over, bool scatter)
{
    for (int i = 0; i < p->n_all; i++) {
        const Access *x = &p->all[i];
        int d = lane_dim(x, v);
        if (d < 0 || (scatter && p->final[i]))
            continue;
        const Dim *dim = &x->buffer->dim[d];
        int64_t min, max, end = dim->extent - 1;
        index_range(x->index[d], &min, &max);
        if (dim->zero || (x->store && (max != end || x->index[d].n > 1)) ||
            ((x->buffer->kind != BUF_WEIGHT || x->buffer->n_storage) && max + over > end + dim->hi))
            return false;
    }
    return true;
}

bool can_be_lane(const Problem *p, int var, bool scatter)
{
    const Var *v = p->nest->var[var];
    if (is_reduction(p->nest, var))
        return false;
    for (int i = 0; i < p->nest->n_cond; i++)
        if (index_coef(p->nest->cond[i].index, v))
            return false;
    for (int i = 0; i < p->nest->n_limit; i++)
        if (index_coef(p->nest->limit[i].index, v))
            return false;
    bool used = false;
    for (int i = 0; i < p->n_all; i++) {
        if (scatter && p->final[i])
            continue;
        if (!lane_contiguous(p, &p->all[i], v))
            return false;
        used |= lane_dim(&p->all[i], v) >= 0;
    }
    return used;
}
