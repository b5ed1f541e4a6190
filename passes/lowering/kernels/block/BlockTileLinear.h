// #tile.linear of several tokens in bf16 or int8 arithmetic, by a block.
#pragma once

#include "passes/lowering/kernels/block/BlockBuilder.h"

namespace llmc::kernels {

void emitTileLinear(BlockBuilder &b, tile::LinearAttr kernel);

} // namespace llmc::kernels
