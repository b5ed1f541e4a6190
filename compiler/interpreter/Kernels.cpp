#include "compiler/interpreter/Kernels.h"

#include <cmath>
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

// Outputs that are summed side by side: each sum still ascends, and the compiler can use vectors.
static constexpr int64_t lanes = 16;

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

Matrix kernels::product(const Matrix &x, const WeightRows &weight, ArrayRef<float> bias) {
  Matrix y(x.rows, weight.rows());
  std::vector<float> row(x.columns), panel(x.columns * lanes);
  for (int64_t first = 0; first < weight.rows(); first += lanes) {
    int64_t count = std::min(lanes, weight.rows() - first);
    interleave(weight, first, count, row, panel);
    for (int64_t t = 0; t < x.rows; ++t) {
      float sums[lanes] = {};
      const float *in = x.row(t);
      for (int64_t k = 0; k < x.columns; ++k)
        for (int64_t j = 0; j < lanes; ++j)
          sums[j] += in[k] * panel[k * lanes + j];
      for (int64_t j = 0; j < count; ++j)
        y.row(t)[first + j] = bias.empty() ? sums[j] : sums[j] + bias[first + j];
    }
  }
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
