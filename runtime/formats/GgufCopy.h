// Copies a GGUF file with some of its tensors in other formats: metadata, names, shapes and order stay.
//
//   GgufCopy copy{.source = "f32.gguf", .target = "q4.gguf", .formats = {{"blk.0.ffn_up.weight", Format::Q4_0}}, .rows = round};
//   Expected<void> done = copyGguf(copy);
#pragma once

#include "runtime/formats/Tensor.h"

#include <functional>
#include <map>

namespace llmc {

struct GgufCopy {
  std::string source, target;
  std::map<std::string, Format, std::less<>> formats; // of tensors that change
  std::map<std::string, uint32_t> numbers;            // metadata that is set or added, as 32-bit integers: "general.file_type"
  // Writes rows [first, first + count) of a tensor that changes, in its new format. Called in order, from the calling thread.
  std::function<void(const TensorView &tensor, int64_t first, int64_t count, std::byte *to)> rows;
  std::function<void(double fraction)> progress; // may be empty
};

// The target appears whole or not at all, and may not be the source. Memory stays at a few megabytes. Errors: InvalidInput (as Gguf::open, a
// tensor that is not there or whose rows are no whole blocks, a target that can't be written).
Expected<void> copyGguf(const GgufCopy &copy);

} // namespace llmc
