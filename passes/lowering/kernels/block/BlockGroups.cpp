// Grouping tokens by expert: a counting sort, by a block.
//
// The warps share out the choices in ascending order, and have counters of their own, which become the places where each warp's choices of an
// expert begin. A warp takes 32 choices at a time; each lane counts those before it that have its expert.
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kMostCounterBytes = 40 << 10;

int64_t counterBytes(tile::GroupTokensAttr kernel, int64_t threads) { return (threads / kWarp + 1) * kernel.getCount() * 4; }

class GroupTokens {
public:
  GroupTokens(BlockBuilder &b, tile::GroupTokensAttr kernel)
      : b(b), count(kernel.getCount()), choices(b.mul(b.argument(0), b.constant(kernel.getTop()))), experts(b.global(b.argument(1))),
        starts(b.global(b.argument(2))), order(b.global(b.argument(3))), places(b.global(b.argument(4))), counters(b.shared(b.warps() * count * 4)),
        totals(b.shared(count * 4)) {}

  // Arguments as emitGroupTokens.
  void emit() {
    b.eachThread(b.constant(b.warps() * count), 1, [&](Value index) { store(word(0), counters, index); });
    b.barrier();
    passChoices([](Value, Value, Value) {});
    b.barrier();
    placeExperts();
    b.barrier();
    passChoices([&](Value choice, Value isThere, Value place) {
      b.onlyIf(isThere, [&] {
        store(b.truncate(choice, b.getI32Type()), order, b.extendSigned(place, b.getI64Type()));
        store(place, places, choice);
      });
    });
  }

private:
  Value word(int64_t value) { return b.constant(b.getI32Type(), value); }
  Value load(Value array, Value index) { return b.load(b.getI32Type(), floatAt(b, array, index), 4); }
  void store(Value value, Value array, Value index) { b.store(value, floatAt(b, array, index), 4); }
  Value counterOf(Value warp, Value expert) { return b.add(b.mul(warp, b.constant(count)), expert); }

  // Adds the warp's choices to its counters; `use` gets what the counter said of each choice, and so many more as lanes before have its expert.
  void passChoices(llvm::function_ref<void(Value choice, Value isThere, Value place)> use) {
    Value rounds = arith::DivUIOp::create(b, b.add(choices, b.constant(b.threads() - 1)), b.constant(b.threads()));
    Value first = b.mul(b.mul(b.warp(), rounds), b.constant(kWarp)), end = b.minimum(b.add(first, b.mul(rounds, b.constant(kWarp))), choices);
    b.loop(first, end, kWarp, [&](Value from) {
      Value choice = b.add(from, b.lane()), isThere = b.compare(arith::CmpIPredicate::slt, choice, end);
      Value loaded = load(experts, b.minimum(choice, b.sub(end, b.constant(1)))), expert = b.select(isThere, loaded, word(-1));
      auto [before, all] = alike(expert);
      Value counter = counterOf(b.warp(), b.extendSigned(loaded, b.getI64Type())), counted = load(counters, counter);
      b.warpBarrier(); // all have read it
      use(choice, isThere, b.add(counted, before));
      Value isLast = b.compare(arith::CmpIPredicate::eq, b.add(before, word(1)), all);
      b.onlyIf(arith::AndIOp::create(b, isThere, isLast), [&] { store(b.add(counted, all), counters, counter); });
      b.warpBarrier();
    });
  }

  // How many lanes before this one, and how many of all, have its expert.
  std::pair<Value, Value> alike(Value expert) {
    Value before = word(0), all = word(0), lane = b.lane();
    for (int64_t other = 0; other < kWarp; ++other) {
      Value isSame = b.compare(arith::CmpIPredicate::eq, b.shuffleFrom(expert, b.constant(other)), expert);
      Value isBefore = b.compare(arith::CmpIPredicate::slt, b.constant(other), lane);
      all = b.add(all, b.extendUnsigned(isSame, b.getI32Type()));
      before = b.add(before, b.extendUnsigned(arith::AndIOp::create(b, isSame, isBefore), b.getI32Type()));
    }
    return {before, all};
  }

  // Counts become places; a thread has an expert.
  void placeExperts() {
    auto eachWarp = [&](Value expert, Value initial, llvm::function_ref<Value(Value counter, Value sum)> body) {
      for (int64_t warp = 0; warp < b.warps(); ++warp)
        initial = body(counterOf(b.constant(warp), expert), initial);
      return initial;
    };
    b.eachThread(b.constant(count), 1, [&](Value expert) {
      store(eachWarp(expert, word(0), [&](Value counter, Value sum) { return b.add(sum, load(counters, counter)); }), totals, expert);
    });
    b.barrier();
    b.eachThread(b.constant(count), 1, [&](Value expert) {
      Value start = b.loop(b.constant(0), expert, 1, ValueRange{word(0)}, [&](Value index, ValueRange sum) {
        return Values{b.add(sum[0], load(totals, index))};
      })[0];
      store(start, starts, expert);
      Value end = eachWarp(expert, start, [&](Value counter, Value place) {
        Value counted = load(counters, counter);
        store(place, counters, counter);
        return b.add(place, counted);
      });
      b.onlyIf(b.compare(arith::CmpIPredicate::eq, expert, b.constant(count - 1)), [&] { store(end, starts, b.constant(count)); });
    });
  }

  BlockBuilder &b;
  const int64_t count;
  Value choices, experts, starts, order, places;
  Value counters, totals; // shared: [warps][experts], [experts]
};

void emitBlockGroupTokens(BlockBuilder &b, tile::GroupTokensAttr kernel) { GroupTokens(b, kernel).emit(); }

bool takesGroupTokens(Attribute kernel, tile::TargetAttr target) {
  return counterBytes(cast<tile::GroupTokensAttr>(kernel), target.getThreads()) <= kMostCounterBytes;
}

} // namespace

ArrayRef<BlockKind> blockGroupKinds() {
  static const BlockKind kinds[] = {blockKind<tile::GroupTokensAttr, emitBlockGroupTokens>(takesGroupTokens)};
  return kinds;
}

} // namespace llmc::kernels
