/* emit_c_file.c: the generated C file: its first lines, kernels, tables, and the four public
 * functions. The header and the manifest are in emit_header.c and emit_json.c.
 *
 * contract: the module is planned and its kernels are physical. Output depends on the module and
 * the options alone: no dates, no paths, no addresses.
 */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

enum { FRAME_BYTES = 8192 };   /* spilled registers and return addresses of one kernel, and run */

/* ---- what the three writers share ----------------------------------------------------------- */

void emit_text(const EmitFile *f, Str *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p != '$') {
            str_char(out, *p);
            continue;
        }
        switch (*++p) {
        case 'n': str_add(out, f->name); break;
        case 'N': str_add(out, f->upper); break;
        case 'F': str_add(out, f->o->base_name); break;
        case 'V': str_add(out, f->o->version); break;
        case 'C': str_add(out, f->o->command); break;
        case 'R':
            for (int i = 0; i < f->o->n_rows; i++)
                str_printf(out, "%s%s", i ? ", " : "", f->o->row[i]->name);
            break;
        }
    }
}

const char *emit_kind(const Value *v)
{
    static const char *const name[] = {"input", "output", "activation", "weight", "scratch"};
    return name[v->kind];
}

const char *emit_io_type(const EmitFile *f, const Value *v)
{
    return row_type(f->o->row[0], (Type){v->shape.type, 1});
}

int64_t step_weight_bytes(const Step *s)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->kernel->n_buffers; i++)
        if (s->arg[i]->kind == VALUE_WEIGHT)
            bytes += buffer_bytes(&s->arg[i]->shape);
    return bytes;
}

int step_output(const Step *s)
{
    int last = -1;
    for (int i = 0; i < s->kernel->n_buffers; i++)
        if (s->kernel->buffer[i]->kind == BUF_OUT)
            last = i;
    return last;
}

static void add_public(EmitFile *f, ValueKind kind, Map *fields, Map *macros)
{
    Arena *a = f->cx->temp;
    for (int i = 0; i < f->m->n_values; i++) {
        const Value *v = f->m->value[i];
        if (v->kind != kind)
            continue;
        EmitPublic *p = &f->io[f->n_io++];
        p->value = v;
        p->field = c_name_take(a, fields, v, v->name);
        const char *stem = p->macro = c_upper(a, p->field);
        for (int n = 2; map_get(macros, p->macro); n++)
            p->macro = arena_printf(a, "%s_%d", stem, n);
        map_put(macros, p->macro, p);
        p->count = buffer_elements(&v->shape) / f->m->batch;
    }
}

static void add_local_bytes(void *user, Stmt *s)
{
    if (s->kind == STMT_LOCAL || s->kind == STMT_LIST)
        *(int64_t *)user += buffer_bytes(s->buffer) + 64;
}

static int64_t stack_bytes(const Module *m)
{
    int64_t most = 0;
    for (int i = 0; i < m->n_steps; i++)
        for (int row = 0; row <= m->n_more; row++) {
            int64_t bytes = 0;
            body_visit(step_kernel(&m->step[i], row)->body, add_local_bytes, &bytes);
            most = bytes > most ? bytes : most;
        }
    return most + FRAME_BYTES;
}

/* Ties .c and .n2w together: everything that decides how weights are packed and read. */
static uint64_t model_hash(Cx *cx, const Module *m, const EmitOptions *o)
{
    const char *text = module_text(cx->temp, m);
    uint64_t h = hash_bytes(HASH_SEED, text, strlen(text));
    return hash_bytes(h, o->command, strlen(o->command) + 1);
}

static EmitFile file_make(Cx *cx, const Module *m, const EmitOptions *o)
{
    EmitFile f = {.cx = cx, .m = m, .o = o, .name = c_identifier(cx->temp, m->name)};
    f.upper = c_upper(cx->temp, f.name);
    f.io = NEW_ARRAY(cx->temp, EmitPublic, m->n_values + 1);
    Map *fields = map_new(cx->temp), *macros = map_new(cx->temp);
    add_public(&f, VALUE_INPUT, fields, macros);
    add_public(&f, VALUE_OUTPUT, fields, macros);
    f.model_hash = model_hash(cx, m, o);
    f.weights_bytes = blob_body_offset(m) + blob_body_bytes(m);
    f.stack_bytes = stack_bytes(m);
    return f;
}

/* ---- the C file ----------------------------------------------------------------------------- */

void emit_condition(Str *out, const Row *row, bool begin)
{
    if (row->condition && begin)
        str_printf(out, "#if %s\n", row->condition);
    else if (row->condition)
        str_add(out, "#endif\n");
}

/* What a row's C needs first: its base's header and helpers, which its own may use, and its own;
 * each once in the file. */
static void add_helpers(Str *out, Map *done, const Row *row)
{
    if (!row || map_get(done, row->name))
        return;
    map_put(done, row->name, (void *)(uintptr_t)row);
    add_helpers(out, done, row->base);
    emit_condition(out, row, true);
    str_add(out, row->helpers);
    emit_condition(out, row, false);
}

/* Products and sums are fused where the IR says so and nowhere else; gcc does it even to
 * intrinsics. And gcc at -O2 keeps what one iteration loaded for the next ones (predictive
 * commoning), which in a register tile moves broadcasts to the stack: 98 instead of 118 GFLOP/s
 * on a 13 x 2 tile, where 118 is the limit. */
static void add_pragmas(Str *out)
{
    str_add(out, "#if defined(__clang__)\n"
                 "#pragma STDC FP_CONTRACT OFF\n"
                 "#elif defined(__GNUC__)\n"
                 "#pragma GCC optimize(\"fp-contract=off\", \"no-predictive-commoning\")\n"
                 "#endif\n\n");
}

static void add_includes(Str *out, ScalarType type, const char *header)
{
    if (type == TYPE_F64)
        str_add(out, "#include <math.h>\n");
    str_printf(out, "#include \"%s\"\n\n"
                    "#ifdef __cplusplus\n#define restrict __restrict\n#endif\n\n", header);
}

void emit_c_prelude(Str *out, const Row *row, ScalarType type)
{
    add_pragmas(out);
    add_includes(out, type, "net2c_rt.h");
    add_helpers(out, map_new(out->arena), row);
}

static void add_head(const EmitFile *f, Str *out)
{
    Map *done = map_new(f->cx->temp);
    emit_text(f, out,
              "/* $F.c: network $n as C, generated by net2c $V; do not edit.\n"
              " * Build: cc -O2 -c $F.c, with net2c_rt.h on the include path. C99, C11 or C++.\n"
              " * How to use it: $F.h.\n");
    c_comment(out, " * ", arena_printf(f->cx->temp, "Options: %s", f->o->command));
    for (int i = 0; i < f->o->n_rows; i++)
        str_printf(out, " * Instruction set %s: %s.\n", f->o->row[i]->name, f->o->row[i]->summary);
    str_printf(out, " * Model hash: %016" PRIx64 "\n */\n", f->model_hash);
    add_pragmas(out);
    add_includes(out, f->m->type, arena_printf(f->cx->temp, "%s.h", f->o->base_name));
    for (int i = 0; i < f->o->n_rows; i++)
        add_helpers(out, done, f->o->row[i]);
}

static bool add_kernels(const EmitFile *f, Str *out, int row)
{
    Map *done = map_new(f->cx->temp);
    bool ok = true;
    for (int i = 0; i < f->m->n_steps; i++) {
        Kernel *k = step_kernel(&f->m->step[i], row);
        if (map_get(done, k->name))
            continue;
        map_put(done, k->name, k);
        str_char(out, '\n');
        ok &= emit_c_kernel(f->cx, out, k, f->o->row[row]);
    }
    return ok;
}

/* weights and arena are pointers to the module's type, offsets in elements. */
static void add_argument(const EmitFile *f, Str *out, const Buffer *b, const Value *v)
{
    for (int i = 0; i < f->n_io; i++) {
        if (f->io[i].value == v) {
            emit_text(f, out, arena_printf(f->cx->temp, "io->%s + item * $N_%s_COUNT",
                                           f->io[i].field, f->io[i].macro));
            return;
        }
    }
    bool weight = v->kind == VALUE_WEIGHT;
    const char *place = arena_printf(f->cx->temp, "%s + %" PRId64, weight ? "weights" : "arena",
                                     v->offset / (int64_t)scalar_bytes(f->m->type));
    if (b->type == f->m->type)
        str_add(out, place);
    else
        str_printf(out, "(%s%s *)(%svoid *)(%s)", weight ? "const " : "",
                   row_type(f->o->row[0], (Type){b->type, 1}), weight ? "const " : "", place);
}

/* The call of a step on one line if it fits, else a line for each argument. */
static void add_call(const EmitFile *f, Str *out, const Step *s, int row)
{
    Str args = str_new(f->cx->temp), lines = str_new(f->cx->temp);
    bool parallel = emit_is_parallel(step_kernel(s, row));
    for (int i = 0; i < s->kernel->n_buffers; i++) {
        str_add(&args, i ? ", " : parallel ? "exec, " : "");
        str_add(&lines, i ? ",\n        " : parallel ? "exec,\n        " : "");
        add_argument(f, &args, s->kernel->buffer[i], s->arg[i]);
        add_argument(f, &lines, s->kernel->buffer[i], s->arg[i]);
    }
    const char *name = emit_c_function(f->cx->temp, s->kernel, f->o->row[row]);
    bool fits = strlen(name) + args.len <= 92;
    str_printf(out, "    %s(%s);\n", name, fits ? args.data : lines.data);
}

static void add_step(const EmitFile *f, Str *out, int i, int row)
{
    const Step *s = &f->m->step[i];
    int output = step_output(s);
    str_printf(out, "    if (n2c_step(exec, %du, N2C_STEP_BEGIN, NULL, 0))\n"
                    "        return N2C_CANCELLED;\n", i);
    add_call(f, out, s, row);
    str_printf(out, "    if (n2c_step(exec, %du, N2C_STEP_END, ", i);
    if (output >= 0) {
        add_argument(f, out, s->kernel->buffer[output], s->arg[output]);
        str_printf(out, ", %" PRId64 "u", buffer_bytes(&s->arg[output]->shape));
    } else {
        str_add(out, "NULL, 0");
    }
    str_add(out, "))\n        return N2C_CANCELLED;\n");
}

static void add_steps(const EmitFile *f, Str *out, int row)
{
    const char *type = row_type(f->o->row[0], (Type){f->m->type, 1});
    emit_text(f, out, arena_printf(f->cx->temp,
              "\n/* The items item .. item + $N_MAX_BATCH - 1 of the batch. */\n"
              "static n2c_status $n_items_%s(const $n_model *m, const $n_io *io, size_t item,\n"
              "    %s *arena, const n2c_exec *exec)\n"
              "{\n"
              "    const %s *const weights = (const %s *)m->weights + %" PRId64 ";\n"
              "    (void)weights;\n    (void)arena;\n", f->o->row[row]->name, type, type, type,
              blob_body_offset(f->m) / (int64_t)scalar_bytes(f->m->type)));
    for (int i = 0; i < f->m->n_steps; i++)
        add_step(f, out, i, row);
    str_add(out, "    return N2C_OK;\n}\n");
}

/* Kernels of a row, and the function that calls them. */
static bool add_row(const EmitFile *f, Str *out, int row)
{
    str_add(out, "\n");
    emit_condition(out, f->o->row[row], true);
    bool ok = add_kernels(f, out, row);
    add_steps(f, out, row);
    emit_condition(out, f->o->row[row], false);
    return ok;
}

/* The one place where the instruction set matters at run time. */
static void add_switch(const EmitFile *f, Str *out)
{
    str_add(out, "        switch (m->isa) {\n");
    for (int i = 0; i < f->o->n_rows; i++) {
        const char *name = f->o->row[i]->name;
        emit_condition(out, f->o->row[i], true);
        emit_text(f, out, arena_printf(f->cx->temp,
                  "        case $N_ISA_%s:\n"
                  "            status = $n_items_%s(m, io, first, (%s *)arena, exec);\n"
                  "            break;\n", c_upper(f->cx->temp, name), name,
                  row_type(f->o->row[0], (Type){f->m->type, 1})));
        emit_condition(out, f->o->row[i], false);
    }
    str_add(out, "        default: status = N2C_BAD_ARGUMENT;\n        }\n");
}

static void add_run(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "\nn2c_status $n_run(const $n_model *m, const $n_io *io, size_t batch, void *arena,\n"
              "    const n2c_exec *exec)\n"
              "{\n"
              "    n2c_status status = N2C_OK;\n"
              "    size_t item;\n"
              "    if (!m || !m->weights || !io || batch < $N_MAX_BATCH)\n"
              "        return N2C_BAD_ARGUMENT;\n");
    for (int i = 0; i < f->n_io; i++)
        str_printf(out, "    if (!io->%s || (uintptr_t)io->%s %% sizeof *io->%s != 0)\n"
                        "        return N2C_BAD_ARGUMENT;\n",
                   f->io[i].field, f->io[i].field, f->io[i].field);
    emit_text(f, out, "    if ((uintptr_t)arena % $N_ARENA_ALIGN != 0)\n"
                      "        return N2C_BAD_ARGUMENT;\n");
    if (f->m->arena_bytes > 0)
        str_add(out, "    if (!arena)\n        return N2C_BAD_ARGUMENT;\n");
    if (f->m->batch > 1)
        str_add(out, "    /* A last group that is not full begins earlier: items it shares with the"
                     "\n     * group before are computed again, to the same bits. */\n");
    emit_text(f, out,
              "    for (item = 0; item < batch && status == N2C_OK; item += $N_MAX_BATCH) {\n"
              "        const size_t rest = batch - item;\n"
              "        const size_t first = rest < $N_MAX_BATCH ? batch - $N_MAX_BATCH : item;\n");
    add_switch(f, out);
    str_add(out, "    }\n    return status;\n}\n");
}

static void add_bind(const EmitFile *f, Str *out)
{
    emit_text(f, out,
              "\nn2c_status $n_bind($n_model *m, const void *weights, size_t bytes)\n"
              "{\n"
              "    n2c_status status;\n"
              "    if (!m)\n"
              "        return N2C_BAD_ARGUMENT;\n"
              "    m->weights = NULL;\n"
              "    m->isa = 0;\n");
    str_printf(out, "    status = n2c_blob_verify(weights, bytes, UINT64_C(0x%016" PRIx64 "));\n",
               f->model_hash);
    str_add(out, "    if (status != N2C_OK)\n        return status;\n");
    emit_text(f, out, "    if (bytes != $N_WEIGHTS_BYTES)\n        return N2C_BAD_SIZE;\n");
    str_add(out, "    if (");
    for (int i = 0; i < f->o->n_rows; i++)
        emit_text(f, out, arena_printf(f->cx->temp, "%s!$n_use_isa(m, $N_ISA_%s)",
                                       i ? " &&\n        " : "",
                                       c_upper(f->cx->temp, f->o->row[i]->name)));
    emit_text(f, out,
              ")\n        return N2C_NO_CPU;\n"
              "    m->weights = weights;\n"
              "    return N2C_OK;\n"
              "}\n\n"
              "n2c_status $n_check(const $n_model *m)\n"
              "{\n"
              "    return m && m->weights ? n2c_blob_check(m->weights) : N2C_BAD_ARGUMENT;\n"
              "}\n");
}

/* ---- tables of info ------------------------------------------------------------------------- */

static void add_string(Str *out, const char *text)
{
    str_char(out, '"');
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p; p++) {
        if (*p == '"' || *p == '\\' || *p == '?' || *p < 32 || *p > 126)
            str_printf(out, "\\%03o", *p);
        else
            str_char(out, (char)*p);
    }
    str_char(out, '"');
}

static void add_tensors(const EmitFile *f, Str *out, ValueKind kind, const char *table)
{
    str_printf(out, "\nstatic const n2c_tensor_info %s[] = {\n", table);
    for (int i = 0; i < f->n_io; i++) {
        const Buffer *b = &f->io[i].value->shape;
        if (f->io[i].value->kind != kind)
            continue;
        str_add(out, "    {");
        add_string(out, f->io[i].value->name);
        str_printf(out, ", %du, {1u", b->rank);
        for (int d = 1; d < 6; d++)
            str_printf(out, ", %" PRId64 "u", d < b->rank ? b->dim[d].extent : 0);
        str_add(out, "}},\n");
    }
    str_add(out, "    {NULL, 0u, {0u, 0u, 0u, 0u, 0u, 0u}}\n};\n");
}

static int count_public(const EmitFile *f, ValueKind kind)
{
    int n = 0;
    for (int i = 0; i < f->n_io; i++)
        n += f->io[i].value->kind == kind;
    return n;
}

static void add_info(const EmitFile *f, Str *out)
{
    add_tensors(f, out, VALUE_INPUT, "info_inputs");
    add_tensors(f, out, VALUE_OUTPUT, "info_outputs");
    str_add(out, "\nstatic const n2c_step_info info_steps[] = {\n");
    for (int i = 0; i < f->m->n_steps; i++) {
        const Step *s = &f->m->step[i];
        str_add(out, "    {");
        add_string(out, s->kernel->name);
        str_add(out, ", ");
        add_string(out, s->kernel->origin);
        str_printf(out, ", %" PRId64 ".0, %" PRId64 ".0},\n", s->kernel->flops / f->m->batch,
                   step_weight_bytes(s));
    }
    str_add(out, "    {NULL, NULL, 0.0, 0.0}\n};\n");
    emit_text(f, out, "\nconst n2c_info *$n_info(void)\n{\n    static const n2c_info info = {\n"
                      "        ");
    add_string(out, f->m->name);
    str_add(out, ", ");
    add_string(out, arena_printf(f->cx->temp, "net2c %s", f->o->version));
    str_printf(out, ", %du, %du, %du,\n", count_public(f, VALUE_INPUT),
               count_public(f, VALUE_OUTPUT), f->m->n_steps);
    emit_text(f, out, "        info_inputs, info_outputs, info_steps,"
                      " $N_WEIGHTS_BYTES, $N_ARENA_BYTES(1)\n"
                      "    };\n    return &info;\n}\n");
}

/* The name goes into #include lines and comments: nothing there may need an escape. */
static bool check_base_name(Cx *cx, const char *name)
{
    for (const char *p = name; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '_' || *p == '-' || *p == '.';
        if (!plain) {
            diag_error(cx->diags, NO_PLACE, "E0115", "output name '%s' contains '%c'", name, *p);
            diag_help(cx->diags, "use letters, digits, '_', '-' and '.' in names of output files");
            return false;
        }
    }
    return *name != '\0';
}

bool emit_c_files(Cx *cx, const Module *m, const EmitOptions *o, EmitFiles *out)
{
    if (!check_base_name(cx, o->base_name))
        return false;
    const EmitFile f = file_make(cx, m, o);
    out->c = str_new(cx->perm);
    out->h = str_new(cx->perm);
    out->json = str_new(cx->perm);
    out->weights = str_new(cx->perm);
    out->test = str_new(cx->perm);
    out->model_hash = f.model_hash;
    add_head(&f, &out->c);
    bool ok = true;
    for (int row = 0; row < o->n_rows; row++)
        ok = add_row(&f, &out->c, row) && ok;
    add_run(&f, &out->c);
    add_bind(&f, &out->c);
    add_info(&f, &out->c);
    emit_header(&f, &out->h);
    emit_json(&f, &out->json);
    if (o->weights_as != WEIGHTS_FILE)
        emit_weights(&f, &out->weights);
    if (o->test)
        emit_selftest(&f, &out->test);
    return ok;
}
