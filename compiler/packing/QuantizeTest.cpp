// The scale search: never worse than the reference's scale, and the best there is where that can be told.
#include "compiler/packing/Quantize.h"

#include "runtime/formats/Half.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace llmc::packing {
namespace {

using Values = std::vector<float>;

Values roundTrip(Format format, const Values &values, const Moments *moments = nullptr) {
  std::vector<std::byte> row(size_t(rowBytes(format, int64_t(values.size())).value()));
  quantizeRow(format, values, moments, row.data());
  Values result(values.size());
  decodeRow(format, row.data(), result);
  return result;
}

double errorBetween(const Values &a, const Values &b, const Values &importance = {}) {
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i)
    error += (importance.empty() ? 1.0 : importance[i]) * std::pow(double(a[i]) - b[i], 2);
  return error;
}

// What errors cost when nothing is known of the inputs, of values that share a scale.
Values ownImportance(const Values &values) {
  double mean = errorBetween(values, Values(values.size())) / double(values.size());
  Values importance;
  for (float value : values)
    importance.push_back(float(std::sqrt(mean + value * value)));
  return importance;
}

// Of inputs that are independent of each other.
Values independent(const Values &squares, int64_t block) {
  Values moments(squares.size() * size_t(block));
  for (size_t i = 0; i < squares.size(); ++i)
    moments[i * size_t(block) + i % size_t(block)] = squares[i];
  return moments;
}

// Of inputs that share a part: neighbours within 16 have the same sign more often than not.
Values correlated(size_t count, int64_t block) {
  Values moments(count * size_t(block));
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < size_t(block) && i / size_t(block) * size_t(block) + j < count; ++j)
      moments[i * size_t(block) + j] = i % size_t(block) == j ? 1.0f : (i % size_t(block)) / 16 == j / 16 ? 0.9f : 0.1f;
  return moments;
}

// The expected square of what the errors add to a product.
double productError(const Values &a, const Values &b, const Moments &moments) {
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t first = i / size_t(moments.block) * size_t(moments.block);
    for (size_t j = first; j < std::min(a.size(), first + size_t(moments.block)); ++j)
      error += (double(a[i]) - b[i]) * moments.row(int64_t(i))[j - first] * (double(a[j]) - b[j]);
  }
  return error;
}

constexpr Format kAll[] = {Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K};

Values gaussian(size_t count, unsigned seed, float mean = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw(mean, 0.02f);
  Values values(count);
  for (float &value : values)
    value = draw(random);
  return values;
}

// As value = scale * code with codes in [low, high].
Values roundedTo(const Values &values, float scale, float low, float high) {
  Values result;
  for (float value : values)
    result.push_back(scale == 0 ? 0 : scale * std::clamp(std::nearbyint(value / scale), low, high));
  return result;
}

float asHalf(float value) { return halfToFloat(floatToHalf(value)); }

float extreme(const Values &values) {
  return *std::max_element(values.begin(), values.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

struct Symmetric {
  Format format;
  float low, high, referenceCode;
  double saved; // of the reference's error, at least, over many blocks
  double close; // to the error of the best scale: with many codes scales matter less, and fewer are tried
};

class SymmetricTest : public testing::TestWithParam<Symmetric> {};

TEST_P(SymmetricTest, isNeverWorseThanTheLargestMagnitude) {
  auto [format, low, high, code, saved, close] = GetParam();
  double ours = 0, reference = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    Values values = gaussian(32, seed), importance = ownImportance(values);
    double found = errorBetween(values, roundTrip(format, values), importance);
    double plain = errorBetween(values, roundedTo(values, asHalf(extreme(values) / code), low, high), importance);
    EXPECT_LE(found, plain * (1 + 1e-5)) << "seed " << seed;
    ours += found, reference += plain;
  }
  EXPECT_LE(ours, reference * (1 - saved));
}

// As close as stated to the best of 4,000 scales of either sign, over many blocks.
TEST_P(SymmetricTest, isCloseToTheBestScale) {
  auto [format, low, high, code, saved, close] = GetParam();
  double ours = 0, best = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    Values values = gaussian(32, 1000 + seed), importance = ownImportance(values);
    double least = INFINITY, widest = std::fabs(extreme(values)) / (high * 0.6f);
    for (int i = -2000; i <= 2000; ++i)
      least = std::min(least, errorBetween(values, roundedTo(values, asHalf(float(widest * i / 2000)), low, high), importance));
    ours += errorBetween(values, roundTrip(format, values), importance), best += least;
  }
  EXPECT_LE(ours, best * close);
}

INSTANTIATE_TEST_SUITE_P(Formats, SymmetricTest,
                         testing::Values(Symmetric{Format::Q4_0, -8, 7, -8, 0.08, 1.01}, Symmetric{Format::Q5_0, -16, 15, -16, 0.03, 1.01},
                                         Symmetric{Format::Q8_0, -127, 127, 127, 0, 1.15}),
                         [](const auto &info) { return std::string(formatInfo(info.param.format).name); });

TEST(QuantizeTest, keepsWhatAFormatHolds) {
  for (Format format : {Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q6_K}) {
    Values values(256);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = 0.25f * float(int(i * 7 % 15) - 7);
    values[0] = -2; // the lowest code of four bits
    EXPECT_LE(errorBetween(values, roundTrip(format, values)), format == Format::Q6_K ? 256 * 1e-4 : format == Format::Q8_0 || format == Format::Q5_0 ? 256 * 1e-3 : 1e-12);
  }
  for (Format format : {Format::Q4_K, Format::Q5_K}) { // all groups have one line: 6-bit codes hold it
    Values values(256);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = 0.5f * float(i * 7 % 16) - 2;
    EXPECT_LE(errorBetween(values, roundTrip(format, values)), 256 * 1e-4);
  }
}

TEST(QuantizeTest, keepsZeros) {
  for (Format format : {Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K})
    EXPECT_EQ(roundTrip(format, Values(512)), Values(512));
}

// One value of importance is met at the cost of the others.
TEST(QuantizeTest, heedsImportance) {
  for (Format format : {Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K}) {
    double plain = 0, weighted = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
      Values values = gaussian(256, seed), importance(256, 1.0f);
      for (size_t i = 3; i < 256; i += 8)
        importance[i] = 1000;
      Values squares = independent(importance, 256);
      Moments moments{squares, 256};
      plain += errorBetween(values, roundTrip(format, values), importance);
      weighted += errorBetween(values, roundTrip(format, values, &moments), importance);
    }
    EXPECT_LT(weighted, plain * (format == Format::Q8_0 ? 1.0 : 0.8)) << formatInfo(format).name;
  }
}

// Errors make up for each other where inputs go together, in every size of block, also in a last one that is smaller, and in a block of the
// moments that is a part of the format's.
TEST(QuantizeTest, compensatesErrors) {
  for (Format format : kAll)
    for (int64_t block : {32, 64, 128, 256}) {
      size_t columns = formatInfo(format).blockElements == 256 ? 512 : 608;
      double plain = 0, compensated = 0;
      Values pairs = correlated(columns, block);
      Moments moments{pairs, block};
      for (unsigned seed = 0; seed < 4; ++seed) {
        Values values = gaussian(columns, seed);
        plain += productError(values, roundTrip(format, values), moments);
        compensated += productError(values, roundTrip(format, values, &moments), moments);
      }
      EXPECT_LT(compensated, plain * 0.5) << formatInfo(format).name << ", blocks of " << block;
    }
}

// Inputs that never stirred count for nothing; all still are numbers near the values.
TEST(QuantizeTest, roundsPlainlyWhatIsNotKnown) {
  Values values = gaussian(512, 3), nothing(512 * 256);
  Moments none{nothing, 256};
  for (Format format : kAll)
    EXPECT_EQ(roundTrip(format, values, &none), roundTrip(format, values)) << formatInfo(format).name;
  Values squares(512, 1.0f);
  std::fill(squares.begin() + 16, squares.begin() + 48, 0.0f);
  Values pairs = independent(squares, 256);
  Moments some{pairs, 256};
  for (Format format : kAll)
    EXPECT_LT(errorBetween(values, roundTrip(format, values, &some)), 0.02 * errorBetween(values, Values(512))) << formatInfo(format).name;
}

TEST(QuantizeTest, givesExpertsSmallerBlocks) {
  EXPECT_EQ(momentsBlock(1, 4096), 256);
  EXPECT_EQ(momentsBlock(1, 96), 96);
  EXPECT_EQ(momentsBlock(4, 4096), 64);
  EXPECT_EQ(momentsBlock(128, 4096), 32);
}

// More bits, less error; what has minima gains where values lie to one side.
TEST(QuantizeTest, ordersFormats) {
  Values values = gaussian(2560, 7), aside = gaussian(2560, 8, 0.05f);
  auto error = [&](Format format) { return errorBetween(values, roundTrip(format, values)); };
  EXPECT_LT(error(Format::Q8_0), error(Format::Q6_K));
  EXPECT_LT(error(Format::Q6_K), error(Format::Q5_K));
  EXPECT_LT(error(Format::Q5_K), error(Format::Q4_K));
  EXPECT_LT(error(Format::Q4_K), error(Format::Q4_0));
  EXPECT_LT(errorBetween(aside, roundTrip(Format::Q4_K, aside)), errorBetween(aside, roundTrip(Format::Q4_0, aside)));
}

TEST(QuantizeTest, survivesWhatIsNoNumber) {
  Values values = gaussian(256, 9);
  values[3] = NAN, values[70] = INFINITY, values[200] = -INFINITY, values[130] = 3e38f;
  Values odd = correlated(256, 256); // a file may hold anything
  odd[7] = NAN, odd[300] = INFINITY, odd[257] = -4, odd[900] = 3e38f;
  Moments moments{odd, 256};
  for (Format format : kAll) {
    roundTrip(format, values);
    roundTrip(format, values, &moments);
    roundTrip(format, gaussian(256, 10), &moments);
  }
}

} // namespace
} // namespace llmc::packing
