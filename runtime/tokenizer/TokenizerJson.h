// Reads a tokenizer.json without a tree of its large tables. Internal to runtime/tokenizer.
#pragma once

#include "runtime/support/Json.h"

#include <string>
#include <vector>

namespace llmc {

struct TokenizerJson {
  struct Piece {
    uint64_t textOffset;
    uint32_t textBytes;
    int32_t id;
  };
  struct MergePair {
    uint64_t textOffset; // left, then right
    uint32_t leftBytes, rightBytes;
  };

  std::string text; // of pieces and merges
  std::vector<Piece> pieces;
  std::vector<double> scores; // of pieces, if the vocabulary is a list of pairs
  std::vector<MergePair> merges;
  Json rest; // everything else; "vocab" and "merges" of "model" are left out

  std::string_view piece(const Piece &p) const { return std::string_view(text).substr(p.textOffset, p.textBytes); }
};

// Errors: InvalidInput.
Expected<TokenizerJson> parseTokenizerJson(std::string_view json);

} // namespace llmc
