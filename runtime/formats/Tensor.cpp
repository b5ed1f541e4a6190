#include "runtime/formats/Tensor.h"

#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include <algorithm>

namespace llmc {
namespace {

// In the order of Format.
constexpr FormatInfo formats[] = {
    {"f32", 1, 4},    {"f16", 1, 2},      {"bf16", 1, 2},     {"q4_0", 32, 18},   {"q5_0", 32, 22},
    {"q8_0", 32, 34}, {"q4_k", 256, 144}, {"q5_k", 256, 176}, {"q6_k", 256, 210}, {"q4_1", 32, 20},
    {"q5_1", 32, 24}, {"q2_k", 256, 84},  {"q3_k", 256, 110}, {"iq4_nl", 32, 18}, {"mxfp4", 32, 17},
};
static_assert(std::size(formats) == size_t(Format::MXFP4) + 1);

// As holdsShape, dimension by dimension. Tensors have at most eight, so the two ways to go on are few.
bool dimensionsFit(std::span<const int64_t> got, std::span<const int64_t> want) {
  if (!got.empty() && !want.empty() && (want[0] == -1 || want[0] == got[0]) &&
      dimensionsFit(got.subspan(1), want.subspan(1)))
    return true;
  if (!got.empty() && got[0] == 1 && dimensionsFit(got.subspan(1), want))
    return true;
  if (!want.empty() && want[0] == 1)
    return dimensionsFit(got, want.subspan(1));
  return got.empty() && want.empty();
}

} // namespace

const FormatInfo &formatInfo(Format format) { return formats[size_t(format)]; }

Expected<Format> parseFormat(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < std::size(formats); ++i) {
    if (formats[i].name == name)
      return Format(i);
    (known += i ? ", " : "") += formats[i].name;
  }
  return unsupported("element format: want one of " + known + "; got " + quoteText(name));
}

Expected<int64_t> rowBytes(Format format, int64_t elements) {
  const FormatInfo &info = formatInfo(format);
  if (elements < 0 || elements % info.blockElements != 0)
    return invalidInput("a row of " + std::string(info.name) + ": want a multiple of " +
                        std::to_string(info.blockElements) + " elements, got " + std::to_string(elements));
  if (auto bytes = checkedMul(elements / info.blockElements, info.blockBytes))
    return *bytes;
  return invalidInput("a row of " + std::string(info.name) + ": " + std::to_string(elements) +
                      " elements need more bytes than any file has");
}

Expected<int64_t> tensorBytes(Format format, std::span<const int64_t> shape) {
  LLMC_TRY(row, rowBytes(format, shape.empty() ? 1 : shape.back()));
  int64_t bytes = row;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    auto product = checkedMul(bytes, shape[i]);
    if (shape[i] < 0 || !product)
      return invalidInput("dimension " + std::to_string(i) + ": " + std::to_string(shape[i]) +
                          (shape[i] < 0 ? " is negative" : " makes the tensor larger than any file"));
    bytes = *product;
  }
  return bytes;
}

int64_t TensorView::elements() const {
  int64_t count = 1;
  for (int64_t dimension : shape)
    count *= dimension;
  return count;
}

// Matrices of a stack that lie one below the other: [count * rows, columns] for [count, rows, columns].
static bool holdsStack(const TensorView &tensor, std::span<const int64_t> shape) {
  if (shape.size() != 3 || tensor.shape.size() != 2 || shape[0] < 1 || tensor.shape[0] % shape[0] != 0)
    return false;
  return (shape[1] == -1 || shape[1] == tensor.shape[0] / shape[0]) && (shape[2] == -1 || shape[2] == tensor.shape[1]);
}

bool holdsShape(const TensorView &tensor, std::span<const int64_t> shape) {
  if (holdsStack(tensor, shape))
    return true;
  if (formatInfo(tensor.format).blockElements != 1)
    return tensor.shape.size() == shape.size() &&
           std::equal(shape.begin(), shape.end(), tensor.shape.begin(), [](int64_t want, int64_t got) { return want == -1 || want == got; });
  if (shape.size() == 1)
    return shape[0] == -1 || shape[0] == tensor.elements();
  return dimensionsFit(tensor.shape, shape);
}

} // namespace llmc
