// Post-processors of tokenizer.json: the special tokens around a text.
#pragma once

#include "runtime/support/Json.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace llmc {

// The ids around one text, in which -1 stands for the text itself.
// `spec`: the JSON of a post-processor, or null for none. Errors: Unsupported, naming the component; InvalidInput.
Expected<std::vector<TokenId>> compilePostProcessor(const Json &spec);

} // namespace llmc
