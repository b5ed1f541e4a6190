// Scores as ranks of merges.
#pragma once

#include <bit>
#include <cstdint>

namespace llmc {

// Higher scores come first: a smaller rank.
inline uint32_t rankOfScore(float score) {
  auto bits = std::bit_cast<int32_t>(score + 0.0f); // no -0
  auto ascending = uint32_t(bits) ^ (bits < 0 ? 0xFFFFFFFF : 0x80000000);
  return ~ascending;
}

} // namespace llmc
