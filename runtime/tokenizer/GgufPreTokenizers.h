// What tokenizer.ggml.pre names: how a GGUF file's byte-level BPE cuts words. Internal to runtime/tokenizer.
#pragma once

#include <span>
#include <string_view>

namespace llmc {

struct GgufPreTokenizer {
  std::string_view names;                     // separated by spaces
  std::span<const std::string_view> patterns; // applied one after another; matches and gaps are words
  bool ignoresMerges = false;                 // a word that is a piece is that piece
  bool addsBos = false;                       // unless tokenizer.ggml.add_bos_token says otherwise
};

// Null if the name is unknown.
const GgufPreTokenizer *findGgufPreTokenizer(std::string_view name);

} // namespace llmc
