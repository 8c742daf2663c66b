# What cmake --install puts where: the program, the libraries with their headers, those for passes
# from outside, the files by which CMake and pkg-config find them, documents and examples. Everything
# refers to its neighbours by relative paths, so the tree may be installed to any prefix and moved
# later.

include(CMakePackageConfigHelpers)

set(NET2C_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/net2c)
set(NET2C_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(NET2C_BUILD_COMPILER)
  install(TARGETS net2c net2c_library EXPORT net2cTargets
      RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${NET2C_STATIC} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${NET2C_HEADER} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/net2c)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/include/net2c
      DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  # The manual page and completion come from the program's own table of options.
  if(NOT CMAKE_CROSSCOMPILING)
    set(NET2C_MAN ${PROJECT_BINARY_DIR}/net2c.1)
    set(NET2C_COMPLETION ${PROJECT_BINARY_DIR}/completion/net2c)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/completion)
    add_custom_command(OUTPUT ${NET2C_MAN} ${NET2C_COMPLETION} DEPENDS net2c
        COMMAND net2c man > ${NET2C_MAN}
        COMMAND net2c completion bash > ${NET2C_COMPLETION})
    add_custom_target(net2c_man ALL DEPENDS ${NET2C_MAN} ${NET2C_COMPLETION})
    install(FILES ${NET2C_MAN} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${NET2C_COMPLETION} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  endif()
endif()
install(TARGETS net2c_rt EXPORT net2cTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES runtime/include/net2c_rt.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

configure_package_config_file(cmake/net2cConfig.cmake.in ${PROJECT_BINARY_DIR}/net2cConfig.cmake
    INSTALL_DESTINATION ${NET2C_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/net2cConfigVersion.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(EXPORT net2cTargets NAMESPACE net2c:: DESTINATION ${NET2C_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/net2cConfig.cmake
    ${PROJECT_BINARY_DIR}/net2cConfigVersion.cmake
    cmake/net2c_add_network.cmake
    DESTINATION ${NET2C_CMAKE_DIR})

string(REGEX REPLACE "[^/]+" ".." NET2C_PC_PREFIX ${NET2C_PKGCONFIG_DIR})
set(NET2C_PACKAGES net2c_rt)
if(NET2C_BUILD_COMPILER)
  list(APPEND NET2C_PACKAGES net2c)
endif()
foreach(package ${NET2C_PACKAGES})
  configure_file(cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${NET2C_PKGCONFIG_DIR})
endforeach()

install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.png")
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
