// Where the numbers of an attention cache lie, in one layer of one slot.
//
// Positions lie in blocks of 16; a block holds for each KV head its keys, then its values:
//
//   f32, f16: keys (head_dim, 16); values (16, head_dim)
//   q8_0:     keys (quads of channels, 16, 4) of u8, each 128 more than its number; their scales (groups, 16) of f16;
//             values (pairs of positions, channels, 2) of i8, channels as many as the quads have; their scales (groups, 16) of f16
//
// A group is 32 channels of a head, the last one may be shorter (dialects/llm/CacheLayout.h). Keys of q8_0
// are the unsigned operand of integer dot products as they lie.
#pragma once

#include "dialects/llm/CacheLayout.h"
#include "passes/lowering/kernels/KernelBuilder.h"

namespace llmc::kernels {

constexpr int64_t kCacheBlock = 16;            // positions of a block
constexpr int64_t kQuadBytes = 4 * kCacheBlock; // four channels of the keys of a block

struct CacheShape {
  Type element;
  int64_t kvHeads, headDim;

  bool isQ8() const { return llm::isQ8Cache(element); }
  int64_t elementBytes() const { return isQ8() ? 1 : element.getIntOrFloatBitWidth() / 8; }
  int64_t channels() const { return isQ8() ? (headDim + 3) / 4 * 4 : headDim; } // that have a place
  int64_t groups() const { return llm::cacheGroups(headDim); }
  int64_t rowBytes() const { return channels() * elementBytes(); }              // of a position's values, without scales
  int64_t sideBytes() const { return kCacheBlock * llm::cacheRowBytes(element, headDim); } // of a head's keys in a block; its values follow
  int64_t blockBytes() const { return kvHeads * 2 * sideBytes(); }

  // Keys of `kvHead` in block `block` of the cache at `base`.
  Value block(KernelBuilder &b, Value base, Value block, Value kvHead) const {
    return b.at(b.at(base, block, blockBytes()), kvHead, 2 * sideBytes());
  }
  // The 16 scales of `group`; `side`: a block's keys or values.
  Value scales(KernelBuilder &b, Value side, Value group) const { return b.at(side, group, kCacheBlock * 2, kCacheBlock * rowBytes()); }
};

// Rounds the keys and values of one position of a head, f32 at `key` and `value`, into its block, where it is number `lane`.
void appendQ8(KernelBuilder &b, const CacheShape &cache, Value block, Value lane, Value key, Value value);

// The nearest to `x` that f16 has: beyond lies infinity, which times the weight of a position that may not be seen would be no number.
Value finiteHalf(KernelBuilder &b, Value x);
// What a group of q8_0 whose largest magnitude is `biggest` (f32) has as its scale, before that is rounded to f16; and the factor that makes
// whole numbers of its numbers, from the rounded scale.
Value wantedScale(KernelBuilder &b, Value biggest);
Value inverseScale(KernelBuilder &b, Value scale);
// Numbers times that factor, as words: at most 127 from 0.
Value limitedWords(KernelBuilder &b, Value scaled);
// Whole numbers nearest to `x` (f32, or a vector of it), ties to even, for |x| < 2^22.
Value roundToWords(KernelBuilder &b, Value x);
// The bits of the largest |x|, which order like the numbers and put NaN on top. `numbers`: f32 vectors.
Value largestBits(KernelBuilder &b, ValueRange numbers);
// The vectors of `channels` neighbouring f32: of 16, and a narrower last one.
Values loadChannels(KernelBuilder &b, int64_t channels, Value from);
// Calls `body(group, channels)` for the groups of a head.
void forGroups(KernelBuilder &b, int64_t headDim, llvm::function_ref<void(Value group, int64_t channels)> body);
Values forGroups(KernelBuilder &b, int64_t headDim, ValueRange initial,
                 llvm::function_ref<Values(Value group, int64_t channels, ValueRange carried)> body);

} // namespace llmc::kernels
