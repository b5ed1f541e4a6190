// gpu-emulate IN.ll -o OUT.so: makes LLVM code for a GPU (llmc compile --emit llvm --target cuda:sm_90) run on this CPU, for tests. OUT.so
// exports every kernel under its name, and llmc_run_grid (GridLibrary.cpp), which runs one.
#include "compiler/codegen/ObjectCode.h"
#include "test/gpu/emulator/Fibers.h"
#include "test/gpu/emulator/HostCode.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace {

ExitOnError check("gpu-emulate: ");

[[noreturn]] void fail(const Twine &what) {
  check(createStringError(what));
  abort();
}

// What the emulator does stands in a table, not under names that a linker knows: each function that is called is looked up when the
// library is loaded.
void bindEmulator(Module &module) {
  LLVMContext &context = module.getContext();
  PointerType *pointer = PointerType::get(context, 0);
  FunctionCallee find = module.getOrInsertFunction("llmc_gpu_symbol", FunctionType::get(pointer, {pointer}, false));
  Function *bind = Function::Create(FunctionType::get(Type::getVoidTy(context), false), GlobalValue::InternalLinkage, "llmc_gpu_bind", module);
  IRBuilder<> b(BasicBlock::Create(context, "", bind));
  for (const llmc::gpu::Symbol *symbol = llmc::gpu::emulatedSymbols(); symbol->name; ++symbol) {
    Function *function = module.getFunction(llmc::gpu::hostName(symbol->name));
    if (!function || !function->isDeclaration())
      continue;
    auto *address = new GlobalVariable(module, pointer, false, GlobalValue::InternalLinkage, ConstantPointerNull::get(pointer), function->getName() + "_address");
    b.CreateStore(b.CreateCall(find, {b.CreateGlobalString(symbol->name)}), address);
    function->setLinkage(GlobalValue::InternalLinkage);
    IRBuilder<> body(BasicBlock::Create(context, "", function));
    SmallVector<Value *> operands;
    for (Argument &argument : function->args())
      operands.push_back(&argument);
    CallInst *call = body.CreateCall(function->getFunctionType(), body.CreateLoad(pointer, address), operands);
    if (function->getReturnType()->isVoidTy())
      body.CreateRetVoid();
    else
      body.CreateRet(call);
  }
  b.CreateRetVoid();
  appendToGlobalCtors(module, bind, 0);
}

std::unique_ptr<TargetMachine> hostMachine(StringRef cpu, StringRef features) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  Triple triple(sys::getProcessTriple());
  std::string error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!target)
    fail(error);
  TargetOptions options;
  options.AllowFPOpFusion = FPOpFusion::Standard;
  return std::unique_ptr<TargetMachine>(target->createTargetMachine(triple, cpu, features, options, Reloc::PIC_, std::nullopt, CodeGenOptLevel::Default));
}

void writeObject(Module &module, const std::string &path) {
  StringMap<bool> has = sys::getHostCPUFeatures();
  bool isV3 = has.lookup("avx2") && has.lookup("fma") && has.lookup("f16c") && has.lookup("bmi2");
  StringRef cpu = isV3 ? "x86-64-v3" : "x86-64";
  std::unique_ptr<TargetMachine> machine = hostMachine(cpu, "");
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  for (Function &function : module) {
    function.removeFnAttr("target-cpu");
    function.removeFnAttr("target-features");
    if (!function.isDeclaration())
      function.addFnAttr("target-cpu", cpu);
  }
  llmc::codegen::optimize(module, *machine, 1);
  std::error_code problem;
  raw_fd_ostream out(path, problem);
  if (problem)
    fail(path + ": " + problem.message());
  legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, CodeGenFileType::ObjectFile))
    fail("no object code for this machine");
  passes.run(module);
}

void link(const std::string &object, const std::string &output) {
  std::vector<StringRef> arguments{LLMC_CXX, "-shared", "-Wl,-Bsymbolic", "-o", output, object, "-Wl,--whole-archive", LLMC_GRID_LIBRARY, LLMC_FIBERS_LIBRARY, "-Wl,--no-whole-archive", "-lm"};
  std::string message;
  if (sys::ExecuteAndWait(LLMC_CXX, arguments, std::nullopt, {}, 0, 0, &message) != 0)
    fail(Twine(LLMC_CXX) + " could not link " + output + ": " + message);
}

} // namespace

int main(int argc, char **argv) {
  cl::opt<std::string> input(cl::Positional, cl::desc("IN.ll"), cl::Required);
  cl::opt<std::string> output("o", cl::desc("The library to write"), cl::Required);
  cl::ParseCommandLineOptions(argc, argv, "Makes code for a GPU run on this CPU\n");
  LLVMContext context;
  SMDiagnostic problem;
  std::unique_ptr<Module> module = parseIRFile(input, problem, context);
  if (!module) {
    problem.print(argv[0], errs());
    return 1;
  }
  check(llmc::gpu::makeHostCode(*module));
  bindEmulator(*module);
  writeObject(*module, output + ".o");
  link(output + ".o", output);
  sys::fs::remove(output + ".o");
}
