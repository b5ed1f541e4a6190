// Packed panels hold the numbers of their source, exactly.
#include "compiler/packing/Packing.h"

#include "runtime/formats/Half.h"

#include <bit>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace llmc::packing {
namespace {

constexpr Format formats[] = {Format::F32,  Format::F16,  Format::BF16, Format::Q4_0, Format::Q5_0,
                              Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::Q4_1,
                              Format::Q5_1, Format::Q2_K, Format::Q3_K, Format::IQ4_NL, Format::MXFP4};

class PackingTest : public testing::TestWithParam<Format> {
protected:
  Format format = GetParam();
  std::mt19937 random{17};

  std::vector<std::byte> randomBytes(int64_t count) {
    std::vector<std::byte> bytes(static_cast<size_t>(count));
    for (std::byte &byte : bytes)
      byte = std::byte(random());
    return bytes;
  }
  // Rows of random bits: every quant, scale and minimum occurs. One byte more in front: sources are not aligned.
  std::vector<std::vector<std::byte>> randomRows(int64_t inputs) {
    std::vector<std::vector<std::byte>> rows;
    for (int n = 0; n < 16; ++n)
      rows.push_back(randomBytes(rowBytes(format, inputs).value() + 1));
    return rows;
  }
  std::vector<std::byte> pack(const PanelRows &rows, int64_t inputs) {
    std::vector<std::byte> panel(static_cast<size_t>(tile::panelBytes(dialectFormat(format), inputs)), std::byte(0xaa));
    packPanel(format, rows, inputs, panel.data());
    return panel;
  }
  std::vector<uint32_t> bitsOf(const std::vector<float> &values) {
    std::vector<uint32_t> bits;
    for (float value : values)
      bits.push_back(value != value ? 0x7fc00000 : std::bit_cast<uint32_t>(value)); // NaNs are alike
    return bits;
  }
  std::vector<uint32_t> unpacked(const std::vector<std::byte> &panel, int64_t row, int64_t inputs) {
    std::vector<float> values(static_cast<size_t>(inputs));
    unpackRow(format, panel.data(), row, values);
    return bitsOf(values);
  }
  std::vector<int64_t> inputCounts() {
    int64_t block = formatInfo(format).blockElements;
    return block == 1 ? std::vector<int64_t>{1, 2, 31, 32, 33, 300} : std::vector<int64_t>{block, 3 * block, 8 * block};
  }
};

TEST_P(PackingTest, keepsEveryNumber) {
  for (int64_t inputs : inputCounts()) {
    std::vector<std::vector<std::byte>> rows = randomRows(inputs);
    PanelRows pointers;
    for (size_t n = 0; n < 16; ++n)
      pointers[n] = rows[n].data() + 1;
    std::vector<std::byte> panel = pack(pointers, inputs);
    for (size_t n = 0; n < 16; ++n) {
      std::vector<float> wanted(static_cast<size_t>(inputs));
      decodeRow(format, pointers[n], wanted);
      ASSERT_EQ(unpacked(panel, int64_t(n), inputs), bitsOf(wanted)) << "row " << n << " of " << inputs << " inputs";
    }
  }
}

TEST_P(PackingTest, packsMissingRowsAsZeros) {
  for (int64_t inputs : inputCounts()) {
    std::vector<std::vector<std::byte>> rows = randomRows(inputs);
    PanelRows all, some{}, none{};
    for (size_t n = 0; n < 16; ++n)
      all[n] = rows[n].data();
    some[3] = all[3];
    some[9] = all[9];
    std::vector<std::byte> full = pack(all, inputs), partial = pack(some, inputs), empty = pack(none, inputs);
    EXPECT_EQ(empty, std::vector<std::byte>(empty.size()));
    for (int64_t n : {3, 9})
      EXPECT_EQ(unpacked(partial, n, inputs), unpacked(full, n, inputs));
    for (size_t i = 0; i < full.size(); ++i) // nothing but the two rows, and no byte of the buffer before
      EXPECT_TRUE(partial[i] == full[i] || partial[i] == std::byte(0)) << i;
    std::vector<float> zeros(static_cast<size_t>(inputs));
    unpackRow(format, partial.data(), 4, zeros);
    for (float zero : zeros)
      EXPECT_EQ(zero, 0.0f);
  }
}

class TransposedPackingTest : public PackingTest {};

TEST_P(TransposedPackingTest, packsTheSamePanels) {
  for (int64_t inputs : inputCounts()) {
    constexpr int64_t outputs = 37;
    int64_t size = formatInfo(format).blockBytes;
    std::vector<std::byte> source = randomBytes(inputs * outputs * size), transposed(source.size());
    for (int64_t n = 0; n < outputs; ++n)
      for (int64_t k = 0; k < inputs; ++k)
        std::memcpy(&transposed[size_t((k * outputs + n) * size)], &source[size_t((n * inputs + k) * size)], size_t(size));
    for (int64_t first = 0; first < outputs; first += 16) {
      PanelRows rows{};
      for (int64_t n = first; n < std::min(outputs, first + 16); ++n)
        rows[size_t(n - first)] = source.data() + n * inputs * size;
      std::vector<std::byte> wanted = pack(rows, inputs), got(wanted.size(), std::byte(0xaa));
      packPanelTransposed(format, transposed.data(), inputs, outputs, {first, std::min<int64_t>(16, outputs - first)}, got.data());
      EXPECT_EQ(got, wanted) << inputs << " inputs, outputs from " << first;
    }
  }
}

// Every third column from the second one: what lies between belongs to another weight.
TEST_P(TransposedPackingTest, stepsOverColumns) {
  for (int64_t inputs : inputCounts()) {
    constexpr int64_t width = 29, count = 9, step = 3;
    int64_t size = formatInfo(format).blockBytes;
    std::vector<std::byte> source = randomBytes(inputs * width * size), rowBytes(size_t(count * inputs * size));
    PanelRows rows{};
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t k = 0; k < inputs; ++k)
        std::memcpy(&rowBytes[size_t((n * inputs + k) * size)], &source[size_t((k * width + 1 + n * step) * size)], size_t(size));
      rows[size_t(n)] = rowBytes.data() + n * inputs * size;
    }
    std::vector<std::byte> wanted = pack(rows, inputs), got(wanted.size(), std::byte(0xaa));
    packPanelTransposed(format, source.data(), inputs, width, {1, count, step}, got.data());
    EXPECT_EQ(got, wanted) << inputs << " inputs";
  }
}

std::string formatName(const testing::TestParamInfo<Format> &info) { return std::string(formatInfo(info.param).name); }

INSTANTIATE_TEST_SUITE_P(Formats, PackingTest, testing::ValuesIn(formats), formatName);
INSTANTIATE_TEST_SUITE_P(Formats, TransposedPackingTest, testing::Values(Format::F32, Format::F16, Format::BF16), formatName);

} // namespace
} // namespace llmc::packing
