// A look at the text of a module before MLIR's parser sees it: that parser recurses, and the text is untrusted.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace llmc::frontends {

// Why the parser must not have `text`, if so: brackets nested too deeply, or a long run of signs.
std::optional<std::string> findDangerousNesting(llvm::StringRef text);

} // namespace llmc::frontends
