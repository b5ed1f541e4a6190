// Finds, checks and maps the packed weights of an artifact.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/support/MappedFile.h"

#include <span>

namespace llmc {

struct PackedWeights {
  MappedFile file;
  std::string path;                 // of `file`; empty if the model has no weights
  std::span<const std::byte> bytes; // weight_bytes of them, page-aligned
};

// `weightsPath`: a packed weight file, or empty: what the artifact says (beside the library, or embedded in it).
// The content is not hashed: magic, id and sizes bind the two.
// Errors: InvalidInput naming the file, what was wanted and found.
Expected<PackedWeights> openWeights(const llmc_artifact &artifact, const std::string &libraryPath,
                                    const std::string &weightsPath);

} // namespace llmc
