#include "passes/lowering/kernels/CacheBlock.h"

#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {

Value finiteHalf(KernelBuilder &b, Value x) {
  constexpr double largest = 65504;
  Value least = arith::MaximumFOp::create(b, x, b.constant(x.getType(), -largest));
  return arith::MinimumFOp::create(b, least, b.constant(x.getType(), largest));
}

Value wantedScale(KernelBuilder &b, Value biggest) {
  return arith::MinimumFOp::create(b, div(b, biggest, b.constant(b.getF32Type(), 127.0)), b.constant(b.getF32Type(), 65504.0));
}

Value inverseScale(KernelBuilder &b, Value scale) {
  Type f32 = b.getF32Type();
  Value isUsable = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, scale, b.constant(f32, 0.0));
  return b.select(isUsable, div(b, b.constant(f32, 1.0), scale), b.constant(f32, 0.0));
}

Value limitedWords(KernelBuilder &b, Value scaled) {
  scaled = maximum(b, scaled, b.constant(scaled.getType(), -127.0));
  return roundToWords(b, arith::MinNumFOp::create(b, scaled, b.constant(scaled.getType(), 127.0)));
}

// Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
Value roundToWords(KernelBuilder &b, Value x) {
  auto vector = dyn_cast<VectorType>(x.getType());
  Type words = vector ? Type(b.words(vector.getNumElements())) : b.getI32Type();
  return b.sub(b.bitcast(b.add(x, b.constant(x.getType(), 12582912.0)), words), b.constant(words, 0x4b400000));
}

Value largestBits(KernelBuilder &b, ValueRange numbers) {
  Value largest;
  for (Value x : numbers) {
    Value bits = b.bitAnd(b.bitcast(x, b.words(cast<VectorType>(x.getType()).getNumElements())), 0x7fffffff);
    Value most = vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, bits);
    largest = largest ? arith::MaxSIOp::create(b, largest, most).getResult() : most;
  }
  return largest;
}

Values loadChannels(KernelBuilder &b, int64_t channels, Value from) {
  Values loaded;
  for (int64_t first = 0; first < channels; first += kLanes)
    loaded.push_back(b.load(b.floats(std::min(kLanes, channels - first)), b.at(from, first * 4), 4));
  return loaded;
}

Values forGroups(KernelBuilder &b, int64_t headDim, ValueRange initial,
                 llvm::function_ref<Values(Value group, int64_t channels, ValueRange carried)> body) {
  int64_t whole = headDim / llm::kCacheGroup, rest = headDim % llm::kCacheGroup;
  Values carried(initial.begin(), initial.end());
  if (whole)
    carried = b.loop(b.constant(0), b.constant(whole), 1, carried,
                     [&](Value group, ValueRange values) { return body(group, llm::kCacheGroup, values); });
  return rest ? body(b.constant(whole), rest, carried) : carried;
}

void forGroups(KernelBuilder &b, int64_t headDim, llvm::function_ref<void(Value group, int64_t channels)> body) {
  forGroups(b, headDim, ValueRange(), [&](Value group, int64_t channels, ValueRange) {
    body(group, channels);
    return Values();
  });
}

namespace {

// Whole numbers of a group, as vectors of i8; its scale goes to `scaleAt`. What is not finite: infinities count as the largest number that there is, and a
// NaN becomes the scale, which shows.
Values roundGroup(KernelBuilder &b, ValueRange numbers, Value scaleAt) {
  Type f32 = b.getF32Type();
  Value biggest = b.bitcast(largestBits(b, numbers), f32);
  storeAs(b, b.broadcast(wantedScale(b, biggest), b.floats(1)), b.getF16Type(), scaleAt);
  Value scale = vector::ExtractOp::create(b, loadAs(b, 1, b.getF16Type(), scaleAt), ArrayRef<int64_t>{0});
  Value inverse = inverseScale(b, scale);
  Values rounded;
  for (Value x : numbers)
    rounded.push_back(b.truncate(limitedWords(b, b.mul(x, splat(b, inverse, x.getType()))), b.getI8Type()));
  return rounded;
}

// Channels of a key by fours, the last ones filled up with zeros.
void storeQuads(KernelBuilder &b, Value bytes, Value at) {
  int64_t channels = cast<VectorType>(bytes.getType()).getNumElements(), quads = (channels + 3) / 4;
  Value flipped = b.bitXor(bytes, 0x80);
  if (channels % 4) {
    SmallVector<int64_t> lanes = llvm::to_vector(llvm::seq<int64_t>(0, quads * 4));
    for (int64_t lane = channels; lane < quads * 4; ++lane)
      lanes[size_t(lane)] = channels; // of the second operand
    flipped = b.shuffle(flipped, b.constant(flipped.getType(), 0), lanes);
  }
  Value words = b.bitcast(flipped, b.words(quads));
  for (int64_t quad = 0; quad < quads; ++quad)
    b.store(vector::ExtractOp::create(b, words, ArrayRef<int64_t>{quad}), b.at(at, quad * kQuadBytes), 4);
}

} // namespace

void appendQ8(KernelBuilder &b, const CacheShape &cache, Value block, Value lane, Value key, Value value) {
  constexpr int64_t floats = llm::kCacheGroup * 4, quads = llm::kCacheGroup / 4 * kQuadBytes;
  Value values = b.at(block, cache.sideBytes()), keyLane = b.at(block, lane, 4);
  Value valueLane = b.at(b.at(values, b.shiftRight(lane, 1), 2 * cache.channels()), b.bitAnd(lane, 1), 1);
  forGroups(b, cache.headDim, [&](Value group, int64_t channels) {
    auto round = [&](Value side, Value from) {
      return roundGroup(b, loadChannels(b, channels, b.at(from, group, floats)), b.at(cache.scales(b, side, group), lane, 2));
    };
    for (auto [i, bytes] : llvm::enumerate(round(block, key)))
      storeQuads(b, bytes, b.at(keyLane, group, quads, int64_t(i) * kLanes / 4 * kQuadBytes));
    for (auto [i, bytes] : llvm::enumerate(round(values, value)))
      for (int64_t channel = 0; channel < cast<VectorType>(bytes.getType()).getNumElements(); ++channel)
        b.store(vector::ExtractOp::create(b, bytes, ArrayRef<int64_t>{channel}), b.at(valueLane, group, llm::kCacheGroup * 2, (int64_t(i) * kLanes + channel) * 2));
  });
}

} // namespace llmc::kernels
