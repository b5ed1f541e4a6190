// An op builder whose calls read like the algorithm of a kernel.
//
// Vectors are as wide as a panel (16 lanes of f32 or i32) whatever the target: LLVM splits them into registers. Float
// multiply-adds are fmuladd: one rounding on every target with FMA, two on those without, always the same in one target.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <concepts>

namespace llmc::kernels {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using mlir::VectorType;
using Values = llvm::SmallVector<Value, 8>;

class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  // Builds at the start of `function`'s new entry block.
  KernelBuilder(mlir::func::FuncOp function, tile::TargetAttr target);

  tile::TargetAttr target;
  mlir::ModuleOp module; // loops are built before they have a parent: ask here, not upwards

  Value argument(unsigned i) { return entry->getArgument(i); } // of the kernel, from any depth

  // Types.
  VectorType bytes(int64_t lanes) { return VectorType::get(lanes, getI8Type()); }
  VectorType halves(int64_t lanes) { return VectorType::get(lanes, getI16Type()); }
  VectorType words(int64_t lanes) { return VectorType::get(lanes, getI32Type()); }
  VectorType floats(int64_t lanes) { return VectorType::get(lanes, getF32Type()); }

  // Constants; of vector type: in every lane.
  Value constant(int64_t value) { return constant(getI64Type(), value); }
  Value constant(Type type, std::integral auto value) { return integer(type, int64_t(value)); }
  Value constant(Type type, double value);

  // Memory: `pointer` + `index` * `stride` + `offset`, in bytes.
  Value at(Value pointer, int64_t offset);
  Value at(Value pointer, Value index, int64_t stride, int64_t offset = 0);
  Value load(Type type, Value pointer, unsigned alignment = 1);
  void store(Value value, Value pointer, unsigned alignment = 1);
  // A scalar of `scalar` type at `pointer` in every lane of `type`, whose lanes may be narrower.
  Value loadBroadcast(VectorType type, Type scalar, Value pointer);
  void prefetch(Value pointer, unsigned locality = 3); // to be read; 3: to L1, 2: to L2

  // Arithmetic on scalars and vectors, integer or float by type.
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value fma(Value a, Value b, Value c); // a * b + c
  Value bitAnd(Value a, int64_t mask);
  Value bitOr(Value a, Value b);
  Value bitXor(Value a, int64_t mask);
  Value shiftLeft(Value a, int64_t bits);
  Value shiftRight(Value a, int64_t bits);           // zeros come in
  Value shiftRightArithmetic(Value a, int64_t bits); // the sign comes in
  Value minimum(Value a, Value b);                   // of signed integers
  Value select(Value condition, Value a, Value b);
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b);

  // Conversions; `lane` is the new element type, the shape stays.
  Value extendSigned(Value a, Type lane);
  Value extendUnsigned(Value a, Type lane);
  Value truncate(Value a, Type lane);
  Value toFloat(Value a); // from signed integers to f32
  // f16 bits, as i16 lanes or f16 lanes in memory at `pointer`, to f32. Exact, denormals too.
  Value loadHalves(int64_t lanes, Value pointer);
  Value loadBf16(int64_t lanes, Value pointer); // the same from bf16

  // Lanes.
  Value bitcast(Value a, Type type);
  Value broadcast(Value scalar, VectorType type);
  Value shuffle(Value a, Value b, llvm::ArrayRef<int64_t> lanes);
  Value slice(Value a, int64_t first, int64_t lanes);
  Value concat(Value a, Value b);
  Value intrinsic(llvm::StringRef name, Type result, ValueRange operands);

  // Counts `index` from `lower` below `upper` by `step` (i64).
  void loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value index)> body);
  // The same, carrying values from one round to the next. A loop of one constant round is written straight.
  using CarryBody = llvm::function_ref<Values(Value index, ValueRange carried)>;
  Values loop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body);
  // As `loop`, and the optimiser leaves it a loop: a body that just fits the registers would spill when unrolled, because
  // LLVM orders the operations of a large block anew.
  Values rolledLoop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body);
  void onlyIf(Value condition, llvm::function_ref<void()> body);
  Value multipleBelow(Value a, int64_t divisor); // the largest multiple of `divisor` that is at most `a` >= 0

private:
  mlir::scf::ForOp buildLoop(Value lower, Value upper, int64_t step, ValueRange initial, CarryBody body);
  mlir::Block *entry;
  Value integer(Type type, int64_t value);
  Value convertHalves(Value bits);
};

} // namespace llmc::kernels
