// Sums of four byte products, as the target's instructions form them: weight bytes of one quad (16 outputs x 4 inputs)
// times four activations, added up over quads. All variants give the exact integer.
#pragma once

#include "passes/lowering/kernels/PackedReader.h"

#include <memory>

namespace llmc::kernels {

class DotUnit {
public:
  static std::unique_ptr<DotUnit> create(KernelBuilder &b, const tile::PackedBlock &layout);
  DotUnit(KernelBuilder &b, const tile::PackedBlock &layout) : b(b), layout(layout) {}
  virtual ~DotUnit() = default;

  // Into how many vectors a quad of weights is cut.
  virtual int64_t parts() const = 0;
  // How many quads a partial sum holds without overflow, for every weight and activation value (-127..127).
  virtual int64_t quadsPerSum() const = 0;
  // The bytes that `accumulate` wants, from those stored; done once per quad, when many rows share it.
  virtual Value prepare(Value weights) { return weights; }
  // What entries of a code book should have on top of their value.
  virtual int64_t bookZero() const { return 0; }
  // What prepared bytes have on top of their value: a power of two, or 0.
  virtual int64_t zero() const { return layout.zero; }

  // Four activations at `x` in every lane of a part.
  Value activations(Value x) { return b.loadBroadcast(b.bytes(tile::kQuadBytes / parts()), b.getI32Type(), x); }
  // Adds a quad's products to a partial sum; an empty one is zero.
  virtual void accumulate(Parts &sum, const Parts &weights, Value activations) = 0;
  // i32 [16] of a partial sum.
  virtual Value finish(const Parts &sum) = 0;
  // A partial sum of zero that is not empty, to be carried by a loop.
  virtual Parts zeroSum() = 0;
  // i32 [16]: -zero() times the sum of activations at `sum` (i32).
  virtual Value correction(Value sum) {
    Value sums = b.loadBroadcast(b.words(16), b.getI32Type(), sum);
    return b.sub(b.constant(b.words(16), 0), b.shiftLeft(sums, llvm::Log2_64(uint64_t(zero()))));
  }
  // A partial sum to begin with that holds `value` (i32 [16]), if it has room for one.
  virtual Parts startAt(Value value) { return {}; }

protected:
  int64_t largestWeight() const;

  KernelBuilder &b;
  const tile::PackedBlock layout;
};

} // namespace llmc::kernels
