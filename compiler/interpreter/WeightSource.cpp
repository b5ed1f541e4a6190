#include "compiler/interpreter/WeightSource.h"

#include "compiler/packing/Quantize.h"
#include "compiler/support/StatusBridge.h"

using namespace llmc;

namespace {
// The rows of slices of one shape, those of one after those of another.
class SliceRows : public WeightRows {
public:
  // As `format`, to which a file's floats are rounded where it is another. `moments`: of each slice, or none.
  SliceRows(llvm::SmallVector<WeightSlice, 1> slices, Format format, std::vector<std::optional<packing::Moments>> moments)
      : slices(std::move(slices)), format(format), moments(std::move(moments)) {}
  int64_t rows() const override { return slices.size() * slices[0].rows; }
  int64_t columns() const override { return slices[0].columns; }
  void decode(int64_t row, llvm::MutableArrayRef<float> out) const override {
    std::span<float> values(out.data(), out.size());
    slices[row / slices[0].rows].decodeRow(row % slices[0].rows, values);
    if (slices[0].format == format)
      return;
    std::vector<std::byte> rounded(values.size() / formatInfo(format).blockElements * formatInfo(format).blockBytes);
    const std::optional<packing::Moments> *known = moments.empty() ? nullptr : &moments[row / slices[0].rows];
    packing::quantizeRow(format, values, known && *known ? &**known : nullptr, rounded.data());
    decodeRow(format, rounded.data(), values);
  }

private:
  llvm::SmallVector<WeightSlice, 1> slices;
  Format format;
  std::vector<std::optional<packing::Moments>> moments;
};
} // namespace

llvm::Expected<std::unique_ptr<FileWeightSource>>
FileWeightSource::open(mlir::ModuleOp module, llvm::StringRef moduleDirectory, bool allowOutside) {
  auto weights = ModelWeights::open(module, moduleDirectory, allowOutside);
  if (!weights)
    return weights.takeError();
  auto moments = ModelMoments::openFor(module, moduleDirectory, allowOutside);
  if (!moments)
    return moments.takeError();
  auto source = std::make_unique<FileWeightSource>();
  source->weights = std::move(*weights);
  source->moments = std::move(*moments);
  return source;
}

llvm::Expected<std::shared_ptr<const WeightRows>> FileWeightSource::load(llm::WeightOp weight, int64_t index) {
  auto slices = weights->find(weight, index);
  if (!slices)
    return slices.takeError();
  Format format = storageFormat(weight.formatOf(index));
  if ((*slices)[0].format != format && !packing::canQuantize(format))
    return makeError(ErrorCode::Unsupported, "@" + weight.getSymName() + ": can't be quantised to " + formatInfo(format).name);
  std::vector<std::optional<packing::Moments>> known;
  for (size_t expert = 0; moments && expert < slices->size(); ++expert) {
    auto found = moments->find(weight, index, expert);
    if (!found)
      return found.takeError();
    known.push_back(*found);
  }
  return std::make_shared<SliceRows>(std::move(*slices), format, std::move(known));
}
