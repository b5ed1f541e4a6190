#include "runtime/sampler/Sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

// Every platform rounds alike: no fused multiply-adds, and no library functions but exact ones.
#pragma STDC FP_CONTRACT OFF

namespace llmc {
namespace {

constexpr auto kInverseFactorials = [] {
  std::array<double, 14> values{1};
  for (size_t n = 1; n < values.size(); ++n)
    values[n] = values[n - 1] / double(n);
  return values;
}();

// e^x for x <= 0, within two units in the last place; 0 below the normal range.
double expOfNegative(double x) {
  constexpr double kLog2Hi = 0x1.62e42fee00000p-1, kLog2Lo = 0x1.a39ef35793c76p-33, kInvLog2 = 0x1.71547652b82fep+0;
  if (!(x > -708))
    return 0;
  int32_t k = int32_t(x * kInvLog2 - 0.5);
  double r = (x - k * kLog2Hi) - k * kLog2Lo; // |r| <= log(2) / 2
  double sum = kInverseFactorials[13];        // Taylor's series, by Horner
  for (size_t n = 13; n-- > 0;)
    sum = kInverseFactorials[n] + sum * r;
  return sum * std::bit_cast<double>(uint64_t(int64_t(k) + 1023) << 52);
}

// The weight of a logit whose distance to the greatest is finite or infinite.
double weightOf(float logit, float greatest, float temperature) {
  return logit == greatest ? 1.0 : expOfNegative((double(logit) - double(greatest)) / double(temperature));
}

std::unexpected<Error> badOption(const char *name, const char *range, double value) {
  std::string text = std::to_string(value);
  return invalidInput(std::string("sampler: ") + name + ": want " + range + ", got " + text);
}

float punished(float logit, float penalty) { return logit > 0 ? logit / penalty : logit * penalty; }

// The first of the greatest: only the first block that holds it is searched.
TokenId argmax(std::span<const float> logits) {
  constexpr size_t block = 4096;
  float greatest = greatestOf(logits.first(std::min(block, logits.size())));
  size_t home = 0;
  for (size_t begin = block; begin < logits.size(); begin += block) {
    float here = greatestOf(logits.subspan(begin, std::min(block, logits.size() - begin)));
    if (here > greatest)
      greatest = here, home = begin;
  }
  return TokenId(std::find(logits.begin() + ptrdiff_t(home), logits.end(), greatest) - logits.begin());
}

} // namespace

Expected<void> validate(const SamplerOptions &options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    return badOption("temperature", "a number of at least 0", options.temperature);
  if (options.topK < 0)
    return badOption("top-k", "at least 0", options.topK);
  if (!(options.topP >= 0 && options.topP <= 1))
    return badOption("top-p", "0 to 1", options.topP);
  if (!(options.minP >= 0 && options.minP <= 1))
    return badOption("min-p", "0 to 1", options.minP);
  if (!(options.repeatPenalty > 0) || !std::isfinite(options.repeatPenalty))
    return badOption("repeat-penalty", "a number above 0", options.repeatPenalty);
  if (options.repeatLastN < -1)
    return badOption("repeat-last-n", "at least -1", options.repeatLastN);
  return {};
}

Sampler::Sampler(SamplerOptions options) : options(options), random(options.seed) {}

void Sampler::accept(TokenId token) {
  if (options.repeatPenalty == 1.0f || options.repeatLastN == 0)
    return;
  history.push_back(token);
  size_t kept = options.repeatLastN < 0 ? SIZE_MAX / 2 : size_t(options.repeatLastN);
  if (history.size() >= 2 * kept && history.size() > 64)
    history.erase(history.begin(), history.end() - ptrdiff_t(kept));
}

void Sampler::reset() {
  history.clear();
  random.seed(options.seed);
}

// Divides positive logits of recent tokens and multiplies the others, each token once.
std::span<const float> Sampler::penalize(std::span<const float> logits) {
  size_t recent = recentCount();
  if (recent == 0)
    return logits;
  penalized.assign(logits.begin(), logits.end());
  for (size_t i = history.size() - recent; i < history.size(); ++i) {
    auto id = size_t(history[i]);
    if (history[i] < 0 || id >= logits.size())
      continue;
    // From the original, so that a token that occurs twice is punished once.
    penalized[id] = punished(logits[id], options.repeatPenalty);
  }
  return penalized;
}

// The same of the candidates alone; they are in order again afterwards.
void Sampler::penalizeCandidates() {
  auto recent = std::span(history).last(recentCount());
  if (recent.empty())
    return;
  for (ScoredToken &candidate : candidates)
    if (std::ranges::find(recent, candidate.id) != recent.end())
      candidate.logit = punished(candidate.logit, options.repeatPenalty);
  std::sort(candidates.begin(), candidates.end(), isBetter);
}

// The fewest best candidates whose probabilities reach topP; `total`: of all that there are. False, and all are kept, if there are not enough.
bool Sampler::cutNucleus(double total) {
  float greatest = candidates.front().logit;
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    sum += weightOf(candidates[i].logit, greatest, 1);
    if (sum >= double(options.topP) * total) {
      candidates.resize(i + 1);
      return true;
    }
  }
  return false;
}

// Of the candidates.
void Sampler::keepNucleus() {
  double total = 0;
  for (const ScoredToken &candidate : candidates)
    total += weightOf(candidate.logit, candidates.front().logit, 1);
  cutNucleus(total);
}

// Of all tokens.
void Sampler::keepNucleus(std::span<const float> logits) {
  float greatest = greatestOf(logits);
  double total = 0;
  for (float logit : logits)
    total += weightOf(logit, greatest, 1);
  for (size_t count = 256;; count *= 4) {
    keepBest(logits, count, candidates);
    if (cutNucleus(total) || candidates.size() == logits.size())
      return;
  }
}

// Those at least minP times as probable as the best.
void Sampler::keepProbable() {
  float greatest = -std::numeric_limits<float>::infinity();
  for (const ScoredToken &candidate : candidates)
    greatest = std::max(greatest, candidate.logit);
  std::erase_if(candidates, [&](const ScoredToken &candidate) {
    return weightOf(candidate.logit, greatest, 1) < double(options.minP);
  });
}

TokenId Sampler::draw() {
  float greatest = -std::numeric_limits<float>::infinity();
  for (const ScoredToken &candidate : candidates)
    greatest = std::max(greatest, candidate.logit);
  weights.clear();
  double total = 0;
  for (const ScoredToken &candidate : candidates) {
    weights.push_back(weightOf(candidate.logit, greatest, options.temperature));
    total += weights.back();
  }
  double target = double(random() >> 11) * 0x1p-53 * total;
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    sum += weights[i];
    if (sum > target)
      return candidates[i].id;
  }
  // Rounding at the very end: the last one that has any weight.
  for (size_t i = candidates.size(); i-- > 0;)
    if (weights[i] > 0)
      return candidates[i].id;
  return candidates.front().id;
}

Expected<TokenId> Sampler::next(std::span<const float> logits) {
  if (logits.empty())
    return invalidInput("sampler: logits: want at least one");
  if (hasNan(logits))
    return invalidInput("sampler: logits: got NaN; the model's weights or its input are damaged");
  logits = penalize(logits);
  if (options.temperature == 0)
    return argmax(logits);
  if (cutsK(logits.size()))
    keepBest(logits, size_t(options.topK), candidates);
  else if (options.topP < 1)
    keepNucleus(logits);
  else {
    candidates.clear();
    for (size_t id = 0; id < logits.size(); ++id)
      candidates.push_back({logits[id], TokenId(id)});
  }
  if (cutsK(logits.size()) && options.topP < 1)
    keepNucleus();
  if (options.minP > 0)
    keepProbable();
  return draw();
}

bool Sampler::cutsK(size_t vocab) const { return options.topK > 0 && size_t(options.topK) < vocab; }

size_t Sampler::recentCount() const {
  return options.repeatLastN < 0 ? history.size() : std::min(history.size(), size_t(options.repeatLastN));
}

// Penalties of at least 1 move no token forward: of so many more than wanted, enough stay where they are.
size_t Sampler::bestNeeded(size_t vocab) const {
  bool isGreedy = options.temperature == 0;
  if (options.repeatPenalty < 1 || !(isGreedy || cutsK(vocab)))
    return 0;
  return (isGreedy ? 1 : size_t(options.topK)) + recentCount();
}

Expected<TokenId> Sampler::nextOf(std::span<const ScoredToken> best) {
  if (best.empty())
    return invalidInput("sampler: best tokens: want at least one");
  candidates.assign(best.begin(), best.end());
  penalizeCandidates();
  if (options.temperature == 0)
    return candidates.front().id;
  candidates.resize(std::min(candidates.size(), size_t(options.topK)));
  if (options.topP < 1)
    keepNucleus();
  if (options.minP > 0)
    keepProbable();
  return draw();
}

} // namespace llmc
