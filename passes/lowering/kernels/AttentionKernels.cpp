// Attention: append a token's keys and values to the cache, and attend to it.
//
// cache: (blocks, kv_heads, {keys (head_dim, 16), values (16, head_dim)}) of `element`; a block holds 16 positions.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kBlock = 16;                // positions of a cache block
constexpr int64_t kSpan = 64;                 // positions between two rescalings of the softmax
constexpr int64_t kBlocksOfSpan = kSpan / kBlock;
constexpr double kMasked = -1.0e30;           // score of a position that may not be seen

// Addresses in a layer's cache.
struct Cache {
  KernelBuilder &b;
  Value base;
  int64_t kvHeads, headDim, elementBytes;

  int64_t keyBytes() const { return kBlock * headDim * elementBytes; }
  int64_t blockBytes() const { return kvHeads * 2 * keyBytes(); }
  // Keys of `kvHead` in block `block`; the values follow.
  Value block(Value block, Value kvHead) { return b.at(b.at(base, block, blockBytes()), kvHead, 2 * keyBytes()); }
};

//===----------------------------------------------------------------------===//
// Prepare
//===----------------------------------------------------------------------===//

void append(KernelBuilder &b, tile::PrepareAttr kernel, Cache cache, Value kvHead, Value position, Value key, Value value) {
  Value block = cache.block(arith::DivUIOp::create(b, position, b.constant(kBlock)), kvHead);
  Value lane = arith::RemUIOp::create(b, position, b.constant(kBlock));
  int64_t bytes = cache.elementBytes;
  Value keys = b.at(block, lane, bytes), values = b.at(b.at(block, cache.keyBytes()), lane, cache.headDim * bytes);
  forChannels(b, cache.headDim, [&](Value index, VectorType type) {
    storeAs(b, b.load(type, floatAt(b, value, index), 4), kernel.getElement(), b.at(values, index, bytes));
  });
  b.loop(b.constant(0), b.constant(cache.headDim), 1, [&](Value index) {
    Value one = b.broadcast(b.load(b.getF32Type(), floatAt(b, key, index), 4), b.floats(1));
    storeAs(b, one, kernel.getElement(), b.at(keys, index, kBlock * bytes));
  });
}

} // namespace

void emitPrepare(KernelBuilder &b, tile::PrepareAttr kernel) {
  Value head = b.argument(0), position = b.argument(1), q = b.argument(2), k = b.argument(3), v = b.argument(4);
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
  Value key = b.at(k, kvHead, headDim * 4);
  turn(key, kGain);
  Cache cache{b, b.argument(5), kernel.getKvHeads(), headDim, kernel.getElement().getIntOrFloatBitWidth() / 8};
  append(b, kernel, cache, kvHead, position, key, b.at(v, kvHead, headDim * 4));
}

//===----------------------------------------------------------------------===//
// Attend
//===----------------------------------------------------------------------===//

namespace {

struct Attend {
  KernelBuilder &b;
  tile::AttendAttr kernel;
  Cache cache;
  Value kvHead, query, scores, sums; // scores: (64), sums: (head_dim), both scratch
  Value first, end;                  // positions that may be seen: [first, end)

  // Scores of `count` blocks of 16 positions from `start` on, side by side so that their sums overlap; their maximum.
  Value score(Value start, int64_t count, Value best) {
    VectorType lanes = b.floats(kBlock);
    Values keys, zeros(count, b.constant(lanes, 0.0));
    Value block = arith::DivUIOp::create(b, start, b.constant(kBlock));
    for (int64_t i = 0; i < count; ++i)
      keys.push_back(cache.block(b.add(block, b.constant(i)), kvHead));
    Values dots = b.loop(b.constant(0), b.constant(cache.headDim), 1, zeros, [&](Value index, ValueRange carried) {
      Value q = b.loadBroadcast(lanes, b.getF32Type(), floatAt(b, query, index));
      Values next;
      for (int64_t i = 0; i < count; ++i)
        next.push_back(b.fma(loadAs(b, kBlock, kernel.getElement(), b.at(keys[i], index, kBlock * cache.elementBytes)), q, carried[i]));
      return next;
    });
    for (int64_t i = 0; i < count; ++i) {
      Value from = b.add(start, b.constant(i * kBlock));
      Value masked = mask(finish(dots[i]), from);
      Value slot = arith::RemUIOp::create(b, from, b.constant(kSpan));
      b.store(masked, floatAt(b, scores, slot), 4);
      best = maximum(b, best, masked);
    }
    return best;
  }

  Value finish(Value dot) {
    Value score = b.mul(dot, b.constant(dot.getType(), kernel.getScale().value));
    if (double cap = kernel.getSoftcap().value; cap > 0)
      score = b.mul(b.constant(score.getType(), cap), hyperbolicTangent(b, div(b, score, b.constant(score.getType(), cap))));
    return score;
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

  // Scores of the span [start, start + 64), as far as it may be seen. Returns their maximum.
  Value spanScores(Value start) {
    Value none = b.constant(b.floats(kBlock), kMasked);
    Value whole = b.compare(arith::CmpIPredicate::sge, b.sub(end, start), b.constant(kSpan));
    auto branch = scf::IfOp::create(b, TypeRange{none.getType()}, whole, /*addThenBlock=*/true, /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, score(start, kBlocksOfSpan, none));
    b.setInsertionPointToStart(branch.elseBlock());
    Values best = b.loop(start, end, kBlock, ValueRange{none}, [&](Value from, ValueRange carried) { return Values{score(from, 1, carried[0])}; });
    scf::YieldOp::create(b, best[0]);
    return branch.getResult(0);
  }

  // Turns scores into weights exp(score - best); returns their sum.
  Value weigh(Value start, Value best) {
    Value count = arith::MinSIOp::create(b, b.sub(end, start), b.constant(kSpan));
    VectorType lanes = b.floats(kBlock);
    Values total = b.loop(b.constant(0), count, kBlock, ValueRange{b.constant(lanes, 0.0)}, [&](Value index, ValueRange carried) {
      Value at = floatAt(b, scores, index);
      Value weight = exponential(b, b.sub(b.load(lanes, at, 4), b.broadcast(best, lanes)));
      b.store(weight, at, 4);
      return Values{b.add(carried[0], weight)};
    });
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, total[0], arith::FastMathFlags::reassoc);
  }

  // sums = sums * fade + weights . values, for channels [channel, channel + 16 * vectors) or one narrower piece.
  void mix(Value start, Value fade, int64_t channel, ArrayRef<int64_t> widths) {
    Values initial;
    int64_t at = channel;
    for (int64_t width : widths) {
      Value old = b.load(b.floats(width), b.at(sums, at * 4), 4);
      initial.push_back(b.mul(old, b.broadcast(fade, b.floats(width))));
      at += width;
    }
    Value from = arith::MaxSIOp::create(b, start, first);
    Value to = arith::MinSIOp::create(b, end, b.add(start, b.constant(kSpan)));
    Values mixed = b.loop(from, to, 1, initial, [&](Value position, ValueRange carried) {
      Value block = cache.block(arith::DivUIOp::create(b, position, b.constant(kBlock)), kvHead);
      Value lane = arith::RemUIOp::create(b, position, b.constant(kBlock));
      Value row = b.at(b.at(block, cache.keyBytes() + channel * cache.elementBytes), lane, cache.headDim * cache.elementBytes);
      Value weight = b.load(b.getF32Type(), floatAt(b, scores, arith::RemUIOp::create(b, position, b.constant(kSpan))), 4);
      Values next;
      int64_t offset = 0;
      for (auto [width, sum] : llvm::zip(widths, carried)) {
        Value values = loadAs(b, width, kernel.getElement(), b.at(row, offset * cache.elementBytes));
        next.push_back(b.fma(b.broadcast(weight, b.floats(width)), values, sum));
        offset += width;
      }
      return next;
    });
    at = channel;
    for (auto [width, sum] : llvm::zip(widths, mixed)) {
      b.store(sum, b.at(sums, at * 4), 4);
      at += width;
    }
  }

  void mixAll(Value start, Value fade) {
    int64_t channel = 0;
    while (channel < cache.headDim) {
      SmallVector<int64_t> widths;
      int64_t left = cache.headDim - channel;
      for (; widths.size() < 4 && left >= kLanes; left -= kLanes)
        widths.push_back(kLanes);
      if (widths.empty())
        widths.push_back(left);
      mix(start, fade, channel, widths);
      for (int64_t width : widths)
        channel += width;
    }
  }
};

} // namespace

// Softmax in one pass over the cache: sums are rescaled when the maximum grows. Source: arXiv:1805.02867.
void emitAttend(KernelBuilder &b, tile::AttendAttr kernel) {
  Value head = b.argument(0), position = b.argument(1), out = b.argument(4), scratch = b.argument(5);
  int64_t headDim = kernel.getHeadDim();
  Type f32 = b.getF32Type();
  Cache cache{b, b.argument(3), kernel.getKvHeads(), headDim, kernel.getElement().getIntOrFloatBitWidth() / 8};
  Value kvHead = arith::DivUIOp::create(b, head, b.constant(kernel.getHeads() / kernel.getKvHeads()));
  Value end = b.add(position, b.constant(1)), first = b.constant(0);
  if (int64_t window = kernel.getWindow())
    first = arith::MaxSIOp::create(b, b.sub(end, b.constant(window)), first);
  Attend attend{b, kernel, cache, kvHead, b.at(b.argument(2), head, headDim * 4), scratch, b.at(scratch, kSpan * 4), first, end};

  forChannels(b, headDim, [&](Value index, VectorType type) { b.store(b.constant(type, 0.0), floatAt(b, attend.sums, index), 4); });
  Value start = b.multipleBelow(first, kSpan);
  Value best = b.constant(f32, kMasked), total = b.constant(f32, 0.0);
  if (kernel.getSinks()) // a score that is there from the start, of a value of zeros
    best = b.load(f32, floatAt(b, b.argument(6), head), 4), total = b.constant(f32, 1.0);
  Values last = b.loop(start, end, kSpan, ValueRange{best, total}, [&](Value span, ValueRange carried) {
    Value spanBest = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, attend.spanScores(span));
    Value best = maximum(b, carried[0], spanBest);
    Value fade = exponential(b, b.sub(carried[0], best));
    Value total = b.add(b.mul(carried[1], fade), attend.weigh(span, best));
    attend.mixAll(span, fade);
    return Values{best, total};
  });
  Value inverse = div(b, b.constant(f32, 1.0), last[1]);
  forChannels(b, headDim, [&](Value index, VectorType type) {
    Value sum = b.load(type, floatAt(b, attend.sums, index), 4);
    b.store(b.mul(sum, b.broadcast(inverse, type)), floatAt(b, b.at(out, head, headDim * 4), index), 4);
  });
}

} // namespace llmc::kernels
