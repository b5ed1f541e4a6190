// Memory layouts that packing (compiler/packing) and kernels (passes/lowering/kernels) agree on.
//
// Packed weights do not depend on the ISA. A matrix [N, K] is cut into panels of 16 outputs (the last padded with zero
// rows); panels follow one another, and a panel is a sequence of packed blocks that a T = 1 product reads front to back.
//
// Quantised inputs come in quads: four consecutive inputs interleaved over the 16 outputs, byte[n * 4 + k % 4], which is
// at once the operand of vpdpbusd and four columns of an AMX tile. 32 inputs are 8 quads.
//
//   4 bits:  chunk c of 64 bytes (c = 0..3) holds quad c in the low and quad c + 4 in the high nibbles.
//   5th bit: 64 bytes after the nibbles; bit j of each byte belongs to quad j.
//   6 bits:  two chunks of 64 bytes after the nibbles; chunk c holds quad 4c + j in bits 2j and 2j + 1.
//   2 bits:  chunk c of 64 bytes (c = 0, 1) holds quad 4c + j in bits 2j and 2j + 1.
//   3rd bit: 64 bytes after them; bit j of each byte belongs to quad j.
//   8 bits:  8 quads of signed bytes.
//
// Float panels: f32 and f16 are [K][16]; bf16 is [K/2][16][2] (pairs of inputs, the operand of vdpbf16ps; an odd last
// input is paired with zeros).
//
// An int8 row (activations) of K inputs, K a multiple of 32, padded to 64 bytes:
//   [K]    s8   q = round-half-even(x * (127 / max |x|)) in each group of 32
//   [K/32] f32  scale of the group, max |x| / 127
//   [K/32] f32  scale * sum of the group's 32 values of q
//   [K/32] s32  sum of q over the group
//   [K/16] s32  sum of q over each half of the group
//
// A bf16 row of K inputs is them, zeros up to a multiple of 32, which is a row of a matrix tile, and padding.
#pragma once

#include "dialects/llm/Formats.h"

#include <array>
#include <cstdint>

namespace llmc::tile {

constexpr int64_t kPanelOutputs = 16;
constexpr int64_t kActivationGroup = 32;
constexpr int64_t kAlignment = 64;
constexpr int64_t kQuadBytes = 4 * kPanelOutputs;

constexpr int64_t alignTo(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

constexpr int64_t panelCount(int64_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

// A key orders as floats do, as an i32: bits of a float, those of negative ones turned; -0 is 0, NaN is above all. A row of keys, one for each
// panel of outputs, is padded to whole blocks.
constexpr int64_t kKeyBlock = 128;
constexpr int64_t kGoneKey = INT32_MIN, kNanKey = INT32_MAX; // below every number, above every number
constexpr int64_t keyBlocks(int64_t outputs) { return (panelCount(outputs) + kKeyBlock - 1) / kKeyBlock; }
constexpr int64_t keyRowBytes(int64_t outputs) { return keyBlocks(outputs) * kKeyBlock * 4; }
constexpr int64_t bestPanelsScratchBytes(int64_t outputs) { return alignTo(keyBlocks(outputs) * 4, kAlignment); }

// Offsets inside an int8 row of `inputs` values (a multiple of 32), and its size.
constexpr int64_t int8ScalesOffset(int64_t inputs) { return inputs; }
constexpr int64_t int8ScaledSumsOffset(int64_t inputs) { return inputs + inputs / 8; }
constexpr int64_t int8SumsOffset(int64_t inputs) { return inputs + inputs / 4; }
constexpr int64_t int8HalfSumsOffset(int64_t inputs) { return inputs + inputs / 4 + inputs / 8; }
constexpr int64_t int8RowBytes(int64_t inputs) { return alignTo(int8HalfSumsOffset(inputs) + inputs / 4, kAlignment); }

constexpr int64_t kTileInputs = 32; // that a matrix tile has of a bf16 row

// The size of a bf16 row: an odd number of cache lines, so that neighbouring rows do not compete for the same sets of a cache.
constexpr int64_t bf16RowBytes(int64_t inputs) { return alignTo(2 * inputs, 2 * kAlignment) + kAlignment; }

using CodeBook = std::array<int8_t, 16>;

// One packed block of a quantised format: 16 outputs x `inputs`. Offsets are in bytes from the block's start.
//
//   value = scale * (q - zero) - minimum, or scale * codeBook[q]
//   scale = d[n], or d[n] * float(scales[group][n]) in a super-block (u8; s8 if `signedScales`)
//   minimum = 0, or with minima dmin[n], or dmin[n] * float(minima[group][n]) in a super-block
//
// Formats that add their minimum (q4_1, q5_1) are packed with the sign of dmin turned.
struct PackedBlock {
  int64_t inputs = 0;            // 32, or 256 for a super-block
  int64_t group = 0;             // inputs that share a scale: 32, or 16
  int64_t zero = 0;              // a power of two, or 0; for signed bytes 0
  int64_t lowBits = 4;           // 4, or 2; for bytes of no meaning
  int64_t upperBits = 0;         // bits above those, in chunks of their own: 0, 1, 2; for bytes 0
  bool bytes = false;            // quants are signed bytes
  const CodeBook *codeBook = nullptr; // what the 16 quants stand for, if not themselves
  bool superBlock = false;       // d is multiplied by an 8-bit scale of the group
  bool signedScales = false;     // those are signed
  bool minima = false;           // there is a minimum per group
  bool nibbleScales = false;     // of a super-block's code of scale and minimum: the low and the high nibble of one byte
  bool bf16Scales = false;       // d is bf16: the powers of two of mxfp4
  int64_t scalesOffset = 0;      // [inputs / group][16]; d lies at 0: [16] f16 or bf16, dmin at 32: [16] f16
  int64_t minimaOffset = 0;      // [inputs / group][16]; not if `nibbleScales`
  int64_t quantsOffset = 0;      // [inputs / 32][quantBytes]

  // Whether dot products get signed bytes.
  constexpr bool signedQuants() const { return bytes || codeBook; }
  constexpr int64_t quantBytes() const { return kQuadBytes * (bytes ? 8 : lowBits + upperBits); } // of 32 inputs
  constexpr int64_t blockBytes() const { return quantsOffset + inputs / 32 * quantBytes(); }
};
// `format` is a quantised one.
PackedBlock packedBlock(llm::Format format);

// Bytes of one packed panel of 16 outputs x `inputs` in `format`, a multiple of 64.
int64_t panelBytes(llm::Format format, int64_t inputs);
// Bytes of a packed matrix.
inline int64_t packedBytes(llm::Format format, int64_t outputs, int64_t inputs) {
  return panelCount(outputs) * panelBytes(format, inputs);
}

} // namespace llmc::tile
