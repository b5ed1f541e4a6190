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

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  constexpr int64_t maxChannels = int64_t(1) << 30;
  int64_t sum = 0;
  for (Value part : adaptor.getParts()) {
    auto type = dyn_cast<RankedTensorType>(part.getType());
    sum += type && type.getRank() == 2 && type.getShape()[1] <= maxChannels ? type.getShape()[1] : maxChannels + 1;
    if (sum > maxChannels)
      break;
  }
  if (sum < 1 || sum > maxChannels) // concat_c1
    return emitOptionalError(location, "'llm.concat' op wants parts of 1 to ", maxChannels, " channels in all");
  types.push_back(RankedTensorType::get({ShapedType::kDynamic, sum}, Float32Type::get(context)));
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
// Recurrences
//===----------------------------------------------------------------------===//

template <class State> static State stateOf(Operation *op, FlatSymbolRefAttr symbol, SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(op, symbol);
  return state ? dyn_cast<State>(state.getType()) : State();
}

static LogicalResult verifyTail(Operation *op, FlatSymbolRefAttr symbol, int64_t channels, int64_t taps, SymbolTableCollection &symbols) {
  auto tail = stateOf<ConvTailType>(op, symbol, symbols);
  if (!tail || tail.getChannels() != channels || tail.getTaps() != taps)
    return op->emitOpError("wants a conv_tail of ") << channels << " channels and " << taps << " taps: " << symbol;
  return success();
}

LogicalResult ShiftOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyTail(*this, getStateAttr(), channels(getX()), 1, symbols); // shift_c1
}

LogicalResult CausalConvOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 2 || rows(getWeight()) != channels(getX()) || channels(getWeight()) < 2 || isa<QuantType>(weight.getElementType())) // causal_conv_c2
    return emitOpError("weight must be [") << channels(getX()) << ", K] of floats with K > 1, got " << weight;
  if (getBias() && !isVector(getBias(), channels(getX()))) // causal_conv_c3
    return emitOpError("bias must be [") << channels(getX()) << "], got " << getBias().getType();
  return success();
}

LogicalResult CausalConvOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyTail(*this, getStateAttr(), channels(getX()), channels(getWeight()) - 1, symbols); // causal_conv_c1
}

LogicalResult ScanOp::verify() {
  if (std::optional<ArrayRef<double>> limit = getStepLimit()) // scan_c3
    if (limit->size() != 2 || !((*limit)[0] <= (*limit)[1]) || !getStep())
      return emitOpError("'step_limit' must be [low, high] of a step");
  if (static_cast<int64_t>(getChunk()) < 0) // scan_c4
    return emitOpError("'chunk' must not be negative");
  return success();
}

namespace {

// Checks the operands of a scan against the shape of its state (scan_c2).
struct ScanShapes {
  ScanOp op;
  ArrayRef<int64_t> state;

  LogicalResult refuse(StringRef operand, const Twine &want) {
    return op.emitOpError() << stringifyScanKind(op.getKind()) << " with a state of [" << state << "] wants " << operand << " " << want;
  }
  LogicalResult weight(Value value, StringRef name, ArrayRef<int64_t> shape, bool optional = false) {
    if (!value && optional)
      return success();
    bool quantised = value && isa<QuantType>(cast<RankedTensorType>(value.getType()).getElementType());
    if (value && hasShape(value, shape) && !quantised)
      return success();
    return refuse(name, shape.size() == 1 ? "[" + Twine(shape[0]) + "]" : "[" + Twine(shape[0]) + ", " + Twine(shape.back()) + "]");
  }
  LogicalResult rows(Value value, StringRef name, int64_t size) {
    return value && channels(value) == size ? success() : refuse(name, "of " + Twine(size) + " channels");
  }
  LogicalResult absent(Value value, StringRef name) { return value ? refuse(name, "absent") : success(); }
  // Groups of `size` channels, whose number divides the heads.
  LogicalResult groups(Value value, StringRef name, int64_t heads, int64_t size) {
    if (value && channels(value) % size == 0 && heads % (channels(value) / size) == 0)
      return success();
    return refuse(name, "of " + Twine(size) + " channels for each group of heads");
  }

  LogicalResult verify() {
    int64_t count = channels(op.getX());
    switch (op.getKind()) {
    case ScanKind::diagonal:
      return success(succeeded(rows(op.getX(), "x", state[0])) && succeeded(rows(op.getStep(), "step", count)) &&
                     succeeded(weight(op.getA(), "decay", state)) && succeeded(rows(op.getInput(), "input", state[1])) &&
                     succeeded(rows(op.getOutput(), "output", state[1])) && succeeded(absent(op.getBeta(), "beta")) &&
                     succeeded(weight(op.getSkip(), "skip", {count}, /*optional=*/true)));
    case ScanKind::scalar:
      return success(succeeded(heads(state[1])) && succeeded(grouped(state[2])) && succeeded(absent(op.getBeta(), "beta")) &&
                     succeeded(weight(op.getSkip(), "skip", {state[0]}, /*optional=*/true)));
    case ScanKind::delta:
      return success(succeeded(heads(state[2])) && succeeded(grouped(state[1])) && succeeded(rows(op.getBeta(), "beta", state[0])) &&
                     succeeded(absent(op.getSkip(), "skip")));
    case ScanKind::gated:
      return success(succeeded(rows(op.getX(), "x", state[0])) && succeeded(rows(op.getStep(), "step", count)) &&
                     succeeded(weight(op.getA(), "decay", {count})) && succeeded(absent(op.getInput(), "input")) &&
                     succeeded(absent(op.getOutput(), "output")) && succeeded(absent(op.getBeta(), "beta")) &&
                     succeeded(absent(op.getSkip(), "skip")));
    case ScanKind::wkv:
      return success(succeeded(rows(op.getX(), "x", state[1])) && succeeded(rows(op.getInput(), "input", count)) &&
                     succeeded(weight(op.getA(), "decay", {count})) && succeeded(weight(op.getSkip(), "skip", {count})) &&
                     succeeded(absent(op.getStep(), "step")) && succeeded(absent(op.getOutput(), "output")) &&
                     succeeded(absent(op.getBeta(), "beta")));
    }
    llvm_unreachable("every kind is listed");
  }

private:
  LogicalResult heads(int64_t channelsOfHead) {
    return success(succeeded(rows(op.getX(), "x", state[0] * channelsOfHead)) && succeeded(rows(op.getStep(), "step", state[0])) &&
                   succeeded(weight(op.getA(), "decay", {state[0]})));
  }
  LogicalResult grouped(int64_t size) {
    if (failed(groups(op.getInput(), "input", state[0], size)))
      return failure();
    return rows(op.getOutput(), "output", channels(op.getInput()));
  }
};

} // namespace

static size_t stateRank(ScanKind kind) {
  return kind == ScanKind::gated ? 1 : kind == ScanKind::scalar || kind == ScanKind::delta ? 3 : 2;
}

LogicalResult ScanOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto type = stateOf<RecurrentType>(*this, getStateAttr(), symbols); // scan_c1
  bool fits = type && type.getShape().size() == stateRank(getKind()) && (getKind() != ScanKind::wkv || type.getShape()[0] == 3);
  if (!fits)
    return emitOpError() << stringifyScanKind(getKind()) << " wants a recurrent state of rank " << stateRank(getKind())
                         << (getKind() == ScanKind::wkv ? ", [3, C]" : "") << ": " << getStateAttr();
  return ScanShapes{*this, type.getShape()}.verify();
}

SmallVector<int64_t> ScanOp::getStateShape() {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  return SmallVector<int64_t>(cast<RecurrentType>(state.getType()).getShape());
}

using Effects = SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;
static void readAndWrite(Effects &effects, FlatSymbolRefAttr state) {
  effects.emplace_back(MemoryEffects::Read::get(), state, StateResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), state, StateResource::get());
}
void ShiftOp::getEffects(Effects &effects) { readAndWrite(effects, getStateAttr()); }
void CausalConvOp::getEffects(Effects &effects) { readAndWrite(effects, getStateAttr()); }
void ScanOp::getEffects(Effects &effects) { readAndWrite(effects, getStateAttr()); }

FlatSymbolRefAttr ShiftOp::getStateSymbol() { return getStateAttr(); }
FlatSymbolRefAttr CausalConvOp::getStateSymbol() { return getStateAttr(); }
FlatSymbolRefAttr ScanOp::getStateSymbol() { return getStateAttr(); }
Value ShiftOp::getStateLayer() { return getLayer(); }
Value CausalConvOp::getStateLayer() { return getLayer(); }
Value ScanOp::getStateLayer() { return getLayer(); }

//===----------------------------------------------------------------------===//
// Builders and folds
//===----------------------------------------------------------------------===//

void ColumnsOp::build(OpBuilder &builder, OperationState &state, Value x, int64_t begin, int64_t count) {
  auto type = RankedTensorType::get({ShapedType::kDynamic, count}, builder.getF32Type());
  build(builder, state, type, x, builder.getI64IntegerAttr(begin));
}

void CausalConvOp::build(OpBuilder &builder, OperationState &state, Value x, Value weight, Value bias, Value layer, Value batch,
                         StringRef tail, std::optional<Activation> activation) {
  auto attr = activation ? ActivationAttr::get(builder.getContext(), *activation) : ActivationAttr();
  build(builder, state, x.getType(), x, weight, bias, layer, batch, FlatSymbolRefAttr::get(builder.getContext(), tail), attr);
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
OpCost ConcatOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 0); }
OpCost UnitNormOp::getCost(int64_t tokens, int64_t) { return pointwise(getY(), tokens, 4); }

OpCost ShiftOp::getCost(int64_t tokens, int64_t) {
  return {.stateBytes = 8.0 * channels(getX()), .flops = 0.0 * tokens};
}

OpCost CausalConvOp::getCost(int64_t tokens, int64_t) {
  double taps = channels(getWeight());
  OpCost cost = pointwise(getY(), tokens, 2 * taps + (getActivation() ? 16 : 0), getBias());
  cost.weightBytes += 4 * taps * channels(getX());
  cost.stateBytes = 8 * (taps - 1) * channels(getX());
  return cost;
}

// The state counts once read and once written: between tokens of a step it stays near.
OpCost ScanOp::getCost(int64_t tokens, int64_t) {
  double elements = 1, weights = 1;
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  for (int64_t dim : state ? cast<RecurrentType>(state.getType()).getShape() : ArrayRef<int64_t>())
    elements *= dim;
  for (int64_t dim : cast<RankedTensorType>(getA().getType()).getShape())
    weights *= dim;
  constexpr double nonlinear = 16;
  double perElement = 0;
  switch (getKind()) {
  case ScanKind::diagonal: perElement = 5 + nonlinear; break;
  case ScanKind::scalar: perElement = 5; break;
  case ScanKind::delta: perElement = 7; break;
  case ScanKind::gated: perElement = 6 + nonlinear; break;
  case ScanKind::wkv: perElement = (12 + 4 * nonlinear) / 3; break;
  }
  return {.weightBytes = 4 * weights, .stateBytes = 8 * elements, .flops = perElement * elements * tokens};
}
