// Attention of several tokens of a prompt, by a block, by matrices of mma.sync in f16: arXiv:2205.14135 and arXiv:2307.08691.
//
// Rows of queries, `group` heads of each token, are shared out to the warps by 16. Keys and values of some positions, a chunk, come to shared
// memory as they lie in the cache (CacheBlock.h), the next chunk while one is multiplied; ldmatrix turns both. Scores, weights and sums of a row
// stay in the four lanes that have it. Chunks begin at multiples of their length and a row takes those that it sees in ascending order; one of
// which it sees nothing changes nothing of it. So a row has the bits that it has alone.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/Recurrence.h"
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

using namespace mlir;

namespace llmc::kernels {
namespace {

using Four = BlockBuilder::Four;

constexpr double kMasked = -1.0e30; // score of a position that may not be seen
constexpr double kLeast = -1.0e20;  // the best score of a row that has seen nothing: far above kMasked, so that its weights are 0
constexpr double kLargestHalf = 65504;
constexpr int64_t kRowsOfWarp = 16, kPiece = 16, kSlots = 2;
constexpr int64_t kKeyStride = 3 * kPiece; // of a channel's 16 positions: two pieces, and one that keeps rows of ldmatrix in banks of their own

class TileAttend {
public:
  TileAttend(BlockBuilder &b, tile::AttendRunsAttr kernel)
      : b(b), kernel(kernel), cache{kernel.getElement(), kernel.getKvHeads(), kernel.getHeadDim()}, headDim(kernel.getHeadDim()), group(kernel.getGroup()),
        length(headDim <= 64 ? 64 : headDim <= 128 ? 32 : 16), g(b.shiftRight(b.lane(), 2)), t(b.bitAnd(b.lane(), 3)) {}

  void emit();

private:
  struct Row {
    Value token, head, isMine; // `token` of the tile, one of the run's for rows that are not of it
    Value position;            // i32, as all that is compared inside the loop: registers are what heads of 256 channels want most
  };
  // A share of a chunk's copies, the thread's own.
  struct Copy {
    Value from, to, position; // i32, of the chunk: from it on they are there if it is
  };
  struct State {
    std::array<Value, 2> best, total; // of rows g and g + 8; total: the lane's part
    Values sums;                      // [headDim / 8][4]
  };

  int64_t valueStride() const { return 2 * headDim + kPiece; }
  int64_t valuesOffset() const { return length / kCacheBlock * headDim * kKeyStride; }
  int64_t slotBytes() const { return valuesOffset() + length * valueStride(); }
  int64_t blocks() const { return length / kCacheBlock; }

  void attend(const Run &run);
  Row rowOf(const Run &run, int64_t half);
  Value wordAt(Value token) { return b.load(b.getI32Type(), b.at(positions, token, 4), 4); }
  Value positionOf(Value token) { return b.extendSigned(wordAt(token), b.getI64Type()); }
  Value word(Value a) { return b.truncate(a, b.getI32Type()); }
  Value word(int64_t a) { return b.constant(b.getI32Type(), a); }
  void shareCopies(Value base);
  void ask(Value chunk, Value slot);
  Values loadQueries();
  State initial();
  State addChunk(Value chunk, Value slot, ValueRange queries, State state);
  Values scoresOf(Value slot, ValueRange queries);
  void mask(Values &scores, Value chunk);
  void addValues(Value slot, ValueRange weights, State &state);
  void finish(const Run &run, const State &state);

  Value number(double value) { return b.constant(b.getF32Type(), value); }
  Value less(Value x, Value y) { return b.compare(arith::CmpIPredicate::slt, x, y); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  // Of the four lanes that have a row.
  Value ofLanes(Value value, BlockBuilder::Combine combine) {
    for (int64_t mask : {1, 2})
      value = combine(value, b.shuffleXor(value, mask));
    return value;
  }
  Value least(Value x, Value y) { return b.minimum(x, y); }
  Value most(Value x, Value y) { return arith::MaxSIOp::create(b, x, y); }
  static Values flat(const State &state) {
    Values all{state.best[0], state.best[1], state.total[0], state.total[1]};
    llvm::append_range(all, state.sums);
    return all;
  }
  static State structured(ValueRange all) { return {{all[0], all[1]}, {all[2], all[3]}, Values(all.drop_front(4))}; }

  BlockBuilder &b;
  tile::AttendRunsAttr kernel;
  CacheShape cache;
  const int64_t headDim, group, length; // positions of a chunk
  Value g, t;
  Value shared, positions, firstToken, firstHead, kvHead;
  Value last; // i32: position of the run's last token
  std::array<Row, 2> rows;
  SmallVector<Copy> copies;
  Value keysAt, valuesAt; // where the lane's rows of matrices begin
};

void TileAttend::emit() {
  shared = b.shared(kSlots * slotBytes());
  Value count = b.constant(kernel.getCount()), tokens = b.argument(1);
  Value tiles = arith::DivUIOp::create(b, b.add(tokens, b.constant(kernel.getCount() - 1)), count);
  Value ofGroup = arith::DivUIOp::create(b, b.argument(0), tiles);
  Value block = b.sub(b.sub(tiles, b.constant(1)), arith::RemUIOp::create(b, b.argument(0), tiles)); // the last one, which sees most, first
  firstToken = b.mul(block, count);
  firstHead = b.mul(ofGroup, b.constant(group));
  kvHead = arith::DivUIOp::create(b, firstHead, b.constant(kernel.getHeads() / kernel.getKvHeads()));
  positions = b.at(b.argument(2), firstToken, 4);
  Tokens ofTile{b.minimum(count, b.sub(tokens, firstToken)), positions, b.at(b.argument(3), firstToken, 4), b.argument(5), b.argument(6)};
  // Lane 8 i + r says where row r of matrix i is: keys of 16 channels and 16 positions are (channels, positions) of 8 by 8 in the order that
  // operands b want, values of 16 positions and 16 channels (positions, channels).
  Value matrix = b.shiftRight(b.lane(), 3), line = b.add(b.bitAnd(b.lane(), 7), b.mul(b.bitAnd(matrix, 1), b.constant(8))), piece = b.shiftRight(matrix, 1);
  keysAt = b.at(b.at(shared, line, kKeyStride), piece, kPiece);
  valuesAt = b.at(b.at(shared, line, valueStride(), valuesOffset()), piece, kPiece);
  ofTile.forRuns(b, [&](const Run &run) { attend(run); });
}

TileAttend::Row TileAttend::rowOf(const Run &run, int64_t half) {
  Value index = b.add(b.add(b.mul(b.warp(), b.constant(kRowsOfWarp)), g), b.constant(8 * half));
  Value token = arith::DivUIOp::create(b, index, b.constant(group)), head = arith::RemUIOp::create(b, index, b.constant(group));
  Value isMine = both(less(token, run.end), b.compare(arith::CmpIPredicate::sge, token, run.start));
  token = most(least(token, b.sub(run.end, b.constant(1))), run.start);
  return {token, b.add(firstHead, head), isMine, wordAt(token)};
}

void TileAttend::attend(const Run &run) {
  rows = {rowOf(run, 0), rowOf(run, 1)};
  Value lastToken = b.sub(run.end, b.constant(1));
  last = wordAt(lastToken);
  shareCopies(run.state);
  // Tokens that the warp has rows of, and the positions that those see.
  Value firstRow = b.mul(b.warp(), b.constant(kRowsOfWarp));
  auto tokenOf = [&](int64_t row) { return arith::DivUIOp::create(b, b.add(firstRow, b.constant(row)), b.constant(group)).getResult(); };
  Value from = tokenOf(0), to = tokenOf(kRowsOfWarp - 1), isActive = both(less(from, run.end), b.compare(arith::CmpIPredicate::sge, to, run.start));
  Value lowest = positionOf(most(least(from, b.sub(run.end, b.constant(1))), run.start));
  Value highest = positionOf(most(least(to, b.sub(run.end, b.constant(1))), run.start));
  auto firstSeen = [&](Value position) {
    return kernel.getWindow() ? most(b.sub(position, b.constant(kernel.getWindow() - 1)), b.constant(0)) : b.constant(0);
  };
  Value size = b.constant(length), firstChunk = arith::DivUIOp::create(b, firstSeen(positionOf(run.start)), size);
  Value chunks = b.add(arith::DivUIOp::create(b, positionOf(lastToken), size), b.constant(1)), seen = firstSeen(lowest);

  Values queries = loadQueries();
  ask(firstChunk, b.constant(0));
  Values carried = flat(initial());
  carried.push_back(b.constant(0));
  carried = b.rolledLoop(firstChunk, chunks, 1, carried, [&](Value chunk, ValueRange carried) {
    Value slot = carried.back(), other = b.sub(b.constant(slotBytes()), slot), start = b.mul(chunk, size);
    b.awaitCopies(0);
    b.barrier(); // the chunk is there for all; that before it is no longer read
    ask(b.add(chunk, b.constant(1)), other);
    Value sees = both(isActive, both(b.compare(arith::CmpIPredicate::sle, start, highest), less(seen, b.add(start, size))));
    ValueRange before = carried.drop_back();
    Values next = choose(b, sees, [&] { return flat(addChunk(chunk, slot, queries, structured(before))); }, [&] { return Values(before); });
    next.push_back(other);
    return next;
  });
  b.awaitCopies(0);
  b.barrier(); // the next run's chunks come to the same memory
  finish(run, structured(ValueRange(carried).drop_back()));
}

// Keys are pieces of eight positions of a channel, values of eight channels of a position.
void TileAttend::shareCopies(Value base) {
  copies.clear();
  base = b.at(b.global(base), kvHead, 2 * cache.sideBytes());
  auto share = [&](int64_t pieces, llvm::function_ref<Copy(Value)> copy) {
    for (int64_t first = 0; first < pieces; first += b.threads()) {
      Value index = b.add(b.thread(), b.constant(first));
      copies.push_back(copy(first + b.threads() > pieces ? b.minimum(index, b.constant(pieces - 1)) : index)); // the last ones twice
    }
  };
  auto split = [&](Value index, int64_t size) {
    return std::pair<Value, Value>(arith::DivUIOp::create(b, index, b.constant(size)), arith::RemUIOp::create(b, index, b.constant(size)));
  };
  share(blocks() * headDim * 2, [&](Value index) -> Copy {
    auto [block, piece] = split(index, 2 * headDim);
    Value channel = b.shiftRight(index, 1), half = b.bitAnd(index, 1);
    return {b.at(b.at(base, block, cache.blockBytes()), piece, kPiece), b.at(b.at(shared, channel, kKeyStride), half, kPiece), word(b.mul(block, b.constant(kCacheBlock)))};
  });
  share(length * headDim / 8, [&](Value index) -> Copy {
    auto [position, piece] = split(index, headDim / 8);
    Value block = b.shiftRight(position, 4), ofBlock = b.bitAnd(position, kCacheBlock - 1);
    return {b.at(b.at(b.at(base, block, cache.blockBytes(), cache.sideBytes()), ofBlock, 2 * headDim), piece, kPiece),
            b.at(b.at(shared, position, valueStride(), valuesOffset()), piece, kPiece), word(position)};
  });
}

// What no token has written may be anything: zeros come instead.
void TileAttend::ask(Value chunk, Value slot) {
  Value start = word(b.mul(chunk, b.constant(length)));
  for (const Copy &copy : copies) {
    Value isThere = b.compare(arith::CmpIPredicate::sle, b.add(start, copy.position), last);
    b.copyAsyncOrZero(kPiece, b.at(copy.to, slot, 1), b.at(copy.from, chunk, blocks() * cache.blockBytes()), isThere);
  }
  b.commitCopies();
}

// Operands a of each 16 channels: pairs of rows g, g + 8 at channels 2 t, then at 2 t + 8.
Values TileAttend::loadQueries() {
  Values queries;
  auto inRange = [&](Value x) -> Value { return arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, x, number(-kLargestHalf)), number(kLargestHalf)); };
  for (int64_t channel = 0; channel < headDim; channel += 8)
    for (const Row &row : rows) {
      Value from = b.at(b.at(b.global(b.argument(4)), b.add(firstToken, row.token), kernel.getQBytes()), row.head, headDim * 4);
      from = b.at(from, t, 8, channel * 4);
      queries.push_back(b.toHalves(inRange(b.load(b.getF32Type(), from, 4)), inRange(b.load(b.getF32Type(), b.at(from, 4), 4))));
    }
  return queries;
}

// A sink is a score that is there from the start, of a value of zeros.
TileAttend::State TileAttend::initial() {
  State state{{number(kLeast), number(kLeast)}, {number(0), number(0)}, Values(size_t(headDim / 2), number(0))};
  if (kernel.getSinks())
    for (size_t half = 0; half < 2; ++half) {
      Value sink = b.load(b.getF32Type(), b.at(b.global(b.argument(9)), rows[half].head, 4), 4);
      state.best[half] = b.mul(sink, number(std::numbers::log2e));
      state.total[half] = b.select(b.compare(arith::CmpIPredicate::eq, t, b.constant(0)), number(1), number(0));
    }
  return state;
}

// [length / 8][4], as exponents of 2.
Values TileAttend::scoresOf(Value slot, ValueRange queries) {
  Values scores;
  Value from = b.at(keysAt, slot, 1);
  for (int64_t block = 0; block < blocks(); ++block) {
    Four low, high;
    low.fill(number(0)), high.fill(number(0));
    for (int64_t channel = 0; channel < headDim; channel += 16) {
      Four keys = b.loadMatricesTurned(b.at(from, (block * headDim + channel) * kKeyStride)), query;
      for (size_t i = 0; i < 4; ++i)
        query[i] = queries[size_t(channel / 4) + i];
      low = b.mmaF16(query, {keys[0], keys[1]}, low);
      high = b.mmaF16(query, {keys[2], keys[3]}, high);
    }
    scores.append(low.begin(), low.end());
    scores.append(high.begin(), high.end());
  }
  double scale = kernel.getScale().value, cap = kernel.getSoftcap().value;
  for (Value &score : scores)
    score = cap > 0 ? b.mul(softcap(b, b.mul(score, number(scale)), cap), number(std::numbers::log2e)) : b.mul(score, number(scale * std::numbers::log2e));
  return scores;
}

void TileAttend::mask(Values &scores, Value chunk) {
  Value start = word(b.add(b.mul(chunk, b.constant(length)), b.mul(t, b.constant(2))));
  for (auto [i, score] : llvm::enumerate(scores)) {
    Value position = b.add(start, word(int64_t(i / 4) * 8 + int64_t(i % 2))), own = rows[i % 4 / 2].position;
    Value seen = b.compare(arith::CmpIPredicate::sle, position, own);
    if (int64_t window = kernel.getWindow())
      seen = both(seen, less(b.sub(own, word(window)), position));
    score = b.select(seen, score, number(kMasked));
  }
}

TileAttend::State TileAttend::addChunk(Value chunk, Value slot, ValueRange queries, State state) {
  Values weights = scoresOf(slot, queries);
  mask(weights, chunk);
  std::array<Value, 2> fades;
  for (size_t half = 0; half < 2; ++half) {
    Value best = weights[2 * half];
    for (size_t i = 0; i < weights.size(); ++i)
      if (i % 4 / 2 == half && i != 2 * half)
        best = maximum(b, best, weights[i]);
    best = maximum(b, state.best[half], ofLanes(best, [&](Value x, Value y) { return maximum(b, x, y); }));
    fades[half] = b.powerOfTwo(b.sub(state.best[half], best));
    state.best[half] = best;
    state.total[half] = b.mul(state.total[half], fades[half]);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    size_t half = i % 4 / 2;
    weights[i] = b.powerOfTwo(b.sub(weights[i], state.best[half]));
    state.total[half] = b.add(state.total[half], weights[i]);
  }
  for (size_t i = 0; i < state.sums.size(); ++i)
    state.sums[i] = b.mul(state.sums[i], fades[i % 4 / 2]);
  addValues(slot, weights, state);
  return state;
}

// What the lane has of the scores of 16 positions is what it wants as operand a.
void TileAttend::addValues(Value slot, ValueRange weights, State &state) {
  Value from = b.at(valuesAt, slot, 1);
  for (int64_t block = 0; block < blocks(); ++block) {
    Four a;
    for (size_t i = 0; i < 4; ++i)
      a[i] = b.toHalves(weights[size_t(block) * 8 + 2 * i], weights[size_t(block) * 8 + 2 * i + 1]);
    for (int64_t channel = 0; channel < headDim; channel += 16) {
      Four values = b.loadMatricesTurned(b.at(from, block * kCacheBlock * valueStride() + channel * 2));
      for (size_t half = 0; half < 2; ++half) {
        Value *to = &state.sums[size_t(channel / 8) * 4 + half * 4];
        Four result = b.mmaF16(a, {values[2 * half], values[2 * half + 1]}, {to[0], to[1], to[2], to[3]});
        llvm::copy(result, to);
      }
    }
  }
}

void TileAttend::finish(const Run &, const State &state) {
  for (size_t half = 0; half < 2; ++half) {
    Value total = ofLanes(state.total[half], [&](Value x, Value y) { return b.add(x, y); });
    const Row &row = rows[half];
    Value to = b.at(b.at(b.global(b.argument(7)), b.add(firstToken, row.token), kernel.getOutBytes()), row.head, headDim * 4);
    to = b.at(to, t, 8);
    b.onlyIf(row.isMine, [&] {
      for (int64_t channel = 0; channel < headDim; channel += 8)
        for (int64_t i = 0; i < 2; ++i)
          b.store(div(b, state.sums[size_t(channel / 2) + 2 * half + size_t(i)], total), b.at(to, channel * 4 + i * 4), 4);
    });
  }
}

bool takesAttendRuns(Attribute attribute, tile::TargetAttr target) {
  auto kernel = cast<tile::AttendRunsAttr>(attribute);
  return kernel.getElement().isF16() && !kernel.getPartial() && !kernel.getSlopes() && kernel.getHeadDim() % 16 == 0 && kernel.getHeadDim() <= 256 &&
         kernel.getGroup() * kernel.getCount() <= target.getThreads() / kWarp * kRowsOfWarp;
}

void emitTileAttend(BlockBuilder &b, tile::AttendRunsAttr kernel) { TileAttend(b, kernel).emit(); }

} // namespace

ArrayRef<BlockKind> blockAttentionTileKinds() {
  static const BlockKind kinds[] = {blockKind<tile::AttendRunsAttr, emitTileAttend>(takesAttendRuns)};
  return kinds;
}

} // namespace llmc::kernels
