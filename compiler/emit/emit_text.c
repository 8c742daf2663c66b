/* emit_text.c: the texts of the generated files, written down as they will stand there.
 *
 * example: "${r    case $N_ISA_$I: has = $t; break;\n$}" becomes a line for each instruction set.
 * A $ and a letter stand for what differs from network to network: for x in io_value, row_value
 * and file_value, $x. Text between ${x and $} is repeated for each input (x is i), output (o),
 * either of them (p), row (r) or batch (n), or is there only if a condition holds (see text_holds).
 */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

typedef struct Item {              /* what a text is about */
    const EmitPublic *io;
    const Row *row;
    const Module *sized;           /* the network for one batch */
    int number;                    /* in its repetition, from 1 */
} Item;

const char *emit_quote(Arena *a, const char *text, bool json)
{
    Str s = str_new(a);
    str_char(&s, '"');
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p; p++) {
        bool trigraph = *p == '?' && !json;
        if (*p == '"' || *p == '\\' || *p < 32 || *p > 126 || trigraph)
            str_printf(&s, json ? "\\u%04x" : "\\%03o", *p);
        else
            str_char(&s, (char)*p);
    }
    str_char(&s, '"');
    return s.data;
}

const char *emit_type_of(const EmitFile *f, ScalarType t)
{
    return row_type(f->o->row[0], (Type){t, 1});
}

/* Extents behind the batch, for n dimensions in all, each after ", " and with `end`. */
static const char *dims_text(Arena *a, const Buffer *b, int n, const char *end)
{
    Str s = str_new(a);
    for (int d = 1; d < n; d++)
        str_printf(&s, ", %" PRId64 "%s", d < b->rank ? b->dim[d].extent : 0, end);
    return s.data;
}

static const char *comment(Arena *a, const char *prefix, const char *text)
{
    Str s = str_new(a);
    c_comment(&s, prefix, text);
    return s.data;
}

static const char *number(const EmitFile *f, int64_t n)
{
    return arena_printf(f->cx->temp, "%" PRId64, n);
}

static const char *io_value(const EmitFile *f, const EmitPublic *io, char letter)
{
    Arena *a = f->cx->temp;
    const Buffer *b = &io->value->shape;
    bool input = io->value->kind == VALUE_INPUT;
    switch (letter) {
    case 'L': return comment(a, " *   ", arena_printf(a, "%-3s io->%s: %s [N%s], %" PRId64
                             " elements an item", input ? "in" : "out", io->field,
                             emit_type_of(f, b->type), dims_text(a, b, b->rank, ""), io->count));
    case 'f': return io->field;
    case 'M': return io->macro;
    case 'k': return number(f, io->count);
    case 'T': return emit_type_of(f, b->type);
    case 'y': return scalar_name(b->type);
    case 'd': return input ? "in" : "out";
    case 'c': return input ? "const " : "";
    case 's': return dims_text(a, b, b->rank, "");
    case 'x': return arena_printf(a, "%du, {1u%s}", b->rank, dims_text(a, b, 6, "u"));
    case 'q': return emit_quote(a, io->value->name, false);
    case 'Q': return emit_quote(a, io->value->name, true);
    }
    return NULL;
}

static const char *row_value(const EmitFile *f, const Item *item, char letter)
{
    Arena *a = f->cx->temp;
    const Row *row = item->row;
    switch (letter) {
    case 'r': return row->name;
    case 'I': return c_upper(a, row->name);
    case 'u': return row->summary;
    case '#': return number(f, item->number);
    case '&': return item->number > 1 ? " &&\n        " : "";
    case 't': return row->cpu_name ? arena_printf(a, "(cpu & %s) != 0", row->cpu_name) : "1";
    case '<': return row->condition ? arena_printf(a, "#if %s\n", row->condition) : "";
    case '>': return row->condition ? "#endif\n" : "";
    }
    return NULL;
}

static const char *batch_value(const EmitFile *f, const Module *m, char letter)
{
    switch (letter) {
    case 'e': return number(f, m->batch);
    case 'b': return m->batch > 1 ? arena_printf(f->cx->temp, "_n%" PRId64, m->batch) : "";
    case 'A': return number(f, m->arena_bytes);
    case 'l': return number(f, m->arena_lower_bound);
    }
    return NULL;
}

static const char *file_value(const EmitFile *f, char letter)
{
    Arena *a = f->cx->temp;
    switch (letter) {
    case 'n': return f->name;
    case 'N': return f->upper;
    case 'F': return f->o->base_name;
    case 'V': return f->o->version;
    case 'C': return comment(a, " * ", arena_printf(a, "Options: %s", f->o->command));
    case 'q': return emit_quote(a, f->m->name, false);
    case 'Q': return emit_quote(a, f->m->name, true);
    case 'J': return emit_quote(a, f->o->command, true);
    case 'E': return emit_type_of(f, f->m->type);
    case 'i': return number(f, f->n_inputs);
    case 'o': return number(f, f->n_io - f->n_inputs);
    case 'z': return number(f, f->m->n_steps);
    case 'B': return number(f, f->o->sized[0]->batch);
    case 'W': return number(f, f->weights_bytes);
    case 'A': return number(f, f->arena_bytes);
    case 'S': return number(f, f->stack_bytes);
    case 'P': return number(f, blob_body_offset(f->m));
    case 'O': return number(f, blob_body_offset(f->m) / (int64_t)scalar_bytes(f->m->type));
    case 'H': return arena_printf(a, "%016" PRIx64, f->model_hash);
    }
    return "";
}

static const char *text_value(const EmitFile *f, const Item *item, char letter)
{
    if (letter == ',')
        return item->number > 1 ? "," : "";
    const char *value = item->sized ? batch_value(f, item->sized, letter) : NULL;
    if (!value)
        value = item->io ? io_value(f, item->io, letter)
                         : item->row ? row_value(f, item, letter) : NULL;
    return value ? value : file_value(f, letter);
}

static void add_text(const EmitFile *f, Str *out, const Item *item, const char *text,
                     const char *end);

static bool text_holds(const EmitFile *f, char condition)
{
    switch (condition) {
    case 'm': return f->o->weights_as == WEIGHTS_FILE;      /* mapped */
    case 'l': return f->o->weights_as != WEIGHTS_FILE;      /* linked in */
    case 'S': return f->o->weights_as == WEIGHTS_INCBIN;
    case 'C': return f->o->weights_as == WEIGHTS_ARRAY;
    case 'a': return f->arena_bytes > 0;
    }
    return false;
}

static void repeat(const EmitFile *f, Str *out, const Item *around, char what, const char *text,
                   const char *end)
{
    Item item = *around;
    for (int i = 0; i < f->o->n_sized && what == 'n'; i++) {
        item.sized = f->o->sized[i];
        item.number = i + 1;
        add_text(f, out, &item, text, end);
    }
    item = (Item){0};
    if (text_holds(f, what))
        add_text(f, out, &item, text, end);
    for (int i = 0; i < f->o->n_rows && what == 'r'; i++) {
        item = (Item){.row = f->o->row[i], .number = i + 1};
        add_text(f, out, &item, text, end);
    }
    for (int i = 0; i < f->n_io && strchr("iop", what); i++) {
        if (what != 'p' && what != (i < f->n_inputs ? 'i' : 'o'))
            continue;
        item = (Item){.io = &f->io[i], .number = item.number + 1};
        add_text(f, out, &item, text, end);
    }
}

static void add_text(const EmitFile *f, Str *out, const Item *item, const char *text,
                     const char *end)
{
    for (const char *p = text; p < end; p++) {
        if (*p != '$') {
            str_char(out, *p);
        } else if (*++p == '{') {
            const char *close = strstr(p, "$}");
            repeat(f, out, item, p[1], p + 2, close);
            p = close + 1;
        } else {
            str_add(out, text_value(f, item, *p));
        }
    }
}

void emit_text_of(const EmitFile *f, Str *out, const EmitPublic *io, const char *text)
{
    const Item item = {.io = io};
    add_text(f, out, &item, text, text + strlen(text));
}

void emit_text_for(const EmitFile *f, Str *out, const Row *row, const Module *sized,
                   const char *text)
{
    const Item item = {.row = row, .sized = sized};
    add_text(f, out, &item, text, text + strlen(text));
}

void emit_text(const EmitFile *f, Str *out, const char *text)
{
    emit_text_of(f, out, NULL, text);
}
