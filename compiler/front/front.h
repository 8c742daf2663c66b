/* front: files in, Graph out. yaml (libyaml events to a tree with places), expand (blocks,
 * repetition, expressions), model (layers to Graph), graph_print (Graph to text), weights
 * (safetensors in and out).
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
    bool broken;                   /* value not worked out, or unknown key: reported */
    bool block;                    /* a scalar behind | or >, a list or map without brackets */
    int start, end;                /* of its text, in characters; of a block the end is vague */
    int entry;                     /* fmt.c: where its key or its "-" begins */
    const char *anchor, *alias;    /* &name before it; the *name that it is a copy for; or NULL */
    Tensor *tensor;                /* what the word names where it was written, or NULL */
    int n;                         /* items; pairs of a map */
    Yaml **item;                   /* list items, or map values */
    Yaml **key;                    /* map keys (scalars) */
};

/* Within the limits below; refuses duplicate keys, merge keys, tabs, several documents, unknown
 * aliases, invalid UTF-8. NULL: reported. */
Yaml *yaml_parse(Cx *cx, const char *file, const char *text, size_t len);
Yaml *yaml_get(const Yaml *map, const char *key);
void yaml_quote(Str *s, const char *text);             /* text as a scalar in double quotes */
/* The text of a model in canonical form, nothing lost of it, not even comments. NULL: reported. */
char *fmt_text(Cx *cx, const char *file, const char *text, size_t len);

/* ---- model --------------------------------------------------------------------------------- */
#define MAX_MODEL_FILE ((size_t)4 << 20)   /* bytes: 512 for each layer of a printed graph */
#define MAX_ERRORS 20                  /* of a run; each may search all names for a near one */
#define MAX_SCALAR 4096                /* bytes */
#define MAX_NESTING 64                 /* of lists and maps, of layer lists, of an expression */
#define MAX_LAYERS 8192                /* after expansion */
#define MAX_REPEATS 65536              /* of one repetition */
#define MAX_NODES 500000               /* of a file, aliases expanded: 61 for each layer */
#define MAX_WORK 2000000               /* steps of the expansion: nodes, operands */

typedef struct ModelDefines {          /* -D: "k=v", each replaces a parameter of the model */
    const char *const *text;
    int n;
} ModelDefines;

Graph *model_parse(Cx *cx, const char *file, const char *text, size_t len);
Graph *model_parse_with(Cx *cx, const char *file, Bytes text, ModelDefines defines);
Graph *model_load_with(Cx *cx, const char *path, ModelDefines defines);
/* The graph in expanded form, labels included: reads back to the same graph, prints the same. */
char *graph_text(Arena *a, const Graph *g);

/* What model.c and its helpers share while a graph is built: codes E04.., see driver/codes.def. */
typedef struct Block {
    const char *name;
    Place place;
    const Yaml *args, *inputs, *layers;    /* args, inputs: NULL if there are none */
    bool active;                   /* a call of it is being expanded */
    bool failed;                   /* one call was wrong inside: the others are left alone */
} Block;

typedef struct Round {             /* of a repetition that is being unfolded */
    const struct Round *outer;
    const char *variable;
    const Yaml *value;
} Round;

typedef struct Scope Scope;
struct Scope {                     /* the network, or one call of a block */
    Scope *outer;                  /* where the call stands; NULL: the network */
    Block *block;
    Place place;                   /* of the call */
    const char *path, *prefix;     /* path NULL: none; prefix: of names that are taken elsewhere */
    Map *vars;                     /* args, inputs, repeat variables -> Yaml, NULL: ended */
    Map *tensors;                  /* names defined so far -> Tensor; rank 0: unknown, an error */
    const Round *round;            /* the innermost repetition's; NULL: in none */
};

typedef struct Model {
    Cx *cx;
    Graph *graph;
    Scope *scope;
    Map *written;                  /* every name that stands in `network:` -> its Place */
    Map *used;                     /* names of the graph's tensors -> Place */
    Map *counters;                 /* operator -> int, for derived names */
    Map *keys;                     /* weights key -> the Node that uses it first */
    Map *params;                   /* -> Yaml */
    Map *blocks;                   /* -> Block */
    Tensor *last;                  /* the next layer's input; NULL: it must say which */
    int64_t work;                  /* steps left */
    int depth;                     /* of layer lists inside each other */
    int noted;                     /* errors whose chain of blocks has been told */
    bool gaps;                     /* layers are missing because of an error */
    bool stopped;                  /* a limit was reported */
} Model;

typedef struct LayerForm {         /* "relu", {relu: } or {relu: {...}} */
    const char *word;              /* the operator or block */
    Place place;                   /* of the word */
    Yaml *attrs;                   /* a map, or NULL */
    bool known;                    /* nothing wrong so far */
} LayerForm;

/* ---- expand: what the full language adds to a flat list of layers -------------------------- */
void expand_params(Model *m, Yaml *params, ModelDefines defines);   /* params NULL: none */
bool expand_word(Model *m, const Yaml *y, const char *what);         /* may be a name of its own */
void expand_blocks(Model *m, const Yaml *blocks);                    /* NULL: none */
void expand_layers(Model *m, const Yaml *layers);      /* calls model_layer for each layer */
/* The tree with every $name and $(...) replaced; without any, the tree itself. Never NULL: what
 * fails is reported and stands there as a broken scalar, which no reader complains about again. */
Yaml *expand_value(Model *m, Yaml *y);
Yaml *expand_broken(Model *m, const Yaml *y);          /* in the place of y */
bool expand_charge(Model *m, Place place, size_t steps);     /* false: the limit is reached */
/* The value of an argument, repeat variable or parameter; NULL: reported. */
Yaml *expand_variable(Model *m, Place place, const char *name);
bool expand_stopped(const Model *m);

typedef enum { DATUM_INT, DATUM_FLOAT, DATUM_BOOL, DATUM_WORD } DatumKind;

typedef struct Datum {
    DatumKind kind;
    int64_t i;                     /* bool: 0 or 1 */
    double f;                      /* of an int too */
    const char *word;
} Datum;

/* The expression behind "$(" in y's text, *at moved behind its ")". false: reported. */
bool expr_read(Model *m, const Yaml *y, const char **at, Datum *out);
bool expr_value(Model *m, Place place, const Yaml *y, Datum *out);   /* what a scalar stands for */
bool expr_truth(Model *m, Place place, const Datum *v, bool *out);
char *datum_text(Arena *a, const Datum *v);
Place text_place(const Yaml *y, const char *at, size_t len);     /* of a part of y's text */
size_t word_length(const char *text);                  /* of [A-Za-z_][A-Za-z0-9_]*; 0: none */

/* ---- layers -------------------------------------------------------------------------------- */
bool layer_split(Model *m, const Yaml *item, LayerForm *out);    /* false: not a layer at all */
void model_layer(Model *m, LayerForm *form);
Tensor *model_find_tensor(Model *m, const Yaml *name, const char *what);   /* or NULL: reported */
/* The tensors of `from`, or the one before. false: reported, or one of unknown shape. */
bool model_inputs(Model *m, const LayerForm *form, Tensor **in, int *n);
const char *model_name(Model *m, LayerForm *form);   /* what `name:` says, legal, or NULL */
const char *model_path(Model *m, LayerForm *form);            /* what `path:` says, or NULL */
char *path_stem(Arena *a, const char *path);                  /* made a legal name */
/* A written name becomes the tensor's, and known in the scope; in a block it makes way. */
void model_define(Model *m, Tensor *t, const char *name, Place place);
void model_expect(Model *m, const LayerForm *form, Tensor *t);
void model_lose(Model *m);                    /* what is next reads something unknown */
/* attrs NULL: none written. Not complete: one may be missing because its name is misspelt. */
bool model_attrs(Model *m, Node *n, const Yaml *attrs, bool complete);
void model_params(Model *m, Node *n, Yaml *weights);          /* NULL: bind names them all */
void model_samples(Model *m, Yaml *check, Yaml *preprocess);  /* NULL: none */
bool bind_is_legal(Cx *cx, const Yaml *y);
/* The key that bind gives a parameter: "$path.$param" -> "conv1.weight". */
char *bind_key(Arena *a, const char *bind, const char *path, const char *role);
/* The key of the node's parameter number i where `weights:` does not name it. */
char *param_key(Arena *a, const Graph *g, const Node *n, int i);

/* Readers of tree nodes: `what` names the thing in the message. false or NULL: reported. */
bool read_map(Cx *cx, const Yaml *y, const char *what, const char *example);
bool read_list(Cx *cx, const Yaml *y, const char *what, const char *example);
const char *read_word(Cx *cx, const Yaml *y, const char *what);      /* not empty */
bool read_legal(Cx *cx, Place place, const char *name);              /* is it a legal name? */
bool read_shape(Cx *cx, const Yaml *y, const char *what, Shape *out);   /* [N, ...] */
bool read_keys(Cx *cx, const Yaml *map, const char *what, const char *const *known, int n);
char *read_found(Arena *a, const Yaml *y);                           /* "'x'", "a list", ... */
/* Does an unknown key of the map seem to mean this one? Then its absence has been told. */
bool read_misspelt(Cx *cx, const Yaml *map, const char *key);
/* "did you mean 'relu'?", or which names there are if none is near. */
void suggest(Cx *cx, const char *word, const char *const *names, int n);
void suggest_key(Cx *cx, const char *word, const Map *map);   /* keys with a value */
int add_keys(const char **names, int n, const Map *map);      /* these, behind n names; how many */

/* ---- json: strict, as much as safetensors headers need ------------------------------------- */
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
    Bytes data;                    /* in the file, little-endian */
} WeightTensor;

/* safetensors: a file, mapped, or one in the caller's memory, which stays his. NULL: reported. */
Weights *weights_open(Cx *cx, const char *path);
Weights *weights_parse(Cx *cx, const char *name, Bytes file);
void weights_close(Weights *w);                       /* cx_delete does it too */
/* A part of the data has been read: its pages may go until it is read again. */
void weights_forget(const Weights *w, Bytes part);
int weights_count(const Weights *w);
const WeightTensor *weights_at(const Weights *w, int i);
/* By its name, or by that of a slice of its first axis, "attn.in_proj_weight[0:64]". NULL: there is
 * none, or it has fewer rows. */
const WeightTensor *weights_find(const Weights *w, const char *key);
/* "w[0:64]" is rows 0 to 63 of w. false: key is no slice. */
bool weights_slice(Arena *a, const char *key, char **name, int64_t *first, int64_t *end);
/* Every parameter of the graph is there with its shape and type F32; extra tensors are noted.
 * Reports all problems with the layer's place and the closest name. */
bool weights_check(Cx *cx, const Weights *w, const Graph *g);
/* Seeded initialisation, the same bytes on every host: written as safetensors. */
bool weights_init(Cx *cx, const Graph *g, uint64_t seed, const char *path);

#endif
