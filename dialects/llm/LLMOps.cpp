// Verifiers, symbol checks and memory effects of `llm` ops. Comments name the numbered constraint of the op's description.
#include "dialects/llm/LLM.h"

using namespace mlir;
using namespace llmc::llm;

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

static LogicalResult verifyAscending(Operation *op, std::optional<ArrayRef<int64_t>> layers, int64_t count) {
  if (!layers)
    return success();
  if (static_cast<int64_t>(layers->size()) != count)
    return op->emitOpError("'layers' has ") << layers->size() << " entries, want " << count;
  for (auto [i, layer] : llvm::enumerate(*layers))
    if (layer < 0 || (i && layer <= (*layers)[i - 1]))
      return op->emitOpError("'layers' must ascend from 0 or more");
  return success();
}

static int64_t indexIn(std::optional<ArrayRef<int64_t>> layers, int64_t count, int64_t layer) {
  if (!layers)
    return layer < count ? layer : -1;
  auto at = llvm::find(*layers, layer);
  return at == layers->end() ? -1 : at - layers->begin();
}

static std::optional<ArrayRef<int64_t>> asOptional(DenseI64ArrayAttr attr) {
  return attr ? std::optional(attr.asArrayRef()) : std::nullopt;
}

LogicalResult WeightOp::verify() {
  WeightsType type = getWeights();
  constexpr StringRef hole = "{layer}";
  size_t holes = getSource().count(hole);
  if (holes > 1 || (type.getLayers() > 1 && holes == 0)) // weight_c1
    return emitOpError("'source' must have {layer} once, got \"") << getSource() << '"';
  if (failed(verifyAscending(*this, asOptional(getLayersAttr()), type.getLayers()))) // weight_c2
    return failure();
  SmallVector<Format> formats = type.getFormats();
  if (getFormats().has_value() != (formats.size() > 1)) // weight_c3
    return emitOpError("'formats' belongs to elements of several formats, one entry per layer");
  if (getFormats() && static_cast<int64_t>(getFormats()->size()) != type.getLayers())
    return emitOpError("'formats' has ") << getFormats()->size() << " entries, want " << type.getLayers();
  if (std::optional<ArrayRef<int32_t>> indices = getFormats())
    for (int32_t index : *indices)
      if (index < 0 || index >= static_cast<int32_t>(formats.size()))
        return emitOpError("'formats' entry ") << index << " is not one of " << formats.size() << " formats";
  if (getRows()) { // weight_c4
    ArrayRef<int64_t> rows = *getRows();
    if (rows.size() != 2 || rows[0] < 0 || rows[1] <= rows[0] || rows[1] - rows[0] != type.getShape()[0])
      return emitOpError("'rows' must be [begin, end) with ") << type.getShape()[0] << " rows";
  }
  if (getTranspose() && isa<QuantType>(type.getElement()))
    return emitOpError("quantised weights can't be transposed");
  return success();
}

int64_t WeightOp::indexOfLayer(int64_t layer) {
  return indexIn(asOptional(getLayersAttr()), getWeights().getLayers(), layer);
}

std::string WeightOp::sourceName(int64_t index) {
  int64_t layer = getLayersAttr() ? getLayersAttr()[index] : index;
  std::string name = getSource().str();
  if (size_t hole = name.find("{layer}"); hole != std::string::npos)
    name.replace(hole, strlen("{layer}"), std::to_string(layer));
  return name;
}

Format WeightOp::formatOf(int64_t index) {
  SmallVector<Format> formats = getWeights().getFormats();
  return formats.size() == 1 ? formats[0] : formats[(*getFormats())[index]];
}

LogicalResult StateOp::verify() {
  auto cache = dyn_cast<KVCacheType>(getType()); // state_c1
  if (!cache)
    return emitOpError("type must be a state type such as !llm.kv_cache, got ") << getType();
  return verifyAscending(*this, asOptional(getLayersAttr()), cache.getLayers()); // state_c2
}

int64_t StateOp::indexOfLayer(int64_t layer) {
  return indexIn(asOptional(getLayersAttr()), cast<KVCacheType>(getType()).getLayers(), layer);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

LogicalResult WeightLoadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr()); // weight_load_c1
  if (!weight)
    return emitOpError("names no llm.weight: ") << getWeightAttr();
  WeightsType type = weight.getWeights();
  if (getValue().getType() != type.getValueType()) // weight_load_c2
    return emitOpError("result must be ") << type.getValueType() << ", got " << getValue().getType();
  if (!getLayer() && type.getLayers() != 1) // weight_load_c3
    return emitOpError("needs a layer index: ") << getWeightAttr() << " has " << type.getLayers() << " layers";
  return success();
}

LogicalResult LayersOp::verifySymbolUses(SymbolTableCollection &symbols) {
  SmallVector<Type> inputs{getX().getType(), IndexType::get(getContext()), getBatch().getType()};
  llvm::append_range(inputs, getExtra().getTypes());
  auto want = FunctionType::get(getContext(), inputs, getX().getType());
  for (auto kind : getKinds().getAsRange<FlatSymbolRefAttr>()) { // layers_c1
    auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, kind);
    if (!function)
      return emitOpError("names no function: ") << kind;
    if (function.getFunctionType() != want)
      return emitOpError() << kind << " must be " << want << ", got " << function.getFunctionType();
  }
  if (getX().getType() != getY().getType())
    return emitOpError("result must be of the type of x");
  if (getOrder().empty()) // layers_c2
    return emitOpError("'order' is empty");
  for (int32_t index : getOrder())
    if (index < 0 || index >= static_cast<int32_t>(getKinds().size()))
      return emitOpError("'order' entry ") << index << " is not one of " << getKinds().size() << " kinds";
  for (int32_t kind = 0; kind < static_cast<int32_t>(getKinds().size()); ++kind)
    if (!llvm::is_contained(getOrder(), kind))
      return emitOpError() << getKinds()[kind] << " occurs nowhere in 'order'";
  return success();
}

void LayersOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), StateResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), StateResource::get());
}

LogicalResult SelectRowsOp::verify() {
  if (getX().getType() != getY().getType()) // select_rows_c1
    return emitOpError("result must be of the type of x");
  return success();
}

//===----------------------------------------------------------------------===//
// Compute
//===----------------------------------------------------------------------===//

static int64_t channels(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }
static bool isVector(Value value, int64_t size) {
  return cast<RankedTensorType>(value.getType()).getShape() == ArrayRef<int64_t>{size};
}
static bool isRows(Value value, int64_t size) {
  return cast<RankedTensorType>(value.getType()).getShape() == ArrayRef<int64_t>{ShapedType::kDynamic, size};
}

LogicalResult EmbeddingOp::verify() {
  auto table = cast<RankedTensorType>(getTable().getType());
  if (table.getRank() != 2 || !isRows(getY(), table.getShape()[1])) // embedding_c1
    return emitOpError("table must be [N, C] and the result tensor<?xCxf32>");
  if (static_cast<int64_t>(getOffset()) < 0) // embedding_c2
    return emitOpError("'offset' must not be negative");
  return success();
}

LogicalResult RMSNormOp::verify() {
  auto gain = cast<RankedTensorType>(getGain().getType());
  if (gain.getRank() != 1 || channels(getX()) % gain.getShape()[0]) // rms_norm_c2
    return emitOpError("gain must be [D] with D dividing ") << channels(getX()) << ", got " << gain;
  if (!(getEps().convertToDouble() > 0)) // rms_norm_c3
    return emitOpError("'eps' must be positive");
  return success();
}

LogicalResult LayerNormOp::verify() {
  if (!isVector(getGain(), channels(getX())) || (getBias() && !isVector(getBias(), channels(getX())))) // layer_norm_c2
    return emitOpError("gain and bias must be [") << channels(getX()) << "]";
  if (!(getEps().convertToDouble() > 0)) // layer_norm_c3
    return emitOpError("'eps' must be positive");
  return success();
}

static LogicalResult verifyLinearResults(LinearOp op) {
  auto rows = [](Value weight) { return cast<RankedTensorType>(weight.getType()).getShape()[0]; };
  OperandRange weights = op.getWeights();
  if (op.getGlu()) { // linear_c3
    if (weights.size() != 2 || rows(weights[0]) != rows(weights[1]) || !op.getActivation() || op->getNumResults() != 1)
      return op.emitOpError("glu needs two weights of one shape, an activation and one result");
  } else if (op->getNumResults() != weights.size()) {
    return op.emitOpError("has ") << op->getNumResults() << " results for " << weights.size() << " weights";
  }
  for (auto [result, weight] : llvm::zip(op->getResults(), weights))
    if (!isRows(result, rows(weight)))
      return op.emitOpError("result must be tensor<?x") << rows(weight) << "xf32>, got " << result.getType();
  return success();
}

static LogicalResult verifyLinearNorm(LinearOp op) { // linear_c4
  if (op.getNorm().has_value() != static_cast<bool>(op.getNormGain()))
    return op.emitOpError("'norm' and its gain belong together");
  if (op.getNormGain() && !isVector(op.getNormGain(), channels(op.getX())))
    return op.emitOpError("norm gain must be [") << channels(op.getX()) << "]";
  if (op.getNormBias() && (op.getNorm()->getKind() != NormKind::layer || !isVector(op.getNormBias(), channels(op.getX()))))
    return op.emitOpError("norm bias must be [") << channels(op.getX()) << "] of a layer norm";
  return success();
}

LogicalResult LinearOp::verify() {
  if (getWeights().empty())
    return emitOpError("needs a weight");
  for (Value weight : getWeights()) { // linear_c1
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getRank() != 2 || type.getShape()[1] != channels(getX()))
      return emitOpError("weight must be [N, ") << channels(getX()) << "], got " << type;
  }
  if (!getBiases().empty() && getBiases().size() != getWeights().size()) // linear_c2
    return emitOpError("has ") << getBiases().size() << " biases for " << getWeights().size() << " weights";
  for (auto [bias, weight] : llvm::zip(getBiases(), getWeights()))
    if (!isVector(bias, cast<RankedTensorType>(weight.getType()).getShape()[0]))
      return emitOpError("bias does not fit its weight: ") << bias.getType();
  if (failed(verifyLinearResults(*this)) || failed(verifyLinearNorm(*this)))
    return failure();
  if (getResidual() && (getNumResults() != 1 || getResidual().getType() != getResult(0).getType())) // linear_c5
    return emitOpError("residual must be of the type of the only result");
  return success();
}

LogicalResult SoftcapOp::verify() {
  if (!(getCap().convertToDouble() > 0)) // softcap_c1
    return emitOpError("'cap' must be positive");
  return success();
}

LogicalResult RopeTableOp::verify() {
  int64_t dim = channels(getY());
  if (dim <= 0 || dim % 2 || !isRows(getY(), dim)) // rope_table_c1
    return emitOpError("result must be tensor<?xdimxf32> with an even dim");
  if (getFactors() && !isVector(getFactors(), dim / 2)) // rope_table_c2
    return emitOpError("factors must be [") << dim / 2 << "]";
  if (!(getTheta().convertToDouble() > 0)) // rope_table_c3
    return emitOpError("'theta' must be positive");
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t headDim = getHeadDim();
  if (headDim <= 0 || channels(getX()) % headDim) // rope_c2
    return emitOpError("head_dim ") << headDim << " must divide " << channels(getX()) << " channels";
  if (getRotary().getDim() > headDim || getRotary().getDim() != channels(getTable()))
    return emitOpError("rotary dim ") << getRotary().getDim() << " must be at most head_dim and equal the table's columns";
  return success();
}

LogicalResult AttentionOp::verify() {
  if (channels(getQ()) % channels(getK()) || getK().getType() != getV().getType()) // attention_c2
    return emitOpError("heads must be a multiple of kv_heads, and k and v of one type");
  if (!(getScale().convertToDouble() > 0) || static_cast<int64_t>(getWindow()) < 0 ||
      !(getSoftcap().convertToDouble() >= 0)) // attention_c3
    return emitOpError("needs scale > 0, window >= 0, softcap >= 0");
  if (getRotary().has_value() != static_cast<bool>(getTable())) // attention_c4
    return emitOpError("'rotary' and its table belong together");
  if (getRotary() && getRotary()->getDim() != channels(getTable()))
    return emitOpError("rotary dim must equal the table's columns");
  bool gains = getQGain() && getKGain();
  if (getNorm().has_value() != gains || (gains && getNorm()->getKind() != NormKind::rms)) // attention_c5
    return emitOpError("'norm', an rms norm, and the gains of q and k belong together");
  if (getQ().getType() != getY().getType()) // attention_c6
    return emitOpError("result must be of the type of q");
  return success();
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr()); // attention_c1
  auto cache = state ? dyn_cast<KVCacheType>(state.getType()) : KVCacheType();
  if (!cache)
    return emitOpError("names no kv_cache state: ") << getStateAttr();
  if (channels(getK()) != cache.getKvHeads() * cache.getHeadDim())
    return emitOpError("k and v have ") << channels(getK()) << " channels, the cache "
           << cache.getKvHeads() * cache.getHeadDim();
  if (channels(getQ()) % cache.getHeadDim())
    return emitOpError("q has ") << channels(getQ()) << " channels, not a multiple of head_dim " << cache.getHeadDim();
  for (Value gain : {getQGain(), getKGain()})
    if (gain && !isVector(gain, cache.getHeadDim()))
      return emitOpError("norm gains must be [") << cache.getHeadDim() << "]";
  if (getRotary() && getRotary()->getDim() > cache.getHeadDim())
    return emitOpError("rotary dim exceeds head_dim ") << cache.getHeadDim();
  return success();
}

void AttentionOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), getStateAttr(), StateResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), getStateAttr(), StateResource::get());
}

#define GET_OP_CLASSES
#include "dialects/llm/LLMOps.cpp.inc"
