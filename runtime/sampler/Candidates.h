// The tokens that may still be drawn, and what cuts them down: the parts of the sampler's chain, as llama.cpp defines them.
#pragma once

#include "runtime/sampler/BestTokens.h"

#include <unordered_map>

namespace llmc {

class Candidates {
public:
  // All tokens of a row.
  void assign(std::span<const float> logits);

  const std::vector<ScoredToken> &tokens() const { return list; }
  float greatest() const;
  // Calls change(logit, value) for each token of `values` that is still there. O(tokens) at most.
  template <class T, class Change> void change(const std::unordered_map<TokenId, T> &values, Change change);

  // The `count` best.
  void keepTop(size_t count);
  // The fewest best whose probabilities reach `mass`.
  void keepNucleus(float mass);
  // Those at least `share` times as probable as the best.
  void keepProbable(float share);
  // Those whose surprise is nearest to the entropy, until their probabilities exceed `mass`.
  void keepTypical(float mass);
  // Those whose logits are within `count` standard deviations of the greatest.
  void keepWithinSigma(float count);
  // Of those whose probability is `threshold` or more, the least probable and all below it.
  void dropTop(float threshold);
  // Those of less surprise than `bits`, one at least.
  void keepUnsurprising(double bits);
  // Divides the logits; 0: keeps the best alone.
  void divide(float temperature);
  // By a temperature between temperature - range and temperature + range: (entropy / greatest possible entropy) ^ exponent of the way.
  void divideByEntropy(float temperature, float range, float exponent);

  // Best first; of equals the lower id.
  void sort();
  // Of each, in their order; they sum to 1.
  const std::vector<double> &probabilities();

private:
  double entropy(); // in nats

  std::vector<ScoredToken> list;
  std::vector<double> shares; // working memory
  std::vector<ScoredToken> typical;
  bool sorted = false;
  bool whole = false; // nothing was cut or moved: a token lies at its id
};

template <class T, class Change> void Candidates::change(const std::unordered_map<TokenId, T> &values, Change change) {
  if (whole)
    for (const auto &[id, value] : values) {
      if (id >= 0 && size_t(id) < list.size())
        change(list[size_t(id)].logit, value);
    }
  else
    for (ScoredToken &token : list)
      if (auto found = values.find(token.id); found != values.end())
        change(token.logit, found->second);
  sorted = false;
}

} // namespace llmc
