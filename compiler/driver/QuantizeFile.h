// A model file in fewer bits: a GGUF file of the same metadata and tensors, weights of products rounded as `compile` would round them. Compiled, it
// gives the same numbers as the source with --quantize; other programs read it too.
#pragma once

#include "compiler/driver/CompileOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace llmc {

// `module`: of the GGUF file `source`; consumed. `options`: quantize, quantizeKeep, calibration. Errors: InvalidInput, Unsupported (a source that is
// no GGUF file, tensors that a family reads in parts of several formats).
llvm::Error quantizeFile(mlir::ModuleOp module, const std::string &directory, const std::string &source, const CompileOptions &options,
                         const std::string &output);

} // namespace llmc
