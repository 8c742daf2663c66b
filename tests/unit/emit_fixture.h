/* What tests of emitted C share: C text compiled and loaded, and special numbers.
 *
 * example: CcModule *m = compile_c(cx, text); f = cc_symbol(cx, m, "f");
 */
#ifndef NET2C_EMIT_FIXTURE_H
#define NET2C_EMIT_FIXTURE_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emit/emit.h"
#include "net2c_rt.h"

static inline void print_diags(Cx *cx)
{
    fputs(diags_render(cx->diags, cx->temp, 0, false), stderr);
}

static inline CcModule *compile_c(Cx *cx, const char *text)
{
    char folder[] = "/tmp/net2c-test.XXXXXX";
    if (!mkdtemp(folder))
        return NULL;
    const char *path = arena_printf(cx->temp, "%s/t.c", folder);
    CcModule *m = NULL;
    if (file_write(cx, path, text, strlen(text)))
        m = cc_load(cx, path, NET2C_INCLUDE_DIR, NULL, NULL);
    unlink(path);
    rmdir(folder);
    if (!m)
        print_diags(cx);
    return m;
}

static inline bool blob_write(Cx *cx, const char *path, const Module *m, uint64_t model_hash,
                              const BlobSource *source)
{
    OutFile *file = out_open(cx, path);
    if (!file)
        return false;
    if (blob_write_to(cx, file, m, model_hash, source))
        return out_commit(file);
    out_discard(file);
    return false;
}

/* Does this machine run the row? Says so if not: a skipped test must be seen. */
static inline bool row_runs(const Row *row)
{
    bool runs = (n2c_cpu_features() & row->cpu) == row->cpu;
    if (!runs)
        printf("SKIPPED: this CPU does not run row %s\n", row->name);
    return runs;
}

static inline bool same_f32(float a, float b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static const double SPECIAL[] = {
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -7.25, 0.1, 127.0, -126.0,
    4194303.5, 8388607.5, -8388609.0, 16777216.0, (double)FLT_MAX, (double)-FLT_MAX,
    (double)FLT_MIN, 1e-45, -3e-42, 1e30, (double)INFINITY, (double)-INFINITY, (double)NAN,
};
enum { N_SPECIAL = sizeof SPECIAL / sizeof SPECIAL[0] };

#endif
