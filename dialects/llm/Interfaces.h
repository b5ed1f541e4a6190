// Interfaces of ops (LLMInterfaces.td) and the plain types that they speak in.
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpDefinition.h"

namespace llmc::llm {

// Doubles, so that no product of sizes overflows.
struct OpCost {
  double weightBytes = 0; // read from weights, as they are stored in the file
  double stateBytes = 0;  // read from and written to state
  double flops = 0;       // a multiply-add counts two
};

enum class EpilogueKind { activation, glu, residual };

} // namespace llmc::llm

#include "dialects/llm/LLMInterfaces.h.inc"
