// decodeRow: the block formats of GGUF to float32.
//
// Built without contraction of multiply and add (CMakeLists.txt), so that every value has the reference's bits.
#include "runtime/formats/Half.h"
#include "runtime/formats/Tensor.h"
#include "runtime/support/ByteReader.h"

#include <cassert>

namespace llmc {
namespace {

float halfAt(const std::byte *from) { return halfToFloat(loadUnaligned<uint16_t>(from)); }
int byteAt(const std::byte *from, int i) { return int(uint8_t(from[i])); }
int lowNibble(const std::byte *from, int i) { return byteAt(from, i) & 15; }
int highNibble(const std::byte *from, int i) { return byteAt(from, i) >> 4; }

// block: half d; 16 bytes: low nibbles are elements 0..15, high ones 16..31. y = d * (q - 8)
void decodeQ4_0(const std::byte *block, float *out) {
  float d = halfAt(block);
  const std::byte *q = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = float(lowNibble(q, i) - 8) * d;
    out[i + 16] = float(highNibble(q, i) - 8) * d;
  }
}

// block: half d, m; 16 bytes of nibbles as above. y = d * q + m
void decodeQ4_1(const std::byte *block, float *out) {
  float d = halfAt(block), m = halfAt(block + 2);
  const std::byte *q = block + 4;
  for (int i = 0; i < 16; ++i) {
    out[i] = float(lowNibble(q, i)) * d + m;
    out[i + 16] = float(highNibble(q, i)) * d + m;
  }
}

// block: half d; 32 fifth bits; 16 bytes of nibbles as above. y = d * (q - 16)
void decodeQ5_0(const std::byte *block, float *out) {
  float d = halfAt(block);
  uint32_t fifth = loadUnaligned<uint32_t>(block + 2);
  const std::byte *q = block + 6;
  for (int i = 0; i < 16; ++i) {
    int low = lowNibble(q, i) | int(fifth >> i & 1) << 4;
    int high = highNibble(q, i) | int(fifth >> (i + 16) & 1) << 4;
    out[i] = float(low - 16) * d;
    out[i + 16] = float(high - 16) * d;
  }
}

// block: half d, m; 32 fifth bits; 16 bytes of nibbles as above. y = d * q + m
void decodeQ5_1(const std::byte *block, float *out) {
  float d = halfAt(block), m = halfAt(block + 2);
  uint32_t fifth = loadUnaligned<uint32_t>(block + 4);
  const std::byte *q = block + 8;
  for (int i = 0; i < 16; ++i) {
    out[i] = float(lowNibble(q, i) | int(fifth >> i & 1) << 4) * d + m;
    out[i + 16] = float(highNibble(q, i) | int(fifth >> (i + 16) & 1) << 4) * d + m;
  }
}

constexpr int8_t iq4nlBook[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int8_t mxfp4Book[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}; // E2M1, doubled

// 16 bytes of nibbles as above. y = d * book[q]
void decodeBook(const int8_t *book, float d, const std::byte *q, float *out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = float(book[lowNibble(q, i)]) * d;
    out[i + 16] = float(book[highNibble(q, i)]) * d;
  }
}

// block: half d; 16 bytes of nibbles.
void decodeIQ4_NL(const std::byte *block, float *out) { decodeBook(iq4nlBook, halfAt(block), block + 2, out); }

// block: exponent e; 16 bytes of nibbles. d = 2^(e - 128)
void decodeMXFP4(const std::byte *block, float *out) {
  decodeBook(mxfp4Book, bf16ToFloat(bf16OfHalvedE8M0(uint8_t(block[0]))), block + 1, out);
}

// block: half d; 32 signed bytes. y = d * q
void decodeQ8_0(const std::byte *block, float *out) {
  float d = halfAt(block);
  for (int i = 0; i < 32; ++i)
    out[i] = float(int8_t(block[2 + i])) * d;
}

// Scale and minimum of one of the 8 groups of a Q4_K or Q5_K block: 6 bits each, packed in 12 bytes.
struct GroupScale {
  float scale, minimum;
};
GroupScale groupScale(const std::byte *block, int group) {
  float d = halfAt(block), dmin = halfAt(block + 2);
  const std::byte *packed = block + 4;
  int scale, minimum;
  if (group < 4) {
    scale = byteAt(packed, group) & 63;
    minimum = byteAt(packed, group + 4) & 63;
  } else {
    scale = lowNibble(packed, group + 4) | (byteAt(packed, group - 4) >> 6) << 4;
    minimum = highNibble(packed, group + 4) | (byteAt(packed, group) >> 6) << 4;
  }
  return {d * float(scale), dmin * float(minimum)};
}

// block: half d, dmin; 12 bytes of scales; 128 bytes: each 32 bytes hold two groups, low nibbles first.
// y = (d * scale) * q - dmin * minimum
void decodeQ4_K(const std::byte *block, float *out) {
  for (int pair = 0; pair < 4; ++pair) {
    GroupScale low = groupScale(block, 2 * pair), high = groupScale(block, 2 * pair + 1);
    const std::byte *q = block + 16 + 32 * pair;
    float *y = out + 64 * pair;
    for (int i = 0; i < 32; ++i) {
      y[i] = low.scale * float(lowNibble(q, i)) - low.minimum;
      y[i + 32] = high.scale * float(highNibble(q, i)) - high.minimum;
    }
  }
}

// As Q4_K with 32 bytes of fifth bits before the nibbles: bit g of byte i belongs to element i of group g.
void decodeQ5_K(const std::byte *block, float *out) {
  const std::byte *fifth = block + 16;
  for (int pair = 0; pair < 4; ++pair) {
    GroupScale low = groupScale(block, 2 * pair), high = groupScale(block, 2 * pair + 1);
    const std::byte *q = block + 48 + 32 * pair;
    float *y = out + 64 * pair;
    for (int i = 0; i < 32; ++i) {
      int bits = byteAt(fifth, i) >> (2 * pair);
      y[i] = low.scale * float(lowNibble(q, i) + (bits & 1) * 16) - low.minimum;
      y[i + 32] = high.scale * float(highNibble(q, i) + (bits >> 1 & 1) * 16) - high.minimum;
    }
  }
}

// block: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, half d. Each half of 128 elements has
// four runs of 32; run r takes bits 2r of the upper byte, and each 16 elements have a scale. y = (d * scale) * (q - 32)
void decodeQ6_K(const std::byte *block, float *out) {
  float d = halfAt(block + 208);
  for (int half = 0; half < 2; ++half) {
    const std::byte *low = block + 64 * half, *upper = block + 128 + 32 * half, *scales = block + 192 + 8 * half;
    float *y = out + 128 * half;
    for (int i = 0; i < 32; ++i)
      for (int run = 0; run < 4; ++run) {
        int at = i + 32 * (run & 1);
        int nibble = run < 2 ? lowNibble(low, at) : highNibble(low, at);
        int q = nibble | (byteAt(upper, i) >> (2 * run) & 3) << 4;
        float scale = d * float(int8_t(scales[i / 16 + 2 * run]));
        y[i + 32 * run] = scale * float(q - 32);
      }
  }
}

// Quants of two bits in 64 bytes: each half of 128 elements has four runs of 32, run r in bits 2r and 2r + 1.
int pairAt(const std::byte *from, int i) { return byteAt(from, i / 128 * 32 + i % 32) >> (i / 32 % 4 * 2) & 3; }

// block: 16 bytes, low nibbles the scales, high ones the minima of groups of 16; 64 bytes of quants; half d, dmin.
// y = (d * scale) * q - dmin * minimum
void decodeQ2_K(const std::byte *block, float *out) {
  float d = halfAt(block + 80), dmin = halfAt(block + 82);
  for (int i = 0; i < 256; ++i) {
    float scale = d * float(lowNibble(block, i / 16)), minimum = dmin * float(highNibble(block, i / 16));
    out[i] = scale * float(pairAt(block + 16, i)) - minimum;
  }
}

// block: 32 bytes of third bits, bit g of byte i belonging to element i of the 32 elements g; 64 bytes of quants; 12 bytes
// of 6-bit scales of groups of 16: 8 bytes with the low 4 bits of 0..7 and 8..15, then the upper 2 bits; half d.
// y = (d * (scale - 32)) * (q - 4)
void decodeQ3_K(const std::byte *block, float *out) {
  const std::byte *scales = block + 96;
  float d = halfAt(block + 108);
  for (int i = 0; i < 256; ++i) {
    int group = i / 16;
    int low = group < 8 ? lowNibble(scales, group) : highNibble(scales, group - 8);
    int scale = low | (byteAt(scales, 8 + group % 4) >> (group / 4 * 2) & 3) << 4;
    int q = pairAt(block + 32, i) | (byteAt(block, i % 32) >> (i / 32) & 1) << 2;
    out[i] = (d * float(scale - 32)) * float(q - 4);
  }
}

template <void (*decodeBlock)(const std::byte *, float *)>
void decodeBlocks(Format format, const std::byte *row, std::span<float> out) {
  const FormatInfo &info = formatInfo(format);
  assert(out.size() % size_t(info.blockElements) == 0 && "whole blocks only");
  for (size_t i = 0; i < out.size(); i += size_t(info.blockElements), row += info.blockBytes)
    decodeBlock(row, out.data() + i);
}

} // namespace

void decodeRow(Format format, const std::byte *row, std::span<float> out) {
  switch (format) {
  case Format::F32:
    if (!out.empty())
      std::memcpy(out.data(), row, out.size_bytes());
    return;
  case Format::F16:
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = halfAt(row + 2 * i);
    return;
  case Format::BF16:
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = bf16ToFloat(loadUnaligned<uint16_t>(row + 2 * i));
    return;
  case Format::Q4_0:
    return decodeBlocks<decodeQ4_0>(format, row, out);
  case Format::Q5_0:
    return decodeBlocks<decodeQ5_0>(format, row, out);
  case Format::Q8_0:
    return decodeBlocks<decodeQ8_0>(format, row, out);
  case Format::Q4_K:
    return decodeBlocks<decodeQ4_K>(format, row, out);
  case Format::Q5_K:
    return decodeBlocks<decodeQ5_K>(format, row, out);
  case Format::Q6_K:
    return decodeBlocks<decodeQ6_K>(format, row, out);
  case Format::Q4_1:
    return decodeBlocks<decodeQ4_1>(format, row, out);
  case Format::Q5_1:
    return decodeBlocks<decodeQ5_1>(format, row, out);
  case Format::Q2_K:
    return decodeBlocks<decodeQ2_K>(format, row, out);
  case Format::Q3_K:
    return decodeBlocks<decodeQ3_K>(format, row, out);
  case Format::IQ4_NL:
    return decodeBlocks<decodeIQ4_NL>(format, row, out);
  case Format::MXFP4:
    return decodeBlocks<decodeMXFP4>(format, row, out);
  }
}

} // namespace llmc
