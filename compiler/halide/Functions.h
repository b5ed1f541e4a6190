// Halide functions of kernels, one for each struct of Kernels.h.
#pragma once

#include "compiler/halide/Kernels.h"

#include <Halide.h>

#include <vector>

namespace llmc::halide {

// Sums keep this many partial sums on every target, so that every target adds in the same order.
inline constexpr int kLanes = 16;

struct Definition {
  std::vector<Halide::Argument> arguments; // in the kernel's order, but for the result
  Halide::Func out;                        // scheduled
};

// The extents of `kernel` fit Halide's 32 bits (Plugin.cpp sees to it).
Definition define(const Norm &kernel);

// An f32 row of `extents` that lies dense in memory.
Halide::ImageParam denseInput(const std::string &name, const std::vector<int> &extents);
// The same promise for a result.
void makeDense(Halide::OutputImageParam buffer, const std::vector<int> &extents);

} // namespace llmc::halide
