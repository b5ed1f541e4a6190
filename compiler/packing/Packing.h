// Reorders weights from the formats of checkpoints to the packed layouts of dialects/tile/Layout.h. Exact: quants and
// scales are moved, never changed. Streams: a panel at a time, nothing is allocated.
//
//   std::vector<std::byte> panel(tile::panelBytes(format, inputs));
//   packPanel(Format::Q4_K, rows, inputs, panel.data());
//
// Thread-safe: panels are independent.
#pragma once

#include "dialects/tile/Layout.h"
#include "runtime/formats/Tensor.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace llmc::packing {

// The same format under the dialect's and the runtime's name.
llm::Format dialectFormat(Format format);

// Sixteen rows of one panel in the source format, each rowBytes(format, inputs) long and of any alignment; null is a row
// of zeros.
using PanelRows = std::array<const std::byte *, tile::kPanelOutputs>;

// Writes panelBytes(format, inputs) bytes, padding included. `inputs` is a whole number of blocks.
void packPanel(Format format, const PanelRows &rows, int64_t inputs, std::byte *panel);

// The same from a float matrix stored transposed, [inputs][width] (GPT-2's Conv1D): packs the columns `first`,
// `first + step`, … as outputs 0 … count - 1 (count <= 16), the others as zeros. `format` is F32, F16 or BF16.
struct Columns {
  int64_t first = 0, count = 0, step = 1;
};
void packPanelTransposed(Format format, const std::byte *source, int64_t inputs, int64_t width, Columns columns,
                         std::byte *panel);

// One output of a packed panel of a quantised format as numbers:
// value[k] = scales[k / group] * codes[k] - minima[k / group]. For tests and tools: not fast.
struct PackedCodes {
  std::vector<int> codes;           // less the zero point
  std::vector<float> scales;        // [inputs / group]
  std::vector<float> minima;        // the same, empty if the format has none
};
PackedCodes unpackCodes(Format format, const std::byte *panel, int64_t row, int64_t inputs);

// Decodes output `row` (0..15) of a packed panel to float32, exactly. For tests and tools: not fast.
void unpackRow(Format format, const std::byte *panel, int64_t row, std::span<float> out);

} // namespace llmc::packing
