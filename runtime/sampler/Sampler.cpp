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

// Counts instead of stopping, so that the loop runs on vectors.
bool hasNan(std::span<const float> logits) {
  int32_t count = 0;
  for (float logit : logits)
    count += logit != logit;
  return count != 0;
}

// The greatest of numbers; several running maxima, so that the loop runs on vectors.
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
  size_t recent = history.size();
  if (options.repeatLastN >= 0)
    recent = std::min(recent, size_t(options.repeatLastN));
  if (recent == 0)
    return logits;
  penalized.assign(logits.begin(), logits.end());
  for (size_t i = history.size() - recent; i < history.size(); ++i) {
    auto id = size_t(history[i]);
    if (history[i] < 0 || id >= logits.size())
      continue;
    // From the original, so that a token that occurs twice is punished once.
    penalized[id] = logits[id] > 0 ? logits[id] / options.repeatPenalty : logits[id] * options.repeatPenalty;
  }
  return penalized;
}

// The `count` greatest logits, in order; of equal ones the first.
void Sampler::keepBest(std::span<const float> logits, size_t count) {
  auto isBetter = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  count = std::min(count, logits.size());
  size_t room = std::max<size_t>(2 * count, 64);
  candidates.clear();
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
      candidates.push_back({logits[id], TokenId(id)});
      if (candidates.size() < room)
        continue;
      std::nth_element(candidates.begin(), candidates.begin() + ptrdiff_t(count) - 1, candidates.end(), isBetter);
      candidates.resize(count);
      least = candidates.back().logit;
      isFull = true;
    }
  }
  std::sort(candidates.begin(), candidates.end(), isBetter);
  if (candidates.size() > count)
    candidates.resize(count);
}

// The fewest best candidates whose probabilities reach topP.
void Sampler::keepNucleus(std::span<const float> logits) {
  bool isCut = options.topK > 0 && size_t(options.topK) < logits.size();
  double total = 0;
  if (!isCut) {
    float greatest = greatestOf(logits);
    for (float logit : logits)
      total += weightOf(logit, greatest, 1);
  }
  for (size_t count = 256;; count *= 4) {
    if (!isCut)
      keepBest(logits, count);
    float greatest = candidates.front().logit;
    if (isCut)
      for (const Candidate &candidate : candidates)
        total += weightOf(candidate.logit, greatest, 1);
    double sum = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      sum += weightOf(candidates[i].logit, greatest, 1);
      if (sum >= double(options.topP) * total) {
        candidates.resize(i + 1);
        return;
      }
    }
    if (isCut || candidates.size() == logits.size())
      return;
  }
}

// Those at least minP times as probable as the best.
void Sampler::keepProbable() {
  float greatest = -std::numeric_limits<float>::infinity();
  for (const Candidate &candidate : candidates)
    greatest = std::max(greatest, candidate.logit);
  std::erase_if(candidates, [&](const Candidate &candidate) {
    return weightOf(candidate.logit, greatest, 1) < double(options.minP);
  });
}

TokenId Sampler::draw() {
  float greatest = -std::numeric_limits<float>::infinity();
  for (const Candidate &candidate : candidates)
    greatest = std::max(greatest, candidate.logit);
  weights.clear();
  double total = 0;
  for (const Candidate &candidate : candidates) {
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
  bool cutsK = options.topK > 0 && size_t(options.topK) < logits.size();
  bool cutsP = options.topP < 1;
  if (cutsK)
    keepBest(logits, size_t(options.topK));
  if (cutsP)
    keepNucleus(logits);
  if (!cutsK && !cutsP) {
    candidates.clear();
    for (size_t id = 0; id < logits.size(); ++id)
      candidates.push_back({logits[id], TokenId(id)});
  }
  if (options.minP > 0)
    keepProbable();
  return draw();
}

} // namespace llmc
