/* emit_json.c: the manifest: what the generated files contain, for tools.
 *
 * contract: JSON by RFC 8259, ASCII, keys in a fixed order; hashes are strings, since they exceed
 * what JSON numbers keep.
 */
#include "emit/emit.h"

#include <inttypes.h>

static const char *quote(const EmitFile *f, const char *text)
{
    return emit_quote(f->cx->temp, text, true);
}

static void add_values(const EmitFile *f, Str *out, const Module *m)
{
    static const char *const kind[] = {"input", "output", "activation", "weight", "scratch"};
    str_add(out, "  \"buffers\": [\n");
    for (int i = 0; i < m->n_values; i++) {
        const Value *v = m->value[i];
        str_printf(out, "    {\"name\": %s, \"kind\": \"%s\", \"layout\": %s", quote(f, v->name),
                   kind[v->kind], quote(f, buffer_text(f->cx->temp, &v->shape)));
        if (v->key)
            str_printf(out, ", \"tensor\": %s", quote(f, v->key));
        for (int k = 0; v->make && k < MAX_SOURCES && v->made_from[k]; k++)
            str_printf(out, "%s%s", k > 0 ? ", " : ", \"made_from\": [", quote(f, v->made_from[k]));
        str_add(out, v->made_from[0] ? "]" : "");
        str_printf(out, ", \"offset\": %" PRId64 ", \"bytes\": %" PRId64 ", \"first_step\": %d"
                        ", \"last_step\": %d}%s\n", v->offset, buffer_bytes(&v->shape),
                   v->first_step, v->last_step, i + 1 < m->n_values ? "," : "");
    }
    str_add(out, "  ],\n");
}

/* The schedules of further rows, by name. */
static void add_more(const EmitFile *f, Str *out, const Step *s)
{
    str_add(out, ", \"more\": {");
    for (int row = 1; row <= f->m->n_more; row++)
        str_printf(out, "%s\n       \"%s\": %s", row > 1 ? "," : "", f->o->row[row]->name,
                   quote(f, step_kernel(s, row)->schedule));
    str_add(out, "}");
}

static void add_steps(const EmitFile *f, Str *out, const Module *m)
{
    str_add(out, "  \"steps\": [\n");
    for (int i = 0; i < m->n_steps; i++) {
        const Step *s = &m->step[i];
        const Kernel *k = s->kernel;
        str_printf(out, "    {\"kernel\": %s, \"origin\": %s, \"schedule\": %s, \"why\": %s",
                   quote(f, k->name), quote(f, k->origin), quote(f, k->schedule),
                   quote(f, k->why));
        if (m->n_more > 0)
            add_more(f, out, s);
        str_printf(out, ",\n     \"macs\": %" PRId64 ", \"flops\": %" PRId64
                        ", \"weight_bytes\": %" PRId64 ", \"arguments\": [",
                   k->macs, k->flops, step_weight_bytes(s));
        for (int a = 0; a < k->n_buffers; a++)
            str_printf(out, "%s%s", a ? ", " : "", quote(f, s->arg[a]->name));
        str_printf(out, "]}%s\n", i + 1 < m->n_steps ? "," : "");
    }
    str_add(out, "  ]");
}

/* What is particular to a batch. */
static void add_batch(const EmitFile *f, Str *out, const Module *m)
{
    emit_text_for(f, out, NULL, m, "  \"batch\": $e,\n"
                                   "  \"arena_bytes\": $A,\n"
                                   "  \"arena_lower_bound\": $l,\n");
    add_values(f, out, m);
    add_steps(f, out, m);
}

static void add_more_batches(const EmitFile *f, Str *out)
{
    const char *before = ",\n  \"more_batches\": [";
    for (int i = 0; i < f->o->n_sized; i++) {
        if (f->o->sized[i] == f->m)
            continue;
        str_printf(out, "%s{\n", before);
        add_batch(f, out, f->o->sized[i]);
        before = "}, ";
    }
    str_add(out, f->o->n_sized > 1 ? "}]" : "");
}

#define PUBLIC(kind) \
    "[${" kind "$,\n    {\"name\": $Q, \"field\": \"$f\", \"type\": \"$y\", " \
    "\"shape\": [1$s], \"elements\": $k}$}\n  ],\n"

void emit_json(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "{\n"
              "  \"network\": $Q,\n"
              "  \"compiler\": \"net2c $V\",\n"
              "  \"options\": $J,\n"
              "  \"isa\": \"${r$,$r$}\",\n"
              "  \"model_hash\": \"$H\",\n"
              "  \"weights_bytes\": $W,\n"
              "  \"weights_body_offset\": $P,\n"
              "  \"stack_bytes\": $S,\n"
              "  \"inputs\": " PUBLIC("i")
              "  \"outputs\": " PUBLIC("o"));
    add_batch(f, out, f->m);
    add_more_batches(f, out);
    str_add(out, "\n}\n");
}
