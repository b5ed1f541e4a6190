// The operands of #tile.linear by name, and what its epilogue makes of a result: of the 16 of a panel in a vector, or of one in a thread.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

namespace llmc::kernels {

mlir::RankedTensorType weightType(tile::LinearAttr kernel, size_t weight);
llvm::SmallVector<llm::Format> formatsOf(mlir::RankedTensorType weight); // that layers may have

struct LinearOperands {
  LinearOperands(KernelBuilder &b, tile::LinearAttr kernel);

  KernelBuilder &b;
  tile::LinearAttr kernel;
  Value tokens, x, scratch;
  Values weights, formats, biases, results;
  Value residual; // or null

  mlir::RankedTensorType type(unsigned weight) const { return weightType(kernel, weight); }
  int64_t inputs() const { return type(0).getShape()[1]; }
  int64_t outputs(unsigned weight) const { return type(weight).getShape()[0]; }
  int64_t tiles(unsigned weight) const { return (tile::panelCount(outputs(weight)) + kernel.getPanels() - 1) / kernel.getPanels(); }

  // Emits `body` for each weight that tiles go by: those of weight 0 come first, then those of weight 1, …; `tile` counts within its weight.
  void ofWeight(llvm::function_ref<void(unsigned weight, Value tile)> body) { ofWeight(0, b.argument(0), body); }
  // Emits `body` for the format that this layer's weight has.
  void anyFormat(unsigned weight, llvm::function_ref<void(llm::Format)> body);

  // Of results with their bias: activation and gate; `other` emits the second weight's.
  Value activated(Value first, llvm::function_ref<Value()> other);
  Value limited(Value logits); // scaled, then capped
  Value keysOf(Value results); // see dialects/tile/Layout.h

private:
  void ofWeight(unsigned weight, Value tile, llvm::function_ref<void(unsigned, Value)> body);
  Value limitedUnit(Value gate, Value up);
};

} // namespace llmc::kernels
