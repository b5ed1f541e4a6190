// Attention, by a block.
#include "passes/lowering/kernels/block/BlockKernels.h"

namespace llmc::kernels {

llvm::ArrayRef<BlockKind> blockAttentionKinds() { return {}; }

} // namespace llmc::kernels
