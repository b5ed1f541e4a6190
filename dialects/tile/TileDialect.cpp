#include "dialects/tile/Tile.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::tile;

#include "dialects/tile/TileDialect.cpp.inc"
#include "dialects/tile/TileEnums.cpp.inc"
#include "dialects/tile/TileInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttributes.cpp.inc"

int64_t PointwiseKernelAttr::getInputs() const {
  switch (getKind()) {
  case Pointwise::add:
  case Pointwise::glu:
  case Pointwise::mul:
    return 2;
  case Pointwise::mix:
    return 3;
  case Pointwise::copy:
  case Pointwise::scale:
  case Pointwise::softcap:
  case Pointwise::clamp:
  case Pointwise::activation:
    return 1;
  }
  llvm_unreachable("every pointwise kernel is listed");
}

LogicalResult TargetAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringRef, int64_t, Dot, bool bf16, Tiles tiles, int64_t threads) {
  if (tiles != Tiles::none && !bf16) // target_c1
    return emitError() << "tiles = " << stringifyTiles(tiles) << ": want bf16 = true with them";
  if (threads < 0 || threads > 1024 || threads % 32) // target_c2
    return emitError() << "threads = " << threads << ": want 0 or a multiple of 32 up to 1024";
  return success();
}

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tile/TileAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/tile/TileOps.cpp.inc"
      >();
}
