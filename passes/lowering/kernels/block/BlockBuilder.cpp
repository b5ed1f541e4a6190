#include "passes/lowering/kernels/block/BlockBuilder.h"

#include "dialects/tile/Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace llmc::kernels {

constexpr unsigned kSharedSpace = 3, kGlobalSpace = 1;

BlockBuilder::BlockBuilder(func::FuncOp function, tile::TargetAttr target) : KernelBuilder(function, target), function(function) {}

Value BlockBuilder::special(StringRef name) {
  return extendUnsigned(intrinsic(("llvm.nvvm.read.ptx.sreg." + name).str(), getI32Type(), {}), getI64Type());
}

void BlockBuilder::effect(StringRef name, ValueRange operands) { LLVM::CallIntrinsicOp::create(*this, getStringAttr(name), operands); }

Value BlockBuilder::thread() { return special("tid.x"); }
Value BlockBuilder::lane() { return bitAnd(thread(), kWarp - 1); }
Value BlockBuilder::warp() { return shiftRight(thread(), 5); }

void BlockBuilder::barrier() { effect("llvm.nvvm.barrier.cta.sync.aligned.all", constant(getI32Type(), 0)); }
void BlockBuilder::warpBarrier() { effect("llvm.nvvm.bar.warp.sync", constant(getI32Type(), -1)); }

void BlockBuilder::onThread(int64_t number, llvm::function_ref<void()> body) {
  onlyIf(compare(arith::CmpIPredicate::eq, thread(), constant(number)), body);
}

void BlockBuilder::strided(Value first, Value count, int64_t stride, llvm::function_ref<void(Value)> body) {
  loop(first, count, stride, body);
}

void BlockBuilder::eachThread(Value count, int64_t step, llvm::function_ref<void(Value)> body) {
  strided(mul(thread(), constant(step)), count, step * threads(), body);
}

void BlockBuilder::eachLane(Value count, int64_t step, llvm::function_ref<void(Value)> body) {
  strided(mul(lane(), constant(step)), count, step * kWarp, body);
}

void BlockBuilder::eachChannel(int64_t count, llvm::function_ref<Value(Value)> read, llvm::function_ref<void(Value, Value)> write) {
  constexpr int64_t most = 8;
  int64_t whole = count / threads() * threads();
  for (int64_t first = 0; first < whole;) {
    int64_t indices = std::min(most, (whole - first) / threads());
    Values values, at;
    for (int64_t i = 0; i < indices; ++i, first += threads()) {
      at.push_back(add(thread(), constant(first)));
      values.push_back(read(at.back()));
    }
    for (auto [index, value] : llvm::zip(at, values))
      write(index, value);
  }
  if (whole == count)
    return;
  Value index = add(thread(), constant(whole));
  onlyIf(compare(arith::CmpIPredicate::slt, index, constant(count)), [&] { write(index, read(index)); });
}

Value BlockBuilder::global(Value pointer) {
  if (cast<LLVM::LLVMPointerType>(pointer.getType()).getAddressSpace() == kGlobalSpace)
    return pointer;
  return LLVM::AddrSpaceCastOp::create(*this, LLVM::LLVMPointerType::get(getContext(), kGlobalSpace), pointer);
}

void BlockBuilder::prefetchToL2(Value pointer) { effect("llvm.nvvm.prefetch.global.L2", global(pointer)); }

Values BlockBuilder::elements(Value vector) {
  Values result;
  for (int64_t i = 0; i < cast<VectorType>(vector.getType()).getNumElements(); ++i)
    result.push_back(vector::ExtractOp::create(*this, vector, i));
  return result;
}

Values BlockBuilder::loadWords(int64_t count, Value pointer) {
  if (count == 1)
    return {load(getI32Type(), pointer, 4)};
  return elements(load(words(count), pointer, unsigned(4 * count)));
}

std::array<Value, 2> BlockBuilder::fromHalves(Value word) {
  auto half = [&](int64_t bits) {
    Value value = arith::BitcastOp::create(*this, getF16Type(), truncate(shiftRight(word, bits), getI16Type()));
    return arith::ExtFOp::create(*this, getF32Type(), value).getResult();
  };
  return {half(0), half(16)};
}

std::array<Value, 2> BlockBuilder::fromBf16(Value word) {
  return {bitcast(shiftLeft(word, 16), getF32Type()), bitcast(bitAnd(word, 0xffff0000), getF32Type())};
}

Value BlockBuilder::toHalves(Value low, Value high) {
  Value both = vector::FromElementsOp::create(*this, floats(2), ValueRange{low, high});
  Value halves = arith::TruncFOp::create(*this, VectorType::get(2, getF16Type()), both);
  return LLVM::BitcastOp::create(*this, getI32Type(), halves);
}

Value BlockBuilder::powerOfTwo(Value value) { return intrinsic("llvm.nvvm.ex2.approx.ftz", getF32Type(), {value}); }

Value BlockBuilder::roundToBf16(Value value) {
  Value bits = bitcast(value, getI32Type()), odd = bitAnd(shiftRight(bits, 16), 1);
  Value rounded = add(add(bits, constant(getI32Type(), 0x7fff)), odd);
  Value isNan = arith::CmpFOp::create(*this, arith::CmpFPredicate::UNO, value, value);
  return bitcast(bitAnd(select(isNan, constant(getI32Type(), 0x7fc00000), rounded), 0xffff0000), getF32Type());
}

static std::string ofType(StringRef name, Value value) { return (name + (value.getType().isF32() ? ".f32" : ".i32")).str(); }

Value BlockBuilder::shuffleXor(Value value, int64_t mask) {
  Type word = getI32Type();
  return intrinsic(ofType("llvm.nvvm.shfl.sync.bfly", value), value.getType(),
                   {constant(word, -1), value, constant(word, mask), constant(word, kWarp - 1)});
}

Value BlockBuilder::shuffleFrom(Value value, Value lane) {
  Type word = getI32Type();
  return intrinsic(ofType("llvm.nvvm.shfl.sync.idx", value), value.getType(),
                   {constant(word, -1), value, truncate(lane, word), constant(word, kWarp - 1)});
}

Value BlockBuilder::reduceWarp(Value value, Combine combine) {
  for (int64_t mask = kWarp / 2; mask; mask /= 2)
    value = combine(value, shuffleXor(value, mask));
  return value;
}

Value BlockBuilder::sumOfWarp(Value word) {
  return intrinsic("llvm.nvvm.redux.sync.add", word.getType(), {word, constant(getI32Type(), -1)});
}
Value BlockBuilder::maximumOfWarp(Value word) {
  return intrinsic("llvm.nvvm.redux.sync.max", word.getType(), {word, constant(getI32Type(), -1)});
}

Value BlockBuilder::reduceBlock(Value value, Combine combine, Value scratch) {
  value = reduceWarp(value, combine);
  onlyIf(compare(arith::CmpIPredicate::eq, lane(), constant(0)), [&] { store(value, at(scratch, warp(), 4), 4); });
  barrier();
  Value total = load(value.getType(), scratch, 4);
  for (int64_t i = 1; i < warps(); ++i)
    total = combine(total, load(value.getType(), at(scratch, 4 * i), 4));
  barrier(); // `scratch` may be written again
  return total;
}

// One array of no size for all kernels; it lies at the start of what the launch asks for.
Value BlockBuilder::shared(int64_t bytes) {
  auto global = module.lookupSymbol<LLVM::GlobalOp>(kSharedName);
  if (!global) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(module.getBody());
    global = LLVM::GlobalOp::create(*this, LLVM::LLVMArrayType::get(getI8Type(), 0), /*isConstant=*/false, LLVM::Linkage::External, kSharedName,
                                    Attribute(), /*alignment=*/16, kSharedSpace);
  }
  Value start = LLVM::AddressOfOp::create(*this, global);
  int64_t offset = sharedBytes;
  sharedBytes = tile::alignTo(sharedBytes + bytes, 16);
  return at(start, offset);
}

void BlockBuilder::copyAsync(Value sharedTo, Value from) {
  effect("llvm.nvvm.cp.async.cg.shared.global.16", {sharedTo, global(from)});
}

void BlockBuilder::copyAsyncOrZero(int64_t bytes, Value sharedTo, Value from, Value isThere) {
  const char *name = bytes == 16 ? "llvm.nvvm.cp.async.cg.shared.global.16.s" : "llvm.nvvm.cp.async.ca.shared.global.4.s";
  effect(name, {sharedTo, global(from), select(isThere, constant(getI32Type(), bytes), constant(getI32Type(), 0))});
}

void BlockBuilder::commitCopies() { effect("llvm.nvvm.cp.async.commit.group", {}); }
void BlockBuilder::awaitCopies(int64_t most) { effect("llvm.nvvm.cp.async.wait.group", constant(getI32Type(), most)); }

Value BlockBuilder::dot4(Value a, Value b, Value c, bool unsignedA) {
  return intrinsic(unsignedA ? "llvm.nvvm.idp4a.u.s" : "llvm.nvvm.idp4a.s.s", getI32Type(), {a, b, c});
}

BlockBuilder::Four BlockBuilder::fourOf(StringRef name, Type lane, ArrayRef<Value> operands) {
  auto four = LLVM::LLVMStructType::getLiteral(getContext(), {lane, lane, lane, lane});
  Value result = intrinsic(name, four, operands);
  Four values;
  for (int64_t i = 0; i < 4; ++i)
    values[size_t(i)] = LLVM::ExtractValueOp::create(*this, result, i);
  return values;
}

BlockBuilder::Four BlockBuilder::mmaBf16(Four a, std::array<Value, 2> b, Four c) {
  return fourOf("llvm.nvvm.mma.m16n8k16.row.col.bf16", getF32Type(), {a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], c[2], c[3]});
}
BlockBuilder::Four BlockBuilder::mmaF16(Four a, std::array<Value, 2> b, Four c) {
  auto halves = [&](Value word) -> Value { return LLVM::BitcastOp::create(*this, VectorType::get(2, getF16Type()), word); };
  return fourOf("llvm.nvvm.mma.m16n8k16.row.col.f32.f32", getF32Type(),
                {halves(a[0]), halves(a[1]), halves(a[2]), halves(a[3]), halves(b[0]), halves(b[1]), c[0], c[1], c[2], c[3]});
}
BlockBuilder::Four BlockBuilder::mmaInt8(Four a, std::array<Value, 2> b, Four c) {
  return fourOf("llvm.nvvm.mma.m16n8k32.row.col.s8", getI32Type(), {a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], c[2], c[3]});
}
BlockBuilder::Four BlockBuilder::mmaInt8Half(std::array<Value, 2> a, Value b, Four c) {
  return fourOf("llvm.nvvm.mma.m16n8k16.row.col.s8", getI32Type(), {a[0], a[1], b, c[0], c[1], c[2], c[3]});
}

BlockBuilder::Four BlockBuilder::loadMatrices(Value sharedRow) {
  return fourOf("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16", getI32Type(), {sharedRow});
}

BlockBuilder::Four BlockBuilder::loadMatricesTurned(Value sharedRow) {
  return fourOf("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16", getI32Type(), {sharedRow});
}

Value BlockBuilder::pickBytes(Value low, Value high, Value selector) {
  return intrinsic("llvm.nvvm.prmt", getI32Type(), {low, high, selector});
}

void BlockBuilder::finish() {
  barrier();
  func::ReturnOp::create(*this);
  function->setAttr(kSharedBytesAttr, getI64IntegerAttr(sharedBytes));
}

} // namespace llmc::kernels
