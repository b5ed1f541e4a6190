// Arithmetic on sizes from files: an overflow is nullopt, never a wrapped number.
#pragma once

#include <concepts>
#include <optional>

namespace llmc {

template <std::integral T> std::optional<T> checkedAdd(T a, T b) {
  T sum;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional<T>(sum);
}

template <std::integral T> std::optional<T> checkedMul(T a, T b) {
  T product;
  return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional<T>(product);
}

// The least multiple of `alignment`, a power of two, that is not below `value`.
template <std::unsigned_integral T> std::optional<T> checkedAlignUp(T value, T alignment) {
  auto padded = checkedAdd(value, T(alignment - 1));
  return padded ? std::optional<T>(*padded & ~T(alignment - 1)) : std::nullopt;
}

} // namespace llmc
