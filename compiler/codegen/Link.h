// Links objects and the runtime core into a model.so, in process, with lld. No compiler driver or development files are needed on the
// user's machine: the system libraries are those that this process itself runs on.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llmc::codegen {

// Errors: Internal, with what lld said.
// `soname`: the name that the library goes by; `output` may be a temporary path.
llvm::Error linkModel(llvm::ArrayRef<std::string> objectFiles, const std::string &output, llvm::StringRef soname);

} // namespace llmc::codegen
