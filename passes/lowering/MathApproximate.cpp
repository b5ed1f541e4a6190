// --llmc-approximate-math: see Passes.td.
#include "passes/lowering/Passes.h"

#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace llmc {
#define GEN_PASS_DEF_MATHAPPROXIMATE
#include "passes/lowering/Passes.h.inc"
} // namespace llmc

using namespace mlir;

namespace {

struct MathApproximate : llmc::impl::MathApproximateBase<MathApproximate> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(
        patterns, [](StringRef name) { return llvm::is_contained({"math.exp", "math.tanh", "math.erf", "math.log1p", "math.log"}, name); });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
