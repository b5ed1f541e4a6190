// Halide's kernels against the compiler's own, on one thread: one line for each kernel and size, fields between tabs,
//
//   target  kind  size  emitted ns  halide ns  ratio
//
// the ratio being the median of pairs measured one after the other; more than 1: Halide is faster. Rows lie in the cache, as those of a
// step do; the panels of products of one row come from memory.
//
//   HalideBench [TARGET [KIND]]     TARGET: such as x86-64-v4, or all; KIND: part of a kind's name
//
// test/benchmark/kernels/halide_table.py makes KernelTable.inc of it.
#include "compiler/halide/Kinds.h"
#include "compiler/halide/testing/KernelLibrary.h"
#include "compiler/Registration.h"
#include "passes/lowering/kernels/testing/KernelCases.h"

#include "mlir/AsmParser/AsmParser.h"
#include "llvm/Support/FormatVariadic.h"

#include <cstdio>
#include <ctime>

namespace llmc::halide::testing {
namespace {

using kernels::testing::Buffer;

// Time of this thread on the processor: other programs disturb it less than the time of day.
double threadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

class Bench {
public:
  Bench(const codegen::Target &target, const std::string &wanted) : target(target), wanted(wanted) {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  // Kernels of pointers, over rows in the cache. `inputs`: how many, of `channels` floats at most.
  void rows(const std::string &kernel, size_t inputs, int64_t channels) {
    std::vector<Buffer> buffers;
    std::vector<const void *> arguments;
    for (size_t i = 0; i <= inputs; ++i) {
      buffers.emplace_back(static_cast<size_t>(channels) * 4);
      for (int64_t c = 0; c < channels; ++c)
        buffers.back().as<float>()[c] = 0.01f * static_cast<float>(c % 400 - 200);
      arguments.push_back(buffers.back().data());
    }
    compare(kernel, std::string(inputs + 1, 'p'), [&](const KernelLibrary &library, int64_t) { library.call(arguments); });
  }

  void product(const kernels::testing::ProductCase &product, int64_t inputs, bool single) {
    std::string attribute = kernels::testing::productAttribute(product, inputs, single);
    if (!isWanted(attribute))
      return;
    constexpr int64_t tokens = 64;
    std::mt19937 random(1);
    std::vector<std::vector<std::byte>> source;
    for (int n = 0; n < 16; ++n)
      source.push_back(kernels::testing::randomRow(product.format, inputs, kernels::testing::Weights::Usual, random));
    Buffer panel = kernels::testing::packRows(product.format, source, inputs);
    auto panels = static_cast<int64_t>(single ? kColdBytes / panel.bytes : 4);
    Buffer weights(static_cast<size_t>(panels) * panel.bytes);
    for (int64_t i = 0; i < panels; ++i)
      std::memcpy(weights.data() + i * static_cast<int64_t>(panel.bytes), panel.data(), panel.bytes);
    Buffer x(static_cast<size_t>(tokens * inputs * 4)), out(tokens * 16 * 4);
    Buffer scratch(static_cast<size_t>(kernels::testing::productScratch(product, inputs)));
    std::vector<float> row(static_cast<size_t>(inputs), 0.5f);
    for (int64_t t = 0; t < tokens; ++t)
      if (product.int8)
        kernels::testing::quantizeByDefinition(row, x.data() + t * tile::int8RowBytes(inputs));
      else
        std::memcpy(x.data() + t * inputs * 4, row.data(), row.size() * 4);
    int64_t next = 0;
    compare(attribute, "ppipp", [&](const KernelLibrary &library, int64_t) {
      next = (next + 1) % panels;
      library.multiply(weights.data() + next * static_cast<int64_t>(panel.bytes), x.data(), single ? 1 : tokens, out.as<float>(), scratch.data());
    });
  }

private:
  static constexpr size_t kColdBytes = 128 << 20;
  static constexpr int kPairs = 21;

  bool isWanted(const std::string &kernel) {
    auto found = variant(kernel);
    return found && found->name.find(wanted) != std::string::npos;
  }

  // Nothing if Halide does not have it for the target.
  std::optional<Variant> variant(const std::string &kernel) {
    auto described = tile::TargetAttr::get(&context, target.name, target.vectorBits, target.dot, target.bf16);
    std::optional<Kernel> known = kernelOf(mlir::parseAttribute(kernel, &context), described);
    return known ? std::optional(variantOf(*known)) : std::nullopt;
  }

  void compare(const std::string &kernel, const std::string &arguments, llvm::function_ref<void(const KernelLibrary &, int64_t)> body) {
    if (!isWanted(kernel))
      return;
    KernelLibrary emitted(kernel, arguments, target, "mlir"), halide(kernel, arguments, target, "halide");
    int64_t calls = 1;
    auto seconds = [&](const KernelLibrary &library) {
      double start = threadSeconds();
      for (int64_t i = 0; i < calls; ++i)
        body(library, i);
      return (threadSeconds() - start) / double(calls);
    };
    while (calls < (1 << 20) && seconds(emitted) * double(calls) < 1e-3)
      calls *= 2;
    seconds(halide);
    std::vector<double> ours, theirs, ratios;
    for (int pair = 0; pair < kPairs; ++pair) {
      ours.push_back(seconds(emitted)), theirs.push_back(seconds(halide));
      ratios.push_back(ours.back() / theirs.back());
    }
    auto [name, size] = *variant(kernel);
    std::printf("%s\t%s\t%lld\t%.1f\t%.1f\t%.3f\n", target.name.c_str(), name.c_str(), static_cast<long long>(size), median(ours) * 1e9,
                median(theirs) * 1e9, median(ratios));
    std::fflush(stdout);
  }

  const codegen::Target &target;
  const std::string &wanted;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
};

void benchNorms(Bench &bench) {
  for (int64_t channels : {64, 128, 256, 640, 1024, 2048, 4096, 8192}) {
    for (const char *kind : {"rms", "layer"})
      bench.rows(llvm::formatv("#tile.norm<channels = {0}, group = {0}, norm = <{1}, eps = 1.0e-5>, bias = {2}>", channels, kind, kind[0] == 'l'),
                 kind[0] == 'l' ? 3 : 2, channels);
    bench.rows(llvm::formatv("#tile.unit_norm<channels = {0}, group = {0}, eps = 1.0e-5>", channels), 1, channels);
  }
}

void benchPointwise(Bench &bench) {
  struct Kind {
    const char *name;
    size_t inputs;
    const char *rest;
  };
  std::vector<Kind> kinds = {{"add", 2, ""}, {"mul", 2, ""}, {"mix", 3, ""}, {"scale", 1, ", constant = 0.5"}, {"clamp", 1, ", constant = 1.5"},
                             {"softcap", 1, ", constant = 30.0"}};
  for (const char *rest : {", activation = relu", ", activation = relu2", ", activation = sigmoid", ", activation = silu", ", activation = tanh",
                           ", activation = gelu_tanh"}) {
    kinds.push_back({"activation", 1, rest});
    kinds.push_back({"glu", 2, rest});
  }
  for (const Kind &kind : kinds)
    for (int64_t channels : {640, 2048, 4096, 8192, 16384})
      bench.rows(llvm::formatv("#tile.pointwise<kind = {0}, channels = {1}{2}>", kind.name, channels, kind.rest), kind.inputs, channels);
}

void benchRope(Bench &bench) {
  for (const char *style : {"half", "interleaved"})
    for (auto [channels, head] : {std::pair<int64_t, int64_t>{512, 64}, {1024, 256}, {2048, 64}, {4096, 128}})
      bench.rows(llvm::formatv("#tile.rope<channels = {0}, head_dim = {1}, rotary = <{2}, dim = {1}>>", channels, head, style), 2, channels);
}

void benchProducts(Bench &bench) {
  for (kernels::testing::ProductCase product : {kernels::testing::ProductCase{Format::F32, false}, {Format::BF16, false}, {Format::Q8_0, true}})
    for (bool single : {true, false})
      for (int64_t inputs : {128, 640, 2048, 8192})
        bench.product(product, inputs, single);
}

} // namespace
} // namespace llmc::halide::testing

int main(int argc, char **argv) {
  using namespace llmc::halide::testing;
  std::string name = argc > 1 ? argv[1] : "all", kind = argc > 2 ? argv[2] : "";
  for (const llmc::codegen::Target &target : targetsOfThisMachine())
    if (name == "all" || name == target.name) {
      Bench bench(target, kind);
      benchNorms(bench), benchPointwise(bench), benchRope(bench), benchProducts(bench);
    }
}
