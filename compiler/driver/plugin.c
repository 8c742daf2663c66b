/* plugin: a pass from outside, in a shared library.
 *
 *     net2c opt net.yaml --load-pass=mine.so
 *     net2c_plugin_v1 of ./mine.so -> a PassDef like those of the table
 *
 * contract: nothing of the description is believed but, behind the right number, that it has the
 * type that the header says. The library stays loaded.
 */
#include "driver/driver.h"

#include <dlfcn.h>
#include <string.h>

#include "net2c/plugin.h"

static bool has_abi(Cx *cx, const char *path, const void *symbol)
{
    uint64_t abi;
    memcpy(&abi, symbol, sizeof abi);
    if (abi == NET2C_PLUGIN_ABI)
        return true;
    diag_error(cx->diags, NO_PLACE, "E0136", "the pass '%s' was built for another net2c: its "
               "number is %016llx, not %016llx", path, (unsigned long long)abi,
               (unsigned long long)NET2C_PLUGIN_ABI);
    diag_help(cx->diags, "build it once more with the headers of this net2c, include/net2c");
    return false;
}

/* What has to be so for the pass to run, or NULL. */
static const char *lacking(const net2c_plugin *p)
{
    int functions = (p->graph != NULL) + (p->kernel != NULL) + (p->module != NULL);
    const PassDef *after = p->after ? pass_find(p->after) : NULL;
    PassLevel level = p->graph ? LEVEL_GRAPH : p->kernel ? LEVEL_KERNEL : LEVEL_MODULE;
    const PassDef *next = after && after < pass_at(pass_count() - 1) ? after + 1 : after;
    if (!p->name || !*p->name || strspn(p->name, "abcdefghijklmnopqrstuvwxyz0123456789-") !=
        strlen(p->name))
        return "a name, of a-z, 0-9 and -";
    if (pass_find(p->name) || str_eq(p->name, PASS_CMD_NAME) || str_eq(p->name, "all"))
        return "a name of its own";
    if (functions != 1)
        return "one function: graph, kernel or module";
    if (!after || (after->level != level && next->level != level))
        return "the pass of net2c's that it runs behind, of the same kind";
    return NULL;
}

bool plugin_load(Cx *cx, const char *path, PassDef *out)
{
    Bytes file;
    const char *name = strchr(path, '/') ? path : arena_printf(cx->perm, "./%s", path);
    if (!file_map(cx, name, &file))
        return false;
    file_unmap(file);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const net2c_plugin *p = library ? dlsym(library, "net2c_plugin_v1") : NULL;
    if (!p) {
        diag_error(cx->diags, NO_PLACE, "E0135", "cannot load the pass: %s", dlerror());
        return false;
    }
    if (!has_abi(cx, path, p))
        return false;
    const char *needs = lacking(p);
    if (needs) {
        diag_error(cx->diags, NO_PLACE, "E0137", "the pass in '%s' needs %s", path, needs);
        return false;
    }
    *out = (PassDef){.name = p->name, .optional = true, .why = p->why ? p->why : "",
                     .level = p->graph ? LEVEL_GRAPH : p->kernel ? LEVEL_KERNEL : LEVEL_MODULE,
                     .graph = p->graph, .kernel = p->kernel, .module = p->module,
                     .after = pass_find(p->after), .origin = path};
    return true;
}
