// One safetensors file.
//
// Float tensors (F32, F16, BF16) are listed. Integer and boolean ones, which checkpoints hold as buffers (position ids,
// masks), are checked and then left out. Any other dtype is Unsupported. As in the reference reader the tensors must
// cover the data without holes.
// Source: https://github.com/huggingface/safetensors#format
#pragma once

#include "runtime/formats/TensorFile.h"

namespace llmc {

class Safetensors {
public:
  static Expected<std::unique_ptr<TensorFile>> open(const std::string &path);
  // For tests and fuzzing; `bytes` must outlive the object.
  static Expected<std::unique_ptr<TensorFile>> parse(std::span<const std::byte> bytes, std::string name);
};

} // namespace llmc
