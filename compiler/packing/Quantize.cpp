// Built without contraction of multiply and add, and with sums over eight lanes in one order: the same bits on every machine.
#include "compiler/packing/Quantize.h"

#include "compiler/packing/BlockCodes.h"
#include "compiler/packing/Lanes.h"
#include "runtime/formats/Half.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace llmc::packing {
namespace {

//===----------------------------------------------------------------------===//
// A group of values that share a scale
//===----------------------------------------------------------------------===//

template <int size> struct Group {
  static constexpr int parts = size / kLanes;
  Lanes x[parts], w[parts];
};

// What an error of each value costs. Without `importance` large values cost more: what they lose pulls a sum to one side, where the errors
// of small ones cancel. Source: ggml-quants.c, which weighs values so when it knows nothing of the inputs.
template <int size> LLMC_INLINE Group<size> load(const float *values, const float *importance) {
  Group<size> group;
  std::memcpy(group.x, values, sizeof group.x);
  if (importance) {
    std::memcpy(group.w, importance, sizeof group.w);
    return group;
  }
  Lanes squares{};
  for (const Lanes &x : group.x)
    squares += x * x;
  float mean = sum(squares) / size;
  for (int p = 0; p < group.parts; ++p)
    for (int i = 0; i < kLanes; ++i)
      group.w[p][i] = std::sqrt(mean + group.x[p][i] * group.x[p][i]);
  return group;
}

template <int size> LLMC_INLINE float largest(const Group<size> &group) { // by magnitude, with its sign
  float best = 0;
  for (const Lanes &x : group.x)
    for (int i = 0; i < kLanes; ++i)
      best = std::fabs(x[i]) > std::fabs(best) ? x[i] : best;
  return best;
}

// As a half holds it, and finite.
LLMC_INLINE float toHalf(float value) { return halfToFloat(floatToHalf(std::clamp(value, -65504.0f, 65504.0f))); }

//===----------------------------------------------------------------------===//
// value = scale * code
//===----------------------------------------------------------------------===//

struct Codes {
  float low, high;
};

// Of the group under a scale, each value taking its nearest code.
template <int size> LLMC_INLINE float errorOf(const Group<size> &group, float scale, Codes codes) {
  Lanes error{};
  float inv = inverse(scale);
  for (int p = 0; p < group.parts; ++p) {
    Lanes off = group.x[p] - scale * roundLanes(group.x[p] * inv, codes.low, codes.high);
    error += group.w[p] * off * off;
  }
  return sum(error);
}

// The best scale for the codes that values take under `scale`, and by how much it lowers the error from that of zeros.
struct Refit {
  float scale, gain;
};
template <int size> LLMC_INLINE Refit refit(const Group<size> &group, float scale, Codes codes) {
  Lanes product{}, square{};
  float inv = inverse(scale);
  for (int p = 0; p < group.parts; ++p) {
    Lanes code = roundLanes(group.x[p] * inv, codes.low, codes.high), weighted = group.w[p] * code;
    product += weighted * group.x[p];
    square += weighted * code;
  }
  float xq = sum(product), qq = sum(square);
  return qq > 0 ? Refit{xq / qq, xq * (xq / qq)} : Refit{0, 0};
}

// Where the largest magnitude may come to lie, as a part of the codes' range: from clipping a quarter off to wasting a tenth. With many
// codes clipping does not pay.
struct Search {
  float first, step;
  int count;
};
constexpr Search searchOf(Codes codes) {
  return codes.high > 64 ? Search{0.985f, 0.005f, 4} : codes.high > 16 ? Search{0.82f, 0.02f, 13} : Search{0.62f, 0.03f, 19};
}

// The scale whose error is least among: the reference's; and, from each place and sign of the largest value, least squares in
// turn with rounding. `round` is how the scale will be stored.
template <int size, typename Round> LLMC_INLINE float findScale(const Group<size> &group, Codes codes, Round round) {
  float extreme = largest(group);
  if (extreme == 0)
    return 0;
  Search search = searchOf(codes);
  Refit best{0, -1}, other{0, -1};
  for (float side : {codes.low, -codes.low})
    for (int i = 0; i < search.count; ++i) {
      Refit found = refit(group, extreme / (side * (search.first + search.step * float(i))), codes);
      if (found.gain > best.gain)
        other = best, best = found;
      else if (found.gain > other.gain)
        other = found;
    }
  float reference = round(extreme / (codes.high > 64 ? codes.high : codes.low));
  float scale = reference, error = errorOf(group, reference, codes);
  for (float start : {best.scale, other.scale})
    for (int i = 0; i < 4; ++i) {
      float stored = round(start), now = errorOf(group, stored, codes);
      if (now < error)
        scale = stored, error = now;
      start = refit(group, start, codes).scale;
    }
  return scale;
}

//===----------------------------------------------------------------------===//
// value = scale * code, with scales of 8 bits
//===----------------------------------------------------------------------===//

// Of `center - 1`, `center`, `center + 1`, that whose scale `unit * code` has the least error.
template <int size> LLMC_INLINE int bestScaleCode(const Group<size> &group, float unit, int center, Codes codes) {
  int best = center;
  float least = errorOf(group, unit * float(center), codes);
  for (int code : {std::max(center - 1, -127), std::min(center + 1, 127)})
    if (float error = errorOf(group, unit * float(code), codes); error < least)
      best = code, least = error;
  return best;
}

//===----------------------------------------------------------------------===//
// Q4_K, Q5_K: eight groups of 32 values; value = scale * code - minimum, both of 6 bits
//===----------------------------------------------------------------------===//

struct Line {
  float scale, minimum; // minimum >= 0
};

LLMC_INLINE Lanes codesUnder(Lanes x, Line line, float high) { return roundLanes((x + line.minimum) * inverse(line.scale), 0, high); }

LLMC_INLINE float errorOf(const Group<32> &group, Line line, float high) {
  Lanes error{};
  for (int p = 0; p < group.parts; ++p) {
    Lanes off = group.x[p] + line.minimum - line.scale * codesUnder(group.x[p], line, high);
    error += group.w[p] * off * off;
  }
  return sum(error);
}

// Least squares over the codes that values take under `line`.
LLMC_INLINE Line refit(const Group<32> &group, Line line, float high) {
  Lanes w{}, wx{}, wq{}, wqq{}, wxq{};
  for (int p = 0; p < group.parts; ++p) {
    Lanes q = codesUnder(group.x[p], line, high), weighted = group.w[p] * q;
    w += group.w[p];
    wx += group.w[p] * group.x[p];
    wq += weighted;
    wqq += weighted * q;
    wxq += weighted * group.x[p];
  }
  float W = sum(w), X = sum(wx), Q = sum(wq), QQ = sum(wqq), XQ = sum(wxq), determinant = W * QQ - Q * Q;
  if (determinant <= 0 || QQ <= 0)
    return line;
  Line fit{(W * XQ - X * Q) / determinant, -(QQ * X - Q * XQ) / determinant};
  if (fit.minimum < 0)
    fit = {XQ / QQ, 0};
  return fit.scale > 0 ? fit : line;
}

LLMC_INLINE Line findLine(const Group<32> &group, float high) {
  float low = 0, top = 0;
  for (const Lanes &x : group.x)
    for (int i = 0; i < kLanes; ++i)
      low = x[i] < low ? x[i] : low, top = x[i] > top ? x[i] : top;
  if (!(top > low))
    return {0, 0};
  Line best{(top - low) / high, -low};
  float error = errorOf(group, best, high);
  auto consider = [&](Line line) {
    if (float now = errorOf(group, line, high); now < error)
      best = line, error = now;
  };
  for (int i = 0; i < 19; ++i) {
    float inside = 1.06f - 0.02f * float(i); // both ends may be clipped, or codes be left over
    consider(refit(group, {inside * (top - low) / high, -low * inside}, high));
  }
  for (int i = 0; i < 4; ++i)
    consider(refit(group, best, high));
  return best;
}

// The nearest 6-bit codes of a group's line, or neighbours of them that do better.
struct LineCodes {
  int scale, minimum;
};
LLMC_INLINE LineCodes findCodes(const Group<32> &group, Line line, Line unit, float high) {
  auto nearest = [](float value, float step) { return int(std::lrint(std::clamp(value * inverse(step), 0.0f, 63.0f))); };
  LineCodes middle{nearest(line.scale, unit.scale), nearest(line.minimum, unit.minimum)}, best = middle;
  float error = -1;
  for (int ds : {0, -1, 1})
    for (int dm : {0, -1, 1}) {
      LineCodes codes{std::clamp(middle.scale + ds, 0, 63), std::clamp(middle.minimum + dm, 0, 63)};
      float now = errorOf(group, {unit.scale * float(codes.scale), unit.minimum * float(codes.minimum)}, high);
      if (error < 0 || now < error)
        best = codes, error = now;
    }
  return best;
}

//===----------------------------------------------------------------------===//
// Blocks: the parameters of each group
//===----------------------------------------------------------------------===//

template <int high> LLMC_INLINE void findPlain(const float *x, const float *w, BlockCodes &block) {
  block.scale[0] = findScale(load<32>(x, w), Codes{high > 64 ? -float(high) : -float(high) - 1, high}, toHalf);
}

LLMC_EACH_MACHINE void findQ4_0(const float *x, const float *w, BlockCodes &block) { findPlain<7>(x, w, block); }
LLMC_EACH_MACHINE void findQ5_0(const float *x, const float *w, BlockCodes &block) { findPlain<15>(x, w, block); }
LLMC_EACH_MACHINE void findQ8_0(const float *x, const float *w, BlockCodes &block) { findPlain<127>(x, w, block); }

// Sixteen groups of 16 values, each with a scale of 8 bits.
LLMC_EACH_MACHINE void findQ6_K(const float *x, const float *w, BlockCodes &block) {
  constexpr Codes range{-32, 31};
  Group<16> groups[16];
  float scales[16], most = 0;
  for (int g = 0; g < 16; ++g) {
    groups[g] = load<16>(x + 16 * g, w ? w + 16 * g : nullptr);
    scales[g] = findScale(groups[g], range, [](float scale) { return scale; });
    most = std::max(most, std::fabs(scales[g]));
  }
  block.unit = toHalf(most / 127);
  float inv = inverse(block.unit);
  for (int g = 0; g < 16; ++g) {
    block.scaleCodes[g] = bestScaleCode(groups[g], block.unit, int(std::lrint(std::clamp(scales[g] * inv, -127.0f, 127.0f))), range);
    block.scale[g] = block.unit * float(block.scaleCodes[g]);
  }
}

LLMC_INLINE void findLines(const float *x, const float *w, float high, BlockCodes &block) {
  Group<32> groups[8];
  Line lines[8], most{0, 0};
  for (int g = 0; g < 8; ++g) {
    groups[g] = load<32>(x + 32 * g, w ? w + 32 * g : nullptr);
    lines[g] = findLine(groups[g], high);
    most = {std::max(most.scale, lines[g].scale), std::max(most.minimum, lines[g].minimum)};
  }
  Line unit{toHalf(most.scale / 63), toHalf(most.minimum / 63)};
  block.unit = unit.scale, block.unitMinimum = unit.minimum;
  for (int g = 0; g < 8; ++g) {
    LineCodes codes = findCodes(groups[g], lines[g], unit, high);
    block.scaleCodes[g] = codes.scale, block.minimumCodes[g] = codes.minimum;
    block.scale[g] = unit.scale * float(codes.scale), block.minimum[g] = unit.minimum * float(codes.minimum);
  }
}

LLMC_EACH_MACHINE void findQ4_K(const float *x, const float *w, BlockCodes &block) { findLines(x, w, 15, block); }
LLMC_EACH_MACHINE void findQ5_K(const float *x, const float *w, BlockCodes &block) { findLines(x, w, 31, block); }

LLMC_INLINE void nearestCodes(const float *x, const BlockFormat &format, BlockCodes &block) {
  for (int i = 0; i < format.elements; i += kLanes) {
    int g = i / format.group;
    Lanes code = roundLanes((loadLanes(x + i) + block.minimum[g]) * inverse(block.scale[g]), format.low, format.high);
    std::memcpy(block.codes + i, &code, sizeof code);
  }
}

// Each value takes its nearest code.
LLMC_EACH_MACHINE void takeNearest(const float *x, const BlockFormat &format, BlockCodes &block) { nearestCodes(x, format, block); }

//===----------------------------------------------------------------------===//
// Blocks as they are written
//===----------------------------------------------------------------------===//

void storeHalf(std::byte *to, float value) {
  uint16_t half = floatToHalf(value);
  std::memcpy(to, &half, sizeof half);
}

// The first 16 of 32 codes go to low nibbles, the others to high ones.
void putNibbles(const float *codes, int offset, std::byte *to) {
  for (int i = 0; i < 16; ++i)
    to[i] = std::byte((int(codes[i]) + offset & 15) | (int(codes[i + 16]) + offset & 15) << 4);
}

void writeQ4_0(const BlockCodes &block, std::byte *to) {
  storeHalf(to, block.scale[0]);
  putNibbles(block.codes, 8, to + 2);
}

void writeQ5_0(const BlockCodes &block, std::byte *to) {
  uint32_t fifth = 0;
  for (int i = 0; i < 32; ++i)
    fifth |= uint32_t(int(block.codes[i]) + 16 >> 4) << i;
  storeHalf(to, block.scale[0]);
  std::memcpy(to + 2, &fifth, 4);
  putNibbles(block.codes, 16, to + 6);
}

void writeQ8_0(const BlockCodes &block, std::byte *to) {
  storeHalf(to, block.scale[0]);
  for (int i = 0; i < 32; ++i)
    to[2 + i] = std::byte(int(block.codes[i]));
}

void writeQ6_K(const BlockCodes &block, std::byte *to) {
  std::memset(to, 0, 192);
  for (int i = 0; i < 256; ++i) {
    int code = int(block.codes[i]) + 32, half = i / 128, run = i / 32 % 4;
    to[64 * half + 32 * (run % 2) + i % 32] |= std::byte((code & 15) << (run >= 2 ? 4 : 0));
    to[128 + 32 * half + i % 32] |= std::byte(code >> 4 << (2 * run));
  }
  for (int g = 0; g < 16; ++g)
    to[192 + g] = std::byte(block.scaleCodes[g]);
  storeHalf(to + 208, block.unit);
}

// Of Q4_K and Q5_K: units, and 6-bit codes of scales and minima.
void putLines(const BlockCodes &block, std::byte *to) {
  storeHalf(to, block.unit);
  storeHalf(to + 2, block.unitMinimum);
  const int *scales = block.scaleCodes, *minima = block.minimumCodes;
  for (int g = 0; g < 4; ++g) {
    to[4 + g] = std::byte(scales[g] | scales[g + 4] >> 4 << 6);
    to[8 + g] = std::byte(minima[g] | minima[g + 4] >> 4 << 6);
    to[12 + g] = std::byte((scales[g + 4] & 15) | (minima[g + 4] & 15) << 4);
  }
}

// Groups in pairs: low nibbles, then high ones.
void putPairs(const float *codes, std::byte *to) {
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i)
      to[32 * pair + i] = std::byte((int(codes[64 * pair + i]) & 15) | (int(codes[64 * pair + 32 + i]) & 15) << 4);
}

void writeQ4_K(const BlockCodes &block, std::byte *to) {
  putLines(block, to);
  putPairs(block.codes, to + 16);
}

void writeQ5_K(const BlockCodes &block, std::byte *to) {
  putLines(block, to);
  std::memset(to + 16, 0, 32);
  for (int i = 0; i < 256; ++i)
    to[16 + i % 32] |= std::byte(int(block.codes[i]) >> 4 << (i / 32));
  putPairs(block.codes, to + 48);
}

const BlockFormat *blockFormat(Format format) {
  static constexpr BlockFormat q4_0{32, 32, -8, 7, true, findQ4_0, writeQ4_0}, q5_0{32, 32, -16, 15, true, findQ5_0, writeQ5_0},
      q8_0{32, 32, -127, 127, true, findQ8_0, writeQ8_0}, q6_k{256, 16, -32, 31, false, findQ6_K, writeQ6_K},
      q4_k{256, 32, 0, 15, false, findQ4_K, writeQ4_K}, q5_k{256, 32, 0, 31, false, findQ5_K, writeQ5_K};
  switch (format) {
  case Format::Q4_0: return &q4_0;
  case Format::Q5_0: return &q5_0;
  case Format::Q8_0: return &q8_0;
  case Format::Q4_K: return &q4_k;
  case Format::Q5_K: return &q5_k;
  case Format::Q6_K: return &q6_k;
  default: return nullptr;
  }
}

// The mean square of each input, and a part of all of them: what never stirred may do so yet. False if none did.
bool importanceOf(const Moments &moments, int64_t first, std::span<float> importance) {
  float total = 0;
  for (size_t i = 0; i < importance.size(); ++i)
    total += importance[i] = moments.row(first + i)[(first + i) % moments.block];
  for (float &each : importance)
    each += kRidge * total / float(importance.size());
  return total > 0;
}

// Blocks of values that are rounded together: those of a block of the moments, or one block.
void quantizeRun(const BlockFormat &format, int64_t blockBytes, std::span<const float> values, const Moments *moments, int64_t first,
                 std::byte *to) {
  BlockCodes blocks[kMomentsBlock / 32];
  float importance[kMomentsBlock];
  if (moments && !importanceOf(*moments, first, {importance, values.size()}))
    moments = nullptr;
  int count = int(values.size()) / format.elements;
  for (int b = 0; b < count; ++b) {
    const float *x = values.data() + b * format.elements;
    format.find(x, moments ? importance + b * format.elements : nullptr, blocks[b]);
    takeNearest(x, format, blocks[b]);
  }
  if (moments)
    compensate(format, values, *moments, first, {blocks, size_t(count)});
  for (int b = 0; b < count; ++b)
    format.write(blocks[b], to + b * blockBytes);
}

} // namespace

bool canQuantize(Format format) { return blockFormat(format) != nullptr; }

int64_t momentsBlock(int64_t experts, int64_t columns) {
  int64_t block = kMomentsBlock;
  while (block > 32 && block * experts > kMomentsBlock)
    block /= 2;
  return std::min(block, columns);
}

void quantizeRow(Format format, std::span<const float> values, const Moments *moments, std::byte *row) {
  const BlockFormat *block = blockFormat(format);
  assert(block && values.size() % size_t(block->elements) == 0);
  assert(!moments || (moments->values.size() == values.size() * size_t(moments->block) && moments->block % 32 == 0 && moments->block <= kMomentsBlock));
  int64_t bytes = formatInfo(format).blockBytes, count = int64_t(values.size());
  int64_t run = std::max<int64_t>(moments ? moments->block : 0, block->elements);
  for (int64_t first = 0; first < count; first += run) {
    auto part = values.subspan(size_t(first), size_t(std::min(run, count - first)));
    quantizeRun(*block, bytes, part, moments, first, row + first / block->elements * bytes);
  }
}

} // namespace llmc::packing
