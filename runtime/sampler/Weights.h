// e^x alike on every platform: no fused multiply-adds, and no library functions but exact ones.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace llmc {

inline constexpr auto kInverseFactorials = [] {
  std::array<double, 14> values{1};
  for (size_t n = 1; n < values.size(); ++n)
    values[n] = values[n - 1] / double(n);
  return values;
}();

// e^x for x <= 0, within two units in the last place; 0 below the normal range.
inline double expOfNegative(double x) {
#pragma STDC FP_CONTRACT OFF
  constexpr double kLog2Hi = 0x1.62e42fee00000p-1, kLog2Lo = 0x1.a39ef35793c76p-33, kInvLog2 = 0x1.71547652b82fep+0;
  if (!(x > -708))
    return 0;
  int32_t k = int32_t(x * kInvLog2 - 0.5);
  double r = (x - k * kLog2Hi) - k * kLog2Lo; // |r| <= log(2) / 2
  double sum = kInverseFactorials[13];        // Taylor's series, by Horner
  for (size_t n = 13; n-- > 0;)
    sum = kInverseFactorials[n] + sum * r;
  return sum * std::bit_cast<double>(uint64_t(int64_t(k) + 1023) << 52);
}

// The weight of a logit whose distance to the greatest is finite or infinite.
inline double weightOf(float logit, float greatest, float temperature) {
  return logit == greatest ? 1.0 : expOfNegative((double(logit) - double(greatest)) / double(temperature));
}

} // namespace llmc
