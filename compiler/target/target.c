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
    for (; r; r = r->base) {
        bool full = t.scalar == TYPE_F32 && t.lanes == r->lanes;
        const char *const *format = t.lanes == 1 ? r->scalar[t.scalar] : full ? r->vector : NULL;
        if (format && format[ins])
            return format[ins];
    }
    return NULL;
}

const char *row_type(const Row *r, Type t)
{
    static const char *const scalar[] = {
        [TYPE_F32] = "float", [TYPE_F64] = "double", [TYPE_I32] = "int32_t",
        [TYPE_BF16] = "uint16_t"};
    if (t.lanes > 1)
        return t.scalar == TYPE_F32 && t.lanes == r->lanes ? r->vector_type : NULL;
    return scalar[t.scalar];
}

#define INS_NAME(name) #name,

const char *ins_name(Ins ins)
{
    static const char *const name[] = {INSTRUCTIONS(INS_NAME)};
    return name[ins];
}
