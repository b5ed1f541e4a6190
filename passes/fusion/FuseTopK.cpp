// --llm-fuse-top-k: the product that makes the logits takes in what comes after it, and may give the best of them alone.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSETOPK
#include "passes/fusion/Passes.h.inc"

namespace {

struct FuseTopKPass : impl::FuseTopKBase<FuseTopKPass> {
  void runOnOperation() override {
    func::FuncOp step = getOperation();
    if (step.getSymName() != "step" || step.isExternal() || step.getNumResults() == 0)
      return;
    Value logits = step.front().getTerminator()->getOperand(0);
    Operation *softcap = readerAlone<SoftcapOp>(logits);
    Value capped = softcap ? softcap->getOperand(0) : logits;
    Operation *scale = readerAlone<ScaleOp>(capped);
    Value scaled = scale ? scale->getOperand(0) : capped;
    auto linear = scaled.getDefiningOp<LinearOp>();
    bool foldable = !scale || !cast<ScaleOp>(scale).getFactor().isZero(); // 0 * infinity is no number
    if (foldable && linear && linear->getNumResults() == 1 && linear->hasOneUse() && hasNoEpilogue(linear))
      fuse(linear, scale, softcap);
  }

  // The op of that kind which makes `value`, if nothing else is done with it.
  template <class Op> static Operation *readerAlone(Value value) {
    auto op = value.getDefiningOp<Op>();
    return op && op->hasOneUse() ? op.getOperation() : nullptr;
  }

  void fuse(LinearOp linear, Operation *scale, Operation *softcap) {
    LinearParts parts(linear);
    parts.topK = true;
    if (scale)
      parts.scale = cast<ScaleOp>(scale).getFactorAttr();
    if (softcap)
      parts.softcap = cast<SoftcapOp>(softcap).getCapAttr();
    Operation *last = softcap ? softcap : scale ? scale : linear.getOperation();
    OpBuilder builder(linear);
    last->replaceAllUsesWith(parts.create(builder, last->getLoc()));
    for (Operation *op : {softcap, scale, linear.getOperation()})
      if (op) {
        numEpilogues += op != linear;
        op->erase();
      }
    ++numFused;
  }
};

} // namespace
} // namespace llmc
