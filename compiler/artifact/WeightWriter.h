// Executes the packing that a module describes: reads each weight from its checkpoint file, a panel at a time, and writes the packed weight
// file (struct llmc_weights_header of runtime/artifact/Artifact.h, then the weights in the order of dialects/tile/Tables.h).
#pragma once

#include "compiler/support/ModelMoments.h"
#include "compiler/support/ModelWeights.h"

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace llmc::artifact {

struct PackedWeight {
  std::string name; // "blk.q[3]"
  int64_t offset = 0, bytes = 0;
};

struct PackedWeights {
  std::vector<PackedWeight> table;
  int64_t bytes = 0;
  std::array<uint8_t, 32> hash{}; // BLAKE3 of the packed weights
};

// Streams: memory stays at a few megabytes whatever the model's size. `moments`: of a calibrated module, else null. `progress` is told the
// fraction done.
// Errors: InvalidInput as ModelWeights::find, and on writing (a full disk); a partly written file is removed.
llvm::Expected<PackedWeights> writeWeights(mlir::ModuleOp module, const ModelWeights &weights, const ModelMoments *moments, const std::string &path,
                                           llvm::function_ref<void(double)> progress);

} // namespace llmc::artifact
