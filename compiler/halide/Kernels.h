// The border between the compiler and Halide: plain C++, so that neither side sees the other's headers (libHalide carries an LLVM of
// its own). What calls Halide stands behind it in llmc-halide.so, which is loaded when a kernel first asks for it.
//
// A kind of kernel is a struct below, a function in a file of its own (Norm.cpp) and a row in two tables: that of the attributes in
// Kinds.cpp and that of the functions in Plugin.cpp. See docs/howto/AddAHalideKernel.md.
#pragma once

#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace llmc::halide {

// #tile.norm: (x, gain, [bias,] out), #tile.unit_norm: (x, out); f32 rows; each run of `group` of the `channels` on its own. x and out
// may be the same row.
struct Norm {
  int64_t channels = 0, group = 0;
  bool subtractMean = false; // layer norm
  bool gain = false, bias = false;
  double eps = 0, offset = 0;
};

// #tile.pointwise: (a, [b, [c,]] out), f32 rows; out may be one of the others.
struct Pointwise {
  enum class Kind { Add, Copy, Scale, Softcap, Activation, Glu, Mul, Mix, Clamp };
  enum class Function { None, Relu, Relu2, Sigmoid, Silu, Tanh, GeluTanh };
  Kind kind = Kind::Copy;
  Function function = Function::None; // of Activation and Glu
  int64_t channels = 0, group = 1;
  double constant = 0;
};

// #tile.rope of whole heads: (x, table, out), f32 rows; x and out may be the same row.
struct Rope {
  int64_t channels = 0, head = 0;
  bool interleaved = false; // pairs are neighbours, not a half apart
};

// #tile.product: (panel, x, tokens: i64, out, scratch), 16 outputs. The same operations in the same order as the compiler's own kernel.
struct Product {
  enum class Weights { F32, Bf16, Q8_0 };
  Weights weights = Weights::F32; // Q8_0: int8 arithmetic
  int64_t inputs = 0;
  bool single = false; // one row
  int rows = 1;        // whose sums fit in the target's registers
  bool unsignedDot = false; // a target that multiplies unsigned by signed bytes
  int64_t blockBytes = 0, quantsOffset = 0, rowBytes = 0, scalesOffset = 0, sumsOffset = 0; // Q8_0: layouts of dialects/tile/Layout.h
};

using Kernel = std::variant<Norm, Pointwise, Rope, Product>;

// A compiled kernel. Its function takes, for a pointer, a pointer to halide_buffer_t, and i64 as they are, and returns an int that is
// 0. Shapes are constants of the code: of each buffer it reads `host` alone.
struct Code {
  std::string bitcode; // of an LLVM module
  std::vector<int> arguments; // which of the kernel's arguments each argument of the function is
  bool fuses = false; // a product and the sum that it goes into may round once, where the target can
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
