// Imports for llmc-service.so: a source becomes a module, and a module that stands alone.
#pragma once

#include "runtime/support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

namespace llmc::tools {

// As StatusBridge's fromLlvm, for errors that may come from an importer too.
Error importFailure(llvm::Error error);

// The module of a source, with paths relative to `outputDirectory` (empty: to the source's own).
Expected<mlir::OwningOpRef<mlir::ModuleOp>> importSource(mlir::MLIRContext &context, const std::string &source,
                                                         const std::string &outputDirectory);

// Whether files outside of the module's directory may be read: paths that our importers wrote into memory come from the user's
// own words; those of a .mlir file do not.
bool isTrusted(const std::string &source);

// Puts the files that the module names into `folder`, a directory inside `outputDirectory`, and makes the module name them there.
// Hard links where the file system allows, else copies. `outputDirectory` is what the module's paths are relative to.
llvm::Error gatherFiles(mlir::ModuleOp module, llvm::StringRef outputDirectory, llvm::StringRef folder);

} // namespace llmc::tools
