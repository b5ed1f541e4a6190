// What a warp that multiplies by matrices holds of a packed panel: its 16 outputs are the rows of mma.sync's A, 32 inputs (a chunk) at a time.
//
// With g = lane / 4 and t = lane % 4, rows g and g + 8 of A are outputs 2 g and 2 g + 1 of the panel, so that a lane finds both in neighbouring
// words: which output is which row is ours to choose, since rows of the result are the same. Words t and t + 4 of eight are as the manual has
// them.
#pragma once

#include "passes/lowering/kernels/block/BlockBuilder.h"

#include <memory>

namespace llmc::kernels {

class TilePanel {
public:
  virtual ~TilePanel() = default;

  int64_t words;       // of what a lane loads for a chunk: they are registers
  int64_t sharedWords; // and before those of all chunks

  // `count` chunks from number `first` on, a multiple of `count`, which is 1, 2 or 4; of those beyond the last, any that there are.
  virtual Values load(Value first, int64_t count) = 0;

  struct Chunk {
    llvm::SmallVector<BlockBuilder::Four, 2> a; // bf16: of each 16 inputs; int8: of all 32
    // int8: of each group of scales (one, or two of 16 inputs), of outputs 2 g and 2 g + 1.
    llvm::SmallVector<std::array<Value, 2>, 2> scales, minima;
  };
  // Chunk number `index` of those that were loaded.
  virtual Chunk chunk(ValueRange loaded, int64_t index) = 0;
  // What was loaded of chunk `index` of `count`, as if it were the only one.
  Values choose(ValueRange loaded, Value index, int64_t count);

protected:
  TilePanel(BlockBuilder &b, Value panel, int64_t inputs)
      : words(0), sharedWords(0), b(b), panel(b.global(panel)), inputs(inputs), chunks((inputs + 31) / 32), row(b.shiftRight(b.lane(), 2)), word(b.bitAnd(b.lane(), 3)) {}
  BlockBuilder &b;
  Value panel;
  const int64_t inputs, chunks;
  Value row, word; // g and t
};

std::unique_ptr<TilePanel> tilePanel(BlockBuilder &b, llm::Format format, tile::Arithmetic arithmetic, int64_t inputs, Value panel);

} // namespace llmc::kernels
