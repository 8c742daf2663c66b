/* code: the generated files of a module, all of them or none.
 *
 *     out/net -> out/net.c out/net.h out/net.n2w out/net.json
 *
 * contract: missing folders are made. All files are written in full beside their targets before the
 * first takes its name, the weights first, since they are what a full disk hits. The command in
 * their first lines holds the options that decide the result, no paths: any folder gives the same
 * bytes.
 */
#include "driver/driver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    diag_error(s->cx->diags, NO_PLACE, "E0963", "internal error: weight '%s' was not checked", key);
    return false;
}

static void source_done(void *user, Bytes consumed)
{
    (void)user;
    file_forget(consumed, 0, consumed.size);
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
    str_add(&s, p->pass_cx.strict ? " --math=strict" : "");
    for (int i = 0; i < p->run.n_disabled; i++)
        str_printf(&s, "%s%s", i ? "," : " --disable-pass=", p->run.disabled[i]);
    return s.data;
}

static bool emit(Cx *cx, const Pipeline *p, const char *base, EmitFiles *files)
{
    const EmitOptions o = {.base_name = base_name(base), .command = command_of(p),
                           .version = NET2C_VERSION, .row = p->row, .n_rows = p->n_rows};
    progress("printing C");
    bool ok = emit_c_files(cx, p->module, &o, files);
    arena_reset(cx->temp);
    return ok;
}

static bool write_blob(Cx *cx, const Pipeline *p, const Weights *w, OutFile *f, uint64_t hash)
{
    Source s = {cx, w};
    const BlobSource source = {source_tensor, source_done, &s};
    progress("packing weights");
    bool ok = blob_write_to(cx, f, p->module, hash, &source);
    arena_reset(cx->temp);
    return ok;
}

/* What already has its name goes again if a later one fails. */
static bool commit_all(OutFile *file[], const CodeFiles *out)
{
    static const int order[] = {2, 0, 1, 3};
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
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            diag_error(cx->diags, NO_PLACE, "E0105", "cannot make the folder '%s': %s", path,
                       strerror(errno));
            return false;
        }
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

bool code_write(Cx *cx, const Pipeline *p, const Weights *w, const char *base, bool json,
                CodeFiles *out)
{
    static const char *const suffix[] = {"c", "h", "n2w", "json"};
    EmitFiles files;
    OutFile *file[4];
    *out = (CodeFiles){.n = json ? 4 : 3};
    if (!emit(cx, p, base, &files))
        return false;
    const Str *text[4] = {&files.c, &files.h, NULL, &files.json};
    for (int i = 0; i < out->n; i++) {
        out->path[i] = arena_printf(cx->perm, "%s.%s", base, suffix[i]);
        out->bytes[i] = text[i] ? text[i]->len
                                : (uint64_t)(blob_body_offset(p->module) +
                                             blob_body_bytes(p->module));
    }
    if (!make_folders(cx, base) || !open_all(cx, file, out))
        return false;
    bool ok = write_blob(cx, p, w, file[2], files.model_hash);
    for (int i = 0; i < out->n; i++)
        if (text[i])
            ok = ok && out_write(file[i], text[i]->data, text[i]->len);
    if (ok) {
        progress("writing %s", out->path[2]);
        return commit_all(file, out);
    }
    for (int i = 0; i < out->n; i++)
        out_discard(file[i]);
    return false;
}
