// Attention of a token's heads to its cache, by a block.
//
// The warps share out the cache's blocks of 16 positions, each with a softmax of its own; the softmaxes are merged in ascending order. A lane has
// a position while it makes scores, with half of the channels, and channels lane, lane + 32, … while it adds values.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr double kMasked = -1.0e30; // score of a position that may not be seen
constexpr int64_t kUnrolledChannels = 8, kUnrolledPositions = 4;

// A softmax over some positions: the largest score, the sum of the weights, and the lane's sums of weighted values.
struct Softmax {
  Value best, total;
  Values sums;
};

class BlockAttend {
public:
  BlockAttend(BlockBuilder &b, tile::AttendAttr kernel)
      : b(b), kernel(kernel), cache{kernel.getElement(), kernel.getKvHeads(), kernel.getHeadDim()}, headDim(kernel.getHeadDim()),
        group(kernel.getGroup()), slots((headDim + kWarp - 1) / kWarp), position(b.bitAnd(b.lane(), kCacheBlock - 1)), half(b.shiftRight(b.lane(), 4)),
        head(b.mul(b.argument(0), b.constant(group))) {
    kvHead = arith::DivUIOp::create(b, head, b.constant(kernel.getHeads() / kernel.getKvHeads()));
    end = b.add(b.argument(1), b.constant(1));
    first = b.constant(0);
    if (int64_t window = kernel.getWindow())
      first = arith::MaxSIOp::create(b, b.sub(end, b.constant(window)), first);
    queries = b.at(b.global(b.argument(2)), head, headDim * 4);
  }

  static int64_t sharedBytes(tile::AttendAttr kernel, int64_t warps) { return warps * kernel.getGroup() * (2 + kernel.getHeadDim()) * 4; }

  void emit() {
    Value block = b.add(b.shiftRight(first, 4), b.warp()), blocks = b.shiftRight(b.add(end, b.constant(kCacheBlock - 1)), 4);
    Values last = b.rolledLoop(block, blocks, b.warps(), flat(initial()),
                               [&](Value block, ValueRange carried) { return flat(addBlock(block, structured(carried))); });
    Value parts = b.shared(sharedBytes(kernel, b.warps()));
    leave(structured(last), parts);
    b.barrier();
    merge(parts);
  }

private:
  using State = SmallVector<Softmax, 4>; // of each head

  Value number(double value) { return b.constant(b.getF32Type(), value); }
  Value element(Value pointer) {
    if (!cache.element.isF16())
      return b.load(b.getF32Type(), pointer, 4);
    return arith::ExtFOp::create(b, b.getF32Type(), b.load(b.getF16Type(), pointer, 2));
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
    for (int64_t i = 0; i < group; ++i, all = all.drop_front(size_t(2 + slots)))
      state.push_back({all[0], all[1], Values(all.slice(2, size_t(slots)))});
    return state;
  }

  // A sink is a score that is there from the start, of a value of zeros: the first warp's.
  State initial() {
    Value isFirst = b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0));
    State state;
    for (int64_t i = 0; i < group; ++i) {
      Softmax none{number(kMasked), number(0), Values(size_t(slots), number(0))};
      if (kernel.getSinks()) {
        Value sink = b.load(b.getF32Type(), floatAt(b, b.global(b.argument(6)), b.add(head, b.constant(i))), 4);
        none.best = b.select(isFirst, sink, none.best);
        none.total = b.select(isFirst, number(1), none.total);
      }
      state.push_back(none);
    }
    return state;
  }

  // Adds what the keys' channels `pair` * 2 + half give to the lane's scores.
  Values addChannel(Value keys, Value pair, ValueRange dots) {
    Value channel = b.add(b.mul(pair, b.constant(2)), half), isThere;
    if (headDim % 2) {
      isThere = b.compare(arith::CmpIPredicate::slt, channel, b.constant(headDim));
      channel = b.minimum(channel, b.constant(headDim - 1));
    }
    Value key = element(b.at(b.at(keys, channel, kCacheBlock * cache.elementBytes()), position, cache.elementBytes()));
    Values next;
    for (int64_t i = 0; i < group; ++i) {
      Value query = b.load(b.getF32Type(), floatAt(b, b.at(queries, i * headDim * 4), channel), 4);
      Value sum = b.fma(query, key, dots[size_t(i)]);
      next.push_back(isThere ? b.select(isThere, sum, dots[size_t(i)]) : sum);
    }
    return next;
  }

  Values dots(Value keys) {
    int64_t pairs = (headDim + 1) / 2, whole = pairs / kUnrolledChannels * kUnrolledChannels;
    Values sums(size_t(group), number(0));
    auto some = [&](Value pair, int64_t count, ValueRange carried) {
      Values next(carried.begin(), carried.end());
      for (int64_t i = 0; i < count; ++i)
        next = addChannel(keys, b.add(pair, b.constant(i)), next);
      return next;
    };
    if (whole)
      sums = b.rolledLoop(b.constant(0), b.constant(whole), kUnrolledChannels, sums,
                          [&](Value pair, ValueRange carried) { return some(pair, kUnrolledChannels, carried); });
    sums = some(b.constant(whole), pairs - whole, sums);
    for (Value &sum : sums)
      sum = b.add(sum, b.shuffleXor(sum, kCacheBlock));
    return sums;
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

  Value scored(Value dot, Value seen) {
    Value score = b.mul(dot, number(kernel.getScale().value));
    if (double cap = kernel.getSoftcap().value; cap > 0)
      score = softcap(b, score, cap);
    return b.select(seen, score, number(kMasked));
  }

  State addBlock(Value block, State state) {
    Value keys = b.global(cache.block(b, b.argument(3), block, kvHead)), from = b.mul(block, b.constant(kCacheBlock));
    Value seen = isSeen(b.add(from, position));
    Values weights;
    for (auto [dot, softmax] : llvm::zip(dots(keys), state)) {
      Value score = scored(dot, seen);
      Value best = maximum(b, softmax.best, reduce(score, [&](Value x, Value y) { return maximum(b, x, y); }));
      Value fade = exponential(b, b.sub(softmax.best, best)), weight = b.select(seen, exponential(b, b.sub(score, best)), number(0));
      softmax.best = best;
      softmax.total = b.fma(softmax.total, fade, reduce(weight, [&](Value x, Value y) { return b.add(x, y); }));
      for (Value &sum : softmax.sums)
        sum = b.mul(sum, fade);
      weights.push_back(weight);
    }
    return addValues(b.at(keys, cache.sideBytes()), from, weights, state);
  }

  // What no token has written may be anything: weights of 0 would not undo it.
  Values valuesOf(Value row, Value seen) {
    Values values;
    for (int64_t slot = 0; slot < slots; ++slot) {
      Value channel = b.add(b.lane(), b.constant(slot * kWarp));
      if ((slot + 1) * kWarp > headDim)
        channel = b.minimum(channel, b.constant(headDim - 1));
      values.push_back(b.select(seen, element(b.at(row, channel, cache.elementBytes())), number(0)));
    }
    return values;
  }

  State addValues(Value rows, Value from, ValueRange weights, const State &state) {
    Values all = b.rolledLoop(b.constant(0), b.constant(kCacheBlock), kUnrolledPositions, flat(state), [&](Value start, ValueRange carried) {
      State next = structured(carried);
      for (int64_t i = 0; i < kUnrolledPositions; ++i) {
        Value lane = b.add(start, b.constant(i));
        Values values = valuesOf(b.at(rows, lane, cache.rowBytes()), isSeen(b.add(from, lane)));
        for (auto [softmax, weight] : llvm::zip(next, weights)) {
          Value ofPosition = b.shuffleFrom(weight, lane);
          for (auto [sum, value] : llvm::zip(softmax.sums, values))
            sum = b.fma(ofPosition, value, sum);
        }
      }
      return flat(next);
    });
    return structured(all);
  }

  // parts: [warps][group][best, total, head_dim sums].
  Value partOf(Value parts, Value warp, Value headOfGroup) {
    return b.at(b.at(parts, warp, group * (2 + headDim) * 4), headOfGroup, (2 + headDim) * 4);
  }

  void leave(const State &state, Value parts) {
    for (auto [i, softmax] : llvm::enumerate(state)) {
      Value part = partOf(parts, b.warp(), b.constant(int64_t(i)));
      b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.lane(), b.constant(0)), [&, &softmax = softmax] {
        b.store(softmax.best, part, 4);
        b.store(softmax.total, b.at(part, 4), 4);
      });
      for (auto [slot, sum] : llvm::enumerate(softmax.sums)) {
        Value channel = b.add(b.lane(), b.constant(int64_t(slot) * kWarp));
        b.onlyIf(b.compare(arith::CmpIPredicate::slt, channel, b.constant(headDim)),
                 [&, &sum = sum] { b.store(sum, b.at(part, channel, 4, 8), 4); });
      }
    }
  }

  void merge(Value parts) {
    Value out = b.at(b.global(b.argument(4)), head, headDim * 4);
    b.eachThread(b.constant(group * headDim), 1, [&](Value index) {
      Value ofGroup = arith::DivUIOp::create(b, index, b.constant(headDim)), channel = arith::RemUIOp::create(b, index, b.constant(headDim));
      Values bests;
      Value best = number(kMasked), total = number(0), sum = number(0);
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        bests.push_back(b.load(b.getF32Type(), partOf(parts, b.constant(warp), ofGroup), 4));
        best = maximum(b, best, bests.back());
      }
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        Value part = partOf(parts, b.constant(warp), ofGroup), factor = exponential(b, b.sub(bests[size_t(warp)], best));
        total = b.fma(b.load(b.getF32Type(), b.at(part, 4), 4), factor, total);
        sum = b.fma(b.load(b.getF32Type(), b.at(part, channel, 4, 8), 4), factor, sum);
      }
      b.store(div(b, sum, total), floatAt(b, out, index), 4);
    });
  }

  BlockBuilder &b;
  tile::AttendAttr kernel;
  CacheShape cache;
  const int64_t headDim, group, slots;
  Value position, half; // of the lane, while it makes scores
  Value head, kvHead, first, end, queries;
};

// A head's sums live in registers, the warps' softmaxes in shared memory.
bool takesAttend(Attribute attribute, tile::TargetAttr target) {
  constexpr int64_t kMostValues = 72, kMostShared = 48 << 10;
  auto kernel = cast<tile::AttendAttr>(attribute);
  int64_t values = kernel.getGroup() * (2 + (kernel.getHeadDim() + kWarp - 1) / kWarp);
  return !llm::isQ8Cache(kernel.getElement()) && values <= kMostValues && BlockAttend::sharedBytes(kernel, target.getThreads() / kWarp) <= kMostShared;
}

void emitBlockAttend(BlockBuilder &b, tile::AttendAttr kernel) { BlockAttend(b, kernel).emit(); }

} // namespace

ArrayRef<BlockKind> blockAttentionKinds() {
  static const BlockKind kinds[] = {blockKind<tile::AttendAttr, emitBlockAttend>(takesAttend)};
  return kinds;
}

} // namespace llmc::kernels
