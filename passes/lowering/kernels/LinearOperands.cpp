#include "passes/lowering/kernels/LinearOperands.h"

#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {

RankedTensorType weightType(tile::LinearAttr kernel, size_t weight) {
  return cast<RankedTensorType>(cast<TypeAttr>(kernel.getWeights()[weight]).getValue());
}

SmallVector<llm::Format> formatsOf(RankedTensorType type) {
  return llm::WeightsType::get(type.getContext(), 1, type.getShape(), type.getElementType()).getFormats();
}

LinearOperands::LinearOperands(KernelBuilder &b, tile::LinearAttr kernel)
    : b(b), kernel(kernel), tokens(b.argument(1)), x(b.argument(2)), scratch(b.argument(3)) {
  unsigned next = 4, count = kernel.getWeights().size();
  auto take = [&](Values &to, unsigned n) {
    for (unsigned i = 0; i < n; ++i)
      to.push_back(b.argument(next++));
  };
  take(weights, count);
  take(formats, count);
  take(biases, kernel.getBias() ? count : 0);
  if (kernel.getResidual())
    residual = b.argument(next++);
  take(results, kernel.getGlu() ? 1 : count);
}

void LinearOperands::ofWeight(unsigned weight, Value tile, llvm::function_ref<void(unsigned, Value)> body) {
  if (kernel.getGlu() || weight + 1 == kernel.getWeights().size())
    return body(weight, tile);
  Value count = b.constant(tiles(weight));
  auto branch = scf::IfOp::create(b, b.compare(arith::CmpIPredicate::slt, tile, count), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  body(weight, tile);
  b.setInsertionPoint(branch.elseYield());
  ofWeight(weight + 1, b.sub(tile, count), body);
}

void LinearOperands::anyFormat(unsigned weight, llvm::function_ref<void(llm::Format)> body) {
  SmallVector<llm::Format> known = formatsOf(type(weight));
  if (known.size() == 1)
    return body(known[0]);
  SmallVector<int64_t> cases = llvm::to_vector(llvm::seq<int64_t>(1, known.size()));
  Value index = arith::IndexCastOp::create(b, b.getIndexType(), formats[weight]);
  auto choice = scf::IndexSwitchOp::create(b, TypeRange(), index, cases, cases.size());
  OpBuilder::InsertionGuard guard(b);
  for (auto [i, region] : llvm::enumerate(choice->getRegions())) {
    b.createBlock(&region);
    body(known[i]);
    scf::YieldOp::create(b);
  }
}

Value LinearOperands::activated(Value first, llvm::function_ref<Value()> other) {
  if (kernel.getLimits())
    return limitedUnit(first, other());
  if (!kernel.getActivation())
    return first;
  Value value = activate(b, kernel.getActivation().getValue(), first);
  return kernel.getGlu() ? b.mul(value, other()) : value;
}

// As #llm.glu_limits.
Value LinearOperands::limitedUnit(Value gate, Value up) {
  auto constant = [&](double value) { return b.constant(gate.getType(), value); };
  double limit = kernel.getLimits().getLimit().value;
  gate = arith::MinimumFOp::create(b, gate, constant(limit));
  up = arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, up, constant(-limit)), constant(limit));
  Value open = activate(b, llm::Activation::sigmoid, b.mul(gate, constant(kernel.getLimits().getAlpha().value)));
  return b.mul(b.mul(gate, open), b.add(up, constant(kernel.getLimits().getOffset().value)));
}

Value LinearOperands::limited(Value logits) {
  if (double factor = kernel.getScale().value)
    logits = b.mul(logits, b.constant(logits.getType(), factor));
  double cap = kernel.getSoftcap().value;
  return cap ? softcap(b, logits, cap) : logits;
}

Value LinearOperands::keysOf(Value results) { return orderedKeys(b, results, tile::kNanKey); }

} // namespace llmc::kernels
