// A block of a format before it is written: the parameters of its groups, and its codes. Internal to compiler/packing.
#pragma once

#include "compiler/packing/Quantize.h"

namespace llmc::packing {

// value = scale * code - minimum, of the value's group.
struct BlockCodes {
  float scale[16] = {}, minimum[16] = {};
  float codes[256] = {};
  // Of super-blocks: scales and minima as they are stored, in units.
  float unit = 0, unitMinimum = 0;
  int scaleCodes[16] = {}, minimumCodes[8] = {};
};

struct BlockFormat {
  int elements, group; // values of a block, and of those that share a scale
  float low, high;     // codes
  bool freeScales;     // a scale is a half of its own, no multiple of a unit
  void (*find)(const float *x, const float *importance, BlockCodes &block); // all but the codes
  void (*write)(const BlockCodes &block, std::byte *to);
};

// This part of the inputs' mean square is added to each input's own.
constexpr float kRidge = 0.01f;

// Moves codes (and free scales) so that errors of one value make up for those of others: the expected square of what all of them
// together add to a product, the sum over i and j of error[i] moment[i, j] error[j], gets less with every move.
// `values`: those of `blocks`, one after the other, from column `first` on: within one block of the moments, or whole blocks of them.
void compensate(const BlockFormat &format, std::span<const float> values, const Moments &moments, int64_t first, std::span<BlockCodes> blocks);

} // namespace llmc::packing
