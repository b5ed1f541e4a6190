// The one builder of `llm` modules: reads a model's numbers and its family's row, and writes the graph.
#pragma once

#include "frontends/Checkpoint.h"
#include "frontends/Model.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace llmc::frontends {

// A file that the module names; `path` as the module shall print it.
struct Asset {
  llm::AssetKind kind;
  std::string path;
};

// Builds the module. The number of ops does not depend on the number of layers. Reports tensors that are missing, of a
// wrong shape, or left over; the module is of use only if `report` stays ok.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext &context, const Model &model, Checkpoint &checkpoint,
                                              llvm::ArrayRef<Asset> assets, Report &report);

} // namespace llmc::frontends
