// Files that a module names (`llm.asset`): found beside the module, and nowhere else unless the user says so.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llmc {

// The real path of asset `path` of a module that lies in `moduleDirectory` (empty: the working directory).
//
// A model.mlir is untrusted: without `allowOutside` a path that is absolute, has `..`, or leads out of the directory
// through a symbolic link is refused. Errors: InvalidInput, also if there is no such file.
llvm::Expected<std::string> resolveAsset(llvm::StringRef moduleDirectory, llvm::StringRef path,
                                         bool allowOutside = false);

// Relative `path`, as seen from directory `from`, becomes relative to directory `to`; by name alone, links are not followed. An
// absolute path stays.
std::string movedPath(llvm::StringRef path, llvm::StringRef from, llvm::StringRef to);

} // namespace llmc
