// Draws the next token from logits: bias and penalties, then what cuts the tokens down, then temperature, in llama.cpp's order or another
// (SamplerOptions).
//
//   Sampler sampler({.temperature = 0.8f, .topK = 40, .seed = 1});
//   Expected<TokenId> next = sampler.next(logits);
//   sampler.accept(*next);
//
// Thread-compatible: one sampler per sequence.
#pragma once

#include "runtime/sampler/Mirostat.h"

#include <random>

namespace llmc {

class Sampler {
public:
  // `options` have passed validate().
  explicit Sampler(SamplerOptions options);
  // `logits`: [vocab] f32, unnormalised, left unchanged. O(vocab) time. The same seed and logits give the same tokens
  // on every machine.
  // Errors: InvalidInput if empty or if any is NaN.
  Expected<TokenId> next(std::span<const float> logits);
  // Of how many of the best tokens next() needs to know, all others being of no account now; 0: of all.
  size_t bestNeeded(size_t vocab) const;
  // What next() would draw from the logits whose bestNeeded() best tokens these are, in order: the very same token.
  // Errors: InvalidInput if empty.
  Expected<TokenId> nextOf(std::span<const ScoredToken> best);
  // Tells of a token of the sequence (prompt or drawn) for what looks back.
  void accept(TokenId token);
  // Forgets the sequence and starts the seed's random numbers anew.
  void reset();

private:
  std::span<const float> penalize(std::span<const float> logits);
  void penalizeCandidates();
  size_t recentCount() const; // tokens that the penalties look back on now
  std::span<const TokenId> recent(int64_t count) const; // -1: all
  bool isShort() const;
  TokenId nextOfChain(std::span<const float> logits);
  void apply(SamplerStep step, float temperature);
  void applyMirostatChain(float temperature, size_t vocab);
  double uniform(); // below 1
  bool cutsK(size_t vocab) const;
  bool cutNucleus(double total);
  void keepNucleus();
  void keepNucleus(std::span<const float> logits);
  void keepProbable();
  TokenId draw();

  SamplerOptions options;
  std::mt19937_64 random;
  std::vector<TokenId> history;
  int64_t drawn = 0;
  Mirostat mirostat;
  bool shortChain; // repeat penalty, top-k, top-p, min-p and temperature in their usual order: no need for all tokens as candidates
  // Working memory.
  std::vector<float> penalized;
  std::vector<ScoredToken> candidates;
  std::vector<double> weights;
  Candidates chain;
};

} // namespace llmc
