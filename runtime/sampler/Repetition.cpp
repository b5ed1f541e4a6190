#include "runtime/sampler/Repetition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>

namespace llmc {

void applyPenalties(Candidates &candidates, std::span<const TokenId> recent, const SamplerOptions &options) {
  std::unordered_map<TokenId, int32_t> counts;
  for (TokenId id : recent)
    ++counts[id];
  candidates.change(counts, [&](float &logit, int32_t count) {
    logit = logit > 0 ? logit / options.repeatPenalty : logit * options.repeatPenalty;
    logit -= float(count) * options.frequencyPenalty + options.presencePenalty;
  });
}

std::vector<TokenId> repeatingTokens(std::span<const TokenId> history, size_t n) {
  std::vector<TokenId> repeating;
  if (n == 0 || history.size() < n)
    return repeating;
  auto end = history.last(n - 1);
  for (size_t begin = 0; begin + n <= history.size(); ++begin)
    if (std::ranges::equal(history.subspan(begin, n - 1), end))
      repeating.push_back(history[begin + n - 1]);
  return repeating;
}

void blockNgrams(Candidates &candidates, std::span<const TokenId> history, size_t n) {
  std::unordered_map<TokenId, bool> blocked;
  for (TokenId id : repeatingTokens(history, n))
    blocked[id] = true;
  candidates.change(blocked, [](float &logit, bool) { logit = -std::numeric_limits<float>::infinity(); });
}

namespace {

// How far back a repetition may reach: to the breaker that is nearest to the end, which itself is out of it. Of several that begin at one
// token the longest counts.
int64_t reachOf(std::span<const TokenId> recent, const DryBreakers &breakers) {
  for (size_t back = 1; back <= recent.size(); ++back) {
    auto found = breakers.find(recent[recent.size() - back]);
    if (found == breakers.end())
      continue;
    auto after = recent.last(back - 1);
    std::optional<size_t> longest;
    for (const std::vector<TokenId> &rest : found->second)
      if (rest.size() < back && std::ranges::equal(after.first(rest.size()), rest))
        longest = std::max(longest.value_or(0), rest.size());
    if (longest)
      return int64_t(back - 1 - *longest);
  }
  return int64_t(recent.size());
}

// For each k: how many tokens before the end equal those before the token k from the end (the Z function of the reversed sequence).
std::vector<int64_t> commonEnds(std::span<const TokenId> recent) {
  auto at = [&](int64_t back) { return recent[recent.size() - 1 - size_t(back)]; };
  int64_t count = int64_t(recent.size());
  std::vector<int64_t> common(recent.size(), 0);
  for (int64_t k = 1, left = 0, right = 0; k < count; ++k) {
    int64_t length = k < right ? std::min(common[size_t(k - left)], right - k) : 0;
    while (k + length < count && at(length) == at(k + length))
      ++length;
    common[size_t(k)] = length;
    if (k + length > right)
      left = k, right = k + length;
  }
  return common;
}

} // namespace

std::unordered_map<TokenId, int64_t> longestRepeats(std::span<const TokenId> recent, const DryBreakers &breakers) {
  int64_t reach = reachOf(recent, breakers);
  std::vector<int64_t> common = commonEnds(recent);
  std::unordered_map<TokenId, int64_t> longest;
  for (size_t k = 1; k < recent.size(); ++k) {
    int64_t &known = longest[recent[recent.size() - k]];
    known = std::max(known, std::min(common[k], reach));
  }
  std::erase_if(longest, [&](const auto &next) {
    auto breaker = breakers.find(next.first);
    return breaker != breakers.end() && std::ranges::any_of(breaker->second, [](const auto &rest) { return rest.empty(); });
  });
  return longest;
}

void applyDry(Candidates &candidates, std::span<const TokenId> recent, const SamplerOptions &options) {
  // Beyond this exponent the penalty would exceed what a float holds.
  double mostExponent = options.dryBase > 1.000001f ? std::floor(88.7228391 / std::log(double(options.dryBase))) : 0;
  candidates.change(longestRepeats(recent, options.dryBreakers), [&](float &logit, int64_t repeated) {
    if (repeated < options.dryAllowedLength)
      return;
    double exponent = double(repeated - options.dryAllowedLength);
    if (mostExponent > 0)
      exponent = std::min(exponent, mostExponent);
    logit -= float(double(options.dryMultiplier) * std::pow(double(options.dryBase), exponent));
  });
}

} // namespace llmc
