// Eight floats side by side, with sums in one order: the same bits on every machine, if contraction of multiply and add is off.
// Internal to compiler/packing.
#pragma once

#include <cstring>

#define LLMC_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__)
#define LLMC_EACH_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define LLMC_EACH_MACHINE
#endif

namespace llmc::packing {

using Lanes = float __attribute__((vector_size(32)));
constexpr int kLanes = 8;

LLMC_INLINE Lanes loadLanes(const float *from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

LLMC_INLINE float sum(const Lanes &v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

// To the nearest whole number within [low, high]; ties to even; NaN to `low`.
template <class T> LLMC_INLINE T roundTo(T v, float low, float high) {
  constexpr float magic = 12582912.0f; // 1.5 * 2^23: the sum has no bits for a fraction
  T least = T{} + low, most = T{} + high;
  v = v > least ? v : least;
  v = v < most ? v : most;
  return (v + magic) - magic;
}
LLMC_INLINE Lanes roundLanes(Lanes v, float low, float high) { return roundTo(v, low, high); }

LLMC_INLINE float inverse(float scale) { return scale != 0 ? 1 / scale : 0; }

} // namespace llmc::packing
