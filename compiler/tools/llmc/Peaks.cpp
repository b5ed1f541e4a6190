// Independent chains of one instruction, enough of them to hide its latency.
#include "compiler/tools/llmc/Peaks.h"

#include "runtime/support/CpuFeatures.h"

#include <algorithm>
#include <iterator>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace llmc;
using namespace llmc::tools;

#if defined(__x86_64__)

namespace {

// ---- Vectors -----------------------------------------------------------------------------------------------------------

// `rounds` times one instruction on each of the chains. Operands and sums are hidden from the optimiser, in registers `letter`.
#define LLMC_CHAINS(name, features, chains, letter, type, operand, apply)                                                              \
  __attribute__((target(features), noinline)) void name(int64_t rounds) {                                                              \
    type sums[chains] = {};                                                                                                            \
    auto x = operand, y = operand;                                                                                                     \
    asm volatile("" : "+" letter(x), "+" letter(y));                                                                                   \
    for (int64_t round = 0; round < rounds; ++round) {                                                                                 \
      _Pragma("GCC unroll 16") for (int i = 0; i < chains; ++i) {                                                                      \
        auto &sum = sums[i];                                                                                                           \
        sum = apply;                                                                                                                   \
        asm volatile("" : "+" letter(sum), "+" letter(x));                                                                             \
      }                                                                                                                                \
    }                                                                                                                                  \
  }

// 32 registers of 512 bits, 16 of 256.
constexpr int kWide = 16, kNarrow = 12;
LLMC_CHAINS(fma512, "avx512f", kWide, "v", __m512, _mm512_set1_ps(0.5f), _mm512_fmadd_ps(x, y, sum))
LLMC_CHAINS(bf16Dot512, "avx512f,avx512bf16", kWide, "v", __m512, __m512bh(_mm512_set1_epi16(0x3f00)), _mm512_dpbf16_ps(sum, x, y))
LLMC_CHAINS(vnni512, "avx512f,avx512vnni", kWide, "v", __m512i, _mm512_set1_epi8(1), _mm512_dpbusd_epi32(sum, x, y))
LLMC_CHAINS(fma256, "avx2,fma", kNarrow, "x", __m256, _mm256_set1_ps(0.5f), _mm256_fmadd_ps(x, y, sum))
LLMC_CHAINS(vnni256, "avx2,avxvnni", kNarrow, "x", __m256i, _mm256_set1_epi8(1), _mm256_dpbusd_avx_epi32(sum, x, y))
// Without a dot product of bytes: pairs to 16 bits, pairs of those to 32, a sum.
LLMC_CHAINS(bytes256, "avx2", kNarrow, "x", __m256i, _mm256_set1_epi8(1),
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), y)))
#undef LLMC_CHAINS

// ---- Tiles -------------------------------------------------------------------------------------------------------------

struct alignas(64) TileConfig {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0 to 3 sum, 4 to 7 are operands: a loop of 2 x 2 with its operands in registers. GCC 12 believes that loading a
// configuration reads 8 bytes of it; the asm says that all of it is read.
#define LLMC_TILES(name, features, dot)                                                                                                \
  __attribute__((target(features), noinline)) void name(int64_t rounds) {                                                              \
    TileConfig config;                                                                                                                 \
    for (int i = 0; i < 8; ++i)                                                                                                        \
      config.rowBytes[i] = 64, config.rows[i] = 16;                                                                                    \
    asm volatile("" : : "r"(&config) : "memory");                                                                                      \
    _tile_loadconfig(&config);                                                                                                         \
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);                                                                        \
    _tile_zero(4), _tile_zero(5), _tile_zero(6), _tile_zero(7);                                                                        \
    for (int64_t round = 0; round < rounds; ++round) {                                                                                 \
      dot(0, 4, 6);                                                                                                                    \
      dot(1, 4, 7);                                                                                                                    \
      dot(2, 5, 6);                                                                                                                    \
      dot(3, 5, 7);                                                                                                                    \
    }                                                                                                                                  \
    _tile_release();                                                                                                                   \
  }

LLMC_TILES(amxBf16, "amx-tile,amx-bf16", _tile_dpbf16ps)
LLMC_TILES(amxInt8, "amx-tile,amx-int8", _tile_dpbusd)
#undef LLMC_TILES

} // namespace

const std::vector<Peak> &tools::knownPeaks() {
  static const std::vector<Peak> peaks = {
      {"f32_fma_avx2", "f32", "avx2 fma", 2.0 * 8 * kNarrow, fma256},
      {"f32_fma_avx512", "f32", "avx512f", 2.0 * 16 * kWide, fma512},
      {"bf16_dot_avx512", "bf16", "avx512f avx512_bf16", 2.0 * 32 * kWide, bf16Dot512},
      {"bf16_amx", "bf16", "amx_tile amx_bf16", 4 * 2.0 * 16 * 16 * 32, amxBf16},
      {"int8_avx2", "int8", "avx2", 2.0 * 32 * kNarrow, bytes256},
      {"int8_vnni_avx2", "int8", "avx2 avx_vnni", 2.0 * 32 * kNarrow, vnni256},
      {"int8_vnni_avx512", "int8", "avx512f avx512_vnni", 2.0 * 64 * kWide, vnni512},
      {"int8_amx", "int8", "amx_tile amx_int8", 4 * 2.0 * 16 * 16 * 64, amxInt8},
  };
  return peaks;
}

#else

const std::vector<Peak> &tools::knownPeaks() {
  static const std::vector<Peak> none;
  return none;
}

#endif

std::vector<Peak> tools::peaksOfMachine() {
  std::vector<Peak> peaks;
  std::ranges::copy_if(knownPeaks(), std::back_inserter(peaks), [](const Peak &peak) { return missingCpuFeatures(peak.features).empty(); });
  return peaks;
}
