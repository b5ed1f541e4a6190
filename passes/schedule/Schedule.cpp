// --tile-schedule: see Passes.td. StepBuilder does one version of the step.
#include "passes/schedule/Passes.h"
#include "passes/schedule/StepBuilder.h"

namespace llmc {
#define GEN_PASS_DEF_TILESCHEDULE
#include "passes/schedule/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

struct Schedule : llmc::impl::TileScheduleBase<Schedule> {
  using TileScheduleBase::TileScheduleBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!module->getAttrOfType<tile::TargetAttr>("tile.target")) {
      module.emitError("tile-schedule: the module has no tile.target");
      return signalPassFailure();
    }
    schedule::Counts counts;
    schedule::Decisions decisions{mergeRows, groupHeads, panelTurns, largeTiles, int8Rows, bf16Rows, bf16Attention, splitPositions, streams};
    for (auto version : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      auto limit = version->getAttrOfType<IntegerAttr>("llm.max_tokens");
      if (limit && failed(schedule::StepBuilder(module, limit.getInt(), decisions, counts).build(version)))
        return signalPassFailure();
    }
    dropLayerFunctions(module);
    loops += counts.loops;
    rowOps += counts.rowOps;
    kernels += counts.kernels;
    int8Products += counts.int8Products;
  }

  // The layers are inlined now; what is left of the `llm` dialect are declarations.
  static void dropLayerFunctions(ModuleOp module) {
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (function.isPrivate() && !function.isExternal() && !function->hasAttr("llm.max_tokens"))
        function.erase();
  }
};

} // namespace
