// --llm-fuse-parallel-linears: products of one input become one product.
#include "passes/fusion/LinearParts.h"
#include "passes/fusion/Passes.h"

#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_FUSEPARALLELLINEARS
#include "passes/fusion/Passes.h.inc"

namespace {

// Linears with one key read the same normalised input in the same block, and later passes treat them alike.
struct Key {
  Value x;
  Attribute norm;
  Value normGain, normBias;
  Block *block;
  Operation *reader; // the op that can fold into the linear, if that is its only reader

  auto tie() const { return std::tie(x, norm, normGain, normBias, block, reader); }
  bool operator==(const Key &other) const { return tie() == other.tie(); }
};

// The only reader of `linear`, if a later pass can fold it into the linear.
Operation *foldableReader(LinearOp linear) {
  if (linear->getNumResults() != 1 || !linear->hasOneUse())
    return nullptr;
  return dyn_cast<EpilogueOpInterface>(*linear->user_begin());
}

Key keyOf(LinearOp op) {
  return {op.getX(), op.getNormAttr(), op.getNormGain(), op.getNormBias(), op->getBlock(), foldableReader(op)};
}

struct Group {
  Key key;
  SmallVector<LinearOp> plain, biased;
};

// Moves the pure ops which define what the linears of one group need to a place before the first of them.
class Hoist {
public:
  Hoist(LinearOp first, ArrayRef<LinearOp> members) : first(first), members(members) {}

  // True if all operands of `linear` are there when `first` runs, or were moved so that they are.
  bool operandsOf(LinearOp linear) {
    llvm::SetVector<Operation *> moves;
    for (Value operand : linear->getOperands())
      if (!collect(operand, moves, maxDepth))
        return false;
    for (Operation *op : moves)
      op->moveBefore(first);
    return true;
  }

private:
  // A weight is a load, seldom an op on a load; a limit keeps hostile input from deep recursion.
  static constexpr int maxDepth = 16;

  // Adds what defines `value` to `moves`, operands first.
  bool collect(Value value, llvm::SetVector<Operation *> &moves, int depth) {
    if (dominance.properlyDominates(value, first))
      return true;
    Operation *op = value.getDefiningOp();
    if (!op || depth == 0 || op->getBlock() != first->getBlock() || op->getNumRegions() || !isPure(op) || isMember(op))
      return false;
    for (Value operand : op->getOperands())
      if (!collect(operand, moves, depth - 1))
        return false;
    moves.insert(op);
    return true;
  }

  bool isMember(Operation *op) const {
    auto linear = dyn_cast<LinearOp>(op);
    return linear && llvm::is_contained(members, linear);
  }

  LinearOp first;
  ArrayRef<LinearOp> members;
  DominanceInfo dominance;
};

struct FuseParallelLinearsPass : impl::FuseParallelLinearsBase<FuseParallelLinearsPass> {
  void runOnOperation() override {
    for (Group &group : collectGroups()) {
      if (!group.plain.empty() && !group.biased.empty())
        ++numMixedBiases;
      fuse(group.plain);
      fuse(group.biased);
    }
  }

  SmallVector<Group> collectGroups() {
    llvm::MapVector<Value, SmallVector<Group, 1>> byInput;
    getOperation().walk([&](LinearOp op) {
      if (!hasNoEpilogue(op))
        return;
      Key key = keyOf(op);
      SmallVector<Group, 1> &groups = byInput[key.x];
      Group *group = llvm::find_if(groups, [&](const Group &g) { return g.key == key; });
      if (group == groups.end())
        group = &groups.emplace_back(Group{key, {}, {}});
      (op.getBiases().empty() ? group->plain : group->biased).push_back(op);
    });
    SmallVector<Group> all;
    for (auto &[x, groups] : byInput)
      llvm::append_range(all, groups);
    return all;
  }

  void fuse(ArrayRef<LinearOp> members) {
    if (members.size() < 2)
      return;
    SmallVector<LinearOp> joined{members.front()};
    Hoist hoist(members.front(), members);
    for (LinearOp linear : members.drop_front())
      if (hoist.operandsOf(linear))
        joined.push_back(linear);
      else
        ++numStuck;
    if (joined.size() > 1)
      replace(joined);
  }

  void replace(ArrayRef<LinearOp> joined) {
    LinearOp first = joined.front();
    LinearParts parts(first);
    SmallVector<Location> locations(first->getNumResults(), first.getLoc());
    for (LinearOp linear : joined.drop_front()) {
      llvm::append_range(parts.weights, linear.getWeights());
      llvm::append_range(parts.biases, linear.getBiases());
      llvm::append_range(parts.results, linear.getResultTypes());
      locations.append(linear->getNumResults(), linear.getLoc());
    }
    OpBuilder builder(first);
    LinearOp fused = parts.create(builder, FusedLoc::get(locations, builder.getStringAttr("results"), &getContext()));
    ResultRange rest = fused.getResults();
    for (LinearOp linear : joined) {
      linear.replaceAllUsesWith(rest.take_front(linear->getNumResults()));
      rest = rest.drop_front(linear->getNumResults());
      linear.erase();
    }
    numLinears += joined.size() - 1;
  }
};

} // namespace
} // namespace llmc
