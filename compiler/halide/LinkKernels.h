// Kernels that Halide compiles: `--kernels=halide`.
//
//   if (llvm::Error error = halide::checkAvailable()) …          // early: does this build have Halide?
//   tile-emit-kernels{external=…providedKinds()…}                 // leaves their declarations alone
//   if (llvm::Error error = halide::linkKernels(lowered, code, target)) …
#pragma once

#include "compiler/codegen/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace llmc::halide {

// Kinds of kernels that Halide has, by their attributes' names: "tile.norm".
llvm::ArrayRef<llvm::StringLiteral> providedKinds();

// Errors: Unsupported if this build has no llmc-halide.so, or it can't be loaded.
llvm::Error checkAvailable();

// Gives every kernel that `lowered` (the LLVM dialect) only declares its body in `code`, its translation, whose triple and data layout
// are set. Kernel `norm_3` becomes `halide_norm_3`, internal. Does nothing, and loads nothing, where no kernel is declared only.
// Errors: as checkAvailable; Internal for a kernel that Halide does not provide or refuses.
llvm::Error linkKernels(mlir::ModuleOp lowered, llvm::Module &code, const codegen::Target &target);

} // namespace llmc::halide
