/* emit_json.c: the manifest: what the generated files contain, for tools.
 *
 * contract: JSON by RFC 8259, ASCII, keys in a fixed order; hashes are strings, since they exceed
 * what JSON numbers keep.
 */
#include "emit/emit.h"

#include <inttypes.h>

static void add_string(Str *out, const char *text)
{
    str_char(out, '"');
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p; p++) {
        if (*p == '"' || *p == '\\')
            str_printf(out, "\\%c", *p);
        else if (*p < 32 || *p > 126)
            str_printf(out, "\\u%04x", *p);
        else
            str_char(out, (char)*p);
    }
    str_char(out, '"');
}

static void add_key_string(Str *out, const char *key, const char *text)
{
    str_printf(out, "\"%s\": ", key);
    add_string(out, text);
}

static void add_values(const EmitFile *f, Str *out, const Module *m)
{
    str_add(out, "  \"buffers\": [\n");
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        str_add(out, "    {");
        add_key_string(out, "name", v->name);
        str_add(out, ", ");
        add_key_string(out, "kind", emit_kind(v));
        str_add(out, ", ");
        add_key_string(out, "layout", buffer_text(f->cx->temp, &v->shape));
        if (v->key) {
            str_add(out, ", ");
            add_key_string(out, "tensor", v->key);
        }
        for (int k = 0; v->make && k < MAX_SOURCES && v->made_from[k]; k++) {
            str_add(out, k > 0 ? ", " : ", \"made_from\": [");
            add_string(out, v->made_from[k]);
        }
        str_add(out, v->made_from[0] ? "]" : "");
        str_printf(out, ", \"offset\": %" PRId64 ", \"bytes\": %" PRId64, v->offset,
                   buffer_bytes(&v->shape));
        str_printf(out, ", \"first_step\": %d, \"last_step\": %d}%s\n", v->first_step,
                   v->last_step, i + 1 < m->n_values ? "," : "");
    }
    str_add(out, "  ],\n");
}

/* The schedules of further rows, by name. */
static void add_more(const EmitFile *f, Str *out, const Step *s)
{
    str_add(out, ", \"more\": {");
    for (int row = 1; row <= f->m->n_more; row++) {
        str_add(out, row > 1 ? ",\n       " : "\n       ");
        add_key_string(out, f->o->row[row]->name, step_kernel(s, row)->schedule);
    }
    str_add(out, "}");
}

static void add_steps(const EmitFile *f, Str *out, const Module *m)
{
    str_add(out, "  \"steps\": [\n");
    for (int i = 0; i < m->n_steps; i++) {
        const Step *s = &m->step[i];
        const Kernel *k = s->kernel;
        str_add(out, "    {");
        add_key_string(out, "kernel", k->name);
        str_add(out, ", ");
        add_key_string(out, "origin", k->origin);
        str_add(out, ", ");
        add_key_string(out, "schedule", k->schedule);
        str_add(out, ", ");
        add_key_string(out, "why", k->why);
        if (m->n_more > 0)
            add_more(f, out, s);
        str_printf(out, ",\n     \"macs\": %" PRId64 ", \"flops\": %" PRId64
                        ", \"weight_bytes\": %" PRId64 ", \"arguments\": [",
                   k->macs, k->flops, step_weight_bytes(s));
        for (int a = 0; a < k->n_buffers; a++) {
            str_add(out, a ? ", " : "");
            add_string(out, s->arg[a]->name);
        }
        str_printf(out, "]}%s\n", i + 1 < m->n_steps ? "," : "");
    }
    str_add(out, "  ]");
}

/* What is special to a batch. */
static void add_batch(const EmitFile *f, Str *out, const Module *m)
{
    str_printf(out, "  \"batch\": %" PRId64 ",\n  \"arena_bytes\": %" PRId64
                    ",\n  \"arena_lower_bound\": %" PRId64 ",\n",
               m->batch, m->arena_bytes, m->arena_lower_bound);
    add_values(f, out, m);
    add_steps(f, out, m);
}

static void add_more_batches(const EmitFile *f, Str *out)
{
    const char *separator = "";
    str_add(out, ",\n  \"more_batches\": [");
    for (int i = 0; i < f->n_sized; i++) {
        if (f->sized[i] == f->m)
            continue;
        str_printf(out, "%s{\n", separator);
        add_batch(f, out, f->sized[i]);
        str_char(out, '}');
        separator = ", ";
    }
    str_add(out, "]");
}

static void add_public(const EmitFile *f, Str *out, ValueKind kind, const char *key)
{
    bool first = true;
    str_printf(out, "  \"%s\": [", key);
    for (int i = 0; i < f->n_io; i++) {
        const EmitPublic *p = &f->io[i];
        if (p->value->kind != kind)
            continue;
        str_add(out, first ? "\n    {" : ",\n    {");
        add_key_string(out, "name", p->value->name);
        str_add(out, ", ");
        add_key_string(out, "field", p->field);
        str_add(out, ", ");
        add_key_string(out, "type", scalar_name(p->value->shape.type));
        str_add(out, ", \"shape\": [1");
        for (int d = 1; d < p->value->shape.rank; d++)
            str_printf(out, ", %" PRId64, p->value->shape.dim[d].extent);
        str_printf(out, "], \"elements\": %" PRId64 "}", p->count);
        first = false;
    }
    str_add(out, first ? "],\n" : "\n  ],\n");
}

void emit_json(const EmitFile *f, Str *out)
{
    str_add(out, "{\n  ");
    add_key_string(out, "network", f->m->name);
    str_add(out, ",\n  ");
    add_key_string(out, "compiler", arena_printf(f->cx->temp, "net2c %s", f->o->version));
    str_add(out, ",\n  ");
    add_key_string(out, "options", f->o->command);
    str_add(out, ",\n  ");
    Str rows = str_new(f->cx->temp);
    for (int i = 0; i < f->o->n_rows; i++)
        str_printf(&rows, "%s%s", i ? "," : "", f->o->row[i]->name);
    add_key_string(out, "isa", rows.data);
    str_printf(out, ",\n  \"model_hash\": \"%016" PRIx64 "\",\n", f->model_hash);
    str_printf(out, "  \"weights_bytes\": %" PRId64 ",\n  \"weights_body_offset\": %" PRId64
                    ",\n  \"stack_bytes\": %" PRId64 ",\n",
               f->weights_bytes, blob_body_offset(f->m), f->stack_bytes);
    add_public(f, out, VALUE_INPUT, "inputs");
    add_public(f, out, VALUE_OUTPUT, "outputs");
    add_batch(f, out, f->m);
    if (f->n_sized > 1)
        add_more_batches(f, out);
    str_add(out, "\n}\n");
}
