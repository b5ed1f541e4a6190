// --llm-fuse-residual: the sum with the residual stream becomes the epilogue of the product it reads.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSERESIDUAL
#include "passes/fusion/Passes.h.inc"

namespace {

// The linear that makes `value` for `add` alone and can still take a residual.
LinearOp takerOf(Value value, AddOp add) {
  auto linear = value.getDefiningOp<LinearOp>();
  bool takes = linear && linear->getNumResults() == 1 && !linear.getResidual() && !linear.getScale() && !linear.getSoftcap() && linear->hasOneUse() &&
               linear->getBlock() == add->getBlock();
  return takes ? linear : LinearOp();
}

// Of two linears the later one: its residual is long there when it runs.
LinearOp takerOf(AddOp add) {
  LinearOp a = takerOf(add.getA(), add), b = takerOf(add.getB(), add);
  if (a && b)
    return a->isBeforeInBlock(b) ? b : a;
  return a ? a : b;
}

struct FuseResidualPass : impl::FuseResidualBase<FuseResidualPass> {
  void runOnOperation() override {
    SmallVector<AddOp> adds;
    getOperation().walk([&](AddOp op) { adds.push_back(op); });
    for (AddOp add : adds)
      if (LinearOp linear = takerOf(add))
        fuse(linear, add);
  }

  void fuse(LinearOp linear, AddOp add) {
    LinearParts parts(linear);
    parts.residual = add.getA() == linear.getResult(0) ? add.getB() : add.getA();
    OpBuilder builder(add); // where both the product's operands and the residual are there
    add.replaceAllUsesWith(parts.create(builder, add.getLoc()).getResult(0));
    add.erase();
    linear.erase();
    ++numFused;
  }
};

} // namespace
} // namespace llmc
