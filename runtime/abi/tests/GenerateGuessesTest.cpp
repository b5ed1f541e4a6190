// Speculative decoding: guesses change neither a text nor its distribution, whatever states the model has.
#include "runtime/engine/Generate.h"

#include "runtime/abi/Handles.h"
#include "runtime/abi/tests/EngineFixture.h"

#include <cmath>

namespace llmc {
namespace {

struct Story {
  std::vector<TokenId> prompt, ids;
  llmc_sampler_options sampler{};
  llmc_generate_options options{};
  llmc_generate_stats stats{};

  // Of the likeliest tokens of the fake model, so that short texts repeat themselves; never the one that makes it fail.
  explicit Story(std::vector<TokenId> prompt, float temperature = 1) : prompt(std::move(prompt)) {
    sampler.struct_size = sizeof sampler;
    sampler.temperature = temperature, sampler.top_k = 5, sampler.top_p = 1, sampler.repeat_penalty = 1, sampler.seed = 5;
    options.max_tokens = 70;
    options.flags = LLMC_IGNORE_EOS | LLMC_NO_LOGITS;
    options.on_token = [](void *user, TokenId id, const float *, int64_t) -> int32_t {
      static_cast<Story *>(user)->ids.push_back(id);
      return 0;
    };
  }
  Expected<void> in(Context &context) {
    ids.clear();
    options.tokens = prompt.data();
    options.token_count = int64_t(prompt.size());
    options.sampler = &sampler;
    options.user = this;
    return generate(context, options, stats);
  }
  std::string fails(Context &context) {
    auto done = in(context);
    return done ? "no error" : done.error().message;
  }
};

const std::vector<TokenId> repetitive = {1, 2, 3, 4, 9, 1, 2, 3};

// Drawn from the best tokens and from all logits, with a penalty and without.
TEST(GenerateGuesses, LookupLeavesTheTextAsItIs) {
  for (const llmc_artifact *artifact : {&fake_attention, &fake_recurrent, &fake_hybrid})
    for (float penalty : {1.0f, 1.2f})
      for (uint32_t noLogits : {uint32_t(0), uint32_t(LLMC_NO_LOGITS)}) {
        Story plain(repetitive), guessing(repetitive);
        guessing.sampler.lookup_tokens = 6;
        for (Story *run : {&plain, &guessing}) {
          run->sampler.repeat_penalty = penalty, run->sampler.repeat_last_n = 8;
          run->options.flags = LLMC_IGNORE_EOS | noLogits;
        }
        auto one = makeContext({.context = 100, .slots = 1, .threads = 2}, *artifact);
        auto other = makeContext({.context = 100, .slots = 1, .threads = 2}, *artifact);
        ASSERT_TRUE(plain.in(*one));
        ASSERT_TRUE(guessing.in(*other));
        EXPECT_EQ(plain.ids, guessing.ids);
        EXPECT_EQ(0, plain.stats.guessed_tokens);
        EXPECT_GT(guessing.stats.accepted_tokens, 5);
        EXPECT_GT(guessing.stats.guessed_tokens, guessing.stats.accepted_tokens);
        EXPECT_EQ(plain.stats.finish, guessing.stats.finish);
        // The sequence is there as if nothing had been guessed.
        EXPECT_TRUE(std::ranges::equal(one->tokens(0), other->tokens(0)));
        EXPECT_LE(other->pending(0), 6);
        EXPECT_EQ(evalRows(*one, {1}), evalRows(*other, {1}));
      }
}

TEST(GenerateGuesses, EndsWhereThePlainTextEnds) {
  for (int64_t room : {20, 21, 22, 23, 24, 25}) {
    Story plain(repetitive), guessing(repetitive);
    guessing.sampler.lookup_tokens = 7;
    ASSERT_TRUE(plain.in(*makeContext({.context = room, .slots = 1, .threads = 1})));
    ASSERT_TRUE(guessing.in(*makeContext({.context = room, .slots = 1, .threads = 1})));
    EXPECT_EQ(plain.ids, guessing.ids);
    EXPECT_EQ(LLMC_FINISH_CONTEXT, guessing.stats.finish);
  }
  for (int64_t tokens = 1; tokens < 12; ++tokens) {
    Story guessing({1, 2, 3, 4, 5, 6, 7, 8, 1, 2}, 0); // counts on
    guessing.sampler.lookup_tokens = 4, guessing.options.max_tokens = tokens;
    auto context = makeContext();
    ASSERT_TRUE(guessing.in(*context));
    EXPECT_EQ(size_t(tokens), guessing.ids.size());
    EXPECT_EQ(9 + tokens, context->length(0));
  }
}

TEST(GenerateGuesses, StopTokensEndAmongGuesses) {
  Story run({37, 38, 39, 40, 41, 2, 37, 38}, 0);
  run.options.flags = LLMC_NO_LOGITS;
  run.sampler.lookup_tokens = 8;
  ASSERT_TRUE(run.in(*makeContext()));
  EXPECT_EQ((std::vector<TokenId>{39, 40}), run.ids);
  EXPECT_EQ(LLMC_FINISH_EOS, run.stats.finish);
  EXPECT_EQ(1, run.stats.accepted_tokens); // 39 was drawn before; 40 was guessed
}

// What a draft model of the same kind is given: the functions of its library.
llmc_draft draftOf(llmc_context &context) {
  llmc_draft draft{};
  draft.struct_size = sizeof draft;
  draft.context = &context;
  draft.vocab = FAKE_VOCAB;
  draft.room = context.context->plan().context;
  draft.max_tokens = 4;
  draft.eval = llmc_eval;
  draft.rollback = llmc_rollback;
  draft.tokens = llmc_tokens;
  draft.error_message = llmc_error_message;
  draft.error_free = llmc_error_free;
  return draft;
}

TEST(GenerateGuesses, ADraftModelLeavesTheTextAsItIs) {
  for (float temperature : {0.0f, 1.0f})
    for (const llmc_artifact *artifact : {&fake_attention, &fake_recurrent, &fake_hybrid}) {
      llmc_context draftContext{makeContext({.context = 100, .slots = 2, .threads = 1}, *artifact)};
      llmc_draft draft = draftOf(draftContext);
      draft.slot = 1;
      Story plain({3, 8, 5}, temperature), guessing({3, 8, 5}, temperature);
      plain.options.max_tokens = guessing.options.max_tokens = 40;
      guessing.options.draft = &draft;
      ASSERT_TRUE(plain.in(*makeContext({.context = 100, .slots = 1, .threads = 2}, *artifact)));
      auto context = makeContext({.context = 100, .slots = 1, .threads = 2}, *artifact);
      ASSERT_TRUE(guessing.in(*context)) << temperature;
      EXPECT_EQ(plain.ids, guessing.ids);
      EXPECT_GT(guessing.stats.accepted_tokens, 0);
      if (temperature == 0) // it is the very model
        EXPECT_EQ(guessing.stats.guessed_tokens, guessing.stats.accepted_tokens);
      draft.min_probability = 0.99f; // the fake model is never so sure
      ASSERT_TRUE(guessing.in(*context));
      EXPECT_EQ(plain.ids, guessing.ids);
      EXPECT_EQ(0, guessing.stats.guessed_tokens);
    }
}

TEST(GenerateGuesses, AShortDraftContextGuessesLess) {
  llmc_context draftContext{makeContext({.context = 20, .slots = 1, .threads = 1})};
  llmc_draft draft = draftOf(draftContext);
  Story plain({3, 8, 5}, 0), guessing({3, 8, 5}, 0);
  plain.options.max_tokens = guessing.options.max_tokens = 40;
  guessing.options.draft = &draft;
  ASSERT_TRUE(plain.in(*makeContext()));
  ASSERT_TRUE(guessing.in(*makeContext()));
  EXPECT_EQ(plain.ids, guessing.ids);
}

std::vector<double> sharesAfter(const std::vector<TokenId> &tokens, size_t kept) {
  auto context = makeContext({.context = 100, .slots = 1, .threads = 1});
  std::vector<float> row = evalRows(*context, tokens);
  std::vector<ScoredToken> best;
  keepBest(row, kept, best);
  std::vector<double> shares(FAKE_VOCAB, 0);
  double total = 0;
  for (const ScoredToken &token : best)
    total += std::exp(double(token.logit));
  for (const ScoredToken &token : best)
    shares[size_t(token.id)] = std::exp(double(token.logit)) / total;
  return shares;
}

// Pairs of tokens, of which the second is accepted or rejected: 100,000 draws against the product of the model's own shares. 35.0 is what
// chi-squared of 8 degrees of freedom exceeds less than 3 times in 100,000.
TEST(GenerateGuesses, KeepTheDistribution) {
  constexpr int pairs = 50000;
  constexpr size_t kept = 3;
  auto context = makeContext({.context = 40, .slots = 1, .threads = 1});
  std::vector<double> counts(FAKE_VOCAB * FAKE_VOCAB, 0);
  const std::vector<TokenId> prompt = {4, 0, 1, 4, 5, 6, 4, 1, 0, 0, 4}; // what may follow 4 has been there, with a likely token behind it
  int64_t accepted = 0, guessed = 0;
  for (int i = 0; i < pairs; ++i) {
    Story run(prompt);
    run.sampler.top_k = kept, run.sampler.seed = uint64_t(i) * 7919, run.sampler.lookup_tokens = 3;
    // One more, or the second would be the last and not be guessed.
    run.options.max_tokens = 3;
    ASSERT_TRUE(run.in(*context));
    ++counts[size_t(run.ids[0]) * FAKE_VOCAB + size_t(run.ids[1])];
    accepted += run.stats.accepted_tokens, guessed += run.stats.guessed_tokens;
  }
  EXPECT_GT(accepted, pairs / 10);
  EXPECT_GT(guessed - accepted, pairs / 10);
  double statistic = 0;
  std::vector<double> first = sharesAfter(prompt, kept);
  for (size_t a = 0; a < FAKE_VOCAB; ++a) {
    std::vector<TokenId> longer = prompt;
    longer.push_back(TokenId(a));
    std::vector<double> second = a == FAKE_NAN_TOKEN ? std::vector<double>(FAKE_VOCAB, 0) : sharesAfter(longer, kept);
    for (size_t b = 0; b < FAKE_VOCAB; ++b) {
      double expected = pairs * first[a] * second[b], count = counts[a * FAKE_VOCAB + b];
      if (expected == 0)
        EXPECT_EQ(0, count) << a << " " << b;
      else
        statistic += (count - expected) * (count - expected) / expected;
    }
  }
  EXPECT_LT(statistic, 35.0);
}

TEST(GenerateGuesses, RefuseBadOptions) {
  auto context = makeContext();
  Story many(repetitive), both(repetitive), other(repetitive), none(repetitive);
  many.sampler.lookup_tokens = 65;
  EXPECT_EQ("lookup: want 0 … 64 tokens, got 65", many.fails(*context));
  llmc_context draftContext{makeContext()};
  llmc_draft draft = draftOf(draftContext);
  both.sampler.lookup_tokens = 2, both.options.draft = &draft;
  EXPECT_EQ("lookup: want one kind of guesses, got a draft model too", both.fails(*context));
  draft.vocab = 65, other.options.draft = &draft;
  EXPECT_EQ("draft model: want the vocabulary of the model, 64 tokens, got 65", other.fails(*context));
  draft.eval = nullptr, none.options.draft = &draft;
  EXPECT_EQ("draft model: want a context and the functions of its library, got NULL", none.fails(*context));
}

} // namespace
} // namespace llmc
