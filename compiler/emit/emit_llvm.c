/* emit_llvm.c: kernels of the loop IR as LLVM functions, the second way to code beside emit_c.c.
 *
 * example: kernel conv1 on row avx512 becomes two functions: conv1_avx512.body(exec, x, w, y), its
 * pointers noalias, and conv1_avx512(exec, frame), a JitKernel, which takes them out of an array. A
 * parallel loop is such a pair too, conv1_avx512_task1(frame, i): its frame holds the same pointers
 * and the variables of the loops around.
 *
 * contract: the kernel is physical and has no vector or unrolled loops left. Built as a part of the
 * plugin, with any LLVM from 14 on.
 */
#include "emit/emit_llvm.h"

#include <string.h>

_Static_assert(offsetof(n2c_exec, parallel_for) == 0 && offsetof(n2c_exec, pool) == 8,
               "code reads these two as places 0 and 1");

static LLVMValueRef room(EmitLlvm *e, LLVMTypeRef type, int64_t n)
{
    LLVMValueRef place = LLVMBuildAlloca(e->entry, LLVMArrayType(type, (unsigned)n), "");
    LLVMSetAlignment(place, 64);
    return LLVMBuildBitCast(e->entry, place, LLVMPointerType(type, 0), "");
}

typedef struct Turns {             /* an open loop */
    LLVMBasicBlockRef head, end;
    LLVMValueRef i;
} Turns;

static LLVMBasicBlockRef block_new(EmitLlvm *e, const char *name)
{
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

static Turns turns_open(EmitLlvm *e, const Var *v, LLVMValueRef end)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->at);
    LLVMBasicBlockRef body;
    LLVMValueRef zero = llvm_int(e, 0);
    Turns t = {.head = block_new(e, v->name)};
    body = block_new(e, "");
    t.end = block_new(e, "");
    LLVMBuildBr(e->at, t.head);
    LLVMPositionBuilderAtEnd(e->at, t.head);
    t.i = LLVMBuildPhi(e->at, llvm_int_type(e), v->name);
    LLVMAddIncoming(t.i, &zero, &before, 1);
    LLVMBuildCondBr(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, t.i, end, ""), body, t.end);
    LLVMPositionBuilderAtEnd(e->at, body);
    llvm_bind(e, v, t.i);
    return t;
}

static void turns_close(EmitLlvm *e, const Turns *t)
{
    LLVMBasicBlockRef last = LLVMGetInsertBlock(e->at);
    LLVMValueRef next = LLVMBuildNSWAdd(e->at, t->i, llvm_int(e, 1), "");
    LLVMAddIncoming(t->i, &next, &last, 1);
    LLVMBuildBr(e->at, t->head);
    LLVMPositionBuilderAtEnd(e->at, t->end);
}

static void emit_body(EmitLlvm *e, Body body);

/* A frame's places are 8 bytes each: pointers to the buffers, then variables. */
static LLVMValueRef slot(EmitLlvm *e, LLVMValueRef frame, int i, LLVMTypeRef type)
{
    return llvm_element(e, frame, llvm_int_type(e), llvm_int(e, i), type);
}

static const char *task_name(EmitLlvm *e, const EmitTask *t)
{
    return arena_printf(e->a, "%s_task%d", e->name, t->number);
}

/* exec->parallel_for(exec->pool, extent, task, frame) */
static void emit_call(EmitLlvm *e, const EmitTask *t)
{
    int n = e->kernel->n_buffers;
    LLVMTypeRef pointer = llvm_pointer_type(e), none = LLVMVoidTypeInContext(e->context);
    LLVMValueRef frame = room(e, llvm_int_type(e), n + t->n);
    LLVMValueRef task = LLVMGetNamedFunction(e->module, task_name(e, t));
    LLVMTypeRef parameter[4] = {pointer, llvm_int_type(e), LLVMTypeOf(task), pointer};
    LLVMTypeRef type = LLVMFunctionType(none, parameter, 4, false), call = LLVMPointerType(type, 0);
    for (int i = 0; i < n; i++)
        LLVMBuildStore(e->at, llvm_bound(e, e->kernel->buffer[i]), slot(e, frame, i, pointer));
    for (int i = 0; i < t->n; i++)
        LLVMBuildStore(e->at, llvm_bound(e, t->at[i]), slot(e, frame, n + i, llvm_int_type(e)));
    LLVMValueRef run = LLVMBuildLoad2(e->at, call, slot(e, e->exec, 0, call), "");
    LLVMValueRef pool = LLVMBuildLoad2(e->at, pointer, slot(e, e->exec, 1, pointer), "");
    LLVMValueRef arg[4] = {pool, llvm_int(e, t->loop->var->extent), task,
                           LLVMBuildBitCast(e->at, frame, pointer, "")};
    LLVMBuildCall2(e->at, type, run, arg, 4, "");
}

/* An i32 as the value of a loop's variable. */
static LLVMValueRef emit_wide(EmitLlvm *e, const Expr *x)
{
    return LLVMBuildSExt(e->at, llvm_value(e, x), llvm_int_type(e), "");
}

static void emit_for(EmitLlvm *e, const Stmt *s)
{
    for (const EmitTask *t = e->task; t; t = t->next)
        if (t->loop == s) {
            emit_call(e, t);
            return;
        }
    if (s->loop != LOOP_SERIAL && s->loop != LOOP_PARALLEL)
        llvm_fail(e, "a loop is still marked vector or unroll");
    Turns t = turns_open(e, s->var, s->expr ? emit_wide(e, s->expr) : llvm_int(e, s->var->extent));
    emit_body(e, s->body);
    turns_close(e, &t);
}

/* 0 <= x < extent is one comparison without sign. */
static void emit_if(EmitLlvm *e, const Stmt *s)
{
    LLVMBasicBlockRef then = block_new(e, ""), end = block_new(e, "");
    LLVMValueRef all = LLVMConstInt(LLVMInt1TypeInContext(e->context), 1, false);
    for (int i = 0; i < s->n_cond; i++)
        all = LLVMBuildAnd(e->at, all,
                           LLVMBuildICmp(e->at, LLVMIntULT, llvm_index(e, s->cond[i].index),
                                         llvm_int(e, s->cond[i].extent), ""), "");
    LLVMBuildCondBr(e->at, all, then, end);
    LLVMPositionBuilderAtEnd(e->at, then);
    emit_body(e, s->body);
    LLVMBuildBr(e->at, end);
    LLVMPositionBuilderAtEnd(e->at, end);
}

static void emit_assign(EmitLlvm *e, const Stmt *s)
{
    LLVMValueRef v = llvm_value(e, s->expr);
    LLVMTypeRef type = llvm_type(e, s->name->type);
    if (s->kind == STMT_LET)
        llvm_bind(e, s->name, v);
    if (s->kind == STMT_VAR)
        llvm_bind(e, s->name, LLVMBuildAlloca(e->entry, type, s->name->name));
    if (s->kind != STMT_LET)
        LLVMBuildStore(e->at, v, llvm_bound(e, s->name));
}

static void emit_store(EmitLlvm *e, const Stmt *s)
{
    LLVMValueRef v = llvm_value(e, s->expr);
    LLVMValueRef to = llvm_address(e, s->buffer, s->index, s->n_index, llvm_type(e, s->expr->type));
    llvm_aligned(LLVMBuildStore(e->at, v, to), s->buffer);
}

static void emit_local(EmitLlvm *e, const Buffer *b)
{
    Type t = {b->type, b->lanes > 1 ? b->lanes : 1};
    llvm_bind(e, b, room(e, llvm_type(e, t), buffer_elements(b)));
}

static void emit_prefetch(EmitLlvm *e, const Stmt *s)
{
    LLVMTypeRef word = LLVMInt32TypeInContext(e->context);
    LLVMValueRef place = llvm_address(e, s->buffer, s->index, s->n_index,
                                      LLVMInt8TypeInContext(e->context));
    LLVMValueRef arg[4] = {place, LLVMConstInt(word, 0, false), LLVMConstInt(word, 2, false),
                           LLVMConstInt(word, 1, false)};        /* read, second level, data */
    llvm_intrinsic(e, "llvm.prefetch", LLVMTypeOf(place), arg, 4);
}

/* ---- lists ---------------------------------------------------------------------------------- */

typedef struct List {              /* of indices while it is made; its own numbers are i32 */
    LLVMTypeRef type;
    LLVMValueRef place;            /* of its elements */
    LLVMValueRef count, zero;      /* variables */
} List;

static LLVMValueRef list_get(EmitLlvm *e, const List *l, LLVMValueRef variable)
{
    return LLVMBuildLoad2(e->at, l->type, variable, "");
}

/* list[1 + count] = v */
static void list_put(EmitLlvm *e, const List *l, LLVMValueRef v)
{
    LLVMValueRef n = LLVMBuildSExt(e->at, list_get(e, l, l->count), llvm_int_type(e), "");
    n = LLVMBuildNSWAdd(e->at, n, llvm_int(e, 1), "");
    LLVMBuildStore(e->at, v, llvm_element(e, l->place, l->type, n, l->type));
}

static void list_count(EmitLlvm *e, const List *l, LLVMValueRef one_more)
{
    LLVMValueRef more = LLVMBuildZExt(e->at, one_more, l->type, "");
    LLVMBuildStore(e->at, LLVMBuildAdd(e->at, list_get(e, l, l->count), more, ""), l->count);
}

/* Without a branch on the data, as in C: each index is written, and stays if its element is not
 * zero. The last group is filled up in LIST_GROUP - 1 turns; those too many count nothing. */
static void emit_list(EmitLlvm *e, const Stmt *s)
{
    const Var fill = {"fill", LIST_GROUP - 1};
    LLVMTypeRef word = LLVMInt32TypeInContext(e->context);
    emit_local(e, s->buffer);
    const List l = {word, llvm_bound(e, s->buffer), LLVMBuildAlloca(e->entry, word, "count"),
                    LLVMBuildAlloca(e->entry, word, "zero")};
    LLVMValueRef none = LLVMConstInt(word, 0, false);
    LLVMValueRef group = LLVMConstInt(word, LIST_GROUP, false);
    LLVMBuildMemSet(e->at, l.place, LLVMConstInt(LLVMInt8TypeInContext(e->context), 0, false),
                    llvm_int(e, buffer_bytes(s->buffer)), 64);
    LLVMBuildStore(e->at, none, l.count);
    LLVMBuildStore(e->at, none, l.zero);
    Turns t = turns_open(e, s->var, llvm_int(e, s->var->extent));
    LLVMValueRef i = LLVMBuildTrunc(e->at, t.i, word, ""), x = llvm_value(e, s->expr);
    LLVMValueRef some = llvm_compare(e, s->expr->type, LLVMRealUNE, LLVMIntNE, x,
                                     llvm_constant(e, s->expr->type, 0));
    list_put(e, &l, i);
    LLVMBuildStore(e->at, LLVMBuildSelect(e->at, some, list_get(e, &l, l.zero), i, ""), l.zero);
    list_count(e, &l, some);
    turns_close(e, &t);
    t = turns_open(e, &fill, llvm_int(e, fill.extent));
    list_put(e, &l, list_get(e, &l, l.zero));
    LLVMValueRef over = LLVMBuildSRem(e->at, list_get(e, &l, l.count), group, "");
    list_count(e, &l, LLVMBuildICmp(e->at, LLVMIntNE, over, none, ""));
    turns_close(e, &t);
    list_put(e, &l, none);
    LLVMBuildStore(e->at, LLVMBuildSDiv(e->at, list_get(e, &l, l.count), group, ""), l.place);
}

static void emit_stmt(EmitLlvm *e, const Stmt *s)
{
    switch (s->kind) {
    case STMT_FOR: emit_for(e, s); break;
    case STMT_IF: emit_if(e, s); break;
    case STMT_LET:
    case STMT_VAR:
    case STMT_SET: emit_assign(e, s); break;
    case STMT_STORE: emit_store(e, s); break;
    case STMT_LOCAL: emit_local(e, s->buffer); break;
    case STMT_NOTE: break;
    case STMT_LIST: emit_list(e, s); break;
    case STMT_PICK: llvm_bind(e, s->var, emit_wide(e, s->expr)); break;
    case STMT_PREFETCH: emit_prefetch(e, s); break;
    }
}

static void emit_body(EmitLlvm *e, Body body)
{
    size_t outside = e->n_bound;
    for (const Stmt *s = body.first; s && !e->failed; s = s->next)
        emit_stmt(e, s);
    e->n_bound = outside;
}

/* ---- functions ------------------------------------------------------------------------------ */

static LLVMAttributeRef attribute(EmitLlvm *e, const char *name)
{
    return LLVMCreateEnumAttribute(e->context,
                                   LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
}

/* Its first block is for room on the stack, the second begins. */
static LLVMTypeRef function_open(EmitLlvm *e, const char *name, LLVMTypeRef *parameter, int n)
{
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameter, (unsigned)n,
                                        false);
    e->function = LLVMAddFunction(e->module, name, type);
    LLVMAddAttributeAtIndex(e->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            attribute(e, "nounwind"));
    LLVMPositionBuilderAtEnd(e->entry, block_new(e, "entry"));
    LLVMPositionBuilderAtEnd(e->at, block_new(e, ""));
    return type;
}

static void function_close(EmitLlvm *e)
{
    LLVMBuildRetVoid(e->at);
    LLVMBuildBr(e->entry, LLVMGetNextBasicBlock(LLVMGetEntryBasicBlock(e->function)));
}

/* (frame, i), or of a kernel (exec, frame): calls the body with what is in the frame. */
static void emit_outer(EmitLlvm *e, const char *name, LLVMValueRef inner, LLVMTypeRef inner_type,
                       const EmitTask *task)
{
    int n = 0, n_at = task ? task->n : 0;
    LLVMTypeRef pointer = llvm_pointer_type(e);
    LLVMTypeRef parameter[2] = {pointer, task ? llvm_int_type(e) : pointer};
    LLVMValueRef arg[MAX_STEP_ARGS + MAX_AROUND + 2];
    function_open(e, name, parameter, 2);
    LLVMValueRef first = LLVMGetParam(e->function, 0), second = LLVMGetParam(e->function, 1);
    LLVMValueRef frame = task ? first : second;
    if (task)
        LLVMSetLinkage(e->function, LLVMInternalLinkage);
    arg[n++] = task ? LLVMConstNull(pointer) : first;
    for (int i = 0; i < e->kernel->n_buffers + n_at; i++) {
        LLVMTypeRef type = i < e->kernel->n_buffers ? pointer : llvm_int_type(e);
        arg[n++] = LLVMBuildLoad2(e->at, type, slot(e, frame, i, type), "");
    }
    if (task)
        arg[n++] = second;
    LLVMBuildCall2(e->at, inner_type, inner, arg, (unsigned)n, "");
    function_close(e);
}

/* What a kernel or a task does. It stays a function: its pointers do not alias each other. */
static void emit_function(EmitLlvm *e, const char *name, const EmitTask *task, Body body)
{
    int n = 0, n_at = task ? task->n : 0, n_buffers = e->kernel->n_buffers;
    LLVMTypeRef parameter[MAX_STEP_ARGS + MAX_AROUND + 2];
    for (parameter[n++] = llvm_pointer_type(e); n <= n_buffers; )
        parameter[n++] = llvm_pointer_type(e);
    for (int i = 0; task && i <= n_at; i++)
        parameter[n++] = llvm_int_type(e);
    LLVMTypeRef type = function_open(e, arena_printf(e->a, "%s.body", name), parameter, n);
    LLVMValueRef inner = e->function;
    LLVMSetLinkage(inner, LLVMInternalLinkage);
    LLVMAddAttributeAtIndex(inner, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            attribute(e, "noinline"));
    e->n_bound = 0;
    e->exec = LLVMGetParam(inner, 0);
    for (int i = 1; i < n; i++) {
        const void *owner = i <= n_buffers ? (const void *)e->kernel->buffer[i - 1]
                          : i <= n_buffers + n_at ? task->at[i - 1 - n_buffers] : task->loop->var;
        llvm_bind(e, owner, LLVMGetParam(inner, (unsigned)i));
        if (i <= n_buffers)
            LLVMAddAttributeAtIndex(inner, (LLVMAttributeIndex)(1 + i), attribute(e, "noalias"));
    }
    emit_body(e, body);
    function_close(e);
    emit_outer(e, name, inner, type, task);
}

static void emit_kernel(EmitLlvm *e)
{
    const EmitTask *all = emit_tasks_of(e->a, e->kernel);
    if (!e->kernel->physical)
        llvm_fail(e, "its accesses are still logical (apply-layout has not run)");
    for (const EmitTask *t = all; t && !e->failed; t = t->next)
        emit_function(e, task_name(e, t), t, t->loop->body);
    e->task = all;
    if (!e->failed)
        emit_function(e, e->name, NULL, e->kernel->body);
    e->task = NULL;                            /* loops in a task are serial */
}

bool emit_llvm(Cx *cx, const LlvmUnit *u, LLVMModuleRef module)
{
    LLVMContextRef context = LLVMGetModuleContext(module);
    EmitLlvm e = {.cx = cx, .a = cx->temp, .row = u->row, .context = context, .module = module,
                  .at = LLVMCreateBuilderInContext(context),
                  .entry = LLVMCreateBuilderInContext(context)};
    for (int i = 0; i < u->n_sized; i++)
        for (int k = 0; k < u->sized[i]->n_steps && !e.failed; k++) {
            e.kernel = step_kernel(&u->sized[i]->step[k], u->row_number);
            e.name = emit_c_function(e.a, e.kernel, e.row, u->sized[i]->batch);
            if (!LLVMGetNamedFunction(module, e.name))
                emit_kernel(&e);
        }
    LLVMDisposeBuilder(e.at);
    LLVMDisposeBuilder(e.entry);
    return !e.failed;
}
