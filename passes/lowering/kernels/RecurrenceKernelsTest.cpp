// Convolution, shift and scans against the interpreter's updates: random shapes, several sequences whose tokens alternate, runs that
// begin and end anywhere, views with gaps between rows, memory full of NaNs that a first token must not see.
#include "compiler/interpreter/Recurrences.h"
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "runtime/formats/Half.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

using llm::DecayForm;
using llm::ScanKind;

constexpr int32_t kSlots = 3;

class RecurrenceKernelsTest : public ::testing::TestWithParam<JitTarget> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RecurrenceKernelsTest); // for machines without bf16
INSTANTIATE_TEST_SUITE_P(Bf16, RecurrenceKernelsTest, ::testing::ValuesIn(bf16Targets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Targets, RecurrenceKernelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, RecurrenceKernelsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

// Kernels take pointers and i64 alike; more arguments than a kernel has do no harm.
template <class T> uint64_t word(T *pointer) { return std::bit_cast<uint64_t>(pointer); }
void callKernel(KernelJit &jit, const std::string &name, const std::vector<uint64_t> &arguments) {
  std::array<uint64_t, 18> a{};
  std::copy(arguments.begin(), arguments.end(), a.begin());
  using Function = void(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  std::apply(jit.kernel<Function>(name), a);
}

// Rows of `channels` that lie in rows of more.
struct View {
  int64_t channels, stride;
  std::vector<float> data;
  explicit View(int64_t channels = 0) : channels(channels), stride(channels + 5) {}
  int64_t bytes() const { return channels ? stride * 4 : 0; }
  float *row(int64_t t) { return data.data() + t * stride; }
  void draw(int64_t tokens, float mean, std::mt19937 &random) {
    std::normal_distribution<float> normal(mean, 1);
    data.resize(size_t(tokens * stride));
    for (float &value : data)
      value = normal(random);
  }
  std::shared_ptr<Matrix> matrix(int64_t tokens) {
    auto result = std::make_shared<Matrix>(tokens, channels);
    for (int64_t t = 0; t < tokens; ++t)
      std::copy_n(row(t), channels, result->row(t));
    return result;
  }
};

// Which tokens a step has: runs of random lengths in random slots.
struct Batch {
  std::vector<int32_t> positions, slots;
  void draw(int64_t tokens, std::array<int32_t, kSlots> &next, std::mt19937 &random, int64_t longest = 9) {
    positions.clear(), slots.clear();
    while (int64_t(slots.size()) < tokens) {
      auto slot = int32_t(random() % kSlots);
      for (auto left = random() % uint64_t(longest) + 1; left > 0 && int64_t(slots.size()) < tokens; --left)
        slots.push_back(slot), positions.push_back(next[size_t(slot)]++);
    }
  }
};

// A layer's state in every slot, with room between slots.
struct States {
  int64_t slotFloats;
  Buffer memory;
  explicit States(int64_t floats) : slotFloats(floats + 32), memory(size_t(slotFloats * kSlots * 4)) { std::memset(memory.data(), 0xff, memory.bytes); }
  float *slot(int64_t s) { return memory.as<float>() + s * slotFloats; }
};

// A matrix [rows, columns] as panels of 16 rows, f32 or bf16; and the values that they hold.
Buffer packMatrix(std::vector<float> &values, int64_t rows, int64_t columns, bool bf16) {
  if (bf16)
    for (float &value : values)
      value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffff0000u);
  int64_t panelBytes = tile::panelBytes(bf16 ? llm::Format::bf16 : llm::Format::f32, columns);
  Buffer packed(size_t((rows + 15) / 16 * panelBytes));
  std::memset(packed.data(), 0, packed.bytes);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      std::byte *panel = packed.data() + r / 16 * panelBytes;
      float value = values[size_t(r * columns + c)];
      if (bf16)
        reinterpret_cast<uint16_t *>(panel)[c / 2 * 32 + r % 16 * 2 + c % 2] = uint16_t(std::bit_cast<uint32_t>(value) >> 16);
      else
        reinterpret_cast<float *>(panel)[c * 16 + r % 16] = value;
    }
  return packed;
}

std::vector<float> drawn(int64_t count, float mean, std::mt19937 &random) {
  std::normal_distribution<float> normal(mean, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = normal(random);
  return values;
}

// Errors beside the size of what is summed: of the values at large, and of the value itself.
void expectNear(const std::vector<float> &got, const Matrix &wanted, double tolerance, const std::string &what) {
  double squares = 0;
  for (float value : wanted.data)
    squares += double(value) * value / double(wanted.data.size());
  for (size_t i = 0; i < wanted.data.size(); ++i)
    ASSERT_NEAR(got[i], wanted.data[i], tolerance * (std::sqrt(squares) + std::fabs(wanted.data[i]))) << what << " token " << i / size_t(wanted.columns)
                                                                                       << " channel " << i % size_t(wanted.columns);
  ASSERT_EQ(got[wanted.data.size()], 77.0f) << what << " wrote beyond the rows";
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

struct ScanCase {
  ScanKind kind;
  DecayForm form;
  int64_t heads, width, states, groups = 1, panels = 1;
  bool skip = true, limit = false, bf16 = false;
  int64_t chunk = 0;  // by matrix products
  bool pairs = false; // of bf16
};
constexpr ScanCase chunkCases[] = {
    {ScanKind::scalar, DecayForm::neg_exp, 4, 32, 24, 2, 1, true, false, false, 16},
    {ScanKind::scalar, DecayForm::rate, 3, 16, 5, 1, 1, false, true, false, 32},
    {ScanKind::scalar, DecayForm::neg_exp, 2, 80, 128, 1, 1, true, false, false, 64},
    {ScanKind::scalar, DecayForm::neg_exp, 4, 32, 24, 2, 1, true, false, false, 16, true},
    {ScanKind::scalar, DecayForm::rate, 3, 16, 5, 1, 1, false, true, false, 32, true},
    {ScanKind::scalar, DecayForm::neg_exp, 2, 64, 128, 1, 1, true, false, false, 64, true},
};
constexpr int64_t kScoreTiles = 2;
constexpr ScanCase scanCases[] = {
    {ScanKind::diagonal, DecayForm::neg_exp, 1, 48, 16},
    {ScanKind::diagonal, DecayForm::rate, 1, 37, 11, 1, 2, false},
    {ScanKind::diagonal, DecayForm::neg_exp, 1, 5, 3, 1, 1, true, true, true},
    {ScanKind::scalar, DecayForm::neg_exp, 4, 32, 24, 2, 3},
    {ScanKind::scalar, DecayForm::rate, 3, 7, 5, 1, 1, false, true},
    {ScanKind::scalar, DecayForm::neg_exp, 2, 40, 128, 2, 1, true},
    {ScanKind::delta, DecayForm::neg_exp, 4, 16, 16, 2, 1, false},
    {ScanKind::delta, DecayForm::neg_exp, 2, 21, 7, 1, 2, false},
    {ScanKind::gated, DecayForm::softplus8, 1, 50, 1, 1, 1, false},
    {ScanKind::gated, DecayForm::softplus8, 1, 16, 1, 1, 1, false},
    {ScanKind::wkv, DecayForm::neg_exp, 1, 35, 1, 1, 2, true},
};

std::string scanName(size_t i) { return "scan_" + std::to_string(i); }

// The operands and states of one case.
class ScanRun {
public:
  ScanRun(const ScanCase &c, std::mt19937 &random)
      : c(c), channels(c.heads * c.width), hasStep(c.kind != ScanKind::wkv), hasStates(c.kind != ScanKind::gated && c.kind != ScanKind::wkv),
        perHead(c.kind == ScanKind::scalar || c.kind == ScanKind::delta), x(channels), step(hasStep ? (perHead ? c.heads : channels) : 0),
        input(hasStates ? c.groups * c.states : c.kind == ScanKind::wkv ? channels : 0), output(hasStates ? c.groups * c.states : 0),
        beta(c.kind == ScanKind::delta ? c.heads : 0), memory(stateFloats()) {
    bool matrix = c.kind == ScanKind::diagonal;
    a = drawn((perHead ? c.heads : channels) * (matrix ? c.states : 1), -0.5f, random);
    if (c.form == DecayForm::rate)
      for (float &value : a)
        value = -std::fabs(value);
    if (matrix)
      packed.emplace(packMatrix(a, channels, c.states, c.bf16));
    if (c.skip)
      skip = drawn(c.kind == ScanKind::scalar ? c.heads : channels, 0, random);
  }

  std::string attribute() const {
    if (!c.chunk)
      return scanAttribute();
    return "#tile.chunk_scan<scan = " + scanAttribute().substr(std::string("#tile.scan").size()) + ", chunk = " + std::to_string(c.chunk) +
           ", bf16 = " + (c.pairs ? "true>" : "false>");
  }
  std::string scoresAttribute() const {
    return "#tile.chunk_scores<groups = " + std::to_string(c.groups) + ", states = " + std::to_string(c.states) + ", chunk = " + std::to_string(c.chunk) +
           ", input_bytes = " + std::to_string(input.bytes()) + ", output_bytes = " + std::to_string(output.bytes()) +
           ", tiles = " + std::to_string(kScoreTiles) + ", bf16 = " + (c.pairs ? "true>" : "false>");
  }
  std::string scanAttribute() const {
    auto number = [](const char *name, int64_t value) { return std::string(", ") + name + " = " + std::to_string(value); };
    std::string text = "#tile.scan<kind = " + llm::stringifyScanKind(c.kind).str() + ", form = " + llm::stringifyDecayForm(c.form).str() +
                       ", format = " + (c.bf16 ? "bf16" : "f32") + number("heads", c.heads) + number("width", c.width) +
                       number("states", c.states) + number("groups", c.groups) + number("x_bytes", x.bytes()) + number("step_bytes", step.bytes()) +
                       number("input_bytes", input.bytes()) + number("output_bytes", output.bytes()) + number("beta_bytes", beta.bytes()) +
                       ", skip = " + (c.skip ? "true" : "false") + number("panels", c.panels);
    return text + (c.limit ? ", limit = [0.25, 1.5]>" : ">");
  }
  std::string arguments() const {
    size_t present = c.skip + hasStep + (input.channels > 0) + (output.channels > 0) + (beta.channels > 0);
    return "iipppp" + std::string(present, 'p') + (c.chunk ? "ppppppp" : "pppp");
  }

  // Draws a step of `tokens` and checks it.
  void check(KernelJit &jit, const std::string &name, int64_t tokens, std::mt19937 &random, int64_t longest = 9) {
    batch.draw(tokens, next, random, longest);
    for (View *view : {&x, &input, &output})
      view->draw(tokens, 0, random);
    step.draw(tokens, 0, random), beta.draw(tokens, 0, random);
    if (c.kind == ScanKind::delta) // keys of about unit length, as the rule is used: longer ones let errors grow from token to token
      for (float &value : input.data)
        value /= std::sqrt(float(c.states));
    for (float &value : step.data)
      value = std::log1p(std::exp(value));
    for (float &value : beta.data)
      value = 1 / (1 + std::exp(-value));
    std::vector<float> y = run(jit, name, tokens);
    Matrix wanted = byDefinition(tokens);
    expectNear(y, wanted, c.pairs ? 0.05 : 1e-5, attribute()); // pairs have 8 bits of mantissa
  }

private:
  int64_t stateFloats() const { return c.kind == ScanKind::wkv ? 3 * channels : channels * c.states; }
  llvm::SmallVector<int64_t> shape() const {
    switch (c.kind) {
    case ScanKind::diagonal: return {channels, c.states};
    case ScanKind::scalar: return {c.heads, c.width, c.states};
    case ScanKind::delta: return {c.heads, c.states, c.width};
    case ScanKind::gated: return {channels};
    case ScanKind::wkv: return {3, channels};
    }
    return {};
  }

  std::vector<float> run(KernelJit &jit, const std::string &name, int64_t tokens) {
    std::vector<float> y(size_t(tokens * channels) + 1, 77.0f);
    Buffer scratch(1 << 20);
    std::memset(scratch.data(), 0xff, scratch.bytes);
    int64_t panels = c.heads * ((c.width + 15) / 16), tiles = c.chunk ? c.heads : (panels + c.panels - 1) / c.panels;
    auto words = size_t(tokens * c.groups * c.states * 4);
    Buffer scores(size_t(tokens * c.groups * std::max<int64_t>(c.chunk, 1) * 4)), inputs(words), outputs(words);
    for (Buffer *buffer : {&scores, &inputs, &outputs})
      std::memset(buffer->data(), 0xff, buffer->bytes);
    if (c.chunk)
      for (uint64_t tile = 0; tile < kScoreTiles; ++tile)
        callKernel(jit, name + "_scores", {tile, uint64_t(tokens), word(batch.positions.data()), word(batch.slots.data()), word(input.data.data()),
                                           word(output.data.data()), word(scores.data()), word(inputs.data()), word(outputs.data()), word(scratch.data())});
    for (int64_t tile = tiles - 1; tile >= 0; --tile) {
      std::vector<uint64_t> arguments{uint64_t(tile), uint64_t(tokens), word(batch.positions.data()), word(batch.slots.data()), word(x.data.data()),
                                      c.kind == ScanKind::diagonal ? word(packed->data()) : word(a.data())};
      for (View *view : {&step, &input, &output, &beta})
        if (view->channels)
          arguments.push_back(word(view->data.data()));
      if (c.skip)
        arguments.push_back(word(skip.data()));
      for (uint64_t value : {word(memory.slot(0)), word(memory.slot(1)), word(y.data()), word(scratch.data())})
        arguments.push_back(value);
      if (c.chunk)
        for (Buffer *buffer : {&scores, &inputs, &outputs})
          arguments.push_back(word(buffer->data()));
      callKernel(jit, name, arguments);
    }
    return y;
  }

  Matrix byDefinition(int64_t tokens) {
    auto given = [&](View &view) { return view.channels ? view.matrix(tokens) : std::shared_ptr<Matrix>(); };
    recurrences::Operands operands;
    operands.x = given(x), operands.input = given(input), operands.output = given(output), operands.beta = given(beta), operands.skip = skip;
    if (hasStep)
      operands.step = *given(step);
    if (c.limit)
      for (float &value : operands.step.data)
        value = std::clamp(value, 0.25f, 1.5f);
    int64_t columns = c.kind == ScanKind::diagonal ? c.states : int64_t(a.size());
    operands.rate = Matrix(int64_t(a.size()) / columns, columns);
    operands.rate.data = a;
    recurrences::makeRates(c.form, operands.rate);
    Matrix y(tokens, channels);
    for (int64_t t = 0; t < tokens; ++t)
      recurrences::update(c.kind, operands, shape(), t, batch.positions[size_t(t)] == 0, states[size_t(batch.slots[size_t(t)])], y.row(t));
    return y;
  }

  const ScanCase c;
  int64_t channels;
  bool hasStep, hasStates, perHead;
  View x, step, input, output, beta;
  std::vector<float> a, skip;
  States memory;
  std::optional<Buffer> packed;
  Batch batch;
  std::array<int32_t, kSlots> next{};
  std::array<std::vector<float>, kSlots> states;
};

// Steps of many, few and single tokens, one after the other on the same states.
TEST_P(RecurrenceKernelsTest, scans) {
  std::mt19937 random(17);
  KernelJit jit(GetParam());
  std::vector<std::unique_ptr<ScanRun>> runs;
  for (size_t i = 0; i < std::size(scanCases); ++i) {
    runs.push_back(std::make_unique<ScanRun>(scanCases[i], random));
    jit.declare(scanName(i), runs.back()->attribute(), runs.back()->arguments());
  }
  jit.compile();
  for (size_t i = 0; i < std::size(scanCases); ++i)
    for (int64_t tokens : {40, 1, 1, 7, 64, 1})
      ASSERT_NO_FATAL_FAILURE(runs[i]->check(jit, scanName(i), tokens, random));
}

// Chunks against the definition, token by token: runs shorter and longer than chunks, whole and broken ones.
TEST_P(RecurrenceKernelsTest, scansByChunks) {
  std::mt19937 random(19);
  KernelJit jit(GetParam());
  std::vector<std::unique_ptr<ScanRun>> runs;
  for (size_t i = 0; i < std::size(chunkCases); ++i) {
    runs.push_back(std::make_unique<ScanRun>(chunkCases[i], random));
    jit.declare(scanName(i), runs.back()->attribute(), runs.back()->arguments());
    jit.declare(scanName(i) + "_scores", runs.back()->scoresAttribute(), "iipppppppp");
  }
  jit.compile();
  for (size_t i = 0; i < std::size(chunkCases); ++i)
    for (int64_t longest : {100, 9, 1, 75, 33, 16, 150})
      ASSERT_NO_FATAL_FAILURE(runs[i]->check(jit, scanName(i), longest == 1 ? 1 : 150, random, longest));
}

//===----------------------------------------------------------------------===//
// Convolution and shift
//===----------------------------------------------------------------------===//

struct ConvCase {
  int64_t channels, taps, panels;
  bool bias, silu, bf16;
};
constexpr ConvCase convCases[] = {{48, 4, 1, true, true, false}, {37, 3, 2, false, false, false}, {7, 2, 1, true, false, true}, {64, 5, 3, true, true, true}};

std::string convAttribute(const ConvCase &c, int64_t xBytes) {
  return "#tile.conv<channels = " + std::to_string(c.channels) + ", taps = " + std::to_string(c.taps) + ", format = " + (c.bf16 ? "bf16" : "f32") +
         ", bias = " + (c.bias ? "true" : "false") + ", x_bytes = " + std::to_string(xBytes) + ", panels = " + std::to_string(c.panels) +
         (c.silu ? ", activation = silu>" : ">");
}

TEST_P(RecurrenceKernelsTest, convolves) {
  std::mt19937 random(23);
  KernelJit jit(GetParam());
  for (size_t i = 0; i < std::size(convCases); ++i)
    jit.declare("conv_" + std::to_string(i), convAttribute(convCases[i], View(convCases[i].channels).bytes()), convCases[i].bias ? "iipppppppp" : "iippppppp");
  jit.compile();
  for (size_t i = 0; i < std::size(convCases); ++i) {
    const ConvCase &c = convCases[i];
    View x(c.channels);
    std::vector<float> weight = drawn(c.channels * c.taps, 0, random), bias = drawn(c.channels, 0, random);
    Buffer packed = packMatrix(weight, c.channels, c.taps, c.bf16);
    States memory(c.channels * (c.taps - 1));
    Batch batch;
    std::array<int32_t, kSlots> next{};
    std::array<std::vector<std::vector<float>>, kSlots> past; // rows of each sequence
    for (int64_t tokens : {30, 1, 2, 1, 9}) {
      batch.draw(tokens, next, random);
      x.draw(tokens, 0, random);
      std::vector<float> y(size_t(tokens * c.channels) + 1, 77.0f);
      int64_t tiles = ((c.channels + 15) / 16 + c.panels - 1) / c.panels;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        std::vector<uint64_t> arguments{uint64_t(tile), uint64_t(tokens), word(batch.positions.data()), word(batch.slots.data()), word(x.data.data()), word(packed.data())};
        if (c.bias)
          arguments.push_back(word(bias.data()));
        for (uint64_t value : {word(memory.slot(0)), word(memory.slot(1)), word(y.data())})
          arguments.push_back(value);
        callKernel(jit, "conv_" + std::to_string(i), arguments);
      }
      Matrix wanted(tokens, c.channels);
      for (int64_t t = 0; t < tokens; ++t) {
        auto &rows = past[size_t(batch.slots[size_t(t)])];
        rows.emplace_back(x.row(t), x.row(t) + c.channels);
        for (int64_t channel = 0; channel < c.channels; ++channel) {
          double sum = c.bias ? bias[size_t(channel)] : 0;
          for (int64_t k = 0; k < c.taps; ++k)
            if (int64_t from = int64_t(rows.size()) - c.taps + k; from >= 0)
              sum += double(weight[size_t(channel * c.taps + k)]) * rows[size_t(from)][size_t(channel)];
          wanted.row(t)[channel] = float(c.silu ? sum / (1 + std::exp(-sum)) : sum);
        }
      }
      ASSERT_NO_FATAL_FAILURE(expectNear(y, wanted, 4e-6, convAttribute(c, x.bytes())));
    }
  }
}

TEST_P(RecurrenceKernelsTest, shifts) {
  std::mt19937 random(29);
  KernelJit jit(GetParam());
  View x(35);
  jit.declare("shift", "#tile.shift<channels = 35, x_bytes = " + std::to_string(x.bytes()) + ", panels = 2>", "iipppppp");
  jit.compile();
  States memory(35);
  Batch batch;
  std::array<int32_t, kSlots> next{};
  std::array<std::vector<float>, kSlots> last;
  for (int64_t tokens : {12, 1, 5}) {
    batch.draw(tokens, next, random);
    x.draw(tokens, 0, random);
    std::vector<float> y(size_t(tokens * 35) + 1, 77.0f);
    for (uint64_t tile : {0, 1})
      callKernel(jit, "shift", {tile, uint64_t(tokens), word(batch.positions.data()), word(batch.slots.data()), word(x.data.data()), word(memory.slot(0)), word(memory.slot(1)), word(y.data())});
    Matrix wanted(tokens, 35);
    for (int64_t t = 0; t < tokens; ++t) {
      auto &before = last[size_t(batch.slots[size_t(t)])];
      before.resize(35, 0.0f);
      std::copy(before.begin(), before.end(), wanted.row(t));
      before.assign(x.row(t), x.row(t) + 35);
    }
    ASSERT_NO_FATAL_FAILURE(expectNear(y, wanted, 0, "shift"));
  }
}

} // namespace
} // namespace llmc::kernels::testing
