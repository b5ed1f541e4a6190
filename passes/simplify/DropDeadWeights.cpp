// --llm-drop-dead-weights: weights, states and functions that no public function reaches.
#include "passes/simplify/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_DROPDEADWEIGHTS
#include "passes/simplify/Passes.h.inc"

namespace {

struct DropDeadWeightsPass : impl::DropDeadWeightsBase<DropDeadWeightsPass> {
  void runOnOperation() override {
    llvm::DenseSet<Operation *> reached;
    if (failed(reach(reached)))
      return;
    for (Operation &op : llvm::make_early_inc_range(*getOperation().getBody())) {
      if (reached.contains(&op) || !isDroppable(&op))
        continue;
      ++countFor(&op);
      op.erase();
    }
  }

  static bool isDroppable(Operation *op) { return isa<WeightOp, StateOp, func::FuncOp>(op); }

  llmc::Statistic &countFor(Operation *op) {
    return isa<WeightOp>(op) ? numWeights : isa<StateOp>(op) ? numStates : numFunctions;
  }

  // Everything that is not droppable is a root, and so are public functions. Fails where uses can't be told.
  LogicalResult reach(llvm::DenseSet<Operation *> &reached) {
    SymbolTable symbols(getOperation());
    SmallVector<Operation *> open;
    auto visit = [&](Operation *op) {
      if (op && reached.insert(op).second)
        open.push_back(op);
    };
    for (Operation &op : *getOperation().getBody())
      if (auto function = dyn_cast<func::FuncOp>(op); function ? function.isPublic() : !isDroppable(&op))
        visit(&op);
    while (!open.empty()) {
      std::optional<SymbolTable::UseRange> uses = SymbolTable::getSymbolUses(open.pop_back_val());
      if (!uses)
        return failure();
      for (SymbolTable::SymbolUse use : *uses)
        visit(symbols.lookup(use.getSymbolRef().getRootReference()));
    }
    return success();
  }
};

} // namespace
} // namespace llmc
