// What kernels over rows share: loops over channels in vectors of 16 with a narrower last one, and pointwise functions.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

namespace llmc::kernels {

// Channels [first, first + lanes) of a row; `lanes` is 16 but for a last piece.
constexpr int64_t kLanes = 16;

// Calls `body(index, type)` for channels 0 … count-1: `index` is the first channel (i64), `type` f32 x lanes.
void forChannels(KernelBuilder &b, int64_t count, llvm::function_ref<void(Value index, VectorType type)> body);
// Sum over channels of what `body` returns (f32 x lanes of `type`), in a fixed order.
Value sumChannels(KernelBuilder &b, int64_t count, llvm::function_ref<Value(Value index, VectorType type)> body);

// Calls `body` for heads [tile * group, (tile + 1) * group) of `all`.
void forHeadsOfTile(KernelBuilder &b, Value tile, int64_t group, int64_t all, llvm::function_ref<void(Value head)> body);

Value floatAt(KernelBuilder &b, Value pointer, Value index); // address of float number `index`
Value div(KernelBuilder &b, Value a, Value c);
Value maximum(KernelBuilder &b, Value a, Value c); // of floats
Value exponential(KernelBuilder &b, Value x);      // of x <= 88; below -87 as -87
Value powerOfTwo(KernelBuilder &b, Value x);       // 2^x of x <= 127, within 2 ulp; below -125 as -125
Value hyperbolicTangent(KernelBuilder &b, Value x);
Value softcap(KernelBuilder &b, Value x, double cap); // cap * tanh(x / cap)
Value softplus(KernelBuilder &b, Value x); // log(1 + exp(x))
Value orderedBits(KernelBuilder &b, Value bits); // of a float, as an integer that orders as the float does; and back
// f32 as i32 of the same order; `ofNan` for what is no number, and -0 as 0.
Value orderedKeys(KernelBuilder &b, Value numbers, int64_t ofNan);
Value splat(KernelBuilder &b, Value scalar, Type type);
Value activate(KernelBuilder &b, llm::Activation kind, Value x);
// Of one channel, or some, of each of its rows; not of a `mul` by groups.
Value pointwiseValue(KernelBuilder &b, tile::PointwiseKernelAttr kernel, llvm::ArrayRef<Value> inputs);
// Pairs `first`, `second` turned by the angle whose cosine and sine are given.
std::pair<Value, Value> turn(KernelBuilder &b, Value first, Value second, Value cosine, Value sine);

// Norm of `count` f32 channels at `x`, to `out` (which may be `x`). `gain` and `bias` may be null.
void normalise(KernelBuilder &b, int64_t count, llm::NormAttr norm, Value x, Value gain, Value bias, Value out);
// Rotates one head of `headDim` channels at `x` by the row `table`, to `out` (which may be `x`).
void rotate(KernelBuilder &b, int64_t headDim, llm::RotaryAttr rotary, Value x, Value table, Value out);
// f32 x lanes to `element` (f32 or f16) at `pointer`, and back.
void storeAs(KernelBuilder &b, Value value, Type element, Value pointer);
Value loadAs(KernelBuilder &b, int64_t lanes, Type element, Value pointer);

} // namespace llmc::kernels
