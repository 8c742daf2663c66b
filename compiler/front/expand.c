/* The step between the YAML tree and the graph: a model in the full language becomes one in
 * expanded form (no params, blocks, repetition, conditions or substitution).
 *
 *     conv: {out: $classes}   ->   net.yaml:9:16: error: substitution '$classes' is not supported
 *                                  yet [E0404]
 *
 * Contract: gives back a tree that model.c reads, places of the original kept. None of these forms
 * is worked out yet: each is refused by name, all of them in one run. The sections `doc` and
 * `weights` keep their dollar signs: the one is prose, the others are bind's own.
 */
#include "front/front.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(word, *list))
            return true;
    return false;
}

static void refuse(Cx *cx, Place place, const char *what, const char *word)
{
    diag_error(cx->diags, place, "E0404", "%s '%.60s' is not supported yet", what, word);
    diag_help(cx->diags, "write the network in expanded form: a flat list of layers, numbers "
                         "instead of expressions");
}

/* Recursion is bounded by the depth limit of yaml_parse. */
static void refuse_substitution(Cx *cx, const Yaml *y)
{
    if (y->kind == YAML_SCALAR && strchr(y->text, '$'))
        refuse(cx, y->place, "substitution", y->text);
    for (int i = 0; y->kind != YAML_SCALAR && i < y->n; i++)
        refuse_substitution(cx, y->item[i]);
}

static void refuse_sections(Cx *cx, const Yaml *root)
{
    static const char *const sections[] = {"params", "blocks", "check", "preprocess", NULL};
    for (int i = 0; i < root->n; i++) {
        const char *key = root->key[i]->text;
        if (is_one_of(key, sections))
            refuse(cx, root->key[i]->place, "section", key);
        else if (!str_eq(key, "doc") && !str_eq(key, "weights"))
            refuse_substitution(cx, root->item[i]);
    }
}

static void refuse_layers(Cx *cx, const Yaml *network)
{
    static const char *const forms[] = {"repeat", "when", "param", NULL};
    if (!network || network->kind != YAML_LIST)
        return;
    for (int i = 0; i < network->n; i++) {
        const Yaml *item = network->item[i];
        for (int k = 0; item->kind == YAML_MAP && k < item->n; k++)
            if (is_one_of(item->key[k]->text, forms))
                refuse(cx, item->key[k]->place, "layer form", item->key[k]->text);
    }
}

Yaml *model_expand(Cx *cx, Yaml *root)
{
    int errors = diags_error_count(cx->diags);
    if (!read_map(cx, root, "a model", "net2c: 1"))
        return NULL;
    refuse_sections(cx, root);
    refuse_layers(cx, yaml_get(root, "network"));
    return diags_error_count(cx->diags) == errors ? root : NULL;
}
