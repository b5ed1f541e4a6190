// Kernels over one row of activations.
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "passes/lowering/kernels/RowMath.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

// x, out: (channels); gain, bias: (group). As emitNorm, each group's channels shared out among the threads.
void emitBlockNorm(BlockBuilder &b, tile::NormAttr kernel) {
  Value x = b.argument(0), gain = b.argument(1);
  Value bias = kernel.getBias() ? b.argument(2) : Value(), out = b.argument(kernel.getBias() ? 3 : 2);
  Value count = b.constant(kernel.getGroup()), scratch = b.shared(4 * b.warps());
  Type f32 = b.getF32Type();
  Value n = b.constant(f32, static_cast<double>(kernel.getGroup()));
  auto add = [&](Value a, Value c) { return b.add(a, c); };
  auto sumOf = [&](llvm::function_ref<Value(Value)> term) {
    Values sum = b.loop(b.thread(), count, b.threads(), ValueRange{b.constant(f32, 0.0)},
                        [&](Value index, ValueRange carried) { return Values{b.add(carried[0], term(index))}; });
    return b.reduceBlock(sum[0], add, scratch);
  };
  b.loop(b.constant(0), b.constant(kernel.getChannels()), kernel.getGroup(), [&](Value first) {
    Value from = floatAt(b, x, first), to = floatAt(b, out, first), mean;
    auto centred = [&](Value index) {
      Value value = b.load(f32, floatAt(b, from, index), 4);
      return mean ? b.sub(value, mean) : value;
    };
    if (kernel.getNorm().getKind() == llm::NormKind::layer)
      mean = div(b, sumOf(centred), n);
    Value squares = sumOf([&](Value index) {
      Value value = centred(index);
      return b.mul(value, value);
    });
    Value deviation = LLVM::SqrtOp::create(b, b.add(div(b, squares, n), b.constant(f32, kernel.getNorm().getEps().value)));
    Value inverse = div(b, b.constant(f32, 1.0), deviation);
    b.eachThread(count, 1, [&](Value index) {
      Value value = b.mul(centred(index), inverse), factor = b.load(f32, floatAt(b, gain, index), 4);
      if (double offset = kernel.getNorm().getOffset().value)
        factor = b.add(factor, b.constant(f32, offset));
      value = b.mul(value, factor);
      if (bias)
        value = b.add(value, b.load(f32, floatAt(b, bias, index), 4));
      b.store(value, floatAt(b, to, index), 4);
    });
  });
}

} // namespace

ArrayRef<BlockKind> blockRowKinds() {
  static const BlockKind kinds[] = {blockKind<tile::NormAttr, emitBlockNorm>()};
  return kinds;
}

} // namespace llmc::kernels
