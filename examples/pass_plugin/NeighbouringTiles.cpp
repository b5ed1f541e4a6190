// neighbouring-tiles: changes how a GPU's blocks share a parallel loop. Each takes tiles that lie side by side, where the default has them take turns:
//
//   scf.for %tile = %worker to %count step %workers          becomes
//   scf.for %tile = %first to %end step %one                 // first = worker * share, end = min(first + share, count)
//
// Neighbouring tiles read neighbouring weights. Which block runs a tile never changes the result, so this is safe for every loop. It runs on what
// `llmc compile SRC --target cuda:sm_90 --compile-to schedule` writes: functions with `tile.phase`, one for each parallel loop.
#include "dialects/tile/Tile.h"
#include "passes/support/Statistic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

namespace {

class NeighbouringTiles : public mlir::PassWrapper<NeighbouringTiles, mlir::OperationPass<mlir::func::FuncOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NeighbouringTiles)

  llvm::StringRef getArgument() const override { return "neighbouring-tiles"; }
  llvm::StringRef getDescription() const override { return "Blocks of a GPU take tiles that lie side by side"; }
  void getDependentDialects(mlir::DialectRegistry &registry) const override {
    registry.insert<mlir::arith::ArithDialect, mlir::scf::SCFDialect>();
  }

  void runOnOperation() override {
    if (!getOperation()->hasAttr("tile.phase"))
      return;
    getOperation().walk([&](mlir::scf::ForOp loop) {
      if (loop.getStep().getDefiningOp<llmc::tile::WorkersOp>())
        shareOut(loop);
    });
  }

private:
  void shareOut(mlir::scf::ForOp loop) {
    mlir::OpBuilder b(loop);
    mlir::Location loc = loop.getLoc();
    mlir::Value worker = loop.getLowerBound(), count = loop.getUpperBound();
    mlir::Value share = mlir::arith::CeilDivUIOp::create(b, loc, count, loop.getStep());
    mlir::Value first = mlir::arith::MulIOp::create(b, loc, worker, share);
    loop.setLowerBound(first);
    loop.setUpperBound(mlir::arith::MinUIOp::create(b, loc, mlir::arith::AddIOp::create(b, loc, first, share), count));
    loop.setStep(mlir::arith::ConstantIntOp::create(b, loc, 1, 64));
    ++numLoops;
  }

  llmc::Statistic numLoops{this, "loops", "loops shared out"};
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "neighbouring-tiles", "1.0", [] { mlir::PassRegistration<NeighbouringTiles>(); }};
}
