// --llm-simplify: constant factors in their canonical place. (The op's folder drops a factor of 1.)
#include "passes/simplify/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_SIMPLIFY
#include "passes/simplify/Passes.h.inc"

namespace {

// The product of two factors, if f32 can hold it as a normal number (or exactly as zero).
std::optional<double> mergedFactor(double a, double b) {
  double product = a * b;
  double size = std::fabs(product);
  bool exactZero = a == 0.0 || b == 0.0;
  bool normal = size >= std::numeric_limits<float>::min() && size <= std::numeric_limits<float>::max();
  return normal || exactZero ? std::optional(product) : std::nullopt;
}

// scale(scale(x, a), b) -> scale(x, a * b). The inner scale stays if somebody else reads it.
struct MergeScales : OpRewritePattern<ScaleOp> {
  Statistic &count;
  MergeScales(MLIRContext *context, Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ScaleOp>();
    if (!inner)
      return failure();
    std::optional<double> factor = mergedFactor(inner.getFactor().convertToDouble(), op.getFactor().convertToDouble());
    if (!factor)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(inner.getX());
      op.setFactorAttr(rewriter.getF64FloatAttr(*factor));
    });
    ++count;
    return success();
  }
};

// scale(embedding) -> embedding {scale}: a second reader would need a second look-up, so it keeps the scale.
struct FoldScaleIntoEmbedding : OpRewritePattern<ScaleOp> {
  Statistic &count;
  FoldScaleIntoEmbedding(MLIRContext *context, Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto embedding = op.getX().getDefiningOp<EmbeddingOp>();
    if (!embedding || !embedding->hasOneUse())
      return failure();
    std::optional<double> factor =
        mergedFactor(embedding.getScale().convertToDouble(), op.getFactor().convertToDouble());
    if (!factor)
      return failure();
    rewriter.modifyOpInPlace(embedding, [&] {
      embedding.setScaleAttr(rewriter.getF32FloatAttr(static_cast<float>(*factor)));
      embedding->setLoc(op.getLoc()); // the value under this location is the scaled one
    });
    rewriter.replaceOp(op, embedding.getY());
    ++count;
    return success();
  }
};

struct SimplifyPass : impl::SimplifyBase<SimplifyPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeScales>(&getContext(), numMergedScales);
    patterns.add<FoldScaleIntoEmbedding>(&getContext(), numFoldedScales);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace llmc
