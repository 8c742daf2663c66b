/* front: files in, Graph out. yaml (libyaml events to a tree with places), model (tree to Graph),
 * graph_print (Graph to text), weights (safetensors in and out).
 */
#ifndef NET2C_FRONT_H
#define NET2C_FRONT_H

#include "graph/graph.h"
#include "ops/ops.h"

/* ---- yaml: a located tree ------------------------------------------------------------------ */
typedef enum { YAML_SCALAR, YAML_LIST, YAML_MAP } YamlKind;

typedef struct Yaml Yaml;
struct Yaml {
    YamlKind kind;
    Place place;
    const char *text;              /* scalar */
    bool quoted;
    int n;                         /* items; pairs of a map */
    Yaml **item;                   /* list items, or map values */
    Yaml **key;                    /* map keys (scalars) */
};

/* Limits: file 1 MiB, depth 64, scalar 4 KiB, 100 000 nodes. Refuses duplicate keys, merge keys,
 * tabs, several documents, unknown aliases, invalid UTF-8. NULL: reported. */
Yaml *yaml_parse(Cx *cx, const char *file, const char *text, size_t len);
Yaml *yaml_get(const Yaml *map, const char *key);

/* ---- model ---------------------------------------------------------------------------------- */
Graph *model_parse(Cx *cx, const char *file, const char *text, size_t len);
Graph *model_load(Cx *cx, const char *path);
/* The step before the graph is built: the tree of a model in expanded form. Blocks, repetition and
 * substitution are not worked out yet but refused by name. NULL: reported. */
Yaml *model_expand(Cx *cx, Yaml *root);
/* The graph in expanded form, labels included: reads back to the same graph, prints the same. */
char *graph_text(Arena *a, const Graph *g);

/* What model.c and its readers of layers, values and weights share while a graph is built.
 *
 * codes: E0401 kind of node  E0402 missing key  E0403 unknown key  E0404 not supported yet
 *        E0405 version  E0406 name  E0407 name used twice  E0408 shape  E0409 input type
 *        E0410 unknown operator  E0411 malformed layer  E0412 attribute's kind
 *        E0413 unknown tensor  E0414 number of inputs  E0415 which input  E0416 expect
 *        E0417 path  E0418 weights override  E0419 outputs  E0420 shared weights  E0421 bind
 *        E0422 limits */
typedef struct Model {
    Cx *cx;
    Graph *graph;
    Map *taken;                    /* every name of the file -> its Place */
    Map *tensors;                  /* those defined so far; rank 0: unknown, an error */
    Map *counters;                 /* operator -> int, for derived names */
    Map *keys;                     /* weights key -> the Node that uses it first */
    Tensor *last;                  /* the next layer's input; NULL: it must say which */
} Model;

void model_layer(Model *m, const Yaml *item);
Tensor *model_find_tensor(Model *m, const Yaml *name, const char *what);   /* or NULL: reported */
bool model_attrs(Model *m, Node *n, const Yaml *attrs);      /* attrs NULL: none written */
void model_params(Model *m, Node *n, const Yaml *weights);    /* NULL: bind names them all */
bool bind_is_legal(Cx *cx, const Yaml *y);
/* The key that bind gives a parameter: "$path.$param" -> "conv1.weight". */
char *bind_key(Arena *a, const char *bind, const char *path, const char *role);

/* Readers of tree nodes: `what` names the thing in the message. false or NULL: reported. */
bool read_map(Cx *cx, const Yaml *y, const char *what, const char *example);
bool read_list(Cx *cx, const Yaml *y, const char *what, const char *example);
const char *read_word(Cx *cx, const Yaml *y, const char *what);      /* not empty */
bool read_shape(Cx *cx, const Yaml *y, const char *what, Shape *out);   /* [N, ...] */
bool read_keys(Cx *cx, const Yaml *map, const char *what, const char *const *known, int n);
char *read_found(Arena *a, const Yaml *y);                           /* "'x'", "a list", ... */

/* ---- json: strict, as much as safetensors headers need -------------------------------------- */
typedef struct Json {
    Arena *arena;                  /* of the strings read */
    const char *text;
    size_t at, len;
    const char *problem;           /* NULL: none so far; it is at `at` */
    char expected;                 /* the character that problem "expected" waits for */
} Json;

Json json_start(Arena *a, const char *text, size_t len);
bool json_fail(Json *j, const char *problem);           /* keeps the first problem; false */
bool json_peek(Json *j, char c);                        /* is c next? */
bool json_take(Json *j, char c);
/* In an object or array: true if another element follows; false after taking close. */
bool json_next(Json *j, char close, bool *first);
bool json_uint(Json *j, int64_t *out);
char *json_string(Json *j);                             /* NULL: problem */
bool json_end(Json *j);                                 /* nothing but white space is left */
void json_quote(Str *s, const char *text);              /* text as a JSON string */

/* ---- weights ---------------------------------------------------------------------------------*/
#define WEIGHTS_MAX_HEADER 100000000   /* bytes, as the safetensors format says */
#define WEIGHTS_MAX_TENSORS 65536      /* and entries of __metadata__ */

typedef struct Weights Weights;

typedef struct WeightTensor {
    const char *key;
    Shape shape;                   /* no batch axis */
    const char *type;              /* "F32" as in the file */
    Bytes data;                    /* mapped, little-endian */
} WeightTensor;

Weights *weights_open(Cx *cx, const char *path);      /* safetensors; NULL: reported */
void weights_close(Weights *w);
int weights_count(const Weights *w);
const WeightTensor *weights_at(const Weights *w, int i);
const WeightTensor *weights_find(const Weights *w, const char *key);
/* Every parameter of the graph is there with its shape and type F32; extra tensors are noted.
 * Reports all problems with the layer's place and the closest name. */
bool weights_check(Cx *cx, const Weights *w, const Graph *g);
/* Seeded initialisation, the same bytes on every host: written as safetensors. */
bool weights_init(Cx *cx, const Graph *g, uint64_t seed, const char *path);

#endif
