// Kernels that Halide makes against those that the compiler emits, on every level that this machine has.
//
// The emitted kernels are held to definitions by the tests of passes/lowering/kernels; products also here, to theirs.
#include "compiler/codegen/ObjectCode.h"
#include "compiler/halide/Kinds.h"
#include "compiler/halide/LinkKernels.h"
#include "compiler/halide/testing/KernelLibrary.h"
#include "compiler/Registration.h"
#include "compiler/support/StatusBridge.h"
#include "passes/lowering/kernels/testing/KernelCases.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>
#include <random>

namespace llmc::halide::testing {
namespace {

using kernels::testing::Buffer;

//===----------------------------------------------------------------------===//
// Kernels of rows
//===----------------------------------------------------------------------===//

struct RowCase {
  std::string kernel;
  std::vector<int64_t> inputs; // floats of each
  int64_t channels;            // of the result
  double tolerance;            // 0: the same bits
};

RowCase norm(int64_t channels, int64_t group, bool layer, bool bias, double offset = 0) {
  std::string kernel = llvm::formatv("#tile.norm<channels = {0}, group = {1}, norm = <{2}, eps = 1.0e-5, offset = {3:F1}>, bias = {4}>", channels,
                                     group, layer ? "layer" : "rms", offset, bias ? "true" : "false");
  std::vector<int64_t> inputs{channels, group};
  if (bias)
    inputs.push_back(group);
  return {kernel, inputs, channels, 1e-5};
}

RowCase unitNorm(int64_t channels, int64_t group) {
  return {llvm::formatv("#tile.unit_norm<channels = {0}, group = {1}, eps = 1.0e-5>", channels, group), {channels}, channels, 1e-5};
}

// `rest`: what the attribute says beyond kind and channels.
RowCase pointwise(const std::string &kind, const std::string &rest, size_t inputs, int64_t channels, double tolerance, int64_t group = 1) {
  std::string kernel = "#tile.pointwise<kind = " + kind + ", channels = " + std::to_string(channels) + rest +
                       (group > 1 ? ", group = " + std::to_string(group) : "") + ">";
  std::vector<int64_t> sizes(inputs, channels);
  if (group > 1)
    sizes[1] = channels / group;
  return {kernel, sizes, channels, tolerance};
}

RowCase rope(int64_t channels, int64_t head, const std::string &style) {
  return {llvm::formatv("#tile.rope<channels = {0}, head_dim = {1}, rotary = <{2}, dim = {1}>>", channels, head, style), {channels, head}, channels, 0};
}

void addPointwise(std::vector<RowCase> &cases, int64_t channels) {
  cases.push_back(pointwise("add", "", 2, channels, 0));
  cases.push_back(pointwise("copy", "", 1, channels, 0));
  cases.push_back(pointwise("mul", "", 2, channels, 0));
  cases.push_back(pointwise("mix", "", 3, channels, 0));
  cases.push_back(pointwise("scale", ", constant = 0.3", 1, channels, 0));
  cases.push_back(pointwise("clamp", ", constant = 1.5", 1, channels, 0));
  cases.push_back(pointwise("softcap", ", constant = 3.0", 1, channels, 2e-6));
  for (const char *function : {"relu", "relu2", "sigmoid", "silu", "tanh", "gelu_tanh"}) {
    double tolerance = std::string(function) == "gelu_tanh" ? 1e-5 : 2e-6; // of 90 times one plus tanh, which is nearly 0
    std::string activation = std::string(", activation = ") + function;
    cases.push_back(pointwise("activation", activation, 1, channels, tolerance));
    if (std::string(function) == "silu" || std::string(function) == "gelu_tanh")
      cases.push_back(pointwise("glu", activation, 2, channels, tolerance));
  }
}

// Whole vectors, tails, less than a vector, one channel; groups (per-head norms), offsets (Gemma), biases; then some sizes by chance.
std::vector<RowCase> rowCases() {
  std::vector<RowCase> cases{
      norm(128, 128, false, false), norm(640, 640, false, false, 1), norm(100, 100, false, false), norm(7, 7, false, false, 1),
      norm(1, 1, false, false),     norm(512, 128, false, false),    norm(48, 24, false, false, 1), norm(128, 128, true, true),
      norm(33, 33, true, true),     norm(96, 48, true, false),       norm(15, 5, true, true, 1),    norm(300, 300, false, true),
      unitNorm(96, 32),             unitNorm(200, 200),
      pointwise("mul", "", 2, 96, 0, 32), pointwise("mul", "", 2, 60, 0, 20),
      rope(256, 64, "half"),        rope(96, 24, "half"),            rope(60, 10, "half"),
      rope(256, 64, "interleaved"), rope(96, 24, "interleaved"),     rope(60, 10, "interleaved"),
  };
  addPointwise(cases, 77);
  std::mt19937 random(5);
  auto below = [&](int64_t most) { return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
  for (int i = 0; i < 3; ++i) {
    int64_t group = below(700), head = 2 * below(40);
    cases.push_back(norm(group * below(3), group, i == 0, i == 1));
    cases.push_back(rope(head * below(5), head, i % 2 ? "half" : "interleaved"));
  }
  addPointwise(cases, 64 * below(5));
  return cases;
}

class Rows {
public:
  explicit Rows(const RowCase &row) : channels(static_cast<size_t>(row.channels)) {
    std::mt19937 random(7);
    std::normal_distribution<float> value(0.5f, 2.0f);
    for (int64_t count : row.inputs) {
      inputs.emplace_back(static_cast<size_t>(count));
      for (float &each : inputs.back())
        each = value(random);
    }
    float extremes[] = {0.0f, -0.0f, 90.0f, -90.0f, 1e-6f, 1e10f}; // where functions bend; norms bear them too
    if (row.kernel.find("pointwise") != std::string::npos)
      std::copy_n(extremes, std::min<size_t>(6, inputs[0].size()), inputs[0].begin());
  }

  // In place: the first input is the result. Nothing beyond the result may be written.
  std::vector<float> run(const KernelLibrary &library, bool inPlace) {
    std::vector<float> out(channels + 16, 77.0f);
    if (inPlace)
      std::copy(inputs[0].begin(), inputs[0].end(), out.begin());
    std::vector<const void *> arguments;
    for (const std::vector<float> &input : inputs)
      arguments.push_back(arguments.empty() && inPlace ? out.data() : input.data());
    arguments.push_back(out.data());
    library.call(arguments);
    for (size_t i = channels; i < out.size(); ++i)
      EXPECT_EQ(out[i], 77.0f) << "wrote beyond the row";
    out.resize(channels);
    return out;
  }

private:
  size_t channels;
  std::vector<std::vector<float>> inputs;
};

std::string letters(const RowCase &row) { return std::string(row.inputs.size() + 1, 'p'); }

// A target without fused multiply-adds rounds polynomials more often, and cubes of the extremes are large.
void expectNear(const std::vector<float> &got, const std::vector<float> &wanted, double tolerance) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (tolerance == 0 || std::isinf(wanted[i]))
      ASSERT_EQ(got[i], wanted[i]) << "channel " << i;
    else
      ASSERT_NEAR(got[i], wanted[i], tolerance * std::max(1.0f, std::abs(wanted[i]))) << "channel " << i;
  }
}

TEST(HalideKernelsTest, RowsEqualTheEmitted) {
  for (const codegen::Target &target : targetsOfThisMachine())
    for (const RowCase &row : target.bf16 ? std::vector<RowCase>() : rowCases()) { // which has the rows of x86-64-v4
      SCOPED_TRACE(target.name + " " + row.kernel);
      KernelLibrary emitted(row.kernel, letters(row), target, "mlir"), halide(row.kernel, letters(row), target, "halide");
      Rows rows(row);
      std::vector<float> separate = rows.run(halide, false);
      ASSERT_NO_FATAL_FAILURE(expectNear(separate, rows.run(emitted, false), row.tolerance));
      ASSERT_EQ(rows.run(halide, true), separate) << "in place";
    }
}

// One order of sums and no fused multiply-adds: every level gives the same bits.
TEST(HalideKernelsTest, NormsAreTheSameOnEveryTarget) {
  for (const RowCase &row : {norm(640, 640, false, false, 1), norm(100, 50, true, true), unitNorm(130, 130)}) {
    SCOPED_TRACE(row.kernel);
    Rows rows(row);
    std::vector<float> first = rows.run(KernelLibrary(row.kernel, letters(row), codegen::knownTargets().back(), "halide"), false);
    for (const codegen::Target &target : targetsOfThisMachine())
      EXPECT_EQ(rows.run(KernelLibrary(row.kernel, letters(row), target, "halide"), false), first) << target.name;
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

struct ProductShape {
  kernels::testing::ProductCase product;
  int64_t inputs;
};

const ProductShape kProducts[] = {
    {{Format::F32, false}, 1},   {{Format::F32, false}, 97},  {{Format::F32, false}, 640}, {{Format::BF16, false}, 2}, {{Format::BF16, false}, 98},
    {{Format::BF16, false}, 640}, {{Format::Q8_0, true}, 32}, {{Format::Q8_0, true}, 96},  {{Format::Q8_0, true}, 1056},
};

struct ProductRows {
  static constexpr int64_t tokens = 27; // three blocks of 8 rows, and a rest
  Buffer panel, x, scratch;
  int64_t rowBytes;

  explicit ProductRows(const ProductShape &shape, kernels::testing::Weights weights)
      : panel(packed(shape, weights)), x(static_cast<size_t>(tokens * (shape.inputs * 4 + tile::int8RowBytes((shape.inputs + 31) / 32 * 32)))),
        scratch(static_cast<size_t>(kernels::testing::productScratch(shape.product, shape.inputs))),
        rowBytes(shape.product.int8 ? tile::int8RowBytes(shape.inputs) : shape.inputs * 4) {
    std::mt19937 random(4);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> row(static_cast<size_t>(shape.inputs));
    for (int64_t t = 0; t < tokens; ++t) {
      for (float &value : row)
        value = normal(random);
      if (shape.product.int8)
        kernels::testing::quantizeByDefinition(row, x.data() + t * rowBytes);
      else
        std::memcpy(x.data() + t * rowBytes, row.data(), row.size() * 4);
    }
  }

  static Buffer packed(const ProductShape &shape, kernels::testing::Weights weights) {
    std::mt19937 random(3);
    std::vector<std::vector<std::byte>> rows;
    for (int n = 0; n < 16; ++n)
      rows.push_back(kernels::testing::randomRow(shape.product.format, shape.inputs, weights, random));
    return kernels::testing::packRows(shape.product.format, rows, shape.inputs);
  }
};

// A chunk's rows, any number of them, have the bits that each has alone, and those of the emitted kernel.
TEST(HalideKernelsTest, ProductsHaveTheBitsOfTheEmitted) {
  for (const codegen::Target &target : targetsOfThisMachine())
    for (const ProductShape &shape : kProducts) {
      auto attribute = [&](bool single) { return kernels::testing::productAttribute(shape.product, shape.inputs, single); };
      SCOPED_TRACE(target.name + " " + attribute(false));
      if (shape.product.int8 && target.dot == tile::Dot::portable)
        continue; // Halide leaves it
      KernelLibrary emitted(attribute(false), "ppipp", target, "mlir"), many(attribute(false), "ppipp", target, "halide"),
          single(attribute(true), "ppipp", target, "halide");
      for (auto weights : {kernels::testing::Weights::Usual, kernels::testing::Weights::Extreme}) {
        ProductRows rows(shape, weights);
        std::vector<float> wanted(ProductRows::tokens * 16), got(wanted.size() + 16);
        emitted.multiply(rows.panel.data(), rows.x.data(), ProductRows::tokens, wanted.data(), rows.scratch.data());
        for (int64_t tokens : {1, 3, 8, 9, 27}) {
          std::fill(got.begin(), got.end(), 77.0f);
          many.multiply(rows.panel.data(), rows.x.data(), tokens, got.data(), nullptr);
          for (size_t i = 0; i < static_cast<size_t>(tokens) * 16; ++i)
            ASSERT_EQ(got[i], wanted[i]) << tokens << " rows, element " << i;
          ASSERT_EQ(got[static_cast<size_t>(tokens) * 16], 77.0f) << "wrote beyond its rows";
        }
        for (int64_t t : {0, 26}) {
          single.multiply(rows.panel.data(), rows.x.data() + t * rows.rowBytes, 1, got.data(), nullptr);
          for (size_t n = 0; n < 16; ++n)
            ASSERT_EQ(got[n], wanted[static_cast<size_t>(t) * 16 + n]) << "row " << t << " alone, output " << n;
        }
      }
    }
}

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

const codegen::Target &vectorTarget() {
  return *llvm::find_if(codegen::knownTargets(), [](const codegen::Target &target) { return target.name == "x86-64-v3"; });
}

// The kernel's name says where it came from, and neither Halide's buffers nor a call of its runtime is left.
TEST(HalideKernelsTest, KernelsArePlainFunctions) {
  for (const RowCase &row : {norm(128, 128, false, false), norm(640, 640, true, true), pointwise("glu", ", activation = silu", 2, 128, 0), rope(256, 64, "half"),
                             rope(256, 64, "interleaved")}) {
    SCOPED_TRACE(row.kernel);
    llvm::orc::ThreadSafeModule module = compileKernel(row.kernel, letters(row), vectorTarget(), "halide");
    module.withModuleDo([](llvm::Module &code) {
      llvm::Function *kernel = code.getFunction("halide_kernel_0");
      ASSERT_TRUE(kernel && !kernel->isDeclaration());
      EXPECT_TRUE(kernel->hasInternalLinkage());
      for (llvm::Instruction &instruction : llvm::instructions(*kernel))
        EXPECT_FALSE(llvm::isa<llvm::AllocaInst>(instruction));
      for (llvm::Function &function : code)
        EXPECT_TRUE(!function.isDeclaration() || function.isIntrinsic()) << function.getName().str();
    });
  }
}

std::string linkingError(const std::string &declaration) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>("llvm.func @k(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {tile.kernel = " + declaration + "}", &context);
  llvm::LLVMContext llvmContext;
  auto code = codegen::translate(*module, llvmContext, codegen::knownTargets().back(), 3);
  return code ? "" : fromLlvm(code.takeError()).message;
}

TEST(HalideKernelsTest, SaysWhatItLacks) {
  EXPECT_NE(linkingError("#tile.rope<channels = 8, head_dim = 8, rotary = <half, dim = 4>>").find("Halide has no #tile.rope<"), std::string::npos);
  EXPECT_NE(linkingError(norm(10, 3, false, false).kernel).find("10 channels in groups of 3: want whole groups"), std::string::npos);
  EXPECT_NE(linkingError(norm(8, 8, true, true).kernel).find("wants more than its 3 arguments"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

TEST(HalideKernelsTest, LeavesRowsOfBf16ToTheEmitted) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  codegen::Target target = targetsOfThisMachine().front();
  auto described = tile::TargetAttr::get(&context, target.name, target.vectorBits, target.dot, target.bf16);
  auto has = [&](const char *arithmetic) {
    std::string kernel = llvm::formatv("#tile.product<format = bf16, inputs = 64, arithmetic = {0}, single = false>", arithmetic);
    mlir::Attribute attribute = mlir::parseAttribute(kernel, &context);
    EXPECT_TRUE(attribute) << kernel;
    return attribute && kernelOf(attribute, described).has_value();
  };
  EXPECT_TRUE(has("f32"));
  EXPECT_FALSE(has("bf16"));
}

TEST(HalideKernelsTest, ChoosesByMode) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto target = tile::TargetAttr::get(&context, "no-such-machine", 256, tile::Dot::avx2);
  auto parse = [&](const std::string &text) { return mlir::parseAttribute(text, &context); };
  mlir::Attribute silu = parse(pointwise("activation", ", activation = silu", 1, 64, 0).kernel);
  EXPECT_FALSE(choice("mlir"));
  EXPECT_TRUE(choice("halide")(silu, target));
  EXPECT_FALSE(choice("halide")(parse(pointwise("activation", ", activation = gelu", 1, 64, 0).kernel), target)) << "which Halide does not have";
  EXPECT_FALSE(choice("auto")(silu, target)) << "which was never measured there";
}

} // namespace
} // namespace llmc::halide::testing
