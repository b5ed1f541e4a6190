// Runs of tokens and operands of recurrences, as a block of threads has them.
#pragma once

#include "passes/lowering/kernels/Scan.h"
#include "passes/lowering/kernels/block/BlockBuilder.h"

namespace llmc::kernels {

// The same tokens; the end of a run is found by each warp, whose lanes read the slots of the tokens that follow all at once.
Tokens tokensOfBlock(BlockBuilder &b, Tokens tokens);
// With operands in the memory that every block sees.
Scan scanOfBlock(BlockBuilder &b, tile::ScanAttr kernel);

// Output number `lane` (0 … 15) of column `column` of a packed float panel, as f32.
Value panelNumber(BlockBuilder &b, llm::Format format, Value panel, Value column, Value lane);

} // namespace llmc::kernels
