// Products by matrix tiles against their definition, on emulated tiles and, where the machine has them, on its own. Panels and rows end
// where a page ends that can't be read.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include <cmath>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace llmc::kernels::testing {
namespace {

constexpr int64_t kMostRows = 70, kMostPanels = 5;
constexpr Format kFormats[] = {Format::BF16, Format::F16,  Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q4_K, Format::Q5_K,
                               Format::Q6_K, Format::Q4_1, Format::Q5_1, Format::Q2_K, Format::Q3_K, Format::IQ4_NL, Format::MXFP4};

// Bytes that end just before a page without access.
class GuardedBytes {
public:
  explicit GuardedBytes(int64_t bytes) : bytes(bytes), pageBytes(sysconf(_SC_PAGESIZE)), mappedBytes((bytes + 2 * pageBytes - 1) / pageBytes * pageBytes) {
    memory = static_cast<std::byte *>(mmap(nullptr, size_t(mappedBytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED || mprotect(memory + mappedBytes - pageBytes, size_t(pageBytes), PROT_NONE) != 0)
      std::abort();
  }
  GuardedBytes(const GuardedBytes &) = delete;
  ~GuardedBytes() { munmap(memory, size_t(mappedBytes)); }
  std::byte *data() { return memory + mappedBytes - pageBytes - bytes; }

private:
  const int64_t bytes, pageBytes, mappedBytes;
  std::byte *memory;
};

// More than a block of 256, and not a whole number of them; floats also one input, and no whole number of tiles.
std::vector<int64_t> inputCounts(Format format) {
  switch (formatInfo(format).blockElements) {
  case 1:
    return {1, 97, 544};
  case 32:
    return {288};
  default:
    return {768};
  }
}

using ManyPanels = void(const std::byte *panel, int64_t panels, const void *x, int64_t tokens, float *out, std::byte *scratch);

std::string attribute(Format format, int64_t inputs) {
  return "#tile.tiled_product<format = " + std::string(formatInfo(format).name) + ", inputs = " + std::to_string(inputs) +
         ", most = " + std::to_string(kMostPanels) + ">";
}

int64_t scratchBytes(Format format, int64_t inputs) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  return tiledProductScratchBytes(tile::TiledProductAttr::get(&context, packing::dialectFormat(format), inputs, kMostPanels));
}

class TiledProductTest : public ::testing::TestWithParam<JitTarget> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TiledProductTest); // machines without AVX2

// The weights and rows of one format and number of inputs, and what their products are.
class Case {
public:
  Case(const JitTarget &target, Format format, int64_t inputs)
      : exact(emulatesTiles(target)), inputs(inputs), panelBytes(tile::panelBytes(packing::dialectFormat(format), inputs)),
        rowBytes(tile::bf16RowBytes(inputs)), jit(target), scratch(size_t(scratchBytes(format, inputs))), x(size_t(kMostRows * inputs)) {
    jit.declare("product", attribute(format, inputs), "pipipp");
    jit.declare("round", "#tile.quantize<inputs = " + std::to_string(inputs) + ", arithmetic = bf16>", "pp");
    jit.compile();
    std::mt19937 random(23);
    std::normal_distribution<float> normal(0, 1);
    for (float &value : x)
      value = normal(random);
    for (int64_t n = 0; n < kMostPanels * 16; ++n)
      weights.push_back(randomRow(format, inputs, n % 3 ? Weights::Usual : Weights::Extreme, random));
    define(format);
    pack(format);
  }

  // `panels` panels from the last but so many, times the first `tokens` rows.
  void check(int64_t panels, int64_t tokens) {
    GuardedBytes rows(tokens * rowBytes), packed(panels * panelBytes);
    std::memset(rows.data(), 0xff, size_t(tokens * rowBytes)); // NaN
    for (int64_t t = 0; t < tokens; ++t)
      jit.function<QuantizeFunction>("round")(x.data() + t * inputs, rows.data() + t * rowBytes);
    std::memcpy(packed.data(), all.data(), size_t(panels * panelBytes));
    std::memset(scratch.data(), 0xff, scratch.bytes);
    int64_t even = (panels + 1) / 2 * 2;
    std::vector<float> out(size_t(even * tokens * 16 + 16), kUntouched);
    jit.function<ManyPanels>("product")(packed.data(), panels, rows.data(), tokens, out.data(), scratch.data());
    for (int64_t p = 0; p < panels; ++p)
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t n = 0; n < 16; ++n)
          ASSERT_NO_FATAL_FAILURE(compare(out[size_t((p * tokens + t) * 16 + n)], p * 16 + n, t))
              << panels << " panels, " << tokens << " tokens: panel " << p << " token " << t << " output " << n;
    for (int64_t i = even * tokens * 16; i < even * tokens * 16 + 16; ++i)
      ASSERT_EQ(out[size_t(i)], kUntouched) << "wrote beyond its results";
  }

private:
  static constexpr float kUntouched = 12345.0f;

  void define(Format format) {
    std::vector<float> decoded(static_cast<size_t>(inputs));
    for (const auto &row : weights) {
      decodeRow(format, row.data(), decoded);
      for (int64_t t = 0; t < kMostRows; ++t) {
        auto values = std::span(x).subspan(size_t(t * inputs), size_t(inputs));
        wanted.push_back(tiledProductByDefinition(decoded, values));
        double size = 0;
        for (size_t k = 0; k < values.size(); ++k)
          size += std::fabs(double(decoded[k]) * values[k]);
        sizes.push_back(size);
      }
    }
    first.resize(wanted.size(), NAN);
  }

  void pack(Format format) {
    for (int64_t p = 0; p < kMostPanels; ++p) {
      Buffer panel = packRows(format, {weights.begin() + 16 * p, weights.begin() + 16 * (p + 1)}, inputs);
      all.insert(all.end(), panel.data(), panel.data() + panelBytes);
    }
  }

  // Emulated tiles give the bits of the definition; real ones are near it, and the same however many rows and panels there are.
  void compare(float got, int64_t output, int64_t t) {
    auto at = size_t(output * kMostRows + t);
    if (exact) {
      ASSERT_EQ(got, wanted[at]);
      return;
    }
    ASSERT_NEAR(got, wanted[at], 1e-6 * sizes[at] + 1e-30);
    if (std::isnan(first[at]))
      first[at] = got;
    ASSERT_EQ(std::memcmp(&got, &first[at], sizeof got), 0) << got << ", with other rows " << first[at];
  }

  const bool exact;
  const int64_t inputs, panelBytes, rowBytes;
  KernelJit jit;
  Buffer scratch;
  std::vector<float> x, wanted, first; // wanted, first, sizes: [output][row]
  std::vector<double> sizes;
  std::vector<std::vector<std::byte>> weights;
  std::vector<std::byte> all;
};

TEST_P(TiledProductTest, hasItsDefinitionWhateverTheRowsAndPanels) {
  constexpr Format few[] = {Format::BF16, Format::F16, Format::Q4_0, Format::Q6_K}; // for the second emulation, of narrow vectors
  for (Format format : GetParam().name == "tiles_emulated_avx2" ? std::span<const Format>(few) : std::span<const Format>(kFormats))
    for (int64_t inputs : inputCounts(format)) {
      SCOPED_TRACE(std::string(formatInfo(format).name) + " of " + std::to_string(inputs) + " inputs");
      Case products(GetParam(), format, inputs);
      for (int64_t tokens : {1, 16, 17, 32, 33, 49, 70})
        ASSERT_NO_FATAL_FAILURE(products.check(3, tokens));
      for (int64_t panels : {1, 2, 5})
        ASSERT_NO_FATAL_FAILURE(products.check(panels, 48));
      ASSERT_NO_FATAL_FAILURE(products.check(4, 1));
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, TiledProductTest, ::testing::ValuesIn(tileTargets()), [](const auto &info) { return info.param.name; });

size_t countOf(const std::string &code, const std::string &what) {
  size_t count = 0;
  for (size_t at = code.find(what); at != std::string::npos; at = code.find(what, at + 1))
    ++count;
  return count;
}

// The assembly between two labels or jumps.
std::vector<std::string> straightParts(const std::string &code) {
  std::vector<std::string> parts(1);
  std::istringstream lines(code);
  for (std::string line; std::getline(lines, line);) {
    bool isLabel = line.starts_with(".L") || line.starts_with("# %bb.");
    if (isLabel && !parts.back().empty())
      parts.emplace_back();
    parts.back() += line + "\n";
    if (line.starts_with("\tj"))
      parts.emplace_back();
  }
  return parts;
}

// What this machine may not be able to run. A loop loads each operand of its products once; nothing is spilled, stored or configured in it.
TEST(TiledAssemblyTest, loopsAreLoadsAndProducts) {
  JitTarget target{"amx", "#tile.target<\"x86-64-v4-amx\", vector = 512, dot = vnni, bf16 = true, tiles = amx>", "", true, false};
  for (Format format : kFormats) {
    SCOPED_TRACE(std::string(formatInfo(format).name));
    KernelJit jit(target);
    jit.declare("product", attribute(format, 2048), "pipipp");
    std::string code = jit.assembly("sapphirerapids");
    size_t loops = 0, wholeLoops = 0;
    for (const std::string &part : straightParts(code)) {
      size_t products = countOf(part, "tdpbf16ps");
      if (products == 0)
        continue;
      ++loops, wholeLoops += products == 4;
      EXPECT_TRUE(products == 4 || products == 2) << part;
      EXPECT_EQ(countOf(part, "tileloadd"), products == 4 ? 4u : 3u) << part;
      EXPECT_EQ(countOf(part, "\tj"), 1u) << "no loop: " << part;
      for (const char *other : {"tilestored", "ldtilecfg", "tilezero", "(%rsp)", "(%rbp)", "call"})
        EXPECT_EQ(countOf(part, other), 0u) << other << " in " << part;
    }
    EXPECT_GE(wholeLoops, 3u); // whole rounds of rows; a rest of two tiles; few rows of two tiles
    EXPECT_GE(loops, 5u);
    EXPECT_EQ(countOf(code, "ldtilecfg"), 1u + 2 + 1 + 2); // whole tiles; either rest, and whole again; few rows
    EXPECT_EQ(countOf(code, "tilerelease"), 1u);
  }
}

} // namespace
} // namespace llmc::kernels::testing
