#include "passes/lowering/kernels/DotUnit.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace llmc::kernels {
namespace {

// Bytes are widened, multiplied and added in 16-bit lanes: plain vector ops for any target.
class PortableDot : public DotUnit {
public:
  using DotUnit::DotUnit;
  int64_t parts() const override { return 1; }
  int64_t quadsPerSum() const override { return std::min<int64_t>(8, 32767 / (largestWeight() * 127)); }

  void accumulate(Parts &sum, const Parts &weights, Value activations) override {
    Value w = layout.signedQuants() ? b.extendSigned(weights[0], b.getI16Type()) : b.extendUnsigned(weights[0], b.getI16Type());
    Value products = b.mul(w, b.extendSigned(activations, b.getI16Type()));
    if (sum.empty())
      sum.push_back(products);
    else
      sum[0] = b.add(sum[0], products);
  }
  Parts zeroSum() override { return {b.constant(b.halves(64), 0)}; }
  // Pairs of neighbours twice: 64 x i16 -> 32 x i32 -> 16 x i32.
  Value finish(const Parts &sum) override {
    Value pairs = b.bitcast(sum[0], b.words(32));
    Value twos = b.add(b.shiftRightArithmetic(b.shiftLeft(pairs, 16), 16), b.shiftRightArithmetic(pairs, 16));
    Value quads = b.bitcast(twos, VectorType::get(16, b.getI64Type()));
    return b.add(b.truncate(quads, b.getI32Type()), b.truncate(b.shiftRight(quads, 32), b.getI32Type()));
  }
};

// vpmaddubsw adds two products of unsigned weights in a 16-bit lane; vpmaddwd adds two of those.
class Avx2Dot : public DotUnit {
public:
  using DotUnit::DotUnit;
  int64_t parts() const override { return 2; }
  int64_t quadsPerSum() const override { return std::min<int64_t>(8, 32767 / (2 * largestWeight() * 127)); }

  void accumulate(Parts &sum, const Parts &weights, Value activations) override {
    bool first = sum.empty();
    for (int64_t part = 0; part < 2; ++part) {
      Value products = pairs(weights[part], activations);
      if (first)
        sum.push_back(products);
      else
        sum[part] = b.add(sum[part], products);
    }
  }
  Parts zeroSum() override { return {b.constant(b.halves(16), 0), b.constant(b.halves(16), 0)}; }
  Value finish(const Parts &sum) override {
    Value ones = b.constant(b.halves(16), 1);
    return b.concat(pairSums(sum[0], ones), pairSums(sum[1], ones));
  }
  // The sum fits in 16 bits, above which lies its sign. As a multiplication LLVM does not move it to the scalar side,
  // where it would cost four instructions.
  Value correction(Value sum) override {
    Value sums = b.loadBroadcast(b.halves(16), b.getI32Type(), sum);
    Value factors = b.bitcast(b.constant(b.words(8), -zero() & 0xffff), b.halves(16));
    Value products = pairSums(sums, factors);
    return b.concat(products, products);
  }

private:
  Value pairSums(Value a, Value c) { return b.intrinsic("llvm.x86.avx2.pmadd.wd", b.words(8), {a, c}); }
  // Signed weights: |w| times x with the sign of w. |w| is at most 128 and |x| at most 127: a pair never saturates.
  Value pairs(Value weights, Value activations) {
    if (layout.signedQuants()) {
      activations = b.intrinsic("llvm.x86.avx2.psign.b", b.bytes(32), {activations, weights});
      weights = mlir::LLVM::AbsOp::create(b, weights.getType(), weights, /*is_int_min_poison=*/false);
    }
    return b.intrinsic("llvm.x86.avx2.pmadd.ub.sw", b.halves(16), {weights, activations});
  }
};

// vpdpbusd adds four products of unsigned weights to a 32-bit lane.
class VnniDot : public DotUnit {
public:
  using DotUnit::DotUnit;
  int64_t parts() const override { return 1; }
  int64_t quadsPerSum() const override { return 8; }
  Value prepare(Value weights) override { return layout.bytes ? b.bitXor(weights, 0x80) : weights; }
  int64_t bookZero() const override { return 128; }
  int64_t zero() const override { return layout.signedQuants() ? 128 : layout.zero; }

  void accumulate(Parts &sum, const Parts &weights, Value activations) override {
    if (sum.empty())
      sum.push_back(b.constant(b.words(16), 0));
    sum[0] = b.intrinsic("llvm.x86.avx512.vpdpbusd.512", b.words(16), {sum[0], weights[0], activations});
  }
  Parts zeroSum() override { return {b.constant(b.words(16), 0)}; }
  Value finish(const Parts &sum) override { return sum[0]; }
  Parts startAt(Value value) override { return {value}; }
  // The sum fits in 16 bits, above which lies its sign: one instruction for what a shift of a broadcast takes four, since LLVM
  // moves the shift to the scalar side.
  Value correction(Value sum) override {
    Value factors = b.bitcast(b.constant(b.words(16), -zero() & 0xffff), b.halves(32));
    Value sums = b.bitcast(b.loadBroadcast(b.words(16), b.getI32Type(), sum), b.halves(32));
    return b.intrinsic("llvm.x86.avx512.vpdpwssd.512", b.words(16), {b.constant(b.words(16), 0), factors, sums});
  }
};

} // namespace

int64_t DotUnit::largestWeight() const {
  if (layout.codeBook)
    return std::abs(*llvm::max_element(*layout.codeBook, [](int a, int b) { return std::abs(a) < std::abs(b); }));
  return layout.bytes ? 128 : (int64_t(1) << (layout.lowBits + layout.upperBits)) - 1;
}

std::unique_ptr<DotUnit> DotUnit::create(KernelBuilder &b, const tile::PackedBlock &layout) {
  switch (b.target.getDot()) {
  case tile::Dot::portable:
    return std::make_unique<PortableDot>(b, layout);
  case tile::Dot::avx2:
    return std::make_unique<Avx2Dot>(b, layout);
  case tile::Dot::vnni:
    return std::make_unique<VnniDot>(b, layout);
  }
  llvm_unreachable("every dot is listed");
}

} // namespace llmc::kernels
