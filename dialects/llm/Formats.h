// Facts about the storage formats of `!llm.quant` and float weights: what the block formats of GGUF hold.
// Source: the GGUF specification (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
#pragma once

#include "mlir/IR/OpImplementation.h" // what the generated enums are written against

#include "dialects/llm/LLMEnums.h.inc"

#include <cstdint>

namespace llmc::llm {

struct FormatTraits {
  int64_t blockElements; // elements along a row that share one block (1 for floats)
  int64_t blockBytes;
  int64_t group;     // elements that share one scale; 0 for floats
  int64_t zeroPoint; // value = scale * (q - zeroPoint) - minimum; iq4_nl and mxfp4 look q up in a code book
  bool hasMinimum;   // a minimum per group (q4_1, q5_1, q2_k, q4_k, q5_k)
};

FormatTraits formatTraits(Format format);
inline bool isQuantised(Format format) { return formatTraits(format).group != 0; }

} // namespace llmc::llm
