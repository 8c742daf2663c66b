/* schedule_text: read a line of verbs and apply it.
 *
 *   schedule := line { ";" line }          line := [label ":"] verb { "," verb }
 *   verb := "split" loop factor ["tail=peel" | "tail=pad"] | "order" loop... | "stage" "at" loop
 *         | "stage" | "partial" loop | "scatter" | "unroll" loop... | "vector" loop
 *         | "parallel" loop | "skip" loop | "border" loop
 *         | "pack" buffer "[" entry { "," entry } "]"
 *   A loop is the nest's; `parallel` also takes one of the frames around it.
 *   entry := "d" N ["+" add] ["/" div] ["%" mod]      (with an add: "(d1+2)/4%8")
 */
#include "sched/sched.h"

#include <ctype.h>

typedef struct Reader {
    VerbCx *v;
    Kernel *kernel;
    Nest **nests;
    int n_nests;
    const char *text;
    const char *at, *start;            /* what is left; where the last word began */
    const char *word;                  /* the last word */
} Reader;

/* What is reported from here on is about what stands at `at`. */
static void set_place(Reader *r, const char *at)
{
    if (r->v->file)
        r->v->place = schedule_place(r->v->file, r->text, (size_t)(at - r->text));
}

static bool fail(Reader *r, const char *what)
{
    set_place(r, r->at);
    const char *at = *r->at ? arena_printf(r->v->cx->temp, "at '%.24s'", r->at) : "at its end";
    return diag_error(r->v->cx->diags, r->v->place, "E0952", "schedule of '%s': %s %s",
                      r->kernel->name, what, at);
}

/* The last word is not what it should be. */
static bool fail_word(Reader *r, const char *what)
{
    r->at = r->start;
    return fail(r, what);
}

static void skip_space(Reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t')
        r->at++;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '=';
}

/* The next word, "" before punctuation or at the end. */
static const char *next_word(Reader *r)
{
    size_t n = 0;
    skip_space(r);
    r->start = r->at;
    while (word_char(r->at[n]))
        n++;
    r->word = arena_strndup(r->v->cx->temp, r->at, n);
    r->at += n;
    return r->word;
}

static bool accept(Reader *r, char c)
{
    skip_space(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_number(Reader *r, int64_t *out)
{
    return parse_i64(next_word(r), out) || fail_word(r, "expected a number");
}

static bool read_entry(Reader *r, StorageDim *e)
{
    *e = (StorageDim){0, 0, 1, 0};
    bool paren = accept(r, '(');
    const char *w = next_word(r);
    int64_t dim;
    if (w[0] != 'd' || !parse_i64(w + 1, &dim) || dim < 0 || dim >= MAX_DIMS)
        return fail_word(r, "expected a dimension like d0");
    e->dim = (int)dim;
    if (accept(r, '+') && !read_number(r, &e->add))
        return false;
    if (paren && !accept(r, ')'))
        return fail(r, "expected ')'");
    if (accept(r, '/') && !read_number(r, &e->div))
        return false;
    if (accept(r, '%') && !read_number(r, &e->mod))
        return false;
    return (e->div > 0 && e->mod >= 0 && e->add >= 0) || fail_word(r, "expected positive numbers");
}

static bool read_pack(Reader *r)
{
    StorageDim map[MAX_DIMS];
    int n = 0;
    const char *buffer = next_word(r);
    if (!accept(r, '['))
        return fail(r, "expected '['");
    do {
        if (n == MAX_DIMS)
            return fail(r, "too many dimensions");
        if (!read_entry(r, &map[n++]))
            return false;
    } while (accept(r, ','));
    if (!accept(r, ']'))
        return fail(r, "expected ']'");
    return verb_pack(r->v, r->kernel, buffer, map, n);
}

static bool read_order(Reader *r, Nest *nest)
{
    const char *loops[MAX_NEST_LOOPS];
    int n = 0;
    while (n < MAX_NEST_LOOPS && *next_word(r))
        loops[n++] = r->word;
    return verb_order(r->v, nest, loops, n);
}

static bool read_marks(Reader *r, Nest *nest, LoopKind kind)
{
    int n = 0;
    for (; *next_word(r); n++) {
        Frame *frame = nest->frame;
        bool tasks = kind == LOOP_PARALLEL && nest_find_loop(nest, r->word) < 0 &&
                     frame_find_loop(&frame, r->word);
        if (tasks ? !verb_tasks(r->v, r->nests, r->n_nests, frame, r->word)
                  : !verb_mark(r->v, nest, r->word, kind))
            return false;
    }
    return n > 0 || fail_word(r, "expected a loop");
}

static bool read_split(Reader *r, Nest *nest)
{
    const char *loop = next_word(r);
    int64_t factor;
    if (!read_number(r, &factor))
        return false;
    const char *tail = next_word(r);
    if (str_eq(tail, "tail=peel"))
        return verb_split(r->v, nest, loop, factor, TAIL_PEEL);
    if (str_eq(tail, "tail=pad"))
        return verb_split(r->v, nest, loop, factor, TAIL_PAD);
    return *tail ? fail_word(r, "expected tail=peel or tail=pad")
                 : verb_split(r->v, nest, loop, factor, TAIL_NONE);
}

static bool read_stage(Reader *r, Nest *nest)
{
    const char *w = next_word(r);
    if (!*w)
        return verb_stage(r->v, nest, NULL);
    if (!str_eq(w, "at"))
        return fail_word(r, "expected 'at'");
    return verb_stage(r->v, nest, next_word(r));
}

static bool read_verb(Reader *r, Nest *nest, const char *verb)
{
    set_place(r, r->start);
    if (str_eq(verb, "split"))
        return read_split(r, nest);
    if (str_eq(verb, "order"))
        return read_order(r, nest);
    if (str_eq(verb, "stage"))
        return read_stage(r, nest);
    if (str_eq(verb, "unroll"))
        return read_marks(r, nest, LOOP_UNROLL);
    if (str_eq(verb, "vector"))
        return read_marks(r, nest, LOOP_VECTOR);
    if (str_eq(verb, "parallel"))
        return read_marks(r, nest, LOOP_PARALLEL);
    if (str_eq(verb, "scatter"))
        return verb_scatter(r->v, nest);
    if (str_eq(verb, "partial"))
        return verb_partial(r->v, nest, next_word(r));
    if (str_eq(verb, "skip"))
        return verb_skip(r->v, nest, next_word(r));
    if (str_eq(verb, "border"))
        return verb_border(r->v, nest, next_word(r));
    if (str_eq(verb, "pack"))
        return read_pack(r);
    static const char *const verbs[] = {"split", "order", "stage", "partial", "unroll", "vector",
                                        "parallel", "border", "pack", "scatter", "skip"};
    const char *near = str_nearest(r->v->cx->temp, verb, verbs, 11);
    fail_word(r, "unknown verb");
    if (near)
        diag_help(r->v->cx->diags, "did you mean '%s'?", near);
    return false;
}

/* The variable that a loop, or what it was split from, counts. */
static const Var *counted_by(const Nest *nest, const char *loop)
{
    for (int i = nest->n_splits - 1; i >= 0; i--)
        if (str_eq(nest->split[i].outer, loop) || str_eq(nest->split[i].inner, loop))
            loop = nest->split[i].from;
    for (int i = 0; i < nest->n_vars; i++)
        if (str_eq(nest->var[i]->name, loop))
            return nest->var[i];
    return NULL;
}

/* One list serves the whole tile, and its turns are all that is left of the sum. */
static bool check_skip(VerbCx *v, const Nest *nest)
{
    const Expr *x = nest->skip ? nest->update->expr->arg[nest_skipped(nest)] : NULL;
    for (int i = nest->stage_at; x && i < nest->n_loops; i++) {
        const NestLoop *l = &nest->loop[i];
        if (i > nest->partial_at ? !l->reduction && l->kind != LOOP_PARALLEL &&
                                   !varies(x->index, x->n_index, counted_by(nest, l->name))
                                 : l->kind == LOOP_SERIAL)
            continue;
        return refuse(v, "'%s' cannot be in a tile that skips", l->name);
    }
    return true;
}

/* What later verbs can undo is checked at the end. */
static bool check_nest(VerbCx *v, const Nest *nest)
{
    const char *loop;
    if (!nest_tile_whole(nest, &loop))
        return refuse(v, "'%s' is in the staged tile and splits with a rest", loop);
    for (int i = nest->stage_at; i < nest->n_loops; i++)
        if (nest->loop[i].peel_lo || nest->loop[i].peel_hi)
            return refuse(v, "border '%s' must be outside the staged tile", nest->loop[i].name);
    for (int i = nest->stage_at; i < nest->partial_at; i++)
        if (!nest->loop[i].reduction)
            return refuse(v, "'%s' is outside of the partial sums of its own tile",
                          nest->loop[i].name);
    return check_skip(v, nest);
}

/* A tile is a local array: small, with one dimension for each of its spatial loops. */
static bool check_tile(VerbCx *v, const Nest *nest)
{
    int64_t elements = 1, spatial = 0;
    for (int i = nest->stage_at; i < nest->n_loops && nest->update; i++) {
        if (nest->loop[i].reduction)
            continue;
        spatial++;
        if (!checked_mul(elements, nest->loop[i].extent, &elements) || elements > MAX_TILE)
            elements = MAX_TILE + 1;
    }
    if (elements <= MAX_TILE && spatial <= MAX_DIMS)
        return true;
    return refuse(v, "the tile of nest '%s' has %s%lld elements in %lld loops; at most %d in %d "
                  "can be staged", nest->label, elements > MAX_TILE ? "over " : "",
                  (long long)(elements > MAX_TILE ? MAX_TILE : elements), (long long)spatial,
                  MAX_TILE, MAX_DIMS);
}

static Nest *find_nest(Reader *r)
{
    Nest **nests = r->nests;
    int n = r->n_nests;
    const char *start = r->at;
    const char *w = next_word(r);
    if (accept(r, ':')) {
        for (int i = 0; i < n; i++)
            if (str_eq(nests[i]->label, w))
                return nests[i];
        Str labels = str_new(r->v->cx->temp);
        for (int i = 0; i < n; i++)
            str_printf(&labels, "%s%s", i ? " " : "", nests[i]->label);
        r->at = start;
        fail(r, "unknown label");
        diag_help(r->v->cx->diags, "labels of this kernel are: %s", labels.data);
        return NULL;
    }
    r->at = start;
    return nests[n - 1];
}

bool schedule_apply(VerbCx *v, Kernel *k, Nest **nests, int n, const char *text)
{
    Reader r = {v, k, nests, n, text, text, text, ""};
    if (n == 0)
        return true;
    do {
        skip_space(&r);
        const char *line = r.at;
        Nest *nest = find_nest(&r);
        if (!nest)
            return false;
        do {
            if (!read_verb(&r, nest, next_word(&r)))
                return false;
        } while (accept(&r, ','));
        set_place(&r, line);
        if (!check_nest(v, nest))
            return false;
    } while (accept(&r, ';'));
    skip_space(&r);
    if (*r.at)
        return fail(&r, "expected ',' or ';'");
    for (int i = 0; i < n; i++)
        if (!check_tile(v, nests[i]))
            return false;
    return true;
}
