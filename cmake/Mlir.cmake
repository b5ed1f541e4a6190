# LLVM/MLIR 22 as Debian packages them. Link the shared libraries `MLIR LLVM` only: static archives of MLIR must not
# come in beside libMLIR.so, or ops get two TypeIDs.
find_package(MLIR 22.1 REQUIRED CONFIG PATHS /usr/lib/llvm-22/lib/cmake/mlir)
find_package(LLD 22.1 REQUIRED CONFIG PATHS /usr/lib/llvm-22/lib/cmake/lld)
set(LLVM_RUNTIME_OUTPUT_INTDIR ${CMAKE_BINARY_DIR}/bin)
set(LLVM_LIBRARY_OUTPUT_INTDIR ${CMAKE_BINARY_DIR}/lib)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(LLVM_DEFINITIONS_LIST NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# Include paths and definitions of LLVM/MLIR, for the compile side only (the runtime never links this).
add_library(llmc-mlir INTERFACE)
target_include_directories(llmc-mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_compile_definitions(llmc-mlir INTERFACE ${LLVM_DEFINITIONS_LIST})
target_compile_options(llmc-mlir INTERFACE -Wno-unused-parameter "SHELL:-include ${CMAKE_SOURCE_DIR}/cmake/expected-cxx20.h")
target_link_libraries(llmc-mlir INTERFACE MLIR LLVM)

# Every header that mlir-tblgen writes is made before the first object of the compile side:
#   add_public_tablegen_target(llmc-llm-inc)
#   add_dependencies(llmc-tablegen llmc-llm-inc)
add_custom_target(llmc-tablegen)

# llmc_mlir_objects(NAME src...): an object library of the compile side with MLIR's precompiled header; every one of
# them is linked into libllmc-compiler.so (compiler/CMakeLists.txt).
set_property(GLOBAL PROPERTY LLMC_COMPILER_OBJECTS "")
function(llmc_mlir_objects NAME)
  add_library(${NAME} OBJECT ${ARGN})
  set_target_properties(${NAME} PROPERTIES CXX_STANDARD 20) # see expected-cxx20.h
  target_link_libraries(${NAME} PUBLIC llmc-mlir)
  add_dependencies(${NAME} llmc-tablegen)
  if(TARGET llmc-mlir-pch AND NOT NAME STREQUAL "llmc-mlir-pch")
    target_precompile_headers(${NAME} REUSE_FROM llmc-mlir-pch)
  endif()
  set_property(GLOBAL APPEND PROPERTY LLMC_COMPILER_OBJECTS ${NAME})
endfunction()
