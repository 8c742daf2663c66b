/* code: the generated files of a module, in memory, or on disk: then all of them or none.
 *
 *     out/net -> out/net.c out/net.h out/net.n2w out/net.json out/net_weights.S out/net_test.c
 *
 * contract: missing folders are made. All files are written in full beside their targets before the
 * first takes its name, the weights first, since they are what a full disk hits. The command in
 * their first lines holds the options that decide the result, no paths but those in a --pass-cmd:
 * any folder gives the same bytes.
 */
#include "driver/driver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ARRAY (64 << 10)       /* bytes of weights as C text */
enum { BLOB = 2 };                 /* its place among the files */

#ifndef NET2C_VERSION
#define NET2C_VERSION "unknown"
#endif

typedef struct Source {            /* of the blob's tensors */
    Cx *cx;
    const Weights *weights;
} Source;

static bool source_tensor(void *user, const char *key, Bytes *out)
{
    const Source *s = user;
    const WeightTensor *t = weights_find(s->weights, key);
    if (t) {
        *out = t->data;
        return true;
    }
    return diag_error(s->cx->diags, NO_PLACE, "E0963", "internal error: weight '%s' was not "
                      "checked", key);
}

static void source_done(void *user, Bytes consumed)
{
    weights_forget(((const Source *)user)->weights, consumed);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "--isa=avx512 --disable-pass=tile,hoist" */
static const char *command_of(const Pipeline *p)
{
    Str s = str_new(p->cx->perm);
    for (int i = 0; i < p->n_rows; i++)
        str_printf(&s, "%s%s", i ? "," : "--isa=", p->row[i]->name);
    for (int i = 0; i < p->n_batches && p->n_batches > 1; i++)
        str_printf(&s, "%s%lld", i ? "," : " --batch=", (long long)p->batch[i]);
    str_add(&s, p->pass_cx.narrow ? " --precision=bf16w" : "");
    str_add(&s, p->pass_cx.strict ? " --math=strict" : "");
    for (int i = 0; i < p->run.n_disabled; i++)
        str_printf(&s, "%s%s", i ? "," : " --disable-pass=", p->run.disabled[i]);
    if (p->schedules)
        str_printf(&s, " --schedule=%s", base_name(p->schedule_file));
    for (int i = 0; i < p->n_outside; i++) {
        const PassDef *pass = &p->outside[i];
        if (str_eq(pass->name, PASS_CMD_NAME))
            str_printf(&s, " --pass-cmd='%s' --pass-cmd-after=%s", pass->origin,
                       pass->after->name);
        else
            str_printf(&s, " --load-pass=%s", base_name(pass->origin));
    }
    return s.data;
}

bool code_emit(Cx *cx, const Pipeline *p, const char *base, const CodeWish *wish, EmitFiles *files)
{
    const EmitOptions o = {.base_name = base_name(base), .command = command_of(p),
                           .version = NET2C_VERSION, .row = p->row, .n_rows = p->n_rows,
                           .weights_as = wish->weights_as, .test = wish->test,
                           .sized = p->sized, .n_sized = p->n_batches};
    cx_phase(cx, "printing C");
    bool ok = emit_c_files(cx, p->module, &o, files);
    arena_reset(cx->temp);
    return ok;
}

static bool write_blob(Cx *cx, const Pipeline *p, const Weights *w, OutFile *f, uint64_t hash)
{
    Source s = {cx, w};
    const BlobSource source = {source_tensor, source_done, &s};
    cx_phase(cx, "packing weights");
    bool ok = blob_write_to(cx, f, p->module, hash, &source);
    arena_reset(cx->temp);
    return ok;
}

bool code_write_weights(Cx *cx, const Pipeline *p, const Weights *w, const char *path)
{
    OutFile *f = out_open(cx, path);
    if (!f)
        return false;
    if (write_blob(cx, p, w, f, 0))
        return out_commit(f);
    out_discard(f);
    return false;
}

/* What already has its name goes again if a later one fails. */
static bool commit_all(OutFile *file[], const CodeFiles *out)
{
    int order[MAX_CODE_FILES] = {BLOB};
    for (int i = 0, n = 1; i < out->n; i++)
        if (i != BLOB)
            order[n++] = i;
    for (int i = 0; i < out->n; i++) {
        if (out_commit(file[order[i]]))
            continue;
        for (int k = 0; k < i; k++)
            unlink(out->path[order[k]]);
        for (int k = i + 1; k < out->n; k++)
            out_discard(file[order[k]]);
        return false;
    }
    return true;
}

/* "out/a/net" -> out and out/a. */
static bool make_folders(Cx *cx, const char *base)
{
    char *path = arena_strdup(cx->perm, base);
    for (char *p = path + 1; *path && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return diag_error(cx->diags, NO_PLACE, "E0105", "cannot make the folder '%s': %s", path,
                              strerror(errno));
        *p = '/';
    }
    return true;
}

static bool open_all(Cx *cx, OutFile *file[], const CodeFiles *out)
{
    for (int i = 0; i < out->n; i++) {
        file[i] = out_open(cx, out->path[i]);
        if (!file[i]) {
            while (i > 0)
                out_discard(file[--i]);
            return false;
        }
    }
    return true;
}

/* ---- what is wanted besides ------------------------------------------------------------------ */

static bool check_array(Cx *cx, const Module *m)
{
    int64_t bytes = blob_body_offset(m) + blob_body_bytes(m);
    if (bytes <= MAX_ARRAY)
        return true;
    diag_error(cx->diags, NO_PLACE, "E0126", "the weights have %lld bytes, as C text at most %d",
               (long long)bytes, MAX_ARRAY);
    return diag_help(cx->diags, "C compilers take long and much memory for more: use "
                     "--weights-as=incbin");
}

/* The array's elements are the blob, which is complete but has not got its name yet. */
static bool add_array(Cx *cx, OutFile *blob, Str *text)
{
    Bytes bytes;
    const char *path = out_written(blob);
    if (!path || !file_read(cx, path, MAX_ARRAY, &bytes))
        return false;
    emit_weights_bytes(text, bytes);
    return true;
}

/* As make reads it: $ twice; spaces, # and : behind a backslash, others before them twice. */
static void add_escaped(Str *s, const char *path)
{
    for (const char *p = path; *p; p++) {
        bool quoted = strchr(" #:", *p);
        for (const char *q = p; quoted && q > path && q[-1] == '\\'; q--)
            str_char(s, '\\');
        if (quoted || *p == '$')
            str_char(s, quoted ? '\\' : '$');
        str_char(s, *p);
    }
}

/* What make has no way to quote. */
static bool check_rule_path(Cx *cx, const char *path)
{
    size_t n = strlen(path), at = strcspn(path, "\t\n\r;=|%");
    if (at == n && n > 0 && path[n - 1] != '\\')
        return true;
    diag_error(cx->diags, NO_PLACE, "E0128", "a make rule cannot hold the path '%s'", path);
    return diag_help(cx->diags, "leave out tabs, line breaks, ; = | %% and a backslash at the end, "
                     "or -MD");
}

static bool check_rule(Cx *cx, const char *base, const CodeWish *wish)
{
    bool ok = !wish->depfile || check_rule_path(cx, base);
    for (int i = 0; ok && wish->depfile && i < wish->n_read; i++)
        ok = check_rule_path(cx, wish->read[i]);
    return ok;
}

/* "out/net.c: net.yaml my\ weights.safetensors" */
static const Str *make_rule(Cx *cx, const char *target, const CodeWish *wish)
{
    Str *s = NEW(cx->perm, Str);
    *s = str_new(cx->perm);
    add_escaped(s, target);
    str_char(s, ':');
    for (int i = 0; i < wish->n_read; i++) {
        str_char(s, ' ');
        add_escaped(s, wish->read[i]);
    }
    str_char(s, '\n');
    return s;
}

static void add_file(CodeFiles *out, const char *path, const Str *text)
{
    out->path[out->n] = path;
    out->text[out->n++] = text;
}

static void list_files(Cx *cx, const char *base, const CodeWish *wish, const EmitFiles *files,
                       CodeFiles *out)
{
    static const char *const weights[] = {NULL, "_weights.S", "_weights.c"};
    Arena *a = cx->perm;
    *out = (CodeFiles){.n = 0};
    add_file(out, arena_printf(a, "%s.c", base), &files->c);
    add_file(out, arena_printf(a, "%s.h", base), &files->h);
    add_file(out, arena_printf(a, "%s.n2w", base), NULL);
    if (wish->manifest)
        add_file(out, arena_printf(a, "%s.json", base), &files->json);
    if (wish->weights_as != WEIGHTS_FILE)
        add_file(out, arena_printf(a, "%s%s", base, weights[wish->weights_as]), &files->weights);
    if (wish->test)
        add_file(out, arena_printf(a, "%s_test.c", base), &files->test);
    if (wish->depfile)
        add_file(out, wish->depfile, make_rule(cx, out->path[0], wish));
}

static uint64_t file_bytes(const Pipeline *p, const Str *text)
{
    return text ? text->len : (uint64_t)(blob_body_offset(p->module) + blob_body_bytes(p->module));
}

bool code_make(Cx *cx, const Pipeline *p, const Weights *w, const char *base, CodeFiles *out,
               Bytes *blob)
{
    EmitFiles *files = NEW(cx->perm, EmitFiles);
    const CodeWish wish = {.manifest = true};
    if (!code_emit(cx, p, base, &wish, files))
        return false;
    list_files(cx, base, &wish, files, out);
    for (int i = 0; i < out->n; i++)
        out->bytes[i] = file_bytes(p, out->text[i]);
    OutFile *f = out_memory(cx, out->bytes[BLOB]);
    bool ok = write_blob(cx, p, w, f, files->model_hash);
    *blob = out_bytes(f);
    return ok;
}

bool code_write(Cx *cx, const Pipeline *p, const Weights *w, const char *base,
                const CodeWish *wish, CodeFiles *out)
{
    EmitFiles *files = NEW(cx->perm, EmitFiles);
    OutFile *file[MAX_CODE_FILES];
    bool array = wish->weights_as == WEIGHTS_ARRAY;
    if ((array && !check_array(cx, p->module)) || !check_rule(cx, base, wish) ||
        !code_emit(cx, p, base, wish, files))
        return false;
    list_files(cx, base, wish, files, out);
    if (!make_folders(cx, base) || !open_all(cx, file, out))
        return false;
    bool ok = write_blob(cx, p, w, file[BLOB], files->model_hash) &&
              (!array || add_array(cx, file[BLOB], &files->weights));
    for (int i = 0; i < out->n; i++) {
        const Str *text = out->text[i];
        out->bytes[i] = file_bytes(p, text);
        ok = ok && (!text || out_write(file[i], text->data, text->len));
    }
    if (ok) {
        cx_phase(cx, "writing %s", out->path[BLOB]);
        return commit_all(file, out);
    }
    for (int i = 0; i < out->n; i++)
        out_discard(file[i]);
    return false;
}
