/* emit_llvm_expr.c: expressions of the loop IR as LLVM's instructions, and elements' addresses.
 *
 * example: `fma(bcast(x[ic, ox], 16), w0, acc)` becomes
 *     %9 = load float, ptr %8, align 4            ; x[ic, ox]
 *     %10 = insertelement <16 x float> poison, float %9, i64 0
 *     %11 = shufflevector <16 x float> %10, <16 x float> poison, <16 x i32> zeroinitializer
 *     %12 = call <16 x float> @llvm.fma.v16f32(<16 x float> %11, <16 x float> %5, <16 x float> %7)
 *
 * contract: the same bits as emit_c_expr.c for the same row, but for the sign and payload of NaNs:
 * each operation of the loop IR is one operation here, no fast-math flag is ever set, and only an
 * fma that the row has is fused. Pointers are cast to what they point to, which does nothing from
 * LLVM 17 on, where pointers have no such type.
 */
#include "emit/emit_llvm.h"

#include <string.h>

LLVMValueRef llvm_fail(EmitLlvm *e, const char *what)
{
    if (!e->failed)
        diag_error(e->cx->diags, NO_PLACE, "E0961", "internal error: kernel %s on row %s: %s",
                   e->kernel->name, e->row->name, what);
    e->failed = true;
    return LLVMGetUndef(LLVMInt64TypeInContext(e->context));
}

void llvm_bind(EmitLlvm *e, const void *owner, LLVMValueRef value)
{
    e->bound = arena_grow(e->a, e->bound, e->n_bound, e->n_bound + 1, &e->room, sizeof *e->bound);
    e->bound[e->n_bound++] = (Bound){owner, value};
}

LLVMValueRef llvm_bound(EmitLlvm *e, const void *owner)
{
    for (size_t i = e->n_bound; i > 0; i--)
        if (e->bound[i - 1].owner == owner)
            return e->bound[i - 1].value;
    return llvm_fail(e, "a name is used outside its body");
}

/* ---- types and constants -------------------------------------------------------------------- */

LLVMTypeRef llvm_type(EmitLlvm *e, Type t)
{
    LLVMTypeRef scalar = NULL;
    switch (t.scalar) {
    case TYPE_F32: scalar = LLVMFloatTypeInContext(e->context); break;
    case TYPE_F64: scalar = LLVMDoubleTypeInContext(e->context); break;
    case TYPE_I32: scalar = LLVMInt32TypeInContext(e->context); break;
    case TYPE_BF16: scalar = LLVMInt16TypeInContext(e->context); break;
    }
    return t.lanes > 1 ? LLVMVectorType(scalar, (unsigned)t.lanes) : scalar;
}

LLVMTypeRef llvm_int_type(EmitLlvm *e)
{
    return LLVMInt64TypeInContext(e->context);
}

LLVMTypeRef llvm_pointer_type(EmitLlvm *e)
{
    return LLVMPointerType(LLVMInt8TypeInContext(e->context), 0);
}

LLVMValueRef llvm_int(EmitLlvm *e, int64_t v)
{
    return LLVMConstInt(llvm_int_type(e), (unsigned long long)v, true);
}

static bool is_float(Type t)
{
    return t.scalar == TYPE_F32 || t.scalar == TYPE_F64;
}

static LLVMValueRef splat(EmitLlvm *e, LLVMValueRef scalar, int lanes)
{
    LLVMValueRef *all = NEW_ARRAY(e->a, LLVMValueRef, lanes);
    for (int i = 0; i < lanes; i++)
        all[i] = scalar;
    return lanes > 1 ? LLVMConstVector(all, (unsigned)lanes) : scalar;
}

LLVMValueRef llvm_constant(EmitLlvm *e, Type t, double v)
{
    LLVMTypeRef scalar = llvm_type(e, (Type){t.scalar, 1});
    double rounded = t.scalar == TYPE_F32 ? (double)(float)v : v;
    LLVMValueRef one = is_float(t) ? LLVMConstReal(scalar, rounded)
                                   : LLVMConstInt(scalar, (unsigned long long)(int64_t)v, true);
    return splat(e, one, t.lanes);
}

static LLVMValueRef whole(EmitLlvm *e, LLVMTypeRef scalar, unsigned v, int lanes)
{
    return splat(e, LLVMConstInt(scalar, v, false), lanes);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static LLVMValueRef pointer_as(EmitLlvm *e, LLVMValueRef pointer, LLVMTypeRef to)
{
    return LLVMBuildBitCast(e->at, pointer, LLVMPointerType(to, 0), "");
}

LLVMValueRef llvm_element(EmitLlvm *e, LLVMValueRef row, LLVMTypeRef element, LLVMValueRef i,
                          LLVMTypeRef to)
{
    LLVMValueRef first = pointer_as(e, row, element);
    return pointer_as(e, LLVMBuildInBoundsGEP2(e->at, element, first, &i, 1, ""), to);
}

LLVMValueRef llvm_index(EmitLlvm *e, Index x)
{
    LLVMValueRef sum = NULL;
    for (int i = 0; i < x.n; i++) {
        LLVMValueRef v = llvm_bound(e, x.term[i].var);
        if (x.term[i].coef != 1)
            v = LLVMBuildNSWMul(e->at, v, llvm_int(e, x.term[i].coef), "");
        sum = sum ? LLVMBuildNSWAdd(e->at, sum, v, "") : v;
    }
    if (!sum)
        return llvm_int(e, x.c);
    return x.c ? LLVMBuildNSWAdd(e->at, sum, llvm_int(e, x.c), "") : sum;
}

LLVMValueRef llvm_address(EmitLlvm *e, const Buffer *b, const Index *index, int n,
                          LLVMTypeRef to)
{
    Index flat;
    if (!buffer_flat(e->a, b, index, n, &flat))
        return llvm_fail(e, "an access has no place in its buffer");
    LLVMTypeRef element = llvm_type(e, (Type){b->type, b->lanes > 1 ? b->lanes : 1});
    return llvm_element(e, llvm_bound(e, b), element, llvm_index(e, flat), to);
}

/* Vectors lie anywhere among scalars; only registers' worth of a local buffer are aligned. */
LLVMValueRef llvm_aligned(LLVMValueRef access, const Buffer *b)
{
    unsigned bytes = (unsigned)scalar_bytes(b->type) * (unsigned)(b->lanes > 1 ? b->lanes : 1);
    LLVMSetAlignment(access, bytes > 64 ? 64 : bytes & -bytes);
    return access;
}

/* ---- expressions ---------------------------------------------------------------------------- */

LLVMValueRef llvm_intrinsic(EmitLlvm *e, const char *name, LLVMTypeRef type, LLVMValueRef *arg,
                            unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, &type, 1);
    return LLVMBuildCall2(e->at, LLVMIntrinsicGetType(e->context, id, &type, 1), f, arg, n, "");
}

static LLVMValueRef emit_load(EmitLlvm *e, const Expr *x)
{
    const Buffer *b = x->buffer;
    int lanes = x->type.lanes;
    LLVMTypeRef type = llvm_type(e, (Type){b->type, lanes});
    LLVMValueRef from = llvm_address(e, b, x->index, x->n_index, type);
    LLVMValueRef v = llvm_aligned(LLVMBuildLoad2(e->at, type, from, ""), b);
    if (b->type != TYPE_BF16)
        return v;
    LLVMTypeRef word = LLVMInt32TypeInContext(e->context);
    v = LLVMBuildZExt(e->at, v, llvm_type(e, (Type){TYPE_I32, lanes}), "");
    v = LLVMBuildShl(e->at, v, whole(e, word, 16, lanes), "");
    return LLVMBuildBitCast(e->at, v, llvm_type(e, x->type), "");
}

LLVMValueRef llvm_compare(EmitLlvm *e, Type t, LLVMRealPredicate real,
                          LLVMIntPredicate integer, LLVMValueRef a, LLVMValueRef b)
{
    return is_float(t) ? LLVMBuildFCmp(e->at, real, a, b, "")
                       : LLVMBuildICmp(e->at, integer, a, b, "");
}

/* b where it is beyond a, or NaN; else a. */
static LLVMValueRef emit_bound(EmitLlvm *e, Type t, int op, LLVMValueRef a, LLVMValueRef b,
                               bool number)
{
    bool min = op == BIN_MIN;
    LLVMValueRef beyond = llvm_compare(e, t, min ? LLVMRealOLT : LLVMRealOGT,
                                       min ? LLVMIntSLT : LLVMIntSGT, b, a);
    LLVMValueRef v = LLVMBuildSelect(e->at, beyond, b, a, "");
    if (number || !is_float(t))
        return v;
    return LLVMBuildSelect(e->at, LLVMBuildFCmp(e->at, LLVMRealUNO, b, b, ""), b, v, "");
}

static LLVMValueRef emit_binary(EmitLlvm *e, Type t, int op, LLVMValueRef a, LLVMValueRef b,
                                bool number)
{
    static const LLVMOpcode real[] = {LLVMFAdd, LLVMFSub, LLVMFMul, LLVMFDiv};
    static const LLVMOpcode integer[] = {LLVMAdd, LLVMSub, LLVMMul, LLVMSDiv};
    if (op == BIN_MIN || op == BIN_MAX)
        return emit_bound(e, t, op, a, b, number);
    return LLVMBuildBinOp(e->at, is_float(t) ? real[op] : integer[op], a, b, "");
}

/* To nearest, ties to even: by the instruction where the row has one, else below 2^23 (f64: 2^52)
 * by adding and taking away that number, which no optimisation may simplify. */
static LLVMValueRef emit_round(EmitLlvm *e, Type t, LLVMValueRef x)
{
    LLVMTypeRef type = llvm_type(e, t);
    if (e->row->features)
        return llvm_intrinsic(e, "llvm.roundeven", type, &x, 1);
    LLVMValueRef large = llvm_constant(e, t, t.scalar == TYPE_F64 ? 0x1p52 : 0x1p23);
    LLVMValueRef size = llvm_intrinsic(e, "llvm.fabs", type, &x, 1);
    LLVMValueRef sum = LLVMBuildFAdd(e->at, size, large, "");
    LLVMValueRef arg[2] = {LLVMBuildFSub(e->at, sum, large, ""), x};
    return LLVMBuildSelect(e->at, LLVMBuildFCmp(e->at, LLVMRealOLT, size, large, ""),
                           llvm_intrinsic(e, "llvm.copysign", type, arg, 2), x, "");
}

/* The exponent's bits. What a NaN gives is frozen: some number, the same wherever it is used. */
static LLVMValueRef emit_pow2i(EmitLlvm *e, Type t, LLVMValueRef x)
{
    bool wide = t.scalar == TYPE_F64;
    LLVMTypeRef scalar = wide ? llvm_int_type(e) : LLVMInt32TypeInContext(e->context);
    LLVMTypeRef type = t.lanes > 1 ? LLVMVectorType(scalar, (unsigned)t.lanes) : scalar;
    LLVMValueRef v = LLVMBuildFreeze(e->at, LLVMBuildFPToSI(e->at, x, type, ""), "");
    v = LLVMBuildAdd(e->at, v, whole(e, scalar, wide ? 1023 : 127, t.lanes), "");
    v = LLVMBuildShl(e->at, v, whole(e, scalar, wide ? 52 : 23, t.lanes), "");
    return LLVMBuildBitCast(e->at, v, llvm_type(e, t), "");
}

static LLVMValueRef emit_unary(EmitLlvm *e, const Expr *x)
{
    LLVMValueRef v = llvm_value(e, x->arg[0]);
    switch (x->op) {
    case UN_NEG:
        return is_float(x->type) ? LLVMBuildFNeg(e->at, v, "") : LLVMBuildNeg(e->at, v, "");
    case UN_ABS: return llvm_intrinsic(e, "llvm.fabs", llvm_type(e, x->type), &v, 1);
    case UN_SQRT: return llvm_intrinsic(e, "llvm.sqrt", llvm_type(e, x->type), &v, 1);
    case UN_ROUND: return emit_round(e, x->type, v);
    case UN_POW2I: return emit_pow2i(e, x->type, v);
    }
    return llvm_fail(e, "a function is left that expand-math should have expanded");
}

/* Fused for what the row has an instruction for, as in its table of C. */
static LLVMValueRef emit_fma(EmitLlvm *e, const Expr *x)
{
    LLVMValueRef arg[3];
    for (int i = 0; i < 3; i++)
        arg[i] = llvm_value(e, x->arg[i]);
    if (e->row->has_fma && x->type.scalar == TYPE_F32)
        return llvm_intrinsic(e, "llvm.fma", llvm_type(e, x->type), arg, 3);
    LLVMValueRef product = emit_binary(e, x->type, BIN_MUL, arg[0], arg[1], false);
    return emit_binary(e, x->type, BIN_ADD, product, arg[2], false);
}

static LLVMValueRef emit_cast(EmitLlvm *e, const Expr *x)
{
    Type from = x->arg[0]->type;
    LLVMTypeRef to = llvm_type(e, x->type);
    LLVMValueRef v = llvm_value(e, x->arg[0]);
    if (is_float(from) && is_float(x->type))
        return LLVMBuildFPCast(e->at, v, to, "");
    if (is_float(from))
        return LLVMBuildFPToSI(e->at, v, to, "");
    return is_float(x->type) ? LLVMBuildSIToFP(e->at, v, to, "") : v;
}

static LLVMValueRef emit_select(EmitLlvm *e, const Expr *x)
{
    static const LLVMRealPredicate real[] = {LLVMRealOLT, LLVMRealOLE, LLVMRealOEQ, LLVMRealUNE};
    static const LLVMIntPredicate integer[] = {LLVMIntSLT, LLVMIntSLE, LLVMIntEQ, LLVMIntNE};
    LLVMValueRef arg[4];
    for (int i = 0; i < 4; i++)
        arg[i] = llvm_value(e, x->arg[i]);
    LLVMValueRef holds = llvm_compare(e, x->arg[0]->type, real[x->op], integer[x->op], arg[0],
                                      arg[1]);
    return LLVMBuildSelect(e->at, holds, arg[2], arg[3], "");
}

static LLVMValueRef emit_bcast(EmitLlvm *e, const Expr *x)
{
    LLVMTypeRef type = llvm_type(e, x->type), word = LLVMInt32TypeInContext(e->context);
    if (x->arg[0]->kind == EXPR_CONST)
        return llvm_constant(e, x->type, x->arg[0]->value);
    LLVMValueRef none = LLVMGetPoison(type), v = llvm_value(e, x->arg[0]);
    v = LLVMBuildInsertElement(e->at, none, v, llvm_int(e, 0), "");
    return LLVMBuildShuffleVector(e->at, v, none, whole(e, word, 0, x->type.lanes), "");
}

/* Lane after lane, in order. */
static LLVMValueRef emit_hsum(EmitLlvm *e, const Expr *x)
{
    LLVMValueRef v = llvm_value(e, x->arg[0]), sum = NULL;
    for (int i = 0; i < x->arg[0]->type.lanes; i++) {
        LLVMValueRef lane = LLVMBuildExtractElement(e->at, v, llvm_int(e, i), "");
        sum = sum ? emit_binary(e, x->type, x->op, sum, lane, false) : lane;
    }
    return sum;
}

static LLVMValueRef emit_bin(EmitLlvm *e, const Expr *x)
{
    const Expr *side[2] = {x->arg[0], x->arg[1]};
    bool number = (x->op == BIN_MIN || x->op == BIN_MAX) && emit_min_max(x, side);
    LLVMValueRef a = llvm_value(e, side[0]);
    return emit_binary(e, x->type, x->op, a, llvm_value(e, side[1]), number);
}

LLVMValueRef llvm_value(EmitLlvm *e, const Expr *x)
{
    LLVMValueRef at;
    switch (x->kind) {
    case EXPR_CONST: return llvm_constant(e, x->type, x->value);
    case EXPR_LOAD: return emit_load(e, x);
    case EXPR_NAME:
        at = llvm_bound(e, x->name);
        return x->name->is_var ? LLVMBuildLoad2(e->at, llvm_type(e, x->type), at, "") : at;
    case EXPR_BIN: return emit_bin(e, x);
    case EXPR_UN: return emit_unary(e, x);
    case EXPR_FMA: return emit_fma(e, x);
    case EXPR_CAST: return emit_cast(e, x);
    case EXPR_SELECT: return emit_select(e, x);
    case EXPR_BCAST: return emit_bcast(e, x);
    case EXPR_HSUM: return emit_hsum(e, x);
    }
    return llvm_fail(e, "an expression of no kind");
}
