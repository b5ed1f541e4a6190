// Memory layouts that packing (compiler/packing) and kernels (passes/lowering) agree on.
//
// Packed weights do not depend on the ISA. A matrix [N, K] is cut into panels of 16 outputs (the last padded with zeros);
// panels follow one another. Inside a panel, inputs come in groups with four consecutive inputs interleaved over the 16
// outputs: byte[k/4][n][k%4], which is at once the operand of vpdpbusd and of an AMX tile.
//
// An int8 row (activations): [inputs] int8, then inputs/32 f32 scales, then inputs/16 f32 sums (scale * sum of the 16 int8 values),
// the whole padded to 64 bytes.
#pragma once

#include "dialects/llm/Formats.h"

#include <cstdint>

namespace llmc::tile {

constexpr int64_t kPanelOutputs = 16;
constexpr int64_t kActivationGroup = 32;
constexpr int64_t kSumGroup = 16;
constexpr int64_t kAlignment = 64;

constexpr int64_t alignTo(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

constexpr int64_t panelCount(int64_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

// Offsets inside an int8 row of `inputs` values (a multiple of 32), and its size.
constexpr int64_t int8ScalesOffset(int64_t inputs) { return inputs; }
constexpr int64_t int8SumsOffset(int64_t inputs) { return inputs + inputs / kActivationGroup * 4; }
constexpr int64_t int8RowBytes(int64_t inputs) {
  return alignTo(int8SumsOffset(inputs) + inputs / kSumGroup * 4, kAlignment);
}

// Bytes of one packed panel of 16 outputs x `inputs` in `format`, a multiple of 64.
int64_t panelBytes(llm::Format format, int64_t inputs);
// Bytes of a packed matrix.
inline int64_t packedBytes(llm::Format format, int64_t outputs, int64_t inputs) {
  return panelCount(outputs) * panelBytes(format, inputs);
}

} // namespace llmc::tile
