#include "compiler/interpreter/Recurrences.h"

#include "compiler/interpreter/Kernels.h"

#include <cmath>

using namespace llmc;
using namespace llmc::recurrences;
using llvm::ArrayRef;

void recurrences::makeRates(llm::DecayForm form, Matrix &a) {
  for (float &value : a.data)
    switch (form) {
    case llm::DecayForm::rate:
      break;
    case llm::DecayForm::neg_exp:
      value = -std::exp(value);
      break;
    case llm::DecayForm::softplus8:
      value = -8.0f * kernels::activate(llm::Activation::softplus, value);
      break;
    }
}

namespace {

// Operands of one token.
struct Token {
  const float *x, *step, *input, *output, *beta;
};

// Arrays whose first index is a head's group.
int64_t groupOf(int64_t head, int64_t heads, int64_t groups) { return head / (heads / groups); }

void diagonal(const Operands &o, ArrayRef<int64_t> shape, Token in, float *h, float *y) {
  int64_t states = shape[1];
  for (int64_t c = 0; c < shape[0]; ++c, h += states) {
    float sum = 0, step = in.step[c], taken = step * in.x[c];
    for (int64_t n = 0; n < states; ++n) {
      h[n] = std::exp(step * o.rate.row(c)[n]) * h[n] + taken * in.input[n];
      sum += in.output[n] * h[n];
    }
    y[c] = o.skip.empty() ? sum : sum + o.skip[c] * in.x[c];
  }
}

void scalar(const Operands &o, ArrayRef<int64_t> shape, Token in, float *h, float *y) {
  int64_t heads = shape[0], channels = shape[1], states = shape[2], groups = o.input->columns / states;
  for (int64_t head = 0; head < heads; ++head) {
    float step = in.step[head], decay = std::exp(step * o.rate.data[head]);
    const float *input = in.input + groupOf(head, heads, groups) * states, *output = in.output + groupOf(head, heads, groups) * states;
    for (int64_t p = 0; p < channels; ++p, h += states) {
      int64_t c = head * channels + p;
      float sum = 0, taken = step * in.x[c];
      for (int64_t n = 0; n < states; ++n) {
        h[n] = decay * h[n] + taken * input[n];
        sum += output[n] * h[n];
      }
      y[c] = o.skip.empty() ? sum : sum + o.skip[head] * in.x[c];
    }
  }
}

void delta(const Operands &o, ArrayRef<int64_t> shape, Token in, float *h, float *y) {
  int64_t heads = shape[0], keys = shape[1], values = shape[2], groups = o.input->columns / keys;
  for (int64_t head = 0; head < heads; ++head, h += keys * values) {
    float decay = std::exp(in.step[head] * o.rate.data[head]);
    const float *key = in.input + groupOf(head, heads, groups) * keys, *query = in.output + groupOf(head, heads, groups) * keys;
    for (int64_t v = 0; v < values; ++v) {
      float seen = 0, sum = 0;
      for (int64_t k = 0; k < keys; ++k) {
        h[k * values + v] *= decay;
        seen += h[k * values + v] * key[k];
      }
      float change = in.beta[head] * (in.x[head * values + v] - seen);
      for (int64_t k = 0; k < keys; ++k) {
        h[k * values + v] += key[k] * change;
        sum += query[k] * h[k * values + v];
      }
      y[head * values + v] = sum;
    }
  }
}

void gated(const Operands &o, ArrayRef<int64_t> shape, Token in, bool first, float *h, float *y) {
  for (int64_t c = 0; c < shape[0]; ++c) {
    float exponent = in.step[c] * o.rate.data[c];
    h[c] = first ? in.x[c] : std::exp(exponent) * h[c] + std::sqrt(1.0f - std::exp(2.0f * exponent)) * in.x[c];
    y[c] = h[c];
  }
}

void wkv(const Operands &o, ArrayRef<int64_t> shape, Token in, float *h, float *y) {
  int64_t count = shape[1];
  float *num = h, *den = h + count, *max = h + 2 * count;
  for (int64_t c = 0; c < count; ++c) {
    float now = in.input[c] + o.skip[c], best = std::max(max[c], now), past = std::exp(max[c] - best), weight = std::exp(now - best);
    y[c] = (past * num[c] + weight * in.x[c]) / (past * den[c] + weight);
    float faded = max[c] + o.rate.data[c];
    best = std::max(faded, in.input[c]), past = std::exp(faded - best), weight = std::exp(in.input[c] - best);
    num[c] = past * num[c] + weight * in.x[c];
    den[c] = past * den[c] + weight;
    max[c] = best;
  }
}

} // namespace

void recurrences::update(llm::ScanKind kind, const Operands &o, ArrayRef<int64_t> shape, int64_t t, bool first,
                         std::vector<float> &state, float *y) {
  if (first) {
    int64_t size = 1;
    for (int64_t dim : shape)
      size *= dim;
    state.assign(size, 0.0f);
    if (kind == llm::ScanKind::wkv)
      std::fill(state.begin() + 2 * shape[1], state.end(), -1e38f);
  }
  auto row = [t](const std::shared_ptr<const Matrix> &value) { return value ? value->row(t) : nullptr; };
  Token in{o.x->row(t), o.step.rows ? o.step.row(t) : nullptr, row(o.input), row(o.output), row(o.beta)};
  switch (kind) {
  case llm::ScanKind::diagonal:
    return diagonal(o, shape, in, state.data(), y);
  case llm::ScanKind::scalar:
    return scalar(o, shape, in, state.data(), y);
  case llm::ScanKind::delta:
    return delta(o, shape, in, state.data(), y);
  case llm::ScanKind::gated:
    return gated(o, shape, in, first, state.data(), y);
  case llm::ScanKind::wkv:
    return wkv(o, shape, in, state.data(), y);
  }
}
