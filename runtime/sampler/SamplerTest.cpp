#include "runtime/sampler/Sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace llmc {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Everything off: draws from softmax(logits).
SamplerOptions plain(uint64_t seed = 1) {
  return {.temperature = 1, .topK = 0, .topP = 1, .minP = 0, .repeatPenalty = 1, .repeatLastN = 64, .seed = seed};
}

std::vector<float> logitsOf(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (double p : probabilities)
    logits.push_back(float(std::log(p)));
  return logits;
}

// How often each token is drawn.
std::map<TokenId, double> frequencies(SamplerOptions options, const std::vector<float> &logits, int draws = 40000) {
  Sampler sampler(options);
  std::map<TokenId, double> counts;
  for (int i = 0; i < draws; ++i)
    counts[sampler.next(logits).value()] += 1.0 / draws;
  return counts;
}

TEST(Sampler, ZeroTemperatureTakesTheFirstMaximum) {
  SamplerOptions options = plain();
  options.temperature = 0;
  Sampler sampler(options);
  EXPECT_EQ(*sampler.next(std::vector<float>{1, 5, 5, 2}), 1);
  EXPECT_EQ(*sampler.next(std::vector<float>{-kInfinity, -3}), 1);
  EXPECT_EQ(*sampler.next(std::vector<float>{-kInfinity, -kInfinity}), 0);
}

TEST(Sampler, RefusesEmptyAndNan) {
  Sampler sampler(plain());
  EXPECT_EQ(sampler.next({}).error().code, ErrorCode::InvalidInput);
  auto bad = sampler.next(std::vector<float>{0, std::nanf("")});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("NaN"), std::string::npos);
}

TEST(Sampler, DrawsFromTheSoftmax) {
  auto drawn = frequencies(plain(), logitsOf({0.5, 0.3, 0.15, 0.05}));
  EXPECT_NEAR(drawn[0], 0.5, 0.012);
  EXPECT_NEAR(drawn[1], 0.3, 0.012);
  EXPECT_NEAR(drawn[2], 0.15, 0.01);
  EXPECT_NEAR(drawn[3], 0.05, 0.006);
}

TEST(Sampler, TemperatureSharpens) {
  // Halving the temperature squares the weights: 0.25 : 0.09 : 0.04.
  SamplerOptions options = plain();
  options.temperature = 0.5;
  auto drawn = frequencies(options, logitsOf({0.5, 0.3, 0.2}));
  EXPECT_NEAR(drawn[0], 0.25 / 0.38, 0.012);
  EXPECT_NEAR(drawn[1], 0.09 / 0.38, 0.012);
  EXPECT_NEAR(drawn[2], 0.04 / 0.38, 0.012);
}

TEST(Sampler, TopKKeepsTheBest) {
  SamplerOptions options = plain();
  options.topK = 2;
  auto drawn = frequencies(options, logitsOf({0.1, 0.3, 0.2, 0.4}));
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_NEAR(drawn[3], 4.0 / 7, 0.012);
  EXPECT_NEAR(drawn[1], 3.0 / 7, 0.012);
}

TEST(Sampler, TopKOfEqualLogitsKeepsTheFirst) {
  SamplerOptions options = plain();
  options.topK = 3;
  std::vector<float> logits(1000, 2.0f);
  auto drawn = frequencies(options, logits, 3000);
  EXPECT_EQ(drawn.size(), 3u);
  EXPECT_TRUE(drawn.contains(0) && drawn.contains(1) && drawn.contains(2));
}

TEST(Sampler, TopPKeepsTheNucleus) {
  // 0.4 + 0.3 reach 0.6, so the third is out.
  SamplerOptions options = plain();
  options.topP = 0.6f;
  auto drawn = frequencies(options, logitsOf({0.1, 0.3, 0.2, 0.4}));
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_NEAR(drawn[3], 4.0 / 7, 0.012);
  options.topP = 0;
  EXPECT_EQ(frequencies(options, logitsOf({0.1, 0.3, 0.2, 0.4}), 100).size(), 1u);
}

TEST(Sampler, TopPReachesBeyondTheFirstCandidates) {
  // 2000 equal tokens: half of the mass is the first 1000 of them.
  SamplerOptions options = plain();
  options.topP = 0.5f;
  auto drawn = frequencies(options, std::vector<float>(2000, 1.0f), 12000);
  EXPECT_EQ(drawn.size(), 1000u);
  EXPECT_EQ(drawn.rbegin()->first, 999);
}

TEST(Sampler, TopPCountsWhatTopKLeft) {
  // Of {0.4, 0.3, 0.2} the shares are 4/9 and 3/9: two of them reach 0.7, where of all four they would not quite.
  SamplerOptions options = plain();
  options.topK = 3;
  options.topP = 0.71f;
  EXPECT_EQ(frequencies(options, logitsOf({0.4, 0.3, 0.2, 0.1}), 4000).size(), 2u);
  options.topK = 0;
  EXPECT_EQ(frequencies(options, logitsOf({0.4, 0.3, 0.2, 0.1}), 4000).size(), 3u);
}

TEST(Sampler, MinPIsRelativeToTheBest) {
  // 0.2 is at least 0.45 of 0.4; 0.1 is not.
  SamplerOptions options = plain();
  options.minP = 0.45f;
  auto drawn = frequencies(options, logitsOf({0.1, 0.3, 0.2, 0.4}));
  EXPECT_EQ(drawn.size(), 3u);
  EXPECT_NEAR(drawn[2], 2.0 / 9, 0.012);
}

TEST(Sampler, PenaltyActsOnRecentTokensOnce) {
  SamplerOptions options = plain();
  options.temperature = 0;
  options.repeatPenalty = 2;
  options.repeatLastN = 2;
  Sampler sampler(options);
  std::vector<float> logits = {4, 3, -1, -1.5f};
  sampler.accept(0);
  sampler.accept(0);
  EXPECT_EQ(*sampler.next(logits), 1); // 4 / 2 < 3
  std::vector<float> twice = {4, 1.5f, 0, 0};
  EXPECT_EQ(*sampler.next(twice), 0); // 4 / 2, not 4 / 4
  std::vector<float> negative = {-1, -1.5f};
  EXPECT_EQ(*sampler.next(negative), 1); // -1 * 2 < -1.5
  sampler.accept(3);
  sampler.accept(3);
  EXPECT_EQ(*sampler.next(logits), 0); // token 0 is two tokens back no more
  sampler.reset();
  EXPECT_EQ(*sampler.next(logits), 0);
}

TEST(Sampler, PenaltyCanLookBackOnEverything) {
  SamplerOptions options = plain();
  options.temperature = 0;
  options.repeatPenalty = 2;
  options.repeatLastN = -1;
  Sampler sampler(options);
  sampler.accept(0);
  for (int i = 0; i < 500; ++i)
    sampler.accept(2);
  EXPECT_EQ(*sampler.next(std::vector<float>{4, 3, 0}), 1);
}

TEST(Sampler, IgnoresIdsOutsideOfTheLogits) {
  SamplerOptions options = plain();
  options.repeatPenalty = 2;
  Sampler sampler(options);
  sampler.accept(-1);
  sampler.accept(1000);
  EXPECT_TRUE(sampler.next(std::vector<float>{1, 2}));
}

TEST(Sampler, SeedsDecide) {
  auto logits = logitsOf(std::vector<double>(50, 0.02));
  auto draw = [&](Sampler &sampler) {
    std::vector<TokenId> ids;
    for (int i = 0; i < 20; ++i)
      ids.push_back(*sampler.next(logits));
    return ids;
  };
  Sampler a(plain(7)), b(plain(7)), c(plain(8));
  auto first = draw(a);
  EXPECT_EQ(first, draw(b));
  EXPECT_NE(first, draw(c));
  a.reset();
  EXPECT_EQ(first, draw(a));
}

// mt19937_64 is fixed by the standard; so are the tokens.
TEST(Sampler, DrawsTheSameEverywhere) {
  Sampler sampler(plain(5489));
  // The generator's first number is 14514284786278117030, 0.78682 of the range.
  std::vector<float> logits(10, 0.0f);
  EXPECT_EQ(*sampler.next(logits), 7);
}

TEST(Sampler, InfiniteLogitsShareTheDraw) {
  auto drawn = frequencies(plain(), {kInfinity, 0, kInfinity}, 2000);
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_FALSE(drawn.contains(1));
}

// Ties within and across the blocks that the search goes by; a vocabulary that is no multiple of them.
TEST(Sampler, FindsWhatSortingFinds) {
  std::vector<float> logits(9001);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = float((i * 2654435761u >> 7) % 700) - 350;
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
    return std::pair(-logits[size_t(a)], a) < std::pair(-logits[size_t(b)], b);
  });
  SamplerOptions options = plain();
  options.temperature = 0;
  EXPECT_EQ(*Sampler(options).next(logits), order[0]);
  options.temperature = 1000; // all about equally likely
  options.topK = 30;
  auto drawn = frequencies(options, logits, 3000);
  EXPECT_EQ(drawn.size(), 30u);
  for (size_t i = 0; i < 30; ++i)
    EXPECT_TRUE(drawn.contains(order[i])) << order[i];
}

TEST(Sampler, KeepsUpWithALargeVocabulary) {
  std::vector<float> logits(262144);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = float((i * 2654435761u) % 100003) / 5000.0f;
  SamplerOptions options; // the defaults
  Sampler sampler(options);
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(sampler.next(logits));
}

TEST(SamplerOptions, AreValidated) {
  EXPECT_TRUE(validate({}));
  auto refuses = [](auto change, const char *name) {
    SamplerOptions options;
    change(options);
    auto result = validate(options);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, ErrorCode::InvalidInput);
    EXPECT_NE(result.error().message.find(name), std::string::npos) << result.error().message;
  };
  refuses([](auto &o) { o.temperature = -1; }, "temperature");
  refuses([](auto &o) { o.temperature = kInfinity; }, "temperature");
  refuses([](auto &o) { o.topK = -1; }, "top-k");
  refuses([](auto &o) { o.topP = 1.5f; }, "top-p");
  refuses([](auto &o) { o.minP = -0.1f; }, "min-p");
  refuses([](auto &o) { o.repeatPenalty = 0; }, "repeat-penalty");
  refuses([](auto &o) { o.repeatLastN = -2; }, "repeat-last-n");
}

} // namespace
} // namespace llmc
