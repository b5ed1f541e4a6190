// Builders, result types that follow from operands, folds, and what ops answer about fusion and state.
#include "dialects/llm/LLM.h"

using namespace mlir;
using namespace llmc::llm;

#include "dialects/llm/LLMInterfaces.cpp.inc"

static RankedTensorType rowsOf(MLIRContext *context, int64_t channels) {
  return RankedTensorType::get({ShapedType::kDynamic, channels}, Float32Type::get(context));
}

//===----------------------------------------------------------------------===//
// Builders
//===----------------------------------------------------------------------===//

void WeightLoadOp::build(OpBuilder &builder, OperationState &state, WeightOp weight, Value layer) {
  build(builder, state, weight.getWeights().getValueType(), FlatSymbolRefAttr::get(weight.getSymNameAttr()), layer);
}

void LinearOp::build(OpBuilder &builder, OperationState &state, Value x, ValueRange weights, ValueRange biases) {
  build(builder, state, x, weights, biases, /*norm_gain=*/Value(), /*norm_bias=*/Value(), /*residual=*/Value(),
        /*norm=*/NormAttr(), /*activation=*/ActivationAttr(), /*glu=*/UnitAttr(), /*scale=*/FloatAttr(),
        /*softcap=*/FloatAttr(), /*top_k=*/UnitAttr());
}

void AttentionOp::build(OpBuilder &builder, OperationState &state, Value q, Value k, Value v, Value layer, Value batch,
                        StringRef cache, double scale, int64_t window, double softcap) {
  build(builder, state, q, k, v, layer, batch, /*table=*/Value(), /*q_gain=*/Value(), /*k_gain=*/Value(),
        /*sinks=*/Value(), /*slopes=*/Value(), /*bias=*/Value(),
        FlatSymbolRefAttr::get(builder.getContext(), cache), builder.getF64FloatAttr(scale),
        builder.getI64IntegerAttr(window), builder.getF64FloatAttr(softcap), RotaryAttr(), NormAttr(), RelativeAttr());
}

//===----------------------------------------------------------------------===//
// Result types
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto table = dyn_cast<RankedTensorType>(adaptor.getTable().getType());
  if (!table || table.getRank() != 2) // embedding_c1
    return emitOptionalError(location, "'llm.embedding' op table must be [N, C], got ", adaptor.getTable().getType());
  types.push_back(rowsOf(context, table.getShape()[1]));
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  for (Value weight : adaptor.getWeights()) {
    auto type = dyn_cast<RankedTensorType>(weight.getType());
    if (!type || type.getRank() != 2) // linear_c1
      return emitOptionalError(location, "'llm.linear' op weight must be [N, K], got ", weight.getType());
    types.push_back(rowsOf(context, type.getShape()[0]));
  }
  if (adaptor.getGlu() && types.size() > 1)
    types.truncate(1);
  return success();
}

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

OpFoldResult ActivationOp::fold(FoldAdaptor) {
  auto inner = getX().getDefiningOp<ActivationOp>();
  bool twice = inner && inner.getKind() == Activation::relu && getKind() == Activation::relu;
  return twice ? OpFoldResult(getX()) : OpFoldResult();
}

OpFoldResult ScaleOp::fold(FoldAdaptor) {
  return getFactor().convertToDouble() == 1.0 ? OpFoldResult(getX()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Epilogues and state
//===----------------------------------------------------------------------===//

EpilogueKind ActivationOp::getEpilogueKind() { return EpilogueKind::activation; }
SmallVector<OpOperand *> ActivationOp::getEpilogueOperands() { return {&getXMutable()}; }

EpilogueKind GLUOp::getEpilogueKind() { return EpilogueKind::glu; }
SmallVector<OpOperand *> GLUOp::getEpilogueOperands() { return {&getGateMutable(), &getUpMutable()}; }

EpilogueKind AddOp::getEpilogueKind() { return EpilogueKind::residual; }
SmallVector<OpOperand *> AddOp::getEpilogueOperands() { return {&getAMutable(), &getBMutable()}; }

FlatSymbolRefAttr AttentionOp::getStateSymbol() { return getStateAttr(); }
Value AttentionOp::getStateLayer() { return getLayer(); }
