/* loop_verify: is a kernel well formed? Run after every pass.
 *
 * example: for i < 8 { y[i] = x[i - 1]; } is refused: index 0 of x is -1..6, outside 0..7.
 *
 * contract: a kernel that passes reads and writes inside its buffers whatever the data, uses each
 * name within its scope, and its types agree; the interpreter, the emitters and C rely on it.
 * Reports E0911 (bounds), E0912 (scope), E0913 (spelling), E0914 (types), E0915 (buffers),
 * E0916 (vector accesses), E0917 (statements), with at most MAX_REPORTS errors a kernel.
 */
#include "loop/loop_text.h"

#define MAX_REPORTS 10
#define MAX_LANES 64
#define MAX_EXTENT (INT64_C(1) << 40)
#define MAX_NESTING 200

typedef struct CondScope {           /* the conditions that hold here, innermost first */
    const Cond *cond;
    const struct CondScope *outer;
} CondScope;

typedef struct Verify {
    Cx *cx;
    const Kernel *kernel;
    const Stmt *stmt;                /* being checked; NULL: the parameters */
    Scope scope;
    const CondScope *conds;
    const Var **loops;               /* all variables so far: one loop, list or pick each */
    size_t n_loops, cap_loops;
    int depth, errors;
} Verify;

/* Always false. */
static bool __attribute__((format(printf, 3, 4)))
verify_error(Verify *v, const char *code, const char *format, ...)
{
    const Kernel *k = v->kernel;
    va_list args;

    if (v->errors++ >= MAX_REPORTS)
        return false;
    va_start(args, format);
    const char *what = arena_vprintf(v->cx->temp, format, args);
    va_end(args);
    diag_error(v->cx->diags, NO_PLACE, code, "kernel %s (%s): %s", k->name,
               k->origin != NULL ? k->origin : "no origin", what);
    if (v->stmt != NULL)
        diag_note(v->cx->diags, NO_PLACE, "in: %s", stmt_head(v->cx->temp, v->stmt));
    return false;
}

static void define(Verify *v, SymbolKind kind, const char *name, const void *item)
{
    if (scope_define(&v->scope, kind, name, item) == NULL)
        verify_error(v, "E0913", "'%s' is defined twice in nested scopes", name);
}

static bool in_scope(const Verify *v, SymbolKind kind, const char *name, const void *item)
{
    const Symbol *s = scope_find(&v->scope, kind, name);

    return s != NULL && s->item == item;
}

/* ---- buffers ------------------------------------------------------------------------------- */
/* The storage dimensions of one logical dimension must be the digits of its index, lowest first:
 * then no two elements share a place. */
static bool storage_separates(const Buffer *b, int dim)
{
    const Dim *d = &b->dim[dim];
    int64_t digit = 1;

    for (;;) {
        int i = 0;
        while (i < b->n_storage && (b->storage[i].dim != dim || b->storage[i].div != digit))
            i++;
        if (i == b->n_storage)
            return digit >= d->lo + d->extent + d->hi;
        if (b->storage[i].mod == 0)
            return true;
        if (b->storage[i].mod == 1 || !checked_mul(digit, b->storage[i].mod, &digit))
            return false;
    }
}

bool buffer_storage_fits(const Buffer *b)
{
    if (b->n_storage < 0 || b->n_storage > MAX_DIMS)
        return false;
    for (int i = 0; i < b->n_storage; i++) {
        const StorageDim *s = &b->storage[i];
        if (s->dim < 0 || s->dim >= b->rank || s->div < 1 || s->mod < 0
            || s->add < b->dim[s->dim].lo || s->add > MAX_EXTENT || s->mod > MAX_EXTENT)
            return false;
        for (int k = 0; k < i; k++)
            if (b->storage[k].dim == s->dim && b->storage[k].add != s->add)
                return false;
    }
    for (int i = 0; i < b->rank && b->n_storage > 0; i++)
        if (!storage_separates(b, i))
            return false;
    return true;
}

static bool dims_fit(const Buffer *b)
{
    bool fit = b->rank >= 0 && b->rank <= MAX_DIMS;

    for (int i = 0; fit && i < b->rank; i++) {
        const Dim *d = &b->dim[i];
        fit = d->extent >= 1 && d->extent <= MAX_EXTENT && d->lo >= 0 && d->lo <= MAX_EXTENT
            && d->hi >= 0 && d->hi <= MAX_EXTENT;
    }
    return fit;
}

static bool verify_buffer(Verify *v, const Buffer *b)
{
    bool local = b->kind == BUF_LOCAL;

    if (!dims_fit(b))
        return verify_error(v, "E0915", "buffer '%s' has a rank or dimension out of range",
                            b->name);
    if (b->lanes < 1 || b->lanes > MAX_LANES || (!local && b->lanes != 1))
        return verify_error(v, "E0915", "buffer '%s' cannot have %d lanes", b->name, b->lanes);
    if (!buffer_storage_fits(b) || (local && b->n_storage > 0))
        return verify_error(v, "E0915", "the storage map of '%s' does not give each element a "
                            "place", b->name);
    if (buffer_bytes(b) > MAX_EXTENT)
        return verify_error(v, "E0915", "buffer '%s' is larger than 2^40 bytes", b->name);
    return true;
}

/* ---- indices ------------------------------------------------------------------------------- */
static int64_t common_divisor(int64_t x, int64_t y)
{
    while (y != 0) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x < 0 ? -x : x;
}

/* Narrow lo..hi, the range of f, by 0 <= e < n. For a variable of both, p * f - q * e is chosen so
 * that the variable cancels; then f = ((p * f - q * e) + q * e) / p with p > 0. */
static void range_narrow(Arena *a, Index f, const Cond *c, int64_t *lo, int64_t *hi)
{
    for (int i = 0; i < f.n; i++) {
        int64_t in_f = f.term[i].coef, in_e = index_coef(c->index, f.term[i].var), min, max;
        if (in_e == 0)
            continue;
        int64_t divisor = common_divisor(in_e, in_f);
        int64_t p = in_e / divisor, q = in_f / divisor;
        if (p < 0) {
            p = -p;
            q = -q;
        }
        index_range(index_sub(a, index_scale(a, f, p), index_scale(a, c->index, q)), &min, &max);
        int64_t end;
        if (!checked_mul(q, c->extent - 1, &end)
            || !checked_add(min, end < 0 ? end : 0, &min)
            || !checked_add(max, end > 0 ? end : 0, &max) || min == INT64_MIN)
            continue;
        int64_t low = -floor_div(-min, p), high = floor_div(max, p);
        *lo = low > *lo ? low : *lo;
        *hi = high < *hi ? high : *hi;
    }
}

static bool verify_index_vars(Verify *v, Index x)
{
    for (int i = 0; i < x.n; i++) {
        const Var *var = x.term[i].var;
        if (!in_scope(v, SYMBOL_VAR, var->name, var))
            return verify_error(v, "E0912", "loop variable '%s' is used outside its loop",
                                var->name);
    }
    return true;
}

/* first <= x <= last, for every turn of the loops that the conditions allow. Where conditions
 * exclude each other (lo > hi) nothing is executed. */
static void verify_bounds(Verify *v, const Buffer *b, int dim, Index x, int64_t first,
                          int64_t last)
{
    Arena *a = v->cx->temp;
    int64_t lo, hi;

    if (!verify_index_vars(v, x))
        return;
    index_range(x, &lo, &hi);
    for (const CondScope *c = v->conds; c != NULL && (lo < first || hi > last); c = c->outer) {
        int64_t min, max;
        index_range(c->cond->index, &min, &max);
        if (max < 0 || min >= c->cond->extent)
            return;
        range_narrow(a, x, c->cond, &lo, &hi);
    }
    if ((lo >= first && hi <= last) || lo > hi)
        return;
    verify_error(v, "E0911", "index %d of '%s', %s, is %lld..%lld, outside %lld..%lld", dim,
                 b->name, index_text(a, x), (long long)lo, (long long)hi, (long long)first,
                 (long long)last);
    if (v->errors == 1)
        diag_help(v->cx->diags, "guard the access with an if, or give the buffer a halo");
}

/* Lanes along the last index lie side by side? A local of vectors has whole elements instead. */
static bool access_contiguous(const Verify *v, const Buffer *b)
{
    if (b->rank == 0)
        return false;
    if (v->kernel->physical || b->n_storage == 0)
        return true;
    const StorageDim *last = &b->storage[b->n_storage - 1];
    return last->dim == b->rank - 1 && last->div == 1 && last->mod == 0;
}

static void verify_access(Verify *v, const Buffer *b, const Index *index, int n, Type type)
{
    bool physical = v->kernel->physical, elements = b->lanes > 1;
    int need = buffer_indices(b, physical);
    int64_t first, last;

    if (!in_scope(v, SYMBOL_BUFFER, b->name, b)) {
        verify_error(v, "E0912", "buffer '%s' is neither a parameter nor a local here", b->name);
        return;
    }
    if (n != need) {
        verify_error(v, "E0911", "'%s' needs %d indices, not %d", b->name, need, n);
        return;
    }
    if (type.scalar != scalar_loaded(b->type))
        verify_error(v, "E0914", "'%s' has elements of type %s, not %s", b->name,
                     scalar_name(b->type), scalar_name(type.scalar));
    if (b->type == TYPE_BF16 && b->kind != BUF_WEIGHT)
        verify_error(v, "E0914", "'%s' is of type bf16, which only weights may have", b->name);
    if (elements ? type.lanes != b->lanes : type.lanes > 1 && !access_contiguous(v, b))
        verify_error(v, "E0916", "%d lanes of '%s' do not lie side by side", type.lanes, b->name);
    for (int i = 0; i < n; i++) {
        buffer_bounds(b, physical, i, type.lanes, &first, &last);
        verify_bounds(v, b, i, index[i], first, last);
    }
}

/* ---- expressions --------------------------------------------------------------------------- */
static bool args_have_type(const Expr *e, int first, int last)
{
    for (int i = first; i < last; i++)
        if (!type_equal(e->arg[i]->type, e->type))
            return false;
    return true;
}

static bool bin_fits(int op, ScalarType t)
{
    return op >= BIN_ADD && op <= BIN_MAX && (t != TYPE_I32 || op != BIN_DIV);
}

static bool const_fits(const Expr *e)
{
    return e->type.scalar != TYPE_I32
        || (e->value >= INT32_MIN && e->value <= INT32_MAX && e->value == (int32_t)e->value);
}

/* Type and lanes of one node, given those of its arguments. */
static bool expr_fits(const Expr *e)
{
    Type t = e->type;

    switch (e->kind) {
    case EXPR_CONST:
        return const_fits(e);
    case EXPR_LOAD:
        return true;
    case EXPR_NAME:
        return type_equal(t, e->name->type);
    case EXPR_BIN:
        return args_have_type(e, 0, 2) && bin_fits(e->op, t.scalar);
    case EXPR_UN:
        return args_have_type(e, 0, 1) && e->op >= UN_NEG && e->op <= UN_POW_NEG_QUARTERS
            && (t.scalar != TYPE_I32 || e->op <= UN_ABS);
    case EXPR_FMA:
        return args_have_type(e, 0, 3) && t.scalar != TYPE_I32;
    case EXPR_CAST:
        return e->arg[0]->type.lanes == t.lanes;
    case EXPR_SELECT:
        return args_have_type(e, 2, 4) && type_equal(e->arg[0]->type, e->arg[1]->type)
            && e->arg[0]->type.lanes == t.lanes && e->op >= CMP_LT && e->op <= CMP_NE;
    case EXPR_BCAST:
        return type_equal(e->arg[0]->type, (Type){t.scalar, 1});
    case EXPR_HSUM:
        return t.lanes == 1 && e->arg[0]->type.scalar == t.scalar && bin_fits(e->op, t.scalar);
    }
    return false;
}

static void verify_expr(void *user, const Expr *e)
{
    Verify *v = user;

    if (e->type.lanes < 1 || e->type.lanes > MAX_LANES || !expr_fits(e))
        verify_error(v, "E0914", "types or lanes do not agree in %s", expr_text(v->cx->temp, e));
    if (e->kind == EXPR_LOAD)
        verify_access(v, e->buffer, e->index, e->n_index, e->type);
    if (e->kind == EXPR_NAME && !in_scope(v, SYMBOL_NAME, e->name->name, e->name))
        verify_error(v, "E0912", "'%s' is used before it is defined", e->name->name);
}

/* ---- statements ---------------------------------------------------------------------------- */
static void verify_body(Verify *v, Body b);

/* From here on in its scope. */
static bool define_var(Verify *v, const Stmt *s)
{
    for (size_t i = 0; i < v->n_loops; i++)
        if (v->loops[i] == s->var)
            verify_error(v, "E0917", "loop variable '%s' belongs to two loops", s->var->name);
    v->loops = arena_grow(v->cx->temp, v->loops, v->n_loops, v->n_loops + 1, &v->cap_loops,
                          sizeof *v->loops);
    v->loops[v->n_loops++] = s->var;
    if (s->var->extent < 1 || s->var->extent > MAX_EXTENT)
        return verify_error(v, "E0917", "loop '%s' has the extent %lld", s->var->name,
                            (long long)s->var->extent);
    define(v, SYMBOL_VAR, s->var->name, s->var);
    return true;
}

/* Is it an element of a list: its number of groups, or else one of its indices? Gives how many
 * values the list's variable has. */
static bool is_list_element(const Expr *e, bool groups, int64_t *values)
{
    int64_t first = 0, last = 0;

    if (e->kind != EXPR_LOAD || e->buffer->kind != BUF_LIST || e->n_index != 1)
        return false;
    *values = e->buffer->dim[0].extent - 1 - LIST_GROUP;
    index_range(e->index[0], &first, &last);
    return groups ? first == 0 && last == 0 : first > 0;
}

static void verify_for(Verify *v, const Stmt *s)
{
    int64_t values;
    size_t mark = v->scope.n;

    if (s->expr != NULL && (s->loop != LOOP_SERIAL || !is_list_element(s->expr, true, &values)
                            || s->var->extent < values / LIST_GROUP))
        verify_error(v, "E0917", "the turns of '%s' are not those of a list's groups",
                     s->var->name);
    if (!define_var(v, s))
        return;
    verify_body(v, s->body);
    scope_close(&v->scope, mark);
}

/* The list's own variable is visible only to its expression. */
static void verify_list(Verify *v, const Stmt *s)
{
    const Expr *e = s->expr;
    size_t mark = v->scope.n;

    if (!define_var(v, s))
        return;
    stmt_visit_exprs(s, verify_expr, v);
    scope_close(&v->scope, mark);
    if (e->kind != EXPR_LOAD || e->type.lanes != 1 || s->var->extent % LIST_GROUP != 0
        || s->var->extent > INT32_MAX || s->buffer->kind != BUF_LIST
        || s->buffer->dim[0].extent != 1 + s->var->extent + LIST_GROUP)
        verify_error(v, "E0917", "'%s' does not list single elements in whole groups of %d",
                     s->buffer->name, LIST_GROUP);
    else if (verify_buffer(v, s->buffer))
        define(v, SYMBOL_BUFFER, s->buffer->name, s->buffer);
}

static void verify_pick(Verify *v, const Stmt *s)
{
    int64_t values;

    if (!is_list_element(s->expr, false, &values) || s->var->extent < values)
        verify_error(v, "E0917", "'%s' is not an index that a list holds", s->var->name);
    define_var(v, s);
}

static void verify_if(Verify *v, const Stmt *s)
{
    const CondScope *outer = v->conds;
    CondScope scope[MAX_COND];

    if (s->n_cond < 1 || s->n_cond > MAX_COND) {
        verify_error(v, "E0917", "an if has 1 to %d conditions, not %d", MAX_COND, s->n_cond);
        return;
    }
    for (int i = 0; i < s->n_cond; i++) {
        if (!verify_index_vars(v, s->cond[i].index))
            return;
        if (s->cond[i].extent < 1 || s->cond[i].extent > MAX_EXTENT) {
            verify_error(v, "E0917", "a condition has the extent %lld",
                         (long long)s->cond[i].extent);
            return;
        }
        scope[i] = (CondScope){&s->cond[i], v->conds};
        v->conds = &scope[i];
    }
    verify_body(v, s->body);
    v->conds = outer;
}

static void verify_assign(Verify *v, const Stmt *s)
{
    const Name *n = s->name;

    if (!type_equal(n->type, s->expr->type))
        verify_error(v, "E0914", "'%s' has another type than its value", n->name);
    if (n->is_var != (s->kind != STMT_LET))
        verify_error(v, "E0917", s->kind == STMT_LET ? "'%s' is a var in a let"
                     : "'%s' is a let: it cannot be assigned", n->name);
    if (s->kind != STMT_SET)
        define(v, SYMBOL_NAME, n->name, n);
    else if (!in_scope(v, SYMBOL_NAME, n->name, n))
        verify_error(v, "E0912", "'%s' is set before it is defined", n->name);
}

static void verify_store(Verify *v, const Stmt *s)
{
    BufferKind kind = s->buffer->kind;

    if (kind != BUF_OUT && kind != BUF_SCRATCH && kind != BUF_LOCAL)
        verify_error(v, "E0915", "'%s' is read-only", s->buffer->name);
    verify_access(v, s->buffer, s->index, s->n_index, s->expr->type);
}

static void verify_local(Verify *v, const Stmt *s)
{
    if (s->buffer->kind != BUF_LOCAL)
        verify_error(v, "E0915", "'%s' is not a local buffer", s->buffer->name);
    else if (verify_buffer(v, s->buffer))
        define(v, SYMBOL_BUFFER, s->buffer->name, s->buffer);
}

static void verify_stmt(Verify *v, const Stmt *s)
{
    v->stmt = s;
    if (s->kind != STMT_LIST)
        stmt_visit_exprs(s, verify_expr, v);
    switch (s->kind) {
    case STMT_FOR: verify_for(v, s); break;
    case STMT_IF: verify_if(v, s); break;
    case STMT_LET: case STMT_VAR: case STMT_SET: verify_assign(v, s); break;
    case STMT_STORE: verify_store(v, s); break;
    case STMT_LOCAL: verify_local(v, s); break;
    case STMT_LIST: verify_list(v, s); break;
    case STMT_PICK: verify_pick(v, s); break;
    case STMT_PREFETCH:
        verify_access(v, s->buffer, s->index, s->n_index,
                      (Type){scalar_loaded(s->buffer->type), 1});
        break;
    case STMT_NOTE: break;
    }
}

static void verify_body(Verify *v, Body b)
{
    size_t mark = v->scope.n;

    if (++v->depth > MAX_NESTING)
        verify_error(v, "E0917", "statements are nested more than %d deep", MAX_NESTING);
    for (const Stmt *s = b.first; s != NULL && v->depth <= MAX_NESTING; s = s->next)
        verify_stmt(v, s);
    scope_close(&v->scope, mark);
    v->depth--;
}

bool loop_verify(Cx *cx, const Kernel *k)
{
    Verify v = {.cx = cx, .kernel = k, .scope = scope_new(cx->temp)};

    for (int i = 0; i < k->n_buffers; i++) {
        if (k->buffer[i]->kind == BUF_LOCAL)
            verify_error(&v, "E0915", "parameter '%s' is a local buffer", k->buffer[i]->name);
        else if (verify_buffer(&v, k->buffer[i]))
            define(&v, SYMBOL_BUFFER, k->buffer[i]->name, k->buffer[i]);
    }
    if (v.errors == 0)
        verify_body(&v, k->body);
    return v.errors == 0;
}
