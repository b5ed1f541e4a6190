#include "compiler/support/ModelWeights.h"

#include "compiler/support/ModelFiles.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/StoredFormat.h"
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
static_assert(static_cast<int>(llm::Format::mxfp4) == static_cast<int>(Format::MXFP4));

Format llmc::storageFormat(llm::Format format) { return static_cast<Format>(format); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static void decodeColumn(const WeightSlice &slice, int64_t column, std::span<float> out) {
  int64_t bytes = formatInfo(slice.format).blockBytes;
  for (size_t i = 0; i < out.size(); ++i)
    llmc::decodeRow(slice.format, slice.data + (i * slice.width + column) * bytes, out.subspan(i, 1));
}

const std::byte *WeightSlice::rowData(int64_t row) const {
  FormatInfo info = formatInfo(format);
  return data + fileRow(row) * (columns / info.blockElements) * info.blockBytes;
}

static void gather(const WeightSlice &slice, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i)
    llmc::decodeRow(slice.format, slice.data + slice.fileRow(i) * formatInfo(slice.format).blockBytes, out.subspan(i, 1));
}

void WeightSlice::decodeRow(int64_t row, std::span<float> out) const {
  if (isScattered)
    gather(*this, out);
  else if (transpose)
    decodeColumn(*this, fileRow(row), out);
  else
    llmc::decodeRow(format, rowData(row), out);
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

// The shape that the file's tensor must have; -1 is free (`rows` takes a part of it).
static SmallVector<int64_t> fileShape(llm::WeightOp weight) {
  SmallVector<int64_t> shape(weight.getWeights().getShape());
  if (shape.size() == 3 && weight.hasExpertTensors())
    shape.erase(shape.begin());
  size_t rows = shape.size() < 2 ? 0 : shape.size() - 2;
  if (weight.getRows())
    shape[rows] = -1;
  if (weight.getColumns())
    shape[rows + 1] = -1;
  if (weight.getTranspose())
    std::swap(shape[rows], shape[rows + 1]);
  return shape;
}

// The matrix (or vector) of `expert` in a tensor that fits; its rows are those that `rows` says.
static llvm::Expected<WeightSlice> slice(llm::WeightOp weight, const TensorFile &file, const TensorView &tensor,
                                         Format format, int64_t expert) {
  auto wrong = [&](const std::string &want, const std::string &got) {
    return makeError(ErrorCode::InvalidInput,
                     file.path() + ": " + quoteText(tensor.name) + ": want " + want + ", got " + got);
  };
  FormatInfo info = formatInfo(format);
  std::string got = shapeText(formatInfo(tensor.format).name, tensor.shape);
  SmallVector<int64_t> want = fileShape(weight);
  ArrayRef<int64_t> shape = weight.getWeights().getShape();
  bool isVector = shape.size() == 1, isStack = shape.size() == 3;
  if (tensor.format != format || !holdsShape(tensor, want))
    return wrong(shapeText(info.name, want), got);
  int64_t elements = tensor.elements() / (isStack && !weight.hasExpertTensors() ? shape[0] : 1); // of one matrix
  WeightSlice result{.format = format, .data = tensor.data.data(), .rows = isVector ? 1 : shape[shape.size() - 2],
                     .columns = shape.back(), .transpose = weight.getTranspose(), .width = elements / shape.back()};
  if (isStack && !weight.hasExpertTensors())
    result.data += expert * (elements / info.blockElements) * info.blockBytes;
  if (std::optional<ArrayRef<int64_t>> columns = weight.getColumns()) {
    result.width = result.rows;
    if ((*columns)[1] > elements / result.width)
      return wrong("at least " + std::to_string((*columns)[1]) + " rows", got);
    result.data += (*columns)[0] * result.width * info.blockBytes;
  }
  if (std::optional<ArrayRef<int64_t>> rows = weight.getRows()) {
    int64_t inFile = isVector ? elements : result.width;
    if ((*rows)[1] > inFile)
      return wrong("at least " + std::to_string((*rows)[1]) + " rows", got);
    if (isVector && info.blockElements != 1)
      return wrong("a float vector where 'rows' takes a part", got);
    if (isVector && rows->size() == 2)
      result.data += (*rows)[0] * info.blockBytes;
    else
      result.isScattered = isVector, result.firstRow = (*rows)[0], result.step = rows->size() > 2 ? (*rows)[2] : 1, result.run = rows->size() > 3 ? (*rows)[3] : 1;
  }
  return result;
}

llvm::Expected<std::pair<const TensorFile *, const TensorView *>> ModelWeights::tensor(llm::WeightOp weight,
                                                                                       const std::string &name) const {
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
  return std::pair(in, tensor);
}

// Numbers of the module itself, which outlives whoever reads them.
static WeightSlice slice(llm::WeightOp weight, ArrayRef<float> values) {
  WeightSlice result{.format = Format::F32, .data = reinterpret_cast<const std::byte *>(values.data()), .rows = 1,
                     .columns = weight.getWeights().getShape()[0], .isScattered = true};
  result.step = values.size() > 1;
  return result;
}

llvm::Expected<SmallVector<WeightSlice, 1>> ModelWeights::find(llm::WeightOp weight, int64_t index) const {
  if (std::optional<ArrayRef<float>> values = weight.getValues())
    return SmallVector<WeightSlice, 1>{slice(weight, *values)};
  SmallVector<WeightSlice, 1> slices;
  for (int64_t expert = 0; expert < weight.getExperts(); ++expert) {
    auto found = tensor(weight, weight.sourceName(index, expert));
    if (!found)
      return found.takeError();
    auto matrix = slice(weight, *found->first, *found->second, storageFormat(llm::storedFormat(weight, index)), expert);
    if (!matrix)
      return matrix.takeError();
    slices.push_back(*matrix);
  }
  return slices;
}
