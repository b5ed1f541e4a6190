// Speed of products on one thread, on the best target that this machine runs:
//
//   T=1:   GB/s of packed weights, read once from memory (a matrix larger than any cache), and from the cache
//   T=512: billions of multiply-adds per second
//   packing: GB/s of packed weights
//
// of products by matrix tiles, by the name tiles, where the machine has them,
//
// and of the recurrence of one Mamba-2 layer of 370M parameters over 512 tokens, by the name scan: token by token, and by chunks of f32
// and of pairs of bf16.
//
// and of attention in pairs of bf16, of 32 heads of 64 channels that share 8 of the cache, by the name attend: one token that looks back on a
// cache in memory and on one in L2, and 512 tokens at its end.
//
//   KernelsBench [NAME [TARGET]]            NAME: part of a name such as q4_0_int8; TARGET: such as avx2
//   KernelsBench --assembly NAME CPU        the code of products, for LLVM's CPU
#include "passes/lowering/kernels/testing/KernelCases.h"

#include <cstdio>
#include <ctime>

#include <sys/mman.h>

namespace llmc::kernels::testing {
namespace {

constexpr int64_t inputs = 2048;
constexpr int64_t coldBytes = 256 << 20;

// Time of this thread on the processor: other programs disturb it less than the time of day.
double threadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// Seconds of one call, the best of several.
template <class Body> double bestSeconds(int rounds, Body body) {
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    double start = threadSeconds();
    body();
    best = std::min(best, threadSeconds() - start);
  }
  return best;
}

// What the memory gives: a sum of 64-bit words.
double readBandwidth(const Buffer &memory) {
  const auto *words = reinterpret_cast<const uint64_t *>(memory.data());
  uint64_t sum = 0;
  double seconds = bestSeconds(5, [&] {
    for (size_t i = 0; i < memory.bytes / 8; ++i)
      sum += words[i];
  });
  if (sum == 42)
    std::printf(" ");
  return double(memory.bytes) / seconds * 1e-9;
}

void benchmark(const JitTarget &target, const ProductCase &product, Buffer &memory) {
  KernelJit jit(target);
  jit.declare("single", productAttribute(product, inputs, true), "ppipp");
  jit.declare("many", productAttribute(product, inputs, false), "ppipp");
  jit.compile();
  std::mt19937 random(1);
  std::vector<std::vector<std::byte>> rows;
  for (int n = 0; n < 16; ++n)
    rows.push_back(randomRow(product.format, inputs, Weights::Usual, random));
  Buffer panel = packRows(product.format, rows, inputs), scratch(size_t(productScratch(product, inputs)));
  auto panelBytes = int64_t(panel.bytes);
  double pack = bestSeconds(5, [&] { packRows(product.format, rows, inputs); });
  int64_t panels = int64_t(memory.bytes) / panelBytes;
  for (int64_t i = 0; i < panels; ++i)
    std::memcpy(memory.data() + i * panelBytes, panel.data(), size_t(panelBytes));

  constexpr int64_t tokens = 512;
  Buffer x(size_t(tokens * inputs * 4)), out(tokens * 16 * 4);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> row(inputs);
  for (int64_t t = 0; t < tokens; ++t) {
    for (float &value : row)
      value = normal(random);
    if (product.int8)
      quantizeByDefinition(row, x.data() + t * tile::int8RowBytes(inputs));
    else if (product.bf16)
      for (int64_t k = 0; k < inputs; ++k)
        std::memcpy(x.data() + t * tile::bf16RowBytes(inputs) + k * 2, reinterpret_cast<const std::byte *>(&row[size_t(k)]) + 2, 2);
    else
      std::memcpy(x.data() + t * inputs * 4, row.data(), inputs * 4);
  }
  auto *single = jit.function<ProductFunction>("single"), *many = jit.function<ProductFunction>("many");
  double cold = bestSeconds(5, [&] {
    for (int64_t i = 0; i < panels; ++i)
      single(memory.data() + i * panelBytes, x.data(), 1, out.as<float>(), nullptr);
  });
  int64_t hotPanels = std::max<int64_t>(1, (256 << 10) / panelBytes);
  double hot = bestSeconds(20, [&] {
    for (int64_t i = 0; i < 10 * hotPanels; ++i)
      single(memory.data() + i % hotPanels * panelBytes, x.data(), 1, out.as<float>(), nullptr);
  });
  int64_t manyPanels = 16;
  double batch = bestSeconds(5, [&] {
    for (int64_t i = 0; i < manyPanels; ++i)
      many(memory.data() + i * panelBytes, x.data(), tokens, out.as<float>(), scratch.data());
  });
  std::printf("%-12s T=1 %6.2f GB/s cold, %6.2f hot   T=512 %6.1f GMAC/s   packing %5.2f GB/s\n", productName(product).c_str(),
              double(panels * panelBytes) / cold * 1e-9, double(10 * hotPanels * panelBytes) / hot * 1e-9,
              double(manyPanels * 16 * inputs * tokens) / batch * 1e-9, double(panelBytes) / pack * 1e-9);
  std::fflush(stdout);
}

// Milliseconds of all heads of a layer: 32 heads of 64 channels and 128 states in one group.
void benchmarkScan(const JitTarget &target) {
  constexpr int64_t tokens = 512, heads = 32, width = 64, states = 128, channels = heads * width;
  const std::string scan = "<kind = scalar, form = neg_exp, format = f32, heads = 32, width = 64, states = 128, groups = 1, x_bytes = 8192, "
                           "step_bytes = 128, input_bytes = 512, output_bytes = 512, beta_bytes = 0, skip = true, panels = 1>";
  using Pointer = const void *;
  using Scan = void(int64_t, int64_t, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer);
  using Scores = void(int64_t, int64_t, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  auto drawn = [&](int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float &value : values)
      value = 0.1f * normal(random);
    return values;
  };
  std::vector<float> x = drawn(tokens * channels), a = drawn(heads), input = drawn(tokens * states), output = drawn(tokens * states), skip = drawn(heads);
  std::vector<float> step(size_t(tokens * heads), 0.05f), y(x.size());
  std::vector<int32_t> positions, slots(size_t(tokens), 0);
  for (int32_t t = 0; t < tokens; ++t)
    positions.push_back(t);
  Buffer state(channels * states * 4), scratch(1 << 20), scores(tokens * 256 * 4), inputs(tokens * states * 4), outputs(tokens * states * 4);
  double sequential = 0;
  auto report = [&](const std::string &name, double seconds) {
    sequential = sequential > 0 ? sequential : seconds;
    std::printf("%-24s %7.3f ms   %.2f times token by token\n", name.c_str(), seconds * 1e3, sequential / seconds);
    std::fflush(stdout);
  };
  auto allHeads = [&](Scan *run, int64_t tiles) {
    for (int64_t tile = 0; tile < tiles; ++tile)
      run(tile, tokens, positions.data(), slots.data(), x.data(), a.data(), step.data(), input.data(), output.data(), skip.data(), state.data(),
          state.data(), y.data(), scratch.data(), scores.data(), inputs.data(), outputs.data());
  };
  KernelJit plain(target);
  plain.declare("scan", "#tile.scan" + scan, "iipppppppppppp");
  plain.compile();
  auto *run = plain.function<Scan>("scan");
  report("scan token by token", bestSeconds(20, [&] { allHeads(run, channels / 16); }));
  for (const char *bf16 : {"false", "true"})
    for (int64_t chunk : {16, 32, 64, 128}) {
      KernelJit jit(target);
      std::string rest = ", chunk = " + std::to_string(chunk) + ", bf16 = " + bf16 + ">";
      jit.declare("scan", "#tile.chunk_scan<scan = " + scan + rest, "iippppppppppppppp");
      jit.declare("scores", "#tile.chunk_scores<groups = 1, states = 128, input_bytes = 512, output_bytes = 512, tiles = 1" + rest, "iipppppppp");
      jit.compile();
      auto *byChunks = jit.function<Scan>("scan");
      auto *scoring = jit.function<Scores>("scores");
      report(std::string("scan chunk ") + std::to_string(chunk) + (bf16[0] == 't' ? " bf16" : " f32"), bestSeconds(20, [&] {
               scoring(0, tokens, positions.data(), slots.data(), input.data(), output.data(), scores.data(), inputs.data(), outputs.data(), scratch.data());
               allHeads(byChunks, heads);
             }));
    }
}

void benchmarkAttend(bool q8) {
  constexpr int64_t heads = 32, kvHeads = 8, headDim = 64, tokens = 512, rowBytes = heads * headDim * 4;
  const int64_t positionBytes = kvHeads * 2 * (q8 ? headDim + 4 : headDim * 2);
  const std::string element = q8 ? "!llm.quant<q8_0>" : "f16";
  const std::string shape = "#tile.attend_runs<heads = 32, kv_heads = 8, head_dim = 64, element = " + element + ", scale = 0.125, window = 0, softcap = 0.0, sinks = false, "
                            "group = 4, q_bytes = 8192, out_bytes = 8192, count = ";
  using Attend = void(int64_t, int64_t, const int32_t *, const int32_t *, const float *, const std::byte *, const std::byte *, float *, std::byte *);
  Buffer q(tokens * rowBytes), out(tokens * rowBytes), scratch(1 << 20), cache(coldBytes);
  std::memset(q.data(), 0, q.bytes), std::memset(cache.data(), 1, cache.bytes);
  std::vector<int32_t> positions(tokens), slots(tokens);
  for (const JitTarget &target : bf16Targets()) {
    KernelJit jit(target);
    jit.declare("single", shape + "1>", "iippppppp");
    jit.declare("many", shape + "12>", "iippppppp");
    jit.compile();
    auto run = [&](const char *name, int64_t tiles, int64_t count, int64_t end) {
      auto *kernel = jit.function<Attend>(name);
      for (int64_t t = 0; t < count; ++t)
        positions[size_t(t)] = int32_t(end - count + t);
      return bestSeconds(10, [&] {
        for (int64_t tile = 0; tile < tiles; ++tile)
          kernel(tile, count, positions.data(), slots.data(), q.as<float>(), cache.data(), cache.data(), out.as<float>(), scratch.data());
      });
    };
    auto rate = [&](int64_t positions, double seconds) { return double(positions * positionBytes) / seconds * 1e-9; };
    int64_t far = coldBytes / positionBytes / 64 * 64;
    double cold = run("single", kvHeads, 1, far), hot = run("single", kvHeads, 1, 256);
    double many = run("many", (tokens + 11) / 12 * kvHeads, tokens, 4608);
    std::printf("attend %-16s T=1 %6.2f GB/s cold, %6.2f hot   T=512 %6.1f GMAC/s\n", element.c_str(), rate(far, cold), rate(256, hot),
                double(heads * headDim * 2 * tokens * (4608 - tokens / 2)) / many * 1e-9);
  }
}

void benchmarkAttend() {
  for (bool q8 : {false, true})
    benchmarkAttend(q8);
}

// Eight panels by the machine's tiles: billions of multiply-adds per second. A third of a core's peak is 500 and more.
void benchmarkTiles(const JitTarget &target) {
  constexpr int64_t panels = 8;
  using Product = void(const std::byte *, int64_t, const void *, int64_t, float *, std::byte *);
  for (Format format : {Format::BF16, Format::F16, Format::Q8_0, Format::Q4_0, Format::Q4_K, Format::Q6_K}) {
    KernelJit jit(target);
    std::string name(formatInfo(format).name);
    jit.declare("product", "#tile.tiled_product<format = " + name + ", inputs = " + std::to_string(inputs) + ", most = 8>", "pipipp");
    jit.compile();
    std::mt19937 random(1);
    std::vector<std::vector<std::byte>> rows;
    for (int n = 0; n < 16; ++n)
      rows.push_back(randomRow(format, inputs, Weights::Usual, random));
    Buffer panel = packRows(format, rows, inputs), weights(panels * panel.bytes), scratch(panels * 8192);
    for (int64_t i = 0; i < panels; ++i)
      std::memcpy(weights.data() + size_t(i) * panel.bytes, panel.data(), panel.bytes);
    std::printf("%-8s", name.c_str());
    for (int64_t tokens : {1, 16, 32, 64, 128, 512}) {
      Buffer x(size_t(tokens * tile::bf16RowBytes(inputs))), out(size_t(panels * tokens * 64));
      std::memset(x.data(), 0, x.bytes);
      double seconds = bestSeconds(20, [&] { jit.function<Product>("product")(weights.data(), panels, x.data(), tokens, out.as<float>(), scratch.data()); });
      std::printf("  T=%ld %7.1f", long(tokens), double(panels * 16 * inputs * tokens) / seconds * 1e-9);
    }
    std::printf(" GMAC/s\n");
    std::fflush(stdout);
  }
}

void printAssembly(const JitTarget &target, const ProductCase &product, const std::string &cpu) {
  KernelJit jit(target);
  jit.declare("single", productAttribute(product, inputs, true), "ppipp");
  jit.declare("many", productAttribute(product, inputs, false), "ppipp");
  std::fputs(jit.assembly(cpu).c_str(), stdout);
}

JitTarget targetNamed(const std::string &name) {
  std::vector<JitTarget> targets = jitTargets();
  for (const JitTarget &target : bf16Targets())
    targets.push_back(target);
  for (const JitTarget &target : targets)
    if (llvm::StringRef(target.name).starts_with(name)) // vnni may be emulated
      return target;
  return targets.front();
}

} // namespace
} // namespace llmc::kernels::testing

int main(int argc, char **argv) {
  using namespace llmc::kernels::testing;
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 3 && arguments[0] == "--assembly") {
    bool vnni = arguments[2] != "x86-64-v3";
    for (const ProductCase &product : productCases)
      if (productName(product) == arguments[1])
        printAssembly(targetNamed(vnni ? "vnni" : "avx2"), product, arguments[2]);
    for (const ProductCase &product : bf16Cases)
      if (productName(product) == arguments[1])
        printAssembly(targetNamed("bf16"), product, arguments[2]);
    return 0;
  }
  JitTarget target = targetNamed(arguments.size() > 1 ? arguments[1] : "avx2");
  if (!arguments.empty() && arguments[0] == "scan")
    return benchmarkScan(target), 0;
  if (!arguments.empty() && arguments[0] == "attend")
    return benchmarkAttend(), 0;
  if (!arguments.empty() && arguments[0] == "tiles") {
    for (const JitTarget &tiles : tileTargets())
      if (arguments.size() > 1 ? tiles.name == arguments[1] : !emulatesTiles(tiles))
        benchmarkTiles(tiles);
    return 0;
  }
  Buffer memory(coldBytes);
  auto page = reinterpret_cast<uintptr_t>(memory.data()) / 4096 * 4096;
  madvise(reinterpret_cast<void *>(page), memory.bytes, MADV_HUGEPAGE); // as the weights of a run
  std::memset(memory.data(), 1, memory.bytes);
  std::printf("target %s, memory reads at %.1f GB/s\n", target.name.c_str(), readBandwidth(memory));
  for (const ProductCase &product : productCases)
    if (arguments.empty() || productName(product).find(arguments[0]) != std::string::npos)
      benchmark(target, product, memory);
  for (const JitTarget &bf16 : bf16Targets())
    for (const ProductCase &product : bf16Cases)
      if (arguments.empty() || productName(product).find(arguments[0]) != std::string::npos)
        benchmark(bf16, product, memory);
}
