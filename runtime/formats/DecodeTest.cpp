// Element formats: sizes, and values against those of the gguf package (testdata/make_decode_golden.py).
#include "runtime/formats/Half.h"
#include "runtime/formats/Tensor.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace llmc {
namespace {

struct Golden {
  Format format;
  std::string_view blocks, values; // hexadecimal
};
const Golden goldens[] = {
#include "runtime/formats/testdata/DecodeGolden.inc"
};

uint32_t hexNumber(std::string_view digits) { return uint32_t(std::stoul(std::string(digits), nullptr, 16)); }

std::vector<std::byte> hexBytes(std::string_view digits) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < digits.size(); i += 2)
    bytes.push_back(std::byte(hexNumber(digits.substr(i, 2))));
  return bytes;
}

class DecodeTest : public testing::TestWithParam<Golden> {};

TEST_P(DecodeTest, givesTheReferencesBits) {
  const Golden &golden = GetParam();
  auto elements = int64_t(golden.values.size() / 8);
  std::vector<std::byte> row = hexBytes(golden.blocks);
  ASSERT_EQ(rowBytes(golden.format, elements), int64_t(row.size()));
  row.insert(row.begin(), std::byte(0)); // no alignment is needed
  std::vector<float> out(static_cast<size_t>(elements));
  decodeRow(golden.format, row.data() + 1, out);
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_EQ(std::bit_cast<uint32_t>(out[i]), hexNumber(golden.values.substr(8 * i, 8))) << "element " << i;
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeTest, testing::ValuesIn(goldens),
                         [](const auto &info) { return std::string(formatInfo(info.param.format).name); });

TEST(TensorTest, namesRoundTrip) {
  for (const Golden &golden : goldens)
    EXPECT_EQ(parseFormat(formatInfo(golden.format).name), golden.format);
  auto unknown = parseFormat("q8_k");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::Unsupported);
  EXPECT_NE(unknown.error().message.find("q4_k"), std::string::npos);
}

TEST(TensorTest, rowsAreWholeBlocks) {
  EXPECT_EQ(rowBytes(Format::Q6_K, 512), 420);
  EXPECT_EQ(rowBytes(Format::F32, 0), 0);
  EXPECT_FALSE(rowBytes(Format::Q4_K, 128));
  EXPECT_FALSE(rowBytes(Format::F16, -1));
  EXPECT_FALSE(rowBytes(Format::F32, std::numeric_limits<int64_t>::max()));
}

TEST(TensorTest, tensorBytesNeverWrap) {
  int64_t good[] = {2, 3, 64}, wraps[] = {int64_t(1) << 32, int64_t(1) << 32, 32}, negative[] = {-1, 32};
  EXPECT_EQ(tensorBytes(Format::Q8_0, good), 2 * 3 * 68);
  EXPECT_EQ(tensorBytes(Format::F32, {}), 4);
  EXPECT_FALSE(tensorBytes(Format::F32, wraps));
  EXPECT_FALSE(tensorBytes(Format::F32, negative));
}

// The value of a half by its definition.
double halfByDefinition(uint16_t half) {
  int exponent = half >> 10 & 31, fraction = half & 0x3ff;
  double magnitude = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

TEST(HalfTest, everyHalfConvertsExactlyAndBack) {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    auto half = uint16_t(i);
    float value = halfToFloat(half);
    if ((half & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isnan(value), (half & 0x3ff) != 0);
      EXPECT_EQ(floatToHalf(value) & ~0x200, half & ~0x200); // NaNs become quiet
      continue;
    }
    ASSERT_EQ(double(value), halfByDefinition(half)) << half;
    ASSERT_EQ(floatToHalf(value), half);
  }
}

TEST(HalfTest, roundsToNearestEven) {
  for (uint16_t half = 0; half < 0x7bff; ++half) { // neighbours and the midpoint between them
    float low = halfToFloat(half), high = halfToFloat(uint16_t(half + 1)), middle = low + (high - low) / 2;
    ASSERT_EQ(floatToHalf(middle), half & 1 ? half + 1 : half);
    ASSERT_EQ(floatToHalf(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(floatToHalf(-std::nextafter(middle, high)), 0x8000 | (half + 1));
  }
  EXPECT_EQ(floatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(1e30f), 0x7c00);
  EXPECT_EQ(floatToHalf(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(floatToHalf(1e-40f), 0);
}

TEST(HalfTest, bf16RoundsToNearestEven) {
  EXPECT_EQ(bf16ToFloat(0x3f80), 1.0f);
  EXPECT_EQ(floatToBf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(floatToBf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(floatToBf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(floatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(HoldsShape, dimensionsOfOneAreFreeInFloatTensors) {
  auto holds = [](Format format, std::vector<int64_t> got, std::vector<int64_t> want) {
    return holdsShape({.name = "t", .format = format, .shape = std::move(got), .data = {}}, want);
  };
  EXPECT_TRUE(holds(Format::F32, {64, 1, 3}, {64, 3}));
  EXPECT_TRUE(holds(Format::F32, {1, 1, 3}, {1, 3}));
  EXPECT_TRUE(holds(Format::BF16, {4, 8}, {4, 8, 1}));
  EXPECT_TRUE(holds(Format::F32, {4, 16}, {64})); // a vector
  EXPECT_TRUE(holds(Format::F32, {7, 1, 3}, {-1, 3}));
  EXPECT_FALSE(holds(Format::F32, {64, 2, 3}, {64, 3}));
  EXPECT_FALSE(holds(Format::F32, {3, 64}, {64, 3}));
  EXPECT_FALSE(holds(Format::F32, {4, 16}, {65}));
  EXPECT_FALSE(holds(Format::Q8_0, {64, 1, 32}, {64, 32}));
  EXPECT_TRUE(holds(Format::Q8_0, {64, 32}, {-1, 32}));
}

} // namespace
} // namespace llmc
