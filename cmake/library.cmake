# The compiler as a library, libnet2c.so and libnet2c.a: what compiler/driver/library.c needs of
# net2c_core, and of it only the functions of net2c.h are to be seen.

set(NET2C_HEADER ${PROJECT_SOURCE_DIR}/compiler/include/net2c/net2c.h)
file(STRINGS ${NET2C_HEADER} NET2C_ABI REGEX "^#define NET2C_ABI ")
string(REGEX MATCH "[0-9]+$" NET2C_ABI "${NET2C_ABI}")

add_library(net2c_library SHARED ${PROJECT_SOURCE_DIR}/compiler/driver/library.c)
add_library(net2c::compiler ALIAS net2c_library)
set_target_properties(net2c_library PROPERTIES OUTPUT_NAME net2c SOVERSION ${NET2C_ABI}
    EXPORT_NAME compiler)
target_include_directories(net2c_library INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/compiler/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_options(net2c_library PRIVATE ${NET2C_WARNINGS})
target_compile_definitions(net2c_library PRIVATE NET2C_VERSION="${PROJECT_VERSION}")
target_link_libraries(net2c_library PRIVATE net2c_core)
target_link_options(net2c_library PRIVATE LINKER:--exclude-libs,ALL)

# One object of all that is needed, so that its inner names can be made local.
set(NET2C_STATIC ${PROJECT_BINARY_DIR}/libnet2c.a)
add_custom_command(OUTPUT ${NET2C_STATIC} DEPENDS net2c_core
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -Wl,-u,net2c_compile -o libnet2c.o
        $<TARGET_FILE:net2c_core>
    COMMAND ${CMAKE_OBJCOPY} -w --keep-global-symbol=net2c_* libnet2c.o
    COMMAND ${CMAKE_COMMAND} -E rm -f ${NET2C_STATIC}
    COMMAND ${CMAKE_AR} rcs ${NET2C_STATIC} libnet2c.o
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR} VERBATIM)
add_custom_target(net2c_static ALL DEPENDS ${NET2C_STATIC})
