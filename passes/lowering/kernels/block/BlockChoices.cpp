// Choosing the greatest of a row: the best panels of the logits, the experts of a token. By one warp, with the row's keys in its registers,
// because each choice needs the one before.
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

Value word(BlockBuilder &b, int64_t value) { return b.constant(b.getI32Type(), value); }
Value larger(BlockBuilder &b, Value a, Value c) { return arith::MaxSIOp::create(b, a, c); }
Value isEqual(BlockBuilder &b, Value a, Value c) { return b.compare(arith::CmpIPredicate::eq, a, c); }

// Numbers of a row, shared out among the lanes of a warp: the lane's `slot` holds number lane + 32 * slot.
struct InWarp {
  BlockBuilder &b;
  Value lane = b.truncate(b.lane(), b.getI32Type());

  int64_t slotsFor(int64_t count) const { return (count + kWarp - 1) / kWarp; }
  Value number(int64_t slot) const { return b.add(lane, word(b, kWarp * slot)); }
  Value isInside(int64_t slot, int64_t count) const { return b.compare(arith::CmpIPredicate::slt, number(slot), word(b, count)); }

  Value leastOfWarp(Value place) const {
    return b.reduceWarp(place, [&](Value a, Value c) { return b.minimum(a, c); });
  }

  // Each lane's own `count` numbers of a row of 32-bit numbers; `outside` beyond its end.
  Values load(Type type, Value row, int64_t count, Value outside) const {
    Values own;
    for (int64_t slot = 0; slot < slotsFor(count); ++slot) {
      // Lanes beyond the end read the row's first number, and drop it.
      Value inside = isInside(slot, count);
      Value index = b.select(inside, number(slot), word(b, 0));
      own.push_back(b.select(inside, b.load(type, floatAt(b, row, b.extendSigned(index, b.getI64Type())), 4), outside));
    }
    return own;
  }

  // The number of the first greatest key, the same in every lane.
  Value place(ValueRange keys) const {
    Value best = keys[0];
    for (Value key : keys.drop_front())
      best = larger(b, best, key);
    best = b.maximumOfWarp(best);
    Value first = word(b, INT32_MAX);
    for (auto [slot, key] : llvm::enumerate(keys))
      first = b.minimum(first, b.select(isEqual(b, key, best), number(int64_t(slot)), word(b, INT32_MAX)));
    return leastOfWarp(first);
  }

  // The numbers, with that at `place` put in place.
  Values replace(ValueRange own, Value place, Value with) const {
    Values after;
    for (auto [slot, value] : llvm::enumerate(own))
      after.push_back(b.select(isEqual(b, number(int64_t(slot)), place), with, value));
    return after;
  }

  // The number at `place`, in every lane.
  Value read(ValueRange own, Value place) const {
    Value slotOfPlace = b.shiftRight(place, 5), found = own[0];
    for (size_t slot = 1; slot < own.size(); ++slot)
      found = b.select(isEqual(b, slotOfPlace, word(b, int64_t(slot))), own[slot], found);
    return b.shuffleFrom(found, b.extendSigned(b.bitAnd(place, kWarp - 1), b.getI64Type()));
  }
};

//===----------------------------------------------------------------------===//
// Best panels
//===----------------------------------------------------------------------===//

// Blocks of keys whose greatest fit a warp's registers: vocabularies of a million tokens.
constexpr int64_t kMostKeyBlocks = 16 * kWarp;

bool takesBestPanels(Attribute kernel, tile::TargetAttr) {
  return tile::keyBlocks(cast<tile::BestPanelsAttr>(kernel).getOutputs()) <= kMostKeyBlocks;
}

// Arguments as emitBestPanels. A block of 128 keys is four to each lane, always the same lane's: so who reads a key has written it.
struct BestPanels {
  static constexpr int64_t kOfLane = tile::kKeyBlock / kWarp;
  BlockBuilder &b;
  InWarp warp;
  int64_t panels, blocks;
  Value count, keys, greatest, out;

  BestPanels(BlockBuilder &b, tile::BestPanelsAttr kernel)
      : b(b), warp{b}, panels(tile::panelCount(kernel.getOutputs())), blocks(tile::keyBlocks(kernel.getOutputs())), count(b.argument(0)),
        keys(b.argument(1)), greatest(b.argument(2)), out(b.argument(3)) {}

  VectorType four() { return b.words(kOfLane); }
  Value ownKeys(Value block) { return b.at(b.at(keys, block, tile::kKeyBlock * 4), b.lane(), kOfLane * 4); }
  Value greatestOf(Value own) { return b.maximumOfWarp(vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, own)); }
  // The number in its block of each of the lane's keys.
  Value numbers() {
    Value first = b.broadcast(b.mul(warp.lane, word(b, kOfLane)), four());
    SmallVector<int32_t> next = llvm::to_vector(llvm::seq<int32_t>(0, kOfLane));
    return b.add(first, arith::ConstantOp::create(b, DenseElementsAttr::get(four(), ArrayRef<int32_t>(next))));
  }

  // What lies beyond the last panel is below every key.
  Value cleared(Value own, Value block) {
    Value number = b.add(numbers(), b.broadcast(b.truncate(b.mul(block, b.constant(tile::kKeyBlock)), b.getI32Type()), four()));
    Value inside = b.compare(arith::CmpIPredicate::slt, number, b.constant(four(), panels));
    return b.select(inside, own, b.constant(four(), tile::kGoneKey));
  }

  void noteGreatest() {
    b.loop(b.warp(), b.constant(blocks), b.warps(), [&](Value block) {
      Value own = cleared(b.load(four(), ownKeys(block), 16), block);
      Value best = greatestOf(own);
      b.onlyIf(isEqual(b, warp.lane, word(b, 0)), [&] { b.store(best, floatAt(b, greatest, block), 4); });
    });
  }

  // Gives the number of the panel with the greatest key and takes the key away; `best` are the greatest of the blocks.
  std::pair<Value, Values> take(ValueRange best) {
    Value block = warp.place(best), wide = b.extendSigned(block, b.getI64Type());
    Value own = cleared(b.load(four(), ownKeys(wide), 16), wide), none = b.constant(four(), INT32_MAX);
    Value wanted = b.broadcast(warp.read(best, block), four());
    Value places = b.select(isEqual(b, own, wanted), numbers(), none);
    Value place = warp.leastOfWarp(vector::ReductionOp::create(b, vector::CombiningKind::MINSI, places));
    Value rest = b.select(isEqual(b, numbers(), b.broadcast(place, four())), b.constant(four(), tile::kGoneKey), own);
    b.store(rest, ownKeys(wide), 16);
    return {b.add(b.mul(block, word(b, tile::kKeyBlock)), place), warp.replace(best, block, greatestOf(rest))};
  }

  void emit() {
    noteGreatest();
    b.barrier();
    b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0)), [&] {
      Values best = warp.load(b.getI32Type(), greatest, blocks, word(b, tile::kGoneKey));
      // A block's keys are written by the lane that reads them again, those of one warp's first pass by it or another: a barrier ago.
      b.loop(b.constant(0), count, 1, best, [&](Value number, ValueRange left) {
        auto [panel, rest] = take(left);
        b.onlyIf(isEqual(b, warp.lane, word(b, 0)), [&] { b.store(panel, floatAt(b, out, number), 4); });
        return rest;
      });
    });
  }
};

void emitBlockBestPanels(BlockBuilder &b, tile::BestPanelsAttr kernel) { BestPanels(b, kernel).emit(); }

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

// Choices are kept a lane each, and so are groups of experts.
bool takesRoute(Attribute kernel, tile::TargetAttr) {
  auto route = cast<tile::RouteAttr>(kernel);
  return route.getGroups() <= kWarp && route.getTop() <= kWarp && route.getCount() <= 16 * kWarp;
}

// Arguments and meaning as emitRoute.
struct Route {
  static constexpr int64_t kGone = INT32_MIN, kNaN = INT32_MIN + 2;
  BlockBuilder &b;
  tile::RouteAttr kernel;
  InWarp warp{b};

  Value number(double value) { return b.constant(b.getF32Type(), value); }
  Value sum(Value own) {
    return b.reduceWarp(own, [&](Value a, Value c) { return b.add(a, c); });
  }

  // Softmax of what the lanes hold; those outside hold -infinity or so, and get 0.
  Values softmax(ValueRange own, int64_t count) {
    Value best = number(-3.0e38), total = number(0);
    for (Value value : own)
      best = maximum(b, best, value);
    best = b.reduceWarp(best, [&](Value a, Value c) { return maximum(b, a, c); });
    Values weights;
    for (auto [slot, value] : llvm::enumerate(own)) {
      Value weight = b.select(warp.isInside(int64_t(slot), count), exponential(b, b.sub(value, best)), number(0));
      total = b.add(total, weight);
      weights.push_back(weight);
    }
    total = sum(total);
    for (Value &weight : weights)
      weight = div(b, weight, total);
    return weights;
  }

  Values scores() {
    Values logits = warp.load(b.getF32Type(), b.argument(0), kernel.getCount(), number(-3.0e38));
    if (kernel.getScores() == llm::RouterScores::softmax)
      return softmax(logits, kernel.getCount());
    if (kernel.getScores() == llm::RouterScores::sigmoid)
      for (Value &logit : logits)
        logit = activate(b, llm::Activation::sigmoid, logit);
    return logits;
  }

  Value keyOf(Value choice, Value inside) { return b.select(inside, orderedKeys(b, choice, kNaN), word(b, kGone)); }

  Values keys(ValueRange scores) {
    Values keys, bias;
    if (kernel.getBias())
      bias = warp.load(b.getF32Type(), b.argument(1), kernel.getCount(), number(0));
    for (auto [slot, score] : llvm::enumerate(scores))
      keys.push_back(keyOf(bias.empty() ? score : b.add(score, bias[slot]), warp.isInside(int64_t(slot), kernel.getCount())));
    return keys;
  }

  Value groupOf(int64_t slot) {
    Value group = arith::DivUIOp::create(b, warp.number(slot), word(b, kernel.getCount() / kernel.getGroups()));
    return b.minimum(group, word(b, kernel.getGroups() - 1)); // of no expert: any, its key is gone already
  }

  // The greatest key of a group; or that of the sum of its two greatest numbers.
  Value groupKey(ValueRange keys, int64_t group) {
    Values own;
    for (auto [slot, key] : llvm::enumerate(keys))
      own.push_back(b.select(isEqual(b, groupOf(int64_t(slot)), word(b, group)), key, word(b, kGone)));
    Value place = warp.place(own), best = warp.read(own, place);
    if (kernel.getGroupScore() == llm::GroupScore::max)
      return best;
    Values others = warp.replace(own, place, word(b, kGone));
    Value second = warp.read(others, warp.place(others));
    auto numberOf = [&](Value key) { return b.bitcast(orderedBits(b, key), b.getF32Type()); };
    return orderedKeys(b, b.add(numberOf(best), numberOf(second)), kNaN);
  }

  // Keys of experts whose groups are not among the best are gone.
  Values keepBestGroups(ValueRange keys) {
    Value own = word(b, kGone), kept = word(b, 0);
    for (int64_t group = 0; group < kernel.getGroups(); ++group)
      own = b.select(isEqual(b, warp.lane, word(b, group)), groupKey(keys, group), own);
    for (int64_t k = 0; k < kernel.getTopGroups(); ++k) {
      Value place = warp.place(own);
      kept = b.bitOr(kept, arith::ShLIOp::create(b, word(b, 1), place));
      own = warp.replace(own, place, word(b, kGone))[0];
    }
    Values result;
    for (auto [slot, key] : llvm::enumerate(keys)) {
      Value bit = b.bitAnd(arith::ShRUIOp::create(b, kept, groupOf(int64_t(slot))), 1);
      result.push_back(b.select(isEqual(b, bit, word(b, 1)), key, word(b, kGone)));
    }
    return result;
  }

  Value normalised(Value weight) {
    Value chosen = warp.isInside(0, kernel.getTop());
    if (kernel.getNormalize() == llm::RouterNormalize::softmax)
      weight = softmax(b.select(chosen, weight, number(-3.0e38)), kernel.getTop())[0];
    if (kernel.getNormalize() == llm::RouterNormalize::sum)
      weight = div(b, weight, b.add(sum(b.select(chosen, weight, number(0))), number(kernel.getEpsilon().value)));
    return kernel.getScale().value == 1 ? weight : b.mul(weight, number(kernel.getScale().value));
  }

  void emit() {
    unsigned next = kernel.getBias() ? 2 : 1;
    Value experts = b.argument(next), weights = b.argument(next + 1);
    b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0)), [&] {
      Values all = scores(), left = keys(all);
      if (kernel.getGroups() > 1)
        left = keepBestGroups(left);
      Value expert = word(b, 0), weight = number(0);
      for (int64_t k = 0; k < kernel.getTop(); ++k) {
        Value place = warp.place(left), mine = isEqual(b, warp.lane, word(b, k));
        expert = b.select(mine, place, expert);
        weight = b.select(mine, warp.read(all, place), weight);
        left = warp.replace(left, place, word(b, kGone));
      }
      weight = normalised(weight);
      b.onlyIf(warp.isInside(0, kernel.getTop()), [&] {
        b.store(expert, floatAt(b, experts, b.lane()), 4);
        b.store(weight, floatAt(b, weights, b.lane()), 4);
      });
    });
  }
};

void emitBlockRoute(BlockBuilder &b, tile::RouteAttr kernel) { Route{b, kernel}.emit(); }

} // namespace

ArrayRef<BlockKind> blockChoiceKinds() {
  static const BlockKind kinds[] = {blockKind<tile::BestPanelsAttr, emitBlockBestPanels>(takesBestPanels),
                                    blockKind<tile::RouteAttr, emitBlockRoute>(takesRoute)};
  return kinds;
}

} // namespace llmc::kernels
