#include "compiler/interpreter/WeightSource.h"

using namespace llmc;

namespace {
class SliceRows : public WeightRows {
public:
  explicit SliceRows(WeightSlice slice) : slice(slice) {}
  int64_t rows() const override { return slice.rows; }
  int64_t columns() const override { return slice.columns; }
  void decode(int64_t row, llvm::MutableArrayRef<float> out) const override {
    slice.decodeRow(row, {out.data(), out.size()});
  }

private:
  WeightSlice slice;
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
  llvm::Expected<WeightSlice> slice = weights->find(weight, index);
  if (!slice)
    return slice.takeError();
  return std::make_shared<SliceRows>(*slice);
}
