// Kernels against their scalar definitions, bit for bit, on every target that this machine can run.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include "runtime/formats/Half.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <map>

namespace llmc::kernels::testing {
namespace {

constexpr int64_t rowCounts[] = {1, 2, 3, 7, 33};

// The least, an odd one, and one that does not fill its last block of scratch.
std::vector<int64_t> inputCounts(Format format) {
  switch (formatInfo(format).blockElements) {
  case 1:
    return {1, 97, 640};
  case 32:
    return {32, 96, 1056};
  default:
    return {256, 1280};
  }
}

bool sameBits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b)) || (a == 0 && b == 0);
}

// Rows of activations as kernels take them.
struct Activations {
  std::vector<float> values; // [tokens][inputs]
  Buffer int8;               // [tokens] rows

  Activations(int64_t tokens, int64_t inputs, float size, std::mt19937 &random)
      : int8(size_t(inputs % 32 ? 0 : tokens * tile::int8RowBytes(inputs))) {
    std::normal_distribution<float> normal(0, size);
    for (int64_t i = 0; i < tokens * inputs; ++i)
      values.push_back(normal(random));
    for (int64_t t = 0; t < tokens && int8.bytes; ++t)
      quantizeByDefinition(std::span(values).subspan(size_t(t * inputs), size_t(inputs)), int8.data() + t * tile::int8RowBytes(inputs));
  }
};

class ProductTest : public ::testing::TestWithParam<std::tuple<JitTarget, ProductCase>> {
protected:
  const JitTarget &target() { return std::get<0>(GetParam()); }
  const ProductCase &product() { return std::get<1>(GetParam()); }
  std::string name(int64_t inputs, bool single) { return (single ? "single_" : "many_") + std::to_string(inputs); }

  void compile(KernelJit &jit, const std::vector<int64_t> &counts) {
    for (int64_t inputs : counts)
      for (bool single : {true, false})
        jit.declare(name(inputs, single), productAttribute(product(), inputs, single), "ppipp");
    jit.compile();
  }

  std::vector<float> definition(const std::vector<std::vector<std::byte>> &rows, const Buffer &panel, const Activations &x,
                                int64_t tokens, int64_t inputs) {
    std::vector<float> result(size_t(tokens * 16));
    for (int64_t n = 0; n < 16; ++n) {
      std::vector<float> decoded(static_cast<size_t>(inputs));
      decodeRow(product().format, rows[size_t(n)].data(), decoded);
      packing::PackedCodes codes;
      int64_t group = 0;
      if (product().int8) {
        codes = packing::unpackCodes(product().format, panel.data(), n, inputs);
        group = tile::packedBlock(packing::dialectFormat(product().format)).group;
      }
      for (int64_t t = 0; t < tokens; ++t)
        result[size_t(t * 16 + n)] =
            product().int8 ? int8ProductByDefinition(codes, group, x.int8.data() + t * tile::int8RowBytes(inputs), target().fused)
                           : floatProductByDefinition(decoded, std::span(x.values).subspan(size_t(t * inputs), size_t(inputs)), target().fused);
    }
    return result;
  }

  void checkOne(KernelJit &jit, int64_t inputs, Weights weights, float size, std::mt19937 &random) {
    constexpr int64_t most = 33;
    std::vector<std::vector<std::byte>> rows;
    for (int n = 0; n < 16; ++n)
      rows.push_back(randomRow(product().format, inputs, weights, random));
    Buffer panel = packRows(product().format, rows, inputs);
    Activations x(most, inputs, size, random);
    Buffer scratch(size_t(productScratch(product(), inputs)));
    std::vector<float> wanted = definition(rows, panel, x, most, inputs), got(most * 16 + 16);
    auto run = [&](bool single, int64_t first, int64_t tokens) {
      auto *kernel = jit.function<ProductFunction>(name(inputs, single));
      const void *from = product().int8 ? static_cast<const void *>(x.int8.data() + first * tile::int8RowBytes(inputs))
                                        : static_cast<const void *>(x.values.data() + first * inputs);
      std::fill(got.begin(), got.end(), 12345.0f);
      kernel(panel.data(), from, tokens, got.data(), scratch.data());
      for (int64_t i = 0; i < tokens * 16; ++i)
        ASSERT_TRUE(sameBits(got[size_t(i)], wanted[size_t(first * 16 + i)]))
            << "inputs " << inputs << (single ? " single" : " many") << " tokens " << tokens << " element " << i << ": got "
            << got[size_t(i)] << ", want " << wanted[size_t(first * 16 + i)];
      ASSERT_EQ(got[size_t(tokens * 16)], 12345.0f) << "wrote beyond its rows";
    };
    for (int64_t t : {0, 5})
      ASSERT_NO_FATAL_FAILURE(run(true, t, 1));
    for (int64_t tokens : rowCounts)
      ASSERT_NO_FATAL_FAILURE(run(false, 0, tokens));
  }
};

TEST_P(ProductTest, hasTheBitsOfItsDefinition) {
  KernelJit jit(target());
  std::vector<int64_t> counts = inputCounts(product().format);
  compile(jit, counts);
  std::mt19937 random(7);
  for (int64_t inputs : counts) {
    ASSERT_NO_FATAL_FAILURE(checkOne(jit, inputs, Weights::Usual, 1.0f, random));
    ASSERT_NO_FATAL_FAILURE(checkOne(jit, inputs, Weights::Extreme, 1e4f, random));
    ASSERT_NO_FATAL_FAILURE(checkOne(jit, inputs, Weights::Extreme, 0.0f, random));
  }
}

// Every quant at its largest or smallest against every activation at 127 or -127: no sum may saturate or wrap.
TEST_P(ProductTest, largestQuantsDoNotOverflow) {
  if (!product().int8)
    return; // floats have no quants: the case above holds their extremes
  constexpr int64_t inputs = 256;
  KernelJit jit(target());
  compile(jit, {inputs});
  const FormatInfo &info = formatInfo(product().format);
  for (int fill : {0x00, 0xff, 0x80, 0x7f})
    for (float value : {1.0f, -1.0f}) {
      std::mt19937 random(1);
      std::vector<std::byte> row = randomRow(product().format, inputs, Weights::Usual, random);
      auto [begin, end] = quantBytes(product().format);
      for (int64_t block = 0; block < inputs / info.blockElements; ++block)
        for (size_t i = begin; i < end; ++i)
          row[size_t(block * info.blockBytes) + i] = std::byte(fill);
      std::vector<std::vector<std::byte>> rows(16, row);
      Buffer panel = packRows(product().format, rows, inputs), scratch(size_t(productScratch(product(), inputs)));
      Activations x(1, inputs, 0, random);
      x.values.assign(inputs, value);
      quantizeByDefinition(x.values, x.int8.data());
      std::vector<float> wanted = definition(rows, panel, x, 1, inputs), got(16);
      for (bool single : {true, false}) {
        jit.function<ProductFunction>(name(inputs, single))(panel.data(), x.int8.data(), 1, got.data(), scratch.data());
        for (size_t n = 0; n < 16; ++n)
          ASSERT_TRUE(sameBits(got[n], wanted[n])) << fill << " " << value << ": got " << got[n] << ", want " << wanted[n];
      }
    }
}

// The definition itself: int8 products are near the products of the decoded numbers.
TEST_P(ProductTest, isNearTheExactProduct) {
  constexpr int64_t inputs = 1280;
  std::mt19937 random(3);
  std::vector<std::vector<std::byte>> rows;
  for (int n = 0; n < 16; ++n)
    rows.push_back(randomRow(product().format, inputs, Weights::Usual, random));
  Buffer panel = packRows(product().format, rows, inputs);
  Activations x(1, inputs, 1.0f, random);
  std::vector<float> approximate = definition(rows, panel, x, 1, inputs), decoded(inputs);
  for (size_t n = 0; n < 16; ++n) {
    decodeRow(product().format, rows[n].data(), decoded);
    double exact = 0, squares = 0;
    for (size_t k = 0; k < inputs; ++k) {
      exact += double(decoded[k]) * x.values[k];
      squares += double(decoded[k]) * decoded[k];
    }
    EXPECT_NEAR(approximate[n], exact, std::sqrt(squares) * (product().int8 ? 0.03 : 1e-5));
  }
}

std::string caseName(const ::testing::TestParamInfo<std::tuple<JitTarget, ProductCase>> &info) {
  return std::get<0>(info.param).name + "_" + productName(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Targets, ProductTest,
                         ::testing::Combine(::testing::ValuesIn(jitTargets()), ::testing::ValuesIn(productCases)), caseName);

// x[k] and weights rounded to bf16, products and sums exact.
double bf16ProductByDefinition(std::span<const float> weights, std::span<const float> x) {
  double sum = 0;
  for (size_t k = 0; k < x.size(); ++k)
    sum += double(bf16ToFloat(floatToBf16(weights[k]))) * bf16ToFloat(floatToBf16(x[k]));
  return sum;
}

class Bf16ProductTest : public ::testing::TestWithParam<JitTarget> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Bf16ProductTest); // machines without the instruction

// Rows come from the kernel that rounds them. All row counts give the bits of the single row, which is near the definition.
TEST_P(Bf16ProductTest, isNearItsDefinitionWhateverTheRows) {
  constexpr int64_t most = 61;
  std::mt19937 random(17);
  for (const ProductCase &product : bf16Cases)
    for (int64_t inputs : {1, 2, 97, 512, 1058}) {
      KernelJit jit(GetParam());
      jit.declare("single", productAttribute(product, inputs, true), "ppipp");
      jit.declare("many", productAttribute(product, inputs, false), "ppipp");
      jit.declare("round", "#tile.quantize<inputs = " + std::to_string(inputs) + ", arithmetic = bf16>", "pp");
      jit.compile();
      std::vector<std::vector<std::byte>> rows;
      for (int n = 0; n < 16; ++n)
        rows.push_back(randomRow(product.format, inputs, Weights::Usual, random));
      Buffer panel = packRows(product.format, rows, inputs), scratch(size_t(productScratch(product, inputs)));
      int64_t rowBytes = tile::bf16RowBytes(inputs);
      Activations x(most, inputs, 1, random);
      Buffer rounded{size_t(most * rowBytes)};
      std::memset(rounded.data(), 0xff, rounded.bytes); // NaN
      for (int64_t t = 0; t < most; ++t)
        jit.function<QuantizeFunction>("round")(x.values.data() + t * inputs, rounded.data() + t * rowBytes);
      std::vector<float> one(most * 16), got(most * 16 + 1), decoded(static_cast<size_t>(inputs));
      for (int64_t t = 0; t < most; ++t)
        jit.function<ProductFunction>("single")(panel.data(), rounded.data() + t * rowBytes, 1, one.data() + t * 16, nullptr);
      for (size_t n = 0; n < 16; ++n) {
        decodeRow(product.format, rows[n].data(), decoded);
        double size = 0;
        for (float weight : decoded)
          size += std::fabs(weight);
        for (size_t t = 0; t < most; ++t)
          ASSERT_NEAR(one[t * 16 + n], bf16ProductByDefinition(decoded, std::span(x.values).subspan(t * size_t(inputs), size_t(inputs))), 2e-6 * size)
              << productName(product) << " inputs " << inputs << " token " << t << " output " << n;
      }
      for (int64_t tokens : {1, 2, 7, 8, 9, 16, 17, 24, 31, 33, 47, 48, 61}) {
        std::ranges::fill(got, 12345.0f);
        jit.function<ProductFunction>("many")(panel.data(), rounded.data(), tokens, got.data(), scratch.data());
        ASSERT_EQ(std::memcmp(got.data(), one.data(), size_t(tokens) * 64), 0) << productName(product) << " inputs " << inputs << " tokens " << tokens;
        ASSERT_EQ(got[size_t(tokens) * 16], 12345.0f) << "wrote beyond its rows";
      }
    }
}

// To the nearest, ties to even; what is no number or too large stays so.
TEST_P(Bf16ProductTest, roundsRows) {
  KernelJit jit(GetParam());
  jit.declare("round", "#tile.quantize<inputs = 19, arithmetic = bf16>", "pp");
  jit.compile();
  const float x[19] = {1.0f, -1.0f, 0x1.01p0f, 0x1.03p0f, 0x1.0100002p0f, 0x1.00fffep0f, 0, INFINITY, -INFINITY, NAN, 3.4e38f, 1e-30f,
                       1.0f, 1.0f,  1.0f,      1.0f,      0x1.03p0f,      -0x1.05p7f,    0.1f};
  std::vector<uint16_t> got(size_t(tile::bf16RowBytes(19)) / 2, 0x7777);
  jit.function<QuantizeFunction>("round")(x, reinterpret_cast<std::byte *>(got.data()));
  for (size_t k = 0; k < std::size(x); ++k)
    if (std::isnan(x[k]))
      EXPECT_TRUE(std::isnan(bf16ToFloat(got[k])));
    else
      EXPECT_EQ(got[k], floatToBf16(x[k])) << "input " << k;
  EXPECT_EQ(got[19], 0) << "the partner of an odd last input";
}

INSTANTIATE_TEST_SUITE_P(Targets, Bf16ProductTest, ::testing::ValuesIn(bf16Targets()), [](const auto &info) { return info.param.name; });

class TargetTest : public ::testing::TestWithParam<JitTarget> {};

TEST_P(TargetTest, quantizesByDefinition) {
  KernelJit jit(GetParam());
  for (int64_t inputs : {32, 64, 640})
    jit.declare("quantize_" + std::to_string(inputs), "#tile.quantize<inputs = " + std::to_string(inputs) + ">", "pp");
  jit.compile();
  std::mt19937 random(11);
  for (int64_t inputs : {32, 64, 640})
    for (float size : {1.0f, 0.0f, 1e-35f, 1e-29f, 3e37f}) {
      std::normal_distribution<float> normal(0, size);
      std::vector<float> x(static_cast<size_t>(inputs));
      for (float &value : x)
        value = normal(random);
      for (float special : {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0x1p-149f}) {
        x[size_t(inputs) / 2 + 3] = special;
        auto bytes = size_t(tile::int8HalfSumsOffset(inputs) + inputs / 4);
        Buffer wanted(size_t(tile::int8RowBytes(inputs))), got(size_t(tile::int8RowBytes(inputs)));
        quantizeByDefinition(x, wanted.data());
        jit.kernel<QuantizeFunction>("quantize_" + std::to_string(inputs))(x.data(), got.data());
        for (size_t i = 0; i < bytes; ++i) {
          auto offset = int64_t(i);
          bool isFloat = offset >= tile::int8ScalesOffset(inputs) && offset < tile::int8SumsOffset(inputs);
          if (!isFloat)
            ASSERT_EQ(got.data()[i], wanted.data()[i]) << "byte " << i << " of " << inputs << " size " << size << " with " << special;
          else if (i % 4 == 0)
            ASSERT_TRUE(sameBits(got.as<float>()[i / 4], wanted.as<float>()[i / 4]))
                << "byte " << i << " size " << size << " with " << special << ": " << got.as<float>()[i / 4] << ", want "
                << wanted.as<float>()[i / 4];
        }
      }
    }
}

TEST_P(TargetTest, decodesRowsExactly) {
  constexpr Format formats[] = {Format::F32,  Format::F16,  Format::BF16, Format::Q4_0, Format::Q5_0,
                                Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::Q4_1,
                                Format::Q5_1, Format::Q2_K, Format::Q3_K, Format::IQ4_NL, Format::MXFP4};
  KernelJit jit(GetParam());
  auto name = [](Format format, int64_t inputs) { return std::string(formatInfo(format).name) + "_" + std::to_string(inputs); };
  for (Format format : formats)
    for (int64_t inputs : inputCounts(format))
      jit.declare(name(format, inputs),
                  "#tile.decode_row<format = " + std::string(formatInfo(format).name) + ", inputs = " + std::to_string(inputs) + ">", "pip");
  jit.compile();
  std::mt19937 random(5);
  for (Format format : formats)
    for (int64_t inputs : inputCounts(format)) {
      int64_t panelBytes = tile::panelBytes(packing::dialectFormat(format), inputs);
      Buffer weight(size_t(2 * panelBytes));
      std::vector<std::vector<std::byte>> rows;
      for (size_t n = 0; n < 32; ++n)
        rows.push_back(randomRow(format, inputs, n % 2 ? Weights::Usual : Weights::Extreme, random));
      for (size_t panel = 0; panel < 2; ++panel) {
        Buffer packed = packRows(format, {rows.begin() + ptrdiff_t(16 * panel), rows.begin() + ptrdiff_t(16 * panel + 16)}, inputs);
        std::memcpy(weight.data() + int64_t(panel) * panelBytes, packed.data(), size_t(panelBytes));
      }
      for (size_t n : {0, 1, 15, 16, 30}) {
        std::vector<float> wanted(static_cast<size_t>(inputs)), got(static_cast<size_t>(inputs) + 1, 99.0f);
        decodeRow(format, rows[n].data(), wanted);
        jit.kernel<DecodeFunction>(name(format, inputs))(weight.data(), int64_t(n), got.data());
        for (size_t k = 0; k < wanted.size(); ++k)
          ASSERT_TRUE(sameBits(got[k], wanted[k])) << name(format, inputs) << " row " << n << " input " << k;
        ASSERT_EQ(got.back(), 99.0f) << "wrote beyond the row";
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, TargetTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, TargetTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

// What this machine may not be able to run: the code for AVX-512 VNNI is 512 bits wide and free of scalar detours.
TEST(AssemblyTest, vnniProductsUse512BitDots) {
  JitTarget target{"vnni", "#tile.target<\"x86-64-v4\", vector = 512, dot = vnni>", "", true, false};
  for (const ProductCase &product : productCases) {
    if (!product.int8)
      continue;
    KernelJit jit(target);
    for (bool single : {true, false})
      jit.declare(single ? "single" : "many", productAttribute(product, 2048, single), "ppipp");
    std::string code = jit.assembly("icelake-server");
    EXPECT_NE(code.find("vpdpbusd"), std::string::npos) << productName(product);
    EXPECT_EQ(code.find("vpextr"), std::string::npos) << productName(product) << ": lanes are taken out one by one";
    for (size_t at = code.find("vpdpbusd"); at != std::string::npos; at = code.find("vpdpbusd", at + 1))
      ASSERT_NE(code.substr(at, code.find('\n', at) - at).find("zmm"), std::string::npos) << productName(product);
  }
}

} // namespace
} // namespace llmc::kernels::testing
