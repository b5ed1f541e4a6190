// Conversions between float32 and the 16-bit floats of checkpoints, in integer arithmetic, so that every target gives
// the same bits.
#pragma once

#include <bit>
#include <cstdint>

namespace llmc {

// IEEE 754 binary16 -> binary32. Exact; NaNs keep sign and payload.
inline float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) // infinity, NaN
    return std::bit_cast<float>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  if (magnitude >= 0x0400) // normal: move the exponent's bias from 15 to 127
    return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
  float subnormal = float(magnitude) * 0x1p-24f; // exact
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(subnormal));
}

// IEEE 754 binary32 -> binary16, to nearest, ties to even; beyond 65519 infinity; NaNs stay NaN and become quiet.
inline uint16_t floatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return uint16_t(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x47800000) // 65536 and more
    return uint16_t(sign | 0x7c00);
  if (magnitude < 0x38800000) { // below 2^-14: adding 0.5 makes the float unit round to steps of 2^-24
    float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000));
  }
  uint32_t odd = magnitude >> 13 & 1; // a carry out of the fraction steps the exponent, up to infinity: as wanted
  return uint16_t(sign | ((magnitude - (112u << 23) + 0xfff + odd) >> 13));
}

inline float bf16ToFloat(uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); }

// float32 -> bfloat16, to nearest, ties to even; NaNs stay NaN and become quiet.
inline uint16_t floatToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// 2^(e - 128), half of the power of two that an E8M0 exponent `e` stands for, as bfloat16. Exact; never infinite.
inline uint16_t bf16OfHalvedE8M0(uint8_t e) { return uint16_t(e < 2 ? 0x20 << e : (e - 1) << 7); }

} // namespace llmc
