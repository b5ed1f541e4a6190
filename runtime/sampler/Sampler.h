// Draws the next token from logits: penalties, top-k, top-p, min-p, temperature, in llama.cpp's order.
//
//   Sampler sampler({.temperature = 0.8f, .topK = 40, .seed = 1});
//   Expected<TokenId> next = sampler.next(logits);
//   sampler.accept(*next);
//
// Thread-compatible: one sampler per sequence.
#pragma once

#include "runtime/sampler/BestTokens.h"
#include "runtime/support/Error.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <random>

namespace llmc {

struct SamplerOptions {
  float temperature = 0.8f;   // 0: greedy, the first of equal maxima
  int32_t topK = 40;          // 0: off
  float topP = 0.95f;         // 1: off. arXiv:1904.09751
  float minP = 0.05f;         // 0: off. arXiv:2407.01082
  float repeatPenalty = 1.0f; // 1: off; divides positive logits, multiplies negative ones. arXiv:1909.05858
  int32_t repeatLastN = 64;   // tokens the penalty looks back on; -1: all
  uint64_t seed = 0;
};

// Errors: InvalidInput, naming the option, its range and its value.
Expected<void> validate(const SamplerOptions &options);

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
  // Tells of a token of the sequence (prompt or drawn) for the repetition penalty.
  void accept(TokenId token);
  // Forgets the sequence and starts the seed's random numbers anew.
  void reset();

private:
  std::span<const float> penalize(std::span<const float> logits);
  void penalizeCandidates();
  size_t recentCount() const; // tokens that the penalty looks back on now
  bool cutsK(size_t vocab) const;
  bool cutNucleus(double total);
  void keepNucleus();
  void keepNucleus(std::span<const float> logits);
  void keepProbable();
  TokenId draw();

  SamplerOptions options;
  std::mt19937_64 random;
  std::vector<TokenId> history;
  // Working memory.
  std::vector<float> penalized;
  std::vector<ScoredToken> candidates;
  std::vector<double> weights;
};

} // namespace llmc
