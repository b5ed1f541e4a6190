// Passes of the schedule phase.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/Pass/Pass.h"

namespace llmc {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/schedule/Passes.h.inc"
} // namespace llmc
