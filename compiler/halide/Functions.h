// Halide functions of kernels, one for each struct of Kernels.h.
#pragma once

#include "compiler/halide/Kernels.h"

#include <Halide.h>

#include <vector>

namespace llmc::halide {

// Vectors of this many values on every target, whatever its registers hold: partial sums add in the same order everywhere.
inline constexpr int kLanes = 16;

struct Definition {
  std::vector<Halide::Argument> arguments; // but for the result
  std::vector<int> places;                 // which of the kernel's arguments those are, then the result
  Halide::Func out;                        // scheduled
  bool fuses = false;                      // as in Code
};

// The extents of `kernel` fit Halide's 32 bits (Plugin.cpp sees to it).
Definition define(const Norm &kernel);
Definition define(const Pointwise &kernel);
Definition define(const Rope &kernel);
Definition define(const Product &kernel);

// A row of `extents` that lies dense in memory.
Halide::ImageParam denseInput(const std::string &name, const std::vector<int> &extents, Halide::Type type = Halide::Float(32));
// The same promise for a result.
void makeDense(Halide::OutputImageParam buffer, const std::vector<int> &extents);

} // namespace llmc::halide
