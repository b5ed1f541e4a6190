#include "runtime/sampler/Sampler.h"

#include "runtime/sampler/Repetition.h"
#include "runtime/sampler/Weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

// Every platform rounds alike: no fused multiply-adds, and no library functions but exact ones.
#pragma STDC FP_CONTRACT OFF

namespace llmc {
namespace {

float punished(float logit, float penalty) { return logit > 0 ? logit / penalty : logit * penalty; }

// The place that a number from 0 to the sum of the weights falls into.
size_t placeOf(std::span<const double> weights, double target) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (sum > target)
      return i;
  }
  // Rounding at the very end: the last one that has any weight.
  for (size_t i = weights.size(); i-- > 0;)
    if (weights[i] > 0)
      return i;
  return 0;
}

void addBias(Candidates &candidates, std::span<const LogitBias> biases) {
  std::unordered_map<TokenId, float> sums;
  for (const LogitBias &bias : biases)
    sums[bias.token] += bias.bias;
  candidates.change(sums, [](float &logit, float bias) { logit = std::isinf(bias) ? bias : logit + bias; });
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

// `options` is a member: the others are made from it.
Sampler::Sampler(SamplerOptions given) : options(std::move(given)), random(options.seed), mirostat(options), shortChain(isShort()) {}

bool Sampler::isShort() const {
  const SamplerOptions &o = options;
  bool cuts = (o.typicalP > 0 && o.typicalP < 1) || o.topNSigma > 0 || o.xtcProbability > 0 || o.mirostat;
  bool edits = o.presencePenalty != 0 || o.frequencyPenalty != 0 || o.noRepeatNgram || !o.logitBias.empty() || o.dryMultiplier > 0;
  bool heats = o.dynatempRange > 0 || !o.temperatureSchedule.empty();
  return !cuts && !edits && !heats && o.steps == defaultSamplerSteps();
}

void Sampler::accept(TokenId token) {
  bool forgets = shortChain && options.repeatLastN >= 0;
  if (shortChain && (options.repeatPenalty == 1.0f || options.repeatLastN == 0))
    return;
  history.push_back(token);
  size_t kept = size_t(options.repeatLastN);
  if (forgets && history.size() >= 2 * kept && history.size() > 64)
    history.erase(history.begin(), history.end() - ptrdiff_t(kept));
}

void Sampler::reset() {
  history.clear();
  random.seed(options.seed);
  mirostat.reset();
  drawn = 0;
}

double Sampler::uniform() { return double(random() >> 11) * 0x1p-53; }

std::span<const TokenId> Sampler::recent(int64_t count) const {
  return std::span(history).last(count < 0 ? history.size() : std::min(history.size(), size_t(count)));
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
  return candidates[placeOf(weights, uniform() * total)].id;
}

Expected<TokenId> Sampler::next(std::span<const float> logits) {
  if (logits.empty())
    return invalidInput("sampler: logits: want at least one");
  if (hasNan(logits))
    return invalidInput("sampler: logits: got NaN; the model's weights or its input are damaged");
  if (!shortChain)
    return nextOfChain(logits);
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

// ---- Any chain ------------------------------------------------------------------------------------------------------

void Sampler::apply(SamplerStep step, float temperature) {
  const SamplerOptions &o = options;
  switch (step) {
  case SamplerStep::Penalties:
    if (o.repeatPenalty != 1 || o.presencePenalty != 0 || o.frequencyPenalty != 0)
      applyPenalties(chain, recent(o.repeatLastN), o);
    return;
  case SamplerStep::Dry:
    return o.dryMultiplier > 0 ? applyDry(chain, recent(o.dryPenaltyLastN), o) : void();
  case SamplerStep::TopNSigma:
    return o.topNSigma > 0 ? chain.keepWithinSigma(o.topNSigma) : void();
  case SamplerStep::TopK:
    return o.topK > 0 ? chain.keepTop(size_t(o.topK)) : void();
  case SamplerStep::Typical:
    return o.typicalP > 0 && o.typicalP < 1 ? chain.keepTypical(o.typicalP) : void();
  case SamplerStep::TopP:
    return o.topP < 1 ? chain.keepNucleus(o.topP) : void();
  case SamplerStep::MinP:
    return o.minP > 0 ? chain.keepProbable(o.minP) : void();
  case SamplerStep::Xtc:
    if (o.xtcProbability > 0 && o.xtcThreshold <= 0.5f && chain.tokens().size() > 1 && uniform() < double(o.xtcProbability))
      chain.dropTop(o.xtcThreshold);
    return;
  case SamplerStep::Temperature:
    return o.dynatempRange > 0 ? chain.divideByEntropy(temperature, o.dynatempRange, o.dynatempExponent) : chain.divide(temperature);
  }
}

void Sampler::applyMirostatChain(float temperature, size_t vocab) {
  for (SamplerStep step : options.steps)
    if (step == SamplerStep::Penalties || step == SamplerStep::Dry)
      apply(step, temperature);
  apply(SamplerStep::Temperature, temperature);
  mirostat.cut(chain, vocab);
}

TokenId Sampler::nextOfChain(std::span<const float> logits) {
  float temperature = options.temperatureSchedule.empty() ? options.temperature : temperatureAt(options.temperatureSchedule, drawn);
  ++drawn;
  chain.assign(logits);
  if (!options.logitBias.empty())
    addBias(chain, options.logitBias);
  if (options.noRepeatNgram > 0)
    blockNgrams(chain, history, size_t(options.noRepeatNgram));
  if (options.mirostat)
    applyMirostatChain(temperature, logits.size());
  else
    for (SamplerStep step : options.steps)
      apply(step, temperature);
  const std::vector<double> &shares = chain.probabilities();
  size_t place = placeOf(shares, uniform());
  if (options.mirostat)
    mirostat.learn(shares[place]);
  return chain.tokens()[place].id;
}

bool Sampler::cutsK(size_t vocab) const { return options.topK > 0 && size_t(options.topK) < vocab; }

size_t Sampler::recentCount() const { return recent(options.repeatLastN).size(); }

// Penalties of at least 1 move no token forward: of so many more than wanted, enough stay where they are.
size_t Sampler::bestNeeded(size_t vocab) const {
  bool isGreedy = options.temperature == 0;
  if (!shortChain || options.repeatPenalty < 1 || !(isGreedy || cutsK(vocab)))
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
