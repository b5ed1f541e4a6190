#include "compiler/halide/LinkKernels.h"

#include "compiler/halide/Kinds.h"
#include "compiler/support/StatusBridge.h"
#include "passes/lowering/kernels/Kernels.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <dlfcn.h>

using namespace llvm;

namespace llmc::halide {
namespace {

//===--- the plug-in ---===//

// llmc-halide.so lies beside the library that this function is in.
std::string pluginPath() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&pluginPath), &info) || !info.dli_fname)
    return "";
  return (sys::path::parent_path(info.dli_fname) + "/llmc-halide.so").str();
}

// Never unloaded: what it compiled with stays in use.
llvm::Expected<KernelCompiler *> loadPlugin() {
  std::string path = pluginPath();
  if (!sys::fs::exists(path))
    return makeError(ErrorCode::Unsupported, "--kernels halide: this build has no Halide; run examples/install.sh, configure with "
                                             "-DHALIDE_ROOT=…, or take --kernels mlir");
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); // local: libHalide carries an LLVM of its own
  auto entry = library ? reinterpret_cast<KernelCompiler *(*)()>(dlsym(library, "llmc_halide_kernels")) : nullptr;
  if (entry)
    return entry();
  const char *reason = dlerror();
  return makeError(ErrorCode::Unsupported, "--kernels halide: " + path + " can't be loaded: " + (reason ? reason : "no reason given"));
}

//===--- linking ---===//

// A module of Halide's, made fit to be part of `code`.
llvm::Expected<std::unique_ptr<Module>> readModule(const Code &compiled, Module &code) {
  auto module = parseBitcodeFile(MemoryBufferRef(compiled.bitcode, "halide"), code.getContext());
  if (!module)
    return makeError(ErrorCode::Internal, "LLVM can't read Halide's code: " + toString(module.takeError()));
  (*module)->setTargetTriple(code.getTargetTriple());
  (*module)->setDataLayout(code.getDataLayout());
  if (NamedMDNode *flags = (*module)->getModuleFlagsMetadata()) // Halide's notes to itself
    flags->eraseFromParent();
  // Halide says by TBAA that buffers are disjoint; kernels may work in place. Every value is read before its place is written, which
  // optimisers keep as long as they believe that the two may be one.
  // What instructions it may use, the caller says for all functions.
  for (Function &function : **module) {
    for (StringRef attribute : {"target-cpu", "target-features", "tune-cpu"})
      function.removeFnAttr(attribute);
    for (Instruction &instruction : instructions(function))
      instruction.setMetadata(LLVMContext::MD_tbaa, nullptr);
  }
  return std::move(*module);
}

// c + a * b becomes one multiply-add that rounds once, as in the compiler's own kernels: Halide has no word for it. Where both addends
// are products, the second is the product meant.
void fuseMultiplyAdds(Function &body) {
  for (Instruction &instruction : make_early_inc_range(instructions(body))) {
    if (instruction.getOpcode() != Instruction::FAdd)
      continue;
    auto product = [&](unsigned operand) {
      auto *value = dyn_cast<BinaryOperator>(instruction.getOperand(operand));
      return value && value->getOpcode() == Instruction::FMul && value->hasOneUse() ? value : nullptr;
    };
    unsigned which = product(1) ? 1 : 0;
    BinaryOperator *multiplied = product(which);
    if (!multiplied)
      continue;
    IRBuilder<> b(&instruction);
    Value *fused = b.CreateIntrinsic(Intrinsic::fma, {instruction.getType()},
                                     {multiplied->getOperand(0), multiplied->getOperand(1), instruction.getOperand(1 - which)});
    instruction.replaceAllUsesWith(fused);
    instruction.eraseFromParent();
    multiplied->eraseFromParent();
  }
}

// void kernel(arguments) { buffers on the stack, whose `host` are the pointers; body(buffers, integers) }. Once the body is inlined, no
// buffer is left.
void callBody(Function &kernel, Function &body, const Code &compiled) {
  IRBuilder<> b(BasicBlock::Create(kernel.getContext(), "entry", &kernel));
  SmallVector<Value *> arguments;
  for (int place : compiled.arguments) {
    Argument *argument = kernel.getArg(place);
    if (!argument->getType()->isPointerTy()) {
      arguments.push_back(argument);
      continue;
    }
    AllocaInst *buffer = b.CreateAlloca(ArrayType::get(b.getInt8Ty(), compiled.bufferBytes));
    buffer->setAlignment(Align(8));
    b.CreateAlignedStore(argument, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), buffer, compiled.hostOffset), Align(8));
    arguments.push_back(buffer);
  }
  b.CreateCall(&body, arguments);
  b.CreateRetVoid();
  kernel.setName("halide_" + kernel.getName());
  kernel.setLinkage(GlobalValue::InternalLinkage);
  kernel.addFnAttr(Attribute::NoInline); // stays visible in --emit llvm and in profiles
}

// The type that Halide's function has: the kernel's arguments in its own order.
FunctionType *bodyType(Function &kernel, const Code &compiled) {
  SmallVector<Type *> types;
  for (int place : compiled.arguments)
    types.push_back(kernel.getArg(place)->getType());
  return FunctionType::get(Type::getInt32Ty(kernel.getContext()), types, false);
}

llvm::Error linkKernel(Function &kernel, const Code &compiled, StringRef bodyName, bool fuses) {
  Module &code = *kernel.getParent();
  auto module = readModule(compiled, code);
  if (!module)
    return module.takeError();
  if (any_of(compiled.arguments, [&](int place) { return static_cast<size_t>(place) >= kernel.arg_size(); }))
    return makeError(ErrorCode::Internal, "kernel '" + kernel.getName() + "': Halide wants more than its " + Twine(kernel.arg_size()) + " arguments");
  Function *defined = (*module)->getFunction(bodyName);
  if (!defined || defined->getFunctionType() != bodyType(kernel, compiled))
    return makeError(ErrorCode::Internal, "Halide's code lacks a function '" + bodyName + "' of the arguments of '" + kernel.getName() + "'");
  code.getOrInsertFunction(bodyName, defined->getFunctionType());
  auto internalize = [](Module &destination, const StringSet<> &names) {
    for (const auto &name : names)
      if (GlobalValue *value = destination.getNamedValue(name.getKey()); value && !value->isDeclaration())
        value->setLinkage(GlobalValue::InternalLinkage);
  };
  if (Linker::linkModules(code, std::move(*module), Linker::Flags::LinkOnlyNeeded, internalize))
    return makeError(ErrorCode::Internal, "Halide's code for '" + bodyName + "' can't be linked");
  Function *body = code.getFunction(bodyName);
  body->removeFnAttr(Attribute::NoInline);
  body->addFnAttr(Attribute::AlwaysInline);
  if (fuses)
    fuseMultiplyAdds(*body);
  callBody(kernel, *body, compiled);
  return llvm::Error::success();
}

bool isKernelDeclaration(mlir::LLVM::LLVMFuncOp function) { return function.isExternal() && function->hasAttr(kernels::kKernelAttr); }

llvm::Error compileKernel(mlir::LLVM::LLVMFuncOp declaration, Module &code, const codegen::Target &target) {
  mlir::Attribute attribute = declaration->getAttr(kernels::kKernelAttr);
  StringRef name = declaration.getName();
  Function *function = code.getFunction(name);
  if (!function)
    return llvm::Error::success();
  auto described = tile::TargetAttr::get(declaration.getContext(), target.name, target.vectorBits, target.dot, target.bf16);
  std::optional<Kernel> kernel = kernelOf(attribute, described);
  if (!kernel) {
    std::string text;
    raw_string_ostream(text) << attribute;
    return makeError(ErrorCode::Internal, "kernel '" + name + "' has no body, and Halide has no " + text);
  }
  auto plugin = loadPlugin();
  if (!plugin)
    return plugin.takeError();
  std::string bodyName = ("halide_" + name + "_body").str();
  auto compiled = toLlvm((*plugin)->compile(*kernel, bodyName, target.required));
  if (!compiled)
    return compiled.takeError();
  bool fuses = compiled->fuses && is_contained(split(target.required, ' '), "fma");
  return linkKernel(*function, *compiled, bodyName, fuses);
}

} // namespace

std::function<bool(mlir::Attribute, tile::TargetAttr)> choice(StringRef mode) {
  if (mode == "halide")
    return [](mlir::Attribute attribute, tile::TargetAttr target) { return kernelOf(attribute, target).has_value(); };
  if (mode != "auto" || !sys::fs::exists(pluginPath()))
    return nullptr;
  return [](mlir::Attribute attribute, tile::TargetAttr target) {
    std::optional<Kernel> kernel = kernelOf(attribute, target);
    return kernel && isFaster(*kernel, target);
  };
}

std::vector<std::string> declaredKernels(mlir::ModuleOp lowered) {
  std::vector<std::string> kernels;
  for (auto function : lowered.getOps<mlir::LLVM::LLVMFuncOp>())
    if (isKernelDeclaration(function))
      raw_string_ostream(kernels.emplace_back()) << "halide_" << function.getName() << ": " << function->getAttr(kernels::kKernelAttr);
  return kernels;
}

llvm::Error checkAvailable() { return loadPlugin().takeError(); }

llvm::Error linkKernels(mlir::ModuleOp lowered, Module &code, const codegen::Target &target) {
  for (auto function : lowered.getOps<mlir::LLVM::LLVMFuncOp>())
    if (isKernelDeclaration(function))
      if (llvm::Error error = compileKernel(function, code, target))
        return error;
  return llvm::Error::success();
}

} // namespace llmc::halide
