// Kernels that Halide compiles: `--kernels=halide`, `--kernels=auto`.
//
//   if (llvm::Error error = halide::checkAvailable()) …          // early: does this build have Halide?
//   pm.addPass(createTileEmitKernelsBut(halide::choice("halide"))) // leaves their declarations alone
//   if (llvm::Error error = halide::linkKernels(lowered, code, target)) …
#pragma once

#include "compiler/codegen/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <functional>

namespace llmc::halide {

// Which kernels stay declared for Halide with --kernels=`mode`: null for mlir; those that it has for halide; for auto, those that were
// measured to be faster on machines like the target, if this build has Halide.
std::function<bool(mlir::Attribute kernel, tile::TargetAttr target)> choice(llvm::StringRef mode);

// The kernels that `lowered` only declares, as "halide_norm_3: #tile.norm<…>".
std::vector<std::string> declaredKernels(mlir::ModuleOp lowered);

// Errors: Unsupported if this build has no llmc-halide.so, or it can't be loaded.
llvm::Error checkAvailable();

// Gives every kernel that `lowered` (the LLVM dialect) only declares its body in `code`, its translation, whose triple and data layout
// are set. Kernel `norm_3` becomes `halide_norm_3`, internal. Does nothing, and loads nothing, where no kernel is declared only.
// Errors: as checkAvailable; Internal for a kernel that Halide does not provide or refuses.
llvm::Error linkKernels(mlir::ModuleOp lowered, llvm::Module &code, const codegen::Target &target);

} // namespace llmc::halide
