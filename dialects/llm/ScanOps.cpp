// Verifiers, folds and costs of the ops in LLMScanOps.td. Comments name the numbered constraint of the op's description.
#include "dialects/llm/Shapes.h"

using namespace mlir;
using namespace llmc::llm;

static LogicalResult verifyFactors(Operation *op, int64_t factors, int64_t channels) {
  if (channels % factors)
    return op->emitOpError() << factors << " factors do not divide " << channels << " channels";
  return success();
}

LogicalResult MulOp::verify() { return verifyFactors(*this, channels(getFactor()), channels(getX())); } // mul_c2

LogicalResult ScaleChannelsOp::verify() { // scale_channels_c2
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 1)
    return emitOpError("weight must be a vector, got ") << weight;
  return verifyFactors(*this, weight.getShape()[0], channels(getX()));
}

LogicalResult AddBiasOp::verify() {
  if (!isVector(getBias(), channels(getX()))) // add_bias_c2
    return emitOpError("bias must be [") << channels(getX()) << "], got " << getBias().getType();
  return success();
}

LogicalResult MixOp::verify() {
  if (!isVector(getWeight(), channels(getX()))) // mix_c2
    return emitOpError("weight must be [") << channels(getX()) << "], got " << getWeight().getType();
  return success();
}

LogicalResult ColumnsOp::verify() {
  int64_t begin = getBegin();
  if (begin < 0 || begin > channels(getX()) - channels(getY())) // columns_c1
    return emitOpError("channels [") << begin << ", " << begin << " + " << channels(getY()) << ") exceed the " << channels(getX())
                                     << " there are";
  return success();
}

LogicalResult UnitNormOp::verify() {
  int64_t group = getGroup();
  if (group <= 0 || channels(getX()) % group) // unit_norm_c2
    return emitOpError("group ") << group << " must divide " << channels(getX()) << " channels";
  if (!isPositive(getEps())) // unit_norm_c3
    return emitOpError("'eps' must be positive");
  return success();
}

//===----------------------------------------------------------------------===//
// Builders and folds
//===----------------------------------------------------------------------===//

void ColumnsOp::build(OpBuilder &builder, OperationState &state, Value x, int64_t begin, int64_t count) {
  auto type = RankedTensorType::get({ShapedType::kDynamic, count}, builder.getF32Type());
  build(builder, state, type, x, builder.getI64IntegerAttr(begin));
}

OpFoldResult ColumnsOp::fold(FoldAdaptor) {
  if (getX().getType() == getY().getType())
    return getX();
  auto inner = getX().getDefiningOp<ColumnsOp>();
  if (!inner)
    return {};
  setBegin(getBegin() + inner.getBegin());
  getXMutable().assign(inner.getX());
  return getY();
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

// Vectors are small beside matrices: as f32.
static OpCost pointwise(Value result, int64_t tokens, double flops, Value vector = {}) {
  OpCost cost{.flops = static_cast<double>(channels(result)) * tokens * flops};
  if (vector)
    cost.weightBytes = 4.0 * channels(vector);
  return cost;
}

OpCost MulOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 1); }
OpCost ScaleChannelsOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 1, getWeight()); }
OpCost AddBiasOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 1, getBias()); }
OpCost MixOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 4, getWeight()); }
OpCost UnitNormOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 4); }
