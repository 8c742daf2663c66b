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
