// Reads the text of a module, which is untrusted: MLIR's parser recurses, so that we look at the text before it does.
#pragma once

#include "frontends/Report.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <optional>
#include <string>

namespace llmc::frontends {

// Why the parser must not have `text`, if so: brackets nested too deeply, or a long run of signs.
std::optional<std::string> findDangerousNesting(llvm::StringRef text);

// The module, verified. `path` is for messages. Errors: an ImportError with exit code 1 that names line and column.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> parseModule(mlir::MLIRContext &context, llvm::StringRef text, const std::string &path);

} // namespace llmc::frontends
