#include "compiler/tools/llmc/Softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>

using namespace llmc;

// exp(x) for x <= 0 as 2^n times a polynomial on [-0.5, 0.5]: unlike std::exp, a loop over it becomes vector code.
// Coefficients: Taylor of 2^f; the relative error is below 2e-7.
static inline float expNegative(float x) {
  float scaled = std::max(x, -87.0f) * 1.44269504f;
  float whole = scaled + 12582912.0f; // rounds to the nearest integer, which stands in the low bits
  int32_t bits = std::bit_cast<int32_t>(whole) - std::bit_cast<int32_t>(12582912.0f);
  float f = scaled - (whole - 12582912.0f);
  float p = 1.5403530e-4f;
  p = p * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (bits << 23));
}

static float largest(const float *logits, int64_t count) {
  float top[8];
  std::fill(top, top + 8, -INFINITY);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int64_t j = 0; j < 8; ++j)
      top[j] = logits[i + j] > top[j] ? logits[i + j] : top[j];
  for (; i < count; ++i)
    top[0] = std::max(top[0], logits[i]);
  return *std::max_element(top, top + 8);
}

// Adds float32 terms in blocks, so that each block is a vector loop and the total is exact enough.
template <class Term> static double sumOf(int64_t count, Term term) {
  constexpr int64_t block = 1024;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += block) {
    float partial[8] = {};
    int64_t end = std::min(count, begin + block), i = begin;
    for (; i + 8 <= end; i += 8)
      for (int64_t j = 0; j < 8; ++j)
        partial[j] += term(i + j);
    for (; i < end; ++i)
      partial[0] += term(i);
    for (float value : partial)
      total += value;
  }
  return total;
}

double tools::logSumExp(const float *logits, int64_t count) {
  float top = largest(logits, count);
  return top + std::log(sumOf(count, [=](int64_t i) { return expNegative(logits[i] - top); }));
}

double tools::divergence(const float *reference, const float *model, int64_t count) {
  double referenceSum = logSumExp(reference, count), modelSum = logSumExp(model, count);
  float top = largest(reference, count);
  double weighted = sumOf(count, [=](int64_t i) { return expNegative(reference[i] - top) * (reference[i] - model[i]); });
  return weighted * std::exp(top - referenceSum) - referenceSum + modelSum;
}

int64_t tools::argmax(const float *logits, int64_t count) { return std::max_element(logits, logits + count) - logits; }
