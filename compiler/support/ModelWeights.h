// Finds the weights that a module declares in the files that it names, and checks each against its declaration.
//
//   auto weights = ModelWeights::open(module, directory);
//   auto slice = (*weights)->find(weightOp, /*index=*/3);
//   (*slice).decodeRow(7, row);
//
// Thread-safe after opening. Files stay mapped as long as the object lives.
#pragma once

#include "dialects/llm/LLM.h"
#include "runtime/formats/TensorFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace llmc {

// The runtime's name of a format of the dialect.
Format storageFormat(llm::Format format);

// One entry of a weight array: rows of a tensor in a file, or of its transpose.
struct WeightSlice {
  const TensorView *tensor = nullptr;
  int64_t rows = 0;     // N of [N, K]; 1 for a vector
  int64_t columns = 0;  // K; the length of a vector
  int64_t firstRow = 0; // of the (transposed) matrix, or first element of a vector
  bool transpose = false;

  // Row `row` as float32, exactly; `out` has `columns` elements.
  void decodeRow(int64_t row, std::span<float> out) const;
};

class ModelWeights {
public:
  // Opens the assets of kind `weights` (compiler/support/ModelFiles.h says which paths are allowed).
  static llvm::Expected<std::unique_ptr<ModelWeights>> open(mlir::ModuleOp module, llvm::StringRef moduleDirectory,
                                                            bool allowOutside = false);

  // Entry `index` of the array. Errors: InvalidInput, naming file, tensor, wanted and got, if the tensor is missing, in
  // two files, or not of the declared format and shape.
  llvm::Expected<WeightSlice> find(llm::WeightOp weight, int64_t index) const;

  llvm::ArrayRef<std::unique_ptr<TensorFile>> getFiles() const { return files; }

private:
  std::vector<std::unique_ptr<TensorFile>> files;
};

} // namespace llmc
