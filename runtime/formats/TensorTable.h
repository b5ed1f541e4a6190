// What both container readers share: tensors by name, and the checks across all of them.
#pragma once

#include "runtime/formats/Tensor.h"

#include <cstdint>

namespace llmc {

constexpr size_t maxHeaderBytes = 100'000'000;
constexpr size_t maxRank = 8;
constexpr size_t maxTensorNameBytes = 1024;

// "FILE: tensor 'NAME': ", the head of every message about one tensor.
std::string tensorContext(std::string_view file, std::string_view tensor);

// Refuses names that are empty, too long, or no UTF-8.
Expected<void> checkTensorName(std::string_view file, std::string_view name);

class TensorTable {
public:
  // Takes tensors in file order. Errors: InvalidInput if two have one name or share bytes.
  static Expected<TensorTable> make(std::string_view file, std::vector<TensorView> tensors);

  std::span<const TensorView> tensors() const { return all; }
  const TensorView *find(std::string_view name) const; // O(log n)

private:
  std::vector<TensorView> all;
  std::vector<uint32_t> byName; // indices into `all`
};

} // namespace llmc
