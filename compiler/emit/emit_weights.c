/* emit_weights.c: the weights as a part of the program: one symbol, declared in the header.
 *
 *     NAME_weights.S   .incbin of the blob: no text to compile, whatever its size
 *     NAME_weights.c   an array; for small networks, since a megabyte of it costs a C compiler a
 *                      minute
 *
 * contract: both are the bytes of NAME.n2w, aligned as bind wants them.
 */
#include "emit/emit.h"

enum { BYTES_A_LINE = 24 };

void emit_weights(const EmitFile *f, Str *out)
{
    if (f->o->weights_as == WEIGHTS_INCBIN)
        emit_text(f, out,
                  "/* $F_weights.S: $F.n2w as the array $n_weights of $F.h.\n"
                  " * Build: cc -c -I. $F_weights.S, where -I names the folder of $F.n2w.\n"
                  " */\n"
                  "#ifndef __ELF__\n"
                  "#error \"only for ELF systems: net2c compile --weights-as=file or array\"\n"
                  "#endif\n"
                  "    .section .note.GNU-stack,\"\",%progbits\n"
                  "    .section .rodata.$n_weights,\"a\",%progbits\n"
                  "    .balign 4096\n"
                  "    .globl $n_weights\n"
                  "    .type $n_weights, %object\n"
                  "$n_weights:\n"
                  "    .incbin \"$F.n2w\"\n"
                  "    .size $n_weights, . - $n_weights\n");
    else
        emit_text(f, out,
                  "/* $F_weights.c: the weights of network $n, the bytes of $F.n2w. */\n"
                  "#include \"$F.h\"\n\n"
                  "const unsigned char $n_weights[$N_WEIGHTS_BYTES] = {");
}

void emit_weights_bytes(Str *out, Bytes blob)
{
    for (size_t i = 0; i < blob.size; i++)
        str_printf(out, "%s%d%s", i % BYTES_A_LINE ? "" : "\n    ", blob.data[i],
                   i + 1 < blob.size ? "," : "\n};\n");
}
