// Beam search: of all continuations of the live sequences the likeliest go on, those that end are kept by their score.
//
//   BeamSearch search({.beams = 4, .maxTokens = 32, .stops = stops});
//   while (!search.isDone()) {
//     for (size_t i = 0; i < search.live().size(); ++i)
//       LLMC_CHECK(search.addRow(i, logits after live()[i].tokens));
//     search.advance(); // live()[i].parent says which sequence each continues
//   }
//   use(search.best());
//
// Scores, stopping and the order of equal scores are those of transformers' generate(num_beams=B, do_sample=False), in float32: a score
// is the sum of the tokens' log-probabilities over length^lengthPenalty. Of equal ones the earlier beam comes first, then the lower id.
//
// Thread-compatible.
#pragma once

#include "runtime/sampler/BestTokens.h"
#include "runtime/support/Error.h"

namespace llmc {

// When enough has been found, once there are as many finished sequences as beams.
enum class EarlyStopping {
  Heuristic, // when the best live sequence, as it is, scores below all of them
  Always,    // at once
  Never,     // when no live sequence could come to score better, however long it grew
};

struct BeamOptions {
  int64_t beams = 1;
  float lengthPenalty = 1; // above 0 prefers long sequences, below 0 short ones
  EarlyStopping earlyStopping = EarlyStopping::Heuristic;
  int64_t maxTokens = 0; // of each sequence; 1 or more
  std::vector<TokenId> stops = {}; // end a sequence, and belong to it; ascending
  // As SamplerOptions has them, but of log-probabilities, and looking back on all of the sequence.
  int32_t noRepeatNgram = 0;
  float repeatPenalty = 1;
  std::vector<TokenId> prompt = {}; // which they look back on, too
};

// Errors: InvalidInput, naming the option, its range and its value.
Expected<void> validate(const BeamOptions &options);

class BeamSearch {
public:
  struct Beam {
    std::vector<TokenId> tokens;
    float logProbability = 0;
    size_t parent = 0; // the live sequence of the step before that it continues
  };
  struct Finished {
    std::vector<TokenId> tokens;
    float score = 0;
  };

  // `options` have passed validate(). One sequence, the empty one, is live.
  explicit BeamSearch(BeamOptions options);

  const std::vector<Beam> &live() const { return beams; }
  // The logits after a live sequence: [vocab]. Once for each, in any order.
  // Errors: InvalidInput if they are empty, or not finite where they are greatest.
  Expected<void> addRow(size_t beam, std::span<const float> logits);
  // Once every live sequence has its row.
  void advance();
  bool isDone() const { return done; }
  // Best first; at most `beams`.
  const std::vector<Finished> &best() const { return finished; }

private:
  struct Continuation {
    float logProbability;
    size_t beam;
    TokenId token;
  };
  static bool comesFirst(const Continuation &a, const Continuation &b);
  bool ends(const Continuation &next) const;
  void finish(const Continuation &next);
  bool canImprove() const;
  float scored(float logProbability, int64_t tokens) const;
  std::vector<TokenId> tokensOf(const Continuation &next) const;

  BeamOptions options;
  size_t kept; // continuations looked at in a step: so many that enough are left if others end
  int64_t length = 0;
  bool done = false;
  std::vector<Beam> beams;
  std::vector<Finished> finished;
  std::vector<Continuation> continuations;
  void punish(size_t beam, std::vector<float> &logProbabilities) const;
  // Working memory.
  std::vector<ScoredToken> row;
  std::vector<float> logProbabilities;
};

} // namespace llmc
