// Several samples of one prompt, and their vote.
#include "runtime/engine/Generate.h"

#include "runtime/abi/tests/EngineFixture.h"
#include "runtime/engine/Vote.h"

namespace llmc {
namespace {

struct Several {
  std::vector<std::vector<TokenId>> ids;
  std::vector<std::string> texts, answers;
  std::vector<int64_t> votes;
  std::vector<int32_t> finishes;
  std::vector<TokenId> told;
  llmc_sampler_options sampler{};
  llmc_generate_options options{};
  llmc_generate_stats stats{};

  explicit Several(int64_t samples) {
    sampler.struct_size = sizeof sampler;
    sampler.temperature = 1, sampler.top_k = 4, sampler.top_p = 1, sampler.repeat_penalty = 1, sampler.seed = 40;
    options.prompt = "kl";
    options.max_tokens = 20;
    options.samples = samples;
    options.on_sequence = [](void *user, const llmc_sequence *sequence) -> int32_t {
      auto *all = static_cast<Several *>(user);
      all->ids.emplace_back(sequence->tokens, sequence->tokens + sequence->token_count);
      all->texts.emplace_back(sequence->text, size_t(sequence->text_bytes));
      all->answers.emplace_back(sequence->answer, size_t(sequence->answer_bytes));
      all->votes.push_back(sequence->votes);
      all->finishes.push_back(sequence->finish);
      return 0;
    };
    options.on_token = [](void *user, TokenId id, const float *, int64_t) -> int32_t {
      static_cast<Several *>(user)->told.push_back(id);
      return 0;
    };
  }
  Expected<void> in(Context &context) {
    options.sampler = &sampler;
    options.user = this;
    return generate(context, options, stats);
  }
  std::string fails(Context &context) {
    auto done = in(context);
    return done ? "no error" : done.error().message;
  }
};

// Each is what its seed gives alone, whatever states the model has.
TEST(GenerateSamples, AreWhatTheirSeedsGive) {
  for (const llmc_artifact *artifact : {&fake_attention, &fake_recurrent, &fake_hybrid}) {
    llmc_artifact withText = withTokenizer(*artifact);
    auto context = makeContext({.context = 100, .slots = 5, .threads = 2}, withText);
    Several several(4);
    several.options.slot = 1;
    ASSERT_TRUE(several.in(*context));
    ASSERT_EQ(4u, several.ids.size());
    for (size_t i = 0; i < 4; ++i) {
      Several alone(0);
      alone.sampler.seed += i;
      ASSERT_TRUE(alone.in(*makeContext({.context = 100, .slots = 1, .threads = 1}, withText)));
      EXPECT_EQ(alone.told, several.ids[i]) << i;
      EXPECT_EQ(LLMC_FINISH_LENGTH, several.finishes[i]);
    }
    EXPECT_NE(several.ids[0], several.ids[1]);
    EXPECT_EQ(several.ids[0], several.told);
    EXPECT_EQ(80, several.stats.generated_tokens);
    EXPECT_EQ(2, context->length(1)); // the prompt
    EXPECT_EQ(0, context->length(2));
  }
}

TEST(GenerateSamples, EndEachByItself) {
  auto context = makeContext({.context = 12, .slots = 3, .threads = 1});
  Several several(3);
  several.options.prompt = "c";
  const char *stops[] = {"a"}; // often drawn
  several.options.stop = stops;
  several.options.stop_count = 1;
  several.options.max_tokens = 0;
  ASSERT_TRUE(several.in(*context));
  int stopped = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(std::string::npos, several.texts[i].find('a')) << i;
    EXPECT_TRUE(several.finishes[i] == LLMC_FINISH_STOP || several.finishes[i] == LLMC_FINISH_CONTEXT);
    EXPECT_LE(several.ids[i].size(), 12u);
    stopped += several.finishes[i] == LLMC_FINISH_STOP;
  }
  EXPECT_GT(stopped, 0);
}

TEST(GenerateSamples, VoteForTheMostFrequentAnswer) {
  auto context = makeContext({.context = 40, .slots = 24, .threads = 1});
  Several several(24);
  several.options.max_tokens = 3;
  several.options.flags = LLMC_VOTE;
  several.options.answer = "[a-z]"; // the last letter
  ASSERT_TRUE(several.in(*context));
  int64_t most = *std::ranges::max_element(several.votes);
  EXPECT_GT(most, 1);
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(several.texts[i].substr(several.texts[i].size() - 1), several.answers[i]);
    EXPECT_EQ(std::ranges::count(several.answers, several.answers[i]), several.votes[i]);
  }
  size_t winner = size_t(std::ranges::find(several.votes, most) - several.votes.begin());
  EXPECT_EQ(several.ids[winner], several.told);
}

TEST(GenerateSamples, RefuseBadOptions) {
  auto context = makeContext({.context = 40, .slots = 2, .threads = 1});
  Several many(3), negative(-1), both(2), lonely(1), pattern(2);
  EXPECT_EQ("samples: 3 from slot 0 on need 3 slots, the context has 2", many.fails(*context));
  EXPECT_EQ("samples: want at least 0, got -1", negative.fails(*context));
  both.sampler.beams = 2;
  EXPECT_EQ("want one of beams, samples and guesses (lookup, a draft model), got several", both.fails(*context));
  lonely.options.flags = LLMC_VOTE;
  EXPECT_EQ("vote: want two samples or more, got 1", lonely.fails(*context));
  pattern.options.answer = "(";
  EXPECT_TRUE(pattern.fails(*context).starts_with("answer: ")) << pattern.fails(*context);
}

std::string answerIn(const char *text, const char *pattern = "") {
  auto finder = AnswerFinder::create(pattern);
  EXPECT_TRUE(finder) << finder.error().message;
  return finder->find(text).value();
}

TEST(AnswerFinder, TakesTheLastNumberElseTheLastLine) {
  EXPECT_EQ("42", answerIn("It is 7, no, 42."));
  EXPECT_EQ("1234567.5", answerIn("about 1,234,567.5 pounds"));
  EXPECT_EQ("-3", answerIn("so x = -3"));
  EXPECT_EQ("3", answerIn("from 5-3"));
  EXPECT_EQ("8", answerIn("+8"));
  EXPECT_EQ("7", answerIn("7 times r2d2"));
  EXPECT_EQ("yes", answerIn("I think\n  yes \n\n"));
  EXPECT_EQ("", answerIn(" \n"));
  EXPECT_EQ("", answerIn(""));
}

TEST(AnswerFinder, TakesTheLastMatchOfAPattern) {
  EXPECT_EQ("B", answerIn("not A but B, of A, B, C", "(?<=but )[A-D]"));
  EXPECT_EQ("", answerIn("nothing", "[0-9]+"));
}

TEST(CountVotes, LeavesOutWhoHasNoAnswer) {
  std::vector<std::string> answers = {"", "4", "5", "", "", "5"};
  Votes votes = countVotes(answers);
  EXPECT_EQ((std::vector<int64_t>{0, 1, 2, 0, 0, 2}), votes.counts);
  EXPECT_EQ(2u, votes.winner);
  answers = {"4", "5"};
  EXPECT_EQ(0u, countVotes(answers).winner); // of equals the first
  answers = {"", ""};
  EXPECT_EQ(0u, countVotes(answers).winner);
}

} // namespace
} // namespace llmc
