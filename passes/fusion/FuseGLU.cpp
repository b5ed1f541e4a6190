// --llm-fuse-glu: a gated linear unit becomes the epilogue of the product of gate and up.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSEGLU
#include "passes/fusion/Passes.h.inc"

namespace {

// The linear whose two results are exactly what `glu` reads, and nobody else.
LinearOp productOf(GLUOp glu) {
  auto linear = glu.getGate().getDefiningOp<LinearOp>();
  if (!linear || linear.getWeights().size() != 2 || !hasNoEpilogue(linear))
    return {};
  bool bothRead = glu.getUp().getDefiningOp() == linear && glu.getUp() != glu.getGate();
  bool soleReader = linear.getResult(0).hasOneUse() && linear.getResult(1).hasOneUse();
  return bothRead && soleReader ? linear : LinearOp();
}

struct FuseGLUPass : impl::FuseGLUBase<FuseGLUPass> {
  void runOnOperation() override {
    SmallVector<GLUOp> glus;
    getOperation().walk([&](GLUOp op) { glus.push_back(op); });
    for (GLUOp glu : glus)
      if (LinearOp linear = productOf(glu))
        fuse(linear, glu);
  }

  void fuse(LinearOp linear, GLUOp glu) {
    LinearParts parts(linear);
    if (glu.getGate() != linear.getResult(0)) {
      std::swap(parts.weights[0], parts.weights[1]);
      if (!parts.biases.empty())
        std::swap(parts.biases[0], parts.biases[1]);
      ++numSwapped;
    }
    parts.activation = glu.getKindAttr();
    parts.glu = true;
    parts.results = {glu.getType()};
    OpBuilder builder(linear);
    glu.replaceAllUsesWith(parts.create(builder, glu.getLoc()).getResult(0));
    glu.erase();
    linear.erase();
    ++numFused;
  }
};

} // namespace
} // namespace llmc
