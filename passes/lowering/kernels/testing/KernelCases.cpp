#include "passes/lowering/kernels/testing/KernelCases.h"

#include "mlir/IR/MLIRContext.h"
#include "runtime/formats/Half.h"
#include "runtime/support/ByteReader.h"
#include "runtime/support/CpuFeatures.h"
#include "llvm/TargetParser/Host.h"

#include <cmath>
#include <numeric>

namespace llmc::kernels::testing {

std::vector<JitTarget> jitTargets() {
  const char *portable128 = "#tile.target<\"x86-64\", vector = 128, dot = portable>";
  const char *portable256 = "#tile.target<\"x86-64-v3\", vector = 256, dot = portable>";
  const char *avx2 = "#tile.target<\"x86-64-v3\", vector = 256, dot = avx2>";
  const char *vnni = "#tile.target<\"x86-64-v4\", vector = 512, dot = vnni>";
  std::vector<JitTarget> targets = {{"portable_sse2", portable128, "x86-64", false, false}};
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  bool hasVnni = host.lookup("avx512vnni") && host.lookup("avx512vl") && host.lookup("avx512bw");
  if (host.lookup("avx2")) {
    targets.push_back({"portable_avx2", portable256, "", true, false});
    targets.push_back({"avx2", avx2, "", true, false});
    targets.push_back({hasVnni ? "vnni" : "vnni_emulated", vnni, "", true, !hasVnni});
  }
  return targets;
}

std::vector<JitTarget> bf16Targets() {
  if (!llvm::sys::getHostCPUFeatures().lookup("avx512bf16"))
    return {};
  return {{"bf16", "#tile.target<\"x86-64-v4-bf16\", vector = 512, dot = vnni, bf16 = true>", "", true, false}};
}

std::vector<JitTarget> deviceTargets() {
  const char *usual = "#tile.target<\"sm_80\", vector = 128, dot = portable, bf16 = true in blocks of 256>";
  const char *small = "#tile.target<\"sm_80\", vector = 128, dot = portable, bf16 = true in blocks of 128>";
  return {{"blocks", usual, "", true, false, false}, {"blocks_backwards", usual, "", true, false, true},
          {"small_blocks", small, "", true, false, false}};
}

std::vector<JitTarget> tileTargets() {
  const char *narrow = "#tile.target<\"x86-64-v3\", vector = 256, dot = avx2, bf16 = true, tiles = emulated>";
  const char *wide = "#tile.target<\"x86-64-v4-amx\", vector = 512, dot = vnni, bf16 = true, tiles = emulated>";
  const char *amx = "#tile.target<\"x86-64-v4-amx\", vector = 512, dot = vnni, bf16 = true, tiles = amx>";
  std::vector<JitTarget> targets;
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  if (host.lookup("avx2") && host.lookup("fma"))
    targets.push_back({"tiles_emulated_avx2", narrow, "", true, false});
  if (host.lookup("avx512vnni") && host.lookup("avx512vl") && host.lookup("avx512bw") && host.lookup("avx512bf16"))
    targets.push_back({"tiles_emulated", wide, "", true, false});
  if (missingCpuFeatures("avx512bw avx512vl avx512_vnni avx512_bf16 amx_tile amx_bf16").empty())
    targets.push_back({"amx", amx, "", true, false});
  return targets;
}

bool emulatesTiles(const JitTarget &target) { return target.name != "amx"; }

static tile::Arithmetic arithmeticOf(const ProductCase &product) {
  return product.int8 ? tile::Arithmetic::int8 : product.bf16 ? tile::Arithmetic::bf16 : tile::Arithmetic::f32;
}

std::string productName(const ProductCase &product) {
  return std::string(formatInfo(product.format).name) + "_" + std::string(tile::stringifyArithmetic(arithmeticOf(product)));
}

std::string productAttribute(const ProductCase &product, int64_t inputs, bool single) {
  return "#tile.product<format = " + std::string(formatInfo(product.format).name) + ", inputs = " + std::to_string(inputs) +
         ", arithmetic = " + std::string(tile::stringifyArithmetic(arithmeticOf(product))) + ", single = " + (single ? "true" : "false") + ">";
}

int64_t productScratch(const ProductCase &product, int64_t inputs) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect>();
  return productScratchBytes(tile::ProductAttr::get(&context, packing::dialectFormat(product.format), inputs,
                                                    arithmeticOf(product), false));
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

static float randomScale(Weights weights, std::mt19937 &random) {
  std::uniform_real_distribution<float> usual(0.001f, 0.02f);
  if (weights == Weights::Usual)
    return (random() % 2 ? 1.0f : -1.0f) * usual(random);
  constexpr float extremes[] = {0, -0.0f, 0x1p-24f, -0x1.8p-20f, 0x1p-14f, 60.0f, -90.0f, 0.01f};
  return extremes[random() % std::size(extremes)];
}

static void putHalf(std::byte *to, float value) {
  uint16_t half = floatToHalf(value);
  std::memcpy(to, &half, 2);
}

std::pair<size_t, size_t> quantBytes(Format format) {
  switch (format) {
  case Format::Q4_K:
  case Format::Q5_K:
    return {16, size_t(formatInfo(format).blockBytes)};
  case Format::Q6_K:
    return {0, 192};
  case Format::Q2_K:
    return {16, 80};
  case Format::Q3_K:
    return {0, 96};
  case Format::Q4_1:
  case Format::Q5_1:
    return {4, size_t(formatInfo(format).blockBytes)};
  case Format::MXFP4:
    return {1, 17};
  default:
    return {2, size_t(formatInfo(format).blockBytes)};
  }
}

// The block's own scales: random bits could make them infinite.
static void putScales(Format format, std::byte *block, Weights weights, std::mt19937 &random) {
  float shrink = formatInfo(format).blockElements == 256 ? 1.0f / 32 : format == Format::IQ4_NL ? 1.0f / 8 : 1.0f;
  auto put = [&](size_t offset) { putHalf(block + offset, randomScale(weights, random) * shrink); };
  if (format == Format::MXFP4) {
    constexpr uint8_t extremes[] = {0, 1, 2, 90, 128, 140};
    block[0] = std::byte(weights == Weights::Usual ? 118 + random() % 6 : extremes[random() % std::size(extremes)]);
    return;
  }
  put(format == Format::Q6_K ? 208 : format == Format::Q2_K ? 80 : format == Format::Q3_K ? 108 : 0);
  if (format == Format::Q2_K)
    put(82);
  else if (format == Format::Q4_K || format == Format::Q5_K || format == Format::Q4_1 || format == Format::Q5_1)
    put(2);
}

std::vector<std::byte> randomRow(Format format, int64_t inputs, Weights weights, std::mt19937 &random) {
  std::vector<std::byte> row(size_t(rowBytes(format, inputs).value()));
  auto blockBytes = size_t(formatInfo(format).blockBytes);
  std::normal_distribution<float> normal(0, 0.05f);
  for (size_t at = 0; at < row.size(); at += blockBytes) {
    std::byte *block = row.data() + at;
    float value = weights == Weights::Usual ? normal(random) : randomScale(weights, random);
    uint16_t bits = floatToBf16(value);
    if (format == Format::F32)
      std::memcpy(block, &value, 4);
    else if (format == Format::F16)
      putHalf(block, value);
    else if (format == Format::BF16)
      std::memcpy(block, &bits, 2);
    else
      for (size_t i = 0; i < blockBytes; ++i) // quants and 6- or 8-bit scales: all bits at random, or all ones or zeros
        block[i] = weights == Weights::Usual ? std::byte(random()) : std::byte(std::array{0x00, 0xff, 0x80, 0x7f}[random() % 4]);
    if (formatInfo(format).blockElements == 1)
      continue;
    putScales(format, block, weights, random);
  }
  return row;
}

Buffer packRows(Format format, const std::vector<std::vector<std::byte>> &rows, int64_t inputs) {
  packing::PanelRows pointers{};
  for (size_t n = 0; n < rows.size(); ++n)
    pointers[n] = rows[n].empty() ? nullptr : rows[n].data();
  Buffer panel(size_t(tile::panelBytes(packing::dialectFormat(format), inputs)));
  packing::packPanel(format, pointers, inputs, panel.data());
  return panel;
}

//===----------------------------------------------------------------------===//
// Definitions
//===----------------------------------------------------------------------===//

template <class T> static void put(std::byte *to, T value) { std::memcpy(to, &value, sizeof value); }

void quantizeByDefinition(std::span<const float> x, std::byte *out) {
  auto inputs = int64_t(x.size());
  std::memset(out, 0, size_t(tile::int8RowBytes(inputs)));
  for (int64_t group = 0; group < inputs / 32; ++group) {
    float biggest = 0;
    bool finite = true, nan = false;
    for (int64_t k = 0; k < 32; ++k) {
      float magnitude = std::fabs(x[size_t(32 * group + k)]);
      finite &= std::isfinite(magnitude);
      nan |= std::isnan(magnitude);
      biggest = std::max(biggest, magnitude);
    }
    bool usable = finite && biggest >= 1e-30f;
    float scale = nan ? NAN : biggest >= 1e-30f ? biggest / 127.0f : 0.0f, inverse = 127.0f / biggest;
    int32_t sums[2] = {0, 0};
    for (int64_t k = 0; k < 32; ++k) {
      auto q = usable ? int32_t(std::nearbyint(x[size_t(32 * group + k)] * inverse)) : 0;
      sums[k / 16] += q;
      put(out + 32 * group + k, int8_t(q));
    }
    put(out + tile::int8ScalesOffset(inputs) + 4 * group, scale);
    put(out + tile::int8ScaledSumsOffset(inputs) + 4 * group, scale * float(sums[0] + sums[1]));
    put(out + tile::int8SumsOffset(inputs) + 4 * group, sums[0] + sums[1]);
    put(out + tile::int8HalfSumsOffset(inputs) + 8 * group, sums[0]);
    put(out + tile::int8HalfSumsOffset(inputs) + 8 * group + 4, sums[1]);
  }
}

static float multiplyAdd(float a, float b, float c, bool fused) { return fused ? std::fma(a, b, c) : a * b + c; }

float floatProductByDefinition(std::span<const float> weights, std::span<const float> x, bool fused) {
  float sum = 0;
  for (size_t k = 0; k < x.size(); ++k)
    sum = multiplyAdd(x[k], weights[k], sum, fused);
  return sum;
}

float tiledProductByDefinition(std::span<const float> weights, std::span<const float> x) {
  float sum = 0;
  auto product = [&](size_t k, float before) {
    if (k >= x.size())
      return std::fma(0.0f, 0.0f, before);
    return std::fma(bf16ToFloat(floatToBf16(x[k])), bf16ToFloat(floatToBf16(weights[k])), before);
  };
  for (size_t first = 0; first < x.size(); first += tile::kTileInputs) {
    float even = 0, odd = 0;
    for (size_t k = first; k < first + tile::kTileInputs; k += 2)
      even = product(k, even), odd = product(k + 1, odd);
    sum += even + odd;
  }
  return sum;
}

float int8ProductByDefinition(const packing::PackedCodes &weights, int64_t group, const std::byte *row, bool fused) {
  auto inputs = int64_t(weights.codes.size());
  auto number = [&](int64_t offset, int64_t index) { return loadUnaligned<float>(row + offset + 4 * index); };
  float sum = 0;
  for (int64_t first = 0; first < inputs; first += group) {
    int32_t dot = 0;
    for (int64_t k = first; k < first + group; ++k)
      dot += weights.codes[size_t(k)] * int(int8_t(row[k]));
    float xScale = number(tile::int8ScalesOffset(inputs), first / 32), scaled = float(dot) * xScale;
    sum = multiplyAdd(scaled, weights.scales[size_t(first / group)], sum, fused);
    if (!weights.minima.empty()) {
      auto total = std::accumulate(row + first, row + first + group, 0, [](int sum, std::byte q) { return sum + int8_t(q); });
      sum = multiplyAdd(-weights.minima[size_t(first / group)], xScale * float(total), sum, fused);
    }
  }
  return sum;
}

} // namespace llmc::kernels::testing
