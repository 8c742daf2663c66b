/* emit_llvm.h: what the files that make LLVM's functions share: the kernel in hand, and what its
 * variables, names and buffers are at this place.
 */
#ifndef NET2C_EMIT_LLVM_H
#define NET2C_EMIT_LLVM_H

#include "emit/emit.h"

#include <llvm-c/Core.h>

typedef struct Bound {             /* what a variable, name or buffer is at this place */
    const void *owner;
    LLVMValueRef value;            /* var: a place on the stack; buffer: its address */
} Bound;

typedef struct EmitLlvm {
    Cx *cx;
    Arena *a;
    const Kernel *kernel;
    const Row *row;
    const char *name;              /* of the kernel's function */
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef at;             /* the next instruction */
    LLVMBuilderRef entry;          /* the first block of the function: room on the stack */
    LLVMValueRef function, exec;
    Bound *bound;                  /* n_bound of them, the innermost last */
    size_t n_bound, room;
    const EmitTask *task;          /* the loops that are called here */
    bool failed;
} EmitLlvm;

/* Reports once; what it returns has no meaning. */
LLVMValueRef llvm_fail(EmitLlvm *e, const char *what);
void llvm_bind(EmitLlvm *e, const void *owner, LLVMValueRef value);
LLVMValueRef llvm_bound(EmitLlvm *e, const void *owner);

LLVMTypeRef llvm_type(EmitLlvm *e, Type t);
LLVMTypeRef llvm_int_type(EmitLlvm *e);          /* of loops' variables and indices */
LLVMTypeRef llvm_pointer_type(EmitLlvm *e);      /* to anything */
LLVMValueRef llvm_int(EmitLlvm *e, int64_t v);
LLVMValueRef llvm_constant(EmitLlvm *e, Type t, double v);

LLVMValueRef llvm_index(EmitLlvm *e, Index x);
/* Where number i of a row of elements lies, as a place for a `to`. */
LLVMValueRef llvm_element(EmitLlvm *e, LLVMValueRef row, LLVMTypeRef element, LLVMValueRef i,
                          LLVMTypeRef to);
LLVMValueRef llvm_address(EmitLlvm *e, const Buffer *b, const Index *index, int n, LLVMTypeRef to);
/* A load or store of the buffer with the alignment that it can count on. */
LLVMValueRef llvm_aligned(LLVMValueRef access, const Buffer *b);

LLVMValueRef llvm_intrinsic(EmitLlvm *e, const char *name, LLVMTypeRef type, LLVMValueRef *arg,
                            unsigned n);
LLVMValueRef llvm_compare(EmitLlvm *e, Type t, LLVMRealPredicate real, LLVMIntPredicate integer,
                          LLVMValueRef a, LLVMValueRef b);
LLVMValueRef llvm_value(EmitLlvm *e, const Expr *x);

/* The functions of a unit. */
bool emit_llvm(Cx *cx, const LlvmUnit *u, LLVMModuleRef module);

#endif
