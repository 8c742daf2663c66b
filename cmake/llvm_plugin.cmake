# net2c_llvm.so: the part of the compiler that needs LLVM, 14 or later; nothing if there is none.
# llvm-config tells where it is: the one of -DNET2C_LLVM_CONFIG=..., or the newest that is found.

find_program(NET2C_LLVM_CONFIG NAMES llvm-config-22 llvm-config-21 llvm-config-20 llvm-config-19
    llvm-config-18 llvm-config-17 llvm-config-16 llvm-config-15 llvm-config-14 llvm-config)
mark_as_advanced(NET2C_LLVM_CONFIG)
if(NOT NET2C_LLVM_CONFIG)
  message(STATUS "No LLVM: without net2c_llvm.so, --backend=jit and --emit=llvm")
  return()
endif()

foreach(what version includedir ldflags libs system-libs)
  execute_process(COMMAND ${NET2C_LLVM_CONFIG} --${what}
      OUTPUT_VARIABLE llvm_${what} OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  separate_arguments(llvm_${what} UNIX_COMMAND "${llvm_${what}}")
endforeach()
# llvm-config may be there without the headers.
if(llvm_version VERSION_LESS 14 OR NOT EXISTS ${llvm_includedir}/llvm-c/LLJIT.h)
  message(STATUS "No LLVM >= 14 with its development files: without net2c_llvm.so")
  return()
endif()
message(STATUS "net2c_llvm.so with LLVM ${llvm_version}")

add_library(net2c_llvm MODULE ${NET2C_LLVM_SOURCES})
set_target_properties(net2c_llvm PROPERTIES PREFIX "")
target_include_directories(net2c_llvm SYSTEM PRIVATE ${llvm_includedir})
target_compile_options(net2c_llvm PRIVATE ${NET2C_WARNINGS})
target_compile_definitions(net2c_llvm PRIVATE NET2C_VERSION="${PROJECT_VERSION}")
# Its copy of the compiler's own functions is nobody else's.
target_link_libraries(net2c_llvm PRIVATE net2c_core ${llvm_ldflags} ${llvm_libs}
    ${llvm_system-libs} -Wl,--exclude-libs,ALL -Wl,--as-needed)
if(NET2C_INSTALL)
  install(TARGETS net2c_llvm LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/net2c)
endif()
