/* jit.c: what the plugin net2c_llvm.so offers: LLVM's text, an object file, code in this process.
 *
 * example: Jit *j = net2c_llvm.open(cx, &unit);
 *          net2c_llvm.kernel(cx, j, "conv1_avx512")(&exec, frame);
 *
 * All three are one way, each going further: emit_llvm, LLVM's passes at O2, the machine's code in
 * the format of an object file, and LLJIT, which links that into this process.
 *
 * contract: one row, whose features the whole module has. Its functions need nothing but memset and
 * memcpy from elsewhere. What LLVM allocates is gone when a function returns, but for a Jit's code.
 */
#include "emit/emit_llvm.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <string.h>

#ifndef NET2C_VERSION
#define NET2C_VERSION "unknown"
#endif

_Static_assert(sizeof(void *) == 8, "frames have places of 8 bytes");

struct Jit {
    LLVMOrcLLJITRef lljit;
};

typedef struct Making {            /* a module on its way to code */
    Cx *cx;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
} Making;

static bool report(Cx *cx, const char *what, const char *message)
{
    diag_error(cx->diags, NO_PLACE, "E0968", "internal error: LLVM %s: %s", what, message);
    return false;
}

static bool check_error(Cx *cx, const char *what, LLVMErrorRef error)
{
    if (!error)
        return true;
    char *message = LLVMGetErrorMessage(error);
    report(cx, what, message);
    LLVMDisposeErrorMessage(message);
    return false;
}

/* "avx2,fma" -> "+avx2,+fma" */
static const char *features_text(Arena *a, const char *list)
{
    Str s = str_new(a);
    for (const char *p = list; p && *p; p++) {
        if (p == list || p[-1] == ',')
            str_char(&s, '+');
        str_char(&s, *p);
    }
    return s.data;
}

/* This kind of machine, with what the row has and nothing that only this very CPU has. Code that
 * stays in this process may lie anywhere: it uses whole addresses. */
static bool make_machine(Making *m, const Row *row, bool stays)
{
    char *triple = LLVMGetDefaultTargetTriple(), *message = NULL;
    LLVMTargetRef target;
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        report(m->cx, "does not know this machine", message);
        LLVMDisposeMessage(message);
    } else {
        m->machine = LLVMCreateTargetMachine(target, triple, "generic",
                                             features_text(m->cx->temp, row->features),
                                             LLVMCodeGenLevelDefault,
                                             stays ? LLVMRelocDefault : LLVMRelocPIC,
                                             stays ? LLVMCodeModelJITDefault
                                             : LLVMCodeModelDefault);
        LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->machine);
        LLVMSetModuleDataLayout(m->module, layout);
        LLVMSetTarget(m->module, triple);
        LLVMDisposeTargetData(layout);
    }
    LLVMDisposeMessage(triple);
    return m->machine != NULL;
}

static bool check_module(const Making *m)
{
    char *message = NULL;
    bool ok = !LLVMVerifyModule(m->module, LLVMReturnStatusAction, &message);
    if (!ok)
        report(m->cx, "refuses a kernel", message);
    LLVMDisposeMessage(message);
    return ok;
}

static void making_end(Making *m)
{
    if (m->machine)
        LLVMDisposeTargetMachine(m->machine);
    LLVMDisposeModule(m->module);
    LLVMContextDispose(m->context);
}

static bool making_start(Making *m, Cx *cx, const LlvmUnit *u, bool stays)
{
    *m = (Making){.cx = cx, .context = LLVMContextCreate()};
    m->module = LLVMModuleCreateWithNameInContext(u->sized[0]->name, m->context);
    if (make_machine(m, u->row, stays) && emit_llvm(cx, u, m->module) && check_module(m))
        return true;
    making_end(m);
    return false;
}

static bool unit_text(Cx *cx, const LlvmUnit *u, Str *out)
{
    Making m;
    if (!making_start(&m, cx, u, false))
        return false;
    char *text = LLVMPrintModuleToString(m.module);
    str_add(out, text);
    LLVMDisposeMessage(text);
    making_end(&m);
    return true;
}

/* NULL: reported. */
static LLVMMemoryBufferRef make_object(Cx *cx, const LlvmUnit *u, bool stays)
{
    Making m;
    char *message = NULL;
    LLVMMemoryBufferRef object = NULL;
    if (!making_start(&m, cx, u, stays))
        return NULL;
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    bool ok = check_error(cx, "cannot optimise", LLVMRunPasses(m.module, "default<O2>", m.machine,
                                                               options));
    LLVMDisposePassBuilderOptions(options);
    if (ok && LLVMTargetMachineEmitToMemoryBuffer(m.machine, m.module, LLVMObjectFile, &message,
                                                  &object)) {
        report(cx, "cannot make code", message);
        LLVMDisposeMessage(message);
        object = NULL;
    }
    making_end(&m);
    return object;
}

static bool unit_object(Cx *cx, const LlvmUnit *u, Str *out)
{
    LLVMMemoryBufferRef object = make_object(cx, u, false);
    if (!object)
        return false;
    str_add_n(out, LLVMGetBufferStart(object), LLVMGetBufferSize(object));
    LLVMDisposeMemoryBuffer(object);
    return true;
}

static void jit_close(Jit *j)
{
    if (j->lljit)
        LLVMConsumeError(LLVMOrcDisposeLLJIT(j->lljit));
    j->lljit = NULL;
}

static Jit *jit_open(Cx *cx, const LlvmUnit *u)
{
    Jit *j = NEW(cx->perm, Jit);
    LLVMOrcDefinitionGeneratorRef process;
    LLVMMemoryBufferRef object = make_object(cx, u, true);
    if (!object)
        return NULL;
    if (!check_error(cx, "cannot start", LLVMOrcCreateLLJIT(&j->lljit, NULL))) {
        LLVMDisposeMemoryBuffer(object);
        return NULL;
    }
    LLVMOrcJITDylibRef code = LLVMOrcLLJITGetMainJITDylib(j->lljit);
    bool ok = check_error(cx, "cannot link", LLVMOrcLLJITAddObjectFile(j->lljit, code, object)) &&
              check_error(cx, "cannot look into this process",
                          LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                              &process, LLVMOrcLLJITGetGlobalPrefix(j->lljit), NULL, NULL));
    if (!ok) {
        jit_close(j);
        return NULL;
    }
    LLVMOrcJITDylibAddGenerator(code, process);
    return j;
}

static JitKernel *jit_kernel(Cx *cx, Jit *j, const char *name)
{
    LLVMOrcExecutorAddress address = 0;
    JitKernel *kernel = NULL;
    if (check_error(cx, "cannot find a kernel", LLVMOrcLLJITLookup(j->lljit, &address, name)))
        memcpy(&kernel, &address, sizeof kernel);
    return kernel;
}

const LlvmPlugin net2c_llvm = {NET2C_VERSION, unit_text, unit_object, jit_open, jit_kernel,
                               jit_close};
