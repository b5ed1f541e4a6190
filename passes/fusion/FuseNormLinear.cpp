// --llm-fuse-norm-linear: a norm over all channels becomes the prologue of the one product that reads it.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSENORMLINEAR
#include "passes/fusion/Passes.h.inc"

namespace {

struct FoldableNorm {
  Value x, gain, bias;
  NormAttr attribute;
};

Real real(const APFloat &value) { return Real(value.convertToDouble()); }

// What `op` normalises and how, if it is a norm over all channels.
std::optional<FoldableNorm> normOf(Operation *op) {
  MLIRContext *context = op->getContext();
  std::optional<FoldableNorm> norm =
      TypeSwitch<Operation *, std::optional<FoldableNorm>>(op)
          .Case([&](RMSNormOp rms) {
            return FoldableNorm{rms.getX(), rms.getGain(), Value(),
                                NormAttr::get(context, NormKind::rms, real(rms.getEps()), real(rms.getOffset()))};
          })
          .Case([&](LayerNormOp layer) {
            return FoldableNorm{layer.getX(), layer.getGain(), layer.getBias(),
                                NormAttr::get(context, NormKind::layer, real(layer.getEps()), Real(0.0))};
          })
          .Default(std::nullopt);
  if (!norm)
    return std::nullopt;
  int64_t channels = cast<RankedTensorType>(norm->x.getType()).getShape().back();
  bool overAllChannels = cast<RankedTensorType>(norm->gain.getType()).getShape().back() == channels;
  return overAllChannels ? norm : std::nullopt;
}

struct FuseNormLinearPass : impl::FuseNormLinearBase<FuseNormLinearPass> {
  void runOnOperation() override {
    SmallVector<LinearOp> linears;
    getOperation().walk([&](LinearOp op) { linears.push_back(op); });
    llvm::SmallPtrSet<Operation *, 8> shared;
    for (LinearOp linear : linears) {
      Operation *op = linear.getX().getDefiningOp();
      std::optional<FoldableNorm> norm = op && !linear.getNorm() ? normOf(op) : std::nullopt;
      if (!norm)
        continue;
      if (op->hasOneUse() && op->getBlock() == linear->getBlock())
        fuse(op, *norm, linear);
      else if (shared.insert(op).second)
        ++numShared;
    }
  }

  void fuse(Operation *op, const FoldableNorm &norm, LinearOp linear) {
    LinearParts parts(linear);
    parts.x = norm.x;
    parts.norm = norm.attribute;
    parts.normGain = norm.gain;
    parts.normBias = norm.bias;
    OpBuilder builder(linear);
    linear.replaceAllUsesWith(parts.create(builder, linear.getLoc()));
    linear.erase();
    op->erase();
    ++numFused;
  }
};

} // namespace
} // namespace llmc
