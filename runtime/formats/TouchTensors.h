// What the fuzzers do with a file that was accepted: everything a caller may do. For fuzzing only.
#pragma once

#include "runtime/formats/TensorFile.h"

#include <cstdlib>

namespace llmc::test {

// Reads every byte where a sanitizer sees it.
inline void touchBytes(std::span<const std::byte> bytes) {
  volatile uint8_t sink = 0;
  for (std::byte byte : bytes)
    sink = sink ^ uint8_t(byte);
}

inline void touchTensors(const TensorFile &file) {
  for (const TensorView &tensor : file.tensors()) {
    if (file.find(tensor.name) != &tensor || tensor.elements() < 0)
      std::abort();
    touchBytes(tensor.data);
    int64_t rowElements = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (tensor.data.empty() || rowElements > 1 << 16)
      continue;
    std::vector<float> row(static_cast<size_t>(rowElements));
    decodeRow(tensor.format, tensor.data.data(), row);
  }
}

} // namespace llmc::test
