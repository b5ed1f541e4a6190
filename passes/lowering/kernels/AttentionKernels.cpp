// Attention: append a token's keys and values to the cache, and attend to it.
//
// cache: see CacheBlock.h. One of q8_0 is read as the float32 numbers that it stands for.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kBlock = kCacheBlock;
constexpr int64_t kSpan = 64;                 // positions between two rescalings of the softmax
constexpr int64_t kBlocksOfSpan = kSpan / kBlock;
constexpr double kMasked = -1.0e30;           // score of a position that may not be seen

//===----------------------------------------------------------------------===//
// Prepare
//===----------------------------------------------------------------------===//

// A position's keys lie in all lines of the block, which nobody has read since the position before: better all at once than one
// store after the other.
void askForKeys(KernelBuilder &b, const CacheShape &cache, Value block) {
  b.loop(b.constant(0), b.constant(cache.sideBytes()), tile::kAlignment, [&](Value byte) { b.prefetch(b.at(block, byte, 1)); });
}

void appendFloats(KernelBuilder &b, const CacheShape &cache, Value block, Value lane, Value key, Value value) {
  int64_t bytes = cache.elementBytes();
  Value keys = b.at(block, lane, bytes), values = b.at(b.at(block, cache.sideBytes()), lane, cache.rowBytes());
  forChannels(b, cache.headDim, [&](Value index, VectorType type) {
    Value number = b.load(type, floatAt(b, value, index), 4);
    storeAs(b, cache.element.isF16() ? finiteHalf(b, number) : number, cache.element, b.at(values, index, bytes));
  });
  b.loop(b.constant(0), b.constant(cache.headDim), 1, [&](Value index) {
    Value one = b.broadcast(b.load(b.getF32Type(), floatAt(b, key, index), 4), b.floats(1));
    storeAs(b, one, cache.element, b.at(keys, index, kBlock * bytes));
  });
}

} // namespace

static void prepareHead(KernelBuilder &b, tile::PrepareAttr kernel, Value head) {
  Value position = b.argument(1), q = b.argument(2), k = b.argument(3), v = b.argument(4);
  int64_t headDim = kernel.getHeadDim();
  unsigned next = 6;
  Value table = kernel.getRotary() ? b.argument(next++) : Value();
  Value qGain = kernel.getNorm() ? b.argument(next++) : Value(), kGain = kernel.getNorm() ? b.argument(next++) : Value();
  auto turn = [&](Value row, Value gain) {
    if (gain)
      normalise(b, headDim, kernel.getNorm(), row, gain, {}, row);
    if (table)
      rotate(b, headDim, kernel.getRotary(), row, table, row);
  };
  Value isQuery = b.compare(arith::CmpIPredicate::slt, head, b.constant(kernel.getHeads()));
  auto branch = scf::IfOp::create(b, isQuery, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  turn(b.at(q, head, headDim * 4), qGain);
  b.setInsertionPoint(branch.elseYield());
  Value kvHead = b.sub(head, b.constant(kernel.getHeads()));
  CacheShape cache{kernel.getElement(), kernel.getKvHeads(), headDim};
  Value block = cache.block(b, b.argument(5), arith::DivUIOp::create(b, position, b.constant(kBlock)), kvHead);
  askForKeys(b, cache, block);
  Value key = b.at(k, kvHead, headDim * 4);
  turn(key, kGain);
  Value lane = arith::RemUIOp::create(b, position, b.constant(kBlock)), value = b.at(v, kvHead, headDim * 4);
  cache.isQ8() ? appendQ8(b, cache, block, lane, key, value) : appendFloats(b, cache, block, lane, key, value);
}

void emitPrepare(KernelBuilder &b, tile::PrepareAttr kernel) {
  forHeadsOfTile(b, b.argument(0), kernel.getGroup(), kernel.getHeads() + kernel.getKvHeads(), [&](Value head) { prepareHead(b, kernel, head); });
}

//===----------------------------------------------------------------------===//
// Attend
//===----------------------------------------------------------------------===//

namespace {

// The queries of `group` heads that share the keys and values of `kvHead`.
struct Attend {
  KernelBuilder &b;
  tile::AttendAttr kernel;
  CacheShape cache;
  Value base, kvHead, queries, scores, sums; // queries, sums: [group][head_dim]; scores: [group][64]; the last two scratch
  Value first, end;                    // positions that may be seen: [first, end)
  Value position;                      // of the token
  Values slopes, biases;               // of the heads, by distance; empty: none

  int64_t group() const { return kernel.getGroup(); }
  Value scoresOf(int64_t head) { return b.at(scores, head * kSpan * 4); }
  Value sumsOf(int64_t head) { return b.at(sums, head * cache.headDim * 4); }
  Value blockOf(Value block) { return cache.block(b, base, block, kvHead); }

  // Adds the product of channel `index` of every query with `keys`, of 16 positions each.
  Values addProducts(Value index, ValueRange keys, ValueRange sums) {
    Values next;
    for (int64_t head = 0; head < group(); ++head) {
      Value q = b.loadBroadcast(b.floats(kBlock), b.getF32Type(), floatAt(b, b.at(queries, head * cache.headDim * 4), index));
      for (Value key : keys)
        next.push_back(b.fma(key, q, sums[next.size()]));
    }
    return next;
  }

  // Products of every query with the keys of `blocks`.
  Values dots(ValueRange blocks, ValueRange zeros) {
    if (cache.isQ8())
      return dotsOfBytes(blocks, zeros);
    return b.loop(b.constant(0), b.constant(cache.headDim), 1, zeros, [&](Value index, ValueRange carried) {
      Values keys;
      for (Value block : blocks)
        keys.push_back(loadAs(b, kBlock, cache.element, b.at(block, index, kBlock * cache.elementBytes())));
      return addProducts(index, keys, carried);
    });
  }

  Values dotsOfBytes(ValueRange blocks, ValueRange zeros) {
    return forGroups(b, cache.headDim, zeros, [&](Value group, int64_t channels, ValueRange carried) {
      Values scales;
      for (Value block : blocks)
        scales.push_back(b.loadHalves(kBlock, cache.scales(b, block, group)));
      Value first = b.mul(group, b.constant(llm::kCacheGroup / 4)), end = b.add(first, b.constant(channels / 4));
      Values sums(carried.begin(), carried.end());
      if (channels >= 4)
        sums = b.loop(first, end, 1, sums, [&](Value quad, ValueRange sums) { return addQuad(quad, 4, blocks, scales, sums); });
      return channels % 4 ? addQuad(end, channels % 4, blocks, scales, sums) : sums;
    });
  }

  // Channels of a quad follow one another in the bytes of a word, the first one lowest.
  Values addQuad(Value quad, int64_t channels, ValueRange blocks, ValueRange scales, ValueRange carried) {
    Values words, sums(carried.begin(), carried.end());
    for (Value block : blocks)
      words.push_back(b.bitcast(b.bitXor(b.load(b.bytes(kQuadBytes), b.at(block, quad, kQuadBytes)), 0x80), b.words(kBlock)));
    for (int64_t channel = 0; channel < channels; ++channel) {
      Values keys;
      for (auto [word, scale] : llvm::zip(words, scales))
        keys.push_back(b.mul(b.toFloat(b.shiftRightArithmetic(b.shiftLeft(word, 24 - 8 * channel), 24)), scale));
      sums = addProducts(b.add(b.mul(quad, b.constant(4)), b.constant(channel)), keys, sums);
    }
    return sums;
  }

  // Scores of `count` blocks of 16 positions from `start` on, side by side so that their sums overlap; the maximum of each head.
  Values score(Value start, int64_t count, ValueRange best) {
    VectorType lanes = b.floats(kBlock);
    Values blocks, zeros(count * group(), b.constant(lanes, 0.0));
    Value block = arith::DivUIOp::create(b, start, b.constant(kBlock));
    for (int64_t i = 0; i < count; ++i)
      blocks.push_back(blockOf(b.add(block, b.constant(i))));
    Values result(best.begin(), best.end());
    for (auto [n, dot] : llvm::enumerate(dots(blocks, zeros))) {
      int64_t head = int64_t(n) / count, i = int64_t(n) % count;
      Value from = b.add(start, b.constant(i * kBlock));
      Value masked = mask(biased(slanted(finish(dot), head, from), head, from), from);
      Value slot = arith::RemUIOp::create(b, from, b.constant(kSpan));
      b.store(masked, floatAt(b, scoresOf(head), slot), 4);
      result[head] = maximum(b, result[head], masked);
    }
    return result;
  }

  Value finish(Value dot) {
    Value score = b.mul(dot, b.constant(dot.getType(), kernel.getScale().value));
    if (double cap = kernel.getSoftcap().value; cap > 0)
      score = b.mul(b.constant(score.getType(), cap), hyperbolicTangent(b, div(b, score, b.constant(score.getType(), cap))));
    return score;
  }

  // Scores of 16 positions from `from` on, less what those further back lose.
  Value slanted(Value score, int64_t head, Value from) {
    if (slopes.empty())
      return score;
    SmallVector<int32_t> steps = llvm::to_vector(llvm::seq<int32_t>(0, kBlock));
    Value lane = arith::ConstantOp::create(b, DenseElementsAttr::get(b.words(kBlock), ArrayRef<int32_t>(steps)));
    Value behind = b.truncate(b.sub(from, position), b.getI32Type());
    return b.fma(b.toFloat(b.add(b.broadcast(behind, b.words(kBlock)), lane)), slopes[size_t(head)], score);
  }

  // The 16 numbers from the distance of `from` on; beyond the table's ends all are like those there.
  Value biased(Value score, int64_t head, Value from) {
    if (biases.empty())
      return score;
    int64_t reach = kernel.getReach();
    Value distance = b.sub(from, position);
    Value start = arith::MaxSIOp::create(b, arith::MinSIOp::create(b, distance, b.constant(reach - kBlock + 1)), b.constant(-reach));
    return b.add(score, b.load(b.floats(kBlock), floatAt(b, biases[size_t(head)], b.add(start, b.constant(reach))), 4));
  }

  Value mask(Value score, Value from) {
    auto positions = VectorType::get(kBlock, b.getI64Type());
    SmallVector<int64_t> steps = llvm::to_vector(llvm::seq<int64_t>(0, kBlock));
    Value lane = arith::ConstantOp::create(b, DenseElementsAttr::get(positions, ArrayRef<int64_t>(steps)));
    Value position = b.add(b.broadcast(from, positions), lane);
    Value early = b.compare(arith::CmpIPredicate::sge, position, b.broadcast(first, positions));
    Value late = b.compare(arith::CmpIPredicate::slt, position, b.broadcast(end, positions));
    return b.select(arith::AndIOp::create(b, early, late), score, b.constant(score.getType(), kMasked));
  }

  // Scores of the span [start, start + 64), as far as it may be seen. Returns the maximum of each head.
  Values spanScores(Value start) {
    Values none(group(), b.constant(b.floats(kBlock), kMasked));
    // As many sums as leave registers for keys and a query.
    int64_t blocks = std::clamp<int64_t>(16 / group(), 1, kBlocksOfSpan);
    Value whole = b.compare(arith::CmpIPredicate::sge, b.sub(end, start), b.constant(kSpan));
    auto branch = scf::IfOp::create(b, ValueRange(none).getTypes(), whole, /*addThenBlock=*/true, /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    Values best = none;
    for (int64_t block = 0; block < kBlocksOfSpan; block += blocks)
      best = score(b.add(start, b.constant(block * kBlock)), std::min(blocks, kBlocksOfSpan - block), best);
    scf::YieldOp::create(b, best);
    b.setInsertionPointToStart(branch.elseBlock());
    best = b.loop(start, end, kBlock, none, [&](Value from, ValueRange carried) { return score(from, 1, carried); });
    scf::YieldOp::create(b, best);
    return Values(branch.getResults());
  }

  // Turns scores of a head into weights exp(score - best); returns their sum.
  Value weigh(int64_t head, Value start, Value best) {
    Value count = arith::MinSIOp::create(b, b.sub(end, start), b.constant(kSpan));
    VectorType lanes = b.floats(kBlock);
    Values total = b.loop(b.constant(0), count, kBlock, ValueRange{b.constant(lanes, 0.0)}, [&](Value index, ValueRange carried) {
      Value at = floatAt(b, scoresOf(head), index);
      Value weight = exponential(b, b.sub(b.load(lanes, at, 4), b.broadcast(best, lanes)));
      b.store(weight, at, 4);
      return Values{b.add(carried[0], weight)};
    });
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, total[0], arith::FastMathFlags::reassoc);
  }

  // Channels [channel, channel + width), all of one group, of position `lane` of a block.
  Value valuesAt(Value side, Value lane, int64_t channel, int64_t width) {
    if (!cache.isQ8())
      return loadAs(b, width, cache.element, b.at(b.at(side, lane, cache.rowBytes()), channel * cache.elementBytes()));
    Value pairs = b.extendSigned(b.load(b.halves(width), b.at(b.at(side, b.shiftRight(lane, 1), 2 * cache.channels()), channel * 2), 2), b.getI32Type());
    Value isSecond = b.compare(arith::CmpIPredicate::ne, b.bitAnd(lane, 1), b.constant(0));
    Value number = b.shiftRightArithmetic(b.select(isSecond, b.shiftLeft(pairs, 16), b.shiftLeft(pairs, 24)), 24);
    Value scale = b.loadHalves(1, b.at(cache.scales(b, side, b.constant(channel / llm::kCacheGroup)), lane, 2));
    return b.mul(b.toFloat(number), b.broadcast(vector::ExtractOp::create(b, scale, ArrayRef<int64_t>{0}), b.floats(width)));
  }

  // sums = sums * fade + weights . values of every head, for channels [channel, channel + widths).
  void mix(Value start, ValueRange fades, int64_t channel, ArrayRef<int64_t> widths) {
    auto eachSum = [&](auto visit) {
      for (int64_t head = 0; head < group(); ++head) {
        int64_t at = channel;
        for (int64_t width : widths) {
          visit(head, b.floats(width), b.at(sumsOf(head), at * 4));
          at += width;
        }
      }
    };
    Values initial;
    eachSum([&](int64_t head, VectorType type, Value at) {
      initial.push_back(b.mul(b.load(type, at, 4), b.broadcast(fades[head], type)));
    });
    Value from = arith::MaxSIOp::create(b, start, first);
    Value to = arith::MinSIOp::create(b, end, b.add(start, b.constant(kSpan)));
    Values mixed = b.loop(from, to, 1, initial, [&](Value position, ValueRange carried) {
      Value block = blockOf(arith::DivUIOp::create(b, position, b.constant(kBlock)));
      Value lane = arith::RemUIOp::create(b, position, b.constant(kBlock));
      Value slot = arith::RemUIOp::create(b, position, b.constant(kSpan));
      Values values, next;
      int64_t at = channel;
      for (int64_t width : widths) {
        values.push_back(valuesAt(b.at(block, cache.sideBytes()), lane, at, width));
        at += width;
      }
      for (int64_t head = 0; head < group(); ++head) {
        Value weight = b.load(b.getF32Type(), floatAt(b, scoresOf(head), slot), 4);
        for (Value value : values)
          next.push_back(b.fma(b.broadcast(weight, cast<VectorType>(value.getType())), value, carried[next.size()]));
      }
      return next;
    });
    size_t next = 0;
    eachSum([&](int64_t, VectorType, Value at) { b.store(mixed[next++], at, 4); });
  }

  void mixAll(Value start, ValueRange fades) {
    size_t most = size_t(std::clamp<int64_t>(16 / group(), 1, 4)); // vectors of each head: as many sums as leave registers
    int64_t channel = 0;
    while (channel < cache.headDim) {
      SmallVector<int64_t> widths;
      int64_t left = cache.headDim - channel;
      for (; widths.size() < most && left >= kLanes; left -= kLanes)
        widths.push_back(kLanes);
      if (widths.empty())
        widths.push_back(left);
      mix(start, fades, channel, widths);
      for (int64_t width : widths)
        channel += width;
    }
  }

  // Adds a span of 64 positions to the sums. `state`: the largest score of each head, then the sum of its weights.
  Values addSpan(Value span, ValueRange state) {
    Values best, totals, fades, maxima = spanScores(span);
    for (int64_t head = 0; head < group(); ++head) {
      Value spanBest = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, maxima[head]);
      best.push_back(maximum(b, state[head], spanBest));
      fades.push_back(exponential(b, b.sub(state[head], best[head])));
      totals.push_back(b.add(b.mul(state[group() + head], fades[head]), weigh(head, span, best[head])));
    }
    mixAll(span, fades);
    best.append(totals);
    return best;
  }
};

} // namespace

void emitRelativeBias(KernelBuilder &b, tile::RelativeBiasAttr kernel) {
  Value weights = b.at(b.argument(2), b.argument(0), kernel.getHeads() * 4), to = floatAt(b, b.argument(3), b.argument(1));
  b.loop(b.constant(0), b.constant(kernel.getHeads()), 1, [&](Value head) {
    b.store(b.load(b.getF32Type(), floatAt(b, weights, head), 4), b.at(to, head, kernel.getDistances() * 4), 4);
  });
}

// Softmax in one pass over the cache: sums are rescaled when the maximum grows. Source: arXiv:1805.02867.
void emitAttend(KernelBuilder &b, tile::AttendAttr kernel) {
  int64_t headDim = kernel.getHeadDim(), group = kernel.getGroup();
  Value head = b.mul(b.argument(0), b.constant(group)), position = b.argument(1), out = b.argument(4), scratch = b.argument(5);
  Type f32 = b.getF32Type();
  CacheShape cache{kernel.getElement(), kernel.getKvHeads(), headDim};
  Value kvHead = arith::DivUIOp::create(b, head, b.constant(kernel.getHeads() / kernel.getKvHeads()));
  unsigned next = 6;
  auto optional = [&](bool isThere) { return isThere ? b.argument(next++) : Value(); };
  Value sinks = optional(kernel.getSinks()), slopes = optional(kernel.getSlopes()), bias = optional(kernel.getReach() > 0);
  bool isFull = kernel.getMask() == llm::Mask::full;
  Value after = b.add(position, b.constant(1)), end = isFull ? b.argument(next) : after, first = b.constant(0);
  if (int64_t window = kernel.getWindow()) {
    first = arith::MaxSIOp::create(b, b.sub(after, b.constant(window)), first);
    if (isFull)
      end = arith::MinSIOp::create(b, end, b.add(position, b.constant(window)));
  }
  Attend attend{b, kernel, cache, b.argument(3), kvHead, b.at(b.argument(2), head, headDim * 4), scratch, b.at(scratch, group * kSpan * 4), first, end, position, {}, {}};
  for (int64_t i = 0; i < group; ++i) {
    Value number = b.add(head, b.constant(i));
    if (slopes)
      attend.slopes.push_back(b.loadBroadcast(b.floats(kBlock), f32, floatAt(b, slopes, number)));
    if (bias)
      attend.biases.push_back(b.at(bias, number, (2 * kernel.getReach() + 1) * 4));
  }

  forChannels(b, group * headDim, [&](Value index, VectorType type) { b.store(b.constant(type, 0.0), floatAt(b, attend.sums, index), 4); });
  Values best(group, b.constant(f32, kMasked)), totals(group, b.constant(f32, 0.0));
  for (int64_t i = 0; i < group && kernel.getSinks(); ++i) // a score that is there from the start, of a value of zeros
    best[i] = b.load(f32, floatAt(b, sinks, b.add(head, b.constant(i))), 4), totals[i] = b.constant(f32, 1.0);
  best.append(totals);
  Values last = b.loop(b.multipleBelow(first, kSpan), end, kSpan, best, [&](Value span, ValueRange state) { return attend.addSpan(span, state); });
  for (int64_t i = 0; i < group; ++i) {
    Value inverse = div(b, b.constant(f32, 1.0), last[group + i]), to = b.at(b.at(out, head, headDim * 4), i * headDim * 4);
    forChannels(b, headDim, [&](Value index, VectorType type) {
      Value sum = b.load(type, floatAt(b, attend.sumsOf(i), index), 4);
      b.store(b.mul(sum, b.broadcast(inverse, type)), floatAt(b, to, index), 4);
    });
  }
}

} // namespace llmc::kernels
