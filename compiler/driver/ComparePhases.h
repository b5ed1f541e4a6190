// Runs the reference interpreter on a module after each phase that leaves it in the `llm` dialect, and compares every value that
// survives with the imported module's. What `llmc verify` is made of.
//
// A value survives a pass under its location (docs/howto/AddAPass.md): each op of the imported module gets one of its own, and a fused
// op carries that of the op whose value it computes, or one for each result.
#pragma once

#include "compiler/driver/CompileOptions.h"
#include "compiler/interpreter/Interpreter.h"

namespace llmc {

struct PhaseComparison {
  std::string phase;       // "fuse"; with "one token": the version of the step for one token, token by token
  int64_t compared = 0;    // values: one per op result, layer and step
  double worst = 0;        // largest difference, as a part of the largest number of the value that it is in
  std::string worstAt;     // "@layer llm.linear 3, layer 4, token 2, channel 7"
  std::string firstWrong;  // the same, of the first value that differs by more than the tolerance, and both numbers; empty: none
};

struct Comparison {
  std::vector<PhaseComparison> phases;
  Matrix logits; // of the imported module, [tokens, vocabulary]
};

// `module` is rewritten. Tokens are those of one sequence. Stops after the first phase that differs.
// `options`: --pipeline and plug-ins count, so a pass of one's own is compared too.
llvm::Expected<Comparison> comparePhases(mlir::ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens,
                                         double tolerance, const CompileOptions &options);

} // namespace llmc
