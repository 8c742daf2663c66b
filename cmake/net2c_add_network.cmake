# net2c_add_network(TARGET MODEL model.yaml WEIGHTS weights.safetensors
#                   [ISA row...] [BATCH size...] [WEIGHTS_AS file|incbin|array]
#                   [OPTIONS option...])
#
# Adds the static library TARGET: the model as C, compiled by net2c when the project is built, and
# again when net2c or a file that it read changes. Whoever links it may write #include "TARGET.h" and is
# linked with the runtime too.
#
#   ISA          instruction sets, best first            --isa=a,b
#   BATCH        items computed at a time                --batch=a,b
#   OPTIONS      further options for net2c compile
#   WEIGHTS_AS   file (the default): TARGET.n2w is for the program to map or read; its path is the
#                target's property NET2C_WEIGHTS_FILE.
#                incbin: the weights are linked in; TARGET.h declares them as the array NAME_weights,
#                where NAME is the name in the model.
#                array: the same as C text, for at most 64 KiB
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
  set(sources ${base}.c)
  if(arg_WEIGHTS_AS STREQUAL "incbin")
    list(APPEND sources ${base}_weights.S)
  elseif(arg_WEIGHTS_AS STREQUAL "array")
    list(APPEND sources ${base}_weights.c)
  endif()
  # Before 3.20, not every generator can read which files net2c has read.
  set(depfile)
  if(NOT CMAKE_VERSION VERSION_LESS 3.20)
    set(depfile DEPFILE ${base}.d)
  endif()
  add_custom_command(OUTPUT ${sources} ${base}.h ${base}.n2w ${base}.json
      COMMAND ${program} compile ${model} -w ${weights} -o ${base} --quiet
          --weights-as=${arg_WEIGHTS_AS} -MD ${options}
      DEPENDS ${model} ${weights} ${program} ${depfile}
      COMMENT "net2c: ${target} from ${arg_MODEL}" VERBATIM)

  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if("C" IN_LIST languages)
    set(language C)
  else()
    set(language CXX)
  endif()
  set_source_files_properties(${sources} PROPERTIES LANGUAGE ${language})
  # Assembly by the C or C++ compiler, so that the project needs no further language; without
  # link-time optimisation, which does not see symbols that are defined in assembly.
  set_source_files_properties(${base}_weights.S PROPERTIES OBJECT_DEPENDS ${base}.n2w
      COMPILE_OPTIONS "-xassembler-with-cpp;-I${CMAKE_CURRENT_BINARY_DIR}/net2c;-fno-lto")
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
  elseif(NOT arg_WEIGHTS_AS MATCHES "^(file|incbin|array)$")
    string(APPEND problems "\n  WEIGHTS_AS is file, incbin or array, not '${arg_WEIGHTS_AS}'")
  elseif(arg_WEIGHTS_AS STREQUAL "incbin" AND (APPLE OR WIN32))
    string(APPEND problems "\n  WEIGHTS_AS incbin is for ELF systems; use file or array")
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

cmake_policy(POP)
