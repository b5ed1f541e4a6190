// Passes of the schedule phase.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/Pass/Pass.h"

namespace llmc {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/schedule/Passes.h.inc"
namespace schedule {
// On a parallel loop: its tiles cost about the same and read what lies one behind another in memory.
constexpr llvm::StringLiteral kStreamsAttr = "tile.streams";
// Where there are matrix tiles, quantised weights go to them in versions of the step for more tokens than this.
constexpr int64_t kFewTokens = 16;
} // namespace schedule
} // namespace llmc
