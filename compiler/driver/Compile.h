// From a module of `llm` to an artifact: pipeline, code generation, packing, linking. What `llmc compile` and the just-in-time
// path call.
//
//   CompileOptions options;
//   options.output = "model.so";
//   if (llvm::Error error = compile(*module, "dir/of/the/model", options)) …
#pragma once

#include "compiler/driver/CompileOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/Error.h"

namespace llmc {

// `module` is consumed: passes rewrite it. `directory`: what its relative paths are relative to.
// Errors carry an exit status: see frontends/Import.h.
llvm::Error compile(mlir::ModuleOp module, const std::string &directory, const CompileOptions &options);

// Runs the phases up to `quantize`, with what `options` say of it.
llvm::Error quantizeModule(mlir::ModuleOp module, const CompileOptions &options);

// Told of every pass that has run, and on which op.
using AfterPass = std::function<void(mlir::Pass *, mlir::Operation *)>;

// Runs one of the phases that no target matters to (simplify, fuse, quantize, specialize) on `module`, with the passes that `options` name.
llvm::Error runPhase(mlir::ModuleOp module, llvm::StringRef phase, const CompileOptions &options, AfterPass afterPass = {});

} // namespace llmc
