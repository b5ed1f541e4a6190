// What passes ask kernels of any dialect, instead of keeping lists of their names.
#ifndef LLMC_DIALECTS_TILE_INTERFACES
#define LLMC_DIALECTS_TILE_INTERFACES

include "mlir/IR/OpBase.td"

def Tile_WorkAttrInterface : AttrInterface<"WorkAttrInterface"> {
  let cppNamespace = "::llmc::tile";
  let description = [{
    How much arithmetic a kernel does: what `llmc bench --profile` holds against the machine's peak. A kernel that does not say counts as
    nothing but its bytes.
  }];
  let methods = [InterfaceMethod<"Of all tiles of the kernel together.", "::llmc::tile::KernelWork", "getWork">];
}

#endif
