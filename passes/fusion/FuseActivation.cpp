// --llm-fuse-activation: a pointwise nonlinearity becomes the epilogue of the product it reads.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSEACTIVATION
#include "passes/fusion/Passes.h.inc"

namespace {

struct FuseActivationPass : impl::FuseActivationBase<FuseActivationPass> {
  void runOnOperation() override {
    SmallVector<ActivationOp> activations;
    getOperation().walk([&](ActivationOp op) { activations.push_back(op); });
    for (ActivationOp activation : activations) {
      auto linear = activation.getX().getDefiningOp<LinearOp>();
      if (linear && linear->getNumResults() == 1 && linear->hasOneUse() && hasNoEpilogue(linear))
        fuse(linear, activation);
    }
  }

  void fuse(LinearOp linear, ActivationOp activation) {
    LinearParts parts(linear);
    parts.activation = activation.getKindAttr();
    OpBuilder builder(linear);
    activation.replaceAllUsesWith(parts.create(builder, activation.getLoc()).getResult(0));
    activation.erase();
    linear.erase();
    ++numFused;
  }
};

} // namespace
} // namespace llmc
