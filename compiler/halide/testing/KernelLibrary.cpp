#include "compiler/halide/testing/KernelLibrary.h"

#include "compiler/Registration.h"
#include "compiler/codegen/ObjectCode.h"
#include "compiler/pipeline/Pipeline.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

namespace llmc::halide::testing {
namespace {

template <class T> T orDie(llvm::Expected<T> value) {
  if (!value)
    llvm::report_fatal_error(value.takeError());
  return std::move(*value);
}

// One for all: making it takes as long as compiling a small kernel.
mlir::MLIRContext &sharedContext() {
  static const std::unique_ptr<mlir::MLIRContext> context = [] {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    auto made = std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

std::string moduleText(const std::string &kernel, const std::string &arguments) {
  std::string types, named, values;
  for (auto [i, letter] : llvm::enumerate(arguments)) {
    std::string comma = i ? ", " : "", type = letter == 'p' ? "!llvm.ptr" : "i64", value = "%" + std::to_string(i);
    types += comma + type, named += comma + value + ": " + type, values += comma + value;
  }
  return llvm::formatv(R"(
    func.func private @kernel_0({0}) attributes {{tile.kernel = {1}}
    func.func @call({2}) attributes {{llm.max_tokens = 1 : i64} {{
      call @kernel_0({3}) : ({0}) -> ()
      return
    })", types, kernel, named, values);
}

} // namespace

llvm::orc::ThreadSafeModule compileKernel(const std::string &kernel, const std::string &arguments, const codegen::Target &target, const std::string &mode) {
  mlir::MLIRContext &context = sharedContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(moduleText(kernel, arguments), &context);
  if (!module)
    llvm::report_fatal_error("the declarations do not parse");
  (*module)->setAttr("tile.target", tile::TargetAttr::get(&context, target.name, target.vectorBits, target.dot, target.bf16));
  mlir::PassManager passes(&context);
  findPhase("lower")->build(passes, {.stepTokens = {}, .kernels = mode});
  if (failed(passes.run(*module)))
    llvm::report_fatal_error("lowering failed");
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  auto code = orDie(codegen::translate(*module, *llvmContext, target, 3));
  return {std::move(code), std::move(llvmContext)};
}

KernelLibrary::KernelLibrary(const std::string &kernel, const std::string &arguments, const codegen::Target &target, const std::string &mode) {
  codegen::initializeLLVM();
  llvm::orc::JITTargetMachineBuilder machine((llvm::Triple(llvm::sys::getProcessTriple())));
  machine.setCPU(target.cpu); // by default it would be this machine, with more than the target has
  machine.addFeatures(llvm::SubtargetFeatures(target.features).getFeatures());
  jit = orDie(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(machine)).create());
  if (llvm::Error error = jit->addIRModule(compileKernel(kernel, arguments, target, mode)))
    llvm::report_fatal_error(std::move(error));
  address = orDie(jit->lookup("step_call"));
}

void KernelLibrary::call(llvm::ArrayRef<const void *> a) const {
  using P = const void *;
  switch (a.size()) {
  case 2: return address.toPtr<void(P, P)>()(a[0], a[1]);
  case 3: return address.toPtr<void(P, P, P)>()(a[0], a[1], a[2]);
  case 4: return address.toPtr<void(P, P, P, P)>()(a[0], a[1], a[2], a[3]);
  default: llvm::report_fatal_error("no kernel of pointers has so many");
  }
}

std::vector<codegen::Target> targetsOfThisMachine() {
  std::vector<codegen::Target> targets;
  int best = orDie(codegen::parseTargets({}))[0].rank;
  for (const codegen::Target &target : codegen::knownTargets())
    if (target.rank <= best)
      targets.push_back(target);
  return targets;
}

} // namespace llmc::halide::testing
