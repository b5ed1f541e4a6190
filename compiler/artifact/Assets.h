// What an artifact carries beside code and weights, from the files that the module names.
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace llmc::artifact {

// Name and contents of each: "tokenizer" (Tokenizer::toBlob), "chat_template" (ChatTemplates::toBlob), "generation_config" (JSON).
// Errors: as reading those files.
llvm::Expected<std::vector<std::pair<std::string, std::string>>> readAssets(mlir::ModuleOp module, const std::string &directory,
                                                                             bool allowOutside);

// The tokenizer that the module names. Errors: InvalidInput if it names none, or the file is none.
llvm::Expected<Tokenizer> openTokenizer(mlir::ModuleOp module, const std::string &directory, bool allowOutside);

} // namespace llmc::artifact
