// Passes of the first phase: a model in its smallest form, with everything said once.
#pragma once

#include "dialects/llm/LLM.h"
#include "mlir/Pass/Pass.h"

namespace llmc {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/simplify/Passes.h.inc"

} // namespace llmc
