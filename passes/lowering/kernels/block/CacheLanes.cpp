#include "passes/lowering/kernels/block/CacheLanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kLaneBytes = 16;

int64_t ceilDiv(int64_t a, int64_t c) { return (a + c - 1) / c; }

// Channels of one load of values: of 16 bytes, if the rows allow it.
int64_t widthOf(const CacheShape &cache) { return std::gcd(cache.channels(), cache.isQ8() ? 8 : kLaneBytes / cache.elementBytes()); }
int64_t rowsOfBlock(const CacheShape &cache) { return cache.isQ8() ? kCacheBlock / 2 : kCacheBlock; }

// All lanes have something of a row, or of its like: no more rows than a block has.
int64_t lanesOfRowOf(const CacheShape &cache) {
  auto chunks = int64_t(llvm::PowerOf2Ceil(uint64_t(cache.channels() / widthOf(cache))));
  return std::clamp(chunks, kWarp / rowsOfBlock(cache), kWarp);
}
int64_t chunksOf(const CacheShape &cache) { return ceilDiv(cache.channels() / widthOf(cache), lanesOfRowOf(cache)); }
int64_t channelsOfLoad(const CacheShape &cache) { return cache.isQ8() ? llm::kCacheGroup : kWarp / cache.elementBytes(); }

} // namespace

CacheLanes::CacheLanes(BlockBuilder &b, const CacheShape &cache)
    : b(b), cache(cache), lanesOfKey(cache.isQ8() ? 4 : cache.elementBytes()), positions(kCacheBlock / lanesOfKey),
      keyLoads(ceilDiv(cache.headDim, channelsOfLoad(cache))), width(widthOf(cache)), chunks(chunksOf(cache)), lanesOfRow(lanesOfRowOf(cache)),
      rowChunks(cache.channels() / width), valueLoads(rowsOfBlock(cache) * lanesOfRow / kWarp * chunks) {}

int64_t CacheLanes::sumsOfLane(const CacheShape &cache) { return chunksOf(cache) * widthOf(cache); }
int64_t CacheLanes::paddedChannels(const CacheShape &cache) { return ceilDiv(cache.headDim, channelsOfLoad(cache)) * channelsOfLoad(cache); }
int64_t CacheLanes::wordsOfValues() const { return std::max<int64_t>(chunkBytes() / 4, 1) + cache.isQ8(); }

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

// A position's upper bits say which lane of a key has it; the lower ones are shared out to the next bits of the lane, the highest first.
Value CacheLanes::position() {
  Value position = b.mul(b.bitAnd(b.lane(), lanesOfKey - 1), b.constant(positions));
  for (int64_t mask = lanesOfKey, half = positions / 2; half; mask *= 2, half /= 2)
    position = b.add(position, b.mul(b.bitAnd(b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(mask))), 1), b.constant(half)));
  return position;
}

Value CacheLanes::lanesOfPosition(Value position) {
  Value lane = b.shiftRight(position, llvm::Log2_64(uint64_t(positions)));
  for (int64_t mask = lanesOfKey, half = positions / 2; half; mask *= 2, half /= 2)
    lane = b.add(lane, b.mul(b.bitAnd(b.shiftRight(position, llvm::Log2_64(uint64_t(half))), 1), b.constant(mask)));
  return lane;
}

Values CacheLanes::loadKeys(Value keys, int64_t first) {
  Value part = b.bitAnd(b.lane(), lanesOfKey - 1), ofLoad = b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(lanesOfKey)));
  int64_t rows = cache.isQ8() ? cache.channels() / 4 : cache.headDim, rowsOfLoad = kWarp / lanesOfKey;
  Values loaded;
  for (int64_t load = first; load < std::min(first + kLoads, keyLoads); ++load) {
    Value row = b.add(ofLoad, b.constant(load * rowsOfLoad));
    if ((load + 1) * rowsOfLoad > rows) // their queries are zeros
      row = b.minimum(row, b.constant(rows - 1));
    llvm::append_range(loaded, b.loadWords(4, b.at(b.at(keys, row, lanesOfKey * kLaneBytes), part, kLaneBytes)));
    if (cache.isQ8())
      llvm::append_range(loaded, b.loadWords(2, b.at(cache.scales(b, keys, b.constant(load)), part, 8)));
  }
  return loaded;
}

Values CacheLanes::dots(Value keys, ValueRange loaded, Value queries, int64_t queryBytes, int64_t heads) {
  SmallVector<Values, 4> partial(size_t(heads), Values(size_t(positions), b.constant(b.getF32Type(), 0.0)));
  Values more;
  for (int64_t load = 0; load < keyLoads; ++load) {
    if (load && load % kLoads == 0)
      more = loadKeys(keys, load), loaded = more;
    addKeys(load, loaded.slice(size_t(load % kLoads * wordsOfKeys()), size_t(wordsOfKeys())), queries, queryBytes, partial);
  }
  Values result;
  for (const Values &ofHead : partial)
    result.push_back(scattered(ofHead));
  return result;
}

void CacheLanes::addKeys(int64_t load, ValueRange words, Value queries, int64_t queryBytes, MutableArrayRef<Values> dots) {
  Value row = b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(lanesOfKey)));
  int64_t channelsOfRow = cache.isQ8() ? 4 : 1;
  Value query = b.at(queries, row, 4 * channelsOfRow, load * channelsOfLoad(cache) * 4);
  if (!cache.isQ8()) {
    Values numbers = floatsOf(words);
    for (auto [head, sums] : llvm::enumerate(dots)) {
      Value q = b.load(b.getF32Type(), b.at(query, int64_t(head) * queryBytes), 4);
      for (auto [sum, number] : llvm::zip(sums, numbers))
        sum = b.fma(q, number, sum);
    }
    return;
  }
  Values numbers, scales;
  for (Value word : words.take_front(4))
    for (int64_t channel = 0; channel < 4; ++channel) {
      Value byte = b.bitAnd(b.shiftRight(word, 8 * channel), 0xff);
      numbers.push_back(b.sub(b.toFloat(byte), b.constant(b.getF32Type(), 128.0)));
    }
  for (Value word : words.drop_front(4))
    llvm::append_range(scales, b.fromHalves(word));
  for (auto [head, sums] : llvm::enumerate(dots)) {
    Values q = b.elements(b.load(b.floats(4), b.at(query, int64_t(head) * queryBytes), 16));
    for (auto [position, sum] : llvm::enumerate(sums)) {
      Value dot = b.mul(q[0], numbers[4 * position]);
      for (size_t channel = 1; channel < 4; ++channel)
        dot = b.fma(q[channel], numbers[4 * position + channel], dot);
      sum = b.fma(dot, scales[position], sum);
    }
  }
}

// Partial scores of all the lane's positions become one position's whole score: lanes give each other the half that is the other's.
Value CacheLanes::scattered(Values partial) {
  int64_t mask = lanesOfKey;
  for (; partial.size() > 1; mask *= 2) {
    Value isUpper = b.compare(arith::CmpIPredicate::ne, b.bitAnd(b.lane(), mask), b.constant(0));
    size_t half = partial.size() / 2;
    Values next;
    for (size_t i = 0; i < half; ++i) {
      Value low = partial[i], high = partial[half + i];
      next.push_back(b.add(b.select(isUpper, high, low), b.shuffleXor(b.select(isUpper, low, high), mask)));
    }
    partial = next;
  }
  return b.add(partial[0], b.shuffleXor(partial[0], mask));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value CacheLanes::rowOf(int64_t load) {
  return b.add(b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(lanesOfRow))), b.constant(load / chunks * (kWarp / lanesOfRow)));
}

Value CacheLanes::chunkOf(int64_t load) {
  Value chunk = b.add(b.bitAnd(b.lane(), lanesOfRow - 1), b.constant(load % chunks * lanesOfRow));
  return (load % chunks + 1) * lanesOfRow > rowChunks ? b.minimum(chunk, b.constant(rowChunks - 1)) : chunk;
}

Values CacheLanes::loadValues(Value values, int64_t first) {
  Values loaded;
  for (int64_t load = first; load < std::min(first + kLoads, valueLoads); ++load) {
    Value row = rowOf(load), chunk = chunkOf(load), from = b.at(b.at(values, row, rowChunks * chunkBytes()), chunk, chunkBytes());
    if (chunkBytes() >= 4)
      llvm::append_range(loaded, b.loadWords(chunkBytes() / 4, from));
    else
      loaded.push_back(b.extendUnsigned(b.load(b.getI16Type(), from, 2), b.getI32Type()));
    if (cache.isQ8()) { // those of the pair's positions
      Value group = b.shiftRight(b.mul(chunk, b.constant(width)), llvm::Log2_64(llm::kCacheGroup));
      llvm::append_range(loaded, b.loadWords(1, b.at(cache.scales(b, values, group), row, 4)));
    }
  }
  return loaded;
}

void CacheLanes::addValues(Value values, ValueRange loaded, ValueRange weights, llvm::function_ref<Value(Value)> seen, MutableArrayRef<Values> sums) {
  Values more;
  for (int64_t load = 0; load < valueLoads; ++load) {
    if (load && load % kLoads == 0)
      more = loadValues(values, load), loaded = more;
    ValueRange words = loaded.slice(size_t(load % kLoads * wordsOfValues()), size_t(wordsOfValues()));
    if (cache.isQ8())
      addPair(load, words, weights, seen, sums);
    else
      addRow(load, words, weights, seen, sums);
  }
}

// Numbers of words of the cache's element.
Values CacheLanes::floatsOf(ValueRange words) {
  Values result;
  for (Value word : words)
    if (cache.elementBytes() == 4)
      result.push_back(b.bitcast(word, b.getF32Type()));
    else
      llvm::append_range(result, b.fromHalves(word));
  return result;
}

// What no token has written may be no number: a weight of 0 would not undo it.
void CacheLanes::addRow(int64_t load, ValueRange words, ValueRange weights, llvm::function_ref<Value(Value)> seen, MutableArrayRef<Values> sums) {
  Value position = rowOf(load), from = lanesOfPosition(position), isSeen = seen(position);
  Values kept;
  for (Value word : words)
    kept.push_back(b.select(isSeen, word, b.constant(b.getI32Type(), 0)));
  Values numbers = floatsOf(kept);
  for (auto [weight, ofHead] : llvm::zip(weights, sums)) {
    Value ofPosition = b.shuffleFrom(weight, from);
    for (int64_t i = 0; i < width; ++i) {
      Value &sum = ofHead[size_t(load % chunks * width + i)];
      sum = b.fma(ofPosition, numbers[size_t(i)], sum);
    }
  }
}

// Bytes of the two positions alternate; only their scales can be no numbers.
void CacheLanes::addPair(int64_t load, ValueRange words, ValueRange weights, llvm::function_ref<Value(Value)> seen, MutableArrayRef<Values> sums) {
  Type f32 = b.getF32Type();
  auto scales = b.fromHalves(words.back());
  Values numbers[2];
  for (Value word : words.drop_back())
    for (int64_t byte = 0; byte < 4; ++byte)
      numbers[byte % 2].push_back(b.toFloat(b.shiftRightArithmetic(b.shiftLeft(word, 24 - 8 * byte), 24)));
  for (int64_t i = 0; i < 2; ++i) {
    Value position = b.add(b.mul(rowOf(load), b.constant(2)), b.constant(i)), from = lanesOfPosition(position);
    Value scale = b.select(seen(position), scales[size_t(i)], b.constant(f32, 0.0));
    for (auto [weight, ofHead] : llvm::zip(weights, sums)) {
      Value factor = b.mul(b.shuffleFrom(weight, from), scale);
      for (int64_t channel = 0; channel < width; ++channel) {
        Value &sum = ofHead[size_t(load % chunks * width + channel)];
        sum = b.fma(factor, numbers[i][size_t(channel)], sum);
      }
    }
  }
}

void CacheLanes::storeSums(ValueRange sums, Value to) {
  Values whole(sums.begin(), sums.end());
  for (Value &sum : whole)
    for (int64_t mask = lanesOfRow; mask < kWarp; mask *= 2)
      sum = b.add(sum, b.shuffleXor(sum, mask));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    Value first = b.mul(b.add(b.bitAnd(b.lane(), lanesOfRow - 1), b.constant(chunk * lanesOfRow)), b.constant(width));
    Value isFirst = b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(lanesOfRow));
    b.onlyIf(isFirst, [&] {
      for (int64_t i = 0; i < width; ++i) {
        Value channel = b.add(first, b.constant(i));
        b.onlyIf(b.compare(arith::CmpIPredicate::slt, channel, b.constant(cache.headDim)),
                 [&] { b.store(whole[size_t(chunk * width + i)], b.at(to, channel, 4), 4); });
      }
    });
  }
}

} // namespace llmc::kernels
