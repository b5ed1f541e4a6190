// Appending to a cache and attending to it, against their definitions in double.
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "runtime/formats/Half.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

enum class Element { F32, F16, Q8 };

struct AttentionCase {
  int64_t heads, kvHeads, headDim;
  Element element;    // of the cache
  int64_t window = 0; // 0: none
  double softcap = 0;
  int64_t rotary = 0; // dim; 0: none
  bool interleaved = false, norm = false, sinks = false;
  int64_t group = 1;
  bool slopes = false;
  int64_t reach = 0; // of a bias by distance; 0: none
  bool full = false; // the mask
};
constexpr AttentionCase cases[] = {
    {2, 2, 8, Element::F32},
    {2, 1, 16, Element::F16},
    {4, 2, 24, Element::F32, 0, 0, 24},
    {3, 1, 64, Element::F16, 17, 0, 64, false, true},
    {2, 2, 64, Element::F32, 64, 30},
    {6, 3, 80, Element::F16, 0, 50, 32, true},
    {2, 1, 256, Element::F16, 100, 0, 256, false, true},
    {1, 1, 5, Element::F32, 1},
    {2, 2, 40, Element::F32, 0, 0, 40, true, true},
    {4, 2, 16, Element::F16, 33, 0, 16, false, false, true},
    {8, 2, 64, Element::F16, 0, 0, 0, false, false, true, 4},
    {6, 1, 40, Element::F32, 65, 30, 0, false, false, false, 3},
    {8, 1, 72, Element::F16, 0, 0, 0, false, false, false, 8},
    {4, 2, 256, Element::F16, 100, 0, 256, false, true, true, 2},
    {2, 2, 64, Element::Q8},
    {3, 1, 64, Element::Q8, 17, 0, 64, false, true},
    {6, 3, 80, Element::Q8, 0, 50, 32, true},
    {1, 1, 5, Element::Q8, 1},
    {2, 2, 38, Element::Q8, 0, 0, 38, true, true},
    {8, 2, 16, Element::Q8, 33, 0, 0, false, false, true, 4},
    {4, 2, 256, Element::Q8, 100, 0, 256, false, true, true, 2},
    {3, 3, 16, Element::F32, 0, 0, 0, false, false, false, 1, true},
    {8, 2, 64, Element::F16, 65, 30, 0, false, false, true, 4, true},
    {6, 1, 40, Element::Q8, 0, 0, 0, false, false, false, 3, true},
    {4, 2, 16, Element::F32, 0, 0, 0, false, false, false, 2, false, 0, true},
    {2, 2, 24, Element::F16, 17, 0, 0, false, false, true, 1, false, 0, true},
    {3, 3, 16, Element::F32, 0, 0, 0, false, false, false, 1, false, 24},
    {4, 1, 32, Element::F16, 40, 0, 0, false, false, false, 4, false, 48, true},
};
constexpr int64_t kPositions = 201, kBlock = 16;
constexpr int64_t lastPositions[] = {0, 1, 14, 15, 16, 17, 62, 63, 64, 65, 127, 128, 129, 200};
constexpr double kScale = 0.25, kEps = 1e-6;

const char *elementName(Element element) {
  return element == Element::Q8 ? "!llm.quant<q8_0>" : element == Element::F16 ? "f16" : "f32";
}
// Bytes of a head's keys, or values, of one position: see CacheBlock.h.
int64_t rowBytes(const AttentionCase &c) {
  return c.element == Element::Q8 ? (c.headDim + 3) / 4 * 4 + (c.headDim + 31) / 32 * 2 : c.headDim * (c.element == Element::F16 ? 2 : 4);
}
std::string shape(const AttentionCase &c) {
  return "heads = " + std::to_string(c.heads) + ", kv_heads = " + std::to_string(c.kvHeads) + ", head_dim = " + std::to_string(c.headDim) +
         ", element = " + elementName(c.element);
}
std::string prepareAttribute(const AttentionCase &c, int64_t group) {
  std::string text = "#tile.prepare<" + shape(c) + ", group = " + std::to_string(group);
  if (c.rotary)
    text += std::string(", rotary = <") + (c.interleaved ? "interleaved" : "half") + ", dim = " + std::to_string(c.rotary) + ">";
  return text + (c.norm ? ", norm = <rms, eps = 1.0e-6>>" : ">");
}
std::string attendAttribute(const AttentionCase &c) {
  return "#tile.attend<" + shape(c) + ", scale = 0.25, window = " + std::to_string(c.window) + ", softcap = " + std::to_string(c.softcap) +
         (c.sinks ? ", sinks = true" : "") + ", group = " + std::to_string(c.group) + (c.slopes ? ", slopes = true" : "") +
         (c.reach ? ", reach = " + std::to_string(c.reach) : "") + (c.full ? ", mask = full>" : ">");
}

// Pointers and i64 arguments are passed alike.
using AnyFunction = void(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
template <class T> uint64_t word(T *pointer) { return std::bit_cast<uint64_t>(pointer); }

using Row = std::vector<float>;

// Norm and rotation of one head in double.
std::vector<double> turned(const AttentionCase &c, std::span<const float> head, const Row &gain, const Row &table) {
  std::vector<double> y(head.begin(), head.end());
  if (c.norm) {
    double squares = 0;
    for (double value : y)
      squares += value * value / double(c.headDim);
    for (size_t i = 0; i < y.size(); ++i)
      y[i] *= gain[i] / std::sqrt(squares + kEps);
  }
  for (int64_t i = 0; i < c.rotary / 2; ++i) {
    double &a = y[size_t(c.interleaved ? 2 * i : i)], &b = y[size_t(c.interleaved ? 2 * i + 1 : i + c.rotary / 2)];
    double cosine = table[size_t(i)], sine = table[size_t(i + c.rotary / 2)], first = a;
    a = first * cosine - b * sine, b = b * cosine + first * sine;
  }
  return y;
}

// A sequence of kPositions tokens, put into a cache whose unwritten bytes are all `garbage`.
class Sequence {
public:
  // `together`: heads that are prepared in one call.
  Sequence(const AttentionCase &c, KernelJit &jit, const std::string &name, int garbage, int64_t together)
      : c(c), together(together), cache(size_t((kPositions + kBlock - 1) / kBlock * kBlock * c.kvHeads * 2 * rowBytes(c))),
        prepare(jit.kernel<AnyFunction>("prepare_" + name)), attend(jit.kernel<AnyFunction>("attend_" + name)) {
    std::memset(cache.data(), garbage, cache.bytes);
    for (int64_t i = 0; i < c.headDim; ++i)
      qGain.push_back(normal(random)), kGain.push_back(normal(random));
    for (int64_t head = 0; head < c.heads; ++head)
      sinks.push_back(3 * normal(random)), slopes.push_back(std::exp2(-float(head + 1)));
    for (int64_t head = 0; head < c.heads && c.reach; ++head)
      for (int64_t distance = -c.reach; distance <= c.reach; ++distance) // the last 16 of each end are alike
        bias.push_back(float(std::clamp<int64_t>(distance, -c.reach + 15, c.reach - 15)) * 0.125f * float(head + 1) - 1.0f);
  }

  // Appends the token of `position`, head by head, and checks what became of it.
  void append(int64_t position) {
    Row q = row(c.heads), k = row(c.kvHeads), v = row(c.kvHeads), table;
    for (int64_t i = 0; i < c.rotary / 2; ++i)
      table.push_back(float(std::cos(double(position) * (i + 1) * 0.1)));
    for (int64_t i = 0; i < c.rotary / 2; ++i)
      table.push_back(float(std::sin(double(position) * (i + 1) * 0.1)));
    const Row q0 = q, k0 = k;
    for (int64_t tile = (c.heads + c.kvHeads - 1) / together; tile >= 0; --tile)
      callPrepare(tile, position, q, k, v, table);
    for (int64_t head = 0; head < c.heads; ++head)
      ASSERT_NO_FATAL_FAILURE(near(headOf(q, head), turned(c, headOf(q0, head), qGain, table)));
    for (int64_t head = 0; head < c.kvHeads; ++head) {
      ASSERT_NO_FATAL_FAILURE(near(headOf(k, head), turned(c, headOf(k0, head), kGain, table)));
      for (int64_t i = 0; i < c.headDim; ++i) { // the cache holds exactly what k and v are now, rounded
        ASSERT_EQ(stored(position, head, false, i), rounded(headOf(k, head), i)) << "key " << i;
        ASSERT_EQ(stored(position, head, true, i), rounded(headOf(v, head), i)) << "value " << i;
      }
    }
    lastQuery = q;
  }

  // One part in 2^20 of the largest value, plus the products' own rounding.
  void check(int64_t last) {
    int64_t position = c.full ? last / 3 : last, length = last + 1;
    Row out(size_t(c.heads * c.headDim) + 1, 77.0f);
    Buffer scratch(size_t(c.group * (64 + c.headDim) * 4));
    std::memset(scratch.data(), 0xff, scratch.bytes);
    std::vector<uint64_t> extra;
    if (c.sinks)
      extra.push_back(word(sinks.data()));
    if (c.slopes)
      extra.push_back(word(slopes.data()));
    if (c.reach)
      extra.push_back(word(bias.data()));
    if (c.full)
      extra.push_back(uint64_t(length));
    extra.resize(3);
    for (int64_t head = 0; head < c.heads; ++head) {
      if (head % c.group == 0)
        attend(uint64_t(head / c.group), uint64_t(position), word(lastQuery.data()), word(cache.data()), word(out.data()), word(scratch.data()),
             extra[0], extra[1], extra[2]);
      std::vector<double> wanted = byDefinition(head, position, length);
      for (int64_t i = 0; i < c.headDim; ++i)
        ASSERT_NEAR(out[size_t(head * c.headDim + i)], wanted[size_t(i)], 1e-5) << "head " << head << " position " << position << " channel " << i;
      if ((head + 1) % c.group == 0) {
        ASSERT_EQ(out[size_t((head + 1) * c.headDim)], 77.0f) << "wrote into the next head";
      }
    }
  }

private:
  Row row(int64_t heads) {
    Row result(size_t(heads * c.headDim));
    for (float &value : result)
      value = normal(random);
    return result;
  }
  std::span<const float> headOf(const Row &row, int64_t head) const { return std::span(row).subspan(size_t(head * c.headDim), size_t(c.headDim)); }

  void callPrepare(int64_t tile, int64_t position, Row &q, Row &k, Row &v, Row &table) {
    std::vector<uint64_t> extra;
    if (c.rotary)
      extra.push_back(word(table.data()));
    if (c.norm)
      extra.push_back(word(qGain.data())), extra.push_back(word(kGain.data()));
    extra.resize(3);
    prepare(uint64_t(tile), uint64_t(position), word(q.data()), word(k.data()), word(v.data()), word(cache.data()), extra[0], extra[1], extra[2]);
  }

  void near(std::span<const float> got, const std::vector<double> &wanted) {
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], wanted[i], 4e-6 * (1 + std::fabs(wanted[i]))) << "channel " << i;
  }

  // As dialects/llm/CacheLayout.h rounds.
  float rounded(std::span<const float> head, int64_t channel) const {
    if (c.element != Element::Q8)
      return c.element == Element::F16 ? halfToFloat(floatToHalf(head[size_t(channel)])) : head[size_t(channel)];
    auto group = head.subspan(size_t(channel / 32 * 32)).first(size_t(std::min<int64_t>(32, c.headDim - channel / 32 * 32)));
    float largest = 0;
    for (float x : group)
      largest = std::max(largest, std::fabs(x));
    float scale = halfToFloat(floatToHalf(largest / 127)), inverse = 1 / scale;
    return std::clamp(std::nearbyint(head[size_t(channel)] * inverse), -127.0f, 127.0f) * scale;
  }

  template <class T> T at(int64_t offset) const {
    T result;
    std::memcpy(&result, cache.data() + offset, sizeof result);
    return result;
  }

  // As CacheBlock.h lays the cache out.
  float stored(int64_t position, int64_t kvHead, bool value, int64_t channel) const {
    if (c.element == Element::Q8)
      return storedQ8(position, kvHead, value, channel);
    int64_t side = kBlock * c.headDim, block = (position / kBlock * c.kvHeads + kvHead) * 2 * side, lane = position % kBlock;
    int64_t index = block + (value ? side + lane * c.headDim + channel : channel * kBlock + lane);
    return c.element == Element::F16 ? halfToFloat(at<uint16_t>(2 * index)) : at<float>(4 * index);
  }

  float storedQ8(int64_t position, int64_t kvHead, bool value, int64_t channel) const {
    int64_t side = kBlock * rowBytes(c), places = (c.headDim + 3) / 4 * 4, lane = position % kBlock;
    int64_t start = (position / kBlock * c.kvHeads + kvHead) * 2 * side + (value ? side : 0);
    float scale = halfToFloat(at<uint16_t>(start + kBlock * places + channel / 32 * kBlock * 2 + lane * 2));
    return scale * float(value ? at<int8_t>(start + (lane / 2 * places + channel) * 2 + lane % 2) : at<uint8_t>(start + (channel / 4 * kBlock + lane) * 4 + channel % 4) - 128);
  }

  std::vector<double> byDefinition(int64_t head, int64_t position, int64_t length) const {
    int64_t end = !c.full ? position + 1 : c.window ? std::min(length, position + c.window) : length;
    int64_t kvHead = head * c.kvHeads / c.heads, first = c.window ? std::max<int64_t>(0, position + 1 - c.window) : 0;
    std::vector<double> scores, result(size_t(c.headDim));
    for (int64_t p = first; p < end; ++p) {
      double dot = 0;
      for (int64_t i = 0; i < c.headDim; ++i)
        dot += double(lastQuery[size_t(head * c.headDim + i)]) * stored(p, kvHead, false, i);
      dot *= kScale;
      scores.push_back(c.softcap > 0 ? c.softcap * std::tanh(dot / c.softcap) : dot);
      scores.back() += c.slopes ? double(slopes[size_t(head)]) * double(p - position) : 0;
      if (c.reach)
        scores.back() += double(bias[size_t(head * (2 * c.reach + 1) + std::clamp(p - position, -c.reach, c.reach) + c.reach)]);
    }
    double best = *std::max_element(scores.begin(), scores.end()), total = 0;
    if (c.sinks)
      best = std::max(best, double(sinks[size_t(head)])), total = std::exp(sinks[size_t(head)] - best);
    for (double &score : scores)
      total += score = std::exp(score - best);
    for (int64_t p = first; p < end; ++p)
      for (int64_t i = 0; i < c.headDim; ++i)
        result[size_t(i)] += scores[size_t(p - first)] / total * stored(p, kvHead, true, i);
    return result;
  }

  const AttentionCase &c;
  const int64_t together;
  Buffer cache;
  Kernel<AnyFunction> prepare, attend;
  std::mt19937 random{4};
  std::normal_distribution<float> normal;
  Row qGain, kGain, lastQuery, sinks, slopes, bias;
};

class AttentionKernelsTest : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, AttentionKernelsTest, ::testing::ValuesIn(jitTargets()), [](const auto &info) { return info.param.name; });
std::vector<JitTarget> smallBlocks() {
  JitTarget forwards{"two_warps", "#tile.target<\"sm_80\", vector = 128, dot = portable in blocks of 64>", "", true, false}, backwards = forwards;
  backwards.backwards = true, backwards.name += "_backwards";
  return {forwards, backwards};
}
INSTANTIATE_TEST_SUITE_P(Devices, AttentionKernelsTest, ::testing::ValuesIn(smallBlocks()), [](const auto &info) { return info.param.name; });

// Bytes that no token has written may hold anything: a NaN (0xff), an infinity or a large number (0x7c, 0x7f), and must not be seen.
TEST_P(AttentionKernelsTest, appendsAndAttends) {
  KernelJit jit(GetParam());
  const int64_t together = GetParam().isDevice() ? 3 : 1; // more than warps
  for (size_t i = 0; i < std::size(cases); ++i) {
    jit.declare("prepare_" + std::to_string(i), prepareAttribute(cases[i], together),
                std::string("iipppp") + (cases[i].rotary ? "p" : "") + (cases[i].norm ? "pp" : ""));
    jit.declare("attend_" + std::to_string(i), attendAttribute(cases[i]),
                std::string("iipppp") + (cases[i].sinks ? "p" : "") + (cases[i].slopes ? "p" : "") + (cases[i].reach ? "p" : "") +
                    (cases[i].full ? "i" : ""));
  }
  jit.compile();
  for (size_t i = 0; i < std::size(cases); ++i)
    for (int garbage : {0xff, 0x7c, 0x7f}) {
      if (GetParam().isDevice() && garbage != 0xff) // NaN is the strictest, and emulation slow
        continue;
      SCOPED_TRACE(attendAttribute(cases[i]));
      Sequence sequence(cases[i], jit, std::to_string(i), garbage, together);
      for (int64_t position = 0; position < kPositions; ++position) {
        ASSERT_NO_FATAL_FAILURE(sequence.append(position));
        if (std::ranges::count(lastPositions, position))
          ASSERT_NO_FATAL_FAILURE(sequence.check(position));
      }
    }
}

} // namespace
} // namespace llmc::kernels::testing
