// From the LLVM dialect to machine code.
#pragma once

#include "compiler/codegen/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace llmc::codegen {

// LLVM's own state for all targets; call once before anything else here. Thread-safe.
void initializeLLVM();

// Runs LLVM's pipeline of `level`, 0 … 3; without vectorisers below 2.
void optimize(llvm::Module &module, llvm::TargetMachine &machine, int level);

// Translates and optimises. `level` is 0 … 3. The module holds LLVM dialect ops only. Kernels that it only declares are compiled by
// Halide (compiler/halide/LinkKernels.h). Errors: as checkDeviceCode for a GPU (compiler/codegen/DeviceCode.h).
llvm::Expected<std::unique_ptr<llvm::Module>> translate(mlir::ModuleOp module, llvm::LLVMContext &context, const Target &target,
                                                         int level);

enum class CodeKind { Assembly, Object }; // of a GPU: PTX is its assembly, and there is no object
llvm::Expected<std::string> emitCode(llvm::Module &module, const Target &target, CodeKind kind);

// Sets triple and data layout.
llvm::Error prepareModule(llvm::Module &module, const Target &target);

} // namespace llmc::codegen
