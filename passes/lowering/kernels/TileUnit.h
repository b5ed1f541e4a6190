// Eight registers that hold a matrix of 16 rows x 64 bytes each, and the product of two of them, as the target forms it.
//
//   auto tiles = TileUnit::create(b);
//   tiles->configure(rows);
//   tiles->load(kA, x, stride); … tiles->multiply(kSum, kA, kB); tiles->store(kSum, out, stride);
//   tiles->release();
//
// Registers are named by the emitter, as in assembly: nothing is spilled, and no value of a tile lives in the IR. A kernel that uses them
// calls nothing in between, but for memset and memcpy that LLVM may write for a loop, which leave them alone.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

#include <memory>

namespace llmc::kernels {

class TileUnit {
public:
  static constexpr int64_t kRegisters = 8, kRows = 16, kRowBytes = 64;

  // To be called in the kernel's entry block: it takes memory there.
  static std::unique_ptr<TileUnit> create(KernelBuilder &b);
  explicit TileUnit(KernelBuilder &b) : b(b) {}
  virtual ~TileUnit() = default;

  // How many rows (i64, 1 to 16) each register has. What registers hold is lost.
  virtual void configure(llvm::ArrayRef<Value> rows) = 0;
  virtual void load(int64_t to, Value pointer, Value stride) = 0;
  virtual void store(int64_t from, Value pointer, Value stride) = 0;
  // sum[m][n] += rows[m] . columns[n], f32 [16] a row; `rows` holds 32 bf16 a row, `columns` pairs: [16 pairs][16 columns][2]. The
  // products of even and of odd inputs are summed in ascending order by fma from 0, then both sums are added, then that to `sum`.
  virtual void multiply(int64_t sum, int64_t rows, int64_t columns) = 0;
  // Gives the registers back: the system need not save them any more.
  virtual void release() = 0;

protected:
  KernelBuilder &b;
};

} // namespace llmc::kernels
