/* An attribute as the expanded form of a model writes it, whatever way the user wrote it.
 *
 *     pad: 2   ->   [2, 2, 2, 2]          pad: 2 of a one-dimensional layer   ->   [2, 2]
 *
 * Contract: two nodes that mean the same have equal forms, so printing and hashing both start
 * here. A default outside of its own range stands for "left out" and has no form.
 */
#include "ops/ops.h"

static bool is_left_out(const AttrDef *def, const AttrValue *v)
{
    double number = def->kind == ATTR_FLOAT ? v->f : (double)v->i[0];
    return !v->set && !(number >= def->min && number <= def->max);
}

bool attr_form(const Node *n, int at, AttrValue *out)
{
    const AttrDef *def = &n->op->attrs[at];
    const AttrValue *v = &n->attr[at];
    bool flat = n->n_in > 0 && n->in[0]->shape.rank == 3;
    *out = *v;
    out->set = true;
    if (is_left_out(def, v))
        return false;
    if (def->kind == ATTR_HW) {
        out->n = flat ? 1 : 2;
        out->i[0] = v->i[flat ? 1 : 0];
    } else if (def->kind == ATTR_PAD) {
        out->n = flat ? 2 : 4;
        out->i[0] = v->i[flat ? 1 : 0];
        out->i[1] = v->i[flat ? 3 : 1];
    }
    return true;
}

static void dim_text(Str *s, const AttrDef *def, int64_t dim)
{
    if (def->kind != ATTR_SHAPE || dim > 0)
        str_printf(s, "%lld", (long long)dim);
    else
        str_add(s, dim == DIM_N ? "N" : "-1");
}

void attr_text(Str *s, const AttrDef *def, const AttrValue *form)
{
    bool list = form->n > 1 || def->kind == ATTR_SHAPE || def->kind == ATTR_AXES;
    if (def->kind == ATTR_FLOAT) {
        str_double(s, form->f);
    } else if (def->kind == ATTR_BOOL) {
        str_add(s, form->i[0] ? "true" : "false");
    } else {
        str_add(s, list ? "[" : "");
        for (int i = 0; i < form->n; i++) {
            str_add(s, i ? ", " : "");
            dim_text(s, def, form->i[i]);
        }
        str_add(s, list ? "]" : "");
    }
}
