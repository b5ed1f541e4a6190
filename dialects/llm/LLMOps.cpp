// Verifiers, symbol checks and memory effects of `llm` ops. Comments name the numbered constraint of the op's
// description.
#include "dialects/llm/LLM.h"
#include "dialects/llm/Shapes.h"
#include "dialects/llm/StoredFormat.h"

#include "llvm/ADT/BitVector.h"

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

LogicalResult AssetOp::verify() {
  if (getPath().empty() || getPath().contains('\0')) // asset_c1
    return emitOpError("'path' must not be empty or hold NUL");
  return success();
}

constexpr StringRef layerHole = "{layer}", expertHole = "{expert}";

// weight_c4
static LogicalResult verifyRows(WeightOp op) {
  if (!op.getRows())
    return success();
  ArrayRef<int64_t> rows = *op.getRows(), shape = op.getWeights().getShape();
  bool isVector = shape.size() == 1;
  int64_t want = isVector ? shape[0] : shape[shape.size() - 2];
  int64_t step = rows.size() > 2 ? rows[2] : 1, run = rows.size() > 3 ? rows[3] : 1;
  bool hasForm = rows.size() == 2 || rows.size() == 3 || (rows.size() == 4 && !op.getTranspose());
  bool inOrder = hasForm && rows[0] >= 0 && rows[1] > rows[0] && run >= 1 && step >= run;
  int64_t span = inOrder ? rows[1] - rows[0] : 0;
  if (!inOrder || span / step * run + std::min(span % step, run) != want)
    return op.emitOpError("'rows' must be [begin, end), or with a step, with ") << want << " rows";
  return success();
}

// weight_c2
static LogicalResult verifyLayers(WeightOp op) {
  int64_t count = op.getWeights().getLayers();
  if (!op.getEntries())
    return verifyAscending(op, asOptional(op.getLayersAttr()), count);
  ArrayRef<int64_t> entries = *op.getEntries();
  llvm::BitVector named(count);
  for (int64_t entry : entries) {
    if (entry < 0 || entry >= count)
      return op.emitOpError("'entries' has ") << entry << ", want 0 to " << count - 1;
    named.set(entry);
  }
  if (!op.getLayers() || !named.all())
    return op.emitOpError("'entries' belongs to 'layers' and names every entry");
  return verifyAscending(op, op.getLayers(), entries.size());
}

// weight_c7
static LogicalResult verifyValues(WeightOp op) {
  std::optional<ArrayRef<float>> values = op.getValues();
  if (!values)
    return success();
  WeightsType type = op.getWeights();
  ArrayRef<int64_t> shape = type.getShape();
  if (shape.size() != 1 || type.getLayers() != 1 || !type.getElement().isF32() || !op.getSource().empty() || op.getNames() || op.getRows())
    return op.emitOpError("'values' are of a vector of f32 in an array of one, from \"\"");
  if (values->size() != 1 && static_cast<int64_t>(values->size()) != shape[0])
    return op.emitOpError("has ") << values->size() << " 'values', want 1 or " << shape[0];
  if (!llvm::all_of(*values, [](float value) { return std::isfinite(value); }))
    return op.emitOpError("'values' must be finite");
  return success();
}

// What `llm.stored` names (dialects/llm/StoredFormat.h), if it is a float.
static std::optional<Format> storedFloat(WeightOp op) {
  auto stored = op->getAttrOfType<TypeAttr>(kStored);
  if (!stored || !(stored.getValue().isF32() || stored.getValue().isF16() || stored.getValue().isBF16()))
    return std::nullopt;
  return WeightsType::get(op.getContext(), 1, {1}, stored.getValue()).getFormats()[0];
}

static LogicalResult verifyStored(WeightOp op) {
  if (op->hasAttr(kMoments) && !(op->getAttrOfType<StringAttr>(kMoments) && op->hasAttr(kStored)))
    return op.emitOpError("'llm.moments' must be the name of a weight, beside 'llm.stored'");
  if (!op->hasAttr(kStored))
    return success();
  SmallVector<Format> formats = op.getWeights().getFormats();
  FormatTraits traits = formatTraits(formats[0]);
  if (!storedFloat(op) || formats.size() != 1 || !isQuantised(formats[0]) || op.getWeights().getShape().size() < 2)
    return op.emitOpError("'llm.stored' must be f32, f16 or bf16, of matrices of one quantised format");
  if (op.getWeights().getShape().back() % traits.blockElements != 0)
    return op.emitOpError("rows of ") << op.getWeights().getShape().back() << " can't be quantised in blocks of " << traits.blockElements;
  return success();
}

Format llmc::llm::storedFormat(WeightOp weight, int64_t index) { return storedFloat(weight).value_or(weight.formatOf(index)); }

LogicalResult WeightOp::verify() {
  WeightsType type = getWeights();
  if (getNames() && (static_cast<int64_t>(getNames()->size()) != type.getLayers() || !getSource().empty())) // weight_c5
    return emitOpError("'names' must be one for each of ") << type.getLayers() << " entries, from \"\"";
  size_t holes = getSource().count(layerHole), expertHoles = getSource().count(expertHole);
  if (holes > 1 || (type.getLayers() > 1 && holes == 0 && !getNames())) // weight_c1
    return emitOpError("'source' must have {layer} once, got \"") << getSource() << '"';
  if (expertHoles > (type.getShape().size() == 3 ? 1 : 0))
    return emitOpError("'source' may have {expert} once, for experts only, got \"") << getSource() << '"';
  if (failed(verifyLayers(*this)))
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
  if (failed(verifyRows(*this)) || failed(verifyValues(*this)))
    return failure();
  if (getTranspose() && type.getShape().size() < 2)
    return emitOpError("only a matrix can be transposed");
  if (std::optional<ArrayRef<int64_t>> columns = getColumns()) { // weight_c6
    bool fits = columns->size() == 2 && (*columns)[0] >= 0 && (*columns)[1] - (*columns)[0] == type.getShape().back();
    if (!fits || !getTranspose() || getRows())
      return emitOpError("'columns' must be [begin, end) with ") << type.getShape().back() << " columns of a transpose, and no 'rows'";
  }
  if (failed(verifyStored(*this)))
    return failure();
  if (getTranspose() && isa<QuantType>(type.getElement()) && !(*this)->hasAttr(kStored))
    return emitOpError("quantised weights can't be transposed");
  return success();
}

int64_t WeightOp::indexOfLayer(int64_t layer) {
  int64_t count = getEntries() ? getEntries()->size() : getWeights().getLayers();
  int64_t place = indexIn(asOptional(getLayersAttr()), count, layer);
  return getEntries() && place >= 0 ? (*getEntries())[place] : place;
}

// The first layer that uses an entry.
static int64_t firstLayer(WeightOp op, int64_t index) {
  if (!op.getLayers())
    return index;
  if (!op.getEntries())
    return (*op.getLayers())[index];
  return (*op.getLayers())[llvm::find(*op.getEntries(), index) - op.getEntries()->begin()];
}

static void fill(std::string &name, StringRef hole, int64_t number) {
  if (size_t at = name.find(hole); at != std::string::npos)
    name.replace(at, hole.size(), std::to_string(number));
}

std::string WeightOp::sourceName(int64_t index, int64_t expert) {
  std::string name = (getNames() ? cast<StringAttr>((*getNames())[index]).getValue() : getSource()).str();
  fill(name, layerHole, firstLayer(*this, index));
  fill(name, expertHole, expert);
  return name;
}

bool WeightOp::hasExpertTensors() { return sourceName(0, 0) != sourceName(0, 1); }

Format WeightOp::formatOf(int64_t index) {
  SmallVector<Format> formats = getWeights().getFormats();
  return formats.size() == 1 ? formats[0] : formats[(*getFormats())[index]];
}

LogicalResult StateOp::verify() {
  auto state = dyn_cast<StateTypeInterface>(getType()); // state_c1
  if (!state)
    return emitOpError("type must be a state type such as !llm.kv_cache, got ") << getType();
  return verifyAscending(*this, asOptional(getLayersAttr()), state.getStateLayers()); // state_c2
}

int64_t StateOp::indexOfLayer(int64_t layer) {
  return indexIn(asOptional(getLayersAttr()), cast<StateTypeInterface>(getType()).getStateLayers(), layer);
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
  if (getOrder().empty()) // layers_c2
    return emitOpError("'order' is empty");
  llvm::BitVector occurs(getKinds().size());
  for (int32_t index : getOrder()) {
    if (index < 0 || index >= static_cast<int32_t>(getKinds().size()))
      return emitOpError("'order' entry ") << index << " is not one of " << getKinds().size() << " kinds";
    occurs.set(index);
  }
  if (int missing = occurs.find_first_unset(); missing >= 0)
    return emitOpError() << getKinds()[missing] << " occurs nowhere in 'order'";
  return success();
}

void LayersOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), StateResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), StateResource::get());
}

//===----------------------------------------------------------------------===//
// Compute
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  if (static_cast<int64_t>(getOffset()) < 0) // embedding_c2
    return emitOpError("'offset' must not be negative");
  if (!getScale().isFinite()) // embedding_c3
    return emitOpError("'scale' must be finite");
  return success();
}

LogicalResult RMSNormOp::verify() {
  auto gain = cast<RankedTensorType>(getGain().getType());
  if (gain.getRank() != 1 || channels(getX()) % gain.getShape()[0]) // rms_norm_c2
    return emitOpError("gain must be [D] with D dividing ") << channels(getX()) << ", got " << gain;
  if (!isPositive(getEps())) // rms_norm_c3
    return emitOpError("'eps' must be positive");
  return success();
}

LogicalResult LayerNormOp::verify() {
  if (!isVector(getGain(), channels(getX())) || (getBias() && !isVector(getBias(), channels(getX())))) // layer_norm_c2
    return emitOpError("gain and bias must be [") << channels(getX()) << "]";
  if (!isPositive(getEps())) // layer_norm_c3
    return emitOpError("'eps' must be positive");
  return success();
}

// The results' types follow from the weights (inferReturnTypes); this is what else glu asks.
static LogicalResult verifyGlu(LinearOp op) { // linear_c3
  OperandRange weights = op.getWeights();
  if (op.getGlu() && (weights.size() != 2 || !op.getActivation() || op->getNumResults() != 1 ||
                      channels(op.getResult(0)) != rows(weights[1])))
    return op.emitOpError("glu needs two weights of one shape and an activation");
  return success();
}

static LogicalResult verifyLinearNorm(LinearOp op) { // linear_c4
  if (op.getNorm().has_value() != static_cast<bool>(op.getNormGain()))
    return op.emitOpError("'norm' and its gain belong together");
  if (op.getNormGain() && !isVector(op.getNormGain(), channels(op.getX())))
    return op.emitOpError("norm gain must be [") << channels(op.getX()) << "]";
  if (op.getNormBias() &&
      (!op.getNorm() || op.getNorm()->getKind() != NormKind::layer || !isVector(op.getNormBias(), channels(op.getX()))))
    return op.emitOpError("norm bias must be [") << channels(op.getX()) << "] of a layer norm";
  return success();
}

static LogicalResult verifyLogits(LinearOp op) { // linear_c6
  if (!op.getScale() && !op.getSoftcap() && !op.getTopK())
    return success();
  if (op.getWeights().size() != 1 || op.getGlu() || op.getResidual())
    return op.emitOpError("scale, softcap and top_k want one weight, no glu and no residual");
  if (op.getScale() && (!op.getScale()->isFinite() || op.getScale()->isZero()))
    return op.emitOpError("scale must be finite and not 0");
  if (op.getSoftcap() && !(op.getSoftcap()->isFinite() && op.getSoftcap()->convertToDouble() > 0))
    return op.emitOpError("softcap must be above 0");
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
    if (!isVector(bias, rows(weight)))
      return emitOpError("bias does not fit its weight: ") << bias.getType();
  if (failed(verifyGlu(*this)) || failed(verifyLinearNorm(*this)) || failed(verifyLogits(*this)))
    return failure();
  if (getResidual() && (getNumResults() != 1 || getResidual().getType() != getResult(0).getType())) // linear_c5
    return emitOpError("residual must be of the type of the only result");
  return success();
}

LogicalResult SoftcapOp::verify() {
  if (!isPositive(getCap())) // softcap_c1
    return emitOpError("'cap' must be positive");
  return success();
}

// rope_table_c3: what ropeFrequencies divides by or takes the logarithm of.
static LogicalResult verifyScaling(RopeTableOp op) {
  RopeScalingAttr s = op.getScalingAttr();
  if (!s || s.getKind() == RopeScalingKind::none)
    return success();
  RopeScalingKind kind = s.getKind();
  auto refuse = [&](const char *what) {
    return op.emitOpError() << stringifyRopeScalingKind(kind) << " scaling needs " << what;
  };
  if (!isPositive(s.getFactor()) || !isPositive(s.getAttentionFactor()))
    return refuse("positive factor and attention_factor");
  if (kind != RopeScalingKind::linear && s.getOriginalMaxPositions() < 1)
    return refuse("positive original_max_positions");
  if (kind == RopeScalingKind::llama3 && (!isPositive(s.getLowFreqFactor()) || !isPositive(s.getHighFreqFactor()) ||
                                          s.getLowFreqFactor() >= s.getHighFreqFactor()))
    return refuse("0 < low_freq_factor < high_freq_factor");
  if (kind == RopeScalingKind::yarn && (!isPositive(s.getBetaFast()) || !isPositive(s.getBetaSlow())))
    return refuse("positive beta_fast and beta_slow");
  if (kind == RopeScalingKind::yarn && op.getTheta().convertToDouble() == 1.0)
    return refuse("a theta other than 1");
  int64_t dim = channels(op.getY());
  if (kind == RopeScalingKind::dynamic && dim <= 2)
    return refuse("more than two channels");
  auto fits = [&](ArrayRef<Real> factors) {
    return static_cast<int64_t>(factors.size()) == dim / 2 &&
           llvm::all_of(factors, [](Real f) { return isPositive(f); });
  };
  if (kind == RopeScalingKind::longrope && (!fits(s.getShortFactors()) || !fits(s.getLongFactors())))
    return refuse("dim / 2 positive short_factors and long_factors");
  return success();
}

LogicalResult RopeTableOp::verify() {
  int64_t dim = channels(getY());
  constexpr int64_t maxDim = 1 << 16;
  if (dim % 2 || dim > maxDim) // rope_table_c1
    return emitOpError("result must be tensor<?xdimxf32> with an even dim, at most ") << maxDim << ", got " << dim;
  if (getFactors() && !isVector(getFactors(), dim / 2)) // rope_table_c2
    return emitOpError("factors must be [") << dim / 2 << "]";
  if (!isPositive(getTheta())) // rope_table_c3
    return emitOpError("'theta' must be positive");
  return verifyScaling(*this);
}

LogicalResult ScaleOp::verify() {
  if (!getFactor().isFinite()) // scale_c1
    return emitOpError("'factor' must be finite");
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t headDim = getHeadDim();
  if (headDim <= 0 || channels(getX()) % headDim) // rope_c2
    return emitOpError("head_dim ") << headDim << " must divide " << channels(getX()) << " channels";
  if (getRotary().getDim() > headDim || getRotary().getDim() != channels(getTable()))
    return emitOpError("rotary dim ") << getRotary().getDim()
                                      << " must be at most head_dim and equal the table's columns";
  return success();
}

LogicalResult AttentionOp::verify() {
  if (channels(getQ()) % channels(getK()) || getK().getType() != getV().getType()) // attention_c2
    return emitOpError("heads must be a multiple of kv_heads, and k and v of one type");
  if (!isPositive(getScale()) || static_cast<int64_t>(getWindow()) < 0 ||
      !(getSoftcap().isZero() || isPositive(getSoftcap()))) // attention_c3
    return emitOpError("needs scale > 0, window >= 0, softcap >= 0");
  if (getRotary().has_value() != static_cast<bool>(getTable())) // attention_c4
    return emitOpError("'rotary' and its table belong together");
  if (getRotary() && getRotary()->getDim() != channels(getTable()))
    return emitOpError("rotary dim must equal the table's columns");
  bool gains = getQGain() && getKGain();
  if (getNorm().has_value() != gains || (gains && getNorm()->getKind() != NormKind::rms)) // attention_c5
    return emitOpError("'norm', an rms norm, and the gains of q and k belong together");
  return success();
}

LogicalResult AttentionOp::verifyBias(int64_t heads) {
  auto type = cast<RankedTensorType>(getBias().getType());
  int64_t elements = type.getRank() == 1 ? type.getShape()[0] : 0, buckets = elements / heads;
  if (elements == 0 || elements % heads || buckets < 4 || buckets % 2) // attention_c9
    return emitOpError("'bias' must be [buckets * ") << heads << "] with an even number of buckets, got " << type;
  constexpr int64_t kMostDistance = 65536;
  int64_t most = getRelative()->getMaxDistance(), exact = buckets / (getRelative()->getBoth() ? 4 : 2);
  if (most <= exact || most > kMostDistance)
    return emitOpError("max_distance must be ") << exact + 1 << " to " << kMostDistance << ", got " << most;
  return success();
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr()); // attention_c1
  auto cache = state ? dyn_cast<KVCacheType>(state.getType()) : KVCacheType();
  if (!cache || cache.getValueDim())
    return emitOpError("names no kv_cache state with values of its own: ") << getStateAttr();
  if (getSinks() && !isVector(getSinks(), channels(getQ()) / cache.getHeadDim())) // attention_c7
    return emitOpError("'sinks' must be [") << channels(getQ()) / cache.getHeadDim() << "]";
  if (getSlopes() && !isVector(getSlopes(), channels(getQ()) / cache.getHeadDim())) // attention_c8
    return emitOpError("'slopes' must be [") << channels(getQ()) / cache.getHeadDim() << "]";
  if (getRelative().has_value() != static_cast<bool>(getBias())) // attention_c9
    return emitOpError("'relative' and its bias belong together");
  if (getBias() && failed(verifyBias(channels(getQ()) / cache.getHeadDim())))
    return failure();
  if (channels(getK()) != cache.getKvHeads() * cache.getHeadDim())
    return emitOpError("k and v have ") << channels(getK()) << " channels, the cache "
                                        << cache.getKvHeads() * cache.getHeadDim();
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
