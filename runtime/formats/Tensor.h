// Storage formats of weights and views of tensors inside mapped files.
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmc {

// Element formats that checkpoints use. Quantised ones are the block formats of GGUF (ggml-quants.h / the GGUF spec).
enum class Format : uint8_t { F32, F16, BF16, Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K, Q4_1, Q5_1, Q2_K, Q3_K, IQ4_NL, MXFP4 };

struct FormatInfo {
  std::string_view name; // lower case, as the dialect prints it: "f32", "q4_k"
  int64_t blockElements; // elements of one block along a row (1 for floats)
  int64_t blockBytes;    // bytes of one block
};
const FormatInfo &formatInfo(Format format);
Expected<Format> parseFormat(std::string_view name);

// Bytes of a row of `elements`; an error unless a whole number of blocks fits without overflow.
Expected<int64_t> rowBytes(Format format, int64_t elements);
// Bytes of a whole row-major tensor; the same errors, and for a negative dimension. Rank 0 is one element.
Expected<int64_t> tensorBytes(Format format, std::span<const int64_t> shape);

// Decodes `elements` values (whole blocks) to float32, exactly as the format defines them.
// `row` needs no alignment. Source: the GGUF specification and ggml's reference quantisation.
void decodeRow(Format format, const std::byte *row, std::span<float> out);

// A tensor inside a mapped file: rank <= 8, row-major, `shape` outermost first (GGUF's order is reversed on reading).
// Valid as long as its file object lives.
struct TensorView {
  std::string name;
  Format format = Format::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;

  int64_t elements() const; // does not overflow for a view that a reader made
};

// Whether the tensor can be read as one of `shape` (-1: any): the same dimensions, but that a float tensor may lack, or
// have beside them, dimensions of 1, and that a float vector may lie in a tensor of any shape.
bool holdsShape(const TensorView &tensor, std::span<const int64_t> shape);

} // namespace llmc
