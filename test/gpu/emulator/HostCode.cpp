#include "test/gpu/emulator/HostCode.h"

#include "test/gpu/emulator/Fibers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"

using namespace llvm;

namespace llmc::gpu {

std::string hostName(StringRef symbol) {
  std::string name = symbol.str();
  if (!symbol.consume_front("llvm."))
    return name;
  name = ("llmc_gpu_" + symbol).str();
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

static bool isKnown(StringRef name) {
  for (const Symbol *symbol = emulatedSymbols(); symbol->name; ++symbol)
    if (name == symbol->name)
      return true;
  return false;
}

// Functions of C give a struct through a pointer: `wrapper` loads it. They take pairs of f16 as words.
static Function *throughPointer(Module &module, Function &intrinsic) {
  FunctionType *type = intrinsic.getFunctionType();
  Function *wrapper = Function::Create(type, GlobalValue::InternalLinkage, hostName(intrinsic.getName()) + "_value", module);
  IRBuilder<> b(BasicBlock::Create(module.getContext(), "", wrapper));
  auto isPair = [](Type *type) { return type->isVectorTy() && type->getPrimitiveSizeInBits() == 32; };
  SmallVector<Type *> types{b.getPtrTy()};
  for (Type *parameter : type->params())
    types.push_back(isPair(parameter) ? b.getInt32Ty() : parameter);
  FunctionCallee host = module.getOrInsertFunction(hostName(intrinsic.getName()), FunctionType::get(b.getVoidTy(), types, false));
  SmallVector<Value *> operands{b.CreateAlloca(type->getReturnType())};
  for (Argument &argument : wrapper->args())
    operands.push_back(isPair(argument.getType()) ? b.CreateBitCast(&argument, b.getInt32Ty()) : &argument);
  b.CreateCall(host, operands);
  b.CreateRet(b.CreateLoad(type->getReturnType(), operands[0]));
  return wrapper;
}

Error makeHostCode(Module &module) {
  for (Function &function : make_early_inc_range(module)) {
    function.setCallingConv(CallingConv::C);
    for (Instruction &instruction : instructions(function))
      if (auto *call = dyn_cast<CallBase>(&instruction)) {
        if (call->isInlineAsm())
          return createStringError("@" + function.getName() + ": inline assembly can't be emulated");
        call->setCallingConv(CallingConv::C);
      }
    if (function.getName() == "llmc_grid_barrier") {
      function.deleteBody();
      function.setLinkage(GlobalValue::ExternalLinkage);
    }
    if (!function.getName().starts_with("llvm.nvvm."))
      continue;
    if (!isKnown(function.getName()))
      return createStringError("the emulator has no " + function.getName());
    // A new function, since an intrinsic's attributes go with its name.
    Function *host = function.getReturnType()->isStructTy()
                         ? throughPointer(module, function)
                         : Function::Create(function.getFunctionType(), GlobalValue::ExternalLinkage, hostName(function.getName()), module);
    function.replaceAllUsesWith(host);
    function.eraseFromParent();
    for (User *user : host->users())
      if (auto *call = dyn_cast<CallBase>(user))
        call->setAttributes(AttributeList());
  }
  return Error::success();
}

} // namespace llmc::gpu
