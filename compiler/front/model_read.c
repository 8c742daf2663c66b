/* Readers of single YAML nodes, shared by the parts of the model reader.
 *
 *     const char *name = read_word(cx, yaml_get(root, "name"), "'name'");
 *
 * Contract: each reports what it found, what it expected and an example, but nothing about a broken
 * node; text in a message is capped, quoting the file is the renderer's business.
 */
#include "front/front.h"

#include <string.h>

#define MAX_LISTED 24              /* names, where none is near */

char *read_found(Arena *a, const Yaml *y)
{
    if (y->kind == YAML_LIST)
        return arena_printf(a, "a list of %d", y->n);
    if (y->kind == YAML_MAP)
        return arena_strdup(a, "a map");
    return *y->text ? arena_printf(a, "'%.60s'", y->text) : arena_strdup(a, "nothing");
}

static bool refuse_kind(Cx *cx, const Yaml *y, const char *what, const char *due,
                        const char *example)
{
    if (y->broken)
        return false;
    diag_error(cx->diags, y->place, "E0401", "%s must be %s, found %s", what, due,
               read_found(cx->perm, y));
    return diag_help(cx->diags, "write it like this: %s", example);
}

bool read_map(Cx *cx, const Yaml *y, const char *what, const char *example)
{
    return y->kind == YAML_MAP || refuse_kind(cx, y, what, "a map", example);
}

bool read_list(Cx *cx, const Yaml *y, const char *what, const char *example)
{
    return y->kind == YAML_LIST || refuse_kind(cx, y, what, "a list", example);
}

const char *read_word(Cx *cx, const Yaml *y, const char *what)
{
    if (y->kind == YAML_SCALAR && *y->text)
        return y->text;
    if (!y->broken)
        diag_error(cx->diags, y->place, "E0401", "%s must be one word, found %s", what,
                   read_found(cx->perm, y));
    return NULL;
}

bool read_legal(Cx *cx, Place place, const char *name)
{
    if (name_is_legal(name))
        return true;
    diag_error(cx->diags, place, "E0406", "'%.60s' is not a legal name", name);
    return diag_help(cx->diags, "a name begins with a letter or _ and goes on with letters, "
                                "digits, _ and .");
}

static bool read_dim(Cx *cx, const Yaml *y, const char *what, bool batch, int64_t *out)
{
    if (y->broken)
        return false;
    if (batch) {
        *out = DIM_N;
        if (str_eq(y->text, "N"))
            return true;
        diag_error(cx->diags, y->place, "E0408", "axis 0 of %s must be N, the batch; found %s",
                   what, read_found(cx->perm, y));
        return diag_help(cx->diags, "write N first: the size of the batch is chosen when "
                         "compiling or running");
    }
    if (y->kind == YAML_SCALAR && parse_i64(y->text, out) && *out >= 1 && *out <= MAX_DIM)
        return true;
    return diag_error(cx->diags, y->place, "E0408",
                      "a dimension of %s must be a whole number from 1 to %lld, found %s", what,
                      (long long)MAX_DIM, read_found(cx->perm, y));
}

bool read_shape(Cx *cx, const Yaml *y, const char *what, Shape *out)
{
    if (!read_list(cx, y, what, "[N, 3, 224, 224]"))
        return false;
    if (y->n < 1 || y->n > MAX_RANK)
        return diag_error(cx->diags, y->place, "E0408", "%s must have 1 to %d dimensions, found %d",
                          what, MAX_RANK, y->n);
    bool ok = true;
    out->rank = y->n;
    for (int i = 0; i < y->n; i++)
        ok &= read_dim(cx, y->item[i], what, i == 0, &out->dim[i]);
    if (ok && shape_count(out) > MAX_ELEMENTS)
        return diag_error(cx->diags, y->place, "E0422", "%s has more than %lld elements an item",
                          what, (long long)MAX_ELEMENTS);
    return ok;
}

bool read_keys(Cx *cx, const Yaml *map, const char *what, const char *const *known, int n)
{
    const char **open = NEW_ARRAY(cx->temp, const char *, n);
    int n_open = 0;
    for (int k = 0; k < n; k++)
        if (!yaml_get(map, known[k]))
            open[n_open++] = known[k];
    bool ok = true;
    for (int i = 0; i < map->n; i++) {
        const char *key = map->key[i]->text, *colon = strchr(key, ':');
        bool found = false;
        for (int k = 0; k < n && !found; k++)
            found = str_eq(key, known[k]);
        if (found)
            continue;
        ok = false;
        map->key[i]->broken = true;
        diag_error(cx->diags, map->key[i]->place, "E0403", "unknown key '%.60s' in %s", key, what);
        if (colon)
            diag_help(cx->diags, "a space is missing behind the colon: write '%.*s: %.60s'",
                      (int)(colon - key), key, colon + 1);
        else
            suggest(cx, key, open, n_open);
    }
    return ok;
}

bool read_misspelt(Cx *cx, const Yaml *map, const char *key)
{
    for (int i = 0; i < map->n; i++)
        if (map->key[i]->broken && str_nearest(cx->temp, map->key[i]->text, &key, 1))
            return true;
    return false;
}

/* The longest name that the word begins with: "conv" of PyTorch's "Conv2d". */
static const char *name_within(Arena *a, const char *word, const char *const *names, int n)
{
    char *lower = arena_strdup(a, word);
    const char *best = NULL;
    for (char *c = lower; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) > 1 && strncmp(lower, names[i], strlen(names[i])) == 0 &&
            (!best || strlen(names[i]) > strlen(best)))
            best = names[i];
    return best;
}

void suggest(Cx *cx, const char *word, const char *const *names, int n)
{
    if (diags_error_count(cx->diags) > MAX_ERRORS)
        return;                    /* not shown, and a search costs a pass over all names */
    const char *nearest = str_nearest(cx->temp, word, names, n);
    if (!nearest)
        nearest = name_within(cx->temp, word, names, n);
    if (nearest) {
        diag_help(cx->diags, "did you mean '%.60s'?", nearest);
        return;
    }
    Str all = str_new(cx->temp);
    for (int i = 0; i < n && i < MAX_LISTED; i++)
        str_printf(&all, "%s%.60s", i ? ", " : "", names[i]);
    if (n > 0)
        diag_help(cx->diags, "known here: %s%s", all.data, n > MAX_LISTED ? ", ..." : "");
}

int add_keys(const char **names, int n, const Map *map)
{
    for (size_t i = 0; i < map_count(map); i++)
        if (map_value(map, i))
            names[n++] = map_key(map, i);
    return n;
}

void suggest_key(Cx *cx, const char *word, const Map *map)
{
    const char **names = NEW_ARRAY(cx->temp, const char *, map_count(map));
    suggest(cx, word, names, add_keys(names, 0, map));
}
