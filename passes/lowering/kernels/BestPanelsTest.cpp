// Choosing the panels of a row by their keys, against sorting.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace llmc::kernels::testing {
namespace {

using Keys = std::vector<int32_t>;
using BestPanelsFunction = void(int64_t count, int32_t *keys, std::byte *scratch, int32_t *out);

constexpr int64_t kOutputs[] = {1, 16, 17, 16 * 15 + 3, 16 * 128, 16 * 128 + 1, 16 * 300 + 7, 151936, 262144};

std::string nameOf(int64_t outputs) { return "best_" + std::to_string(outputs); }

Keys sorted(const Keys &keys, int64_t count) {
  Keys order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return keys[size_t(a)] > keys[size_t(b)]; });
  order.resize(size_t(count));
  return order;
}

class BestPanelsTest : public ::testing::TestWithParam<JitTarget> {
protected:
  void SetUp() override {
    for (int64_t outputs : kOutputs)
      jit.declare(nameOf(outputs), "#tile.best_panels<outputs = " + std::to_string(outputs) + ">", "ippp");
    jit.compile();
  }

  void check(int64_t outputs, const Keys &keys, int64_t count) {
    Buffer padded(size_t(tile::keyRowBytes(outputs))), scratch(size_t(tile::bestPanelsScratchBytes(outputs)));
    std::memset(padded.data(), 0x7f, padded.bytes); // what lies beyond the panels must not count
    std::memset(scratch.data(), 0x7f, scratch.bytes);
    std::ranges::copy(keys, padded.as<int32_t>());
    Keys out(size_t(count) + 1, -7);
    jit.kernel<BestPanelsFunction>(nameOf(outputs))(count, padded.as<int32_t>(), scratch.data(), out.data());
    EXPECT_EQ(out.back(), -7) << "wrote beyond the last";
    out.pop_back();
    ASSERT_EQ(out, sorted(keys, count)) << outputs << " outputs, " << count << " wanted";
  }

  KernelJit jit{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Targets, BestPanelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, BestPanelsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

TEST_P(BestPanelsTest, takesTheGreatestInOrder) {
  std::mt19937 random(5);
  for (int64_t outputs : kOutputs) {
    auto panels = tile::panelCount(outputs);
    Keys keys(static_cast<size_t>(panels));
    for (int64_t count : {int64_t(1), int64_t(40), int64_t(128), panels})
      for (int32_t values : {3, INT32_MAX}) { // many ties; hardly any
        if (count > panels || count > 4000)
          continue;
        for (int32_t &key : keys)
          key = int32_t(random() % uint32_t(values)) - values / 2;
        ASSERT_NO_FATAL_FAILURE(check(outputs, keys, count));
      }
  }
}

// Keys of -infinity are numbers, above what is taken away; those of NaN come first.
TEST_P(BestPanelsTest, knowsTheEndsOfTheRange) {
  constexpr int32_t leastNumber = int32_t(0x807fffff); // the key of -infinity
  for (int64_t outputs : {int64_t(16 * 128), int64_t(16 * 300 + 7)}) {
    Keys keys(size_t(tile::panelCount(outputs)), leastNumber);
    ASSERT_NO_FATAL_FAILURE(check(outputs, keys, 100));
    keys[77] = tile::kNanKey, keys[90] = INT32_MAX - 1, keys[3] = 0;
    ASSERT_NO_FATAL_FAILURE(check(outputs, keys, 100));
  }
}

} // namespace
} // namespace llmc::kernels::testing
