/* net2c weights: make weights for a model, or list what a file holds.
 *
 *     net2c weights init net.yaml --seed 1 -o net.safetensors
 *     net2c weights ls net.safetensors      ->  features.0.weight F32 [96, 3, 11, 11] 139392
 */
#include "driver/driver.h"

#include <stdio.h>

int cmd_weights_init(Cx *cx, const Options *o)
{
    const char *path = option_text(o, OPT_OUTPUT, "");
    Graph *g = model_of_options(cx, o);
    cx_phase(cx, "writing %s", path);
    if (!g || !weights_init(cx, g, (uint64_t)option_count(o, OPT_SEED, 1), path))
        return status_of_errors(cx->diags);
    return STATUS_OK;
}

static void list_text(Cx *cx, const Weights *w)
{
    size_t bytes = 0;
    for (int i = 0; i < weights_count(w); i++) {
        const WeightTensor *t = weights_at(w, i);
        printf("%s %s %s %zu\n", t->key, t->type, shape_text(cx->perm, &t->shape), t->data.size);
        bytes += t->data.size;
    }
    printf("%d tensors, %zu bytes\n", weights_count(w), bytes);
}

static void list_json(Cx *cx, const Weights *w)
{
    Str s = str_new(cx->perm);
    str_add(&s, "{\"tensors\": [");
    for (int i = 0; i < weights_count(w); i++) {
        const WeightTensor *t = weights_at(w, i);
        str_add(&s, i ? ",\n  {\"key\": " : "\n  {\"key\": ");
        json_quote(&s, t->key);
        str_printf(&s, ", \"type\": \"%s\", \"shape\": %s, \"bytes\": %zu}", t->type,
                   shape_text(cx->perm, &t->shape), t->data.size);
    }
    str_add(&s, "\n]}\n");
    fputs(s.data, stdout);
}

int cmd_weights_ls(Cx *cx, const Options *o)
{
    Weights *w = weights_open(cx, o->argument[0]);
    if (!w)
        return status_of_errors(cx->diags);
    if (o->n[OPT_JSON])
        list_json(cx, w);
    else
        list_text(cx, w);
    weights_close(w);
    return STATUS_OK;
}
