#include "compiler/packing/Packing.h"

#include "runtime/formats/Half.h"
#include "runtime/support/ByteReader.h"

#include <cstring>

namespace llmc::packing {
namespace {

using tile::PackedBlock;
constexpr int64_t kOutputs = tile::kPanelOutputs;

uint32_t wordAt(const std::byte *from, int64_t index) { return loadUnaligned<uint32_t>(from + 4 * index); }
uint8_t byteAt(const std::byte *from, int64_t index) { return uint8_t(from[index]); }
constexpr uint32_t everyByte(uint32_t value) { return value * 0x01010101u; }

//===----------------------------------------------------------------------===//
// One source row's 32 inputs as the words that its output has in the packed chunks, in their order. Each word is four
// consecutive inputs of a quad; a source block holds `group` (32 inputs each) first to last.
//===----------------------------------------------------------------------===//

using Words = std::array<uint32_t, 8>;

// Nibbles lie as in the packed chunks: input i with input i + 16.
template <int64_t nibbles>
void wordsOfNibbles(const std::byte *block, int64_t, Words &words) { std::memcpy(words.data(), block + nibbles, 16); }

// Bits i, i + 4, ..., i + 28 side by side.
uint32_t everyFourthBit(uint32_t bits, int i) {
  bits = bits >> i & 0x11111111;
  bits = (bits | bits >> 3) & 0x03030303;
  bits = (bits | bits >> 6) & 0x000f000f;
  return (bits | bits >> 12) & 0xff;
}

// The fifth bits lie before the nibbles.
template <int64_t nibbles>
void wordsOfFive(const std::byte *block, int64_t, Words &words) {
  std::memcpy(words.data(), block + nibbles, 16);
  uint32_t fifth = loadUnaligned<uint32_t>(block + nibbles - 4);
  words[4] = 0;
  for (int i = 0; i < 4; ++i)
    words[4] |= everyFourthBit(fifth, i) << (8 * i);
}

void wordsQ8_0(const std::byte *block, int64_t, Words &words) { std::memcpy(words.data(), block + 2, 32); }

// `quants`: 32 bytes whose low (high) nibbles are one group.
void groupNibbles(const std::byte *quants, bool high, uint32_t *words) {
  for (int w = 0; w < 4; ++w) {
    uint32_t first = wordAt(quants, w), second = wordAt(quants, w + 4);
    words[w] = high ? (first >> 4 & everyByte(15)) | (second & everyByte(0xf0))
                    : (first & everyByte(15)) | (second & everyByte(15)) << 4;
  }
}

void wordsQ4_K(const std::byte *block, int64_t group, Words &words) {
  groupNibbles(block + 16 + 32 * (group / 2), group % 2, words.data());
}

// Bit `group` of 32 bytes, one byte an input.
uint32_t groupBits(const std::byte *bits, int64_t group) {
  uint32_t word = 0;
  for (int quad = 0; quad < 8; ++quad)
    word |= (wordAt(bits, quad) >> group & everyByte(1)) << quad;
  return word;
}

// Bits 2 `run` and 2 `run` + 1 of 32 bytes, one byte an input.
void groupPairs(const std::byte *bits, int64_t run, uint32_t *words) {
  for (int chunk = 0; chunk < 2; ++chunk) {
    words[chunk] = 0;
    for (int j = 0; j < 4; ++j)
      words[chunk] |= (wordAt(bits, 4 * chunk + j) >> (2 * run) & everyByte(3)) << (2 * j);
  }
}

void wordsQ5_K(const std::byte *block, int64_t group, Words &words) {
  groupNibbles(block + 48 + 32 * (group / 2), group % 2, words.data());
  words[4] = groupBits(block + 16, group);
}

void wordsQ6_K(const std::byte *block, int64_t group, Words &words) {
  int64_t half = group / 4, run = group % 4;
  groupNibbles(block + 64 * half + 32 * (run % 2), run >= 2, words.data());
  groupPairs(block + 128 + 32 * half, run, words.data() + 4);
}

void wordsQ2_K(const std::byte *block, int64_t group, Words &words) {
  groupPairs(block + 16 + 32 * (group / 4), group % 4, words.data());
}

void wordsQ3_K(const std::byte *block, int64_t group, Words &words) {
  groupPairs(block + 32 + 32 * (group / 4), group % 4, words.data());
  words[2] = groupBits(block, group);
}

//===----------------------------------------------------------------------===//
// One source block's scales, written to lane `n` of a packed block.
//===----------------------------------------------------------------------===//

void copyHalf(std::byte *packed, int64_t offset, int64_t n, const std::byte *source) {
  std::memcpy(packed + offset + 2 * n, source, 2);
}

void scalesAtStart(const PackedBlock &, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block);
}

// What the format adds, a packed block subtracts.
void scaleAndOffset(const PackedBlock &, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block);
  copyHalf(packed, 32, n, block + 2);
  packed[32 + 2 * n + 1] ^= std::byte(0x80);
}

void scalesMXFP4(const PackedBlock &, const std::byte *block, std::byte *packed, int64_t n) {
  uint16_t scale = bf16OfHalvedE8M0(byteAt(block, 0));
  std::memcpy(packed + 2 * n, &scale, 2);
}

void scalesQ2_K(const PackedBlock &layout, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block + 80);
  copyHalf(packed, 32, n, block + 82);
  for (int64_t group = 0; group < 16; ++group)
    packed[layout.scalesOffset + group * kOutputs + n] = block[group];
}

// Scales of 6 bits, 32 too large: the low nibbles in 8 bytes, the upper bits in 4.
void scalesQ3_K(const PackedBlock &layout, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block + 108);
  const std::byte *codes = block + 96;
  for (int64_t group = 0; group < 16; ++group) {
    int low = byteAt(codes, group % 8) >> (group / 8 * 4) & 15, upper = byteAt(codes, 8 + group % 4) >> (group / 4 * 2) & 3;
    packed[layout.scalesOffset + group * kOutputs + n] = std::byte((low | upper << 4) - 32);
  }
}

// Scales and minima of 6 bits each in 12 bytes.
void scalesQ4_K(const PackedBlock &layout, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block);
  copyHalf(packed, 32, n, block + 2);
  const std::byte *codes = block + 4;
  for (int64_t group = 0; group < 8; ++group) {
    uint8_t scale, minimum;
    if (group < 4) {
      scale = byteAt(codes, group) & 63;
      minimum = byteAt(codes, group + 4) & 63;
    } else {
      scale = uint8_t((byteAt(codes, group + 4) & 15) | byteAt(codes, group - 4) >> 6 << 4);
      minimum = uint8_t(byteAt(codes, group + 4) >> 4 | byteAt(codes, group) >> 6 << 4);
    }
    packed[layout.scalesOffset + group * kOutputs + n] = std::byte(scale);
    packed[layout.minimaOffset + group * kOutputs + n] = std::byte(minimum);
  }
}

void scalesQ6_K(const PackedBlock &layout, const std::byte *block, std::byte *packed, int64_t n) {
  copyHalf(packed, 0, n, block + 208);
  for (int64_t group = 0; group < 16; ++group)
    packed[layout.scalesOffset + group * kOutputs + n] = block[192 + group];
}

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

struct BlockPacker {
  void (*words)(const std::byte *block, int64_t group, Words &words);
  void (*scales)(const PackedBlock &layout, const std::byte *block, std::byte *packed, int64_t n);
};

template <BlockPacker packer, int64_t wordCount>
void packBlocks(const PackedBlock &layout, const PanelRows &rows, int64_t inputs, int64_t sourceBytes, std::byte *panel) {
  for (int64_t block = 0; block < inputs / layout.inputs; ++block) {
    std::byte *packed = panel + block * layout.blockBytes();
    for (int64_t n = 0; n < kOutputs; ++n) {
      const std::byte *source = rows[size_t(n)] + block * sourceBytes;
      packer.scales(layout, source, packed, n);
      for (int64_t group = 0; group < layout.inputs / 32; ++group) {
        Words words;
        packer.words(source, group, words);
        std::byte *quants = packed + layout.quantsOffset + group * layout.quantBytes() + 4 * n;
        for (int64_t w = 0; w < wordCount; ++w)
          std::memcpy(quants + w * tile::kQuadBytes, &words[size_t(w)], 4);
      }
    }
  }
}

// Elements of Bytes bytes to [inputs][16], or to pairs [inputs / 2][16][2].
template <typename Element, bool pairs>
void packFloats(const PanelRows &rows, int64_t inputs, std::byte *panel) {
  constexpr int64_t tile = 32, size = sizeof(Element);
  for (int64_t first = 0; first < inputs; first += tile)
    for (int64_t n = 0; n < kOutputs; ++n)
      for (int64_t k = first; k < std::min(inputs, first + tile); ++k) {
        int64_t to = pairs ? (k / 2 * kOutputs + n) * 2 + k % 2 : k * kOutputs + n;
        std::memcpy(panel + to * size, rows[size_t(n)] + k * size, size);
      }
}

void packRows(Format format, const PanelRows &rows, int64_t inputs, std::byte *panel) {
  auto blocks = [&](auto pack) {
    pack(tile::packedBlock(dialectFormat(format)), rows, inputs, formatInfo(format).blockBytes, panel);
  };
  switch (format) {
  case Format::F32:
    return packFloats<uint32_t, false>(rows, inputs, panel);
  case Format::F16:
    return packFloats<uint16_t, false>(rows, inputs, panel);
  case Format::BF16:
    return packFloats<uint16_t, true>(rows, inputs, panel);
  case Format::Q4_0:
    return blocks(packBlocks<BlockPacker{wordsOfNibbles<2>, scalesAtStart}, 4>);
  case Format::Q5_0:
    return blocks(packBlocks<BlockPacker{wordsOfFive<6>, scalesAtStart}, 5>);
  case Format::Q8_0:
    return blocks(packBlocks<BlockPacker{wordsQ8_0, scalesAtStart}, 8>);
  case Format::Q4_K:
    return blocks(packBlocks<BlockPacker{wordsQ4_K, scalesQ4_K}, 4>);
  case Format::Q5_K:
    return blocks(packBlocks<BlockPacker{wordsQ5_K, scalesQ4_K}, 5>);
  case Format::Q6_K:
    return blocks(packBlocks<BlockPacker{wordsQ6_K, scalesQ6_K}, 6>);
  case Format::Q4_1:
    return blocks(packBlocks<BlockPacker{wordsOfNibbles<4>, scaleAndOffset}, 4>);
  case Format::Q5_1:
    return blocks(packBlocks<BlockPacker{wordsOfFive<8>, scaleAndOffset}, 5>);
  case Format::Q2_K:
    return blocks(packBlocks<BlockPacker{wordsQ2_K, scalesQ2_K}, 2>);
  case Format::Q3_K:
    return blocks(packBlocks<BlockPacker{wordsQ3_K, scalesQ3_K}, 3>);
  case Format::IQ4_NL:
    return blocks(packBlocks<BlockPacker{wordsOfNibbles<2>, scalesAtStart}, 4>);
  case Format::MXFP4:
    return blocks(packBlocks<BlockPacker{wordsOfNibbles<1>, scalesMXFP4}, 4>);
  }
}

// Zeroes what packRows did not write: lanes of missing rows were packed from another row, the padding from none.
void clearLane(Format format, int64_t inputs, int64_t n, std::byte *panel) {
  auto clear = [&](int64_t offset, int64_t bytes) { std::memset(panel + offset, 0, size_t(bytes)); };
  if (formatInfo(format).blockElements == 1) {
    int64_t size = format == Format::F32 || format == Format::BF16 ? 4 : 2; // a pair of bf16 is one unit
    int64_t units = format == Format::BF16 ? (inputs + 1) / 2 : inputs;
    for (int64_t unit = 0; unit < units; ++unit)
      clear((unit * kOutputs + n) * size, size);
    return;
  }
  PackedBlock layout = tile::packedBlock(dialectFormat(format));
  for (int64_t block = 0; block < inputs / layout.inputs; ++block) {
    int64_t start = block * layout.blockBytes();
    for (int64_t offset = 0; offset < (layout.minima ? 64 : 32); offset += 32)
      clear(start + offset + 2 * n, 2);
    for (int64_t offset = layout.minima ? 64 : 32; offset < layout.quantsOffset; offset += kOutputs)
      clear(start + offset + n, 1);
    for (int64_t offset = layout.quantsOffset; offset < layout.blockBytes(); offset += tile::kQuadBytes)
      clear(start + offset + 4 * n, 4);
  }
}

int64_t contentBytes(Format format, int64_t inputs) {
  switch (format) {
  case Format::F32:
    return inputs * kOutputs * 4;
  case Format::F16:
    return inputs * kOutputs * 2;
  case Format::BF16: // whole pairs only: an odd last input begins a pair that is half padding
    return inputs / 2 * kOutputs * 4;
  default:
    PackedBlock layout = tile::packedBlock(dialectFormat(format));
    return inputs / layout.inputs * layout.blockBytes();
  }
}

void clearTail(Format format, int64_t inputs, std::byte *panel) {
  int64_t content = contentBytes(format, inputs), all = tile::panelBytes(dialectFormat(format), inputs);
  std::memset(panel + content, 0, size_t(all - content));
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

float halfAt(const std::byte *from, int64_t index) { return halfToFloat(loadUnaligned<uint16_t>(from + 2 * index)); }

// The quant of input k (0..31) with its zero point, or what it stands for in the code book.
int quantOf(const PackedBlock &layout, const std::byte *quants, int64_t n, int64_t k) {
  int64_t quad = k / 4, lane = 4 * n + k % 4;
  if (layout.bytes)
    return int8_t(byteAt(quants, quad * 64 + lane));
  int code = layout.lowBits == 4 ? byteAt(quants, quad % 4 * 64 + lane) >> (quad / 4 * 4) & 15
                                 : byteAt(quants, quad / 4 * 64 + lane) >> (quad % 4 * 2) & 3;
  if (layout.codeBook)
    return (*layout.codeBook)[size_t(code)];
  if (layout.upperBits == 0)
    return code;
  int64_t perChunk = 8 / layout.upperBits;
  int upper = byteAt(quants, (layout.lowBits + quad / perChunk) * 64 + lane) >> (quad % perChunk * layout.upperBits);
  return code | (upper & ((1 << layout.upperBits) - 1)) << layout.lowBits;
}

// Scale and minimum of a group of a super-block, as integers.
struct GroupCodes {
  int scale, minimum;
};
GroupCodes groupCodes(const PackedBlock &layout, const std::byte *block, int64_t group, int64_t n) {
  uint8_t scale = byteAt(block + layout.scalesOffset, group * kOutputs + n);
  if (layout.nibbleScales)
    return {scale & 15, scale >> 4};
  return {layout.signedScales ? int(int8_t(scale)) : int(scale), byteAt(block + layout.minimaOffset, group * kOutputs + n)};
}

void unpackBlockCodes(const PackedBlock &layout, const std::byte *block, int64_t n, PackedCodes &out) {
  float d = layout.bf16Scales ? bf16ToFloat(loadUnaligned<uint16_t>(block + 2 * n)) : halfAt(block, n);
  float dmin = layout.minima ? halfAt(block + 32, n) : 0;
  for (int64_t group = 0; group < layout.inputs / layout.group; ++group) {
    GroupCodes codes = groupCodes(layout, block, group, n);
    out.scales.push_back(layout.superBlock ? d * float(codes.scale) : d);
    if (layout.minima)
      out.minima.push_back(layout.superBlock ? dmin * float(codes.minimum) : dmin);
  }
  for (int64_t k = 0; k < layout.inputs; ++k)
    out.codes.push_back(quantOf(layout, block + layout.quantsOffset + k / 32 * layout.quantBytes(), n, k % 32) - int(layout.zero));
}

} // namespace

llm::Format dialectFormat(Format format) {
  static_assert(int(Format::F32) == int(llm::Format::f32) && int(Format::Q4_0) == int(llm::Format::q4_0) &&
                int(Format::Q8_0) == int(llm::Format::q8_0) && int(Format::Q6_K) == int(llm::Format::q6_k) &&
                int(Format::Q2_K) == int(llm::Format::q2_k) && int(Format::MXFP4) == int(llm::Format::mxfp4));
  return llm::Format(int(format));
}

void packPanel(Format format, const PanelRows &rows, int64_t inputs, std::byte *panel) {
  clearTail(format, inputs, panel);
  const std::byte *const *present = std::find_if(rows.begin(), rows.end(), [](auto row) { return row != nullptr; });
  PanelRows filled = rows; // a missing row is packed from one that exists, then cleared: no branch per block
  if (present == rows.end()) {
    std::memset(panel, 0, size_t(tile::panelBytes(dialectFormat(format), inputs)));
    return;
  }
  for (const std::byte *&row : filled)
    row = row ? row : *present;
  packRows(format, filled, inputs, panel);
  for (int64_t n = 0; n < kOutputs; ++n)
    if (!rows[size_t(n)])
      clearLane(format, inputs, n, panel);
}

void packPanelTransposed(Format format, const std::byte *source, int64_t inputs, int64_t width, Columns columns,
                         std::byte *panel) {
  int64_t size = formatInfo(format).blockBytes;
  std::memset(panel, 0, size_t(tile::panelBytes(dialectFormat(format), inputs)));
  for (int64_t k = 0; k < inputs; ++k) {
    const std::byte *row = source + (k * width + columns.first) * size;
    if (format != Format::BF16 && columns.step == 1) {
      std::memcpy(panel + k * kOutputs * size, row, size_t(columns.count * size));
      continue;
    }
    for (int64_t n = 0; n < columns.count; ++n) {
      int64_t to = format == Format::BF16 ? (k / 2 * kOutputs + n) * 2 + k % 2 : k * kOutputs + n;
      std::memcpy(panel + to * size, row + n * columns.step * size, size_t(size));
    }
  }
}

void unpackRow(Format format, const std::byte *panel, int64_t row, std::span<float> out) {
  auto inputs = int64_t(out.size());
  for (int64_t k = 0; k < inputs && formatInfo(format).blockElements == 1; ++k) {
    if (format == Format::F32)
      out[size_t(k)] = loadUnaligned<float>(panel + (k * kOutputs + row) * 4);
    else if (format == Format::F16)
      out[size_t(k)] = halfAt(panel, k * kOutputs + row);
    else
      out[size_t(k)] = bf16ToFloat(loadUnaligned<uint16_t>(panel + ((k / 2 * kOutputs + row) * 2 + k % 2) * 2));
  }
  if (formatInfo(format).blockElements == 1)
    return;
  PackedCodes numbers = unpackCodes(format, panel, row, inputs);
  auto group = size_t(tile::packedBlock(dialectFormat(format)).group);
  for (size_t k = 0; k < out.size(); ++k) {
    float product = numbers.scales[k / group] * float(numbers.codes[k]);
    out[k] = numbers.minima.empty() ? product : product - numbers.minima[k / group];
  }
}

PackedCodes unpackCodes(Format format, const std::byte *panel, int64_t row, int64_t inputs) {
  PackedBlock layout = tile::packedBlock(dialectFormat(format));
  PackedCodes result;
  for (int64_t block = 0; block < inputs / layout.inputs; ++block)
    unpackBlockCodes(layout, panel + block * layout.blockBytes(), row, result);
  return result;
}

} // namespace llmc::packing
