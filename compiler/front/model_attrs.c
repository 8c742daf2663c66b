/* Attributes of a layer: text becomes values, typed by the operator's attribute table.
 *
 *     conv: {kernel: 3, stride: [2, 1]}   ->   kernel 3 3, stride 2 1, and pad 0 0 0 0 by default
 *
 * Contract: fills every Node.attr, defaults included, in the form ops.h gives for each kind.
 * Whether a value fits the shapes is the operator's business.
 */
#include "front/front.h"

typedef struct AttrRead {          /* one attribute being read */
    Cx *cx;
    const AttrDef *def;
    const Yaml *yaml;
    bool flat;                     /* the layer is one-dimensional: its input has rank 3 */
    AttrValue *out;
} AttrRead;

static const char *attr_due(const AttrRead *r)
{
    switch (r->def->kind) {
    case ATTR_INT:
    case ATTR_AXIS:
        return "a whole number";
    case ATTR_FLOAT:
        return "a number";
    case ATTR_BOOL:
        return "true or false";
    case ATTR_HW:
        return r->flat ? "a whole number" : "a whole number or [h, w]";
    case ATTR_PAD:
        return r->flat ? "a whole number or [left, right]"
                       : "a whole number, [h, w] or [top, left, bottom, right]";
    case ATTR_SHAPE:
        return "a list such as [N, 16, -1]";
    case ATTR_AXES:
        return "an axis or a list such as [1, 2]";
    }
    return "a value";
}

static bool refuse_value(const AttrRead *r, const Yaml *y)
{
    if (y->broken)
        return false;
    return diag_error(r->cx->diags, y->place, "E0412", "'%s' must be %s, found %s", r->def->name,
                      attr_due(r), read_found(r->cx->perm, y));
}

static bool read_int(const AttrRead *r, const Yaml *y, int64_t *out)
{
    return (y->kind == YAML_SCALAR && parse_i64(y->text, out)) || refuse_value(r, y);
}

static bool read_float(const AttrRead *r)
{
    const Yaml *y = r->yaml;
    return (y->kind == YAML_SCALAR && parse_double(y->text, &r->out->f)) || refuse_value(r, y);
}

static bool read_bool(const AttrRead *r)
{
    const Yaml *y = r->yaml;
    r->out->i[0] = str_eq(y->text, "true");
    return r->out->i[0] || str_eq(y->text, "false") ||
           refuse_value(r, y);
}

/* A number for all `full` places, or a list of 2 (or 4, if full is 4) numbers, repeated. */
static bool read_repeated(const AttrRead *r, int full)
{
    const Yaml *y = r->yaml;
    int64_t *v = r->out->i;
    bool list = y->kind == YAML_LIST;
    if (list && y->n != 2 && y->n != full)
        return refuse_value(r, y);
    if (!list && !read_int(r, y, v))
        return false;
    bool ok = true;
    for (int i = 0; list && i < y->n; i++)
        ok &= read_int(r, y->item[i], &v[i]);
    int given = list ? y->n : 1;
    for (int i = given; i < full; i++)
        v[i] = v[i - given];
    r->out->n = full;
    return ok;
}

static bool read_hw(const AttrRead *r)
{
    if (r->flat && r->yaml->kind == YAML_LIST)
        return refuse_value(r, r->yaml);
    bool ok = read_repeated(r, 2);
    if (r->flat)
        r->out->i[0] = 1;
    return ok;
}

static bool read_pad(const AttrRead *r)
{
    int64_t *v = r->out->i;
    if (!r->flat)
        return read_repeated(r, 4);
    bool ok = read_repeated(r, 2);     /* left and right */
    v[3] = v[1];
    v[1] = v[0];
    v[0] = v[2] = 0;
    r->out->n = 4;
    return ok;
}

/* The batch first, and at most one -1, a dimension that follows from the others (0 inside). */
static bool read_dims(const AttrRead *r)
{
    const Yaml *y = r->yaml;
    if (y->kind != YAML_LIST || y->n < 1 || y->n > MAX_RANK)
        return refuse_value(r, y);
    bool ok = true;
    for (int i = 0; i < y->n; i++) {
        const Yaml *item = y->item[i];
        int64_t *dim = &r->out->i[i];
        if (i == 0 && str_eq(item->text, "N"))
            *dim = DIM_N;
        else if (!read_int(r, item, dim) || *dim < -1 || *dim == 0)
            ok = ok && refuse_value(r, item);
        else if (*dim == -1)
            *dim = 0;
    }
    r->out->n = y->n;
    return ok;
}

static bool read_axes(const AttrRead *r)
{
    const Yaml *y = r->yaml;
    if (y->kind != YAML_LIST)
        return read_int(r, y, &r->out->i[0]);
    if (y->n < 1 || y->n > MAX_RANK)
        return refuse_value(r, y);
    bool ok = true;
    for (int i = 0; i < y->n; i++)
        ok &= read_int(r, y->item[i], &r->out->i[i]);
    r->out->n = y->n;
    return ok;
}

static bool attr_read(const AttrRead *r)
{
    r->out->n = 1;
    switch (r->def->kind) {
    case ATTR_INT:
    case ATTR_AXIS:
        return read_int(r, r->yaml, &r->out->i[0]);
    case ATTR_FLOAT:
        return read_float(r);
    case ATTR_BOOL:
        return read_bool(r);
    case ATTR_HW:
        return read_hw(r);
    case ATTR_PAD:
        return read_pad(r);
    case ATTR_SHAPE:
        return read_dims(r);
    case ATTR_AXES:
        return read_axes(r);
    }
    return false;
}

static void attr_default(const AttrDef *def, AttrValue *v)
{
    v->n = def->kind == ATTR_PAD ? 4 : def->kind == ATTR_HW ? 2 : 1;
    if (def->kind == ATTR_FLOAT) {
        v->f = def->fallback;
        return;
    }
    for (int i = 0; i < v->n; i++)
        v->i[i] = (int64_t)def->fallback;
}

bool model_attrs(Model *m, Node *n, const Yaml *attrs, bool complete)
{
    bool ok = true;
    bool flat = n->n_in > 0 && n->in[0]->shape.rank == 3;
    for (int i = 0; n->op->attrs[i].name; i++) {
        const AttrDef *def = &n->op->attrs[i];
        const Yaml *y = attrs ? yaml_get(attrs, def->name) : NULL;
        AttrRead r = {m->cx, def, y, flat, &n->attr[i]};
        n->attr[i].set = y != NULL;
        n->attr[i].place = y ? y->place : n->place;
        if (!y)
            attr_default(def, &n->attr[i]);
        ok &= y ? attr_read(&r) && op_check_attr(m->cx, n, i)
                : !complete || op_check_attr(m->cx, n, i);
    }
    return ok;
}
