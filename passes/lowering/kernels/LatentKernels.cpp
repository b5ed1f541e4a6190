// Latent attention: keys and values are one row of the cache, so a position's row is read for its score and for its value.
//
// cache: (positions, latent + turned) of `element`.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kSpan = 64;       // positions between two rescalings of the softmax
constexpr int64_t kSide = 4;        // positions whose scores are summed side by side
constexpr double kMasked = -1.0e30; // score of no position

int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

void copyRow(KernelBuilder &b, int64_t count, Value from, Value to) {
  forChannels(b, count, [&](Value index, VectorType type) { b.store(b.load(type, floatAt(b, from, index), 4), floatAt(b, to, index), 4); });
}

struct LatentAttend {
  KernelBuilder &b;
  tile::LatentAttendAttr kernel;
  Value query, cache, scores, sums, end; // scores: (64), sums: (latent), both scratch; positions [0, end) are seen

  int64_t rowSize() const { return kernel.getLatent() + kernel.getTurned(); }
  int64_t elementBytes() const { return bytesOf(kernel.getElement()); }
  Value row(Value position) { return b.at(cache, position, rowSize() * elementBytes()); }
  Value channels(Value row, Value index, VectorType type) {
    return loadAs(b, type.getNumElements(), kernel.getElement(), b.at(row, index, elementBytes()));
  }

  // The scores of positions `from` … `from` + 3; what lies beyond `end` is computed from the last position and masked.
  void scoreSideBySide(Value from, Value slot) {
    SmallVector<Value> rows;
    Value last = b.sub(end, b.constant(1));
    for (int64_t i = 0; i < kSide; ++i)
      rows.push_back(row(b.minimum(b.add(from, b.constant(i)), last)));
    int64_t whole = rowSize() / kLanes * kLanes, rest = rowSize() - whole;
    auto step = [&](Value index, VectorType type, ValueRange sums) {
      Value q = b.load(type, floatAt(b, query, index), 4);
      Values next;
      for (auto [position, sum] : llvm::zip(rows, sums))
        next.push_back(b.fma(q, channels(position, index, type), sum));
      return next;
    };
    auto zeros = [&](VectorType type) { return Values(kSide, b.constant(type, 0.0)); };
    Values sums = b.loop(b.constant(0), b.constant(whole), kLanes, zeros(b.floats(kLanes)),
                         [&](Value index, ValueRange carried) { return step(index, b.floats(kLanes), carried); });
    Values tails = rest ? step(b.constant(whole), b.floats(rest), zeros(b.floats(rest))) : Values();
    for (int64_t i = 0; i < kSide; ++i) {
      Value dot = sum(sums[i]);
      if (rest)
        dot = b.add(dot, sum(tails[i]));
      Value isSeen = b.compare(arith::CmpIPredicate::slt, b.add(from, b.constant(i)), end);
      Value score = b.select(isSeen, b.mul(dot, b.constant(dot.getType(), kernel.getScale().value)), b.constant(dot.getType(), kMasked));
      b.store(score, floatAt(b, scores, b.add(slot, b.constant(i))), 4);
    }
  }
  Value sum(Value vector) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector, arith::FastMathFlags::reassoc);
  }

  // Scores of the span [start, start + 64), as far as it is seen; the greatest.
  Value scoreSpan(Value start) {
    VectorType lanes = b.floats(kLanes);
    Value masked = b.constant(lanes, kMasked);
    for (int64_t i = 0; i < kSpan; i += kLanes)
      b.store(masked, b.at(scores, i * 4), 4);
    b.loop(b.constant(0), count(start), kSide, [&](Value slot) { scoreSideBySide(b.add(start, slot), slot); });
    Value best = masked;
    for (int64_t i = 0; i < kSpan; i += kLanes)
      best = maximum(b, best, b.load(lanes, b.at(scores, i * 4), 4));
    return vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, best);
  }
  Value count(Value start) { return b.minimum(b.sub(end, start), b.constant(kSpan)); }

  // Scores become weights exp(score - best); their sum.
  Value weigh(Value best) {
    VectorType lanes = b.floats(kLanes);
    Value total = b.constant(lanes, 0.0);
    for (int64_t i = 0; i < kSpan; i += kLanes) {
      Value at = b.at(scores, i * 4), weight = exponential(b, b.sub(b.load(lanes, at, 4), b.broadcast(best, lanes)));
      Value isSeen = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, b.load(lanes, at, 4), b.constant(lanes, kMasked));
      weight = b.select(isSeen, weight, b.constant(lanes, 0.0));
      b.store(weight, at, 4);
      total = b.add(total, weight);
    }
    return sum(total);
  }

  // sums = sums * fade + weights . latents, a few vectors of channels at a time.
  void mix(Value start, Value fade) {
    Value positions = count(start);
    constexpr int64_t group = 4 * kLanes;
    for (int64_t first = 0; first < kernel.getLatent(); first += group) {
      SmallVector<int64_t> widths;
      for (int64_t left = std::min(group, kernel.getLatent() - first); left > 0; left -= kLanes)
        widths.push_back(std::min(left, kLanes));
      Values initial;
      for (auto [i, width] : llvm::enumerate(widths))
        initial.push_back(b.mul(b.load(b.floats(width), at(first, i), 4), b.broadcast(fade, b.floats(width))));
      Values mixed = b.loop(b.constant(0), positions, 1, initial, [&](Value slot, ValueRange carried) {
        Value latent = row(b.add(start, slot)), weight = b.load(b.getF32Type(), floatAt(b, scores, slot), 4);
        Values next;
        for (auto [i, width] : llvm::enumerate(widths)) {
          Value value = channels(latent, b.constant(first + int64_t(i) * kLanes), b.floats(width));
          next.push_back(b.fma(b.broadcast(weight, b.floats(width)), value, carried[i]));
        }
        return next;
      });
      for (size_t i = 0; i < widths.size(); ++i)
        b.store(mixed[i], at(first, i), 4);
    }
  }
  Value at(int64_t first, size_t vector) { return b.at(sums, (first + int64_t(vector) * kLanes) * 4); }
};

} // namespace

// q: (heads, query); q_latent: (heads, latent); kv: (latent + turned); queries: (heads, latent + turned)
static void prepareHead(KernelBuilder &b, tile::LatentPrepareAttr kernel, Value head) {
  Value kv = b.argument(4), table = b.argument(6);
  int64_t latent = kernel.getLatent(), turned = kernel.getRotary().getDim(), row = latent + turned;
  Value isQuery = b.compare(arith::CmpIPredicate::slt, head, b.constant(kernel.getHeads()));
  auto branch = scf::IfOp::create(b, isQuery, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  Value query = b.at(b.argument(8), head, row * 4);
  copyRow(b, latent, b.at(b.argument(3), head, latent * 4), query);
  rotate(b, turned, kernel.getRotary(), b.at(b.argument(2), head, kernel.getQuery() * 4, (kernel.getQuery() - turned) * 4), table,
         b.at(query, latent * 4));
  b.setInsertionPoint(branch.elseYield());
  normalise(b, latent, kernel.getNorm(), kv, b.argument(5), {}, kv);
  rotate(b, turned, kernel.getRotary(), b.at(kv, latent * 4), table, b.at(kv, latent * 4));
  int64_t bytes = bytesOf(kernel.getElement());
  Value to = b.at(b.argument(7), b.argument(1), row * bytes);
  forChannels(b, row, [&](Value index, VectorType type) {
    storeAs(b, b.load(type, floatAt(b, kv, index), 4), kernel.getElement(), b.at(to, index, bytes));
  });
}

void emitLatentPrepare(KernelBuilder &b, tile::LatentPrepareAttr kernel) {
  forHeadsOfTile(b, b.argument(0), kernel.getGroup(), kernel.getHeads() + 1, [&](Value head) { prepareHead(b, kernel, head); });
}

// queries: (heads, latent + turned); out: (heads, latent)
void emitLatentAttend(KernelBuilder &b, tile::LatentAttendAttr kernel) {
  Value head = b.argument(0), scratch = b.argument(5);
  int64_t latent = kernel.getLatent();
  Type f32 = b.getF32Type();
  LatentAttend attend{b, kernel, b.at(b.argument(2), head, (latent + kernel.getTurned()) * 4), b.argument(3), scratch,
                      b.at(scratch, kSpan * 4), b.add(b.argument(1), b.constant(1))};
  forChannels(b, latent, [&](Value index, VectorType type) { b.store(b.constant(type, 0.0), floatAt(b, attend.sums, index), 4); });
  Values last = b.loop(b.constant(0), attend.end, kSpan, ValueRange{b.constant(f32, kMasked), b.constant(f32, 0.0)},
                       [&](Value start, ValueRange carried) {
    Value best = maximum(b, carried[0], attend.scoreSpan(start));
    Value fade = exponential(b, b.sub(carried[0], best));
    Value total = b.add(b.mul(carried[1], fade), attend.weigh(best));
    attend.mix(start, fade);
    return Values{best, total};
  });
  Value inverse = div(b, b.constant(f32, 1.0), last[1]), out = b.at(b.argument(4), head, latent * 4);
  forChannels(b, latent, [&](Value index, VectorType type) {
    Value sum = b.load(type, floatAt(b, attend.sums, index), 4);
    b.store(b.mul(sum, b.broadcast(inverse, type)), floatAt(b, out, index), 4);
  });
}

} // namespace llmc::kernels
