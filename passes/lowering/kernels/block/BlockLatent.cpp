// Latent attention of one head of one token, by a block: the warps share out the positions, some at a time, each with a softmax of its own;
// the softmaxes are merged in ascending order. A lane has some neighbouring channels of every piece of a row, which serve for the score and,
// of the latent, for the value.
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr double kMasked = -1.0e30; // score of no position
constexpr int64_t kMostPositions = 4, kMostWords = 48, kMostChannels = 40, kMostShared = 40 << 10;

// Channels of a row by lanes.
struct LatentLanes {
  int64_t latent, row, elementBytes, width, pieces; // width: neighbouring channels of a lane

  explicit LatentLanes(tile::LatentAttendAttr kernel)
      : latent(kernel.getLatent()), row(latent + kernel.getTurned()), elementBytes(kernel.getElement().getIntOrFloatBitWidth() / 8), width(16 / elementBytes) {
    while (latent % width || kernel.getTurned() % width)
      width /= 2;
    pieces = (row + kWarp * width - 1) / (kWarp * width);
  }
  int64_t words() const { return std::max<int64_t>(1, width * elementBytes / 4); } // of a piece
  int64_t softmaxBytes() const { return (2 + latent) * 4; }
};

class BlockLatent {
public:
  // Arguments as emitLatentAttend.
  BlockLatent(BlockBuilder &b, tile::LatentAttendAttr kernel)
      : b(b), lanes(kernel), scale(kernel.getScale().value), positions(std::clamp<int64_t>(kMostWords / (lanes.words() * lanes.pieces), 1, kMostPositions)),
        head(b.argument(0)), end(b.add(b.argument(1), b.constant(1))), cache(b.global(b.argument(3))), parts(b.shared(b.warps() * lanes.softmaxBytes())) {
    loadQuery(b.at(b.global(b.argument(2)), head, lanes.row * 4));
  }

  void emit() {
    Values state{number(kMasked), number(0)};
    state.append(query.size(), number(0));
    Value first = b.mul(b.warp(), b.constant(positions));
    state = b.rolledLoop(first, end, positions * b.warps(), state, [&](Value from, ValueRange carried) { return attend(from, Values(carried)); });
    leave(state);
    b.barrier();
    merge(b.at(b.global(b.argument(4)), head, lanes.latent * 4));
  }

private:
  Value number(double value) { return b.constant(b.getF32Type(), value); }
  Value channel(int64_t piece) { return b.mul(b.add(b.lane(), b.constant(piece * kWarp)), b.constant(lanes.width)); }
  Value isBelow(Value a, Value c) { return b.compare(arith::CmpIPredicate::slt, a, c); }

  // Zeros beyond the row, so that what is loaded there counts nothing.
  void loadQuery(Value from) {
    for (int64_t piece = 0; piece < lanes.pieces; ++piece)
      for (int64_t i = 0; i < lanes.width; ++i) {
        Value index = b.add(channel(piece), b.constant(i)), isThere = isBelow(index, b.constant(lanes.row));
        Value loaded = b.load(b.getF32Type(), floatAt(b, from, b.minimum(index, b.constant(lanes.row - 1))), 4);
        query.push_back(b.select(isThere, loaded, number(0)));
      }
  }

  // The words of the lane's channels of a position. Beyond the row: the row's last ones again.
  Values load(Value position) {
    Value row = b.at(cache, position, lanes.row * lanes.elementBytes);
    Values words;
    for (int64_t piece = 0; piece < lanes.pieces; ++piece) {
      Value index = b.minimum(channel(piece), b.constant(lanes.row - lanes.width)), at = b.at(row, index, lanes.elementBytes);
      if (lanes.width * lanes.elementBytes == 2)
        words.push_back(b.extendUnsigned(b.load(b.getI16Type(), at, 2), b.getI32Type()));
      else
        llvm::append_range(words, b.loadWords(lanes.words(), at));
    }
    return words;
  }

  Values numbersOf(ValueRange words) {
    Values numbers;
    for (Value word : words) {
      if (lanes.elementBytes == 4) {
        numbers.push_back(b.bitcast(word, b.getF32Type()));
        continue;
      }
      auto [low, high] = b.fromHalves(word);
      numbers.push_back(low);
      if (lanes.width > 1)
        numbers.push_back(high);
    }
    return numbers;
  }

  Value score(ValueRange numbers, Value position) {
    Value dot = number(0);
    for (auto [q, key] : llvm::zip(query, numbers))
      dot = b.fma(q, key, dot);
    dot = b.reduceWarp(dot, [&](Value a, Value c) { return b.add(a, c); });
    return b.select(isBelow(position, end), b.mul(dot, number(scale)), number(kMasked));
  }

  // Some positions; those beyond the end are the last one, masked. state: best score, total, sums.
  Values attend(Value from, Values state) {
    SmallVector<Values, kMostPositions> loaded;
    Value last = b.sub(end, b.constant(1));
    for (int64_t i = 0; i < positions; ++i)
      loaded.push_back(load(b.minimum(b.add(from, b.constant(i)), last)));
    b.warpBarrier(); // loads stay before it: ptxas would have each just before its use, to save registers
    Values scores;
    for (auto [i, words] : llvm::enumerate(loaded))
      scores.push_back(score(numbersOf(words), b.add(from, b.constant(int64_t(i)))));
    Value best = state[0];
    for (Value score : scores)
      best = maximum(b, best, score);
    Value fade = exponential(b, b.sub(state[0], best));
    Values result{best};
    for (Value value : llvm::drop_begin(state))
      result.push_back(b.mul(value, fade));
    for (auto [i, words] : llvm::enumerate(loaded)) {
      Value isThere = isBelow(b.add(from, b.constant(int64_t(i))), end), weight = b.select(isThere, exponential(b, b.sub(scores[i], best)), number(0));
      result[1] = b.add(result[1], weight);
      for (auto [channel, value] : llvm::enumerate(numbersOf(words)))
        result[2 + channel] = b.fma(weight, value, result[2 + channel]);
    }
    return result;
  }

  Value partOf(int64_t warp) { return b.at(parts, warp * lanes.softmaxBytes()); }

  void leave(ValueRange state) {
    Value part = b.at(parts, b.warp(), lanes.softmaxBytes());
    b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.lane(), b.constant(0)), [&] {
      b.store(state[0], part, 4);
      b.store(state[1], b.at(part, 4), 4);
    });
    for (int64_t piece = 0; piece < lanes.pieces; ++piece)
      b.onlyIf(isBelow(channel(piece), b.constant(lanes.latent)), [&] {
        for (int64_t i = 0; i < lanes.width; ++i)
          b.store(state[size_t(2 + piece * lanes.width + i)], b.at(floatAt(b, part, channel(piece)), 8 + 4 * i), 4);
      });
  }

  void merge(Value out) {
    b.eachThread(b.constant(lanes.latent), 1, [&](Value channel) {
      Values bests;
      Value best = number(kMasked), total = number(0), sum = number(0);
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        bests.push_back(b.load(b.getF32Type(), partOf(warp), 4));
        best = maximum(b, best, bests.back());
      }
      for (int64_t warp = 0; warp < b.warps(); ++warp) {
        Value factor = exponential(b, b.sub(bests[size_t(warp)], best));
        total = b.fma(b.load(b.getF32Type(), b.at(partOf(warp), 4), 4), factor, total);
        sum = b.fma(b.load(b.getF32Type(), b.at(floatAt(b, partOf(warp), channel), 8), 4), factor, sum);
      }
      b.store(div(b, sum, total), floatAt(b, out, channel), 4);
    });
  }

  BlockBuilder &b;
  const LatentLanes lanes;
  const double scale;
  const int64_t positions; // of a warp at a time
  Value head, end, cache, parts; // parts: shared, a softmax of each warp
  Values query;
};

void emitBlockLatentAttend(BlockBuilder &b, tile::LatentAttendAttr kernel) { BlockLatent(b, kernel).emit(); }

bool takesLatentAttend(Attribute kernel, tile::TargetAttr target) {
  LatentLanes lanes(cast<tile::LatentAttendAttr>(kernel));
  return lanes.pieces * lanes.width <= kMostChannels && target.getThreads() / kWarp * lanes.softmaxBytes() <= kMostShared;
}

} // namespace

ArrayRef<BlockKind> blockLatentKinds() {
  static const BlockKind kinds[] = {blockKind<tile::LatentAttendAttr, emitBlockLatentAttend>(takesLatentAttend)};
  return kinds;
}

} // namespace llmc::kernels
