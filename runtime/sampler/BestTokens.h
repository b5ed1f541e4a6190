// The best tokens of a row of logits: the greatest, of equal ones the lower id.
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

#include <span>
#include <vector>

namespace llmc {

struct ScoredToken {
  float logit;
  TokenId id;
};

inline bool isBetter(const ScoredToken &a, const ScoredToken &b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// The greatest of numbers.
float greatestOf(std::span<const float> logits);
bool hasNan(std::span<const float> logits);

// Makes `best` the `count` best of a row (all, if there are fewer), in order. No logit is NaN.
void keepBest(std::span<const float> logits, size_t count, std::vector<ScoredToken> &best);
// The same from the panels of a row that hold them (llmc_step.best): `logits` [panels][16], tokens below `vocab`.
void keepBestOfPanels(std::span<const int32_t> panels, const float *logits, size_t vocab, size_t count, std::vector<ScoredToken> &best);

} // namespace llmc
