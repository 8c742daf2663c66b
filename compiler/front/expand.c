/* Parameters and substitution: every $name and $(...) of a tree becomes what it stands for.
 *
 *     conv: {name: conv$i, out: $(96 / scale), pad: $pad}
 *  -> conv: {name: conv3, out: 12, pad: [1, 2]}
 *
 * Contract: places of the original are kept; a tree without substitution is given back as it is.
 * What cannot be worked out is reported once and becomes a broken scalar. All work is charged, so
 * that no file makes the expansion long.
 */
#include "front/front.h"

#include <string.h>

bool expand_stopped(const Model *m)
{
    return m->stopped || diags_error_count(m->cx->diags) >= MAX_ERRORS;
}

bool expand_charge(Model *m, Place place, size_t steps)
{
    m->work -= (int64_t)steps;
    if (m->work < 0 && !m->stopped)
        diag_error(m->cx->diags, place, "E0422", "working out the model takes more than %d steps",
                   MAX_WORK);
    m->stopped |= m->work < 0;
    return !m->stopped;
}

/* ---- variables ------------------------------------------------------------------------------ */
static const Yaml pending;         /* in the place of a parameter's value until that is known */

Yaml *expand_variable(Model *m, Place place, const char *name)
{
    Yaml *y = map_get(m->scope->vars, name);
    if (!y)
        y = map_get(m->params, name);
    if (y && y != &pending)
        return y;
    diag_error(m->cx->diags, place, "E0431", "no parameter or argument is named '%.60s'", name);
    size_t room = map_count(m->scope->vars) + map_count(m->params);
    const char **names = NEW_ARRAY(m->cx->temp, const char *, room);
    int n = add_keys(names, add_keys(names, 0, m->scope->vars), m->params);
    if (y)
        diag_help(m->cx->diags, "a parameter may use those above it: move '%.60s' up", name);
    else if (str_eq(name, "in"))
        diag_help(m->cx->diags, m->scope->block ? "this block's inputs have names of their own"
                                                : "'in' is the input of a block");
    else
        suggest(m->cx, name, names, n);
    return NULL;
}

/* ---- substitution --------------------------------------------------------------------------- */
static Yaml *copy_scalar(Model *m, const Yaml *y, const char *text)
{
    Yaml *copy = NEW(m->cx->perm, Yaml);
    *copy = (Yaml){.place = y->place, .text = text, .quoted = y->quoted};
    return copy;
}

Yaml *expand_broken(Model *m, const Yaml *y)
{
    Yaml *copy = copy_scalar(m, y, "");
    copy->broken = true;
    return copy;
}

/* What stands at *at, *at moved behind it; broken: reported. */
static Yaml *read_piece(Model *m, const Yaml *y, const char **at)
{
    const char *start = *at;
    Datum v;
    if (start[1] == '(') {
        *at += 2;
        if (!expr_read(m, y, at, &v))
            return expand_broken(m, y);
        Yaml *result = copy_scalar(m, y, datum_text(m->cx->perm, &v));
        result->quoted = v.kind == DATUM_WORD;
        return result;
    }
    size_t n = word_length(start + 1);
    if (n == 0) {
        diag_error(m->cx->diags, text_place(y, start, 1), "E0430",
                   "'$' must be followed by a name or by (expression)");
        return expand_broken(m, y);
    }
    *at += n + 1;
    const char *name = arena_strndup(m->cx->temp, start + 1, n);
    Yaml *value = expand_variable(m, text_place(y, start, n + 1), name);
    if (!value || value->broken)
        return expand_broken(m, y);
    Yaml *copy = NEW(m->cx->perm, Yaml);
    *copy = *value;
    copy->place = y->place;
    return copy;
}

/* Only whole numbers and words read the same inside of a name as on their own. */
static bool piece_fits(Model *m, const Yaml *y, const char *at, const Yaml *piece)
{
    Datum v;
    Place place = text_place(y, at, 1);
    if (!expr_value(m, place, piece, &v))
        return false;
    if (v.kind != DATUM_FLOAT)
        return true;
    diag_error(m->cx->diags, place, "E0432",
               "only whole numbers and words can stand inside a text, found %.60s", piece->text);
    return diag_help(m->cx->diags, "quote the number where it is given to make it a word");
}

static Yaml *expand_scalar(Model *m, const Yaml *y)
{
    Str s = str_new(m->cx->perm);
    const char *at = y->text;
    while (*at && s.len <= MAX_SCALAR) {
        if (*at != '$') {
            str_char(&s, *at++);
            continue;
        }
        const char *start = at;
        Yaml *piece = read_piece(m, y, &at);
        if (piece->broken || (start == y->text && !*at))
            return piece;
        if (!piece_fits(m, y, start, piece))
            return expand_broken(m, y);
        str_add(&s, piece->text);
    }
    if (s.len <= MAX_SCALAR)
        return expand_charge(m, y->place, s.len / 8) ? copy_scalar(m, y, s.data)
                                                     : expand_broken(m, y);
    diag_error(m->cx->diags, y->place, "E0422", "a scalar has too many bytes: the limit is %d",
               MAX_SCALAR);
    return expand_broken(m, y);
}

/* Lists come into lists only where they are written: no value is deeper than its text. */
static Yaml *expand_item(Model *m, const Yaml *list, int i)
{
    Yaml *item = expand_value(m, list->item[i]);
    if (list->kind == YAML_MAP || item->kind == list->item[i]->kind)
        return item;
    diag_error(m->cx->diags, item->place, "E0432", "%s cannot stand inside a list: write its "
               "items out", read_found(m->cx->perm, item));
    return expand_broken(m, item);
}

Yaml *expand_value(Model *m, Yaml *y)
{
    size_t bytes = y->kind == YAML_SCALAR ? strlen(y->text) : 0;
    if (!expand_charge(m, y->place, 1 + bytes / 64))
        return expand_broken(m, y);
    if (y->kind == YAML_SCALAR)
        return !strchr(y->text, '$') ? y : expand_scalar(m, y);
    Yaml *copy = y;
    for (int i = 0; i < y->n; i++) {
        Yaml *item = expand_item(m, y, i);
        if (copy == y && item != y->item[i]) {
            copy = NEW(m->cx->perm, Yaml);
            *copy = *y;
            copy->item = NEW_ARRAY(m->cx->perm, Yaml *, y->n);
            memcpy(copy->item, y->item, sizeof *y->item * (size_t)y->n);
        }
        copy->item[i] = item;
    }
    return copy;
}

/* ---- parameters ----------------------------------------------------------------------------- */
/* The value that the command line gives, or NULL. The last one counts. */
static Yaml *defined(Model *m, ModelDefines defines, const char *name)
{
    for (int i = defines.n - 1; i >= 0; i--) {
        size_t n = strlen(name);
        const char *text = defines.text[i];
        if (strncmp(text, name, n) != 0 || text[n] != '=')
            continue;
        const char *file = arena_printf(m->cx->perm, "-D %s", text);
        Yaml *y = yaml_parse(m->cx, file, text + n + 1, strlen(text + n + 1));
        return y ? y : expand_broken(m, &(Yaml){.place = {.file = file}});
    }
    return NULL;
}

static void check_defines(Model *m, ModelDefines defines)
{
    for (int i = 0; i < defines.n; i++) {
        const char *text = defines.text[i];
        size_t n = strcspn(text, "=");
        const char *name = arena_strndup(m->cx->perm, text, n);
        if (text[n] && map_get(m->params, name))
            continue;
        diag_error(m->cx->diags, NO_PLACE, "E0434",
                   text[n] ? "-D %.60s: the model has no parameter '%.60s'"
                           : "-D %.60s: expected name=value", text, name);
        if (text[n])
            suggest_key(m->cx, name, m->params);
    }
}

static void read_param(Model *m, const Yaml *key, Yaml *value)
{
    const char *name = key->text;
    if (!expand_word(m, key, "a parameter"))
        return;
    Yaml *y = expand_value(m, value);
    if (y->kind == YAML_MAP) {
        diag_error(m->cx->diags, value->place, "E0434",
                   "parameter '%.60s' must be a number, a word or a list, found a map", name);
        y = expand_broken(m, y);
    }
    map_put(m->params, name, y);
}

void expand_params(Model *m, Yaml *params, ModelDefines defines)
{
    bool good = !params || read_map(m->cx, params, "'params'", "params: {classes: 1000}");
    for (int i = 0; good && params && i < params->n; i++)
        map_put(m->params, params->key[i]->text, (void *)&pending);
    for (int i = 0; good && params && i < params->n; i++) {
        Yaml *given = defined(m, defines, params->key[i]->text);
        read_param(m, params->key[i], given ? given : params->item[i]);
    }
    if (good)
        check_defines(m, defines);
}
