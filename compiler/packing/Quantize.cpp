// Built without contraction of multiply and add, and with sums over eight lanes in one order: the same bits on every machine.
#include "compiler/packing/Quantize.h"

#include "runtime/formats/Half.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace llmc::packing {
namespace {

#define LLMC_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__)
#define LLMC_EACH_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define LLMC_EACH_MACHINE
#endif

//===----------------------------------------------------------------------===//
// A group of values that share a scale
//===----------------------------------------------------------------------===//

using Lanes = float __attribute__((vector_size(32)));
constexpr int kLanes = 8;

template <int size> struct Group {
  static constexpr int parts = size / kLanes;
  Lanes x[parts], w[parts];
};

LLMC_INLINE float sum(const Lanes &v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

// To the nearest whole number within [low, high]; ties to even; NaN to `low`.
LLMC_INLINE Lanes roundLanes(Lanes v, float low, float high) {
  constexpr float magic = 12582912.0f; // 1.5 * 2^23: the sum has no bits for a fraction
  v = v > low ? v : Lanes{} + low;
  v = v < high ? v : Lanes{} + high;
  return (v + magic) - magic;
}

template <int size> LLMC_INLINE Group<size> load(const float *values, const float *importance) {
  Group<size> group;
  std::memcpy(group.x, values, sizeof group.x);
  for (Lanes &w : group.w)
    w = Lanes{} + 1.0f;
  if (importance)
    std::memcpy(group.w, importance, sizeof group.w);
  return group;
}

template <int size> LLMC_INLINE float largest(const Group<size> &group) { // by magnitude, with its sign
  float best = 0;
  for (const Lanes &x : group.x)
    for (int i = 0; i < kLanes; ++i)
      best = std::fabs(x[i]) > std::fabs(best) ? x[i] : best;
  return best;
}

LLMC_INLINE float inverse(float scale) { return scale != 0 ? 1 / scale : 0; }

// As a half holds it, and finite.
LLMC_INLINE float toHalf(float value) { return halfToFloat(floatToHalf(std::clamp(value, -65504.0f, 65504.0f))); }
LLMC_INLINE void storeHalf(std::byte *to, float value) {
  uint16_t half = floatToHalf(value);
  std::memcpy(to, &half, sizeof half);
}

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

template <int size> LLMC_INLINE void codesOf(const Group<size> &group, float scale, Codes codes, int *out) {
  float inv = inverse(scale);
  for (int p = 0; p < group.parts; ++p) {
    Lanes code = roundLanes(group.x[p] * inv, codes.low, codes.high);
    for (int i = 0; i < kLanes; ++i)
      out[p * kLanes + i] = int(code[i]);
  }
}

//===----------------------------------------------------------------------===//
// Formats of 32 values with one scale
//===----------------------------------------------------------------------===//

void putNibbles(const int *codes, std::byte *to) {
  for (int i = 0; i < 16; ++i)
    to[i] = std::byte((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

LLMC_EACH_MACHINE void quantizeQ4_0(const float *x, const float *w, std::byte *block) {
  constexpr Codes range{-8, 7};
  auto group = load<32>(x, w);
  float scale = findScale(group, range, toHalf);
  int codes[32];
  codesOf(group, scale, range, codes);
  for (int &code : codes)
    code += 8;
  storeHalf(block, scale);
  putNibbles(codes, block + 2);
}

LLMC_EACH_MACHINE void quantizeQ5_0(const float *x, const float *w, std::byte *block) {
  constexpr Codes range{-16, 15};
  auto group = load<32>(x, w);
  float scale = findScale(group, range, toHalf);
  int codes[32];
  codesOf(group, scale, range, codes);
  uint32_t fifth = 0;
  for (int i = 0; i < 32; ++i) {
    codes[i] += 16;
    fifth |= uint32_t(codes[i] >> 4) << i;
  }
  storeHalf(block, scale);
  std::memcpy(block + 2, &fifth, 4);
  putNibbles(codes, block + 6);
}

LLMC_EACH_MACHINE void quantizeQ8_0(const float *x, const float *w, std::byte *block) {
  constexpr Codes range{-127, 127};
  auto group = load<32>(x, w);
  float scale = findScale(group, range, toHalf);
  int codes[32];
  codesOf(group, scale, range, codes);
  storeHalf(block, scale);
  for (int i = 0; i < 32; ++i)
    block[2 + i] = std::byte(codes[i]);
}

//===----------------------------------------------------------------------===//
// Q6_K: sixteen groups of 16 values, each with a scale of 8 bits
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

LLMC_EACH_MACHINE void quantizeQ6_K(const float *x, const float *w, std::byte *block) {
  constexpr Codes range{-32, 31};
  Group<16> groups[16];
  float scales[16], most = 0;
  for (int g = 0; g < 16; ++g) {
    groups[g] = load<16>(x + 16 * g, w ? w + 16 * g : nullptr);
    scales[g] = findScale(groups[g], range, [](float scale) { return scale; });
    most = std::max(most, std::fabs(scales[g]));
  }
  float unit = toHalf(most / 127), inv = inverse(unit);
  int codes[256];
  for (int g = 0; g < 16; ++g) {
    int code = bestScaleCode(groups[g], unit, int(std::lrint(std::clamp(scales[g] * inv, -127.0f, 127.0f))), range);
    codesOf(groups[g], unit * float(code), range, codes + 16 * g);
    block[192 + g] = std::byte(code);
  }
  std::memset(block, 0, 192);
  for (int i = 0; i < 256; ++i) {
    int code = codes[i] + 32, half = i / 128, run = i / 32 % 4;
    block[64 * half + 32 * (run % 2) + i % 32] |= std::byte((code & 15) << (run >= 2 ? 4 : 0));
    block[128 + 32 * half + i % 32] |= std::byte(code >> 4 << (2 * run));
  }
  storeHalf(block + 208, unit);
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

void putLineCodes(const LineCodes *codes, std::byte *to) {
  uint8_t bytes[12] = {};
  for (int g = 0; g < 4; ++g) {
    bytes[g] = uint8_t(codes[g].scale | codes[g + 4].scale >> 4 << 6);
    bytes[g + 4] = uint8_t(codes[g].minimum | codes[g + 4].minimum >> 4 << 6);
    bytes[g + 8] = uint8_t((codes[g + 4].scale & 15) | (codes[g + 4].minimum & 15) << 4);
  }
  std::memcpy(to, bytes, sizeof bytes);
}

// Writes the 16 bytes of scales; the codes go to `out`.
LLMC_INLINE void quantizeLines(const float *x, const float *w, float high, std::byte *block, int *out) {
  Group<32> groups[8];
  Line lines[8], most{0, 0};
  for (int g = 0; g < 8; ++g) {
    groups[g] = load<32>(x + 32 * g, w ? w + 32 * g : nullptr);
    lines[g] = findLine(groups[g], high);
    most = {std::max(most.scale, lines[g].scale), std::max(most.minimum, lines[g].minimum)};
  }
  Line unit{toHalf(most.scale / 63), toHalf(most.minimum / 63)};
  LineCodes codes[8];
  for (int g = 0; g < 8; ++g) {
    codes[g] = findCodes(groups[g], lines[g], unit, high);
    Line line{unit.scale * float(codes[g].scale), unit.minimum * float(codes[g].minimum)};
    for (int p = 0; p < Group<32>::parts; ++p) {
      Lanes code = codesUnder(groups[g].x[p], line, high);
      for (int i = 0; i < kLanes; ++i)
        out[32 * g + p * kLanes + i] = int(code[i]);
    }
  }
  storeHalf(block, unit.scale);
  storeHalf(block + 2, unit.minimum);
  putLineCodes(codes, block + 4);
}

// Groups in pairs: low nibbles, then high ones.
void putPairs(const int *codes, std::byte *to) {
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i)
      to[32 * pair + i] = std::byte((codes[64 * pair + i] & 15) | (codes[64 * pair + 32 + i] & 15) << 4);
}

LLMC_EACH_MACHINE void quantizeQ4_K(const float *x, const float *w, std::byte *block) {
  int codes[256];
  quantizeLines(x, w, 15, block, codes);
  putPairs(codes, block + 16);
}

LLMC_EACH_MACHINE void quantizeQ5_K(const float *x, const float *w, std::byte *block) {
  int codes[256];
  quantizeLines(x, w, 31, block, codes);
  std::memset(block + 16, 0, 32);
  for (int i = 0; i < 256; ++i)
    block[16 + i % 32] |= std::byte(codes[i] >> 4 << (i / 32));
  putPairs(codes, block + 48);
}

using QuantizeBlock = void (*)(const float *x, const float *w, std::byte *block);

QuantizeBlock blockQuantizer(Format format) {
  switch (format) {
  case Format::Q4_0: return quantizeQ4_0;
  case Format::Q5_0: return quantizeQ5_0;
  case Format::Q8_0: return quantizeQ8_0;
  case Format::Q4_K: return quantizeQ4_K;
  case Format::Q5_K: return quantizeQ5_K;
  case Format::Q6_K: return quantizeQ6_K;
  default: return nullptr;
  }
}

} // namespace

bool canQuantize(Format format) { return blockQuantizer(format) != nullptr; }

void quantizeRow(Format format, std::span<const float> values, std::span<const float> importance, std::byte *row) {
  QuantizeBlock quantize = blockQuantizer(format);
  FormatInfo info = formatInfo(format);
  assert(quantize && values.size() % size_t(info.blockElements) == 0 && (importance.empty() || importance.size() == values.size()));
  for (size_t first = 0; first < values.size(); first += size_t(info.blockElements), row += info.blockBytes)
    quantize(values.data() + first, importance.empty() ? nullptr : importance.data() + first, row);
}

} // namespace llmc::packing
