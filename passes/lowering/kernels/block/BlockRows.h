// Parts of kernels over rows: what a warp does with one. Its lanes see each other's results afterwards. `out` may be `x`.
#pragma once

#include "passes/lowering/kernels/block/BlockBuilder.h"

namespace llmc::kernels {

// x, out: (count). `gain` may be null.
void normaliseByWarp(BlockBuilder &b, int64_t count, llm::NormAttr norm, Value x, Value gain, Value out);
// The channels that turn, `dim` of them; table: (dim).
void rotateByWarp(BlockBuilder &b, llm::RotaryAttr rotary, Value x, Value table, Value out);

} // namespace llmc::kernels
