#include "compiler/halide/LinkKernels.h"

#include "compiler/halide/Kernels.h"
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

//===--- from attributes to kernels ---===//

Kernel kernelOf(tile::NormAttr norm) {
  return Norm{norm.getChannels(), norm.getGroup(), norm.getNorm().getKind() == llm::NormKind::layer, norm.getBias(),
              norm.getNorm().getEps(), norm.getNorm().getOffset()};
}

struct Kind {
  StringLiteral name;
  Kernel (*convert)(mlir::Attribute);
};

template <class Attr> constexpr Kind kind() {
  return {Attr::name, [](mlir::Attribute attribute) { return kernelOf(cast<Attr>(attribute)); }};
}

constexpr Kind kKinds[] = {kind<tile::NormAttr>()};

llvm::Expected<Kernel> convert(StringRef name, mlir::Attribute attribute) {
  for (const Kind &kind : kKinds)
    if (attribute.getAbstractAttribute().getName() == kind.name)
      return kind.convert(attribute);
  std::string text;
  raw_string_ostream(text) << attribute;
  return makeError(ErrorCode::Internal, "kernel '" + name + "' has no body, and Halide has no " + text);
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
  for (Function &function : **module)
    for (Instruction &instruction : instructions(function))
      instruction.setMetadata(LLVMContext::MD_tbaa, nullptr);
  return std::move(*module);
}

// void kernel(pointers) { buffers on the stack, whose `host` are the pointers; body(buffers) }. Once the body is inlined, no buffer is left.
void callBody(Function &kernel, Function &body, const Code &compiled) {
  IRBuilder<> b(BasicBlock::Create(kernel.getContext(), "entry", &kernel));
  SmallVector<Value *> buffers;
  for (Argument &pointer : kernel.args()) {
    AllocaInst *buffer = b.CreateAlloca(ArrayType::get(b.getInt8Ty(), compiled.bufferBytes));
    buffer->setAlignment(Align(8));
    b.CreateAlignedStore(&pointer, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), buffer, compiled.hostOffset), Align(8));
    buffers.push_back(buffer);
  }
  b.CreateCall(&body, buffers);
  b.CreateRetVoid();
  kernel.setName("halide_" + kernel.getName());
  kernel.setLinkage(GlobalValue::InternalLinkage);
  kernel.addFnAttr(Attribute::NoInline); // stays visible in --emit llvm and in profiles
}

llvm::Error linkKernel(Function &kernel, const Code &compiled, StringRef bodyName) {
  Module &code = *kernel.getParent();
  auto module = readModule(compiled, code);
  if (!module)
    return module.takeError();
  SmallVector<Type *> pointers(kernel.arg_size(), PointerType::getUnqual(code.getContext()));
  Type *status = Type::getInt32Ty(code.getContext());
  Function *defined = (*module)->getFunction(bodyName);
  if (!defined || defined->getFunctionType() != FunctionType::get(status, pointers, false))
    return makeError(ErrorCode::Internal, "Halide's code lacks a function '" + bodyName + "' of " + Twine(pointers.size()) + " buffers");
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
  callBody(kernel, *body, compiled);
  return llvm::Error::success();
}

bool takesPointersOnly(const Function &function) {
  return function.getReturnType()->isVoidTy() && all_of(function.args(), [](const Argument &a) { return a.getType()->isPointerTy(); });
}

} // namespace

ArrayRef<StringLiteral> providedKinds() {
  static const SmallVector<StringLiteral> names(map_range(kKinds, [](const Kind &kind) { return kind.name; }));
  return names;
}

llvm::Error checkAvailable() { return loadPlugin().takeError(); }

llvm::Error linkKernels(mlir::ModuleOp lowered, Module &code, const codegen::Target &target) {
  for (auto function : lowered.getOps<mlir::LLVM::LLVMFuncOp>()) {
    mlir::Attribute attribute = function->getAttr(kernels::kKernelAttr);
    Function *kernel = code.getFunction(function.getName());
    if (!attribute || !kernel || !kernel->isDeclaration())
      continue;
    auto plugin = loadPlugin();
    if (!plugin)
      return plugin.takeError();
    auto shape = convert(function.getName(), attribute);
    if (!shape)
      return shape.takeError();
    if (!takesPointersOnly(*kernel))
      return makeError(ErrorCode::Internal, "kernel '" + function.getName() + "': Halide wants pointers for arguments");
    std::string bodyName = ("halide_" + function.getName() + "_body").str();
    auto compiled = toLlvm((*plugin)->compile(*shape, bodyName, target.required));
    if (!compiled)
      return compiled.takeError();
    if (llvm::Error error = linkKernel(*kernel, *compiled, bodyName))
      return error;
  }
  return llvm::Error::success();
}

} // namespace llmc::halide
