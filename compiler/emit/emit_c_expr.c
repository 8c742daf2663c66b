/* emit_c_expr.c: expressions of the loop IR as C, by the row's table of instructions.
 *
 * example: fma(bcast x[ic, 0], w[ic, 0:16], acc) on 16 lanes becomes
 *          _mm512_fmadd_ps(_mm512_set1_ps(*(&x[5*ic])), _mm512_loadu_ps(&w[16*ic]), acc)
 * An access of a physical kernel is one flat sum of loop variables, in ptrdiff_t, so that the C
 * compiler needs no sign extension and folds the constant into the address.
 *
 * contract: the kernel has passed loop_verify. What a row cannot say is refused, never guessed.
 */
#include "emit/emit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *emit_fail(EmitC *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(e->a, format, args);
    va_end(args);
    if (!e->failed)
        diag_error(e->cx->diags, NO_PLACE, "E0961", "internal error: kernel %s on row %s: %s",
                   e->kernel->name, e->row->name, text);
    e->failed = true;
    return "?";
}

static const char *type_text(EmitC *e, Type t)
{
    return t.lanes > 1 ? arena_printf(e->a, "%sx%d", scalar_name(t.scalar), t.lanes)
                       : scalar_name(t.scalar);
}

const char *emit_type(EmitC *e, Type t)
{
    const char *s = row_type(e->row, t);
    return s ? s : emit_fail(e, "no C type for %s", type_text(e, t));
}

const char *emit_name(EmitC *e, const void *owner, const char *name)
{
    const char *s = c_name_of(e->a, e->taken, owner, name);
    return s ? s : emit_fail(e, "%s is used outside its body", name);
}

const char *emit_instr(EmitC *e, Ins ins, Type t, int n, const char *const arg[])
{
    const char *format = row_format(e->row, ins, t);
    if (!format)
        return emit_fail(e, "no instruction %s for %s", ins_name(ins), type_text(e, t));
    Str s = str_new(e->a);
    for (const char *p = format; *p; p++) {
        if (*p == '$' && p[1] >= '0' && p[1] < '0' + n)
            str_add(&s, arg[*++p - '0']);
        else
            str_char(&s, *p);
    }
    return s.data;
}

/* ---- indices ---------------------------------------------------------------------------- */

const char *emit_index(EmitC *e, Index x)
{
    Str s = str_new(e->a);
    for (int i = 0; i < x.n; i++) {
        int64_t k = x.term[i].coef;
        str_add(&s, i == 0 ? (k < 0 ? "-" : "") : k < 0 ? " - " : " + ");
        if (k != 1 && k != -1)
            str_printf(&s, "%" PRId64 "*", k < 0 ? -k : k);
        str_add(&s, emit_name(e, x.term[i].var, x.term[i].var->name));
    }
    if (x.n == 0)
        str_printf(&s, "%" PRId64, x.c);
    else if (x.c != 0)
        str_printf(&s, " %c %" PRId64, x.c < 0 ? '-' : '+', x.c < 0 ? -x.c : x.c);
    return s.data;
}

const char *emit_element(EmitC *e, const Buffer *b, const Index *index, int n)
{
    Index flat;
    if (!buffer_flat(e->a, b, index, n, &flat))
        return emit_fail(e, "no place in %s for an access with %d indices", b->name, n);
    return arena_printf(e->a, "%s[%s]", emit_name(e, b, b->name), emit_index(e, flat));
}

/* ---- leaves ----------------------------------------------------------------------------- */

static const char *float_text(EmitC *e, double v, bool is_double)
{
    Str s = str_new(e->a);
    if (!isfinite(v)) {
        float f = (float)v;
        uint64_t wide;
        uint32_t narrow;
        memcpy(&wide, &v, sizeof wide);
        memcpy(&narrow, &f, sizeof narrow);
        return is_double ? arena_printf(e->a, "n2c_f64_of_bits(UINT64_C(0x%016" PRIx64 "))", wide)
                         : arena_printf(e->a, "n2c_f32_of_bits(0x%08" PRIx32 "u)", narrow);
    }
    if (fabs(v) <= 16777216.0 && (double)(int32_t)v == v)
        str_printf(&s, "%s%" PRId32 ".0", signbit(v) ? "-" : "", abs((int32_t)v));
    else
        str_hex_double(&s, v);
    str_add(&s, is_double ? "" : "f");
    return s.data;
}

static const char *const_text(EmitC *e, Type t, double v)
{
    const char *text = NULL;
    Type scalar = {t.scalar, 1};
    switch (t.scalar) {
    case TYPE_F32: text = float_text(e, (double)(float)v, false); break;
    case TYPE_F64: text = float_text(e, v, true); break;
    case TYPE_I32: case TYPE_BF16:           /* no constant is bf16 */
        text = v <= -2147483648.0 ? "(-2147483647 - 1)"
                                  : arena_printf(e->a, "%" PRId32, (int32_t)v);
        break;
    }
    return emit_instr(e, INS_CONST, t.lanes > 1 ? t : scalar, 1, &text);
}

static const char *load_text(EmitC *e, const Expr *x)
{
    const char *element = emit_element(e, x->buffer, x->index, x->n_index);
    bool widen = x->buffer->type == TYPE_BF16;
    if (x->type.lanes == 1 || x->buffer->lanes == x->type.lanes)
        return widen ? emit_instr(e, INS_LOAD_BF16, x->type, 1, &element) : element;
    const char *address = arena_printf(e->a, "&%s", element);
    return emit_instr(e, widen ? INS_LOAD_BF16 : INS_LOAD, x->type, 1, &address);
}

/* ---- operations ------------------------------------------------------------------------- */

/* The constant that x is, on all its lanes, or NaN: none. */
static double constant_of(const Expr *x)
{
    while (x->kind == EXPR_BCAST)
        x = x->arg[0];
    return x->kind == EXPR_CONST ? x->value : (double)NAN;
}

/* min and max keep their first operand on a tie. One with a constant is cheaper with the constant
 * second, where it never comes out on a tie nor hides a NaN; only 0 and -0 tie without being the
 * same, so a constant other than 0 may change sides. */
bool emit_min_max(const Expr *x, const Expr *arg[2])
{
    double a = constant_of(x->arg[0]), b = constant_of(x->arg[1]);
    bool swap = isnan(b) && !isnan(a) && a != 0;
    arg[0] = x->arg[swap];
    arg[1] = x->arg[!swap];
    return swap || !isnan(b);
}

static const char *min_max_text(EmitC *e, const Expr *x)
{
    const Expr *side[2];
    bool number = emit_min_max(x, side);
    const char *arg[2] = {emit_expr(e, side[0]), emit_expr(e, side[1])};
    Ins ins = x->op == BIN_MIN ? number ? INS_MIN_NUM : INS_MIN : number ? INS_MAX_NUM : INS_MAX;
    return emit_instr(e, ins, x->type, 2, arg);
}

static const Ins bin_ins[] = {[BIN_ADD] = INS_ADD, [BIN_SUB] = INS_SUB, [BIN_MUL] = INS_MUL,
                              [BIN_DIV] = INS_DIV, [BIN_MIN] = INS_MIN, [BIN_MAX] = INS_MAX};
static const Ins un_ins[] = {[UN_NEG] = INS_NEG, [UN_ABS] = INS_ABS, [UN_SQRT] = INS_SQRT,
                             [UN_ROUND] = INS_ROUND, [UN_POW2I] = INS_POW2I};

static const char *bcast_text(EmitC *e, const Expr *x)
{
    const Expr *from = x->arg[0];
    if (from->kind == EXPR_CONST)
        return const_text(e, x->type, from->value);
    if (from->kind == EXPR_LOAD && from->buffer->type != TYPE_BF16 &&
        row_format(e->row, INS_BCAST_LOAD, x->type)) {
        const char *address = arena_printf(e->a, "&%s", load_text(e, from));
        return emit_instr(e, INS_BCAST_LOAD, x->type, 1, &address);
    }
    const char *scalar = emit_expr(e, from);
    return emit_instr(e, INS_BCAST, x->type, 1, &scalar);
}

static const char *cast_text(EmitC *e, const Expr *x)
{
    if (x->type.lanes > 1)
        return emit_fail(e, "vector conversions have no instruction yet");
    return arena_printf(e->a, "(%s)(%s)", emit_type(e, x->type), emit_expr(e, x->arg[0]));
}

/* Lane after lane in order, in a variable of its own before the statement. */
static const char *hsum_text(EmitC *e, const Expr *x)
{
    const Expr *v = x->arg[0];
    const char *source = emit_expr(e, v), *vector = emit_type(e, v->type);
    const char *lanes = c_name_take(e->a, e->taken, x, "lanes");
    const char *sum = c_name_take(e->a, e->taken, &x->arg[0], "reduced");
    str_printf(&e->before, "const %s %s = %s;\n", vector, lanes, source);
    for (int i = 0; i < v->type.lanes; i++) {
        const char *lane[2] = {lanes, arena_printf(e->a, "%d", i)};
        const char *pair[2] = {sum, emit_instr(e, INS_EXTRACT, v->type, 2, lane)};
        if (i == 0)
            str_printf(&e->before, "%s %s = %s;\n", emit_type(e, x->type), sum, pair[1]);
        else
            str_printf(&e->before, "%s = %s;\n", sum,
                       emit_instr(e, bin_ins[x->op], x->type, 2, pair));
    }
    return sum;
}

const char *emit_expr(EmitC *e, const Expr *x)
{
    const char *arg[4] = {0};
    Ins ins = INS_FMA;
    switch (x->kind) {
    case EXPR_CONST: return const_text(e, x->type, x->value);
    case EXPR_LOAD: return load_text(e, x);
    case EXPR_NAME: return emit_name(e, x->name, x->name->name);
    case EXPR_CAST: return cast_text(e, x);
    case EXPR_BCAST: return bcast_text(e, x);
    case EXPR_HSUM: return hsum_text(e, x);
    case EXPR_BIN:
        if (x->op == BIN_MIN || x->op == BIN_MAX)
            return min_max_text(e, x);
        ins = bin_ins[x->op];
        break;
    case EXPR_UN:
        if (x->op > UN_POW2I)
            return emit_fail(e, "a function is left that expand-math should have expanded");
        ins = un_ins[x->op];
        break;
    case EXPR_SELECT:
        ins = (Ins)(INS_SELECT_LT + x->op);
        break;
    case EXPR_FMA:
        break;
    }
    for (int i = 0; i < expr_args(x); i++)
        arg[i] = emit_expr(e, x->arg[i]);
    return emit_instr(e, ins, x->type, expr_args(x), arg);
}
