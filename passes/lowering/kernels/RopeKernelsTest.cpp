// Rotary embeddings: the table of one token under every scaling, and the rotation of a row, against their definitions in double.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

namespace llmc::kernels::testing {
namespace {

class RopeKernelsTest : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, RopeKernelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, RopeKernelsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

constexpr int64_t kDim = 16;
constexpr double kTheta = 10000, kOriginal = 64; // positions of training in the scalings below

double plain(int64_t i, double theta = kTheta) { return std::pow(theta, -2.0 * double(i) / kDim); }

// Formulas of transformers' modeling_rope_utils.py. `length`: tokens of the sequence.
struct Scaling {
  const char *name, *text;
  double (*frequency)(int64_t i, int64_t length);
  double factor; // on cosines and sines
};
const double shortFactors[] = {1, 1.5, 2, 1, 1, 1.25, 3, 1}, longFactors[] = {4, 3, 2, 8, 1, 1, 2, 5};

double yarnFrequency(int64_t i, int64_t) {
  auto dimension = [](double rotations) {
    return kDim * std::log(kOriginal / (rotations * 2 * std::numbers::pi)) / (2 * std::log(kTheta));
  };
  double low = std::max(std::floor(dimension(32)), 0.0), high = std::min(std::ceil(dimension(1)), kDim - 1.0);
  double ramp = std::clamp((double(i) - low) / (high - low), 0.0, 1.0);
  return plain(i) / 4 * ramp + plain(i) * (1 - ramp);
}

double llama3Frequency(int64_t i, int64_t) {
  double wave = 2 * std::numbers::pi / plain(i);
  if (wave < kOriginal / 4)
    return plain(i);
  if (wave > kOriginal)
    return plain(i) / 8;
  double smooth = (kOriginal / wave - 1) / 3;
  return (1 - smooth) * plain(i) / 8 + smooth * plain(i);
}

const Scaling scalings[] = {
    {"none", "", [](int64_t i, int64_t) { return plain(i); }, 1},
    {"linear", "<linear, factor = 8.0>", [](int64_t i, int64_t) { return plain(i) / 8; }, 1},
    {"dynamic", "<dynamic, factor = 2.0, original_max_positions = 64>",
     [](int64_t i, int64_t length) {
       double n = std::max(double(length), kOriginal);
       return plain(i, kTheta * std::pow(2 * n / kOriginal - 1, kDim / (kDim - 2.0)));
     },
     1},
    {"yarn", "<yarn, factor = 4.0, original_max_positions = 64, attention_factor = 1.25>", yarnFrequency, 1.25},
    {"llama3", "<llama3, factor = 8.0, low_freq_factor = 1.0, high_freq_factor = 4.0, original_max_positions = 64>", llama3Frequency, 1},
    {"longrope",
     "<longrope, original_max_positions = 64, attention_factor = 1.5, short_factors = [1.0, 1.5, 2.0, 1.0, 1.0, 1.25, 3.0, 1.0], "
     "long_factors = [4.0, 3.0, 2.0, 8.0, 1.0, 1.0, 2.0, 5.0]>",
     [](int64_t i, int64_t length) { return plain(i) / (length > 64 ? longFactors : shortFactors)[i]; }, 1.5},
};

// Angles are f32, so an angle is off by at most a few parts in 2^24 of itself.
void expectTable(const Scaling &scaling, int64_t position, int64_t length, const float *factors, const float *out) {
  for (int64_t i = 0; i < kDim / 2; ++i) {
    double angle = double(position) * scaling.frequency(i, length) / (factors ? factors[i] : 1.0f);
    double allowed = 3e-7 + 4e-7 * angle;
    ASSERT_NEAR(out[i], scaling.factor * std::cos(angle), allowed) << scaling.name << " position " << position << " cosine " << i;
    ASSERT_NEAR(out[kDim / 2 + i], scaling.factor * std::sin(angle), allowed) << scaling.name << " position " << position << " sine " << i;
  }
}

TEST_P(RopeKernelsTest, fillsTables) {
  KernelJit jit(GetParam());
  for (const Scaling &scaling : scalings)
    for (bool factors : {false, true}) {
      std::string attribute = "#tile.rope_table<dim = 16, theta = 1.0e4";
      attribute += *scaling.text ? std::string(", scaling = ") + scaling.text : "";
      attribute += factors ? ", factors = true>" : ">";
      jit.declare(std::string(scaling.name) + (factors ? "_factors" : ""), attribute, factors ? "iipp" : "iip");
    }
  jit.compile();
  const float factors[] = {1, 1, 2, 4, 8, 8, 8, 0.5};
  for (const Scaling &scaling : scalings)
    for (int64_t position : {0, 1, 17, 63, 64, 1000, 131071})
      for (int64_t length : {int64_t(10), int64_t(64), int64_t(65), position + 1}) {
        std::vector<float> out(kDim + 1, 77.0f);
        jit.kernel<void(int64_t, int64_t, float *)>(scaling.name)(position, length, out.data());
        ASSERT_NO_FATAL_FAILURE(expectTable(scaling, position, length, nullptr, out.data()));
        jit.kernel<void(int64_t, int64_t, const float *, float *)>(std::string(scaling.name) + "_factors")(position, length, factors, out.data());
        ASSERT_NO_FATAL_FAILURE(expectTable(scaling, position, length, factors, out.data()));
        ASSERT_EQ(out[kDim], 77.0f) << "wrote beyond the table";
      }
}

struct RotationCase {
  int64_t channels, headDim, dim;
  bool half;
};
constexpr RotationCase rotations[] = {{64, 32, 32, true}, {64, 32, 32, false}, {48, 24, 8, true}, {48, 24, 8, false},
                                      {80, 80, 80, true}, {10, 10, 6, true},   {256, 256, 64, false}};

// Two products and a sum: within 3e-7 of the pair's length.
TEST_P(RopeKernelsTest, rotatesRows) {
  KernelJit jit(GetParam());
  for (size_t c = 0; c < std::size(rotations); ++c)
    jit.declare("rope_" + std::to_string(c),
                "#tile.rope<channels = " + std::to_string(rotations[c].channels) + ", head_dim = " + std::to_string(rotations[c].headDim) +
                    ", rotary = <" + (rotations[c].half ? "half" : "interleaved") + ", dim = " + std::to_string(rotations[c].dim) + ">>",
                "ppp");
  jit.compile();
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (size_t c = 0; c < std::size(rotations); ++c) {
    const RotationCase &r = rotations[c];
    std::vector<float> x(size_t(r.channels)), table(size_t(r.dim));
    for (float &value : x)
      value = normal(random);
    for (int64_t i = 0; i < r.dim / 2; ++i)
      table[size_t(i)] = float(std::cos(i + 0.3)), table[size_t(r.dim / 2 + i)] = float(std::sin(i + 0.3));
    for (bool inPlace : {false, true}) {
      std::vector<float> in = x, out(x.size() + 1, 77.0f);
      in.push_back(77.0f);
      float *y = inPlace ? in.data() : out.data();
      jit.kernel<void(const float *, const float *, float *)>("rope_" + std::to_string(c))(in.data(), table.data(), y);
      for (int64_t head = 0; head < r.channels; head += r.headDim) {
        for (int64_t i = 0; i < r.dim / 2; ++i) {
          auto a = size_t(head + (r.half ? i : 2 * i)), b = size_t(head + (r.half ? i + r.dim / 2 : 2 * i + 1));
          double cosine = table[size_t(i)], sine = table[size_t(r.dim / 2 + i)], size = std::hypot(x[a], x[b]);
          ASSERT_NEAR(y[a], x[a] * cosine - x[b] * sine, 3e-7 * size) << "case " << c;
          ASSERT_NEAR(y[b], x[b] * cosine + x[a] * sine, 3e-7 * size) << "case " << c;
        }
        for (int64_t i = r.dim; i < r.headDim; ++i)
          ASSERT_EQ(y[head + i], x[size_t(head + i)]) << "case " << c << ": beyond dim nothing turns";
      }
      ASSERT_EQ(y[r.channels], 77.0f) << "wrote beyond the row";
    }
  }
}

} // namespace
} // namespace llmc::kernels::testing
