# What `cmake --install` copies, and find_package(llmc) from an installation (lib/cmake/llmc) and from the build tree.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(LLMC_INSTALL_HEADERS ${CMAKE_INSTALL_INCLUDEDIR}/llmc-compiler) # included as in the tree: "dialects/llm/LLM.h"
set(LLMC_INSTALL_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/llmc)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/runtime/include/llmc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(tool llmc llmc-opt llmc-run llmc-reduce llmc-lsp-server)
  if(TARGET ${tool})
    set_target_properties(${tool} PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}" INSTALL_RPATH_USE_LINK_PATH ON)
    install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL) # a partial build has some
  endif()
endforeach()
if(NOT TARGET llmc-compiler)
  return()
endif()

set_target_properties(llmc-compiler PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS llmc-compiler LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(tree ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}) # the second holds what mlir-tblgen wrote
  foreach(folder dialects passes compiler runtime)
    install(DIRECTORY ${tree}/${folder} DESTINATION ${LLMC_INSTALL_HEADERS} FILES_MATCHING
            PATTERN "*.h" PATTERN "*.td" PATTERN "*.h.inc" PATTERN "CMakeFiles" EXCLUDE PATTERN "testdata" EXCLUDE)
  endforeach()
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/cmake/expected-cxx20.h DESTINATION ${LLMC_INSTALL_HEADERS}/cmake)

# The version of MLIR as find_package wants it: major.minor.
string(REGEX MATCH "^[0-9]+\\.[0-9]+" LLMC_MLIR_VERSION "${LLVM_PACKAGE_VERSION}")

# From the build tree.
set(LLMC_PACKAGE_INIT "")
set(LLMC_PACKAGE_LIBRARY "${CMAKE_BINARY_DIR}/lib/libllmc-compiler.so")
set(LLMC_PACKAGE_INCLUDES "\"${CMAKE_SOURCE_DIR}\" \"${CMAKE_BINARY_DIR}\" \"${CMAKE_SOURCE_DIR}/runtime/include\"")
set(LLMC_PACKAGE_EXPECTED "${CMAKE_SOURCE_DIR}/cmake/expected-cxx20.h")
set(LLMC_PACKAGE_BIN "${CMAKE_BINARY_DIR}/bin")
configure_file(${CMAKE_SOURCE_DIR}/compiler/cmake/llmcConfig.cmake.in ${CMAKE_BINARY_DIR}/llmcConfig.cmake @ONLY)

# From an installation, which may be moved: paths are relative to the package.
file(RELATIVE_PATH up "/${LLMC_INSTALL_PACKAGE}" "/")
set(LLMC_PACKAGE_INIT "get_filename_component(LLMC_PREFIX \"\${CMAKE_CURRENT_LIST_DIR}/${up}\" ABSOLUTE)")
set(LLMC_PACKAGE_LIBRARY "\${LLMC_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libllmc-compiler.so")
set(LLMC_PACKAGE_INCLUDES "\"\${LLMC_PREFIX}/${LLMC_INSTALL_HEADERS}\" \"\${LLMC_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\"")
set(LLMC_PACKAGE_EXPECTED "\${LLMC_PREFIX}/${LLMC_INSTALL_HEADERS}/cmake/expected-cxx20.h")
set(LLMC_PACKAGE_BIN "\${LLMC_PREFIX}/${CMAKE_INSTALL_BINDIR}")
configure_file(${CMAKE_SOURCE_DIR}/compiler/cmake/llmcConfig.cmake.in ${CMAKE_BINARY_DIR}/package/llmcConfig.cmake @ONLY)

write_basic_package_version_file(${CMAKE_BINARY_DIR}/llmcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/llmcConfig.cmake ${CMAKE_BINARY_DIR}/llmcConfigVersion.cmake
        DESTINATION ${LLMC_INSTALL_PACKAGE})
