// What a compiled model depends on, as text: the key of the just-in-time cache.
//
// Files are told apart by path, inode, size and time of change: hashing gigabytes would take longer than compiling.
#pragma once

#include "runtime/support/Error.h"

#include <string>

namespace llmc {

// One line for the file `path` (links followed), or "absent". Never fails: what can't be seen is absent.
std::string fileKey(const std::string &path);

// A line for every file that belongs to a source: those of a Hugging Face directory, a GGUF file, or a .mlir file and the
// files that it names. Errors: InvalidInput if `source` does not exist or can't be read.
Expected<std::string> sourceKey(const std::string &source);

// A line for each of our own libraries in `directory` and for this program: another build compiles anew.
std::string compilerKey(const std::string &directory);

// What this CPU has.
std::string machineKey();

} // namespace llmc
