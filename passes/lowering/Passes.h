// Passes of the lowering phase.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>

namespace llmc {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/lowering/Passes.h.inc"

// --tile-emit-kernels that leaves those kernels declared whose attribute `leaves` says yes to, for the module's target.
std::unique_ptr<mlir::Pass> createTileEmitKernelsBut(std::function<bool(mlir::Attribute kernel, tile::TargetAttr target)> leaves);
} // namespace llmc
