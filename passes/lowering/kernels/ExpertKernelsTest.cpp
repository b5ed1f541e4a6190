// Routing, grouping, combining and latent attention at random shapes, against scalar definitions.
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "runtime/formats/Half.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace llmc::kernels::testing {
namespace {

using Numbers = std::vector<float>;
using Indices = std::vector<int32_t>;

Numbers drawNumbers(int64_t count, std::mt19937 &random) {
  std::normal_distribution<float> normal(0, 2);
  Numbers numbers(static_cast<size_t>(count));
  for (float &number : numbers)
    number = normal(random);
  return numbers;
}

//===----------------------------------------------------------------------===//
// Route
//===----------------------------------------------------------------------===//

struct RouteCase {
  int64_t count, top, groups = 1, topGroups = 1;
  std::string scores = "softmax", groupScore = "max", normalize = "none";
  double epsilon = 0, scale = 1;
  bool bias = false;
};

std::string attribute(const RouteCase &c) {
  return "#tile.route<count = " + std::to_string(c.count) + ", top = " + std::to_string(c.top) + ", scores = " + c.scores +
         ", groups = " + std::to_string(c.groups) + ", top_groups = " + std::to_string(c.topGroups) + ", group_score = " + c.groupScore +
         ", normalize = " + c.normalize + ", epsilon = " + std::to_string(c.epsilon) + ", scale = " + std::to_string(c.scale) +
         ", bias = " + (c.bias ? "true" : "false") + ">";
}

RouteCase draw(std::mt19937 &random) {
  RouteCase c{};
  c.groups = 1 + int64_t(random() % 4);
  int64_t size = 1 + int64_t(random() % 19);
  c.count = c.groups * size;
  c.topGroups = 1 + int64_t(random() % size_t(c.groups));
  c.top = 1 + int64_t(random() % size_t(std::min<int64_t>(c.topGroups * size, 9)));
  c.scores = std::vector<std::string>{"logits", "softmax", "sigmoid"}[random() % 3];
  c.groupScore = size >= 2 && random() % 2 ? "top2_sum" : "max";
  c.normalize = std::vector<std::string>{"none", "sum", "softmax"}[random() % 3];
  if (c.scores == "logits" && c.normalize == "sum") // whose sum may vanish
    c.normalize = "softmax";
  c.epsilon = random() % 2 ? 0.5 : 0, c.scale = random() % 2 ? 2.5 : 1, c.bias = random() % 2;
  return c;
}

void softmax(std::vector<double> &values) {
  double best = *std::ranges::max_element(values), total = 0;
  for (double &value : values)
    total += value = std::exp(value - best);
  for (double &value : values)
    value /= total;
}

std::vector<size_t> greatest(const std::vector<double> &values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return values[a] > values[b]; });
  order.resize(count);
  return order;
}

struct Routed {
  std::vector<size_t> experts;
  std::vector<double> weights;
};

Routed byDefinition(const RouteCase &c, const Numbers &logits, const Numbers &bias) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (c.scores == "softmax")
    softmax(scores);
  if (c.scores == "sigmoid")
    for (double &score : scores)
      score = 1 / (1 + std::exp(-score));
  std::vector<double> choice = scores, groupScores;
  for (size_t e = 0; e < choice.size() && c.bias; ++e)
    choice[e] += bias[e];
  size_t size = size_t(c.count / c.groups);
  for (size_t g = 0; g < size_t(c.groups); ++g) {
    std::vector<double> members(choice.begin() + ptrdiff_t(g * size), choice.begin() + ptrdiff_t((g + 1) * size));
    std::ranges::sort(members, std::greater());
    groupScores.push_back(c.groupScore == "max" ? members[0] : members[0] + members[1]);
  }
  std::vector<size_t> kept = greatest(groupScores, size_t(c.topGroups));
  for (size_t e = 0; e < choice.size(); ++e)
    if (!std::ranges::count(kept, e / size))
      choice[e] = -std::numeric_limits<double>::infinity();
  Routed result{greatest(choice, size_t(c.top)), {}};
  for (size_t expert : result.experts)
    result.weights.push_back(scores[expert]);
  if (c.normalize == "softmax")
    softmax(result.weights);
  double sum = std::accumulate(result.weights.begin(), result.weights.end(), 0.0) + c.epsilon;
  for (double &weight : result.weights)
    weight = (c.normalize == "sum" ? weight / sum : weight) * c.scale;
  return result;
}

class ExpertKernelsTest : public ::testing::TestWithParam<JitTarget> {
protected:
  // Runs a route; `weights` and `experts` have one entry more, which must stay as it is.
  void route(KernelJit &jit, const std::string &name, const RouteCase &c, const Numbers &logits, const Numbers &bias, Indices &experts,
             Numbers &weights) {
    experts.assign(size_t(c.top) + 1, -7), weights.assign(size_t(c.top) + 1, 77);
    if (c.bias)
      jit.kernel<void(const float *, const float *, int32_t *, float *)>(name)(logits.data(), bias.data(), experts.data(), weights.data());
    else
      jit.kernel<void(const float *, int32_t *, float *)>(name)(logits.data(), experts.data(), weights.data());
    ASSERT_EQ(experts.back(), -7);
    ASSERT_EQ(weights.back(), 77);
  }
};
INSTANTIATE_TEST_SUITE_P(Targets, ExpertKernelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, ExpertKernelsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

std::vector<RouteCase> routeCases() {
  std::vector<RouteCase> cases{{1, 1}, {256, 8, 8, 4, "sigmoid", "top2_sum", "sum", 1e-6, 2.5, true}, {64, 8}, {60, 4}, {128, 8, 1, 1, "softmax", "max", "sum"}};
  std::mt19937 random(5);
  for (int i = 0; i < 30; ++i)
    cases.push_back(draw(random));
  return cases;
}

void declareAll(KernelJit &jit, const std::vector<RouteCase> &cases) {
  for (size_t i = 0; i < cases.size(); ++i)
    jit.declare("route_" + std::to_string(i), attribute(cases[i]), cases[i].bias ? "pppp" : "ppp");
  jit.compile();
}

TEST_P(ExpertKernelsTest, routesByDefinition) {
  KernelJit jit(GetParam());
  std::vector<RouteCase> cases = routeCases();
  declareAll(jit, cases);
  std::mt19937 random(6);
  for (size_t i = 0; i < cases.size(); ++i)
    for (int round = 0; round < 5; ++round) {
      const RouteCase &c = cases[i];
      Numbers logits = drawNumbers(c.count, random), bias = drawNumbers(c.count, random), weights;
      Indices experts;
      ASSERT_NO_FATAL_FAILURE(route(jit, "route_" + std::to_string(i), c, logits, bias, experts, weights));
      Routed wanted = byDefinition(c, logits, bias);
      for (size_t k = 0; k < wanted.experts.size(); ++k) {
        ASSERT_EQ(experts[k], int32_t(wanted.experts[k])) << attribute(c) << " choice " << k;
        ASSERT_NEAR(weights[k], wanted.weights[k], 2e-6 * (1 + std::fabs(wanted.weights[k]))) << attribute(c) << " weight " << k;
      }
    }
}

// Equal logits choose in ascending order; with infinities and NaNs a token still has `top` different experts that exist.
TEST_P(ExpertKernelsTest, routesWhateverTheLogits) {
  KernelJit jit(GetParam());
  std::vector<RouteCase> cases = routeCases();
  declareAll(jit, cases);
  std::mt19937 random(7);
  for (size_t i = 0; i < cases.size(); ++i)
    for (float special : {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 3e38f}) {
      const RouteCase &c = cases[i];
      for (bool all : {true, false}) {
        Numbers logits = drawNumbers(c.count, random), bias = drawNumbers(c.count, random), weights;
        for (size_t e = 0; e < logits.size(); ++e)
          if (all || random() % 2)
            logits[e] = special;
        Indices experts;
        ASSERT_NO_FATAL_FAILURE(route(jit, "route_" + std::to_string(i), c, logits, bias, experts, weights));
        Indices seen(experts.begin(), experts.end() - 1);
        if (all && special == 0 && !c.bias && c.groups == 1)
          for (size_t k = 0; k < seen.size(); ++k)
            ASSERT_EQ(seen[k], int32_t(k)) << attribute(c);
        std::ranges::sort(seen);
        ASSERT_TRUE(std::ranges::adjacent_find(seen) == seen.end()) << attribute(c) << " with " << special;
        ASSERT_TRUE(seen.front() >= 0 && seen.back() < c.count) << attribute(c) << " with " << special;
      }
    }
}

//===----------------------------------------------------------------------===//
// Groups of tokens, and their results
//===----------------------------------------------------------------------===//

// Random choices, unused experts, and one expert that takes all.
TEST_P(ExpertKernelsTest, groupsAndCombines) {
  struct Case {
    int64_t count, top, tokens, channels;
  };
  constexpr Case cases[] = {{1, 1, 1, 1}, {8, 2, 33, 40}, {64, 8, 5, 16}, {5, 5, 7, 17}, {128, 3, 200, 96}};
  KernelJit jit(GetParam());
  for (size_t i = 0; i < std::size(cases); ++i) {
    const Case &c = cases[i];
    std::string top = std::to_string(c.top), channels = std::to_string(c.channels);
    jit.declare("group_" + std::to_string(i), "#tile.group_tokens<count = " + std::to_string(c.count) + ", top = " + top + ">", "ipppp");
    jit.declare("combine_" + std::to_string(i), "#tile.combine<channels = " + channels + ", top = " + top + ", places = true>", "pppp");
    jit.declare("single_" + std::to_string(i), "#tile.combine<channels = " + channels + ", top = " + top + ", places = false>", "ppp");
  }
  jit.compile();
  std::mt19937 random(8);
  for (size_t i = 0; i < std::size(cases); ++i)
    for (bool alike : {false, true}) {
      const Case &c = cases[i];
      Indices experts, all(static_cast<size_t>(c.count));
      std::iota(all.begin(), all.end(), 0);
      for (int64_t t = 0; t < c.tokens; ++t) {
        if (!alike)
          std::ranges::shuffle(all, random);
        experts.insert(experts.end(), all.begin(), all.begin() + c.top);
      }
      size_t choices = experts.size();
      Indices starts(size_t(c.count) + 2, -7), order(choices + 1, -7), places(choices + 1, -7);
      jit.kernel<void(int64_t, const int32_t *, int32_t *, int32_t *, int32_t *)>("group_" + std::to_string(i))(
          c.tokens, experts.data(), starts.data(), order.data(), places.data());
      ASSERT_EQ(starts[0], 0);
      ASSERT_EQ(starts[size_t(c.count)], int32_t(choices));
      ASSERT_TRUE(starts.back() == -7 && order.back() == -7 && places.back() == -7) << "wrote beyond its arrays";
      for (int32_t e = 0; e < c.count; ++e)
        for (int32_t place = starts[size_t(e)]; place < starts[size_t(e) + 1]; ++place) {
          int32_t choice = order[size_t(place)];
          ASSERT_EQ(experts[size_t(choice)], e);
          ASSERT_EQ(places[size_t(choice)], place);
          ASSERT_TRUE(place == starts[size_t(e)] || order[size_t(place) - 1] < choice) << "choices of an expert stay in order";
        }

      Numbers results = drawNumbers(int64_t(choices) * c.channels, random), weights = drawNumbers(c.top, random);
      auto wanted = [&](const Indices &rows, int64_t channel) {
        double sum = 0;
        for (int64_t k = 0; k < c.top; ++k)
          sum += double(weights[size_t(k)]) * results[size_t(rows[size_t(k)] * c.channels + channel)];
        return sum;
      };
      Indices first(places.begin(), places.begin() + c.top), identity(static_cast<size_t>(c.top));
      std::iota(identity.begin(), identity.end(), 0);
      Numbers out(size_t(c.channels) + 1, 77.0f);
      jit.kernel<void(const float *, const int32_t *, const float *, float *)>("combine_" + std::to_string(i))(results.data(), first.data(),
                                                                                                             weights.data(), out.data());
      for (int64_t channel = 0; channel < c.channels; ++channel)
        ASSERT_NEAR(out[size_t(channel)], wanted(first, channel), 1e-4);
      jit.kernel<void(const float *, const float *, float *)>("single_" + std::to_string(i))(results.data(), weights.data(), out.data());
      for (int64_t channel = 0; channel < c.channels; ++channel)
        ASSERT_NEAR(out[size_t(channel)], wanted(identity, channel), 1e-4);
      ASSERT_EQ(out.back(), 77.0f);
    }
}

//===----------------------------------------------------------------------===//
// Latent attention
//===----------------------------------------------------------------------===//

struct LatentCase {
  int64_t heads, latent, turned, query;
  bool half, interleaved;
};
constexpr LatentCase latentCases[] = {{1, 1, 2, 2, false, true}, {4, 32, 8, 24, false, true}, {3, 48, 16, 20, true, false}, {2, 512, 64, 192, true, true}, {2, 37, 6, 6, false, false}};

// Turns `x` in place by the angle that the table says.
void turn(const LatentCase &c, float *x, const Numbers &table) {
  for (int64_t i = 0; i < c.turned / 2; ++i) {
    float &a = x[c.interleaved ? 2 * i : i], &b = x[c.interleaved ? 2 * i + 1 : i + c.turned / 2];
    float cosine = table[size_t(i)], sine = table[size_t(i + c.turned / 2)], first = a;
    a = first * cosine - b * sine, b = b * cosine + first * sine;
  }
}

TEST_P(ExpertKernelsTest, attendsToLatents) {
  KernelJit jit(GetParam());
  const int64_t together = GetParam().isDevice() ? 3 : 1; // heads that are prepared in one call
  for (size_t i = 0; i < std::size(latentCases); ++i) {
    const LatentCase &c = latentCases[i];
    std::string heads = "heads = " + std::to_string(c.heads) + ", latent = " + std::to_string(c.latent), element = c.half ? "f16" : "f32";
    jit.declare("prepare_" + std::to_string(i),
                "#tile.latent_prepare<" + heads + ", query = " + std::to_string(c.query) + ", element = " + element + ", rotary = <" +
                    (c.interleaved ? "interleaved" : "half") + ", dim = " + std::to_string(c.turned) + ">, norm = <rms, eps = 1.0e-6>, group = " + std::to_string(together) + ">",
                "iippppppp");
    jit.declare("attend_" + std::to_string(i),
                "#tile.latent_attend<" + heads + ", turned = " + std::to_string(c.turned) + ", element = " + element + ", scale = 0.25>", "iipppp");
  }
  jit.compile();
  std::mt19937 random(9);
  for (size_t i = 0; i < std::size(latentCases); ++i) {
    const LatentCase &c = latentCases[i];
    int64_t row = c.latent + c.turned, positions = 131, element = c.half ? 2 : 4;
    Buffer cache(size_t(positions * row * element)), scratch(size_t((64 + c.latent) * 4));
    std::memset(cache.data(), 0xff, cache.bytes); // NaN: what no token has written must not be seen
    std::memset(scratch.data(), 0xff, scratch.bytes);
    Numbers gain = drawNumbers(c.latent, random);
    std::vector<Numbers> keys;
    for (int64_t position = 0; position < positions; ++position) {
      Numbers q = drawNumbers(c.heads * c.query, random), latent = drawNumbers(c.heads * c.latent, random), kv = drawNumbers(row, random);
      Numbers table, queries(size_t(c.heads * row) + 1, 77.0f), out(size_t(c.heads * c.latent) + 1, 77.0f), key = kv;
      for (int64_t j = 0; j < c.turned; ++j)
        table.push_back(float(j < c.turned / 2 ? std::cos(0.1 * double(position * (j + 1))) : std::sin(0.1 * double(position * (j + 1 - c.turned / 2)))));
      auto prepare = jit.kernel<void(int64_t, int64_t, float *, float *, float *, float *, float *, std::byte *, float *)>("prepare_" + std::to_string(i));
      for (int64_t tile = 0; tile <= c.heads / together; ++tile)
        prepare(tile, position, q.data(), latent.data(), kv.data(), gain.data(), table.data(), cache.data(), queries.data());
      double squares = 0;
      for (int64_t j = 0; j < c.latent; ++j)
        squares += double(key[size_t(j)]) * key[size_t(j)] / double(c.latent);
      for (int64_t j = 0; j < c.latent; ++j)
        key[size_t(j)] *= float(gain[size_t(j)] / std::sqrt(squares + 1e-6));
      turn(c, key.data() + c.latent, table);
      for (int64_t j = 0; j < row; ++j) {
        ASSERT_NEAR(kv[size_t(j)], key[size_t(j)], 1e-5 * (1 + std::fabs(key[size_t(j)])));
        key[size_t(j)] = c.half ? halfToFloat(floatToHalf(kv[size_t(j)])) : kv[size_t(j)];
      }
      keys.push_back(key);
      ASSERT_EQ(queries.back(), 77.0f);
      if (position > 2 && position % 16 != 0 && position % 64 != 63 && position != positions - 1)
        continue;
      auto attend = jit.kernel<void(int64_t, int64_t, float *, std::byte *, float *, std::byte *)>("attend_" + std::to_string(i));
      for (int64_t head = 0; head < c.heads; ++head) {
        Numbers query(latent.begin() + head * c.latent, latent.begin() + (head + 1) * c.latent);
        query.insert(query.end(), q.begin() + (head + 1) * c.query - c.turned, q.begin() + (head + 1) * c.query);
        turn(c, query.data() + c.latent, table);
        for (int64_t j = 0; j < row; ++j)
          ASSERT_NEAR(queries[size_t(head * row + j)], query[size_t(j)], 1e-5 * (1 + std::fabs(query[size_t(j)])));
        attend(head, position, queries.data(), cache.data(), out.data(), scratch.data());
        std::vector<double> scores;
        for (const Numbers &seen : keys)
          scores.push_back(0.25 * std::inner_product(query.begin(), query.end(), seen.begin(), 0.0));
        softmax(scores);
        for (int64_t j = 0; j < c.latent; ++j) {
          double wanted = 0;
          for (size_t p = 0; p < keys.size(); ++p)
            wanted += scores[p] * keys[p][size_t(j)];
          ASSERT_NEAR(out[size_t(head * c.latent + j)], wanted, 3e-4) << "case " << i << " position " << position << " head " << head << " channel " << j;
        }
      }
      ASSERT_EQ(out.back(), 77.0f);
    }
  }
}

} // namespace
} // namespace llmc::kernels::testing
