// --llm-fuse-attention: the norms of heads and the rotation of q and k become parts of attention.
#include "passes/fusion/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/fusion/Passes.h.inc"

namespace {

int64_t headDimOf(AttentionOp op) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(op, op.getStateAttr());
  return cast<KVCacheType>(state.getType()).getHeadDim();
}

// The op of type `OpTy` that makes `value` for `reader` alone, next to it.
template <typename OpTy> OpTy soleMaker(Value value, Operation *reader) {
  auto op = value.getDefiningOp<OpTy>();
  return op && op->hasOneUse() && op->getBlock() == reader->getBlock() ? op : OpTy();
}

bool isAlike(RopeOp q, RopeOp k, int64_t headDim) {
  return q.getTable() == k.getTable() && q.getRotary() == k.getRotary() && q.getHeadDim() == k.getHeadDim() &&
         static_cast<int64_t>(q.getHeadDim()) == headDim;
}

bool isOverHeads(RMSNormOp norm, int64_t headDim) {
  return cast<RankedTensorType>(norm.getGain().getType()).getShape() == ArrayRef<int64_t>{headDim};
}

bool isAlike(RMSNormOp q, RMSNormOp k, int64_t headDim) {
  return q.getEpsAttr() == k.getEpsAttr() && q.getOffsetAttr() == k.getOffsetAttr() && isOverHeads(q, headDim) &&
         isOverHeads(k, headDim);
}

struct FuseAttentionPass : impl::FuseAttentionBase<FuseAttentionPass> {
  void runOnOperation() override {
    SmallVector<AttentionOp> attentions;
    getOperation().walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp attention : attentions)
      if (!takeRopes(attention) || !takeNorms(attention))
        ++numUnlike;
  }

  // Each returns false where q and k are made by ops which could go in but do not fit together.
  bool takeRopes(AttentionOp op) {
    auto q = soleMaker<RopeOp>(op.getQ(), op), k = soleMaker<RopeOp>(op.getK(), op);
    if (!q && !k)
      return true;
    // attention normalises before it turns, so it can't take a rope once it has a norm
    if (!q || !k || op.getRotary() || op.getNorm() || !isAlike(q, k, headDimOf(op)))
      return false;
    op.getTableMutable().assign(q.getTable());
    op.setRotaryAttr(q.getRotaryAttr());
    bypass(op, q, k);
    ++numRopes;
    return true;
  }

  bool takeNorms(AttentionOp op) {
    auto q = soleMaker<RMSNormOp>(op.getQ(), op), k = soleMaker<RMSNormOp>(op.getK(), op);
    if (!q && !k)
      return true;
    if (!q || !k || op.getNorm() || !isAlike(q, k, headDimOf(op)) || comesAfterRope(q, k))
      return false;
    op.getQGainMutable().assign(q.getGain());
    op.getKGainMutable().assign(k.getGain());
    op.setNormAttr(NormAttr::get(&getContext(), NormKind::rms, Real(q.getEps().convertToDouble()),
                                 Real(q.getOffset().convertToDouble())));
    bypass(op, q, k);
    ++numNorms;
    return true;
  }

  static bool comesAfterRope(RMSNormOp q, RMSNormOp k) {
    return q.getX().getDefiningOp<RopeOp>() || k.getX().getDefiningOp<RopeOp>();
  }

  // Lets `op` read what `q` and `k` read, and removes the two.
  template <typename OpTy> static void bypass(AttentionOp op, OpTy q, OpTy k) {
    op.getQMutable().assign(q.getX());
    op.getKMutable().assign(k.getX());
    q.erase();
    k.erase();
  }
};

} // namespace
} // namespace llmc
