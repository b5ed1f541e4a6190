// Encodes a list of texts, as `llmc tokenize --batch` does.
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

namespace llmc {

// `request`: a JSON list of {"text": …, "special": bool}; "special" adds BOS and its like. The text of special tokens
// becomes their ids either way. Returns a JSON list of id lists in the same order. Errors: InvalidInput.
Expected<std::string> tokenizeBatch(const Tokenizer &tokenizer, std::string_view request);

} // namespace llmc
