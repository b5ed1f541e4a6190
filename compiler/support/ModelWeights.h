// Finds the weights that a module declares in the files that it names, and checks each against its declaration.
//
//   auto weights = ModelWeights::open(module, directory);
//   auto slices = (*weights)->find(weightOp, /*index=*/3);
//   (*slices)[0].decodeRow(7, row);
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

// One vector or matrix of a weight array (of experts: of one expert): rows of a matrix in a file, or of its transpose.
struct WeightSlice {
  Format format = Format::F32;
  const std::byte *data = nullptr; // of the file's matrix, or of the vector's first element
  int64_t rows = 0;                // N of [N, K]; 1 for a vector
  int64_t columns = 0;             // K; the length of a vector
  // Runs of `run` rows begin every `step` rows of the (transposed) matrix in the file, the first at `firstRow`.
  int64_t firstRow = 0, step = 1, run = 1;
  bool transpose = false;
  int64_t width = 0; // of a transposed matrix: columns in the file, [K, width]
  bool isScattered = false; // a vector of floats: element i is that of fileRow(i)

  int64_t fileRow(int64_t row) const { return firstRow + row / run * step + row % run; }
  // Where row `row` begins; not for a transposed matrix.
  const std::byte *rowData(int64_t row) const;
  // Row `row` as float32, exactly; `out` has `columns` elements.
  void decodeRow(int64_t row, std::span<float> out) const;
};

class ModelWeights {
public:
  // Opens the assets of kind `weights` (compiler/support/ModelFiles.h says which paths are allowed).
  static llvm::Expected<std::unique_ptr<ModelWeights>> open(mlir::ModuleOp module, llvm::StringRef moduleDirectory,
                                                            bool allowOutside = false);

  // Entry `index` of the array, as the file stores it: one slice, or one for each expert. Errors: InvalidInput, naming file, tensor, wanted and
  // got, if a tensor is missing, in two files, or not of the declared format and shape.
  llvm::Expected<llvm::SmallVector<WeightSlice, 1>> find(llm::WeightOp weight, int64_t index) const;

  llvm::ArrayRef<std::unique_ptr<TensorFile>> getFiles() const { return files; }

private:
  llvm::Expected<std::pair<const TensorFile *, const TensorView *>> tensor(llm::WeightOp weight, const std::string &name) const;
  std::vector<std::unique_ptr<TensorFile>> files;
};

} // namespace llmc
