// What one lane of a warp does with a packed panel and one row: the warp takes the panel by pieces, front to back, 16 bytes a lane at a time,
// so that the 32 lanes read whole lines and each lane has the same few outputs in all pieces.
#pragma once

#include "passes/lowering/kernels/block/BlockBuilder.h"

#include <memory>

namespace llmc::kernels {

class LaneProduct {
public:
  virtual ~LaneProduct() = default;

  int64_t pieces;  // of the panel
  int64_t outputs; // that a lane sums: of lane l, those from `outputs` * (l % (16 / `outputs`)) on
  int64_t words;   // of what a lane loads for a piece, about: they are registers
  bool ragged;     // the last piece is not whole: load it with `mayEnd`

  // Piece number `first` + `offset`, a multiple of the block's warps. `mayEnd`: pieces beyond the last, and what the last has not, are loaded
  // as products of zeros.
  virtual Values load(Value first, int64_t offset, bool mayEnd) = 0;
  // Adds what was loaded of a piece to the lane's sums.
  virtual Values multiply(ValueRange loaded, ValueRange sums) = 0;

protected:
  LaneProduct(BlockBuilder &b, Value panel, Value x) : b(b), panel(b.global(panel)), x(b.global(x)) {}
  BlockBuilder &b;
  Value panel, x;
};

// x: one row, as `arithmetic` has it.
std::unique_ptr<LaneProduct> laneProduct(BlockBuilder &b, llm::Format format, tile::Arithmetic arithmetic, int64_t inputs, Value panel, Value x);
// Entries of a book for four codes of 4 bits, each in a byte of a word. The codes are nibbles of a selector, whose highest bits say which half of
// the book.
Value lookUpBytes(BlockBuilder &b, const tile::CodeBook &book, Value codes);
// Whether there is one.
bool hasLaneProduct(llm::Format format, tile::Arithmetic arithmetic, int64_t threads);

} // namespace llmc::kernels
