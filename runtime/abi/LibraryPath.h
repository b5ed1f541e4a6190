// The file of the library that this code was loaded from.
#pragma once

#include <string>

namespace llmc {

// Absolute where possible. `address`: anything inside the library.
std::string libraryPathOf(const void *address);

} // namespace llmc
