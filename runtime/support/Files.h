// Small files read whole. Large ones are mapped (MappedFile.h).
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>
#include <string>

namespace llmc {

// The bytes of a file, pipe or terminal. Errors: InvalidInput if it can't be opened or read, is a directory, or holds
// more than `maxBytes`.
Expected<std::string> readTextFile(const std::string &path, size_t maxBytes);

} // namespace llmc
