// Attention of several tokens at once, in pairs of bf16: keys and values of 64 positions are rounded to bf16 and laid out in pairs once,
// and all heads and tokens of the tile multiply with them. Softmax in one pass over the cache, as arXiv:1805.02867 and arXiv:2205.14135.
//
// cache: see CacheBlock.h, of f16 or q8_0. Rows are the heads of the tile's group for each token, `group` after `group`. For each row and
// span of 64 positions from a multiple of 64:
//
//   s_j  = the chain of dpbf16(q[2p], q[2p + 1]; k_j[2p], k_j[2p + 1]) over pairs of channels p; least where j may not be seen
//   best = max(best, s_j);   w_j = 2^((s_j - best) * exponent);   fade = 2^((best before - best) * exponent)
//   total = total * fade + sum of w_j
//   sums[c] = the chain of dpbf16(w[2p], w[2p + 1]; v[2p][c], v[2p + 1][c]) over pairs of positions p, from sums[c] * fade on
//
// Keys of a q8_0 cache are multiplied as the integers that they are, with queries of int8, without unpacking; its values are rounded to bf16:
//
//   step = max |q| / 127 of a group of channels;   n = round(q / step)
//   s_j  = the chain of fma(float(sum of n * k_j) * step, scale of k_j, s_j) over groups
//
// A span of which a row sees nothing changes nothing of it: so a row does not depend on the others of its tile, nor on their number.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/lowering/kernels/Recurrence.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <bit>
#include <numbers>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kBlock = kCacheBlock, kSpan = 64, kBlocksOfSpan = kSpan / kBlock, kPairsOfSpan = kSpan / 2;
constexpr int64_t kUnit = 256, kParts = 16; // of a split softmax
constexpr int64_t kMostRows = 6;            // that go through the registers together: with four vectors each, 24 sums
constexpr int64_t kVectorBytes = kLanes * 4;
constexpr double kMasked = -1.0e30; // score of a position that may not be seen
constexpr double kLeast = -1.0e20;  // the best score of a row that has seen nothing: far above kMasked, so that its weights are 0

int64_t ceilDiv(int64_t a, int64_t c) { return (a + c - 1) / c; }

// Blocks of equal numbers of rows.
struct Blocking {
  int64_t rows, blockRows, paddedRows;
  explicit Blocking(int64_t rows)
      : rows(rows), blockRows(ceilDiv(rows, ceilDiv(rows, kMostRows))), paddedRows(ceilDiv(rows, blockRows) * blockRows) {}
};

// What a softmax that has not seen everything yet knows of a row: its best score and its total, 16 lanes each, and its sums.
struct PartState {
  Value best, total, sums; // of row 0; rows follow one another
};

// 2^x; 1 for 0, 0 for very small x. Relative error 3e-6, well below the rounding of a weight to bf16.
Value powerOfTwoFast(KernelBuilder &b, Value x) {
  constexpr int64_t floorQuietly = 0x9, currentRounding = 4;
  VectorType type = b.floats(kLanes);
  auto word = [&](int64_t value) { return b.constant(b.getI32Type(), value); };
  Value all = b.constant(b.getI16Type(), -1), none = b.constant(type, 0.0);
  Value f = b.intrinsic("llvm.x86.avx512.mask.reduce.ps.512", type, {x, word(floorQuietly), none, all, word(currentRounding)});
  Value p = b.constant(type, 0.013426701538264751);
  for (double coefficient : {0.052242446690797806, 0.2412802129983902, 0.6930448412895203, 1.0})
    p = b.fma(p, f, b.constant(type, coefficient));
  return b.intrinsic("llvm.x86.avx512.mask.scalef.ps.512", type, {p, x, none, all, word(currentRounding)});
}

// As one instruction does it; `c` if one of them is no number.
Value larger(KernelBuilder &b, Value a, Value c) {
  return b.select(arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, a, c), a, c);
}

Value maximumEverywhere(KernelBuilder &b, Value x) {
  for (int64_t distance = kLanes / 2; distance > 0; distance /= 2) {
    SmallVector<int64_t> lanes;
    for (int64_t i = 0; i < kLanes; ++i)
      lanes.push_back(i ^ distance);
    x = larger(b, x, b.shuffle(x, x, lanes));
  }
  return x;
}

// [32] bf16: `low`, then `high`, f32 x 16 each.
Value roundBoth(KernelBuilder &b, Value low, Value high) {
  return b.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", VectorType::get(2 * kLanes, b.getBF16Type()), {high, low});
}

// 16 words of a bf16 of `first` and one of `second`, f32 x 16 each.
Value pairsOf(KernelBuilder &b, Value first, Value second) {
  SmallVector<int64_t> interleaved;
  for (int64_t i = 0; i < kLanes; ++i)
    interleaved.append({i, i + kLanes});
  Value both = roundBoth(b, first, second);
  return b.bitcast(b.shuffle(both, both, interleaved), b.words(kLanes));
}

// The same of f16 x 16 in memory.
Value loadPairs(KernelBuilder &b, Value first, Value second) {
  return pairsOf(b, b.loadHalves(kLanes, first), b.loadHalves(kLanes, second));
}

// Words of four products of unsigned and signed bytes, added up.
Value dotBytes(KernelBuilder &b, Value sum, Value bytes, Value words) {
  return b.intrinsic("llvm.x86.avx512.vpdpbusd.512", sum.getType(), {sum, bytes, b.bitcast(words, b.bytes(4 * kLanes))});
}

Value dotPairs(KernelBuilder &b, Value sum, Value a, Value c) {
  auto pairs = VectorType::get(2 * kLanes, b.getBF16Type());
  return b.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", sum.getType(), {sum, b.bitcast(a, pairs), b.bitcast(c, pairs)});
}

// Both softmaxes become one, in `to`.
void mergeRow(KernelBuilder &b, int64_t headDim, double exponent, const PartState &to, const PartState &from) {
  VectorType lanes = b.floats(kLanes);
  auto load = [&](Value at) { return b.load(lanes, at, 4); };
  Value before = load(to.best), other = load(from.best), best = larger(b, before, other), factor = b.constant(lanes, exponent);
  Value fade = powerOfTwoFast(b, b.mul(b.sub(before, best), factor)), otherFade = powerOfTwoFast(b, b.mul(b.sub(other, best), factor));
  auto merge = [&](Value at, Value from) { b.store(b.fma(load(at), fade, b.mul(load(from), otherFade)), at, 4); };
  b.store(best, to.best, 4);
  merge(to.total, from.total);
  forChannels(b, headDim, [&](Value index, VectorType) { merge(floatAt(b, to.sums, index), floatAt(b, from.sums, index)); });
}

void writeRow(KernelBuilder &b, int64_t headDim, const PartState &state, Value out) {
  VectorType lanes = b.floats(kLanes);
  Value total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, b.load(lanes, state.total, 4), arith::FastMathFlags::reassoc);
  Value inverse = b.broadcast(div(b, b.constant(b.getF32Type(), 1.0), total), lanes);
  forChannels(b, headDim, [&](Value index, VectorType type) {
    b.store(b.mul(b.load(type, floatAt(b, state.sums, index), 4), inverse), floatAt(b, out, index), 4);
  });
}

// Weights are 2^((score - best) * exponent), where scores lack the scale if there is no softcap.
double exponentOf(llm::Real scale, llm::Real softcap) { return std::numbers::log2e * (softcap.value > 0 ? 1.0 : scale.value); }

// An empty softmax; with a sink: a score that is there from the start, of a value of zeros.
void beginRow(KernelBuilder &b, int64_t headDim, double exponent, const PartState &state, Value sink) {
  VectorType lanes = b.floats(kLanes);
  Value best = b.constant(lanes, kLeast), total = b.constant(lanes, 0.0);
  if (sink) {
    best = b.broadcast(b.mul(b.load(b.getF32Type(), sink, 4), b.constant(b.getF32Type(), std::numbers::log2e / exponent)), lanes);
    SmallVector<float> one(kLanes, 0.0f);
    one[0] = 1.0f;
    total = arith::ConstantOp::create(b, DenseElementsAttr::get(lanes, ArrayRef<float>(one)));
  }
  b.store(best, state.best, 4);
  b.store(total, state.total, 4);
  forChannels(b, headDim, [&](Value index, VectorType type) { b.store(b.constant(type, 0.0), floatAt(b, state.sums, index), 4); });
}

class AttendRuns {
public:
  AttendRuns(KernelBuilder &b, tile::AttendRunsAttr kernel);
  void emit();
  static int64_t scratchBytes(tile::AttendRunsAttr kernel);

private:
  void attendRun(const Run &run);
  void beginRows(const Run &run);
  void takeQuery(const Run &run, Value row);
  void takeBytes(Value from, Value to);
  void beginState(const PartState &state, Value sinks);
  void attendSpans(Value from, Value to);
  void attendPart(Value part);
  void attendSplit();
  Values blocksOf(Value span);
  void askForNext(int64_t block, Value line, int64_t lines);
  void askForShare(int64_t block, Value round, int64_t rounds);
  void pairKeys(Value span);
  void pairValues(Value span);
  void takeScales(Value span);
  void pairBytes(Value span);
  void attendRows(Value row, Value span);
  Values scores(Value row);
  Values scoresOfBytes(Value row, Value span);
  Value finish(Value score);
  Value slanted(Value score, Value slope, Value start, int64_t block);
  Values masked(Value row, Value span, ValueRange scores);
  Value weigh(Value row, int64_t inBlock, Value span, ValueRange scores);
  void mix(Value row, Value channel, int64_t vectors, ValueRange fades, Value pairCount);
  void write(const Run &run, const PartState &from);
  void writeParts(Value part);

  // Numbers of 16 positions of a span.
  Value positionsOf(int64_t block) {
    SmallVector<int32_t> steps = llvm::to_vector(llvm::seq<int32_t>(int32_t(block) * kLanes, int32_t(block + 1) * kLanes));
    return arith::ConstantOp::create(b, DenseElementsAttr::get(b.words(kLanes), ArrayRef<int32_t>(steps)));
  }
  Value blockAddress(Value block) { return shape.block(b, cache, block, kvHead); }
  PartState rowOf(const PartState &state, Value row) {
    return {b.at(state.best, row, kVectorBytes), b.at(state.total, row, kVectorBytes), b.at(state.sums, row, headDim * 4)};
  }
  Value ofRun(const Run &run, Value row) { // the token of a row; beyond the last, that of the last
    Value token = arith::DivUIOp::create(b, row, b.constant(group));
    return b.minimum(b.add(run.start, token), b.sub(run.end, b.constant(1)));
  }
  Value headOf(Value row) { return b.add(firstHead, arith::RemUIOp::create(b, row, b.constant(group))); }
  // Calls `body(row)` for the rows of the run, rounded up to whole blocks of rows.
  void eachRow(llvm::function_ref<void(Value)> body) { b.loop(b.constant(0), rowEnd, 1, [&](Value row) { body(row); }); }

  KernelBuilder &b;
  const tile::AttendRunsAttr kernel;
  const CacheShape shape;
  const int64_t headDim, group, queryBytes;
  const double exponent;
  const Blocking blocking;
  // Scratch.
  Value queries;        // (rows, pairs of channels) words; q8_0: see takeBytes
  Value keys;           // (pairs of channels, 64 positions) words; q8_0: (groups, 64) scales of the values
  Value values;         // (pairs of positions, head_dim) words
  Value weights;        // (rows of a block, pairs of positions) words
  Value limits;         // (rows, 2) i32: the first position that may be seen, and how many
  PartState state, all; // of the rows: the part at hand, and the merged ones
  // Of the tile and the run.
  Value firstHead, kvHead, cache, rowEnd, firstSeen, end;
  Value firstToken, tokens, partNumber;
  Values nextBlocks; // of the span that follows
};

CacheShape shapeOf(tile::AttendRunsAttr kernel) { return {kernel.getElement(), kernel.getKvHeads(), kernel.getHeadDim()}; }
int64_t queryBytesOf(const CacheShape &cache) { return cache.isQ8() ? cache.headDim + 8 * cache.groups() : 2 * cache.headDim; }
int64_t keysBytesOf(const CacheShape &cache) { return cache.isQ8() ? cache.groups() * kSpan * 4 : cache.headDim * kSpan * 2; }

int64_t stateBytes(int64_t rows, int64_t headDim) { return rows * (2 * kVectorBytes + headDim * 4); }

int64_t AttendRuns::scratchBytes(tile::AttendRunsAttr kernel) {
  Blocking blocking(kernel.getGroup() * kernel.getCount());
  int64_t headDim = kernel.getHeadDim(), states = kernel.getSplit() && !kernel.getPartial() ? 2 : 1;
  CacheShape shape = shapeOf(kernel);
  return tile::alignTo(blocking.paddedRows * queryBytesOf(shape), tile::kAlignment) + keysBytesOf(shape) + headDim * kSpan * 2 + blocking.blockRows * kSpan * 2 +
         tile::alignTo(blocking.paddedRows * 8, tile::kAlignment) + states * stateBytes(blocking.paddedRows, headDim);
}

AttendRuns::AttendRuns(KernelBuilder &b, tile::AttendRunsAttr kernel)
    : b(b), kernel(kernel), shape(shapeOf(kernel)), headDim(kernel.getHeadDim()), group(kernel.getGroup()), queryBytes(queryBytesOf(shape)),
      exponent(exponentOf(kernel.getScale(), kernel.getSoftcap())),
      blocking(group * kernel.getCount()) {
  Value next = b.argument(8);
  auto take = [&](int64_t bytes) {
    Value at = next;
    next = b.at(next, tile::alignTo(bytes, tile::kAlignment));
    return at;
  };
  queries = take(blocking.paddedRows * queryBytes);
  keys = take(keysBytesOf(shape));
  values = take(headDim * kSpan * 2);
  weights = take(blocking.blockRows * kSpan * 2);
  limits = take(blocking.paddedRows * 8);
  auto takeState = [&]() -> PartState {
    Value best = take(blocking.paddedRows * kVectorBytes), total = take(blocking.paddedRows * kVectorBytes);
    return {best, total, take(blocking.paddedRows * headDim * 4)};
  };
  state = takeState();
  all = kernel.getSplit() && !kernel.getPartial() ? takeState() : state;
}

// Late tokens look back on more positions: their tiles come first, so that no worker begins a long one when the others are done.
void AttendRuns::emit() {
  Value tile = b.argument(0), count = b.constant(kernel.getCount());
  Value blocks = arith::DivUIOp::create(b, b.add(b.argument(1), b.constant(kernel.getCount() - 1)), count);
  Value groupNumber = arith::DivUIOp::create(b, tile, blocks);
  Value block = b.sub(b.sub(blocks, b.constant(1)), arith::RemUIOp::create(b, tile, blocks));
  if (kernel.getPartial()) {
    Value groups = b.constant(kernel.getHeads() / group);
    partNumber = arith::DivUIOp::create(b, tile, groups);
    groupNumber = arith::RemUIOp::create(b, tile, groups);
    block = b.constant(0);
  }
  firstHead = b.mul(groupNumber, b.constant(group));
  kvHead = arith::DivUIOp::create(b, firstHead, b.constant(kernel.getHeads() / kernel.getKvHeads()));
  firstToken = b.mul(block, count);
  tokens = b.minimum(count, b.sub(b.argument(1), firstToken));
  Tokens ofTile{tokens, b.at(b.argument(2), firstToken, 4), b.at(b.argument(3), firstToken, 4), b.argument(5), b.argument(6)};
  ofTile.forRuns(b, [&](const Run &run) { attendRun(run); });
}

void AttendRuns::attendRun(const Run &run) {
  cache = run.state;
  Value rows = b.mul(b.sub(run.end, run.start), b.constant(group)), blockRows = b.constant(blocking.blockRows);
  rowEnd = b.mul(arith::DivUIOp::create(b, b.add(rows, b.constant(blocking.blockRows - 1)), blockRows), blockRows);
  beginRows(run);
  Value sinks = kernel.getSinks() && !kernel.getPartial() ? b.argument(9) : Value();
  if (kernel.getPartial()) {
    beginState(state, {});
    attendPart(partNumber);
    return writeParts(partNumber);
  }
  beginState(all, sinks);
  if (kernel.getSplit())
    attendSplit();
  else
    attendSpans(b.multipleBelow(firstSeen, kSpan), end);
  write(run, all);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void AttendRuns::beginRows(const Run &run) {
  auto position = [&](Value token) {
    return b.extendSigned(b.load(b.getI32Type(), b.at(b.at(b.argument(2), firstToken, 4), token, 4), 4), b.getI64Type());
  };
  auto first = [&](Value position) {
    return arith::MaxSIOp::create(b, b.sub(position, b.constant(kernel.getWindow() - 1)), b.constant(0)).getResult();
  };
  firstSeen = kernel.getWindow() ? first(position(run.start)) : b.constant(0);
  end = b.add(position(b.sub(run.end, b.constant(1))), b.constant(1));
  eachRow([&](Value row) {
    takeQuery(run, row);
    Value own = position(ofRun(run, row)), from = kernel.getWindow() ? first(own) : b.constant(0);
    Value at = b.at(limits, row, 8), count = b.sub(b.add(own, b.constant(1)), from);
    b.store(b.truncate(from, b.getI32Type()), at, 4);
    b.store(b.truncate(count, b.getI32Type()), b.at(at, 4), 4);
  });
}

void AttendRuns::takeQuery(const Run &run, Value row) {
  Value token = b.add(firstToken, ofRun(run, row)), from = b.at(b.at(b.argument(4), token, kernel.getQBytes()), headOf(row), headDim * 4);
  Value to = b.at(queries, row, queryBytes);
  if (shape.isQ8())
    return takeBytes(from, to);
  forChannels(b, headDim, [&](Value index, VectorType type) {
    Value rounded = arith::TruncFOp::create(b, VectorType::get(kLanes, b.getBF16Type()), b.load(type, floatAt(b, from, index), 4));
    b.store(rounded, b.at(to, index, 2), 2);
  });
}

// i8 [head_dim], then for each group {f32 step, i32 -128 times the sum of what was rounded}. A query that is not finite makes its score so
// too.
void AttendRuns::takeBytes(Value from, Value to) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  forGroups(b, headDim, [&](Value number, int64_t channels) {
    Values numbers = loadChannels(b, channels, b.at(from, number, llm::kCacheGroup * 4));
    Value bits = largestBits(b, numbers), biggest = b.bitcast(bits, f32), most = b.constant(f32, 127.0), none = b.constant(f32, 0.0), sum;
    Value isFinite = b.compare(arith::CmpIPredicate::slt, bits, b.constant(i32, 0x7f800000));
    Value isLarge = b.compare(arith::CmpIPredicate::sge, bits, b.constant(i32, std::bit_cast<int32_t>(1e-30f)));
    Value inverse = b.select(isLarge, div(b, most, biggest), none), everywhere = b.broadcast(isFinite, VectorType::get(kLanes, b.getI1Type()));
    for (auto [i, x] : llvm::enumerate(numbers)) {
      Type type = x.getType();
      Value rounded = roundToWords(b, b.select(everywhere, b.mul(x, splat(b, inverse, type)), b.constant(type, 0.0)));
      b.store(b.truncate(rounded, b.getI8Type()), b.at(to, number, llm::kCacheGroup, int64_t(i) * kLanes));
      Value part = vector::ReductionOp::create(b, vector::CombiningKind::ADD, rounded);
      sum = sum ? b.add(sum, part) : part;
    }
    Value factors = b.at(to, number, 8, headDim);
    b.store(b.select(isLarge, div(b, biggest, most), none), factors, 4);
    b.store(b.mul(sum, b.constant(i32, -128)), b.at(factors, 4), 4);
  });
}

void AttendRuns::beginState(const PartState &of, Value sinks) {
  eachRow([&](Value row) { beginRow(b, headDim, exponent, rowOf(of, row), sinks ? floatAt(b, sinks, headOf(row)) : Value()); });
}

void AttendRuns::write(const Run &run, const PartState &from) {
  b.loop(b.constant(0), b.mul(b.sub(run.end, run.start), b.constant(group)), 1, [&](Value row) {
    Value token = b.add(firstToken, ofRun(run, row));
    writeRow(b, headDim, rowOf(from, row), b.at(b.at(b.argument(7), token, kernel.getOutBytes()), headOf(row), headDim * 4));
  });
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

// The units of a part that hold positions of [firstSeen, end).
void AttendRuns::attendPart(Value part) {
  Value from = b.add(b.multipleBelow(firstSeen, kUnit * kParts), b.mul(part, b.constant(kUnit))), seen = b.multipleBelow(firstSeen, kSpan);
  b.loop(from, end, kUnit * kParts, [&](Value unit) {
    attendSpans(arith::MaxSIOp::create(b, unit, seen), b.minimum(b.add(unit, b.constant(kUnit)), end));
  });
}

void AttendRuns::attendSplit() {
  Value units = arith::DivUIOp::create(b, b.add(end, b.constant(kUnit - 1)), b.constant(kUnit));
  b.loop(b.constant(0), b.minimum(units, b.constant(kParts)), 1, [&](Value part) {
    beginState(state, {});
    attendPart(part);
    eachRow([&](Value row) { mergeRow(b, headDim, exponent, rowOf(all, row), rowOf(state, row)); });
  });
}

void AttendRuns::writeParts(Value part) {
  int64_t bytes = attendPartBytes(headDim);
  b.loop(b.constant(0), b.constant(group), 1, [&](Value row) {
    PartState from = rowOf(state, row);
    Value to = b.at(b.at(b.argument(7), part, kernel.getHeads() * bytes), headOf(row), bytes);
    b.store(b.load(b.floats(kLanes), from.best, 4), to, 4);
    b.store(b.load(b.floats(kLanes), from.total, 4), b.at(to, kVectorBytes), 4);
    forChannels(b, headDim, [&](Value index, VectorType type) {
      b.store(b.load(type, floatAt(b, from.sums, index), 4), b.at(floatAt(b, to, index), 2 * kVectorBytes), 4);
    });
  });
}

//===----------------------------------------------------------------------===//
// Spans of 64 positions
//===----------------------------------------------------------------------===//

void AttendRuns::attendSpans(Value from, Value to) {
  b.loop(from, to, kSpan, [&](Value span) {
    nextBlocks = blocksOf(b.add(span, b.constant(kSpan)));
    if (shape.isQ8())
      pairBytes(span);
    else
      pairKeys(span), pairValues(span);
    b.loop(b.constant(0), rowEnd, blocking.blockRows, [&](Value row) { attendRows(row, span); });
  });
}

// Where the kv head's keys lie in the blocks of a span.
Values AttendRuns::blocksOf(Value span) {
  Value block = arith::DivUIOp::create(b, span, b.constant(kBlock));
  Values blocks;
  for (int64_t i = 0; i < kBlocksOfSpan; ++i)
    blocks.push_back(blockAddress(b.add(block, b.constant(i))));
  return blocks;
}

void AttendRuns::pairKeys(Value span) {
  Values from = blocksOf(span);
  b.loop(b.constant(0), b.constant(headDim / 2), 1, [&](Value pair) {
    for (auto [i, keysOfBlock] : llvm::enumerate(from)) {
      Value at = b.at(keysOfBlock, pair, 4 * kBlock);
      b.store(loadPairs(b, at, b.at(at, 2 * kBlock)), b.at(keys, pair, kSpan * 4, int64_t(i) * kVectorBytes), 64);
    }
    askForNext(0, b.mul(pair, b.constant(2)), 2);
  });
}

// A pair whose second position nobody has written takes its first twice: its weight is 0, and what lies there may be no number.
void AttendRuns::pairValues(Value span) {
  Value count = b.minimum(b.sub(end, span), b.constant(kSpan)), rowBytes = b.constant(headDim * 2);
  b.loop(b.constant(0), count, 2, [&](Value index) {
    Value position = b.add(span, index), block = blockAddress(arith::DivUIOp::create(b, position, b.constant(kBlock)));
    Value first = b.at(b.at(block, shape.sideBytes()), arith::RemUIOp::create(b, position, b.constant(kBlock)), headDim * 2);
    Value isWritten = b.compare(arith::CmpIPredicate::slt, b.add(position, b.constant(1)), end);
    Value second = b.at(first, b.select(isWritten, rowBytes, b.constant(0)), 1), to = b.at(values, index, headDim * 2);
    forChannels(b, headDim, [&](Value channel, VectorType) {
      b.store(loadPairs(b, b.at(first, channel, 2), b.at(second, channel, 2)), b.at(to, channel, 4), 64);
    });
    int64_t lines = ceilDiv(headDim, kPairsOfSpan);
    askForNext(1, b.mul(b.shiftRight(index, 1), b.constant(lines)), lines);
  });
}

// Scales of the span's values; those of positions that nobody has written may be no numbers, and become 0.
void AttendRuns::takeScales(Value span) {
  Value written = b.broadcast(b.truncate(b.sub(end, span), b.getI32Type()), b.words(kLanes));
  for (auto [i, block] : llvm::enumerate(blocksOf(span))) {
    Value isWritten = b.compare(arith::CmpIPredicate::slt, positionsOf(int64_t(i)), written), side = b.at(block, shape.sideBytes());
    b.loop(b.constant(0), b.constant(shape.groups()), 1, [&](Value number) {
      Value scales = b.select(isWritten, b.loadHalves(kLanes, shape.scales(b, side, number)), b.constant(b.floats(kLanes), 0.0));
      b.store(scales, b.at(keys, number, kSpan * 4, int64_t(i) * kVectorBytes), 64);
    });
  }
}

// As pairValues. Bytes lie in pairs already; two scales repeat in the lanes as the positions do.
void AttendRuns::pairBytes(Value span) {
  takeScales(span);
  Value count = b.minimum(b.sub(end, span), b.constant(kSpan));
  b.loop(b.constant(0), count, 2, [&](Value index) {
    Value position = b.add(span, index), block = blockAddress(arith::DivUIOp::create(b, position, b.constant(kBlock)));
    Value from = b.at(b.at(block, shape.sideBytes()), arith::RemUIOp::create(b, position, b.constant(kBlock)), headDim);
    Value to = b.at(values, index, headDim * 2), scales = b.at(keys, index, 4);
    forChannels(b, headDim, [&](Value channel, VectorType type) {
      Value scale = b.at(scales, b.shiftRight(channel, 5), kSpan * 4);
      Value both = b.bitcast(b.loadBroadcast(VectorType::get(kLanes / 2, b.getI64Type()), b.getI64Type(), scale), type);
      auto numbers = [&](int64_t offset) {
        Value bytes = b.load(b.bytes(kLanes), b.at(from, channel, 2, offset), kLanes);
        return b.mul(b.toFloat(b.extendSigned(bytes, b.getI32Type())), both);
      };
      b.store(roundBoth(b, numbers(0), numbers(kLanes)), b.at(to, channel, 4), 64);
    });
    askForShare(0, b.shiftRight(index, 1), kPairsOfSpan), askForShare(1, b.shiftRight(index, 1), kPairsOfSpan);
  });
}

// One token reads its cache at the speed of memory, and a core waits for few lines at a time: each of the four loops over a span asks for
// one of the four blocks of the next, so that memory always has something to do; of q8_0 there are three. A block of f16 is head_dim lines.
void AttendRuns::askForNext(int64_t block, Value line, int64_t lines) {
  if (kernel.getCount() > 1) // rows enough, and other tiles read the same
    return;
  for (int64_t i = 0; i < lines; ++i)
    b.prefetch(b.at(nextBlocks[size_t(block)], line, tile::kAlignment, i * tile::kAlignment));
}

// The part of a block of q8_0 that falls to one of `rounds` rounds.
void AttendRuns::askForShare(int64_t block, Value round, int64_t rounds) {
  if (kernel.getCount() > 1)
    return;
  int64_t lines = ceilDiv(2 * shape.sideBytes(), tile::kAlignment), share = ceilDiv(lines, rounds);
  for (int64_t i = 0; i < share; ++i) {
    Value line = b.minimum(b.add(b.mul(round, b.constant(share)), b.constant(i)), b.constant(lines - 1)); // beyond lies another head
    b.prefetch(b.at(nextBlocks[size_t(block)], line, tile::kAlignment));
  }
}

// Adds a span to the softmaxes of `blockRows` rows.
void AttendRuns::attendRows(Value row, Value span) {
  Values found = shape.isQ8() ? scoresOfBytes(row, span) : scores(row), fades;
  for (int64_t r = 0; r < blocking.blockRows; ++r)
    fades.push_back(weigh(b.add(row, b.constant(r)), r, span, ValueRange(found).slice(size_t(r * kBlocksOfSpan), size_t(kBlocksOfSpan))));
  Value left = b.minimum(b.sub(end, span), b.constant(kSpan)), pairCount = b.shiftRight(b.add(left, b.constant(1)), 1);
  int64_t vectors = headDim / kLanes, whole = vectors / 4 * 4;
  if (whole)
    b.loop(b.constant(0), b.constant(whole * kLanes), 4 * kLanes, [&](Value channel) { mix(row, channel, 4, fades, pairCount); });
  if (whole < vectors)
    mix(row, b.constant(whole * kLanes), vectors - whole, fades, pairCount);
}

// Of each row, four vectors of scores without scale.
Values AttendRuns::scores(Value row) {
  Values zeros(size_t(blocking.blockRows * kBlocksOfSpan), b.constant(b.floats(kLanes), 0.0));
  Value query = b.at(queries, row, headDim * 2);
  return b.rolledLoop(b.constant(0), b.constant(headDim / 2), 1, zeros, [&](Value pair, ValueRange sums) {
    Values loaded, next;
    for (int64_t i = 0; i < kBlocksOfSpan; ++i)
      loaded.push_back(b.load(b.words(kLanes), b.at(keys, pair, kSpan * 4, i * kVectorBytes), 64));
    for (int64_t r = 0; r < blocking.blockRows; ++r) {
      Value q = b.loadBroadcast(b.words(kLanes), b.getI32Type(), b.at(query, pair, 4, r * headDim * 2));
      for (Value key : loaded)
        next.push_back(dotPairs(b, sums[next.size()], q, key));
    }
    askForNext(2, b.mul(pair, b.constant(2)), 2);
    return next;
  });
}

// As `scores`. Keys lie 128 above their numbers: sums begin at what that adds, with the other sign.
Values AttendRuns::scoresOfBytes(Value row, Value span) {
  Values blocks = blocksOf(span), zeros(size_t(blocking.blockRows * kBlocksOfSpan), b.constant(b.floats(kLanes), 0.0));
  Value query = b.at(queries, row, queryBytes);
  return forGroups(b, headDim, zeros, [&](Value number, int64_t channels, ValueRange carried) {
    Value factors = b.at(query, number, 8, headDim), first = b.mul(number, b.constant(llm::kCacheGroup / 4));
    Values sums, scales, next;
    for (int64_t r = 0; r < blocking.blockRows; ++r)
      sums.append(size_t(kBlocksOfSpan), b.loadBroadcast(b.words(kLanes), b.getI32Type(), b.at(factors, r * queryBytes + 4)));
    sums = b.rolledLoop(first, b.add(first, b.constant(channels / 4)), 1, sums, [&](Value quad, ValueRange carried) {
      Values keys, next;
      for (Value block : blocks)
        keys.push_back(b.load(b.bytes(kQuadBytes), b.at(block, quad, kQuadBytes)));
      for (int64_t r = 0; r < blocking.blockRows; ++r) {
        Value q = b.loadBroadcast(b.words(kLanes), b.getI32Type(), b.at(query, quad, 4, r * queryBytes));
        for (Value key : keys)
          next.push_back(dotBytes(b, carried[next.size()], key, q));
      }
      askForShare(2, quad, headDim / 4);
      return next;
    });
    for (Value block : blocks)
      scales.push_back(b.loadHalves(kLanes, shape.scales(b, block, number)));
    for (int64_t r = 0; r < blocking.blockRows; ++r) {
      Value step = b.loadBroadcast(b.floats(kLanes), b.getF32Type(), b.at(factors, r * queryBytes));
      for (Value scale : scales)
        next.push_back(b.fma(b.mul(b.toFloat(sums[next.size()]), step), scale, carried[next.size()]));
    }
    return next;
  });
}

Value AttendRuns::finish(Value score) {
  double cap = kernel.getSoftcap().value;
  if (cap <= 0)
    return score;
  Value limit = b.constant(score.getType(), cap);
  return b.mul(limit, hyperbolicTangent(b, b.mul(score, b.constant(score.getType(), kernel.getScale().value / cap))));
}

// Adds slope * (position - the row's own) to scores, which lack the scale if there is no softcap. `start`: the span's first position,
// less the row's own.
Value AttendRuns::slanted(Value score, Value slope, Value start, int64_t block) {
  Value behind = b.toFloat(b.add(b.broadcast(start, b.words(kLanes)), positionsOf(block)));
  return b.fma(behind, slope, score);
}

Values AttendRuns::masked(Value row, Value span, ValueRange scores) {
  VectorType words = b.words(kLanes);
  Value at = b.at(limits, row, 8), start = b.truncate(span, b.getI32Type()), slope, behind;
  if (kernel.getSlopes()) {
    Value slopes = b.argument(kernel.getSinks() && !kernel.getPartial() ? 10 : 9), one = b.constant(b.getI32Type(), int64_t(1));
    double toUnits = kernel.getSoftcap().value > 0 ? 1.0 : 1.0 / kernel.getScale().value;
    slope = b.broadcast(b.mul(b.load(b.getF32Type(), floatAt(b, slopes, headOf(row)), 4), b.constant(b.getF32Type(), toUnits)), b.floats(kLanes));
    Value own = b.sub(b.add(b.load(b.getI32Type(), at, 4), b.load(b.getI32Type(), b.at(at, 4), 4)), one);
    behind = b.sub(start, own);
  }
  if (kernel.getWindow())
    start = b.sub(start, b.load(b.getI32Type(), at, 4));
  Value count = b.loadBroadcast(words, b.getI32Type(), b.at(at, 4));
  Values result;
  for (auto [i, score] : llvm::enumerate(scores)) {
    Value seen = b.compare(arith::CmpIPredicate::ult, b.add(b.broadcast(start, words), positionsOf(int64_t(i))), count); // before the first: very large
    Value finished = slope ? slanted(finish(score), slope, behind, int64_t(i)) : finish(score);
    result.push_back(b.select(seen, finished, b.constant(score.getType(), kMasked)));
  }
  return result;
}

// Writes the weights of row `row`, the `inBlock`-th of its block; returns by what its sums fade.
Value AttendRuns::weigh(Value row, int64_t inBlock, Value span, ValueRange scores) {
  VectorType lanes = b.floats(kLanes);
  Values seen = masked(row, span, scores);
  PartState of = rowOf(state, row);
  Value before = b.load(lanes, of.best, 4), factor = b.constant(lanes, exponent);
  Value best = larger(b, before, maximumEverywhere(b, larger(b, larger(b, seen[0], seen[1]), larger(b, seen[2], seen[3]))));
  Value fade = powerOfTwoFast(b, b.mul(b.sub(before, best), factor)), offset = b.mul(best, b.constant(lanes, -exponent));
  Values weight;
  for (Value score : seen)
    weight.push_back(powerOfTwoFast(b, b.fma(score, factor, offset)));
  Value total = b.add(b.add(weight[0], weight[1]), b.add(weight[2], weight[3]));
  b.store(b.fma(b.load(lanes, of.total, 4), fade, total), of.total, 4);
  b.store(best, of.best, 4);
  for (int64_t half = 0; half < 2; ++half)
    b.store(roundBoth(b, weight[size_t(2 * half)], weight[size_t(2 * half + 1)]), b.at(weights, inBlock * kSpan * 2 + half * kVectorBytes), 64);
  return fade;
}

// sums = sums * fade + weights . values of a block of rows, for channels [channel, channel + 16 * vectors).
void AttendRuns::mix(Value row, Value channel, int64_t vectors, ValueRange fades, Value pairCount) {
  VectorType lanes = b.floats(kLanes);
  Value base = floatAt(b, rowOf(state, row).sums, channel), columns = b.at(values, channel, 4);
  auto sumAt = [&](int64_t r, int64_t i) { return b.at(base, r * headDim * 4 + i * kVectorBytes); };
  Values initial;
  for (int64_t r = 0; r < blocking.blockRows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      initial.push_back(b.mul(b.load(lanes, sumAt(r, i), 4), fades[size_t(r)]));
  Values mixed = b.rolledLoop(b.constant(0), pairCount, 1, initial, [&](Value pair, ValueRange sums) {
    Values loaded, next;
    for (int64_t i = 0; i < vectors; ++i)
      loaded.push_back(b.load(b.words(kLanes), b.at(columns, pair, headDim * 4, i * kVectorBytes), 64));
    for (int64_t r = 0; r < blocking.blockRows; ++r) {
      Value weight = b.loadBroadcast(b.words(kLanes), b.getI32Type(), b.at(weights, pair, 4, r * kSpan * 2));
      for (Value value : loaded)
        next.push_back(dotPairs(b, sums[next.size()], weight, value));
    }
    if (shape.isQ8())
      askForShare(3, b.add(b.shiftRight(channel, 1), pair), ceilDiv(headDim, 64) * kPairsOfSpan);
    else
      askForNext(3, b.add(channel, b.mul(pair, b.constant(ceilDiv(vectors, 2)))), ceilDiv(vectors, 2));
    return next;
  });
  for (int64_t r = 0; r < blocking.blockRows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      b.store(mixed[size_t(r * vectors + i)], sumAt(r, i), 4);
}

} // namespace

void emitAttendRuns(KernelBuilder &b, tile::AttendRunsAttr attend) { AttendRuns(b, attend).emit(); }

void emitMergeParts(KernelBuilder &b, tile::MergePartsAttr kernel) {
  int64_t headDim = kernel.getHeadDim(), heads = kernel.getHeads(), bytes = attendPartBytes(headDim);
  double exponent = exponentOf(kernel.getScale(), kernel.getSoftcap());
  Value units = b.add(arith::DivUIOp::create(b, b.argument(0), b.constant(kUnit)), b.constant(1));
  Value parts = b.minimum(units, b.constant(kParts));
  auto stateAt = [&](Value record) -> PartState { return {record, b.at(record, kVectorBytes), b.at(record, 2 * kVectorBytes)}; };
  // One record more than there are parts: where they are merged.
  PartState all = stateAt(b.at(b.argument(1), kParts * heads * bytes));
  b.loop(b.constant(0), b.constant(heads), 1, [&](Value head) {
    beginRow(b, headDim, exponent, all, kernel.getSinks() ? floatAt(b, b.argument(3), head) : Value());
    b.loop(b.constant(0), parts, 1, [&](Value part) {
      mergeRow(b, headDim, exponent, all, stateAt(b.at(b.at(b.argument(1), part, heads * bytes), head, bytes)));
    });
    writeRow(b, headDim, all, b.at(b.argument(2), head, headDim * 4));
  });
}

int64_t attendScratchBytes(tile::AttendRunsAttr attend) { return AttendRuns::scratchBytes(attend); }
int64_t attendPartBytes(int64_t headDim) { return 2 * kVectorBytes + headDim * 4; }

} // namespace llmc::kernels
