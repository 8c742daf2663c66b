/* Shapes: comparing, counting and printing them.
 *
 * shape_text of {4, {DIM_N, 256, 6, 6}} is "[N, 256, 6, 6]".
 *
 * Contract: dimensions are DIM_N or positive; a count that does not fit is INT64_MAX, so that a
 * comparison with MAX_ELEMENTS refuses it without a second way of failing.
 */
#include "graph/graph.h"

bool shape_equal(const Shape *a, const Shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

int64_t shape_count(const Shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != DIM_N && !checked_mul(count, s->dim[i], &count))
            return INT64_MAX;
    return count;
}

char *shape_text(Arena *a, const Shape *s)
{
    Str text = str_new(a);
    str_char(&text, '[');
    for (int i = 0; i < s->rank; i++) {
        if (i > 0)
            str_add(&text, ", ");
        if (s->dim[i] == DIM_N)
            str_char(&text, 'N');
        else
            str_printf(&text, "%lld", (long long)s->dim[i]);
    }
    str_char(&text, ']');
    return text.data;
}
