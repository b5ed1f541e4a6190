// What verifiers and costs ask of operands.
#pragma once

#include "dialects/llm/LLM.h"

#include <cmath>

namespace llmc::llm {

inline int64_t channels(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()).getShape().back(); }
inline bool hasShape(mlir::Value value, llvm::ArrayRef<int64_t> shape) {
  return llvm::cast<mlir::RankedTensorType>(value.getType()).getShape() == shape;
}
inline bool isVector(mlir::Value value, int64_t size) { return hasShape(value, {size}); }
inline int64_t rows(mlir::Value weight) { return llvm::cast<mlir::RankedTensorType>(weight.getType()).getShape()[0]; }
inline bool isPositive(double value) { return std::isfinite(value) && value > 0; }
inline bool isPositive(const llvm::APFloat &value) { return isPositive(value.convertToDouble()); }

} // namespace llmc::llm
