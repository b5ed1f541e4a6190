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

LogicalResult TargetAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringRef, int64_t, Dot, bool bf16, Tiles tiles) {
  if (tiles == Tiles::none || bf16) // target_c1
    return success();
  return emitError() << "tiles = " << stringifyTiles(tiles) << ": want bf16 = true with them";
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
