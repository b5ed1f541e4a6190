// Rounds float rows to the block formats of GGUF, with scales that are searched for, so that the error is small.
//
//   std::vector<std::byte> row(rowBytes(Format::Q4_0, values.size()).value());
//   quantizeRow(Format::Q4_0, values, nullptr, row.data());
//
// A row's numbers depend on its values and moments alone: neither on threads nor on the machine. Thread-safe.
#pragma once

#include "runtime/formats/Tensor.h"

#include <cstddef>
#include <span>

namespace llmc::packing {

// Whether rows can be rounded to this format: Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K.
bool canQuantize(Format format);

// Second moments of a product's inputs, the mean of x[i] * x[j], for i and j in one block of columns.
struct Moments {
  std::span<const float> values; // [columns, block]: those of column i with the columns of i's block; what lies beyond the last column is 0
  int64_t block = 0;             // a multiple of 32, at most kMomentsBlock

  const float *row(int64_t column) const { return values.data() + column * block; }
};
constexpr int64_t kMomentsBlock = 256;

// The block for a matrix of `columns`, or a stack of them: experts see fewer inputs, and there are many.
int64_t momentsBlock(int64_t experts, int64_t columns);

// `values`: a whole number of blocks, finite (others become some number of the format). `row`: rowBytes(format, values.size()) bytes.
// Without moments every value is rounded for itself, under the scale of least weighted error: large values weigh more. With them
// (null: none) it is the error of the product that is made small: values are rounded so that their errors make up for each other.
void quantizeRow(Format format, std::span<const float> values, const Moments *moments, std::byte *row);

} // namespace llmc::packing
