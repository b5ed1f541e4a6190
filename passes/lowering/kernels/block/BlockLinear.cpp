// Products and their epilogues, by a block.
#include "passes/lowering/kernels/block/BlockKernels.h"

namespace llmc::kernels {

llvm::ArrayRef<BlockKind> blockLinearKinds() { return {}; }

} // namespace llmc::kernels
