// Where the interpreter's weights come from.
#pragma once

#include "compiler/support/ModelMoments.h"
#include "compiler/support/ModelWeights.h"

namespace llmc {

// Rows of one weight value, decoded to float32 when asked for: a matrix is never kept whole.
class WeightRows {
public:
  virtual ~WeightRows() = default;
  virtual int64_t rows() const = 0; // 1 for a vector; of experts: those of all, expert after expert
  virtual int64_t columns() const = 0;
  virtual void decode(int64_t row, llvm::MutableArrayRef<float> out) const = 0; // `out` has `columns()` elements
  // Told of the inputs, [T, columns()], of each product with rows from `firstRow` on: for those who measure them.
  virtual void observe(llvm::ArrayRef<float> inputs, int64_t firstRow) const {}
};

class WeightSource {
public:
  virtual ~WeightSource() = default;
  // Entry `index` of the weight array; of the shape that it declares.
  virtual llvm::Expected<std::shared_ptr<const WeightRows>> load(llm::WeightOp weight, int64_t index) = 0;
};

// The files that a module names. Keeps them mapped.
class FileWeightSource : public WeightSource {
public:
  static llvm::Expected<std::unique_ptr<FileWeightSource>> open(mlir::ModuleOp module, llvm::StringRef moduleDirectory,
                                                                bool allowOutside = false);
  llvm::Expected<std::shared_ptr<const WeightRows>> load(llm::WeightOp weight, int64_t index) override;

private:
  std::unique_ptr<ModelWeights> weights;
  std::unique_ptr<ModelMoments> moments; // of a calibrated module
};

} // namespace llmc
