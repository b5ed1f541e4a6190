// Kernels over one row, norms and pointwise functions, against their definitions in double.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

std::vector<float> normalRow(int64_t channels, float mean, std::mt19937 &random) {
  std::normal_distribution<float> normal(mean, 1);
  std::vector<float> row(static_cast<size_t>(channels));
  for (float &value : row)
    value = normal(random);
  return row;
}

class RowKernelsTest : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, RowKernelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, RowKernelsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

struct NormCase {
  int64_t channels, group;
  bool layer, bias;
  double offset;
};
constexpr NormCase normCases[] = {
    {64, 64, false, false, 0}, {64, 16, false, false, 1}, {2560, 2560, false, false, 0}, {7, 7, false, false, 1},
    {33, 33, true, true, 0},   {48, 24, true, false, 0},  {768, 768, true, true, 0},     {1, 1, false, false, 0},
};
constexpr double kEps = 1e-5;

std::string normAttribute(const NormCase &c) {
  std::string kind = c.layer ? "layer" : "rms", offset = c.offset != 0 ? ", offset = 1.0" : "";
  return "#tile.norm<channels = " + std::to_string(c.channels) + ", group = " + std::to_string(c.group) + ", norm = <" + kind +
         ", eps = 1.0e-5" + offset + ">, bias = " + (c.bias ? "true" : "false") + ">";
}

std::vector<double> normByDefinition(const NormCase &c, const std::vector<float> &x, const std::vector<float> &gain, const std::vector<float> &bias) {
  std::vector<double> y(x.size());
  auto group = size_t(c.group);
  for (size_t first = 0; first < x.size(); first += group) {
    double mean = 0, squares = 0;
    for (size_t i = 0; c.layer && i < group; ++i)
      mean += x[first + i] / double(group);
    for (size_t i = 0; i < group; ++i)
      squares += (x[first + i] - mean) * (x[first + i] - mean) / double(group);
    for (size_t i = 0; i < group; ++i)
      y[first + i] = (x[first + i] - mean) / std::sqrt(squares + kEps) * (gain[i] + c.offset) + (c.bias ? bias[i] : 0);
  }
  return y;
}

// f32 sums of n squares in 16 lanes: within 4e-6 of the result's own size plus one.
TEST_P(RowKernelsTest, normalises) {
  KernelJit jit(GetParam());
  for (size_t i = 0; i < std::size(normCases); ++i)
    jit.declare("norm_" + std::to_string(i), normAttribute(normCases[i]), normCases[i].bias ? "pppp" : "ppp");
  jit.compile();
  std::mt19937 random(3);
  for (size_t i = 0; i < std::size(normCases); ++i) {
    const NormCase &c = normCases[i];
    std::vector<float> x = normalRow(c.channels, 0.5f, random), gain = normalRow(c.group, 0, random), bias = normalRow(c.group, 0, random);
    std::vector<double> wanted = normByDefinition(c, x, gain, bias);
    for (bool inPlace : {false, true}) {
      std::vector<float> in = x, out(x.size() + 1, 77.0f);
      in.push_back(77.0f);
      float *to = inPlace ? in.data() : out.data();
      if (c.bias)
        jit.kernel<void(const float *, const float *, const float *, float *)>("norm_" + std::to_string(i))(in.data(), gain.data(), bias.data(), to);
      else
        jit.kernel<void(const float *, const float *, float *)>("norm_" + std::to_string(i))(in.data(), gain.data(), to);
      for (size_t k = 0; k < x.size(); ++k)
        ASSERT_NEAR(to[k], wanted[k], 4e-6 * (1 + std::fabs(wanted[k]))) << normAttribute(c) << " channel " << k;
      ASSERT_EQ(to[x.size()], 77.0f) << "wrote beyond the row";
    }
  }
}

// A row of zeros has no direction: eps keeps it at zero.
TEST_P(RowKernelsTest, normalisesZeros) {
  KernelJit jit(GetParam());
  jit.declare("norm", normAttribute({40, 40, false, false, 0}), "ppp");
  jit.compile();
  std::vector<float> x(40, 0.0f), gain(40, 3.0f), out(40, 1.0f);
  jit.kernel<void(const float *, const float *, float *)>("norm")(x.data(), gain.data(), out.data());
  for (float value : out)
    EXPECT_EQ(value, 0.0f);
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

// `absolute` + `ulps` * (distance between floats at the result) bounds the error.
struct Function {
  const char *name;
  double (*definition)(double);
  double absolute, ulps;
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
const Function functions[] = {
    {"relu", [](double x) { return std::max(x, 0.0); }, 0, 0},
    {"sigmoid", sigmoid, 2e-38, 4},
    {"silu", [](double x) { return x * sigmoid(x); }, 2e-34, 5},
    {"relu2", [](double x) { return x > 0 ? x * x : 0; }, 0, 1},
    {"softplus", [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }, 2e-38, 4},
    {"tanh", [](double x) { return std::tanh(x); }, 0, 8},
    {"gelu", [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, 8e-7, 4},
    {"gelu_tanh", [](double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }, 8e-7, 4},
};

// 0, both signs of tiny, usual and large numbers, and a dense range.
std::vector<float> arguments() {
  std::vector<float> x = {0.0f, -0.0f};
  for (float size : {1e-38f, 1e-30f, 1e-10f, 1e-5f, 50.0f, 86.9f, 87.5f, 88.8f, 104.0f, 1e4f, 1e10f, 1e18f})
    x.push_back(size), x.push_back(-size);
  for (int i = -4000; i <= 4000; ++i)
    x.push_back(float(i) * 0.005f + 1e-4f);
  return x;
}

double allowance(const Function &f, double wanted) {
  auto size = static_cast<float>(std::fabs(wanted));
  return f.absolute + f.ulps * (std::nextafterf(size, INFINITY) - size);
}

std::string pointwise(const std::string &kind, size_t channels, const std::string &rest = "") {
  return "#tile.pointwise<kind = " + kind + ", channels = " + std::to_string(channels) + rest + ">";
}

TEST_P(RowKernelsTest, activates) {
  std::vector<float> x = arguments();
  KernelJit jit(GetParam());
  for (const Function &f : functions)
    jit.declare(f.name, pointwise("activation", x.size(), std::string(", activation = ") + f.name), "pp");
  jit.compile();
  for (const Function &f : functions) {
    std::vector<float> y(x.size() + 1, 77.0f);
    jit.kernel<void(const float *, float *)>(f.name)(x.data(), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      double wanted = f.definition(x[i]);
      ASSERT_NEAR(y[i], wanted, allowance(f, wanted)) << f.name << "(" << x[i] << ")";
    }
    ASSERT_EQ(y[x.size()], 77.0f) << "wrote beyond the row";
  }
}

// The same activation, times a second row; in place over either.
TEST_P(RowKernelsTest, gates) {
  std::vector<float> x = arguments();
  KernelJit jit(GetParam());
  for (const Function &f : functions)
    jit.declare(f.name, pointwise("glu", x.size(), std::string(", activation = ") + f.name), "ppp");
  jit.compile();
  std::mt19937 random(5);
  std::vector<float> up = normalRow(int64_t(x.size()), 0, random);
  for (const Function &f : functions)
    for (int place = 0; place < 3; ++place) {
      std::vector<float> a = x, b = up, c(x.size());
      std::vector<float> &y = place == 0 ? a : place == 1 ? b : c;
      jit.kernel<void(const float *, const float *, float *)>(f.name)(a.data(), b.data(), y.data());
      for (size_t i = 0; i < x.size(); ++i) {
        double gate = f.definition(x[i]), wanted = gate * up[i];
        ASSERT_NEAR(y[i], wanted, allowance(f, gate) * std::fabs(up[i]) + 6e-8 * std::fabs(wanted) + 1e-44) << f.name << "(" << x[i] << ") * " << up[i];
      }
    }
}

TEST_P(RowKernelsTest, addsCopiesAndScalesExactly) {
  for (size_t channels : {1, 7, 16, 33}) {
    KernelJit jit(GetParam());
    jit.declare("add", pointwise("add", channels), "ppp");
    jit.declare("copy", pointwise("copy", channels), "pp");
    jit.declare("scale", pointwise("scale", channels, ", constant = 0.3"), "pp");
    jit.compile();
    std::mt19937 random(9);
    std::vector<float> a = normalRow(int64_t(channels), 0, random), b = normalRow(int64_t(channels), 0, random);
    std::vector<float> sum(channels + 1, 77.0f), copy = sum, scaled = sum, inPlace = a;
    jit.kernel<void(const float *, const float *, float *)>("add")(a.data(), b.data(), sum.data());
    jit.kernel<void(const float *, float *)>("copy")(a.data(), copy.data());
    jit.kernel<void(const float *, float *)>("scale")(a.data(), scaled.data());
    jit.kernel<void(const float *, const float *, float *)>("add")(inPlace.data(), inPlace.data(), inPlace.data());
    for (size_t i = 0; i < channels; ++i) {
      EXPECT_EQ(sum[i], a[i] + b[i]);
      EXPECT_EQ(copy[i], a[i]);
      EXPECT_EQ(scaled[i], a[i] * 0.3f);
      EXPECT_EQ(inPlace[i], a[i] + a[i]);
    }
    for (std::vector<float> *row : {&sum, &copy, &scaled})
      EXPECT_EQ(row->back(), 77.0f) << "wrote beyond the row";
  }
}

TEST_P(RowKernelsTest, multipliesAndMixes) {
  for (size_t channels : {6, 48, 64, 102}) {
    KernelJit jit(GetParam());
    jit.declare("mul", pointwise("mul", channels), "ppp");
    jit.declare("heads", pointwise("mul", channels, ", group = " + std::to_string(channels / 2)), "ppp");
    jit.declare("row", pointwise("mul", channels, ", group = " + std::to_string(channels)), "ppp");
    jit.declare("mix", pointwise("mix", channels), "pppp");
    jit.compile();
    std::mt19937 random(11);
    std::vector<float> a = normalRow(int64_t(channels), 0, random), b = normalRow(int64_t(channels), 0, random), c = normalRow(int64_t(channels), 0, random);
    std::vector<float> product(channels + 1, 77.0f), heads = product, row = product, mixed = product;
    jit.kernel<void(const float *, const float *, float *)>("mul")(a.data(), b.data(), product.data());
    jit.kernel<void(const float *, const float *, float *)>("heads")(a.data(), b.data(), heads.data());
    jit.kernel<void(const float *, const float *, float *)>("row")(a.data(), b.data(), row.data());
    jit.kernel<void(const float *, const float *, const float *, float *)>("mix")(a.data(), b.data(), c.data(), mixed.data());
    for (size_t i = 0; i < channels; ++i) {
      EXPECT_EQ(product[i], a[i] * b[i]);
      EXPECT_EQ(heads[i], a[i] * b[i / (channels / 2)]);
      EXPECT_EQ(row[i], a[i] * b[0]);
      EXPECT_NEAR(mixed[i], double(a[i]) * c[i] + double(b[i]) * (1 - double(c[i])), 1e-6 * (1 + std::fabs(mixed[i])));
    }
    for (std::vector<float> *out : {&product, &heads, &row, &mixed})
      EXPECT_EQ(out->back(), 77.0f) << "wrote beyond the row";
  }
}

TEST_P(RowKernelsTest, normalisesWithoutGain) {
  KernelJit jit(GetParam());
  jit.declare("norm", "#tile.unit_norm<channels = 66, group = 33, eps = 1.0e-5>", "pp");
  jit.compile();
  std::mt19937 random(13);
  std::vector<float> x = normalRow(66, 0.5f, random), y(66);
  std::vector<double> wanted = normByDefinition({66, 33, false, false, 0}, x, std::vector<float>(33, 1.0f), {});
  jit.kernel<void(const float *, float *)>("norm")(x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y[i], wanted[i], 4e-6 * (1 + std::fabs(wanted[i])));
}

TEST_P(RowKernelsTest, capsSoftly) {
  std::vector<float> x = arguments();
  KernelJit jit(GetParam());
  jit.declare("softcap", pointwise("softcap", x.size(), ", constant = 30.0"), "pp");
  jit.compile();
  std::vector<float> y(x.size());
  jit.kernel<void(const float *, float *)>("softcap")(x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    double wanted = 30 * std::tanh(double(x[i]) / 30);
    ASSERT_NEAR(y[i], wanted, 1e-6 * std::fabs(wanted) + 1e-38) << x[i];
  }
}

} // namespace
} // namespace llmc::kernels::testing
