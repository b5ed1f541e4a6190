#include "compiler/support/ModelWeights.h"

#include "compiler/support/ModelFiles.h"
#include "compiler/support/StatusBridge.h"
#include "runtime/support/Text.h"

using namespace mlir;
using namespace llmc;

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

// Both lists are in one order; the ends and the middle pin it.
static_assert(static_cast<int>(llm::Format::f32) == static_cast<int>(Format::F32));
static_assert(static_cast<int>(llm::Format::q8_0) == static_cast<int>(Format::Q8_0));
static_assert(static_cast<int>(llm::Format::q6_k) == static_cast<int>(Format::Q6_K));

Format llmc::storageFormat(llm::Format format) { return static_cast<Format>(format); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static void decodeColumn(const TensorView &tensor, int64_t column, std::span<float> out) {
  int64_t bytes = formatInfo(tensor.format).blockBytes, width = tensor.shape[1];
  for (size_t i = 0; i < out.size(); ++i)
    llmc::decodeRow(tensor.format, tensor.data.data() + (i * width + column) * bytes, out.subspan(i, 1));
}

void WeightSlice::decodeRow(int64_t row, std::span<float> out) const {
  if (transpose)
    return decodeColumn(*tensor, firstRow + row, out);
  FormatInfo info = formatInfo(tensor->format);
  int64_t first = tensor->shape.size() == 1 ? firstRow : (firstRow + row) * columns;
  llmc::decodeRow(tensor->format, tensor->data.data() + first / info.blockElements * info.blockBytes, out);
}

//===----------------------------------------------------------------------===//
// Tensors by declaration
//===----------------------------------------------------------------------===//

static std::string shapeText(std::string_view format, ArrayRef<int64_t> shape) {
  std::string text(format);
  text += '[';
  for (auto [i, dim] : llvm::enumerate(shape))
    text += (i ? "," : "") + std::to_string(dim);
  return text + ']';
}

llvm::Expected<std::unique_ptr<ModelWeights>> ModelWeights::open(ModuleOp module, StringRef moduleDirectory,
                                                                 bool allowOutside) {
  auto result = std::make_unique<ModelWeights>();
  for (auto asset : module.getOps<llm::AssetOp>()) {
    if (asset.getKind() != llm::AssetKind::weights)
      continue;
    llvm::Expected<std::string> path = resolveAsset(moduleDirectory, asset.getPath(), allowOutside);
    if (!path)
      return path.takeError();
    auto file = toLlvm(TensorFile::open(*path));
    if (!file)
      return file.takeError();
    result->files.push_back(std::move(*file));
  }
  return result;
}

// The shape that the file's tensor must have; a first dimension of -1 is free (`rows` takes a part of it).
static SmallVector<int64_t> fileShape(llm::WeightOp weight) {
  SmallVector<int64_t> shape(weight.getWeights().getShape());
  if (weight.getRows())
    shape[0] = -1;
  if (weight.getTranspose())
    std::swap(shape[0], shape[1]);
  return shape;
}

static bool fits(const TensorView &tensor, Format format, ArrayRef<int64_t> want) {
  if (tensor.format != format || tensor.shape.size() != want.size())
    return false;
  return llvm::all_of(llvm::zip(tensor.shape, want), [](auto pair) {
    auto [got, wanted] = pair;
    return wanted == -1 || got == wanted;
  });
}

static int64_t rowsInFile(const TensorView &tensor, bool transpose) { return tensor.shape[transpose ? 1 : 0]; }

static llvm::Expected<WeightSlice> slice(llm::WeightOp weight, const TensorFile &file, const TensorView &tensor,
                                         Format format) {
  auto wrong = [&](const std::string &want, const std::string &got) {
    return makeError(ErrorCode::InvalidInput,
                     file.path() + ": " + quoteText(tensor.name) + ": want " + want + ", got " + got);
  };
  std::string got = shapeText(formatInfo(tensor.format).name, tensor.shape);
  SmallVector<int64_t> want = fileShape(weight);
  if (!fits(tensor, format, want))
    return wrong(shapeText(formatInfo(format).name, want), got);
  ArrayRef<int64_t> shape = weight.getWeights().getShape();
  WeightSlice result{.tensor = &tensor, .rows = shape[0], .columns = shape.back(), .transpose = weight.getTranspose()};
  if (shape.size() == 1)
    result.rows = 1;
  if (std::optional<ArrayRef<int64_t>> rows = weight.getRows()) {
    result.firstRow = (*rows)[0];
    if ((*rows)[1] > rowsInFile(tensor, result.transpose))
      return wrong("at least " + std::to_string((*rows)[1]) + " rows", got);
    if (shape.size() == 1 && formatInfo(format).blockElements != 1)
      return wrong("a float vector where 'rows' takes a part", got);
  }
  return result;
}

llvm::Expected<WeightSlice> ModelWeights::find(llm::WeightOp weight, int64_t index) const {
  std::string name = weight.sourceName(index);
  const TensorFile *in = nullptr;
  const TensorView *tensor = nullptr;
  for (const std::unique_ptr<TensorFile> &file : files)
    if (const TensorView *found = file->find(name)) {
      if (in)
        return makeError(ErrorCode::InvalidInput,
                         in->path() + ": tensor " + quoteText(name) + " is also in " + file->path());
      in = file.get(), tensor = found;
    }
  if (!in)
    return makeError(ErrorCode::InvalidInput, "no tensor " + quoteText(name) +
                                                  " in the model's weight files, wanted by @" + weight.getSymName());
  return slice(weight, *in, *tensor, storageFormat(weight.formatOf(index)));
}
