/* verbs: the edits a schedule makes to a nest, each a short function that refuses what is not
 * legal. Order of sums: spatial loops may move anywhere without changing a bit; reduction loops
 * run in the order the schedule names, which is then part of the kernel's text.
 */
#include "sched/sched.h"

#include <string.h>

#define MAX_BORDER 64              /* iterations peeled off a loop */

bool refuse(VerbCx *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(v->cx->temp, format, args);
    va_end(args);
    return diag_error(v->cx->diags, v->place, "E0951", "illegal schedule: %s", text);
}

static int find_loop(VerbCx *v, const Nest *nest, const char *name)
{
    int at = nest_find_loop(nest, name);
    if (at < 0) {
        Str list = str_new(v->cx->temp);
        for (int i = 0; i < nest->n_loops; i++)
            str_printf(&list, "%s%s", i ? " " : "", nest->loop[i].name);
        refuse(v, "nest '%s' has no loop '%s'; its loops are: %s", nest->label, name, list.data);
    }
    return at;
}

/* Iterations past the end may store only where nothing else does and nothing must stay zero. */
static bool check_padded_store(VerbCx *v, const Stmt *s, const Var *var)
{
    for (int d = 0; d < s->n_index; d++) {
        int64_t coef = index_coef(s->index[d], var), min, max;
        if (coef == 0)
            continue;
        if (s->buffer->dim[d].zero)
            return refuse(v, "padding '%s' would write to the border of '%s', which must stay zero",
                          var->name, s->buffer->name);
        index_range(s->index[d], &min, &max);
        if (coef < 0 || s->index[d].n > 1 || max != s->buffer->dim[d].extent - 1)
            return refuse(v, "padding '%s' would write to other elements of '%s', at %s", var->name,
                          s->buffer->name, index_text(v->cx->temp, s->index[d]));
    }
    return true;
}

/* Padding runs past the end of a whole loop, not of a part of it that others follow. */
static bool check_padding(VerbCx *v, const Nest *nest, const char *loop)
{
    for (int i = nest->n_splits - 1; i >= 0; i--) {
        const NestSplit *s = &nest->split[i];
        if (str_eq(s->inner, loop) || (str_eq(s->outer, loop) && !s->whole))
            return refuse(v, "padding '%s' would run into what comes after it in '%s'", loop,
                          s->from);
        if (str_eq(s->outer, loop))
            loop = s->from;
    }
    if (nest->ordered)
        return refuse(v, "iterations of '%s' depend on each other", loop);
    for (int i = 0; i < nest->n_vars && !nest->scatter; i++) {
        if (!str_eq(nest->var[i]->name, loop))
            continue;
        if (!check_padded_store(v, nest->init, nest->var[i]))
            return false;
        for (int k = 0; k < nest->n_steps; k++)
            if (!check_padded_store(v, nest->step[k], nest->var[i]))
                return false;
    }
    return true;
}

bool verb_split(VerbCx *v, Nest *nest, const char *loop, int64_t factor, TailKind tail)
{
    int at = find_loop(v, nest, loop);
    if (at < 0)
        return false;
    NestLoop from = nest->loop[at];
    const char *outer_name = arena_printf(nest->arena, "%s.o", from.name);
    const char *inner_name = arena_printf(nest->arena, "%s.i", from.name);
    if (factor < 1 || factor > MAX_FACTOR || nest->n_loops == MAX_NEST_LOOPS || from.peel_lo ||
        from.peel_hi || nest_find_loop(nest, outer_name) >= 0 ||
        nest_find_loop(nest, inner_name) >= 0)
        return refuse(v, "cannot split '%s' by %lld", loop, (long long)factor);
    if (from.kind != LOOP_SERIAL)
        return refuse(v, "'%s' is marked already: split it first", loop);
    int64_t extent = from.extent;
    if (extent % factor != 0 && tail == TAIL_NONE)
        return refuse(v, "split %s %lld leaves %lld of %lld over: say tail=peel or tail=pad", loop,
                      (long long)factor, (long long)(extent % factor), (long long)extent);
    if (tail == TAIL_PAD && from.reduction)
        return refuse(v, "'%s' is a reduction: padding it would add what is not there", loop);
    bool whole = extent % factor == 0, pad = tail == TAIL_PAD && !whole;
    if (pad && !check_padding(v, nest, loop))
        return false;
    NestSplit *s = &nest->split[nest->n_splits];
    *s = (NestSplit){from.name, outer_name, inner_name, factor, pad, whole || pad};
    memmove(&nest->loop[at + 2], &nest->loop[at + 1],
            sizeof nest->loop[0] * (size_t)(nest->n_loops - at - 1));
    int64_t outer, inner, rest;
    split_extents(s, extent, &outer, &inner, &rest);
    nest->loop[at] = (NestLoop){s->outer, outer, LOOP_SERIAL, from.reduction, 0, 0};
    nest->loop[at + 1] = (NestLoop){s->inner, inner, LOOP_SERIAL, from.reduction, 0, 0};
    nest->n_splits++;
    nest->n_loops++;
    if (nest->stage_at > at)
        nest->stage_at++;
    if (nest->partial_at > at)
        nest->partial_at++;
    return true;
}

bool verb_order(VerbCx *v, Nest *nest, const char *const *loops, int n)
{
    NestLoop old[MAX_NEST_LOOPS];
    bool used[MAX_NEST_LOOPS] = {false};
    memcpy(old, nest->loop, sizeof old);
    if (n != nest->n_loops)
        return refuse(v, "order names %d loops, nest '%s' has %d", n, nest->label, nest->n_loops);
    NestLoop renewed[MAX_NEST_LOOPS];
    for (int i = 0; i < n; i++) {
        int at = find_loop(v, nest, loops[i]);
        if (at < 0)
            return false;
        if (used[at])
            return refuse(v, "order names '%s' twice", loops[i]);
        if (nest->ordered && at != i)
            return refuse(v, "iterations of '%s' depend on each other", loops[i]);
        used[at] = true;
        renewed[i] = old[at];
    }
    memcpy(nest->loop, renewed, sizeof renewed[0] * (size_t)n);
    for (int i = 0; i < nest->n_splits; i++)
        if (nest_first_loop(nest, nest->split[i].outer) >
            nest_first_loop(nest, nest->split[i].inner))
            return refuse(v, "'%s' must stay outside '%s'", nest->split[i].outer,
                          nest->split[i].inner);
    if (nest->partial_at >= 0)
        nest->partial_at = nest_find_loop(nest, old[nest->partial_at].name);
    for (int i = n - 1; i >= 0; i--) {
        if (nest->loop[i].reduction && nest->update && i < nest->stage_at)
            nest->stage_at = i;                /* a sum cannot leave the tile */
        if (nest->loop[i].kind == LOOP_VECTOR && i < n - 1)
            return refuse(v, "vector loop '%s' must be innermost; '%s' is", nest->loop[i].name,
                          nest->loop[n - 1].name);
    }
    return true;
}

bool verb_stage(VerbCx *v, Nest *nest, const char *loop)
{
    int at = loop ? find_loop(v, nest, loop) : nest->n_loops;
    if (at < 0)
        return false;
    for (int i = 0; i < at; i++)
        if (nest->loop[i].reduction && nest->update)
            return refuse(v, "'%s' is a reduction outside the staged tile", nest->loop[i].name);
    nest->stage_at = at;
    return true;
}

/* Where lanes do not lie side by side in the target, the tile goes through memory: whole vectors
 * in, single elements out, those that padding added left out. */
bool verb_scatter(VerbCx *v, Nest *nest)
{
    if (!nest->update)
        return refuse(v, "scatter needs a tile that is accumulated; nest '%s' has none",
                      nest->label);
    nest->scatter = true;
    return true;
}

/* Long sums lose accuracy with the square root of their length; sums of partial sums with that of
 * the longer of the two (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). */
bool verb_partial(VerbCx *v, Nest *nest, const char *loop)
{
    int at = find_loop(v, nest, loop);
    if (at < 0)
        return false;
    if (!nest->update || !nest->loop[at].reduction || at < nest->stage_at)
        return refuse(v, "partial '%s' must be a reduction loop inside the staged tile", loop);
    if (!nest_sums(nest))
        return refuse(v, "partial needs a sum; nest '%s' computes something else", nest->label);
    nest->partial_at = at;
    return true;
}

/* Exact for finite weights: what is left out would add 0 * w to a sum that starts at zero. */
bool verb_skip(VerbCx *v, Nest *nest, const char *loop)
{
    int at = find_loop(v, nest, loop);
    if (at < 0)
        return false;
    if (at != nest->partial_at)
        return refuse(v, "skip '%s' must be where partial sums begin", loop);
    if (nest_skipped(nest) < 0)
        return refuse(v, "skip needs a sum of products with weights; nest '%s' computes something "
                      "else", nest->label);
    if (nest->loop[at].extent % LIST_GROUP)
        return refuse(v, "skip '%s' takes %d at a time, which %lld iterations do not divide into",
                      loop, LIST_GROUP, (long long)nest->loop[at].extent);
    for (int i = 0; i < nest->n_splits; i++)
        if (!nest->split[i].whole && (str_eq(nest->split[i].inner, loop) ||
                                      str_eq(nest->split[i].outer, loop)))
            return refuse(v, "skip '%s' is a loop whose split leaves a rest", loop);
    nest->skip = true;
    return true;
}

bool verb_mark(VerbCx *v, Nest *nest, const char *loop, LoopKind kind)
{
    int at = find_loop(v, nest, loop);
    if (at < 0)
        return false;
    if (kind == LOOP_PARALLEL && nest->loop[at].reduction)
        return refuse(v, "'%s' is a reduction and cannot run in parallel", loop);
    if (kind != LOOP_UNROLL && nest->ordered)
        return refuse(v, "iterations of '%s' depend on each other", loop);
    if (kind == LOOP_VECTOR && nest->loop[at].reduction)
        return refuse(v, "'%s' is a reduction: its sum has an order, lanes do not", loop);
    if (kind == LOOP_VECTOR && at != nest->n_loops - 1)
        return refuse(v, "vector loop '%s' must be innermost; '%s' is", loop,
                      nest->loop[nest->n_loops - 1].name);
    nest->loop[at].kind = kind;
    return true;
}

bool verb_tasks(VerbCx *v, Nest *const *nests, int n, Frame *frame, const char *loop)
{
    const Stmt *s = frame_find_loop(&frame, loop);
    const Buffer *shared = frame_shares(nests, n, frame, s->var);
    if (shared)
        return refuse(v, "iterations of '%s' share '%s', so they cannot run in parallel", loop,
                      shared->name);
    if (frame->parallel && frame->parallel != s->var)
        return refuse(v, "'%s' of the same frame is parallel already", frame->parallel->name);
    frame->parallel = s->var;
    return true;
}

/* How many iterations on each side some condition is not certain to hold, judged by the
 * condition's other variables at their worst. */
static void border_width(const Nest *nest, const Var *var, int64_t *lo, int64_t *hi)
{
    *lo = *hi = 0;
    for (int i = 0; i < nest->n_cond; i++) {
        Index x = nest->cond[i].index;
        int64_t k = index_coef(x, var), min, max;
        index_range(x, &min, &max);
        if (k <= 0 || k > MAX_FACTOR || min < -MAX_FACTOR || max > MAX_FACTOR)
            continue;
        int64_t above = max - (nest->cond[i].extent - 1);
        int64_t first = min < 0 ? (-min + k - 1) / k : 0;
        int64_t last = above > 0 ? (above + k - 1) / k : 0;
        if (first + last >= var->extent)
            continue;
        *lo = first > *lo ? first : *lo;
        *hi = last > *hi ? last : *hi;
    }
    if (*hi > var->extent - *lo)
        *hi = var->extent - *lo;
}

bool verb_border(VerbCx *v, Nest *nest, const char *loop)
{
    int at = find_loop(v, nest, loop);
    if (at < 0)
        return false;
    if (at >= nest->stage_at)
        return refuse(v, "border '%s' must be outside the staged tile", loop);
    NestLoop *l = &nest->loop[at];
    for (int i = 0; i < nest->n_vars; i++)
        if (str_eq(nest->var[i]->name, loop)) {
            border_width(nest, nest->var[i], &l->peel_lo, &l->peel_hi);
            return l->peel_lo + l->peel_hi <= MAX_BORDER ||
                   refuse(v, "the border of '%s' has %lld iterations; at most %d can be peeled",
                          loop, (long long)(l->peel_lo + l->peel_hi), MAX_BORDER);
        }
    return refuse(v, "border needs an unsplit loop, '%s' comes from a split", loop);
}

bool verb_pack(VerbCx *v, Kernel *k, const char *buffer, const StorageDim *map, int n)
{
    Buffer *b = kernel_buffer(k, buffer);
    if (!b)
        return refuse(v, "kernel '%s' has no buffer '%s' to pack", k->name, buffer);
    if (b->kind != BUF_WEIGHT && b->kind != BUF_SCRATCH)
        return refuse(v, "only weights and scratch buffers can be packed by a schedule; the "
                      "layout of '%s' is the graph's choice", buffer);
    bool seen[MAX_DIMS] = {false};
    for (int i = 0; i < n; i++) {
        if (map[i].dim < 0 || map[i].dim >= b->rank)
            return refuse(v, "'%s' has %d dimensions, no d%d", buffer, b->rank, map[i].dim);
        seen[map[i].dim] = true;
    }
    for (int d = 0; d < b->rank; d++)
        if (!seen[d])
            return refuse(v, "the packed layout of '%s' loses dimension d%d", buffer, d);
    Buffer packed = *b;
    packed.n_storage = n;
    memcpy(packed.storage, map, sizeof map[0] * (size_t)n);
    if (!buffer_storage_fits(&packed))
        return refuse(v, "the packed layout of '%s' does not give each element a place of its own",
                      buffer);
    *b = packed;
    return true;
}
