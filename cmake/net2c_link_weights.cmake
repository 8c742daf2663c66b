# cmake -DBASE=DIR/NAME -P net2c_link_weights.cmake
#
# Writes DIR/NAME_weights.c, which links the bytes of DIR/NAME.n2w in by .incbin, and
# DIR/NAME_weights.h, which declares them. A C file rather than an assembly file: it needs no
# further language in the caller's project, and the compiler marks its stack as not executable.
# The prefix of the names is the network's, as in DIR/NAME.h.

file(READ ${BASE}.h header)
if(NOT header MATCHES "n2c_status ([A-Za-z0-9_]+)_bind\\(")
  message(FATAL_ERROR "${BASE}.h declares no network")
endif()
set(name ${CMAKE_MATCH_1})
string(TOUPPER ${name} upper)
get_filename_component(file ${BASE} NAME)

file(WRITE ${BASE}_weights.h "/* ${file}_weights.h: the weights of network ${name}, linked in. */
#ifndef ${upper}_WEIGHTS_H
#define ${upper}_WEIGHTS_H

#include \"${file}.h\"

#ifdef __cplusplus
extern \"C\" {
#endif

/* for ${name}_bind, with ${upper}_WEIGHTS_BYTES; aligned to 4096 */
extern const unsigned char ${name}_weights[${upper}_WEIGHTS_BYTES];

#ifdef __cplusplus
}
#endif

#endif
")

file(WRITE ${BASE}_weights.c "/* ${file}_weights.c: ${file}.n2w as the array ${name}_weights. */
#include \"${file}_weights.h\"

__asm__(
    \".pushsection .rodata.${name}_weights,\\\"a\\\",%progbits\\n\"
    \".balign 4096\\n\"
    \".global ${name}_weights\\n\"
    \".type ${name}_weights, %object\\n\"
    \"${name}_weights:\\n\"
    \".incbin \\\"${BASE}.n2w\\\"\\n\"
    \".size ${name}_weights, . - ${name}_weights\\n\"
    \".popsection\\n\");
")
