// What a text tells of the inputs of products: the source model reads it, in float32, and their second moments are kept.
//
//   if (llvm::Error error = calibrate(*module, directory, {"text.txt"}, options, "moments.safetensors")) …
//   options.calibration = "moments.safetensors", options.quantize = "q4";
//
// The reference interpreter does the reading, so every family that it knows can be calibrated, and memory stays at a few layers' activations,
// caches, and the moments themselves: 1 kB for each input of a product.
#pragma once

#include "compiler/driver/CompileOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace llmc {

// `module` is consumed: it goes through the phases before `quantize`. `options`: as compile() will get them; `progress` is told.
// Texts are read in windows of 512 tokens, or of the model's context. Errors: InvalidInput (a text can't be read or has fewer than two tokens,
// the source names no tokenizer), those of passes and interpreter.
llvm::Error calibrate(mlir::ModuleOp module, const std::string &directory, llvm::ArrayRef<std::string> texts, const CompileOptions &options,
                      const std::string &output);

} // namespace llmc
