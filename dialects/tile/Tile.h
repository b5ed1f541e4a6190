// The `tile` dialect: what lies between `llm` and LLVM.
#pragma once

#include "dialects/llm/LLM.h"
#include "dialects/tile/KernelWork.h"
#include "dialects/tile/Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "dialects/tile/TileDialect.h.inc"
#include "dialects/tile/TileEnums.h.inc"

#include "dialects/tile/TileInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttributes.h.inc"
#define GET_OP_CLASSES
#include "dialects/tile/TileOps.h.inc"

namespace llmc::tile {

// Where the fields of `struct llmc_step` (runtime/artifact/Artifact.h) lie.
struct StepField {
  llvm::StringRef name;
  int64_t offset;
  bool isPointer; // else i64
};
const StepField *stepField(llvm::StringRef name);

} // namespace llmc::tile
