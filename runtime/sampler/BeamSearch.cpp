#include "runtime/sampler/BeamSearch.h"

#include "runtime/sampler/Repetition.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmc {
namespace {

constexpr int64_t mostBeams = 256;

// log(sum(e^logits)) of logits whose greatest is finite.
double logSumExp(std::span<const float> logits, float greatest) {
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(double(logit) - double(greatest));
  return double(greatest) + std::log(sum);
}

} // namespace

Expected<void> validate(const BeamOptions &options) {
  if (options.beams < 1 || options.beams > mostBeams)
    return invalidInput("beams: want 1 … " + std::to_string(mostBeams) + ", got " + std::to_string(options.beams));
  if (!std::isfinite(options.lengthPenalty))
    return invalidInput("length-penalty: want a finite number, got " + std::to_string(options.lengthPenalty));
  if (options.earlyStopping < EarlyStopping::Heuristic || options.earlyStopping > EarlyStopping::Never)
    return invalidInput("early-stopping: " + std::to_string(int(options.earlyStopping)) + " is no member of llmc_early_stopping");
  if (options.noRepeatNgram < 0 || !(options.repeatPenalty > 0) || !std::isfinite(options.repeatPenalty))
    return invalidInput("beams: want no-repeat-ngram of at least 0 and repeat-penalty above 0, got " + std::to_string(options.noRepeatNgram) +
                        " and " + std::to_string(options.repeatPenalty));
  if (options.maxTokens < 1)
    return invalidInput("beams: want room for at least one token, got " + std::to_string(options.maxTokens));
  return {};
}

BeamSearch::BeamSearch(BeamOptions options)
    : options(std::move(options)), kept(std::max<size_t>(2, 1 + this->options.stops.size()) * size_t(this->options.beams)), beams(1) {}

bool BeamSearch::comesFirst(const Continuation &a, const Continuation &b) {
  if (a.logProbability != b.logProbability)
    return a.logProbability > b.logProbability;
  return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
}

// Repeat penalty and block of n-grams, by what the sequence holds.
void BeamSearch::punish(size_t beam, std::vector<float> &logProbabilities) const {
  std::vector<TokenId> history = options.prompt;
  history.insert(history.end(), beams[beam].tokens.begin(), beams[beam].tokens.end());
  std::vector<TokenId> blocked = repeatingTokens(history, size_t(options.noRepeatNgram));
  std::ranges::sort(history);
  history.erase(std::unique(history.begin(), history.end()), history.end());
  for (TokenId id : history)
    if (size_t(id) < logProbabilities.size())
      logProbabilities[size_t(id)] *= options.repeatPenalty;
  for (TokenId id : blocked)
    if (size_t(id) < logProbabilities.size())
      logProbabilities[size_t(id)] = -std::numeric_limits<float>::infinity();
}

Expected<void> BeamSearch::addRow(size_t beam, std::span<const float> logits) {
  float greatest = logits.empty() ? 0 : greatestOf(logits);
  if (logits.empty() || !std::isfinite(greatest))
    return invalidInput("beams: logits: want finite ones, got " + (logits.empty() ? "none" : std::to_string(greatest)));
  double all = logSumExp(logits, greatest);
  bool isPunished = options.noRepeatNgram > 0 || options.repeatPenalty != 1;
  if (isPunished) {
    logProbabilities.clear();
    for (float logit : logits)
      logProbabilities.push_back(float(double(logit) - all));
    punish(beam, logProbabilities);
  }
  keepBest(isPunished ? std::span<const float>(logProbabilities) : logits, kept, row);
  for (const ScoredToken &token : row) {
    float logProbability = isPunished ? token.logit : float(double(token.logit) - all);
    if (std::isfinite(logProbability))
      continuations.push_back({logProbability + beams[beam].logProbability, beam, token.id});
  }
  return {};
}

bool BeamSearch::ends(const Continuation &next) const {
  return length + 1 >= options.maxTokens || std::ranges::binary_search(options.stops, next.token);
}

float BeamSearch::scored(float logProbability, int64_t tokens) const {
  return logProbability / float(std::pow(double(tokens), double(options.lengthPenalty)));
}

std::vector<TokenId> BeamSearch::tokensOf(const Continuation &next) const {
  std::vector<TokenId> tokens = beams[next.beam].tokens;
  tokens.push_back(next.token);
  return tokens;
}

// Behind those of an equal score.
void BeamSearch::finish(const Continuation &next) {
  Finished added{tokensOf(next), scored(next.logProbability, length + 1)};
  auto place = std::ranges::find_if(finished, [&](const Finished &other) { return other.score < added.score; });
  finished.insert(place, std::move(added));
  if (finished.size() > size_t(options.beams))
    finished.pop_back();
}

// Whether a live sequence may still become one of the finished.
bool BeamSearch::canImprove() const {
  if (finished.size() < size_t(options.beams))
    return true;
  if (options.earlyStopping == EarlyStopping::Always)
    return false;
  bool growing = options.earlyStopping == EarlyStopping::Never && options.lengthPenalty > 0;
  return scored(beams.front().logProbability, growing ? options.maxTokens : length) > finished.back().score;
}

// Those that end are finished if they are among the `beams` best of all; the best of the others live on.
void BeamSearch::advance() {
  size_t count = std::min(kept, continuations.size()), width = size_t(options.beams);
  std::partial_sort(continuations.begin(), continuations.begin() + ptrdiff_t(count), continuations.end(), comesFirst);
  std::vector<Beam> next;
  for (size_t i = 0; i < count; ++i) {
    const Continuation &continuation = continuations[i];
    if (!ends(continuation) && next.size() < width)
      next.push_back({tokensOf(continuation), continuation.logProbability, continuation.beam});
    else if (ends(continuation) && i < width)
      finish(continuation);
  }
  continuations.clear();
  beams = std::move(next);
  ++length;
  done = beams.empty() || !canImprove();
}

} // namespace llmc
