// Passes of the specialize phase.
#pragma once

#include "mlir/Pass/Pass.h"

namespace llmc {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/specialize/Passes.h.inc"
} // namespace llmc
