// Which pass first changes what a model computes: the reference interpreter runs the module after every pass that changed it.
// What `llmc bisect` is made of.
#pragma once

#include "compiler/driver/CompileOptions.h"
#include "compiler/interpreter/Interpreter.h"

#include <optional>

namespace llmc {

struct BisectStep {
  std::string phase, pass, on; // "fuse", "llm-fuse-glu", the function it rewrote ("@full"; of passes on modules empty)
  double difference = 0;       // largest of the outputs, as a part of their largest number; infinity where one is no number
};

struct Bisection {
  std::vector<BisectStep> steps;     // in order, up to the first that differs; passes that changed nothing are left out
  std::optional<std::string> broken; // what the interpreter said of the module after the last step, if it could not run it
  bool differs = false;              // the last step is by more than the tolerance from the imported module
};

// `module` is rewritten: the phases that leave it in the `llm` dialect run on it (quantize only with --quantize). Tokens are those of one
// sequence, and of the source where there is an encoder. Errors: what a pass refuses; a module that the interpreter can't run as it is.
llvm::Expected<Bisection> bisect(mlir::ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens, double tolerance,
                                 const CompileOptions &options);

} // namespace llmc
