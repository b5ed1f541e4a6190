// Types of the `llm` dialect: their syntax and their invariants.
#include "dialects/llm/CacheLayout.h"
#include "dialects/llm/LLM.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc::llm;

#include "dialects/llm/LLMTypeInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/llm/LLMTypes.cpp.inc"

void LLMDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/llm/LLMTypes.cpp.inc"
      >();
}

namespace llmc::llm {

FormatTraits formatTraits(Format format) {
  switch (format) {
  case Format::f32: return {1, 4, 0, 0, false};
  case Format::f16: return {1, 2, 0, 0, false};
  case Format::bf16: return {1, 2, 0, 0, false};
  case Format::q4_0: return {32, 18, 32, 8, false};
  case Format::q5_0: return {32, 22, 32, 16, false};
  case Format::q8_0: return {32, 34, 32, 0, false};
  case Format::q4_k: return {256, 144, 32, 0, true};
  case Format::q5_k: return {256, 176, 32, 0, true};
  case Format::q6_k: return {256, 210, 16, 32, false};
  case Format::q4_1: return {32, 20, 32, 0, true};
  case Format::q5_1: return {32, 24, 32, 0, true};
  case Format::q2_k: return {256, 84, 16, 0, true};
  case Format::q3_k: return {256, 110, 16, 4, false};
  case Format::iq4_nl: return {32, 18, 32, 0, false};
  case Format::mxfp4: return {32, 17, 32, 0, false};
  }
  llvm_unreachable("every format is listed");
}

static std::optional<Format> floatFormat(Type type) {
  if (type.isF32())
    return Format::f32;
  if (type.isF16())
    return Format::f16;
  if (type.isBF16())
    return Format::bf16;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// quant<q5_0|q8_0>
//===----------------------------------------------------------------------===//

Type QuantType::parse(AsmParser &parser) {
  SmallVector<Format> formats;
  auto parseOne = [&]() -> ParseResult {
    StringRef keyword;
    SMLoc where = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword))
      return failure();
    std::optional<Format> format = symbolizeFormat(keyword);
    if (!format)
      return parser.emitError(where, "unknown weight format '") << keyword << "'";
    formats.push_back(*format);
    return success();
  };
  if (parser.parseLess() || parseOne())
    return {};
  while (succeeded(parser.parseOptionalVerticalBar()))
    if (parseOne())
      return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<QuantType>(parser.getContext(), formats);
}

void QuantType::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleave(getFormats(), printer.getStream(), [&](Format f) { printer << stringifyFormat(f); }, "|");
  printer << '>';
}

LogicalResult QuantType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<Format> formats) {
  if (formats.empty())
    return emitError() << "quant needs at least one format";
  for (auto [i, format] : llvm::enumerate(formats))
    if (llvm::is_contained(formats.take_front(i), format))
      return emitError() << "quant names " << stringifyFormat(format) << " twice";
  if (formats.size() == 1 && !isQuantised(formats[0]))
    return emitError() << "quant<" << stringifyFormat(formats[0]) << "> is a float: use the builtin type";
  return success();
}

//===----------------------------------------------------------------------===//
// weights<18x2048x640xbf16>
//===----------------------------------------------------------------------===//

Type WeightsType::parse(AsmParser &parser) {
  SmallVector<int64_t> dims;
  Type element;
  if (parser.parseLess() || parser.parseDimensionList(dims, /*allowDynamic=*/false) || parser.parseType(element) ||
      parser.parseGreater())
    return {};
  if (dims.size() < 2) {
    parser.emitError(parser.getNameLoc(), "weights need a layer count and a shape");
    return {};
  }
  return parser.getChecked<WeightsType>(parser.getContext(), dims[0], ArrayRef(dims).drop_front(), element);
}

void WeightsType::print(AsmPrinter &printer) const {
  printer << '<' << getLayers() << 'x';
  for (int64_t dim : getShape())
    printer << dim << 'x';
  printer << getElement() << '>';
}

LogicalResult WeightsType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, ArrayRef<int64_t> shape,
                                  Type element) {
  if (layers < 1 || llvm::any_of(shape, [](int64_t dim) { return dim < 1; }))
    return emitError() << "weights need positive dimensions";
  if (shape.empty() || shape.size() > 3)
    return emitError() << "weights are vectors, matrices or experts' matrices, got rank " << shape.size();
  // With these caps no count of bytes overflows 64 bits, whatever the format.
  constexpr int64_t maxLayers = 1 << 16, maxDim = int64_t(1) << 32, maxElements = int64_t(1) << 44;
  int64_t room = maxElements; // elements that the dimensions so far leave for the others
  for (int64_t dim : shape)
    room = dim > maxDim ? 0 : room / dim;
  if (layers > maxLayers || room == 0)
    return emitError() << "weights are too large: at most " << maxLayers << " layers of " << maxElements << " elements";
  if (!floatFormat(element) && !isa<QuantType>(element))
    return emitError() << "weight element must be f32, f16, bf16 or !llm.quant, got " << element;
  return success();
}

SmallVector<Format> WeightsType::getFormats() const {
  if (auto quant = dyn_cast<QuantType>(getElement()))
    return llvm::to_vector(quant.getFormats());
  return {*floatFormat(getElement())};
}

RankedTensorType WeightsType::getValueType() const { return RankedTensorType::get(getShape(), getElement()); }

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

// Of each number in a state's type; so that its bytes fit in 64 bits.
constexpr int64_t maxStateNumber = 1 << 16, maxStateElements = int64_t(1) << 32;

// Each layer of a state begins on a cache line.
static int64_t fixedFloats(int64_t elements) { return (elements * 4 + 63) / 64 * 64; }

bool isQ8Cache(Type element) {
  auto quant = dyn_cast<QuantType>(element);
  return quant && quant.getFormats() == ArrayRef<Format>(Format::q8_0);
}

// Channels by fours, and the scales of groups.
int64_t cacheRowBytes(Type element, int64_t headDim) {
  if (isQ8Cache(element))
    return (headDim + 3) / 4 * 4 + cacheGroups(headDim) * 2;
  return headDim * (element.getIntOrFloatBitWidth() / 8);
}

LogicalResult KVCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, int64_t kvHeads,
                                  int64_t headDim, int64_t valueDim, Type element) {
  constexpr int64_t cap = maxStateNumber;
  if (layers < 1 || kvHeads < 1 || headDim < 1 || layers > cap || kvHeads > cap || headDim > cap)
    return emitError() << "kv_cache needs positive layers, kv_heads and head_dim, each at most " << cap;
  if (valueDim < 0 || valueDim > headDim)
    return emitError() << "kv_cache value_dim must be at most head_dim";
  if (!element.isF32() && !element.isF16() && !isQ8Cache(element))
    return emitError() << "kv_cache element must be f32, f16 or !llm.quant<q8_0>, got " << element;
  if (valueDim && isQ8Cache(element))
    return emitError() << "kv_cache with value_dim must be f32 or f16, got " << element;
  return success();
}

int64_t KVCacheType::getStateLayers() const { return getLayers(); }
int64_t KVCacheType::getPositionBytes() const {
  return (getValueDim() ? 1 : 2) * getKvHeads() * cacheRowBytes(getElement(), getHeadDim());
}
int64_t KVCacheType::getFixedBytes() const { return 0; }

LogicalResult ConvTailType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, int64_t channels, int64_t taps) {
  constexpr int64_t cap = maxStateNumber, maxChannels = int64_t(1) << 24;
  if (layers < 1 || layers > cap || channels < 1 || channels > maxChannels || taps < 1 || taps > 256)
    return emitError() << "conv_tail needs positive layers, at most " << cap << ", channels, at most " << maxChannels
                       << ", and taps, at most 256";
  return success();
}

int64_t ConvTailType::getStateLayers() const { return getLayers(); }
int64_t ConvTailType::getPositionBytes() const { return 0; }
int64_t ConvTailType::getFixedBytes() const { return fixedFloats(getTaps() * getChannels()); }

Type RecurrentType::parse(AsmParser &parser) {
  SmallVector<int64_t> dims;
  if (parser.parseLess() || parser.parseDimensionList(dims, /*allowDynamic=*/false, /*withTrailingX=*/false) ||
      parser.parseGreater())
    return {};
  if (dims.size() < 2) {
    parser.emitError(parser.getNameLoc(), "recurrent needs a layer count and a shape");
    return {};
  }
  return parser.getChecked<RecurrentType>(parser.getContext(), dims[0], ArrayRef(dims).drop_front());
}

void RecurrentType::print(AsmPrinter &printer) const {
  printer << '<' << getLayers();
  for (int64_t dim : getShape())
    printer << 'x' << dim;
  printer << '>';
}

LogicalResult RecurrentType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  bool fits = layers >= 1 && layers <= maxStateNumber && !shape.empty() && shape.size() <= 4;
  for (int64_t dim : shape) {
    fits = fits && dim >= 1 && dim <= maxStateElements / elements;
    elements *= fits ? dim : 1;
  }
  if (!fits)
    return emitError() << "recurrent needs 1 to " << maxStateNumber << " layers and one to four positive dimensions, at most "
                       << maxStateElements << " elements a layer";
  return success();
}

int64_t RecurrentType::getStateLayers() const { return getLayers(); }
int64_t RecurrentType::getPositionBytes() const { return 0; }
int64_t RecurrentType::getFixedBytes() const {
  int64_t elements = 1;
  for (int64_t dim : getShape())
    elements *= dim;
  return fixedFloats(elements);
}

//===----------------------------------------------------------------------===//
// Operand types
//===----------------------------------------------------------------------===//

bool isActivations(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && tensor.getShape()[1] > 0 &&
         tensor.getElementType().isF32() && !tensor.getEncoding();
}

bool isWeightTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() >= 1 && tensor.getRank() <= 3 &&
         llvm::all_of(tensor.getShape(), [](int64_t dim) { return dim > 0; }) &&
         (floatFormat(tensor.getElementType()) || isa<QuantType>(tensor.getElementType()));
}

} // namespace llmc::llm
