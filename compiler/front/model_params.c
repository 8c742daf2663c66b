/* The names of a layer's weights: what `bind` makes of path and role, what `weights:` overrides,
 * and whether layers that share a tensor agree on it.
 *
 *     bind "$path.$param", path features.0   ->  features.0.weight, features.0.bias
 *     bind "$path.$param", path ""           ->  weight, bias
 *
 * Contract: runs after the operator's rule has filled roles and shapes; fills Param.key.
 */
#include "front/front.h"

#include <string.h>

#define BIND_PATH "$path"
#define BIND_PARAM "$param"

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool bind_is_legal(Cx *cx, const Yaml *y)
{
    const char *bind = read_word(cx, y, "'bind'");
    if (!bind)
        return false;
    bool has_param = false;
    for (const char *c = strchr(bind, '$'); c; c = strchr(c + 1, '$')) {
        has_param |= starts_with(c, BIND_PARAM);
        if (starts_with(c, BIND_PARAM) || starts_with(c, BIND_PATH))
            continue;
        return diag_error(cx->diags, y->place, "E0421", "'bind' knows $path and $param only, "
                          "found '%s'", c);
    }
    if (!has_param) {
        diag_error(cx->diags, y->place, "E0421",
                   "'bind' must contain $param, else weight and bias have one name");
        diag_help(cx->diags, "PyTorch's names are \"$path.$param\"");
    }
    return has_param;
}

char *bind_key(Arena *a, const char *bind, const char *path, const char *role)
{
    Str key = str_new(a);
    while (*bind) {
        if (starts_with(bind, BIND_PATH)) {
            bind += strlen(BIND_PATH);
            str_add(&key, path);
            if (!*path && *bind == '.')       /* an empty path takes its dot along */
                bind++;
        } else if (starts_with(bind, BIND_PARAM)) {
            bind += strlen(BIND_PARAM);
            str_add(&key, role);
        } else {
            str_char(&key, *bind++);
        }
    }
    return key.data;
}

static bool check_roles(Cx *cx, const Node *n, const Yaml *weights)
{
    const char *roles[MAX_PARAMS];
    for (int i = 0; i < n->n_param; i++)
        roles[i] = n->param[i].role;
    if (n->n_param > 0 || weights->n == 0)
        return read_keys(cx, weights, "'weights'", roles, n->n_param);
    return diag_error(cx->diags, weights->place, "E0418",
                      "this '%s' has no weights to name: leave 'weights' out", n->op->name);
}

/* "attn.in_proj_weight[0:64]" must have as many rows as the parameter. */
static const char *override_key(Cx *cx, const Yaml *y, const Param *p)
{
    const char *key = read_word(cx, y, "the name of a weights tensor");
    const char *open = key ? strrchr(key, '[') : NULL;
    char *name;
    int64_t first, end;
    if (!open || !strchr(open, ':') || key[strlen(key) - 1] != ']')
        return key;
    if (weights_slice(cx->temp, key, &name, &first, &end) && end - first == p->shape.dim[0])
        return key;
    diag_error(cx->diags, y->place, "E0418", "'%.60s' is not a slice of %lld rows", key,
               (long long)p->shape.dim[0]);
    diag_help(cx->diags, "[0:%lld] is one", (long long)p->shape.dim[0]);
    return NULL;
}

static const Param *param_with_key(const Node *n, const char *key)
{
    for (int i = 0; i < n->n_param; i++)
        if (str_eq(n->param[i].key, key))
            return &n->param[i];
    return NULL;
}

/* A tensor used twice is shared weights: fine between equal operators with equal shapes. */
static bool check_sharing(Model *m, const Node *n, const Param *p)
{
    Node *first = map_get(m->keys, p->key);
    if (!first) {
        map_put(m->keys, p->key, (void *)n);
        return true;
    }
    const Param *theirs = param_with_key(first, p->key);
    if (first->op == n->op && str_eq(p->role, theirs->role) &&
        shape_equal(&p->shape, &theirs->shape) && (first != n || p == theirs))
        return true;
    Arena *a = m->cx->perm;
    diag_error(m->cx->diags, n->place, "E0420",
               "'%s' and '%s' cannot share the weights '%.200s': %s %s %s here, %s %s %s there",
               n->out->name, first->out->name, p->key, n->op->name, p->role,
               shape_text(a, &p->shape), first->op->name, theirs->role,
               shape_text(a, &theirs->shape));
    diag_note(m->cx->diags, first->place, "'%s' is here", first->out->name);
    return diag_help(m->cx->diags, "give one of them another 'path'");
}

char *param_key(Arena *a, const Graph *g, const Node *n, int i)
{
    bool bare = n->op->max_in == 0;           /* a layer that is nothing but its tensor */
    return bind_key(a, bare ? BIND_PATH : g->bind, n->path, n->param[i].role);
}

void model_params(Model *m, Node *n, Yaml *weights)
{
    Cx *cx = m->cx;
    if (weights && (!read_map(cx, weights, "'weights'", "{weight: enc.w, bias: enc.b}") ||
                    !check_roles(cx, n, weights)))
        return;
    for (int i = 0; i < n->n_param; i++) {
        Param *p = &n->param[i];
        const Yaml *given = weights ? yaml_get(weights, p->role) : NULL;
        p->key = given ? override_key(cx, given, p)
                       : param_key(cx->perm, m->graph, n, i);
        if (!p->key || !check_sharing(m, n, p))
            return;
    }
}
