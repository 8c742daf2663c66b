# net2c_add_network(TARGET MODEL model.yaml WEIGHTS weights.safetensors
#                   [ISA row...] [BATCH size...] [WEIGHTS_AS file|incbin] [OPTIONS option...])
#
# Adds the static library TARGET: the model as C, compiled by net2c when the project is built, and
# again when model, weights or net2c change. Whoever links it may write #include "TARGET.h" and is
# linked with the runtime too.
#
#   ISA          instruction sets, best first            --isa=a,b
#   BATCH        items computed at a time                --batch=a,b
#   OPTIONS      further options for net2c compile
#   WEIGHTS_AS   file (the default): TARGET.n2w is for the program to map or read; its path is the
#                target's property NET2C_WEIGHTS_FILE.
#                incbin: the weights are linked in. TARGET_weights.h declares them as the array
#                NAME_weights, aligned to a page, where NAME is the name in the model.
#
# Relative paths are relative to the current source folder. The program that runs is
# NET2C_EXECUTABLE if that is set, else the net2c of this package, or, when cross compiling, the
# first net2c in PATH: it must run on this machine, whatever the machine the code is made for.
# The generated code is compiled with -O2 in every configuration; a target_compile_options(TARGET
# PRIVATE ...) of the caller comes after it and wins. Without C among the project's languages it
# is compiled as C++.

cmake_policy(PUSH)
cmake_policy(VERSION 3.18...3.25)

# A model is a single file, hence model and weights are all the sources there are.
function(net2c_add_network target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODEL;WEIGHTS;WEIGHTS_AS" "ISA;BATCH;OPTIONS")
  net2c_check_arguments()
  net2c_find_program(program)
  get_filename_component(model ${arg_MODEL} ABSOLUTE)
  get_filename_component(weights ${arg_WEIGHTS} ABSOLUTE)
  set(options ${arg_OPTIONS})
  foreach(word ISA BATCH)
    if(arg_${word})
      string(TOLOWER ${word} option)
      string(REPLACE ";" "," values "${arg_${word}}")
      list(APPEND options --${option}=${values})
    endif()
  endforeach()

  set(base ${CMAKE_CURRENT_BINARY_DIR}/net2c/${target})
  add_custom_command(OUTPUT ${base}.c ${base}.h ${base}.n2w ${base}.json
      COMMAND ${program} compile ${model} -w ${weights} -o ${base} --quiet ${options}
      DEPENDS ${model} ${weights} ${program}
      COMMENT "net2c: ${target} from ${arg_MODEL}" VERBATIM)
  set(sources ${base}.c)
  if(arg_WEIGHTS_AS STREQUAL "incbin")
    net2c_link_weights(${base})
    list(APPEND sources ${base}_weights.c)
  endif()

  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages)
    set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX)
  endif()
  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES NET2C_WEIGHTS_FILE ${base}.n2w UNITY_BUILD OFF)
  target_compile_options(${target} PRIVATE -O2)
  target_include_directories(${target} PUBLIC
      $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}/net2c>)
  target_link_libraries(${target} PUBLIC net2c::rt)
endfunction()

# Every mistake in the call, as its caller's error. A macro: it looks at the caller's arguments.
macro(net2c_check_arguments)
  set(problems)
  foreach(word MODEL WEIGHTS)
    if(NOT arg_${word})
      string(APPEND problems "\n  ${word} and a file are missing")
    endif()
  endforeach()
  if(NOT arg_WEIGHTS_AS)
    set(arg_WEIGHTS_AS file)
  elseif(NOT arg_WEIGHTS_AS MATCHES "^(file|incbin)$")
    string(APPEND problems "\n  WEIGHTS_AS is file or incbin, not '${arg_WEIGHTS_AS}'")
  elseif(arg_WEIGHTS_AS STREQUAL "incbin" AND (APPLE OR WIN32))
    string(APPEND problems "\n  WEIGHTS_AS incbin is for ELF systems; use WEIGHTS_AS file")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    string(APPEND problems "\n  not understood: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_KEYWORDS_MISSING_VALUES)
    string(APPEND problems "\n  without a value: ${arg_KEYWORDS_MISSING_VALUES}")
  endif()
  if(problems)
    message(FATAL_ERROR "net2c_add_network(${target}):${problems}")
  endif()
endmacro()

# A net2c that runs on this machine: a path, or the target of this package.
function(net2c_find_program result)
  if(NOT NET2C_EXECUTABLE AND TARGET net2c::net2c AND NOT CMAKE_CROSSCOMPILING)
    set(${result} net2c::net2c PARENT_SCOPE)
    return()
  endif()
  find_program(NET2C_EXECUTABLE net2c NO_CMAKE_FIND_ROOT_PATH DOC "net2c for this machine")
  if(NOT NET2C_EXECUTABLE)
    message(FATAL_ERROR "net2c_add_network: no net2c that runs on this machine;"
        " set NET2C_EXECUTABLE to its path")
  endif()
  set(${result} ${NET2C_EXECUTABLE} PARENT_SCOPE)
endfunction()

# BASE_weights.c and .h: BASE.n2w as an array. Link-time optimisation, which does not see symbols
# that are defined in assembly, is off for that file.
set(NET2C_LINK_WEIGHTS ${CMAKE_CURRENT_LIST_DIR}/net2c_link_weights.cmake CACHE INTERNAL "")
function(net2c_link_weights base)
  add_custom_command(OUTPUT ${base}_weights.c ${base}_weights.h
      COMMAND ${CMAKE_COMMAND} -DBASE=${base} -P ${NET2C_LINK_WEIGHTS}
      DEPENDS ${base}.h ${NET2C_LINK_WEIGHTS} VERBATIM)
  set_source_files_properties(${base}_weights.c PROPERTIES
      OBJECT_DEPENDS "${base}.n2w;${base}.h;${base}_weights.h" COMPILE_OPTIONS -fno-lto)
endfunction()

cmake_policy(POP)
