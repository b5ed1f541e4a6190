#include "passes/lowering/kernels/testing/KernelJit.h"

#include "compiler/codegen/ObjectCode.h"
#include "passes/lowering/Passes.h"
#include "test/gpu/emulator/Fibers.h"
#include "test/gpu/emulator/HostCode.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

namespace llmc::kernels::testing {
namespace {

ExitOnError check("KernelJit: ");

void require(bool condition, const char *what) {
  if (!condition)
    check(createStringError(what));
}

// One for all: making it takes as long as compiling a small kernel.
mlir::MLIRContext &sharedContext() {
  static const std::unique_ptr<mlir::MLIRContext> context = [] {
    mlir::DialectRegistry registry;
    mlir::registerAllDialects(registry);
    mlir::registerAllExtensions(registry);
    mlir::registerAllToLLVMIRTranslations(registry);
    registry.insert<tile::TileDialect, llm::LLMDialect>();
    auto made = std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

std::string hostFeatures() {
  std::string features;
  for (const auto &[feature, present] : sys::getHostCPUFeatures())
    if (present)
      features += (features.empty() ? "+" : ",+") + feature.str();
  return features;
}

std::unique_ptr<TargetMachine> machineFor(StringRef cpu, StringRef features) {
  Triple triple(cpu.starts_with("sm_") ? "nvptx64-nvidia-cuda" : sys::getProcessTriple());
  std::string error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  require(target, error.c_str());
  return std::unique_ptr<TargetMachine>(
      target->createTargetMachine(triple, cpu, features, TargetOptions(), Reloc::PIC_, std::nullopt, CodeGenOptLevel::Aggressive));
}

void optimise(Module &module, TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  codegen::optimize(module, machine, 3);
}

// vpdpbusd by its definition: unsigned times signed bytes, four products added to each lane.
Function *dotByDefinition(Module &module, FunctionType *type) {
  Function *function = Function::Create(type, GlobalValue::InternalLinkage, "vpdpbusd", module);
  function->addFnAttr(Attribute::NoInline);
  IRBuilder<> b(BasicBlock::Create(module.getContext(), "", function));
  auto *wide = FixedVectorType::get(b.getInt32Ty(), 64);
  Value *sum = function->getArg(0);
  Value *products = b.CreateMul(b.CreateZExt(function->getArg(1), wide), b.CreateSExt(function->getArg(2), wide));
  for (int i = 0; i < 4; ++i) {
    SmallVector<int> lanes;
    for (int n = 0; n < 16; ++n)
      lanes.push_back(4 * n + i);
    sum = b.CreateAdd(sum, b.CreateShuffleVector(products, lanes));
  }
  b.CreateRet(sum);
  return function;
}

// vpshufb for indices below 16: each byte from the 16 bytes of its own part.
Function *lookUpByDefinition(Module &module, FunctionType *type) {
  Function *function = Function::Create(type, GlobalValue::InternalLinkage, "vpshufb", module);
  function->addFnAttr(Attribute::NoInline);
  IRBuilder<> b(BasicBlock::Create(module.getContext(), "", function));
  Value *result = PoisonValue::get(type->getReturnType());
  for (uint64_t i = 0; i < 64; ++i) {
    Value *from = b.CreateAdd(b.CreateZExt(b.CreateExtractElement(function->getArg(1), i), b.getInt64Ty()), b.getInt64(i / 16 * 16));
    result = b.CreateInsertElement(result, b.CreateExtractElement(function->getArg(0), from), i);
  }
  b.CreateRet(result);
  return function;
}

void emulateVnni(Module &module) {
  if (Function *dot = Intrinsic::getDeclarationIfExists(&module, Intrinsic::x86_avx512_vpdpbusd_512))
    dot->replaceAllUsesWith(dotByDefinition(module, dot->getFunctionType()));
  if (Function *lookUp = Intrinsic::getDeclarationIfExists(&module, Intrinsic::x86_avx512_pshuf_b_512))
    lookUp->replaceAllUsesWith(lookUpByDefinition(module, lookUp->getFunctionType()));
}

} // namespace

KernelJit::KernelJit(JitTarget target) : target(std::move(target)) {
  static bool initialised = [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialised;
}

void KernelJit::declare(std::string name, std::string kernel, std::string arguments) {
  std::string types;
  for (char letter : arguments)
    types += std::string(types.empty() ? "" : ", ") + (letter == 'p' ? "!llvm.ptr" : "i64");
  text += "func.func private @" + name + "(" + types + ") attributes {tile.kernel = " + kernel + "}\n";
}

std::unique_ptr<Module> KernelJit::lower(LLVMContext &llvmContext) {
  mlir::MLIRContext &context = sharedContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  require(bool(module), "the declarations do not parse");
  auto attribute = dyn_cast_or_null<tile::TargetAttr>(mlir::parseAttribute(target.attribute, &context));
  require(bool(attribute), "the target does not parse");
  for (auto function : module->getOps<mlir::func::FuncOp>()) {
    require(succeeded(emitKernel(function, attribute)), "emission failed");
    function->removeAttr(kKernelAttr);
    if (auto bytes = dyn_cast_or_null<mlir::IntegerAttr>(function->removeAttr(kSharedBytesAttr)))
      shared[function.getName().str()] = bytes.getInt();
  }
  threads = attribute.getThreads();
  require(succeeded(module->verify()), "the kernels are not valid");
  mlir::PassManager passes(&context);
  passes.addNestedPass<mlir::func::FuncOp>(createMathApproximate({.trigonometry = threads != 0})); // as the lowering phase does
  passes.addPass(mlir::createSCFToControlFlowPass());
  passes.addPass(mlir::createConvertMathToLLVMPass());
  passes.addPass(mlir::createConvertMathToLibmPass());
  passes.addPass(mlir::createConvertVectorToLLVMPass());
  passes.addPass(mlir::createConvertToLLVMPass());
  passes.addPass(mlir::createReconcileUnrealizedCastsPass());
  require(succeeded(passes.run(*module)), "lowering failed");
  auto result = mlir::translateModuleToLLVMIR(*module, llvmContext);
  require(bool(result), "translation failed");
  return result;
}

static void setTargetOf(Module &module, StringRef cpu, StringRef features) {
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", cpu);
    function.addFnAttr("target-features", features);
    function.addFnAttr("prefer-vector-width", "512");
  }
}

void KernelJit::compile() {
  auto context = std::make_unique<LLVMContext>();
  std::unique_ptr<Module> module = lower(*context);
  std::string cpu = target.cpu.empty() ? "x86-64-v3" : target.cpu, features = target.cpu.empty() ? hostFeatures() : "";
  if (target.emulateVnni)
    emulateVnni(*module);
  if (threads)
    check(gpu::makeHostCode(*module));
  setTargetOf(*module, cpu, features);
  require(!verifyModule(*module, &errs()), "the LLVM module is not valid");
  optimise(*module, *machineFor(cpu, features));
  jit = check(orc::LLJITBuilder().create());
  orc::SymbolMap emulated;
  for (const gpu::Symbol *symbol = gpu::emulatedSymbols(); threads && symbol->name; ++symbol)
    emulated[jit->mangleAndIntern(gpu::hostName(symbol->name))] = {orc::ExecutorAddr::fromPtr(symbol->address), JITSymbolFlags::Exported};
  if (threads)
    check(jit->getMainJITDylib().define(orc::absoluteSymbols(std::move(emulated))));
  check(jit->addIRModule(orc::ThreadSafeModule(std::move(module), std::move(context))));
}

orc::ExecutorAddr KernelJit::address(std::string_view name) { return check(jit->lookup(StringRef(name))); }

std::optional<gpu::Grid> KernelJit::grid(const std::string &name) const {
  if (!threads)
    return std::nullopt;
  return gpu::Grid{.threads = threads, .sharedBytes = sharedBytes(name), .backwards = target.backwards};
}

std::string KernelJit::assembly(const std::string &cpu) {
  LLVMContext context;
  std::unique_ptr<Module> module = lower(context);
  std::string features = threads ? "+ptx80" : "";
  auto machine = machineFor(cpu, features);
  setTargetOf(*module, cpu, features);
  for (Function &function : *module)
    if (threads && !function.isDeclaration())
      function.setConvergent();
  for (const auto &[name, bytes] : shared) { // a function that is no entry has its caller's registers to keep
    module->getFunction(name)->setCallingConv(CallingConv::PTX_Kernel);
    module->getFunction(name)->addFnAttr("nvvm.maxntid", std::to_string(threads));
    module->getFunction(name)->addFnAttr("nvvm.minctasm", "1"); // as those of steps have it
  }
  optimise(*module, *machine);
  SmallString<0> code;
  raw_svector_ostream stream(code);
  legacy::PassManager passes;
  require(!machine->addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::AssemblyFile), "no assembly printer");
  passes.run(*module);
  return std::string(code);
}

} // namespace llmc::kernels::testing
