// Reads the metadata of a GGUF file into a Model.
#pragma once

#include "frontends/Checkpoint.h"
#include "frontends/Model.h"

namespace mlir {
class MLIRContext;
}

namespace llmc::frontends {

// The numbers of `family`'s model. Metadata is untrusted: what is out of range or unknown goes to `report`.
Model readGguf(mlir::MLIRContext &context, const Family &family, const Checkpoint &checkpoint, Report &report);

} // namespace llmc::frontends
