/* yaml: a YAML text as a tree whose every node knows its line and column.
 *
 *     - conv: {out: 96}      a list of one map of one map, each with a Place
 *
 * libyaml scans and parses; only its event interface is used, because its document interface has
 * no limits. Depth, sizes and node counts are limited here, an alias counting as all it stands
 * for. What the model language refuses is refused here, with its position: tabs, tags, merge
 * keys, duplicate keys, several documents. Scalars stay text: their type is the reader's business.
 */
#include "front/front.h"

#include <string.h>
#include <yaml.h>

/* What an anchor stands for. While its node is still being read, node is NULL. */
typedef struct Anchor {
    Yaml *node;
    int nodes;                     /* in the subtree, aliases expanded */
    int height;                    /* of the subtree: 0 for a scalar */
} Anchor;

typedef struct Reader {
    Cx *cx;
    const char *file;
    yaml_parser_t parser;
    yaml_event_t event;            /* the one being looked at; owned */
    Map *anchors;                  /* name to Anchor */
    int nodes;                     /* so far, aliases expanded */
    int depth;                     /* open collections */
    int height;                    /* of the node just read */
} Reader;

static Yaml *read_node(Reader *r);

/* Only what lies on one line is underlined. */
static Place mark_place(const Reader *r, yaml_mark_t start, yaml_mark_t end)
{
    int len = start.line == end.line ? (int)(end.column - start.column) : 0;
    return (Place){r->file, (int)start.line + 1, (int)start.column + 1, len};
}

static Place event_place(const Reader *r)
{
    return mark_place(r, r->event.start_mark, r->event.end_mark);
}

static Yaml *fail_limit(Reader *r, const char *what, int limit)
{
    diag_error(r->cx->diags, event_place(r), "E0304", "%s: the limit is %d", what, limit);
    return NULL;
}

/* What to do about a problem, by words of libyaml's text for it. */
static const char *syntax_remedy(const char *problem)
{
    static const char *const remedy[][2] = {
        {"cannot start any token", "put the value in quotes"},
        {"expected ',' or", "separate items by commas, and close every bracket and brace"},
        {"end of stream", "a quote, bracket or brace is still open"},
        {"expected key", "what belongs together begins in one column"},
        {"expected '-' indicator", "what belongs together begins in one column"},
        {"mapping values", "put a value with ': ' in it in quotes; check the indentation"},
        {"could not find expected ':'", "write 'key: value', with a space behind the colon"},
    };
    for (size_t i = 0; i < sizeof remedy / sizeof remedy[0]; i++)
        if (strstr(problem, remedy[i][0]) != NULL)
            return remedy[i][1];
    return NULL;
}

static bool report_syntax(Reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        longjmp(r->cx->out_of_memory, 1);
    const char *problem = p->problem != NULL ? p->problem : "not valid YAML";
    diag_error(r->cx->diags, mark_place(r, p->problem_mark, p->problem_mark), "E0301", "%s",
               problem);
    if (syntax_remedy(problem) != NULL)
        diag_help(r->cx->diags, "%s", syntax_remedy(problem));
    if (p->context != NULL && p->context_mark.index != p->problem_mark.index)
        diag_note(r->cx->diags, mark_place(r, p->context_mark, p->context_mark), "%s",
                  p->context);
    return false;
}

static bool next_event(Reader *r)
{
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) || report_syntax(r);
}

static Yaml *new_node(Reader *r, YamlKind kind)
{
    if (++r->nodes > MAX_NODES)
        return fail_limit(r, "the file has too many nodes", MAX_NODES);
    Yaml *y = NEW(r->cx->perm, Yaml);
    y->kind = kind;
    y->place = event_place(r);
    y->start = (int)r->event.start_mark.index;
    y->end = (int)r->event.end_mark.index;
    return y;
}

static Yaml *read_scalar(Reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    if (len > MAX_SCALAR)
        return fail_limit(r, "a scalar has too many bytes", MAX_SCALAR);
    if (memchr(text, '\0', len) != NULL) {
        diag_error(r->cx->diags, event_place(r), "E0302", "a scalar contains the character 0");
        return NULL;
    }
    Yaml *y = new_node(r, YAML_SCALAR);
    if (y == NULL)
        return NULL;
    y->text = arena_strndup(r->cx->perm, text, len);
    y->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    y->block = r->event.data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
               r->event.data.scalar.style == YAML_FOLDED_SCALAR_STYLE;
    r->height = 0;
    return y;
}

/* A copy of the anchored node, so that it has the alias's place; its children are shared. */
static Yaml *read_alias(Reader *r)
{
    const char *name = (const char *)r->event.data.alias.anchor;
    const Anchor *a = map_get(r->anchors, name);
    if (a == NULL || a->node == NULL) {
        diag_error(r->cx->diags, event_place(r), "E0308",
                   a == NULL ? "unknown alias '*%s': no anchor '&%s' before it"
                             : "alias '*%s' lies inside its own anchor '&%s'", name, name);
        if (a == NULL)
            suggest_key(r->cx, name, r->anchors);
        return NULL;
    }
    if (a->nodes > MAX_NODES - r->nodes)
        return fail_limit(r, "the file has too many nodes, aliases expanded", MAX_NODES);
    if (a->height > MAX_NESTING - r->depth)
        return fail_limit(r, "lists and maps are nested too deeply", MAX_NESTING);
    r->nodes += a->nodes;
    r->height = a->height;
    Yaml *copy = NEW(r->cx->perm, Yaml);
    *copy = *a->node;
    copy->place = event_place(r);
    copy->start = (int)r->event.start_mark.index;
    copy->end = (int)r->event.end_mark.index;
    copy->anchor = NULL;
    copy->alias = arena_strdup(r->cx->perm, name);
    return copy;
}

static bool read_items(Reader *r, Yaml *list, int *height)
{
    size_t cap = 0;
    for (;;) {
        if (!next_event(r))
            return false;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        Yaml *item = read_node(r);
        if (item == NULL)
            return false;
        size_t n = (size_t)list->n;
        list->item = arena_grow(r->cx->perm, list->item, n, n + 1, &cap, sizeof(Yaml *));
        list->item[list->n++] = item;
        if (r->height > *height)
            *height = r->height;
    }
}

static Yaml *read_key(Reader *r)
{
    Yaml *key = read_node(r);
    if (key == NULL)
        return NULL;
    bool scalar = key->kind == YAML_SCALAR;
    if (!scalar || (!key->quoted && !*key->text)) {
        diag_error(r->cx->diags, key->place, "E0307", scalar ? "a key must not be empty"
                   : "a key must be a word, not a list or map");
        diag_help(r->cx->diags, "if it is meant as a word, put it in quotes");
        return NULL;
    }
    if (!key->quoted && str_eq(key->text, "<<")) {
        diag_error(r->cx->diags, key->place, "E0306", "merge keys are not part of the language");
        diag_help(r->cx->diags, "write the entries out, or use a block with arguments");
        return NULL;
    }
    return key;
}

static bool read_pairs(Reader *r, Yaml *map, int *height)
{
    size_t key_cap = 0, item_cap = 0;
    Map *seen = map_new(r->cx->temp);
    for (;;) {
        if (!next_event(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        Yaml *key = read_key(r);
        if (key == NULL || !next_event(r))
            return false;
        const Yaml *first = map_get(seen, key->text);
        if (first != NULL) {
            diag_error(r->cx->diags, key->place, "E0305", "duplicate key '%s': delete or rename "
                       "one", key->text);
            diag_note(r->cx->diags, first->place, "the first one is here");
        }
        Yaml *value = read_node(r);
        if (value == NULL)
            return false;
        if (r->height > *height)
            *height = r->height;
        if (first != NULL)
            continue;
        map_put(seen, key->text, key);
        size_t n = (size_t)map->n;
        map->key = arena_grow(r->cx->perm, map->key, n, n + 1, &key_cap, sizeof(Yaml *));
        map->item = arena_grow(r->cx->perm, map->item, n, n + 1, &item_cap, sizeof(Yaml *));
        map->key[n] = key;
        map->item[n] = value;
        map->n++;
    }
}

static Yaml *read_collection(Reader *r, YamlKind kind)
{
    yaml_mark_t start = r->event.start_mark;
    if (++r->depth > MAX_NESTING)
        return fail_limit(r, "lists and maps are nested too deeply", MAX_NESTING);
    Yaml *y = new_node(r, kind);
    if (y == NULL)
        return NULL;
    y->block = kind == YAML_LIST
                   ? r->event.data.sequence_start.style != YAML_FLOW_SEQUENCE_STYLE
                   : r->event.data.mapping_start.style != YAML_FLOW_MAPPING_STYLE;
    int height = 0;
    if (!(kind == YAML_LIST ? read_items(r, y, &height) : read_pairs(r, y, &height)))
        return NULL;
    y->place = mark_place(r, start, r->event.end_mark);
    y->end = (int)r->event.end_mark.index;
    r->height = height + 1;
    r->depth--;
    return y;
}

static Yaml *read_untagged(Reader *r)
{
    switch (r->event.type) {
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(r, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return read_collection(r, YAML_MAP);
    case YAML_ALIAS_EVENT:
        return read_alias(r);
    default:
        return read_scalar(r);
    }
}

/* What stands before a node, NULL where there is nothing. */
static void event_marks(const yaml_event_t *e, const yaml_char_t **anchor, const yaml_char_t **tag)
{
    bool list = e->type == YAML_SEQUENCE_START_EVENT, map = e->type == YAML_MAPPING_START_EVENT;
    bool scalar = e->type == YAML_SCALAR_EVENT;
    *anchor = list     ? e->data.sequence_start.anchor
              : map    ? e->data.mapping_start.anchor
              : scalar ? e->data.scalar.anchor
                       : NULL;
    *tag = list     ? e->data.sequence_start.tag
           : map    ? e->data.mapping_start.tag
           : scalar ? e->data.scalar.tag
                    : NULL;
}

/* The node that starts with the current event. */
static Yaml *read_node(Reader *r)
{
    const yaml_char_t *name, *tag;
    event_marks(&r->event, &name, &tag);
    if (tag != NULL) {
        diag_error(r->cx->diags, event_place(r), "E0310",
                   "the tag '%s' is not part of the model language", (const char *)tag);
        diag_help(r->cx->diags, "leave it out: where a value stands says what it is");
        return NULL;
    }
    if (name == NULL)
        return read_untagged(r);
    Anchor *a = NEW(r->cx->perm, Anchor);
    const char *anchor = arena_strdup(r->cx->perm, (const char *)name);
    map_put(r->anchors, anchor, a);
    int before = r->nodes;
    Yaml *y = read_untagged(r);
    if (y != NULL)
        y->anchor = anchor;
    *a = (Anchor){y, r->nodes - before, r->height};
    return y;
}

static Yaml *read_document(Reader *r)
{
    if (!next_event(r) || !next_event(r))      /* stream start, document start */
        return NULL;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        diag_error(r->cx->diags, (Place){.file = r->file}, "E0311", "the file is empty");
        diag_help(r->cx->diags, "a model begins with 'net2c: 1'");
        return NULL;
    }
    if (!next_event(r))
        return NULL;
    Yaml *root = read_node(r);
    if (root == NULL || !next_event(r) || !next_event(r))      /* document end, stream end */
        return NULL;
    if (r->event.type != YAML_STREAM_END_EVENT) {
        diag_error(r->cx->diags, event_place(r), "E0309",
                   "a second document begins here: a model is one document");
        diag_help(r->cx->diags, "give each model a file of its own");
        return NULL;
    }
    return root;
}

/* libyaml's memory is not in an arena: free it before an out-of-memory jump leaves. */
static Yaml *read_guarded(Reader *r)
{
    jmp_buf outer;
    memcpy(&outer, &r->cx->out_of_memory, sizeof outer);
    if (cx_guard(r->cx)) {
        yaml_event_delete(&r->event);
        yaml_parser_delete(&r->parser);
        memcpy(&r->cx->out_of_memory, &outer, sizeof outer);
        longjmp(r->cx->out_of_memory, 1);
    }
    Yaml *root = read_document(r);
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    memcpy(&r->cx->out_of_memory, &outer, sizeof outer);
    return root;
}

/* Why a character may not appear in a model file, or NULL; *code is set with it. Line breaks
 * other than LF and CR LF would make line numbers differ between tools. */
static const char *bad_character(uint32_t c, bool before_newline, const char **code)
{
    *code = "E0302";
    if (c == '\t') {
        *code = "E0303";
        return "tabs are not allowed: use spaces";
    }
    if (c == UTF8_INVALID)
        return "this byte is not UTF-8: save the file as UTF-8";
    if ((c < 0x20 && c != '\n' && !(c == '\r' && before_newline)) || (c >= 0x7f && c < 0xa0))
        return "control characters are not allowed: delete this one";
    if (c == 0x2028 || c == 0x2029)
        return "Unicode line separators are not allowed";
    return NULL;
}

/* %TAG lines are refused before libyaml sees them: it compares each with all before it. */
static bool is_tag_directive(const char *text, size_t len)
{
    return len >= 4 && memcmp(text, "%TAG", 4) == 0;
}

static bool check_text(Cx *cx, const char *file, const char *text, size_t len)
{
    Place at = {file, 1, 1, 0};
    size_t used;
    for (size_t i = 0; i < len; i += used) {
        const char *code, *problem;
        uint32_t c = utf8_decode(text + i, len - i, &used);
        problem = bad_character(c, i + 1 < len && text[i + 1] == '\n', &code);
        if (problem == NULL && at.col == 1 && is_tag_directive(text + i, len - i)) {
            problem = "tag directives are not part of the model language: leave this out";
            code = "E0310";
        }
        if (problem != NULL)
            return diag_error(cx->diags, at, code, "%s", problem);
        at.col++;
        if (c == '\n')
            at = (Place){file, at.line + 1, 1, 0};
    }
    return true;
}

Yaml *yaml_parse(Cx *cx, const char *file, const char *text, size_t len)
{
    if (len > MAX_MODEL_FILE) {
        diag_error(cx->diags, (Place){.file = file}, "E0304",
                   "the file has %zu bytes: the limit is %zu", len, MAX_MODEL_FILE);
        return NULL;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    diags_add_source(cx->diags, file, text, len);
    if (!check_text(cx, file, text, len))
        return NULL;
    int errors = diags_error_count(cx->diags);
    Reader *r = NEW(cx->temp, Reader);
    r->cx = cx;
    r->file = file;
    r->anchors = map_new(cx->temp);
    if (!yaml_parser_initialize(&r->parser))
        longjmp(cx->out_of_memory, 1);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    Yaml *root = read_guarded(r);
    return diags_error_count(cx->diags) == errors ? root : NULL;
}

Yaml *yaml_get(const Yaml *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (int i = 0; i < map->n; i++)
        if (str_eq(map->key[i]->text, key))
            return map->item[i];
    return NULL;
}
