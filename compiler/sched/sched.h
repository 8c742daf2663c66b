/* sched: schedules as data. A nest is what a schedule acts on: one perfect loop nest with an
 * initial value, one update under reduction loops, and pointwise steps on the same element.
 * Verbs edit a nest; the text form is a line of verbs; the heuristic finds a line by cost.
 *
 *   split ic 16, split oc 32, split oc.i 16, pack w [d0/32, d1/16, d2, d3, d1%16, d0%32],
 *   order n oc.o oy ic.o ky kx ic.i ox oc.i.o oc.i.i, stage at ic.o, unroll ox oc.i.o,
 *   vector oc.i.i
 *
 * A kernel's schedule has one line a nest, "sq: vector c.i; y: split ox 16", where the label is
 * the buffer the nest writes first ("zero" for constant fills; a number follows where one is
 * taken); a line without label is for the last nest.
 */
#ifndef NET2C_SCHED_H
#define NET2C_SCHED_H

#include "loop/loop.h"
#include "target/target.h"

#define MAX_NEST_LOOPS 24
#define MAX_STEPS 12
#define MAX_FACTOR (INT64_C(1) << 40)    /* of a split, the largest extent there is */
#define MAX_TILE 16384                   /* elements of a staged tile */
#define MAX_COPIES 1024                  /* of a nest, by tails and borders */

typedef struct NestLoop {
    const char *name;
    int64_t extent;            /* whole iterations, when it is the outer half of a split */
    LoopKind kind;
    bool reduction;
    int64_t peel_lo, peel_hi;  /* border: iterations split off on each side */
} NestLoop;

typedef struct NestSplit {     /* from = outer * factor + inner. What factor does not divide is
                                  peeled into copies of its own, or padded to a whole iteration */
    const char *from, *outer, *inner;
    int64_t factor;
    bool pad;
    bool whole;                /* nothing is left over, or padded */
} NestSplit;

typedef struct Frame Frame;
struct Frame {                 /* loops around several nests, which run one after the other in each
                                  iteration; what they hand over may be local to it */
    Frame *outer;
    const Stmt *loop;          /* the outermost; its inner ones are perfect down to the nests */
    const Var *parallel;       /* of these loops the one whose iterations are tasks, or NULL */
    Body *body;                /* while the kernel is rebuilt: where its nests go */
};

typedef struct Nest {
    Arena *arena;
    Kernel *kernel;
    Frame *frame;                      /* NULL: the nest stands in the kernel's body */
    const char *label;                 /* unique in the kernel */
    bool ordered;                      /* an iteration may need, or overwrite, what one before it
                                          stored: the loops keep their order */
    const Var *var[MAX_NEST_LOOPS];    /* original loop variables: spatial and reduction */
    int n_vars;
    NestLoop loop[MAX_NEST_LOOPS];     /* as scheduled, outermost first */
    int n_loops;
    NestSplit split[MAX_NEST_LOOPS];   /* in the order made */
    int n_splits;
    /* STMT_STOREs in terms of var[]: the initial value, the update (NULL: none), and then steps
     * that each read the value before at the same element */
    const Stmt *init, *update;
    const Stmt *step[MAX_STEPS];
    int n_steps;
    Cond cond[MAX_COND];               /* guard of the update */
    int n_cond;
    Cond limit[MAX_COND];              /* guard of all: which elements there are */
    int n_limit;
    int stage_at;                      /* position in loop[] where the tile in registers begins */
    bool scatter;                      /* the finished tile is stored element by element */
    int partial_at;                    /* sums from here on start at zero and are then added to
                                          the tile; -1: one chain */
    bool skip;                         /* the partial sums leave out what is zero */
} Nest;

bool frame_within(const Frame *inner, const Frame *outer);       /* or the same */
const Stmt *frame_inner(const Stmt *loop);    /* the next loop of its frame, or NULL */
/* The frame's loop of that name, or of the frames around it, which *frame becomes. */
const Stmt *frame_find_loop(Frame **frame, const char *name);
/* The buffer that keeps iterations of a frame's loop from running at the same time: some write it
 * where others read or write. NULL: none does. */
const Buffer *frame_shares(Nest *const *nests, int n, const Frame *frame, const Var *task);

/* Recognise the nests of a kernel's naive body, in order. Returns how many; -1: reported. */
int nests_of_kernel(Cx *cx, Kernel *k, Nest ***nests);
/* How often each half runs for `extent` of the whole, and what is left over for copies. */
void split_extents(const NestSplit *s, int64_t extent, int64_t *outer, int64_t *inner,
                   int64_t *rest);
/* Rebuild the kernel's body from its nests, each with its tile staged. false: tails and borders
 * make more than MAX_COPIES copies of one. */
bool nests_apply(Kernel *k, Nest **nests, int n);
int nest_find_loop(const Nest *nest, const char *name);          /* position or -1 */
/* Position of a loop, or of the outermost of those it was split into; its split's copies begin
 * there. */
int nest_first_loop(const Nest *nest, const char *name);
/* Is the staged tile the same in each copy: no spatial split in it leaves anything over? If not,
 * the name of the loop that does. */
bool nest_tile_whole(const Nest *nest, const char **loop);
/* The operand of the update's products that may be zero, being no weight: its place among the
 * arguments. -1: there is none. */
int nest_skipped(const Nest *nest);
/* Does the update add terms to its element, which may then be added in parts? */
bool nest_sums(const Nest *nest);

/* A file of schedules (schedule_file.c). */
typedef struct Schedules Schedules;
Schedules *schedules_read(Cx *cx, const char *path);       /* NULL: reported */
/* The entry of a kernel, by its name or else by what it computes, which counts as used then.
 * false: there is none. *text: NULL where the entry is `auto`. */
bool schedules_find(Schedules *s, const char *name, const char *descriptor, const char *row,
                    const char **text);
/* The key of the next entry, from number *i on, that no kernel has used; NULL: no more. */
const char *schedules_unused(const Schedules *s, int *i, const char **row, Place *place);
/* Where the character of a text stands that schedules_find gave. NO_PLACE: it gave no such text. */
Place schedule_place(const Schedules *s, const char *text, size_t offset);

/* Verbs: each checks legality, reports at `place` and returns false if it is not legal. */
typedef struct VerbCx {
    Cx *cx;
    Place place;
    const Row *row;
    const Schedules *file;         /* where the text may come from, or NULL */
} VerbCx;
typedef enum { TAIL_NONE, TAIL_PEEL, TAIL_PAD } TailKind;
/* Reports "illegal schedule: ..." (E0951). Always false. */
bool refuse(VerbCx *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool verb_split(VerbCx *v, Nest *nest, const char *loop, int64_t factor, TailKind tail);
bool verb_order(VerbCx *v, Nest *nest, const char *const *loops, int n);
bool verb_stage(VerbCx *v, Nest *nest, const char *loop);        /* NULL: innermost */
bool verb_scatter(VerbCx *v, Nest *nest);
bool verb_partial(VerbCx *v, Nest *nest, const char *loop);
bool verb_skip(VerbCx *v, Nest *nest, const char *loop);
bool verb_mark(VerbCx *v, Nest *nest, const char *loop, LoopKind kind);
bool verb_tasks(VerbCx *v, Nest *const *nests, int n, Frame *frame, const char *loop);
bool verb_border(VerbCx *v, Nest *nest, const char *loop);
bool verb_pack(VerbCx *v, Kernel *k, const char *buffer, const StorageDim *map, int n);

/* Apply a schedule text to a kernel's nests, verb by verb. */
bool schedule_apply(VerbCx *v, Kernel *k, Nest **nests, int n, const char *text);
typedef struct Tile {
    int lane, point;                   /* index into nest->var; -1: none */
    int64_t block, points;             /* vectors, iterations */
    bool pad, scatter;
    int64_t row;                       /* skipping zeros: outputs of a row of weights; else 0 */
    double cycles;
    int copies;
} Tile;

/* The best schedule text by the cost model, with the reason in one line. NULL: leave naive. */
const char *schedule_find(Arena *a, Nest *const *nests, int n, const Row *row, const char **why);

typedef struct Choice {                /* for the nest of a kernel that takes longest */
    Tile tile;
    int first;                         /* the outermost loop: index into nest->var; -1: as found */
    bool unroll;                       /* the innermost loop of the sums is unrolled */
} Choice;

typedef struct Candidate {             /* a schedule of a kernel */
    const char *text, *why;
    Choice choice;                     /* all zero where the kernel has no tile to choose */
} Candidate;
/* Up to max schedules, the one that schedule_find gives first, then others by predicted cycles. No
 * bit of a result depends on which is taken: sums keep their order. Returns how many. */
int schedule_candidates(Arena *a, Nest *const *nests, int n, const Row *row, Candidate *out,
                        int max);
/* Up to max schedules that differ from the one with the choice `from` in all but its tile. */
int schedule_variants(Arena *a, Nest *const *nests, int n, const Row *row, const Choice *from,
                      Candidate *out, int max);

/* ---- the cost model, in parts: lanes.c, cost.c and heuristic.c ------------------------------- */
#define MAX_LOADS 8                    /* nests with more of anything keep their loops */
#define MAX_ACCESSES 64
#define MAX_VARS 10
#define MAX_PACKED 6                   /* dimensions of weights that are packed */

typedef struct Problem {               /* a nest to find a schedule for */
    Arena *arena;
    const Nest *nest;
    const Row *row;
    Access all[MAX_ACCESSES];          /* every access of the nest */
    bool final[MAX_ACCESSES];          /* when the tile is finished: not in lanes if scattered */
    int n_all;
    const Expr *load[MAX_LOADS];       /* of the update, without the accumulator */
    int n_loads;
    double turns, elements;            /* products of the reduction and the spatial extents */
    double weight_bytes;               /* read by the update, per copy of the whole nest */
    bool in_steps;                     /* while collecting */
    bool simple;                       /* all of it is here, and its loops may be reordered */
} Problem;

Problem problem_of(Arena *a, const Nest *nest, const Row *row);
bool varies(const Index *index, int n, const Var *v);
bool is_reduction(const Nest *nest, int var);
/* The logical dimension that `v` runs along with step 1, if in no other. -1: it is in none; -2: it
 * runs along none with step 1, or along several. */
int lane_dim(const Access *x, const Var *v);
/* Does the rest of the index stay on multiples of `block`, so that lanes fall into one block? */
bool block_aligned(Index x, const Var *v, int64_t block);
/* Weights that only the update reads, once, are packed for it, unless they have their layout. */
bool is_packed(const Problem *p, const Buffer *b);
/* May the lanes run `over` past the end, up to a whole vector? */
bool lane_has_slack(const Problem *p, const Var *v, int64_t over, bool scatter);
bool can_be_lane(const Problem *p, int var, bool scatter);
/* The cheapest register tile. Its lane is -1 if there is none that beats one element at a time. */
Tile best_tile(const Problem *p);
/* Up to max tiles, the cheapest first. Returns how many. */
int ranked_tiles(const Problem *p, Tile *tile, int max);

#endif
