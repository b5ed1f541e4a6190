// What ops cost: the bytes that a step must read and the operations that it must do.
#include "dialects/llm/CacheLayout.h"
#include "dialects/llm/LLM.h"
#include "dialects/llm/Shapes.h"

#include <cmath>

using namespace mlir;
using namespace llmc::llm;

namespace {

double rowElements(Value value) { return static_cast<double>(channels(value)); }

double bytesPerElement(Format format) {
  FormatTraits traits = formatTraits(format);
  return static_cast<double>(traits.blockBytes) / traits.blockElements;
}

double bytesPerElement(Type element) {
  if (auto quant = dyn_cast<QuantType>(element))
    return bytesPerElement(quant.getFormats()[0]);
  return element.getIntOrFloatBitWidth() / 8.0;
}

// Where a weight array mixes formats, the mean over its layers.
double bytesPerElement(Value weight) {
  auto quant = dyn_cast<QuantType>(cast<RankedTensorType>(weight.getType()).getElementType());
  auto load = weight.getDefiningOp<WeightLoadOp>();
  if (!quant || quant.getFormats().size() == 1 || !load)
    return bytesPerElement(cast<RankedTensorType>(weight.getType()).getElementType());
  auto symbol = SymbolTable::lookupNearestSymbolFrom<WeightOp>(load, load.getWeightAttr());
  if (!symbol)
    return bytesPerElement(Type(quant));
  double sum = 0;
  for (int64_t layer = 0; layer < symbol.getWeights().getLayers(); ++layer)
    sum += bytesPerElement(symbol.formatOf(layer));
  return sum / symbol.getWeights().getLayers();
}

double elements(Value weight) {
  double product = 1;
  for (int64_t dim : cast<RankedTensorType>(weight.getType()).getShape())
    product *= dim;
  return product;
}

double weightBytes(Value weight) { return weight ? elements(weight) * bytesPerElement(weight) : 0; }

OpCost pointwise(Value result, int64_t tokens, double flopsPerElement) {
  return {.flops = rowElements(result) * tokens * flopsPerElement};
}

// A transcendental function, counted as the polynomial that computes it.
constexpr double nonlinearFlops = 16;
constexpr double normFlops = 4;
constexpr double rotationFlops = 3;

} // namespace

OpCost EmbeddingOp::getCost(int64_t tokens, int64_t) {
  double row = rowElements(getY());
  return {.weightBytes = tokens * row * bytesPerElement(getTable()), .flops = tokens * row};
}

OpCost RMSNormOp::getCost(int64_t tokens, int64_t) {
  OpCost cost = pointwise(getY(), tokens, normFlops);
  cost.weightBytes = weightBytes(getGain());
  return cost;
}

OpCost LayerNormOp::getCost(int64_t tokens, int64_t) {
  OpCost cost = pointwise(getY(), tokens, normFlops);
  cost.weightBytes = weightBytes(getGain()) + weightBytes(getBias());
  return cost;
}

OpCost LinearOp::getCost(int64_t tokens, int64_t) {
  OpCost cost;
  for (Value weight : getWeights()) {
    cost.weightBytes += weightBytes(weight);
    cost.flops += 2 * elements(weight) * tokens;
  }
  for (Value bias : getBiases())
    cost.weightBytes += weightBytes(bias);
  cost.weightBytes += weightBytes(getNormGain()) + weightBytes(getNormBias());
  if (getNorm())
    cost.flops += normFlops * rowElements(getX()) * tokens;
  for (Value y : getY())
    cost.flops +=
        rowElements(y) * tokens *
        (getBiases().size() + (getActivation() ? nonlinearFlops : 0) + (getGlu() ? 1 : 0) + (getResidual() ? 1 : 0) +
         (getScale() ? 1 : 0) + (getSoftcap() ? nonlinearFlops : 0));
  return cost;
}

// Each token draws experts as if at random: the expected share of experts that at least one of them draws.
static double shareRead(int64_t tokens, double chosen) { return 1 - std::pow(1 - chosen, static_cast<double>(tokens)); }

OpCost ExpertsOp::getCost(int64_t tokens, int64_t) {
  double top = rowElements(getExperts()), experts = static_cast<double>(getExpertCount());
  OpCost cost;
  for (Value weight : SmallVector<Value>{getGate(), getUp(), getDown(), getGateBias(), getUpBias(), getDownBias()}) {
    cost.weightBytes += weightBytes(weight) * shareRead(tokens, top / experts);
    if (weight)
      cost.flops += 2 * elements(weight) / experts * top * tokens;
  }
  double hidden = elements(getUp()) / experts / rowElements(getX());
  cost.flops += tokens * top * (hidden * (nonlinearFlops + 1) + 2 * rowElements(getY()));
  return cost;
}

OpCost RouteOp::getCost(int64_t tokens, int64_t) {
  OpCost cost = pointwise(getLogits(), tokens, nonlinearFlops + static_cast<double>(getTop()));
  cost.weightBytes = weightBytes(getBias());
  return cost;
}

OpCost GroupedLinearOp::getCost(int64_t tokens, int64_t) {
  return {.weightBytes = weightBytes(getWeight()) + weightBytes(getBias()), .flops = 2 * elements(getWeight()) * tokens};
}

// Scales too; without the state's declaration a cache counts as f32.
static double cacheElementBytes(StateOp state) {
  if (!state)
    return 4;
  auto cache = cast<KVCacheType>(state.getType());
  return static_cast<double>(cacheRowBytes(cache.getElement(), cache.getHeadDim())) / static_cast<double>(cache.getHeadDim());
}

OpCost LatentAttentionOp::getCost(int64_t tokens, int64_t contextTokens) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  double elementBytes = cacheElementBytes(state);
  double heads = rowElements(getQLatent()) / (rowElements(getKv()) - rowElements(getTable()));
  OpCost cost;
  cost.stateBytes = rowElements(getKv()) * elementBytes * tokens * (static_cast<double>(contextTokens) + 1);
  cost.flops = 2 * (heads * rowElements(getKv()) + rowElements(getQLatent())) * tokens * static_cast<double>(contextTokens);
  cost.flops += (normFlops * rowElements(getKv()) + rotationFlops * heads * rowElements(getTable())) * tokens;
  cost.weightBytes = weightBytes(getGain());
  return cost;
}

OpCost AppendOp::getCost(int64_t tokens, int64_t) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  return {.stateBytes = 2 * rowElements(getK()) * cacheElementBytes(state) * tokens};
}

// The source counts as if it were as long as the sequence.
OpCost CrossAttentionOp::getCost(int64_t tokens, int64_t contextTokens) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  auto cache = state ? cast<KVCacheType>(state.getType()) : KVCacheType();
  double seen = static_cast<double>(contextTokens), row = cache ? static_cast<double>(cache.getKvHeads() * cache.getHeadDim()) : rowElements(getQ());
  return {.stateBytes = 2 * row * cacheElementBytes(state) * tokens * seen, .flops = 4 * rowElements(getQ()) * tokens * seen};
}

OpCost ClampOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 2); }
OpCost ActivationOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, nonlinearFlops); }
OpCost GLUOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, nonlinearFlops + 1); }
OpCost AddOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 1); }
OpCost ScaleOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 1); }
OpCost SoftcapOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, nonlinearFlops + 2); }
OpCost RopeOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, rotationFlops); }

OpCost RopeTableOp::getCost(int64_t tokens, int64_t) {
  OpCost cost = pointwise(getY(), tokens, nonlinearFlops);
  cost.weightBytes = weightBytes(getFactors());
  return cost;
}

// Each token reads the keys and values that it may see.
OpCost AttentionOp::getCost(int64_t tokens, int64_t contextTokens) {
  int64_t window = static_cast<int64_t>(getWindow());
  double seen = window > 0 ? std::min(window, contextTokens) : contextTokens;
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  double elementBytes = cacheElementBytes(state);
  OpCost cost;
  cost.stateBytes = 2 * rowElements(getK()) * elementBytes * tokens * (seen + 1);
  cost.flops = 4 * rowElements(getQ()) * tokens * seen;
  cost.weightBytes = weightBytes(getQGain()) + weightBytes(getKGain()) + weightBytes(getSinks()) + weightBytes(getSlopes());
  double headElements = (rowElements(getQ()) + rowElements(getK())) * tokens;
  cost.flops += headElements * ((getNorm() ? normFlops : 0) + (getRotary() ? rotationFlops : 0));
  return cost;
}
