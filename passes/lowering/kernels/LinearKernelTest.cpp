// Products with their epilogues, tile by tile, at random shapes, against scalar definitions.
#include "passes/lowering/kernels/testing/KernelCases.h"

#include "runtime/formats/Half.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <gtest/gtest.h>
#include <utility>

namespace llmc::kernels::testing {
namespace {

using Numbers = std::vector<float>;

struct Weight {
  int64_t outputs;
  std::vector<Format> formats; // that layers may have
};

struct LinearCase {
  int64_t inputs, tokens, panels;
  bool int8, bias, glu, residual;
  std::string activation; // "" for none
  std::vector<Weight> weights;
  bool limited = false; // with glu and silu: kAlpha, kLimit, kOffset
  bool bf16 = false;
  bool tiled = false; // with bf16, by matrix tiles
  float scale = 0, softcap = 0; // 0: none
  std::string results = "rows";

  bool single() const { return tokens == 1; }
  bool rounds() const { return int8 || bf16; }
  tile::Arithmetic arithmetic() const { return int8 ? tile::Arithmetic::int8 : bf16 ? tile::Arithmetic::bf16 : tile::Arithmetic::f32; }
  int64_t rowBytes() const { return inputRowBytes(arithmetic(), inputs); } // as the kernel reads them
};

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

constexpr double kAlpha = 1.75, kLimit = 1.5, kOffset = 1;
constexpr Format kFloats[] = {Format::F32, Format::F16, Format::BF16};
constexpr Format kQuants[] = {Format::Q4_0, Format::Q5_0, Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K,
                              Format::Q4_1, Format::Q5_1, Format::Q2_K, Format::Q3_K, Format::IQ4_NL, Format::MXFP4};

template <class Range> auto pick(const Range &from, std::mt19937 &random) { return from[random() % std::size(from)]; }

// One or two formats of a weight; a float weight has one.
std::vector<Format> drawFormats(bool quantised, std::mt19937 &random) {
  if (!quantised)
    return {pick(kFloats, random)};
  std::vector<Format> formats{pick(kQuants, random)};
  if (Format other = pick(kQuants, random); other != formats[0] && random() % 2)
    formats.push_back(other);
  return formats;
}

int64_t drawInputs(const std::vector<Weight> &weights, std::mt19937 &random) {
  int64_t multiple = 1;
  for (const Weight &weight : weights)
    for (Format format : weight.formats)
      multiple = std::max<int64_t>(multiple, formatInfo(format).blockElements);
  return multiple == 1 ? 1 + int64_t(random() % 200) : multiple * (1 + int64_t(random() % (multiple == 32 ? 9 : 3)));
}

LinearCase draw(std::mt19937 &random) {
  constexpr int64_t tokens[] = {1, 1, 1, 2, 5, 17, 33};
  const std::string activations[] = {"relu", "silu", "gelu", "gelu_tanh", "sigmoid"};
  LinearCase c{};
  bool quantised = random() % 3 != 0;
  c.int8 = quantised && random() % 2;
  c.tokens = pick(tokens, random);
  c.panels = c.single() ? 1 + int64_t(random() % 4) : 1;
  c.bias = random() % 2, c.glu = random() % 3 == 0;
  size_t count = c.glu ? 2 : 1 + random() % 3;
  c.residual = (c.glu || count == 1) && random() % 2;
  if (c.glu || random() % 3 == 0)
    c.activation = pick(activations, random);
  c.limited = c.glu && c.activation == "silu" && random() % 2;
  for (size_t i = 0; i < count; ++i)
    c.weights.push_back({1 + int64_t(random() % 90), drawFormats(quantised, random)});
  if (c.glu)
    c.weights[1].outputs = c.weights[0].outputs;
  c.inputs = drawInputs(c.weights, random);
  return c;
}

std::string weightType(const Weight &weight, int64_t inputs) {
  std::string shape = std::to_string(weight.outputs) + "x" + std::to_string(inputs) + "x";
  std::string formats(formatInfo(weight.formats[0]).name);
  if (formatInfo(weight.formats[0]).blockElements == 1)
    return "tensor<" + shape + formats + ">";
  for (size_t i = 1; i < weight.formats.size(); ++i)
    formats += "|" + std::string(formatInfo(weight.formats[i]).name);
  return "tensor<" + shape + "!llm.quant<" + formats + ">>";
}

std::string attribute(const LinearCase &c) {
  std::string types;
  for (const Weight &weight : c.weights)
    types += (types.empty() ? "" : ", ") + weightType(weight, c.inputs);
  auto flag = [](bool value) { return value ? "true" : "false"; };
  return "#tile.linear<weights = [" + types + "], arithmetic = " + std::string(tile::stringifyArithmetic(c.arithmetic())) + ", single = " + flag(c.single()) +
         ", panels = " + std::to_string(c.panels) + ", bias = " + flag(c.bias) + ", glu = " + flag(c.glu) + ", residual = " + flag(c.residual) +
         (c.activation.empty() ? "" : ", activation = " + c.activation) +
         (c.limited ? ", limits = <alpha = 1.75, limit = 1.5, offset = 1.0>" : "") +
         (c.scale != 0 ? ", scale = " + std::to_string(c.scale) : "") + (c.softcap != 0 ? ", softcap = " + std::to_string(c.softcap) : "") +
         (c.results != "rows" ? ", results = " + c.results : "") + ">";
}

std::string argumentLetters(const LinearCase &c) {
  size_t count = c.weights.size();
  return "iipp" + std::string(count, 'p') + std::string(count, 'i') + std::string(c.bias ? count : 0, 'p') + (c.residual ? "p" : "") +
         std::string(c.glu ? 1 : count, 'p');
}

int64_t panelsOf(const Weight &weight) { return tile::panelCount(weight.outputs); }

int64_t tileCount(const LinearCase &c) {
  int64_t count = 0;
  for (const Weight &weight : std::span(c.weights).first(c.glu ? 1 : c.weights.size()))
    count += (panelsOf(weight) + c.panels - 1) / c.panels;
  return count;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

Numbers drawNumbers(int64_t count, float size, std::mt19937 &random) {
  std::normal_distribution<float> normal(0, size);
  Numbers numbers(static_cast<size_t>(count));
  for (float &number : numbers)
    number = normal(random);
  return numbers;
}

using Rows = std::vector<std::vector<std::byte>>;

Rows drawRows(Format format, int64_t outputs, int64_t inputs, std::mt19937 &random) {
  Rows rows;
  for (int64_t n = 0; n < outputs; ++n)
    rows.push_back(randomRow(format, inputs, Weights::Usual, random));
  return rows;
}

Buffer packAll(Format format, const Rows &rows, int64_t inputs) {
  auto bytes = size_t(tile::panelBytes(packing::dialectFormat(format), inputs)), count = (rows.size() + 15) / 16;
  Buffer all(bytes * count);
  for (size_t panel = 0; panel < count; ++panel) {
    Rows some(rows.begin() + ptrdiff_t(16 * panel), rows.begin() + ptrdiff_t(std::min(rows.size(), 16 * panel + 16)));
    std::memcpy(all.data() + panel * bytes, packRows(format, some, inputs).data(), bytes);
  }
  return all;
}

// Padded to whole panels.
Buffer drawBias(const Weight &weight, std::mt19937 &random) {
  Buffer bias(size_t(panelsOf(weight)) * 64);
  std::memset(bias.data(), 0, bias.bytes);
  std::ranges::copy(drawNumbers(weight.outputs, 1, random), bias.as<float>());
  return bias;
}

// A weight of one layer: its rows in the source format, and its panels.
struct LoadedWeight {
  int64_t index; // of its format in the type
  Format format;
  Rows rows;
  Buffer packed, bias;

  LoadedWeight(const Weight &weight, int64_t inputs, std::mt19937 &random)
      : index(int64_t(random() % weight.formats.size())), format(weight.formats[size_t(index)]),
        rows(drawRows(format, weight.outputs, inputs, random)), packed(packAll(format, rows, inputs)), bias(drawBias(weight, random)) {}
};

void roundByDefinition(std::span<const float> x, std::byte *out, int64_t bytes) {
  std::memset(out, 0, size_t(bytes));
  for (size_t k = 0; k < x.size(); ++k) {
    uint16_t rounded = floatToBf16(x[k]);
    std::memcpy(out + 2 * k, &rounded, 2);
  }
}

struct Data {
  Numbers x, residual; // [tokens][inputs], [tokens][outputs]
  Buffer rounded; // [tokens] rows of int8 or bf16
  std::vector<LoadedWeight> weights;

  Data(const LinearCase &c, std::mt19937 &random)
      : x(drawNumbers(c.tokens * c.inputs, 1, random)), residual(drawNumbers(c.tokens * c.weights[0].outputs, 1, random)),
        rounded(size_t(c.rounds() ? c.tokens * c.rowBytes() : 0)) {
    for (int64_t t = 0; t < c.tokens && c.int8; ++t)
      quantizeByDefinition(row(c, t), rounded.data() + t * c.rowBytes());
    for (int64_t t = 0; t < c.tokens && c.bf16; ++t)
      roundByDefinition(row(c, t), rounded.data() + t * c.rowBytes(), c.rowBytes());
    for (const Weight &weight : c.weights)
      weights.emplace_back(weight, c.inputs, random);
  }
  std::span<const float> row(const LinearCase &c, int64_t t) const { return std::span(x).subspan(size_t(t * c.inputs), size_t(c.inputs)); }
};

//===----------------------------------------------------------------------===//
// Definition
//===----------------------------------------------------------------------===//

double activated(const std::string &kind, double x) {
  double sigmoid = 1 / (1 + std::exp(-x));
  if (kind == "relu")
    return std::max(x, 0.0);
  if (kind == "silu")
    return x * sigmoid;
  if (kind == "sigmoid")
    return sigmoid;
  if (kind == "gelu")
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

// x[t] . w[n] + bias[n], in float as the kernel rounds it.
float biasedProduct(const LinearCase &c, const Data &data, size_t weight, int64_t t, int64_t n, bool fused) {
  const LoadedWeight &w = data.weights[weight];
  float product = 0;
  if (c.int8) {
    int64_t bytes = tile::panelBytes(packing::dialectFormat(w.format), c.inputs);
    packing::PackedCodes codes = packing::unpackCodes(w.format, w.packed.data() + n / 16 * bytes, n % 16, c.inputs);
    product = int8ProductByDefinition(codes, tile::packedBlock(packing::dialectFormat(w.format)).group,
                                      data.rounded.data() + t * c.rowBytes(), fused);
  } else {
    Numbers decoded(static_cast<size_t>(c.inputs));
    decodeRow(w.format, w.rows[size_t(n)].data(), decoded);
    product = c.tiled ? tiledProductByDefinition(decoded, data.row(c, t)) : floatProductByDefinition(decoded, data.row(c, t), fused);
  }
  return c.bias ? product + reinterpret_cast<const float *>(w.bias.data())[n] : product;
}

struct Wanted {
  double value, error;
};

// Of numbers rounded to bf16, without an epilogue. Kernels sum pairs in an order of their own, in float32.
Wanted bf16Definition(const LinearCase &c, const Data &data, size_t weight, int64_t t, int64_t n) {
  const LoadedWeight &w = data.weights[weight];
  Numbers decoded(static_cast<size_t>(c.inputs));
  decodeRow(w.format, w.rows[size_t(n)].data(), decoded);
  std::span<const float> x = data.row(c, t);
  double sum = 0, size = 0;
  for (size_t k = 0; k < decoded.size(); ++k) {
    double product = double(bf16ToFloat(floatToBf16(decoded[k]))) * bf16ToFloat(floatToBf16(x[k]));
    sum += product, size += std::fabs(product);
  }
  return {sum, 2e-6 * size};
}

// Without an activation every operation is one rounding, and the kernel has to give that very float.
Wanted definition(const LinearCase &c, const Data &data, size_t weight, int64_t t, int64_t n, bool fused) {
  if (c.bf16 && !c.tiled)
    return bf16Definition(c, data, weight, t, n);
  float first = biasedProduct(c, data, weight, t, n, fused);
  if (c.scale != 0)
    first *= c.scale;
  if (c.softcap != 0) {
    double value = double(c.softcap) * std::tanh(double(first) / double(c.softcap));
    return {value, 1e-6 + 4e-6 * std::fabs(value)};
  }
  double residual = c.residual ? data.residual[size_t(t * c.weights[0].outputs + n)] : 0;
  if (c.activation.empty())
    return {c.residual ? first + float(residual) : first, 0};
  double gate = c.limited ? std::min<double>(first, kLimit) : first;
  double value = c.limited ? gate * activated("sigmoid", kAlpha * gate) : activated(c.activation, gate);
  double error = 1e-6 + 4e-6 * std::fabs(value);
  if (c.glu) {
    double other = biasedProduct(c, data, 1, t, n, fused);
    if (c.limited)
      other = std::clamp(other, -kLimit, kLimit) + kOffset;
    value *= other, error *= std::fabs(other);
  }
  value += residual;
  return {value, error + 2e-7 * (std::fabs(value) + std::fabs(residual))};
}

// What the sums of an output may differ by where their terms are added in another order.
double orderOfSum(const LinearCase &c, const Data &data, size_t weight, int64_t t, int64_t n) {
  const LoadedWeight &w = data.weights[weight];
  std::span<const float> x = data.row(c, t);
  double size = 0;
  if (!c.int8) {
    Numbers decoded(static_cast<size_t>(c.inputs));
    decodeRow(w.format, w.rows[size_t(n)].data(), decoded);
    for (size_t k = 0; k < decoded.size(); ++k)
      size += std::fabs(double(x[k]) * decoded[k]);
    return 2e-6 * size;
  }
  int64_t bytes = tile::panelBytes(packing::dialectFormat(w.format), c.inputs), group = tile::packedBlock(packing::dialectFormat(w.format)).group;
  packing::PackedCodes codes = packing::unpackCodes(w.format, w.packed.data() + n / 16 * bytes, n % 16, c.inputs);
  for (size_t k = 0; k < x.size(); ++k) {
    size_t g = k / size_t(group);
    double weight = std::fabs(codes.codes[k] * double(codes.scales[g])) + (codes.minima.empty() ? 0 : std::fabs(codes.minima[g]));
    size += std::fabs(x[k]) * weight;
  }
  return 2e-6 * size;
}

// What of that an epilogue leaves: activations are less steep than 1.2.
double orderError(const LinearCase &c, const Data &data, size_t weight, int64_t t, int64_t n) {
  double error = 1.2 * orderOfSum(c, data, weight, t, n) * (c.scale != 0 ? c.scale : 1);
  if (!c.glu)
    return error;
  double gate = std::fabs(biasedProduct(c, data, 0, t, n, true)), up = std::fabs(biasedProduct(c, data, 1, t, n, true));
  return error * (2 + up) + 1.2 * orderOfSum(c, data, 1, t, n) * (1 + gate);
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

uint64_t word(const void *pointer) { return std::bit_cast<uint64_t>(pointer); }

// Pointers and i64 arguments are passed alike, and a callee leaves those that it does not know.
constexpr size_t kMostArguments = 4 + 3 * 3 + 1 + 3;
using Code = Kernel<void(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                         uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)>;
template <size_t... I> void call(const Code &kernel, const std::array<uint64_t, kMostArguments> &arguments, std::index_sequence<I...>) {
  kernel(arguments[I]...);
}

Code codeOf(KernelJit &jit, const std::string &name) {
  return {reinterpret_cast<void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)>(jit.function<void()>(name)),
          jit.grid(name)};
}

int64_t scratchBytes(const LinearCase &c) {
  int64_t product = 0;
  for (const Weight &weight : c.weights)
    for (Format format : weight.formats)
      product = std::max(product, c.tiled ? c.panels * 256 * 32 : productScratch({format, c.int8, c.bf16}, c.inputs));
  return product + c.tokens * 64 * (c.glu ? 2 : 1) * (c.tiled ? tile::alignTo(c.panels, 2) : 1);
}

constexpr float kUntouched = 12345.0f;

class LinearKernelTest : public ::testing::TestWithParam<JitTarget> {
protected:
  // The results of all weights; `inPlace`: over the residual.
  std::vector<Numbers> run(const Code &kernel, const LinearCase &c, Data &data, bool inPlace) {
    std::vector<Numbers> results;
    for (const Weight &weight : std::span(c.weights).first(c.glu ? 1 : c.weights.size()))
      results.emplace_back(size_t(c.tokens * weight.outputs) + 16, kUntouched);
    if (inPlace)
      std::ranges::copy(data.residual, results[0].begin());
    Buffer scratch(static_cast<size_t>(scratchBytes(c)));
    std::memset(scratch.data(), 0xff, scratch.bytes); // NaN
    std::array<uint64_t, kMostArguments> arguments{0, uint64_t(c.tokens), word(c.rounds() ? static_cast<void *>(data.rounded.data()) : data.x.data()),
                                                   word(scratch.data())};
    size_t next = 4;
    for (LoadedWeight &weight : data.weights)
      arguments[next++] = word(weight.packed.data());
    for (LoadedWeight &weight : data.weights)
      arguments[next++] = uint64_t(weight.index);
    for (LoadedWeight &weight : std::span(data.weights).first(c.bias ? data.weights.size() : 0))
      arguments[next++] = word(weight.bias.data());
    if (c.residual)
      arguments[next++] = word(inPlace ? results[0].data() : data.residual.data());
    for (Numbers &result : results)
      arguments[next++] = word(result.data());
    for (int64_t tile = 0; tile < tileCount(c); ++tile) {
      arguments[0] = uint64_t(tile);
      call(kernel, arguments, std::make_index_sequence<kMostArguments>());
    }
    return results;
  }

  void check(const Code &kernel, const LinearCase &c, std::mt19937 &random) {
    Data data(c, random);
    for (bool inPlace : {false, true}) {
      if (inPlace && !c.residual)
        continue;
      std::vector<Numbers> results = run(kernel, c, data, inPlace);
      for (size_t i = 0; i < results.size(); ++i)
        ASSERT_NO_FATAL_FAILURE(checkResult(results[i], c, data, i)) << attribute(c) << " with " << c.tokens << " tokens, weight " << i;
    }
  }

  void checkResult(const Numbers &result, const LinearCase &c, const Data &data, size_t weight) {
    int64_t outputs = c.weights[weight].outputs;
    for (int64_t t = 0; t < c.tokens; ++t)
      for (int64_t n = 0; n < outputs; ++n) {
        Wanted wanted = definition(c, data, weight, t, n, GetParam().fused);
        float got = result[size_t(t * outputs + n)];
        if (c.tiled && !emulatesTiles(GetParam())) // whose sums are near the definition's
          wanted.error += 1e-4;
        if (GetParam().isDevice())
          wanted.error += orderError(c, data, weight, t, n);
        ASSERT_TRUE(std::fabs(got - wanted.value) <= wanted.error) << "token " << t << " output " << n << ": got " << got << ", want " << wanted.value;
      }
    for (size_t i = size_t(c.tokens * outputs); i < result.size(); ++i)
      ASSERT_EQ(result[i], kUntouched) << "wrote beyond the last row";
  }

  void checkAll(const std::vector<LinearCase> &cases, std::mt19937 &random) {
    KernelJit jit(GetParam());
    for (size_t i = 0; i < cases.size(); ++i)
      jit.declare("linear_" + std::to_string(i), attribute(cases[i]), argumentLetters(cases[i]));
    jit.compile();
    for (size_t i = 0; i < cases.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(check(codeOf(jit, "linear_" + std::to_string(i)), cases[i], random));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Targets, LinearKernelTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });

// Shapes that random draws may miss: whole panels alone, one output, both sides of a whole number of panels and tiles.
TEST_P(LinearKernelTest, edges) {
  std::mt19937 random(11);
  std::vector<LinearCase> cases;
  for (int64_t outputs : {1, 15, 16, 17, 48, 63})
    cases.push_back({64, outputs % 2 ? 1 : 3, outputs % 2 ? 2 : 1, true, true, false, true, "", {{outputs, {Format::Q4_0}}}});
  cases.push_back({32, 1, 3, true, true, false, false, "", {{16, {Format::Q8_0}}, {1, {Format::Q8_0}}, {49, {Format::Q8_0}}}});
  cases.push_back({256, 1, 2, true, true, true, true, "silu", {{33, {Format::Q4_K, Format::Q6_K}}, {33, {Format::Q4_K, Format::Q6_K}}}});
  cases.push_back({64, 5, 1, false, true, true, false, "silu", {{35, {Format::F32}}, {35, {Format::BF16}}}, true});
  cases.push_back({64, 1, 2, true, true, true, true, "silu", {{35, {Format::Q4_0}}, {35, {Format::Q8_0}}}, true});
  cases.push_back({256, 7, 1, true, false, true, false, "gelu_tanh", {{20, {Format::Q6_K, Format::Q5_0}}, {20, {Format::Q8_0}}}});
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

TEST_P(LinearKernelTest, randomShapes) {
  std::mt19937 random(2026);
  std::vector<LinearCase> cases;
  for (int i = 0; i < 40; ++i)
    cases.push_back(draw(random));
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

// More rows than the panels of a tile take before the next (256 KiB of rows, at least 48 of them), and a rest of them; panels that
// fill their last tile in part, and a last panel in part.
TEST_P(LinearKernelTest, rowsInChunks) {
  std::mt19937 random(29);
  std::vector<LinearCase> cases;
  cases.push_back({4096, 77, 4, true, true, false, true, "", {{70, {Format::Q4_0}}}});                          // 48 and 29
  cases.push_back({2048, 193, 4, true, false, false, false, "", {{17, {Format::Q8_0}}, {5, {Format::Q8_0}}}});  // 72, 72 and 49
  cases.push_back({2048, 79, 2, true, false, true, true, "silu", {{33, {Format::Q4_K}}, {33, {Format::Q6_K}}}}); // 72 and 7
  cases.push_back({2048, 97, 4, false, true, false, true, "", {{21, {Format::BF16}}}});                         // 48, 48 and 1
  for (const LinearCase &c : cases)
    ASSERT_GT(c.tokens * c.rowBytes(), 256 << 10) << "one chunk would hold all rows";
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

class LinearBf16Test : public LinearKernelTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LinearBf16Test); // machines without the instruction
INSTANTIATE_TEST_SUITE_P(Targets, LinearBf16Test, ::testing::ValuesIn(bf16Targets()), [](const auto &info) { return info.param.name; });

TEST_P(LinearBf16Test, rowsInChunks) {
  std::mt19937 random(31);
  std::vector<LinearCase> cases;
  auto add = [&](int64_t inputs, int64_t tokens, int64_t panels, std::vector<Weight> weights) {
    cases.push_back({inputs, tokens, panels, false, false, false, false, "", std::move(weights), false, /*bf16=*/true});
  };
  add(97, 1, 3, {{70, {Format::BF16}}});
  add(97, 33, 4, {{70, {Format::F16}}});
  add(4096, 77, 4, {{70, {Format::BF16}}});                      // 48 and 29
  add(1059, 193, 4, {{17, {Format::F16}}, {5, {Format::BF16}}}); // 96, 96 and 1
  add(2048, 49, 2, {{33, {Format::BF16}}});                      // 48 and 1
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

class TiledLinearTest : public LinearKernelTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TiledLinearTest);
// Without the emulation of narrow vectors: products have been there, and the rest is no different.
std::vector<JitTarget> wideTileTargets() {
  std::vector<JitTarget> targets = tileTargets();
  std::erase_if(targets, [](const JitTarget &target) { return target.name == "tiles_emulated_avx2"; });
  return targets;
}
INSTANTIATE_TEST_SUITE_P(Targets, TiledLinearTest, ::testing::ValuesIn(wideTileTargets()), [](const auto &info) { return info.param.name; });

// Tiles of one to nine panels, not all of them full, of weights of all formats but f32; few rows and many.
TEST_P(TiledLinearTest, randomShapes) {
  std::mt19937 random(77);
  constexpr Format kHalves[] = {Format::F16, Format::BF16};
  std::vector<LinearCase> cases;
  for (int i = 0; i < 12; ++i) {
    LinearCase c = draw(random);
    c.int8 = false, c.bf16 = c.tiled = true;
    c.tokens = std::array<int64_t, 6>{1, 1, 5, 17, 33, 70}[random() % 6];
    c.panels = 1 + int64_t(random() % 9);
    for (Weight &weight : c.weights) {
      weight.outputs = c.glu ? c.weights[0].outputs : 1 + int64_t(random() % 200);
      weight.formats = i % 3 ? std::vector{pick(kQuants, random), Format::Q8_0} : std::vector{pick(kHalves, random)};
      if (weight.formats[0] == Format::Q8_0)
        weight.formats.pop_back();
    }
    c.inputs = drawInputs(c.weights, random);
    cases.push_back(c);
  }
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

// Scale and softcap; and what keys and single panels say of the very same results.
class LogitsKernelTest : public LinearKernelTest {
protected:
  std::vector<std::byte> runOne(const Code &kernel, const LinearCase &c, Data &data, int64_t tile, int64_t tokens, const void *x, int64_t bytes) {
    std::vector<std::byte> out(size_t(bytes), std::byte(0x5a));
    Buffer scratch(static_cast<size_t>(scratchBytes(c)));
    std::array<uint64_t, kMostArguments> arguments{uint64_t(tile), uint64_t(tokens), word(x), word(scratch.data()),
                                                   word(data.weights[0].packed.data()), uint64_t(data.weights[0].index)};
    size_t next = 6;
    if (c.bias)
      arguments[next++] = word(data.weights[0].bias.data());
    arguments[next] = word(out.data());
    call(kernel, arguments, std::make_index_sequence<kMostArguments>());
    return out;
  }

  // -0 as 0, NaN above all.
  static int32_t keyOf(float value) {
    if (std::isnan(value))
      return tile::kNanKey;
    int32_t bits = std::bit_cast<int32_t>(value == 0 ? 0.0f : value);
    return bits < 0 ? bits ^ 0x7fffffff : bits;
  }

  void checkForms(const Code &rowsKernel, const Code &keysKernel, const Code &panelKernel, const LinearCase &c, std::mt19937 &random, bool damaged) {
    Data data(c, random);
    if (damaged) // a NaN and an infinity among the results
      data.x[0] = std::numeric_limits<float>::quiet_NaN(), data.x[size_t(c.tokens * c.inputs - 1)] = std::numeric_limits<float>::infinity();
    Numbers rows = run(rowsKernel, c, data, false)[0];
    if (!damaged)
      ASSERT_NO_FATAL_FAILURE(checkResult(rows, c, data, 0));
    int64_t outputs = c.weights[0].outputs, panels = tile::panelCount(outputs), stride = tile::keyRowBytes(outputs);
    const void *x = c.rounds() ? static_cast<void *>(data.rounded.data()) : data.x.data();
    int64_t xBytes = c.rowBytes();
    for (int64_t panel = 0; panel < panels; ++panel) {
      LinearCase one = c;
      one.panels = 1;
      std::vector<std::byte> keys = runOne(keysKernel, c, data, panel / c.panels, c.tokens, x, c.tokens * stride);
      for (int64_t t = 0; t < c.tokens; ++t) {
        std::vector<std::byte> values = runOne(panelKernel, one, data, panel, 1, static_cast<const char *>(x) + t * xBytes, 64);
        int32_t wanted = INT32_MIN, key;
        for (int64_t lane = 0; lane < 16; ++lane) {
          float got;
          std::memcpy(&got, &values[size_t(lane * 4)], 4);
          int64_t n = panel * 16 + lane;
          float want = n < outputs ? rows[size_t(t * outputs + n)] : -std::numeric_limits<float>::infinity();
          ASSERT_TRUE(std::bit_cast<uint32_t>(got) == std::bit_cast<uint32_t>(want) || (std::isnan(got) && std::isnan(want)))
              << "token " << t << " output " << n << ": got " << got << ", want " << want;
          wanted = n < outputs ? std::max(wanted, keyOf(want)) : wanted;
        }
        std::memcpy(&key, &keys[size_t(t * stride + panel * 4)], 4);
        ASSERT_EQ(key, wanted) << "token " << t << " panel " << panel;
      }
    }
  }

  void checkCases(const std::vector<LinearCase> &cases) {
    std::mt19937 random(7);
    const char *forms[] = {"rows", "keys", "panel"};
    KernelJit jit(GetParam());
    for (size_t i = 0; i < cases.size(); ++i)
      for (const char *form : forms) {
        LinearCase c = cases[i];
        c.results = form;
        c.panels = c.results == "panel" ? 1 : c.panels;
        jit.declare(form + std::to_string(i), attribute(c), argumentLetters(c));
      }
    jit.compile();
    for (size_t i = 0; i < cases.size(); ++i)
      for (bool damaged : {false, true}) {
        if (damaged && cases[i].rounds()) // numbers that are there to be rounded are finite
          continue;
        std::vector<Code> kernels;
        for (const char *form : forms)
          kernels.push_back(codeOf(jit, form + std::to_string(i)));
        ASSERT_NO_FATAL_FAILURE(checkForms(kernels[0], kernels[1], kernels[2], cases[i], random, damaged)) << attribute(cases[i]);
      }
  }
};
INSTANTIATE_TEST_SUITE_P(Targets, LogitsKernelTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });

class TiledLogitsTest : public LogitsKernelTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TiledLogitsTest);
INSTANTIATE_TEST_SUITE_P(Targets, TiledLogitsTest, ::testing::ValuesIn(wideTileTargets()), [](const auto &info) { return info.param.name; });

TEST_P(LogitsKernelTest, allFormsHaveTheSameBits) {
  std::vector<LinearCase> cases;
  for (int64_t outputs : {1, 16, 37, 250})
    for (int64_t tokens : {1, 3})
      for (bool int8 : {true, false}) {
        LinearCase c{64, tokens, tokens == 1 ? 2 : 1, int8, outputs == 37, false, false, "", {{outputs, {int8 ? Format::Q8_0 : Format::F16}}}};
        c.scale = outputs > 16 ? 0.25f : 0, c.softcap = outputs > 37 || outputs == 16 ? 3 : 0;
        cases.push_back(c);
      }
  ASSERT_NO_FATAL_FAILURE(checkCases(cases));
}

// By matrix tiles, where all panels of a tile and all rows are one product, and a single panel of a single row is another.
TEST_P(TiledLogitsTest, allFormsHaveTheSameBits) {
  std::vector<LinearCase> cases;
  for (Format format : {Format::Q4_K, Format::BF16})
    for (int64_t tokens : {1, 21}) {
      LinearCase c{256, tokens, 4, false, false, false, false, "", {{101, {format}}}};
      c.bf16 = c.tiled = true;
      cases.push_back(c);
    }
  ASSERT_NO_FATAL_FAILURE(checkCases(cases));
}

//===----------------------------------------------------------------------===//
// By blocks of threads
//===----------------------------------------------------------------------===//

class BlockLinearTest : public LinearKernelTest {};
INSTANTIATE_TEST_SUITE_P(Devices, BlockLinearTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });
class BlockLogitsTest : public LogitsKernelTest {};
INSTANTIATE_TEST_SUITE_P(Devices, BlockLogitsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

// One token: all formats and arithmetics that a lane has products for; inputs of less than a piece of a warp, of some and of several rounds.
TEST_P(BlockLinearTest, oneToken) {
  std::mt19937 random(3);
  std::vector<LinearCase> cases;
  auto add = [&](int64_t inputs, int64_t panels, std::vector<Weight> weights, bool int8, bool bf16) {
    cases.push_back({inputs, 1, panels, int8, bool(inputs % 3) && !bf16, false, bool(inputs % 2) && !bf16, "", std::move(weights), false, bf16});
  };
  for (Format format : {Format::F32, Format::F16, Format::BF16})
    for (int64_t inputs : {1, 65, 640, 4096})
      for (bool bf16 : {false, true})
        if (format != Format::F32 || !bf16)
          add(inputs, inputs == 65 ? 2 : 1, {{inputs == 640 ? 32 : 37, {format}}}, false, bf16);
  for (Format format : kQuants)
    for (bool int8 : {true, false}) {
      bool isSmall = formatInfo(format).blockElements == 32;
      for (int64_t inputs : isSmall ? std::vector<int64_t>{32, 96, 2080, 4096} : std::vector<int64_t>{256, 1280, 6144})
        add(inputs, 1, {{21, {format}}}, int8, false);
    }
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

// Rows in float32 take turns; those in bf16 and int8 go by matrices. Tiles of one panel, whose warps share out the inputs, and of more; whole
// and ragged blocks of rows, stages and tiles.
TEST_P(BlockLinearTest, manyTokens) {
  std::mt19937 random(5);
  std::vector<LinearCase> cases;
  cases.push_back({1280, 5, 1, true, true, true, true, "silu", {{33, {Format::Q4_K, Format::Q6_K}}, {33, {Format::Q4_K, Format::Q6_K}}}});
  cases.push_back({96, 3, 4, true, true, false, false, "", {{70, {Format::Q4_0}}, {5, {Format::Q8_0}}}});
  cases.push_back({96, 70, 3, true, true, false, true, "", {{117, {Format::Q5_1}}}});
  cases.push_back({512, 65, 2, true, true, true, true, "silu", {{35, {Format::Q4_0}}, {35, {Format::Q8_0}}}, true});
  cases.push_back({97, 4, 2, false, true, false, true, "", {{37, {Format::BF16}}}});
  cases.push_back({512, 3, 2, false, true, false, true, "", {{37, {Format::Q4_K, Format::Q3_K}}}});
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

TEST_P(BlockLinearTest, manyTokensInBf16) {
  std::mt19937 random(6);
  std::vector<LinearCase> cases;
  auto add = [&](int64_t inputs, int64_t tokens, int64_t panels, std::vector<Weight> weights, bool bias = false, bool residual = false) {
    cases.push_back({inputs, tokens, panels, false, bias, false, residual, "", std::move(weights), false, /*bf16=*/true});
  };
  for (Format format : {Format::BF16, Format::F16}) {
    add(640, 7, 1, {{20, {format}}});
    add(97, 17, 1, {{37, {format}}});
    add(31, 2, 4, {{1, {format}}, {65, {format}}});
    add(1059, 77, 8, {{150, {format}}});
    add(512, 130, 16, {{250, {format}}});
    add(128, 64, 3, {{96, {format}}});
  }
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

// Each format by each way to share out the work.
TEST_P(BlockLinearTest, manyTokensInInt8) {
  std::mt19937 random(8);
  std::vector<LinearCase> cases;
  for (Format format : kQuants) {
    int64_t block = int64_t(formatInfo(format).blockElements);
    cases.push_back({block == 32 ? 224 : 512, 9, 1, true, false, false, false, "", {{33, {format}}}});
    cases.push_back({block == 32 ? 160 : 256, 19, 4, true, true, false, true, "", {{70, {format}}}});
  }
  cases.push_back({256, 67, 16, true, false, false, false, "", {{250, {Format::Q4_K}}}});
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

// A row has the bits that it has alone, wherever it is in its step.
TEST_P(BlockLinearTest, rowsDoNotDependOnOthers) {
  for (bool int8 : {false, true})
    for (int64_t panels : {1, 4}) {
      std::mt19937 random(12);
      LinearCase c{256, 70, panels, int8, false, false, false, "", {{48, {int8 ? Format::Q6_K : Format::BF16}}}, false, !int8};
      KernelJit jit(GetParam());
      jit.declare("linear", attribute(c), argumentLetters(c));
      jit.compile();
      Data data(c, random);
      Numbers all = run(codeOf(jit, "linear"), c, data, false)[0];
      for (int64_t row : {0, 15, 63, 69}) {
        LinearCase one = c;
        one.tokens = 1;
        std::memmove(data.rounded.data(), data.rounded.data() + row * c.rowBytes(), size_t(c.rowBytes()));
        Numbers alone = run(codeOf(jit, "linear"), one, data, false)[0];
        for (size_t n = 0; n < 48; ++n)
          ASSERT_EQ(alone[n], all[size_t(row) * 48 + n]) << "row " << row << " output " << n;
      }
    }
}

TEST_P(BlockLinearTest, epilogues) {
  std::mt19937 random(4);
  std::vector<LinearCase> cases;
  cases.push_back({32, 1, 3, true, true, false, false, "", {{16, {Format::Q8_0}}, {1, {Format::Q8_0}}, {49, {Format::Q8_0}}}});
  cases.push_back({256, 1, 2, true, true, true, true, "silu", {{33, {Format::Q4_K, Format::Q6_K}}, {33, {Format::Q4_K, Format::Q6_K}}}});
  cases.push_back({64, 1, 2, true, true, true, true, "silu", {{35, {Format::Q4_0}}, {35, {Format::Q8_0}}}, true});
  cases.push_back({100, 1, 1, false, true, true, false, "gelu_tanh", {{35, {Format::F16}}, {35, {Format::BF16}}}});
  for (int i = 0; i < 12; ++i)
    cases.push_back(draw(random));
  ASSERT_NO_FATAL_FAILURE(checkAll(cases, random));
}

TEST_P(BlockLogitsTest, allFormsHaveTheSameBits) {
  std::vector<LinearCase> cases;
  for (int64_t outputs : {1, 16, 37, 250})
    for (bool int8 : {true, false}) {
      LinearCase c{64, outputs == 37 ? 3 : 1, outputs == 37 ? 1 : 2, int8, outputs == 37, false, false, "", {{outputs, {int8 ? Format::Q8_0 : Format::F16}}}};
      c.scale = outputs > 16 ? 0.25f : 0, c.softcap = outputs > 37 || outputs == 16 ? 3 : 0;
      cases.push_back(c);
      if (outputs == 37 && !int8) {
        c.bf16 = true, c.tokens = 19, c.bias = false, c.scale = 0;
        cases.push_back(c);
      }
    }
  ASSERT_NO_FATAL_FAILURE(checkCases(cases));
}

// To the bit, in whatever order threads run.
TEST(BlockOrderTest, doesNotMatter) {
  std::vector<JitTarget> targets = deviceTargets();
  ASSERT_TRUE(!targets[0].backwards && targets[1].backwards && targets[0].attribute == targets[1].attribute);
  LinearCase c{512, 1, 1, true, true, true, false, "silu", {{32, {Format::Q4_K}}, {32, {Format::Q8_0}}}};
  std::vector<float> results[2];
  for (int i = 0; i < 2; ++i) {
    std::mt19937 random(9);
    Data data(c, random);
    KernelJit jit(targets[size_t(i)]);
    jit.declare("linear", attribute(c), argumentLetters(c));
    jit.compile();
    results[i].resize(32);
    Buffer scratch(static_cast<size_t>(scratchBytes(c)));
    for (uint64_t tile = 0; tile < 2; ++tile)
      call(codeOf(jit, "linear"),
           {tile, 1, word(data.rounded.data()), word(scratch.data()), word(data.weights[0].packed.data()), word(data.weights[1].packed.data()), 0, 0,
            word(data.weights[0].bias.data()), word(data.weights[1].bias.data()), word(results[i].data())},
           std::make_index_sequence<kMostArguments>());
  }
  EXPECT_EQ(results[0], results[1]);
}

// The draws reach what they are for.
TEST(LinearCasesTest, coverEveryChoice) {
  std::mt19937 random(2026);
  int glu = 0, bias = 0, residual = 0, many = 0, several = 0, mixed = 0, ragged = 0, int8 = 0, activation = 0;
  for (int i = 0; i < 40; ++i) {
    LinearCase c = draw(random);
    glu += c.glu, bias += c.bias, residual += c.residual, many += c.tokens > 1, several += c.weights.size() > 1 && !c.glu, int8 += c.int8;
    activation += !c.activation.empty() && !c.glu;
    for (const Weight &weight : c.weights)
      mixed += weight.formats.size() > 1, ragged += weight.outputs % 16 != 0;
  }
  for (int count : {glu, bias, residual, many, several, mixed, ragged, int8, activation, 40 - bias, 40 - many, 40 - int8})
    EXPECT_GE(count, 4);
}

} // namespace
} // namespace llmc::kernels::testing
