/* target.c: finds rows, and the C text of an instruction in a row.
 *
 * example: row_format(row_find("avx512"), INS_FMA, (Type){TYPE_F32, 16})
 *          is "_mm512_fmadd_ps($0, $1, $2)".
 * A row's own table is asked first, then its base's: a vector row adds vectors to plain C.
 */
#include "target/target.h"

static const Row *const rows[] = {&row_avx512, &row_avx2, &row_sse4, &row_portable,
                                  &row_scalar};

int row_count(void)
{
    return (int)(sizeof rows / sizeof rows[0]);
}

const Row *row_at(int i)
{
    return rows[i];
}

const Row *row_find(const char *name)
{
    for (int i = 0; i < row_count(); i++)
        if (str_eq(rows[i]->name, name))
            return rows[i];
    return NULL;
}

const char *row_format(const Row *r, Ins ins, Type t)
{
    for (; r; r = r->base)
        for (const Instr *i = r->instr; i->format; i++)
            if (i->ins == ins && i->type == t.scalar && i->lanes == t.lanes)
                return i->format;
    return NULL;
}

const char *row_type(const Row *r, Type t)
{
    if (t.lanes > 1)
        return t.scalar == TYPE_F32 && t.lanes == r->lanes ? r->vector_type : NULL;
    switch (t.scalar) {
    case TYPE_F32: return "float";
    case TYPE_F64: return "double";
    case TYPE_I32: return "int32_t";
    }
    return NULL;
}

const char *ins_name(Ins ins)
{
    static const char *const name[INS_COUNT] = {
        [INS_LOAD] = "load", [INS_STORE] = "store", [INS_BCAST_LOAD] = "bcast_load",
        [INS_BCAST] = "bcast", [INS_CONST] = "const", [INS_ADD] = "add", [INS_SUB] = "sub",
        [INS_MUL] = "mul", [INS_DIV] = "div", [INS_MIN] = "min", [INS_MAX] = "max",
        [INS_MIN_NUM] = "min_num", [INS_MAX_NUM] = "max_num", [INS_FMA] = "fma",
        [INS_NEG] = "neg", [INS_ABS] = "abs", [INS_SQRT] = "sqrt", [INS_ROUND] = "round",
        [INS_POW2I] = "pow2i", [INS_SELECT_LT] = "select_lt", [INS_SELECT_LE] = "select_le",
        [INS_SELECT_EQ] = "select_eq", [INS_SELECT_NE] = "select_ne",
        [INS_EXTRACT] = "extract",
    };
    return ins < INS_COUNT ? name[ins] : "?";
}
