/* cc.c: compiles generated C with the system's compiler and loads it into this process.
 *
 * example: CcModule *m = cc_load(cx, "alexnet_gen.c", "runtime/include", NULL, NULL);
 *          run = (RunFunction *)cc_symbol(cx, m, "alexnet_run");
 *
 * $CC or cc is started directly, without a shell: $CC may hold a program and options separated by
 * spaces, and no character of it or of a path means anything else. What it says goes to a file in a
 * private temporary folder, quoted on failure. The folder lives as long as the module.
 */
#define _GNU_SOURCE
#include "emit/emit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGS = 64, MAX_WORDS = 24, MAX_LOG = 16 << 20, MAX_LINES = 12 };

struct CcModule {
    void *handle;
    TempFolder *folder;
    const char *object, *log;
};

static bool cc_error(Cx *cx, const char *code, const char *what, const char *detail)
{
    diag_error(cx->diags, NO_PLACE, code, "%s: %s", what, detail);
    return false;
}

/* The words of the compiler, ours, the caller's. */
static void make_arguments(Cx *cx, const CcModule *m, const char *c_path, const char *include_dir,
                           const char *cc, const char *ours, const char *flags,
                           const char *argv[MAX_ARGS])
{
    /* A path is never an option. */
    const char *path = arena_printf(cx->temp, "%s%s", *c_path == '-' ? "./" : "", c_path);
    const char *const files[] = {"-I", include_dir, "-o", m->object, path, "-lm", NULL};
    int n = str_words(cx->temp, cc ? cc : getenv("CC"), argv, MAX_WORDS);
    if (n == 0)
        argv[n++] = "cc";
    n += str_words(cx->temp, ours, argv + n, MAX_WORDS);
    n += str_words(cx->temp, flags, argv + n, MAX_WORDS);
    memcpy(argv + n, files, sizeof files);
}

static void report_log(Cx *cx, const CcModule *m, const char *compiler, int status)
{
    bool killed = WIFSIGNALED(status);
    Bytes log = {NULL, 0};
    diag_error(cx->diags, NO_PLACE, "E0112", "the C compiler '%s' %s %d", compiler,
               killed ? "died of signal" : "failed with status",
               killed ? WTERMSIG(status) : WEXITSTATUS(status));
    file_read(cx, m->log, MAX_LOG, &log);
    const char *line = (const char *)log.data;
    for (size_t left = log.size, lines = 0; left > 0 && lines < MAX_LINES; lines++) {
        const char *end = memchr(line, '\n', left);
        size_t length = end ? (size_t)(end - line) : left;
        diag_note(cx->diags, NO_PLACE, "%s", arena_strndup(cx->temp, line, length));
        line += length + (end != NULL);
        left -= length + (end != NULL);
    }
    diag_help(cx->diags, "set CC to a working C99 compiler, gcc or clang");
}

/* 0, or the system's error. */
static int start_compiler(Cx *cx, const CcModule *m, const char *const argv[])
{
    int log = open(m->log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (log < 0)
        return errno;
    int error = child_start(cx, argv, (const int[]){-1, log, log});
    close(log);
    return error;
}

static bool run_compiler(Cx *cx, const CcModule *m, const char *argv[])
{
    pid_t done;
    int status = 0, error = start_compiler(cx, m, argv);
    if (error != 0) {
        cc_error(cx, "E0112", arena_printf(cx->temp, "cannot start the C compiler '%s'", argv[0]),
                 strerror(error));
        diag_help(cx->diags, "set CC to a working C99 compiler, gcc or clang");
        return false;
    }
    do
        done = waitpid((pid_t)cx->child, &status, 0);
    while (done < 0 && errno == EINTR);
    cx->child = 0;
    if (done < 0)
        return cc_error(cx, "E0112", "cannot wait for the C compiler", strerror(errno));
    if (status != 0)
        report_log(cx, m, argv[0], status);
    return status == 0;
}

/* object NULL: in its folder. NULL: reported. */
static CcModule *make_module(Cx *cx, const char *object)
{
    static const char *const names[] = {"net.so", "log", NULL};
    CcModule *m = NEW(cx->perm, CcModule);
    m->folder = folder_make(cx, names);
    if (!m->folder)
        return NULL;
    m->object = object ? object : arena_printf(cx->perm, "%s/net.so", m->folder->path);
    m->log = arena_printf(cx->perm, "%s/log", m->folder->path);
    return m;
}

bool cc_assemble(Cx *cx, const char *c_path, const char *out_path, const char *include_dir,
                 const char *cc, const char *flags)
{
    const char *argv[MAX_ARGS];
    CcModule *m = make_module(cx, out_path);
    if (!m)
        return false;
    make_arguments(cx, m, c_path, include_dir, cc, "-O2 -std=c99 -S", flags, argv);
    bool ok = run_compiler(cx, m, argv);
    cc_unload(m);
    return ok;
}

CcModule *cc_load(Cx *cx, const char *c_path, const char *include_dir, const char *cc,
                  const char *flags)
{
    const char *argv[MAX_ARGS];
    CcModule *m = make_module(cx, NULL);
    if (!m)
        return NULL;
    make_arguments(cx, m, c_path, include_dir, cc, "-O2 -std=c99 -shared -fPIC", flags, argv);
    if (run_compiler(cx, m, argv)) {
        m->handle = dlopen(m->object, RTLD_NOW | RTLD_LOCAL);
        if (!m->handle)
            cc_error(cx, "E0113", "cannot load the compiled code", dlerror());
    }
    if (m->handle)
        return m;
    cc_unload(m);
    return NULL;
}

void *cc_symbol(Cx *cx, CcModule *m, const char *name)
{
    void *symbol = dlsym(m->handle, name);
    if (!symbol)
        cc_error(cx, "E0114", "the compiled code lacks a symbol", name);
    return symbol;
}

void cc_unload(CcModule *m)
{
    if (m->handle)
        dlclose(m->handle);
    m->handle = NULL;
    folder_remove(m->folder);
}
