#include "frontends/Weights.h"

#include "runtime/support/Text.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

static std::string filled(llvm::StringRef source, llvm::StringRef hole, int64_t number) {
  auto [before, after] = source.split(hole);
  return before.size() == source.size() ? source.str() : (before + std::to_string(number) + after).str();
}

static std::string nameIn(llvm::StringRef source, int64_t layer, int64_t expert = 0) {
  return filled(filled(source, "{layer}", layer), "{expert}", expert);
}

static bool perExpert(llvm::StringRef source) { return source.contains("{expert}"); }

static std::string shapeText(llm::Format format, ArrayRef<int64_t> shape) {
  std::string text = llm::stringifyFormat(format).str() + "[";
  llvm::raw_string_ostream os(text);
  llvm::interleave(shape, os, ",");
  return text + "]";
}

Weights::Weights(const Model &model, Checkpoint &checkpoint, Report &report, llvm::StringRef prefix)
    : model(model), checkpoint(checkpoint), report(report), prefix(prefix) {
  if (model.container == Container::Gguf)
    return;
  // Checkpoints of the base model alone lack the prefix of the head's class.
  const TensorName *embed = findTensor(*model.family, "embed", /*gguf=*/false);
  llvm::StringRef name = embed ? embed->huggingFace : "";
  std::string whole = embed ? source(*embed) : "";
  strippedPrefix = !checkpoint.contains(whole) && name.consume_front(model.family->prefix) && checkpoint.contains(name);
}

std::string Weights::source(const TensorName &name) const {
  if (model.container == Container::Gguf)
    return name.gguf.str();
  llvm::StringRef source = name.huggingFace, own = model.family->ownPrefix;
  if (strippedPrefix)
    source.consume_front(model.family->prefix);
  else if (!own.empty() && source.consume_front(model.family->prefix))
    return (own + source).str();
  return source.str();
}

const TensorName *Weights::nameOf(llvm::StringRef role) const {
  auto isThere = [&](const TensorName &name) {
    std::string pattern = source(name);
    return llvm::any_of(llvm::seq(model.layers), [&](int64_t layer) { return checkpoint.contains(nameIn(pattern, layer)); });
  };
  return findTensor(*model.family, role, model.container == Container::Gguf, isThere);
}

bool Weights::isInFile(llvm::StringRef role) const {
  const TensorName *name = nameOf(role);
  return name && checkpoint.contains(nameIn(source(*name), 0));
}

bool Weights::exists(llvm::StringRef role) const {
  bool gguf = model.container == Container::Gguf;
  const TensorName *name = nameOf(role);
  if (!name)
    return false;
  if (role.ends_with("_adapter_in") || role.ends_with("_adapter_out"))
    return model.hasAdapter(role);
  bool linearBias = role.starts_with("blk.") && role.ends_with("_bias") && !role.ends_with("norm_bias");
  linearBias |= role == "head_bias" && !model.family->looksAhead;
  bool byPresence = gguf && (linearBias || role == "blk.router_correction");
  if (!byPresence)
    return !linearBias || model.hasBias(role);
  // A GGUF has a bias, or has it not, in all layers of a kind alike.
  return llvm::any_of(llvm::seq(model.layers), [&](int64_t layer) { return checkpoint.contains(nameIn(name->gguf, layer)); });
}

void Weights::use(llvm::StringRef role, ArrayRef<int64_t> shape, ArrayRef<int64_t> layers) {
  Use &use = uses[role.str()];
  use.shape.assign(shape.begin(), shape.end());
  use.layers.insert(layers.begin(), layers.end());
}

void Weights::useConstant(llvm::StringRef role, int64_t size, ArrayRef<float> values) {
  use(role, {size}, {});
  uses[role.str()].values.assign(values.begin(), values.end());
}

bool Weights::isOfModel(llvm::StringRef role) const {
  auto at = uses.find(role.str());
  return at != uses.end() && at->second.layers.empty();
}

RankedTensorType Weights::valueType(llvm::StringRef role) const {
  auto at = uses.find(role.str());
  return at == uses.end() ? RankedTensorType() : at->second.valueType;
}

namespace {
// What a role takes of the tensor that stacks several: its `rows` attribute, and how many rows there are in all.
struct StackedRows {
  SmallVector<int64_t, 3> rows;
  int64_t all = 0;
};
} // namespace

// The same, where the tensor has `turns` runs of each role, one after the other.
static SmallVector<int64_t, 3> inTurns(const StackedRows &stacked, int64_t turns) {
  int64_t step = stacked.all / turns, begin = stacked.rows[0] / turns, run = stacked.rows[1] / turns - begin;
  return {begin, begin + (turns - 1) * step + run, step, run};
}

static StackedRows stackedRows(const Model &model, const TensorName &name, llvm::StringRef role) {
  StackedRows result;
  role.consume_back("_bias");
  int64_t place = 0, count = name.stack.size();
  for (auto [i, member] : llvm::enumerate(name.stack)) {
    if (member == role) {
      result.rows = {result.all, result.all + model.rowsOf(member)};
      place = i;
    }
    result.all += model.rowsOf(member);
  }
  if (name.turns == TensorName::Turns::Rows && count)
    result.rows = {place, result.all, count};
  else if (name.turns == TensorName::Turns::KVHeads && count)
    result.rows = inTurns(result, model.kvHeads);
  else if (name.turns != TensorName::Turns::None && count)
    result.rows = inTurns(result, name.turns == TensorName::Turns::Heads ? model.heads : model.ssm.keyHeads);
  return result;
}

//===----------------------------------------------------------------------===//
// Tensors of the file
//===----------------------------------------------------------------------===//

std::string Weights::nameAt(const TensorName &name, ArrayRef<int64_t> layers, size_t use) const {
  int64_t layer = layers.empty() ? 0 : layers[name.shared ? use % model.sharedBlocks : use];
  return filled(filled(source(name), "{layer}", layer), "{use}", use);
}

Weights::Places Weights::places(llvm::StringRef role, ArrayRef<int64_t> layers) {
  Places places;
  for (size_t use = 0; use < std::max<size_t>(layers.size(), 1); ++use) {
    auto isThere = [&](const TensorName &name) { return checkpoint.contains(filled(nameAt(name, layers, use), "{expert}", 0)); };
    const TensorName &row = *findTensor(*model.family, role, model.container == Container::Gguf, isThere);
    places.row = use ? places.row : &row;
    if (row.transposed != places.row->transposed || row.stack != places.row->stack || row.turns != places.row->turns) {
      report.unsupported("tensor '" + nameAt(row, layers, use) + "': a layout other than that of the first layer");
      return {};
    }
    std::string name = nameAt(row, layers, use);
    auto at = llvm::find(places.names, name);
    places.entries.push_back(at - places.names.begin());
    if (at != places.names.end())
      continue;
    places.names.push_back(std::move(name));
    places.firstLayers.push_back(layers.empty() ? 0 : layers[use]);
  }
  return places;
}

std::optional<llm::Format> Weights::format(const Places &places, size_t entry, int64_t expert,
                                           ArrayRef<int64_t> fileShape) {
  std::string pattern = source(*places.row), name = filled(places.names[entry], "{expert}", expert);
  const TensorView *tensor = checkpoint.use(name);
  if (!tensor) {
    report.unsupported("missing tensor '" + pattern + "'" +
                       (pattern == name ? "" : " (layer " + std::to_string(places.firstLayers[entry]) + ")"));
    return std::nullopt;
  }
  llm::Format format = *llm::symbolizeFormat(formatInfo(tensor->format).name);
  if (holdsShape(*tensor, fileShape) && !((places.row->transposed || places.row->across) && llm::isQuantised(format)))
    return format;
  report.invalid("tensor '" + name + "': want " +
                 shapeText(places.row->transposed ? llm::Format::f32 : format, fileShape) + ", got " +
                 shapeText(format, tensor->shape));
  return std::nullopt;
}

std::vector<llm::Format> Weights::formats(const Places &places, const Use &use, ArrayRef<int64_t> fileShape) {
  std::vector<llm::Format> formats;
  for (size_t entry = 0; entry < places.names.size(); ++entry) {
    std::optional<llm::Format> first = format(places, entry, 0, fileShape);
    if (!first)
      return {};
    formats.push_back(*first);
    for (int64_t expert = 1; perExpert(places.names[entry]) && expert < use.shape[0]; ++expert) {
      std::optional<llm::Format> other = format(places, entry, expert, fileShape);
      if (!other)
        return {};
      if (other != first) {
        report.unsupported("tensor '" + filled(places.names[entry], "{expert}", expert) + "': a format other than expert 0's");
        return {};
      }
    }
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

// The shape of the tensor in the file, given that of the weight.
static SmallVector<int64_t> shapeInFile(ArrayRef<int64_t> shape, bool perExpert, int64_t stacked, bool transposed,
                                        bool takesColumns) {
  SmallVector<int64_t> result(shape);
  bool isStack = shape.size() == 3;
  if (stacked)
    (takesColumns ? result.back() : result[isStack ? 1 : 0]) = stacked;
  if (isStack && shape.back() == 1) // a bias of experts
    result.pop_back();
  else if (transposed)
    std::swap(result[result.size() - 2], result.back());
  if (isStack && perExpert)
    result.erase(result.begin());
  return result;
}

void Weights::declareConstant(llvm::StringRef role, Use &use, OpBuilder &builder, Location loc) {
  auto type = llm::WeightsType::get(builder.getContext(), 1, use.shape, builder.getF32Type());
  use.valueType = type.getValueType();
  llm::WeightOp::create(builder, loc, builder.getStringAttr(symbol(role)), TypeAttr::get(type), builder.getStringAttr(""),
                        /*layers=*/nullptr, /*formats=*/nullptr, /*rows=*/nullptr, /*transpose=*/nullptr, /*entries=*/nullptr,
                        /*names=*/nullptr, /*columns=*/nullptr, builder.getDenseF32ArrayAttr(use.values));
}

void Weights::declareOne(llvm::StringRef role, Use &use, OpBuilder &builder, Location loc) {
  SmallVector<int64_t> layers(use.layers.begin(), use.layers.end());
  Places places = this->places(role, layers);
  if (!places.row)
    return;
  const TensorName &name = *places.row;
  StackedRows stacked = stackedRows(model, name, role);
  bool transposed = (name.transposed || name.across) && model.container == Container::HuggingFace && use.shape.size() >= 2;
  bool takesColumns = name.across && stacked.all;
  std::vector<llm::Format> all =
      formats(places, use, shapeInFile(use.shape, perExpert(places.names[0]), stacked.all, transposed, takesColumns));
  if (all.empty())
    return;

  SmallVector<llm::Format> distinct;
  SmallVector<int32_t> indices;
  for (llm::Format format : all) {
    if (!llvm::is_contained(distinct, format))
      distinct.push_back(format);
    indices.push_back(llvm::find(distinct, format) - distinct.begin());
  }
  if (use.shape.size() >= 2)
    onlyFloat32 &= distinct.size() == 1 && distinct[0] == llm::Format::f32;
  bool leading = layers.empty() || layers.back() + 1 == static_cast<int64_t>(layers.size());
  bool reused = places.names.size() < layers.size();
  bool byPattern = llvm::all_of(llvm::zip(places.names, places.firstLayers), [&](auto entry) {
    auto &[tensor, layer] = entry;
    return tensor == filled(source(name), "{layer}", layer);
  });
  auto orNone = [&](bool there, ArrayRef<int64_t> list) { return there ? builder.getDenseI64ArrayAttr(list) : DenseI64ArrayAttr(); };
  SmallVector<llvm::StringRef> names(places.names.begin(), places.names.end());
  auto type =
      llm::WeightsType::get(builder.getContext(), all.size(), use.shape, elementType(builder.getContext(), distinct));
  use.valueType = type.getValueType();
  llm::WeightOp::create(builder, loc, builder.getStringAttr(symbol(role)), TypeAttr::get(type),
                        builder.getStringAttr(byPattern ? source(name) : ""), orNone(!leading || reused, layers),
                        distinct.size() > 1 ? builder.getDenseI32ArrayAttr(indices) : DenseI32ArrayAttr(),
                        orNone(stacked.all && !takesColumns, stacked.rows), transposed ? builder.getUnitAttr() : UnitAttr(),
                        orNone(reused, places.entries), byPattern ? ArrayAttr() : builder.getStrArrayAttr(names),
                        orNone(takesColumns, stacked.rows), /*values=*/DenseF32ArrayAttr());
}

void Weights::declare(OpBuilder &builder, Location loc) {
  for (auto &[role, use] : uses)
    use.values.empty() ? declareOne(role, use, builder, loc) : declareConstant(role, use, builder, loc);
}
