// Kernels that Halide compiles against those that the compiler emits, on every level that this machine has.
#include "compiler/Registration.h"
#include "compiler/codegen/ObjectCode.h"
#include "compiler/halide/LinkKernels.h"
#include "compiler/pipeline/Pipeline.h"
#include "compiler/support/StatusBridge.h"
#include "passes/lowering/kernels/Kernels.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>
#include <random>

using namespace llmc;
using llvm::cantFail;

namespace {

struct NormCase {
  int64_t channels, group;
  bool layer, bias;
  double offset = 0;

  std::string attribute() const {
    return llvm::formatv("#tile.norm<channels = {0}, group = {1}, norm = <{2}, eps = 1.0e-5, offset = {3:F1}>, bias = {4}>", channels, group,
                         layer ? "layer" : "rms", offset, bias ? "true" : "false");
  }
};

// Whole vectors, tails, less than a vector, one channel; rms and layer norm; groups (per-head norms), offsets (Gemma), biases.
const NormCase kNorms[] = {
    {128, 128, false, false}, {640, 640, false, false, 1}, {100, 100, false, false}, {7, 7, false, false, 1}, {1, 1, false, false},
    {512, 128, false, false}, {48, 24, false, false, 1},   {128, 128, true, true},   {33, 33, true, true},    {96, 48, true, false},
    {15, 5, true, true, 1},
};

const mlir::DialectRegistry &dialects() {
  static const mlir::DialectRegistry registry = [] {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    return registry;
  }();
  return registry;
}

// `step_call`, which calls the kernel of `norm`, as LLVM IR for `target`.
llvm::orc::ThreadSafeModule compileNorm(const NormCase &norm, const codegen::Target &target, const std::string &kernels) {
  mlir::MLIRContext context(dialects(), mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  std::string types = norm.bias ? "!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr" : "!llvm.ptr, !llvm.ptr, !llvm.ptr";
  std::string arguments = norm.bias ? "%0: !llvm.ptr, %1: !llvm.ptr, %2: !llvm.ptr, %3: !llvm.ptr" : "%0: !llvm.ptr, %1: !llvm.ptr, %2: !llvm.ptr";
  std::string text = llvm::formatv(R"(
    func.func private @norm_0({0}) attributes {{tile.kernel = {1}}
    func.func @call({2}) attributes {{llm.max_tokens = 1 : i64} {{
      call @norm_0({3}) : ({0}) -> ()
      return
    })", types, norm.attribute(), arguments, norm.bias ? "%0, %1, %2, %3" : "%0, %1, %2");
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    llvm::report_fatal_error("the declarations do not parse");
  (*module)->setAttr("tile.target", tile::TargetAttr::get(&context, target.name, target.vectorBits, target.dot, target.bf16));
  mlir::PassManager passes(&context);
  findPhase("lower")->build(passes, {.stepTokens = {}, .kernels = kernels});
  if (failed(passes.run(*module)))
    llvm::report_fatal_error("lowering failed");
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  auto code = cantFail(codegen::translate(*module, *llvmContext, target, 3));
  return {std::move(code), std::move(llvmContext)};
}

struct Rows {
  std::vector<float> x, gain, bias;
  explicit Rows(const NormCase &norm) : x(norm.channels), gain(norm.group), bias(norm.group) {
    std::mt19937 random(7);
    std::normal_distribution<float> value(0.5f, 2.0f);
    for (auto *row : {&x, &gain, &bias})
      for (float &each : *row)
        each = value(random);
  }
};

std::vector<float> run(const NormCase &norm, const codegen::Target &target, const std::string &kernels, bool inPlace) {
  codegen::initializeLLVM();
  auto jit = cantFail(llvm::orc::LLJITBuilder().create());
  cantFail(jit->addIRModule(compileNorm(norm, target, kernels)));
  auto address = cantFail(jit->lookup("step_call"));
  Rows rows(norm);
  std::vector<float> separate(norm.channels, NAN), &out = inPlace ? rows.x : separate;
  if (norm.bias)
    address.toPtr<void(float *, float *, float *, float *)>()(rows.x.data(), rows.gain.data(), rows.bias.data(), out.data());
  else
    address.toPtr<void(float *, float *, float *)>()(rows.x.data(), rows.gain.data(), out.data());
  return out;
}

std::vector<codegen::Target> targetsOfThisMachine() {
  std::vector<codegen::Target> targets;
  int best = cantFail(codegen::parseTargets({}))[0].rank;
  for (const codegen::Target &target : codegen::knownTargets())
    if (target.rank <= best)
      targets.push_back(target);
  return targets;
}

TEST(HalideKernelsTest, NormsEqualTheEmitted) {
  for (const codegen::Target &target : targetsOfThisMachine())
    for (const NormCase &norm : kNorms) {
      SCOPED_TRACE(target.name + " " + norm.attribute());
      std::vector<float> emitted = run(norm, target, "mlir", false), halide = run(norm, target, "halide", false);
      for (int64_t i = 0; i < norm.channels; ++i)
        ASSERT_NEAR(halide[i], emitted[i], 1e-5 * std::max(1.0f, std::abs(emitted[i]))) << "channel " << i;
    }
}

// One order of sums and no fused multiply-adds: every level gives the same bits.
TEST(HalideKernelsTest, NormsAreTheSameOnEveryTarget) {
  for (const NormCase &norm : kNorms) {
    SCOPED_TRACE(norm.attribute());
    std::vector<float> first = run(norm, codegen::knownTargets().back(), "halide", false);
    for (const codegen::Target &target : targetsOfThisMachine())
      EXPECT_EQ(run(norm, target, "halide", false), first) << target.name;
  }
}

TEST(HalideKernelsTest, NormsWorkInPlace) {
  for (const codegen::Target &target : targetsOfThisMachine())
    for (const NormCase &norm : kNorms)
      EXPECT_EQ(run(norm, target, "halide", true), run(norm, target, "halide", false)) << target.name << " " << norm.attribute();
}

// The kernel's name says where it came from, and neither Halide's buffers nor a call of its runtime is left.
TEST(HalideKernelsTest, KernelsArePlainFunctions) {
  llvm::orc::ThreadSafeModule module = compileNorm(kNorms[0], codegen::knownTargets().back(), "halide");
  module.withModuleDo([](llvm::Module &code) {
    llvm::Function *kernel = code.getFunction("halide_norm_0");
    ASSERT_TRUE(kernel && !kernel->isDeclaration());
    EXPECT_TRUE(kernel->hasInternalLinkage());
    for (llvm::Instruction &instruction : llvm::instructions(*kernel))
      EXPECT_FALSE(llvm::isa<llvm::AllocaInst>(instruction));
    for (llvm::Function &function : code)
      EXPECT_TRUE(!function.isDeclaration() || function.isIntrinsic()) << function.getName().str();
  });
}

std::string linkingError(const std::string &declaration) {
  mlir::MLIRContext context(dialects(), mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>("llvm.func @k(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {tile.kernel = " + declaration + "}", &context);
  llvm::LLVMContext llvmContext;
  auto code = codegen::translate(*module, llvmContext, codegen::knownTargets().back(), 3);
  return code ? "" : fromLlvm(code.takeError()).message;
}

TEST(HalideKernelsTest, SaysWhatItLacks) {
  EXPECT_NE(linkingError("#tile.rope<channels = 8, head_dim = 8, rotary = <half, dim = 8>>").find("Halide has no #tile.rope<"), std::string::npos);
  EXPECT_NE(linkingError(NormCase{10, 3, false, false}.attribute()).find("10 channels in groups of 3: want whole groups"), std::string::npos);
  EXPECT_NE(linkingError(NormCase{8, 8, true, true}.attribute()).find("of 3 buffers"), std::string::npos);
}

} // namespace
