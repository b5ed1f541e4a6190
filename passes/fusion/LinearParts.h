// The operands, attributes and result types of an llm.linear, to be changed and built anew.
#pragma once

#include "dialects/llm/LLM.h"

namespace llmc {

struct LinearParts {
  mlir::Value x;
  llvm::SmallVector<mlir::Value> weights, biases;
  mlir::Value normGain, normBias, residual; // null where absent
  llm::NormAttr norm;
  llm::ActivationAttr activation;
  bool glu = false;
  mlir::FloatAttr scale, softcap;
  bool topK = false;
  llvm::SmallVector<mlir::Type> results;

  explicit LinearParts(llm::LinearOp op);
  llm::LinearOp create(mlir::OpBuilder &builder, mlir::Location loc) const;
};

// True if nothing comes after the products and biases of `op` yet.
bool hasNoEpilogue(llm::LinearOp op);

} // namespace llmc
