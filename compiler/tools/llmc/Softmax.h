// Log-probabilities from rows of logits. Sums are float64 over float32 exponentials: relative error below 1e-6.
#pragma once

#include <cstdint>

namespace llmc::tools {

// log(sum(exp(logits))) of a row; finite for finite logits.
double logSumExp(const float *logits, int64_t count);

// Kullback-Leibler divergence of the distribution of `model` from that of `reference`: sum of p (log p - log q), p being the
// reference's. In nats; never negative but for rounding.
double divergence(const float *reference, const float *model, int64_t count);

// Index of the first of the largest.
int64_t argmax(const float *logits, int64_t count);

} // namespace llmc::tools
