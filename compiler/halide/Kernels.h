// The border between the compiler and Halide: plain C++, so that neither side sees the other's headers (libHalide carries an LLVM of
// its own). What calls Halide stands behind it in llmc-halide.so, which is loaded when `--kernels=halide` first asks for it.
//
// A kind of kernel is a struct below, a function in a file of its own (Norm.cpp) and a row in two tables: that of the attributes in
// LinkKernels.cpp and that of the functions in Plugin.cpp. See docs/howto/AddAHalideKernel.md.
#pragma once

#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <variant>

namespace llmc::halide {

// #tile.norm: (x, gain, [bias,] out), f32 rows; each run of `group` of the `channels` on its own. x and out may be the same row.
struct Norm {
  int64_t channels = 0, group = 0;
  bool subtractMean = false; // layer norm
  bool bias = false;
  double eps = 0, offset = 0;
};

using Kernel = std::variant<Norm>;

// A compiled kernel. Its function takes pointers to halide_buffer_t, in the order of the kernel's arguments, and returns an int that
// is 0. Shapes are constants of the code: of each buffer it reads `host` alone.
struct Code {
  std::string bitcode; // of an LLVM module
  int64_t bufferBytes = 0, hostOffset = 0; // of halide_buffer_t
};

class KernelCompiler {
public:
  virtual ~KernelCompiler() = default;

  // `symbol`: the function's name. `features`: what the CPU has, as codegen::Target::required spells it.
  // Errors: Unsupported for shapes beyond Halide's 32-bit extents; Internal for whatever Halide refuses.
  virtual Expected<Code> compile(const Kernel &kernel, const std::string &symbol, const std::string &features) = 0;
};

} // namespace llmc::halide

// The one symbol of llmc-halide.so.
extern "C" llmc::halide::KernelCompiler *llmc_halide_kernels();
