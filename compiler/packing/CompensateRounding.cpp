// Coordinate descent over the codes of a row. Built without contraction of multiply and add: the same bits on every machine.
#include "compiler/packing/BlockCodes.h"
#include "compiler/packing/Lanes.h"
#include "runtime/formats/Half.h"

#include <algorithm>
#include <cmath>

namespace llmc::packing {
namespace {

// What a text says of pairs of inputs holds for other texts in part only.
constexpr float kTrust = 0.6f;
constexpr int kRounds = 3;

// The columns of one block of the moments. `gradient` is half the derivative of the expected square by each value.
struct Run {
  const Moments &moments;
  int64_t first;
  int size, offset; // values, the first of them in its block
  float ridge = 0;
  alignas(32) float x[kMomentsBlock], value[kMomentsBlock], gradient[kMomentsBlock];

  LLMC_INLINE const float *row(int j) const { return moments.row(first + j); }
  LLMC_INLINE float diagonal(int j) const { return row(j)[j] + ridge; }

  // Value `j` changes by `change`.
  LLMC_INLINE void move(int j, float change) {
    const float *with = row(j);
    value[j] += change;
    gradient[j] += change * ((1 - kTrust) * with[j] + ridge);
    Lanes part = Lanes{} + kTrust * change;
    for (int i = 0; i < size; i += kLanes) {
      Lanes sum = loadLanes(gradient + i) + part * loadLanes(with + i);
      std::memcpy(gradient + i, &sum, sizeof sum);
    }
  }
};

LLMC_INLINE void begin(Run &run, const BlockFormat &format, std::span<const float> values, std::span<BlockCodes> blocks) {
  float squares = 0;
  for (int j = 0; j < run.size; ++j)
    squares += run.row(j)[j];
  run.ridge = kRidge * squares / float(run.size);
  std::fill(run.gradient, run.gradient + run.size, 0.0f);
  for (int j = 0; j < run.size; ++j) {
    const BlockCodes &block = blocks[(run.offset + j) / format.elements];
    int place = (run.offset + j) % format.elements, group = place / format.group;
    run.x[j] = run.value[j] = values[j];
    run.move(j, block.scale[group] * block.codes[place] - block.minimum[group] - values[j]);
  }
}

// Each code in turn becomes the best one beside the others. Whether any moved.
LLMC_INLINE bool moveCodes(Run &run, const BlockFormat &format, std::span<BlockCodes> blocks) {
  bool moved = false;
  for (int j = 0; j < run.size; ++j) {
    BlockCodes &block = blocks[(run.offset + j) / format.elements];
    int place = (run.offset + j) % format.elements, group = place / format.group;
    float scale = block.scale[group], square = run.diagonal(j);
    if (scale == 0 || !(square > 0))
      continue;
    float wanted = run.value[j] - run.gradient[j] / square;
    float code = roundTo((wanted + block.minimum[group]) / scale, format.low, format.high);
    if (code == block.codes[place])
      continue;
    run.move(j, scale * (code - block.codes[place]));
    block.codes[place] = code;
    moved = true;
  }
  return moved;
}

// The best scale for a block's codes beside the other blocks. Of formats whose blocks are one group, without minima.
LLMC_INLINE void moveScale(Run &run, int from, int count, BlockCodes &block) {
  alignas(32) float before[kMomentsBlock];
  std::memcpy(before, run.gradient, sizeof before);
  float slope = 0, bend = 0;
  for (int i = 0; i < count; ++i)
    slope += block.codes[i] * run.gradient[from + i];
  for (int i = 0; i < count; ++i)
    run.move(from + i, block.codes[i]); // by one unit of scale
  for (int i = 0; i < count; ++i)
    bend += block.codes[i] * (run.gradient[from + i] - before[from + i]);
  float wanted = block.scale[0] - slope / bend;
  if (!(bend > 0) || !(std::fabs(wanted) < 65504.0f))
    wanted = block.scale[0];
  float scale = halfToFloat(floatToHalf(wanted)), step = scale - block.scale[0];
  for (int i = 0; i < count; ++i)
    run.value[from + i] = scale * block.codes[i];
  for (int i = 0; i < run.size; ++i)
    run.gradient[i] = before[i] + step * (run.gradient[i] - before[i]);
  block.scale[0] = scale;
}

LLMC_EACH_MACHINE void compensateRun(Run &run, const BlockFormat &format, std::span<const float> values, std::span<BlockCodes> blocks) {
  begin(run, format, values, blocks);
  for (int round = 0; round < kRounds; ++round) {
    bool moved = moveCodes(run, format, blocks);
    if (!moved)
      break;
    for (int at = 0; format.freeScales && at < run.size; at += format.elements)
      moveScale(run, at, format.elements, blocks[at / format.elements]);
  }
}

} // namespace

void compensate(const BlockFormat &format, std::span<const float> values, const Moments &moments, int64_t first, std::span<BlockCodes> blocks) {
  int size = int(std::min<int64_t>(moments.block, int64_t(values.size())));
  for (int at = 0; at < int(values.size()); at += size) {
    Run run{moments, first + at, std::min(size, int(values.size()) - at), at % format.elements};
    compensateRun(run, format, values.subspan(size_t(at), size_t(run.size)), blocks.subspan(size_t(at / format.elements)));
  }
}

} // namespace llmc::packing
