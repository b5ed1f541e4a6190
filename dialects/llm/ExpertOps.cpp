// Verifiers and costs of the ops of LLMExpertOps.td. Comments name the numbered constraint of the op's description.
#include "dialects/llm/LLM.h"

#include <cmath>

using namespace mlir;
using namespace llmc::llm;

static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }
static int64_t channels(Value value) { return shapeOf(value).back(); }

static bool isFloatFormat(Value weight) {
  return isa<FloatType>(cast<RankedTensorType>(weight.getType()).getElementType());
}

// A bias of experts or groups: null, or [count, size, 1].
static bool isStackedBias(Value bias, int64_t count, int64_t size) {
  return !bias || (shapeOf(bias) == ArrayRef<int64_t>{count, size, 1} && isFloatFormat(bias));
}

bool llmc::llm::isExpertIndices(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && tensor.getShape()[1] > 0 &&
         tensor.getElementType().isInteger(32) && !tensor.getEncoding();
}

LogicalResult GLULimitsAttr::verify(function_ref<InFlightDiagnostic()> emitError, Real alpha, Real limit, Real offset) {
  auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  if (!positive(alpha) || !positive(limit) || !std::isfinite(offset))
    return emitError() << "glu_limits needs positive alpha and limit and a finite offset";
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::verify() {
  constexpr int64_t maxExperts = 4096;
  int64_t experts = channels(getLogits()), top = getTop(), groups = getGroups(), topGroups = getTopGroups();
  if (channels(getExperts()) != top || channels(getWeights()) != top) // route_c1
    return emitOpError("results must have ") << top << " columns";
  if (getBias() && shapeOf(getBias()) != ArrayRef<int64_t>{experts}) // route_c2
    return emitOpError("bias must be [") << experts << "]";
  if (groups < 1 || experts % groups || topGroups < 1 || topGroups > groups) // route_c3
    return emitOpError("needs groups that divide ") << experts << " experts, and 1 <= top_groups <= groups";
  if (getGroupScore() == GroupScore::top2_sum && experts / groups < 2)
    return emitOpError("top2_sum needs groups of two or more");
  if (experts > maxExperts || top < 1 || top > topGroups * (experts / groups)) // route_c4
    return emitOpError("needs 1 <= top <= ") << topGroups * (experts / groups) << " experts, of at most " << maxExperts;
  if (!getEpsilon().isFinite() || getEpsilon().isNegative() || !getScale().isFinite()) // route_c5
    return emitOpError("needs epsilon >= 0 and a finite scale");
  return success();
}

LogicalResult ClampOp::verify() {
  double limit = getLimit().convertToDouble();
  if (!std::isfinite(limit) || !(limit > 0)) // clamp_c1
    return emitOpError("'limit' must be positive");
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

int64_t ExpertsOp::getExpertCount() { return shapeOf(getUp())[0]; }

LogicalResult ExpertsOp::verify() {
  ArrayRef<int64_t> up = shapeOf(getUp()), down = shapeOf(getDown());
  if (up.size() != 3 || down.size() != 3 || up[2] != channels(getX()) || down[0] != up[0] || down[2] != up[1] ||
      down[1] != channels(getY()) || (getGate() && shapeOf(getGate()) != up)) // experts_c1
    return emitOpError("wants gate and up [E, F, ") << channels(getX()) << "] and down [E, " << channels(getY()) << ", F]";
  if (!isStackedBias(getGateBias(), up[0], up[1]) || !isStackedBias(getUpBias(), up[0], up[1]) ||
      !isStackedBias(getDownBias(), up[0], down[1]) || (getGateBias() && !getGate())) // experts_c2
    return emitOpError("biases must be floats, [E, F, 1] for gate and up and [E, D, 1] for down");
  auto route = getExperts().getDefiningOp<RouteOp>(); // experts_c3
  if (!route || channels(route.getLogits()) != up[0] || channels(getWeights()) != channels(getExperts()))
    return emitOpError("'experts' must be those of an llm.route over ") << up[0] << " logits, with a weight for each";
  if (getLimits() && (!getGate() || getActivation() != Activation::silu)) // experts_c4
    return emitOpError("'limits' needs a gate and silu");
  return success();
}

LogicalResult GroupedLinearOp::verify() {
  ArrayRef<int64_t> weight = shapeOf(getWeight());
  int64_t inputs = channels(getX());
  if (weight.size() != 3 || inputs % weight[0] || weight[2] > inputs / weight[0]) // grouped_linear_c1
    return emitOpError("weight must be [G, N, K] with G dividing ") << inputs << " channels and K at most a group's";
  if (!isStackedBias(getBias(), weight[0], weight[1])) // grouped_linear_c2
    return emitOpError("bias must be floats [") << weight[0] << ", " << weight[1] << ", 1]";
  if (channels(getY()) != weight[0] * weight[1]) // grouped_linear_c3
    return emitOpError("result must have ") << weight[0] * weight[1] << " channels";
  return success();
}

//===----------------------------------------------------------------------===//
// Latent attention
//===----------------------------------------------------------------------===//

LogicalResult LatentAttentionOp::verify() {
  if (getRotary().getDim() != channels(getTable())) // latent_attention_c4
    return emitOpError("rotary dim must equal the table's columns");
  if (getNorm().getKind() != NormKind::rms) // latent_attention_c5
    return emitOpError("'norm' must be an rms norm");
  double scale = getScale().convertToDouble();
  if (!std::isfinite(scale) || !(scale > 0)) // latent_attention_c6
    return emitOpError("'scale' must be positive");
  return success();
}

LogicalResult LatentAttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr()); // latent_attention_c1
  auto cache = state ? dyn_cast<KVCacheType>(state.getType()) : KVCacheType();
  if (!cache || cache.getKvHeads() != 1 || cache.getValueDim() < 1)
    return emitOpError("names no kv_cache state of one KV head with value_dim: ") << getStateAttr();
  if (channels(getKv()) != cache.getHeadDim())
    return emitOpError("kv has ") << channels(getKv()) << " channels, the cache " << cache.getHeadDim();
  int64_t latent = cache.getValueDim(), turned = cache.getHeadDim() - latent;
  int64_t heads = channels(getQLatent()) / latent;
  if (channels(getQLatent()) % latent || channels(getQ()) % heads || channels(getQ()) / heads < turned) // latent_attention_c2
    return emitOpError("q_latent must be [T, H * ") << latent << "] and q [T, H * S] with S at least " << turned;
  if (getRotary().getDim() != turned) // latent_attention_c4
    return emitOpError("rotary dim must be the ") << turned << " channels beyond the values";
  if (shapeOf(getGain()) != ArrayRef<int64_t>{latent}) // latent_attention_c5
    return emitOpError("gain must be [") << latent << "]";
  return success();
}

void LatentAttentionOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), getStateAttr(), StateResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), getStateAttr(), StateResource::get());
}

FlatSymbolRefAttr LatentAttentionOp::getStateSymbol() { return getStateAttr(); }
Value LatentAttentionOp::getStateLayer() { return getLayer(); }
