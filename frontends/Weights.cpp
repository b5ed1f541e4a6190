#include "frontends/Weights.h"

#include "runtime/support/Text.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef hole = "{layer}";

static std::string ofLayer(llvm::StringRef source, int64_t layer) {
  auto [before, after] = source.split(hole);
  return before.size() == source.size() ? source.str() : (before + std::to_string(layer) + after).str();
}

static std::string shapeText(llm::Format format, ArrayRef<int64_t> shape) {
  std::string text = llm::stringifyFormat(format).str() + "[";
  llvm::raw_string_ostream os(text);
  llvm::interleave(shape, os, ",");
  return text + "]";
}

Weights::Weights(const Model &model, Checkpoint &checkpoint, Report &report)
    : model(model), checkpoint(checkpoint), report(report) {
  if (model.container == Container::Gguf)
    return;
  // Checkpoints of the base model alone lack the prefix of the head's class.
  const TensorName *embed = findTensor(*model.family, "embed", /*gguf=*/false);
  llvm::StringRef name = embed ? embed->huggingFace : "";
  strippedPrefix = !checkpoint.contains(name) && name.consume_front(model.family->prefix) && checkpoint.contains(name);
}

std::string Weights::source(const TensorName &name) const {
  if (model.container == Container::Gguf)
    return name.gguf.str();
  llvm::StringRef source = name.huggingFace;
  if (strippedPrefix)
    source.consume_front(model.family->prefix);
  return source.str();
}

bool Weights::exists(llvm::StringRef role) const {
  bool gguf = model.container == Container::Gguf;
  const TensorName *name = findTensor(*model.family, role, gguf);
  if (!name)
    return false;
  bool linearBias = role.starts_with("blk.") && role.ends_with("_bias") && !role.ends_with("norm_bias");
  if (!linearBias)
    return true;
  // A GGUF has a bias, or has it not, in all layers alike.
  return gguf ? checkpoint.contains(ofLayer(name->gguf, 0)) : model.hasBias(role);
}

void Weights::use(llvm::StringRef role, ArrayRef<int64_t> shape, ArrayRef<int64_t> layers) {
  Use &use = uses[role.str()];
  use.shape.assign(shape.begin(), shape.end());
  use.layers.insert(layers.begin(), layers.end());
}

RankedTensorType Weights::valueType(llvm::StringRef role) const {
  auto at = uses.find(role.str());
  return at == uses.end() ? RankedTensorType() : at->second.valueType;
}

// The rows of `role` within the tensor that stacks several: [begin, end, all]; nullopt if it stacks one alone.
static std::optional<std::array<int64_t, 3>> stackedRows(const Model &model, const TensorName &name,
                                                         llvm::StringRef role) {
  if (name.stack.empty())
    return std::nullopt;
  role.consume_back("_bias");
  int64_t begin = 0, end = 0, all = 0;
  for (llvm::StringRef member : name.stack) {
    if (member == role)
      begin = all, end = all + model.rowsOf(member);
    all += model.rowsOf(member);
  }
  return std::array{begin, end, all};
}

std::vector<llm::Format> Weights::formats(llvm::StringRef role, const Use &use, ArrayRef<int64_t> fileShape) {
  const TensorName &name = *findTensor(*model.family, role, model.container == Container::Gguf);
  std::vector<int64_t> layers(use.layers.begin(), use.layers.end());
  if (layers.empty())
    layers.push_back(0);
  std::vector<llm::Format> formats;
  std::string pattern = source(name);
  for (int64_t layer : layers) {
    std::string tensorName = ofLayer(pattern, layer);
    const TensorView *tensor = checkpoint.use(tensorName);
    if (!tensor) {
      report.unsupported("missing tensor '" + pattern + "'" +
                         (pattern == tensorName ? "" : " (layer " + std::to_string(layer) + ")"));
      return {};
    }
    llm::Format format = *llm::symbolizeFormat(formatInfo(tensor->format).name);
    if (ArrayRef(tensor->shape) != fileShape || (name.transposed && llm::isQuantised(format))) {
      report.invalid("tensor '" + tensorName + "': want " +
                     shapeText(name.transposed ? llm::Format::f32 : format, fileShape) + ", got " +
                     shapeText(format, tensor->shape));
      return {};
    }
    formats.push_back(format);
  }
  return formats;
}

static Type elementType(MLIRContext *context, ArrayRef<llm::Format> distinct) {
  if (distinct.size() > 1 || llm::isQuantised(distinct[0]))
    return llm::QuantType::get(context, distinct);
  switch (distinct[0]) {
  case llm::Format::f16:
    return Float16Type::get(context);
  case llm::Format::bf16:
    return BFloat16Type::get(context);
  default:
    return Float32Type::get(context);
  }
}

void Weights::declareOne(llvm::StringRef role, Use &use, OpBuilder &builder, Location loc) {
  const TensorName &name = *findTensor(*model.family, role, model.container == Container::Gguf);
  SmallVector<int64_t> fileShape = use.shape;
  auto stacked = stackedRows(model, name, role);
  if (stacked)
    fileShape[0] = (*stacked)[2];
  bool transposed = name.transposed && model.container == Container::HuggingFace && fileShape.size() == 2;
  if (transposed)
    std::swap(fileShape[0], fileShape[1]);
  std::vector<llm::Format> all = formats(role, use, fileShape);
  if (all.empty())
    return;

  SmallVector<llm::Format> distinct;
  SmallVector<int32_t> indices;
  for (llm::Format format : all) {
    if (!llvm::is_contained(distinct, format))
      distinct.push_back(format);
    indices.push_back(llvm::find(distinct, format) - distinct.begin());
  }
  if (use.shape.size() == 2)
    onlyFloat32 &= distinct.size() == 1 && distinct[0] == llm::Format::f32;
  SmallVector<int64_t> layers(use.layers.begin(), use.layers.end());
  bool leading = layers.empty() || layers.back() + 1 == static_cast<int64_t>(layers.size());
  auto type =
      llm::WeightsType::get(builder.getContext(), all.size(), use.shape, elementType(builder.getContext(), distinct));
  use.valueType = type.getValueType();
  llm::WeightOp::create(builder, loc, builder.getStringAttr(role), TypeAttr::get(type),
                        builder.getStringAttr(source(name)),
                        leading ? DenseI64ArrayAttr() : builder.getDenseI64ArrayAttr(layers),
                        distinct.size() > 1 ? builder.getDenseI32ArrayAttr(indices) : DenseI32ArrayAttr(),
                        stacked ? builder.getDenseI64ArrayAttr({(*stacked)[0], (*stacked)[1]}) : DenseI64ArrayAttr(),
                        transposed ? builder.getUnitAttr() : UnitAttr());
}

void Weights::declare(OpBuilder &builder, Location loc) {
  for (auto &[role, use] : uses)
    declareOne(role, use, builder, loc);
}
