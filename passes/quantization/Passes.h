// Passes of the phase `quantize`: weights that become smaller than their checkpoint.
#pragma once

#include "dialects/llm/LLM.h"
#include "mlir/Pass/Pass.h"

namespace llmc {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/quantization/Passes.h.inc"
} // namespace llmc
