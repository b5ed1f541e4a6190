// Which kernels Halide has, and which of them auto takes.
#pragma once

#include "compiler/halide/Kernels.h"

#include "dialects/tile/Tile.h"

#include <optional>

namespace llmc::halide {

// What Halide needs to know of the kernel that `attribute` describes; nothing if Halide does not have it.
std::optional<Kernel> kernelOf(mlir::Attribute attribute, tile::TargetAttr target);

// The kernel's kind as KernelTable.inc spells it, such as "glu_silu", and its size: channels, inputs, or channels of a group.
struct Variant {
  std::string name;
  int64_t size;
};
Variant variantOf(const Kernel &kernel);

// Was Halide's kernel measured to be faster by more than 5 % on machines of `target`? See KernelTable.inc.
bool isFaster(const Kernel &kernel, tile::TargetAttr target);

} // namespace llmc::halide
