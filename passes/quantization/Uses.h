// What weights are read for, and which of them read the same inputs: what --llm-quantize and calibration (compiler/driver/Calibrate.h)
// agree on. Of a module in which each op stands once: before the phase `specialize`.
#pragma once

#include "dialects/llm/LLM.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace llmc {

struct WeightUse {
  bool asProduct = false; // the matrix of llm.linear or llm.experts
  bool asTable = false;   // of tokens
  bool otherwise = false; // as anything else, or for what leads to llm.route
  llvm::SmallVector<llm::WeightLoadOp> loads;

  bool isQuantisable() const { return !otherwise && (asProduct || asTable); }
  // A table's rows are looked up too: their own error counts, not a product's.
  bool isProductAlone() const { return asProduct && !otherwise && !asTable; }
};

// Weights of one float format with two dimensions or more.
bool isFloatMatrix(llm::WeightOp weight);

// Of every weight, in the module's order.
llvm::MapVector<mlir::Operation *, WeightUse> weightUses(mlir::ModuleOp module);

// For float matrices that are read for products alone, the weight under whose name the inputs of the product are known: their own, or
// that of a weight which one op multiplies with the same inputs.
llvm::MapVector<mlir::Operation *, llm::WeightOp> productInputs(mlir::ModuleOp module);

} // namespace llmc
