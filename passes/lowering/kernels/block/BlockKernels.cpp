#include "passes/lowering/kernels/block/BlockKernels.h"

using namespace mlir;

namespace llmc::kernels {

const BlockKind *findBlockKind(Attribute kernel, tile::TargetAttr target) {
  for (ArrayRef<BlockKind> kinds : {blockRowKinds(), blockLinearKinds(), blockChoiceKinds(), blockDecodeKinds(), blockAttentionTileKinds(),
                                    blockScanKinds(), blockChannelKinds(), blockCacheKinds(), blockLatentKinds(), blockGroupKinds(), blockAheadKinds()})
    for (const BlockKind &kind : kinds)
      if (kind.attribute == kernel.getTypeID() && (!kind.takes || kind.takes(kernel, target)))
        return &kind;
  return nullptr;
}

} // namespace llmc::kernels
