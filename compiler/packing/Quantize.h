// Rounds float rows to the block formats of GGUF, with scales that are searched for, so that the weighted square of the error is small.
//
//   std::vector<std::byte> row(rowBytes(Format::Q4_0, values.size()).value());
//   quantizeRow(Format::Q4_0, values, {}, row.data());
//
// A block's numbers depend on its values alone: neither on threads nor on the machine. Thread-safe.
#pragma once

#include "runtime/formats/Tensor.h"

#include <cstddef>
#include <span>

namespace llmc::packing {

// Whether rows can be rounded to this format: Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K.
bool canQuantize(Format format);

// `values`: a whole number of blocks, finite (others become some number of the format). `importance`: of each value's squared error,
// not negative; empty: all equal. `row`: rowBytes(format, values.size()) bytes.
// The error of a block of Q4_0, Q5_0 or Q8_0 is at most that of the format's reference, the scale from the largest magnitude.
void quantizeRow(Format format, std::span<const float> values, std::span<const float> importance, std::byte *row);

} // namespace llmc::packing
