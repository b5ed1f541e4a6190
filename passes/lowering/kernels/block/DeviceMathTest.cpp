// cos and sin of GPU code, which is linked with no libm: in the table of a rope, whose angles are position * frequency.
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "test/gpu/emulator/Fibers.h"

#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

// How many floats lie between the two, as a fraction.
double unitsApart(float got, double wanted) {
  float nearest = std::abs(static_cast<float>(wanted));
  double unit = std::nextafter(nearest, 2.0f) - nearest;
  return std::abs(got - wanted) / unit;
}

// With frequency 1 the angle is the position itself: among them those nearest to multiples of pi / 2. The other frequency is no integer.
TEST(DeviceMathTest, isWithinAUnitOfCosAndSin) {
  KernelJit jit({"sm_90", "#tile.target<\"sm_90\", vector = 128, dot = portable in blocks of 32>", "", true, false});
  jit.declare("table", "#tile.rope_table<dim = 4, theta = 4.0, factors = true>", "iipp");
  jit.compile();
  auto *table = jit.function<void(int64_t, int64_t, const float *, float *)>("table");
  std::vector<int64_t> positions{0, 1, 2, 3, 11, 22, 33, 44, 355, 710, 1065, 103993, 104348, 208341, 312689, 833719, 1048575, 1048576};
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i)
    positions.push_back(int64_t(random() % (1 << 20)));
  double worst = 0;
  for (int64_t position : positions) {
    float divisors[2] = {1, 0.7f}, out[4];
    gpu::runGrid({.threads = 32, .sharedBytes = jit.sharedBytes("table")}, [&] { table(position, position + 1, divisors, out); });
    float frequency = 0.5f / divisors[1];
    for (auto [i, angle] : {std::pair(0, static_cast<float>(position)), std::pair(1, static_cast<float>(position) * frequency)}) {
      worst = std::max(worst, unitsApart(out[i], std::cos(double(angle))));
      worst = std::max(worst, unitsApart(out[i + 2], std::sin(double(angle))));
    }
  }
  EXPECT_LE(worst, 1.0);
}

} // namespace
} // namespace llmc::kernels::testing
