# The headers for passes from outside as they are installed, in build/include/net2c: the compiler's
# own, which find each other from wherever they are, and abi.h with the number that stands for what
# they say. Comments and spaces say nothing.

set(NET2C_PLUGIN_HEADERS plugin.h base/base.h graph/graph.h loop/loop.h ops/ops.h ops/ops.def
    passes/passes.h passes/passes.def target/target.h)
set(said "")
foreach(header ${NET2C_PLUGIN_HEADERS})
  set(source ${PROJECT_SOURCE_DIR}/compiler/${header})
  if(header STREQUAL "plugin.h")
    set(source ${PROJECT_SOURCE_DIR}/compiler/include/net2c/plugin.h)
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  if(header MATCHES "\\.h$")
    string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" code "${text}")
    string(REGEX REPLACE "[ \n]+" " " code "${code}")
    string(APPEND said "${code}")
  endif()
  if(header MATCHES "/")
    string(REGEX REPLACE "(# *include \")([a-z]+/)" "\\1../\\2" text "${text}")
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/include/net2c/${header} CONTENT "${text}" @ONLY)
endforeach()
string(SHA256 number "${said}")
string(SUBSTRING ${number} 0 16 number)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/include/net2c/abi.h CONTENT
"/* net2c/abi.h: what the headers beside this one say, as a number; see plugin.h. */
#define NET2C_PLUGIN_ABI UINT64_C(0x@number@)
" @ONLY)
