// Beam search on the engine: live sequences are forked and run as one batch, whatever states the model has.
#include "runtime/engine/Generate.h"

#include "runtime/abi/tests/EngineFixture.h"

#include <cmath>

namespace llmc {
namespace {

struct Found {
  std::vector<std::vector<TokenId>> sequences;
  std::vector<double> scores;
  std::vector<TokenId> told;
  std::string text;
  llmc_generate_stats stats{};
};

struct BeamRequest {
  std::vector<TokenId> prompt = {2, 9, 4};
  llmc_sampler_options sampler{};
  llmc_generate_options options{};
  Found found;

  explicit BeamRequest(int32_t beams, int64_t tokens) {
    sampler.struct_size = sizeof sampler;
    sampler.top_p = sampler.repeat_penalty = 1;
    sampler.beams = beams;
    sampler.length_penalty = 1;
    options.max_tokens = tokens;
    options.flags = LLMC_IGNORE_EOS;
    options.on_sequence = [](void *user, const llmc_sequence *sequence) -> int32_t {
      auto *found = static_cast<Found *>(user);
      EXPECT_EQ(int64_t(found->sequences.size()), sequence->index);
      found->sequences.emplace_back(sequence->tokens, sequence->tokens + sequence->token_count);
      found->scores.push_back(sequence->score);
      return 0;
    };
    options.on_token = [](void *user, TokenId id, const float *logits, int64_t) -> int32_t {
      EXPECT_EQ(nullptr, logits);
      static_cast<Found *>(user)->told.push_back(id);
      return 0;
    };
  }
  Expected<void> run(Context &context) {
    options.tokens = prompt.data();
    options.token_count = int64_t(prompt.size());
    options.sampler = &sampler;
    options.user = &found;
    return generate(context, options, found.stats);
  }
  std::string fails(Context &context) {
    auto done = run(context);
    return done ? "no error" : done.error().message;
  }
};

// The mean log-probability of a continuation, computed from nothing in one go.
double scoreOf(const llmc_artifact &artifact, const std::vector<TokenId> &prompt, const std::vector<TokenId> &continuation) {
  auto context = makeContext({.context = 100, .slots = 1, .threads = 1}, artifact);
  std::vector<TokenId> all = prompt;
  all.insert(all.end(), continuation.begin(), continuation.end());
  std::vector<float> rows = evalRows(*context, all, LLMC_WANT_ALL);
  double sum = 0;
  for (size_t i = 0; i < continuation.size(); ++i) {
    const float *row = rows.data() + (prompt.size() + i - 1) * FAKE_VOCAB;
    double total = 0;
    for (size_t v = 0; v < FAKE_VOCAB; ++v)
      total += std::exp(double(row[v]));
    sum += double(row[continuation[i]]) - std::log(total);
  }
  return sum / double(continuation.size());
}

// Every margin depends on the whole sequence: a state of another sequence would show in the score.
TEST(GenerateBeams, ScoresEachSequenceByItsOwnStates) {
  for (const llmc_artifact *artifact : {&fake_attention, &fake_recurrent, &fake_hybrid}) {
    auto context = makeContext({.context = 100, .slots = 5, .threads = 2}, *artifact);
    BeamRequest request(5, 24); // more than a block of positions
    ASSERT_TRUE(request.run(*context));
    ASSERT_EQ(5u, request.found.sequences.size());
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(24u, request.found.sequences[i].size());
      EXPECT_NEAR(scoreOf(*artifact, request.prompt, request.found.sequences[i]), request.found.scores[i], 1e-5) << i;
      if (i)
        EXPECT_LE(request.found.scores[i], request.found.scores[i - 1]);
    }
    EXPECT_EQ(request.found.sequences[0], request.found.told);
    EXPECT_EQ(LLMC_FINISH_LENGTH, request.found.stats.finish);
    EXPECT_EQ(24, request.found.stats.generated_tokens);
  }
}

// Afterwards the first slot holds the prompt, and the same search finds the same.
TEST(GenerateBeams, LeavesThePromptInItsSlot) {
  for (const llmc_artifact *artifact : {&fake_attention, &fake_recurrent, &fake_hybrid}) {
    auto context = makeContext({.context = 100, .slots = 4, .threads = 2}, *artifact);
    std::vector<TokenId> other = {7, 7};
    evalRows(*context, other, LLMC_WANT_LAST, 0);
    BeamRequest first(3, 9), again(3, 9);
    first.options.slot = again.options.slot = 1;
    ASSERT_TRUE(first.run(*context));
    EXPECT_EQ(2, context->length(0)); // not ours
    EXPECT_EQ(3, context->length(1));
    EXPECT_EQ(0, context->length(2));
    EXPECT_EQ(0, context->length(3));
    ASSERT_TRUE(again.run(*context));
    EXPECT_EQ(first.found.sequences, again.found.sequences);
    EXPECT_EQ(first.found.scores, again.found.scores);
  }
}

TEST(GenerateBeams, SequencesEndAtStopTokens) {
  auto context = makeContext({.context = 100, .slots = 2, .threads = 1});
  BeamRequest request(2, 30);
  request.prompt = {37};
  request.sampler.length_penalty = 0; // else long ones are preferred here
  request.options.flags = 0;          // 38, 39, then 40, which ends
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ((std::vector<TokenId>{38, 39, 40}), request.found.told);
  EXPECT_EQ(LLMC_FINISH_EOS, request.found.stats.finish);
}

TEST(GenerateBeams, StopAtTheContext) {
  auto context = makeContext({.context = 10, .slots = 2, .threads = 1});
  BeamRequest request(2, 30);
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ(8u, request.found.told.size()); // 3 of the prompt, 7 evaluated, the last is not
  EXPECT_EQ(LLMC_FINISH_CONTEXT, request.found.stats.finish);
}

TEST(GenerateBeams, CanBeCancelled) {
  auto context = makeContext({.context = 10, .slots = 2, .threads = 1});
  context->setCancel(true);
  BeamRequest request(2, 30);
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ(LLMC_FINISH_CANCELLED, request.found.stats.finish);
  EXPECT_TRUE(request.found.sequences.empty());
}

TEST(GenerateBeams, WantSlots) {
  auto context = makeContext({.context = 10, .slots = 3, .threads = 1});
  BeamRequest tooMany(4, 3), tooFar(3, 3), none(257, 3);
  EXPECT_EQ("beams: 4 from slot 0 on need 4 slots, the context has 3", tooMany.fails(*context));
  tooFar.options.slot = 1;
  EXPECT_EQ("beams: 3 from slot 1 on need 4 slots, the context has 3", tooFar.fails(*context));
  EXPECT_EQ("beams: want 1 … 256, got 257", none.fails(*context));
  BeamRequest negative(-1, 3);
  EXPECT_EQ("beams: want 1 … 256, got -1", negative.fails(*context));
}

} // namespace
} // namespace llmc
