// Attention in pairs of bf16, against its definition in double on operands rounded to bf16; one token and many, bit for bit.
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "runtime/formats/Half.h"

#include "mlir/AsmParser/AsmParser.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

struct RunsCase {
  int64_t heads, kvHeads, headDim, group, count;
  int64_t window = 0;
  double softcap = 0;
  bool sinks = false, split = false;
  int64_t positions = 300;
  bool q8 = false; // the cache's element; else f16
  bool halves = false; // all that is multiplied is f16, else bf16
  bool slopes = false;
};
constexpr RunsCase cases[] = {
    {2, 2, 16, 1, 48},
    {8, 2, 64, 4, 12},
    {7, 1, 64, 7, 6, 0, 0, true},
    {6, 3, 80, 2, 5, 65, 30},
    {4, 1, 256, 4, 12, 100, 0, true, true},
    {8, 1, 48, 4, 3, 0, 20, false, true},
    {2, 1, 16, 2, 24, 0, 0, true, true, 4500},
    {2, 1, 16, 2, 24, 512, 0, false, true, 4500},
    {2, 2, 16, 1, 48, 0, 0, false, false, 300, true},
    {8, 2, 64, 4, 12, 0, 0, false, false, 300, true},
    {7, 1, 64, 7, 6, 0, 0, true, false, 300, true},
    {6, 3, 80, 2, 5, 65, 30, false, false, 300, true},
    {4, 1, 256, 4, 12, 100, 0, true, true, 300, true},
    {2, 1, 48, 2, 24, 512, 0, false, true, 4500, true},
    {6, 3, 64, 2, 5, 65, 0, true, false, 300, false, false, true},
    {4, 2, 16, 2, 24, 0, 20, false, true, 4500, false, false, true},
    {8, 1, 48, 4, 3, 0, 0, true, true, 300, true, false, true},
};
constexpr int64_t kBlock = 16, kSlots = 2;
constexpr double kScale = 0.3;

std::string attribute(const RunsCase &c, bool single) {
  auto number = [](const char *name, int64_t value) { return std::string(", ") + name + " = " + std::to_string(value); };
  int64_t rowBytes = c.heads * c.headDim * 4;
  return "#tile.attend_runs<heads = " + std::to_string(c.heads) + number("kv_heads", c.kvHeads) + number("head_dim", c.headDim) +
         ", element = " + (c.q8 ? "!llm.quant<q8_0>" : "f16") + ", scale = 0.3" + number("window", c.window) + ", softcap = " + std::to_string(c.softcap) + ", sinks = " + (c.sinks ? "true" : "false") +
         number("group", c.group) + number("count", single ? 1 : c.count) + number("q_bytes", rowBytes) + number("out_bytes", rowBytes + 64) +
         (c.split ? ", split = true" : "") + (c.split && single ? ", partial = true" : "") + (c.slopes ? ", slopes = true" : "") + ">";
}
std::string mergeAttribute(const RunsCase &c) {
  return "#tile.merge_parts<heads = " + std::to_string(c.heads) + ", head_dim = " + std::to_string(c.headDim) +
         ", scale = 0.3, softcap = " + std::to_string(c.softcap) + ", sinks = " + (c.sinks ? "true" : "false") + ">";
}
int64_t scratchBytes(const std::string &attribute) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<llm::LLMDialect, tile::TileDialect>();
  return attendScratchBytes(mlir::cast<tile::AttendRunsAttr>(mlir::parseAttribute(attribute, &context)));
}

using AttendFunction = void(int64_t tile, int64_t tokens, const int32_t *positions, const int32_t *slots, const float *q, const std::byte *first,
                            const std::byte *second, float *out, std::byte *scratch, const float *sinks, const float *slopes);
using MergeFunction = void(int64_t position, const float *parts, float *out, const float *sinks);

float toBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// Caches of two slots, whose positions are written as far as somebody asks; the rest is `garbage`.
class Caches {
public:
  // `rounds`: to bf16, as CPUs do.
  Caches(const RunsCase &c, int garbage, bool rounds = true)
      : c(c), rounds(rounds), rowBytes(c.q8 ? c.headDim + (c.headDim + 31) / 32 * 2 : c.headDim * 2), slotBytes((c.positions + 63) / 64 * 64 * c.kvHeads * 2 * rowBytes),
        memory(size_t(kSlots * slotBytes)) {
    std::memset(memory.data(), garbage, memory.bytes);
  }
  const std::byte *slot(int64_t number) { return memory.data() + number * slotBytes; }
  void writeTo(int64_t slot, int64_t end) {
    for (int64_t &position = written[slot]; position < end; ++position)
      for (int64_t head = 0; head < c.kvHeads; ++head)
        for (int64_t channel = 0; channel < c.headDim; ++channel)
          for (bool value : {false, true})
            write(slot, position, head, value, channel);
  }
  // As the kernel multiplies it.
  float get(int64_t slot, int64_t position, int64_t head, bool value, int64_t channel) {
    std::byte *side = sideOf(slot, position, head, value), *number = side + offset(position % kBlock, value, channel);
    auto rounded = [&](float x) { return rounds ? toBf16(x) : x; };
    if (!c.q8)
      return c.halves ? halfToFloat(*reinterpret_cast<uint16_t *>(number)) : rounded(halfToFloat(*reinterpret_cast<uint16_t *>(number)));
    float scale = halfToFloat(*scaleOf(side, position, channel));
    return value ? rounded(scale * float(int8_t(*number))) : scale * float(int(*number) - 128);
  }

private:
  void write(int64_t slot, int64_t position, int64_t head, bool value, int64_t channel) {
    std::byte *side = sideOf(slot, position, head, value), *number = side + offset(position % kBlock, value, channel);
    if (!c.q8) {
      *reinterpret_cast<uint16_t *>(number) = floatToHalf(normal(random));
      return;
    }
    *number = std::byte(int(random() % 255) + (value ? -127 : 1)); // -127 … 127, of keys with 128 more
    if (channel % 32 == 0)
      *scaleOf(side, position, channel) = floatToHalf(std::fabs(normal(random)) / 64);
  }
  // Bytes of CacheBlock.h.
  std::byte *sideOf(int64_t slot, int64_t position, int64_t head, bool value) {
    return memory.data() + slot * slotBytes + ((position / kBlock * c.kvHeads + head) * 2 + value) * kBlock * rowBytes;
  }
  uint16_t *scaleOf(std::byte *side, int64_t position, int64_t channel) const {
    return reinterpret_cast<uint16_t *>(side + kBlock * c.headDim) + channel / 32 * kBlock + position % kBlock;
  }
  int64_t offset(int64_t lane, bool value, int64_t channel) const {
    if (c.q8)
      return value ? (lane / 2 * c.headDim + channel) * 2 + lane % 2 : (channel / 4 * kBlock + lane) * 4 + channel % 4;
    return 2 * (value ? lane * c.headDim + channel : channel * kBlock + lane);
  }
  const RunsCase &c;
  const bool rounds;
  int64_t rowBytes, slotBytes;
  Buffer memory;
  int64_t written[kSlots] = {};
  std::mt19937 random{3};
  std::normal_distribution<float> normal;
};

class Attention {
public:
  Attention(const RunsCase &c, KernelJit &jit, const std::string &name, int garbage)
      : c(c), many(jit.kernel<AttendFunction>("many_" + name)), single(jit.kernel<AttendFunction>("single_" + name)),
        merge(c.split ? jit.function<MergeFunction>("merge_" + name) : nullptr), caches(c, garbage),
        scratch(size_t(std::max(scratchBytes(attribute(c, false)), scratchBytes(attribute(c, true))))) {
    for (int64_t head = 0; head < c.heads; ++head)
      sinks.push_back(3 * normal(random)), slopes.push_back(std::exp2(-float(head + 1)));
  }

  // A step of `tokens` tokens of slot 0 from `position` on, and one of slot 1 in their midst.
  void check(int64_t position, int64_t count) {
    std::vector<int32_t> positions, slots;
    for (int64_t i = 0; i < count; ++i) {
      positions.push_back(int32_t(position + i)), slots.push_back(0);
      if (i == count / 2)
        positions.push_back(int32_t(position / 3)), slots.push_back(1);
    }
    caches.writeTo(0, position + count), caches.writeTo(1, position / 3 + 1);
    auto tokens = int64_t(positions.size()), row = c.heads * c.headDim;
    std::vector<float> q(size_t(tokens * row)), out(size_t(tokens * (row + 16)), 77.0f), alone(size_t(row + 16), 77.0f);
    for (float &value : q)
      value = normal(random);
    int64_t tiles = (tokens + c.count - 1) / c.count * (c.heads / c.group);
    for (int64_t tile = tiles - 1; tile >= 0; --tile)
      many(tile, tokens, positions.data(), slots.data(), q.data(), caches.slot(0), caches.slot(1), out.data(), cleared(), perHead(c.sinks), slopes.data());
    for (int64_t t = 0; t < tokens; ++t) {
      const float *got = &out[size_t(t * (row + 16))], *query = &q[size_t(t * row)];
      runSingle(positions[size_t(t)], slots[size_t(t)], query, alone.data());
      ASSERT_EQ(std::memcmp(got, alone.data(), alone.size() * 4), 0) << "token " << t << " at " << positions[size_t(t)] << " is another one alone";
      ASSERT_NO_FATAL_FAILURE(checkToken(slots[size_t(t)], positions[size_t(t)], query, got));
    }
  }

private:
  // The argument after scratch: sinks, or where the kernel has none what follows them.
  const float *perHead(bool hasSinks) const { return hasSinks ? sinks.data() : slopes.data(); }
  std::byte *cleared() { return static_cast<std::byte *>(std::memset(scratch.data(), 0xff, scratch.bytes)); }

  void runSingle(int32_t position, int32_t slot, const float *q, float *out) {
    std::vector<float> parts(size_t((16 * c.heads + 1) * (32 + c.headDim)), NAN);
    int64_t units = c.split ? std::min<int64_t>(16, position / 256 + 1) : 1;
    for (int64_t tile = 0; tile < units * (c.heads / c.group); ++tile)
      single(tile, 1, &position, &slot, q, caches.slot(0), caches.slot(1), c.split ? parts.data() : out, cleared(), perHead(c.sinks && !c.split), slopes.data());
    if (c.split)
      merge(position, parts.data(), out, sinks.data());
  }

  float roundedQuery(const float *q, int64_t channel) const {
    if (!c.q8)
      return c.halves ? halfToFloat(floatToHalf(q[channel])) : toBf16(q[channel]);
    float largest = 0;
    for (int64_t first = channel / 32 * 32, i = first; i < std::min(first + 32, c.headDim); ++i)
      largest = std::max(largest, std::fabs(q[i]));
    return std::nearbyint(q[channel] * (127 / largest)) * (largest / 127);
  }

  // A weight is rounded by up to one part in 256 of itself.
  void checkToken(int64_t slot, int64_t position, const float *q, const float *got) {
    int64_t first = c.window ? std::max<int64_t>(0, position + 1 - c.window) : 0;
    for (int64_t head = 0; head < c.heads; ++head) {
      int64_t kvHead = head * c.kvHeads / c.heads;
      std::vector<double> weights, sums(size_t(c.headDim)), sizes(size_t(c.headDim));
      for (int64_t p = first; p <= position; ++p) {
        double dot = 0;
        for (int64_t i = 0; i < c.headDim; ++i)
          dot += double(roundedQuery(q + head * c.headDim, i)) * caches.get(slot, p, kvHead, false, i);
        weights.push_back(c.softcap > 0 ? c.softcap * std::tanh(dot * kScale / c.softcap) : dot * kScale);
        weights.back() += c.slopes ? double(slopes[size_t(head)]) * double(p - position) : 0;
      }
      double best = *std::max_element(weights.begin(), weights.end()), total = 0;
      if (c.sinks)
        best = std::max(best, double(sinks[size_t(head)])), total = std::exp(sinks[size_t(head)] - best);
      for (double &weight : weights)
        total += weight = std::exp(weight - best);
      for (int64_t p = first; p <= position; ++p)
        for (int64_t i = 0; i < c.headDim; ++i) {
          double part = weights[size_t(p - first)] / total * caches.get(slot, p, kvHead, true, i);
          sums[size_t(i)] += part, sizes[size_t(i)] += std::fabs(part);
        }
      for (int64_t i = 0; i < c.headDim; ++i)
        ASSERT_NEAR(got[head * c.headDim + i], sums[size_t(i)], sizes[size_t(i)] / 256 + 1e-4) << "head " << head << " position " << position << " channel " << i;
    }
  }

  const RunsCase &c;
  Kernel<AttendFunction> many, single;
  MergeFunction *merge;
  Caches caches;
  Buffer scratch;
  std::vector<float> sinks, slopes;
  std::mt19937 random{4};
  std::normal_distribution<float> normal;
};

class AttendRunsTest : public ::testing::TestWithParam<JitTarget> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AttendRunsTest);
INSTANTIATE_TEST_SUITE_P(Targets, AttendRunsTest, ::testing::ValuesIn(bf16Targets()), [](const auto &info) { return info.param.name; });

// One token on a GPU: parts of its positions, merged, in float32.
class AttentionByParts {
public:
  AttentionByParts(const RunsCase &c, KernelJit &jit, const std::string &name)
      : c(c), part(jit.kernel<AttendFunction>("part_" + name)), merge(jit.kernel<MergeFunction>("merge_" + name)), caches(c, 0xff, false) {
    for (int64_t head = 0; head < c.heads; ++head)
      sinks.push_back(3 * normal(random)), slopes.push_back(std::exp2(-float(head + 1)));
  }

  void check(int32_t position, int32_t slot) {
    caches.writeTo(slot, position + 1);
    std::vector<float> q(size_t(c.heads * c.headDim)), out(q.size() + 1, 77.0f), parts(size_t((16 * c.heads + 1) * (32 + c.headDim)), NAN);
    for (float &value : q)
      value = normal(random);
    int64_t tiles = std::min(16, position / 256 + 1) * (c.heads / c.group);
    for (int64_t tile = 0; tile < tiles; ++tile)
      part(tile, 1, &position, &slot, q.data(), caches.slot(0), caches.slot(1), parts.data(), nullptr, slopes.data(), nullptr);
    merge(position, parts.data(), out.data(), sinks.data());
    ASSERT_EQ(out.back(), 77.0f) << "wrote beyond the row";
    for (int64_t head = 0; head < c.heads; ++head)
      ASSERT_NO_FATAL_FAILURE(checkHead(head, position, slot, &q[size_t(head * c.headDim)], &out[size_t(head * c.headDim)]));
  }

private:
  void checkHead(int64_t head, int64_t position, int64_t slot, const float *q, const float *got) {
    int64_t first = c.window ? std::max<int64_t>(0, position + 1 - c.window) : 0, kvHead = head * c.kvHeads / c.heads;
    std::vector<double> weights, sums(size_t(c.headDim));
    for (int64_t p = first; p <= position; ++p) {
      double dot = 0;
      for (int64_t i = 0; i < c.headDim; ++i)
        dot += double(q[i]) * caches.get(slot, p, kvHead, false, i);
      weights.push_back(c.softcap > 0 ? c.softcap * std::tanh(dot * kScale / c.softcap) : dot * kScale);
      weights.back() += c.slopes ? double(slopes[size_t(head)]) * double(p - position) : 0;
    }
    double best = *std::max_element(weights.begin(), weights.end()), total = 0;
    if (c.sinks)
      best = std::max(best, double(sinks[size_t(head)])), total = std::exp(sinks[size_t(head)] - best);
    for (double &weight : weights)
      total += weight = std::exp(weight - best);
    for (int64_t p = first; p <= position; ++p)
      for (int64_t i = 0; i < c.headDim; ++i)
        sums[size_t(i)] += weights[size_t(p - first)] / total * caches.get(slot, p, kvHead, true, i);
    for (int64_t i = 0; i < c.headDim; ++i)
      ASSERT_NEAR(got[i], sums[size_t(i)], 3e-5) << "head " << head << " position " << position << " channel " << i;
  }

  const RunsCase &c;
  Kernel<AttendFunction> part;
  Kernel<MergeFunction> merge;
  Caches caches;
  std::vector<float> sinks, slopes;
  std::mt19937 random{5};
  std::normal_distribution<float> normal;
};

class AttendByPartsTest : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Devices, AttendByPartsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

TEST_P(AttendByPartsTest, mergesToTheWhole) {
  constexpr RunsCase cases[] = {
      {8, 2, 64, 4, 1, 0, 0, true, true, 4600},
      {6, 3, 80, 2, 1, 512, 30, false, true, 4600},
      {4, 4, 256, 1, 1, 0, 0, false, true, 600},
      {2, 1, 5, 2, 1, 100, 0, true, true, 600},
      {8, 2, 64, 4, 1, 0, 20, true, true, 4600, true},
      {6, 3, 72, 2, 1, 512, 0, false, true, 4600, true},
      {2, 1, 256, 2, 1, 0, 0, true, true, 600, true},
      {8, 2, 64, 4, 1, 0, 0, true, true, 4600, false, false, true},
  };
  KernelJit jit(GetParam());
  for (size_t i = 0; i < std::size(cases); ++i) {
    jit.declare("part_" + std::to_string(i), attribute(cases[i], true), cases[i].slopes ? "iipppppppp" : "iippppppp");
    jit.declare("merge_" + std::to_string(i), mergeAttribute(cases[i]), cases[i].sinks ? "ippp" : "ipp");
  }
  jit.compile();
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(attribute(cases[i], true));
    AttentionByParts attention(cases[i], jit, std::to_string(i));
    for (int32_t position : {0, 15, 255, 256, 599})
      ASSERT_NO_FATAL_FAILURE(attention.check(position, position % 2));
    for (int32_t position : {4095, 4096, 4599})
      if (position < cases[i].positions)
        ASSERT_NO_FATAL_FAILURE(attention.check(position, 1));
  }
}

// Bytes that no token has written may hold anything: see AttentionKernelsTest.cpp.
TEST_P(AttendRunsTest, oneTokenAndMany) {
  KernelJit jit(GetParam());
  for (size_t i = 0; i < std::size(cases); ++i) {
    std::string name = std::to_string(i), sinks = cases[i].sinks ? "p" : "", slopes = cases[i].slopes ? "p" : "";
    jit.declare("many_" + name, attribute(cases[i], false), "iippppppp" + sinks + slopes);
    jit.declare("single_" + name, attribute(cases[i], true), "iippppppp" + (cases[i].split ? "" : sinks) + slopes);
    if (cases[i].split)
      jit.declare("merge_" + name, mergeAttribute(cases[i]), "ipp" + sinks);
  }
  jit.compile();
  for (size_t i = 0; i < std::size(cases); ++i)
    for (int garbage : {0xff, 0x7c}) {
      SCOPED_TRACE(attribute(cases[i], false));
      Attention attention(cases[i], jit, std::to_string(i), garbage);
      for (auto [position, count] : {std::pair<int64_t, int64_t>{0, 1}, {1, 2}, {3, 29}, {60, 7}, {250, 20}, {cases[i].positions - 21, 20}})
        ASSERT_NO_FATAL_FAILURE(attention.check(position, count));
    }
}

// By matrices of f16.
class BlockAttendRunsTest : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Devices, BlockAttendRunsTest, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

TEST_P(BlockAttendRunsTest, oneTokenAndMany) {
  std::vector<RunsCase> ofBlocks;
  for (RunsCase c : cases)
    if (!c.q8 && !c.split && !c.slopes && (c.halves = true))
      ofBlocks.push_back(c);
  ofBlocks.push_back({4, 1, 256, 4, 12, 100, 0, true, false, 300, false, true});
  ofBlocks.push_back({4, 2, 128, 2, 32, 0, 20, true, false, 300, false, true});
  KernelJit jit(GetParam());
  for (size_t i = 0; i < ofBlocks.size(); ++i) {
    std::string arguments = std::string("iippppppp") + (ofBlocks[i].sinks ? "p" : "");
    jit.declare("many_" + std::to_string(i), attribute(ofBlocks[i], false), arguments);
    jit.declare("single_" + std::to_string(i), attribute(ofBlocks[i], true), arguments);
  }
  jit.compile();
  for (size_t i = 0; i < ofBlocks.size(); ++i) {
    SCOPED_TRACE(attribute(ofBlocks[i], false));
    Attention attention(ofBlocks[i], jit, std::to_string(i), i % 2 ? 0xff : 0x7c);
    for (auto [position, count] : {std::pair<int64_t, int64_t>{0, 1}, {3, 29}, {60, 7}, {250, 40}})
      ASSERT_NO_FATAL_FAILURE(attention.check(position, count));
  }
}

} // namespace
} // namespace llmc::kernels::testing
