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

/* What the most demanding batch needs; and a hash that ties .c and .n2w together, over everything
 * that decides how weights are packed and read. */
static void file_measure(EmitFile *f)
{
    uint64_t hash = HASH_SEED;
    for (int i = 0; i < f->o->n_sized; i++) {
        const Module *m = f->o->sized[i];
        const char *text = module_text(f->cx->temp, m);
        int64_t stack = stack_bytes(m);
        f->stack_bytes = stack > f->stack_bytes ? stack : f->stack_bytes;
        f->arena_bytes = m->arena_bytes > f->arena_bytes ? m->arena_bytes : f->arena_bytes;
        hash = hash_bytes(hash, text, strlen(text));
    }
    f->model_hash = hash_bytes(hash, f->o->command, strlen(f->o->command) + 1);
}

static EmitFile file_make(Cx *cx, const Module *m, const EmitOptions *o)
{
    EmitFile f = {.cx = cx, .m = m, .o = o, .name = c_identifier(cx->temp, m->name)};
    f.upper = c_upper(cx->temp, f.name);
    f.io = NEW_ARRAY(cx->temp, EmitPublic, m->n_values + 1);
    Map *fields = map_new(cx->temp), *macros = map_new(cx->temp);
    add_public(&f, VALUE_INPUT, fields, macros);
    f.n_inputs = f.n_io;
    add_public(&f, VALUE_OUTPUT, fields, macros);
    f.weights_bytes = blob_body_offset(m) + blob_body_bytes(m);
    file_measure(&f);
    return f;
}

/* ---- the C file ----------------------------------------------------------------------------- */

/* What a row's C needs first: its base's header and helpers, which its own may use, and its own;
 * each once in the file. */
static void add_helpers(Str *out, Map *done, const Row *row)
{
    if (!row || map_get(done, row->name))
        return;
    map_put(done, row->name, (void *)(uintptr_t)row);
    add_helpers(out, done, row->base);
    if (row->condition)
        str_printf(out, "#if %s\n", row->condition);
    str_add(out, row->helpers);
    str_add(out, row->condition ? "#endif\n" : "");
}

/* Products and sums are fused where the IR says so and nowhere else; gcc does it even to
 * intrinsics. And gcc at -O2 keeps what one iteration loaded for the next ones (predictive
 * commoning), which in a register tile moves broadcasts to the stack: 98 instead of 118 GFLOP/s
 * on a 13 x 2 tile, where 118 is the limit. */
static const char pragmas[] =
    "#if defined(__clang__)\n"
    "#pragma STDC FP_CONTRACT OFF\n"
    "#elif defined(__GNUC__)\n"
    "#pragma GCC optimize(\"fp-contract=off\", \"no-predictive-commoning\")\n"
    "#endif\n\n";

void emit_c_prelude(Str *out, const Row *const *row, int n_rows, ScalarType type,
                    const char *header)
{
    Map *done = map_new(out->arena);
    str_printf(out, "%s%s#include \"%s\"\n\n"
                    "#ifdef __cplusplus\n#define restrict __restrict\n#endif\n\n", pragmas,
               type == TYPE_F64 ? "#include <math.h>\n" : "", header);
    for (int i = 0; i < n_rows; i++)
        add_helpers(out, done, row[i]);
}

static bool add_kernels(const EmitFile *f, Str *out, const Module *m, int row)
{
    Map *done = map_new(f->cx->temp);
    bool ok = true;
    for (int i = 0; i < m->n_steps; i++) {
        Kernel *k = step_kernel(&m->step[i], row);
        if (map_get(done, k->name))
            continue;
        map_put(done, k->name, k);
        str_char(out, '\n');
        ok &= emit_c_kernel(f->cx, out, k, f->o->row[row], m->batch);
    }
    return ok;
}

/* weights and arena are pointers to the module's type, offsets in elements. Modules for other
 * batches have inputs and outputs of the same names. */
static const char *argument(const EmitFile *f, const Buffer *b, const Value *v)
{
    Arena *a = f->cx->temp;
    for (int i = 0; i < f->n_io; i++)
        if (str_eq(f->io[i].value->name, v->name))
            return arena_printf(a, "io->%s + item * %s_%s_COUNT", f->io[i].field, f->upper,
                                f->io[i].macro);
    bool weight = v->kind == VALUE_WEIGHT;
    const char *place = arena_printf(a, "%s + %" PRId64, weight ? "weights" : "arena",
                                     v->offset / (int64_t)scalar_bytes(f->m->type));
    if (b->type == f->m->type)
        return place;
    const char *constant = weight ? "const " : "";
    return arena_printf(a, "(%s%s *)(%svoid *)(%s)", constant, emit_type_of(f, b->type), constant,
                        place);
}

static const char *arguments(const EmitFile *f, const Step *s, int row, const char *separator)
{
    Str args = str_new(f->cx->temp);
    str_add(&args, emit_tasks_of(f->cx->temp, step_kernel(s, row)) ? "exec" : "");
    for (int i = 0; i < s->kernel->n_buffers; i++)
        str_printf(&args, "%s%s", args.len ? separator : "",
                   argument(f, s->kernel->buffer[i], s->arg[i]));
    return args.data;
}

/* The call is on one line if it fits, else a line for each argument. */
static void add_step(const EmitFile *f, Str *out, const Module *m, int i, int row)
{
    const Step *s = &m->step[i];
    int output = step_output(s);
    const char *name = emit_c_function(f->cx->temp, s->kernel, f->o->row[row], m->batch);
    const char *args = arguments(f, s, row, ", ");
    if (strlen(name) + strlen(args) > 92)
        args = arguments(f, s, row, ",\n        ");
    str_printf(out, "    if (n2c_step(exec, %du, N2C_STEP_BEGIN, NULL, 0))\n"
                    "        return N2C_CANCELLED;\n"
                    "    %s(%s);\n"
                    "    if (n2c_step(exec, %du, N2C_STEP_END, ", i, name, args, i);
    if (output >= 0)
        str_printf(out, "%s, %" PRId64 "u", argument(f, s->kernel->buffer[output], s->arg[output]),
                   buffer_bytes(&s->arg[output]->shape));
    else
        str_add(out, "NULL, 0");
    str_add(out, "))\n        return N2C_CANCELLED;\n");
}

/* Kernels for a row and a batch, and the function that calls them. */
static bool add_items(const EmitFile *f, Str *out, const Module *m, int row)
{
    bool ok = add_kernels(f, out, m, row);
    emit_text_for(f, out, f->o->row[row], m,
                  "\n/* $e of the items, from number item on. */\n"
                  "static n2c_status $n_items_$r$b(const $n_model *m, const $n_io *io,\n"
                  "    size_t item, $E *arena, const n2c_exec *exec)\n"
                  "{\n"
                  "    const $E *const weights = (const $E *)m->weights + $O;\n"
                  "    (void)weights;\n    (void)arena;\n");
    for (int i = 0; i < m->n_steps; i++)
        add_step(f, out, m, i, row);
    str_add(out, "    return N2C_OK;\n}\n");
    return ok;
}

/* All for a row. Any batch is composed: as many items at a time as there is code for. */
static bool add_row(const EmitFile *f, Str *out, int row)
{
    bool ok = true;
    emit_text_for(f, out, f->o->row[row], NULL, "\n$<");
    for (int i = 0; i < f->o->n_sized; i++)
        ok &= add_items(f, out, f->o->sized[i], row);
    emit_text_for(f, out, f->o->row[row], NULL,
                  "\nstatic n2c_status $n_batch_$r(const $n_model *m, const $n_io *io,\n"
                  "    size_t batch, $E *arena, const n2c_exec *exec)\n"
                  "{\n"
                  "    n2c_status status = N2C_OK;\n"
                  "    size_t item = 0;\n"
                  "${n    for (; status == N2C_OK && batch - item >= $eu; item += $eu)\n"
                  "        status = $n_items_$r$b(m, io, item, arena, exec);\n$}"
                  "    return status;\n"
                  "}\n$>");
    return ok;
}

static const char run[] =
    "\nn2c_status $n_run(const $n_model *m, const $n_io *io, size_t batch, void *arena,\n"
    "    const n2c_exec *exec)\n"
    "{\n"
    "    if (!m || !m->weights || !io || batch == 0)\n"
    "        return N2C_BAD_ARGUMENT;\n"
    "${p    if (!io->$f || (uintptr_t)io->$f % sizeof *io->$f != 0)\n"
    "        return N2C_BAD_ARGUMENT;\n$}"
    "    if ((uintptr_t)arena % $N_ARENA_ALIGN != 0)\n"
    "        return N2C_BAD_ARGUMENT;\n"
    "${a    if (!arena)\n"
    "        return N2C_BAD_ARGUMENT;\n$}"
    "    switch (m->isa) {\n"
    "${r$<    case $N_ISA_$I: return $n_batch_$r(m, io, batch, ($E *)arena, exec);\n$>$}"
    "    default: return N2C_BAD_ARGUMENT;\n"
    "    }\n"
    "}\n";

static const char bind[] =
    "\nn2c_status $n_bind($n_model *m, const void *weights, size_t bytes)\n"
    "{\n"
    "    n2c_status status;\n"
    "    if (!m)\n"
    "        return N2C_BAD_ARGUMENT;\n"
    "    m->weights = NULL;\n"
    "    m->isa = 0;\n"
    "    status = n2c_blob_verify(weights, bytes, UINT64_C(0x$H));\n"
    "    if (status != N2C_OK)\n"
    "        return status;\n"
    "    if (bytes != $N_WEIGHTS_BYTES)\n"
    "        return N2C_BAD_SIZE;\n"
    "    if (${r$&!$n_use_isa(m, $N_ISA_$I)$})\n"
    "        return N2C_NO_CPU;\n"
    "    m->weights = weights;\n"
    "    return N2C_OK;\n"
    "}\n\n"
    "n2c_status $n_check(const $n_model *m)\n"
    "{\n"
    "    return m && m->weights ? n2c_blob_check(m->weights) : N2C_BAD_ARGUMENT;\n"
    "}\n";

#define TENSORS(name, kind) \
    "\nstatic const n2c_tensor_info info_" name "[] = {\n" \
    "${" kind "    {$q, $x},\n$}" \
    "    {NULL, 0u, {0u, 0u, 0u, 0u, 0u, 0u}}\n};\n"

static void add_info(const EmitFile *f, Str *out)
{
    Arena *a = f->cx->temp;
    emit_text(f, out, TENSORS("inputs", "i") TENSORS("outputs", "o"));
    str_add(out, "\nstatic const n2c_step_info info_steps[] = {\n");
    for (int i = 0; i < f->m->n_steps; i++) {
        const Kernel *k = f->m->step[i].kernel;
        str_printf(out, "    {%s, %s, %" PRId64 ".0, %" PRId64 ".0},\n",
                   emit_quote(a, k->name, false), emit_quote(a, k->origin, false),
                   k->flops / f->m->batch, step_weight_bytes(&f->m->step[i]));
    }
    emit_text(f, out,
              "    {NULL, NULL, 0.0, 0.0}\n};\n"
              "\nconst n2c_info *$n_info(void)\n"
              "{\n"
              "    static const n2c_info info = {\n"
              "        $q, \"net2c $V\", $iu, $ou, $zu,\n"
              "        info_inputs, info_outputs, info_steps, $N_WEIGHTS_BYTES, $N_ARENA_BYTES(1)\n"
              "    };\n"
              "    return &info;\n"
              "}\n");
}

/* The name goes into #include lines and comments: nothing there may need an escape. */
static bool check_base_name(Cx *cx, const char *name)
{
    size_t plain = strspn(name, C_WORD "-.");
    if (name[plain]) {
        diag_error(cx->diags, NO_PLACE, "E0115", "output name '%s' contains '%c'", name,
                   name[plain]);
        diag_help(cx->diags, "use letters, digits, '_', '-' and '.' in names of output files");
    }
    return plain > 0 && !name[plain];
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
    emit_text(&f, &out->c,
              "/* $F.c: network $n as C, generated by net2c $V; do not edit.\n"
              " * Build: cc -O2 -c $F.c, with net2c_rt.h on the include path. C99, C11 or C++.\n"
              " * How to use it: $F.h.\n"
              "$C"
              "${r * Instruction set $r: $u.\n$}"
              " * Model hash: $H\n */\n");
    emit_c_prelude(&out->c, o->row, o->n_rows, m->type,
                   arena_printf(cx->temp, "%s.h", o->base_name));
    bool ok = true;
    for (int row = 0; row < o->n_rows; row++)
        ok &= add_row(&f, &out->c, row);
    emit_text(&f, &out->c, run);
    emit_text(&f, &out->c, bind);
    add_info(&f, &out->c);
    emit_header(&f, &out->h);
    emit_json(&f, &out->json);
    if (o->weights_as != WEIGHTS_FILE)
        emit_weights(&f, &out->weights);
    if (o->test)
        emit_selftest(&f, &out->test);
    return ok;
}
