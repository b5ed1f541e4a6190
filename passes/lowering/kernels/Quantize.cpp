// One f32 row to the int8 or the bf16 row layout of dialects/tile/Layout.h. bf16: to the nearest, ties to even. int8:
//
//   biggest = max |x| over a group of 32; q = round-half-even(x * (127 / biggest)); scale = biggest / 127
//
// A group below 1e-30 counts as zeros. A group with an infinity or a NaN gets that as its scale, and so spoils its products
// visibly. Comparisons are on the bits of |x|, which order like the numbers and put NaN on top.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr float kSmallest = 1e-30f;

class Quantize {
public:
  Quantize(KernelBuilder &b, int64_t inputs) : b(b), inputs(inputs), x(b.argument(0)), out(b.argument(1)) {}

  void emit() {
    b.loop(b.constant(0), b.constant(inputs / 32), 1, [&](Value group) { emitGroup(group); });
  }

private:
  void emitGroup(Value group);
  // |x|'s bits of the largest of 16 + 16 values.
  Value largestBits(Value low, Value high) {
    auto bits = [&](Value half) { return b.bitAnd(b.bitcast(half, b.words(16)), 0x7fffffff); };
    Value larger = arith::MaxSIOp::create(b, bits(low), bits(high));
    return vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, larger);
  }
  // i32 [16]. Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
  Value round(Value values, Value inverse, Value isUsable) {
    Value scaled = b.mul(values, b.broadcast(inverse, b.floats(16)));
    Value usable = b.broadcast(isUsable, VectorType::get(16, b.getI1Type()));
    Value safe = b.select(usable, scaled, b.constant(b.floats(16), 0.0));
    Value shifted = b.add(safe, b.constant(b.floats(16), 12582912.0));
    return b.sub(b.bitcast(shifted, b.words(16)), b.constant(b.words(16), 0x4b400000));
  }
  void storeHalfSum(Value group, int64_t half, Value sum) {
    b.store(sum, b.at(out, group, 8, tile::int8HalfSumsOffset(inputs) + 4 * half), 4);
  }

  KernelBuilder &b;
  const int64_t inputs;
  Value x, out;
};

void Quantize::emitGroup(Value group) {
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  Value values[2] = {b.load(b.floats(16), b.at(x, group, 128), 4), b.load(b.floats(16), b.at(x, group, 128, 64), 4)};
  Value bits = largestBits(values[0], values[1]), biggest = b.bitcast(bits, f32);

  Value isFinite = b.compare(arith::CmpIPredicate::slt, bits, b.constant(i32, 0x7f800000));
  Value isLarge = b.compare(arith::CmpIPredicate::sge, bits, b.constant(i32, std::bit_cast<int32_t>(kSmallest)));
  Value isUsable = arith::AndIOp::create(b, isFinite, isLarge);
  Value inverse = arith::DivFOp::create(b, b.constant(f32, 127.0), biggest);
  Value scale = arith::DivFOp::create(b, biggest, b.constant(f32, 127.0));
  scale = b.select(isLarge, scale, b.constant(f32, 0.0));

  Value sum;
  for (int64_t half = 0; half < 2; ++half) {
    Value q = round(values[half], inverse, isUsable);
    b.store(b.truncate(q, b.getI8Type()), b.at(out, group, 32, 16 * half), 16);
    Value halfSum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, q);
    storeHalfSum(group, half, halfSum);
    sum = sum ? b.add(sum, halfSum) : halfSum;
  }
  b.store(scale, b.at(out, group, 4, tile::int8ScalesOffset(inputs)), 4);
  b.store(b.mul(scale, b.toFloat(sum)), b.at(out, group, 4, tile::int8ScaledSumsOffset(inputs)), 4);
  b.store(sum, b.at(out, group, 4, tile::int8SumsOffset(inputs)), 4);
}

} // namespace

static void emitRound(KernelBuilder &b, int64_t inputs) {
  Value x = b.argument(0), out = b.argument(1);
  forChannels(b, inputs, [&](Value index, VectorType type) {
    Value value = b.load(type, floatAt(b, x, index), 4);
    Value rounded = arith::TruncFOp::create(b, VectorType::get(type.getShape(), b.getBF16Type()), value);
    b.store(rounded, b.at(out, index, 2), 2);
  });
  for (int64_t input = inputs; input % tile::kTileInputs; ++input)
    b.store(b.constant(b.getI16Type(), 0), b.at(out, input * 2), 2);
}

void emitQuantize(KernelBuilder &b, tile::QuantizeAttr quantize) {
  if (quantize.getArithmetic() == tile::Arithmetic::bf16)
    return emitRound(b, quantize.getInputs());
  Quantize(b, quantize.getInputs()).emit();
}

} // namespace llmc::kernels
