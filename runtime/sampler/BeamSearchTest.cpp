#include "runtime/sampler/BeamSearch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llmc {
namespace {

constexpr size_t vocab = 24;

// The model of make_beam_golden.py: logits depend on the last token alone.
std::vector<float> logitsAfter(TokenId last, uint32_t levels, float scale) {
  std::vector<float> logits;
  for (uint32_t token = 0; token < vocab; ++token)
    logits.push_back(float(((uint32_t(last) * 2654435761u + token * 40503u + 12345u) >> 7) % levels) / scale);
  return logits;
}

std::vector<BeamSearch::Finished> search(BeamOptions options, uint32_t levels, float scale) {
  EXPECT_TRUE(validate(options));
  BeamSearch search(options);
  while (!search.isDone()) {
    for (size_t i = 0; i < search.live().size(); ++i) {
      const auto &tokens = search.live()[i].tokens;
      EXPECT_TRUE(search.addRow(i, logitsAfter(tokens.empty() ? 3 : tokens.back(), levels, scale)));
    }
    search.advance();
  }
  return search.best();
}

struct Golden {
  uint32_t levels;
  float scale;
  BeamOptions options;
  std::vector<BeamSearch::Finished> found;
};
const std::vector<Golden> goldens = {
#include "runtime/sampler/testdata/BeamGolden.inc"
};

TEST(BeamSearch, FindsWhatTransformersFinds) {
  ASSERT_FALSE(goldens.empty());
  for (size_t i = 0; i < goldens.size(); ++i) {
    auto found = search(goldens[i].options, goldens[i].levels, goldens[i].scale);
    ASSERT_EQ(goldens[i].found.size(), found.size()) << i;
    for (size_t beam = 0; beam < found.size(); ++beam) {
      EXPECT_EQ(goldens[i].found[beam].tokens, found[beam].tokens) << i << " " << beam;
      EXPECT_NEAR(goldens[i].found[beam].score, found[beam].score, 1e-5 * std::abs(found[beam].score) + 1e-6) << i << " " << beam;
    }
  }
}

// With as many beams as there are sequences, the search is exhaustive.
TEST(BeamSearch, FindsTheLikeliestOfAllWithEnoughBeams) {
  constexpr uint32_t levels = 1009;
  constexpr float scale = 150;
  auto logProbabilities = [](TokenId last) {
    std::vector<float> logits = logitsAfter(last, levels, scale);
    double sum = 0;
    for (float logit : logits)
      sum += std::exp(double(logit));
    for (float &logit : logits)
      logit = float(double(logit) - std::log(sum));
    return logits;
  };
  std::vector<float> first = logProbabilities(3);
  double likeliest = -1e9;
  std::vector<TokenId> best;
  for (TokenId a = 0; a < TokenId(vocab); ++a) {
    std::vector<float> second = logProbabilities(a);
    for (TokenId b = 0; b < TokenId(vocab); ++b)
      if (double sum = double(first[size_t(a)]) + double(second[size_t(b)]); sum > likeliest)
        likeliest = sum, best = {a, b};
  }
  auto found = search({.beams = 200, .lengthPenalty = 0, .maxTokens = 2}, levels, scale);
  ASSERT_EQ(200u, found.size());
  EXPECT_EQ(best, found.front().tokens);
  EXPECT_NEAR(likeliest, found.front().score, 1e-5);
}

TEST(BeamSearch, OneBeamIsGreedy) {
  auto found = search({.beams = 1, .maxTokens = 10}, 1009, 100);
  std::vector<TokenId> greedy;
  for (TokenId last = 3; greedy.size() < 10; greedy.push_back(last)) {
    std::vector<ScoredToken> best;
    keepBest(logitsAfter(last, 1009, 100), 1, best);
    last = best[0].id;
  }
  ASSERT_EQ(1u, found.size());
  EXPECT_EQ(greedy, found[0].tokens);
}

TEST(BeamSearch, OfEqualScoresTheEarlierBeamThenTheLowerIdComesFirst) {
  BeamSearch search({.beams = 3, .maxTokens = 2});
  std::vector<float> equal(5, 1.0f);
  ASSERT_TRUE(search.addRow(0, equal));
  search.advance();
  ASSERT_EQ(3u, search.live().size());
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ((std::vector<TokenId>{TokenId(i)}), search.live()[i].tokens);
  for (size_t i = 0; i < 3; ++i)
    ASSERT_TRUE(search.addRow(i, equal));
  search.advance();
  EXPECT_TRUE(search.isDone());
  ASSERT_EQ(3u, search.best().size());
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ((std::vector<TokenId>{0, TokenId(i)}), search.best()[i].tokens);
}

TEST(BeamSearch, WorksWithFewerTokensThanBeams) {
  BeamSearch search({.beams = 4, .maxTokens = 2});
  std::vector<float> two = {0, 1};
  ASSERT_TRUE(search.addRow(0, two));
  search.advance();
  ASSERT_EQ(2u, search.live().size());
  for (size_t i = 0; i < 2; ++i)
    ASSERT_TRUE(search.addRow(i, two));
  search.advance();
  EXPECT_TRUE(search.isDone());
  EXPECT_EQ(4u, search.best().size());
}

TEST(BeamSearch, RefusesWhatHasNoProbabilities) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  BeamSearch search({.beams = 2, .maxTokens = 2});
  for (const std::vector<float> &row : {std::vector<float>{}, {infinity, 0}, {-infinity, -infinity}}) {
    auto added = search.addRow(0, row);
    ASSERT_FALSE(added);
    EXPECT_EQ(ErrorCode::InvalidInput, added.error().code);
  }
}

TEST(BeamOptions, AreValidated) {
  auto refuses = [](BeamOptions options, const char *name) {
    auto result = validate(options);
    ASSERT_FALSE(result) << name;
    EXPECT_NE(std::string::npos, result.error().message.find(name)) << result.error().message;
  };
  refuses({.beams = 0, .maxTokens = 1}, "beams");
  refuses({.beams = 257, .maxTokens = 1}, "beams");
  refuses({.beams = 2, .lengthPenalty = std::numeric_limits<float>::infinity(), .maxTokens = 1}, "length-penalty");
  refuses({.beams = 2, .earlyStopping = EarlyStopping(3), .maxTokens = 1}, "early-stopping");
  refuses({.beams = 2, .maxTokens = 0}, "at least one token");
}

} // namespace
} // namespace llmc
