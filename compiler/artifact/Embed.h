// Puts packed weights at the end of a library, as runtime/artifact/Artifact.h describes.
#pragma once

#include "llvm/Support/Error.h"

#include <string>

namespace llmc::artifact {

// Appends the weight file to the library at a 64 KiB boundary, and the footer. Errors: InvalidInput on reading and writing.
llvm::Error embedWeights(const std::string &library, const std::string &weightFile);

} // namespace llmc::artifact
