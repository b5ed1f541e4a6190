// Builds the body of a kernel that a block of threads of a GPU runs together: every thread runs the whole body, with its own number.
//
// Bodies name instructions of NVPTX as LLVM intrinsics only, never as inline assembly, so that test/gpu/emulator can run them on a CPU.
// Values that every thread computes alike are called uniform; loops and branches around `barrier`, reductions and shuffles have uniform
// bounds and conditions (those around shuffles: uniform in the warp).
//
// Shared memory belongs to one call of one kernel. A kernel ends with a barrier, which `finish` adds, so that the next may use it.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"
#include "passes/lowering/kernels/Kernels.h"

#include <array>

namespace llmc::kernels {

inline constexpr int64_t kWarp = 32;
// The module's name of shared memory, whose size the launch gives.
inline constexpr llvm::StringLiteral kSharedName = "llmc_shared";

class BlockBuilder : public KernelBuilder {
public:
  BlockBuilder(mlir::func::FuncOp function, tile::TargetAttr target);

  int64_t threads() const { return target.getThreads(); }
  int64_t warps() const { return threads() / kWarp; }
  Value thread(); // i64, its number in the block
  Value lane();   // i64, in its warp
  Value warp();   // i64, in its block

  void barrier();
  void warpBarrier(); // of the warp's lanes
  void onThread(int64_t number, llvm::function_ref<void()> body);
  // index = first, first + step, … below `count`, shared out among the block's threads, or those of a warp.
  void eachThread(Value count, int64_t step, llvm::function_ref<void(Value index)> body);
  void eachLane(Value count, int64_t step, llvm::function_ref<void(Value index)> body);
  // index = 0 … count - 1: `read` gives what a thread then stores at its index by `write`. Several indices of a thread are read before any
  // is written, so that their loads wait together.
  void eachChannel(int64_t count, llvm::function_ref<Value(Value index)> read, llvm::function_ref<void(Value index, Value value)> write);

  // Memory that every block sees, said so by the pointer: code for any memory is slower.
  Value global(Value pointer);
  Values loadWords(int64_t count, Value pointer); // i32 each, aligned to all of them: 1, 2 or 4
  Values elements(Value vector);
  std::array<Value, 2> fromHalves(Value word); // two f16 of an i32 to f32
  std::array<Value, 2> fromBf16(Value word);   // two bf16
  Value toHalves(Value low, Value high);        // two f32 to f16 of an i32, to nearest even
  Value powerOfTwo(Value value);                // of an f32, by the card's own approximation: to 2 units of the last place
  Value roundToBf16(Value value);              // an f32 that is a bf16: to nearest even, NaN stays one

  void prefetchToL2(Value pointer); // the line that it lies in

  // Of an f32 or i32. Every lane of the warp takes part.
  Value shuffleXor(Value value, int64_t mask); // what lane ^ mask has
  Value shuffleFrom(Value value, Value lane);  // what lane number `lane` (i64) has
  using Combine = llvm::function_ref<Value(Value, Value)>;
  Value reduceWarp(Value value, Combine combine);                    // the same in every lane; order of the tree fixed
  Value reduceBlock(Value value, Combine combine, Value scratch);    // `scratch`: shared memory of 4 * warps() bytes; has two barriers

  // Of an i32, in one instruction.
  Value sumOfWarp(Value word);
  Value maximumOfWarp(Value word); // signed

  // Shared memory of this kernel, aligned to 16: a pointer of address space 3.
  Value shared(int64_t bytes);

  // 16 bytes from global to shared memory, asynchronously. Both aligned to 16.
  void copyAsync(Value sharedTo, Value from);
  // `bytes` (4 or 16) if `isThere`, else as many zeros: then `from` is not read.
  void copyAsyncOrZero(int64_t bytes, Value sharedTo, Value from, Value isThere);
  void commitCopies();            // those since the last commit are a group
  void awaitCopies(int64_t most); // until at most so many groups are under way; then a barrier shows them to other threads

  // Four products of signed bytes (`unsignedA`: of a's unsigned ones) added to c; all i32.
  Value dot4(Value a, Value b, Value c, bool unsignedA = false);
  // mma.sync m16n8k16, bf16 pairs in i32, f32 sums; mma.sync m16n8k32 of signed bytes, i32 sums. With g = lane / 4, t = lane % 4:
  // a: rows g, g + 8 at inputs of word t, then of word t + 4; b: column g at words t, t + 4; c: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1).
  // A panel of bf16 weights (dialects/tile/Layout.h) is [word][16 outputs]: a[0..3] are its words (t, g), (t, g+8), (t+4, g), (t+4, g+8).
  using Four = std::array<Value, 4>;
  Four mmaBf16(Four a, std::array<Value, 2> b, Four c);
  Four mmaF16(Four a, std::array<Value, 2> b, Four c); // as that of bf16
  Four mmaInt8(Four a, std::array<Value, 2> b, Four c);
  Four mmaInt8Half(std::array<Value, 2> a, Value b, Four c); // m16n8k16: rows g, g + 8 and column g at word t of four
  // ldmatrix: four times 8 rows of 16 bytes of shared memory; lane 8 i + r gives the address of row r of matrix i, and lane 4 r + t gets
  // word t of row r of each. Rows of 16 bytes that are a column's are operands b above.
  Four loadMatrices(Value sharedRow);
  // The same of matrices of 8 by 8 elements of 2 bytes, turned: lane 4 r + t gets elements r of rows 2 t and 2 t + 1.
  Four loadMatricesTurned(Value sharedRow);
  // Byte i of the result is byte number (nibble i of `selector`, 0 … 7) of the eight of low and high.
  Value pickBytes(Value low, Value high, Value selector);

  // The last barrier, the return, and the size of shared memory on the function.
  void finish();

private:
  Value special(llvm::StringRef name);
  void effect(llvm::StringRef name, ValueRange operands);
  Four fourOf(llvm::StringRef name, Type lane, llvm::ArrayRef<Value> operands);
  void strided(Value first, Value count, int64_t stride, llvm::function_ref<void(Value index)> body);

  mlir::func::FuncOp function;
  int64_t sharedBytes = 0;
};

} // namespace llmc::kernels
