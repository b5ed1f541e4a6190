// SentencePiece's compiled normalization rules: a double-array trie from character sequences to their replacements.
// Source: https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
#pragma once

#include "runtime/support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmc {

class CharsMap {
public:
  // Errors: InvalidInput if the text is no base64 of a trie and its strings.
  static Expected<CharsMap> fromBase64(std::string_view encoded);
  static Expected<CharsMap> fromBytes(std::string bytes);

  struct Match {
    size_t bytes; // of the text
    std::string_view replacement;
  };
  // The shortest and the longest entry that `text` begins with.
  std::optional<Match> shortestAt(std::string_view text) const;
  std::optional<Match> longestAt(std::string_view text) const;

  // What fromBase64 reads.
  static std::string toBase64(std::string_view bytes);

  // As `tokenizers` applies the rules: to grapheme clusters of less than six bytes, else to characters.
  std::string normalizeGraphemes(std::string_view text) const;

private:
  // Calls `found(bytes, value)` for entries from short to long until it returns false.
  template <class Found> void forEachPrefix(std::string_view text, Found found) const;
  std::optional<std::string_view> replacementAt(uint32_t offset) const;

  std::vector<uint32_t> units;
  std::string strings; // each ends in a zero byte
};

} // namespace llmc
