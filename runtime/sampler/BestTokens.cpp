#include "runtime/sampler/BestTokens.h"

#include <algorithm>
#include <limits>

namespace llmc {

// Counts instead of stopping, so that the loop runs on vectors.
bool hasNan(std::span<const float> logits) {
  int32_t count = 0;
  for (float logit : logits)
    count += logit != logit;
  return count != 0;
}

// Several running maxima, so that the loop runs on vectors.
float greatestOf(std::span<const float> logits) {
  constexpr size_t lanes = 16;
  constexpr float none = -std::numeric_limits<float>::infinity();
  float best[lanes];
  std::fill_n(best, lanes, none);
  size_t whole = logits.size() / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
  float greatest = *std::max_element(best, best + lanes);
  for (float logit : logits.subspan(whole))
    greatest = std::max(greatest, logit);
  return greatest;
}

void keepBest(std::span<const float> logits, size_t count, std::vector<ScoredToken> &best) {
  count = std::min(count, logits.size());
  size_t room = std::max<size_t>(2 * count, 64);
  best.clear();
  float least = -std::numeric_limits<float>::infinity();
  bool isFull = false;
  constexpr size_t block = 64; // most hold nothing good enough, which their greatest tells
  for (size_t begin = 0; begin < logits.size(); begin += block) {
    size_t end = std::min(begin + block, logits.size());
    if (isFull && !(greatestOf(logits.subspan(begin, end - begin)) > least)) // equal ones come too late
      continue;
    for (size_t id = begin; id < end; ++id) {
      if (isFull && !(logits[id] > least))
        continue;
      best.push_back({logits[id], TokenId(id)});
      if (best.size() < room)
        continue;
      std::nth_element(best.begin(), best.begin() + ptrdiff_t(count) - 1, best.end(), isBetter);
      best.resize(count);
      least = best.back().logit;
      isFull = true;
    }
  }
  std::sort(best.begin(), best.end(), isBetter);
  if (best.size() > count)
    best.resize(count);
}

void keepBestOfPanels(std::span<const int32_t> panels, const float *logits, size_t vocab, size_t count, std::vector<ScoredToken> &best) {
  constexpr size_t width = 16;
  best.clear();
  for (int32_t panel : panels)
    for (size_t lane = 0; lane < width; ++lane, ++logits)
      if (size_t id = size_t(panel) * width + lane; id < vocab)
        best.push_back({*logits, TokenId(id)});
  count = std::min(count, best.size());
  std::partial_sort(best.begin(), best.begin() + ptrdiff_t(count), best.end(), isBetter);
  best.resize(count);
}

} // namespace llmc
