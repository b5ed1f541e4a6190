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

// Ties, penalties that reorder, ids that were recent and are far back: what is drawn from the best is what is drawn from all.
TEST(Sampler, DrawsFromTheBestAsFromAll) {
  for (float temperature : {0.0f, 0.7f, 30.0f})
    for (float penalty : {1.0f, 1.1f, 3.0f})
      for (int topK : {1, 40}) {
        SamplerOptions options{.temperature = temperature, .topK = topK, .topP = 0.95f, .minP = 0.02f, .repeatPenalty = penalty, .repeatLastN = 24, .seed = 3};
        Sampler all(options), best(options);
        std::vector<float> logits(3001);
        for (int round = 0; round < 40; ++round) {
          for (size_t i = 0; i < logits.size(); ++i)
            logits[i] = float((i + size_t(round) * 97) * 2654435761u >> 5 & 255) / 16 - 8;
          std::vector<ScoredToken> kept;
          keepBest(logits, best.bestNeeded(logits.size()), kept);
          ASSERT_GE(kept.size(), temperature == 0 ? 1u : size_t(topK));
          TokenId drawn = *all.next(logits);
          ASSERT_EQ(drawn, *best.nextOf(kept)) << temperature << " " << penalty << " " << topK;
          for (Sampler *sampler : {&all, &best})
            sampler->accept(drawn);
        }
      }
}

TEST(Sampler, NeedsAllLogitsWhereTheBestDoNotTell) {
  auto needed = [](SamplerOptions options) { return Sampler(options).bestNeeded(1000); };
  SamplerOptions options = plain();
  EXPECT_EQ(0u, needed(options)); // neither greedy nor top-k
  options.topK = 1000;
  EXPECT_EQ(0u, needed(options)); // no cut
  options.topK = 40;
  EXPECT_EQ(40u, needed(options));
  options.repeatPenalty = 0.9f; // moves tokens forward, from wherever they are
  EXPECT_EQ(0u, needed(options));
  options.temperature = 0;
  EXPECT_EQ(0u, needed(options));
  options.repeatPenalty = 1.2f;
  Sampler sampler(options);
  EXPECT_EQ(1u, sampler.bestNeeded(1000));
  sampler.accept(5);
  EXPECT_EQ(2u, sampler.bestNeeded(1000));
  EXPECT_FALSE(sampler.nextOf({}));
}

TEST(BestTokens, OfPanelsAreThoseOfTheRow) {
  std::vector<float> logits(100, -1); // the last panel has 4 tokens
  logits[37] = logits[33] = 5, logits[99] = 4, logits[2] = 5;
  std::vector<float> panels;
  for (int32_t panel : {2, 0, 6})
    for (size_t lane = 0; lane < 16; ++lane) {
      size_t id = size_t(panel) * 16 + lane;
      panels.push_back(id < 100 ? logits[id] : -kInfinity);
    }
  std::vector<ScoredToken> ofPanels, ofRow;
  for (size_t count : {1, 3, 4, 100}) {
    keepBestOfPanels(std::vector<int32_t>{2, 0, 6}, panels.data(), 100, count, ofPanels);
    keepBest(logits, count, ofRow);
    ASSERT_EQ(std::min<size_t>(count, 36), ofPanels.size());
    for (size_t i = 0; i < std::min<size_t>(count, 4); ++i)
      EXPECT_EQ(ofRow[i].id, ofPanels[i].id) << count << " " << i;
  }
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
