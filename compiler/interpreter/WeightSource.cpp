#include "compiler/interpreter/WeightSource.h"

using namespace llmc;

namespace {
// The rows of slices of one shape, those of one after those of another.
class SliceRows : public WeightRows {
public:
  explicit SliceRows(llvm::SmallVector<WeightSlice, 1> slices) : slices(std::move(slices)) {}
  int64_t rows() const override { return slices.size() * slices[0].rows; }
  int64_t columns() const override { return slices[0].columns; }
  void decode(int64_t row, llvm::MutableArrayRef<float> out) const override {
    slices[row / slices[0].rows].decodeRow(row % slices[0].rows, {out.data(), out.size()});
  }

private:
  llvm::SmallVector<WeightSlice, 1> slices;
};
} // namespace

llvm::Expected<std::unique_ptr<FileWeightSource>>
FileWeightSource::open(mlir::ModuleOp module, llvm::StringRef moduleDirectory, bool allowOutside) {
  auto weights = ModelWeights::open(module, moduleDirectory, allowOutside);
  if (!weights)
    return weights.takeError();
  auto source = std::make_unique<FileWeightSource>();
  source->weights = std::move(*weights);
  return source;
}

llvm::Expected<std::shared_ptr<const WeightRows>> FileWeightSource::load(llm::WeightOp weight, int64_t index) {
  auto slices = weights->find(weight, index);
  if (!slices)
    return slices.takeError();
  return std::make_shared<SliceRows>(std::move(*slices));
}
