// Kernels whose body is written for a block of threads. A kind that is not among them is run by one thread of the block, by the body
// that a portable CPU would run: right everywhere, and slow.
#pragma once

#include "passes/lowering/kernels/block/BlockBuilder.h"

namespace llmc::kernels {

struct BlockKind {
  mlir::TypeID attribute;
  // Whether this very kernel is among them; null: each of its kind is.
  bool (*takes)(mlir::Attribute, tile::TargetAttr);
  void (*emit)(BlockBuilder &, mlir::Attribute); // all but the last barrier and the return
};

template <class Attr, void emit(BlockBuilder &, Attr)> BlockKind blockKind(bool (*takes)(mlir::Attribute, tile::TargetAttr) = nullptr) {
  return {mlir::TypeID::get<Attr>(), takes, [](BlockBuilder &b, mlir::Attribute kernel) { emit(b, mlir::cast<Attr>(kernel)); }};
}

// By the files that write them.
llvm::ArrayRef<BlockKind> blockRowKinds();       // BlockRows.cpp: norm, pointwise, rope, quantize, decode_row
llvm::ArrayRef<BlockKind> blockLinearKinds();    // BlockLinear.cpp
llvm::ArrayRef<BlockKind> blockAheadKinds();     // BlockAhead.cpp
llvm::ArrayRef<BlockKind> blockChoiceKinds();    // BlockChoices.cpp: best_panels, route
llvm::ArrayRef<BlockKind> blockDecodeKinds();    // BlockDecode.cpp: attend, attend_runs of one token, merge_parts
llvm::ArrayRef<BlockKind> blockScanKinds();      // BlockScan.cpp: scans with states
llvm::ArrayRef<BlockKind> blockChannelKinds();   // BlockChannels.cpp: conv, shift, scans without states
llvm::ArrayRef<BlockKind> blockCacheKinds();     // BlockCaches.cpp: prepare, latent_prepare
llvm::ArrayRef<BlockKind> blockLatentKinds();    // BlockLatent.cpp: latent_attend
llvm::ArrayRef<BlockKind> blockGroupKinds();     // BlockGroups.cpp: group_tokens
llvm::ArrayRef<BlockKind> blockAttentionTileKinds(); // BlockAttentionTiles.cpp: attend_runs of many tokens

// Null: one thread runs it.
const BlockKind *findBlockKind(mlir::Attribute kernel, tile::TargetAttr target);

} // namespace llmc::kernels
