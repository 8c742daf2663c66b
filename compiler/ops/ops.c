/* The table of operators and what every operator file needs: looking up operators and attributes,
 * the checks each shape rule begins and ends with, costs.
 *
 * example: op_find("conv") has attributes out, kernel, stride ...; node_int(n, "groups") is 1 when
 * the model says nothing, because the front end fills in ops.def's defaults.
 *
 * contract: shape rules may be run again at any time (graph_verify does); they give the same
 * result and leave parameter keys alone. A rule that returns false has reported.
 */
#include "ops/ops.h"

#include <string.h>

enum { OP_PLAIN = 0, OP_POINTWISE = 1, OP_VIEW = 2 };

/* ---- the table ---------------------------------------------------------------------------- */
#define ATTR(name, kind, fallback, min, max) {name, ATTR_##kind, fallback, min, max},
#define REQUIRED true, 0
#define DEFAULT(v) false, v
#define NO_ATTRS
#define OP(name, min_in, max_in, infer, nest, alternative, cost, traits, summary, ...) \
    static const AttrDef name##_attrs[] = {__VA_ARGS__{NULL, ATTR_INT, false, 0, 0, 0}};
#include "ops/ops.def"
#undef OP

#define OP(name, min_in, max_in, infer, nest, alternative, cost, traits, summary, ...)       \
    {#name, min_in, max_in, name##_attrs, infer, nest, alternative, cost,                    \
     ((traits) & OP_POINTWISE) != 0, ((traits) & OP_VIEW) != 0, summary},
static const OpDef op_table[] = {
#include "ops/ops.def"
};
#undef OP

static const char *const planned_ops[] = {
    "abs", "adaptive_avgpool", "channel_shuffle", "conv_transpose", "depth_to_space", "div",
    "elu", "exp", "gelu", "global_maxpool", "groupnorm", "hardsigmoid", "hardswish",
    "instancenorm", "layernorm", "matmul", "max", "min", "neg", "pow", "prelu", "reduce_max",
    "reduce_sum", "resize", "silu", "slice", "space_to_depth", "split", "sqrt", "squeeze",
    "unsqueeze",
};

int op_count(void)
{
    return (int)(sizeof op_table / sizeof op_table[0]);
}

const OpDef *op_at(int i)
{
    return &op_table[i];
}

const OpDef *op_find(const char *name)
{
    for (int i = 0; i < op_count(); i++)
        if (strcmp(op_table[i].name, name) == 0)
            return &op_table[i];
    return NULL;
}

bool op_is_planned(const char *name)
{
    for (size_t i = 0; i < sizeof planned_ops / sizeof planned_ops[0]; i++)
        if (strcmp(planned_ops[i], name) == 0)
            return true;
    return false;
}

/* ---- attributes --------------------------------------------------------------------------- */
int op_attr_index(const OpDef *op, const char *name)
{
    for (int i = 0; op->attrs[i].name; i++)
        if (strcmp(op->attrs[i].name, name) == 0)
            return i;
    return -1;
}

const AttrDef *op_attr(const OpDef *op, const char *name)
{
    int i = op_attr_index(op, name);
    return i < 0 ? NULL : &op->attrs[i];
}

const AttrValue *node_attr(const Node *n, const char *name)
{
    int i = op_attr_index(n->op, name);
    return i < 0 ? NULL : &n->attr[i];
}

int64_t node_int(const Node *n, const char *name)
{
    return node_attr(n, name)->i[0];
}

double node_float(const Node *n, const char *name)
{
    return node_attr(n, name)->f;
}

/* ---- checks ------------------------------------------------------------------------------- */
void op_error(Cx *cx, const Node *n, const char *attr, const char *code, const char *format, ...)
{
    const AttrValue *value = attr ? node_attr(n, attr) : NULL;
    Place place = value && value->place.file ? value->place : n->place;
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(cx->temp, format, args);
    va_end(args);
    diag_error(cx->diags, place, code, "%s: %s", n->op->name, text);
}

/* How many numbers of i[] an attribute fills; 0 where its number is f. */
static int attr_length(const AttrDef *def, const AttrValue *v)
{
    switch (def->kind) {
    case ATTR_FLOAT: return 0;
    case ATTR_HW: return 2;
    case ATTR_PAD: return 4;
    case ATTR_SHAPE:
    case ATTR_AXES: return v->n < 0 ? 0 : v->n > MAX_RANK ? MAX_RANK : v->n;
    default: return 1;
    }
}

static char *range_text(Arena *a, const AttrDef *def)
{
    Str s = str_new(a);
    str_double(&s, def->min);
    str_add(&s, " to ");
    str_double(&s, def->max);
    return s.data;
}

/* Only what the user wrote is in range by need: a default may be a stand-in (a stride of 0). */
bool op_check_attr(Cx *cx, const Node *n, int at)
{
    const AttrDef *def = &n->op->attrs[at];
    const AttrValue *v = &n->attr[at];
    if (!v->set) {
        if (def->required)
            op_error(cx, n, NULL, "E0611", "'%s' is missing; it has no default", def->name);
        if (def->required)
            diag_help(cx->diags, "write '%s: {%s: ...}'; %s is: %s", n->op->name, def->name,
                      n->op->name, n->op->summary);
        return !def->required;
    }
    Str found = str_new(cx->temp);
    bool good = true;
    if (def->kind == ATTR_FLOAT) {
        good = v->f >= def->min && v->f <= def->max;   /* false for NaN */
        str_double(&found, v->f);
    }
    for (int i = 0; i < attr_length(def, v) && good; i++) {
        bool batch = def->kind == ATTR_SHAPE && i == 0 && v->i[0] == DIM_N;
        good = batch || ((double)v->i[i] >= def->min && (double)v->i[i] <= def->max);
        if (!good)
            str_printf(&found, "%lld", (long long)v->i[i]);
    }
    if (!good)
        op_error(cx, n, def->name, "E0601", "'%s' is %s; expected %s", def->name, found.data,
                 range_text(cx->temp, def));
    return good;
}

static bool inputs_check(Cx *cx, const Node *n)
{
    int min = n->op->min_in, max = n->op->max_in;
    if (n->n_in >= min && n->n_in <= max)
        return true;
    if (min == max)
        op_error(cx, n, NULL, "E0612", "has %d inputs; expected %d", n->n_in, min);
    else
        op_error(cx, n, NULL, "E0612", "has %d inputs; expected %d to %d", n->n_in, min, max);
    diag_help(cx->diags, "'from:' names the inputs of a layer");
    return false;
}

bool op_check(Cx *cx, Node *n, int min_rank, int max_rank)
{
    bool good = inputs_check(cx, n);
    n->n_param = 0;
    for (int i = 0; n->op->attrs[i].name; i++)
        good = op_check_attr(cx, n, i) && good;
    if (n->n_in == 0)
        return good;
    const Shape *in = &n->in[0]->shape;
    if (in->rank < min_rank || in->rank > max_rank) {
        const char *to = max_rank == min_rank
                             ? "" : arena_printf(cx->temp, " to %d", max_rank);
        op_error(cx, n, NULL, "E0602", "input %s has rank %d; expected rank %d%s",
                 shape_text(cx->temp, in), in->rank, min_rank, to);
        diag_help(cx->diags, "%s is: %s", n->op->name, n->op->summary);
        return false;
    }
    return good;
}

/* Limits of the language: dimensions 1..2^24, 2^31 elements. */
static bool shape_check(Cx *cx, const Node *n, const char *what, const Shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++) {
        int64_t d = s->dim[i] == DIM_N && i == 0 ? 1 : s->dim[i];
        if (d < 1 || d > MAX_DIM || !checked_mul(count, d, &count) || count > MAX_ELEMENTS) {
            op_error(cx, n, NULL, "E0605",
                     "its %s would have shape %s; dimensions are 1 to 2^24, at most 2^31 elements",
                     what, shape_text(cx->temp, s));
            return false;
        }
    }
    return true;
}

bool op_set_param(Cx *cx, Node *n, int at, const char *role, Shape shape)
{
    if (!shape_check(cx, n, role, &shape))
        return false;
    n->param[at].role = role;
    n->param[at].shape = shape;
    n->n_param = at + 1;
    return true;
}

bool op_set_output(Cx *cx, Node *n, const Shape *shape)
{
    if (!shape_check(cx, n, "output", shape))
        return false;
    n->out->shape = *shape;
    return true;
}

bool pointwise_infer(Cx *cx, Node *n)
{
    return op_check(cx, n, 1, MAX_RANK) && op_set_output(cx, n, &n->in[0]->shape);
}

int node_axis(const Node *n)
{
    int64_t axis = node_int(n, "axis");
    return (int)(axis < 0 ? axis + n->in[0]->shape.rank : axis);
}

bool op_axis(Cx *cx, const Node *n, const char *attr, int64_t axis, int *out)
{
    const Shape *in = &n->in[0]->shape;
    int64_t at = axis < 0 ? axis + in->rank : axis;
    *out = (int)at;
    if (at >= 1 && at < in->rank)
        return true;
    if (at == 0)
        op_error(cx, n, attr, "E0607", "axis 0 is the batch; expected an axis within an item");
    else
        op_error(cx, n, attr, "E0607", "axis %lld is not an axis of input %s", (long long)axis,
                 shape_text(cx->temp, in));
    diag_help(cx->diags, "axes of rank %d are 1 to %d, or -%d to -1", in->rank, in->rank - 1,
              in->rank - 1);
    return false;
}

/* ---- costs and small parts of nests ------------------------------------------------------- */
static int64_t product_saturated(int64_t a, int64_t b)
{
    int64_t p;
    return checked_mul(a, b, &p) ? p : INT64_MAX;
}

OpCost op_cost(int64_t count, int64_t macs_each, int64_t flops_each)
{
    return (OpCost){.macs = product_saturated(count, macs_each),
                    .flops = product_saturated(count, flops_each)};
}

const Expr *nest_const(const NestCx *nx, double v)
{
    return expr_const(nx->arena, (Type){nx->type, 1}, v);
}

const Expr *nest_load(const NestCx *nx, Buffer *b, const Index *at)
{
    const Expr *e = expr_load(nx->arena, b, at, b->rank, 1);
    return b->type == TYPE_BF16 && nx->type != e->type.scalar ? expr_cast(nx->arena, nx->type, e)
                                                              : e;
}

Made *nest_made(NestCx *nx, const char *name, int rank, const int64_t *extent, int n_params,
                const int *params)
{
    Made *made = &nx->made[nx->n_made++];
    *made = (Made){.make = NEW(nx->arena, Kernel), .n_params = n_params};
    made->make->arena = nx->arena;
    for (int i = 0; i < n_params; i++) {
        const Param *p = &nx->node->param[params[i]];
        made->param[i] = params[i];
        kernel_add_buffer(made->make, BUF_WEIGHT, p->role, nx->type, p->shape.rank, p->shape.dim);
    }
    kernel_add_buffer(made->make, BUF_OUT, "y", nx->type, rank, extent);
    made->buffer = kernel_add_buffer(nx->kernel, BUF_WEIGHT, name, nx->type, rank, extent);
    return made;
}

const Expr *nest_reduce(const NestCx *nx, BinOp op, const Expr *acc, const Expr *x)
{
    return op == BIN_ADD ? expr_bin(nx->arena, op, x, acc) : expr_bin(nx->arena, op, acc, x);
}

Index nest_loop(Builder *build, const char *name, int64_t extent)
{
    return index_var(build->arena, build_for(build, name, extent));
}

Index nest_axis(Builder *build, const Buffer *b, int d)
{
    const char *name = d == 0 ? "n" : arena_printf(build->arena, "i%d", d);
    return nest_loop(build, name, b->dim[d].extent);
}

void nest_loops(Builder *build, const Buffer *b, const char *const *names, Index *index)
{
    for (int d = 0; d < b->rank; d++)
        index[d] = names ? nest_loop(build, names[d], b->dim[d].extent) : nest_axis(build, b, d);
}
