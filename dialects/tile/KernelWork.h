// How much arithmetic a kernel does.
#pragma once

#include "mlir/IR/Attributes.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace llmc::tile {

// Of all tiles of a loop together, for each row that goes through it. A multiply-add counts two, any other operation on a number one,
// a function such as exp one. Decoding weights and rounding activations belong to the product and count nothing.
struct KernelWork {
  llvm::StringRef arithmetic = "f32"; // what most of it is: f32, bf16, int8
  int64_t rowOperations = 0;
  int64_t positionOperations = 0; // more, for each position that the row looks back on, its own among them
};

} // namespace llmc::tile
