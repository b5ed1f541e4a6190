// The generation loop, and the text on its way out.
#include "runtime/engine/Generate.h"

#include "runtime/abi/tests/EngineFixture.h"
#include "runtime/engine/SamplerSetup.h"
#include "runtime/engine/TextStream.h"
#include "runtime/support/Text.h"

namespace llmc {
namespace {

struct Heard {
  std::string text;
  std::vector<TokenId> ids;
  bool allUtf8 = true;
  size_t stopAfterIds = 1000, stopAfterBytes = 1000;
};

struct Request {
  llmc_generate_options options{};
  llmc_generate_stats stats{};
  Heard heard;

  Request() {
    options.user = &heard;
    options.on_text = [](void *user, const char *text, int64_t bytes) -> int32_t {
      auto &heard = *static_cast<Heard *>(user);
      EXPECT_EQ('\0', text[bytes]);
      heard.allUtf8 &= isUtf8({text, size_t(bytes)});
      heard.text.append(text, size_t(bytes));
      return heard.text.size() >= heard.stopAfterBytes;
    };
    options.on_token = [](void *user, TokenId id, const float *logits, int64_t vocab) -> int32_t {
      auto &heard = *static_cast<Heard *>(user);
      EXPECT_GT(logits[id], 0);
      EXPECT_EQ(FAKE_VOCAB, vocab);
      heard.ids.push_back(id);
      return heard.ids.size() >= heard.stopAfterIds;
    };
  }
  Expected<void> run(Context &context) { return generate(context, options, stats); }
  std::string fails(Context &context) {
    auto done = run(context);
    return done ? "no error" : done.error().message;
  }
};

TEST(Generate, ContinuesTextUntilMaxTokens) {
  auto context = makeContext();
  Request request;
  request.options.prompt = "ab";
  request.options.max_tokens = 4;
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ("cdef", request.heard.text);
  EXPECT_EQ(LLMC_FINISH_LENGTH, request.stats.finish);
  EXPECT_EQ(2, request.stats.prompt_tokens);
  EXPECT_EQ(4, request.stats.generated_tokens);
  EXPECT_EQ(5, context->length(0)); // the last token drawn was not evaluated
}

// The best tokens alone decide as all logits do: greedily, drawn, and with a penalty.
TEST(Generate, WithoutLogitsDrawsTheSame) {
  for (float temperature : {0.0f, 1.5f})
    for (float penalty : {1.0f, 1.3f, 0.9f}) {
      llmc_sampler_options sampler{};
      sampler.struct_size = sizeof sampler;
      sampler.temperature = temperature, sampler.top_k = 9, sampler.top_p = 0.97f, sampler.min_p = 0.01f;
      sampler.repeat_penalty = penalty, sampler.repeat_last_n = 16, sampler.seed = 77;
      Request with, without;
      for (Request *request : {&with, &without}) {
        request->options.prompt = "ab";
        request->options.max_tokens = 60;
        request->options.sampler = &sampler;
        request->options.flags |= LLMC_IGNORE_EOS;
      }
      without.options.flags |= LLMC_NO_LOGITS;
      without.options.on_token = [](void *user, TokenId id, const float *logits, int64_t vocab) -> int32_t {
        EXPECT_EQ(nullptr, logits);
        EXPECT_EQ(0, vocab);
        static_cast<Heard *>(user)->ids.push_back(id);
        return 0;
      };
      with.options.on_token = [](void *user, TokenId id, const float *, int64_t) -> int32_t {
        static_cast<Heard *>(user)->ids.push_back(id);
        return 0;
      };
      ASSERT_TRUE(with.run(*makeContext()));
      ASSERT_TRUE(without.run(*makeContext()));
      EXPECT_EQ(60u, with.heard.ids.size());
      EXPECT_EQ(with.heard.ids, without.heard.ids) << temperature << " " << penalty;
    }
}

TEST(Generate, StopsAtAStopTokenAndTellsIt) {
  auto context = makeContext();
  Request request;
  TokenId prompt[] = {36};
  request.options.tokens = prompt;
  request.options.token_count = 1;
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ((std::vector<TokenId>{37, 38, 39, 40}), request.heard.ids);
  EXPECT_EQ("[37][38][39]", request.heard.text);
  EXPECT_EQ(LLMC_FINISH_EOS, request.stats.finish);
}

TEST(Generate, IgnoresStopTokensWhenAsked) {
  auto context = makeContext();
  Request request;
  TokenId prompt[] = {38};
  request.options.tokens = prompt;
  request.options.token_count = 1;
  request.options.max_tokens = 3;
  request.options.flags = LLMC_IGNORE_EOS | LLMC_SHOW_SPECIAL;
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ("[39]</s>[41]", request.heard.text);
}

TEST(Generate, HandsOutWholeCharacters) {
  auto context = makeContext();
  Request request;
  request.options.prompt = "y";
  request.options.max_tokens = 6; // z, three bytes of a euro sign, x!, a stray byte
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ("z€x!\xef\xbf\xbd", request.heard.text);
  EXPECT_TRUE(request.heard.allUtf8);
}

TEST(Generate, StopStringsMayCrossTokens) {
  auto context = makeContext();
  Request request;
  const char *stops[] = {"zzz", "fgh"};
  request.options.prompt = "b";
  request.options.stop = stops;
  request.options.stop_count = 2;
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ("cde", request.heard.text);
  EXPECT_EQ(LLMC_FINISH_STOP, request.stats.finish);
}

TEST(Generate, CallbacksStop) {
  auto context = makeContext();
  Request byIds, byText, byPrompt;
  byIds.options.prompt = byText.options.prompt = byPrompt.options.prompt = "b";
  byIds.heard.stopAfterIds = 2;
  byText.heard.stopAfterBytes = 3;
  byPrompt.options.on_prompt = [](void *, int64_t done, int64_t total) -> int32_t { return done == total; };
  ASSERT_TRUE(byIds.run(*context) && byText.run(*context) && byPrompt.run(*context));
  EXPECT_EQ(LLMC_FINISH_CALLBACK, byIds.stats.finish);
  EXPECT_EQ(2, byIds.stats.generated_tokens);
  EXPECT_EQ("cde", byText.heard.text);
  EXPECT_EQ(LLMC_FINISH_CALLBACK, byText.stats.finish);
  EXPECT_EQ(0, byPrompt.stats.generated_tokens);
  EXPECT_EQ(LLMC_FINISH_CALLBACK, byPrompt.stats.finish);
}

TEST(Generate, CancelIsAFinishNotAnError) {
  auto context = makeContext();
  context->setCancel(true);
  Request request;
  request.options.prompt = "b";
  ASSERT_TRUE(request.run(*context));
  EXPECT_EQ(LLMC_FINISH_CANCELLED, request.stats.finish);
}

TEST(Generate, ReusesTheCommonPrefix) {
  auto context = makeContext(), fresh = makeContext();
  Request first, again, other;
  first.options.prompt = "abcde";
  first.options.max_tokens = again.options.max_tokens = other.options.max_tokens = 4;
  ASSERT_TRUE(first.run(*context));
  EXPECT_EQ(0, first.stats.cached_tokens);
  again.options.prompt = "abcdefgh"; // 5 of the prompt and 3 generated: all are there, one is evaluated again
  ASSERT_TRUE(again.run(*context));
  EXPECT_EQ(7, again.stats.cached_tokens);
  EXPECT_EQ("ijkl", again.heard.text);
  other.options.prompt = "abx";
  ASSERT_TRUE(other.run(*context));
  EXPECT_EQ(2, other.stats.cached_tokens);
  ASSERT_TRUE(other.run(*fresh));
  EXPECT_EQ(evalRows(*fresh, {1}), evalRows(*context, {1}));
}

TEST(Generate, ContextIsNeverExceeded) {
  auto context = makeContext({.context = 20, .slots = 1, .threads = 1});
  Request full, tooLong;
  auto ids = countingTokens(20);
  full.options.tokens = ids.data();
  full.options.token_count = 18;
  full.options.flags = LLMC_IGNORE_EOS;
  ASSERT_TRUE(full.run(*context));
  EXPECT_EQ(LLMC_FINISH_CONTEXT, full.stats.finish);
  EXPECT_EQ(3, full.stats.generated_tokens);
  ids = countingTokens(21);
  tooLong.options.tokens = ids.data();
  tooLong.options.token_count = 21;
  EXPECT_EQ("prompt: it has 21 tokens, the context has room for 20; use -c 22", tooLong.fails(*context));
}

TEST(Generate, RefusesBadOptions) {
  auto context = makeContext();
  Request none, both, slot, stop, sampler;
  EXPECT_EQ("prompt: want text or at least one token, got none", none.fails(*context));
  TokenId id[] = {1};
  both.options.prompt = "a";
  both.options.tokens = id;
  EXPECT_EQ("prompt: want text or tokens, got both", both.fails(*context));
  slot.options.slot = -1;
  EXPECT_EQ("slot -1: the context has slots 0 … 2", slot.fails(*context));
  const char *stops[] = {""};
  stop.options.prompt = "a";
  stop.options.stop = stops;
  stop.options.stop_count = 1;
  EXPECT_EQ("stop: want UTF-8 text, got ''", stop.fails(*context));
  llmc_sampler_options negative = samplerDefaults(context->model());
  negative.temperature = -1;
  sampler.options.prompt = "a";
  sampler.options.sampler = &negative;
  EXPECT_NE("no error", sampler.fails(*context));
}

TEST(TextStream, HoldsBackWhatMayBecomeAStop) {
  TextStream stream({"\n\nUser:", "END"});
  EXPECT_EQ("one", stream.push("one\n"));
  EXPECT_EQ("", stream.push("\n"));
  EXPECT_EQ("\n", stream.push("\nUse"));
  EXPECT_EQ("\n\nUseful ", stream.push("ful E"));
  EXPECT_EQ("", stream.push("N"));
}

TEST(TextStream, FindsTheEarliestStop) {
  TextStream stream({"cd", "bcde"});
  EXPECT_EQ("a", stream.push("abcdef"));
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ("", stream.push("more"));
  EXPECT_EQ("", stream.flush());
}

TEST(TextStream, FlushGivesWhatWasHeld) {
  TextStream stream({"END"});
  EXPECT_EQ("the ", stream.push("the EN"));
  EXPECT_EQ("EN", stream.flush());
}

TEST(RepairUtf8, ReplacesOnlyWhatIsBroken) {
  EXPECT_EQ("a€b", repairUtf8("a€b"));
  EXPECT_EQ("a\xef\xbf\xbd€", repairUtf8("a\x82€"));
  EXPECT_EQ("\xef\xbf\xbd\xef\xbf\xbd", repairUtf8("\xe2\x82"));
}

TEST(GenerationConfig, SaysWhetherToSample) {
  EXPECT_EQ(0.0f, parseGenerationConfig(R"({"do_sample": false, "temperature": 0.6})")->sampler.temperature);
  auto sampling = parseGenerationConfig(R"({"do_sample": true, "temperature": 0.6, "top_k": 20})");
  EXPECT_EQ(0.6f, sampling->sampler.temperature);
  EXPECT_EQ(20, sampling->sampler.topK);
  EXPECT_EQ(1.0f, sampling->sampler.topP);
  EXPECT_EQ(SamplerOptions().topP, parseGenerationConfig("{}")->sampler.topP);
  EXPECT_EQ((std::vector<TokenId>{7}), parseGenerationConfig(R"({"eos_token_id": 7})")->stopTokens);
  EXPECT_FALSE(parseGenerationConfig("{}")->stopTokens);
  EXPECT_FALSE(parseGenerationConfig(R"({"eos_token_id": [1, "x"]})"));
  EXPECT_FALSE(parseGenerationConfig(R"({"top_p": -3})"));
  EXPECT_FALSE(parseGenerationConfig("{"));
}

TEST(GenerationConfig, SaysHowBeamsAreScored) {
  auto never = parseGenerationConfig(R"({"length_penalty": 2.0, "early_stopping": "never"})");
  EXPECT_EQ(2.0f, never->lengthPenalty);
  EXPECT_EQ(EarlyStopping::Never, never->earlyStopping);
  EXPECT_EQ(EarlyStopping::Always, parseGenerationConfig(R"({"early_stopping": true})")->earlyStopping);
  EXPECT_EQ(EarlyStopping::Heuristic, parseGenerationConfig("{}")->earlyStopping);
  EXPECT_EQ(1.0f, parseGenerationConfig("{}")->lengthPenalty);
}

} // namespace
} // namespace llmc
