/* session: code in this process: C written to a private folder, compiled, loaded, bound; or what
 * the just-in-time compiler makes, session_jit.c.
 *
 *     Session *s = session_open(&pipeline, weights, options);
 *     session_run(s, io, batch, NULL);
 *     session_close(s);
 *
 * contract: the folder is gone when session_open returns; the weights stay mapped until
 * session_close. The mapping is private and writable: changes are this process's own.
 */
#define _GNU_SOURCE
#include "driver/driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef NET2C_INCLUDE_DIR
#define NET2C_INCLUDE_DIR "/usr/local/include"
#endif

#define STEM "net"                 /* of the files */
#define MAX_ASSEMBLY ((size_t)256 << 20)

typedef n2c_status (*BindFunction)(void *model, const void *weights, size_t bytes);

static const char *find_beside(Cx *cx, const char *self, const char *const *folder, int n,
                               const char *file)
{
    const char *slash = strrchr(self, '/');
    for (int i = 0; slash && i < n; i++) {
        const char *path = arena_printf(cx->perm, "%.*s%s", (int)(slash - self), self, folder[i]);
        if (access(arena_printf(cx->temp, "%s/%s", path, file), R_OK) == 0)
            return path;
    }
    return NULL;
}

const char *folder_beside(Cx *cx, const char *const *folder, int n, const char *file)
{
    static const char here;                /* in the library, if this is one, else the program */
    const char *found = NULL;
    char self[4096];
    Dl_info library;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    if (dladdr(&here, &library) != 0 && library.dli_fname)
        found = find_beside(cx, library.dli_fname, folder, n, file);
    return found ? found : find_beside(cx, self, folder, n, file);
}

/* Where net2c_rt.h is: as told, in the tree that this library or program stands in, or as built. */
static const char *include_folder(Cx *cx)
{
    static const char *const beside[] = {"/../runtime/include", "/../../runtime/include",
                                         "/../include", "/../../include"};
    const char *told = getenv("NET2C_RUNTIME");
    if (!told || !*told)
        told = folder_beside(cx, beside, 4, "net2c_rt.h");
    return told ? told : NET2C_INCLUDE_DIR;
}

static bool map_blob(Session *s, const char *path, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *data = fd < 0 ? MAP_FAILED
                        : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (data == MAP_FAILED) {
        diag_error(s->cx->diags, NO_PLACE, "E0111", "cannot map '%s': %s", path, strerror(error));
        return false;
    }
    s->blob = (Bytes){data, bytes};
    return true;
}

static bool check_status(Session *s, const char *what, n2c_status status)
{
    if (status == N2C_OK)
        return true;
    diag_error(s->cx->diags, NO_PLACE, "E0964",
               "internal error: %s of the generated code gave status %d", what, (int)status);
    return false;
}

static void *find_function(Session *s, const char *suffix)
{
    const char *name = c_identifier(s->cx->temp, s->module->name);
    return cc_symbol(s->cx, s->cc, arena_printf(s->cx->temp, "%s_%s", name, suffix));
}

static bool bind(Session *s)
{
    void *bind_symbol = find_function(s, "bind"), *run_symbol = find_function(s, "run");
    BindFunction bind_weights;
    if (!bind_symbol || !run_symbol)
        return false;
    memcpy(&bind_weights, &bind_symbol, sizeof bind_weights);
    memcpy(&s->run, &run_symbol, sizeof s->run);
    return check_status(s, "bind", bind_weights(&s->model, s->blob.data, s->blob.size));
}

static bool load_c(Session *s, Pipeline *p, const Weights *w, const Options *o, const char *base)
{
    CodeFiles files;
    const CodeWish wish = {.manifest = false};
    if (!code_write(p->cx, p, w, base, &wish, &files))
        return false;
    s->c_bytes = files.bytes[0];
    cx_phase(p->cx, "compiling C");
    s->cc = cc_load(p->cx, files.path[0], include_folder(p->cx), option_text(o, OPT_CC, NULL),
                    option_text(o, OPT_CFLAGS, NULL));
    if (!s->cc || !map_blob(s, files.path[2], files.bytes[2]) || !bind(s))
        return false;
    s->model.isa = (uint32_t)p->used_row + 1;
    return true;
}

const char *code_assembly(const Pipeline *p, const Options *o)
{
    static const char *const names[] = {STEM ".c", STEM ".h", STEM ".s", NULL};
    const CodeWish wish = {.manifest = false};
    Cx *cx = p->cx;
    EmitFiles *files = NEW(cx->perm, EmitFiles);
    TempFolder *folder = folder_make(cx, names);
    Bytes text = {NULL, 0};
    if (!folder)
        return NULL;
    const char *base = arena_printf(cx->perm, "%s/" STEM, folder->path);
    const char *c = arena_printf(cx->perm, "%s.c", base), *h = arena_printf(cx->perm, "%s.h", base);
    const char *assembly = arena_printf(cx->perm, "%s.s", base);
    bool ok = code_emit(cx, p, base, &wish, files) &&
              file_write(cx, c, files->c.data, files->c.len) &&
              file_write(cx, h, files->h.data, files->h.len) &&
              cc_assemble(cx, c, assembly, include_folder(cx), option_text(o, OPT_CC, NULL),
                          option_text(o, OPT_CFLAGS, NULL)) &&
              file_read(cx, assembly, MAX_ASSEMBLY, &text);
    folder_remove(folder);
    return ok ? arena_strndup(cx->perm, (const char *)text.data, text.size) : NULL;
}

static bool load_jit(Session *s, Pipeline *p, const Weights *w, const char *base)
{
    const char *path = arena_printf(p->cx->perm, "%s.n2w", base);
    int64_t bytes = blob_body_offset(p->module) + blob_body_bytes(p->module);
    s->jit = jit_load(p);
    return s->jit && code_write_weights(p->cx, p, w, path) && map_blob(s, path, (size_t)bytes);
}

static bool load(Session *s, Pipeline *p, const Weights *w, const Options *o, const char *folder)
{
    const char *base = arena_printf(p->cx->perm, "%s/" STEM, folder);
    int64_t bytes = 0;
    for (int i = 0; i < p->n_batches; i++)
        bytes = p->sized[i]->arena_bytes > bytes ? p->sized[i]->arena_bytes : bytes;
    s->arena = arena_alloc_64(p->cx->perm, (size_t)bytes);
    if (option_count(o, OPT_THREADS, 1) != 1)
        s->pool = n2c_pool_create((unsigned)option_count(o, OPT_THREADS, 1));
    return p->backend == BACKEND_JIT ? load_jit(s, p, w, base) : load_c(s, p, w, o, base);
}

static void end_session(void *session)
{
    session_close(session);
}

Session *session_open(Pipeline *p, const Weights *w, const Options *o)
{
    static const char *const names[] = {STEM ".c", STEM ".h", STEM ".n2w", NULL};
    Session *s = NEW(p->cx->perm, Session);
    s->cx = p->cx;
    s->module = p->module;
    cx_at_end(s->cx, end_session, s);
    TempFolder *folder = folder_make(p->cx, names);
    if (!folder)
        return NULL;
    bool ok = load(s, p, w, o, folder->path);
    folder_remove(folder);
    if (ok)
        return s;
    session_close(s);
    return NULL;
}

bool session_run(Session *s, void *const *io, size_t batch, const n2c_exec *exec)
{
    n2c_exec with = n2c_pool_exec(s->pool);
    if (exec) {
        with.on_step = exec->on_step;
        with.user = exec->user;
    }
    return check_status(s, "run", s->jit ? jit_run(s, io, batch, &with)
                                         : s->run(&s->model, io, batch, s->arena, &with));
}

void session_close(Session *s)
{
    n2c_pool_destroy(s->pool);
    s->pool = NULL;
    if (s->cc)
        cc_unload(s->cc);
    s->cc = NULL;
    if (s->jit)
        jit_unload(s->jit);
    s->jit = NULL;
    file_unmap(s->blob);
    s->blob = (Bytes){NULL, 0};
}
