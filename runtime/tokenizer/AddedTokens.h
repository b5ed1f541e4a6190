// Finds added tokens in text.
#pragma once

#include "runtime/tokenizer/Vocabulary.h"

#include <array>

namespace llmc {

// A stretch of text: ordinary (`id` is -1) or an added token with the white space it swallows.
struct TextPart {
  size_t start, end;
  TokenId id;
};

// A sorted table of patterns, searched by narrowing a range of it byte by byte.
class AddedTokenTable {
public:
  AddedTokenTable() = default;
  AddedTokenTable(std::span<const AddedToken> sorted, std::string_view patterns);

  bool empty() const { return tokens.empty(); }
  std::span<const AddedToken> all() const { return tokens; }
  std::string_view pattern(const AddedToken &token) const {
    return patterns.substr(token.patternOffset, token.patternBytes);
  }
  bool mayStartWith(char c) const { return range[uint8_t(c)] < range[uint8_t(c) + 1]; }
  // The longest token that `text` begins with, among those that `accept` accepts; null if none.
  template <class Accept> const AddedToken *longestAt(std::string_view text, Accept accept) const;

private:
  std::span<const AddedToken> tokens;
  std::string_view patterns;
  std::array<uint32_t, 257> range{}; // tokens whose first byte is b: [range[b], range[b + 1])
};

class AddedTokens {
public:
  // Longer patterns would make matching slow on hostile files.
  static constexpr size_t kMaxPatternBytes = 1024;

  static Expected<AddedTokens> open(const BlobReader &blob, size_t pieces);

  // As `tokenizers` does: leftmost first, then longest. `normalized`: which of the two tables.
  std::vector<TextPart> splitLeftmost(std::string_view text, bool normalized, bool parseSpecial) const;
  // As llama.cpp does: the longest token first, wherever it is.
  std::vector<TextPart> splitLongest(std::string_view text, bool parseSpecial) const;

private:
  AddedTokenTable raw, normalized;
};

} // namespace llmc
