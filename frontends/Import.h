// Importers: a checkpoint as people have it becomes a module of the `llm` dialect.
//
//   llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = importModel(context, "Llama-3.2-1B", {});
//
// A source is a Hugging Face directory (config.json, *.safetensors, tokenizer.json, …), a GGUF file, or a `.mlir` file
// that an earlier import wrote. Weights stay in their files: the module names them by path.
#pragma once

#include "frontends/Report.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace llmc::frontends {

struct ImportOptions {
  // Where the module will be written. Its paths are relative to this directory; empty: to the source's own directory,
  // which is what just-in-time use wants. Ignored for `.mlir` sources, whose paths stay as they are.
  std::string outputDirectory;
};

// The imported module, verified. Loads the dialects that it needs into `context`.
// Errors: always an ImportError. Exit code 1: unreadable or malformed files, values out of range, tensors of a wrong
// shape; 3: an unknown family, configuration or tensor, the message listing all of them.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext &context, const std::string &source,
                                                              const ImportOptions &options);

// The directory to which the paths of `source`'s module are relative when no output directory is given.
std::string moduleDirectory(const std::string &source);

} // namespace llmc::frontends
