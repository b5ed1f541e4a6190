// Each part of the sampler's chain against the distribution that its definition gives, computed here anew and without haste: 100,000 draws, by
// Pearson's chi-squared. Seeds are fixed, so a test that passes passes always.
#include "runtime/sampler/Repetition.h"
#include "runtime/sampler/Sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace llmc {
namespace {

constexpr int draws = 100000;
constexpr size_t vocab = 40;
constexpr float infinity = std::numeric_limits<float>::infinity();

// ---- Statistics -----------------------------------------------------------------------------------------------------

// What chi-squared exceeds once in a million times: Wilson and Hilferty's approximation.
double criticalValue(double freedom) {
  double z = 4.753424, a = 2 / (9 * freedom);
  return freedom * std::pow(1 - a + z * std::sqrt(a), 3);
}

// Whether counts may come from a distribution with these expectations. Cells of little expectation count as one; what can't be may not be.
bool fits(const std::vector<double> &counts, const std::vector<double> &expected) {
  double statistic = 0, restCount = 0, restExpected = 0;
  int cells = 0;
  auto add = [&](double count, double expectation) { statistic += (count - expectation) * (count - expectation) / expectation, ++cells; };
  for (size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0 && counts[i] > 0)
      return false;
    if (expected[i] >= 10)
      add(counts[i], expected[i]);
    else
      restCount += counts[i], restExpected += expected[i];
  }
  if (restExpected > 0)
    add(restCount, std::max(restExpected, 1e-3));
  return cells < 2 ? std::abs(restCount - restExpected) < 10 : statistic < criticalValue(cells - 1);
}

// ---- The definitions ------------------------------------------------------------------------------------------------

using Row = std::vector<double>; // logits; -infinity: can't be drawn

std::vector<float> someLogits(uint32_t salt = 1) {
  std::vector<float> logits;
  for (uint32_t i = 0; i < vocab; ++i)
    logits.push_back(float((i * 2654435761u + salt * 40503u) >> 8 & 1023) / 1023 * 6 - 3);
  return logits;
}

Row rowOf(const std::vector<float> &logits) { return {logits.begin(), logits.end()}; }

Row softmax(const Row &row) {
  double most = *std::ranges::max_element(row), total = 0;
  Row shares;
  for (double logit : row)
    shares.push_back(std::exp(logit - most)), total += shares.back();
  for (double &share : shares)
    share /= total;
  return shares;
}

std::vector<size_t> byLogit(const Row &row) {
  std::vector<size_t> order(row.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::sort(order, [&](size_t a, size_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  return order;
}

Row keepOnly(const Row &row, const std::vector<size_t> &kept) {
  Row left(row.size(), -HUGE_VAL);
  for (size_t i : kept)
    left[i] = row[i];
  return left;
}

Row scaled(Row row, double temperature) {
  for (double &logit : row)
    logit /= temperature;
  return row;
}

double entropyOf(const Row &shares) {
  double sum = 0;
  for (double share : shares)
    sum -= share > 0 ? share * std::log(share) : 0;
  return sum;
}

// ---- Drawing --------------------------------------------------------------------------------------------------------

SamplerOptions plain() {
  SamplerOptions options;
  options.temperature = 1, options.topK = 0, options.topP = 1, options.minP = 0, options.seed = 20;
  return options;
}

std::vector<double> countsOf(const SamplerOptions &options, const std::vector<float> &logits, const std::vector<TokenId> &history = {}) {
  EXPECT_TRUE(validate(options));
  Sampler sampler(options);
  for (TokenId id : history)
    sampler.accept(id);
  std::vector<double> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i)
    ++counts[size_t(sampler.next(logits).value())];
  return counts;
}

std::vector<double> timesDraws(Row shares) {
  for (double &share : shares)
    share *= draws;
  return shares;
}

// Draws have the expected shares, and not those of the plain softmax.
void expectDistribution(const SamplerOptions &options, const Row &shares, const std::vector<TokenId> &history = {}) {
  std::vector<double> counts = countsOf(options, someLogits(), history);
  EXPECT_TRUE(fits(counts, timesDraws(shares)));
  EXPECT_FALSE(fits(counts, timesDraws(softmax(rowOf(someLogits()))))) << "the part under test does nothing here";
}

TEST(SamplerChain, TheTestItselfTellsDistributionsApart) {
  std::vector<double> counts = countsOf(plain(), someLogits());
  EXPECT_TRUE(fits(counts, timesDraws(softmax(rowOf(someLogits())))));
  EXPECT_FALSE(fits(counts, timesDraws(softmax(scaled(rowOf(someLogits()), 1.1)))));
  std::vector<double> impossible = timesDraws(softmax(rowOf(someLogits())));
  impossible[0] = 0;
  EXPECT_FALSE(fits(counts, impossible));
}

TEST(SamplerChain, Penalties) {
  SamplerOptions options = plain();
  options.repeatPenalty = 1.3f, options.presencePenalty = 0.4f, options.frequencyPenalty = 0.25f, options.repeatLastN = 6;
  std::vector<TokenId> history = {30, 30, 7, 3, 7, 9, 7, 12};
  Row row = rowOf(someLogits());
  for (auto [id, count] : std::vector<std::pair<size_t, int>>{{7, 3}, {3, 1}, {9, 1}, {12, 1}}) {
    row[id] = row[id] > 0 ? row[id] / 1.3 : row[id] * 1.3;
    row[id] -= 0.4 + 0.25 * count;
  }
  expectDistribution(options, softmax(row), history);
}

TEST(SamplerChain, LogitBias) {
  SamplerOptions options = plain();
  options.logitBias = {{3, 1.5f}, {8, -infinity}, {9, -0.5f}, {3, 0.25f}, {1000, 5}};
  Row row = rowOf(someLogits());
  row[3] += 1.75, row[8] = -HUGE_VAL, row[9] -= 0.5;
  expectDistribution(options, softmax(row));
}

TEST(SamplerChain, NoRepeatNgram) {
  SamplerOptions options = plain();
  options.noRepeatNgram = 3;
  std::vector<TokenId> history = {5, 6, 11, 2, 5, 6, 13, 4, 5, 6};
  Row row = rowOf(someLogits());
  row[11] = row[13] = -HUGE_VAL;
  expectDistribution(options, softmax(row), history);
}

TEST(SamplerChain, NoRepeatOfSingleTokens) {
  SamplerOptions options = plain();
  options.noRepeatNgram = 1;
  Row row = rowOf(someLogits());
  row[5] = row[0] = -HUGE_VAL;
  expectDistribution(options, softmax(row), {5, 0, 5});
}

TEST(SamplerChain, Typical) {
  for (float mass : {0.2f, 0.6f, 0.95f}) {
    SamplerOptions options = plain();
    options.typicalP = mass;
    Row row = rowOf(someLogits()), shares = softmax(row);
    double mean = entropyOf(shares);
    std::vector<size_t> order = byLogit(row), kept;
    std::ranges::sort(order, {}, [&](size_t i) { return std::abs(-std::log(shares[i]) - mean); });
    double sum = 0;
    for (size_t i : order) {
      kept.push_back(i);
      sum += shares[i];
      if (sum > double(mass))
        break;
    }
    expectDistribution(options, softmax(keepOnly(row, kept)));
  }
}

TEST(SamplerChain, TopNSigma) {
  SamplerOptions options = plain();
  options.topNSigma = 1.2f;
  Row row = rowOf(someLogits());
  double mean = std::accumulate(row.begin(), row.end(), 0.0) / vocab, squares = 0;
  for (double logit : row)
    squares += (logit - mean) * (logit - mean);
  double least = *std::ranges::max_element(row) - double(1.2f) * std::sqrt(squares / vocab);
  std::vector<size_t> kept;
  for (size_t i = 0; i < vocab; ++i)
    if (row[i] >= least)
      kept.push_back(i);
  EXPECT_LT(kept.size(), vocab);
  expectDistribution(options, softmax(keepOnly(row, kept)));
}

TEST(SamplerChain, Xtc) {
  SamplerOptions options = plain();
  options.xtcProbability = 0.4f, options.xtcThreshold = 0.06f;
  Row row = rowOf(someLogits()), all = softmax(row);
  std::vector<size_t> order = byLogit(row);
  size_t reaching = size_t(std::ranges::count_if(all, [](double share) { return share >= double(0.06f); }));
  ASSERT_GT(reaching, 2u);
  Row cut = softmax(keepOnly(row, {order.begin() + ptrdiff_t(reaching) - 1, order.end()}));
  Row shares;
  for (size_t i = 0; i < vocab; ++i)
    shares.push_back(double(0.4f) * cut[i] + (1 - double(0.4f)) * all[i]);
  expectDistribution(options, shares);
  options.xtcThreshold = 0.51f; // never two such
  EXPECT_TRUE(fits(countsOf(options, someLogits()), timesDraws(all)));
}

TEST(SamplerChain, DynamicTemperature) {
  SamplerOptions options = plain();
  options.temperature = 0.9f, options.dynatempRange = 0.6f, options.dynatempExponent = 1.7f;
  Row row = rowOf(someLogits());
  double share = std::pow(entropyOf(softmax(row)) / std::log(double(vocab)), double(1.7f));
  double temperature = double(0.9f) - double(0.6f) + 2 * double(0.6f) * share;
  expectDistribution(options, softmax(scaled(row, temperature)));
}

// Positions differ in their temperatures: what is expected is the sum over them.
TEST(SamplerChain, TemperatureSchedule) {
  SamplerOptions options = plain();
  options.temperatureSchedule = *parseTemperatureSchedule("1000:2,60000:0.4");
  Row row = rowOf(someLogits());
  std::vector<double> expected(vocab, 0);
  for (int position = 0; position < draws; ++position) {
    double temperature = position < 1000 ? 2 : position > 60000 ? 0.4 : 2 - 1.6 * (position - 1000) / 59000.0;
    Row shares = softmax(scaled(row, temperature));
    for (size_t i = 0; i < vocab; ++i)
      expected[i] += shares[i];
  }
  std::vector<double> counts = countsOf(options, someLogits());
  EXPECT_TRUE(fits(counts, expected));
  EXPECT_FALSE(fits(counts, timesDraws(softmax(row))));
}

// How many tokens at the end of a history equal those before each place: by trying all of them.
Row withDry(Row row, const std::vector<TokenId> &history, const SamplerOptions &options, const std::vector<std::vector<TokenId>> &breakers = {}) {
  size_t reach = history.size();
  for (size_t i = 0; i < history.size(); ++i)
    for (const auto &breaker : breakers)
      if (i + breaker.size() <= history.size() && std::equal(breaker.begin(), breaker.end(), history.begin() + ptrdiff_t(i)))
        reach = std::min(reach, history.size() - i - breaker.size());
  for (size_t token = 0; token < row.size(); ++token) {
    size_t longest = 0;
    bool occurs = false;
    for (size_t place = 1; place < history.size(); ++place) {
      if (size_t(history[place]) != token)
        continue;
      size_t length = 0;
      while (length < place && history[place - 1 - length] == history[history.size() - 1 - length])
        ++length;
      longest = std::max(longest, std::min(length, reach));
      occurs = true;
    }
    bool isBreaker = std::ranges::any_of(breakers, [&](const auto &b) { return b == std::vector<TokenId>{TokenId(token)}; });
    if (occurs && !isBreaker && longest >= size_t(options.dryAllowedLength))
      row[token] -= double(options.dryMultiplier) * std::pow(double(options.dryBase), double(longest) - options.dryAllowedLength);
  }
  return row;
}

TEST(SamplerChain, Dry) {
  SamplerOptions options = plain();
  options.dryMultiplier = 2, options.dryBase = 1.4f, options.dryAllowedLength = 2;
  std::vector<TokenId> history = {1, 2, 3, 4, 5, 9, 2, 3, 4, 7, 3, 4, 8, 1, 2, 3, 4};
  Row expected = withDry(rowOf(someLogits()), history, options);
  EXPECT_NEAR(double(someLogits()[5]) - 2 * 1.4 * 1.4, expected[5], 1e-6); // after 1 2 3 4: two more than allowed
  EXPECT_NEAR(double(someLogits()[7]) - 2 * 1.4, expected[7], 1e-6);       // after 2 3 4
  expectDistribution(options, softmax(expected), history);

  options.dryBreakers = {{9, {{}}}, {1, {{2}}}}; // the repetition reaches back to what follows 1 2
  Row broken = withDry(rowOf(someLogits()), history, options, {{9}, {1, 2}});
  EXPECT_NEAR(double(someLogits()[5]) - 2, broken[5], 1e-6);
  expectDistribution(options, softmax(broken), history);

  options.dryBreakers.clear();
  options.dryPenaltyLastN = 10; // 4 7 3 4 8 1 2 3 4 with one before
  std::vector<TokenId> last(history.end() - 10, history.end());
  expectDistribution(options, softmax(withDry(rowOf(someLogits()), last, options)), history);
}

// Random histories of few tokens, so of many repetitions, with and without a breaker.
TEST(SamplerChain, DryCountsAsTryingAllPlacesDoes) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<TokenId> history(random() % 60);
    for (TokenId &id : history)
      id = TokenId(random() % 3);
    SamplerOptions options = plain();
    options.temperature = 0, options.dryMultiplier = 1, options.dryBase = 1.1f, options.dryAllowedLength = int32_t(random() % 4);
    std::vector<std::vector<TokenId>> breakers;
    if (round % 2) {
      breakers = {{2}};
      options.dryBreakers = {{2, {{}}}};
    }
    Row expected = withDry(Row(5, 0), history, options, breakers);
    Candidates candidates;
    candidates.assign(std::vector<float>(5, 0.0f));
    applyDry(candidates, history, options);
    for (const ScoredToken &token : candidates.tokens())
      EXPECT_NEAR(expected[size_t(token.id)], token.logit, 1e-4 * std::abs(expected[size_t(token.id)])) << round << " " << token.id;
  }
}

// ---- Mirostat -------------------------------------------------------------------------------------------------------

// The state follows what was drawn, so expectations are summed along the way.
void expectMirostat(SamplerOptions options, const std::function<std::vector<size_t>(const Row &, double)> &kept) {
  Sampler sampler(options);
  double bound = 2 * double(options.mirostatTau), surprise = 0;
  std::vector<double> counts(vocab, 0), expected(vocab, 0);
  for (int i = 0; i < draws; ++i) {
    std::vector<float> logits = someLogits(uint32_t(i % 5));
    Row row = scaled(rowOf(logits), double(options.temperature));
    Row shares = softmax(keepOnly(row, kept(row, bound)));
    auto drawn = size_t(sampler.next(logits).value());
    for (size_t token = 0; token < vocab; ++token)
      expected[token] += shares[token];
    ++counts[drawn];
    ASSERT_GT(shares[drawn], 0) << i;
    surprise += -std::log2(shares[drawn]) / draws;
    bound -= double(options.mirostatEta) * (-std::log2(shares[drawn]) - double(options.mirostatTau));
  }
  EXPECT_TRUE(fits(counts, expected));
  if (options.mirostatEta > 0)
    EXPECT_NEAR(double(options.mirostatTau), surprise, 0.05);
}

TEST(SamplerChain, Mirostat2) {
  auto kept = [](const Row &row, double bound) {
    Row shares = softmax(row);
    std::vector<size_t> tokens;
    for (size_t i : byLogit(row))
      if (tokens.empty() || -std::log2(shares[i]) <= bound)
        tokens.push_back(i);
    return tokens;
  };
  SamplerOptions options = plain();
  options.mirostat = 2, options.mirostatTau = 3, options.temperature = 1.5f;
  expectMirostat(options, kept);
  options.mirostatTau = 1.4f, options.mirostatEta = 0; // the bound stays where it begins
  expectMirostat(options, kept);
}

TEST(SamplerChain, Mirostat1) {
  auto kept = [](const Row &row, double bound) {
    Row shares = softmax(row);
    std::vector<size_t> order = byLogit(row);
    double products = 0, squares = 0;
    for (size_t i = 0; i + 1 < vocab; ++i) {
      double t = std::log(double(i + 2) / double(i + 1));
      products += t * std::log(shares[order[i]] / shares[order[i + 1]]), squares += t * t;
    }
    double s = products / squares, e = s - 1;
    double k = std::pow(e * std::pow(2, bound) / (1 - std::pow(double(vocab), -e)), 1 / s);
    order.resize(size_t(std::clamp(k, 1.0, double(vocab))));
    return order;
  };
  SamplerOptions options = plain();
  options.mirostat = 1, options.mirostatTau = 2.5f;
  expectMirostat(options, kept);
  options.mirostatTau = 1.2f, options.mirostatEta = 0;
  expectMirostat(options, kept);
}

// ---- The chain ------------------------------------------------------------------------------------------------------

TEST(SamplerChain, GoesInTheOrderGiven) {
  SamplerOptions options = plain();
  options.temperature = 2, options.topP = 0.5f;
  options.steps = *parseSamplerSteps("temperature;top_p");
  Row row = scaled(rowOf(someLogits()), 2), shares = softmax(row);
  std::vector<size_t> kept;
  double sum = 0;
  for (size_t i : byLogit(row))
    if (sum < 0.5)
      kept.push_back(i), sum += shares[i];
  std::vector<double> counts = countsOf(options, someLogits());
  EXPECT_TRUE(fits(counts, timesDraws(softmax(keepOnly(row, kept)))));
  options.steps = *parseSamplerSteps("top_p;temperature");
  EXPECT_FALSE(fits(countsOf(options, someLogits()), timesDraws(softmax(keepOnly(row, kept)))));
}

TEST(SamplerChain, LeavesOutWhatIsNotNamed) {
  SamplerOptions options = plain();
  options.temperature = 0.3f, options.topK = 2, options.minP = 0.5f;
  options.steps = *parseSamplerSteps("top_k");
  Row row = rowOf(someLogits());
  std::vector<size_t> order = byLogit(row);
  order.resize(2);
  EXPECT_TRUE(fits(countsOf(options, someLogits()), timesDraws(softmax(keepOnly(row, order)))));
}

// The short way of the usual chain and the long way of any draw the same tokens.
TEST(SamplerChain, IsTheUsualOneWhereOnlyThatIsAskedFor) {
  for (float temperature : {0.0f, 0.7f, 2.0f}) {
    SamplerOptions options;
    options.temperature = temperature, options.repeatPenalty = 1.2f, options.seed = 11;
    SamplerOptions longer = options;
    longer.logitBias = {{0, 0}};
    Sampler a(options), b(longer);
    for (uint32_t i = 0; i < 500; ++i) {
      TokenId drawn = *a.next(someLogits(i));
      ASSERT_EQ(drawn, *b.next(someLogits(i))) << i;
      a.accept(drawn), b.accept(drawn);
    }
  }
}

TEST(SamplerChain, DrawsTheSameAgain) {
  SamplerOptions options = plain();
  options.mirostat = 2, options.dryMultiplier = 1, options.temperatureSchedule = *parseTemperatureSchedule("0:2,30:0.5");
  Sampler a(options), b(options);
  auto draw = [](Sampler &sampler) {
    std::vector<TokenId> ids;
    for (uint32_t i = 0; i < 60; ++i) {
      ids.push_back(*sampler.next(someLogits(i)));
      sampler.accept(ids.back());
    }
    return ids;
  };
  auto first = draw(a);
  EXPECT_EQ(first, draw(b));
  a.reset();
  EXPECT_EQ(first, draw(a));
}

TEST(SamplerChain, SurvivesLogitsWithoutAnyHope) {
  SamplerOptions options = plain();
  options.typicalP = 0.5f, options.topNSigma = 1, options.xtcProbability = 1, options.dynatempRange = 0.5f, options.noRepeatNgram = 1;
  for (int mirostat : {0, 1, 2}) {
    options.mirostat = mirostat;
    for (const std::vector<float> &logits :
         {std::vector<float>(5, -infinity), {infinity, 1, infinity}, {1}, {-infinity, 3}, {3.4e38f, -3.4e38f, 0}}) {
      Sampler sampler(options);
      sampler.accept(0);
      auto drawn = sampler.next(logits);
      ASSERT_TRUE(drawn);
      EXPECT_LT(size_t(*drawn), logits.size());
    }
  }
}

// ---- Options --------------------------------------------------------------------------------------------------------

TEST(SamplerSteps, AreReadByTheirNames) {
  EXPECT_EQ(defaultSamplerSteps(), *parseSamplerSteps("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"));
  EXPECT_TRUE(parseSamplerSteps("")->empty());
  auto unknown = parseSamplerSteps("top_k;bottom_k");
  ASSERT_FALSE(unknown);
  EXPECT_NE(std::string::npos, unknown.error().message.find("'bottom_k'; there are penalties;dry;"));
}

TEST(TemperatureSchedule, IsLinearBetweenItsPoints) {
  auto schedule = *parseTemperatureSchedule("10:1,20:0.5");
  EXPECT_FLOAT_EQ(1, temperatureAt(schedule, 0));
  EXPECT_FLOAT_EQ(1, temperatureAt(schedule, 10));
  EXPECT_FLOAT_EQ(0.75f, temperatureAt(schedule, 15));
  EXPECT_FLOAT_EQ(0.5f, temperatureAt(schedule, 20));
  EXPECT_FLOAT_EQ(0.5f, temperatureAt(schedule, 1000));
  for (const char *bad : {"1", "a:1", "1:b", "-1:1", "1:-1", "5:1,5:2", "5:1,4:2", "1:1x", "1:nan"})
    EXPECT_FALSE(parseTemperatureSchedule(bad)) << bad;
}

TEST(SamplerChainOptions, AreValidated) {
  auto refuses = [](auto change, const char *name) {
    SamplerOptions options;
    change(options);
    auto result = validate(options);
    ASSERT_FALSE(result) << name;
    EXPECT_NE(result.error().message.find(name), std::string::npos) << result.error().message;
  };
  refuses([](auto &o) { o.typicalP = 1.1f; }, "typical");
  refuses([](auto &o) { o.topNSigma = infinity; }, "top-nsigma");
  refuses([](auto &o) { o.xtcProbability = 2; }, "xtc-probability");
  refuses([](auto &o) { o.xtcThreshold = -1; }, "xtc-threshold");
  refuses([](auto &o) { o.presencePenalty = infinity; }, "presence-penalty");
  refuses([](auto &o) { o.frequencyPenalty = std::nanf(""); }, "frequency-penalty");
  refuses([](auto &o) { o.noRepeatNgram = -1; }, "no-repeat-ngram");
  refuses([](auto &o) { o.logitBias = {{-1, 0}}; }, "logit-bias");
  refuses([](auto &o) { o.dryMultiplier = -1; }, "dry-multiplier");
  refuses([](auto &o) { o.dryMultiplier = 1, o.dryBase = 0.5f; }, "dry-base");
  refuses([](auto &o) { o.dynatempRange = -1; }, "dynatemp-range");
  refuses([](auto &o) { o.mirostat = 3; }, "mirostat");
  refuses([](auto &o) { o.mirostat = 2, o.mirostatTau = 0; }, "mirostat-ent");
}

} // namespace
} // namespace llmc
