// How SentencePiece normalizes text: rules, spaces, and U+2581 for them.
// Source: https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
#pragma once

#include "runtime/tokenizer/Normalizer.h"

namespace llmc {

// `spec`: {"precompiled_charsmap": base64, "dummy_prefix": "never", "always" or "first" (at the start of the text
// only), "remove_extra_whitespaces", "escape_whitespaces", "whitespace_as_suffix", "user_defined": [text that no rule
// changes]}.
Expected<std::unique_ptr<const Normalizer::Step>> sentencePieceNormalizer(const Json &spec);

} // namespace llmc
