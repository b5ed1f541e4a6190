// What sentence-transformers keeps beside a checkpoint: how the hidden states of a text become one vector.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llmc::frontends {

// Reads modules.json, the configuration of the pooling that it names, and sentence_bert_config.json into attributes of the module:
// llm.pooling ("mean", "cls", "max", "last"), llm.normalize, llm.max_text. Nothing if the directory has no modules.json.
// Errors: InvalidInput on files that are none of these; Unsupported on other modules, or several poolings at once.
llvm::Error readSentences(const std::string &directory, mlir::ModuleOp module);

} // namespace llmc::frontends
