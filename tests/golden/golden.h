/* golden: what the runner of golden files (golden.c), the execution of both sides (golden_exec.c),
 * weights files (golden_weights.c) and the comparison of texts (golden_text.c) share.
 */
#ifndef NET2C_GOLDEN_H
#define NET2C_GOLDEN_H

#include "front/front.h"
#include "loop/loop.h"
#include "lower/lower.h"
#include "passes/passes.h"

typedef enum { GOLDEN_GRAPH, GOLDEN_KERNEL, GOLDEN_MODULE, GOLDEN_WEIGHTS } GoldenLevel;

typedef struct Golden {           /* one file, read */
    Cx *cx;
    const char *path, *file;      /* as given; its last part, which messages show */
    const char *passes;           /* "unroll,scalarize" */
    GoldenLevel level;
    const Row *row;
    int64_t ulp;                  /* results may differ by so many units in the last place */
    bool fails;                   /* the expectation is what the compiler reports */
    const char *head;             /* the lines before the input */
    const char *input, *expect;
} Golden;

typedef struct Subject {          /* one of the three, by level */
    Graph *graph;
    Kernel *kernel;
    Module *module;
} Subject;

/* ---- golden_text.c ------------------------------------------------------------------------- */
/* Split a file into head, input and expectation, and read the head; false: said what is wrong. */
bool golden_read(Golden *g, const char *text);
/* Lines of `got` that differ from `expect`, as a short list of - and + lines. */
void golden_show_difference(Arena *a, const char *expect, const char *got);

/* ---- golden_exec.c ------------------------------------------------------------------------- */
/* Results by name: for each buffer written, its logical elements as bits. */
typedef struct Results {
    Map *by_name;                 /* -> Result */
} Results;

typedef struct Result {
    ScalarType type;
    int64_t n;                    /* logical elements, the zero halo included */
    const void *data;
} Result;

/* Run on small whole numbers that depend only on a buffer's name (a weight's key) and an element's
 * logical indices. The subject is used up. false: reported. */
bool golden_execute(const Golden *g, const Subject *s, Results *out);
/* NULL if equal, else what differs. All NaN count as equal. */
const char *golden_compare(const Golden *g, const Results *before, const Results *after);

/* ---- golden_weights.c ---------------------------------------------------------------------- */
/* Do the weights described in the input, which it changes, fit the model there? false: reported. */
bool golden_weights(const Golden *g, char *input);

#endif
