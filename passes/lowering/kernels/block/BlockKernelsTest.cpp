// Kernels for a block of threads, run by an emulator, against their definitions.
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "test/gpu/emulator/Fibers.h"

#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

JitTarget device(int64_t threads) {
  return {"sm_90", "#tile.target<\"sm_90\", vector = 128, dot = portable in blocks of " + std::to_string(threads) + ">", "", true, false};
}

constexpr int64_t kChannels = 200;

std::vector<float> randomRow(size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.5f, 1);
  std::vector<float> row(count);
  for (float &value : row)
    value = normal(random);
  return row;
}

// By many threads (norm) and by one of them (unit_norm); in both orders of the threads, to the bit.
TEST(BlockKernelsTest, normalises) {
  for (int64_t threads : {32, 128, 256}) {
    KernelJit jit(device(threads));
    jit.declare("norm", "#tile.norm<channels = 200, group = 200, norm = <rms, eps = 1.0e-5>, bias = false>", "ppp");
    jit.declare("unit", "#tile.unit_norm<channels = 200, group = 200, eps = 1.0e-5>", "pp");
    jit.compile();
    std::vector<float> x = randomRow(kChannels), gain(kChannels, 2.0f), first;
    double squares = 0;
    for (float value : x)
      squares += double(value) * value / kChannels;
    for (bool backwards : {false, true}) {
      std::vector<float> out(kChannels), unit(kChannels);
      auto *norm = jit.function<void(const float *, const float *, float *)>("norm");
      auto *unitNorm = jit.function<void(const float *, float *)>("unit");
      gpu::runGrid({.threads = threads, .sharedBytes = jit.sharedBytes("norm"), .backwards = backwards},
                   [&] { norm(x.data(), gain.data(), out.data()); });
      gpu::runGrid({.threads = threads, .sharedBytes = jit.sharedBytes("unit"), .backwards = backwards}, [&] { unitNorm(x.data(), unit.data()); });
      for (size_t i = 0; i < x.size(); ++i) {
        double wanted = x[i] / std::sqrt(squares + 1e-5);
        ASSERT_NEAR(out[i], 2 * wanted, 1e-5) << threads << " threads, channel " << i;
        ASSERT_NEAR(unit[i], wanted, 1e-5) << threads << " threads, channel " << i;
      }
      if (backwards)
        EXPECT_EQ(out, first);
      first = out;
    }
  }
}

} // namespace
} // namespace llmc::kernels::testing
