// What an element of attention caches takes, and what q8_0 makes of numbers.
//
// q8_0: for each group of 32 channels of a head (the last one may be shorter), as the format of that name does for weights,
//
//   scale = f16(min(max |x| / 127, 65504));   q = round-half-even(x / scale), at most 127 from 0;   x is read as q * scale
#pragma once

#include "mlir/IR/Types.h"

namespace llmc::llm {

constexpr int64_t kCacheGroup = 32; // channels that share a scale
inline int64_t cacheGroups(int64_t headDim) { return (headDim + kCacheGroup - 1) / kCacheGroup; }

bool isQ8Cache(mlir::Type element);
// Bytes of one head's keys, or values, of one position.
int64_t cacheRowBytes(mlir::Type element, int64_t headDim);

} // namespace llmc::llm
