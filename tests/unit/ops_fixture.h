/* What tests of operators share: a node from three short texts.
 *
 * example: ops_node(cx, "conv", "N,3,8,8", "out=4 kernel=3,3 bias=0")
 */
#ifndef NET2C_OPS_FIXTURE_H
#define NET2C_OPS_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

static inline int numbers_read(const char *text, int64_t *out)
{
    int n = 0;
    while (*text && *text != ' ' && n < MAX_RANK) {
        char *end;
        out[n++] = *text == 'N' ? DIM_N : strtoll(text, &end, 10);
        text = *text == 'N' ? text + 1 : end;
        text += *text == ',';
    }
    return n;
}

/* The normal form that ops.h describes. */
static inline void attr_normalise(AttrValue *v, AttrKind kind, bool flat)
{
    if (kind == ATTR_HW && v->n == 1) {
        v->i[1] = v->i[0];
        v->i[0] = flat ? 1 : v->i[1];
    }
    if (kind == ATTR_PAD && v->n < 4) {
        v->i[3] = v->i[v->n - 1];
        v->i[1] = flat ? v->i[0] : v->i[3];
        v->i[0] = v->i[2] = flat ? 0 : v->i[0];
    }
    if (kind == ATTR_SHAPE)
        for (int i = 1; i < v->n; i++)
            v->i[i] = v->i[i] == -1 ? 0 : v->i[i];
}

static inline void attr_default(AttrValue *v, const AttrDef *def)
{
    v->n = 1;
    v->f = def->fallback;
    for (int i = 0; i < 4; i++)
        v->i[i] = (int64_t)def->fallback;
}

static inline void attrs_read(Node *n, const char *text)
{
    for (int i = 0; n->op->attrs[i].name; i++)
        attr_default(&n->attr[i], &n->op->attrs[i]);
    while (*text) {
        char name[32];
        size_t len = strcspn(text, "=");
        memcpy(name, text, len);
        name[len] = 0;
        text += len + 1;
        AttrValue *v = &n->attr[op_attr_index(n->op, name)];
        v->set = true;
        v->place = (Place){"model.yaml", 7, 3, 1};
        v->f = strtod(text, NULL);
        v->n = numbers_read(text, v->i);
        attr_normalise(v, op_attr(n->op, name)->kind,
                       n->n_in > 0 && n->in[0]->shape.rank == 3);
        text += strcspn(text, " ");
        text += *text == ' ';
    }
}

static inline Tensor *tensor_read(Cx *cx, const char *name, const char *shape)
{
    Tensor *t = NEW(cx->perm, Tensor);
    t->name = name;
    t->shape.rank = numbers_read(shape, t->shape.dim);
    return t;
}

/* inputs: shapes separated by blanks */
static inline Node *ops_node(Cx *cx, const char *op, const char *inputs, const char *attrs)
{
    Node *n = NEW(cx->perm, Node);
    n->op = op_find(op);
    n->place = (Place){"model.yaml", 7, 1, 1};
    n->path = "";
    while (*inputs) {
        n->in[n->n_in++] = tensor_read(cx, "x", inputs);
        inputs += strcspn(inputs, " ");
        inputs += *inputs == ' ';
    }
    n->out = NEW(cx->perm, Tensor);
    n->out->name = "y";
    n->out->producer = n;
    attrs_read(n, attrs);
    return n;
}

#endif
