#include "runtime/sampler/Mirostat.h"

#include <algorithm>
#include <cmath>

namespace llmc {

// Tokens by which version 1 estimates the exponent of Zipf's law.
constexpr size_t estimatedFrom = 100;

// The top k of the paper's equation 8, for a Zipf law fitted to the likeliest tokens.
size_t Mirostat::countFor(Candidates &candidates, size_t vocab) const {
  const std::vector<double> &probabilities = candidates.probabilities();
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < std::min(estimatedFrom, probabilities.size()); ++i) {
    double t = std::log(double(i + 2) / double(i + 1));
    double b = std::log(probabilities[i] / probabilities[i + 1]);
    products += t * b;
    squares += t * t;
  }
  double exponent = products / squares, excess = exponent - 1;
  double count = std::pow(excess * std::pow(2, bound) / (1 - std::pow(double(vocab), -excess)), 1 / exponent);
  double most = double(probabilities.size());
  return count >= most ? size_t(most) : count >= 1 ? size_t(count) : 1; // NaN: one
}

void Mirostat::cut(Candidates &candidates, size_t vocab) const {
  candidates.sort();
  if (version == 2)
    candidates.keepUnsurprising(bound);
  else
    candidates.keepTop(countFor(candidates, vocab));
}

void Mirostat::learn(double probability) { bound -= rate * (-std::log2(probability) - target); }

} // namespace llmc
