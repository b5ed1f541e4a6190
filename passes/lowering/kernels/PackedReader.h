// Reads the packed blocks of quantised panels (dialects/tile/Layout.h): 16 outputs at a time.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

namespace llmc::kernels {

// A quad in registers: 64 bytes as one vector or as two halves (outputs 0-7 and 8-15), as the target's dot wants it.
using Parts = llvm::SmallVector<Value, 2>;

class PackedReader {
public:
  // `parts`: into how many vectors a quad is cut; `bookZero`: what entries of a code book have on top of their value.
  PackedReader(KernelBuilder &b, llm::Format format, int64_t parts = 1, int64_t bookZero = 0)
      : layout(tile::packedBlock(format)), b(b), parts(parts), bookZero(bookZero) {}

  const tile::PackedBlock layout;

  // The block's own scale and scale of minima, f32 [16]; null where the format has none.
  struct BlockScales {
    Value d, dmin;
  };
  BlockScales blockScales(Value block);
  // Of one group: f32 [16], exactly as the format defines them; `minimum` is null where there is none.
  struct GroupScales {
    Value scale, minimum;
  };
  GroupScales groupScales(Value block, const BlockScales &scales, Value group);

  // Quants of 32 inputs begin here.
  Value quants(Value block, Value group32) {
    return b.at(block, group32, layout.quantBytes(), layout.quantsOffset);
  }
  // Quad 0..7 of those 32 inputs: unsigned with the zero point, or signed bytes, or entries of the code book.
  Parts quad(Value quants, int64_t quad);
  // The four inputs of a quad in ascending order, decoded to f32 [16] each.
  std::array<Value, 4> decodeQuad(Value quants, int64_t quad, const GroupScales &scales);

private:
  Value lowBits(Value quants, int64_t quad, int64_t part);
  Value quadPart(Value quants, int64_t quad, int64_t part);
  Value upperBits(Value quants, int64_t quad, int64_t part);

  KernelBuilder &b;
  int64_t parts, bookZero;
};

// book[code] + zero for each lane of `codes` (0..15): bytes by the target's shuffles, wider lanes one comparison an entry.
Value lookUp(KernelBuilder &b, const tile::CodeBook &book, int64_t zero, Value codes);

} // namespace llmc::kernels
