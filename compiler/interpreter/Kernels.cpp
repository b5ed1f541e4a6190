#include "compiler/interpreter/Kernels.h"

#include "dialects/llm/CacheLayout.h"
#include "runtime/formats/Half.h"

#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace llmc;
using llvm::ArrayRef;

void kernels::rmsNorm(Matrix &x, ArrayRef<float> gain, float eps, float offset) {
  int64_t size = gain.size();
  for (float *row = x.data.data(), *end = row + x.data.size(); row != end; row += size) {
    float sum = 0;
    for (int64_t c = 0; c < size; ++c)
      sum += row[c] * row[c];
    float inverse = 1.0f / std::sqrt(sum / static_cast<float>(size) + eps);
    for (int64_t c = 0; c < size; ++c)
      row[c] = row[c] * inverse * (gain[c] + offset);
  }
}

void kernels::layerNorm(Matrix &x, ArrayRef<float> gain, ArrayRef<float> bias, float eps) {
  float size = static_cast<float>(x.columns);
  for (int64_t t = 0; t < x.rows; ++t) {
    float *row = x.row(t), sum = 0, squares = 0;
    for (int64_t c = 0; c < x.columns; ++c)
      sum += row[c];
    float mean = sum / size;
    for (int64_t c = 0; c < x.columns; ++c)
      squares += (row[c] - mean) * (row[c] - mean);
    float inverse = 1.0f / std::sqrt(squares / size + eps);
    for (int64_t c = 0; c < x.columns; ++c)
      row[c] = (row[c] - mean) * inverse * gain[c] + (bias.empty() ? 0.0f : bias[c]);
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

#if defined(__x86_64__)
#define LLMC_EACH_MACHINE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LLMC_EACH_MACHINE
#endif

// Outputs that are summed side by side: each sum still ascends, whatever the machine and the number of threads.
static constexpr int64_t lanes = 16;
using Sums = float __attribute__((vector_size(lanes * sizeof(float))));

// rows first..first+count-1 of the weight as [K][lanes], missing ones zero.
static void interleave(const WeightRows &weight, int64_t first, int64_t count, std::vector<float> &row,
                       std::vector<float> &panel) {
  std::fill(panel.begin(), panel.end(), 0.0f);
  for (int64_t j = 0; j < count; ++j) {
    weight.decode(first + j, row);
    for (size_t k = 0; k < row.size(); ++k)
      panel[k * lanes + j] = row[k];
  }
}

// out: [together][lanes], of as many rows of x, which are K long.
template <int together>
[[gnu::always_inline]] static inline void multiplyRows(const float *x, int64_t K, const float *panel, float *out) {
  Sums sums[together] = {};
  for (int64_t k = 0; k < K; ++k) {
    Sums weights;
    std::memcpy(&weights, panel + k * lanes, sizeof weights);
    for (int t = 0; t < together; ++t)
      sums[t] += x[t * K + k] * weights;
  }
  std::memcpy(out, sums, sizeof sums);
}

// out: [rows][lanes]
LLMC_EACH_MACHINE static void multiplyPanel(const float *x, int64_t rows, int64_t K, const float *panel, float *out) {
  int64_t t = 0;
  for (; t + 6 <= rows; t += 6)
    multiplyRows<6>(x + t * K, K, panel, out + t * lanes);
  for (; t < rows; ++t)
    multiplyRows<1>(x + t * K, K, panel, out + t * lanes);
}

Matrix kernels::product(const Matrix &x, const WeightRows &weight, ArrayRef<float> bias) {
  weight.observe(x.data, 0);
  Matrix y(x.rows, weight.rows());
  auto panelOf = [&](int64_t index) {
    int64_t first = index * lanes, count = std::min(lanes, weight.rows() - first);
    std::vector<float> row(x.columns), panel(x.columns * lanes), sums(x.rows * lanes);
    interleave(weight, first, count, row, panel);
    multiplyPanel(x.data.data(), x.rows, x.columns, panel.data(), sums.data());
    for (int64_t t = 0; t < x.rows; ++t)
      for (int64_t j = 0; j < count; ++j)
        y.row(t)[first + j] = bias.empty() ? sums[t * lanes + j] : sums[t * lanes + j] + bias[first + j];
  };
  int64_t panels = llvm::divideCeil(weight.rows(), lanes);
  constexpr int64_t worthThreads = 1 << 18; // products of numbers
  if (x.rows * x.columns * weight.rows() < worthThreads)
    for (int64_t i = 0; i < panels; ++i)
      panelOf(i);
  else
    llvm::parallelFor(0, panels, panelOf);
  return y;
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

float kernels::activate(llm::Activation kind, float x) {
  constexpr float inverseSqrt2 = 0.70710678118654752440f, sqrt2OverPi = 0.79788456080286535588f;
  switch (kind) {
  case llm::Activation::relu:
    return x > 0.0f || std::isnan(x) ? x : 0.0f;
  case llm::Activation::silu:
    return x / (1.0f + std::exp(-x));
  case llm::Activation::gelu:
    return 0.5f * x * (1.0f + std::erf(x * inverseSqrt2));
  case llm::Activation::gelu_tanh:
    return 0.5f * x * (1.0f + std::tanh(sqrt2OverPi * (x + 0.044715f * (x * x * x))));
  case llm::Activation::sigmoid:
    return 1.0f / (1.0f + std::exp(-x));
  case llm::Activation::tanh:
    return std::tanh(x);
  case llm::Activation::softplus: // beyond 20 the rest is lost in rounding
    return x > 20.0f ? x : std::log1p(std::exp(x));
  case llm::Activation::relu2: {
    float positive = activate(llm::Activation::relu, x);
    return positive * positive;
  }
  }
  llvm_unreachable("every activation is listed");
}

void kernels::activate(llm::Activation kind, Matrix &x) {
  for (float &value : x.data)
    value = activate(kind, value);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

static void roundGroup(float *x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, std::fabs(x[i]));
  float scale = halfToFloat(floatToHalf(std::min(largest / 127, 65504.0f)));
  for (int64_t i = 0; i < count; ++i)
    x[i] = scale > 0 ? std::clamp(std::nearbyint(x[i] / scale), -127.0f, 127.0f) * scale : 0;
}

void kernels::roundToQ8(Matrix &x, int64_t headDim) {
  for (int64_t t = 0; t < x.rows; ++t)
    for (float *head = x.row(t), *end = head + x.columns; head != end; head += headDim)
      for (int64_t i = 0; i < headDim; i += llm::kCacheGroup)
        roundGroup(head + i, std::min(llm::kCacheGroup, headDim - i));
}

void kernels::rotate(Matrix &x, const Matrix &table, int64_t headDim, llm::RotaryAttr rotary) {
  int64_t half = rotary.getDim() / 2;
  bool interleaved = rotary.getStyle() == llm::RotaryStyle::interleaved;
  for (int64_t t = 0; t < x.rows; ++t) {
    const float *cosines = table.row(t), *sines = cosines + half;
    for (float *head = x.row(t), *end = head + x.columns; head != end; head += headDim)
      for (int64_t i = 0; i < half; ++i) {
        float &a = head[interleaved ? 2 * i : i], &b = head[interleaved ? 2 * i + 1 : i + half];
        float turnedA = a * cosines[i] - b * sines[i], turnedB = b * cosines[i] + a * sines[i];
        a = turnedA, b = turnedB;
      }
  }
}

std::vector<float> kernels::biasesByDistance(ArrayRef<float> weights, int64_t heads, llm::RelativeAttr relative) {
  int64_t reach = relative.getMaxDistance(), buckets = static_cast<int64_t>(weights.size()) / heads;
  std::vector<float> result;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t distance = -reach; distance <= reach; ++distance)
      result.push_back(weights[llm::relativeBucket(relative, buckets, distance) * heads + head]);
  return result;
}

void kernels::attend(const float *query, const float *keys, const float *values, const HeadScores &how, float *out) {
  std::vector<float> weights(how.last - how.first + 1);
  float greatest = -std::numeric_limits<float>::infinity(), total = 0;
  for (int64_t p = how.first; p <= how.last; ++p) {
    float dot = 0;
    for (int64_t d = 0; d < how.headDim; ++d)
      dot += query[d] * keys[p * how.stride + d];
    float score = dot * how.scale;
    if (how.softcap > 0)
      score = how.softcap * std::tanh(score / how.softcap);
    score += how.slope * static_cast<float>(p - how.position);
    if (how.bias)
      score += how.bias[std::clamp(p - how.position, -how.reach, how.reach)];
    weights[p - how.first] = score;
    greatest = std::max(greatest, score);
  }
  if (how.sink)
    greatest = std::max(greatest, *how.sink);
  for (float &weight : weights)
    total += weight = std::exp(weight - greatest);
  if (how.sink)
    total += std::exp(*how.sink - greatest);
  int64_t valueDim = how.valueDim ? how.valueDim : how.headDim;
  std::fill(out, out + valueDim, 0.0f);
  for (int64_t p = how.first; p <= how.last; ++p) {
    float weight = weights[p - how.first] / total;
    for (int64_t d = 0; d < valueDim; ++d)
      out[d] += weight * values[p * how.stride + d];
  }
}
