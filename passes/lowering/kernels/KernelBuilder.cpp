#include "passes/lowering/kernels/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace llmc::kernels {

namespace {

Type withLane(Type type, Type lane) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(VectorType::get(vector.getShape(), lane)) : lane;
}
bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

} // namespace

KernelBuilder::KernelBuilder(func::FuncOp function, tile::TargetAttr target)
    : ImplicitLocOpBuilder(function.getLoc(), function.getContext()), target(target),
      module(function->getParentOfType<ModuleOp>()) {
  entry = function.addEntryBlock();
  setInsertionPointToStart(entry);
}

Value KernelBuilder::integer(Type type, int64_t value) {
  Type lane = getElementTypeOrSelf(type);
  // Masks are written as unsigned numbers: keep the bits that the lane has.
  TypedAttr attr = IntegerAttr::get(lane, APInt(lane.getIntOrFloatBitWidth(), uint64_t(value), false, true));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(*this, attr);
}

Value KernelBuilder::constant(Type type, double value) {
  TypedAttr attr = FloatAttr::get(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(*this, attr);
}

Value KernelBuilder::at(Value pointer, int64_t offset) {
  if (offset == 0)
    return pointer;
  return LLVM::GEPOp::create(*this, pointer.getType(), getI8Type(), pointer, ArrayRef<LLVM::GEPArg>{int32_t(offset)},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value KernelBuilder::at(Value pointer, Value index, int64_t stride, int64_t offset) {
  Value bytes = stride == 1 ? index : mul(index, constant(stride));
  Value base = LLVM::GEPOp::create(*this, pointer.getType(), getI8Type(), pointer, ValueRange{bytes},
                                   LLVM::GEPNoWrapFlags::inbounds);
  return at(base, offset);
}

Value KernelBuilder::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(*this, type, pointer, alignment);
}

void KernelBuilder::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(*this, value, pointer, alignment);
}

Value KernelBuilder::loadBroadcast(VectorType type, Type scalar, Value pointer) {
  int64_t lanes = type.getNumElements() * type.getElementTypeBitWidth() / scalar.getIntOrFloatBitWidth();
  return bitcast(broadcast(load(scalar, pointer, 4), VectorType::get(lanes, scalar)), type);
}

void KernelBuilder::prefetch(Value pointer, unsigned locality) {
  LLVM::Prefetch::create(*this, pointer, /*rw=*/0u, locality, /*cache=*/1u);
}

Value KernelBuilder::add(Value a, Value b) {
  return isFloat(a) ? arith::AddFOp::create(*this, a, b).getResult() : arith::AddIOp::create(*this, a, b).getResult();
}
Value KernelBuilder::sub(Value a, Value b) {
  return isFloat(a) ? arith::SubFOp::create(*this, a, b).getResult() : arith::SubIOp::create(*this, a, b).getResult();
}
Value KernelBuilder::mul(Value a, Value b) {
  return isFloat(a) ? arith::MulFOp::create(*this, a, b).getResult() : arith::MulIOp::create(*this, a, b).getResult();
}
Value KernelBuilder::fma(Value a, Value b, Value c) { return LLVM::FMulAddOp::create(*this, a, b, c); }

Value KernelBuilder::bitAnd(Value a, int64_t mask) {
  return arith::AndIOp::create(*this, a, constant(a.getType(), mask));
}
Value KernelBuilder::bitOr(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
Value KernelBuilder::bitXor(Value a, int64_t mask) {
  return arith::XOrIOp::create(*this, a, constant(a.getType(), mask));
}
Value KernelBuilder::shiftLeft(Value a, int64_t bits) {
  return bits == 0 ? a : arith::ShLIOp::create(*this, a, constant(a.getType(), bits)).getResult();
}
Value KernelBuilder::shiftRight(Value a, int64_t bits) {
  return bits == 0 ? a : arith::ShRUIOp::create(*this, a, constant(a.getType(), bits)).getResult();
}
Value KernelBuilder::shiftRightArithmetic(Value a, int64_t bits) {
  return bits == 0 ? a : arith::ShRSIOp::create(*this, a, constant(a.getType(), bits)).getResult();
}
Value KernelBuilder::minimum(Value a, Value b) { return arith::MinSIOp::create(*this, a, b); }
Value KernelBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(*this, condition, a, b);
}
Value KernelBuilder::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  return arith::CmpIOp::create(*this, predicate, a, b);
}

Value KernelBuilder::extendSigned(Value a, Type lane) {
  return arith::ExtSIOp::create(*this, withLane(a.getType(), lane), a);
}
Value KernelBuilder::extendUnsigned(Value a, Type lane) {
  return arith::ExtUIOp::create(*this, withLane(a.getType(), lane), a);
}
Value KernelBuilder::truncate(Value a, Type lane) {
  return arith::TruncIOp::create(*this, withLane(a.getType(), lane), a);
}
Value KernelBuilder::toFloat(Value a) {
  return arith::SIToFPOp::create(*this, withLane(a.getType(), getF32Type()), a);
}

Value KernelBuilder::loadHalves(int64_t lanes, Value pointer) {
  // x86-64-v3 and later convert in hardware; elsewhere LLVM would call a library function per lane.
  if (target.getDot() == tile::Dot::portable)
    return convertHalves(load(halves(lanes), pointer, 2));
  Value value = load(VectorType::get(lanes, getF16Type()), pointer, 2);
  return arith::ExtFOp::create(*this, floats(lanes), value);
}

Value KernelBuilder::loadBf16(int64_t lanes, Value pointer) {
  Value bits = extendUnsigned(load(halves(lanes), pointer, 2), getI32Type());
  return bitcast(shiftLeft(bits, 16), floats(lanes));
}

// As halfToFloat in runtime/formats/Half.h.
Value KernelBuilder::convertHalves(Value bits) {
  Value word = extendUnsigned(bits, getI32Type());
  Type type = word.getType();
  Value sign = shiftLeft(bitAnd(word, 0x8000), 16), magnitude = bitAnd(word, 0x7fff);
  Value normal = add(shiftLeft(magnitude, 13), constant(type, int64_t(112) << 23));
  Value infinite = bitOr(shiftLeft(bitAnd(magnitude, 0x3ff), 13), constant(type, 0x7f800000));
  Value tiny = toFloat(magnitude);
  tiny = bitcast(mul(tiny, constant(tiny.getType(), 0x1p-24)), type);
  Value isFinite = compare(arith::CmpIPredicate::slt, magnitude, constant(type, 0x7c00));
  Value isTiny = compare(arith::CmpIPredicate::slt, magnitude, constant(type, 0x0400));
  Value value = select(isTiny, tiny, select(isFinite, normal, infinite));
  return bitcast(bitOr(value, sign), withLane(type, getF32Type()));
}

Value KernelBuilder::bitcast(Value a, Type type) {
  if (a.getType() == type)
    return a;
  if (isa<VectorType>(type))
    return vector::BitCastOp::create(*this, type, a);
  return arith::BitcastOp::create(*this, type, a);
}
Value KernelBuilder::broadcast(Value scalar, VectorType type) {
  return vector::BroadcastOp::create(*this, type, scalar);
}
Value KernelBuilder::shuffle(Value a, Value b, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(*this, a, b, lanes);
}
Value KernelBuilder::slice(Value a, int64_t first, int64_t lanes) {
  return shuffle(a, a, llvm::to_vector(llvm::seq(first, first + lanes)));
}
Value KernelBuilder::concat(Value a, Value b) {
  int64_t lanes = 2 * cast<VectorType>(a.getType()).getNumElements();
  return shuffle(a, b, llvm::to_vector(llvm::seq(int64_t(0), lanes)));
}
Value KernelBuilder::intrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(*this, result, getStringAttr(name), operands).getResult(0);
}

void KernelBuilder::loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(lower, upper, step, ValueRange{}, [&](Value index, ValueRange) {
    body(index);
    return Values{};
  });
}

Values KernelBuilder::loop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body) {
  APInt first, end;
  if (matchPattern(lower, m_ConstantInt(&first)) && matchPattern(upper, m_ConstantInt(&end)) &&
      first.slt(end) && (first + uint64_t(step)).sge(end))
    return body(lower, initial);
  return Values(buildLoop(lower, upper, step, initial, body).getResults());
}

Values KernelBuilder::rolledLoop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body) {
  scf::ForOp loop = buildLoop(lower, upper, step, initial, body);
  auto unroll = LLVM::LoopUnrollAttr::get(getContext(), /*disable=*/getBoolAttr(true), {}, {}, {}, {}, {}, {});
  auto annotation = LLVM::LoopAnnotationAttr::get(getContext(), {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
  loop->setAttr("loop_annotation", annotation); // the conversions take it to the branch back
  return Values(loop.getResults());
}

scf::ForOp KernelBuilder::buildLoop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body) {
  auto build = [&](OpBuilder &, Location, Value index, ValueRange carried) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToEnd(index.getParentBlock());
    scf::YieldOp::create(*this, body(index, carried));
  };
  return scf::ForOp::create(*this, lower, upper, constant(step), initial, build);
}

void KernelBuilder::onlyIf(Value condition, llvm::function_ref<void()> body) {
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  body();
}

Value KernelBuilder::multipleBelow(Value a, int64_t divisor) {
  return sub(a, arith::RemUIOp::create(*this, a, constant(divisor)));
}

} // namespace llmc::kernels
