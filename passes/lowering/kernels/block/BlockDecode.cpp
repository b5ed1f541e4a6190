// Attention of one token's heads to its cache, by a block.
//
// The warps share out the cache's blocks of 16 positions, each with a softmax of its own; the softmaxes are merged in ascending order. A warp
// loads a block's keys and values front to back, 16 bytes a lane, all before it multiplies: CacheLanes says what falls to a lane. Of a token
// that is alone in its step the positions are split into parts as well, each a block's of threads: `attend_runs`, and then `merge_parts`.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/CacheLanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr double kMasked = -1.0e30; // score of a position that may not be seen
constexpr int64_t kPartBlocks = 16, kParts = 16; // a unit of 256 positions, as `attend_runs` has them; units go round the parts
constexpr int64_t kMostValues = 80, kMostShared = 48 << 10;

// What both kernels that attend say of themselves.
struct Attends {
  int64_t heads, kvHeads, group, window;
  double scale, softcap;
  CacheShape cache;

  explicit Attends(tile::AttendAttr kernel)
      : heads(kernel.getHeads()), kvHeads(kernel.getKvHeads()), group(kernel.getGroup()), window(kernel.getWindow()), scale(kernel.getScale().value),
        softcap(kernel.getSoftcap().value), cache{kernel.getElement(), kvHeads, kernel.getHeadDim()} {}
  explicit Attends(tile::AttendRunsAttr kernel)
      : heads(kernel.getHeads()), kvHeads(kernel.getKvHeads()), group(kernel.getGroup()), window(kernel.getWindow()), scale(kernel.getScale().value),
        softcap(kernel.getSoftcap().value), cache{kernel.getElement(), kvHeads, kernel.getHeadDim()} {}

  // A softmax in memory: the best score, the total, the sums.
  int64_t softmaxBytes() const { return (2 + cache.headDim) * 4; }
  int64_t queryBytes() const { return CacheLanes::paddedChannels(cache) * 4; }
  int64_t sharedBytes(int64_t warps) const { return tile::alignTo(group * queryBytes(), 16) + tile::alignTo(warps * group * softmaxBytes(), 16); }
  // A head's sums live in registers, queries and the warps' softmaxes in shared memory.
  bool fits(int64_t warps) const { return group * (2 + CacheLanes::sumsOfLane(cache)) <= kMostValues && sharedBytes(warps) <= kMostShared; }
};

// A softmax over some positions: the largest score, the sum of the weights, and the lane's sums of weighted values.
struct Softmax {
  Value best, total;
  Values sums;
};

// Which blocks of the cache a block of threads has: `count`, of which number i is `first` + i, or one of the units of a part.
struct Blocks {
  Value first, skip, count; // the warps share numbers [skip, count)
  bool inUnits = false;

  Value number(KernelBuilder &b, Value i) const {
    if (!inUnits)
      return b.add(first, i);
    return b.add(first, b.add(b.mul(b.shiftRight(i, 4), b.constant(kPartBlocks * kParts)), b.bitAnd(i, kPartBlocks - 1)));
  }
};

class BlockAttend {
public:
  BlockAttend(BlockBuilder &b, const Attends &shape, Value groupNumber, Value position, Value q, Value state)
      : b(b), shape(shape), headDim(shape.cache.headDim), group(shape.group), lanes(b, shape.cache), head(b.mul(groupNumber, b.constant(group))),
        cacheOfLayer(b.global(state)) {
    kvHead = arith::DivUIOp::create(b, head, b.constant(shape.heads / shape.kvHeads));
    end = b.add(position, b.constant(1));
    first = b.constant(0);
    if (shape.window)
      first = arith::MaxSIOp::create(b, b.sub(end, b.constant(shape.window)), first);
    queries = b.shared(group * shape.queryBytes());
    parts = b.shared(b.warps() * group * shape.softmaxBytes());
    takeQueries(b.at(b.global(q), head, headDim * 4));
  }

  // Scores fall by these, f32 [heads], for each position back.
  void slant(Value perHead) {
    for (int64_t i = 0; i < group; ++i)
      slopes.push_back(b.load(b.getF32Type(), b.at(floatAt(b, b.global(perHead), head), 4 * i), 4));
  }

  // All positions; `out`: the token's row.
  void whole(Value out, Value sinks) {
    Value firstBlock = b.shiftRight(first, 4);
    attend({firstBlock, b.constant(0), b.sub(blocksEnd(), firstBlock)}, sinks);
    Value row = b.at(b.global(out), head, headDim * 4);
    merged([&](Value ofGroup, Value channel, Value, Value total, Value sum) {
      b.store(div(b, sum, total), b.at(floatAt(b, row, channel), ofGroup, headDim * 4), 4);
    });
  }

  // Those of part number `part`; `records`: of the part's heads.
  void part(Value part, Value records) {
    attend(blocksOf(part), {});
    Value ours = b.at(b.global(records), head, attendPartBytes(headDim));
    merged([&](Value ofGroup, Value channel, Value best, Value total, Value sum) {
      Value record = b.at(ours, ofGroup, attendPartBytes(headDim));
      b.onlyIf(b.compare(arith::CmpIPredicate::eq, channel, b.constant(0)), [&] {
        b.store(best, record, 4);
        b.store(total, b.at(record, 4), 4);
      });
      b.store(sum, b.at(record, channel, 4, attendPartBytes(0)), 4);
    });
  }

private:
  using State = SmallVector<Softmax, 4>; // of each head

  Value number(double value) { return b.constant(b.getF32Type(), value); }
  Value blocksEnd() { return b.shiftRight(b.add(end, b.constant(kCacheBlock - 1)), 4); }

  // Zeros follow the channels: loads of keys may go beyond them.
  void takeQueries(Value from) {
    int64_t padded = shape.queryBytes() / 4;
    b.eachThread(b.constant(group * padded), 1, [&](Value index) {
      Value ofGroup = arith::DivUIOp::create(b, index, b.constant(padded)), channel = arith::RemUIOp::create(b, index, b.constant(padded));
      Value exists = b.compare(arith::CmpIPredicate::slt, channel, b.constant(headDim));
      Value query = b.load(b.getF32Type(), b.at(floatAt(b, from, b.minimum(channel, b.constant(headDim - 1))), ofGroup, headDim * 4), 4);
      b.store(b.select(exists, query, number(0)), floatAt(b, queries, index), 4);
    });
    b.barrier();
  }

  // From the first unit of the part that is not all before what may be seen.
  Blocks blocksOf(Value part) {
    constexpr int64_t kRound = kPartBlocks * kParts;
    Value firstBlock = b.shiftRight(first, 4), unit = b.add(b.multipleBelow(firstBlock, kRound), b.mul(part, b.constant(kPartBlocks)));
    Value isBefore = b.compare(arith::CmpIPredicate::sle, b.add(unit, b.constant(kPartBlocks)), firstBlock);
    unit = b.add(unit, b.select(isBefore, b.constant(kRound), b.constant(0)));
    Value left = arith::MaxSIOp::create(b, b.sub(blocksEnd(), unit), b.constant(0));
    Value ofLast = b.minimum(b.bitAnd(left, kRound - 1), b.constant(kPartBlocks));
    Value count = b.add(b.shiftLeft(b.shiftRight(left, llvm::Log2_64(kRound)), 4), ofLast);
    return {unit, arith::MaxSIOp::create(b, b.sub(firstBlock, unit), b.constant(0)), count, true};
  }

  void attend(const Blocks &blocks, Value sinks) {
    Values last = b.rolledLoop(b.add(blocks.skip, b.warp()), blocks.count, b.warps(), flat(initial(sinks)), [&](Value i, ValueRange carried) {
      return flat(addBlock(blocks.number(b, i), structured(carried)));
    });
    leave(structured(last));
    b.barrier();
  }

  Values flat(const State &state) {
    Values all;
    for (const Softmax &softmax : state) {
      all.append({softmax.best, softmax.total});
      llvm::append_range(all, softmax.sums);
    }
    return all;
  }
  State structured(ValueRange all) {
    State state;
    auto sums = size_t(lanes.sumCount());
    for (int64_t i = 0; i < group; ++i, all = all.drop_front(2 + sums))
      state.push_back({all[0], all[1], Values(all.slice(2, sums))});
    return state;
  }

  // A sink is a score that is there from the start, of a value of zeros: the first warp's.
  State initial(Value sinks) {
    Value isFirst = b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0));
    State state;
    for (int64_t i = 0; i < group; ++i) {
      Softmax none{number(kMasked), number(0), Values(size_t(lanes.sumCount()), number(0))};
      if (sinks) {
        Value sink = b.load(b.getF32Type(), b.at(floatAt(b, b.global(sinks), head), 4 * i), 4);
        none.best = b.select(isFirst, sink, none.best);
        none.total = b.select(isFirst, number(1), none.total);
      }
      state.push_back(none);
    }
    return state;
  }

  // Over the 16 positions; both halves of the warp do the same.
  Value reduce(Value value, llvm::function_ref<Value(Value, Value)> combine) {
    for (int64_t mask = kCacheBlock / 2; mask; mask /= 2)
      value = combine(value, b.shuffleXor(value, mask));
    return value;
  }

  Value isSeen(Value at) {
    auto early = b.compare(arith::CmpIPredicate::sge, at, first), late = b.compare(arith::CmpIPredicate::slt, at, end);
    return arith::AndIOp::create(b, early, late);
  }

  // `behind`: the position less the token's own.
  Value scored(size_t ofGroup, Value dot, Value behind, Value seen) {
    Value score = b.mul(dot, number(shape.scale));
    if (shape.softcap > 0)
      score = softcap(b, score, shape.softcap);
    if (!slopes.empty())
      score = b.fma(b.toFloat(behind), slopes[ofGroup], score);
    return b.select(seen, score, number(kMasked));
  }

  State addBlock(Value block, State state) {
    Value keys = shape.cache.block(b, cacheOfLayer, block, kvHead), values = b.at(keys, shape.cache.sideBytes());
    Value from = b.mul(block, b.constant(kCacheBlock));
    Values loadedKeys = lanes.loadKeys(keys, 0), loadedValues = lanes.loadValues(values, 0);
    b.warpBarrier(); // loads stay before it: ptxas would have each just before its use, to save registers
    Value position = b.add(from, lanes.position()), seen = isSeen(position);
    Value behind = b.truncate(b.add(b.sub(position, end), b.constant(1)), b.getI32Type());
    Values weights;
    for (auto [i, dot, softmax] : llvm::enumerate(lanes.dots(keys, loadedKeys, queries, shape.queryBytes(), group), state)) {
      Value score = scored(i, dot, behind, seen);
      Value best = maximum(b, softmax.best, reduce(score, [&](Value x, Value y) { return maximum(b, x, y); }));
      Value fade = exponential(b, b.sub(softmax.best, best)), weight = b.select(seen, exponential(b, b.sub(score, best)), number(0));
      softmax.best = best;
      softmax.total = b.fma(softmax.total, fade, reduce(weight, [&](Value x, Value y) { return b.add(x, y); }));
      for (Value &sum : softmax.sums)
        sum = b.mul(sum, fade);
      weights.push_back(weight);
    }
    SmallVector<Values, 4> sums;
    for (Softmax &softmax : state)
      sums.push_back(softmax.sums);
    lanes.addValues(values, loadedValues, weights, [&](Value position) { return isSeen(b.add(from, position)); }, sums);
    for (auto [softmax, sum] : llvm::zip(state, sums))
      softmax.sums = sum;
    return state;
  }

  // [warps][group] softmaxes.
  Value partOf(Value warp, Value ofGroup) { return b.at(b.at(parts, warp, group * shape.softmaxBytes()), ofGroup, shape.softmaxBytes()); }

  void leave(const State &state) {
    for (auto [i, softmax] : llvm::enumerate(state)) {
      Value part = partOf(b.warp(), b.constant(int64_t(i)));
      b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.lane(), b.constant(0)), [&, &softmax = softmax] {
        b.store(softmax.best, part, 4);
        b.store(softmax.total, b.at(part, 4), 4);
      });
      lanes.storeSums(softmax.sums, b.at(part, 8));
    }
  }

  // Of each channel of each head what the warps have, together.
  void merged(llvm::function_ref<void(Value ofGroup, Value channel, Value best, Value total, Value sum)> use) {
    b.eachThread(b.constant(group * headDim), 1, [&](Value index) {
      Value ofGroup = arith::DivUIOp::create(b, index, b.constant(headDim)), channel = arith::RemUIOp::create(b, index, b.constant(headDim));
      Values bests;
      Value best = number(kMasked), total = number(0), sum = number(0);
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        bests.push_back(b.load(b.getF32Type(), partOf(b.constant(warp), ofGroup), 4));
        best = maximum(b, best, bests.back());
      }
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        Value part = partOf(b.constant(warp), ofGroup), factor = exponential(b, b.sub(bests[size_t(warp)], best));
        total = b.fma(b.load(b.getF32Type(), b.at(part, 4), 4), factor, total);
        sum = b.fma(b.load(b.getF32Type(), b.at(part, channel, 4, 8), 4), factor, sum);
      }
      use(ofGroup, channel, best, total, sum);
    });
  }

  BlockBuilder &b;
  const Attends &shape;
  const int64_t headDim, group;
  CacheLanes lanes;
  Value head, cacheOfLayer, kvHead, first, end;
  Value queries, parts; // shared
  Values slopes;        // empty: none
};

void emitBlockAttend(BlockBuilder &b, tile::AttendAttr kernel) {
  Attends shape(kernel);
  BlockAttend attend(b, shape, b.argument(0), b.argument(1), b.argument(2), b.argument(3));
  if (kernel.getSlopes())
    attend.slant(b.argument(kernel.getSinks() ? 7 : 6));
  attend.whole(b.argument(4), kernel.getSinks() ? b.argument(6) : Value());
}

void emitBlockPart(BlockBuilder &b, tile::AttendRunsAttr kernel) {
  Attends shape(kernel);
  Value groups = b.constant(shape.heads / shape.group);
  Value part = arith::DivUIOp::create(b, b.argument(0), groups), groupNumber = arith::RemUIOp::create(b, b.argument(0), groups);
  auto entry = [&](unsigned argument) { return b.extendSigned(b.load(b.getI32Type(), b.global(b.argument(argument)), 4), b.getI64Type()); };
  auto address = [&](unsigned argument) { return LLVM::PtrToIntOp::create(b, b.getI64Type(), b.argument(argument)).getResult(); };
  Value state = b.at(b.argument(5), b.mul(entry(3), b.sub(address(6), address(5))), 1);
  BlockAttend attend(b, shape, groupNumber, entry(2), b.argument(4), state);
  if (kernel.getSlopes())
    attend.slant(b.argument(9));
  attend.part(part, b.at(b.argument(7), part, shape.heads * attendPartBytes(shape.cache.headDim)));
}

// A thread has four neighbouring channels of a head, or one; the parts' are loaded before any is added.
class MergeParts {
public:
  MergeParts(BlockBuilder &b, tile::MergePartsAttr kernel)
      : b(b), kernel(kernel), headDim(kernel.getHeadDim()), width(headDim % 4 ? 1 : 4), parts(b.global(b.argument(1))) {
    Value units = b.add(b.shiftRight(b.argument(0), 8), b.constant(1));
    last = b.sub(b.minimum(units, b.constant(kParts)), b.constant(1));
  }

  void emit() {
    int64_t ofHead = headDim / width;
    Value out = b.global(b.argument(2));
    b.eachThread(b.constant(kernel.getHeads() * ofHead), 1, [&](Value index) {
      Value head = arith::DivUIOp::create(b, index, b.constant(ofHead)), channel = b.mul(arith::RemUIOp::create(b, index, b.constant(ofHead)), b.constant(width));
      b.store(merge(head, channel), b.at(out, index, 4 * width), unsigned(4 * width));
    });
  }

private:
  Value number(double value) { return b.constant(b.getF32Type(), value); }

  Value merge(Value head, Value channel) {
    Type type = width == 1 ? Type(b.getF32Type()) : b.floats(width);
    Values bests, totals, sums;
    for (int64_t part = 0; part < kParts; ++part) {
      Value record = b.at(b.at(parts, b.minimum(b.constant(part), last), kernel.getHeads() * attendPartBytes(headDim)), head, attendPartBytes(headDim));
      bests.push_back(b.load(b.getF32Type(), record, 4));
      totals.push_back(b.load(b.getF32Type(), b.at(record, 4), 4));
      sums.push_back(b.load(type, b.at(record, channel, 4, attendPartBytes(0)), unsigned(4 * width)));
    }
    Value sink = kernel.getSinks() ? b.load(b.getF32Type(), floatAt(b, b.global(b.argument(3)), head), 4) : Value();
    Value best = sink ? sink : number(kMasked); // parts that are not there are those of the last again, without weight
    for (Value of : bests)
      best = maximum(b, best, of);
    Value total = sink ? exponential(b, b.sub(sink, best)) : number(0), sum = b.constant(type, 0.0);
    for (int64_t part = 0; part < kParts; ++part) {
      Value exists = b.compare(arith::CmpIPredicate::sle, b.constant(part), last);
      Value factor = b.select(exists, exponential(b, b.sub(bests[size_t(part)], best)), number(0));
      total = b.fma(totals[size_t(part)], factor, total);
      sum = b.fma(sums[size_t(part)], splat(b, factor, type), sum);
    }
    return b.mul(sum, splat(b, div(b, number(1), total), type));
  }

  BlockBuilder &b;
  tile::MergePartsAttr kernel;
  const int64_t headDim, width;
  Value parts, last;
};

void emitBlockMerge(BlockBuilder &b, tile::MergePartsAttr kernel) { MergeParts(b, kernel).emit(); }

// Biases by distance and masks that look ahead are for one thread.
bool takesAttend(Attribute attribute, tile::TargetAttr target) {
  auto kernel = cast<tile::AttendAttr>(attribute);
  return !kernel.getReach() && kernel.getMask() == llm::Mask::causal && Attends(kernel).fits(target.getThreads() / kWarp);
}
bool takesPart(Attribute attribute, tile::TargetAttr target) {
  auto kernel = cast<tile::AttendRunsAttr>(attribute);
  return kernel.getPartial() && Attends(kernel).fits(target.getThreads() / kWarp);
}

} // namespace

int64_t blockAttendGroup(Type element, int64_t headDim, int64_t shared, tile::TargetAttr target) {
  constexpr int64_t kMostHeads = 4, kMostSums = 16; // two blocks of a multiprocessor have 128 registers a thread
  CacheShape cache{element, 1, headDim};
  for (int64_t group = std::min(shared, kMostHeads); group > 0; --group) {
    auto kernel = tile::AttendAttr::get(element.getContext(), group, 1, headDim, element, 1.0, 0, 0.0, false, group, false, 0, llm::Mask::causal);
    if (shared % group == 0 && (group == 1 || group * CacheLanes::sumsOfLane(cache) <= kMostSums) && takesAttend(kernel, target))
      return group;
  }
  return 0;
}

ArrayRef<BlockKind> blockDecodeKinds() {
  static const BlockKind kinds[] = {blockKind<tile::AttendAttr, emitBlockAttend>(takesAttend), blockKind<tile::AttendRunsAttr, emitBlockPart>(takesPart),
                                    blockKind<tile::MergePartsAttr, emitBlockMerge>()};
  return kinds;
}

} // namespace llmc::kernels
