// From the C ABI's options to the sampler's.
#include "runtime/engine/SamplerSetup.h"

#include "runtime/abi/tests/EngineFixture.h"

namespace llmc {
namespace {

llmc_sampler_options defaults() { return samplerDefaults(*openFake()); }

std::string refusalOf(const llmc_sampler_options &options) {
  auto made = samplerOptions(options, *openFake());
  return made ? "no error" : made.error().message;
}

TEST(SamplerSetup, DefaultsAreTheUsualChain) {
  auto made = samplerOptions(defaults(), *openFake());
  ASSERT_TRUE(made);
  EXPECT_EQ(defaultSamplerSteps(), made->steps);
  EXPECT_EQ(0.0f, made->temperature); // the fake model's generation_config: do_sample false
  EXPECT_EQ(1.0f, made->typicalP);
  EXPECT_EQ(0, made->mirostat);
  EXPECT_TRUE(made->dryBreakers.empty());
}

// A caller that knows only the members up to `seed` gets no more than those.
TEST(SamplerSetup, ZeroSwitchesLaterMembersOff) {
  llmc_sampler_options old{};
  old.struct_size = offsetof(llmc_sampler_options, beams);
  old.temperature = 1, old.top_p = 1, old.repeat_penalty = 1;
  auto made = samplerOptions(old, *openFake());
  ASSERT_TRUE(made) << made.error().message;
  Sampler sampler(*made);
  std::vector<float> logits(FAKE_VOCAB, 0.0f);
  std::vector<bool> seen(FAKE_VOCAB, false);
  for (int i = 0; i < 3000; ++i)
    seen[size_t(*sampler.next(logits))] = true;
  EXPECT_EQ(FAKE_VOCAB, std::ranges::count(seen, true));
}

TEST(SamplerSetup, ReadsOrderScheduleAndBias) {
  llmc_sampler_options options = defaults();
  options.samplers = "top_k;temperature";
  options.temperature_schedule = "0:1,8:0.5";
  llmc_logit_bias biases[] = {{3, 1.5f}, {5, -1}};
  options.logit_bias = biases;
  options.logit_bias_count = 2;
  auto made = samplerOptions(options, *openFake());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((std::vector<SamplerStep>{SamplerStep::TopK, SamplerStep::Temperature}), made->steps);
  EXPECT_EQ(2u, made->temperatureSchedule.size());
  ASSERT_EQ(2u, made->logitBias.size());
  EXPECT_EQ(1.5f, made->logitBias[0].bias);
}

// "cd" is c before d; "x!" is one token.
TEST(SamplerSetup, BreakersAreFoundInTokens) {
  auto model = openFake();
  const Tokenizer &tokenizer = **model->tokenizer();
  DryBreakers breakers;
  ASSERT_TRUE(addDryBreakers(tokenizer, "cd", breakers));
  EXPECT_EQ((DryBreakers{{2, {{3}}}}), breakers);
  breakers.clear();
  ASSERT_TRUE(addDryBreakers(tokenizer, "!", breakers));
  EXPECT_EQ((DryBreakers{{29, {{}}}}), breakers);
  breakers.clear();
  ASSERT_TRUE(addDryBreakers(tokenizer, "!ab", breakers)); // after "x!", a and b
  EXPECT_EQ((DryBreakers{{29, {{0, 1}}}}), breakers);
}

TEST(SamplerSetup, RefusesWhatItCannotRead) {
  llmc_sampler_options options = defaults();
  options.samplers = "nonsense";
  EXPECT_NE(std::string::npos, refusalOf(options).find("samplers: there is no 'nonsense'"));
  options = defaults();
  options.temperature_schedule = "1";
  EXPECT_NE(std::string::npos, refusalOf(options).find("temp-schedule: want POSITION:TEMPERATURE"));
  options = defaults();
  llmc_logit_bias bias{FAKE_VOCAB, 1};
  options.logit_bias = &bias;
  options.logit_bias_count = 1;
  EXPECT_EQ("sampler: logit-bias: token 64: the vocabulary has ids 0 … 63", refusalOf(options));
  options = defaults();
  const char *breakers[] = {""};
  options.dry_multiplier = 1;
  options.dry_sequence_breakers = breakers;
  options.dry_breaker_count = 1;
  EXPECT_NE(std::string::npos, refusalOf(options).find("dry-sequence-breaker: want 1 to 40 bytes of UTF-8 text"));
  options = defaults();
  options.mirostat = 7;
  EXPECT_NE(std::string::npos, refusalOf(options).find("mirostat: want 0, 1 or 2"));
}

} // namespace
} // namespace llmc
