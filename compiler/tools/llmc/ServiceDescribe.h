// What an imported module says about the model, as JSON.
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace llmc::tools {

// {"family", "vocab", "hidden", "context", …: the module's llm.* attributes, "parameters", "weight_bytes",
//  "weights": [{"name", "layers", "shape", "formats": {"q4_k": 12}, "bytes"}], "states": [{"name", "type", "layers",
//  "bytes_per_position", "fixed_bytes"}], "assets": [{"kind", "path"}], "operations": N}.
// `bytes` are those of the source's formats; `bytes_per_position` and `fixed_bytes` count all layers of a state.
std::string describeModule(mlir::ModuleOp module);

} // namespace llmc::tools
