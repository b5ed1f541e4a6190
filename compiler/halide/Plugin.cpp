// llmc-halide.so: compiles the kernels of Kernels.h with Halide. No exception of Halide's leaves this file.
#include "compiler/halide/Functions.h"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include <unistd.h>

namespace llmc::halide {

Halide::ImageParam denseInput(const std::string &name, const std::vector<int> &extents, Halide::Type type) {
  Halide::ImageParam input(type, static_cast<int>(extents.size()), name);
  for (int d = 0, stride = 1; d < input.dimensions(); stride *= extents[d++])
    input.dim(d).set_bounds(0, extents[d]).set_stride(stride);
  return input;
}

void makeDense(Halide::OutputImageParam buffer, const std::vector<int> &extents) {
  for (int d = 0, stride = 1; d < buffer.dimensions(); stride *= extents[d++])
    buffer.dim(d).set_bounds(0, extents[d]).set_stride(stride);
}

namespace {

// Words of codegen::Target::required and what they let Halide use.
const struct {
  const char *word;
  Halide::Target::Feature feature;
} kFeatures[] = {
    {"avx2", Halide::Target::AVX2},          {"avx2", Halide::Target::AVX},   {"avx2", Halide::Target::SSE41},
    {"fma", Halide::Target::FMA},            {"f16c", Halide::Target::F16C},  {"avx512f", Halide::Target::AVX512},
    {"avx512bw", Halide::Target::AVX512_Skylake},
    {"avx512_vnni", Halide::Target::AVX512_Zen4}, // its dot products of bytes; those of bf16 have no use here
};

// No runtime, no checks: a plain function. Strict floats: sums keep their order, products and sums round one by one.
Halide::Target targetOf(const std::string &features) {
  using Halide::Target;
  Target target(Target::Linux, Target::X86, 64,
                {Target::NoRuntime, Target::NoAsserts, Target::NoBoundsQuery, Target::StrictFloat});
  std::istringstream words(features);
  for (std::string word; words >> word;)
    for (const auto &row : kFeatures)
      if (word == row.word)
        target.set_feature(row.feature);
  return target;
}

// A file name of our own that is gone at the end of the scope: Halide writes bitcode to files only.
class TemporaryFile {
public:
  TemporaryFile() {
    const char *folder = std::getenv("TMPDIR");
    path = std::string(folder && *folder ? folder : "/tmp") + "/llmc-halide-XXXXXX";
    descriptor = mkstemp(path.data());
  }
  ~TemporaryFile() {
    if (descriptor >= 0) {
      close(descriptor);
      unlink(path.c_str());
    }
  }
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;

  bool exists() const { return descriptor >= 0; }
  const std::string &name() const { return path; }
  std::string read() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

private:
  std::string path;
  int descriptor = -1;
};

// Extents, and offsets in bytes, stay far below 2^31.
constexpr int64_t kMostChannels = int64_t(1) << 26;

Expected<void> check(int64_t channels, int64_t group, const char *kind) {
  if (group < 1 || channels < 1 || channels % group || channels > kMostChannels)
    return unsupported("--kernels=halide: " + std::string(kind) + " of " + std::to_string(channels) + " channels in groups of " +
                       std::to_string(group) + ": want whole groups and at most 2^26 channels");
  return {};
}
Expected<void> check(const Norm &norm) { return check(norm.channels, norm.group, "a norm"); }
Expected<void> check(const Pointwise &kernel) { return check(kernel.channels, kernel.group, "a pointwise function"); }
Expected<void> check(const Rope &rope) { return check(rope.channels, rope.head, "rope"); }
Expected<void> check(const Product &product) { return check(product.inputs, 1, "a product"); }

class Compiler final : public KernelCompiler {
public:
  Expected<Code> compile(const Kernel &kernel, const std::string &symbol, const std::string &features) override {
    LLMC_CHECK(std::visit([](const auto &each) { return check(each); }, kernel));
    TemporaryFile file;
    if (!file.exists())
      return invalidInput(file.name() + ": can't be made; set TMPDIR to a folder that can be written");
    Definition definition;
    try {
      definition = std::visit([](const auto &each) { return define(each); }, kernel);
      definition.out.compile_to_bitcode(file.name(), definition.arguments, symbol, targetOf(features));
    } catch (const Halide::Error &error) {
      return internalError("Halide refuses the kernel '" + symbol + "': " + firstLine(error.what()));
    } catch (const std::exception &error) {
      return internalError("compiling the kernel '" + symbol + "' with Halide: " + firstLine(error.what()));
    }
    Code code{file.read(), definition.places, definition.fuses, sizeof(halide_buffer_t), offsetof(halide_buffer_t, host)};
    if (code.bitcode.empty())
      return internalError("Halide wrote no code for the kernel '" + symbol + "'; is " + file.name() + "'s disk full?");
    return code;
  }

private:
  static std::string firstLine(const std::string &text) { return text.substr(0, text.find('\n')); }
};

} // namespace
} // namespace llmc::halide

extern "C" llmc::halide::KernelCompiler *llmc_halide_kernels() {
  static llmc::halide::Compiler compiler;
  return &compiler;
}
