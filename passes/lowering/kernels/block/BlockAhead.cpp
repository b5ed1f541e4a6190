// Asks for weights before they are wanted, by a block: each thread for a line.
#include "passes/lowering/kernels/LinearOperands.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kLine = 128;

// Panels [first, first + count) of a weight, from the front, up to `most` bytes.
void askForPanels(BlockBuilder &b, const LinearOperands &linear, unsigned weight, llm::Format format, Value tile, int64_t most) {
  int64_t panelBytes = tile::panelBytes(format, linear.inputs());
  Value first = b.mul(tile, b.constant(linear.kernel.getPanels()));
  Value count = b.minimum(b.sub(b.constant(tile::panelCount(linear.outputs(weight))), first), b.constant(linear.kernel.getPanels()));
  Value bytes = b.minimum(b.mul(count, b.constant(panelBytes)), b.constant(most)), from = b.at(linear.weights[weight], first, panelBytes);
  b.eachThread(bytes, kLine, [&](Value byte) { b.prefetchToL2(b.at(from, byte, 1)); });
}

void emitAhead(BlockBuilder &b, tile::AheadAttr ahead) {
  LinearOperands linear(b, ahead.getLinear());
  unsigned together = linear.kernel.getGlu() ? 2 : 1; // weights of a tile
  linear.ofWeight([&](unsigned weight, Value tile) {
    for (unsigned i = 0; i < together; ++i)
      linear.anyFormat(weight + i, [&](llm::Format format) { askForPanels(b, linear, weight + i, format, tile, ahead.getBytes() / together); });
  });
}

} // namespace

ArrayRef<BlockKind> blockAheadKinds() {
  static const BlockKind kinds[] = {blockKind<tile::AheadAttr, emitAhead>()};
  return kinds;
}

} // namespace llmc::kernels
