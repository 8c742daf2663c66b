/* Readers of single YAML nodes, shared by the parts of the model reader.
 *
 *     const char *name = read_word(cx, yaml_get(root, "name"), "'name'");
 *
 * Contract: each reports what it found, what it expected and an example, but nothing about a broken
 * node; text in a message is capped, quoting the file is the renderer's business.
 */
#include "front/front.h"

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
    diag_help(cx->diags, "write it like this: %s", example);
    return false;
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

static bool read_dim(Cx *cx, const Yaml *y, const char *what, bool batch, int64_t *out)
{
    if (y->broken)
        return false;
    if (batch) {
        *out = DIM_N;
        if (y->kind == YAML_SCALAR && str_eq(y->text, "N"))
            return true;
        diag_error(cx->diags, y->place, "E0408", "axis 0 of %s must be N, the batch; found %s",
                   what, read_found(cx->perm, y));
        diag_help(cx->diags, "the size of the batch is chosen when compiling or running");
        return false;
    }
    if (y->kind == YAML_SCALAR && parse_i64(y->text, out) && *out >= 1 && *out <= MAX_DIM)
        return true;
    diag_error(cx->diags, y->place, "E0408",
               "a dimension of %s must be a whole number from 1 to %lld, found %s", what,
               (long long)MAX_DIM, read_found(cx->perm, y));
    return false;
}

bool read_shape(Cx *cx, const Yaml *y, const char *what, Shape *out)
{
    if (!read_list(cx, y, what, "[N, 3, 224, 224]"))
        return false;
    if (y->n < 1 || y->n > MAX_RANK) {
        diag_error(cx->diags, y->place, "E0408", "%s must have 1 to %d dimensions, found %d",
                   what, MAX_RANK, y->n);
        return false;
    }
    bool ok = true;
    out->rank = y->n;
    for (int i = 0; i < y->n; i++)
        ok &= read_dim(cx, y->item[i], what, i == 0, &out->dim[i]);
    if (ok && shape_count(out) > MAX_ELEMENTS) {
        diag_error(cx->diags, y->place, "E0422", "%s has more than %lld elements an item", what,
                   (long long)MAX_ELEMENTS);
        return false;
    }
    return ok;
}

bool read_keys(Cx *cx, const Yaml *map, const char *what, const char *const *known, int n)
{
    bool ok = true;
    for (int i = 0; i < map->n; i++) {
        const char *key = map->key[i]->text;
        bool found = false;
        for (int k = 0; k < n && !found; k++)
            found = str_eq(key, known[k]);
        if (found)
            continue;
        ok = false;
        diag_error(cx->diags, map->key[i]->place, "E0403", "unknown key '%.60s' in %s", key, what);
        if (suggest(cx, key, known, n))
            continue;
        Str all = str_new(cx->perm);
        for (int k = 0; k < n; k++)
            str_printf(&all, "%s%s", k ? ", " : "", known[k]);
        diag_help(cx->diags, "known here: %s", all.data);
    }
    return ok;
}

bool suggest(Cx *cx, const char *word, const char *const *names, int n)
{
    const char *nearest = str_nearest(cx->perm, word, names, n);
    if (nearest)
        diag_help(cx->diags, "did you mean '%.60s'?", nearest);
    return nearest != NULL;
}

bool suggest_key(Cx *cx, const char *word, const Map *map)
{
    int n = (int)map_count(map);
    const char **names = NEW_ARRAY(cx->perm, const char *, n);
    for (int i = 0; i < n; i++)
        names[i] = map_key(map, (size_t)i);
    return suggest(cx, word, names, n);
}
