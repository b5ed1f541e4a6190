// Passes of the phase `fuse`: neighbours become one op that reads its operands once.
#pragma once

#include "dialects/llm/LLM.h"
#include "mlir/Pass/Pass.h"

namespace llmc {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/fusion/Passes.h.inc"

} // namespace llmc
