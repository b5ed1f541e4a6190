// What the tests and benchmarks of kernels range over, data for them, and the scalar definitions of what kernels compute.
#pragma once

#include "compiler/packing/Packing.h"
#include "passes/lowering/kernels/testing/KernelJit.h"

#include <random>

namespace llmc::kernels::testing {

// Machines to compile for that this one can run: plain SSE2, and where the machine has AVX2 portable vectors with its features, AVX2,
// and AVX-512 VNNI: the same kernels on every machine, with the dot replaced by its definition where there is none.
std::vector<JitTarget> jitTargets();
// The same with dot products of pairs of bf16, where this machine has them: for the kernels that use them.
std::vector<JitTarget> bf16Targets();

// GPUs: their kernels are emulated, in both orders of threads, with blocks of two sizes.
std::vector<JitTarget> deviceTargets();

// Those with matrix tiles: emulated, and the machine's own if it has them. `fused` as the tiles do.
std::vector<JitTarget> tileTargets();
bool emulatesTiles(const JitTarget &target);

struct ProductCase {
  Format format;
  bool int8;
  bool bf16 = false;
};
// For bf16Targets().
inline constexpr ProductCase bf16Cases[] = {{Format::BF16, false, true}, {Format::F16, false, true}};
inline constexpr ProductCase productCases[] = {
    {Format::F32, false},  {Format::F16, false},  {Format::BF16, false}, {Format::Q4_0, false}, {Format::Q5_0, false},
    {Format::Q8_0, false}, {Format::Q4_K, false}, {Format::Q5_K, false}, {Format::Q6_K, false}, {Format::Q4_0, true},
    {Format::Q5_0, true},  {Format::Q8_0, true},  {Format::Q4_K, true},  {Format::Q5_K, true},  {Format::Q6_K, true},
    {Format::Q4_1, false}, {Format::Q4_1, true},
    {Format::Q5_1, false}, {Format::Q5_1, true},
    {Format::Q2_K, false}, {Format::Q2_K, true},
    {Format::Q3_K, false}, {Format::Q3_K, true},
    {Format::IQ4_NL, false}, {Format::IQ4_NL, true},
    {Format::MXFP4, false}, {Format::MXFP4, true},
};
std::string productName(const ProductCase &product); // "q4_0_int8"
std::string productAttribute(const ProductCase &product, int64_t inputs, bool single);
int64_t productScratch(const ProductCase &product, int64_t inputs);

using ProductFunction = void(const std::byte *panel, const void *x, int64_t tokens, float *out, std::byte *scratch);
using QuantizeFunction = void(const float *x, std::byte *out);
using DecodeFunction = void(const std::byte *weight, int64_t row, float *out);

// Memory with the alignment that kernels ask for.
class Buffer {
public:
  explicit Buffer(size_t bytes)
      : bytes(bytes), memory(static_cast<std::byte *>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)), std::free) {}
  std::byte *data() { return memory.get(); }
  const std::byte *data() const { return memory.get(); }
  template <class T> T *as() { return reinterpret_cast<T *>(memory.get()); }
  const size_t bytes;

private:
  std::unique_ptr<std::byte, void (*)(void *)> memory;
};

// How weights are drawn.
enum class Weights {
  Usual,   // as in models
  Extreme, // largest and smallest quants, zero, subnormal and large scales
};
// Where quants, and nothing else but bits of them, lie in a block of a quantised format: from, to.
std::pair<size_t, size_t> quantBytes(Format format);
// A row of `inputs` in the source format.
std::vector<std::byte> randomRow(Format format, int64_t inputs, Weights weights, std::mt19937 &random);
// Packs rows of one panel.
Buffer packRows(Format format, const std::vector<std::vector<std::byte>> &rows, int64_t inputs);

//===----------------------------------------------------------------------===//
// Definitions, one value at a time. `fused`: multiply-adds round once.
//===----------------------------------------------------------------------===//

// x rounded to bf16 times weights rounded to bf16, by the order of TileUnit.h.
float tiledProductByDefinition(std::span<const float> weights, std::span<const float> x);
// An int8 row in the layout of dialects/tile/Layout.h.
void quantizeByDefinition(std::span<const float> x, std::byte *out);
// One output of a product: `row` is the source row for float32, `panel` lane `n` for int8.
float floatProductByDefinition(std::span<const float> weights, std::span<const float> x, bool fused);
float int8ProductByDefinition(const packing::PackedCodes &weights, int64_t group, const std::byte *row, bool fused);

} // namespace llmc::kernels::testing
