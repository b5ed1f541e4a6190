// What falls to a lane of a warp that reads a block of an attention cache (CacheBlock.h): keys and values of 16 positions, front to back.
//
//   keys      f16: 8 positions of a channel, 16 channels to a load; f32: 4 of 8; q8_0: 4 positions of a quad of channels, 8 quads (a group) to a load.
//             A lane makes partial scores of its positions; lanes exchange them until each has one score: of position `position()`, and so
//             has lane ^ 16.
//   values    some neighbouring channels of a position (q8_0: of a pair of positions), always the same channels: sums stay in the lane.
#pragma once

#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/block/BlockBuilder.h"

namespace llmc::kernels {

class CacheLanes {
public:
  CacheLanes(BlockBuilder &b, const CacheShape &cache);

  static int64_t sumsOfLane(const CacheShape &cache);     // for one head
  static int64_t paddedChannels(const CacheShape &cache); // that loads of keys go over
  int64_t sumCount() const { return chunks * width; }
  Value position();

  // The words of the first loads of a block's keys and values, from load number `first` on: at most kLoads. `dots` and `addValues` take
  // them, and load the others.
  static constexpr int64_t kLoads = 4;
  Values loadKeys(Value keys, int64_t first);
  Values loadValues(Value values, int64_t first);

  // The lane's score for each of `heads`, without scale. queries: f32 [heads][paddedChannels], `queryBytes` apart, zeros beyond the last channel.
  Values dots(Value keys, ValueRange loaded, Value queries, int64_t queryBytes, int64_t heads);
  // Adds values times weights, which are those of `position()`, to the sums of each head. What a position that is not seen has may be anything.
  void addValues(Value values, ValueRange loaded, ValueRange weights, llvm::function_ref<Value(Value position)> seen, llvm::MutableArrayRef<Values> sums);
  // Adds the lanes of a head's sums, and writes them: f32 [headDim].
  void storeSums(ValueRange sums, Value to);

private:
  int64_t wordsOfKeys() const { return cache.isQ8() ? 6 : 4; } // with scales
  int64_t wordsOfValues() const;
  int64_t chunkBytes() const { return width * (cache.isQ8() ? 2 : cache.elementBytes()); }
  Value lanesOfPosition(Value position); // a lane that has its score
  Value rowOf(int64_t load);             // of values: a position, or a pair
  Value chunkOf(int64_t load);
  void addKeys(int64_t load, ValueRange words, Value queries, int64_t queryBytes, llvm::MutableArrayRef<Values> dots);
  Values keysOfChannel(ValueRange words);
  Value scattered(Values partial);
  void addRow(int64_t load, ValueRange words, ValueRange weights, llvm::function_ref<Value(Value)> seen, llvm::MutableArrayRef<Values> sums);
  void addPair(int64_t load, ValueRange words, ValueRange weights, llvm::function_ref<Value(Value)> seen, llvm::MutableArrayRef<Values> sums);
  Values floatsOf(ValueRange words);

  BlockBuilder &b;
  const CacheShape cache;
  int64_t lanesOfKey;                   // of a channel, or quad
  int64_t positions;                    // of a lane's keys
  int64_t keyLoads;
  int64_t width, chunks, lanesOfRow;    // channels of a load of values; loads of a row; lanes of a row
  int64_t rowChunks, valueLoads;
};

} // namespace llmc::kernels
